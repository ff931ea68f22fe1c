"""The mark behind which everything has ended and agreed, for the running reconciliation.

What lies behind it is summed up, so that a run's cost does not grow with the session. It rests
while anything differs, is taken back when something behind it moves, and is found again in the
journal after a restart (`ReconChecked.settled_us`).
"""

from __future__ import annotations

from engine.contracts.event import OrderFilled
from engine.contracts.money import ZERO, plain
from engine.contracts.order import OPEN_STATES
from engine.execution.core import Core, State
from engine.execution.recon.sides import Before, SideReader, VenueWord, scope, venue_sums
from engine.governance.session import Session

#: What has ended stays before the mark for so long: the venue's lists may lag.
_SETTLE_US = 30_000_000


class SettledMark:
    """The mark of one session at a time; `before` is what lies behind it."""

    def __init__(self, core: Core, reader: SideReader) -> None:
        self._core = core
        self._reader = reader
        self.before = Before()

    @property
    def _state(self) -> State:
        return self._core.state

    def begin(self) -> None:
        """A session begins: nothing is behind the mark."""
        self.before = Before()

    def hear(self, event: OrderFilled) -> None:
        """Take the mark back when a trade comes behind it."""
        order = self._state.orders.get(event.fill.client_order_id)
        if order is not None and order.created_us < self.before.since_us:
            self.before = Before()

    async def restore(self, session: Session) -> None:
        """Without a mark, as after a restart: go on at the one that the journal keeps.

        Not when anything behind it has moved since: then all of the session is compared again.
        """
        watch = self._state.recon_watch
        if self.before.since_us or watch.session_id != session.id or not watch.settled_us:
            return
        since_us = watch.settled_us
        if any(
            order.updated_us > (watch.compared_us or 0)
            for order in self._state.orders.session_orders(session.id)
            if order.created_us < since_us
        ):
            return
        self.before = Before(
            since_us=since_us,
            fills_from=self._first_fill(since_us, 0),
            positions=watch.settled_positions,
            moved=await self._reader.moved_between(session.id, 0, since_us),
        )

    async def advance(self, session: Session, word: VenueWord, began_us: int) -> None:
        """Everything agrees: what has ended for a while goes behind the mark."""
        before = self.before
        since_us = self._settled(session, began_us)
        if since_us <= before.since_us:
            return
        gone = [one for one in word.fills if self._behind(one.client_order_id, before, since_us)]
        moved = await self._reader.moved_between(session.id, before.since_us, since_us)
        if self.before is not before or self._settled(session, began_us) != since_us:
            return  # something moved meanwhile that would lie behind the mark
        positions = dict(before.positions)
        for symbol, amount in venue_sums(gone).items():
            positions[symbol] = plain(positions.get(symbol, ZERO) + amount)
        self.before = Before(
            since_us=since_us,
            fills_from=self._first_fill(since_us, before.fills_from),
            positions=positions,
            moved=(*before.moved, *moved),
        )

    def _settled(self, session: Session, began_us: int) -> int:
        """Where the mark may be now: before the first order that has not ended for a while."""
        settled_us = began_us - _SETTLE_US
        for order in scope(self._state, session, self.before.since_us):
            if order.state in OPEN_STATES or order.updated_us >= settled_us:
                settled_us = min(settled_us, order.created_us)
                break
        return max(self.before.since_us, settled_us, session.created_us)

    def _behind(self, name: str, before: Before, since_us: int) -> bool:
        order = self._state.orders.get(name)
        return order is not None and before.since_us <= order.created_us < since_us

    def _first_fill(self, since_us: int, start: int) -> int:
        """Where in the ledger the trades of the orders from the mark on begin."""
        fills = self._state.orders.fills
        for index in range(start, len(fills)):
            order = self._state.orders.get(fills[index].client_order_id)
            if order is not None and order.created_us >= since_us:
                return index
        return len(fills)
