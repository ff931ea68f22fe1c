"""A program for test_faults: appends in children and kills them, 50 times, at random moments.

Prints what the children were told to be durable as JSON: {text: sequence}. The children are forked
before this process has any thread, and each runs the real journal until SIGKILL.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from engine.contracts.event import NoteAdded
from engine.contracts.people import ENGINE
from engine.journal.writer import Journal

ROUNDS = 50


async def append_for_ever(folder: Path, name: int, out: int) -> None:
    journal = Journal.open(
        folder, commit_interval_ms=0, segment_lines=40, clock_us=lambda: time.time_ns() // 1000
    ).journal

    async def caller(number: int) -> None:
        for turn in itertools.count():
            texts = [f"{name}/{number}/{turn}/{part}" for part in range(number + 1)]
            events = [NoteAdded(session_id="abcdefabcdef", text=text) for text in texts]
            records = await journal.append(ENGINE, events)
            told = [[text, one.seq] for text, one in zip(texts, records, strict=True)]
            os.write(out, json.dumps(told).encode() + b"\n")

    await asyncio.gather(*(caller(number) for number in range(3)))


def read_until(source: int, deadline: float, enough: int) -> bytes:
    told = b""
    while told.count(b"\n") < enough and (rest := deadline - time.monotonic()) > 0:
        if select.select([source], [], [], rest)[0]:
            told += os.read(source, 65536)
    return told


def one_round(folder: Path, name: int, chance: random.Random) -> dict[str, int]:
    source, out = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            asyncio.run(append_for_ever(folder, name, out))
        os._exit(1)
    os.close(out)
    told = read_until(source, time.monotonic() + 20, chance.randrange(1, 30))
    told += read_until(source, time.monotonic() + chance.random() * 0.004, 10**9)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, "the child ended before it was killed"
    while piece := os.read(source, 65536):
        told += piece
    os.close(source)
    complete = told[: told.rfind(b"\n") + 1]
    return {text: seq for line in complete.splitlines() for text, seq in json.loads(line)}


def main() -> None:
    folder = Path(sys.argv[1])
    chance = random.Random(20261121)
    told: dict[str, int] = {}
    for name in range(ROUNDS):
        told |= one_round(folder, name, chance)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
