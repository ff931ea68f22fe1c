"""Stress: what the present positions would lose on a day that was, or that one can think of.

A shock is a relative move of each instrument's price, as data (TOML read elsewhere): the moves of a
historical day with its source, or a hypothesis. Exact, in Decimal: this is the price of positions,
not an estimate. A position without a move in a shock is not "unmoved" but not covered: the result
says so and counts as incomplete (I12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from engine.contracts.money import ZERO, plain
from engine.orders.exact import add, multiply

#: The key of a shock's moves that stands for every instrument it does not name.
EVERY = "*"


class Shock(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario. `moves`: symbol (or `*`) to relative price change, -0.2 is a fall by 20 %.

    `kind` is `historical` or `hypothetical`; `source` says where a historical figure is from.
    """

    name: str
    kind: str
    text: str
    moves: dict[str, Decimal]
    source: str = ""


class Exposed(msgspec.Struct, frozen=True, kw_only=True):
    """One position: base quantity (long positive) and the price it is valued at, in quote."""

    symbol: str
    quantity: Decimal
    price: Decimal


class StressResult(msgspec.Struct, frozen=True, kw_only=True):
    """P&L of all positions under one shock, in quote; negative is a loss.

    `parts` has each covered position's share; `not_covered` the symbols the shock says nothing of.
    """

    shock: str
    kind: str
    text: str
    source: str
    profit: Decimal
    parts: dict[str, Decimal]
    not_covered: tuple[str, ...]


def stress(positions: Sequence[Exposed], shocks: Sequence[Shock]) -> tuple[StressResult, ...]:
    """Value every shock on the positions, worst first, equal ones by name."""
    results = [_one(positions, shock) for shock in shocks]
    return tuple(sorted(results, key=lambda one: (one.profit, one.shock)))


def _one(positions: Sequence[Exposed], shock: Shock) -> StressResult:
    parts: dict[str, Decimal] = {}
    missing = []
    for position in positions:
        if not position.quantity:
            continue
        move = _move(shock.moves, position.symbol)
        if move is None:
            missing.append(position.symbol)
            continue
        worth = multiply(position.quantity, position.price)
        parts[position.symbol] = plain(add(parts.get(position.symbol, ZERO), multiply(worth, move)))
    total = ZERO
    for part in parts.values():
        total = add(total, part)
    return StressResult(
        shock=shock.name,
        kind=shock.kind,
        text=shock.text,
        source=shock.source,
        profit=plain(total),
        parts=parts,
        not_covered=tuple(sorted(missing)),
    )


def _move(moves: Mapping[str, Decimal], symbol: str) -> Decimal | None:
    """The shock's move of a symbol, never below -1: a price does not fall under zero."""
    move = moves.get(symbol, moves.get(EVERY))
    return None if move is None else max(move, Decimal(-1))
