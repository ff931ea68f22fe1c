"""One signed or public REST request: clock, signature, rate budget, one attempt or several.

Promises: a POST leaves at most once, whatever happens (no retry, no redirect; aiohttp itself
repeats only GET and DELETE, on a kept connection that was closed unanswered); `query` repeats only
GETs whose failure is marked retryable, a bounded number of times; nothing raised or returned quotes
a URL, a key or a signature (I10). Connections are kept alive and warmed: a handshake in front of a
cancel costs more than the cancel.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import TypeVar

import aiohttp
import msgspec
from yarl import URL

from engine.venues.binance.errors import (
    TRANSPORT_ERRORS,
    Fault,
    classify_answer,
    classify_transport,
    undecodable,
)
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.rates import RateBudget
from engine.venues.binance.signing import Params, encode, signed_query
from engine.venues.binance.wire import DECODE_TIME, WireError, decode
from engine.venues.port import ClockReading, VenueQueryFailed

Answer = TypeVar("Answer")

CLOCK_SAMPLES = 3
#: An idle connection is dropped before the venue's side would do it in our face.
KEEP_ALIVE_S = 50.0
RETRY_FIRST_S = 0.1
CLOCK_CODE = "-1021"
ORDER_LIMIT_CODE = "-1015"


def now_us() -> int:
    """Our wall clock, µs since the epoch."""
    return time.time_ns() // 1000


class RestClient:
    """Requests of one account against one REST host."""

    def __init__(self, options: BinanceOptions) -> None:
        self.budget = RateBudget()
        self.clock_offset_us = 0
        self._options = options
        self._signer = options.signer()
        self._base = options.rest_url.rstrip("/") + "/api/v3/"
        self._headers = {"X-MBX-APIKEY": options.api_key}
        self._trade_timeout = aiohttp.ClientTimeout(
            total=options.trade_timeout_s, sock_connect=options.connect_timeout_s
        )
        self._query_timeout = aiohttp.ClientTimeout(
            total=options.query_timeout_s, sock_connect=options.connect_timeout_s
        )
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> aiohttp.ClientSession:
        """Make the session; streams share it."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def venue_now_us(self) -> int:
        """The venue's clock as we know it, µs."""
        return now_us() + self.clock_offset_us

    # --- clock ---------------------------------------------------------------------------------

    async def measure_clock(self) -> ClockReading:
        """Measure the offset, keep the sample with the shortest round trip and use it."""
        samples = [await self._clock_sample() for _ in range(CLOCK_SAMPLES)]
        readings = [sample for sample in samples if not isinstance(sample, Fault)]
        if not readings:
            faults = [sample for sample in samples if isinstance(sample, Fault)]
            raise self.failed("time", faults[-1].code, faults[-1].reason)
        best = min(readings, key=lambda reading: reading.round_trip_us)
        self.clock_offset_us = best.offset_us
        return best

    async def ping(self) -> None:
        """Ask for nothing, which leaves an open connection behind. Raises VenueQueryFailed."""
        await self.query("ping", {}, weight=1, signed=False)

    async def _clock_sample(self) -> ClockReading | Fault:
        """Ask once; a repetition inside the round trip would spoil the reading."""
        asked_us, started_ns = now_us(), time.perf_counter_ns()
        body = await self._send("GET", "time", "", self._query_timeout, weight=1)
        round_trip_us = (time.perf_counter_ns() - started_ns) // 1000
        if isinstance(body, Fault):
            return body
        server = self.read(DECODE_TIME, body, "time")
        # The venue's milliseconds are cut off: in the mean its clock is half of one further.
        venue_us = server.server_time * 1000 + 500
        return ClockReading(
            offset_us=venue_us - (asked_us + round_trip_us // 2), round_trip_us=round_trip_us
        )

    # --- requests ------------------------------------------------------------------------------

    async def once(self, method: str, path: str, params: Params, weight: int = 1) -> bytes | Fault:
        """Send a signed request exactly once; the body of a 2xx answer or the fault."""
        return await self._send(method, path, self._signed(params), self._trade_timeout, weight)

    async def query(
        self,
        path: str,
        params: Params,
        *,
        weight: int,
        signed: bool = True,
        reserved: bool = False,
    ) -> bytes:
        """GET with bounded repetition. Raises VenueQueryFailed: then nothing is known."""
        fault = Fault(code="NONE", reason="not asked", certain=True, retryable=False)
        for attempt in range(self._options.query_attempts):
            if attempt:
                await asyncio.sleep(RETRY_FIRST_S * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311
            refusal = None if reserved else self.budget.refuse(weight, self.venue_now_us())
            if refusal is not None:
                raise self.failed(path, "RATE_RESERVED", refusal)
            query = self._signed(params) if signed else encode(params)
            answer = await self._send("GET", path, query, self._query_timeout, weight)
            if not isinstance(answer, Fault):
                return answer
            fault = answer
            if not fault.retryable:
                break
            if fault.code == CLOCK_CODE:
                await self.measure_clock()
        raise self.failed(path, fault.code, fault.reason)

    def read(self, decoder: msgspec.json.Decoder[Answer], body: bytes, path: str) -> Answer:
        """Decode the answer of a query. Raises VenueQueryFailed."""
        try:
            return decode(decoder, body)
        except WireError as error:
            raise self.unreadable(path, error) from error

    def unreadable(self, path: str, error: WireError) -> VenueQueryFailed:
        """Build the error of an answer that does not say what it must."""
        return self.failed(path, undecodable("").code, str(error))

    def failed(self, path: str, code: str, reason: str) -> VenueQueryFailed:
        """Build the error of a query."""
        return VenueQueryFailed(
            what=f"{path} failed: {code} {reason}".rstrip(),
            where=self._options.name,
            todo="nothing is assumed; ask again",
            code=code,
        )

    def _signed(self, params: Params) -> str:
        stamped = {
            **params,
            "recvWindow": self._options.recv_window_ms,
            "timestamp": self.venue_now_us() // 1000,
        }
        return signed_query(stamped, self._signer)

    async def _send(
        self, method: str, path: str, query: str, limits: aiohttp.ClientTimeout, weight: int
    ) -> bytes | Fault:
        session = self.start()
        if session.closed:
            return Fault(code="CLOSED", reason="not sent", certain=True, retryable=False)
        url = URL(f"{self._base}{path}?{query}" if query else self._base + path, encoded=True)
        self.budget.sent(weight, self.venue_now_us())
        try:
            # Not following redirects: one of them would send an order a second time.
            async with session.request(
                method, url, headers=self._headers, timeout=limits, allow_redirects=False
            ) as response:
                body = await response.read()
                status, headers = response.status, response.headers
        except TRANSPORT_ERRORS as error:
            fault = classify_transport(error)
            # Before a refused connection aiohttp may have sent a GET or DELETE over an old one.
            return fault if method == "POST" else msgspec.structs.replace(fault, certain=False)
        self._note_weight(headers)
        if 200 <= status < 300:
            return body
        fault = classify_answer(status, body, headers)
        self._note_silence(fault)
        return fault

    def _note_weight(self, headers: Mapping[str, str]) -> None:
        used = headers.get("X-MBX-USED-WEIGHT-1M", "")
        if used.isdigit():
            self.budget.answered(int(used), self.venue_now_us())

    def _note_silence(self, fault: Fault) -> None:
        if fault.retry_after_s is None:
            return
        if fault.code == ORDER_LIMIT_CODE:
            self.budget.no_orders(fault.retry_after_s, self.venue_now_us())
        else:
            self.budget.silence(fault.retry_after_s, self.venue_now_us())
