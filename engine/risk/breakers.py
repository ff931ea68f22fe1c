"""Loss breakers: what trips, over which time, what follows, and who may lift it. Pure.

A breaker is a row of data. What it is measured by is a fold of the journal (`losses`) and the
marks of this moment, so a restart measures nothing anew. At the limit is allowed, one unit over
trips. A measure that is not known trips nothing and reads as used up; every order is judged by the
readings of its own moment (check BREAKERS), and neither one over its limit nor one that is not
known lets it leave (I12).

A marked loss is what was realised in its time and what all that is held would lose now against its
cost. What a position gained before that time and lost again is the drawdown's to see.

The drawdown from the peak of equity stops hard at 20 %. That number is here and not in any
configuration, which can only make it tighter.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_UP, Decimal
from enum import StrEnum
from functools import lru_cache

import msgspec

from engine.contracts.money import ZERO, plain
from engine.contracts.session import BreakerTerms
from engine.contracts.view import HeadroomView
from engine.orders.exact import EXACT, add, multiply, subtract
from engine.risk.exposure import BPS
from engine.risk.headroom import headroom_row
from engine.risk.losses import LossBook

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US

_CENT = Decimal("0.01")
#: Hard stop: basis points of the peak.
HARD_DRAWDOWN_BPS = 2_000


class Action(StrEnum):
    """What a tripped breaker does. PAUSE: no order until a person resumes. KILL: as the key."""

    PAUSE = "PAUSE"
    KILL = "KILL"


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `look_back_us` 0: since the session began, or since a person last resumed."""

    name: str
    text: str
    look_back_us: int
    limit: Decimal
    unit: str
    action: Action
    lifted_by: str


class SessionLoss(msgspec.Struct, frozen=True, kw_only=True):
    """The session's own limit and what it has earned after fees, quote; None is not known."""

    limit: Decimal
    realised: Decimal | None
    marked: Decimal | None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker and where it stands; `used` None is not known."""

    breaker: Breaker
    used: Decimal | None

    @property
    def over(self) -> bool:
        """Whether it trips."""
        return self.used is not None and self.used > self.breaker.limit

    def row(self) -> HeadroomView:
        """How close it is."""
        one = self.breaker
        row = headroom_row(one.name, one.text, self.used, one.limit, one.unit)
        return msgspec.structs.replace(row, action=one.action.value, lifted_by=one.lifted_by)


_RESUMER = "operator, by resuming"
_LATER = "operator, by resuming once it is inside its limit again"
_TWO = "operator and reviewer, by releasing the latch"


#: Those of one session stand with the limits, and have one check of their own.
OF_SESSION = ("SESSION_LOSS", "SESSION_LOSS_MARKED")


@lru_cache(maxsize=16)
def breakers(terms: BreakerTerms, quote: str, session_loss: Decimal) -> tuple[Breaker, ...]:
    """Every breaker under these terms; `session_loss` is the limit of the session, quote.

    Remembered: every order asks.
    """
    drawdown = Decimal(min(terms.max_drawdown_bps, HARD_DRAWDOWN_BPS))
    day, week = terms.max_day_loss, terms.max_week_loss
    session, marked = OF_SESSION
    rows = (
        (session, "loss of session, realised", 0, session_loss, quote, Action.PAUSE),
        (marked, "loss of session, marked", 0, session_loss, quote, Action.PAUSE),
        ("DAY_LOSS", "loss of 24 h, realised", DAY_US, day, quote, Action.PAUSE),
        ("DAY_LOSS_MARKED", "loss of 24 h, marked", DAY_US, day, quote, Action.PAUSE),
        ("WEEK_LOSS", "loss of 7 days, realised", WEEK_US, week, quote, Action.PAUSE),
        ("WEEK_LOSS_MARKED", "loss of 7 days, marked", WEEK_US, week, quote, Action.PAUSE),
        ("DRAWDOWN", "drawdown from the peak", 0, drawdown, "bps", Action.KILL),
        ("LOSSES_IN_A_ROW", "losing closes in a row", 0, terms.max_losses_in_a_row, "orders",
         Action.PAUSE),
        ("AUTO_PAUSES", "automatic pauses in 1 h", HOUR_US, terms.max_pauses_per_hour, "pauses",
         Action.KILL),
    )  # fmt: skip
    return tuple(
        Breaker(
            name=name,
            text=text,
            look_back_us=look_back_us,
            limit=Decimal(limit),
            unit=unit,
            action=action,
            lifted_by=_lifted_by(action, unit, quote),
        )
        for name, text, look_back_us, limit, unit, action in rows
    )


def _lifted_by(action: Action, unit: str, quote: str) -> str:
    if action is Action.KILL:
        return _TWO
    return _LATER if unit == quote else _RESUMER


def readings(
    book: LossBook,
    terms: BreakerTerms,
    quote: str,
    marks: Mapping[str, Decimal],
    now_us: int,
    session: SessionLoss,
) -> tuple[Reading, ...]:
    """Where every breaker stands. `marks` is the price of each symbol that has one, quote."""
    unrealised = book.unrealised(marks)
    measured: dict[str, Decimal | None] = {
        name: None if earned is None else _loss(earned)
        for name, earned in zip(OF_SESSION, (session.realised, session.marked), strict=True)
    }
    measured |= {
        "DRAWDOWN": _drawdown_bps(book, unrealised),
        "LOSSES_IN_A_ROW": Decimal(book.losses_in_a_row),
        "AUTO_PAUSES": Decimal(len(book.pauses.after(now_us - HOUR_US))),
    }
    for name, span in (("DAY_LOSS", DAY_US), ("WEEK_LOSS", WEEK_US)):
        earned = book.earned_after(now_us - span)
        measured[name] = _loss(earned)
        measured[f"{name}_MARKED"] = None if unrealised is None else _loss(add(earned, unrealised))
    rows = breakers(terms, quote, session.limit)
    return tuple(Reading(breaker=row, used=measured[row.name]) for row in rows)


def _loss(earned: Decimal) -> Decimal:
    return max(ZERO, earned.copy_negate())


def _drawdown_bps(book: LossBook, unrealised: Decimal | None) -> Decimal | None:
    """How far equity is under its peak, bps rounded up to 0.01; None when either is not known."""
    if unrealised is None or book.peak is None or book.equity is None or not book.peak > 0:
        return None
    fall = subtract(book.peak, add(book.equity, unrealised))
    bps = EXACT.divide(multiply(_loss(fall.copy_negate()), BPS), book.peak)
    return plain(bps.quantize(_CENT, ROUND_UP, EXACT))
