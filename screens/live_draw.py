"""Drawing of the live panels: book, trades, position, orders, fills, limits, streams. Pure.

Each live figure carries its age; past its limit, or when the engine itself is silent, the panel's
title says STALE and its figures are greyed (I9). A missing figure is `?`, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from textual.content import Content

from engine.contracts.fill import Fill
from engine.contracts.money import to_text
from engine.contracts.order import OPEN_STATES, Order, Side
from engine.contracts.view import MarketView, PositionView, StateView
from screens.draw import (
    BLANK,
    age,
    amount,
    bar,
    cell,
    clock,
    countdown,
    either,
    fixed,
    join,
    mark,
    short,
    table,
    text,
    title,
)
from screens.model import Model
from screens.words import ORDERS, WATCH, Mark, mark_of

STALE = Mark("▲", "STALE", "now")
LEVELS = 10


def freshness(stale: bool, age_ms: int | None, connected: bool = True) -> Content:  # noqa: FBT001, FBT002
    """Age of a panel, or STALE with its age, or cut off."""
    if not connected:
        return text(f"✖ cut off {age(age_ms)}", "now")
    if stale or age_ms is None:
        return text(f"{STALE.text} {age(age_ms)}", "now")
    return text("fresh" if age_ms < 1000 else age(age_ms), "quiet")


def book_rows(model: Model, width: int, height: int) -> Sequence[Content]:
    """Best levels side by side: bid quantity, bid price, ask price, ask quantity."""
    market = model.state.market if model.state else None
    if market is None:
        return [title("Book", width), text("no market data", "soon")]
    stale = market.stale or model.stale
    end = freshness(stale, model.aged(market.book_age_ms))
    rows = [title(f"Book {market.symbol}", width, end)]
    levels = max(1, min(LEVELS, (height or LEVELS + 2) - 2))
    rows.extend(_level(market, n, width, stale) for n in range(levels))
    rows.append(_spread(market, width, stale))
    return rows


def _level(market: MarketView, n: int, width: int, stale: bool) -> Content:  # noqa: FBT001
    quarter = max(8, (width - 3) // 4)
    tone = "quiet" if stale else "loud" if n == 0 else "plain"

    def side(levels: Sequence[tuple[Decimal, Decimal]]) -> tuple[Content, Content]:
        if n >= len(levels):
            return BLANK, BLANK
        price, quantity = levels[n]
        return (
            text(fixed(price, market.tick_size), tone),
            text(fixed(quantity, market.step_size), "quiet"),
        )

    bid, bid_quantity = side(market.bids)
    ask, ask_quantity = side(market.asks)
    return table([(bid_quantity, bid, ask, ask_quantity)], [quarter] * 4, "rrll")[0]


def _spread(market: MarketView, width: int, stale: bool) -> Content:  # noqa: FBT001
    if not market.bids or not market.asks:
        return text("one side of the book is empty", "soon")
    spread = market.asks[0][0] - market.bids[0][0]
    last = amount(market.last) if market.last is None else fixed(market.last, market.tick_size)
    words = f"spread {to_text(spread)}  last {last} {market.quote}"
    return cell(text(words, "quiet" if stale else "plain"), width)


def trade_rows(model: Model, width: int, height: int) -> Sequence[Content]:
    """The venue's last trades; ▲ the taker bought, ▼ sold."""
    market = model.state.market if model.state else None
    if market is None:
        return [title("Trades", width)]
    stale = market.stale or model.stale
    quiet_long = market.trade_age_ms is None or market.trade_age_ms > market.limit_ms
    end = text(f"last {age(market.trade_age_ms)} ago" if quiet_long else "fresh", "quiet")
    rows = [title("Trades", width, STALE_TITLE if stale else end)]
    for trade in market.trades[: max(0, (height or 6) - 1)]:
        arrow = "▲" if trade.taker == Side.BUY else "▼"
        price = fixed(trade.price, market.tick_size)
        quantity = fixed(trade.quantity, market.step_size)
        words = f"{clock(trade.time_us)} {arrow} {price:>10} {quantity:>12}"
        rows.append(text(words, "quiet" if stale else "plain"))
    return rows


