"""What is told of the requests of dual control: those that wait, and what was decided last."""

from __future__ import annotations

from engine.contracts.view import DualView
from engine.governance.dual_book import PENDING, DualBook, Request

_SHOWN = 12


def dual_views(book: DualBook) -> tuple[DualView, ...]:
    """Those that wait, oldest first, then the last decided ones, newest first."""
    closed = [one for one in book.requests.values() if one.stage != PENDING]
    closed.sort(key=lambda one: -(one.closed_us or 0))
    return tuple(dual_view(one) for one in (*book.pending, *closed))[:_SHOWN]


def dual_view(one: Request) -> DualView:
    """One request as the screens and `peakctl dual` see it."""
    said = one.said
    return DualView(
        id=one.id,
        purpose=one.purpose.value,
        stage=one.stage,
        document=one.document,
        sha256=one.sha256,
        reason=said.reason,
        requested_by=said.requested_by,
        operator=said.operator.person,
        reviewer=said.reviewer.person,
        requested_us=one.requested_us,
        expires_us=said.expires_at,
        signed_by=tuple(signed.person for signed in one.signatures.values()),
        refused=f"{one.refused[0]}: {one.refused[1]}" if one.refused else "",
        code=one.code,
        closed_reason=one.closed_reason,
        closed_by=one.closed_by,
        closed_us=one.closed_us,
    )
