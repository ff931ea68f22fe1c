"""What the venue's empty answers do not cover: the reasons why a kill is not proven yet (I2, I3).

An empty list proves nothing about an order that is still on its way, that a lagging replica does
not show, or of which the venue never told anything. So a proof also needs that nothing was moving
when its cancel-all left, and that nothing is in doubt when its answers are there.

An order that was given up, because the venue did not know it (`NEVER_ACCEPTED`) or no longer knew
it (`order.lost`), stays a doubt of a kill for `GIVEN_UP_US` more: longer than any receive window
that the venue grants, and than any lag of its replicas that we have heard of. Only the venue's own
word on it, in the answer of a cancel, ends that earlier. Afterwards it is named, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.contracts.event import OrderLost, OrderRejected, Recorded
from engine.execution.clock import monotonic_us, wall_us
from engine.execution.core import Core, State
from engine.execution.kill.proof import GIVEN_UP_US
from engine.execution.settle.settler import Settler
from engine.venues.port import OrderReport


class KillDoubts:
    """Asked by the kill switch before each cancel-all and after each proof."""

    def __init__(
        self,
        core: Core,
        settler: Settler,
        now_us: Callable[[], int] = monotonic_us,
        wall: Callable[[], int] = wall_us,
    ) -> None:
        self._core = core
        self._settler = settler
        self._now_us = now_us
        self._wall = wall
        #: when this engine gave an order up, monotonic µs: no step of the wall clock ends a doubt
        self._given_up: dict[str, int] = {}
        self._told: set[str] = set()
        core.listen(self._hear)

    @property
    def _state(self) -> State:
        return self._core.state

    def _hear(self, recorded: Recorded) -> None:
        match recorded.event:
            case (
                OrderLost(client_order_id=name)
                | OrderRejected(client_order_id=name, code="NEVER_ACCEPTED")
            ):
                self._given_up[name] = self._now_us()

    def moving(self) -> frozenset[str]:
        """Orders that a cancel-all which leaves now may be too early for."""
        unknown = self._state.orders.unknown()
        names = {order.intent.client_order_id for order in unknown if not order.lost}
        return frozenset(self._settler.in_flight | names)

    def told(self, reports: Iterable[OrderReport]) -> None:
        """The venue itself has ended these orders: whatever was thought of them is settled."""
        self._told |= {report.client_order_id for report in reports if not report.open}

    def words(self) -> str:
        """The doubts of this moment, "" when there are none."""
        if self._core.journal.failed is not None:
            return "the journal cannot be written"
        if self._settler.in_flight:
            return f"in flight: {', '.join(sorted(self._settler.in_flight))}"
        open_here = self._state.orders.unsettled()
        if open_here:
            names = ", ".join(order.intent.client_order_id for order in open_here)
            return f"not settled: {names}"
        late = self._may_surface()
        return f"the venue does not show, and may yet: {', '.join(late)}" if late else ""

    def _may_surface(self) -> list[str]:
        """Orders that were given up a moment ago and that no answer has ended."""
        return [
            name
            for name, at_us in self._state.given_up.items()
            if name not in self._told and self._age_us(name, at_us) < GIVEN_UP_US
        ]

    def _age_us(self, name: str, at_us: int) -> int:
        mine = self._given_up.get(name)
        # One that was given up before this engine began has the journal's time alone.
        return max(0, self._wall() - at_us) if mine is None else self._now_us() - mine
