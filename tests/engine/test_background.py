"""Work in the background ends when it must, and its death is told."""

from __future__ import annotations

import asyncio

import pytest

from engine import background
from engine.background import Background


async def test_a_part_that_swallows_a_cancellation_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "_AGAIN_SECONDS", 0.01)
    told: list[tuple[str, BaseException]] = []
    running = Background(lambda name, error: told.append((name, error)))
    swallowed = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    running.spawn(stubborn(), "stubborn")
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await running.end()
    assert swallowed.is_set()
    assert not told


async def test_a_death_is_told_once_and_that_of_the_answer_to_it_is_not() -> None:
    told: list[tuple[str, BaseException]] = []
    running = Background(lambda name, error: told.append((name, error)))
    fault, later = RuntimeError("part"), RuntimeError("answer")

    async def die(error: Exception) -> None:
        raise error

    tasks = [running.spawn(die(fault), "part"), running.spawn_last(die(later), "answer")]
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
    assert told == [("part", fault)]
