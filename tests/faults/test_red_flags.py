"""The red flags end in a kill by themselves, each by its real cause; the harmless case does not.

The table's own times are minutes. Here an engine runs whose table is the same with shorter times;
what is counted stays as it is.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from engine.contracts.errors import PeakError
from engine.contracts.order import OrderType

if TYPE_CHECKING:
    from tests.faults.conftest import Field, Start

OFTEN = {"every_seconds": 1}
#: An empty database is larger than so many bytes.
_NO_DATABASE = 200_000

#: Runs `peakctl` as it is with shorter times in the table of flags; logs a secret when asked to.
_QUICK = """
import sys
from pathlib import Path
import msgspec
from engine.diary import Diary
from engine.execution import conditions
from engine.governance import red_flags
from peakctl.cli import main

seconds = {"CRASH_UNRECOVERED": 2, "KEY_REFUSED": 1, "STORE": 2, RECON: 3}
red_flags.FLAGS = tuple(
    msgspec.structs.replace(row, lasts_us=seconds[row.code] * 1_000_000)
    if row.code in seconds else row
    for row in red_flags.FLAGS
)
look = conditions.Conditions._now

def careless(self):
    asked = Path.cwd() / "log-the-secret"
    if asked.exists():
        import json
        asked.unlink()
        keys = json.loads((Path.cwd() / ".peakctl/run/sandbox.json").read_text())
        secret = keys["accounts"][0]["hmac"]["secret"]
        Diary("careless").info("request", url=f"https://x/?key={secret}")
    return look(self)

conditions.Conditions._now = careless
sys.exit(main())
"""


async def quick(start: Start, *, red_break: str = "RECON_UNANSWERED", **settings: Any) -> Field:
    """A desk with a live session and short times; of the red breaks' two flags one is short."""
    desk = await start(engine=False, **settings)
    program = _QUICK.replace("RECON", repr(red_break))
    desk.supervisor.program = (sys.executable, "-P", "-c", program)
    await desk.start_engine()
    await desk.go_live()
    return desk


async def killed_by(desk: Field, code: str, seconds: float = 30) -> None:
    """Wait for the kill of a flag and hold it to its name, its proof and its alarm."""
    await desk.until_kill("PROVEN", seconds=seconds)
    latched = desk.events("kill.latched")[-1]
    assert latched["source"] == "red-flag", latched
    assert latched["reason"].partition(":")[0] == code
    assert await desk.venue_open() == []
    view = await desk.until(
        lambda now: "RED_FLAG" in {one.code for one in now.alarms}, "the flag's alarm"
    )
    assert view.session is not None
    assert view.session.state.value == "killed"
    with pytest.raises(PeakError):
        await desk.submit(price=await desk.away_price_now())


async def test_a_watchdog_that_had_to_act_is_a_kill(start: Start) -> None:
    """The harmless case beside it, a restart within its grace time, is in `test_watchdog`."""
    desk = await quick(start, watchdog={"grace_seconds": 1, "heartbeat_ms": 250})
    await desk.rest_one()
    desk.freeze()
    await desk.eventually((desk.workspace.log / "watchdog.jsonl").exists, "the watchdog's report")
    desk.thaw()
    await killed_by(desk, "WATCHDOG_ACTED")


async def test_a_watchdog_that_dies_again_and_again_is_a_kill(start: Start) -> None:
    desk = await quick(start)
    await desk.rest_one()
    for time in range(1, 4):
        assert (await desk.state()).kill.state == "READY"
        await desk.until(lambda view: view.engine.watchdog == "watching", "a watchdog")
        os.kill(int((desk.workspace.run / "watchdog.pid").read_text()), signal.SIGKILL)
        await desk.eventually(
            lambda wanted=time: len(desk.events("watchdog.ended", status=-9)) == wanted, "its end"
        )
    await killed_by(desk, "WATCHDOG_DOWN")


async def test_a_key_that_the_venue_no_longer_takes_is_a_kill(start: Start) -> None:
    desk = await quick(start, recon=OFTEN)
    await desk.rest_one()
    refusal = {"on": "query", "answer": "code", "code": -2015, "times": 2}
    await desk.fault(rest=[refusal])  # two in a row, and then it is taken again
    await desk.eventually(lambda: _fired(desk, "query.code", 2), "both refusals")
    await desk.ready()
    assert (await desk.state()).kill.state == "READY"
    await desk.fault(rest=[{**refusal, "times": 0}])
    await desk.until_kill("LATCHED", "UNCONFIRMED", seconds=40)
    await desk.fault(clear=True)
    await killed_by(desk, "KEY_REFUSED")


async def _fired(desk: Field, fault: str, times: int) -> bool:
    return bool((await desk.fault())["fired"].get(fault, 0) >= times)


async def test_a_key_file_that_others_may_read_is_a_kill(start: Start) -> None:
    desk = await quick(start)
    await desk.rest_one()
    path = desk.workspace.sandbox_ready
    path.write_bytes(path.read_bytes())  # written anew, the same key: nothing
    path.chmod(0o644)
    await killed_by(desk, "KEY_FILE")


