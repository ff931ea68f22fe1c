"""What the risk checks know at the moment of one order, gathered by the shell and handed in.

`None` means "not known", and what is not known blocks (I12); it is never read as zero. Stale market
data is handed in as it is, with its age: the checks decide (I9).
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import msgspec

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.decision import Check
from engine.contracts.instrument import Instrument
from engine.contracts.money import plain
from engine.contracts.order import Order, OrderIntent
from engine.contracts.session import Limits, SessionState

#: How long an equal order counts as a key that repeated, µs.
DUPLICATE_WINDOW_US = 1_000_000


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol before the order: how long and how short it would be at worst, in base.

    `longest` is the position if all open buys filled, `shortest` the same for sells with its sign
    turned; each may be negative. `mark` is its price in quote, None when not known.
    """

    symbol: str
    base: str
    quote: str
    longest: Decimal
    shortest: Decimal
    mark: Decimal | None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One loss breaker as it stands at this moment; `used` None is not known."""

    name: str
    text: str
    used: Decimal | None
    limit: Decimal
    unit: str


class RiskFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a check may look at, for orders in one symbol.

    Times in µs UTC (`_us`) or ms (`_ms`). `window_from_us` to `window_until_us` is half-open.
    `best_bid` and `best_ask` are prices in quote. `position` is base of the symbol, signed.
    `open_orders` are all orders that may still execute, of any symbol, UNKNOWN ones included.
    `exposures` are all symbols held, open or traded. `recent_submits_us` and `recent_cancels_us`
    are what was sent in at least the last minute, `day_` counts those of the UTC day, of all
    sessions. `recent_rejects_us` reach back a minute and the cooldown, `recent_losses_us` the
    cooldown. `session_pnl` is net and marked, `session_realised` net and realised, both in quote.
    `breakers` are the loss breakers (`engine.risk.breakers`) as they stand now. `balances` is
    asset -> (free, locked), assets without balance left out.
    `intents_hash_recent` is (`duplicate_key`, time) of recent intents. `locks` are the answers of
    `engine.governance.locks.live_locks`.
    """

    now_us: int
    session_state: SessionState | None
    window_from_us: int | None
    window_until_us: int | None
    latch_set: bool | None
    attended: bool | None
    limits: Limits
    instrument: Instrument | None
    best_bid: Decimal | None
    best_ask: Decimal | None
    last_price: Decimal | None
    book_age_ms: int | None
    stale_limit_ms: int
    position: Decimal | None
    exposures: tuple[Exposure, ...] | None
    open_orders: tuple[Order, ...]
    unknown_orders: int | None
    recent_submits_us: tuple[int, ...]
    recent_cancels_us: tuple[int, ...]
    recent_rejects_us: tuple[int, ...]
    recent_losses_us: tuple[int, ...]
    day_orders: int
    day_cancels: int
    session_orders: int
    session_pnl: Decimal | None
    session_realised: Decimal | None
    breakers: tuple[Measured, ...]
    balances: dict[str, tuple[Decimal, Decimal]] | None
    clock_offset_ms: int | None
    clock_limit_ms: int
    intents_hash_recent: tuple[tuple[str, int], ...]
    locks: tuple[Check, ...]


def base_of(facts: RiskFacts) -> str:
    """The base asset, or the word for it."""
    return facts.instrument.base if facts.instrument else "base"


def quote_of(facts: RiskFacts) -> str:
    """The quote asset, or the word for it."""
    return facts.instrument.quote if facts.instrument else "quote"


@lru_cache(maxsize=1024)
def duplicate_key(intent: OrderIntent) -> str:
    """Hash of what is wanted, without the name; trailing zeros do not matter.

    Remembered, because each order is compared with those of the last second.
    """
    price = None if intent.price is None else plain(intent.price)
    wanted = msgspec.structs.replace(
        intent, client_order_id="", quantity=plain(intent.quantity), price=price
    )
    return sha256_hex(canonical(wanted))
