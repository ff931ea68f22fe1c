"""The answer of a check: ALLOW, BLOCK or PAUSE, with every check's numbers. Doubt blocks (I12)."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """What a check says. PAUSE blocks this order and pauses the session."""

    ALLOW = "ALLOW"
    BLOCK = "BLOCK"
    PAUSE = "PAUSE"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check with its numbers as text (units in `unit`): what the ticket shows per line.

    `code` is stable (`MAX_NOTIONAL`); `value` is what this order would make it, `limit` what is
    allowed, `headroom` what is left before the order, each "" when it has no number.
    """

    code: str
    verdict: Verdict
    text: str
    value: str = ""
    limit: str = ""
    headroom: str = ""
    unit: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one order; the worst verdict wins."""

    verdict: Verdict
    checks: tuple[Check, ...]

    @property
    def reasons(self) -> tuple[Check, ...]:
        """The checks that did not allow."""
        return tuple(check for check in self.checks if check.verdict is not Verdict.ALLOW)


def decide_all(checks: tuple[Check, ...]) -> Decision:
    """Fold checks into a decision. No checks at all is doubt, and doubt blocks (I12)."""
    if not checks:
        nothing = Check(code="NO_CHECKS", verdict=Verdict.BLOCK, text="no check was run")
        return Decision(verdict=Verdict.BLOCK, checks=(nothing,))
    verdicts = {check.verdict for check in checks}
    for worst in (Verdict.BLOCK, Verdict.PAUSE):
        if worst in verdicts:
            return Decision(verdict=worst, checks=checks)
    return Decision(verdict=Verdict.ALLOW, checks=checks)
