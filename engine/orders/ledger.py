"""The order ledger: every order of the workspace as the fold of the journal (I7).

One `apply` per journal record, in journal order, live and at restart alike. It promises the
machine's promises for every order, and besides:

* an order exists only by its intent (I1), or because a person adopted what the venue showed, by
  name and with a reason; events about other ids are refused, never taken in by themselves (I2);
* `fills` holds every distinct trade that the journal has, in order, also one that the order's
  machine refused: money has moved, and reconciliation must see it. `apply` still returns why;
* `told` knows every story of a trade that the journal holds, the refused ones included: what was
  refused once is not journaled again each time that the venue is asked;
* a name is given once: what was intended or blocked under it is never intended again, also after
  a restart, because the sequence goes on behind the highest number that the journal names;
* what is open and what is unknown is kept ready, so that the risk checks and the kill
  switch do not scan the history;
* a new charter packs the sessions that are over (`archive`): every question is answered of their
  orders too, and an event about one unpacks its session.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from engine.contracts import event as ev
from engine.contracts.errors import InputError
from engine.contracts.fill import Fill
from engine.contracts.money import ZERO
from engine.contracts.order import OPEN_STATES, Order, OrderState
from engine.orders.archive import Archive, Kept, VenueKey
from engine.orders.exact import add
from engine.orders.machine import TRIGGERS, Illegal, fill_is_usable, step

#: The venue's rule for client order ids (reference: spot API, error -1100).
LEGAL_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")

_SESSION_ID = re.compile(r"[0-9a-z]{1,20}")
_NUMBER = re.compile(r"[0-9]{6,10}")


def client_order_id(session_id: str, sequence: int) -> str:
    """Name the order: `pk-<session>-<sequence>`, at most 36 legal characters, unique per session.

    Raises InputError for a session id that is not 1 to 20 of `[0-9a-z]` or a sequence below 0 or
    over 10 digits.
    """
    name = f"pk-{session_id}-{sequence:06d}"
    if not _SESSION_ID.fullmatch(session_id) or not 0 <= sequence < 10**10:
        raise InputError(
            what=f"no client order id from session {session_id!r}, sequence {sequence}",
            where="client_order_id",
        )
    return name


class OrderLedger:
    """All orders, fills and orphans, folded in place."""

    def __init__(self) -> None:
        #: by client order id, in the order of their intents, without the packed sessions'
        self.orders: dict[str, Order] = {}
        #: distinct trades in journal order, without the packed sessions'
        self.fills: list[Fill] = []
        #: what the venue showed and we did not make, in journal order
        self.orphans: list[ev.OrphanFound] = []
        self._open: dict[str, None] = {}
        self._open_symbols: dict[str, int] = {}
        self._unknown: dict[str, None] = {}
        self._sessions: dict[str, list[str]] = {}
        self._by_venue_id: dict[tuple[str, str], str] = {}
        # by session, symbol and trade id: a test venue that is wiped counts from one again
        self._trades: dict[tuple[str, str, str], Fill] = {}
        self._refused: dict[tuple[str, str, str], list[Fill]] = {}
        self._told_quantity: dict[str, Decimal] = {}
        self._next: dict[str, int] = {}
        self._strange: set[str] = set()
        self._archive = Archive()

    def apply(self, recorded: ev.Recorded) -> Illegal | None:
        """Fold one record. Returns why it was illegal; it then changed no order. Never raises."""
        event = recorded.event
        match event:
            case ev.OrderIntended() | ev.OrphanAdopted():
                return self._enter(event, recorded.ts_us)
            case ev.OrderFilled(fill=fill):
                conflict = self._keep_fill(event.session_id, fill)
                return conflict or self._step(fill.client_order_id, event, recorded.ts_us)
            case ev.OrderBlocked():
                self._name_given(event.session_id, event.intent.client_order_id)
            case ev.SessionChartered(session_id=session_id):
                self._pack_ended(session_id)
            case ev.OrphanFound() if event not in self.orphans:
                self.orphans.append(event)
                self._strange.add(event.client_order_id)
            case _ if type(event) in TRIGGERS:
                name = str(getattr(event, "client_order_id", ""))
                return self._step(name, event, recorded.ts_us)
        return None

    def get(self, client_order_id: str) -> Order | None:
        """Return the order of that name, if we made one."""
        order = self.orders.get(client_order_id)
        return self._archive.order(client_order_id) if order is None else order

    def open_orders(self) -> tuple[Order, ...]:
        """Orders that may still execute at the venue, UNKNOWN ones included, oldest first."""
        return tuple(self.orders[name] for name in sorted(self._open, key=self._age))

    def open_symbols(self) -> frozenset[str]:
        """Symbols with an order that may still execute: a kill asks, and waits for the answer."""
        return frozenset(self._open_symbols)

    def unsettled(self) -> tuple[Order, ...]:
        """Open orders of which the venue can still tell: those that are not lost, oldest first."""
        return tuple(order for order in self.open_orders() if not order.lost)

    def lost(self) -> tuple[Order, ...]:
        """Orders in doubt of which the venue could say nothing more, oldest first."""
        return tuple(order for order in self.unknown() if order.lost)

    def unknown(self) -> tuple[Order, ...]:
        """Orders in doubt, oldest first (I3)."""
        return tuple(self.orders[name] for name in sorted(self._unknown, key=self._age))

    def session_orders(self, session_id: str) -> tuple[Order, ...]:
        """All orders of one session, in the order of their intents."""
        if session_id in self._archive:
            return self._archive.orders(session_id)
        return tuple(self.orders[name] for name in self._sessions.get(session_id, ()))

    def latest(self, session_id: str) -> Iterator[Order]:
        """The orders of one session, latest intent first, one by one."""
        if session_id in self._archive:
            yield from reversed(self._archive.orders(session_id))
        for name in reversed(self._sessions.get(session_id, ())):
            yield self.orders[name]

    def count(self, session_id: str) -> int:
        """How many orders the session has had."""
        if session_id in self._archive:
            return self._archive.count(session_id)
        return len(self._sessions.get(session_id, ()))

    def sequence(self, session_id: str) -> int:
        """The next order's sequence number: one more than any that the session's orders had.

        Past the names that strangers have used: the venue takes a name again once it is free.
        """
        number = self._next.get(session_id, 0)
        while self._strange and client_order_id(session_id, number) in self._strange:
            number += 1
        return number

    def told(self, session_id: str, fill: Fill) -> bool:
        """Tell whether the journal has this story of the trade: its order, side, price, quantity.

        Also when it was refused. Another fee is not another story: reconciliation shows it.
        """
        if session_id in self._archive:
            stories = self._archive.stories(session_id, fill.symbol, fill.trade_id)
        else:
            key = (session_id, fill.symbol, fill.trade_id)
            known = self._trades.get(key)
            stories = [*([known] if known else ()), *self._refused.get(key, ())]
        return any(_story_of(one) == _story_of(fill) for one in stories)

    def told_quantity(self, client_order_id: str) -> Decimal:
        """Base quantity of all distinct trades told of the order, also of refused ones."""
        told = self._told_quantity.get(client_order_id)
        if told is None:
            told = self._archive.told_quantity(client_order_id)
        return ZERO if told is None else told

    def by_venue_id(self, symbol: str, venue_order_id: str) -> Order | None:
        """Return the order that the venue knows by this id."""
        name = self._by_venue_id.get((symbol, venue_order_id))
        if name is None:
            return self._archive.by_venue_key((symbol, venue_order_id))
        return self.orders[name]

    def _age(self, name: str) -> tuple[int, str]:
        return _age(self.orders[name])

    def _enter(self, event: ev.OrderIntended | ev.OrphanAdopted, ts_us: int) -> Illegal | None:
        """Take in a new order: one of ours before it is sent, or a stranger's as the venue has it.

        An adopted one is acknowledged already, and its trades come as events of their own.
        """
        name = event.intent.client_order_id
        self._unpack(event.session_id)
        if self.get(name) is not None:
            return Illegal(code="DUPLICATE_INTENT", reason=f"{name} was intended before")
        entered = Order(
            intent=event.intent,
            state=OrderState.CREATED,
            owner=event.owner,
            session_id=event.session_id,
            created_us=ts_us,
            updated_us=ts_us,
        )
        self.orders[name] = entered
        self._sessions.setdefault(event.session_id, []).append(name)
        self._name_given(event.session_id, name)
        if isinstance(event, ev.OrderIntended):
            return self._step(name, event, ts_us)
        self._put(
            name,
            msgspec.structs.replace(
                entered,
                state=OrderState.ACKNOWLEDGED,
                venue_order_id=event.venue_order_id,
                reason=event.reason,
            ),
        )
        return None

    def _name_given(self, session_id: str, name: str) -> None:
        number = name.removeprefix(f"pk-{session_id}-")
        if _NUMBER.fullmatch(number):
            self._next[session_id] = max(self._next.get(session_id, 0), int(number) + 1)

    def _step(self, name: str, event: ev.AnyEvent, ts_us: int) -> Illegal | None:
        self._unpack_order(name)
        order = self.orders.get(name)
        if order is None:
            return Illegal(
                code="UNKNOWN_ORDER", reason=f"{ev.kind_of(event)} for {name!r}, never intended"
            )
        after = step(order, event, ts_us)
        if isinstance(after, Illegal):
            return after
        if after is not order:
            self._put(name, after)
        return None

    def _put(self, name: str, order: Order) -> None:
        self.orders[name] = order
        if order.venue_order_id is not None:
            self._name_venue_id((order.intent.symbol, order.venue_order_id), order)
        if order.state in OPEN_STATES:
            if name not in self._open:
                self._open[name] = None
                self._count_open(order.intent.symbol, 1)
        elif name in self._open:
            del self._open[name]
            self._count_open(order.intent.symbol, -1)
        if order.state is OrderState.UNKNOWN:
            self._unknown[name] = None
        else:
            self._unknown.pop(name, None)

    def _count_open(self, symbol: str, more: int) -> None:
        count = self._open_symbols.pop(symbol, 0) + more
        if count:
            self._open_symbols[symbol] = count

    def _name_venue_id(self, key: tuple[str, str], order: Order) -> None:
        """The newest order of an id counts: a wiped venue gives ids again."""
        known = self.by_venue_id(*key)
        if known is None or _age(known) < _age(order):
            self._by_venue_id[key] = order.intent.client_order_id

    def _keep_fill(self, session_id: str, fill: Fill) -> Illegal | None:
        """Keep a trade that is new; a known one must say the same as before."""
        self._unpack(session_id)
        self._unpack_order(fill.client_order_id)
        key = (session_id, fill.symbol, fill.trade_id)
        known = self._trades.get(key)
        new = not self.told(session_id, fill)
        if not fill_is_usable(fill):
            self._refuse(key, fill, new=new)
            return Illegal(
                code="BAD_FILL", reason=f"trade {fill.trade_id} of {fill.quantity} at {fill.price}"
            )
        if new:
            name = fill.client_order_id
            self._told_quantity[name] = add(self.told_quantity(name), fill.quantity)
        if known is None:
            self._trades[key] = fill
            self.fills.append(fill)
            return None
        if _money_of(known) == _money_of(fill):
            return None
        self._refuse(key, fill, new=new)
        return Illegal(
            code="FILL_CONFLICT",
            reason=f"trade {fill.trade_id} of {fill.symbol} is told twice and differently",
        )

    def _refuse(self, key: tuple[str, str, str], fill: Fill, *, new: bool) -> None:
        if new:
            self._refused.setdefault(key, []).append(fill)

    # --- sessions that are over -------------------------------------------------------------------

    def _pack_ended(self, session_id: str) -> None:
        """Pack every session but this one in which nothing can move by itself any more."""
        open_in = {self.orders[name].session_id for name in self._open}
        for over in [one for one in self._sessions if one != session_id and one not in open_in]:
            self._archive.put(over, self._take_out(over))

    def _take_out(self, session_id: str) -> Kept:
        """All that is of one session, no longer in here."""
        orders = tuple(self.orders.pop(name) for name in self._sessions.pop(session_id))
        names = {order.intent.client_order_id for order in orders}
        found = [(key, name) for key, name in self._by_venue_id.items() if name in names]
        venue_keys: dict[str, tuple[VenueKey, ...]] = {}
        for venue_key, name in found:
            del self._by_venue_id[venue_key]
            venue_keys[name] = (*venue_keys.get(name, ()), venue_key)
        trades = {key: fill for key, fill in self._trades.items() if key[0] == session_id}
        refused = {key: told for key, told in self._refused.items() if key[0] == session_id}
        for key in trades:
            del self._trades[key]
        for key in refused:
            del self._refused[key]
        self.fills = list(self._trades.values())
        told = {name: self._told_quantity.pop(name) for name in names & self._told_quantity.keys()}
        return Kept(
            orders,
            tuple(trades.values()),
            tuple(fill for stories in refused.values() for fill in stories),
            dict(sorted(told.items())),
            venue_keys,
        )

    def _unpack_order(self, name: str) -> None:
        if name not in self.orders and (session_id := self._archive.session_of(name)) is not None:
            self._unpack(session_id)

    def _unpack(self, session_id: str) -> None:
        """Bring a packed session back: older than what is here, so before it."""
        if session_id not in self._archive:
            return
        kept = self._archive.take(session_id)
        orders = {order.intent.client_order_id: order for order in kept.orders}
        trades = {(session_id, one.symbol, one.trade_id): one for one in kept.trades}
        self.orders = {**orders, **self.orders}
        self._trades = {**trades, **self._trades}
        self.fills = list(self._trades.values())
        self._sessions = {session_id: list(orders), **self._sessions}
        self._told_quantity |= kept.told
        for fill in kept.refused:
            key = (session_id, fill.symbol, fill.trade_id)
            self._refused.setdefault(key, []).append(fill)
        for name, venue_keys in kept.venue_keys.items():
            for venue_key in venue_keys:
                self._name_venue_id(venue_key, orders[name])


def _age(order: Order) -> tuple[int, str]:
    return order.created_us, order.intent.client_order_id


def _story_of(fill: Fill) -> tuple[object, ...]:
    # As text where a number may be NaN, which equals nothing, itself included.
    return (fill.client_order_id, fill.side, *map(_comparable, (fill.price, fill.quantity)))


def _comparable(amount: Decimal) -> Decimal | str:
    return str(amount) if amount.is_nan() else amount


def _money_of(fill: Fill) -> tuple[object, ...]:
    return (fill.client_order_id, fill.side, fill.price, fill.quantity, fill.fee, fill.fee_asset)
