"""A stretch of the journal, and what a session's trades moved in it. Pure: rows in, sums out."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal

import msgspec

from engine.contracts.money import plain

_EXACT = Context(prec=100)
_END = 2**63 - 1


class Stretch(msgspec.Struct, frozen=True):
    """A stretch of the journal: from a time to a time (µs UTC), below a sequence number."""

    since_us: int = 0
    until_us: int = _END
    until_seq: int = _END

    def parameters(self, session_id: str) -> dict[str, str]:
        """As the queries name them."""
        return {
            "session_id": session_id,
            "since_us": str(self.since_us),
            "until_us": str(self.until_us),
            "until_seq": str(self.until_seq),
        }


#: All of it.
WHOLE = Stretch()


class Movements(msgspec.Struct, frozen=True, kw_only=True):
    """What a session's trades moved in one symbol: base and quote (without fees), fees by asset."""

    symbol: str
    base: Decimal
    quote: Decimal
    fees: dict[str, Decimal]


def movements(
    trades: Iterable[tuple[str, str, Decimal, Decimal]],
    fees: Iterable[tuple[str, str, Decimal]],
) -> list[Movements]:
    """Sums by symbol of trades (symbol, side, price, quantity) and fees (symbol, asset, fee)."""
    base: dict[str, Decimal] = {}
    quote: dict[str, Decimal] = {}
    for symbol, side, price, quantity in trades:
        signed = quantity if side == "BUY" else -quantity
        base[symbol] = _EXACT.add(base.get(symbol, Decimal(0)), signed)
        value = _EXACT.multiply(price, signed)
        quote[symbol] = _EXACT.subtract(quote.get(symbol, Decimal(0)), value)
    paid = list(fees)
    return [
        Movements(
            symbol=symbol,
            base=plain(base[symbol]),
            quote=plain(quote[symbol]),
            fees={asset: plain(fee) for name, asset, fee in paid if name == symbol},
        )
        for symbol in base
    ]
