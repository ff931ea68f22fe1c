"""The venue's clock as we know it, whatever the machine's own clock says. Pure.

Kept as the difference between the venue's clock and our monotonic one, so that a wall clock which
is wrong by minutes, or is set while we run, changes nothing. A reading is true within half of its
round trip; an older one loses as the two clocks drift apart. A new reading replaces the one in use
if it is as good, or if both cannot be true: then the venue's clock, or ours in a sleep, has moved.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.venues.port import ClockReading

#: The venue tells whole milliseconds, cut off: in the mean its clock is half of one further.
HALF_A_MILLISECOND_US = 500
#: Drift of an undisciplined quartz clock, in parts per million, generous.
DRIFT_PPM = 200


def wall_us() -> int:
    """Our wall clock, µs since the epoch."""
    return time.time_ns() // 1000


def monotonic_us() -> int:
    """Our monotonic clock, µs."""
    return time.monotonic_ns() // 1000


class VenueClock:
    """The venue's time from our monotonic clock. Starts with what the wall clock says."""

    def __init__(
        self,
        wall: Callable[[], int] = wall_us,
        monotonic: Callable[[], int] = monotonic_us,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._ahead_us = wall() - monotonic()
        self._read_us: int | None = None
        self._error_us = 0

    def now_us(self) -> int:
        """The venue's clock, µs since the epoch."""
        return self._monotonic() + self._ahead_us

    @property
    def read_us(self) -> int | None:
        """When it was last measured, on our monotonic clock; None before the first time."""
        return self._read_us

    def take(self, server_time_ms: int, asked_us: int, round_trip_us: int) -> ClockReading:
        """Take in the venue's answer to a request sent at `asked_us` (monotonic).

        Returns the reading as the difference to the machine's wall clock.
        """
        now = self._monotonic()
        venue_us = server_time_ms * 1000 + HALF_A_MILLISECOND_US
        ahead_us = venue_us - (asked_us + round_trip_us // 2)
        error_us = round_trip_us // 2 + HALF_A_MILLISECOND_US
        if self._better(ahead_us, error_us, now):
            self._ahead_us, self._error_us, self._read_us = ahead_us, error_us, now
        return ClockReading(
            offset_us=now + ahead_us - self._wall(),
            round_trip_us=round_trip_us,
        )

    def _better(self, ahead_us: int, error_us: int, now: int) -> bool:
        if self._read_us is None:
            return True
        known_us = self._error_us + (now - self._read_us) * DRIFT_PPM // 1_000_000
        both_true = abs(ahead_us - self._ahead_us) <= known_us + error_us
        return error_us <= known_us or not both_true
