"""Raw recordings of a venue's streams: reader, and the documented book procedure.

One message a line, `<local receive time, ns since epoch> <JSON>`, plain or gzipped; the JSON is the
combined-stream wrapper of depth, trade and bookTicker events, or a depth snapshot as REST returns
it. All money is read into whole amounts (1e-8), never a float. A line that cannot be read is an
InputError naming file and line: nothing is skipped in silence.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from engine.contracts.errors import InputError
from engine.sandbox.candles import MINUTE_MS, Candles
from engine.sandbox.errors import VenueError
from engine.sandbox.rules import parse_amount

Levels = tuple[tuple[int, int], ...]


class Snapshot(msgspec.Struct, frozen=True):
    """The whole book as of `last_id`; levels as (price, quantity) amounts."""

    last_id: int
    bids: Levels
    asks: Levels


class Diff(msgspec.Struct, frozen=True):
    """Absolute quantities of the levels that changed in updates `first_id`..`last_id`."""

    first_id: int
    last_id: int
    bids: Levels
    asks: Levels
    event_ms: int


class RecordedTrade(msgspec.Struct, frozen=True):
    """One trade; `time_ms` is the venue's trade time."""

    trade_id: int
    price: int
    quantity: int
    time_ms: int
    buyer_is_maker: bool


class BestPrices(msgspec.Struct, frozen=True):
    """A bookTicker: best bid and ask (price, quantity) as of one update."""

    update_id: int
    bid: tuple[int, int]
    ask: tuple[int, int]


Payload = Snapshot | Diff | RecordedTrade | BestPrices


class RecordedMessage(msgspec.Struct, frozen=True):
    """One line: when it was received (ns since epoch, the recorder's clock) and what it was."""

    received_ns: int
    payload: Payload


class _Line(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    lastUpdateId: int | None = None  # noqa: N815  (the wire's name)
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


class _Depth(msgspec.Struct):
    U: int
    u: int
    E: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _Trade(msgspec.Struct):
    t: int
    p: str
    q: str
    T: int
    m: bool


class _Ticker(msgspec.Struct):
    u: int
    b: str
    B: str
    a: str
    A: str


_LINE = msgspec.json.Decoder(_Line)
_DEPTH = msgspec.json.Decoder(_Depth)
_TRADE = msgspec.json.Decoder(_Trade)
_TICKER = msgspec.json.Decoder(_Ticker)
_TIME_RE = re.compile(rb"[0-9]{1,19}")


def read_recording(path: Path) -> Iterator[RecordedMessage]:
    """Messages in the order of the file. Raises InputError naming file and line."""
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                yield _read_line(line, f"{path.name}:{number}")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            what=f"the recording cannot be read ({error})",
            where=f"{path}:{number + 1}",
            todo="check that the file is there and complete",
        ) from error


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _read_line(line: bytes, where: str) -> RecordedMessage:
    received, _, rest = line.partition(b" ")
    if not _TIME_RE.fullmatch(received):
        raise InputError(what="the line does not start with a time in ns", where=where)
    try:
        return RecordedMessage(int(received), _payload(rest))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(what=f"not a stream message ({error})", where=where) from error
    except VenueError as error:
        raise InputError(what=error.msg, where=where) from error


def _payload(text: bytes) -> Payload:
    line = _LINE.decode(text)
    if line.lastUpdateId is not None:
        return Snapshot(line.lastUpdateId, _levels(line.bids), _levels(line.asks))
    kind = line.stream.partition("@")[2].removesuffix("@100ms")
    match kind:
        case "depth":
            depth = _DEPTH.decode(line.data)
            return Diff(depth.U, depth.u, _levels(depth.b), _levels(depth.a), depth.E)
        case "trade":
            trade = _TRADE.decode(line.data)
            price, quantity = parse_amount(trade.p, "p"), parse_amount(trade.q, "q")
            return RecordedTrade(trade.t, price, quantity, trade.T, trade.m)
        case "bookTicker":
            best = _TICKER.decode(line.data)
            bid = (parse_amount(best.b, "b"), parse_amount(best.B, "B"))
            ask = (parse_amount(best.a, "a"), parse_amount(best.A, "A"))
            return BestPrices(best.u, bid, ask)
        case _:
            raise msgspec.DecodeError(f"stream {line.stream[:40]!r} is none that is known")


def _levels(rows: Sequence[tuple[str, str]]) -> Levels:
    return tuple((parse_amount(p, "price"), parse_amount(q, "quantity")) for p, q in rows)


class BookBuilder:
    """The venue's documented procedure: buffer, take the snapshot, apply what follows without gap.

    `seed` starts without a snapshot, from what is known so far: the levels that diffs and best
    prices have named. Such a book has holes but no wrong level, because diffs carry absolute
    quantities; `complete` says which it is.
    """

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.last_id = 0
        self.synced = False
        self.complete = False
        self.applied = 0
        self._waiting: list[Diff] = []

    def snapshot(self, snapshot: Snapshot) -> list[Diff]:
        """Start from a snapshot and apply what waited. Returns the events that were applied."""
        self.bids, self.asks = dict(snapshot.bids), dict(snapshot.asks)
        self.last_id = snapshot.last_id
        self.synced = self.complete = True
        waiting, self._waiting = self._waiting, []
        return [diff for diff in waiting if self.diff(diff)]

    def seed(self) -> None:
        """Start without a snapshot: apply what waited on an empty book."""
        waiting, self._waiting = self._waiting, []
        self.last_id = waiting[0].first_id - 1 if waiting else 0
        self.synced = True
        for diff in waiting:
            self.diff(diff)

    def diff(self, diff: Diff) -> bool:
        """Take an event in; False when it waits or is old. Raises InputError on a gap."""
        if not self.synced:
            self._waiting.append(diff)
            return False
        if diff.last_id <= self.last_id:
            return False
        if self.last_id and diff.first_id > self.last_id + 1:
            raise InputError(
                what=f"depth gap: U={diff.first_id} after u={self.last_id}",
                where="recording",
                todo="start again from a snapshot",
            )
        for side, rows in ((self.bids, diff.bids), (self.asks, diff.asks)):
            for price, quantity in rows:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
        self.last_id = diff.last_id
        self.applied += 1
        return True

    def best(self) -> BestPrices | None:
        """The top of the book, or None while a side is empty."""
        if not self.bids or not self.asks:
            return None
        bid, ask = max(self.bids), min(self.asks)
        return BestPrices(self.last_id, (bid, self.bids[bid]), (ask, self.asks[ask]))


def minutes(trades: Sequence[RecordedTrade]) -> Candles:
    """Minute bars by trade time, in amounts (values in 1e-16)."""
    candles = Candles(MINUTE_MS)
    for trade in trades:
        candles.add(
            trade.time_ms,
            trade.price,
            trade.quantity,
            taker_buys=not trade.buyer_is_maker,
            trade_id=trade.trade_id,
        )
    return candles
