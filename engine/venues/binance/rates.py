"""The rate budget: what may still go out, by the venue's own counts. Pure.

The venue counts in calendar-aligned windows and tells the counts in every answer's headers: request
weight per address (`X-MBX-USED-WEIGHT-1M`), unfilled orders per account (`X-MBX-ORDER-COUNT-10S`,
`-1D`). Raw requests have no header and are counted here. The windows come from exchangeInfo.

A fifth of weight and raw requests is reserved for reducing risk, that is cancels and the queries
that prove them (I13): everything else stops at 80 %. After 429 or 418 nothing unreserved goes out
until the venue's Retry-After is over.

Reserved traffic is never refused by our own count, and the first of it goes out even into a
silence: better refused by the venue than by ourselves. Refused there, it waits too, and knocks
every `KNOCK_S` until the silence ends: requests sent into a 429 turn it into a ban of minutes to
days (rest-api.md, IP Limits), which is what stands in the way of a cancel the longest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from engine.venues.port import RateUse, RateWindow

RESERVED_PERCENT = 20
DEFAULT_WEIGHT_LIMIT = 6000
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
#: Pause between two reserved requests of one lane that knock during a silence.
KNOCK_S = 10.0
#: Order counts of longer windows are shown and not acted on: fills give counts back unseen
#: (faqs/order_count_decrement.md), and then only the venue's own refusal is true.
LONGEST_HELD_US = MINUTE_US

WEIGHT, ORDERS, RAW = "REQUEST_WEIGHT", "ORDERS", "RAW_REQUESTS"
_INTERVALS = {
    "SECOND": ("S", SECOND_US),
    "MINUTE": ("M", MINUTE_US),
    "HOUR": ("H", 60 * MINUTE_US),
    "DAY": ("D", 1440 * MINUTE_US),
}
_HEADERS = {WEIGHT: "X-MBX-USED-WEIGHT-", ORDERS: "X-MBX-ORDER-COUNT-"}


class Limit(msgspec.Struct, frozen=True, rename="camel"):
    """One row of exchangeInfo's rateLimits."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class _Window:
    """One calendar-aligned window and what is used of it. `seen`: the venue told the count."""

    __slots__ = ("header", "kind", "limit", "name", "number", "seen", "span_us", "used")

    def __init__(self, row: Limit) -> None:
        letter, unit_us = _INTERVALS[row.interval]
        self.kind = row.rate_limit_type
        self.name = f"{row.interval_num}{letter}"
        self.span_us = row.interval_num * unit_us
        self.limit = row.limit
        start = _HEADERS.get(row.rate_limit_type)
        self.header = f"{start}{self.name}" if start else ""
        self.number = -1
        self.used = 0
        self.seen = False

    def at(self, now_us: int) -> int:
        """What is used in the window of this moment."""
        number = now_us // self.span_us
        if number != self.number:
            self.number, self.used = number, 0
        return self.used

    @property
    def open_to_all(self) -> int:
        """How much of it is not reserved."""
        return self.limit * (100 - RESERVED_PERCENT) // 100


#: What holds until exchangeInfo was read. Order limits differ too much to be guessed.
_DEFAULT = (
    Limit(WEIGHT, "MINUTE", 1, DEFAULT_WEIGHT_LIMIT),
    Limit(RAW, "MINUTE", 5, 300_000),
)


