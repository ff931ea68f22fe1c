"""The risk report: what the positions may lose, what the past says of that estimate, and stress.

Pure and deterministic; `report_text` writes it. A part that cannot be computed is in the report
with the reason: absent is not "no risk".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.errors import InputError
from engine.risk import tail
from engine.risk.backtest import Backtest, backtest
from engine.risk.inputs import PriceHistory, RiskInputs
from engine.risk.stress import Exposed, StressResult, stress


class RiskReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report. A part that could not be computed is None and `gaps` says why."""

    session_id: str
    at_us: int
    quote: str
    interval: str
    level: float
    window: int
    observations: int
    inputs_sha256: str
    positions: tuple[Exposed, ...]
    figures: tuple[tail.TailFigure, ...]
    contributions: tuple[tail.Contribution, ...]
    tested: Backtest | None
    stressed: tuple[StressResult, ...]
    gaps: tuple[str, ...]
    scope: str = ""


def risk_report(inputs: RiskInputs) -> RiskReport:
    """Compute every part that the inputs allow. Raises InputError for a level that is none."""
    tail.check_level(inputs.level)
    held = tuple(one for one in inputs.positions if one.quantity)
    gaps = list(inputs.gaps)
    figures: tuple[tail.TailFigure, ...] = ()
    parts: tuple[tail.Contribution, ...] = ()
    tested = None
    observations = 0
    if held:
        try:
            symbols = tuple(one.symbol for one in held)
            returns = aligned_returns(inputs.histories, symbols)
            observations = len(returns)
            exposures = np.array([float(one.quantity * one.price) for one in held])
            losses = tail.portfolio_losses(returns, exposures)
            figures = (
                tail.historical(losses, inputs.level),
                tail.gaussian(losses, inputs.level),
                tail.cornish_fisher(losses, inputs.level),
            )
            parts = tail.contributions(symbols, returns, exposures, losses, inputs.level)
            tested = _tested(losses, inputs, gaps)
        except InputError as error:
            gaps.append(f"value at risk: {error.what}")
    return RiskReport(
        session_id=inputs.session_id,
        at_us=inputs.at_us,
        quote=inputs.quote,
        interval=inputs.interval,
        level=inputs.level,
        window=inputs.window,
        observations=observations,
        inputs_sha256=_inputs_hash(inputs),
        positions=held,
        figures=figures,
        contributions=parts,
        tested=tested,
        stressed=stress(held, inputs.shocks),
        gaps=tuple(gaps),
        scope=inputs.scope,
    )


def aligned_returns(histories: Sequence[PriceHistory], symbols: Sequence[str]) -> tail.Array:
    """Simple returns of the bars that every symbol has, (bars - 1, symbols). Raises InputError.

    Only bars present on all sides are used, so that one row is one moment; a hole in one history
    makes one longer return on all, never two moments side by side.
    """
    by_symbol = {one.symbol: one for one in histories}
    missing = [symbol for symbol in symbols if symbol not in by_symbol]
    if missing:
        raise InputError(what=f"no price history of {', '.join(missing)}", where="history")
    common = set(by_symbol[symbols[0]].open_times_ms)
    for symbol in symbols[1:]:
        common &= set(by_symbol[symbol].open_times_ms)
    columns = []
    for symbol in symbols:
        one = by_symbol[symbol]
        pairs = zip(one.open_times_ms, one.closes, strict=True)
        columns.append([float(close) for at, close in sorted(pairs) if at in common])
    prices = np.array(columns, dtype=np.float64).T
    if len(prices) < 2:
        raise InputError(what="the histories have no two bars in common", where="history")
    if not (prices > 0).all():
        raise InputError(what="a price is not above zero", where="history")
    returns: tail.Array = prices[1:] / prices[:-1] - 1
    return returns


def rolling_exceptions(losses: tail.Array, level: float, window: int) -> list[bool]:
    """Whether each loss was above the historical VaR of the `window` losses before it."""
    windows = np.lib.stride_tricks.sliding_window_view(losses, window)[:-1]
    forecasts = np.quantile(windows, level, axis=1)
    return [bool(one) for one in losses[window:] > forecasts]


def _tested(losses: tail.Array, inputs: RiskInputs, gaps: list[str]) -> Backtest | None:
    needed = inputs.window + tail.FEWEST_OBSERVATIONS
    if inputs.window < tail.FEWEST_OBSERVATIONS or len(losses) < needed:
        gaps.append(
            f"backtest: {len(losses)} observations, {needed} are needed for a window of "
            f"{inputs.window}"
        )
        return None
    return backtest(rolling_exceptions(losses, inputs.level, inputs.window), 1 - inputs.level)


def _inputs_hash(inputs: RiskInputs) -> str:
    """Hash of all that was put in, so that the report can be computed again and compared."""
    document = msgspec.structs.asdict(inputs) | {"level": repr(inputs.level)}
    return sha256_hex(canonical(document))
