"""Messages a second of a real recording through our decoder and book, beside bare JSON decoding.

Depth, trade and bookTicker messages of ten minutes of BTCUSDT, as they came: decoded into typed
structs with Decimals, checked, the book kept by the venue's rule and its top taken after each depth
event, as the engine does it. Bare is the same text into dicts, by msgspec and by the standard
library: strings stay strings there, nothing is checked and no book is kept.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable, Sequence

import msgspec

from engine.venues.binance import wire
from engine.venues.binance.book import LocalBook, Step
from tests.benchmarks.desk import ROOT
from tests.benchmarks.table import Row, compared, median

_DATA = ROOT.parent / "shared" / "data"
_RECORDINGS = ("20240808T2354", "20240809T0000")
_LEVELS = 20


def stream_rows(turns: int = 5) -> list[Row]:
    """Our rate beside the bare ones, each in turn; no rows without the recordings."""
    paths = [_DATA / f"binance_spot_BTCUSDT_{name}_raw.txt.gz" for name in _RECORDINGS]
    if not all(path.exists() for path in paths):
        sys.stderr.write("stream: the recorded market data is not here\n")
        return []
    texts: list[str] = []
    for path in paths:
        with gzip.open(path, "rt", encoding="ascii") as file:
            texts += [line.partition(" ")[2] for line in file]
    at = next(number for number, text in enumerate(texts) if '"lastUpdateId"' in text[:40])
    snapshot = texts.pop(at).encode()
    ways: dict[str, Callable[[Sequence[str]], object]] = {
        "ours": lambda some: _through_the_book(some, snapshot, at),
        "msgspec": lambda some: [msgspec.json.decode(text) for text in some],
        "json": lambda some: [json.loads(text) for text in some],
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            begin = time.perf_counter()
            way(texts)
            taken[name].append(len(texts) / (time.perf_counter() - begin))
    rate = {name: median(values) for name, values in taken.items()}
    return [
        compared(
            f"stream: decoded and booked, messages/s (bare: {name} to dicts)",
            rate["ours"],
            rate[name],
            "reported",
            digits=0,
        )
        for name in ("msgspec", "json")
    ]


def _through_the_book(texts: Sequence[str], snapshot: bytes, at: int) -> None:
    """Keep the book over the whole recording. Raises AssertionError when it falls out of step."""
    book = LocalBook()
    applied = trades = 0
    for number, text in enumerate(texts):
        if number == at:
            assert book.load(wire.decode_depth(snapshot)) is Step.APPLIED, "the snapshot fits"
        message = wire.decode_market(text)
        if isinstance(message, wire.DepthDiff):
            if book.add(message) is Step.APPLIED:
                applied += 1
                book.bids(_LEVELS)
                book.asks(_LEVELS)
        elif isinstance(message, wire.TradeMessage):
            trades += 1
    assert applied > 6_000, f"{applied} depth events were applied"
    assert trades > 19_000, f"{trades} trades were read"
