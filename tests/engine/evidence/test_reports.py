"""The reports say what the journal says, and nothing else."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, get_args

from engine.contracts import event as ev
from engine.contracts.people import ENGINE
from engine.evidence.phrases import _PHRASES, UNTOLD
from engine.evidence.reports import build_reports, session_records
from engine.evidence.text import plain_line, stamp

NAMES = {
    "runlog.md",
    "checklist.json",
    "execution.jsonl",
    "recon.md",
    "metrics.json",
    "equity.csv",
    "trades.csv",
    "alerts.jsonl",
    "incidents.md",
    "lessons.md",
    "report.html",
}


def test_every_kind_of_event_is_told_or_left_out_on_purpose() -> None:
    assert set(_PHRASES) | set(UNTOLD) == set(get_args(ev.AnyEvent))
    assert not set(_PHRASES) & set(UNTOLD)


def test_the_session_is_picked_out_of_the_whole_journal(world: Any, story: Any) -> None:
    mine = session_records(world.chain.records, story.SESSION)
    kinds = [ev.kind_of(one.event) for one in mine]
    assert kinds[0] == "session.chartered"
    assert {"order.acknowledged", "alarm.acknowledged", "incident.closed"} <= set(kinds)
    assert "venue.disconnected" in kinds, "what the engine went through meanwhile belongs to it"
    assert all(getattr(one.event, "session_id", "") != "an0thersessi" for one in mine)
    assert session_records(mine, story.SESSION) == mine
    foreign = [one for one in world.chain.records if one not in mine]
    assert [one.seq for one in foreign] == [0]


def test_other_sessions_orders_do_not_leak_in(story: Any) -> None:
    chain = story.Chain()
    chain.add(ev.SessionChartered(session_id=story.SESSION, charter=story.charter()))
    chain.add(ev.OrderUnknown(client_order_id="other-1", cause="timeout"))
    chain.add(ev.NoteAdded(session_id=story.SESSION, text="mine"))
    chain.add(ev.EngineStopped(reason="after the session"))
    kinds = [ev.kind_of(one.event) for one in session_records(chain.records, story.SESSION)]
    assert kinds == ["session.chartered", "note.added"]


def test_reports_of_a_whole_session(world: Any, story: Any) -> None:
    reports = build_reports(world.chain.records, story.SESSION)
    assert set(reports) == NAMES
    execution = [json.loads(line) for line in reports["execution.jsonl"].splitlines()]
    assert [one["kind"] for one in execution] == [
        "order.blocked",
        "order.intended",
        "order.acknowledged",
        "order.filled",
        "order.cancel_requested",
        "order.canceled",
    ]
    assert execution[0]["reasons"] == ["MAX_NOTIONAL"]
    assert execution[3]["data"]["fill"]["price"] == "61000.50"
    assert execution[0]["ts_us"] == world.chain.records[execution[0]["seq"]].ts_us
    checklist = json.loads(reports["checklist.json"])
    assert checklist["items"][0]["answers"][0]["value"] == "900 MiB"
    alerts = [json.loads(line) for line in reports["alerts.jsonl"].splitlines()]
    assert [(one["kind"], one["actor"]) for one in alerts] == [
        ("alarm.raised", "engine"),
        ("alarm.acknowledged", "alice"),
    ]
    metrics = json.loads(reports["metrics.json"])
    assert metrics["events"]["order.filled"] == 1
    spread = dict.fromkeys(("p50", "p95", "p99", "max"), 250_000)
    assert metrics["latency"]["acknowledge"] == {"count": 1, "unit": "µs", **spread}
    assert metrics["orders"]["fill_ratio"]["value"] == "1"
    profit = metrics["profit"]["USDT"]
    assert profit["net"] == {"unit": "USDT", "value": "-0.3050025"}
    assert profit["drawdown"] == profit["fees"] == {"unit": "USDT", "value": "0.3050025"}
    assert metrics["positions"]["BTCUSDT"]["quantity"] == "0.004995"
    assert metrics["positions"]["BTCUSDT"]["traded_quote"] == "305.0025"
    assert "look at the clock first" in reports["lessons.md"].decode()
    assert "came back" in reports["incidents.md"].decode()
    assert "rounding (alice)" in reports["recon.md"].decode()


def test_trades_and_equity_are_tables_of_text(world: Any, story: Any) -> None:
    reports = build_reports(world.chain.records, story.SESSION)
    (trade,) = csv.DictReader(io.StringIO(reports["trades.csv"].decode()))
    assert trade["notional"] == "305.0025"
    assert trade["fee_asset"] == "BTC"
    (row,) = csv.DictReader(io.StringIO(reports["equity.csv"].decode()))
    assert row["position"] == "0.004995"
    assert row["equity_before_fees"] == "0"
    assert b"\r" not in reports["trades.csv"]


def test_a_session_in_which_nothing_happened_still_has_every_report(story: Any) -> None:
    chain = story.Chain()
    chain.add(ev.SessionChartered(session_id=story.SESSION, charter=story.charter()))
    reports = build_reports(chain.records, story.SESSION)
    assert set(reports) == NAMES
    heading = f"# Incidents of session {story.SESSION}".encode()
    assert reports["incidents.md"] == heading + b"\n\nnone\n"
    assert reports["execution.jsonl"] == b""
    assert set(build_reports([], story.SESSION)) == NAMES


def test_outside_text_cannot_dress_up_the_runlog(story: Any) -> None:
    chain = story.Chain()
    evil = "a | b\n| 2030 | 9 | bob | GO \u202e \x1b[31m <script> [x](http://y) `z`"
    chain.add(ev.NoteAdded(session_id=story.SESSION, text=evil), ENGINE)
    runlog = build_reports(chain.records, story.SESSION)["runlog.md"].decode()
    assert runlog.count("\n| ") == 2, "a head and one row"
    for char in ("\u202e", "\x1b"):
        assert char not in runlog
    assert r"\<script>" in runlog


def test_times_and_lines_are_plain() -> None:
    assert stamp(1_723_161_600_000_250) == "2024-08-09T00:00:00.000250Z"
    assert plain_line("x" * 600).endswith("…")