#: Cells of a computed figure: an average has decimals without end, and `~` says that it was cut.
_FIGURE = 14
STALE_TITLE = text(STALE.text, "now")


def position_rows(model: Model, width: int, _height: int) -> Sequence[Content]:
    """Position, P&L and fees per symbol; the window's countdown in the title."""
    state = model.state
    rows = [title("Position", width, window_left(model))]
    if state is None or not state.positions:
        return [*rows, text("flat: no position in this session", "quiet"), BLANK]
    quote = state.market.quote if state.market else ""
    for position in state.positions:
        rows.extend(_position(position, quote, width))
    return rows


def _position(position: PositionView, quote: str, width: int) -> list[Content]:
    average = short(amount(position.average_price), _FIGURE)
    held = f"{position.symbol} {amount(position.quantity, signed=True)} @ {average}"
    marked = f"mark {amount(position.mark)}"
    unrealized = short(amount(position.unrealized, signed=True), _FIGURE)
    realized = short(amount(position.realized, signed=True), _FIGURE)
    gain = f"realized {realized}  open {unrealized} {quote}"
    fees = ", ".join(f"{to_text(fee)} {asset}" for asset, fee in position.fees.items()) or "0"
    return [
        either(text(held, "loud"), text(marked, "quiet"), width),
        either(text(gain), text(f"fees {fees}", "quiet"), width),
    ]


def window_left(model: Model) -> Content:
    """The change window's countdown: amber in the last five minutes, red when over."""
    session = model.session
    if session is None:
        return BLANK
    left = session.charter.window_until_us - model.now_us
    if left <= 0:
        return text("■ window over", "now")
    return text(f"window {countdown(left)}", "soon" if left < 300_000_000 else "quiet")


def order_title(state: StateView | None, width: int) -> Content:
    """How many rest, how many are UNKNOWN."""
    orders = state.orders if state else ()
    resting = sum(order.state in OPEN_STATES for order in orders)
    unknown = sum(order.state.value == "UNKNOWN" for order in orders)
    end = text(f"? {unknown} UNKNOWN", "now") if unknown else text(f"{resting} open", "quiet")
    return title("Orders", width, end)


def order_rows(model: Model, selected: str, focused: bool, width: int) -> list[Content]:  # noqa: FBT001
    """One row an order: pointer, state, side, filled of quantity, price, note."""
    state = model.state
    if state is None or not state.orders:
        hint = ": ^N opens the ticket" if model.role == "operator" else ""
        return [text(f"no orders yet{hint}", "quiet")]
    return [
        _order(order, order.intent.client_order_id == selected, focused, width)
        for order in state.orders
    ]


def _order(order: Order, here: bool, focused: bool, width: int) -> Content:  # noqa: FBT001
    intent = order.intent
    state = mark_of(ORDERS, order.state)
    pointer = text("▶ " if here else "  ", "accent" if focused else "quiet")
    price = amount(intent.price) if intent.price is not None else intent.type.value.lower()
    filled = to_text(intent.quantity)
    if order.filled_quantity != intent.quantity:
        filled = f"{to_text(order.filled_quantity)}/{filled}"
    widths = _WIDE_ORDER_WIDTHS if width >= _WIDE else _ORDER_WIDTHS
    tail = width - 2 - sum(widths) - len(widths)
    parts = (
        text(intent.client_order_id[-4:], "quiet"),
        mark(state),
        text(intent.side.value),
        text(filled),
        text(price),
        text(order.reason, "soon"),
    )
    return join(pointer, table([parts], (*widths, max(0, tail)), "lllrrl")[0])


#: Number, state, side, filled of quantity (once when they are equal), price; what is left of the
#: row is the reason's.
_ORDER_WIDTHS = (4, 10, 4, 9, 8)
_WIDE_ORDER_WIDTHS = (4, 10, 4, 20, 10)
_WIDE = 60


