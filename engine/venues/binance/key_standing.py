"""Whether the venue still takes our key. Pure.

A key that never worked is a mistake in the configuration. One that worked and is refused since
(-2014, -2015) was changed, revoked or restricted by somebody: a sign that it may be known to
others. One refusal alone may be the venue's own trouble (clients take -2015 for an overload once a
private call has succeeded), so it takes several in a row, and any signed success ends them.
"""

from __future__ import annotations

KEY_CODES = frozenset({"-2014", "-2015"})
#: So many refusals in a row are a refusal of the key.
IN_A_ROW = 3


class KeyStanding:
    """What the venue's answers say of one key. Times are monotonic µs."""

    def __init__(self) -> None:
        self._worked = False
        self._refused = 0
        self._since_us = 0

    def taken(self) -> None:
        """A signed request was answered."""
        self._worked, self._refused = True, 0

    def heard(self, code: str, now_us: int) -> None:
        """A request was refused with this code."""
        if code in KEY_CODES:
            if not self._refused:
                self._since_us = now_us
            self._refused += 1

    @property
    def refused_since_us(self) -> int | None:
        """Since when it is refused, or None."""
        return self._since_us if self._worked and self._refused >= IN_A_ROW else None
