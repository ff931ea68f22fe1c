"""REST over aiohttp: weight, signature, answer, headers, for every row of the endpoint tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from engine.sandbox.errors import VenueError, illegal
from engine.sandbox.exchange import Exchange
from engine.sandbox.rest_market import PUBLIC, Endpoint
from engine.sandbox.rest_trading import FREE, SIGNED, SignedEndpoint
from engine.sandbox.wire import Params, authenticate, parse_params, time_unit

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def encode(value: object) -> bytes:
    """JSON bytes."""
    return msgspec.json.encode(value)


def refused(error: VenueError) -> web.Response:
    """A refusal as an HTTP answer."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return _response(encode(error.body()), error.status, headers)


def _response(body: bytes, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


class Rest:
    """The routes of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """All routes under /api/v3."""
        made = [
            web.get(f"/api/v3/{path}", self._public(endpoint)) for path, endpoint in PUBLIC.items()
        ]
        for (method, path), endpoint in SIGNED.items():
            handler = self._signed(method, path, endpoint)
            made.append(web.route(method, f"/api/v3/{path}", handler))
        return made

    def _public(self, endpoint: Endpoint) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                unit_us = time_unit(request.headers.get("X-MBX-TIME-UNIT"))
                params = parse_params(_query(request), "", unit_us)
                self._charge(request, endpoint.weight, params)
                answer = endpoint.answer(self._exchange, params)
                params.finish()
            except VenueError as error:
                return self._with_weight(request, refused(error))
            return self._with_weight(request, _response(encode(answer), 200, {}))

        return handle

    def _signed(self, method: str, path: str, endpoint: SignedEndpoint) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            query = _query(request)
            try:
                try:
                    body = (await request.read()).decode() if request.can_read_body else ""
                except UnicodeDecodeError:
                    raise illegal("body", "percent-encoded UTF-8") from None
                unit_us = time_unit(request.headers.get("X-MBX-TIME-UNIT"))
                params = parse_params(query, body, unit_us)
                weight = self._charge(request, endpoint.weight, params)
                key = request.headers.get("X-MBX-APIKEY")
                account = authenticate(self._exchange, key, query, body, params)
                answer = endpoint.answer(self._exchange, account, params)
            except VenueError as error:
                return self._with_weight(request, refused(error))
            now_us = self._exchange.clock_us()
            headers: dict[str, str] = {}
            if (method, path) in FREE:
                self._exchange.limits.refund(_address(request), weight, now_us)
            if (method, path) == ("POST", "order"):
                short, day = self._exchange.limits.order_counts(account.name, now_us)
                headers = {"X-MBX-ORDER-COUNT-10S": str(short), "X-MBX-ORDER-COUNT-1D": str(day)}
            return self._with_weight(request, _response(encode(answer), 200, headers))

        return handle

    def _charge(
        self, request: web.Request, weight: int | Callable[[Params], int], params: Params
    ) -> int:
        cost = weight if isinstance(weight, int) else weight(params)
        self._exchange.limits.charge(_address(request), cost, self._exchange.clock_us())
        return cost

    def _with_weight(self, request: web.Request, response: web.Response) -> web.Response:
        used = self._exchange.limits.used_weight(_address(request), self._exchange.clock_us())
        response.headers["X-MBX-USED-WEIGHT"] = str(used)
        response.headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        return response


def _address(request: web.Request) -> str:
    return request.remote or ""


def _query(request: web.Request) -> str:
    """The query exactly as it came: the signature is over these bytes."""
    return request.raw_path.partition("?")[2]
