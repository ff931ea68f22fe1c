"""Releasing the kill latch, as an act of dual control (I4): two people, a reason, a new checklist.

The document names the newest kill and its verdict, so a kill that is pressed meanwhile makes it
worthless. Only a proven kill is released: while the verdict is missing or UNCONFIRMED, or anything
is open or unknown, the hunt goes on and the latch stays. At the grant the checklist's automatic
probes are run anew; their values go into the record, and the first that fails refuses the release.

Release is not restart: it only permits a new charter, and that one needs a full checklist and a
go of its own before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from engine.contracts.errors import Refused
from engine.contracts.event import AnyEvent, LatchReleased
from engine.contracts.session import Charter, Mode
from engine.execution.consent.dual_act import Act, Grant, Measured
from engine.execution.core import Core, State
from engine.execution.probes import Probes
from engine.execution.session_desk import CharterRules
from engine.governance.dual import Denied
from engine.governance.latch import LatchFold, LatchState

#: The automatic probes of the checklist that a release runs anew: all but the one that asks
#: whether there is a latch.
RELEASE_PROBES: tuple[str, ...] = (
    "venue_reachable",
    "disk_space",
    "market_fresh",
    "store_equals_journal",
    "limits_loaded",
    "no_open_orders",
    "kill_path",
)

_SHOWN_ORDERS = 20


class ReleaseAct(Act):
    """Opens the latch. `rules` are what the config allows, for a kill outside any session."""

    def __init__(
        self,
        core: Core,
        probes: Probes,
        rules: CharterRules,
        symbols: Callable[[], tuple[str, ...]],
        latch_released: Callable[[], None],
    ) -> None:
        self._core = core
        self._probes = probes
        self._rules = rules
        self._symbols = symbols
        self._latch_released = latch_released

    def describe(self, state: State, asked: Mapping[str, str]) -> dict[str, str]:
        """The newest kill as the journal has it. Nothing is asked for but the release."""
        super().describe(state, asked)
        return _subject(state.latch)

    def check(self, state: State, subject: Mapping[str, str]) -> None:
        """Refuse what is no proven kill, or another one. Raises Refused."""
        latch = state.latch
        if not latch.is_set:
            raise _no("LATCH_NOT_SET", "the latch is not set", "nothing to do")
        if subject.get("kill_id") != latch.kill_id:
            raise _no("KILL_MISMATCH", "the document is about another kill", "ask anew")
        if latch.state is not LatchState.PROVEN:
            raise _no(
                "KILL_NOT_PROVEN",
                f"the kill is {latch.state.value}: it is not proven that nothing is open",
                "wait for the proof; the hunt goes on",
            )
        if dict(subject) != _subject(latch):
            raise _no("KILL_CHANGED", "the kill reads differently since", "ask anew")
        left = [one.intent.client_order_id for one in state.orders.unsettled()]
        left += [one.client_order_id for one in state.orphans.alive]
        if left:
            raise _no(
                "OPEN_ORDERS",
                f"open or unknown: {', '.join(left[:5])}",
                "cancel and settle them first",
            )

    async def measure(self, subject: Mapping[str, str]) -> Measured:
        """Run the probes anew, for every symbol that a kill covers; stop at the first that fails.

        Not known is a fail (I12).
        """
        session = self._core.state.sessions.by_id(subject["session"])
        charter = session.charter if session else widest_charter(self._rules)
        charter = structs.replace(charter, instruments=self._symbols())
        values: dict[str, str] = {}
        for name in RELEASE_PROBES:
            if name == "limits_loaded" and self._core.state.sessions.current is None:
                continue  # there has never been a charter, so there are no limits of one
            reading = await self._probes.run(name, charter)
            values[name] = (
                f"{reading.value} ({reading.detail})" if reading.detail else reading.value
            )
            if not reading.passed:
                return Measured(
                    values, Denied("CHECKLIST", f"{name}: {values[name]}; put it right, sign again")
                )
        return Measured(values)

    def events(
        self,
        state: State,
        subject: Mapping[str, str],  # noqa: ARG002  (its kill is the newest one: `check`)
        grant: Grant,
    ) -> Sequence[AnyEvent]:
        """The release."""
        return [
            LatchReleased(
                kill_id=state.latch.kill_id,
                document=grant.document,
                document_sha256=grant.document_sha256,
                operator_signature=grant.operator_signature,
                reviewer_signature=grant.reviewer_signature,
                reason=grant.reason,
            )
        ]

    async def done(self, subject: Mapping[str, str], grant: Grant) -> None:  # noqa: ARG002
        """Open the latch in memory and on the disk."""
        self._latch_released()


def widest_charter(rules: CharterRules) -> Charter:
    """The widest charter that the config allows: what the probes read where no session was."""
    return Charter(
        mode=Mode(rules.modes_allowed[0]),
        venue=rules.venue,
        account=rules.account,
        instruments=rules.symbols,
        limits=rules.ceiling,
        window_from_us=0,
        window_until_us=rules.window_max_us,
        operator="",
        reviewer="",
        runbook="",
        attendance_seconds=rules.attendance_max_seconds,
    )


def _subject(latch: LatchFold) -> dict[str, str]:
    verdict = latch.verdict
    left = verdict.open_orders if verdict else ()
    return {
        "kill_id": latch.kill_id,
        "kill_reason": latch.reason,
        "killed_by": latch.by,
        "latched_at": str(latch.latched_us or 0),
        "open_orders": ", ".join(left[:_SHOWN_ORDERS]) or "none",
        "session": latch.session_id,
        "verdict": latch.state.value,
    }


def _no(code: str, what: str, todo: str) -> Refused:
    return Refused(what=what, where="latch", todo=todo, code=code)
