"""Rate limits (venue.md 2.6): request weight per IP, order counts per account.

Windows are aligned to the calendar. Over the weight limit a client gets 429 with Retry-After; one
that goes on is banned (418) for two minutes. ORDERS counts unfilled orders: one more per order,
one less on a first fill as taker, five less on a first fill as maker, nothing back for a cancel.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.sandbox.errors import VenueError

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_DAY_US = 86_400 * _SECOND_US
#: Requests sent against a 429 before the address is banned.
_WARNINGS = 20
_BAN_US = 120 * _SECOND_US


@dataclass(slots=True)
class _Window:
    number: int = -1
    used: int = 0

    def at(self, number: int) -> _Window:
        """Return this window, emptied when the calendar has moved on."""
        if number != self.number:
            self.number, self.used = number, 0
        return self


@dataclass(slots=True)
class _Address:
    window: _Window
    refused: int = 0
    banned_until_us: int = 0


class Limits:
    """Counts of all addresses and accounts."""

    def __init__(self, *, weight_minute: int, orders_10s: int, orders_day: int) -> None:
        self.weight_minute = weight_minute
        self.orders_10s = orders_10s
        self.orders_day = orders_day
        self._addresses: dict[str, _Address] = {}
        self._orders: dict[str, tuple[_Window, _Window]] = {}

    def document(self) -> list[dict[str, object]]:
        """The rateLimits of exchangeInfo."""
        return [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, self.weight_minute),
            _limit("ORDERS", "SECOND", 10, self.orders_10s),
            _limit("ORDERS", "DAY", 1, self.orders_day),
            _limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
        ]

    def charge(self, address: str, weight: int, now_us: int) -> int:
        """Add weight and return what is used. Raises VenueError -1003 with 429 or 418."""
        entry = self._addresses.setdefault(address, _Address(_Window()))
        if now_us < entry.banned_until_us:
            left = (entry.banned_until_us - now_us) // _SECOND_US + 1
            raise VenueError(
                -1003,
                f"Way too much request weight used; IP banned until "
                f"{entry.banned_until_us // 1000}.",
                status=418,
                retry_after=left,
            )
        window = entry.window.at(now_us // _MINUTE_US)
        if not window.used:
            entry.refused = 0
        if window.used + weight > self.weight_minute:
            entry.refused += 1
            if entry.refused > _WARNINGS:
                entry.banned_until_us = now_us + _BAN_US
            raise VenueError(
                -1003,
                f"Too much request weight used; current limit is {self.weight_minute} request "
                "weight per 1 MINUTE.",
                status=429,
                retry_after=60 - now_us // _SECOND_US % 60,
            )
        window.used += weight
        return window.used

    def refund(self, address: str, weight: int, now_us: int) -> int:
        """Take weight back (orders that were placed or canceled cost nothing)."""
        window = self._addresses[address].window.at(now_us // _MINUTE_US)
        window.used = max(0, window.used - weight)
        return window.used

    def used_weight(self, address: str, now_us: int) -> int:
        """Weight used in this minute."""
        entry = self._addresses.get(address)
        return 0 if entry is None else entry.window.at(now_us // _MINUTE_US).used

    def count_order(self, account: str, now_us: int) -> None:
        """Count a new order. Raises VenueError -1015 when a window is full."""
        short, day = self._windows(account, now_us)
        for window, limit, span in (
            (short, self.orders_10s, "10 SECOND"),
            (day, self.orders_day, "1 DAY"),
        ):
            if window.used >= limit:
                raise VenueError(
                    -1015,
                    f"Too many new orders; current limit is {limit} orders per {span}.",
                    status=429,
                    retry_after=10 - now_us // _SECOND_US % 10,
                )
        short.used += 1
        day.used += 1

    def uncount_order(self, account: str, now_us: int, by: int) -> None:
        """Give back for a first fill or for an order that was refused after all."""
        for window in self._windows(account, now_us):
            window.used = max(0, window.used - by)

    def order_counts(self, account: str, now_us: int) -> tuple[int, int]:
        """Unfilled orders in these 10 seconds and this day."""
        short, day = self._windows(account, now_us)
        return short.used, day.used

    def _windows(self, account: str, now_us: int) -> tuple[_Window, _Window]:
        short, day = self._orders.setdefault(account, (_Window(), _Window()))
        return short.at(now_us // (10 * _SECOND_US)), day.at(now_us // _DAY_US)


def _limit(kind: str, interval: str, number: int, limit: int) -> dict[str, object]:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
    }
