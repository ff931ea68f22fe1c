"""Config and roster: a change has a name and a reason, an edit by hand is found at a start."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.errors import WorkspaceError
from engine.contracts.event import ConfigChanged, event_from_data
from engine.contracts.people import person
from engine.execution.change_desk import perform
from engine.journal.commit import JournalFailed
from engine.journal.verify import verify_journal
from engine.offline import record_change
from engine.planning import Plans
from peakctl.client.raw_http import exchange
from peakctl.founding import create_demo
from peakctl.workspace import Workspace
from tests.faults.conftest import Field, Start


def key_of(folder: Path, name: str) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(folder / name)]
    subprocess.run(command, check=True)
    return folder / f"{name}.pub"


async def restarted(field: Field) -> None:
    """Stop and start engine and exchange: the exchange comes back with another port."""
    await field.leave()
    await field.stop_engine()
    await field.stop_sandbox()
    await field.start_sandbox()
    await field.start_engine()


def told(field: Field, kind: str) -> list[dict[str, Any]]:
    return field.events(kind)


async def test_changes_while_trading_void_the_approval_and_edits_by_hand_are_named(
    start: Start, tmp_path: Path
) -> None:
    field = await start()
    root = field.workspace.root
    assert len(told(field, "config.loaded")) == len(told(field, "people.loaded")) == 1
    await field.go_live()

    # A person is added while a session trades: journaled with the kernel's word, approval void.
    public = key_of(tmp_path, "carol")
    arguments = ("people", "add", "carol", "reviewer", "--public-key", str(public))
    status, out, _ = await field.peakctl(*arguments, "--reason", " ")
    assert status == 2
    status, out, err = await field.peakctl(*arguments, "--reason", "a third person")
    assert status == 0, err
    assert "every approval that was signed before is void" in out
    await field.until_session("stopped")
    assert field.events("go.voided")[0]["code"] == "CHANGED"
    (added,) = told(field, "people.changed")
    assert (added["person"], added["what"], added["before"]) == ("carol", "added", "")
    assert added["reason"] == "a third person"
    assert added["after"].startswith("reviewer rev:carol SHA256:")
    lines = [json.loads(line) for line in journal_lines(field.workspace)]
    (line,) = [one for one in lines if one["kind"] == "people.changed"]
    assert line["actor"] == {"kind": "person", "name": "alice", "proof": "peer-uid:0"}

    # A key is set through the engine; a wrong one, or a reviewer who asks, changes nothing.
    status, out, err = await field.peakctl(
        "config", "set", "limits.max_position", "0.5", "--reason", "smaller"
    )
    assert status == 0, err
    assert "2 -> 0.5" in out
    assert "undo: peakctl config unset limits.max_position" in out
    before = field.workspace.config_file.read_bytes()
    refused = await field.peakctl("config", "set", "limits.max_position", "9", "--reason", "more")
    assert refused[0] == 2
    asked = {"person": "bob", "reason": "mine", "key": "limits.max_position", "value": "0.1"}
    assert (await asyncio.to_thread(post, field, "config/set", asked))["error"]["code"] == "ROLE"
    assert field.workspace.config_file.read_bytes() == before
    (changed,) = told(field, "config.changed")
    assert changed["effects"] == {"limits.max_position": "0.5"}

    # Explained changes are not noticed, and a new port of the exchange is no change.
    await restarted(field)
    assert not told(field, "config.noticed")
    assert not told(field, "people.noticed")
    assert len(told(field, "config.loaded")) == len(told(field, "people.loaded")) == 2

    # By hand: a value, a comment beside a recorded change, a name in the roster.
    text = field.workspace.config_file.read_text()
    field.workspace.config_file.write_text(text.replace('"0.5"', '"0.4"'))
    people = field.workspace.people_file.read_text()
    field.workspace.people_file.write_text(people.replace("Bob", "Rob"))
    await restarted(field)
    (noticed,) = told(field, "config.noticed")
    assert noticed["keys"] == ["limits.max_position", "config/peakctl.toml"]
    assert noticed["changed"][0] == "limits.max_position: 0.5 -> 0.4"
    assert noticed["before"]["limits.max_position"] == "0.5"
    (noticed,) = told(field, "people.noticed")
    assert noticed["keys"] == ["bob", "config/people.toml"]
    alarms = {one.code: one.text for one in (await field.state()).alarms}
    assert "limits.max_position: 0.5 -> 0.4" in alarms["CONFIG_CHANGED"]
    assert "Rob (demo)" in alarms["PEOPLE_CHANGED"]

    # Without an engine: the same event under the same lock, and a revoked key is on the list.
    await field.leave()
    with pytest.raises(WorkspaceError) as refused_offline:
        await asyncio.to_thread(change, field.workspace, "0.3")
    assert refused_offline.value.code == "JOURNAL_LOCKED"
    await field.stop_engine()
    size = len(journal_lines(field.workspace))
    status, out, err = await field.peakctl("people", "revoke", "carol", "--reason", "has left")
    assert status == 0, err
    assert public.read_text().split()[1] in (root / "config" / "revoked_keys").read_text()
    assert "carol" not in field.workspace.people_file.read_text()
    again = await field.peakctl(*arguments, "--reason", "comes back")
    assert again[0] == 2
    assert "is revoked" in again[2]
    lines = [json.loads(line) for line in journal_lines(field.workspace)]
    assert [one["kind"] for one in lines[size:]] == ["people.changed"]
    assert lines[-1]["actor"] == {"kind": "person", "name": "alice", "proof": "uid:0"}
    assert verify_journal(field.workspace.journal).ok
    await field.start_engine()
    assert len(told(field, "people.noticed")) == 1, "explained by its event"
    assert len(told(field, "config.loaded")) == 3, "nothing changed, nothing to say"
    status, out, err = await field.peakctl("config", "diff", "--against", "session", "--json")
    assert status == 0, err
    rows = {row["key"]: (row["before"], row["value"]) for row in json.loads(out)}
    assert rows == {"limits.max_position": ("2", "0.4")}


def journal_lines(workspace: Workspace) -> list[bytes]:
    return b"".join(
        path.read_bytes() for path in sorted(workspace.journal.glob("*.jsonl"))
    ).splitlines()


def post(field: Field, route: str, body: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    _, content = exchange(field.workspace.socket, "POST", f"/v1/{route}", deadline, body)
    answer: dict[str, Any] = json.loads(content)
    return answer


def change(workspace: Workspace, value: str) -> None:
    plans = Plans(workspace.root, {})
    asyncio.run(
        record_change(
            workspace.state,
            plans,
            lambda planning: planning.key("limits.max_position", value),
            "by the test",
            person("alice", "uid:0"),
            1000,
        )
    )


def test_a_change_that_cannot_be_journaled_is_not_made(tmp_path: Path) -> None:
    workspace = create_demo(tmp_path / "w")
    before = workspace.config_file.read_bytes()

    async def says_no(_event: object) -> Any:
        assert workspace.config_file.read_bytes() != before
        raise JournalFailed(what="the disk is full", where="journal")

    planned = Plans(workspace.root, {}).key("limits.max_position", "0.3")
    with pytest.raises(JournalFailed):
        asyncio.run(perform(planned, "why", says_no))
    assert workspace.config_file.read_bytes() == before


def test_changes_without_an_engine_form_a_chain_of_files(tmp_path: Path) -> None:
    workspace = create_demo(tmp_path / "w")
    change(workspace, "0.5")
    change(workspace, "0.25")
    first, second = (json.loads(line) for line in journal_lines(workspace))
    event = event_from_data(first["kind"], first["data"], "line 1")
    assert isinstance(event, ConfigChanged)
    assert (event.before, event.after) == ("2", "0.5")
    assert second["data"]["before_sha256"] == event.after_sha256
