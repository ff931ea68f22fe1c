"""Answers of the control API that are more than the state: one order's fate, a risk report.

`OrderTimes` are the engine's own marks on the way of one order, so that whoever waits can see where
the time went without asking twice.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.contracts.decision import Decision
from engine.contracts.order import Order


class OrderTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Microseconds since the engine read the request, 0 where it did not come to that.

    `read_us` is that moment on the machine's monotonic clock: who asks from the same machine can
    place the marks among its own.

    In the order of the way: decided; intent durable (I1); the venue answered; what it said is
    durable.
    """

    read_us: int = 0
    decided_us: int = 0
    durable_us: int = 0
    answered_us: int = 0
    known_us: int = 0


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of an order: the checks it met, its id, and the order as the journal has it now.

    An order in state UNKNOWN is answered too: nobody knows it better at this moment (I3).
    """

    decision: Decision
    client_order_id: str
    order: Order | None = None
    times: OrderTimes = OrderTimes()


class RiskAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a risk report: its exact text, that text's hash, and the same for people."""

    document: str
    sha256: str
    markdown: str


class ChangeMade(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a change of config or roster: its event's number and fields, as journaled."""

    seq: int
    data: dict[str, Any]


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One lock explained: whether it is open now and why, and what it asks for."""

    code: str
    open: bool
    why: str
    asks: str


class GateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every lock that a mode asks; `open` when all are, which an order still asks for itself."""

    mode: str
    environment: str
    open: bool
    gates: tuple[Gate, ...]
