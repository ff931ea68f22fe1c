"""Reading a living session from another terminal: JSON and only JSON, and nothing that acts."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.documents import Namespace
from engine.governance.wordlist import short_code
from peakctl.ceremony import new_nonce
from peakctl.client.client import EngineClient
from peakctl.demo_seats import seats
from peakctl.demo_session import LIMITS, Narrator, Story
from peakctl.founding import create_demo
from peakctl.signing import signals
from peakctl.supervisor import Supervisor
from peakctl.tools import draft_charter
from peakctl.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]

#: What could turn the reading direction, move the cursor, fake a line, or set a window's title.
EVIL = "odd \u202etxet\u2066 \x1b[2J\x1b]0;title\x07 next\nline \u200b\x9b31m"
#: Of those, what must never reach a terminal; the newline may end a line of our own only.
ACTIVE = "\u202e\u2066\u200b\x1b\x07\x9b"


async def _to_signed(workspace: Workspace) -> None:
    """A session up to the operator's signature, with hostile words wherever people may write."""
    async with seats(workspace) as (operator, reviewer):
        story = Story(workspace, Narrator(), operator, reviewer)
        await story.ready()
        charter = msgspec.structs.replace(
            draft_charter(workspace, "alice"), limits=LIMITS, purpose=EVIL
        )
        story._charter = charter
        await operator.client.charter(charter)
        await operator.client.start_checklist(EVIL)
        await story.join()
        await story.checklist()
        await operator.client.note(EVIL)
        await operator.client.incident(EVIL)
        go = await operator.client.request_go(new_nonce(), signals())
        signature = await operator.sign(go.packet, Namespace.GO)
        await operator.client.sign_go(sha256_hex(go.packet.encode("ascii")), signature)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A running engine whose session waits for the reviewer's decision."""
    workspace = create_demo(tmp_path_factory.mktemp("reads") / "w")
    supervisor = Supervisor(workspace)
    try:
        supervisor.ensure_engine()
        asyncio.run(_to_signed(workspace))
        yield workspace
    finally:
        supervisor.end_all("alice")


READS = [
    ("status",),
    ("session", "list"),
    ("session", "show"),
    ("session", "states"),
    ("session", "states", "--orders"),
    ("go", "show"),
    ("people", "list"),
    ("limits",),
    ("alarms", "list"),
    ("config", "show"),
    ("config", "diff"),
    ("journal", "verify"),
    ("journal", "heads"),
    ("doctor",),
    ("latch", "show"),
    ("orphan", "list"),
    ("recon", "--watch"),
    ("risk", "report", "--person", "alice"),
    ("runbook",),
    ("runbook", "kill"),
    ("store", "query", "select seq, kind from events order by seq limit 3", "--person", "alice"),
    ("snapshot", "--person", "alice"),
    ("incident", "--person", "alice"),
]


def _of(arguments: tuple[str, ...], workspace: Workspace) -> tuple[str, ...]:
    needs_none = arguments[:2] == ("session", "states")
    return arguments if needs_none else (*arguments, "-w", str(workspace.root))


