"""A drill becomes evidence: told when nobody takes it, handed in later, judged anew, taken once."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peakctl.founding import create_demo
from peakctl.supervisor import Supervisor
from peakctl.workspace import Workspace
from tests.fork_server import fork_server

ROOT = Path(__file__).parents[3]
NAME = "orphan_order"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workspace]:
    made = create_demo(tmp_path / "w", {})
    yield made
    Supervisor(made).end_all("alice")


def drill(place: Workspace, *words: str) -> tuple[int, Any, str]:
    """`peakctl drill ... --json`: exit code, document, errors."""
    who = () if words[0] == "list" else ("--person", "alice")
    command = [sys.executable, "-P", "-m", "peakctl", "drill", *words, *who]
    command += ["-w", str(place.root), "--json"]
    done = fork_server().run(command, cwd=ROOT, env=os.environ, timeout=120)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def last(place: Workspace) -> Any:
    _, rows, _ = drill(place, "list")
    return next(row["last"] for row in rows if row["name"] == NAME)


@pytest.mark.timeout(240)
def test_a_drill_is_evidence_once_the_engine_has_judged_it(place: Workspace) -> None:
    code, told, _ = drill(place, "run", NAME)
    assert (code, told["passed"], told["recorded"]) == (0, True, None)
    assert "NOT recorded" in told["not_recorded"]
    (folder,) = (place.state / "drills").iterdir()
    assert folder.name in told["not_recorded"]
    assert last(place) is None

    Supervisor(place).ensure_engine()
    assert last(place)["why_not"] == "never run"
    code, recorded, errors = drill(place, "record", folder.name)
    assert (code, recorded["passed"], recorded["counts"]) == (0, True, True), errors
    assert recorded["criteria"]["open_at_venue"] == "exactly 0"
    assert recorded["measured"]["open_at_venue"] == "0"
    head = last(place)["journal_head"]
    assert len(head) == 64

    code, _, errors = drill(place, "record", folder.name)
    assert code == 4
    assert "handed in before" in errors
    lines = (folder / "journal" / "000001.jsonl").read_bytes().splitlines(keepends=True)
    assert hashlib.sha256(lines[-1]).hexdigest() == head
