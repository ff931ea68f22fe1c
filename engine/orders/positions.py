"""The position ledger: what the fills did to quantity, cost, profit and cash (I11).

Theory. For each symbol three exact sums are kept: `quantity` held, `traded` (quote received by
sells minus quote paid by buys) and `fee_cost` (quote value of the fees paid in base). The one
inexact number is `cost`, the quote cost of what is still held by average cost, because taking a
part out of it is a division: it is rounded to 18 decimals, at most 5E-19 quote a reduction, and
is exactly zero whenever the position is. Profit is then *defined* from them,

    realized = traded + fee_cost + cost,

so that profit less fees equals the cash flow to the last digit, always; rounding can only move
value between `realized` and what is still held, and is gone when the position is flat. The lots
(first in, first out) need no division at all: `realized_fifo` is exact, and equals `realized`
when flat.

Fees. `realized` is before fees. Fees stay in the asset they were paid in (`fees`). A fee in the
base asset also lowers the quantity held, so `quantity` is net of such fees: it is booked as a
sale of that much at the fill's own price, whose proceeds (`fee_cost`) pay the fee. A rebate is a
negative fee. `cash` is what the account's balances changed by, fees included, by asset.

A short position (negative quantity) is possible: a session may sell what was held before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from engine.contracts.event import OrderFilled, Recorded
from engine.contracts.fill import Fill
from engine.contracts.instrument import Instrument
from engine.contracts.money import ZERO
from engine.contracts.order import Side
from engine.orders.exact import add, multiply, share, subtract, tidy
from engine.orders.machine import fill_is_usable

#: Quote assets by which a symbol is split when its instrument was not given, longest first.
QUOTE_ASSETS = ("FDUSD", "USDT", "USDC", "TUSD", "EUR", "TRY", "BRL", "BTC", "ETH", "BNB")


#: A venue's trade id that is a number has no more.
_DIGITS = 18


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of one fill: signed base quantity, price in quote, time in µs UTC."""

    trade_id: str
    quantity: Decimal
    price: Decimal
    time_us: int


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol. `quantity` in base, net of base fees; money in quote, before fees.

    `average_price` is `cost / quantity` (18 decimals) or None when flat. `cost` has the sign of
    `quantity`. `fees` and `cash` are by asset; `cash` includes the fees.
    """

    symbol: str
    base: str
    quote: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    average_price: Decimal | None = None
    realized: Decimal = ZERO
    realized_fifo: Decimal = ZERO
    fee_cost: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    cash: dict[str, Decimal] = {}


class _Book:
    """The running sums of one symbol."""

    __slots__ = (
        "base",
        "cash",
        "cost",
        "fee_cost",
        "fees",
        "fifo",
        "lots",
        "quantity",
        "quote",
        "traded",
    )

    def __init__(self, base: str, quote: str) -> None:
        self.base = base
        self.quote = quote
        self.quantity = ZERO
        self.cost = ZERO
        self.traded = ZERO
        self.fee_cost = ZERO
        self.fifo = ZERO
        self.fees: dict[str, Decimal] = {}
        self.cash: dict[str, Decimal] = {base: ZERO, quote: ZERO}
        self.lots: deque[Lot] = deque()


class PositionLedger:
    """Positions folded from fills, each trade once.

    `instruments` gives the base and quote of symbols; without it they are read off the symbol
    (`split_symbol`). `session_id` restricts the ledger to the fills of one session.
    """

    def __init__(
        self, instruments: Iterable[Instrument] = (), session_id: str | None = None
    ) -> None:
        self._assets = {one.symbol: (one.base, one.quote) for one in instruments}
        self._session_id = session_id
        self._books: dict[str, _Book] = {}
        # by session and symbol: a venue that is wiped between sessions counts from one again
        self._seen: dict[tuple[str, str], set[int | str]] = {}

    def apply(self, recorded: Recorded) -> bool:
        """Fold one record. Only a new trade with usable numbers changes anything: then True."""
        event = recorded.event
        if not isinstance(event, OrderFilled):
            return False
        if self._session_id is not None and event.session_id != self._session_id:
            return False
        seen = self._seen.setdefault((event.session_id, event.fill.symbol), set())
        trade = _short(event.fill.trade_id)
        if trade in seen or not fill_is_usable(event.fill):
            return False
        seen.add(trade)
        _book_fill(self._book(event.fill.symbol), event.fill)
        return True

    def position(self, symbol: str) -> Position:
        """Return the position; a symbol without fills is flat."""
        return _position(
            symbol, self._book(symbol) if symbol in self._books else self._empty(symbol)
        )

    def positions(self) -> dict[str, Position]:
        """Every symbol that was traded, flat ones included, by name."""
        return {symbol: _position(symbol, self._books[symbol]) for symbol in sorted(self._books)}

    def lots(self, symbol: str) -> tuple[Lot, ...]:
        """Open lots, oldest first; their quantities sum to the position's."""
        book = self._books.get(symbol)
        return () if book is None else tuple(book.lots)

    def cash(self) -> dict[str, Decimal]:
        """What all symbols together changed the balances by, by asset, fees included."""
        total: dict[str, Decimal] = {}
        for book in self._books.values():
            for asset, amount in book.cash.items():
                total[asset] = add(total.get(asset, ZERO), amount)
        return {asset: tidy(total[asset]) for asset in sorted(total)}

    def _book(self, symbol: str) -> _Book:
        if symbol not in self._books:
            self._books[symbol] = self._empty(symbol)
        return self._books[symbol]

    def _empty(self, symbol: str) -> _Book:
        return _Book(*self._assets.get(symbol, split_symbol(symbol)))


