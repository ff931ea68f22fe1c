"""Faults drawn from a seed: a table of named faults, and the sequence that a seed gives.

Pure: the same schedule gives the same sequence of (time, name, request), whatever the market does.
`NAMED` is the table; a pair (low, high) in it is a whole number drawn between both. Gaps between
faults are drawn evenly from half to one and a half times `every_ms`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

import msgspec

from engine.contracts.errors import InputError
from engine.sandbox.faults import FaultRequest, Schedule


def _rest(on: str, answer: str, **more: object) -> dict[str, object]:
    return {"rest": [{"on": on, "answer": answer, **more}]}


def _report(how: str, **more: object) -> dict[str, object]:
    return {"reports": [{"how": how, **more}]}


#: Name -> request, as on the wire; pairs are ranges.
NAMED: Mapping[str, Mapping[str, object]] = {
    "submit_timeout": _rest("submit", "silent"),
    "submit_lost": _rest("submit", "reset", accept=False),
    "submit_reset": _rest("submit", "reset"),
    "submit_unknown": _rest("submit", "code", code=-1007),
    "submit_5xx": _rest("submit", "status", status=(500, 504)),
    "submit_slow": _rest("submit", "delay", delay_ms=(50, 1500)),
    "cancel_timeout": _rest("cancel", "silent"),
    "cancel_lost": _rest("cancel", "reset", accept=False),
    "cancel_reset": _rest("cancel", "reset"),
    "cancel_unknown": _rest("cancel", "code", code=-1007),
    "cancel_all_reset": _rest("cancel_all", "reset"),
    "query_timeout": _rest("query", "silent"),
    "query_reset": _rest("query", "reset"),
    "query_5xx": _rest("query", "status", status=(500, 504)),
    "query_slow": _rest("query", "delay", delay_ms=(50, 1500)),
    "depth_5xx": _rest("depth", "status", status=503),
    "rate_limited": _rest("any", "code", code=-1003, retry_after_s=1),
    "overloaded": _rest("any", "code", code=-1008),
    "waf": _rest("any", "html"),
    "clock_refused": _rest("query", "skew"),
    "clock_skew": {"clock_skew_ms": (-2000, 2000), "for_ms": (200, 2000)},
    "banned": {"ban_ms": (200, 1500)},
    "report_duplicate": _report("duplicate", times=(1, 3)),
    "report_reorder": _report("reorder"),
    "report_lose": _report("lose"),
    "report_delay": _report("delay", delay_ms=(50, 1500)),
    "cancel_race_part": {"cancel_race": {"fill": "part"}},
    "cancel_race_all": {"cancel_race": {"fill": "all"}},
    "market_cut": {"stream_cut": "market"},
    "user_cut": {"stream_cut": "user"},
    "all_cut": {"stream_cut": "all"},
    "market_stall": {"stream_stall": "market", "stream_stall_ms": (200, 3000)},
    "user_stall": {"stream_stall": "user", "stream_stall_ms": (200, 3000)},
    "no_pong": {"no_pong": "all", "for_ms": (500, 3000)},
    "server_shutdown": {"server_shutdown": True, "server_shutdown_ms": (100, 1000)},
    "old_age": {"cut_after_s": 1, "for_ms": (100, 500)},
    "depth_gap": {"depth_gap": (1, 5)},
    "stale_snapshot": {"stale_snapshot": 1},
    "halt": {"symbol_status": "HALT", "for_ms": (200, 3000)},
    "cancel_only": {"symbol_status": "CANCEL_ONLY", "for_ms": (200, 3000)},
    "filter_change": {"filters": {"min_notional": "50"}, "for_ms": (500, 3000)},
    "order_hidden": {"hide_order_ms": (100, 1000), "for_ms": (1000, 3000)},
    "open_orders_lag": {"open_orders_lag_ms": (100, 1000), "for_ms": (1000, 3000)},
    "wipe": {"wipe": True},
}
#: Not drawn unless it is asked for by name: after it nothing of an account is left to agree on.
_BY_NAME_ONLY = frozenset({"wipe"})
ORDINARY = tuple(name for name in NAMED if name not in _BY_NAME_ONLY)


def draws(schedule: Schedule) -> Iterator[tuple[int, str, FaultRequest]]:
    """The sequence as (ms after its start, name, request), up to `until_ms` or without end.

    Raises InputError for a name that is not in the table.
    """
    for name in schedule.kinds:
        if name not in NAMED:
            raise InputError(
                what=f"no fault is named {name[:40]!r}",
                where="schedule.kinds",
                todo=f"choose from {', '.join(NAMED)}",
            )
    return _draws(schedule)


def _draws(schedule: Schedule) -> Iterator[tuple[int, str, FaultRequest]]:
    draw = random.Random(schedule.seed)  # noqa: S311  (a simulation, not a secret)
    kinds = schedule.kinds or ORDINARY
    every_ms, at_ms = schedule.every_ms, 0
    while True:
        at_ms += max(1, draw.randint(every_ms // 2, every_ms + every_ms // 2))
        if schedule.until_ms and at_ms >= schedule.until_ms:
            return
        name = draw.choice(kinds)
        yield at_ms, name, msgspec.convert(_drawn(NAMED[name], draw), FaultRequest)


def _drawn(value: object, draw: random.Random) -> object:
    """A row of the table with its ranges drawn."""
    match value:
        case Mapping():
            return {name: _drawn(inner, draw) for name, inner in value.items()}
        case list():
            return [_drawn(inner, draw) for inner in value]
        case (int() as low, int() as high):
            return draw.randint(low, high)
        case _:
            return value
