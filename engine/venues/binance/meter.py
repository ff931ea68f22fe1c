"""What one stream is worth: its age, messages, gaps, reconnects and delays. Pure.

A delay is the time from the venue's event to our receipt, both on the venue's clock as we know it;
it is as exact as that clock (half a round trip) and the venue's own milliseconds, and never shown
below zero. The percentiles are exact over the last `KEPT` messages: a ring, sorted when asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from engine.venues.binance.clock import monotonic_us
from engine.venues.port import StreamQuality

KEPT = 512


class StreamMeter:
    """Counters of one stream; they outlive its connections."""

    def __init__(self, name: str, now_us: Callable[[], int] = monotonic_us) -> None:
        self.name = name
        self.connected = False
        self.gaps = 0
        self._now_us = now_us
        self._messages = 0
        self._connections = 0
        self._heard_us: int | None = None
        self._delays_us: deque[int] = deque(maxlen=KEPT)

    def up(self) -> None:
        """A connection is up, the first or another one."""
        self.connected = True
        self._connections += 1
        self._heard_us = self._now_us()

    def down(self) -> None:
        """The connection is gone."""
        self.connected = False

    def heard(self) -> None:
        """Any message came, an answer to our ping included."""
        self._heard_us = self._now_us()

    def event(self, delay_us: int) -> None:
        """An event came so long after it happened."""
        self._messages += 1
        self._delays_us.append(delay_us)

    def quality(self) -> StreamQuality:
        """Return the counters as they stand; ages and percentiles are None before anything came."""
        heard, delays = self._heard_us, sorted(self._delays_us)
        return StreamQuality(
            stream=self.name,
            connected=self.connected,
            age_ms=None if heard is None else (self._now_us() - heard) // 1000,
            messages=self._messages,
            gaps=self.gaps,
            reconnects=max(0, self._connections - 1),
            latency_p50_ms=_percentile(delays, 50),
            latency_p95_ms=_percentile(delays, 95),
            latency_p99_ms=_percentile(delays, 99),
        )


def _percentile(delays_us: list[int], percent: int) -> int | None:
    """Return the nearest-rank percentile in whole ms, at least zero."""
    if not delays_us:
        return None
    rank = -(-len(delays_us) * percent // 100)
    return max(0, round(delays_us[rank - 1] / 1000))
