"""The three-way comparison: engine, journal and venue, on orders, fills, fees, positions, balances.

Pure: rows in, report out (amounts are finite, as `money.parse_decimal` reads them). Promises:

* agreement on all sides gives no break; every difference gives at least one, of a known cause;
* the order of the rows does not matter, and the same input gives the same bytes;
* linear: each side is joined by a dict, equal rows cost one comparison;
* I2: nothing is repaired here. The report says what each side says; people answer.

An order that we hold as REJECTED need not be at the venue: it never was. Venue ids are compared
where a side knows them. What a side cannot tell (an order id "" of a trade) is no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec

from engine.contracts.money import ZERO, to_text
from engine.orders.exact import subtract
from engine.reconcile.causes import CAUSES, GREEN, RED, YELLOW
from engine.reconcile.report import Break, Report
from engine.reconcile.rows import (
    CANCELED,
    ENDED,
    EXPIRED,
    FILLED,
    OPEN,
    REJECTED,
    UNKNOWN,
    FillRow,
    OrderRow,
    Sides,
)

__all__ = ["Break", "FillRow", "OrderRow", "Report", "Sides", "reconcile"]

#: The last digit that venues keep of a fee or balance: what rounding may differ by.
ROUNDING = Decimal("0.00000001")

_NOTHING = "-"
_RANK = {RED: 0, YELLOW: 1, GREEN: 2}
_UNFILLED = frozenset({CANCELED, EXPIRED, REJECTED, ENDED})
_ENDED = _UNFILLED | {FILLED}

Row = TypeVar("Row", OrderRow, FillRow)


class _Found(msgspec.Struct, frozen=True):
    """A break before it has its number: cause code, key, and the three sides' words."""

    code: str
    key: str
    engine: str
    journal: str
    venue: str


def reconcile(
    run_id: str,
    session_id: str,
    at_us: int,
    sides: Sides,
    first_seen_us: Mapping[tuple[str, str], int] | None = None,
) -> Report:
    """Compare the sides at a moment (µs UTC) and report every difference.

    `first_seen_us`: when an earlier run first saw a break, by cause code and key.
    """
    found: list[_Found] = []
    ours = {row.client_order_id for row in (*sides.engine_orders, *sides.journal_orders)}
    orders = _compare_orders(sides, found)
    fills = _compare_fills(sides, ours, found) + sides.agreed_fills
    positions = _compare_positions(sides, found)
    balances = _compare_balances(sides, found)
    return Report(
        run_id=run_id,
        session_id=session_id,
        at_us=at_us,
        compared={
            "orders": orders,
            "fills": fills,
            "fees": fills,
            "positions": positions,
            "balances": balances,
        },
        breaks=_numbered(found, at_us, first_seen_us or {}),
    )


# --- orders ------------------------------------------------------------------------------------


def _order_key(row: OrderRow) -> str:
    return row.client_order_id or f"venue:{row.venue_order_id}"


def _compare_orders(sides: Sides, found: list[_Found]) -> int:
    three = [
        _joined(rows, _order_key, "ORDER_TWICE", place, _order_text, found)
        for place, rows in enumerate(
            (sides.engine_orders, sides.journal_orders, sides.venue_orders)
        )
    ]
    engine, journal, venue = three
    keys = engine.keys() | journal.keys() | venue.keys()
    for key in keys:
        row = (engine.get(key), journal.get(key), venue.get(key))
        if _all_equal(*row) and row[0] is not None and row[0].state_class != UNKNOWN:
            continue
        words = tuple(_NOTHING if one is None else _order_text(one) for one in row)
        for code in _order_causes(*row):
            told = "ORDER_ORPHAN_ENDED" if _quiet(code, row[2], sides.ended_orphans) else code
            found.append(_Found(told, key, *words))
    return len(keys)


def _quiet(code: str, venue: OrderRow | None, ended: frozenset[str]) -> bool:
    """Whether this is a stranger's order whose end is recorded, and that moved no money."""
    if code != "ORDER_ORPHAN" or venue is None or venue.filled_quantity:
        return False
    return venue.state_class in _UNFILLED and venue.venue_order_id in ended


def _order_causes(
    engine: OrderRow | None, journal: OrderRow | None, venue: OrderRow | None
) -> Iterator[str]:
    if engine is None and journal is None:
        yield "ORDER_ORPHAN"
        return
    if engine is None:
        yield "ORDER_MISSING_ENGINE"
    if journal is None:
        yield "ORDER_MISSING_JOURNAL"
    present = [row for row in (engine, journal, venue) if row is not None]
    own = [row for row in (engine, journal) if row is not None]
    in_doubt = any(row.state_class == UNKNOWN for row in present)
    if venue is None and in_doubt and any(row.venue_order_id is not None for row in own):
        # In doubt, and what the venue had once acknowledged it now does not show.
        yield "ORDER_MISSING_VENUE"
    elif in_doubt:
        yield "ORDER_UNKNOWN"
    elif venue is None and not all(_never_there(row) for row in own):
        yield "ORDER_MISSING_VENUE"
    if not in_doubt:
        yield from _state_causes(own, venue)
    yield from _order_field_causes(present)