def fill_rows(model: Model, width: int, height: int) -> Sequence[Content]:
    """Most recent fills first."""
    state = model.state
    fills: tuple[Fill, ...] = state.fills if state else ()
    rows = [title("Fills", width, text(str(len(fills)), "quiet"))]
    for fill in fills[: max(0, (height or 5) - 1)]:
        fee = f"{to_text(fill.fee)} {fill.fee_asset}"
        what = f"{fill.side.value:<4} {to_text(fill.quantity)} @ {to_text(fill.price)}"
        words = f"{clock(fill.time_us)} {what}"
        rows.append(either(text(words), text(fee, "quiet"), width))
    return rows


def limit_rows(model: Model, width: int, height: int) -> Sequence[Content]:
    """The limits most used first: name, bar where there is room, used of limit."""
    state = model.state
    rows = [title("Limits", width)]
    limits = sorted(state.limits, key=lambda row: -row.used_percent) if state else []
    # Names and numbers are read; the bar only says the percent again.
    size, numbers = (12, 26) if width >= _WIDE else (0, 16)
    name_width = max(8, width - size - bool(size) - 4 - numbers - 2)
    for row in limits[: max(0, (height or 9) - 1)]:
        shape = "■" if row.used_percent >= 100 else "▲" if row.used_percent >= 75 else " "
        words = f"{short(row.used, numbers - len(row.limit) - len(row.unit) - 2)}"
        words = f"{words}/{row.limit} {row.unit}".rstrip()
        parts = (
            text(f"{shape} {row.text}"),
            bar(row.used_percent, size),
            text(f"{row.used_percent}%"),
        )
        columns = table([(*parts, text(words))], (name_width, size, 4, numbers), "llrr")
        rows.append(columns[0])
    return rows


def stream_row(model: Model, width: int) -> Sequence[Content]:
    """One line: each stream of the venue with its age, the clock's offset, the watchdog."""
    state = model.state
    venue = state.venue if state else None
    if state is None or venue is None:
        return [cell(text("venue: not connected", "soon"), width)]
    parts = [text(venue.name, "quiet")]
    for stream in venue.streams:
        late = stream.age_ms is None or stream.age_ms > stream.limit_ms
        words = f"{stream.name} "
        parts.append(
            join(
                text(words, "quiet"),
                freshness(late or model.stale, model.aged(stream.age_ms), stream.connected),
            )
        )
    parts += _beside_streams(state, model)
    offset = "?" if venue.clock_offset_ms is None else f"{venue.clock_offset_ms} ms"
    clock_offset = text(f"clock {offset}", "quiet")
    watchdog = state.engine.watchdog
    calm = watchdog == "watching"
    used = "?" if venue.used_weight is None else str(venue.used_weight)
    weight = text(f"weight {used}/{venue.weight_limit}", "quiet")
    guard = text(f"watchdog {watchdog}", "quiet" if calm else "soon")
    parts += [clock_offset, guard, weight]
    # What no one misses goes first.
    for least in (weight, parts[0], clock_offset, *([guard] if calm else [])):
        if sum(part.cell_length + 2 for part in parts) - 2 > width:
            parts.remove(least)
    return [cell(Content("  ").join(parts), width)]


def _beside_streams(state: StateView, model: Model) -> list[Content]:
    """What the running reconciliation says, and orders in the account that are not ours."""
    watch = state.recon_watch
    said = mark_of(WATCH, watch.state)
    since = model.aged(watch.age_ms)
    parts = []
    if watch.state == "agree" and watch.limit_ms > 0 and (since is None or since > watch.limit_ms):
        parts.append(join(text("recon ", "quiet"), text(f"{STALE.text} {age(since)}", "now")))
    elif watch.state != "never":
        words = said.word if watch.state == "agree" else f"{said.text} {age(since)}"
        parts.append(join(text("recon ", "quiet"), text(words, said.tone)))
    waiting = sum(one.state in {"open", "cancel_requested"} for one in state.orphans)
    if waiting:
        parts.append(text(f"■ {waiting} ORPHAN{'S' * (waiting > 1)} ^O", "now"))
    return parts
