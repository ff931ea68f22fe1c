"""The watchdog's log: what it did, line by line; a torn line is left out."""

from __future__ import annotations

from pathlib import Path

from engine.execution.watchdog.process import (
    WatchdogOrders,
    WatchdogReport,
    append_report,
    read_reports,
)


def report(at_us: int) -> WatchdogReport:
    return WatchdogReport(
        reason="engine gone", verdict="PROVEN", canceled=2, elapsed_us=7, at_us=at_us
    )


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "watchdog.jsonl"
    assert read_reports(path) == []
    for at_us in (1, 2):
        append_report(path, report(at_us))
    assert read_reports(path) == [report(1), report(2)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_torn_or_foreign_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "watchdog.jsonl"
    append_report(path, report(1))
    with path.open("ab") as handle:
        handle.write(b'{"reason":\nnot json\n{"at_us":5}\n')
    append_report(path, report(2))
    with path.open("ab") as handle:
        handle.write(b'{"reason":"torn')
    assert read_reports(path) == [report(1), report(2)]


def test_the_orders_carry_all_that_the_adapter_needs() -> None:
    orders = WatchdogOrders(
        name="sandbox",
        rest_url="http://x",
        ws_url="ws://x",
        ws_api_url="ws://x/ws-api/v3",
        api_key="k",
        secret="s",
        ed25519_private_key="",
        symbols=("BTCUSDT",),
        recv_window_ms=500,
        grace_ms=1000,
        log_path="/w/log",
        journal_path="/w/journal",
        latch_path="/w/latch",
    )
    options = orders.options()
    assert (options.api_key, options.secret, options.ed25519_private_key) == ("k", "s", None)
    assert options.recv_window_ms == 500
