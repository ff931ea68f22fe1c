"""The adapter for the Binance Spot API: REST, market streams and the user data stream.

It does not know whether a sandbox, the public testnet or the real exchange answers: hosts and keys
come in with `BinanceOptions`, and nothing here depends on them.
"""

from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.venue import BinanceVenue

__all__ = ["BinanceOptions", "BinanceVenue"]
