"""I4: where a latch holds. Each place alone suffices, and no loss of the others releases it."""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.contracts.canonical import canonical
from engine.execution.kill.latch_file import LatchMark, read_latch, write_latch
from engine.execution.kill.latch_holds import LatchHolds
from engine.execution.watchdog.process import WatchdogOrders
from engine.setup import EnginePaths

if TYPE_CHECKING:
    from tests.faults.conftest import Field, Start

MARK = LatchMark(kill_id="abc", reason="r", source="cli", by="carol", pressed_us=1)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder of this test alone."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path / "runtime"


def aside_of(desk: Field) -> Path:
    return EnginePaths(desk.workspace.root, desk.workspace.socket).latch_aside


async def test_neither_the_run_folder_nor_a_restored_backup_releases(start: Start) -> None:
    desk = await start()
    await desk.ready()
    kept = ("journal", "heads", "evidence.duckdb")
    backup = desk.workspace.root.parent / "backup"
    await desk.stop_engine()
    for name in kept:
        source = desk.workspace.state / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, _folder(backup) / name)
    await desk.start_engine()
    await desk.press_kill()
    killed = (await desk.until_kill("PROVEN")).kill.kill_id
    await desk.sigkill()

    # The journal alone: everything else that could say so is gone.
    ready = desk.workspace.sandbox_ready.read_bytes()
    shutil.rmtree(desk.workspace.run)
    desk.workspace.run.mkdir(mode=0o750)
    desk.workspace.sandbox_ready.write_bytes(ready)
    desk.workspace.sandbox_ready.chmod(0o600)
    (desk.workspace.state / "latch").unlink()
    await desk.start_engine()
    assert (await desk.state()).kill.kill_id == killed
    await desk.sigkill()

    # The file alone: journal, heads and store are those of before the kill.
    for name in kept:
        target = desk.workspace.state / name
        (shutil.rmtree if target.is_dir() else Path.unlink)(target)
        source = backup / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (desk.workspace.state / "evidence.duckdb.wal").unlink(missing_ok=True)
    await desk.start_engine()
    view = await desk.until_kill("PROVEN")
    assert view.kill.kill_id == killed
    assert {"memory", "journal", "file"} <= set(view.kill.held_in)


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


async def test_a_latch_kept_aside_latches_and_goes_with_the_release(
    start: Start, runtime: Path
) -> None:
    desk = await start(engine=False)
    aside = aside_of(desk)
    assert aside.is_relative_to(runtime)
    aside.parent.mkdir(mode=0o700, parents=True)
    write_latch(aside, MARK)
    await desk.start_engine()
    view = await desk.until_kill("PROVEN")
    assert (view.kill.kill_id, view.kill.by) == ("abc", "carol")
    assert set(view.kill.held_in) == {"memory", "journal", "file", "aside"}
    await desk.ready()
    await desk.release()
    await desk.until_kill("READY")
    assert not aside.exists()
    assert not (desk.workspace.state / "latch").exists()


async def test_no_disk_takes_it_and_the_watchdog_carries_it_over_the_restart(
    start: Start, runtime: Path
) -> None:
    """No file of the engine can grow at all: neither journal nor latch nor the place aside."""
    desk = await start()
    await desk.go_live()
    await desk.rest_one()
    await desk.until(lambda view: view.engine.watchdog == "watching", "a watchdog")
    resource.prlimit(desk.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    await desk.press_kill()

    async def none_open() -> bool:
        return await desk.venue_open() == []

    await desk.eventually(none_open, "canceled")
    view = await desk.state()
    assert view.kill.state != "READY"
    assert "watchdog" in view.kill.held_in
    assert "journal" not in view.kill.held_in
    latch = desk.workspace.state / "latch"
    await desk.eventually(latch.exists, "written by the watchdog, whose disk is not full")
    assert not desk.events("kill.latched")
    await desk.sigkill()
    await desk.start_engine()
    view = await desk.until_kill("PROVEN")
    assert view.kill.reason == "test"
    assert not aside_of(desk).exists(), runtime


async def test_a_watchdog_does_not_end_before_its_latch_is_written(tmp_path: Path) -> None:
    """Its folder is away: it stays, through SIGTERM, until the folder is there."""
    latch = tmp_path / "state" / "latch"
    orders = WatchdogOrders(
        name="sandbox",
        rest_url="http://127.0.0.1:9",
        ws_url="ws://127.0.0.1:9",
        ws_api_url="ws://127.0.0.1:9/ws-api/v3",
        api_key="key-of-the-test",
        secret="secret-of-the-test",
        ed25519_private_key="",
        symbols=("BTCUSDT",),
        recv_window_ms=500,
        grace_ms=60_000,
        log_path=str(tmp_path / "log"),
        journal_path=str(tmp_path / "journal"),
        latch_path=str(latch),
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine.execution.watchdog.process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(canonical(orders) + b"\nlatch " + canonical(MARK) + b"\n")
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"watching\n"
    process.send_signal(signal.SIGTERM)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.wait(), 0.5)
    latch.parent.mkdir()
    assert await asyncio.wait_for(process.wait(), 20) == 0
    assert read_latch(latch) == MARK


async def test_the_places_in_need_are_used_only_when_the_file_fails(tmp_path: Path) -> None:
    told: list[LatchMark] = []

    async def tell(mark: LatchMark) -> bool:
        told.append(mark)
        return True

    folder = tmp_path / "state"
    holds = LatchHolds(folder / "latch", tmp_path / "aside" / "latch", tell)
    await holds.keep(MARK)
    assert set(holds.where()) == {"aside", "watchdog"}
    assert told == [MARK]
    folder.mkdir()
    await holds.retry()
    assert set(holds.where()) == {"file", "aside", "watchdog"}
    holds.clear()
    assert holds.where() == ()
    other = msgspec.structs.replace(MARK, kill_id="def")
    await holds.keep(other)
    await holds.keep(MARK)
    assert holds.where() == ("file",)
    assert read_latch(folder / "latch") == other, "a file that is there is of an older kill"
    await holds.keep(MARK, anew=True)
    assert read_latch(folder / "latch") == MARK
    assert told == [MARK]
