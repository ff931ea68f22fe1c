"""Closing red breaks of the last reconciliation, as an act of dual control.

A yellow break takes one person's answer; a red one is a difference that nothing explains, and two
people sign what was found out before both may sign the report. One document may name several
breaks of one run, each with what the three sides say of it. It dies with its run: a new comparison
has a new name, and what is still red then is closed anew. The reason is the answer.

The running reconciliation (`recon.watch`) is not touched by this: nothing that people say lifts
one of its confirmed red breaks, it must be gone before a session is resumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.contracts.errors import InputError, Refused
from engine.contracts.event import AnyEvent, BreakAnswered
from engine.execution.consent.dual_act import Act, Grant
from engine.execution.core import State
from engine.execution.session_desk import current_session
from engine.governance.session import ReconState
from engine.reconcile.causes import RED
from engine.reconcile.report import Break, Report

_MOST = 40
_FACT_LIMIT = 800
#: Before the name of each break in the signed subject.
BREAK = "break "


class CloseBreakAct(Act):
    """Answers red breaks of the present session's last run."""

    fields = ("run_id", "break_ids")

    def describe(self, state: State, asked: Mapping[str, str]) -> dict[str, str]:
        """The run, its report's hash, and each break as the report has it. Raises InputError."""
        named = super().describe(state, asked)
        ids = tuple(dict.fromkeys(named["break_ids"].replace(",", " ").split()))
        if not 0 < len(ids) <= _MOST:
            raise InputError(what=f"names {len(ids)} breaks", where="break_ids", todo="1 to 40")
        recon = _present(state, named["run_id"])
        red = _red(recon)
        strange = [one for one in ids if one not in red]
        if strange:
            raise InputError(
                what=f"no red break {strange[0][:20]!r} in the last run",
                where="reconciliation",
                todo="look at the present report",
            )
        return {
            "run_id": recon.run_id,
            "report_sha256": recon.sha256,
            **{f"{BREAK}{one}": _words(red[one]) for one in ids},
        }

    def check(self, state: State, subject: Mapping[str, str]) -> None:
        """Refuse breaks of another report, and such as are closed. Raises Refused."""
        recon = _present(state, subject["run_id"])
        if recon.sha256 != subject["report_sha256"]:
            raise _no("REPORT_CHANGED", "the report is another one", "ask anew")
        red = _red(recon)
        for one in break_ids(subject):
            if one not in red or _words(red[one]) != subject[f"{BREAK}{one}"]:
                raise _no("NO_SUCH_BREAK", f"{one} is no red break of the report", "ask anew")
            if one in recon.granted:
                raise _no("CLOSED", f"break {one} is closed already", "name the others")

    def events(self, state: State, subject: Mapping[str, str], grant: Grant) -> Sequence[AnyEvent]:
        """One answer a break, with the grant that closes it."""
        return [
            BreakAnswered(
                session_id=current_session(state).id,
                run_id=subject["run_id"],
                break_id=one,
                answer=grant.reason,
                grant_id=grant.request_id,
            )
            for one in break_ids(subject)
        ]


def break_ids(subject: Mapping[str, str]) -> tuple[str, ...]:
    """The breaks that a signed subject names."""
    return tuple(name.removeprefix(BREAK) for name in subject if name.startswith(BREAK))


def _present(state: State, run_id: str) -> ReconState:
    session = current_session(state)
    recon = session.recon
    if recon is None or recon.run_id != run_id:
        raise _no("RUN_CHANGED", "this is not the last reconciliation", "look at the present one")
    return recon


def _red(recon: ReconState) -> dict[str, Break]:
    report = Report.from_document(recon.report.encode())
    return {one.id: one for one in report.breaks if one.klass == RED}


def _words(one: Break) -> str:
    sides = f"engine {one.engine or '-'}; journal {one.journal or '-'}; venue {one.venue or '-'}"
    return f"{one.subject} {one.key}: {one.cause}; {sides}"[:_FACT_LIMIT]


def _no(code: str, what: str, todo: str) -> Refused:
    return Refused(what=what, where="reconciliation", todo=todo, code=code)
