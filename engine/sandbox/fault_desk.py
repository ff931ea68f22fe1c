"""The fault desk: takes requests in, acts on the exchange, and does what is due when it is due.

`arm` is what `POST /sandbox/faults`, a scenario and a schedule call; `tick` comes every 20 ms from
the server. A schedule that ends, and `clear`, bring back a healthy venue: nothing armed, the symbol
trading under its first filters, the clock right, and held reports delivered.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from aiohttp import web

from engine.contracts.errors import InputError
from engine.sandbox.errors import VenueError
from engine.sandbox.exchange import Exchange
from engine.sandbox.fault_replica import Replica
from engine.sandbox.fault_schedule import draws
from engine.sandbox.faults import KINDS, FaultRequest, Filters, Schedule
from engine.sandbox.rules import Rules, parse_amount

TICK_MS = 20


class _Running:
    """A schedule that runs: what comes next, and when it ends (0 never)."""

    def __init__(self, schedule: Schedule, now_us: int) -> None:
        self.began_us = now_us
        self.until_us = now_us + schedule.until_ms * 1000 if schedule.until_ms else 0
        self.coming: Iterator[tuple[int, str, FaultRequest]] = draws(schedule)
        self.next = next(self.coming, None)


class FaultDesk:
    """The hands of the faults of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._healthy = exchange.rules
        self._undo: list[tuple[int, FaultRequest]] = []
        self._running: _Running | None = None
        self.replica = Replica(exchange)

    def routes(self) -> list[web.RouteDef]:
        """The control endpoints: the faults, and the book's own truth, which no fault touches."""
        return [
            web.post("/sandbox/faults", self._post),
            web.get("/sandbox/open-orders", self._open_orders),
        ]

    async def _open_orders(self, _request: web.Request) -> web.StreamResponse:
        """Client order ids that are open, by account, hidden ones included."""
        accounts = self._exchange.accounts.values()
        document: dict[str, object] = {
            one.name: [order.client_id for order in one.open_orders.values()] for one in accounts
        }
        return _json(document, 200)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = msgspec.json.decode(await request.read(), type=FaultRequest)
            document = self.arm(wanted)
        except (msgspec.DecodeError, InputError) as error:
            text = error.line() if isinstance(error, InputError) else str(error)
            return _json({"code": -1100, "msg": text}, 400)
        except VenueError as error:
            return _json(error.body(), 400)
        return _json(document, 200)

    def arm(self, request: FaultRequest) -> dict[str, object]:
        """Do what a request says and return what is armed. Raises InputError, VenueError."""
        exchange, now_us = self._exchange, self._exchange.wall_us()
        rules = self._rules(self._healthy if request.clear else exchange.rules, request)
        running = _Running(request.schedule, now_us) if request.schedule is not None else None
        if request.clear:
            self._clear()
        exchange.change_rules(rules)
        self._remember(request)
        exchange.faults.arm(request, now_us)
        self._act(request)
        if request.for_ms:
            self._undo.append((now_us + request.for_ms * 1000, _undone(request)))
        if running is not None:
            self._running = running
        return self.document()

    def document(self) -> dict[str, object]:
        """What is armed now."""
        exchange = self._exchange
        return {
            **exchange.faults.document(exchange.wall_us()),
            "symbol_status": exchange.rules.status,
            "filters": _differences(self._healthy, exchange.rules),
            "schedule": self._running is not None,
        }

    def tick(self) -> None:
        """Do what is due."""
        exchange, now_us = self._exchange, self._exchange.wall_us()
        # A fill that a cancel lost against is told now, after the cancel's answer.
        exchange.settle()
        exchange.reports.tick(now_us)
        exchange.connections.tick(exchange.faults.cut_after_s, exchange.faults.fired)
        due = [request for at_us, request in self._undo if at_us <= now_us]
        self._undo = [(at_us, request) for at_us, request in self._undo if at_us > now_us]
        for request in due:
            self.arm(request)
        if self._running is not None:
            self._run(self._running, now_us)

    def _run(self, running: _Running, now_us: int) -> None:
        """Arm what the schedule has due; at its end disarm everything."""
        if running.until_us and now_us >= running.until_us:
            self.arm(FaultRequest(clear=True))
            return
        while running.next is not None and now_us >= running.began_us + running.next[0] * 1000:
            _, name, request = running.next
            self._exchange.faults.fired[f"schedule.{name}"] += 1
            self.arm(request)
            running.next = next(running.coming, None)

    def _clear(self) -> None:
        self._undo.clear()
        self._running = None
        self._exchange.faults.clear()
        self._exchange.reports.flush()

    def _rules(self, rules: Rules, request: FaultRequest) -> Rules:
        """The symbol's rules after this request. Raises InputError, VenueError."""
        if request.filters is not None:
            if request.filters == Filters():
                rules = msgspec.structs.replace(self._healthy, status=rules.status)
            rules = _filtered(rules, request.filters)
        if request.symbol_status is not None:
            rules = msgspec.structs.replace(rules, status=request.symbol_status)
        return rules

    def _remember(self, request: FaultRequest) -> None:
        if request.open_orders_lag_ms:
            self.replica.remember_open_orders()
        if request.stale_snapshot:
            self.replica.remember_book()

    def _act(self, request: FaultRequest) -> None:
        exchange, fired = self._exchange, self._exchange.faults.fired
        for kind in KINDS:
            if request.stream_cut in {kind, "all"}:
                fired[f"stream_cut.{kind}"] += exchange.connections.cut(kind)
        if request.server_shutdown:
            event = {"e": "serverShutdown", "E": exchange.clock_us() // 1000}
            fired["server_shutdown"] += exchange.connections.shut_down(
                msgspec.json.encode(event), request.server_shutdown_ms / 1000
            )
        if request.symbol_status is not None:
            fired[f"symbol_status.{request.symbol_status}"] += 1
        if request.filters is not None:
            fired["filters"] += 1
        if request.wipe:
            exchange.wipe()
            fired["wipe"] += 1


def _undone(request: FaultRequest) -> FaultRequest:
    """The request that takes back what another has set."""
    return FaultRequest(
        symbol_status="TRADING" if request.symbol_status is not None else None,
        filters=Filters() if request.filters is not None else None,
        clock_skew_ms=0 if request.clock_skew_ms is not None else None,
        hide_order_ms=0 if request.hide_order_ms is not None else None,
        open_orders_lag_ms=0 if request.open_orders_lag_ms is not None else None,
        no_pong="" if request.no_pong is not None else None,
        cut_after_s=0 if request.cut_after_s is not None else None,
    )


def _differences(before: Rules, now: Rules) -> dict[str, object]:
    """Fields of the rules that are not as at the start, in the book's units."""
    first, last = msgspec.structs.asdict(before), msgspec.structs.asdict(now)
    return {name: last[name] for name in first if last[name] != first[name] and name != "status"}


def _filtered(rules: Rules, filters: Filters) -> Rules:
    """Rules with new filters. Raises InputError for a size that is no multiple of the grid."""
    wanted = {
        "price_multiple": (filters.tick_size, rules.tick),
        "quantity_multiple": (filters.step_size, rules.step),
        "min_quantity": (filters.min_quantity, rules.step),
        "max_quantity": (filters.max_quantity, rules.step),
        "min_notional": (filters.min_notional, 1),
        "max_notional": (filters.max_notional, 1),
    }
    changes: dict[str, int] = {}
    for field, (text, unit) in wanted.items():
        if text is None:
            continue
        value, rest = divmod(parse_amount(text, field), unit)
        if rest or not value:
            raise InputError(
                what=f"{text} is no multiple of the book's grid",
                where=f"filters.{field}",
                todo="ticks and steps can only become coarser",
            )
        changes[field] = value
    if filters.max_num_orders is not None:
        changes["max_orders"] = filters.max_num_orders
    return msgspec.structs.replace(rules, **changes)


def _json(document: object, status: int) -> web.Response:
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, content_type="application/json")
