"""What stands between a checklist and go, and what each role may see of it.

Blind answers: on an item that both answer, neither sees the other's answer before both have
given one, so that two readings are two readings. Doubt is a blocker (I12).
"""

from __future__ import annotations

import msgspec

from engine.contracts.session import ChecklistItem, ItemKind, ItemResult
from engine.contracts.view import ItemView
from engine.governance.checklist import CRITICAL_AGE_US, answer_roles, is_shared
from engine.governance.session import Session, disagree

#: What is said of a blind answer while the other's is missing.
WAITS = "answered; shown when both have"


def checklist_blockers(session: Session, now_us: int) -> tuple[str, ...]:
    """Every reason why the checklist does not allow go, one line each; empty means ready.

    `now_us` is the wall clock in µs UTC; readings from the future count as old. While a request
    is pending, a reading is as old as it was when go was asked for: the request has an expiry of
    its own, and a new reading would change what was signed (I6).
    """
    if session.go.stage in {"requested", "signed"} and session.go.requested_us is not None:
        now_us = session.go.requested_us
    if session.checklist is None or not session.checklist.items:
        return ("the checklist has not been started; start it",)
    return tuple(
        line for item in session.checklist.items for line in _item_blockers(session, item, now_us)
    )


def _item_blockers(session: Session, item: ChecklistItem, now_us: int) -> list[str]:
    lines: list[str] = []
    for role in answer_roles(item):
        answer = session.answers.get((item.id, role))
        whose = "probe" if item.kind is ItemKind.AUTO else role
        if answer is None and (item.id, role) in session.blind:
            lines.append(f"{item.id}: answered blind by the {role}; the other has not yet")
        elif answer is None or answer.result is ItemResult.OPEN:
            lines.append(f"{item.id}: no answer from the {whose}; {_remedy(item)}")
        elif answer.result is not ItemResult.PASS:
            lines.append(f"{item.id}: failed ({whose}: {answer.value}); put it right, then again")
        elif item.critical and item.kind is ItemKind.AUTO:
            age_us = now_us - answer.at_us
            if not 0 <= age_us <= CRITICAL_AGE_US:
                lines.append(f"{item.id}: reading is {age_us // 1_000_000} s old; probe again")
    if is_shared(item) and disagree(session, item):
        lines.append(f"{item.id}: operator and reviewer differ; both read again")
    return lines


def _remedy(item: ChecklistItem) -> str:
    return "run the probe" if item.kind is ItemKind.AUTO else "answer it"


def visible_items(session: Session, role: str) -> tuple[ItemView, ...]:
    """One row per item and answering role, as `role` may see it.

    An answer on a shared item is shown as open and without its value until both have answered: the
    engine has told nobody more than its commitment. One of a journal before that rule is hidden
    from the other that long.
    """
    if session.checklist is None:
        return ()
    return tuple(
        _view(session, item, whose, role)
        for item in session.checklist.items
        for whose in answer_roles(item)
    )


def _view(session: Session, item: ChecklistItem, whose: str, viewer: str) -> ItemView:
    answer = session.answers.get((item.id, whose))
    shared = is_shared(item)
    complete = all((item.id, role) in session.answers for role in answer_roles(item))
    shown = ItemView(
        id=item.id,
        title=item.title,
        kind=item.kind,
        role=whose,
        result=ItemResult.OPEN,
        hint=item.hint,
        shared=shared,
        critical=item.critical,
    )
    sealed = session.blind.get((item.id, whose))
    if sealed is not None:
        return msgspec.structs.replace(shown, detail=WAITS, by=sealed.by, answered_us=sealed.at_us)
    if answer is None:
        return shown
    if shared and whose != viewer and not complete:
        return msgspec.structs.replace(shown, detail=WAITS, by=answer.by)
    differs = shared and complete and disagree(session, item)
    return msgspec.structs.replace(
        shown,
        result=answer.result,
        value=answer.value,
        detail="differs from the other reading; both read again" if differs else answer.detail,
        by=answer.by,
        answered_us=answer.at_us,
    )
