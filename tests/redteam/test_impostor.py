"""Attacks on who answers: a socket of somebody else's in the place of the engine's."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contracts.errors import EngineUnreachable
from peakctl.client.kill import send_kill
from tests.redteam.conftest import SOMEBODY_ELSE

_DONE = b'{"status":200,"body":{"state":"PROVEN","kill_id":"k1"}}\n'


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[Path]:
    """A socket in a workspace that says "done" to whatever it is asked."""
    path = tmp_path / ".peakctl" / "run" / "engine.sock"
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(ConnectionError):
                connection.recv(65536)
                connection.sendall(_DONE)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield path
        thread.join(5)


def test_the_owner_of_the_workspace_is_believed(liar: Path) -> None:
    """So that the other test says something."""
    answer = send_kill(liar, person="alice", reason="test", source="test", timeout_seconds=5)
    assert answer.state == "PROVEN"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder to somebody else")
def test_a_kill_is_not_done_because_a_stranger_says_so(
    liar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is another user's than the one who listens; root, who we are here, is let be."""
    monkeypatch.setattr("peakctl.client.raw_http._ROOT", -1)
    os.chown(liar.parents[2], SOMEBODY_ELSE, -1)
    with pytest.raises(EngineUnreachable, match="listens there"):
        send_kill(liar, person="alice", reason="test", source="test", timeout_seconds=5)
