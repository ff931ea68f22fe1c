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
        self.clock_us = clock_us
        self.matching = ReplayMatching(rules, first_order_id=first_id, first_trade_id=first_id)
        self.market = MarketData(rules)
        self.faults = Faults()
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        self.listeners: list[Listener] = []
        self.matching.on_first_fill = self._give_back

    def open_account(self, name: str, balances: dict[str, int]) -> Account:
        """Make an account with free balances in amounts (1e-8)."""
        account = Account(name=name, uid=1000 + len(self.accounts))
        account.balances = {asset: Balance(free=amount) for asset, amount in balances.items()}
        account.updated_us = self.clock_us()
        self.accounts[name] = account
        return account

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

    def _give_back(self, account: Account, maker: bool) -> None:  # noqa: FBT001  (a callback)
        self.limits.uncount_order(account.name, self.clock_us(), 5 if maker else 1)
