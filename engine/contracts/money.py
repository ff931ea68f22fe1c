"""Money is Decimal (I11): parsing and writing prices, quantities, fees and balances.

No float enters or leaves. On the wire and in the journal money is a plain decimal string (never
`1E+3`), so that any reader in any language sees the same digits.
"""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, Context, Decimal
from functools import lru_cache

from engine.contracts.errors import InputError

ZERO = Decimal(0)

#: Wide enough for the product of two 18-digit numbers; arithmetic of ledgers runs in this context.
CONTEXT = Context(prec=40, rounding=ROUND_DOWN)

_PLAIN = re.compile(r"-?(0|[1-9][0-9]{0,27})(\.[0-9]{1,18})?")


def parse_decimal(text: str, where: str) -> Decimal:
    """Read a plain decimal string such as `-12.50`.

    `where` names the field for the error. Raises InputError for exponents, signs other than `-`,
    NaN, infinities, spaces and anything over 28 + 18 digits.
    """
    if not _PLAIN.fullmatch(text):
        raise InputError(
            what=f"{text[:40]!r} is not a plain decimal number",
            where=where,
            todo="write it like 12.50: digits, one point, no exponent",
        )
    return Decimal(text)


def plain(value: Decimal) -> Decimal:
    """Return the same number with trailing zeros removed and without a positive exponent.

    `str()` of the result has no `E`, so it may be written to the journal and the wire as it is.
    """
    if value == 0:
        return ZERO
    normal = value.normalize(CONTEXT)
    exponent = normal.as_tuple().exponent
    if isinstance(exponent, int) and exponent > 0:
        return normal.quantize(Decimal(1), context=CONTEXT)
    return normal


def to_text(value: Decimal) -> str:
    """Write a Decimal without exponent, trailing zeros removed: `Decimal("1E+3")` gives `1000`."""
    return _text(value) if value else "0"


@lru_cache(maxsize=4096)
def _text(value: Decimal) -> str:
    """Remembered: the checks of one order write few amounts, mostly limits, dozens of times.

    Equal numbers have one text, however many zeros they trail.
    """
    normal = value.normalize(CONTEXT)
    # `format` writes a positive exponent out, as `plain` does, as far as the digits go.
    return format(normal if normal.adjusted() < CONTEXT.prec else plain(value), "f")


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Tell whether `value` is a whole number of `step`s (tick size or lot step, both positive)."""
    return CONTEXT.remainder(value, step) == 0


def round_down_to(value: Decimal, step: Decimal) -> Decimal:
    """Round a non-negative value down to a whole number of `step`s."""
    return plain(CONTEXT.multiply(CONTEXT.divide_int(value, step), step))
