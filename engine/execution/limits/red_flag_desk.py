"""Looks at the red flags once a tick and presses the kill for one that is up, by its name.

The facts come from three places: the journal's fold (`FlagBook`), the running parts, and the key's
file. A flag that is up is an alarm and a kill with the source `red-flag`, whose reason begins with
the flag's code. While the latch is set nothing is judged; after a release everything that lasts is
measured anew, because two people have looked at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.contracts.events.recon import WatchedBreak
from engine.contracts.people import automaton
from engine.diary import Diary
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.core import Core
from engine.execution.kill.switch import KillSwitch
from engine.execution.limits.facts import FactsBuilder
from engine.execution.settle.settler import RaiseAlarm
from engine.governance import red_flags
from engine.governance.red_flags import FlagFacts, Raised, judge
from engine.ops.log import Redactor
from engine.orders.orphans import Orphan

_log = Diary("red-flags")

RED_FLAG = automaton("red-flag")
#: Files and the store are looked at so often.
_LOOK_US = 1_000_000


@dataclass(frozen=True)
class Signs:
    """What the desk asks the running parts, each at the moment of asking."""

    key_refused_since_us: Callable[[], int | None]
    key_changed: Callable[[], str]
    store_failed: Callable[[], bool]
    rebuild_store: Callable[[], Awaitable[bool]]
    unsettled: Callable[[], Iterable[str]]
    recovering: Callable[[], bool]


def in_hand(breaks: Sequence[WatchedBreak], orphans: Iterable[Orphan]) -> bool:
    """Whether each break is a stranger's order that somebody has adopted or asked to cancel.

    That is an answer as good as taking the alarm; the next comparison clears the break.
    """
    answered = {one.client_order_id for one in orphans if one.by}
    return all(one.code == "ORDER_ORPHAN" and one.key in answered for one in breaks)


class RedFlagDesk:
    """Judges the table of `governance.red_flags` for one engine."""

    def __init__(
        self,
        core: Core,
        facts: FactsBuilder,
        kill: KillSwitch,
        raise_alarm: RaiseAlarm,
        signs: Signs,
    ) -> None:
        self._core = core
        self._facts = facts
        self._kill = kill
        self._raise_alarm = raise_alarm
        self._signs = signs
        self._since: dict[str, int] = {}
        self._looked_us = 0
        self._slow: dict[str, bool] = {}
        self._rebuilding: asyncio.Task[bool] | None = None
        self._caught = Redactor.caught
        self._caught_us: list[int] = []
        #: orders that were open when this engine began in the middle of a session
        self._to_recover: frozenset[str] | None = None

    def began(self) -> None:
        """The journal is folded: what is open now must be settled with the venue."""
        trading = self._core.state.flags.trading
        orders = self._core.state.orders.unsettled() if trading else ()
        self._to_recover = frozenset(order.intent.client_order_id for order in orders)

    async def check(self) -> None:
        """Press the kill for the first flag that is up."""
        now = monotonic_us()
        if self._facts.latched:
            self._since.clear()
            self._caught, self._caught_us = Redactor.caught, []
            return
        await self._look(now)
        for name, holds in self._holding().items():
            if holds:
                self._since.setdefault(name, now)
            else:
                self._since.pop(name, None)
        raised = judge(self._seen(now), red_flags.FLAGS)
        if raised:
            await self._press(raised[0])

    async def _press(self, raised: Raised) -> None:
        _log.error("red flag", code=raised.flag.code, words=raised.words)
        await self._kill.press(
            actor=RED_FLAG, reason=raised.words, source="red-flag", pressed_us=wall_us()
        )
        await self._raise_alarm("RED_FLAG", raised.words)

    def _seen(self, now: int) -> FlagFacts:
        new = Redactor.caught - self._caught
        self._caught += new
        self._caught_us += [now] * new
        lasted = {name: now - since for name, since in self._since.items()}
        refused_us = self._signs.key_refused_since_us()
        if refused_us is not None:
            lasted["key_refused"] = now - refused_us
        ages = self._core.state.flags.ages_us(wall_us())
        ages["secrets_caught"] = [now - at for at in self._caught_us[-64:]]
        return FlagFacts(ages_us=ages, lasted_us=lasted)

    def _holding(self) -> dict[str, bool]:
        """Each condition of the table that is measured by how long it lasts."""
        state = self._core.state
        breaks = state.recon_watch.confirmed
        red = bool(breaks) and state.flags.trading
        alarm = state.alarms.find("RECON_RED")
        taken = alarm is not None and bool(alarm.acknowledged_by)
        taken = taken or in_hand(breaks, state.orphans.all.values())
        return {
            "unsettled_after_restart": self._unrecovered(),
            "red_break": red,
            "red_break_untaken": red and not taken,
            **self._slow,
        }

    def _unrecovered(self) -> bool:
        if not self._to_recover:
            return False
        waiting = self._to_recover & frozenset(self._signs.unsettled())
        unknown = {order.intent.client_order_id for order in self._core.state.orders.unknown()}
        if self._signs.recovering() or waiting or self._to_recover & unknown:
            return True
        self._to_recover = frozenset()
        return False

    async def _look(self, now: int) -> None:
        """Look at what costs a file or a database; a failed store is made again meanwhile."""
        if now - self._looked_us < _LOOK_US:
            return
        self._looked_us = now
        self._slow["key_file"] = bool(await asyncio.to_thread(self._signs.key_changed))
        self._slow["store_failed"] = self._signs.store_failed()
        if self._rebuilding is not None and self._rebuilding.done():
            failed = self._rebuilding.exception()
            if failed is not None:
                _log.error("store not rebuilt", cause=str(failed).partition("\n")[0])
            self._rebuilding = None
        if self._slow["store_failed"] and self._rebuilding is None:
            self._rebuilding = asyncio.ensure_future(self._signs.rebuild_store())
