"""Signatures that somebody must look at: a hardware key that may be copied, verifiers that differ.

Where a refusal is journaled with its code (go, cosign, dual control), the journal is listened to.
Where signatures are taken without such an event (reconciliation, pack), `FirstUse` stands before
the desk: it judges the hardware key's count, because there each signature comes once, and raises
the same alarms.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from engine.contracts.event import ApprovalRefused, DualRefused, Recorded
from engine.governance.hardware import KEY_CLONED, judge_counter
from engine.governance.verdict import SignatureVerdict
from engine.signatures.check import Checker

if TYPE_CHECKING:
    from engine.background import Spawn
    from engine.execution.core import Core

VERIFIERS_DISAGREE = "VERIFIERS_DISAGREE"
#: Codes of refusals that are alarms too.
_ALARMING = frozenset({KEY_CLONED, VERIFIERS_DISAGREE})

RaiseAlarm = Callable[[str, str], Awaitable[None]]


class RefusalAlarms:
    """Raises an alarm for each journaled refusal that speaks of a copied key or a disagreement."""

    def __init__(self, raise_alarm: RaiseAlarm, spawn: Spawn) -> None:
        self._raise_alarm = raise_alarm
        self._spawn = spawn

    def heard(self, recorded: Recorded) -> None:
        """A listener of the journal; returns at once."""
        event = recorded.event
        if isinstance(event, ApprovalRefused | DualRefused) and event.code in _ALARMING:
            self._spawn(self._raise(event.code, event.reason), f"alarm-{event.code.lower()}")

    async def _raise(self, code: str, reason: str) -> None:
        await self._raise_alarm(code, reason)


class FirstUse:
    """The checker for signatures that are handed in once and not judged by an approval rule."""

    def __init__(self, checker: Checker, core: Core, raise_alarm: RaiseAlarm) -> None:
        self._checker = checker
        self._core = core
        self._raise_alarm = raise_alarm

    async def check_async(
        self,
        principal: str,
        namespace: str,
        message: bytes,
        armored: str,
        earlier: SignatureVerdict | None = None,
    ) -> SignatureVerdict:
        """As `Checker.check_async`; a count that did not rise is a no with the code KEY_CLONED.

        `earlier` is the signature before this one in the same ceremony, not journaled yet.
        """
        verdict = await self._checker.check_async(principal, namespace, message, armored)
        if verdict.disagree:
            await self._raise_alarm(VERIFIERS_DISAGREE, verdict.reason)
            return msgspec.structs.replace(verdict, code=VERIFIERS_DISAGREE)
        denied = judge_counter(verdict, self._counted(earlier)) if verdict.ok else None
        if denied is None:
            return verdict
        if denied.code == KEY_CLONED:
            await self._raise_alarm(KEY_CLONED, denied.reason)
        return msgspec.structs.replace(verdict, ok=False, code=denied.code, reason=denied.reason)

    def _counted(self, earlier: SignatureVerdict | None) -> dict[str, int]:
        last = dict(self._core.state.counters.last)
        if earlier is not None and earlier.sk_counter is not None:
            last[earlier.fingerprint] = max(
                earlier.sk_counter, last.get(earlier.fingerprint, earlier.sk_counter)
            )
        return last
