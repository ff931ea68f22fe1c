"""The venue as one object: matching, market data, accounts, keys, limits, faults and the clock.

Everything that changes the market ends with `settle()`, which publishes what happened to the
listeners (streams and user data) in order and before the caller's answer goes out. All of it runs
on one event loop, so there are no locks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from engine.sandbox.accounts import Account, Balance
from engine.sandbox.auth import ApiKey
from engine.sandbox.connection import Connections
from engine.sandbox.fault_reports import ReportQueue
from engine.sandbox.faults import Faults
from engine.sandbox.limits import Limits
from engine.sandbox.market import Aggregate, MarketData
from engine.sandbox.orders import Order, Output, Trade
from engine.sandbox.replay_matching import ReplayMatching
from engine.sandbox.rules import Rules


class Listener(Protocol):
    """Told of what happened, in order; `aggregates` are of the trades in `out`."""

    def __call__(self, out: list[Output], aggregates: list[Aggregate]) -> None:
        """Publish."""


def wall_clock_us() -> int:
    """Now in µs UTC."""
    return time.time_ns() // 1000


class Exchange:
    """One symbol's venue."""

    def __init__(
        self,
        rules: Rules,
        limits: Limits,
        *,
        first_id: int = 1,
        clock_us: Callable[[], int] = wall_clock_us,
    ) -> None:
        self.rules = rules
        self.limits = limits
        self.wall_us = clock_us
        self.matching = ReplayMatching(rules, first_order_id=first_id, first_trade_id=first_id)
        self.market = MarketData(rules)
        self.faults = Faults()
        self.reports = ReportQueue(self.faults)
        self.connections = Connections(self.faults.mute)
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        self.listeners: list[Listener] = []
        self._opening: dict[str, dict[str, int]] = {}
        self.matching.on_first_fill = self._give_back
        self.matching.cancel_race = self.faults.take_race

    def clock_us(self) -> int:
        """The venue's clock: that of the machine plus the skew that a fault has armed."""
        return self.wall_us() + self.faults.clock_skew_us

    @property
    def trading(self) -> bool:
        """Whether the market moves."""
        return self.rules.status == "TRADING"

    def change_rules(self, rules: Rules) -> None:
        """A new status or new filters, for what comes from now on."""
        self.rules = self.matching.rules = self.market.rules = rules

    def wipe(self) -> None:
        """As on the public test exchange: orders and trades gone, balances as at the start.

        Keys stay, ids go on, and no report tells of it.
        """
        self.settle()
        for order in list(self.matching.resting.values()):
            if order.account is not None:
                self.matching.forget(order)
        for account in self.accounts.values():
            self._reset(account)
        self.settle()

    def open_account(self, name: str, balances: dict[str, int]) -> Account:
        """Make an account with free balances in amounts (1e-8)."""
        account = Account(name=name, uid=1000 + len(self.accounts))
        self._opening[name] = dict(balances)
        self._reset(account)
        self.accounts[name] = account
        return account

    def _reset(self, account: Account) -> None:
        opening = self._opening[account.name]
        account.balances = {asset: Balance(free=amount) for asset, amount in opening.items()}
        for held in (account.orders, account.open_orders, account.latest_by_client_id):
            held.clear()
        account.trades.clear()
        account.prevented.clear()
        account.touched.clear()
        account.updated_us = self.clock_us()

    def settle(self) -> None:
        """Publish what happened since the last call."""
        out = self.matching.take(self.clock_us())
        trades = [item for item in out if isinstance(item, Trade)]
        aggregates = self.market.record(trades)
        for listener in self.listeners:
            listener(out, aggregates)

    def visible(self, order: Order) -> bool:
        """Whether queries show this order (the hide fault)."""
        return not self.faults.hidden(order.created_us, self.clock_us())

    def cancelable(self, order: Order) -> bool:
        """Whether a cancel finds this order (the hide fault)."""
        return not self.faults.hide_from_cancels or self.visible(order)

    def _give_back(self, account: Account, maker: bool) -> None:  # noqa: FBT001  (a callback)
        self.limits.uncount_order(account.name, self.clock_us(), 5 if maker else 1)
