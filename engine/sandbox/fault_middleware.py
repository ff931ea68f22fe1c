"""Faults of REST answers: one middleware around every route (venue.md 2.9).

It decides by method, path and signature which word of `On` a request goes by, asks `Faults` what is
armed, and executes the request before the fault, after it or not at all. The handlers know nothing
of faults. A ban answers before anything else, on REST and on the WebSocket API's handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from engine.sandbox.exchange import Exchange
from engine.sandbox.fault_replica import Replica
from engine.sandbox.faults import RestFault

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: How long a silent request is held at most, in seconds.
_SILENCE_S = 120
_API = "/api/v3/"
_WORDS: dict[tuple[str, str], str] = {
    ("POST", "order"): "submit",
    ("DELETE", "order"): "cancel",
    ("DELETE", "openOrders"): "cancel_all",
    ("GET", "order"): "order",
    ("GET", "openOrders"): "open_orders",
    ("GET", "allOrders"): "orders",
    ("GET", "myTrades"): "fills",
    ("GET", "account"): "account",
    ("GET", "depth"): "depth",
    ("GET", "time"): "time",
}
_TOO_MUCH = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
_BANNED = "Way too much request weight used; IP banned until {until}."
_UNKNOWN = (
    "Timeout waiting for response from backend server. Send status unknown; "
    "execution status unknown."
)
_OUTSIDE = "Timestamp for this request is outside of the recvWindow."
#: code -> (usual HTTP status, message); errors.md.
_CODES: dict[int, tuple[int, str]] = {
    -1000: (500, "An unknown error occurred while processing the request."),
    -1001: (
        503,
        "Internal error; unable to process your request. Please try again.",
    ),
    -1003: (429, _TOO_MUCH),
    -1006: (
        504,
        "An unexpected response was received from the message bus. Execution status unknown.",
    ),
    -1007: (504, _UNKNOWN),
    -1008: (503, "Server is currently overloaded with other requests. Please try again."),
    -1015: (429, "Too many new orders; current limit is 100 orders per 10 SECOND."),
    -1021: (400, _OUTSIDE),
    -1022: (400, "Signature for this request is not valid."),
    -2010: (400, "Account has insufficient balance for requested action."),
    -2011: (400, "Unknown order sent."),
    -2013: (400, "Order does not exist."),
    -2015: (401, "Invalid API-key, IP, or permissions for action."),
}
_PAGE = (
    "<html><head><title>403 Forbidden</title></head>"
    "<body><center><h1>403 Forbidden</h1></center></body></html>"
)
#: Statuses with which a venue says when to come back.
_COME_BACK = frozenset({418, 429})


def words(request: web.Request) -> frozenset[str]:
    """The words of `On` that a request goes by; none outside the REST API."""
    if not request.path.startswith(_API):
        return frozenset()
    found = {"any"}
    word = _WORDS.get((request.method, request.path.removeprefix(_API)))
    if word is not None:
        found.add(word)
    if request.method == "GET" and "signature" in request.query:
        found.add("query")
    return frozenset(found)


class FaultMiddleware:
    """The wrapper of one exchange's routes."""

    def __init__(self, exchange: Exchange, replica: Replica) -> None:
        self._exchange = exchange
        self._replica = replica

    def middleware(self) -> Middleware:
        """For `web.Application(middlewares=...)`."""

        @web.middleware
        async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._serve(request, handler)

        return faults

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith((_API, "/ws-api/")):
            banned = self._banned()
            if banned is not None:
                return banned
        now_us = self._exchange.wall_us()
        fault = self._exchange.faults.take_rest(words(request), now_us)
        if fault is None:
            return self._aged(request, await handler(request))
        return await self._fail(request, handler, fault)

    async def _fail(
        self, request: web.Request, handler: Handler, fault: RestFault
    ) -> web.StreamResponse:
        true: web.StreamResponse | None = None
        if fault.accepts():
            true = self._aged(request, await handler(request))
        await asyncio.sleep(fault.delay_ms / 1000)
        match fault.answer:
            case "delay":
                return true if true is not None else self._aged(request, await handler(request))
            case "silent":
                return await _silence(request)
            case "reset":
                return _reset(request)
            case "code":
                status, message = _CODES.get(fault.code, (400, "Fault."))
                response = _json(fault.code, message, fault.status or status)
            case "skew":
                response = _json(-1021, _OUTSIDE, 400)
            case "html":
                response = web.Response(status=403, text=_PAGE, content_type="text/html")
            case "status":
                response = web.Response(status=fault.status or 504)
        if fault.retry_after_s is not None or response.status in _COME_BACK:
            response.headers["Retry-After"] = str(
                1 if fault.retry_after_s is None else fault.retry_after_s
            )
        return _with_headers(response, true)

    def _banned(self) -> web.Response | None:
        now_us, until_us = self._exchange.wall_us(), self._exchange.faults.ban_until_us
        if now_us >= until_us:
            return None
        self._exchange.faults.fired["ban"] += 1
        response = _json(-1003, _BANNED.format(until=until_us // 1000), 418)
        response.headers["Retry-After"] = str((until_us - now_us) // 1_000_000 + 1)
        return response

    def _aged(self, request: web.Request, true: web.StreamResponse) -> web.StreamResponse:
        """The answer as a lagging replica gives it, when that is armed."""
        faults = self._exchange.faults
        if not isinstance(true, web.Response) or true.status != 200 or request.method != "GET":
            return true
        path = request.path.removeprefix(_API)
        if path == "openOrders" and faults.open_orders_lag_ms:
            key = self._exchange.keys[request.headers["X-MBX-APIKEY"]]
            rows = self._replica.open_orders(self._exchange.accounts[key.account])
            if rows is not None:
                faults.fired["open_orders_lag"] += 1
                true.body = msgspec.json.encode(rows)
        elif path == "depth" and isinstance(true.body, bytes) and faults.take_stale():
            true.body = self._replica.depth(true.body)
        return true


def _json(code: int, message: str, status: int) -> web.Response:
    body = msgspec.json.encode({"code": code, "msg": message})
    return web.Response(body=body, status=status, content_type="application/json")


def _with_headers(response: web.Response, true: web.StreamResponse | None) -> web.Response:
    """The weight and order counts of the request that was executed."""
    for name, value in true.headers.items() if true is not None else ():
        if name.startswith("X-MBX-"):
            response.headers[name] = value
    return response


async def _silence(request: web.Request) -> web.StreamResponse:
    """Hold the request without an answer until its client goes."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _SILENCE_S
    while loop.time() < until and request.transport is not None:  # noqa: ASYNC110  (no event)
        await asyncio.sleep(0.1)
    return _reset(request)


def _reset(request: web.Request) -> web.StreamResponse:
    """End the connection with a TCP reset, not with an orderly end."""
    if request.transport is not None:
        connected = request.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            no_linger = struct.pack("ii", 1, 0)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        request.transport.abort()
    return web.Response(status=504)
