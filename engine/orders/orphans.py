"""Orders of the account that we did not make: what we know of each, folded from the journal (I2).

A stranger's order is never ours by itself. It is found, and then one of three things happens to it,
each an event: it ends (by itself, by a kill, by a person's cancel), or a person adopts it, and then
it is an order of the session like any other. Pure; `orphan_news` decides what a report tells.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.contracts import event as ev
from engine.contracts.money import ZERO
from engine.contracts.order import Side

#: Symbol, client order id, the venue's id.
Key = tuple[str, str, str]

OPEN, CANCEL_REQUESTED, ENDED, ADOPTED = "open", "cancel_requested", "ended", "adopted"


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """One stranger's order. `by` and `reason` are of the person who last asked something of it.

    `state` is one of the words above, `status` the venue's last word once it has ended.
    """

    session_id: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    found_us: int
    filled_quantity: Decimal = ZERO
    state: str = OPEN
    status: str = ""
    by: str = ""
    reason: str = ""

    @property
    def over(self) -> bool:
        """Whether nobody need do anything about it any more."""
        return self.state in {ENDED, ADOPTED}


class OrphanBook:
    """Every orphan by symbol and both ids, in the order they were found.

    By both, because a test venue that is wiped counts its own ids from one again.
    """

    def __init__(self) -> None:
        self.all: dict[Key, Orphan] = {}

    def apply(self, recorded: ev.Recorded) -> None:
        """Fold one record. Total: news of an orphan that was never found changes nothing."""
        match recorded.event:
            case ev.OrphanFound() as found:
                self._find(found, recorded.ts_us)
            case ev.OrphanAdopted(intent=intent, venue_order_id=number, owner=owner, reason=reason):
                key = intent.symbol, intent.client_order_id, number
                self._change(key, state=ADOPTED, by=owner, reason=reason)
            case ev.OrphanCancelRequested(reason=reason) as asked:
                known = self.all.get(_key(asked))
                if known is not None and not known.over:
                    by = recorded.actor.name
                    self._change(_key(asked), state=CANCEL_REQUESTED, by=by, reason=reason)
            case ev.OrphanEnded() as end:
                self._change(
                    _key(end),
                    state=ENDED,
                    status=end.status,
                    filled_quantity=end.filled_quantity,
                )

    def get(self, symbol: str, client_order_id: str, venue_order_id: str) -> Orphan | None:
        """The orphan with these ids."""
        return self.all.get((symbol, client_order_id, venue_order_id))

    def named(self, symbol: str, client_order_id: str) -> Orphan | None:
        """The newest orphan with this client order id, one that is not over before others."""
        fitting = [
            one
            for one in self.all.values()
            if (one.symbol, one.client_order_id) == (symbol, client_order_id)
        ]
        return max(fitting, key=lambda one: (not one.over, one.found_us), default=None)

    @property
    def alive(self) -> tuple[Orphan, ...]:
        """Those that may still execute, oldest first."""
        return tuple(one for one in self.all.values() if not one.over)

    @property
    def ended(self) -> frozenset[str]:
        """The venue's ids of those whose end is recorded."""
        return frozenset(one.venue_order_id for one in self.all.values() if one.state == ENDED)

    def _find(self, found: ev.OrphanFound, at_us: int) -> None:
        self.all.setdefault(
            _key(found),
            Orphan(
                session_id=found.session_id,
                symbol=found.symbol,
                client_order_id=found.client_order_id,
                venue_order_id=found.venue_order_id,
                side=found.side,
                price=found.price,
                quantity=found.quantity,
                found_us=at_us,
            ),
        )

    def _change(self, key: Key, **changes: object) -> None:
        known = self.all.get(key)
        if known is not None:
            self.all[key] = msgspec.structs.replace(known, **changes)


def _key(event: ev.OrphanFound | ev.OrphanCancelRequested | ev.OrphanEnded) -> Key:
    return event.symbol, event.client_order_id, event.venue_order_id
