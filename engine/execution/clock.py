"""The two clocks the shell uses: wall time for records, monotonic time for durations."""

from __future__ import annotations

import time


def wall_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000


def monotonic_us() -> int:
    """Microseconds of a clock that never steps back; only differences mean anything."""
    return time.monotonic_ns() // 1_000
