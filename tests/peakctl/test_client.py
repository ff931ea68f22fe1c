"""EngineClient with a real engine: errors as their classes, and a stream that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.contracts.errors import EngineUnreachable, InputError, Refused
from engine.contracts.session import Mode
from engine.contracts.view import EngineView
from peakctl.client.client import EngineClient
from peakctl.client.port import Console
from peakctl.supervisor import Supervisor
from peakctl.tools import draft_charter
from peakctl.workspace import Workspace


@pytest.fixture
def supervisor(demo: Workspace) -> Iterator[Supervisor]:
    supervisor = Supervisor(demo)
    supervisor.ensure_engine()
    yield supervisor
    supervisor.end_all("alice")


async def test_nobody_on_the_socket_is_unreachable_with_advice(tmp_path: Path) -> None:
    async with EngineClient(tmp_path / "engine.sock", "alice") as client:
        with pytest.raises(EngineUnreachable, match="start it with `peakctl`"):
            await client.state()
        with pytest.raises(EngineUnreachable):
            await client.note("hello")
        assert not client.connected


async def test_refusals_arrive_as_the_class_that_was_raised(
    supervisor: Supervisor, demo: Workspace
) -> None:
    async with EngineClient(demo.socket, "bob", "reviewer") as client:
        with pytest.raises(Refused, match="not operator"):
            await client.charter(draft_charter(demo, "alice"))
    async with EngineClient(demo.socket, "alice") as client:
        assert isinstance(client, EngineClient)
        console: Console = client
        with pytest.raises(Refused):
            await console.stop("nothing runs")
        live = msgspec.structs.replace(draft_charter(demo, "alice"), mode=Mode.LIVE)
        with pytest.raises((InputError, Refused)):
            await console.charter(live)


async def test_the_journal_arrives_line_by_line(supervisor: Supervisor, demo: Workspace) -> None:
    async with EngineClient(demo.socket, "alice") as client:
        lines = [line async for line in client.journal()]
        later = [line async for line in client.journal(2)]
    assert lines[0].startswith(b'{"actor":')
    assert all(line.endswith(b"}\n") for line in lines)
    assert later[: len(lines) - 2] == lines[2:]


async def test_the_stream_attends_and_comes_back_after_an_engine_restart(
    supervisor: Supervisor, demo: Workspace
) -> None:
    views: list[EngineView] = []
    arrived = asyncio.Condition()

    async def watch(client: EngineClient) -> None:
        async for view in client.stream():
            async with arrived:
                views.append(view.engine)
                arrived.notify_all()

    async def attended(pid: int) -> None:
        async with arrived, asyncio.timeout(15):
            await arrived.wait_for(
                lambda: bool(views) and views[-1].pid == pid and views[-1].attended
            )

    first = supervisor.engine_pid()
    assert first is not None
    async with EngineClient(demo.socket, "alice") as client:
        await client.charter(draft_charter(demo, "alice"))
        watching = asyncio.create_task(watch(client))
        await attended(first)
        assert client.connected
        await asyncio.to_thread(supervisor.stop_engine, "alice", "restart")
        second = await asyncio.to_thread(supervisor.ensure_engine)
        assert second != first
        await attended(second)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
