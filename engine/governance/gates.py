"""The locks explained: for each what it asks for, whether it is open now, and why. Pure.

The answers are those of `locks.live_locks` and nothing else; an order asks again for itself. The
sentences say what a lock is there for, and none says how to open one.
"""

from __future__ import annotations

from engine.contracts.decision import Verdict
from engine.contracts.replies import Gate, GateAnswer
from engine.governance.locks import LockFacts, live_locks

#: What each lock asks for, by code.
ASKS: dict[str, str] = {
    "LOCK_ENVIRONMENT": "each mode runs in its own environments; which, is code and not a setting",
    "LOCK_MODE": "the configuration may take modes away; it can add none to its environment",
    "LOCK_SESSION": "an order belongs to a session that is live at this moment",
    "LOCK_APPROVAL": "two people signed the same packet, each with a key of their own",
    "LOCK_UNCHANGED": "config, code, checklist, limits and roster are those that were signed",
    "LOCK_WINDOW": "now is inside the change window of the charter",
    "LOCK_LATCH": "no kill stands; only two people release one",
    "LOCK_ATTENDANCE": "an operator's console is connected and attends",
    "LOCK_ALLOW_LIST": "venue and account are named on the allow list, which starts empty",
    "LOCK_SIGNED_IN_WINDOW": "the second signature was made inside the change window",
    "LOCK_SHADOW_WEEKS": "weeks of sealed shadow sessions, computed from the journal",
    "LOCK_TESTNET_WEEKS": "weeks of sealed testnet sessions, computed from the journal",
    "LOCK_DRILLS": "every required drill passed and still counts, judged from the journal",
    "LOCK_BREAKS": "no break of a reconciliation is without an answer",
}


def explain(facts: LockFacts) -> GateAnswer:
    """Every lock that the facts' mode asks, in the order in which an order meets them."""
    gates = tuple(
        Gate(
            code=check.code,
            open=check.verdict is Verdict.ALLOW,
            why=check.text.removeprefix(f"{check.code}: "),
            asks=ASKS[check.code],
        )
        for check in live_locks(facts)
    )
    return GateAnswer(
        mode=facts.mode.value,
        environment=facts.environment.value,
        open=all(gate.open for gate in gates),
        gates=gates,
    )
