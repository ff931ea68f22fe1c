"""The reviewer's own copy of the heads: what continues it, what contradicts it, what is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from engine.journal.heads import Head, head_text
from peakctl.client.client import EngineClient
from peakctl.client.replies import HeadText
from peakctl.founding import create_demo
from peakctl.supervisor import Supervisor
from peakctl.witness import Witness, extends, heads_file

A, B = "a" * 64, "b" * 64


def head(size: int, line_hash: str = A, origin: str = "peakctl/host/1") -> HeadText:
    return HeadText(text=head_text(origin, size, line_hash), signature="-----BEGIN SSH-----\n")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (None, Head("o", 5, A), ""),
        (Head("o", 5, A), Head("o", 5, A), ""),
        (Head("o", 5, A), Head("o", 6, B), ""),
        (Head("o", 5, A), Head("o", 4, B), "went back: 4 events, 5"),
        (Head("o", 5, A), Head("o", 5, B), "other content at 5"),
        (Head("o", 5, A), Head("p", 9, B), "another journal: p, not o"),
    ],
)
def test_extends(old: Head | None, new: Head, said: str) -> None:
    answer = extends(old, new)
    assert said in answer
    assert bool(answer) == bool(said)


def test_heads_are_kept_and_compared_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "heads.jsonl"
    assert Witness(path).judge([]) == ""
    witness = Witness(path)
    assert [witness.judge([head(size)]) for size in (5, 5, 7)] == ["", "", ""]
    assert len(path.read_bytes().splitlines()) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "went back: 6 events, 7" in Witness(path).judge([head(6)])


def test_what_was_wrong_stays_wrong_when_the_journal_grows_again(tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    witness = Witness(path)
    witness.judge([head(7)])
    wrong = witness.judge([head(7, B)])
    assert "other content" in wrong
    assert witness.judge([head(9, B)]) == wrong
    assert Witness(path).judge([head(11, B)]) == wrong


def test_a_line_that_a_crash_cut_off_is_no_head(tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    Witness(path).judge([head(5)])
    path.write_bytes(path.read_bytes() + b'{"signature": "x", "te')
    assert Witness(path).judge([head(6)]) == ""
    assert len(path.read_bytes().splitlines()) == 2
    assert "went back" in Witness(path).judge([head(5)])


@pytest.mark.parametrize("line", [b"[]\n", b"nonsense\n", b'{"text": "x"}\n', b"7\n"])
def test_a_copy_that_cannot_be_read_is_doubt(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "heads.jsonl"
    path.write_bytes(line)
    assert f"{path}:1" in Witness(path).judge([head(5)])


def test_a_head_that_is_none_is_doubt(tmp_path: Path) -> None:
    said = Witness(tmp_path / "h").judge([HeadText(text="x\n5\n", signature="")])
    assert "not a head" in said


def test_each_workspace_has_its_own_copy_in_the_users_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one, other = heads_file(tmp_path / "one"), heads_file(tmp_path / "other")
    assert one != other
    assert one.parent == tmp_path / "peakctl" / "heads"


async def test_a_real_engines_heads_go_on_after_it_was_started_again(tmp_path: Path) -> None:
    workspace = create_demo(tmp_path / "w")
    supervisor = Supervisor(workspace)
    path = tmp_path / "heads.jsonl"
    try:
        for kept in (1, 2):
            supervisor.ensure_engine()
            async with EngineClient(workspace.socket, "bob", "reviewer") as client:
                assert Witness(path).judge((await client.heads()).heads) == ""
            supervisor.stop_engine("alice", "a restart")
            assert len(path.read_bytes().splitlines()) == kept
    finally:
        supervisor.end_all("alice")
