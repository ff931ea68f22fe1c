"""The soak's exchange: the sandbox, with a market that never ends and comes `speed` times as fast.

    python -m tests.soak.exchange sandbox PORT KEYS OPTIONS

The sandbox plays a recording once; here the recordings are played one after the other, and again
from the first, and every recorded message is told on the wire. Without recordings the synthetic
flow takes `speed` steps where it takes one.
Everything else (wire, matching, faults, limits) is the sandbox's own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import uvloop

from engine.sandbox.flow import STEP_MS, Flow
from engine.sandbox.recording import RecordedMessage
from engine.sandbox.replay import Replay
from engine.sandbox.server import Sandbox, SandboxOptions


class Pace(msgspec.Struct, frozen=True):
    """How the market is driven. `recordings` are paths; none means synthetic flow from `seed`."""

    recordings: tuple[str, ...]
    speed: int
    seed: int


class EveryMessage(Replay):
    """A replay that publishes after each recorded message, so that none is folded into the next."""

    def play(self, message: RecordedMessage) -> None:
        """Let one recorded message happen and be told."""
        super().play(message)
        self._exchange.settle()


async def _replay_for_ever(sandbox: Sandbox, pace: Pace, replay: Replay) -> None:
    following = itertools.cycle([*pace.recordings[1:], pace.recordings[0]])
    while True:
        await replay.run()
        replay = EveryMessage(sandbox.exchange, Path(next(following)), speed=pace.speed)
        replay.seed()


async def _flow_for_ever(sandbox: Sandbox, pace: Pace, flow: Flow) -> None:
    exchange, loop = sandbox.exchange, asyncio.get_running_loop()
    due = loop.time()
    while True:
        for _ in range(pace.speed):
            flow.step(exchange.clock_us())
            exchange.settle()
        due = max(due + STEP_MS / 1000, loop.time())
        await asyncio.sleep(due - loop.time())


async def _main(port: int, keys: Path, pace: Pace) -> int:
    options = SandboxOptions(
        port=port,
        seed=pace.seed,
        flow=False,
        control=True,
        weight_minute=1_000_000,
        accounts=("demo", "other"),
        balances={"BTC": Decimal(200), "USDT": Decimal(10_000_000)},
        key_folder=keys,
    )
    sandbox = Sandbox(options)
    exchange = sandbox.exchange
    ready = await sandbox.start()
    if pace.recordings:
        replay = EveryMessage(exchange, Path(pace.recordings[0]), speed=pace.speed)
        replay.seed()
        market = _replay_for_ever(sandbox, pace, replay)
    else:
        flow = Flow(exchange.matching, pace.seed, exchange.matching.last_price)
        flow.open(exchange.clock_us())
        exchange.settle()
        market = _flow_for_ever(sandbox, pace, flow)
    running = asyncio.gather(sandbox.run(), market)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    try:
        await running
    except asyncio.CancelledError:
        return 0
    finally:
        await sandbox.close()
    return 0


if __name__ == "__main__":
    _word, _port, _keys, _pace = sys.argv[1:]
    assert _word == "sandbox", "the supervisor knows a sandbox by this word"
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as _runner:
        _pace_asked = msgspec.json.decode(_pace, type=Pace)
        sys.exit(_runner.run(_main(int(_port), Path(_keys), _pace_asked)))
