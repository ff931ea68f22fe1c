"""The long files of a pack, written while the session's records go by, each record once. Pure.

A session may have a million records, so no list of them is made. `runlog.md`, `execution.jsonl`,
`trades.csv` and `equity.csv` grow line by line; the position ledger is folded once for all who need
it; and only the records that are not of an order are kept (`kept`), for the files that are short.
What stays in memory with each order is its latency, its place in the plots and its trade's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

from engine.contracts import event as ev
from engine.contracts.canonical import canonical
from engine.contracts.session import Charter
from engine.evidence.figures import (
    EQUITY_COLUMNS,
    TRADE_COLUMNS,
    Metrics,
    Trades,
    csv_line,
    equity_row,
)
from engine.evidence.page import Drawn
from engine.evidence.phrases import phrase
from engine.evidence.text import plain_line, stamp
from engine.orders.equity import EquityCurve
from engine.orders.positions import PositionLedger

RUNLOG, EXECUTION, TRADES, EQUITY = LONG = (
    "runlog.md",
    "execution.jsonl",
    "trades.csv",
    "equity.csv",
)

#: The events of orders: as many as there are orders, and in no file but the long ones.
_ORDERS = (
    ev.OrderIntended,
    ev.OrderBlocked,
    ev.OrderAcknowledged,
    ev.OrderRejected,
    ev.OrderUnknown,
    ev.OrderLost,
    ev.OrderFilled,
    ev.CancelRequested,
    ev.CancelRefused,
    ev.OrderCanceled,
    ev.OrderExpired,
    ev.OrderClosed,
)
#: All orders, fills, rejects, blocks and kills.
_EXECUTION = (
    *(kind for kind in _ORDERS if kind is not ev.OrderClosed),
    ev.OrphanFound,
    ev.OrphanAdopted,
    ev.OrphanCancelRequested,
    ev.OrphanEnded,
    ev.KillLatched,
    ev.KillStage,
    ev.KillVerdict,
    ev.WatchdogActed,
)


class Sink(Protocol):
    """Where a long file is written to."""

    def write(self, data: bytes, /) -> object:
        """Append."""
        ...


class Telling:
    """Takes a session's records in order; `files` has a sink for each name of `LONG`."""

    def __init__(self, files: Mapping[str, Sink]) -> None:
        self.kept: list[ev.Recorded] = []
        self.metrics = Metrics()
        self.drawn = Drawn(self.metrics.profit)
        self._curve = EquityCurve()
        self._trades = Trades()
        self._runlog = _Runlog(files[RUNLOG])
        self._execution, self._trade_rows, self._equity_rows = (
            files[name] for name in (EXECUTION, TRADES, EQUITY)
        )
        self._trade_rows.write(csv_line(TRADE_COLUMNS))
        self._equity_rows.write(csv_line(EQUITY_COLUMNS))

    @property
    def ledger(self) -> PositionLedger:
        """The positions after the records so far."""
        return self._curve.positions

    def take(self, record: ev.Recorded, data: bytes) -> None:
        """Tell one record; `data` is the JSON of its event's fields as the journal has it."""
        event = record.event
        if isinstance(event, _EXECUTION):
            self._execution.write(event_line(record, data))
        if not isinstance(event, _ORDERS):
            self.kept.append(record)
        self._runlog.take(record)
        self.metrics.take(record)
        point = None
        if isinstance(event, ev.OrderFilled):
            self._trade_rows.write(self._trades.row(record, event.fill))
            point = self._curve.apply(record)
            self._curve.points.clear()
            if point is not None:
                self._equity_rows.write(equity_row(point))
                self.metrics.mark(point, self.ledger.position(point.symbol).quote)
        self.drawn.take(record, point, self.ledger)

    def end(self) -> None:
        """No more records."""
        self._runlog.end()


class _Runlog:
    """The session as a story: the charter, then one line per thing that happened."""

    def __init__(self, file: Sink) -> None:
        self._file = file
        self._begun = False
        #: Lines from before the charter, which stands above them.
        self._early: list[str] = []

    def take(self, record: ev.Recorded) -> None:
        text = phrase(record.event)
        line = ""
        if text:
            line = (
                f"| {stamp(record.ts_us)} | {record.seq} | {_name(record.actor.name)}"
                f" | {plain_line(text)} |\n"
            )
        if self._begun:
            self._file.write(line.encode("utf-8"))
            return
        self._early.append(line)
        if isinstance(record.event, ev.SessionChartered):
            self._begin(record.event)

    def end(self) -> None:
        if not self._begun:
            self._begin(None)

    def _begin(self, event: ev.SessionChartered | None) -> None:
        self._begun = True
        lines = ["# Runlog", ""]
        if event is not None:
            lines = [f"# Runlog of session {plain_line(event.session_id)}", ""]
            lines += ["| charter | |", "|---|---|"]
            lines += [
                f"| {name} | {plain_line(value)} |" for name, value in _charter_rows(event.charter)
            ]
            lines.append("")
        lines += ["| time (UTC) | seq | who | what |", "|---|---|---|---|", ""]
        self._file.write(("\n".join(lines) + "".join(self._early)).encode("utf-8"))
        self._early.clear()


def event_line(record: ev.Recorded, data: bytes) -> bytes:
    """One event as canonical JSON, reason codes at the top; `data` as in `Telling.take`."""
    return b'{"actor":%b,"at":"%b","data":%b,"kind":"%b","reasons":%b,"seq":%d,"ts_us":%d}\n' % (
        _json(record.actor.name),
        stamp(record.ts_us).encode("ascii"),
        data,
        ev.kind_of(record.event).encode("ascii"),
        _reasons(record.event),
        record.seq,
        record.ts_us,
    )


def _reasons(event: ev.Event) -> bytes:
    match event:
        case ev.OrderBlocked(decision=decision) | ev.OrderIntended(decision=decision):
            return canonical([check.code for check in decision.reasons])
        case ev.OrderRejected(code=code) | ev.CancelRefused(code=code):
            return b"[%b]" % _json(code)
        case ev.OrderUnknown(cause=cause) | ev.CancelRequested(cause=cause):
            return b"[%b]" % _json(cause)
    return b"[]"


@lru_cache(maxsize=256)
def _json(text: str) -> bytes:
    return canonical(text)


@lru_cache(maxsize=64)
def _name(text: str) -> str:
    return plain_line(text)


def _charter_rows(charter: Charter) -> list[tuple[str, str]]:
    limits = charter.limits
    names = limits.__struct_fields__
    return [
        ("mode", charter.mode.value),
        ("venue, account", f"{charter.venue}, {charter.account}"),
        ("instruments", ", ".join(charter.instruments)),
        ("window", f"{stamp(charter.window_from_us)} to {stamp(charter.window_until_us)}"),
        ("operator, reviewer", f"{charter.operator}, {charter.reviewer}"),
        ("runbook", charter.runbook),
        ("purpose", charter.purpose),
        *((f"limit {name}", str(getattr(limits, name))) for name in names),
    ]