class RateBudget:
    """Counts and silences of one connection to the venue. All times are the venue's clock, µs."""

    def __init__(self, limits: Iterable[Limit] = _DEFAULT) -> None:
        self._windows: tuple[_Window, ...] = ()
        self._silent_until_us = 0
        self._no_orders_until_us = 0
        self._knock_us: dict[str, int] = {}
        self.learn(limits)

    def learn(self, limits: Iterable[Limit]) -> None:
        """Take over the venue's limits; counts of windows that stay are kept."""
        known = {(one.kind, one.name): one for one in self._windows}
        fresh = [_Window(row) for row in limits if row.interval in _INTERVALS and row.limit > 0]
        if not any(one.kind == WEIGHT for one in fresh):
            fresh += [one for one in self._windows if one.kind == WEIGHT]
        for one in fresh:
            before = known.get((one.kind, one.name))
            if before is not None:
                one.number, one.used, one.seen = before.number, before.used, before.seen
        self._windows = tuple(fresh)
        self._told = tuple((one.header, one) for one in fresh if one.header)
        self._counted = tuple(one for one in fresh if one.kind in {WEIGHT, RAW})
        self._orders = tuple(one for one in fresh if one.kind == ORDERS)

    # --- may it go out ---------------------------------------------------------------------------

    def refuse_order(self, now_us: int) -> str | None:
        """Say why a new order may not go out now, or None."""
        if now_us < self._no_orders_until_us:
            return f"the venue's order limit was reached; free again in {self._left(now_us)} s"
        for one in self._orders:
            if one.span_us <= LONGEST_HELD_US and one.at(now_us) >= one.limit:
                return f"{one.used} of {one.limit} orders used in this window of {one.name}"
        return self.refuse(1, now_us)

    def refuse(self, weight: int, now_us: int) -> str | None:
        """Say why unreserved traffic of this weight may not go out now, or None."""
        if now_us < self._silent_until_us:
            seconds = (self._silent_until_us - now_us) // SECOND_US + 1
            return f"the venue asked for silence for {seconds} s more"
        for one in self._counted:
            cost = weight if one.kind == WEIGHT else 1
            if one.at(now_us) + cost > one.open_to_all:
                what = "weight" if one.kind == WEIGHT else "requests"
                return f"{what} {one.used} of {one.limit} used; the rest is kept for cancels"
        return None

    def knock_in_us(self, lane: str, now_us: int) -> int:
        """For how long a reserved request of this lane has to wait; 0 lets it go out."""
        return max(0, min(self._knock_us.get(lane, 0), self._silent_until_us) - now_us)

    # --- what went out and came back ------------------------------------------------------------

    def sent(self, weight: int, now_us: int) -> None:
        """Count a request that goes out, until an answer's header corrects the count."""
        for one in self._counted:
            one.used = one.at(now_us) + (weight if one.kind == WEIGHT else 1)

    def order_sent(self, now_us: int) -> None:
        """Count an order that goes out, until an answer's header corrects the count."""
        for one in self._orders:
            one.used = one.at(now_us) + 1

    def answered(self, headers: Mapping[str, str], now_us: int) -> None:
        """Take over the counts that an answer's headers tell."""
        for header, window in self._told:
            value = headers.get(header)
            if value is not None and value.isdigit():
                window.at(now_us)
                window.used = int(value)
                window.seen = True

    def silence(self, seconds: float, now_us: int, lane: str = "") -> None:
        """Send nothing unreserved for so long (429 for weight, 418); `lane` was refused there."""
        self._silent_until_us = max(self._silent_until_us, now_us + int(seconds * SECOND_US))
        if lane:
            self._knock_us[lane] = now_us + int(KNOCK_S * SECOND_US)

    def no_orders(self, seconds: float, now_us: int) -> None:
        """Send no order for so long (429 for the order count, -1015): queries are not meant."""
        self._no_orders_until_us = max(self._no_orders_until_us, now_us + int(seconds * SECOND_US))

    # --- what the view shows --------------------------------------------------------------------

    def used(self, now_us: int) -> int:
        """Weight used in the current minute."""
        return next((one.at(now_us) for one in self._windows if one.kind == WEIGHT), 0)

    def reading(self, now_us: int) -> RateUse | None:
        """Return what the view shows; None before the first header."""
        weight = next(one for one in self._windows if one.kind == WEIGHT)
        if not weight.seen:
            return None
        return RateUse(
            used=weight.at(now_us),
            limit=weight.limit,
            windows=tuple(
                RateWindow(
                    kind=one.kind,
                    window=one.name,
                    used=one.at(now_us) if one.seen or one.kind == RAW else None,
                    limit=one.limit,
                )
                for one in self._windows
            ),
            silent_ms=max(0, self._silent_until_us - now_us) // 1000,
        )

    def _left(self, now_us: int) -> int:
        return (self._no_orders_until_us - now_us) // SECOND_US + 1