def _order_field_causes(present: list[OrderRow]) -> Iterator[str]:
    if _differ(row.venue_order_id for row in present if row.venue_order_id is not None):
        yield "ORDER_VENUE_ID"
    if _differ(row.quantity for row in present):
        yield "ORDER_QUANTITY"
    if _differ(row.filled_quantity for row in present):
        yield "ORDER_FILLED"
    if _differ(row.price or ZERO for row in present):
        yield "ORDER_PRICE"


def _state_causes(own: list[OrderRow], venue: OrderRow | None) -> Iterator[str]:
    """How the states differ, if they do. Two sides of ours that differ is always red."""
    classes = {row.state_class for row in own}
    if ENDED in classes and classes <= _UNFILLED:
        classes = classes - {ENDED} or classes
    if len(classes) > 1:
        yield "ORDER_STATE"
        return
    (here,) = classes
    if venue is None or venue.state_class == here:
        return
    if here == ENDED and venue.state_class in _UNFILLED:
        return
    if venue.state_class == OPEN and here in _ENDED:
        yield "ORDER_ALIVE"
    elif here == OPEN and venue.state_class in _ENDED:
        yield "ORDER_LATE"
    elif {here, venue.state_class} == {CANCELED, EXPIRED}:
        yield "ORDER_ENDING"
    else:
        yield "ORDER_STATE"


def _never_there(row: OrderRow) -> bool:
    """Rejected, or closed without ever having been shown by the venue."""
    if row.state_class == ENDED:
        return row.venue_order_id is None and not row.filled_quantity
    return row.state_class == REJECTED


def _order_text(row: OrderRow) -> str:
    price = "market" if not row.price else to_text(row.price)
    filled = f"{to_text(row.filled_quantity)} of {to_text(row.quantity)}"
    return f"{row.state_class} {filled} at {price}, venue id {row.venue_order_id or _NOTHING}"


# --- fills and their fees ----------------------------------------------------------------------


def _compare_fills(sides: Sides, ours: set[str], found: list[_Found]) -> int:
    key_of = _fill_key_of(sides)
    engine, journal, venue = (
        _joined(rows, key_of, "FILL_TWICE", place, _fill_text, found)
        for place, rows in enumerate((sides.engine_fills, sides.journal_fills, sides.venue_fills))
    )
    keys = engine.keys() | journal.keys() | venue.keys()
    for key in keys:
        row = (engine.get(key), journal.get(key), venue.get(key))
        if _all_equal(*row):
            continue
        words = tuple(_NOTHING if one is None else _fill_text(one) for one in row)
        found.extend(_Found(code, key, *words) for code in _fill_causes(*row, ours))
    return len(keys)


def _fill_key_of(sides: Sides) -> Callable[[FillRow], str]:
    """Trade ids count per symbol. A row without one takes the only symbol that has its trade id.

    With several (or none) it stands for itself: nothing is guessed.
    """
    symbols: dict[str, set[str]] = {}
    bare: set[str] = set()
    for side in (sides.engine_fills, sides.journal_fills, sides.venue_fills):
        bare.update(row.trade_id for row in side if not row.symbol)
    if bare:
        for side in (sides.engine_fills, sides.journal_fills, sides.venue_fills):
            for row in side:
                if row.symbol and row.trade_id in bare:
                    symbols.setdefault(row.trade_id, set()).add(row.symbol)

    def key_of(row: FillRow) -> str:
        if row.symbol:
            return f"{row.symbol}:{row.trade_id}"
        known = symbols.get(row.trade_id, ())
        return f"{next(iter(known))}:{row.trade_id}" if len(known) == 1 else row.trade_id

    return key_of


def _fill_causes(
    engine: FillRow | None, journal: FillRow | None, venue: FillRow | None, ours: set[str]
) -> Iterator[str]:
    if engine is None and journal is None and venue is not None:
        known = venue.client_order_id in ours
        if not known and venue.client_order_id:
            yield "FILL_ORPHAN"
            return
    if engine is None:
        yield "FILL_MISSING_ENGINE"
    if journal is None:
        yield "FILL_MISSING_JOURNAL"
    if venue is None:
        yield "FILL_MISSING_VENUE"
    present = [row for row in (engine, journal, venue) if row is not None]
    if _differ(row.price for row in present):
        yield "FILL_PRICE"
    if _differ(row.quantity for row in present):
        yield "FILL_QUANTITY"
    if _differ(row.side for row in present):
        yield "FILL_SIDE"
    if _differ(row.client_order_id for row in present if row.client_order_id):
        yield "FILL_ORDER"
    yield from _fee_causes(present)


