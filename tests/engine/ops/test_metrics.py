from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from engine.contracts import event as ev
from engine.contracts.decision import Check, Decision, Verdict
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import OrderIntent, OrderType, Side
from engine.ops.metrics import Metrics

Record = Callable[..., ev.Recorded]

INTENT = OrderIntent(
    client_order_id="s-1",
    symbol="BTCUSDT",
    side=Side.BUY,
    type=OrderType.MARKET,
    quantity=Decimal(1),
)


def _story(record: Record, metrics: Metrics) -> None:
    check = Check(code="X", verdict=Verdict.ALLOW, text="fine")
    fill = Fill(
        symbol="BTCUSDT",
        trade_id="1",
        client_order_id="s-1",
        venue_order_id="2",
        side=Side.BUY,
        price=Decimal(1),
        quantity=Decimal(1),
        fee=Decimal(0),
        fee_asset="BTC",
        liquidity=Liquidity.TAKER,
        time_us=1,
    )
    for event in (
        ev.OrderIntended(
            session_id="s",
            intent=INTENT,
            intent_sha256="0" * 64,
            owner="alice",
            decision=Decision(verdict=Verdict.ALLOW, checks=(check,)),
        ),
        ev.OrderAcknowledged(client_order_id="s-1", venue_order_id="2", venue_time_us=1),
        ev.OrderFilled(session_id="s", fill=fill),
        ev.KillLatched(kill_id="k", session_id="s", reason="r", source="key", pressed_us=1),
        ev.KillVerdict(
            kill_id="k",
            verdict="PROVEN",
            elapsed_us=2_000,
            canceled=0,
            open_orders=(),
            positions={},
        ),
    ):
        metrics.observe(record(event))
    metrics.durable_after(400)


def test_the_figures_are_those_of_the_records(record: Record) -> None:
    metrics = Metrics()
    _story(record, metrics)
    figures = metrics.snapshot()
    assert figures["peakctl_orders_total{outcome=acknowledged}"] == "1"
    assert figures["peakctl_fills_total{side=BUY,symbol=BTCUSDT}"] == "1"
    assert figures["peakctl_kills_total{verdict=PROVEN}"] == "1"
    assert figures["peakctl_journal_size"] == "5"
    assert figures["peakctl_order_acknowledge_seconds_count"] == "1"
    assert figures["peakctl_order_acknowledge_seconds_sum"] == "0.0015"
    assert figures["peakctl_kill_proof_seconds_sum"] == "0.002"
    assert figures["peakctl_journal_durable_seconds_sum"] == "0.0004"


def test_the_exposition_is_readable_by_the_stock_parser(record: Record) -> None:
    metrics = Metrics()
    _story(record, metrics)
    families = {one.name for one in text_string_to_metric_families(metrics.render().decode())}
    assert {"peakctl_events", "peakctl_orders", "peakctl_fills", "peakctl_kills"} <= families


def test_two_engines_do_not_share_figures(record: Record) -> None:
    _story(record, Metrics())
    assert "peakctl_orders_total{outcome=intended}" not in Metrics().snapshot()
