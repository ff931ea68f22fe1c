"""Execution reports on their way to the user stream: doubled, swapped, lost or late (venue.md 2.9).

Everything else (balances) goes straight through. Pure but for `deliver`, which is the wire: time
comes in with each call, and `tick` sends what is due. The venue's own truth never changes here,
only what a client is told of it and when.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.sandbox.accounts import Account
from engine.sandbox.faults import Faults

#: A swapped report that no other follows comes after so long.
_SWAP_US = 1_000_000

Deliver = Callable[[Account, dict[str, object]], None]


class ReportQueue:
    """Between what happened and the user streams. `deliver` and `listened` are set by the wire.

    A report that nobody listens to uses up no fault.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._late: list[tuple[int, int, Account, dict[str, object]]] = []
        self._swapped: dict[str, tuple[int, Account, dict[str, object]]] = {}
        self._number = 0
        self.deliver: Deliver = lambda _account, _event: None
        self.listened: Callable[[Account], bool] = lambda _account: False

    def put(self, account: Account, event: dict[str, object], execution: str, now_us: int) -> None:
        """Send one execution report, or do to it what is armed."""
        if not self.listened(account):
            return
        fault = self._faults.take_report(execution, now_us)
        waiting = self._swapped.pop(account.name, None)
        match fault.how if fault is not None else "":
            case "lose":
                pass
            case "delay" if fault is not None:
                self._number += 1
                due = now_us + fault.delay_ms * 1000
                self._late.append((due, self._number, account, event))
            case "reorder" if fault is not None:
                due = now_us + max(fault.delay_ms * 1000, _SWAP_US)
                self._swapped[account.name] = (due, account, event)
            case "duplicate":
                self.deliver(account, event)
                self.deliver(account, event)
            case _:
                self.deliver(account, event)
        if waiting is not None:
            self.deliver(waiting[1], waiting[2])

    def tick(self, now_us: int) -> None:
        """Send what is due, oldest first."""
        due = sorted(
            (late for late in self._late if late[0] <= now_us), key=lambda late: (late[0], late[1])
        )
        self._late = [late for late in self._late if late[0] > now_us]
        for _, _, account, event in due:
            self.deliver(account, event)
        for name, (until_us, account, event) in list(self._swapped.items()):
            if until_us <= now_us:
                del self._swapped[name]
                self.deliver(account, event)

    def flush(self) -> None:
        """Send all that is held back: the faults are disarmed."""
        self.tick(2**63)
