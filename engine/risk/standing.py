"""The limits in force: what config, charter and ladder allow, and what people have tightened since.

Pure. Sources are laid over one another, and for each limit the tightest counts: none can widen what
another says. One person may tighten at any time, and what was tightened stands, over restarts and
into later sessions, until two people let it be wider again; never wider than the ceiling, and what
a session was signed for stays its cap (I6). A record that would make a limit wider without two
people, or that is no number, changes nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError
from engine.contracts.event import LimitLoosened, LimitTightened, Recorded
from engine.contracts.money import parse_decimal, plain, to_text
from engine.contracts.session import LONGER_IS_TIGHTER, Limits
from engine.governance.grants import GrantBook
from engine.orders.exact import usable

NAMES: tuple[str, ...] = Limits.__struct_fields__
#: Limits that are counts, basis points or seconds.
WHOLE = frozenset(name for name, hint in Limits.__annotations__.items() if hint == "int")
_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")
#: A cooldown of a day is the longest there is.
_LONGEST_S = 86_400


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One limit that a person has tightened; `at_us` the journal's time, µs UTC.

    `act`: `tightened`, or `loosened` when two people made it wider again since; `by` names both.
    """

    value: Decimal
    by: str
    at_us: int
    reason: str
    act: str = "tightened"


class StandingLimits:
    """What is tightened now, by name. Folded in place; total."""

    def __init__(self) -> None:
        self.by_name: dict[str, Standing] = {}
        #: changes whenever `by_name` does
        self.version = 0

    def apply(self, recorded: Recorded, grants: GrantBook) -> None:
        """Fold one event."""
        event = recorded.event
        if isinstance(event, LimitTightened):
            self._tighten(event, recorded)
        elif isinstance(event, LimitLoosened):
            grant = grants.spend(Purpose.LOOSEN, event.document_sha256)
            signed = {"name": event.name, "value": to_text(event.after)}
            if grant is not None and signed.items() <= grant.subject.items():
                self._set(event, recorded.ts_us, grant.people)

    def _tighten(self, event: LimitTightened, recorded: Recorded) -> None:
        standing = self.by_name.get(event.name)
        if standing is None or tighter_than(event.name, event.after, standing.value):
            self._set(event, recorded.ts_us, recorded.actor.name)

    def _set(self, event: LimitTightened | LimitLoosened, at_us: int, by: str) -> None:
        if not is_limit(event.name, event.after):
            return
        self.by_name[event.name] = Standing(
            value=event.after,
            by=by,
            at_us=at_us,
            reason=event.reason,
            act="tightened" if isinstance(event, LimitTightened) else "loosened",
        )
        self.version += 1


class Effective(msgspec.Struct, frozen=True, kw_only=True):
    """The limits in force, and which source makes each as tight as it is."""

    limits: Limits
    origins: dict[str, str]


def effective(sources: Sequence[tuple[str, Limits]], standing: Mapping[str, Standing]) -> Effective:
    """The tightest of all. `sources` are named, the widest first; the first of equals is named."""
    name, limits = sources[0]
    values, origins = msgspec.structs.asdict(limits), dict.fromkeys(NAMES, name)
    for name, other in sources[1:]:
        for field in NAMES:
            value = getattr(other, field)
            if tighter_than(field, value, values[field]):
                values[field], origins[field] = value, name
    for field, one in standing.items():
        if tighter_than(field, one.value, values[field]):
            values[field] = in_unit(field, one.value)
            origins[field] = f"{one.act} by {one.by}"
    return Effective(limits=Limits(**values), origins=origins)


def capped(limits: Limits, caps: Mapping[str, Decimal]) -> Limits:
    """The same limits, each at most as wide as its cap."""
    values = msgspec.structs.asdict(limits)
    for field, cap in caps.items():
        if tighter_than(field, cap, values[field]):
            values[field] = in_unit(field, cap)
    return Limits(**values)


def tighter_than(name: str, value: Decimal | int, other: Decimal | int) -> bool:
    """Whether `value` is a tighter limit than `other`; equal is not."""
    return value > other if name in LONGER_IS_TIGHTER else value < other


def in_unit(name: str, value: Decimal) -> Decimal | int:
    """The value as the field has it: a whole number, or an amount."""
    return int(value) if name in WHOLE else plain(value)


def parse_limit(name: str, text: str) -> Decimal:
    """A limit as typed. Raises InputError for a name or a number that is none.

    Amounts are plain decimals, counts whole numbers; neither has a sign, an exponent or a unit.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(
            what=f"no limit {name[:40]!r}", where="limits", todo=f"{hint}see peakctl limits"
        )
    if name in WHOLE and not _WHOLE.fullmatch(text):
        raise InputError(
            what=f"{text[:40]!r} is not a whole number from 0 to 999999999", where=f"limits.{name}"
        )
    value = plain(parse_decimal(text, f"limits.{name}"))
    if not _counts(name, value):
        most = f", at most {_LONGEST_S}" if name in LONGER_IS_TIGHTER else ""
        raise InputError(what=f"a limit is 0 or more{most}", where=f"limits.{name}")
    return value


def is_limit(name: str, value: Decimal) -> bool:
    """Whether there is a limit of this name, and it can have this value."""
    return name in NAMES and _counts(name, value)


def _counts(name: str, value: Decimal) -> bool:
    """Whether this can be a limit at all."""
    if not usable(value) or value < 0:
        return False
    if name in WHOLE and value != value.to_integral_value():
        return False
    return name not in LONGER_IS_TIGHTER or value <= _LONGEST_S
