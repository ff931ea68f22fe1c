"""The shape of a market in numbers: the same measure for our flow and for a real recording.

Pure. A `Tape` is what anybody sees of a market over a time: trades, best prices and depth events.
`measure` gives the statistics by which venue.md section 6 judges synthetic flow. Conventions:
prices in ticks, quantities in steps, times in ms; a return is the difference of the logarithms of
the last prices of two seconds that follow each other among those with a trade; kurtosis is the
fourth standardised moment (3 for a normal distribution), autocorrelations are of lag 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from engine.sandbox.book import BUY, SELL
from engine.sandbox.flow import STEP_MS, Flow, FlowShape
from engine.sandbox.matching import Matching
from engine.sandbox.orders import Trade
from engine.sandbox.recording import BestPrices, BookBuilder, Diff, RecordedMessage, RecordedTrade
from engine.sandbox.recording import Snapshot as RecordedSnapshot
from engine.sandbox.rules import Rules


class TapeTrade(msgspec.Struct, frozen=True):
    """One trade; `sign` is +1 when the taker bought."""

    time_ms: int
    price: int
    quantity: int
    sign: int


class Tape(msgspec.Struct, kw_only=True):
    """`tops` are (bid, ask) at each change of a best price or its size, `depth` (ms, levels)."""

    trades: list[TapeTrade] = []
    tops: list[tuple[int, int]] = []
    depth: list[tuple[int, int]] = []


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What `measure` gives."""

    seconds: float
    trades_per_second: float
    same_ms: float
    sign_autocorrelation: float
    size_median: float
    size_mean: float
    size_p99: float
    spread_one_tick: float
    spread_p95: float
    spread_p99: float
    depth_per_second: float
    depth_levels_median: float
    return_deviation_bps: float
    return_kurtosis: float
    return_autocorrelation: float
    size_of_return_autocorrelation: float


def measure(tape: Tape) -> Shape:
    """The statistics of a tape with at least some seconds of trades."""
    trades = tape.trades
    sizes = sorted(trade.quantity for trade in trades)
    spreads = sorted(ask - bid for bid, ask in tape.tops)
    returns = _returns(trades)
    seconds = (trades[-1].time_ms - trades[0].time_ms) / 1000
    depth_seconds = (tape.depth[-1][0] - tape.depth[0][0]) / 1000
    return Shape(
        seconds=seconds,
        trades_per_second=len(trades) / seconds,
        same_ms=_mean([float(a.time_ms == b.time_ms) for a, b in pairwise(trades)]),
        sign_autocorrelation=_correlation([float(trade.sign) for trade in trades]),
        size_median=_quantile(sizes, 0.5),
        size_mean=_mean(sizes),
        size_p99=_quantile(sizes, 0.99),
        spread_one_tick=_mean([float(spread == 1) for spread in spreads]),
        spread_p95=_quantile(spreads, 0.95),
        spread_p99=_quantile(spreads, 0.99),
        depth_per_second=len(tape.depth) / depth_seconds,
        depth_levels_median=_quantile(sorted(levels for _, levels in tape.depth), 0.5),
        return_deviation_bps=1e4 * math.sqrt(_moment(returns, 2)),
        return_kurtosis=_moment(returns, 4) / _moment(returns, 2) ** 2,
        return_autocorrelation=_correlation(returns),
        size_of_return_autocorrelation=_correlation([abs(change) for change in returns]),
    )


def recorded_tape(messages: Iterable[RecordedMessage], rules: Rules) -> Tape:
    """The tape of a recording, in ticks and steps of these rules; times are the venue's."""
    tape, builder = Tape(), BookBuilder()
    for message in messages:
        match message.payload:
            case RecordedTrade() as trade:
                price, quantity = trade.price // rules.tick, trade.quantity // rules.step
                sign = SELL if trade.buyer_is_maker else BUY
                tape.trades.append(TapeTrade(trade.time_ms, price, quantity, sign))
            case BestPrices() as best:
                tape.tops.append((best.bid[0] // rules.tick, best.ask[0] // rules.tick))
            case RecordedSnapshot() as snapshot:
                applied = builder.snapshot(snapshot)
                tape.depth += [(diff.event_ms, _levels(diff)) for diff in applied]
            case Diff() as diff:
                if builder.diff(diff):
                    tape.depth.append((diff.event_ms, _levels(diff)))
    return tape


def synthetic_tape(
    rules: Rules, seed: int, seconds: int, price: int, shape: FlowShape | None = None
) -> Tape:
    """The tape of our flow over so many simulated seconds, as fast as it goes."""
    engine = Matching(rules)
    flow = Flow(engine, seed, price, shape)
    flow.open(0)
    engine.book.drain()
    return flow_tape(engine, flow, seconds)


def flow_tape(engine: Matching, flow: Flow, seconds: float, from_ms: int = 0) -> Tape:
    """Let a flow run for so many seconds and take down what a client would see."""
    tape = Tape()
    top: tuple[tuple[int, int], ...] = ()
    for number in range(1, int(seconds * 1000) // STEP_MS + 1):
        now_ms = from_ms + number * STEP_MS
        flow.step(now_ms * 1000)
        for item in engine.take(now_ms * 1000):
            if isinstance(item, Trade):
                sign = SELL if item.buyer_is_maker else BUY
                tape.trades.append(TapeTrade(now_ms, item.price, item.quantity, sign))
        best = (*engine.book.bids.top(1), *engine.book.asks.top(1))
        if len(best) == 2 and best != top:
            top = best
            tape.tops.append((best[0][0], best[1][0]))
        if now_ms % 100 == 0:
            changed = engine.book.drain()
            if changed:
                tape.depth.append((now_ms, len(changed)))
    return tape


def _levels(diff: Diff) -> int:
    return len(diff.bids) + len(diff.asks)


def _returns(trades: Sequence[TapeTrade]) -> list[float]:
    last = {trade.time_ms // 1000: trade.price for trade in trades}
    logs = [math.log(last[second]) for second in sorted(last)]
    return [after - before for before, after in pairwise(logs)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _moment(values: Sequence[float], power: int) -> float:
    """Central moment."""
    mean = _mean(values)
    return _mean([(value - mean) ** power for value in values])


def _correlation(values: Sequence[float]) -> float:
    """Correlation of a series with itself one place later; 0 for one that does not vary."""
    first, second = values[:-1], values[1:]
    mean_first, mean_second = _mean(first), _mean(second)
    both = _mean([(a - mean_first) * (b - mean_second) for a, b in pairwise(values)])
    scale = math.sqrt(_moment(first, 2) * _moment(second, 2))
    return both / scale if scale else 0.0


def _quantile(ordered: Sequence[int], share: float) -> float:
    """The value below which a share of an ordered series lies, between two by distance."""
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
