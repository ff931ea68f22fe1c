"""The venue port: what the engine needs of any exchange. Adapters implement it, nothing else does.

Outcomes of requests that change something are values, never exceptions, because "we do not know"
is one of them (I3). Queries raise VenueQueryFailed: a failed query is unknown, never "flat" (I2).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Protocol

import msgspec

from engine.contracts.errors import PeakError
from engine.contracts.fill import Fill
from engine.contracts.instrument import Instrument
from engine.contracts.order import OrderIntent, Side


class VenueQueryFailed(PeakError):  # noqa: N818
    """A read from the venue failed; nothing is known. `code` is the venue's or transport's."""

    default_code = "VENUE_QUERY"


class OrderReport(msgspec.Struct, frozen=True, kw_only=True):
    """One order as the venue reports it. `status` is the venue's own word (NEW, FILLED, ...)."""

    symbol: str
    client_order_id: str
    venue_order_id: str
    side: Side
    status: str
    price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    filled_quote: Decimal
    time_us: int
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether it can still execute."""
        return self.status in {"NEW", "PARTIALLY_FILLED", "PENDING_NEW", "PENDING_CANCEL"}


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The venue took the order; `report` may already show it filled, `fills` what came with it."""

    report: OrderReport
    fills: tuple[Fill, ...] = ()


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """The venue certainly did not take it (or did not cancel it). `advice` is for the operator."""

    code: str
    reason: str
    advice: str = ""


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """Timeout, 5xx, -1007, dropped connection: the outcome is unknown (I3)."""

    cause: str
    advice: str = ""


SubmitOutcome = Accepted | Rejected | Unknown


class Canceled(msgspec.Struct, frozen=True, kw_only=True):
    """Orders that the venue says it canceled, as they now stand.

    `answered_us` is when its answer had been read, on our monotonic clock; 0 where it has none.
    """

    reports: tuple[OrderReport, ...]
    answered_us: int = 0


CancelOutcome = Canceled | Rejected | Unknown


class ClockReading(msgspec.Struct, frozen=True, kw_only=True):
    """`offset_us` = venue clock minus ours, at the middle of a round trip of `round_trip_us`."""

    offset_us: int
    round_trip_us: int


class BookTop(msgspec.Struct, frozen=True, kw_only=True):
    """The best levels of the maintained book after an update, best first, (price, quantity)."""

    symbol: str
    update_id: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    venue_time_us: int


class TradeTick(msgspec.Struct, frozen=True, kw_only=True):
    """One public trade; `taker_side` is the aggressor's side."""

    symbol: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    taker_side: Side
    venue_time_us: int


class StreamUp(msgspec.Struct, frozen=True, kw_only=True):
    """A stream is connected and in sync (`market` or `user`). After it, reconcile by query."""

    stream: str


class StreamDown(msgspec.Struct, frozen=True, kw_only=True):
    """A stream was lost; the adapter is reconnecting."""

    stream: str
    reason: str


class StreamGap(msgspec.Struct, frozen=True, kw_only=True):
    """The book's sequence broke; the book is being made again from a fresh snapshot."""

    stream: str
    detail: str


MarketEvent = BookTop | TradeTick | StreamUp | StreamDown | StreamGap


class OrderUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """One order changed at the venue.

    `execution` is NEW, TRADE, CANCELED, EXPIRED or REJECTED;
    `fill` is set for TRADE. On CANCELED the report's `client_order_id` is the order's, not the
    cancel's.
    """

    execution: str
    report: OrderReport
    fill: Fill | None = None


class BalanceUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Balances changed: asset -> (free, locked)."""

    balances: dict[str, tuple[Decimal, Decimal]]


UserEvent = OrderUpdate | BalanceUpdate | StreamUp | StreamDown


class PriceBar(msgspec.Struct, frozen=True, kw_only=True):
    """One closed bar of a symbol: prices in quote, volume in base, `open_time_ms` UTC.

    It covers the time up to and including `close_time_ms`, which has passed.
    """

    open_time_ms: int
    close_time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class RateWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One of the venue's calendar windows, such as ORDERS in `10S`; `used` None: not told yet.

    `kind` is REQUEST_WEIGHT (per address), ORDERS (unfilled, per account) or RAW_REQUESTS, which
    the venue does not tell and the adapter counts for itself.
    """

    kind: str
    window: str
    used: int | None
    limit: int


class RateUse(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's own count of our request weight this minute, and its limit.

    `windows` are all limits, `silent_ms` how long the venue still wants silence (429, 418).
    """

    used: int
    limit: int
    windows: tuple[RateWindow, ...] = ()
    silent_ms: int = 0


class StreamQuality(msgspec.Struct, frozen=True, kw_only=True):
    """How good one stream's data is since the venue was opened.

    `age_ms` since the last message of any kind, pongs of the API included. Latency is the time from
    the venue's event to our receipt on the venue's clock as measured, over the last few hundred
    events, whole ms, never below zero; None before the first event. `gaps` counts broken sequences
    and snapshots that did not fit, `reconnects` every connection after the first.
    """

    stream: str
    connected: bool
    age_ms: int | None
    messages: int
    gaps: int
    reconnects: int
    latency_p50_ms: int | None
    latency_p95_ms: int | None
    latency_p99_ms: int | None


class Venue(Protocol):
    """One account on one venue. All methods run on the engine's event loop."""

    name: str

    async def open(self) -> None:
        """Connect and read the rules of the symbols. Raises VenueQueryFailed."""

    async def close(self) -> None:
        """Close every connection."""

    async def clock(self) -> ClockReading:
        """Measure the clock offset and use it from now on for request timestamps."""

    async def instrument(self, symbol: str) -> Instrument:
        """Rules of one symbol. Raises VenueQueryFailed."""

    async def submit(self, intent: OrderIntent) -> SubmitOutcome:
        """Send one order, once. Never retries, never raises for a venue or transport failure."""

    async def cancel(self, symbol: str, client_order_id: str, cancel_id: str) -> CancelOutcome:
        """Cancel one order. Uses the reserved part of the rate budget (I13)."""

    async def cancel_all(self, symbol: str) -> CancelOutcome:
        """Cancel every open order of the symbol; none open is `Canceled(reports=())`."""

    async def order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """Ask for one order; None when the venue has none. Raises VenueQueryFailed."""

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        """All open orders of the symbol. Raises VenueQueryFailed."""

    async def orders(self, symbol: str, since_us: int) -> tuple[OrderReport, ...]:
        """All orders since a time, any state, oldest first. Raises VenueQueryFailed."""

    async def fills(self, symbol: str, since_us: int) -> tuple[Fill, ...]:
        """Own trades since a time, oldest first, paged to the end. Raises VenueQueryFailed.

        The venue's trade list has no client order id: the adapter fills it from the orders it can
        see, else leaves "" (the caller resolves it by `venue_order_id`).
        """

    async def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Asset -> (free, locked), zero balances left out. Raises VenueQueryFailed."""

    async def bars(self, symbol: str, interval: str, limit: int) -> tuple[PriceBar, ...]:
        """The last closed bars, oldest first, at most `limit` (1 to 1000). Raises VenueQueryFailed.

        `interval` is the venue's word for a bar's length (`5m`, `1d`). The bar that is still open
        is left out: its close is not a close yet.
        """

    def market_events(self, symbol: str) -> AsyncIterator[MarketEvent]:
        """Endless: book and trades, reconnecting by itself; ends when the venue is closed."""

    def user_events(self) -> AsyncIterator[UserEvent]:
        """Endless: own orders and balances, reconnecting by itself; ends on close."""

    def rate_use(self) -> RateUse | None:
        """Return the last rate header seen, or None before the first."""

    def quality(self) -> tuple[StreamQuality, ...]:
        """How good the data of each stream is; a stream that was never read is not in it."""
