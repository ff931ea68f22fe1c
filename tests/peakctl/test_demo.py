"""The headless demo as a process: a whole session, and nothing left running."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

STEPS = [
    "workspace",
    "processes",
    "ready",
    "charter",
    "join",
    "checklist",
    "go",
    "limit",
    "market",
    "partial",
    "cancel",
    "note",
    "snapshot",
    "kill",
    "reconcile",
    "lessons",
    "pack",
    "verify",
]


def processes_of(workspace: Path) -> list[str]:
    """Command lines of living processes that name the workspace or run from it."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            here = (process / "cwd").readlink() == workspace
        except OSError:
            continue
        if here or str(workspace) in line:
            found.append(line)
    return found


def test_a_whole_session_seals_a_pack_that_verifies_and_leaves_nothing_running(
    real_cli: Run, tmp_path: Path
) -> None:
    workspace = tmp_path / "w"
    done = real_cli("demo", "--headless", "--seed", "5", "--workspace", str(workspace))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[: len(STEPS)]] == STEPS
    pack = Path(lines[-1])
    assert pack.parent == workspace / "sessions"
    assert processes_of(workspace) == []

    verified = real_cli("verify", str(pack))
    assert verified.returncode == 0, verified.stderr
    blind = real_cli("verify", str(pack), PATH=str(tmp_path / "nowhere"))
    assert blind.returncode == 2
    assert blind.stdout == ""
    assert blind.stderr.startswith("peakctl: ssh-keygen was not found on PATH")
    assert blind.stderr.count("\n") == 1
    (session,) = json.loads(real_cli("session", "list", "--json", "-w", str(workspace)).stdout)
    assert session["state"] == "sealed"
    assert pack.name.endswith(session["id"])
    assert real_cli("recon", "-w", str(workspace)).returncode == 0
    assert real_cli("pack", "-w", str(workspace)).returncode == 0
    assert real_cli("journal", "verify", "-w", str(workspace)).returncode == 0

    # Somebody leaves; the pack is judged by the list of its own day, kept elsewhere.
    kept = tmp_path / "their_day"
    kept.write_bytes((workspace / "config" / "allowed_signers").read_bytes())
    left = real_cli("people", "revoke", "bob", "--reason", "has left", "-w", str(workspace))
    assert left.returncode == 0, left.stderr
    for folder in (pack, pack.parent):
        now = real_cli("verify", str(folder))
        assert (now.returncode, "with --allowed-signers" in now.stderr) == (1, True)
        then = real_cli("verify", str(folder), "--allowed-signers", str(kept))
        assert then.returncode == 0, then.stderr
    assert "1 pack, one history" in then.stdout

    target = pack / "data" / "go" / "go.json"
    target.chmod(0o644)
    target.write_bytes(target.read_bytes().replace(b"paper", b"paqer", 1))
    tampered = real_cli("verify", str(pack))
    assert tampered.returncode == 1
    assert "data/go/go.json" in tampered.stderr


RECORDING = (
    Path(__file__).parents[3] / "shared" / "data" / "binance_spot_BTCUSDT_20240809T0000_raw.txt.gz"
)


@pytest.mark.data
@pytest.mark.skipif(not RECORDING.is_file(), reason=f"needs the recording {RECORDING.name}")
def test_a_whole_session_against_the_recording_seals_a_pack(real_cli: Run, tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    done = real_cli("demo", "--headless", "--replay", str(RECORDING), "--workspace", str(workspace))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[: len(STEPS)]] == STEPS
    # The market is the recorded one: BTCUSDT between 61,000 and 62,000 on 9 August 2024.
    assert "BTCUSDT 61" in lines[STEPS.index("ready")]
    signers = str(workspace / "config" / "allowed_signers")
    assert real_cli("verify", lines[-1], "--allowed-signers", signers).returncode == 0
    assert processes_of(workspace) == []


def test_an_ended_demo_takes_its_processes_along(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    with subprocess.Popen(
        [sys.executable, "-m", "peakctl", "demo", "--headless", "--workspace", str(workspace)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("charter"):
                process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert processes_of(workspace) == []


def test_a_recording_that_is_none_ends_in_one_line_and_leaves_nothing_running(
    real_cli: Run, tmp_path: Path
) -> None:
    recording = tmp_path / "bad.txt"
    recording.write_text("not a recording\n")
    workspace = tmp_path / "w"
    done = real_cli("demo", "--headless", "--replay", str(recording), "--workspace", str(workspace))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "bad.txt" in done.stderr
    assert processes_of(workspace) == []
