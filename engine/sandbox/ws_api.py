"""The WebSocket API (venue.md 2.8): session logon and the user data stream.

Every answer carries `rateLimits` unless the connection asked for none: a client fails without. One
subscription per account and connection. Nothing is replayed after a reconnect: clients reconcile
by REST. What REST offers is here too, by the table of `ws_methods.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from engine.sandbox import documents
from engine.sandbox.accounts import Account
from engine.sandbox.auth import ApiKey
from engine.sandbox.connection import Connection
from engine.sandbox.errors import VenueError
from engine.sandbox.exchange import Exchange
from engine.sandbox.market import Aggregate
from engine.sandbox.orders import Order, Output, Position, Report
from engine.sandbox.rest import refused
from engine.sandbox.wire import time_unit
from engine.sandbox.ws_methods import Value, authenticate, call, unknown_method


class _Request(msgspec.Struct, kw_only=True):
    method: str
    params: dict[str, Value] = {}
    id: int | str | None = None


class UserConnection:
    """One connection: who is logged on and which accounts it listens to."""

    def __init__(
        self, connection: Connection, address: str, *, show_limits: bool, unit_us: int
    ) -> None:
        self.connection = connection
        self.address = address
        self.show_limits = show_limits
        self.unit_us = unit_us
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
        try:
            unit_us = time_unit(request.query.get("timeUnit"))
            self._exchange.limits.connect(request.remote or "", self._exchange.clock_us())
        except VenueError as error:
            return refused(error)
        connection = Connection(request, self._exchange.connections, "user")
        await connection.open()
        show = request.query.get("returnRateLimits", "true") != "false"
        address = request.remote or ""
        user = UserConnection(connection, address, show_limits=show, unit_us=unit_us)
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
        placed_by: str | None = None
        answer: dict[str, object]
        try:
            try:
                request = msgspec.json.decode(text, type=_Request)
            except msgspec.DecodeError as error:
                raise VenueError(-1135, f"JSON Request is invalid: {error}") from error
            result, placed_by = self._result(user, request)
            answer = {"status": 200, "result": result}
        except VenueError as error:
            answer = {"status": error.status, "error": error.body()}
            if error.retry_after is not None:
                now_ms = self._now_ms()
                data = {"serverTime": now_ms, "retryAfter": now_ms + error.retry_after * 1000}
                answer["error"] = {**error.body(), "data": data}
        answer = {"id": request.id if request else None, **answer}
        wanted = request.params.get("returnRateLimits") if request else None
        if user.show_limits if wanted is None else wanted:
            answer["rateLimits"] = self._limits(user, placed_by)
        return answer

    def _result(self, user: UserConnection, request: _Request) -> tuple[object, str | None]:
        """What a request asks for, and the account whose order counts go with the answer."""
        name = request.method.removeprefix("v3/")
        found = self._methods.get(name)
        if found is not None:
            weight, act = found
            self._exchange.limits.charge(user.address, weight, self._exchange.clock_us())
            return act(user, request), None
        called = call(
            self._exchange,
            name,
            request.params,
            address=user.address,
            unit_us=user.unit_us,
            logged_on=user.logged_on,
        )
        if called is None:
            raise unknown_method(name)
        return called

    def _limits(self, user: UserConnection, placed_by: str | None) -> list[dict[str, object]]:
        """Weight used so far and, after an order, the account's counts of unfilled orders."""
        limits, now_us = self._exchange.limits, self._exchange.clock_us()
        rows = limits.document()
        shown = [{**rows[0], "count": limits.used_weight(user.address, now_us)}]
        if placed_by is not None:
            counts = limits.order_counts(placed_by, now_us)
            orders = [row for row in rows if row["rateLimitType"] == "ORDERS"]
            shown = [{**row, "count": n} for row, n in zip(orders, counts, strict=True)] + shown
        return shown

    # --- methods ---------------------------------------------------------------------------------

    def _logon(self, user: UserConnection, request: _Request) -> object:
        key = authenticate(self._exchange, request.params)
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
        key = authenticate(self._exchange, request.params)
        return {"subscriptionId": self._add(user, self._exchange.accounts[key.account])}

    def _add(self, user: UserConnection, account: Account) -> int:
        if account in user.subscriptions.values():
            raise VenueError(-2035, "User Data Stream subscription already active.")
        number = user.next_subscription
        user.next_subscription += 1
        user.subscriptions[number] = account
        return number

    def _unsubscribe(self, user: UserConnection, request: _Request) -> object:
        # NautilusTrader sends the number as text, as every parameter may be sent.
        known = {str(number): number for number in user.subscriptions}
        wanted = request.params.get("subscriptionId")
        if wanted is not None and str(wanted) not in known:
            raise VenueError(-2036, "User Data Stream subscription is not active.")
        for name, number in known.items():
            if wanted is None or str(wanted) == name:
                self._terminate(user, number)
        return {}

    def _terminate(self, user: UserConnection, subscription: int) -> None:
        del user.subscriptions[subscription]
        user.by_logon.discard(subscription)
        event = {"e": "eventStreamTerminated", "E": self._exchange.clock_us() // user.unit_us}
        self._send(user, subscription, event)

    # --- events ----------------------------------------------------------------------------------

    def on_market(self, out: list[Output], aggregates: list[Aggregate]) -> None:  # noqa: ARG002
        """Deliver an account's reports and balances in the order they happened."""
        if not self._users:
            return
        rules, reports = self._exchange.rules, self._exchange.reports
        for item in out:
            match item:
                case Report(order=Order(account=Account() as account)):
                    if reports.listened(account):
                        event = documents.execution_report(rules, item, unit_us=1)
                        reports.put(account, event, item.execution, self._exchange.wall_us())
                case Position(account=account) if reports.listened(account):
                    self._deliver(account, documents.account_position(item, unit_us=1))
                case _:
                    continue

    def _deliver(self, account: Account, event: dict[str, object]) -> None:
        """Send an event, whose times are in µs, in the unit of each connection."""
        if self._exchange.faults.stalled("user", self._exchange.wall_us()):
            return
        coarse = documents.in_milliseconds(event)
        for user in self._users:
            for number, listened in user.subscriptions.items():
                if listened is account:
                    self._send(user, number, event if user.unit_us == 1 else coarse)

    def _send(self, user: UserConnection, number: int, event: dict[str, object]) -> None:
        user.connection.send(msgspec.json.encode({"subscriptionId": number, "event": event}))

    def _now_ms(self) -> int:
        return self._exchange.clock_us() // 1000