@pytest.mark.parametrize("arguments", READS, ids=" ".join)
def test_every_read_prints_json_and_only_json(
    signed: Workspace, cli: Run, arguments: tuple[str, ...]
) -> None:
    done = cli(*_of(arguments, signed), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is not None
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert not any(character in done.stdout for character in ACTIVE)


@pytest.mark.parametrize("arguments", READS, ids=" ".join)
def test_no_read_prints_what_a_terminal_would_act_on(
    signed: Workspace, cli: Run, arguments: tuple[str, ...]
) -> None:
    done = cli(*_of(arguments, signed))
    assert done.returncode == 0, done.stderr
    assert not any(character in done.stdout for character in ACTIVE)


def test_hostile_words_are_shown_escaped_and_on_one_line(signed: Workspace, cli: Run) -> None:
    shown = cli("session", "show", "-w", str(signed.root)).stdout
    packet = cli("go", "show", "-w", str(signed.root)).stdout
    escaped = "odd \\u202etxet\\u2066 \\x1b[2J\\x1b]0;title\\x07 next\\x0aline \\u200b\\x9b31m"
    assert escaped in shown
    note = escaped.replace("\\x0a", " ")
    assert f"alice: {note}" in shown
    assert "odd \\u202etxet\\u2066" in packet
    assert not any(line.startswith("line") for line in (shown + packet).splitlines())


def test_json_gives_the_words_back_exactly(signed: Workspace, cli: Run) -> None:
    shown = json.loads(cli("session", "show", "--json", "-w", str(signed.root)).stdout)
    assert shown["charter"]["purpose"] == EVIL
    assert " ".join(EVIL.split()) in [text for _, _, text in shown["runlog"]]


def test_the_risk_report_is_its_own_bytes_and_says_when_it_is_not_whole(
    signed: Workspace, cli: Run
) -> None:
    asked = ("risk", "report", "--person", "alice", "-w", str(signed.root))
    document = cli(*asked, "--json").stdout
    kept = cli(
        *("store", "query", "select count(*) as reports from events where kind = 'risk.reported'"),
        *("--json", "--person", "alice", "-w", str(signed.root)),
    )
    assert json.loads(kept.stdout)[0]["reports"] >= 1
    assert canonical(json.loads(document)).decode() + "\n" == document
    assert [one["scope"] for one in json.loads(document)["sheets"]] == ["session", "account"]
    shocks = signed.root / "config" / "stress.toml"
    shocks.write_text("[[shock]]\nname = 'x'\n")
    try:
        done = cli(*asked)
    finally:
        shocks.unlink()
    assert done.returncode == 1
    assert "the report is not whole: stress: config/stress.toml" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "What could not be computed" in done.stdout


def test_a_risk_report_without_an_engine_is_exit_5(demo: Workspace, cli: Run) -> None:
    done = cli("risk", "report", "--person", "alice", "-w", str(demo.root))
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.count("\n") == 1


def test_a_no_go_from_the_command_line_is_recorded_and_is_a_no(
    signed: Workspace, cli: Run, tmp_path: Path
) -> None:
    """Missing reason, code and ssh-keygen first: the request is still there."""

    async def packet() -> str:
        async with EngineClient(signed.socket, role="reviewer") as client:
            session = (await client.state()).session
            return session.go.packet if session else ""

    code = short_code(sha256_hex(asyncio.run(packet()).encode("ascii")))
    said = ("cosign", "--decision", "NO-GO", "-w", str(signed.root))
    for extra, path, exit_code, words in (
        (("--code", code), None, 2, "NO-GO needs a reason"),
        (("--reason", "r"), None, 2, "--code"),
        (("--code", code, "--reason", "r"), str(tmp_path), 2, "ssh-keygen was not found"),
    ):
        done = cli(*said, *extra, **({"PATH": path} if path else {}))
        assert done.returncode == exit_code, done.stderr
        assert done.stderr.count("\n") == 1
        assert words in done.stderr
    done = cli(*said, "--code", code, "--reason", EVIL)
    assert done.returncode == 1
    assert done.stderr == "peakctl: the decision is NO-GO\n"
    assert "NO-GO is recorded; session no_go" in done.stdout
    shown = cli("session", "show", "-w", str(signed.root)).stdout
    assert "no_go since" in shown
    assert not any(line.startswith("line") for line in shown.splitlines())
    assert not any(character in shown for character in ACTIVE)
    again = cli(*said, "--code", code, "--reason", "r")
    assert again.returncode == 4
    assert again.stderr.count("\n") == 1


def test_an_incident_has_an_id_that_is_told_and_listed(signed: Workspace, cli: Run) -> None:
    at = ("-w", str(signed.root), "--person", "alice")
    opened = cli("incident", "the book stood still \u202e", *at)
    assert opened.returncode == 0, opened.stderr
    name = opened.stdout.split()[0]
    assert f"peakctl incident --id {name} --close" in opened.stdout
    row = json.loads(cli("incident", "--json", *at).stdout)[-1]
    assert (row["id"], row["state"], row["title"]) == (name, "open", "the book stood still \u202e")
    assert "is closed" in cli("incident", "--id", name, "--close", "it moves", *at).stdout
    assert cli("incident", *at).stdout.splitlines()[-1].split()[:2] == [name, "closed"]
