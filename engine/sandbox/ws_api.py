"""The WebSocket API (venue.md 2.8): session logon and the user data stream.

Every answer carries `rateLimits` unless the connection asked for none: a client fails without. One
subscription per account and connection. Nothing is replayed after a reconnect: clients reconcile
by REST. Trading goes by REST; order.* is not built.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from engine.sandbox import documents
from engine.sandbox.accounts import Account
from engine.sandbox.auth import ApiKey, bad_signature, check_timing, find_key, verify, ws_payload
from engine.sandbox.connection import Connection
from engine.sandbox.errors import VenueError, missing
from engine.sandbox.exchange import Exchange
from engine.sandbox.market import Aggregate
from engine.sandbox.orders import Output, Position, Report


class _Request(msgspec.Struct, kw_only=True):
    method: str
    params: dict[str, str | int | bool] = {}
    id: int | str | None = None


class UserConnection:
    """One connection: who is logged on and which accounts it listens to."""

    def __init__(self, connection: Connection, address: str, *, show_limits: bool) -> None:
        self.connection = connection
        self.address = address
        self.show_limits = show_limits
        self.logged_on: ApiKey | None = None
        self.since_ms = 0
        self.connected_ms = 0
        self.subscriptions: dict[int, Account] = {}
        self.by_logon: set[int] = set()
        self.next_subscription = 0


class WebSocketApi:
    """All WebSocket API connections of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._users: set[UserConnection] = set()
        self._methods: dict[str, tuple[int, Callable[[UserConnection, _Request], object]]] = {
            "ping": (1, lambda _user, _request: {}),
            "time": (1, lambda _user, _request: {"serverTime": self._now_ms()}),
            "session.logon": (2, self._logon),
            "session.status": (2, lambda user, _request: self._status(user)),
            "session.logout": (2, self._logout),
            "session.subscriptions": (2, self._subscriptions),
            "userDataStream.subscribe": (2, self._subscribe),
            "userDataStream.subscribe.signature": (2, self._subscribe_signed),
            "userDataStream.unsubscribe": (2, self._unsubscribe),
        }
        exchange.listeners.append(self.on_market)
        exchange.reports.deliver = self._deliver
        exchange.reports.listened = lambda account: any(
            account in user.subscriptions.values() for user in self._users
        )

    def routes(self) -> list[web.RouteDef]:
        """The path clients connect to."""
        return [web.get("/ws-api/v3", self._serve)]

    async def close(self) -> None:
        """End every connection in an orderly way."""
        for user in list(self._users):
            await user.connection.socket.close(code=1001, message=b"going away")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        connection = Connection(request, self._exchange.connections, "user")
        await connection.open()
        show = request.query.get("returnRateLimits", "true") != "false"
        user = UserConnection(connection, request.remote or "", show_limits=show)
        user.connected_ms = self._now_ms()
        self._users.add(user)
        try:
            async for text in connection.texts():
                connection.send(msgspec.json.encode(self._answer(user, text)))
        finally:
            self._users.discard(user)
            await connection.close()
        return connection.socket

    def _answer(self, user: UserConnection, text: str) -> dict[str, object]:
        request: _Request | None = None
        answer: dict[str, object]
        try:
            try:
                request = msgspec.json.decode(text, type=_Request)
            except msgspec.DecodeError as error:
                raise VenueError(-1135, f"JSON Request is invalid: {error}") from error
            weight, act = self._method(request.method)
            self._exchange.limits.charge(user.address, weight, self._exchange.clock_us())
            answer = {"status": 200, "result": act(user, request)}
        except VenueError as error:
            answer = {"status": error.status, "error": error.body()}
        answer = {"id": request.id if request else None, **answer}
        if user.show_limits:
            row = self._exchange.limits.document()[0]
            used = self._exchange.limits.used_weight(user.address, self._exchange.clock_us())
            answer["rateLimits"] = [{**row, "count": used}]
        return answer

    def _method(self, name: str) -> tuple[int, Callable[[UserConnection, _Request], object]]:
        found = self._methods.get(name.removeprefix("v3/"))
        if found is None:
            raise VenueError(-1104, f"Unknown method '{name[:60]}'.")
        return found

    # --- methods ---------------------------------------------------------------------------------

    def _authenticate(self, request: _Request) -> ApiKey:
        params = {name: str(value) for name, value in request.params.items()}
        key = find_key(self._exchange.keys, params.get("apiKey"))
        if not params.get("signature"):
            raise missing("signature")
        check_timing(params.get("timestamp"), params.get("recvWindow"), self._exchange.clock_us())
        if not verify(key, ws_payload(request.params), params["signature"]):
            raise bad_signature()
        return key

    def _logon(self, user: UserConnection, request: _Request) -> object:
        key = self._authenticate(request)
        if not key.public:
            raise VenueError(-4056, "HMAC_SHA256 API key is not supported.")
        user.logged_on, user.since_ms = key, self._now_ms()
        return self._status(user)

    def _status(self, user: UserConnection) -> dict[str, object]:
        return {
            "apiKey": user.logged_on.key if user.logged_on else None,
            "authorizedSince": user.since_ms if user.logged_on else None,
            "connectedSince": user.connected_ms,
            "returnRateLimits": user.show_limits,
            "serverTime": self._now_ms(),
            "userDataStream": bool(user.subscriptions),
        }

    def _logout(self, user: UserConnection, _request: _Request) -> object:
        for subscription in sorted(user.by_logon):
            self._terminate(user, subscription)
        user.logged_on = None
        return self._status(user)

    def _subscriptions(self, user: UserConnection, _request: _Request) -> object:
        return [{"subscriptionId": number} for number in sorted(user.subscriptions)]

    def _subscribe(self, user: UserConnection, _request: _Request) -> object:
        if user.logged_on is None:
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
        number = self._add(user, self._exchange.accounts[user.logged_on.account])
        user.by_logon.add(number)
        return {"subscriptionId": number}

    def _subscribe_signed(self, user: UserConnection, request: _Request) -> object:
        key = self._authenticate(request)
        return {"subscriptionId": self._add(user, self._exchange.accounts[key.account])}

    def _add(self, user: UserConnection, account: Account) -> int:
        if account in user.subscriptions.values():
            raise VenueError(-2035, "User Data Stream subscription already active.")
        number = user.next_subscription
        user.next_subscription += 1
        user.subscriptions[number] = account
        return number

    def _unsubscribe(self, user: UserConnection, request: _Request) -> object:
        number = request.params.get("subscriptionId")
        chosen = list(user.subscriptions) if number is None else [number]
        for subscription in chosen:
            if not isinstance(subscription, int) or subscription not in user.subscriptions:
                raise VenueError(-2036, "User Data Stream subscription is not active.")
            self._terminate(user, subscription)
        return {}

    def _terminate(self, user: UserConnection, subscription: int) -> None:
        del user.subscriptions[subscription]
        user.by_logon.discard(subscription)
        event = {"e": "eventStreamTerminated", "E": self._now_ms()}
        self._send(user, subscription, event)

    # --- events ----------------------------------------------------------------------------------

    def on_market(self, out: list[Output], aggregates: list[Aggregate]) -> None:  # noqa: ARG002
        """Deliver an account's reports and balances in the order they happened."""
        for item in out:
            match item:
                case Report():
                    assert item.order.account is not None, "flow has no reports"
                    event = documents.execution_report(self._exchange.rules, item)
                    now_us = self._exchange.wall_us()
                    self._exchange.reports.put(item.order.account, event, item.execution, now_us)
                case Position():
                    self._deliver(item.account, documents.account_position(item))
                case _:
                    continue

    def _deliver(self, account: Account, event: dict[str, object]) -> None:
        if self._exchange.faults.stalled("user", self._exchange.wall_us()):
            return
        for user in self._users:
            for number, listened in user.subscriptions.items():
                if listened is account:
                    self._send(user, number, event)

    def _send(self, user: UserConnection, number: int, event: dict[str, object]) -> None:
        user.connection.send(msgspec.json.encode({"subscriptionId": number, "event": event}))

    def _now_ms(self) -> int:
        return self._exchange.clock_us() // 1000
