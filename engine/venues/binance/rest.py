"""One signed or public REST request: clock, signature, rate budget, one attempt or several.

Promises: a POST leaves at most once, whatever happens (no retry, no redirect; `lines` repeats
only GET and DELETE, on a kept connection that was closed unanswered); `query` and `cancel`
repeat only what the taxonomy lets them, within one deadline; nothing raised or returned quotes a
URL, a key or a signature (I10). Connections are kept alive and warmed: a handshake in front of a
cancel costs more than the cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TypeVar

import aiohttp
import msgspec

from engine.venues.binance.clock import VenueClock, monotonic_us
from engine.venues.binance.errors import (
    TRANSPORT_ERRORS,
    Again,
    Fault,
    classify_answer,
    classify_transport,
    held,
    undecodable,
)
from engine.venues.binance.key_standing import KeyStanding
from engine.venues.binance.lines import Lines
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.rates import RateBudget
from engine.venues.binance.retry import Plan, persist
from engine.venues.binance.signing import Params, encode, signed_query
from engine.venues.binance.wire import DECODE_TIME, WireError, decode
from engine.venues.port import ClockReading, VenueQueryFailed

Answer = TypeVar("Answer")

CLOCK_SAMPLES = 3
#: An idle connection is dropped before the venue's side would do it in our face.
KEEP_ALIVE_S = 50.0
CLOCK_CODE = "-1021"
ORDER_LIMIT_CODE = "-1015"
#: Reserved traffic knocks at a silent venue in two lanes (see `rates`).
CANCELS, PROOFS = "cancels", "proofs"


class RestClient:
    """Requests of one account against one REST host."""

    def __init__(self, options: BinanceOptions) -> None:
        self.budget = RateBudget()
        self.clock = VenueClock()
        self.key = KeyStanding()
        self.clock_doubted = asyncio.Event()
        self._options = options
        self._signer = options.signer()
        self._lines = Lines(
            options.rest_url,
            {"X-MBX-APIKEY": options.api_key},
            connect_timeout_s=options.connect_timeout_s,
            keep_alive_s=KEEP_ALIVE_S,
        )
        self._window = f"recvWindow={options.recv_window_ms}&timestamp="
        self._reads = _plan(
            options, attempt_s=options.query_timeout_s, deadline_s=options.query_deadline_s
        )
        self._cancels = _plan(
            options, attempt_s=options.cancel_attempt_s, deadline_s=options.trade_timeout_s
        )
        self._proofs = _plan(
            options, attempt_s=options.cancel_attempt_s, deadline_s=options.query_deadline_s
        )
        self._session: aiohttp.ClientSession | None = None
        self._measuring = asyncio.Lock()

    def start(self) -> aiohttp.ClientSession:
        """Make the session of the streams."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        await self._lines.close()
        if self._session is not None:
            await self._session.close()

    def venue_now_us(self) -> int:
        """The venue's clock as we know it, µs."""
        return self.clock.now_us()

    # --- clock ---------------------------------------------------------------------------------

    async def measure_clock(self) -> ClockReading:
        """Measure the offset in several samples; the one with the shortest round trip counts.

        Raises VenueQueryFailed when no sample was answered.
        """
        async with self._measuring:
            return await self._measure()

    async def refresh_clock(self, since_us: int) -> None:
        """Measure the clock unless somebody has since then (monotonic µs); failing is no error."""
        async with self._measuring:
            if (self.clock.read_us or 0) < since_us:
                with contextlib.suppress(VenueQueryFailed):
                    await self._measure()

    async def _measure(self) -> ClockReading:
        self.clock_doubted.clear()
        best: tuple[int, int, int] | None = None
        fault = held("CLOSED", "not asked")
        give_up_us = monotonic_us() + int(self._options.query_timeout_s * 1_000_000)
        for _ in range(CLOCK_SAMPLES):
            sample = await self._clock_sample()
            if isinstance(sample, Fault):
                fault = sample
            elif best is None or sample[2] < best[2]:
                best = sample
            if monotonic_us() > give_up_us:
                break
        if best is None:
            raise self.failed("time", fault)
        return self.clock.take(*best)

    async def ping(self) -> None:
        """Ask for nothing, which leaves an open connection behind. Raises VenueQueryFailed."""
        await self.query("ping", {}, weight=1, signed=False)

    async def _clock_sample(self) -> tuple[int, int, int] | Fault:
        """Ask once: server time ms, asked µs, round trip µs. A repetition would spoil it."""
        asked_us = monotonic_us()
        body = await self._send("GET", "time", "", self._reads.attempt_s, 1, "")
        round_trip_us = monotonic_us() - asked_us
        if isinstance(body, Fault):
            return body
        server = self.read(DECODE_TIME, body, "time")
        return server.server_time, asked_us, round_trip_us

    # --- requests ------------------------------------------------------------------------------

    async def order(self, query: str) -> bytes | Fault:
        """POST an order exactly once; the body of a 2xx answer or the fault."""
        answer = await self._send(
            "POST", "order", self._stamped(query), self._options.trade_timeout_s, 1, ""
        )
        if isinstance(answer, Fault) and answer.code == CLOCK_CODE:
            self.clock_doubted.set()
        return answer

    async def cancel(self, path: str, params: Params) -> bytes | Fault:
        """DELETE, again where the table allows it, within the deadline of a trade."""
        unsigned = encode(params)
        began = monotonic_us()

        async def attempt(limit_s: float) -> bytes | Fault:
            return await self._reserved("DELETE", path, unsigned, limit_s, 1, CANCELS)

        return await persist(
            attempt, _cancel_again, self._cancels, lambda: self.refresh_clock(began)
        )

    async def query(
        self,
        path: str,
        params: Params,
        *,
        weight: int,
        signed: bool = True,
        reserved: bool = False,
    ) -> bytes:
        """GET, again where the table allows it. Raises VenueQueryFailed: then nothing is known."""
        unsigned = encode(params)
        began = monotonic_us()

        async def attempt(limit_s: float) -> bytes | Fault:
            if reserved:
                return await self._reserved("GET", path, unsigned, limit_s, weight, PROOFS)
            refusal = self.budget.refuse(weight, self.venue_now_us())
            if refusal is not None:
                return held("RATE_RESERVED", refusal)
            query = self._stamped(unsigned) if signed else unsigned
            return await self._send("GET", path, query, limit_s, weight, "")

        answer = await persist(attempt, _read_again, self._reads, lambda: self.refresh_clock(began))
        if isinstance(answer, Fault):
            raise self.failed(path, answer)
        return answer

    def read(self, decoder: msgspec.json.Decoder[Answer], body: bytes, path: str) -> Answer:
        """Decode the answer of a query. Raises VenueQueryFailed."""
        try:
            return decode(decoder, body)
        except WireError as error:
            raise self.unreadable(path, error) from error

    def unreadable(self, path: str, error: WireError) -> VenueQueryFailed:
        """Build the error of an answer that does not say what it must."""
        return self.failed(path, undecodable(str(error)))

    def failed(self, path: str, fault: Fault) -> VenueQueryFailed:
        """Build the error of a query."""
        return VenueQueryFailed(
            what=f"{path} failed: {fault.code} {fault.reason}".rstrip(),
            where=self._options.name,
            todo=f"nothing is assumed. {fault.advice}",
            code=fault.code,
        )

    def note_silence(self, fault: Fault, lane: str = "") -> None:
        """Take in that the venue asked for silence."""
        if fault.retry_after_s is None:
            return
        if fault.code == ORDER_LIMIT_CODE:
            self.budget.no_orders(fault.retry_after_s, self.venue_now_us())
        else:
            self.budget.silence(fault.retry_after_s, self.venue_now_us(), lane)

    def _stamped(self, unsigned: str) -> str:
        """Add window, time and signature to an encoded query."""
        joint = "&" if unsigned else ""
        stamped = f"{unsigned}{joint}{self._window}{self.clock.now_us() // 1000}"
        return signed_query(stamped, self._signer)

    async def _reserved(
        self, method: str, path: str, unsigned: str, limit_s: float, weight: int, lane: str
    ) -> bytes | Fault:
        """Send reduced-risk traffic; into a silence only a knock now and then."""
        wait_us = self.budget.knock_in_us(lane, self.venue_now_us())
        if wait_us > 0:
            seconds = wait_us / 1_000_000
            why = f"refused a moment ago; {lane} knock again in {seconds:.1f} s"
            return held("RATE_SILENCE", why, seconds)
        return await self._send(method, path, self._stamped(unsigned), limit_s, weight, lane)

    async def _send(
        self, method: str, path: str, query: str, limit_s: float, weight: int, lane: str
    ) -> bytes | Fault:
        if self._lines.closed:
            return held("CLOSED", "not sent")
        self.budget.sent(weight, self.venue_now_us())
        target = f"/api/v3/{path}?{query}" if query else f"/api/v3/{path}"
        try:
            status, headers, body = await self._lines.request(method, target, limit_s)
        except TRANSPORT_ERRORS as error:
            fault = classify_transport(error)
            # Before a refused connection a GET or DELETE may have left over an old one.
            return fault if method == "POST" else msgspec.structs.replace(fault, certain=False)
        self.budget.answered(headers, self.venue_now_us())
        if 200 <= status < 300:
            if "signature=" in query:
                self.key.taken()
            return body
        fault = classify_answer(status, body, headers)
        self.key.heard(fault.code, monotonic_us())
        self.note_silence(fault, lane)
        return fault


def _plan(options: BinanceOptions, *, attempt_s: float, deadline_s: float) -> Plan:
    return Plan(
        attempts=options.query_attempts,
        attempt_s=attempt_s,
        deadline_s=deadline_s,
        first_s=options.retry_first_s,
        longest_s=options.retry_longest_s,
        silence_s=options.silence_waited_s,
    )


def _read_again(fault: Fault) -> Again:
    return fault.read


def _cancel_again(fault: Fault) -> Again:
    return fault.cancel
