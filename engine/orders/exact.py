"""Decimal arithmetic that loses no digit, for ledgers that must balance to the last one (I11).

Sums, differences and products of money are finite decimals, so they can be exact; Python's default
context (28 digits) silently rounds them. Everything here runs in a context far wider than
any product of two amounts, with all traps off, so the functions are total. The one operation that
cannot be exact, division, is `share`: it rounds to `SCALE` and says so. (Mind that even `-x` and
`abs(x)` round in the default context; `copy_negate` and `copy_abs` do not.)
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from engine.contracts.money import ZERO

#: 500 digits: `usable` amounts lie between 1E+40 and 1E-130, products in twice that span.
EXACT = Context(prec=500, rounding=ROUND_HALF_EVEN, traps=[])

#: What a division is rounded to: 18 decimals, the most that `money.parse_decimal` reads.
SCALE = Decimal("1E-18")

_ONE, _TEN = Decimal(1), Decimal(10)
_DIGITS = 40
_CHARACTERS = 90


def usable(value: Decimal) -> bool:
    """Tell whether the value is finite and of a size that the arithmetic here keeps exact."""
    if not value.is_finite() or len(str(value)) > _CHARACTERS:
        return False
    return not value or -_DIGITS <= value.adjusted() <= _DIGITS


def add(left: Decimal, right: Decimal) -> Decimal:
    """Exact sum."""
    return EXACT.add(left, right)


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """Exact difference."""
    return EXACT.subtract(left, right)


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """Exact product."""
    return EXACT.multiply(left, right)


def share(whole: Decimal, part: Decimal, of: Decimal) -> Decimal:
    """Return `whole * part / of`, rounded half-even to 18 decimals; exactly 0 for no part."""
    if part == 0 or of == 0:
        return ZERO
    return EXACT.quantize(EXACT.divide(EXACT.multiply(whole, part), of), SCALE)


def tidy(value: Decimal) -> Decimal:
    """Return the same number without trailing zeros and without a positive exponent, unrounded."""
    if not value:
        return ZERO
    normal = value.normalize(EXACT)
    # Only a multiple of ten is written with a positive exponent; NaN and infinity are neither.
    if normal.adjusted() <= 0 or EXACT.remainder(normal, _TEN):
        return normal
    return normal.quantize(_ONE, context=EXACT)
