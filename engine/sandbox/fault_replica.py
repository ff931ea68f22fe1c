"""Answers from the past: a read replica that lags, and a depth snapshot from before (venue.md 2.9).

`GET openOrders` may show an account's open orders as they were some time ago; `GET depth` may show
the book as it was when the fault was armed. Both are taken while they happen and given out in place
of the true answer, which was made first: parameters, weight and limits are those of a real request.
"""

from __future__ import annotations

from collections import deque

import msgspec

from engine.sandbox import documents
from engine.sandbox.accounts import Account
from engine.sandbox.exchange import Exchange
from engine.sandbox.market import Aggregate, levels
from engine.sandbox.orders import Output, Report

_DEPTH = 5_000
#: States of openOrders kept for each account; more changes than that in one lag are not seen.
_KEEP = 10_000


class _Depth(msgspec.Struct):
    lastUpdateId: int  # noqa: N815  (the wire's name)
    bids: list[list[str]]
    asks: list[list[str]]


class Replica:
    """What was, for one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._open: dict[str, deque[tuple[int, list[dict[str, object]]]]] = {}
        self._book: _Depth | None = None
        exchange.listeners.append(self.on_market)

    def remember_open_orders(self) -> None:
        """Begin to remember: what is open now is the oldest that will be shown."""
        self._exchange.settle()
        self._open = {}
        for account in self._exchange.accounts.values():
            self._remember(account)

    def remember_book(self) -> None:
        """Keep the book as it stands."""
        exchange = self._exchange
        rules, book = exchange.rules, exchange.matching.book
        self._book = _Depth(
            book.update_id,
            levels(rules, book.bids.top(_DEPTH)),
            levels(rules, book.asks.top(_DEPTH)),
        )

    def on_market(self, out: list[Output], aggregates: list[Aggregate]) -> None:  # noqa: ARG002
        """Remember what an account's open orders have become."""
        if not self._exchange.faults.open_orders_lag_ms:
            return
        changed = {
            item.order.account.name: item.order.account
            for item in out
            if isinstance(item, Report) and item.order.account is not None
        }
        for account in changed.values():
            self._remember(account)

    def open_orders(self, account: Account) -> list[dict[str, object]] | None:
        """The open orders as they were a lag ago; None when nothing is remembered."""
        states = self._open.get(account.name)
        if not states:
            return None
        then = self._exchange.wall_us() - self._exchange.faults.open_orders_lag_ms * 1000
        while len(states) > 1 and states[1][0] <= then:
            states.popleft()
        return states[0][1]

    def depth(self, true_answer: bytes) -> bytes:
        """The kept book with as many levels as the true answer has."""
        if self._book is None:
            return true_answer
        wanted = msgspec.json.decode(true_answer, type=_Depth)
        count = max(len(wanted.bids), len(wanted.asks))
        old = self._book
        return msgspec.json.encode(_Depth(old.lastUpdateId, old.bids[:count], old.asks[:count]))

    def _remember(self, account: Account) -> None:
        found = sorted(account.open_orders.values(), key=lambda order: order.order_id)
        rows = [documents.queried(self._exchange.rules, order) for order in found]
        states = self._open.setdefault(account.name, deque(maxlen=_KEEP))
        states.append((self._exchange.wall_us(), rows))
