"""The request-weight budget: what may still go out, by the venue's own count. Pure.

The venue counts weight per calendar minute and tells the count in every answer's header. A fifth of
the limit is reserved for reducing risk (cancels and the queries that prove them, I13): everything
else stops at 80 %. After 429 or 418 nothing but reserved traffic goes out until the venue's
Retry-After is over. Reserved traffic always passes: better refused by the venue than by ourselves.
"""

from __future__ import annotations

from engine.venues.port import RateUse

RESERVED_PERCENT = 20
DEFAULT_WEIGHT_LIMIT = 6000
MINUTE_US = 60_000_000


class RateBudget:
    """Weight used in the venue's current minute. All times are the venue's clock, µs."""

    def __init__(self, limit: int = DEFAULT_WEIGHT_LIMIT) -> None:
        self.limit = limit
        self._used = 0
        self._minute = 0
        self._seen = False
        self._silent_until_us = 0
        self._no_orders_until_us = 0

    def refuse_order(self, now_us: int) -> str | None:
        """Say why a new order may not go out now, or None."""
        if now_us < self._no_orders_until_us:
            seconds = (self._no_orders_until_us - now_us) // 1_000_000 + 1
            return f"the venue's order limit was reached; free again in {seconds} s"
        return self.refuse(1, now_us)

    def refuse(self, weight: int, now_us: int) -> str | None:
        """Say why unreserved traffic of this weight may not go out now, or None."""
        if now_us < self._silent_until_us:
            seconds = (self._silent_until_us - now_us) // 1_000_000 + 1
            return f"the venue asked for silence for {seconds} s more"
        open_to_all = self.limit * (100 - RESERVED_PERCENT) // 100
        used = self.used(now_us)
        if used + weight > open_to_all:
            return f"weight {used} of {self.limit} used; the rest is kept for cancels"
        return None

    def sent(self, weight: int, now_us: int) -> None:
        """Count a request that goes out, until an answer's header corrects the count."""
        self._used = self.used(now_us) + weight
        self._minute = now_us // MINUTE_US

    def answered(self, used: int, now_us: int) -> None:
        """Take over the count from a header of an answer."""
        self._used = used
        self._minute = now_us // MINUTE_US
        self._seen = True

    def silence(self, seconds: float, now_us: int) -> None:
        """Send nothing unreserved for so long (429 for weight, 418)."""
        self._silent_until_us = max(self._silent_until_us, now_us + int(seconds * 1_000_000))

    def no_orders(self, seconds: float, now_us: int) -> None:
        """Send no order for so long (429 for the order count, -1015): queries are not meant."""
        self._no_orders_until_us = max(self._no_orders_until_us, now_us + int(seconds * 1_000_000))

    def used(self, now_us: int) -> int:
        """Weight used in the current minute."""
        return self._used if now_us // MINUTE_US == self._minute else 0

    def reading(self, now_us: int) -> RateUse | None:
        """Return what the view shows; None before the first header."""
        return RateUse(used=self.used(now_us), limit=self.limit) if self._seen else None
