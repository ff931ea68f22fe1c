"""One REST request: its parameters, its signature, its weight.

Parameters may come in the query, in a form body or in both (the query wins). `Params` remembers
what was read, so that a parameter nobody asked for is refused (-1104) and not silently ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from engine.sandbox.accounts import Account
from engine.sandbox.auth import bad_signature, check_timing, find_key, verify
from engine.sandbox.documents import MILLISECOND_US
from engine.sandbox.errors import VenueError, illegal, missing
from engine.sandbox.exchange import Exchange

_INTEGER = re.compile(r"[0-9]{1,19}")
_TIME_UNITS = {"MILLISECOND": MILLISECOND_US, "MICROSECOND": 1}
#: A time of at least so many digits is in µs, as `timestamp` may be (venue.md 2.2).
_MICROSECOND_DIGITS = 16


def time_unit(name: str | None) -> int:
    """The unit of times in an answer, in µs, from `X-MBX-TIME-UNIT`. Raises VenueError -1194."""
    unit = _TIME_UNITS.get((name or "MILLISECOND").upper())
    if unit is None:
        raise VenueError(
            -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
        )
    return unit


class Params:
    """Parameters by name, with typed readers that raise VenueError.

    `unit_us` is the unit of times in the answer to this request, in µs.
    """

    def __init__(self, values: Mapping[str, str], unit_us: int = MILLISECOND_US) -> None:
        self._values = values
        self.unit_us = unit_us
        self._read: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether it was sent (without reading it)."""
        return name in self._values

    def text(self, name: str) -> str | None:
        """The value, or None when absent. Empty is malformed (-1102)."""
        self._read.add(name)
        value = self._values.get(name)
        if value == "":
            raise missing(name)
        return value

    def required(self, name: str) -> str:
        """The value of a mandatory parameter."""
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value

    def integer(self, name: str) -> int | None:
        """A non-negative integer, or None when absent."""
        value = self.text(name)
        if value is None:
            return None
        if not _INTEGER.fullmatch(value):
            raise illegal(name, "^[0-9]{1,20}$")
        return int(value)

    def span(self) -> tuple[int | None, int | None]:
        """`startTime` and `endTime` in µs, both inclusive; they may be sent in ms or in µs."""
        start, end = self.integer("startTime"), self.integer("endTime")
        if start is not None and len(str(start)) < _MICROSECOND_DIGITS:
            start *= 1000
        if end is not None and len(str(end)) < _MICROSECOND_DIGITS:
            end = end * 1000 + 999
        return start, end

    def limit(self, default: int, most: int) -> int:
        """The `limit` parameter; more than the most is cut, as the venue does."""
        value = self.integer("limit")
        if value == 0:
            raise missing("limit")
        return min(value or default, most)

    def flag(self, name: str) -> bool:
        """A boolean, false when absent."""
        value = self.text(name)
        if value not in {None, "true", "false"}:
            raise illegal(name, "^(true|false)$")
        return value == "true"

    def finish(self) -> None:
        """Refuse what nobody read (-1104)."""
        unread = [name for name in self._values if name not in self._read]
        if unread:
            raise VenueError(
                -1104,
                f"Not all sent parameters were read; read '{len(self._values) - len(unread)}' "
                f"parameter(s) but was sent '{len(self._values)}'.",
            )


def parse_params(query: str, body: str, unit_us: int = MILLISECOND_US) -> Params:
    """Decode both parts; the query wins."""
    values: dict[str, str] = {}
    for part in (query, body):
        found: dict[str, str] = {}
        for name, value in parse_qsl(part, keep_blank_values=True):
            if name in found:
                raise VenueError(-1101, f"Duplicate values for parameter '{name}' detected.")
            found[name] = value
        values = {**found, **values}
    return Params(values, unit_us)


def signed_payload(query: str, body: str) -> bytes:
    """What the signature is over: both parts as sent, without the signature itself."""
    kept = (
        "&".join(piece for piece in part.split("&") if not piece.startswith("signature="))
        for part in (query, body)
    )
    try:
        return "".join(kept).encode("ascii")
    except UnicodeEncodeError:
        # Since 2026-01-15 payloads must be percent-encoded before they are signed.
        raise bad_signature() from None


def authenticate(
    exchange: Exchange, key_name: str | None, query: str, body: str, params: Params
) -> Account:
    """The account behind a signed request. Raises VenueError."""
    key = find_key(exchange.keys, key_name)
    signature = params.required("signature")
    check_timing(params.text("timestamp"), params.text("recvWindow"), exchange.clock_us())
    if not verify(key, signed_payload(query, body), signature):
        raise bad_signature()
    return exchange.accounts[key.account]


def check_symbol(exchange: Exchange, symbol: str) -> None:
    """Refuse every symbol but ours (-1121)."""
    if symbol != exchange.rules.symbol:
        raise VenueError(-1121, "Invalid symbol.")
