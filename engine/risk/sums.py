"""A list of exact amounts that only grows, for years: the older ones packed as text.

A Decimal takes a hundred bytes, its text a dozen. Blocks of what has not been added lately are
joined texts; one block at a time is unpacked for whoever asks. What was added comes back exactly,
its exponent included. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

_BLOCK = 4096


class Amounts:
    """Amounts by place, from 0."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._latest: list[Decimal] = []
        self._opened: tuple[int, list[Decimal]] = (-1, [])

    def __getstate__(self) -> dict[str, object]:
        """What a checkpoint keeps: not the block that somebody asked for last."""
        return {"_packed": self._packed, "_latest": self._latest}

    def __setstate__(self, state: dict[str, object]) -> None:
        """As a checkpoint kept it."""
        self.__dict__.update(state)
        self._opened = (-1, [])

    def __len__(self) -> int:
        """How many there are."""
        return len(self._packed) * _BLOCK + len(self._latest)

    def __iter__(self) -> Iterator[Decimal]:
        """All, in the order they came."""
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: int) -> Decimal:
        """The amount at a place, counted from the end when negative. Raises IndexError."""
        if place < 0:
            place += len(self)
        block, within = divmod(place, _BLOCK)
        if not 0 <= place < len(self):
            raise IndexError(place)
        if block == len(self._packed):
            return self._latest[within]
        if self._opened[0] != block:
            self._opened = (block, [Decimal(text) for text in self._packed[block].decode().split()])
        return self._opened[1][within]

    def append(self, amount: Decimal) -> None:
        """One more."""
        if len(self._latest) == _BLOCK:
            self._packed.append(" ".join(map(str, self._latest)).encode())
            self._latest = []
        self._latest.append(amount)
