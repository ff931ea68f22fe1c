"""Kept connections: what leaves once, what may leave twice, and what a failure is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from engine.contracts.errors import ConfigError
from engine.http1 import NotHttpError
from engine.venues.binance.lines import Lines, NotConnectedError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nX-Used: 7\r\nContent-Length: 2\r\n\r\nok"


class Place:
    """A server on loopback that does with each connection what the test says, in turn."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.asked = asyncio.Event()
        self.connections = 0
        self.acts: list[Serve] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        act = self.acts[min(self.connections, len(self.acts) - 1)]
        self.connections += 1
        try:
            await act(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def head(self, reader: asyncio.StreamReader) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        self.asked.set()

    def answers(self, *answers: bytes) -> Serve:
        """Answer so many requests, then close."""

        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in answers:
                await self.head(reader)
                writer.write(answer)
                await writer.drain()

        return act

    async def lasting(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the client goes."""
        while True:
            await self.head(reader)
            writer.write(OK)

    async def silent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a request and say nothing until the client goes."""
        await self.head(reader)
        await reader.read()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    made = Place()
    server = await asyncio.start_server(made.serve, "127.0.0.1")
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture
async def lines(place: Place) -> AsyncIterator[Lines]:
    made = lines_to(place.port)
    yield made
    await made.close()


def lines_to(port: int, keep_alive_s: float = 50.0) -> Lines:
    return Lines(
        f"http://127.0.0.1:{port}",
        {"X-MBX-APIKEY": "key"},
        connect_timeout_s=5.0,
        keep_alive_s=keep_alive_s,
    )


async def test_requests_share_a_connection_and_say_only_what_they_must(place, lines):
    place.acts = [place.lasting]
    first = await lines.request("POST", "/api/v3/order?a=1", 5.0)
    second = await lines.request("GET", "/api/v3/ping", 5.0)
    assert (first.status, first.body, first.headers["x-USED"]) == (200, b"ok", "7")
    assert second.body == b"ok"
    assert place.connections == 1
    host = f"127.0.0.1:{place.port}".encode()
    assert place.heads[0] == (
        b"POST /api/v3/order?a=1 HTTP/1.1\r\nHost: %b\r\nX-MBX-APIKEY: key\r\n"
        b"Content-Length: 0\r\n\r\n" % host
    )
    assert b"Content-Length" not in place.heads[1]


async def test_requests_at_once_have_a_connection_each(place, lines):
    place.acts = [place.lasting]
    await asyncio.gather(*(lines.request("GET", "/ping", 5.0) for _ in range(3)))
    assert place.connections == 3


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_kept_connection_that_died_costs_a_read_or_cancel_nothing(place, lines, method):
    async def once_then_hang_up(reader, writer):
        await place.answers(OK)(reader, writer)
        await place.head(reader)

    place.acts = [once_then_hang_up, place.lasting]
    await lines.request("GET", "/first", 5.0)
    assert (await lines.request(method, "/second", 5.0)).body == b"ok"
    assert [head.split()[1] for head in place.heads] == [b"/first", b"/second", b"/second"]


async def test_an_order_on_a_connection_that_died_is_never_sent_again(place, lines):
    async def once_then_hang_up(reader, writer):
        await place.answers(OK)(reader, writer)
        await place.head(reader)

    place.acts = [once_then_hang_up, place.lasting]
    await lines.request("GET", "/first", 5.0)
    with pytest.raises(ConnectionResetError):
        await lines.request("POST", "/order", 5.0)
    assert [head.split()[1] for head in place.heads] == [b"/first", b"/order"]


async def test_a_read_whose_answer_had_begun_is_not_asked_again_here(place, lines):
    async def half(reader, writer):
        await place.answers(OK)(reader, writer)
        await place.answers(OK[:-1])(reader, writer)

    place.acts = [half, place.lasting]
    await lines.request("GET", "/first", 5.0)
    with pytest.raises(ConnectionResetError):
        await lines.request("GET", "/second", 5.0)
    assert place.connections == 1


async def test_silence_is_a_timeout_and_ends_that_connection(place, lines):
    place.acts = [place.silent, place.lasting]
    with pytest.raises(TimeoutError):
        await lines.request("POST", "/order", 0.05)
    assert (await lines.request("GET", "/ping", 5.0)).body == b"ok"
    assert place.connections == 2


async def test_a_caller_that_gives_up_leaves_no_answer_for_the_next(place, lines):
    place.acts = [place.silent, place.lasting]
    asking = asyncio.create_task(lines.request("POST", "/order", 60.0))
    await place.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await lines.request("GET", "/ping", 5.0)).body == b"ok"
    assert place.connections == 2


async def test_an_idle_connection_is_dropped_after_its_time(place):
    place.acts = [place.lasting]
    lines = lines_to(place.port, keep_alive_s=0.0)
    for _ in range(2):
        await lines.request("GET", "/ping", 5.0)
    await lines.close()
    assert place.connections == 2


async def test_what_is_not_http_is_told_so(place, lines):
    place.acts = [place.answers(b"220 mail.example ESMTP\r\n\r\n")]
    with pytest.raises(NotHttpError):
        await lines.request("POST", "/order", 5.0)


async def test_an_answer_without_length_ends_with_the_connection(place, lines):
    place.acts = [place.answers(b"HTTP/1.1 403 Forbidden\r\n\r\n<html>"), place.lasting]
    answer = await lines.request("POST", "/order", 5.0)
    assert (answer.status, answer.body) == (403, b"<html>")


async def test_nobody_listening_is_certain(place, lines):
    server = await asyncio.start_server(place.serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    gone = lines_to(port)
    with pytest.raises(NotConnectedError):
        await gone.request("POST", "/order", 5.0)


async def test_closing_ends_what_is_under_way(place, lines):
    place.acts = [place.silent]
    asking = asyncio.create_task(lines.request("POST", "/order", 60.0))
    await place.asked.wait()
    await lines.close()
    with pytest.raises(ConnectionResetError):
        await asking
    assert lines.closed


@pytest.mark.parametrize(
    ("base", "key"), [("ftp://venue", "key"), ("http://venue:1", "a\r\nb"), ("http://venue:1", "ü")]
)
def test_what_cannot_be_a_header_or_an_address_is_refused(base: str, key: str) -> None:
    with pytest.raises(ConfigError) as told:
        Lines(base, {"X-MBX-APIKEY": key}, connect_timeout_s=1.0, keep_alive_s=1.0)
    assert key not in told.value.line()


def test_the_engines_own_event_loop_carries_them_too() -> None:
    async def ask() -> bytes:
        place = Place()
        place.acts = [place.lasting]
        server = await asyncio.start_server(place.serve, "127.0.0.1")
        lines = lines_to(server.sockets[0].getsockname()[1])
        answers = [await lines.request("POST", "/order", 5.0) for _ in range(2)]
        await lines.close()
        server.close()
        return b"".join(answer.body for answer in answers)

    assert uvloop.run(ask()) == b"okok"


def test_a_caller_that_gives_up_while_connecting_keeps_nobody_from_closing() -> None:
    """uvloop tells of no end where a connection's maker was canceled: an engine never stopped."""

    async def give_up_after(turns: int, port: int) -> None:
        lines = lines_to(port)
        asking = asyncio.create_task(lines.request("GET", "/ping", 5.0))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(30):
            await lines.close()

    async def every_moment() -> None:
        place = Place()
        place.acts = [place.lasting]
        server = await asyncio.start_server(place.serve, "127.0.0.1")
        for turns in range(12):
            await give_up_after(turns, server.sockets[0].getsockname()[1])
        server.close()

    uvloop.run(every_moment())
