"""The connection under EngineClient: requests, the state stream, errors rebuilt.

Requests travel over plain kept connections (`line.py`); aiohttp carries the stream alone and is
imported with it, so that a command or a screen that does not follow the state begins sooner. A
refused or missing socket is EngineUnreachable; a connection that breaks after a
change was sent is EngineUnreachable with code OUTCOME_UNKNOWN, because the engine may have done it
(I3); nothing here is ever sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from engine.contracts import requests
from engine.contracts.errors import EngineUnreachable, PeakError, error_from_wire
from engine.contracts.view import StateView
from peakctl.client.line import Lines, NotConnectedError
from peakctl.client.replies import Changed

if TYPE_CHECKING:
    import aiohttp

REQUEST_SECONDS = 15.0
SLOW_SECONDS = 180.0
HELLO_SECONDS = 2.0
RECONNECT_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)

_Reply = TypeVar("_Reply")


class Connection:
    """One connection pool to one engine, as one person in one role; an async context manager."""

    def __init__(self, socket_path: Path, person: str = "", role: str = "operator") -> None:
        self.socket_path = socket_path
        self.person = person
        self.role = role
        self._lines = Lines(socket_path)
        self._session: aiohttp.ClientSession | None = None
        self._connected = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._lines.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def connected(self) -> bool:
        """Whether the state stream is up now."""
        return self._connected

    async def journal(self, from_seq: int = 0) -> AsyncIterator[bytes]:
        """Journal lines from a sequence number, each with its newline; at most ten thousand."""
        reply = await self._ask("GET", f"journal?from={from_seq}", None, SLOW_SECONDS)
        for line in reply.splitlines(keepends=True):
            yield line

    async def stream(self, role: str = "", person: str = "") -> AsyncIterator[StateView]:
        """Every state as it changes, reconnecting for ever with short waits; counts as attending.

        `connected` tells between two states whether the link is up.
        """
        hello = msgspec.json.encode(
            {"role": role or self.role, "person": person or self.person}
        ).decode()
        attempt = 0
        while True:
            async for view in self._stream_once(hello):
                attempt = 0
                yield view
            await asyncio.sleep(RECONNECT_SECONDS[min(attempt, len(RECONNECT_SECONDS) - 1)])
            attempt += 1

    async def _stream_once(self, hello: str) -> AsyncIterator[StateView]:
        """States of one connection; ends when it is lost or refused."""
        import aiohttp  # noqa: PLC0415

        decoder = msgspec.json.Decoder(StateView)
        try:
            async with self._open().ws_connect(
                "http://engine/v1/stream", max_msg_size=64 * 1024 * 1024
            ) as socket:
                await socket.send_str(hello)
                self._connected = True
                attending = asyncio.create_task(_say_hello(socket, hello))
                try:
                    async for message in socket:
                        if message.type is aiohttp.WSMsgType.TEXT:
                            yield _view_of(decoder, message.data)
                finally:
                    attending.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await attending
        except (aiohttp.ClientError, OSError, TimeoutError):
            return
        finally:
            self._connected = False

    # --- requests ---

    async def _change(
        self, route: str, body: requests.Request, seconds: float = REQUEST_SECONDS
    ) -> StateView:
        return (await self._post(route, body, Changed, seconds)).state

    async def _get(self, route: str, kind: type[_Reply]) -> _Reply:
        reply: _Reply = await self._request("GET", route, None, kind, REQUEST_SECONDS)
        return reply

    async def _post(
        self,
        route: str,
        body: requests.Request,
        kind: type[_Reply],
        seconds: float = REQUEST_SECONDS,
    ) -> _Reply:
        reply: _Reply = await self._request("POST", route, msgspec.json.encode(body), kind, seconds)
        return reply

    async def _request(
        self, method: str, route: str, body: bytes | None, kind: Any, seconds: float
    ) -> Any:
        reply = await self._ask(method, route, body, seconds)
        try:
            return _decoder(kind).decode(reply)
        except msgspec.MsgspecError as error:
            raise _misfit(route, error) from error

    async def _command(self, route: str, body: requests.Request, kind: Any) -> Any:
        """As `_post`, by the shorter way for what a person waits for."""
        content = msgspec.json.encode(body)
        try:
            status, reply = await self._lines.command(route, content, REQUEST_SECONDS)
        except NotConnectedError as error:
            raise self._unreachable(error.__cause__ or error) from error
        except OSError as error:
            raise self._lost("POST", route, error) from error
        if status != 200:
            raise _error_of(reply, status)
        try:
            return _decoder(kind).decode(reply)
        except msgspec.MsgspecError as error:
            raise _misfit(route, error) from error

    async def _ask(self, method: str, route: str, body: bytes | None, seconds: float) -> bytes:
        """Send one request; the body of a 200 answer. Raises PeakError."""
        try:
            reply = await self._lines.request(method, f"/v1/{route}", body, seconds)
        except NotConnectedError as error:
            raise self._unreachable(error.__cause__ or error) from error
        except OSError as error:
            raise self._lost(method, route, error) from error
        if reply.status != 200:
            raise _error_of(reply.body, reply.status)
        return reply.body

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=str(self.socket_path))
            )
        return self._session

    def _unreachable(self, error: BaseException) -> EngineUnreachable:
        return EngineUnreachable(
            what=f"no engine answers ({type(error).__name__})",
            where=str(self.socket_path),
            todo="start it with `peakctl`, or stop the market with `peakctl kill`",
        )

    def _lost(self, method: str, route: str, error: BaseException) -> EngineUnreachable:
        if method == "GET":
            return self._unreachable(error)
        return EngineUnreachable(
            what=f"the connection was lost during {route}; it may have been done",
            where=str(self.socket_path),
            todo="look at the state before trying again",
            code="OUTCOME_UNKNOWN",
        )


@lru_cache(maxsize=64)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _view_of(decoder: msgspec.json.Decoder[StateView], text: str) -> StateView:
    try:
        return decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise _misfit("stream", error) from error


def _misfit(route: str, error: msgspec.MsgspecError) -> PeakError:
    return PeakError(
        what=f"the engine's reply does not fit this version ({error})",
        where=route,
        todo="stop the engine and start it again with this version",
    )


async def _say_hello(socket: aiohttp.ClientWebSocketResponse, hello: str) -> None:
    """Keep saying who attends, so that silence means that nobody does."""
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(HELLO_SECONDS)
            await socket.send_str(hello)


def _error_of(content: bytes, status: int) -> PeakError:
    try:
        wire = msgspec.json.decode(content, type=dict[str, dict[str, str]])["error"]
    except (msgspec.MsgspecError, KeyError):
        return PeakError(what=f"the engine answered {status} without a reason")
    return error_from_wire(wire)
