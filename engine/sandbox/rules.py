"""The rules of the one symbol, and its number scales.

Inside the sandbox a price is a whole number of ticks, a quantity a whole number of steps, and a
balance, fee or value a whole number of 1e-8 (`amount`): integers only, so nothing is ever rounded
except a fee, once, to the eighth place (I11). Text exists at the edge: the venue writes every
price, quantity and balance as a string with eight places.
"""

from __future__ import annotations

import re

import msgspec

from engine.contracts.errors import InputError
from engine.sandbox.errors import VenueError, filter_failure, illegal

#: Units of the smallest amount in one whole.
ONE = 10**8

_NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_NUMBER_RE = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))?")
_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "EUR", "BTC", "ETH", "BNB")


def amount_text(amount: int) -> str:
    """Write an amount (1e-8) with eight places, as the venue does."""
    sign, size = ("-", -amount) if amount < 0 else ("", amount)
    return f"{sign}{size // ONE}.{size % ONE:08d}"


def parse_amount(text: str, name: str) -> int:
    """Read a parameter as an amount (1e-8). Raises VenueError -1100 or -1111."""
    match = _NUMBER_RE.fullmatch(text)
    if match is None:
        raise illegal(name, _NUMBER)
    whole, places = match[1], (match[2] or "").rstrip("0")
    if len(places) > 8:
        raise VenueError(-1111, f"Parameter '{name}' has too much precision.")
    return int(whole) * ONE + int(places.ljust(8, "0"))


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol: scales, filters and fees.

    `price_places` and `quantity_places` make the tick and step (10**-places); quantities in steps,
    `min_notional` an amount in quote, fees in millionths, price bounds relative to the last price.
    The multiples make the tick and step sizes that orders must keep to coarser than the book's.
    """

    symbol: str
    base: str
    quote: str
    status: str = "TRADING"
    price_multiple: int = 1
    quantity_multiple: int = 1
    price_places: int = 2
    quantity_places: int = 5
    min_quantity: int = 1
    max_quantity: int = 9000 * 10**5
    max_market_quantity: int = 100 * 10**5
    min_notional: int = 5 * ONE
    max_notional: int = 9_000_000 * ONE
    max_price: int = 10**8
    max_orders: int = 200
    maker_fee_ppm: int = 1000
    taker_fee_ppm: int = 1000
    multiplier_up: int = 5
    multiplier_down_percent: int = 20

    @property
    def tick(self) -> int:
        """One tick as an amount in quote."""
        return int(10 ** (8 - self.price_places))

    @property
    def step(self) -> int:
        """One step as an amount in base."""
        return int(10 ** (8 - self.quantity_places))

    @property
    def value_unit(self) -> int:
        """One tick times one step, as an amount in quote."""
        return int(10 ** (8 - self.price_places - self.quantity_places))

    def value(self, price: int, quantity: int) -> int:
        """Price in ticks times quantity in steps, as an amount in quote."""
        return price * quantity * self.value_unit

    def price_text(self, price: int) -> str:
        """Ticks as text."""
        return amount_text(price * self.tick)

    def quantity_text(self, quantity: int) -> str:
        """Steps as text."""
        return amount_text(quantity * self.step)

    def parse_price(self, text: str) -> int:
        """Text to ticks; PRICE_FILTER when it is no whole number of ticks or out of range."""
        price, rest = divmod(parse_amount(text, "price"), self.tick)
        if rest or price % self.price_multiple or not 1 <= price <= self.max_price:
            raise filter_failure("PRICE_FILTER")
        return price

    def parse_quantity(self, text: str, *, market: bool) -> int:
        """Text to steps; LOT_SIZE or MARKET_LOT_SIZE when it breaks the filter."""
        quantity, rest = divmod(parse_amount(text, "quantity"), self.step)
        on_grid = not rest and quantity % self.quantity_multiple == 0
        if not on_grid or not self.min_quantity <= quantity <= self.max_quantity:
            raise filter_failure("LOT_SIZE")
        if market and quantity > self.max_market_quantity:
            raise filter_failure("MARKET_LOT_SIZE")
        return quantity

    def check_notional(self, value: int, *, market: bool = False) -> None:
        """NOTIONAL: the value of an order in quote (amount); market orders have no maximum."""
        if value < self.min_notional or (value > self.max_notional and not market):
            raise filter_failure("NOTIONAL")

    def check_percent_price(self, price: int, reference: int) -> None:
        """PERCENT_PRICE_BY_SIDE: both sides have the same bounds around the last price here."""
        if (
            price > reference * self.multiplier_up
            or price * 100 < reference * self.multiplier_down_percent
        ):
            raise filter_failure("PERCENT_PRICE_BY_SIDE")

    def fee(self, amount: int, *, maker: bool) -> int:
        """The fee on what a side receives, rounded half up to 1e-8."""
        rate = self.maker_fee_ppm if maker else self.taker_fee_ppm
        return (amount * rate + 500_000) // 1_000_000

    def rate_text(self, *, maker: bool) -> str:
        """The fee rate as text, `0.00100000`."""
        return amount_text((self.maker_fee_ppm if maker else self.taker_fee_ppm) * 100)


def rules_for(symbol: str) -> Rules:
    """Rules of a symbol such as BTCUSDT. Raises InputError when its quote asset is not known."""
    for quote in _QUOTES:
        base = symbol.removesuffix(quote)
        if base and base != symbol and symbol.isalnum() and symbol.isupper():
            return Rules(symbol=symbol, base=base, quote=quote)
    raise InputError(
        what=f"symbol {symbol[:40]!r} has no known quote asset",
        where="sandbox.symbol",
        todo=f"use an upper-case symbol that ends in one of {', '.join(_QUOTES)}",
    )


STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")


def symbol_document(rules: Rules) -> dict[str, object]:
    """The symbol's entry of exchangeInfo; what is not built is declared as not allowed."""
    up = amount_text(rules.multiplier_up * ONE)
    down = amount_text(rules.multiplier_down_percent * ONE // 100)
    not_built = (
        "icebergAllowed",
        "ocoAllowed",
        "otoAllowed",
        "opoAllowed",
        "allowTrailingStop",
        "cancelReplaceAllowed",
        "amendAllowed",
        "pegInstructionsAllowed",
        "isMarginTradingAllowed",
    )
    return {
        "symbol": rules.symbol,
        "status": rules.status,
        "baseAsset": rules.base,
        "baseAssetPrecision": 8,
        "quoteAsset": rules.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": True,
        **dict.fromkeys(not_built, False),
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": rules.price_text(1),
                "maxPrice": rules.price_text(rules.max_price),
                "tickSize": amount_text(rules.tick * rules.price_multiple),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": rules.quantity_text(rules.min_quantity),
                "maxQty": rules.quantity_text(rules.max_quantity),
                "stepSize": amount_text(rules.step * rules.quantity_multiple),
            },
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": amount_text(0),
                "maxQty": rules.quantity_text(rules.max_market_quantity),
                "stepSize": amount_text(0),
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": up,
                "bidMultiplierDown": down,
                "askMultiplierUp": up,
                "askMultiplierDown": down,
                "avgPriceMins": 0,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": amount_text(rules.min_notional),
                "applyMinToMarket": True,
                "maxNotional": amount_text(rules.max_notional),
                "applyMaxToMarket": False,
                "avgPriceMins": 0,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": rules.max_orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 10,
                "maxTrailingBelowDelta": 2000,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": list(STP_MODES),
    }
