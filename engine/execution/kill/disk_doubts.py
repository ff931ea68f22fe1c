"""Which orders may still execute, read from the journal on the disk: for a kill without the engine.

An empty answer of the venue says nothing about an order that it does not show yet. The engine
journals each intent before its request leaves (I1), so the disk names every order that may be out
there, whether the engine answers, hangs or is dead. Read backwards to the file in which the present
session began: no session begins while an order of an earlier one may be open. Nothing is written
or locked. A journal that cannot be read is itself a doubt (I12).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.contracts.errors import PeakError
from engine.contracts.order import Order
from engine.journal.chain import decode_line
from engine.journal.segments import lines_in, open_segment, segment_paths
from engine.orders.ledger import OrderLedger

_SESSION = b'"kind":"session.chartered"'
_NEVER_ACCEPTED = "NEVER_ACCEPTED"
_KINDS = (b'"kind":"order.', b'"kind":"orphan.')


class DiskOrders(msgspec.Struct, frozen=True):
    """Orders in doubt by name; `unreadable` says why they are not known, "" when they are.

    `given_up`: not open any more in the record, but only because the venue did not know them.
    """

    open: dict[str, Order]
    given_up: dict[str, Order]
    unreadable: str = ""

    @property
    def all(self) -> dict[str, Order]:
        """Both together."""
        return {**self.given_up, **self.open}


def orders_on_disk(folder: Path) -> DiskOrders:
    """Read the journal's folder. Never raises: what cannot be read is said."""
    ledger = OrderLedger()
    try:
        for path in _files_of_session(folder):
            _fold(ledger, path)
    except PeakError as error:
        return DiskOrders({}, {}, f"the journal cannot be read: {error.what}")
    except OSError as error:
        return DiskOrders({}, {}, f"the journal cannot be read: {error.strerror}")
    given_up = {
        name: order
        for name, order in ledger.orders.items()
        if order.lost or order.reason.startswith(_NEVER_ACCEPTED)
    }
    still = {order.intent.client_order_id: order for order in ledger.unsettled()}
    return DiskOrders(still, given_up)


def _files_of_session(folder: Path) -> list[Path]:
    """The last files, from the one on in which the newest session was chartered."""
    found: list[Path] = []
    for path in reversed(segment_paths(folder)):
        found.append(path)
        with open_segment(path) as file:
            if any(_SESSION in line for line in lines_in(file)):
                break
    return found[::-1]


def _fold(ledger: OrderLedger, path: Path) -> None:
    with open_segment(path) as file:
        for number, line in enumerate(lines_in(file), start=1):
            # The last line may be on its way to the disk: nobody was told that it is there.
            if line.endswith(b"\n") and any(kind in line for kind in _KINDS):
                recorded, _ = decode_line(line, f"{path.name}:{number}")
                ledger.apply(recorded)
