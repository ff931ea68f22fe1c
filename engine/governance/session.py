"""What a session is: charter, answers, approval, runlog, reconciliation, pack.

Mutable inside, folded in place by `engine.governance.session_fold`: the journal is the record, this
is the reading. Here is also what is signed of a checklist.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from engine.contracts.canonical import canonical
from engine.contracts.session import (
    END_STATES,
    Charter,
    Checklist,
    ChecklistItem,
    ItemResult,
    SessionState,
)
from engine.governance.checklist import answer_roles, normal
from engine.governance.revisions import RevisionState

_NONCE = re.compile(r"[0-9a-f]{64}")


def is_nonce(text: str) -> bool:
    """Whether the text is 32 bytes as 64 lower-case hex digits."""
    return _NONCE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Answer:
    """One role's answer to one item; `at_us` is the journal's time, µs UTC."""

    value: str
    result: ItemResult
    detail: str
    by: str
    at_us: int


@dataclass(frozen=True, slots=True)
class SealedAnswer:
    """A blind answer before it is opened; `at_us` is the journal's time, µs UTC."""

    commitment: str
    by: str
    at_us: int


@dataclass(slots=True)
class GoState:
    """The last go request: `stage` is none, requested, signed, go, no_go or void.

    `packet` and `cosign` are the exact texts that were signed; times in µs UTC.
    """

    stage: str = "none"
    packet: str = ""
    sha256: str = ""
    requested_us: int | None = None
    expires_us: int | None = None
    operator_signature: str = ""
    operator_fingerprint: str = ""
    decision: str = ""
    decided_us: int | None = None
    reason: str = ""
    code: str = ""
    cosign: str = ""
    cosign_signature: str = ""
    reviewer_fingerprint: str = ""
    signals: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ReconState:
    """The last reconciliation: exact report text, answers by break id, signatures by role."""

    run_id: str
    report: str
    sha256: str
    compared: dict[str, int]
    breaks: dict[str, int]
    at_us: int
    answers: dict[str, str] = field(default_factory=dict)
    #: breaks that two people have closed together
    granted: set[str] = field(default_factory=set)
    signatures: dict[str, str] = field(default_factory=dict)

    @property
    def signed_by(self) -> tuple[str, ...]:
        """Roles that signed this report."""
        return tuple(sorted(self.signatures))


@dataclass(slots=True)
class PackState:
    """The pack: `stage` is written or sealed; `signed_by` maps role to key fingerprint."""

    stage: str
    folder: str
    tagmanifest_sha256: str
    signed_by: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Session:
    """One session; times in µs UTC of the journal."""

    id: str
    charter: Charter
    state: SessionState
    since_us: int
    created_us: int
    created_by: str
    checklist: Checklist | None = None
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    #: blind answers that wait for the other's, by item and role
    blind: dict[tuple[str, str], SealedAnswer] = field(default_factory=dict)
    reviewer_nonce: str = ""
    reviewer_signals: dict[str, str] = field(default_factory=dict)
    go: GoState = field(default_factory=GoState)
    runlog: list[tuple[int, str, str]] = field(default_factory=list)
    recon: ReconState | None = None
    pack: PackState | None = None
    revisions: list[RevisionState] = field(default_factory=list)
    lessons: tuple[str, ...] = ()
    snapshots: list[tuple[str, str]] = field(default_factory=list)
    market_files: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether a new charter may follow."""
        return self.state in END_STATES

    def item(self, item_id: str) -> ChecklistItem | None:
        """The checklist item with this id."""
        for item in self.checklist.items if self.checklist else ():
            if item.id == item_id:
                return item
        return None


def disagree(session: Session, item: ChecklistItem) -> bool:
    """Whether two people answered the item differently (after strip and casefold)."""
    given = (session.answers.get((item.id, role)) for role in answer_roles(item))
    return len({normal(answer.value) for answer in given if answer is not None}) > 1


def checklist_document(session: Session) -> bytes:
    """The exact bytes that `checklist_sha256` is of: the checklist and every answer, one line."""
    answers = [
        {
            "at_us": answer.at_us,
            "by": answer.by,
            "detail": answer.detail,
            "item": item_id,
            "result": answer.result,
            "role": role,
            "value": answer.value,
        }
        for (item_id, role), answer in sorted(session.answers.items())
    ]
    document = {
        "answers": answers,
        "checklist": session.checklist,
        "session": session.id,
        "type": "peakctl-checklist-1",
    }
    return canonical(document) + b"\n"
