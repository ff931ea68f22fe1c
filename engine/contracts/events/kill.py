"""The kill switch and the watchdog."""

from __future__ import annotations

from decimal import Decimal

from engine.contracts.events.base import Event


class KillLatched(Event, frozen=True, kw_only=True, tag="kill.latched"):
    """The latch is set: no order leaves until two people release it (I4)."""

    kill_id: str
    session_id: str
    reason: str
    source: str
    pressed_us: int


class KillStage(Event, frozen=True, kw_only=True, tag="kill.stage"):
    """One stage of the kill, µs after the latch was asked for.

    `monotonic_us` is when it was on the machine's monotonic clock, which no step of the wall clock
    moves; only differences within one boot mean anything (0: not noted).
    """

    kill_id: str
    stage: str
    elapsed_us: int
    detail: str
    monotonic_us: int = 0


class KillVerdict(Event, frozen=True, kw_only=True, tag="kill.verdict"):
    """PROVEN or UNCONFIRMED, with what is left."""

    kill_id: str
    verdict: str
    elapsed_us: int
    canceled: int
    open_orders: tuple[str, ...]
    positions: dict[str, Decimal]
    detail: str = ""
    monotonic_us: int = 0


class LatchReleased(Event, frozen=True, kw_only=True, tag="latch.released"):
    """Two people signed the release document. `document` is its exact text."""

    kill_id: str
    document: str
    document_sha256: str
    operator_signature: str
    reviewer_signature: str
    reason: str


class WatchdogEnded(Event, frozen=True, kw_only=True, tag="watchdog.ended"):
    """The watchdog's process ended while the engine lives. `status`: exit code, or -signal."""

    status: int


class WatchdogActed(Event, frozen=True, kw_only=True, tag="watchdog.acted"):
    """What the watchdog did while no engine answered, as read from its own log."""

    reason: str
    verdict: str
    canceled: int
    elapsed_us: int
    at_us: int
