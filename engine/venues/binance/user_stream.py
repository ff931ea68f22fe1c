"""Own orders and balances over the venue's WebSocket API.

    connect -> session.logon + userDataStream.subscribe    (Ed25519)
            or userDataStream.subscribe.signature          (HMAC)
            -> StreamUp -> events -> lost, stalled or terminated: StreamDown, pause, connect

Nothing is replayed after a reconnect, so each StreamUp tells the reader to ask for its orders.
A connection that is open and silent is told from a quiet account in two ways: a ping of the API
itself must be answered before the next one, and what the venue confirmed by REST must be reported
here soon after. Duplicates are passed on: the ledgers drop them by trade id.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable

import aiohttp
import msgspec

from engine.venues.binance import translate, wire
from engine.venues.binance.errors import classify_code
from engine.venues.binance.options import BinanceOptions
from engine.venues.binance.rest import CLOCK_CODE, RestClient
from engine.venues.binance.signing import Params, signed_ws_params
from engine.venues.binance.stream import Stream, StreamLost, receive_text
from engine.venues.port import OrderUpdate, StreamUp, UserEvent

NAME = "user"
#: Reports remembered, so that one which overtakes the answer by REST is not waited for.
MOST_REMEMBERED = 5000
#: While messages still come in, the missing one may be next: wait so many times longer.
BUSY_GRACE = 3
#: Events after which the connection brings nothing more.
LAST_WORDS = {
    "eventStreamTerminated": "the venue ended the subscription",
    "serverShutdown": "the venue announced its shutdown",
}


#: Client order id and execution.
Report = tuple[str, str]


class UserStream(Stream[UserEvent]):
    """The account's events."""

    name = NAME

    def __init__(self, options: BinanceOptions, rest: RestClient, closed: asyncio.Event) -> None:
        super().__init__(options, rest, closed)
        self._signer = options.signer()
        self._last_request = 0
        self._early: list[UserEvent] = []
        self._live_since = math.inf  # monotonic s
        self._reported: dict[Report, None] = {}
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

    async def _connection(
        self, socket: aiohttp.ClientWebSocketResponse
    ) -> AsyncIterator[UserEvent]:
        """Emit the events of one connection; raises when it is of no more use."""
        self._early.clear()
        self._reported.clear()
        self._expected.clear()
        self._live_since = math.inf
        await self._subscribe(socket)
        self._live_since = time.monotonic()
        yield StreamUp(stream=NAME)
        for event in self._early:
            yield event
        ping, due = 0, time.monotonic() + self._options.ping_s
        while True:
            left_s = min(due - time.monotonic(), self._options.report_due_s)
            frame = await _receive(socket, left_s)
            if frame is not None:
                ping = 0 if frame.id == ping else ping
                if (arrived := _event(frame)) is not None:
                    self._note(arrived)
                    yield arrived
                self._check_expected(BUSY_GRACE * self._options.report_due_s)
                continue
            self._check_expected(0)
            if time.monotonic() < due:
                continue
            if ping:
                raise StreamLost(f"stalled: no answer to a ping in {self._options.ping_s} s")
            ping = await self._send(socket, "ping", {})
            due = time.monotonic() + self._options.ping_s

    def _note(self, event: UserEvent) -> None:
        if isinstance(event, OrderUpdate):
            report = (event.report.client_order_id, event.execution)
            self._expected.pop(report, None)
            self._reported[report] = None
            if len(self._reported) > MOST_REMEMBERED:
                del self._reported[next(iter(self._reported))]

    def _check_expected(self, grace_s: float) -> None:
        """Raise StreamLost when a confirmed change is overdue on the stream."""
        late_since = time.monotonic() - grace_s
        late = [report for report, due in self._expected.items() if due < late_since]
        if late:
            client_order_id, execution = late[0]
            raise StreamLost(f"stalled: {execution} of {client_order_id} was not reported")

    async def _subscribe(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        if self._signer.logs_on:
            await self._call(socket, "session.logon", self._credentials())
            await self._call(socket, "userDataStream.subscribe", {})
        else:
            await self._call(socket, "userDataStream.subscribe.signature", self._credentials())

    async def _call(
        self, socket: aiohttp.ClientWebSocketResponse, method: str, params: Params
    ) -> None:
        """Send a request and wait for its answer; anything but 200 is StreamLost."""
        request = await self._send(socket, method, params)
        deadline = time.monotonic() + self._options.query_timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            frame = await _receive(socket, left_s)
            if frame is None:
                break
            if frame.id == request:
                return await self._judge(method, frame)
            if (event := _event(frame)) is not None:
                self._early.append(event)
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

    async def _send(
        self, socket: aiohttp.ClientWebSocketResponse, method: str, params: Params
    ) -> int:
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


async def _receive(socket: aiohttp.ClientWebSocketResponse, within_s: float) -> wire.WsFrame | None:
    """Return the next message; None when none came in time."""
    text = await receive_text(socket, within_s)
    return None if text is None else wire.decode(wire.DECODE_FRAME, text)


def _event(frame: wire.WsFrame) -> UserEvent | None:
    """Return the event inside a frame, None for answers and events that are not ours."""
    name: UserEvent | str = frame.e
    if bytes(frame.event):
        name = translate.user_event(frame.event)
    if not isinstance(name, str):
        return name
    if name in LAST_WORDS:
        raise StreamLost(LAST_WORDS[name])
    return None
