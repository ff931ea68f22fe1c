"""The kill switch: one press stops everything, with proof (promise 1; I4, I8, I13).

    refused -> latched -> cancel sent per symbol -> acknowledged -> the venue asked on a connection
    of its own until it shows zero open orders twice in a row -> remaining positions are listed

The latch is set in memory first (the next instruction that would send an order sees it), then in
the file and the journal. PROVEN needs, in one round: nothing on its way when the cancel-all left, a
cancel-all that the venue answered for every symbol, then two empty answers, and no doubt left
(`doubts`); what the venue lost is named in the verdict. Until then the verdict is UNCONFIRMED,
the hunt goes on, and nothing turns it into done but the venue. After the proof a vigil goes on as
long as the latch holds: what surfaces takes the verdict back and is hunted down (`vigil`).
Flattening is not part of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from engine.background import Spawn
from engine.contracts.event import AnyEvent, KillLatched, KillStage, KillVerdict, SessionMoved
from engine.contracts.people import ENGINE, Actor
from engine.contracts.session import END_STATES, SessionState
from engine.diary import Diary
from engine.execution.clock import monotonic_us
from engine.execution.core import Core
from engine.execution.kill.doubts import KillDoubts
from engine.execution.kill.latch_file import LatchMark
from engine.execution.kill.latch_holds import LatchHolds
from engine.execution.kill.proof import PROOF_GAP_SECONDS, left_twice, rehearse
from engine.execution.kill.vigil import Vigil
from engine.execution.limits.facts import Readings
from engine.execution.settle.settler import RaiseAlarm, Settler
from engine.governance.latch import LatchState
from engine.governance.transitions import Cause
from engine.journal.writer import JournalFailed
from engine.venues.port import Canceled, CancelOutcome, Unknown, Venue

_log = Diary("kill")

#: After this long without proof the verdict UNCONFIRMED is journaled and shown; the hunt goes on.
_LOUD_AFTER_US = 2_000_000
_HUNT_PAUSE_SECONDS = 0.25
#: A verdict without proof is told anew when what it says changes, and not more often than this.
_TOLD_AGAIN_US = 5_000_000
#: Without a journal there is no verdict and no end: the rate budget must last.
_BLIND_PAUSE_SECONDS = 1.0

_US_PER_SECOND = 1_000_000

#: States that a kill moves to `killed`.
_KILLABLE = frozenset(SessionState) - END_STATES - {SessionState.KILLED}


class _Canceling(NamedTuple):
    """Orders canceled, trouble in words, when the venue's last answer was read (monotonic µs).

    `moving`: what was on its way when the requests left.
    """

    canceled: int
    trouble: str
    answered_us: int
    moving: frozenset[str]


class _Round(NamedTuple):
    """What one round came to. `left` None: the venue did not answer."""

    left: tuple[str, ...] | None
    detail: str

    @property
    def proven(self) -> bool:
        return self.left == () and not self.detail


def _read_us(outcome: CancelOutcome, now: int) -> int:
    """When the answer of a cancel-all had been read, before anything was made of it."""
    return (outcome.answered_us if isinstance(outcome, Canceled) else 0) or now


class KillSwitch:
    """Sets the latch and hunts until the venue proves that nothing is left."""

    def __init__(
        self,
        core: Core,
        settler: Settler,
        venue: Venue,
        readings: Readings,
        holds: LatchHolds,
        symbols: Callable[[], Iterable[str]],
        raise_alarm: RaiseAlarm,
        spawn: Spawn,
    ) -> None:
        self._core = core
        self._settler = settler
        self._venue = venue
        self._readings = readings
        self._holds = holds
        self._symbols = symbols
        self._raise_alarm = raise_alarm
        self._spawn = spawn
        self._doubts = KillDoubts(core, settler)
        self._watching = Vigil(core, venue, symbols, self._surfaced)
        self._pressing = False
        self._hunt: asyncio.Task[None] | None = None
        self._vigil: asyncio.Task[None] | None = None
        self._kill_id = ""
        self._started_us = 0
        self._sent_us = 0
        self._canceled = 0
        self._latest = _Round(None, "")
        readings.held_in = self._held_in

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
            await self._record(actor, self._noted(self._target, "pressed_again", again, started))
            return self._target
        kill_id = self._kill_id = secrets.token_hex(6)
        self._started_us = started
        self._pressing = True
        try:
            # In memory the latch is set: the cancels need not wait for any disk (I13), nor for the
            # latch to be encoded. It is first in line for the journal all the same: the hunt, and
            # what the venue answers, come after it.
            sending = asyncio.ensure_future(self._cancel_everywhere(tuple(self._symbols())))
            await asyncio.sleep(0)
            mark = LatchMark(
                kill_id=kill_id, reason=reason, source=source, by=actor.name, pressed_us=pressed_us
            )
            events = self._latched_events(kill_id, reason, source, pressed_us)
            events.append(self._noted(kill_id, "refused", "new orders are refused", started))
            journaled = asyncio.ensure_future(self._record(actor, *events))
            self._start_hunt(sending)
            await asyncio.gather(journaled, self._holds.keep(mark))
        finally:
            self._pressing = False
        await self._stage("latched", f"latch held in {', '.join(self._held_in())}")
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

    def _held_in(self) -> tuple[str, ...]:
        """Where the latch holds now; () when it is open."""
        latch = self._core.state.latch
        journaled = latch.is_set and (not self._pressing or self._kill_id in latch.kill_ids)
        where = ["memory"] if self._readings.latched else []
        where += ["journal"] if journaled else []
        return (*where, *self._holds.where()) if where else ()

    def _noted(self, kill_id: str, stage: str, detail: str, at_us: int) -> KillStage:
        return KillStage(
            kill_id=kill_id,
            stage=stage,
            elapsed_us=at_us - self._started_us,
            detail=detail,
            monotonic_us=at_us,
        )

    async def _stage(self, name: str, detail: str, at_us: int | None = None) -> None:
        """Note one stage of the present kill with its time since the press (`at_us`: when it was).

        A stage that waited for others' events in the journal happened before them.
        """
        noted = self._noted(self._target, name, detail, monotonic_us() if at_us is None else at_us)
        _log.info("kill stage", stage=name, elapsed_us=noted.elapsed_us, detail=detail)
        await self._record(ENGINE, noted)

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
        """After a restart: the latch holds, and what has no proof yet is hunted again (I4, I7).

        What was proven is watched over again.
        """
        self._readings.latched = True
        if not self._hunting and not self._pressing:
            self._kill_id = kill_id
            self._started_us = monotonic_us()
        if self._core.state.latch.state is LatchState.PROVEN and not self._hunting:
            self._keep_vigil()
        else:
            self._start_hunt()

    def _keep_vigil(self) -> None:
        if self._vigil is not None:
            self._vigil.cancel()
        self._vigil = self._spawn(self._watching.keep(self._target), "kill-vigil")

    async def _surfaced(self, left: tuple[str, ...]) -> None:
        """Something is open after the proof: the verdict is taken back, and the hunt is on."""
        names = ", ".join(left)
        await self._stage("surfaced", names)
        self._latest = _Round(left, f"surfaced after the proof: {names}")
        await self._tell_unconfirmed(self._target)
        self._start_hunt()

    async def rehearse(self, symbols: Iterable[str]) -> tuple[bool, int, str]:
        """Walk the whole path without the latch, for the checklist: (proven, µs, detail)."""
        return await rehearse(self._venue, symbols)

    async def _run(
        self, kill_id: str, started: int, sending: asyncio.Task[_Canceling] | None
    ) -> None:
        self._canceled = 0
        self._latest = _Round(None, "the venue has not answered yet")
        loud = self._spawn(self._grow_loud(kill_id, started), "kill-loud")
        try:
            first = True
            while not self._ended(kill_id):
                found, moving = await self._round(sending, first=first)
                sending, first, self._latest = None, False, found
                if found.proven:
                    loud.cancel()
                    await self._stage("positions", self._positions_text())
                    await self._verdict(kill_id, "PROVEN", (), self._named_lost())
                    self._keep_vigil()
                    return
                with contextlib.suppress(OSError):
                    await self._holds.retry()
                await asyncio.sleep(self._pause_seconds(found, moving))
        finally:
            loud.cancel()

    async def _round(
        self, sending: asyncio.Task[_Canceling] | None, *, first: bool
    ) -> tuple[_Round, frozenset[str]]:
        """Cancel everything, then ask. `sending` is a cancel-all that is on its way already.

        Also returns what was moving, which only another round can prove to be gone.
        """
        symbols = tuple(self._symbols())
        if sending is None:
            sending = asyncio.ensure_future(self._cancel_everywhere(symbols))
        await asyncio.sleep(0)  # the requests leave before anything waits for the disk
        if first:
            await self._stage("cancel_sent", ", ".join(symbols), self._sent_us)
        answer = await sending
        self._canceled += answer.canceled
        if first:
            told = answer.trouble or f"{answer.canceled} canceled"
            await self._stage("acknowledged", told, answer.answered_us)
        left = await left_twice(self._venue, symbols, self._stage if first else None)
        detail = self._doubts.words() or answer.trouble
        if left is None:
            detail = detail or "the venue did not answer"
        elif left:
            detail = detail or "orders are open"
        elif answer.moving and not detail:
            detail = f"was on its way: {', '.join(sorted(answer.moving))}"
        return _Round(left, detail), answer.moving

    def _pause_seconds(self, found: _Round, moving: frozenset[str]) -> float:
        if self._core.journal.failed is not None:
            return _BLIND_PAUSE_SECONDS
        # Nothing is left and what moved has come to rest: only the order of events is to be proven.
        settled = found.left == () and moving and not self._doubts.words()
        return PROOF_GAP_SECONDS if settled else _HUNT_PAUSE_SECONDS

    async def _grow_loud(self, kill_id: str, started: int) -> None:
        """Say UNCONFIRMED once it has taken too long, whatever the venue does, and go on saying."""
        await asyncio.sleep(max(0, _LOUD_AFTER_US - (monotonic_us() - started)) / _US_PER_SECOND)
        told = None
        while not self._ended(kill_id):
            if told != self._latest and not self._latest.proven:
                told = self._latest
                await self._tell_unconfirmed(kill_id)
            await asyncio.sleep(_TOLD_AGAIN_US / _US_PER_SECOND)

    async def _tell_unconfirmed(self, kill_id: str) -> None:
        found = self._latest
        await self._verdict(kill_id, "UNCONFIRMED", found.left or (), found.detail)
        with contextlib.suppress(JournalFailed):
            await self._raise_alarm("KILL_UNCONFIRMED", "orders may be open")

    def _named_lost(self) -> str:
        lost = [one.intent.client_order_id for one in self._core.state.orders.lost()]
        return f"lost by the venue: {', '.join(lost)}" if lost else ""

    def _ended(self, kill_id: str) -> bool:
        """Whether this hunt is over without proof: a newer kill, or released by two people.

        Without a journal nothing can be released, and the hunt goes on as long as the engine.
        """
        latched = self._core.state.latch.is_set or self._pressing
        released = not latched and self._core.journal.failed is None
        return released or kill_id != self._target

    async def _cancel_everywhere(self, asked: tuple[str, ...]) -> _Canceling:
        """One cancel-all per symbol, all at once."""
        moving = self._doubts.moving()
        self._sent_us = monotonic_us()
        # The first one needs no task of its own, and most often it is the only one.
        others = [asyncio.ensure_future(self._venue.cancel_all(symbol)) for symbol in asked[1:]]
        outcomes = [await self._venue.cancel_all(symbol) for symbol in asked[:1]]
        outcomes += await asyncio.gather(*others)
        now = monotonic_us()
        answered_us = max((_read_us(one, now) for one in outcomes), default=now)
        count = 0
        trouble = ""
        for symbol, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Canceled):
                count += len(outcome.reports)
                self._doubts.told(outcome.reports)
                with contextlib.suppress(JournalFailed):
                    await self._settler.learn_canceled(outcome.reports)
            elif isinstance(outcome, Unknown):
                trouble = f"{symbol}: {outcome.cause}"
            else:
                trouble = f"{symbol}: {outcome.code} {outcome.reason}"
        for order in self._core.state.orders.unsettled():
            self._settler.settle_later(order.intent.client_order_id)
        return _Canceling(count, trouble, answered_us, moving)

    async def _verdict(
        self, kill_id: str, verdict: str, open_orders: tuple[str, ...], detail: str
    ) -> None:
        now = monotonic_us()
        await self._record(
            ENGINE,
            KillVerdict(
                kill_id=kill_id,
                verdict=verdict,
                elapsed_us=now - self._started_us,
                canceled=self._canceled,
                open_orders=open_orders,
                positions=self._positions(),
                detail=detail,
                monotonic_us=now,
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
        ending = [task for task in (self._hunt, self._vigil) if task is not None]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
