"""The product's own processes with wider limits: `python -m tests.benchmarks.wide engine|sandbox`.

`sandbox busy` has a market of two thousand events a second and more.

Two hundred resting orders and a few hundred samples would otherwise wait for the limits of a
session and of the venue (10 orders a second) and not measure anything else. Only figures are
changed: the code that runs is the engine's and the sandbox's own.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

WIDE_LIMITS = {
    "limits.max_open_orders": 500,
    "limits.max_orders_per_second": 50,
    "limits.max_orders_per_minute": 1000,
    "limits.max_orders_per_session": 100000,
}
ACCOUNTS = ("demo", "bare", "heard", "ccxt")


def engine(root: str, socket: str) -> int:
    """Run the engine of a workspace whose ceilings are the widest that the settings can hold."""
    import config.settings  # noqa: PLC0415
    from config.layers import Layer  # noqa: PLC0415
    from engine.serving import main as run_engine  # noqa: PLC0415

    narrow = config.settings.default_layer

    def widened(name: str) -> Layer:
        layer = narrow(name)
        if name != "base":
            return layer
        return dataclasses.replace(layer, values={**layer.values, **WIDE_LIMITS})

    config.settings.default_layer = widened  # type: ignore[attr-defined]
    return run_engine(Path(root), Path(socket))


def sandbox(*, busy: bool) -> int:
    """Run the sandbox with an account for each peer, without limits that a benchmark meets."""
    from engine.sandbox.flow import FlowShape  # noqa: PLC0415
    from engine.sandbox.scenario import Scenario  # noqa: PLC0415
    from engine.sandbox.server import SandboxOptions  # noqa: PLC0415
    from engine.sandbox.server import main as run_sandbox  # noqa: PLC0415

    crowd = Scenario(
        name="crowd",
        about="four hundred bursts of takers a second",
        seed=1,
        repeat=False,
        base=FlowShape(bursts=400.0, burst_length=7.0, trade_size=0.05, quote_size=90_000.0),
        phases=(),
        faults=(),
    )
    return run_sandbox(
        SandboxOptions(
            accounts=ACCOUNTS,
            weight_minute=10**9,
            orders_10s=10**6,
            orders_day=10**9,
            scenario=crowd if busy else None,
        )
    )


if __name__ == "__main__":
    arguments = sys.argv[2:]
    sys.exit(engine(*arguments) if sys.argv[1] == "engine" else sandbox(busy=arguments == ["busy"]))
