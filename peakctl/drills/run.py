"""Running one drill: its ground, its script, its criteria, and the result.

Whatever goes wrong inside is the drill's result, not an error of the command: a rehearsal that
cannot be carried to its end has failed, and the reason stands beside what was measured.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from engine.contracts.errors import PeakError
from engine.contracts.session import Limits
from engine.ops.drills import Criterion, DrillResult, judge
from peakctl.demo_session import LIMITS
from peakctl.drills import scripts
from peakctl.drills.ground import PATIENCE_SECONDS, Ground, ground

#: A loss that a fall of five percent reaches at once with a tenth of a coin.
_SMALL_LOSS = msgspec.structs.replace(LIMITS, max_session_loss=Decimal(50))
_MANY = msgspec.structs.replace(LIMITS, max_orders_per_second=10, max_open_orders=50)


class Drill(NamedTuple):
    """One rehearsal: what it is about, how it is played, and on which ground."""

    name: str
    about: str
    script: Callable[[Ground], Awaitable[None]]
    limits: Limits = LIMITS
    settings: Mapping[str, Any] = MappingProxyType({})


DRILLS: tuple[Drill, ...] = (
    Drill(
        "kill_switch",
        "twenty orders rest; one key; canceled and proven; held over a restart",
        scripts.kill_switch,
        _MANY,
    ),
    Drill(
        "engine_crash",
        "the engine dies; the watchdog clears the market; the next engine knows all",
        scripts.engine_crash,
        _MANY,
    ),
    Drill(
        "forced_disconnect",
        "streams fall silent; stale is shown and blocks; a fill meanwhile is found",
        scripts.forced_disconnect,
    ),
    Drill(
        "flash_volatility",
        "the market falls by five percent with a position open; the loss pauses",
        scripts.flash_volatility,
        _SMALL_LOSS,
        {"sandbox": {"scenario": str(Path(__file__).with_name("flash_crash.toml"))}},
    ),
    Drill(
        "orphan_order",
        "a stranger's order in the account is found, told, never entered, cleared",
        scripts.orphan_order,
    ),
    Drill("full_session", "from charter to a sealed and verified pack", scripts.full_session),
)


async def run_drill(
    drill: Drill,
    criteria: Sequence[Criterion],
    program: Sequence[str] | None = None,
    patience: float = PATIENCE_SECONDS,
    keep: Path | None = None,
) -> DrillResult:
    """Play it and judge.

    `program` is how `peakctl` is run for the processes of the ground, `patience` the longest wait
    for something hoped for, seconds; `keep` a new folder for what is left of the ground.
    """
    measured: dict[str, int] = {}
    fault = ""
    try:
        async with ground(
            program, limits=drill.limits, settings=drill.settings, patience=patience, keep=keep
        ) as desk:
            measured = desk.measured
            await drill.script(desk)
    except PeakError as error:
        fault = error.line()
    return judge(drill.name, criteria, measured, fault)
