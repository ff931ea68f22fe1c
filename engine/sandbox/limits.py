"""Rate limits (venue.md 2.6): weight, raw requests and connections per IP, orders per account.

Windows are aligned to the calendar. Over a limit of its address a client gets 429 with
Retry-After; one that goes on is banned (418) for two minutes, and each further ban lasts twice as
long, up to three days. RAW_REQUESTS counts every request, whatever its weight, and has no header.
ORDERS counts unfilled orders: one more per order, one less on a first fill as taker, five less on
a first fill as maker, nothing back for a cancel; over it, the answer is 429 *without* Retry-After
(rest-api.md, Unfilled Order Count).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.sandbox.errors import VenueError

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_DAY_US = 86_400 * _SECOND_US
#: Requests sent against a 429 before the address is banned.
_WARNINGS = 20
_BAN_US = 120 * _SECOND_US
_LONGEST_BAN_US = 3 * _DAY_US
_STREAMS = "Please use WebSocket Streams for live updates to avoid"


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
    weight: _Window = field(default_factory=_Window)
    raw: _Window = field(default_factory=_Window)
    connections: _Window = field(default_factory=_Window)
    refused_in: int = -1
    refused: int = 0
    bans: int = 0
    banned_until_us: int = 0


class Limits:
    """Counts of all addresses and accounts."""

    def __init__(
        self,
        *,
        weight_minute: int,
        orders_10s: int,
        orders_day: int,
        raw_5m: int = 300_000,
        connections_5m: int = 300,
    ) -> None:
        self.weight_minute = weight_minute
        self.raw_5m = raw_5m
        self.connections_5m = connections_5m
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
            _limit("RAW_REQUESTS", "MINUTE", 5, self.raw_5m),
        ]

    def charge(self, address: str, weight: int, now_us: int) -> int:
        """Count a request and its weight; return what is used. Raises VenueError -1003."""
        entry = self._address(address, now_us)
        raw = entry.raw.at(now_us // (5 * _MINUTE_US))
        if raw.used >= self.raw_5m:
            limit = f"Too many requests; current limit is {self.raw_5m} requests per 5 MINUTE."
            raise self._refuse(entry, limit, 300, now_us)
        raw.used += 1
        window = entry.weight.at(now_us // _MINUTE_US)
        if window.used + weight > self.weight_minute:
            limit = (
                f"Too much request weight used; current limit is {self.weight_minute} request "
                f"weight per 1 MINUTE. {_STREAMS} polling the API."
            )
            raise self._refuse(entry, limit, 60, now_us)
        window.used += weight
        return window.used

    def connect(self, address: str, now_us: int) -> None:
        """Count a WebSocket connection. Raises VenueError -1003 over 300 in five minutes."""
        entry = self._address(address, now_us)
        window = entry.connections.at(now_us // (5 * _MINUTE_US))
        if window.used >= self.connections_5m:
            limit = (
                f"Too many connections; current limit is {self.connections_5m} connections per "
                "5 MINUTE."
            )
            raise self._refuse(entry, limit, 300, now_us)
        window.used += 1

    def refund(self, address: str, weight: int, now_us: int) -> int:
        """Take weight back (orders that were placed or canceled cost nothing)."""
        window = self._addresses[address].weight.at(now_us // _MINUTE_US)
        window.used = max(0, window.used - weight)
        return window.used

    def used_weight(self, address: str, now_us: int) -> int:
        """Weight used in this minute."""
        entry = self._addresses.get(address)
        return 0 if entry is None else entry.weight.at(now_us // _MINUTE_US).used

    def _address(self, address: str, now_us: int) -> _Address:
        """The counts of an address. Raises VenueError with 418 while it is banned."""
        entry = self._addresses.setdefault(address, _Address())
        if now_us < entry.banned_until_us:
            raise VenueError(
                -1003,
                "Way too much request weight used; IP banned until "
                f"{entry.banned_until_us // 1000}. {_STREAMS} bans.",
                status=418,
                retry_after=(entry.banned_until_us - now_us) // _SECOND_US + 1,
            )
        return entry

    def _refuse(self, entry: _Address, limit: str, span_s: int, now_us: int) -> VenueError:
        """The 429; too many of them in one minute, and the address is banned."""
        minute = now_us // _MINUTE_US
        if entry.refused_in != minute:
            entry.refused_in, entry.refused = minute, 0
        entry.refused += 1
        if entry.refused > _WARNINGS:
            ban_us = min(_BAN_US << entry.bans, _LONGEST_BAN_US)
            entry.banned_until_us = now_us + ban_us
            entry.bans += 1
        left = span_s - now_us // _SECOND_US % span_s
        return VenueError(-1003, limit, status=429, retry_after=left)

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
