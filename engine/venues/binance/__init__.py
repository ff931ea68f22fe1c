"""The adapter for the Binance Spot API."""
