"""The kill switch: one press stops everything, with proof (promise 1; I4, I8, I13).

    latched -> refused -> cancel sent per symbol -> acknowledged -> the venue asked on a connection
    of its own until it shows zero open orders twice in a row -> remaining positions are listed

The latch is set in memory first (the next instruction that would send an order sees it), then in
the file and the journal. PROVEN needs two empty answers of the venue with no request of ours in
flight and no order UNKNOWN that the venue could still tell of; what it lost (`order.lost`) is named
in the verdict. Until then the verdict is UNCONFIRMED, the hunt goes on, and nothing
turns it into done but the venue. Flattening is not part of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from engine.contracts.event import AnyEvent, KillLatched, KillStage, KillVerdict, SessionMoved
from engine.contracts.people import ENGINE, Actor
from engine.contracts.session import END_STATES, SessionState
from engine.execution.clock import monotonic_us
from engine.execution.core import Core
from engine.execution.facts import Readings
from engine.execution.latch_file import LatchMark, latch_present, write_latch
from engine.execution.settler import RaiseAlarm, Settler
from engine.governance.latch import LatchState
from engine.governance.transitions import Cause
from engine.journal.writer import JournalFailed
from engine.venues.port import Canceled, Unknown, Venue, VenueQueryFailed

_log = structlog.get_logger("kill")

#: The two proving queries are this far apart: an answer from a lagging replica is not told twice.
_PROOF_GAP_SECONDS = 0.05
#: After this long without proof the verdict UNCONFIRMED is journaled and shown; the hunt goes on.
_LOUD_AFTER_US = 2_000_000
_HUNT_PAUSE_SECONDS = 0.25
#: Without a journal there is no verdict and no end: the rate budget must last.
_BLIND_PAUSE_SECONDS = 1.0

#: Starts a task whose failure is a fault of the engine, and says so.
Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]

#: States that a kill moves to `killed`.
_KILLABLE = frozenset(SessionState) - END_STATES - {SessionState.KILLED}


class _Canceling(NamedTuple):
    """Orders canceled, trouble in words, when the venue's last answer was read (monotonic µs)."""

    canceled: int
    trouble: str
    answered_us: int


