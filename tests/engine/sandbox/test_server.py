"""The sandbox as a process, through its real entry."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
from engine.sandbox.server import SandboxOptions, main
folder, port, replay = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sys.exit(main(SandboxOptions(port=port, key_folder=Path(folder),
                             replay=Path(replay) if replay else None)))
"""


def launch(folder: Path, port: int = 0, replay: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(port), replay],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], dict]]:
    process = launch(tmp_path / "keys")
    assert process.stdout is not None
    yield process, json.loads(process.stdout.readline())
    process.kill()
    process.communicate()


def test_ready_line_serves_at_once_and_sigterm_ends_quickly(running) -> None:
    process, ready = running
    port = ready["rest"].rpartition(":")[2]
    assert set(ready) == {"rest", "ws", "ws_api", "accounts"}
    assert ready["ws"] == f"ws://127.0.0.1:{port}"
    assert ready["ws_api"] == f"ws://127.0.0.1:{port}/ws-api/v3"
    (account,) = ready["accounts"]
    assert account["name"] == "demo"
    assert set(account["hmac"]) == {"key", "secret"}
    assert Path(account["ed25519"]["private_key_file"]).stat().st_mode & 0o777 == 0o600

    with urllib.request.urlopen(f"{ready['rest']}/api/v3/depth?symbol=BTCUSDT") as answer:
        assert json.load(answer)["bids"]
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(timeout=10) == 0
    assert time.monotonic() - began < 5


def test_port_in_use_is_one_clear_line_and_exit_2(running, tmp_path: Path) -> None:
    _, ready = running
    port = int(ready["rest"].rpartition(":")[2])
    second = launch(tmp_path / "other", port)
    out, err = second.communicate(timeout=20)
    assert second.returncode == 2
    assert out == ""
    assert err.count("\n") == 1
    assert "port is in use" in err


def test_restart_keeps_the_keys(running, tmp_path: Path) -> None:
    process, first = running
    process.terminate()
    process.wait(timeout=10)
    again = launch(tmp_path / "keys")
    assert again.stdout is not None
    second = json.loads(again.stdout.readline())
    again.terminate()
    again.communicate(timeout=10)
    assert second["accounts"] == first["accounts"]


def test_bad_recording_is_one_clear_line_and_exit_2(tmp_path: Path) -> None:
    recording = tmp_path / "bad.txt"
    recording.write_text("nothing here\n")
    process = launch(tmp_path / "keys", replay=str(recording))
    out, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert out == ""
    assert err.startswith("bad.txt:1: ")
    assert err.count("\n") == 1


def test_recording_that_turns_bad_on_the_way_ends_with_its_line(tmp_path: Path) -> None:
    recording = tmp_path / "late.txt"
    ticker = '{"stream":"btcusdt@bookTicker","data":{"u":1,"b":"100","B":"1","a":"101","A":"1"}}'
    recording.write_text(f"1 {ticker}\n11000000001 {ticker}\n11000000002 broken\n")
    process = launch(tmp_path / "keys", replay=str(recording))
    out, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert json.loads(out)["rest"]
    assert err.startswith("late.txt:3: ")
    assert err.count("\n") == 1