def _fee_causes(present: list[FillRow]) -> Iterator[str]:
    if _differ(row.fee_asset for row in present if row.fee):
        yield "FEE_ASSET"
        return
    spread = _spread([row.fee for row in present])
    if spread > ROUNDING:
        yield "FEE_AMOUNT"
    elif spread:
        yield "FEE_ROUNDING"


def _fill_text(row: FillRow) -> str:
    fee = f"fee {to_text(row.fee)} {row.fee_asset}"
    trade = f"{row.side} {to_text(row.quantity)} at {to_text(row.price)}"
    return f"{trade}, {fee}, order {row.client_order_id or _NOTHING}"


# --- positions and balances --------------------------------------------------------------------


def _compare_positions(sides: Sides, found: list[_Found]) -> int:
    three = (sides.engine_positions, sides.journal_positions, sides.venue_positions)
    keys = _all_keys(three)
    for key in keys:
        values = [side.get(key, ZERO) for side in three]
        if _differ(values):
            found.append(_Found("POSITION", key, *(to_text(value) for value in values)))
    return len(keys)


def _compare_balances(sides: Sides, found: list[_Found]) -> int:
    read = (sides.engine_balances, sides.journal_balances, sides.venue_balances)
    if any(side is None for side in read):
        words = ("not read" if side is None else "read" for side in read)
        found.append(_Found("BALANCE_NOT_READ", "all", *words))
    sides_read = [side for side in read if side is not None]
    keys = _all_keys(sides_read)
    for key in keys:
        spread = _spread([side.get(key, ZERO) for side in sides_read])
        if spread:
            words = (_NOTHING if side is None else to_text(side.get(key, ZERO)) for side in read)
            code = "BALANCE" if spread > ROUNDING else "BALANCE_ROUNDING"
            found.append(_Found(code, key, *words))
    return len(keys)


# --- common ------------------------------------------------------------------------------------


def _joined(
    rows: Sequence[Row],
    key_of: Callable[[Row], str],
    twice: str,
    place: int,
    text_of: Callable[[Row], str],
    found: list[_Found],
) -> dict[str, Row]:
    """Rows by key. A key told twice is a break; the least row by its words stands for it."""
    by_key = {key_of(row): row for row in rows}
    if len(by_key) == len(rows):
        return by_key
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key_of(row), []).append(row)
    for key, group in groups.items():
        group.sort(key=lambda row: (text_of(row), msgspec.json.encode(row)))
        by_key[key] = group[0]
        if len(group) > 1:
            words = [_NOTHING, _NOTHING, _NOTHING]
            words[place] = " | ".join(text_of(row) for row in group)
            found.append(_Found(twice, key, *words))
    return by_key


def _all_equal(engine: object, journal: object, venue: object) -> bool:
    return engine == journal == venue


def _differ(values: Iterable[object]) -> bool:
    return len(set(values)) > 1


def _spread(values: list[Decimal]) -> Decimal:
    """Largest minus smallest, exactly; 0 for none."""
    return subtract(max(values), min(values)) if values else ZERO


def _all_keys(sides: Iterable[Mapping[str, Decimal]]) -> set[str]:
    return {key for side in sides for key in side}


def _numbered(
    found: list[_Found], at_us: int, first_seen_us: Mapping[tuple[str, str], int]
) -> tuple[Break, ...]:
    """Breaks with their numbers, in an order that depends on nothing but themselves."""

    def place(one: _Found) -> tuple[int, str, str, str, str, str, str]:
        cause = CAUSES[one.code]
        rank = _RANK[cause.klass]
        return rank, cause.subject, one.key, one.code, one.engine, one.journal, one.venue

    return tuple(
        _break(number, one, min(at_us, first_seen_us.get((one.code, one.key), at_us)))
        for number, one in enumerate(sorted(found, key=place), start=1)
    )


def _break(number: int, one: _Found, first_seen_us: int) -> Break:
    cause = CAUSES[one.code]
    return Break(
        id=f"B{number:04d}",
        klass=cause.klass,
        subject=cause.subject,
        key=one.key,
        engine=one.engine,
        journal=one.journal,
        venue=one.venue,
        cause=f"{cause.code}: {cause.text}",
        owner=cause.owner,
        likely=cause.likely,
        first_seen_us=first_seen_us,
    )
