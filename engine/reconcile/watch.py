"""The open breaks of the continuous reconciliation, as a fold of the journal: age and confirmation.

A run says what differs now; the fold says since when, and how many runs in a row have seen it. So
a break keeps its age over a restart, and one that heals and returns begins anew. A run that could
not ask the venue changes nothing of that: not known is neither agreement nor another sighting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from engine.contracts.event import ReconChecked, Recorded, SessionChartered
from engine.contracts.events.recon import WatchedBreak
from engine.reconcile.causes import CAUSES, IN_MOTION, RED, YELLOW

#: So many runs in a row make a red break certain enough to act on.
CONFIRMED_RUNS = 2

AGREE, BREAKS, UNKNOWN, NEVER = "agree", "breaks", "unknown", "never"

#: A break's identity from run to run: cause code and key.
Name = tuple[str, str]


class OpenBreak(msgspec.Struct, frozen=True):
    """One open break and how many runs in a row have seen it."""

    told: WatchedBreak
    runs: int


class ReconWatch:
    """What the runs of the present session have told. Folded in place; total."""

    def __init__(self) -> None:
        self._begin("")

    def _begin(self, session_id: str) -> None:
        self.session_id = session_id
        self.moment = ""
        #: time of the last run that compared, µs UTC; None: never
        self.compared_us: int | None = None
        self.compared: Mapping[str, int] = {}
        self.open: dict[Name, OpenBreak] = {}
        #: why the last run knows nothing; "" when it does
        self.unknown = ""
        #: all orders intended before this have ended and agreed (0: none have), and what the
        #: venue's own trades of those add up to
        self.settled_us = 0
        self.settled_positions: Mapping[str, Decimal] = {}

    def apply(self, recorded: Recorded) -> None:
        """Fold one record."""
        match recorded.event:
            case SessionChartered(session_id=session_id):
                self._begin(session_id)
            case ReconChecked() as run:
                self._take(run, recorded.ts_us)

    def _take(self, run: ReconChecked, at_us: int) -> None:
        if run.session_id != self.session_id:
            return
        self.moment = run.moment
        self.unknown = run.unknown
        if run.unknown:
            return
        before = self.open
        self.open = {}
        for told in run.breaks:
            name = (told.code, told.key)
            runs = before[name].runs if name in before else 0
            self.open[name] = OpenBreak(told, runs + 1)
        self.compared_us = at_us
        self.compared = run.compared
        self.settled_us = run.settled_us
        self.settled_positions = run.settled_positions

    @property
    def state(self) -> str:
        """agree, breaks, unknown or never. A break nobody must answer is agreement by rule."""
        if self.unknown:
            return UNKNOWN
        if self.compared_us is None:
            return NEVER
        needed = any(CAUSES[one.told.code].owner for one in self.open.values())
        return BREAKS if needed else AGREE

    @property
    def confirmed(self) -> tuple[WatchedBreak, ...]:
        """Red breaks that enough runs in a row have seen."""
        return tuple(
            one.told
            for one in self.open.values()
            if one.told.klass == RED and one.runs >= CONFIRMED_RUNS
        )

    @property
    def first_seen_us(self) -> dict[Name, int]:
        """Since when each open break is open, µs UTC."""
        return {name: one.told.first_seen_us for name, one in self.open.items()}


def verdicts(
    found: Iterable[tuple[str, str, str]],
    suspected: Iterable[str],
    moving: Iterable[str],
    sums: Iterable[str],
    since: Mapping[Name, int],
    at_us: int,
) -> tuple[WatchedBreak, ...]:
    """The breaks to tell after a second look: (code, key, klass) each, found then.

    Only what the first look suspected (by key) is told: the rest is news of the meantime and has
    not been looked at twice. What moved again during the second look is doubt, told as yellow; so
    are the `sums` (keys of positions and balances) while there is news of an order or a trade, for
    it moves them too. `since`: when each break was first seen.
    """
    found, known, doubtful = tuple(found), set(suspected), set(moving)
    totals = set(sums)
    if any(key not in known | totals for _, key, _ in found):
        doubtful |= totals
    told: dict[Name, WatchedBreak] = {}
    for code, key, klass in found:
        if key not in known:
            continue
        doubt = key in doubtful and klass == RED
        name = (IN_MOTION if doubt else code, key)
        told.setdefault(
            name,
            WatchedBreak(
                code=name[0],
                key=key,
                klass=YELLOW if doubt else klass,
                first_seen_us=min(at_us, since.get(name, since.get((code, key), at_us))),
            ),
        )
    return tuple(told[name] for name in sorted(told))
