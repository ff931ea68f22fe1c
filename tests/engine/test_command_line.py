"""The socket's two tongues: lines for orders, HTTP for all else, on the engine's own loop too."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from aiohttp import web

from engine.api import uid_of
from engine.command_line import told
from engine.contracts.errors import InputError, Refused
from engine.contracts.people import Actor
from engine.contracts.requests import ReasonRequest
from engine.ops.pasted import PastedSecrets
from engine.ops.redaction import Redaction
from engine.serving import Site
from peakctl.client.line import Lines


class Desk:
    """Takes notes of who asked what, waits until it may answer, and refuses what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Actor]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.began = asyncio.Event()
        self.done = asyncio.Event()

    async def take(self, request: ReasonRequest, actor: Actor) -> object:
        self.asked.append((request.reason, actor))
        self.began.set()
        await self.may_answer.wait()
        if request.reason == "refuse":
            raise Refused(what="no", where="desk", todo="ask another", code="LATCH")
        if request.reason == "fail":
            raise ZeroDivisionError
        self.done.set()
        return {"taken": request.reason}


async def site(path: Path, desk: Desk) -> web.AppRunner:
    async def hello(_request: web.Request) -> web.Response:
        return web.json_response({"hello": "http"})

    app = web.Application()
    app.add_routes([web.get("/v1/hello", hello)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    take = (msgspec.json.Decoder(ReasonRequest), desk.take)
    await Site(runner, path, {"desk/take": take}, PastedSecrets(Redaction(())).checked).start()
    return runner


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def path(tmp_path: Path, desk: Desk) -> AsyncIterator[Path]:
    socket = tmp_path / "engine.sock"
    runner = await site(socket, desk)
    yield socket
    await runner.cleanup()


@pytest.fixture
async def lines(path: Path) -> AsyncIterator[Lines]:
    made = Lines(path)
    yield made
    await made.close()


async def ask(lines: Lines, reason: str, route: str = "desk/take") -> tuple[int, Any]:
    body = json.dumps({"person": "alice", "reason": reason}).encode()
    status, answer = await lines.command(route, body, 10.0)
    return status, json.loads(answer)


async def hung_up(reader: asyncio.StreamReader) -> bool:
    try:
        return not await reader.read()
    except ConnectionError:
        return True


async def test_a_line_is_answered_and_names_the_peer_that_the_kernel_saw(lines, desk):
    assert await ask(lines, "one") == (200, {"taken": "one"})
    assert await ask(lines, "two") == (200, {"taken": "two"})
    assert [reason for reason, _ in desk.asked] == ["one", "two"]
    actor = desk.asked[0][1]
    assert (actor.name, actor.proof) == ("alice", f"peer-uid:{os.getuid()}")


async def test_http_on_the_same_socket_goes_its_own_way(lines, desk):
    answer = await lines.request("GET", "/v1/hello", None, 10.0)
    again = await lines.request("GET", "/v1/hello", None, 10.0)
    assert (answer.status, json.loads(answer.body)) == (200, {"hello": "http"})
    assert again.body == answer.body
    assert (await ask(lines, "beside it"))[0] == 200


async def test_refusals_and_faults_have_the_form_that_http_gives_them(lines, desk):
    status, answer = await ask(lines, "refuse")
    assert (status, answer["error"]["code"]) == (403, "LATCH")
    status, answer = await ask(lines, "fail")
    assert (status, answer["error"]["code"]) == (500, "ENGINE_FAULT")
    assert "nothing was confirmed" in answer["error"]["todo"]
    status, answer = await ask(lines, "x", route="desk/none")
    assert status == 400
    assert "no such route" in answer["error"]["what"]


async def test_a_body_that_does_not_fit_is_refused_and_reaches_nobody(lines, desk):
    for body in (b"{}", b'{"person":"alice","reason":"x","more":1}', b'{"person":1}', b"[]"):
        status, answer = await lines.command("desk/take", body, 10.0)
        assert status == 400
        assert "error" in json.loads(answer)
    assert not desk.asked


async def test_what_was_begun_is_carried_through_when_the_asker_goes(lines, desk):
    desk.may_answer.clear()
    asking = asyncio.create_task(ask(lines, "begun"))
    await desk.began.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    desk.may_answer.set()
    async with asyncio.timeout(10):
        await desk.done.wait()


async def test_a_second_line_before_the_answer_ends_the_connection(path, desk):
    desk.may_answer.clear()
    reader, writer = await asyncio.open_unix_connection(str(path))
    line = b'{"route":"desk/take","body":{"person":"alice","reason":"a"}}\n'
    writer.write(line)
    await desk.began.wait()
    writer.write(line)
    async with asyncio.timeout(10):
        assert await hung_up(reader)
    writer.close()
    desk.may_answer.set()
    assert len(desk.asked) == 1


async def test_a_line_without_end_ends_the_connection(path, desk):
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"{" + b" " * 100_000)
    async with asyncio.timeout(10):
        assert await hung_up(reader)
    writer.close()
    assert not desk.asked


async def test_a_line_may_come_in_pieces(path, desk):
    reader, writer = await asyncio.open_unix_connection(str(path))
    line = b'{"route":"desk/take","body":{"person":"alice","reason":"piece"}}\n'
    for at in range(0, len(line), 7):
        writer.write(line[at : at + 7])
        await writer.drain()
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert json.loads(await reader.readline())["body"] == {"taken": "piece"}
    writer.close()


async def test_silence_is_a_timeout_and_the_late_answer_is_nobodys(lines, desk):
    desk.may_answer.clear()
    body = b'{"person":"alice","reason":"late"}'
    with pytest.raises(TimeoutError):
        await lines.command("desk/take", body, 0.05)
    desk.may_answer.set()
    assert await ask(lines, "next") == (200, {"taken": "next"})


async def test_a_connection_that_the_engine_closed_is_made_anew(tmp_path, desk):
    socket = tmp_path / "engine.sock"
    lines = Lines(socket)
    for reason in ("before", "after"):
        runner = await site(socket, desk)
        assert (await ask(lines, reason))[0] == 200
        assert (await lines.request("GET", "/v1/hello", None, 10.0)).status == 200
        await runner.cleanup()
        socket.unlink(missing_ok=True)
    await lines.close()


def test_uvloop_carries_both_tongues(tmp_path: Path) -> None:
    async def talk() -> tuple[int, int]:
        desk = Desk()
        socket = tmp_path / "engine.sock"
        runner = await site(socket, desk)
        lines = Lines(socket)
        status, _ = await ask(lines, "on uvloop")
        answer = await lines.request("GET", "/v1/hello", None, 10.0)
        await lines.close()
        await runner.cleanup()
        return status, answer.status

    assert uvloop.run(talk()) == (200, 200)


def test_the_peer_of_no_socket_is_not_known() -> None:
    with pytest.raises(InputError):
        uid_of(None)
    assert told(InputError(what="x", where="y"), "z")[0] == 400
