"""Risk figures beside bare numpy, and what all limit checks cost an order.

The bare row does what the figures need and no more: losses by one product, their quantile by one
partition, the mean of the tail, and one more product for the components. Beside it stand its parts:
numpy's partition with the product that makes the losses, and the partition alone, of the 10,000
losses and of the matrix's columns, a quantile an instrument. The checks run on one
order that passes them all, with orders resting and sent before it; nothing stands beside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

import numpy as np

from engine.contracts.decision import Verdict
from engine.risk import tail
from engine.risk.limits import CHECKS, check_order
from tests.benchmarks.table import Row, alone, compared, median, percentile
from tests.engine.risk.conftest import NOW, World

_LEVEL = 0.99
_OBSERVATIONS, _INSTRUMENTS = 10_000, 100
_RESTING = 20


def risk_rows(runs: int = 300) -> list[Row]:
    """Figures in milliseconds, checks in microseconds."""
    return [*_figures(runs), *_checks(runs * 10)]


def _figures(runs: int) -> list[Row]:
    draw = np.random.default_rng(7)
    returns = draw.standard_t(4, (_OBSERVATIONS, _INSTRUMENTS)) * 0.01
    exposures = draw.normal(0, 10_000, _INSTRUMENTS)
    symbols = tuple(f"S{place:03d}" for place in range(_INSTRUMENTS))

    def ours() -> float:
        losses = tail.portfolio_losses(returns, exposures)
        figure = tail.historical(losses, _LEVEL)
        parts = tail.contributions(symbols, returns, exposures, losses, _LEVEL)
        assert len(parts) == _INSTRUMENTS
        return figure.var or 0.0

    def bare() -> float:
        losses = -(returns @ exposures)
        position = _LEVEL * (_OBSERVATIONS - 1)
        below = int(position)
        parted = np.partition(losses, (below, below + 1))
        var = float(parted[below] + (position - below) * (parted[below + 1] - parted[below]))
        beyond = losses >= var
        losses[beyond].mean()
        components = (beyond / beyond.sum()) @ returns * exposures
        assert components.shape == (_INSTRUMENTS,)
        return var

    losses = -(returns @ exposures)
    middle = int(_LEVEL * (_OBSERVATIONS - 1))

    def partition() -> float:
        return float(np.partition(losses, (middle, middle + 1))[middle])

    def columns() -> float:
        return float(np.partition(returns, middle, axis=0)[middle, 0])

    def product() -> float:
        made = -(returns @ exposures)
        return float(np.partition(made, (middle, middle + 1))[middle])

    assert abs(ours() - bare()) < 1e-6
    # In turn, so that a slow moment of the machine falls on all of them.
    ways = (ours, bare, product, partition, columns)
    taken = [[_ms(one) for one in ways] for _ in range(runs)]
    mine, *others = (median(column) for column in zip(*taken, strict=True))
    name = f"risk: VaR, CVaR, components of {_OBSERVATIONS:,} x {_INSTRUMENTS}, ms"
    peers = (
        "bare numpy that computes the same",
        "product for the losses and their partition",
        "partition of the losses alone",
        "partition of all columns",
    )
    # The row is asked for, beside numpy's partition; no ratio is.
    return [
        compared(f"{name} | {peer}", mine, theirs, "reported", digits=3)
        for peer, theirs in zip(peers, others, strict=True)
    ]


def _checks(runs: int) -> list[Row]:
    resting = (World.open_order(quantity="0.001"),) * _RESTING
    facts = World.facts(
        limits=World.limits(
            max_open_orders=200,
            max_orders_per_second=10,
            max_orders_per_minute=200,
            max_messages_per_minute=400,
        ),
        open_orders=resting,
        recent_submits_us=tuple(NOW - (number + 2) * 1_000_000 for number in range(_RESTING)),
    )
    intent = World.intent(quantity=Decimal("0.5"))
    decision = check_order(intent, facts)
    refused = [one.code for one in decision.checks if one.verdict is not Verdict.ALLOW]
    assert not refused, refused
    taken = [_ms(lambda: check_order(intent, facts)) * 1_000 for _ in range(runs)]
    words = f"risk: all {len(CHECKS)} limit checks of an order, {_RESTING} resting, µs"
    return [
        alone(f"{words} p50", median(taken), "reported", digits=0),
        alone(f"{words} p99", percentile(taken, 0.99), "reported", digits=0),
    ]


def _ms(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1_000
