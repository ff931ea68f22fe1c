"""The owner's red flags: signs after which the kill is pressed by rule, by nobody's leave. Pure.

A flag is a row of data: what it looks at, how often or for how long that must be seen, and what it
says. Nothing here measures; the facts come in as ages and durations in µs, so that a restart
measures nothing anew. Each row has a guard against the harmless case beside it: one reconnect, one
stranger's order or one restart is an alarm for people, not a kill.

Two flags are judged where they happen, because waiting for a tick would be too late or in vain: the
drawdown by the loss breakers, a failed journal by the engine itself. They are rows here all the
same, so that the table is whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from engine.contracts import event as ev
from engine.contracts.session import SessionState

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US

BY_BREAKER, BY_ENGINE, BY_TICK = "breaker", "engine", "tick"

#: Reports of `peakctl kill` in the watchdog's log begin so: they are a kill, not a sign.
DIRECT_KILL = "kill without engine"

_TRADING = frozenset({SessionState.LIVE, SessionState.PAUSED, SessionState.STOPPING})
#: Sightings that are kept: more than any row counts.
_KEPT = 64


class RedFlag(msgspec.Struct, frozen=True, kw_only=True):
    """One row; `by` says who judges it.

    `most` sightings within `window_us` are allowed, one more trips; or, without `most`, it trips
    once what it looks at has lasted for `lasts_us`.
    """

    code: str
    text: str
    looks_at: str
    by: str = BY_TICK
    most: int | None = None
    window_us: int = 0
    lasts_us: int = 0


FLAGS: tuple[RedFlag, ...] = (
    RedFlag(
        code="DRAWDOWN",
        text="equity fell further from its peak than the hard limit",
        looks_at="breaker DRAWDOWN",
        by=BY_BREAKER,
    ),
    RedFlag(
        code="CRASH_LOOP",
        text="the engine was started again and again while a session traded",
        looks_at="starts_in_session",
        most=5,
        window_us=10 * _MINUTE_US,
    ),
    RedFlag(
        code="CRASH_UNRECOVERED",
        text="after a restart the session's open orders could not be settled with the venue",
        looks_at="unsettled_after_restart",
        lasts_us=60 * _SECOND_US,
    ),
    RedFlag(
        code="RECON_UNANSWERED",
        text="a confirmed red break was taken by nobody",
        looks_at="red_break_untaken",
        lasts_us=2 * _MINUTE_US,
    ),
    RedFlag(
        code="RECON_UNEXPLAINED",
        text="a confirmed red break stays unexplained",
        looks_at="red_break",
        lasts_us=15 * _MINUTE_US,
    ),
    RedFlag(
        code="KEY_REFUSED",
        text="the venue refuses our key, which it took before",
        looks_at="key_refused",
        lasts_us=5 * _SECOND_US,
    ),
    RedFlag(
        code="KEY_STRANGERS",
        text="orders of strangers appear in the account again and again",
        looks_at="strangers",
        most=5,
        window_us=10 * _MINUTE_US,
    ),
    RedFlag(
        code="KEY_FILE",
        text="the file of the venue's key was changed or opened to others while the engine runs",
        looks_at="key_file",
        lasts_us=2 * _SECOND_US,
    ),
    RedFlag(
        code="KEY_IN_LOG",
        text="a secret was on its way into a record and was blanked",
        looks_at="secrets_caught",
        most=0,
        window_us=10 * _MINUTE_US,
    ),
    RedFlag(
        code="JOURNAL",
        text="the journal cannot be written",
        looks_at="journal",
        by=BY_ENGINE,
    ),
    RedFlag(
        code="STORE",
        text="the store has failed and could not be made again",
        looks_at="store_failed",
        lasts_us=30 * _SECOND_US,
    ),
    RedFlag(
        code="WATCHDOG_ACTED",
        text="the watchdog stopped the market while a session traded",
        looks_at="watchdog_acted",
        most=0,
        window_us=60 * _MINUTE_US,
    ),
    RedFlag(
        code="WATCHDOG_DOWN",
        text="the watchdog ended again and again",
        looks_at="watchdog_ended",
        most=2,
        window_us=10 * _MINUTE_US,
    ),
)


class FlagFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen: ages of sightings, and how long conditions have lasted (absent: not), µs."""

    ages_us: Mapping[str, Sequence[int]]
    lasted_us: Mapping[str, int]


class Raised(msgspec.Struct, frozen=True):
    """A flag that is up, and why."""

    flag: RedFlag
    words: str


def judge(facts: FlagFacts, flags: Sequence[RedFlag]) -> tuple[Raised, ...]:
    """Every flag of `flags` that is up, in their order."""
    return tuple(
        Raised(flag, f"{flag.code}: {flag.text} ({seen})")
        for flag in flags
        if flag.by == BY_TICK and (seen := _seen(flag, facts))
    )


def _seen(flag: RedFlag, facts: FlagFacts) -> str:
    if flag.most is not None:
        ages = [age for age in facts.ages_us.get(flag.looks_at, ()) if age <= flag.window_us]
        minutes = flag.window_us // _MINUTE_US
        return f"{len(ages)} in {minutes} min" if len(ages) > flag.most else ""
    lasted = facts.lasted_us.get(flag.looks_at)
    if lasted is None or lasted < flag.lasts_us:
        return ""
    return f"for {lasted // _SECOND_US} s"


class FlagBook:
    """What the journal tells of the signs: times of sightings, µs UTC. Folded in place; total.

    A release by two people begins anew: what led to the kill has been looked at. So does a charter.
    """

    def __init__(self) -> None:
        self._trading = False
        self._begin()

    @property
    def trading(self) -> bool:
        """Whether a session trades, is paused or is stopping."""
        return self._trading

    def _begin(self) -> None:
        self.starts: deque[int] = deque(maxlen=_KEPT)
        self.acted: deque[int] = deque(maxlen=_KEPT)
        self.ended: deque[int] = deque(maxlen=_KEPT)
        self.strangers: dict[tuple[str, str, str], int] = {}

    def apply(self, recorded: ev.Recorded) -> None:
        """Fold one event."""
        match recorded.event:
            case ev.SessionMoved(after=after):
                self._trading = after in _TRADING
            case ev.SessionChartered():
                self._trading = False
                self._begin()
            case ev.LatchReleased():
                self._begin()
            case ev.EngineStarted() if self._trading:
                self.starts.append(recorded.ts_us)
            case ev.WatchdogActed(reason=reason) if self._trading:
                if not reason.startswith(DIRECT_KILL):
                    self.acted.append(recorded.ts_us)
            case ev.WatchdogEnded():
                self.ended.append(recorded.ts_us)
            case ev.OrphanFound() as found:
                key = found.symbol, found.client_order_id, found.venue_order_id
                self.strangers[key] = recorded.ts_us
            case ev.OrphanAdopted(intent=intent, venue_order_id=number):
                self.strangers.pop((intent.symbol, intent.client_order_id, number), None)

    def ages_us(self, now_us: int) -> dict[str, list[int]]:
        """How long ago everything was seen, by the names of the table."""
        seen: dict[str, Sequence[int]] = {
            "starts_in_session": tuple(self.starts),
            "watchdog_acted": tuple(self.acted),
            "watchdog_ended": tuple(self.ended),
            "strangers": tuple(self.strangers.values()),
        }
        # A clock that was set back makes nothing younger than now, and so forgets nothing.
        return {name: [max(0, now_us - at) for at in times] for name, times in seen.items()}
