"""Our flow beside the real recording, by one measure: what must agree, and how closely."""

from __future__ import annotations

import hashlib
from itertools import chain
from pathlib import Path
from statistics import mean, median

import msgspec
import pytest

from engine.sandbox.exchange import Exchange
from engine.sandbox.flow import STEP_MS, Flow, FlowShape
from engine.sandbox.flow_shape import (
    Shape,
    Tape,
    TapeTrade,
    measure,
    recorded_tape,
    synthetic_tape,
)
from engine.sandbox.limits import Limits
from engine.sandbox.recording import read_recording
from engine.sandbox.rules import rules_for

RULES = rules_for("BTCUSDT")
PRICE = 6_100_000
#: As long as the recording.
SECONDS = 650
SEEDS = (1, 2, 3, 4)

#: statistic -> (of the recording, how many of ours may be of it: least and most share)
TARGETS = {
    "trades_per_second": (30.6, 0.5, 1.1),
    "same_ms": (0.643, 0.93, 1.07),
    "sign_autocorrelation": (0.785, 0.95, 1.05),
    "size_median": (67.0, 0.75, 1.35),
    "size_mean": (2200.1, 0.75, 1.3),
    "size_p99": (32_425.0, 0.75, 1.3),
    "spread_one_tick": (0.893, 0.96, 1.04),
    "spread_p95": (98.0, 0.6, 1.5),
    "spread_p99": (363.0, 0.75, 1.35),
    "depth_per_second": (9.98, 0.98, 1.02),
    "depth_levels_median": (22.0, 0.85, 1.15),
}


@pytest.fixture(scope="module")
def ours() -> list[Shape]:
    return [measure(synthetic_tape(RULES, seed, SECONDS, PRICE)) for seed in SEEDS]


@pytest.mark.data
def test_the_recording_gives_the_targets(recordings: list[Path]) -> None:
    messages = chain(*(read_recording(path) for path in recordings))
    real = msgspec.structs.asdict(measure(recorded_tape(messages, RULES)))
    for name, (target, _, _) in TARGETS.items():
        assert real[name] == pytest.approx(target, rel=0.002), name
    assert real["return_kurtosis"] == pytest.approx(14.7, rel=0.01)
    assert real["return_autocorrelation"] == pytest.approx(0.064, abs=0.001)
    assert real["size_of_return_autocorrelation"] == pytest.approx(0.083, abs=0.001)


@pytest.mark.parametrize("name", list(TARGETS))
def test_each_seed_has_the_shape_of_the_recording(ours: list[Shape], name: str) -> None:
    target, least, most = TARGETS[name]
    for seed, shape in zip(SEEDS, ours, strict=True):
        assert target * least <= getattr(shape, name) <= target * most, f"seed {seed}"


def test_returns_have_heavy_tails_and_little_memory(ours: list[Shape]) -> None:
    kurtoses = [shape.return_kurtosis for shape in ours]
    # A fourth moment of 650 values: single runs are far apart, so the middle of four is held.
    assert 9 <= median(kurtoses) <= 24
    assert min(kurtoses) > 6
    assert abs(mean(shape.return_autocorrelation for shape in ours)) < 0.12
    assert -0.05 < mean(shape.size_of_return_autocorrelation for shape in ours) < 0.3


def test_measure_tells_another_market_from_ours() -> None:
    calm = FlowShape(bursts=2.0, burst_length=1.0, gap_share=0.5, changes=1.0)
    other = measure(synthetic_tape(RULES, 1, 120, PRICE, calm))
    for name in ("trades_per_second", "same_ms", "spread_one_tick", "depth_levels_median"):
        target, least, most = TARGETS[name]
        assert not target * least <= getattr(other, name) <= target * most, name


def test_measure_on_a_tape_worked_out_by_hand() -> None:
    trades = [
        TapeTrade(0, 100, 10, 1),
        TapeTrade(0, 100, 20, 1),
        TapeTrade(1000, 200, 30, -1),
        TapeTrade(2000, 100, 40, 1),
        TapeTrade(4000, 200, 50, -1),
    ]
    tape = Tape(trades=trades, tops=[(99, 100), (99, 103)], depth=[(0, 4), (1000, 8)])
    shape = measure(tape)
    assert (shape.seconds, shape.trades_per_second) == (4.0, 1.25)
    assert shape.same_ms == 0.25
    assert (shape.size_median, shape.size_mean) == (30, 30)
    assert shape.spread_one_tick == 0.5
    assert (shape.depth_per_second, shape.depth_levels_median) == (2.0, 6.0)
    # Three returns: up, down and up again by a factor of two.
    assert shape.return_kurtosis == pytest.approx(1.5)


def printed(seed: int, steps: int) -> str:
    """The hash of all that a venue with this flow has put on its tape, its book and its streams."""
    now_us = 1_800_000_000_000_000

    def clock_us() -> int:
        return now_us

    limits = Limits(weight_minute=1, orders_10s=1, orders_day=1)
    venue = Exchange(RULES, limits, clock_us=clock_us)
    digest = hashlib.sha256()

    def take_down(out, aggregates) -> None:
        digest.update(msgspec.json.encode([out, aggregates]))
        book = venue.matching.book
        digest.update(msgspec.json.encode([book.bids.top(50), book.asks.top(50), book.update_id]))

    venue.listeners.append(take_down)
    flow = Flow(venue.matching, seed, PRICE)
    flow.open(now_us)
    for _ in range(steps):
        now_us += STEP_MS * 1000
        flow.step(now_us)
        venue.settle()
    return digest.hexdigest()


def test_same_seed_and_steps_give_the_same_bytes() -> None:
    assert printed(7, 600) == printed(7, 600)
    assert printed(7, 600) != printed(8, 600)
    assert printed(7, 600) != printed(7, 599)
