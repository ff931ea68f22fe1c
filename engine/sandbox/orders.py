"""What matching works on and what it reports: orders, trades, execution reports.

Times are µs UTC, prices ticks, quantities steps, values and fees amounts (1e-8).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from engine.sandbox.accounts import Account

#: Statuses in which an order can still execute.
OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request: `price` is 0 for MARKET, and `quote_amount` replaces `quantity` if set."""

    client_id: str
    side: int
    type: str
    time_in_force: str = "GTC"
    price: int = 0
    quantity: int = 0
    quote_amount: int = 0
    stp: str = "EXPIRE_MAKER"
    strategy_id: int | None = None
    strategy_type: int | None = None


@dataclass(slots=True, eq=False)
class Order:
    """One order. `account` is None for flow and replay, which have no balances and no reports.

    `remaining` is what may still trade (0 after a cancel), `locked` the amount held for it,
    `prevented` what self-trade prevention took away. While it is open,
    quantity - filled - prevented = remaining. `dry` marks a market order sized in quote whose
    book ended before that amount was spent: it cannot be filled, only expire.
    """

    order_id: int
    account: Account | None
    client_id: str
    side: int
    type: str
    time_in_force: str
    price: int
    quantity: int
    remaining: int
    created_us: int
    updated_us: int
    quote_amount: int = 0
    stp: str = "EXPIRE_MAKER"
    status: str = "NEW"
    filled: int = 0
    filled_value: int = 0
    locked: int = 0
    rested: bool = False
    dry: bool = False
    prevented: int = 0
    expiry_reason: str = ""
    strategy_id: int | None = None
    strategy_type: int | None = None
    prevented_matches: list[PreventedMatch] = field(default_factory=list)
    fills: list[OwnTrade] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether it can still execute."""
        return self.status in OPEN


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade on the public tape. `buyer_is_maker` means that the taker sold."""

    trade_id: int
    price: int
    quantity: int
    time_us: int
    buyer_is_maker: bool
    taker_order_id: int


class OwnTrade(msgspec.Struct, frozen=True, kw_only=True):
    """An account's side of a trade, with its fee."""

    trade_id: int
    order_id: int
    price: int
    quantity: int
    value: int
    fee: int
    fee_asset: str
    time_us: int
    buyer: bool
    maker: bool


class PreventedMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of an account with itself that did not happen (faqs/stp_faq.md).

    `quantity` is what would have traded; the other two say what each order lost because of it.
    """

    match_id: int
    taker_order_id: int
    maker_order_id: int
    mode: str
    price: int
    quantity: int
    taker_prevented: int
    maker_prevented: int
    time_us: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One execution report: the order as it stood then, and the trade if there was one.

    `execution` is NEW, TRADE, CANCELED, EXPIRED or TRADE_PREVENTION; `cancel_id` the id of the
    cancel request; `match` the prevented match, after which `prevented` is the order's total.
    """

    order: Order
    execution: str
    status: str
    filled: int
    filled_value: int
    time_us: int
    cancel_id: str = ""
    trade: OwnTrade | None = None
    resting: bool = False
    match: PreventedMatch | None = None
    prevented: int = 0


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Balances of an account after an action: asset -> (free, locked)."""

    account: Account
    balances: dict[str, tuple[int, int]]
    time_us: int


Output = Trade | Report | Position
