"""The matrix as data: every operation under every fault, and what really happens in that cell.

A row says how the fault is armed (the bodies of `POST /sandbox/faults`), which play the desk gives
meanwhile (`plays.py`), and in which states the order may be found on all three sides afterwards.
Both columns of the matrix, running on and SIGKILL with a restart, play the same row.

Every combination can happen to a desk, so none is left out. Where a word does not fit an operation
literally (a request has no sequence that could have a gap), the row is the nearest thing that a
real venue does: `how` says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.faults.matrix.sides import CANCELED, FILLED, NONE, OPEN

OPERATIONS = ("submit", "cancel", "fill", "stream", "query")
FAULTS = (
    "timeout",
    "reset",
    "-1007",
    "5xx",
    "429",
    "418",
    "duplicate",
    "reordered",
    "lost",
    "gap",
    "stall",
    "halt",
    "wipe",
)
Arm = Mapping[str, Any]
#: How late the answer of a query comes that is overtaken by a report, ms.
LATE_MS = 500


@dataclass(frozen=True)
class Cell:
    """One row. `arm` comes before the operation, `then` after the first fault has happened."""

    operation: str
    fault: str
    how: str
    play: str
    ends: frozenset[str]
    arm: Arm
    then: Arm | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.operation} x {self.fault}"

    @property
    def ends_killed(self) -> frozenset[str]:
        """As `ends`; the kill may also come before the request of an order has left."""
        return self.ends | {NONE} if self.play == "after" else self.ends

    @property
    def wiped(self) -> bool:
        """Whether the venue forgets everything here, so that the desk is of no more use."""
        return self.fault == "wipe"


#: Faults of one request: how it is answered, and whether it was executed before that.
_ANSWERS: dict[str, dict[str, Any]] = {
    "timeout": {"answer": "silent", "accept": True},
    "reset": {"answer": "reset", "accept": False},
    "-1007": {"answer": "code", "code": -1007, "status": 504, "accept": True},
    "5xx": {"answer": "status", "status": 503, "accept": False},
    "429": {"answer": "code", "code": -1003, "status": 429, "retry_after_s": 1, "accept": False},
    "418": {"answer": "code", "code": -1003, "status": 418, "retry_after_s": 1, "accept": False},
}


def _rest(on: str, fault: str, times: int = 1, **more: Any) -> dict[str, Any]:
    return {"on": on, **_ANSWERS[fault], "times": times, **more}


def _report(how: str, execution: str, times: int = 1, delay_ms: int = 0) -> dict[str, Any]:
    return {"how": how, "execution": execution, "times": times, "delay_ms": delay_ms}


def _ends(*states: str) -> frozenset[str]:
    return frozenset(states)


_CUT = {"stream_cut": "user"}
_GAP = {"depth_gap": 5}
_HALT = {"symbol_status": "HALT"}
_WIPE = {"wipe": True}
#: Until it is ended by hand or cleared.
_LONG_MS = 60_000
_STALL = {"stream_stall": "user", "stream_stall_ms": _LONG_MS}
#: A submit in doubt of which the stream told nothing: only a query can end it.
_DOUBT = _rest("submit", "-1007")
_UNTOLD = [_report("lose", "NEW")]

_SUBMIT = (
    *(
        Cell("submit", fault, how, "rest", ends, {"rest": [_rest("submit", fault)]})
        for fault, how, ends in (
            ("timeout", "placed, the answer never comes", _ends(OPEN)),
            ("reset", "connection reset, not placed", _ends(NONE)),
            ("-1007", "placed, answered status unknown", _ends(OPEN)),
            ("5xx", "not placed, answered 503", _ends(NONE)),
            ("429", "refused for the rate", _ends(NONE)),
            ("418", "refused, banned", _ends(NONE)),
        )
    ),
    Cell(
        *("submit", "duplicate", "the acknowledgement is reported twice", "rest", _ends(OPEN)),
        {"reports": [_report("duplicate", "NEW")]},
    ),
    Cell(
        *("submit", "reordered", "TRADE is reported before NEW, no answer", "take"),
        _ends(FILLED),
        {"rest": [_rest("submit", "timeout")], "reports": [_report("reorder", "any")]},
    ),
    Cell(
        *("submit", "lost", "neither answer nor report arrives", "rest", _ends(OPEN)),
        {"rest": [_rest("submit", "timeout")], "reports": _UNTOLD},
    ),
    Cell("submit", "gap", "sent into a book that lost events", "after", _ends(OPEN), _GAP),
    Cell("submit", "stall", "the stream is silent meanwhile", "rest", _ends(OPEN), _STALL),
    Cell("submit", "halt", "the symbol is halted", "rest", _ends(NONE), _HALT),
    Cell(
        *("submit", "wipe", "placed, no answer, then the venue forgets it", "rest", _ends(OPEN)),
        {"rest": [_rest("submit", "timeout")]},
        _WIPE,
    ),
)

_CANCEL = (
    *(
        Cell("cancel", fault, how, "cancel", ends, {"rest": [_rest("cancel", fault, times)]})
        for fault, how, ends, times in (
            ("timeout", "canceled, the answer never comes", _ends(CANCELED), 1),
            # Until cleared: a cancel may be repeated, and the last attempt must fail too.
            ("reset", "connection reset, not canceled", _ends(OPEN, CANCELED), 0),
            ("-1007", "canceled, answered status unknown", _ends(CANCELED), 1),
            ("5xx", "not canceled, answered 503", _ends(OPEN, CANCELED), 0),
            ("429", "refused for the rate", _ends(OPEN, CANCELED), 1),
            ("418", "refused, banned", _ends(OPEN, CANCELED), 1),
        )
    ),
    Cell(
        *("cancel", "duplicate", "the cancel is reported twice", "cancel", _ends(CANCELED)),
        {"reports": [_report("duplicate", "CANCELED")]},
    ),
    Cell(
        *("cancel", "reordered", "partly filled first, told after the cancel", "cancel"),
        _ends(CANCELED),
        {"cancel_race": {"fill": "part"}, "reports": [_report("reorder", "any")]},
    ),
    Cell(
        *("cancel", "lost", "neither answer nor report arrives", "cancel", _ends(CANCELED)),
        {"rest": [_rest("cancel", "timeout")], "reports": [_report("lose", "CANCELED")]},
    ),
    Cell("cancel", "gap", "while the book lost events", "cancel", _ends(OPEN, CANCELED), _GAP),
    Cell("cancel", "stall", "the stream is silent meanwhile", "cancel", _ends(CANCELED), _STALL),
    Cell("cancel", "halt", "the symbol is halted", "cancel", _ends(OPEN, CANCELED), _HALT),
    Cell(
        *("cancel", "wipe", "the venue forgot the order before", "cancel", _ends(OPEN)),
        _WIPE,
    ),
)

_FILL = (
    Cell(
        *("fill", "timeout", "filled at once, the answer never comes", "take", _ends(FILLED)),
        {"rest": [_rest("submit", "timeout")]},
    ),
    *(
        Cell(
            *("fill", fault, f"the back-fill after a cut is {how}", "swept", _ends(FILLED)),
            {**_CUT, "rest": [_rest("fills", fault, times)]},
        )
        for fault, how, times in (
            ("reset", "reset", 4),
            ("-1007", "answered status unknown", 2),
            ("5xx", "answered 503", 2),
            ("429", "refused for the rate", 1),
            ("418", "refused, banned", 1),
        )
    ),
    Cell(
        *("fill", "duplicate", "the trade is reported twice", "swept", _ends(FILLED)),
        {"reports": [_report("duplicate", "TRADE")]},
    ),
    Cell(
        *("fill", "reordered", "the second trade is reported before the first", "swept_twice"),
        _ends(FILLED),
        {"reports": [_report("reorder", "TRADE")]},
    ),
    Cell(
        *("fill", "lost", "the first trade is never reported", "swept_twice", _ends(FILLED)),
        {"reports": [_report("lose", "TRADE")]},
    ),
    Cell("fill", "gap", "while the book lost events", "swept", _ends(FILLED), _GAP),
    Cell(
        *("fill", "stall", "the stream is silent for the first trade", "swept_twice"),
        _ends(FILLED),
        _STALL,
    ),
    Cell(
        *("fill", "halt", "told only while the symbol is halted", "swept", _ends(FILLED)),
        {**_CUT, "rest": [_rest("fills", "5xx", 2)]},
        _HALT,
    ),
    Cell("fill", "wipe", "the venue forgets a trade we hold", "swept_before", _ends(FILLED), _WIPE),
)

_STREAM = (
    *(
        Cell(
            *("stream", fault, f"after a cut the catch-up is {how}", "swept", _ends(FILLED)),
            {**_CUT, "rest": [_rest("open_orders", fault, times)]},
        )
        for fault, how, times in (
            ("timeout", "never answered", 1),
            ("reset", "reset", 4),
            ("-1007", "answered status unknown", 2),
            ("5xx", "answered 503", 2),
            ("429", "refused for the rate", 1),
            ("418", "refused, banned", 1),
        )
    ),
    Cell(
        *("stream", "duplicate", "every report comes twice", "take", _ends(FILLED)),
        {"reports": [_report("duplicate", "any", 3)]},
    ),
    Cell(
        *("stream", "reordered", "every pair of reports is swapped", "take", _ends(FILLED)),
        {"reports": [_report("reorder", "any", 3)]},
    ),
    Cell(
        *("stream", "lost", "all reports of a while are lost, then cut", "swept", _ends(FILLED)),
        {"reports": [_report("lose", "any", 3)]},
        _CUT,
    ),
    Cell(
        *("stream", "gap", "the book's ids jump, the stream is cut too", "swept", _ends(FILLED)),
        {**_GAP, **_CUT},
    ),
    Cell(
        *("stream", "stall", "both streams are open and silent", "swept_twice", _ends(FILLED)),
        {"stream_stall": "all", "stream_stall_ms": _LONG_MS},
    ),
    Cell(
        *("stream", "halt", "both are cut and back while the symbol is halted", "swept"),
        _ends(FILLED),
        {"stream_cut": "all", "rest": [_rest("open_orders", "5xx", 2)]},
        _HALT,
    ),
    Cell(
        *("stream", "wipe", "cut, and wiped before it is back", "rest_only", _ends(OPEN)),
        {"stream_cut": "all", **_WIPE},
    ),
)

_QUERY = (
    *(
        Cell(
            *("query", fault, f"the question about a doubt is {how}", "rest", _ends(OPEN)),
            {"rest": [_DOUBT, _rest("order", fault, times)], "reports": _UNTOLD},
        )
        for fault, how, times in (
            ("timeout", "never answered", 1),
            ("reset", "reset", 4),
            ("-1007", "answered status unknown", 2),
            ("5xx", "answered 503", 2),
            ("429", "refused for the rate", 1),
            ("418", "refused, banned", 1),
        )
    ),
    Cell(
        *("query", "duplicate", "query and late report tell the same trade", "take"),
        _ends(FILLED),
        {"rest": [_DOUBT], "reports": [_report("delay", "TRADE", 3, delay_ms=400)]},
    ),
    Cell(
        *("query", "reordered", "its answer is older than a report before it", "swept_asking"),
        _ends(FILLED),
        {"rest": [_DOUBT, {"on": "order", "answer": "delay", "delay_ms": LATE_MS, "times": 1}]},
    ),
    Cell(
        *("query", "lost", "the answer does not show the order yet", "rest", _ends(OPEN)),
        {"rest": [_DOUBT], "reports": _UNTOLD, "hide_order_ms": 1000},
    ),
    Cell(
        *("query", "gap", "the snapshot asked for is older than the gap", "after", _ends(OPEN)),
        {**_GAP, "stale_snapshot": 1},
    ),
    Cell(
        *("query", "stall", "asked while the stream is silent", "rest", _ends(OPEN)),
        {"rest": [_DOUBT], **_STALL},
    ),
    Cell(
        *("query", "halt", "asked while the symbol is halted", "rest", _ends(OPEN)),
        {"rest": [_DOUBT, _rest("order", "5xx", 2)], "reports": _UNTOLD},
        _HALT,
    ),
    Cell(
        *("query", "wipe", "asked only after the wipe", "rest", _ends(OPEN)),
        {"rest": [_DOUBT, _rest("order", "5xx", 3)]},
        _WIPE,
    ),
)

CELLS: tuple[Cell, ...] = (*_SUBMIT, *_CANCEL, *_FILL, *_STREAM, *_QUERY)
