"""The checklist's automatic items: real readings, with the number that was read.

A probe that raises or cannot read is a fail with the cause as its detail (I12). The host names the
probes in a table; a runbook item that asks for an unknown probe fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal, InvalidOperation

import msgspec

from engine.contracts.errors import PeakError
from engine.contracts.money import to_text
from engine.contracts.session import Charter, ChecklistItem, ItemResult
from engine.governance.checklist import judge_answer


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe read: `value` with its unit, whether it is good enough, and why."""

    value: str
    passed: bool
    detail: str = ""


Probe = Callable[[Charter], Awaitable[Reading]]

#: Manual items whose answer must equal something the engine knows; it is shown only afterwards.
Sensed = Callable[[Charter], str | None]


class Probes:
    """Runs the probes and judges the answers of manual items."""

    def __init__(self, table: Mapping[str, Probe], sensed: Mapping[str, Sensed]) -> None:
        self._table = table
        self._sensed = sensed

    async def run(self, name: str, charter: Charter) -> Reading:
        """Run one probe. Never raises for a failed reading: doubt is a fail."""
        probe = self._table.get(name)
        if probe is None:
            return Reading(value="?", passed=False, detail=f"no probe named {name!r}")
        try:
            return await probe(charter)
        except (PeakError, OSError, TimeoutError, ValueError, ArithmeticError) as error:
            cause = error.line() if isinstance(error, PeakError) else str(error)
            return Reading(value="?", passed=False, detail=cause or type(error).__name__)

    def judge(self, item: ChecklistItem, answer: str, charter: Charter) -> tuple[ItemResult, str]:
        """Judge a manual answer: by the item's pattern and, where the engine knows, by value."""
        if judge_answer(item, answer) is not ItemResult.PASS:
            return ItemResult.FAIL, "not the expected form"
        sensed = self._sensed.get(item.id)
        if sensed is None:
            return ItemResult.PASS, ""
        known = sensed(charter)
        if known is None:
            return ItemResult.FAIL, "the engine cannot read the value to compare with"
        if _same(answer, known):
            return ItemResult.PASS, f"engine reads {known}"
        return ItemResult.FAIL, f"engine reads {known}"


def _same(answer: str, known: str) -> bool:
    try:
        return to_text(Decimal(answer)) == to_text(Decimal(known))
    except InvalidOperation:
        return answer.strip().casefold() == known.strip().casefold()