def _short(trade_id: str) -> int | str:
    """The id as a number where that is the same: a third of the memory, for every trade ever."""
    if len(trade_id) > _DIGITS or not (trade_id.isascii() and trade_id.isdecimal()):
        return trade_id
    number = int(trade_id)
    return number if str(number) == trade_id else trade_id


def unrealized(position: Position, mark: Decimal) -> Decimal:
    """Profit in quote if all that is held were traded at `mark`, before fees. Exact."""
    return subtract(multiply(position.quantity, mark), position.cost)


def net_profit(
    position: Position, mark: Decimal | None, fee_marks: Mapping[str, Decimal] | None = None
) -> Decimal | None:
    """Realized plus unrealized less all fees, in quote; None when something has no price (I12).

    `mark` is needed unless flat. Fees in a third asset need its price in quote in `fee_marks`.
    """
    realized = net_realized(position, fee_marks)
    if not position.quantity or realized is None:
        return realized
    return None if mark is None else add(realized, unrealized(position, mark))


def net_realized(
    position: Position, fee_marks: Mapping[str, Decimal] | None = None
) -> Decimal | None:
    """Realized less all fees, in quote; None when a fee has no price (I12)."""
    fees, unpriced = fees_in_quote(position, fee_marks or {})
    return None if unpriced else subtract(position.realized, fees)


def fees_in_quote(
    position: Position, fee_marks: Mapping[str, Decimal]
) -> tuple[Decimal, dict[str, Decimal]]:
    """Quote value of the fees that have a price, and the amounts of those that have none.

    Fees in base are worth what they were at their own fill (`fee_cost`), fees in quote what they
    are; a third asset, such as BNB, needs its price in quote in `fee_marks`. Exact.
    """
    value = position.fee_cost
    unpriced: dict[str, Decimal] = {}
    for asset, amount in position.fees.items():
        if asset == position.base or not amount:
            continue
        price = Decimal(1) if asset == position.quote else fee_marks.get(asset)
        if price is None:
            unpriced[asset] = amount
        else:
            value = add(value, multiply(amount, price))
    return value, unpriced


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote of a symbol by the known quote assets; an unknown one is its own base."""
    for quote in QUOTE_ASSETS:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote), quote
    return symbol, "QUOTE"


def _position(symbol: str, book: _Book) -> Position:
    average = share(book.cost, Decimal(1), book.quantity) if book.quantity else None
    return Position(
        symbol=symbol,
        base=book.base,
        quote=book.quote,
        quantity=tidy(book.quantity),
        cost=tidy(book.cost),
        average_price=None if average is None else tidy(average),
        realized=tidy(add(add(book.traded, book.fee_cost), book.cost)),
        realized_fifo=tidy(book.fifo),
        fee_cost=tidy(book.fee_cost),
        fees={asset: tidy(book.fees[asset]) for asset in sorted(book.fees)},
        cash={asset: tidy(book.cash[asset]) for asset in sorted(book.cash)},
    )


def _book_fill(book: _Book, fill: Fill) -> None:
    value = multiply(fill.price, fill.quantity)
    signed = fill.quantity if fill.side is Side.BUY else fill.quantity.copy_negate()
    book.traded = subtract(book.traded, value) if signed > 0 else add(book.traded, value)
    _trade(book, fill, signed)
    book.fees[fill.fee_asset] = add(book.fees.get(fill.fee_asset, ZERO), fill.fee)
    if fill.fee_asset == book.base and fill.fee:
        _trade(book, fill, fill.fee.copy_negate())
        book.fee_cost = add(book.fee_cost, multiply(fill.price, fill.fee))
    _flow(book, book.base, signed)
    _flow(book, book.quote, value.copy_negate() if signed > 0 else value)
    _flow(book, fill.fee_asset, fill.fee.copy_negate())


def _flow(book: _Book, asset: str, amount: Decimal) -> None:
    book.cash[asset] = add(book.cash.get(asset, ZERO), amount)


def _trade(book: _Book, fill: Fill, signed: Decimal) -> None:
    """Move quantity, cost and lots by a trade of `signed` base at the fill's price."""
    opening = signed
    if book.quantity and (book.quantity > 0) != (signed > 0):
        closing = min(signed.copy_abs(), book.quantity.copy_abs())
        closing = closing if signed > 0 else closing.copy_negate()
        left = add(book.quantity, closing)
        book.cost = share(book.cost, left, book.quantity)
        _consume(book, fill.price, closing.copy_abs())
        book.quantity = left
        opening = subtract(signed, closing)
    if opening:
        book.quantity = add(book.quantity, opening)
        book.cost = add(book.cost, multiply(opening, fill.price))
        book.lots.append(
            Lot(trade_id=fill.trade_id, quantity=opening, price=fill.price, time_us=fill.time_us)
        )


def _consume(book: _Book, price: Decimal, quantity: Decimal) -> None:
    """Take `quantity` (positive) out of the oldest lots at `price`."""
    rest = quantity
    while rest:
        lot = book.lots.popleft()
        taken = min(rest, lot.quantity.copy_abs())
        moved = taken if lot.quantity > 0 else taken.copy_negate()
        book.fifo = add(book.fifo, multiply(moved, subtract(price, lot.price)))
        rest = subtract(rest, taken)
        left = subtract(lot.quantity, moved)
        if left:
            book.lots.appendleft(msgspec.structs.replace(lot, quantity=left))
