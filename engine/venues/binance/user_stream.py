"""Own orders and balances over the venue's WebSocket API.

    connect -> session.logon + userDataStream.subscribe    (Ed25519)
            or userDataStream.subscribe.signature          (HMAC)
            -> StreamUp -> events -> lost, stalled or terminated: StreamDown, pause, connect

Nothing is replayed after a reconnect, so each StreamUp tells the reader to ask for its orders.
A connection that is open and silent is told from a quiet account in two ways: a ping of the API
itself must be answered before the next one, and what the venue confirmed by REST must be reported
here soon after. An execution that is delivered twice is told once, by the venue's ids.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable

import msgspec

from engine.venues.binance import translate, wire
from engine.venues.binance.errors import classify_code
from engine.venues.binance.meter import StreamMeter
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.rest import CLOCK_CODE, RestClient
from engine.venues.binance.seen import Seen
from engine.venues.binance.signing import Params, signed_ws_params
from engine.venues.binance.stream import Socket, Stream, StreamLost, receive_text
from engine.venues.port import OrderUpdate, StreamUp, UserEvent

NAME = "user"
#: Reports remembered, so that one which overtakes the answer by REST is not waited for, and
#: executions, so that one which comes twice is told once.
MOST_REMEMBERED = 5000
#: While messages still come in, the missing one may be next: wait so many times longer.
BUSY_GRACE = 3
SHUTDOWN = "serverShutdown"
TERMINATED = "eventStreamTerminated"


#: Client order id and execution.
Report = tuple[str, str]


class UserStream(Stream[UserEvent]):
    """The account's events."""

    name = NAME

    def __init__(
        self,
        options: BinanceOptions,
        rest: RestClient,
        closed: asyncio.Event,
        meter: StreamMeter,
    ) -> None:
        super().__init__(options, rest, closed, meter)
        self._signer = options.signer()
        self._last_request = 0
        self._ping = 0  # the request that is not answered yet
        self._live_since = math.inf  # monotonic s
        self._reported: Seen[Report] = Seen(MOST_REMEMBERED)
        self._executed: Seen[tuple[object, ...]] = Seen(MOST_REMEMBERED)
        self._expected: dict[Report, float] = {}  # due, monotonic s

    def expect(self, reports: Iterable[Report], asked: float) -> None:
        """Tell what the venue confirmed to a request sent at `asked` (monotonic s)."""
        if asked < self._live_since:
            return
        due = time.monotonic() + self._options.report_due_s
        for report in reports:
            if report not in self._reported:
                self._expected.setdefault(report, due)

    def _url(self) -> str:
        return self._options.ws_api_url

    async def _connection(self) -> AsyncIterator[UserEvent]:
        """Emit the events of one connection; raises when it is of no more use."""
        self._reported.clear()
        self._expected.clear()
        self._ping = 0
        self._live_since = time.monotonic()
        self._meter.up()
        yield StreamUp(stream=NAME)
        due = time.monotonic() + self._options.ping_s
        while True:
            left_s = min(due - time.monotonic(), self._options.report_due_s)
            text = await self._next(left_s)
            if text is not None:
                if (arrived := self._take(wire.decode_user(text))) is not None:
                    yield arrived
                self._check_expected(BUSY_GRACE * self._options.report_due_s)
                continue
            self._check_expected(0)
            if time.monotonic() < due:
                continue
            if self._ping:
                raise StreamLost(f"stalled: no answer to a ping in {self._options.ping_s} s")
            if self._socket is not None:
                self._ping = await self._send(self._socket, "ping", {})
            due = time.monotonic() + self._options.ping_s

    def _moved(self) -> None:
        self._ping = 0

    def _take(self, message: wire.UserMessage) -> UserEvent | None:
        """Return the event inside a message; None for answers, repetitions and foreign events."""
        match message:
            case wire.ExecutionReport():
                self._meter.event(self._delay_us(message.event_time))
                if self._executed.again(_identity(message)):
                    return None
                update = translate.order_update(message)
                self._note(update)
                return update
            case wire.AccountPosition():
                self._meter.event(self._delay_us(message.event_time))
                return translate.balance_update(message)
            case wire.WsFrame(e=name, id=request):
                if request is not None and request == self._ping:
                    self._ping = 0
                if name == TERMINATED:
                    raise StreamLost("the venue ended the subscription")
                if name == SHUTDOWN:
                    self._leave_soon()
        return None

    def _note(self, update: OrderUpdate) -> None:
        report = (update.report.client_order_id, update.execution)
        self._expected.pop(report, None)
        self._reported.again(report)

    def _check_expected(self, grace_s: float) -> None:
        """Raise StreamLost when a confirmed change is overdue on the stream."""
        late_since = time.monotonic() - grace_s
        late = [report for report, due in self._expected.items() if due < late_since]
        if late:
            client_order_id, execution = late[0]
            raise StreamLost(f"stalled: {execution} of {client_order_id} was not reported")

    # --- requests on the connection -------------------------------------------------------------

    async def _subscribe(self, socket: Socket) -> list[str]:
        if self._signer.logs_on:
            early = await self._call(socket, "session.logon", self._credentials())
            return early + await self._call(socket, "userDataStream.subscribe", {})
        return await self._call(socket, "userDataStream.subscribe.signature", self._credentials())

    async def _call(self, socket: Socket, method: str, params: Params) -> list[str]:
        """Send a request and wait for its answer; anything but 200 is StreamLost.

        Returns what else came meanwhile.
        """
        request = await self._send(socket, method, params)
        early: list[str] = []
        deadline = time.monotonic() + self._options.query_timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            text = await receive_text(socket, left_s)
            if text is None:
                break
            message = wire.decode_user(text)
            if isinstance(message, wire.WsFrame) and message.id == request:
                await self._judge(method, message)
                return early
            early.append(text)
        raise StreamLost(f"{method}: no answer in time")

    async def _judge(self, method: str, frame: wire.WsFrame) -> None:
        if frame.status == 200:
            return
        error = frame.error
        fault = classify_code(
            frame.status or 0, error.code if error else None, error.msg if error else ""
        )
        if fault.code == CLOCK_CODE:
            await self._rest.measure_clock()
        raise StreamLost(f"{method} refused: {fault.text}")

    async def _send(self, socket: Socket, method: str, params: Params) -> int:
        self._last_request += 1
        request = {"id": self._last_request, "method": method, "params": params}
        await socket.send_str(msgspec.json.encode(request).decode())
        return self._last_request

    def _credentials(self) -> Params:
        params: dict[str, str | int] = {
            "apiKey": self._options.api_key,
            "recvWindow": self._options.recv_window_ms,
            "timestamp": self._rest.venue_now_us() // 1000,
        }
        return signed_ws_params(params, self._signer)


def _identity(report: wire.ExecutionReport) -> tuple[object, ...]:
    """What makes two reports the same: the venue's execution id where it sends one, and the rest.

    The rest is there because an id is unique at one venue between two wipes, not for ever.
    """
    return (
        report.symbol,
        report.order_id,
        report.execution_id,
        report.trade_id,
        report.execution,
        report.status,
        report.filled_quantity,
        report.time,
    )
