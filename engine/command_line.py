"""Orders over the control socket without HTTP: one JSON line asks, one JSON line answers.

An order waits for every byte that is parsed on its way, and HTTP is most of them. So the socket has
two tongues, told apart by the first byte of a connection: `{` begins lines, anything else is HTTP
and goes to aiohttp untouched. A line names one of the routes of `api` and carries its body:

    {"route":"order/submit","body":{...}}     ->     {"status":200,"body":{...}}

Same requests, same checks, same errors, same peer uid from the kernel (I8). One at a time on a
connection: a second line before the answer, or one that is too long, ends it. What was begun is
carried through when the asker goes away.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import msgspec

from engine.contracts.errors import InputError, PeakError
from engine.contracts.people import Actor, person
from engine.contracts.requests import Request
from engine.diary import Diary

_log = Diary("api")

_LINE_BYTES = 64 * 1024
_STATUS = {2: 400, 3: 409, 4: 403}

#: By route: the decoder of its body and what it calls.
Commands = Mapping[str, tuple[msgspec.json.Decoder[Any], Callable[[Any, Actor], Awaitable[object]]]]

#: Looks through a decoded body, with its bytes, before anything is done with it.
CheckedBody = Callable[[Request, bytes], Request]


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question."""

    route: str
    body: msgspec.Raw


class Named(msgspec.Struct, frozen=True):
    """All that is read of a body that nobody takes."""

    person: str


async def _no_route(_body: object, _actor: Actor) -> object:
    raise InputError(what="no such route on lines", where="control socket", todo="use HTTP")


_LINE = msgspec.json.Decoder(_Line)
_NO_ROUTE = (msgspec.json.Decoder(Named), _no_route)
_ENCODER = msgspec.json.Encoder()


def told(error: Exception, where: str) -> tuple[int, dict[str, str]]:
    """HTTP status and wire form of what a command raised; what is not ours is logged whole."""
    if isinstance(error, PeakError):
        return _STATUS.get(error.exit_code, 409), error.to_wire()
    _log.error("request failed", path=where, error=repr(error), exc_info=error)
    fault = PeakError(
        what=f"the engine failed on this request ({type(error).__name__})",
        where=where,
        todo="see .peakctl/log/engine.log; nothing was confirmed",
        code="ENGINE_FAULT",
    )
    return 500, fault.to_wire()


def refuse_repeats(raw: bytes, where: str) -> None:
    """Refuse a body that names a field twice: readers disagree on which of the two counts.

    For bytes that were decoded as JSON already. Raises InputError.
    """

    def once(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise InputError(what="a field is named twice", where=where)

    json.loads(raw, object_pairs_hook=once)


class Front(asyncio.Protocol):
    """A fresh connection: lines are answered here, the rest is handed to `http`'s protocol."""

    def __init__(
        self,
        commands: Commands,
        http: Callable[[], asyncio.Protocol],
        uid_of: Callable[[asyncio.BaseTransport], int],
        every: set[Front],
        checked: CheckedBody,
    ) -> None:
        self._commands = commands
        self._http = http
        self._uid_of = uid_of
        self._every = every
        self._checked = checked
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._proof = ""
        self._work: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; who is there is asked when it speaks."""
        # uvloop's transports have the methods and not the base class.
        self._transport = cast(asyncio.Transport, transport)
        self._every.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; a command under way goes on."""
        del exc
        self._transport = None
        self._every.discard(self)

    def data_received(self, data: bytes) -> None:
        """Tell the tongue by the first byte, then wait for a whole line."""
        if self._transport is None:
            return
        if not self._received and data[:1] != b"{":
            self._hand_over(data)
            return
        self._received += data
        line, newline, rest = self._received.partition(b"\n")
        busy = self._work is not None and not self._work.done()
        if rest or busy or len(self._received) > _LINE_BYTES:
            self.close()
        elif newline:
            self._received = b""
            self._work = asyncio.get_running_loop().create_task(self._answer(line))

    def _hand_over(self, data: bytes) -> None:
        transport, self._transport = self._transport, None
        assert transport is not None, "bytes come over a transport"
        self._every.discard(self)
        http = self._http()
        transport.set_protocol(http)
        http.connection_made(transport)
        http.data_received(data)

    async def _answer(self, line: bytes) -> None:
        route = "line"
        try:
            asked = _LINE.decode(line)
            route = asked.route
            decoder, call = self._commands.get(route, _NO_ROUTE)
            body: Request = decoder.decode(asked.body)
            raw = bytes(asked.body)
            if line != _ENCODER.encode(asked) or raw != _ENCODER.encode(body):
                # Not as our own writer makes it, in which nothing can stand twice.
                refuse_repeats(line, route)
            body = self._checked(body, raw)
            status, answer = 200, await call(body, person(body.person, self._proved()))
        except msgspec.DecodeError as error:
            wrong = InputError(what=str(error), where=route, todo="see the API's requests")
            status, wire = told(wrong, route)
            answer = {"error": wire}
        except Exception as error:  # noqa: BLE001  (told as a fault, logged whole)
            status, wire = told(error, route)
            answer = {"error": wire}
        if self._transport is not None and not self._transport.is_closing():
            body_bytes = _ENCODER.encode(answer)
            self._transport.write(b'{"status":%d,"body":%b}\n' % (status, body_bytes))

    def _proved(self) -> str:
        """The peer's uid, asked of the kernel once: it is fixed when a connection is made."""
        if not self._proof:
            if self._transport is None:
                raise InputError(what="the peer is gone", where="control socket")
            self._proof = f"peer-uid:{self._uid_of(self._transport)}"
        return self._proof
