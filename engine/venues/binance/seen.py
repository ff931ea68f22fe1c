"""Ids that came by lately, so that what the venue delivers twice is told once. Pure.

Bounded: the oldest are forgotten. A venue sends again what it has just sent, not what is long past;
and what slips through is dropped by the ledgers, which know every trade id.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Key = TypeVar("Key")


class Seen(Generic[Key]):
    """The last `most` keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: dict[Key, None] = {}

    def again(self, key: Key) -> bool:
        """Tell whether the key came by before, and remember it."""
        if key in self._keys:
            return True
        self._keys[key] = None
        if len(self._keys) > self._most:
            del self._keys[next(iter(self._keys))]
        return False

    def __contains__(self, key: Key) -> bool:
        return key in self._keys

    def clear(self) -> None:
        """Forget everything."""
        self._keys.clear()
