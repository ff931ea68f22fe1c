"""What the soak measures beside the trading: memory over time, and messages on the wire.

The witness is a bare client of the market streams (all three that the recording has); it counts
frames and does nothing else, so what it says is the exchange's rate, not the engine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import msgspec

_STREAMS = "btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker"
_SAMPLE_SECONDS = 1.0
_KB_PER_MB = 1024.0


class Sample(msgspec.Struct, frozen=True):
    """Resident memory at a moment: seconds since the start, MB."""

    at: float
    mb: float


def resident_mb(pid: int) -> float:
    """VmRSS of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / _KB_PER_MB
    raise AssertionError(f"process {pid} has no memory any more")


async def sample_memory(pid: int, samples: list[Sample]) -> None:
    """Endless: one sample a second."""
    began = time.monotonic()
    while True:
        samples.append(Sample(time.monotonic() - began, resident_mb(pid)))
        await asyncio.sleep(_SAMPLE_SECONDS)


def slope_mb_a_minute(samples: Sequence[Sample]) -> float:
    """Least squares over the last two thirds, MB a minute."""
    tail = [one for one in samples if one.at >= samples[-1].at / 3]
    middle = sum(one.at for one in tail) / len(tail)
    level = sum(one.mb for one in tail) / len(tail)
    spread = sum((one.at - middle) ** 2 for one in tail)
    rise = sum((one.at - middle) * (one.mb - level) for one in tail)
    return 60.0 * rise / spread if spread else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


class Witness:
    """Counts the frames of the exchange's market streams, connecting again when it is cut."""

    def __init__(self, ws_url: str) -> None:
        self.frames = 0
        self._url = f"{ws_url}/stream?streams={_STREAMS}"

    async def run(self) -> None:
        """Endless: listen."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await self._listen()
            await asyncio.sleep(0.1)

    async def _listen(self) -> None:
        async with aiohttp.ClientSession() as http, http.ws_connect(self._url) as socket:
            async for message in socket:
                self.frames += message.type is aiohttp.WSMsgType.TEXT