async def test_a_secret_on_its_way_to_the_log_is_a_kill(start: Start) -> None:
    desk = await quick(start)
    await desk.rest_one()
    (desk.workspace.root / "log-the-secret").touch()
    await killed_by(desk, "KEY_IN_LOG")
    secret = desk.venue["accounts"][0]["hmac"]["secret"]
    assert secret not in desk.workspace.log.joinpath("engine.jsonl").read_text()


async def test_strangers_again_and_again_are_a_kill_and_a_few_are_not(start: Start) -> None:
    desk = await quick(start)
    for number in range(5):
        await desk.stranger(f"stranger-{number}", await desk.away_price_now())
    await desk.eventually(lambda: len(desk.events("orphan.found")) == 5, "five strangers")
    checked = len(desk.events("recon.checked"))
    assert (await desk.state()).kill.state == "READY", checked
    await desk.stranger("one-too-many", await desk.away_price_now())
    await killed_by(desk, "KEY_STRANGERS")


async def test_a_red_break_that_nobody_takes_is_a_kill_after_the_pause(start: Start) -> None:
    desk = await quick(start, recon=OFTEN)
    await desk.stranger("stranger", await desk.away_price_now())
    await desk.until_session("paused", 30)
    assert (await desk.state()).kill.state == "READY"
    await killed_by(desk, "RECON_UNANSWERED")


async def test_a_red_break_that_was_taken_and_stays_unexplained_is_a_kill(start: Start) -> None:
    """Somebody takes the alarm, which holds off the flag for what nobody takes; it is no answer."""
    desk = await quick(start, red_break="RECON_UNEXPLAINED", recon=OFTEN)
    await desk.stranger("stranger", await desk.away_price_now())
    view = await desk.until(
        lambda now: any(one.code == "RECON_RED" for one in now.alarms), "the alarm of the break"
    )
    (alarm,) = [one.id for one in view.alarms if one.code == "RECON_RED"]
    await desk.client.acknowledge(alarm, "we are looking into it")
    await killed_by(desk, "RECON_UNEXPLAINED")
    assert "stays unexplained" in desk.events("kill.latched")[-1]["reason"]


async def test_a_crash_whose_orders_the_venue_does_not_tell_is_a_kill(start: Start) -> None:
    desk = await quick(start)
    await desk.rest_one()
    await desk.sigkill()
    await desk.fault(rest=[{"on": "query", "answer": "status", "status": 503, "times": 0}])
    await desk.start_engine()
    await desk.until_kill("LATCHED", "UNCONFIRMED")
    # The latch holds in memory before its line is on the disk.
    (latched,) = await desk.eventually(lambda: desk.events("kill.latched"), "its line")
    assert latched["reason"].startswith("CRASH_UNRECOVERED")
    await desk.fault(clear=True)
    await killed_by(desk, "CRASH_UNRECOVERED")


async def lose_the_store(desk: Field) -> None:
    """Somebody moves the database's file away under the running engine."""
    desk.workspace.store.rename(desk.workspace.store.with_name("moved-away.duckdb"))
    await desk.client.note("the store cannot take this")


async def test_a_store_that_cannot_be_made_again_is_a_kill(start: Start) -> None:
    desk = await quick(start)
    await desk.rest_one()
    # Room for the journal's next lines, and none for a database.
    journal = max(path.stat().st_size for path in desk.workspace.journal.glob("*.jsonl"))
    assert journal < _NO_DATABASE / 2
    resource.prlimit(desk.pid, resource.RLIMIT_FSIZE, (_NO_DATABASE, resource.RLIM_INFINITY))
    await lose_the_store(desk)
    await killed_by(desk, "STORE")
    assert not desk.events("store.rebuilt")


async def test_a_store_that_can_be_made_again_is_none(start: Start) -> None:
    desk = await quick(start)
    await lose_the_store(desk)
    await desk.eventually(lambda: desk.events("store.rebuilt"), "the store made again")
    await desk.client.query("SELECT count(*) FROM fills")
    assert (await desk.state()).kill.state == "READY"


async def test_a_journal_that_fails_is_a_kill_by_its_name(live: Field) -> None:
    await live.rest_one()
    size = max(path.stat().st_size for path in live.workspace.journal.glob("*.jsonl"))
    resource.prlimit(live.pid, resource.RLIMIT_FSIZE, (size, size))
    with pytest.raises(PeakError):
        await live.submit(OrderType.MARKET)
    await live.until(lambda view: view.kill.state != "READY", "latched")
    latch = live.workspace.state / "latch"
    await live.eventually(latch.exists, "the latch file")
    assert json.loads(latch.read_bytes())["reason"].startswith("JOURNAL")


async def test_an_engine_that_crashes_again_and_again_is_a_kill(live: Field) -> None:
    """Five restarts of a session that trades are borne, each of them settled; the sixth is not.

    With the table's own times: on a busy machine a restart takes longer than the short ones.
    """
    order_id = await live.rest_one()
    for _ in range(5):
        await live.sigkill()
        await live.start_engine()
    await live.until_order(order_id, "ACKNOWLEDGED")
    view = await live.state()
    assert view.kill.state == "READY", view.kill
    await live.sigkill()
    await live.start_engine()
    await killed_by(live, "CRASH_LOOP")
