"""The market's heartbeat: one step of flow, of the scenario and of the faults that it holds.

Time is counted in steps of 50 ms, so a scenario is the same whatever the machine does: a step that
comes late is late for all. While the symbol does not trade, time goes on and the flow rests.
"""

from __future__ import annotations

from engine.sandbox.exchange import Exchange
from engine.sandbox.fault_desk import FaultDesk
from engine.sandbox.flow import STEP_MS, Flow
from engine.sandbox.scenario import Scenario


class Stage:
    """One flow on one exchange, directed by a scenario if there is one."""

    def __init__(
        self, exchange: Exchange, desk: FaultDesk, flow: Flow, scenario: Scenario | None = None
    ) -> None:
        self._exchange = exchange
        self._desk = desk
        self._flow = flow
        self._scenario = scenario
        self._steps = 0

    def open(self) -> None:
        """Fill the book, and arm what the scenario has at its very beginning."""
        if self._scenario is not None:
            self._flow.shape = self._scenario.shape_at(0.0)
        self._flow.open(self._exchange.clock_us())
        self._exchange.settle()
        self._direct(-1.0, 0.0)

    def step(self) -> None:
        """50 ms of the market."""
        before_s = self._steps * STEP_MS / 1000
        self._steps += 1
        self._direct(before_s, self._steps * STEP_MS / 1000)
        if self._exchange.trading:
            self._flow.step(self._exchange.clock_us())
            self._exchange.settle()

    def _direct(self, after_s: float, until_s: float) -> None:
        if self._scenario is None:
            return
        self._flow.shape = self._scenario.shape_at(until_s)
        for request in self._scenario.due(after_s, until_s):
            self._desk.arm(request)
