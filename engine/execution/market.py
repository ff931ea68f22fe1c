"""What the market looks like now, and how old that is (I9).

Holds the best levels, the last trades and the liveness of the venue's streams. Every reading has an
age on the monotonic clock; past its limit it counts as missing, for the screens and for risk alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal

from engine.contracts.instrument import Instrument
from engine.contracts.order import Side
from engine.contracts.view import MarketView, StreamView, TradeView
from engine.execution.clock import monotonic_us
from engine.venues.port import BookTop, MarketEvent, StreamDown, StreamGap, StreamUp, TradeTick

_LEVELS_SHOWN = 12
_TRADES_KEPT = 40


class StreamHealth:
    """Liveness counters of one stream."""

    def __init__(self, name: str, limit_ms: int, now_us: Callable[[], int] = monotonic_us) -> None:
        self.name = name
        self.connected = False
        self.messages = 0
        self.gaps = 0
        self.reconnects = 0
        self._ups = 0
        self._limit_ms = limit_ms
        self._now_us = now_us
        self._last_us: int | None = None

    def heard(self) -> None:
        """Count one message."""
        self.messages += 1
        self._last_us = self._now_us()

    def alive(self) -> None:
        """The stream answered a sign of life without a message of its own."""
        self._last_us = self._now_us()

    def up(self) -> None:
        """The stream is connected and in sync."""
        self.connected = True
        self._ups += 1
        self.reconnects = self._ups - 1
        self._last_us = self._now_us()

    def down(self) -> None:
        """The stream was lost."""
        self.connected = False

    def age_ms(self) -> int | None:
        """Milliseconds since the last message; None before the first."""
        return None if self._last_us is None else (self._now_us() - self._last_us) // 1_000

    def view(self) -> StreamView:
        """The counters as the screens show them."""
        return StreamView(
            name=self.name,
            connected=self.connected,
            age_ms=self.age_ms(),
            limit_ms=self._limit_ms,
            messages=self.messages,
            gaps=self.gaps,
            reconnects=self.reconnects,
        )


class Market:
    """The market of one symbol as last heard."""

    def __init__(
        self, instrument: Instrument, stale_ms: int, now_us: Callable[[], int] = monotonic_us
    ) -> None:
        self.instrument = instrument
        self.stream = StreamHealth("market", stale_ms, now_us)
        self._stale_ms = stale_ms
        self._now_us = now_us
        self._book: BookTop | None = None
        self._book_us = 0
        self._trades: deque[TradeTick] = deque(maxlen=_TRADES_KEPT)
        self._trade_us: int | None = None
        self._before: Decimal | None = None

    def hear(self, event: MarketEvent) -> None:
        """Take one market event."""
        match event:
            case BookTop():
                self.stream.heard()
                self._book = event
                self._book_us = self._now_us()
            case TradeTick():
                self.stream.heard()
                self._trades.append(event)
                self._trade_us = self._now_us()
            case StreamUp():
                self.stream.up()
            case StreamDown():
                self.stream.down()
                self._book = None
            case StreamGap():
                self.stream.gaps += 1
                self._book = None

    def book_age_ms(self) -> int | None:
        """Milliseconds since the last book update; None without a book."""
        return None if self._book is None else (self._now_us() - self._book_us) // 1_000

    @property
    def stale(self) -> bool:
        """Whether the book counts as missing."""
        age = self.book_age_ms()
        return age is None or age > self._stale_ms

    def best(self) -> tuple[Decimal | None, Decimal | None]:
        """Best bid and ask in quote currency; None on a side that is empty or when stale."""
        if self._book is None or self.stale:
            return None, None
        bid = self._book.bids[0][0] if self._book.bids else None
        ask = self._book.asks[0][0] if self._book.asks else None
        return bid, ask

    def mid(self) -> Decimal | None:
        """Middle of the best prices, or None when either is missing or stale."""
        bid, ask = self.best()
        return None if bid is None or ask is None else (bid + ask) / 2

    @property
    def last(self) -> Decimal | None:
        """Price of the last trade known, in quote, however old; None when none is."""
        return self._trades[-1].price if self._trades else self._before

    def traded_before(self, price: Decimal) -> None:
        """Where the symbol last traded before the stream told of a trade, quote."""
        self._before = price

    def view(self) -> MarketView:
        """The market as the screens show it, with its ages."""
        book = self._book
        trade_age = None if self._trade_us is None else (self._now_us() - self._trade_us) // 1_000
        return MarketView(
            symbol=self.instrument.symbol,
            base=self.instrument.base,
            quote=self.instrument.quote,
            tick_size=self.instrument.tick_size,
            step_size=self.instrument.step_size,
            bids=book.bids[:_LEVELS_SHOWN] if book else (),
            asks=book.asks[:_LEVELS_SHOWN] if book else (),
            trades=tuple(
                TradeView(
                    price=tick.price,
                    quantity=tick.quantity,
                    taker=Side(tick.taker_side).value,
                    time_us=tick.venue_time_us,
                )
                for tick in reversed(self._trades)
            ),
            last=self.last,
            book_age_ms=self.book_age_ms(),
            trade_age_ms=trade_age,
            stale=self.stale,
            limit_ms=self._stale_ms,
        )
