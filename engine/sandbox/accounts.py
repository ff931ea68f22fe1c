"""Accounts of the sandbox: free and locked balances in integer amounts (1e-8), never negative."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.sandbox.errors import insufficient_balance

if TYPE_CHECKING:
    from engine.sandbox.orders import Order, OwnTrade, PreventedMatch


@dataclass(slots=True)
class Balance:
    """One asset: what may be used and what open orders hold."""

    free: int = 0
    locked: int = 0


@dataclass(slots=True, eq=False)
class Account:
    """One account: balances, its orders by id, the open ones by client order id, its trades.

    `touched` holds the assets whose balance changed since the last position event.
    """

    name: str
    uid: int
    balances: dict[str, Balance] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    open_orders: dict[str, Order] = field(default_factory=dict)
    latest_by_client_id: dict[str, Order] = field(default_factory=dict)
    trades: list[OwnTrade] = field(default_factory=list)
    prevented: list[PreventedMatch] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    updated_us: int = 0

    def balance(self, asset: str) -> Balance:
        """The asset's balance, made when it is new."""
        return self.balances.setdefault(asset, Balance())

    def lock(self, asset: str, amount: int) -> None:
        """Move from free to locked. Raises VenueError -2010 and changes nothing when short."""
        self.require(asset, amount)
        held = self.balance(asset)
        held.free -= amount
        held.locked += amount
        self.touched.add(asset)

    def unlock(self, asset: str, amount: int) -> None:
        """Give back what an order no longer needs."""
        held = self.balance(asset)
        assert held.locked >= amount, "more unlocked than was locked"
        held.locked -= amount
        held.free += amount
        self.touched.add(asset)

    def spend_locked(self, asset: str, amount: int) -> None:
        """Pay from what is locked."""
        held = self.balance(asset)
        assert held.locked >= amount, "more spent than was locked"
        held.locked -= amount
        self.touched.add(asset)

    def receive(self, asset: str, amount: int) -> None:
        """Take in the proceeds of a trade."""
        self.balance(asset).free += amount
        self.touched.add(asset)

    def require(self, asset: str, amount: int) -> None:
        """Raise VenueError -2010 unless this much is free."""
        if self.balance(asset).free < amount:
            raise insufficient_balance()
