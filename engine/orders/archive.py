"""Orders of sessions that are over, kept packed: nothing is forgotten, little memory is held.

Theory. A desk's journal names orders of years; what trades is one session. When a new session is
chartered, the order ledger puts every other session whose orders have all ended in here: its
orders and trades as one compressed block, from which they come back exactly. Every question that
the ledger answers of a live order is answered of a packed one too; an event about one brings its
session back into the ledger first. So the ledger with an archive is the ledger without one (a
property test holds them against each other), and it only costs less: about 150 bytes an order
instead of three kilobytes. Pure: bytes in memory, no file.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections import OrderedDict
from decimal import Decimal
from hashlib import blake2b

import msgspec

from engine.contracts.fill import Fill
from engine.contracts.order import Order

#: A venue's name of an order: symbol and id.
VenueKey = tuple[str, str]

#: How our own orders are named (`ledger.client_order_id`): the session is in the name.
_OURS = re.compile(r"pk-([0-9a-z]{1,20})-[0-9]{6,10}")

#: Sessions that stay unpacked after a question about them: a venue's old reports come in order.
_UNPACKED = 2
_LEVEL = 1  # zlib's fastest: a thousand orders in about ten milliseconds


class Kept(msgspec.Struct, frozen=True):
    """What one session leaves: orders by intent, distinct trades, refused stories, told sums.

    `venue_keys` are the venue's names by which the ledger found these orders.
    """

    orders: tuple[Order, ...]
    trades: tuple[Fill, ...]
    refused: tuple[Fill, ...]
    told: dict[str, Decimal]
    venue_keys: dict[str, tuple[VenueKey, ...]]


class _Unpacked:
    """One session's block, opened for questions."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.orders = {order.intent.client_order_id: order for order in kept.orders}
        self.trades = {(fill.symbol, fill.trade_id): fill for fill in kept.trades}
        self.by_venue_key = {key: name for name, keys in kept.venue_keys.items() for key in keys}


class _Block(msgspec.Struct, frozen=True):
    """One session, packed: how many orders, the bytes, 64-bit digests of its venue keys."""

    count: int
    packed: bytes
    digests: bytes


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Kept)


class Archive:
    """The sessions that are packed, oldest first."""

    def __init__(self) -> None:
        self._blocks: dict[str, _Block] = {}
        #: names that do not tell their session: orders that a person adopted
        self._strangers: dict[str, str] = {}
        self._index: dict[int, str] | None = {}
        self._unpacked: OrderedDict[str, _Unpacked] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        """What a checkpoint of the state keeps: the index and the open blocks follow from it."""
        return {"_blocks": self._blocks, "_strangers": self._strangers}

    def __setstate__(self, state: dict[str, object]) -> None:
        """The archive as a checkpoint kept it."""
        self.__init__()  # type: ignore[misc]
        self.__dict__.update(state)
        self._index = None

    def __contains__(self, session_id: object) -> bool:
        """Whether the session is packed here."""
        return session_id in self._blocks

    def __len__(self) -> int:
        """Number of packed sessions."""
        return len(self._blocks)

    def put(self, session_id: str, kept: Kept) -> None:
        """Pack one session, the newest."""
        digests = array("Q", (_digest(key) for keys in kept.venue_keys.values() for key in keys))
        packed = zlib.compress(_ENCODER.encode(kept), _LEVEL)
        self._blocks[session_id] = _Block(len(kept.orders), packed, digests.tobytes())
        if self._index is not None:
            self._index.update(dict.fromkeys(digests, session_id))
        for order in kept.orders:
            name = order.intent.client_order_id
            if not _names_session(name, session_id):
                self._strangers[name] = session_id

    def take(self, session_id: str) -> Kept:
        """Give a session back and forget it here."""
        kept = self._open(session_id).kept
        del self._unpacked[session_id], self._blocks[session_id]
        self._index = None
        for name in [name for name, of in self._strangers.items() if of == session_id]:
            del self._strangers[name]
        return kept

    def count(self, session_id: str) -> int:
        """Number of the session's orders."""
        return self._blocks[session_id].count

    def orders(self, session_id: str) -> tuple[Order, ...]:
        """The session's orders, in the order of their intents."""
        return self._open(session_id).kept.orders

    def session_of(self, name: str) -> str | None:
        """The packed session whose order has this name."""
        return None if (order := self.order(name)) is None else order.session_id

    def order(self, name: str) -> Order | None:
        """The packed order of that name."""
        session_id = self._strangers.get(name)
        if session_id is None and (match := _OURS.fullmatch(name)):
            session_id = match[1]
        if session_id not in self._blocks:
            return None
        return self._open(session_id).orders.get(name)

    def by_venue_key(self, key: VenueKey) -> Order | None:
        """The packed order that the venue knows by this key."""
        session_id = self._indexed().get(_digest(key))
        if session_id is None:
            return None
        found = self._open(session_id)
        name = found.by_venue_key.get(key)
        return None if name is None else found.orders[name]

    def stories(self, session_id: str, symbol: str, trade_id: str) -> list[Fill]:
        """Every story of a trade that a packed session was told: the counted one first."""
        found = self._open(session_id)
        known = found.trades.get((symbol, trade_id))
        others = (
            one for one in found.kept.refused if (one.symbol, one.trade_id) == (symbol, trade_id)
        )
        return [*([known] if known else ()), *others]

    def told_quantity(self, name: str) -> Decimal | None:
        """Base quantity of the distinct trades told of a packed order."""
        session_id = self.session_of(name)
        return None if session_id is None else self._open(session_id).kept.told.get(name)

    def _open(self, session_id: str) -> _Unpacked:
        found = self._unpacked.get(session_id)
        if found is None:
            block = self._blocks[session_id]
            found = self._unpacked[session_id] = _Unpacked(
                _DECODER.decode(zlib.decompress(block.packed))
            )
            while len(self._unpacked) > _UNPACKED:
                self._unpacked.popitem(last=False)
        self._unpacked.move_to_end(session_id)
        return found

    def _indexed(self) -> dict[int, str]:
        """Session by digest of a venue key; the newest session of a key counts."""
        if self._index is None:
            self._index = {}
            for session_id, block in self._blocks.items():
                digests = array("Q")
                digests.frombytes(block.digests)
                self._index.update(dict.fromkeys(digests, session_id))
        return self._index


def _names_session(name: str, session_id: str) -> bool:
    match = _OURS.fullmatch(name)
    return match is not None and match[1] == session_id


def _digest(key: VenueKey) -> int:
    # Symbols have no blank; ids that meet by chance are told apart by the block itself.
    text = f"{key[0]} {key[1]}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