class KillSwitch:
    """Sets the latch and hunts until the venue proves that nothing is left."""

    def __init__(
        self,
        core: Core,
        settler: Settler,
        venue: Venue,
        readings: Readings,
        latch_path: Path,
        symbols: Callable[[], Iterable[str]],
        raise_alarm: RaiseAlarm,
        spawn: Spawn,
    ) -> None:
        self._core = core
        self._settler = settler
        self._venue = venue
        self._readings = readings
        self._latch_path = latch_path
        self._symbols = symbols
        self._raise_alarm = raise_alarm
        self._spawn = spawn
        self._pressing = False
        self._hunt: asyncio.Task[None] | None = None
        self._kill_id = ""
        self._started_us = 0

    async def press(self, *, actor: Actor, reason: str, source: str, pressed_us: int) -> str:
        """Set the latch and start the hunt. Returns the kill id once the latch is durable.

        Harmless to repeat: a press during another or during its hunt is journaled as a stage of it
        and does not start it over; one after it hunts again. A journal that cannot be written does
        not stop it: the latch then holds in memory and file, and the cancels leave (I13).
        """
        self._readings.latched = True
        started = monotonic_us()
        if self._pressing or self._hunting:
            again = f"by {actor.name}: {source} {reason}"
            stage = KillStage(
                kill_id=self._target,
                stage="pressed_again",
                elapsed_us=started - self._started_us,
                detail=again,
            )
            await self._record(actor, stage)
            return self._target
        kill_id = self._kill_id = secrets.token_hex(6)
        self._started_us = started
        self._pressing = True
        mark = LatchMark(
            kill_id=kill_id, reason=reason, source=source, by=actor.name, pressed_us=pressed_us
        )
        try:
            # In memory the latch is set: the cancels need not wait for any disk (I13), nor for the
            # latch to be encoded. It is first in line for the journal all the same: the hunt, and
            # what the venue answers, come after it.
            sending = asyncio.ensure_future(self._cancel_everywhere(tuple(self._symbols())))
            await asyncio.sleep(0)
            events = self._latched_events(kill_id, reason, source, pressed_us)
            journaled = asyncio.ensure_future(self._record(actor, *events))
            self._start_hunt(sending)
            await asyncio.gather(journaled, asyncio.to_thread(self._write_file, mark))
        finally:
            self._pressing = False
        await self._stage("latched", "latch durable, new orders refused")
        if self._core.state.latch.state is not LatchState.PROVEN:
            # A latch file of another kill may have been adopted meanwhile: it is the newest then.
            self._start_hunt()
        return kill_id

    @property
    def _target(self) -> str:
        """The kill that is hunted for: the newest the journal knows, or the one on its way to it.

        Only a verdict on the newest counts for the latch.
        """
        latch = self._core.state.latch
        return latch.kill_id if latch.is_set and not self._pressing else self._kill_id

    def _write_file(self, mark: LatchMark) -> None:
        try:
            # A file that is there already latches, and may be of a kill that is not journaled yet.
            if not latch_present(self._latch_path):
                write_latch(self._latch_path, mark)
        except OSError as error:
            # The journal is the truth; a full disk must not stop the cancels either (I13).
            _log.error("latch file not written", cause=error.strerror)

    async def _stage(self, name: str, detail: str, at_us: int | None = None) -> None:
        """Note one stage of the present kill with its time since the press (`at_us`: when it was).

        A stage that waited for others' events in the journal happened before them.
        """
        elapsed = (monotonic_us() if at_us is None else at_us) - self._started_us
        _log.info("kill stage", stage=name, elapsed_us=elapsed, detail=detail)
        await self._record(
            ENGINE, KillStage(kill_id=self._target, stage=name, elapsed_us=elapsed, detail=detail)
        )

    @property
    def pressing(self) -> bool:
        """Whether a press is on its way to file and journal."""
        return self._pressing

    @property
    def _hunting(self) -> bool:
        return self._hunt is not None and not self._hunt.done()

    def _start_hunt(self, sending: asyncio.Task[_Canceling] | None = None) -> None:
        """Hunt unless a hunt is on; `sending` is a first cancel-all that is on its way already."""
        if not self._hunting:
            self._hunt = self._spawn(self._hunts(sending), "kill-hunt")

    async def _hunts(self, sending: asyncio.Task[_Canceling] | None) -> None:
        """Hunt for the newest kill; one that came in meanwhile is hunted for anew."""
        done = ""
        while done != self._target:
            done = self._target
            await self._run(done, self._started_us, sending)
            sending = None

    async def _record(self, actor: Actor, *events: AnyEvent) -> None:
        """Journal if that is possible; the hunt goes on in any case (I13)."""
        try:
            await self._core.record(actor, *events)
        except JournalFailed as error:
            _log.error("kill not journaled", cause=error.line())

    def _latched_events(
        self, kill_id: str, reason: str, source: str, pressed_us: int
    ) -> list[AnyEvent]:
        session = self._core.state.sessions.current
        events: list[AnyEvent] = [
            KillLatched(
                kill_id=kill_id,
                session_id=session.id if session else "",
                reason=reason,
                source=source,
                pressed_us=pressed_us,
            )
        ]
        if session and session.state in _KILLABLE:
            events.append(
                SessionMoved(
                    session_id=session.id,
                    before=session.state,
                    after=SessionState.KILLED,
                    cause=Cause.KILL,
                    reason=reason,
                )
            )
        return events

    async def resume(self, kill_id: str) -> None:
        """After a restart: the latch holds, and what has no proof yet is hunted again (I4, I7)."""
        self._readings.latched = True
        if not self._hunting and not self._pressing:
            self._kill_id = kill_id
            self._started_us = monotonic_us()
        self._start_hunt()

    async def rehearse(self, symbols: Iterable[str]) -> tuple[bool, int, str]:
        """Walk the whole path without the latch: cancel-all, then two queries.

        For the checklist, before any order exists. Returns (proven, elapsed in µs, detail).
        """
        started = monotonic_us()
        for symbol in symbols:
            outcome = await self._venue.cancel_all(symbol)
            if not isinstance(outcome, Canceled):
                return False, monotonic_us() - started, f"cancel-all of {symbol}: {outcome}"
            left = await self._left_twice((symbol,))
            if left is None:
                return False, monotonic_us() - started, f"{symbol}: the venue did not answer"
            if left:
                return False, monotonic_us() - started, f"{symbol}: still open {', '.join(left)}"
        return True, monotonic_us() - started, "cancel-all answered, zero open twice in a row"

    async def _run(
        self, kill_id: str, started: int, sending: asyncio.Task[_Canceling] | None
    ) -> None:
        symbols = tuple(self._symbols())
        canceled = 0
        loud = False
        round_number = 0
        while not self._ended(kill_id):
            round_number += 1
            first = round_number == 1
            if sending is None:
                sending = asyncio.ensure_future(self._cancel_everywhere(symbols))
            await asyncio.sleep(0)  # the requests leave before anything waits for the disk
            if first:
                await self._stage("cancel_sent", ", ".join(symbols))
            count, trouble, answered_us = await sending
            sending = None
            canceled += count
            if first:
                await self._stage("acknowledged", trouble or f"{count} canceled", answered_us)
            left = await self._left_twice(symbols, self._stage if first else None)
            doubts = self._doubts()
            elapsed = monotonic_us() - started
            if left == () and not doubts:
                await self._stage("positions", self._positions_text())
                lost = [one.intent.client_order_id for one in self._core.state.orders.lost()]
                detail = f"lost by the venue: {', '.join(lost)}" if lost else ""
                await self._verdict(kill_id, "PROVEN", started, canceled, (), detail)
                return
            if not loud and elapsed > _LOUD_AFTER_US:
                loud = True
                detail = doubts or trouble or ("the venue did not answer" if left is None else "")
                await self._verdict(kill_id, "UNCONFIRMED", started, canceled, left or (), detail)
                with contextlib.suppress(JournalFailed):
                    await self._raise_alarm("KILL_UNCONFIRMED", detail or "orders still open")
            failed = self._core.journal.failed is not None
            await asyncio.sleep(_BLIND_PAUSE_SECONDS if failed else _HUNT_PAUSE_SECONDS)

    def _ended(self, kill_id: str) -> bool:
        """Whether this hunt is over without proof: a newer kill, or released by two people.

        Without a journal nothing can be released, and the hunt goes on as long as the engine.
        """
        latched = self._core.state.latch.is_set or self._pressing
        released = not latched and self._core.journal.failed is None
        return released or kill_id != self._target

    async def _cancel_everywhere(self, asked: tuple[str, ...]) -> _Canceling:
        """One cancel-all per symbol, all at once."""
        # The first one needs no task of its own, and most often it is the only one.
        others = [asyncio.ensure_future(self._venue.cancel_all(symbol)) for symbol in asked[1:]]
        outcomes = [await self._venue.cancel_all(symbol) for symbol in asked[:1]]
        outcomes += await asyncio.gather(*others)
        answered_us = monotonic_us()
        count = 0
        trouble = ""
        for symbol, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Canceled):
                count += len(outcome.reports)
                with contextlib.suppress(JournalFailed):
                    await self._settler.learn_canceled(outcome.reports)
            elif isinstance(outcome, Unknown):
                trouble = f"{symbol}: {outcome.cause}"
            else:
                trouble = f"{symbol}: {outcome.code} {outcome.reason}"
        for order in self._core.state.orders.unsettled():
            self._settler.settle_later(order.intent.client_order_id)
        return _Canceling(count, trouble, answered_us)

    async def _left_twice(
        self, symbols: Iterable[str], stage: Callable[[str, str], Awaitable[None]] | None = None
    ) -> tuple[str, ...] | None:
        """Ask the venue twice; () only when both answers are empty, None when it did not answer."""
        asked = tuple(symbols)
        for number in (1, 2):
            try:
                answers = await asyncio.gather(*(self._venue.open_orders(one) for one in asked))
            except VenueQueryFailed as error:
                _log.warning("proof query failed", cause=error.line())
                return None
            left = tuple(report.client_order_id for answer in answers for report in answer)
            if stage is not None:
                await stage(f"query_{number}", f"{len(left)} open")
            if left:
                return left
            if number == 1:
                await asyncio.sleep(_PROOF_GAP_SECONDS)
        return ()

    def _doubts(self) -> str:
        """What the venue's empty answers do not cover."""
        if self._core.journal.failed is not None:
            return "the journal cannot be written"
        if self._settler.in_flight:
            return f"in flight: {', '.join(sorted(self._settler.in_flight))}"
        open_here = self._core.state.orders.unsettled()
        if open_here:
            names = ", ".join(order.intent.client_order_id for order in open_here)
            return f"not settled: {names}"
        return ""

    async def _verdict(
        self,
        kill_id: str,
        verdict: str,
        started: int,
        canceled: int,
        open_orders: tuple[str, ...],
        detail: str,
    ) -> None:
        await self._record(
            ENGINE,
            KillVerdict(
                kill_id=kill_id,
                verdict=verdict,
                elapsed_us=monotonic_us() - started,
                canceled=canceled,
                open_orders=open_orders,
                positions=self._positions(),
                detail=detail,
            ),
        )

    def _positions(self) -> dict[str, Decimal]:
        held = self._core.state.positions.positions()
        return {symbol: one.quantity for symbol, one in held.items() if one.quantity != 0}

    def _positions_text(self) -> str:
        held = self._positions()
        return ", ".join(f"{symbol} {quantity}" for symbol, quantity in held.items()) or "flat"

    async def close(self) -> None:
        """Stop hunting because the engine ends; a hunt without proof goes on after restart."""
        if self._hunt is not None:
            self._hunt.cancel()
            await asyncio.gather(self._hunt, return_exceptions=True)
