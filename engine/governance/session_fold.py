"""Sessions as a fold over the journal.

Promises: total (an event that does not fit is ignored, nothing raises); a session moves only
along the table of `transitions`, and becomes live only with an approval of stage `go` (I5); a
packet counts only if its text has the hash that was recorded (I6).
"""

from __future__ import annotations

from engine.contracts.canonical import sha256_hex, strict_loads
from engine.contracts.errors import InputError
from engine.contracts.event import (
    AnyEvent,
    BreakAnswered,
    ChecklistStarted,
    EngineStarted,
    GoDecided,
    GoRequested,
    GoSigned,
    GoVoided,
    ItemAnswered,
    KillLatched,
    LessonsWritten,
    MarketRecorded,
    NoteAdded,
    PackRevised,
    PackRevisionSigned,
    PackRevisionWritten,
    PackSealed,
    PackSigned,
    PackWritten,
    ReconRun,
    ReconSigned,
    Recorded,
    ReviewerJoined,
    SessionChartered,
    SessionMoved,
    SnapshotTaken,
)
from engine.contracts.people import Actor
from engine.contracts.session import (
    Charter,
    ChecklistItem,
    ItemKind,
    SessionState,
)
from engine.governance.checklist import answer_roles, commitment_of, is_shared
from engine.governance.revisions import fold_revision
from engine.governance.session import (
    Answer,
    GoState,
    PackState,
    ReconState,
    SealedAnswer,
    Session,
    disagree,
    is_nonce,
)
from engine.governance.transitions import Cause, legal

_ANSWERING = frozenset({SessionState.CHECKLIST, SessionState.GO_NOGO})
_APPROVED = "go"
#: The go stage after each decision; an abstention voids the request, so that it can be asked again.
_STAGES = {"GO": _APPROVED, "NO-GO": "no_go", "ABSTAIN": "void"}
_FOLDED = frozenset(
    {
        BreakAnswered,
        ChecklistStarted,
        EngineStarted,
        GoDecided,
        GoRequested,
        GoSigned,
        GoVoided,
        ItemAnswered,
        KillLatched,
        LessonsWritten,
        MarketRecorded,
        NoteAdded,
        PackRevised,
        PackRevisionSigned,
        PackRevisionWritten,
        PackSealed,
        PackSigned,
        PackWritten,
        ReconRun,
        ReconSigned,
        ReviewerJoined,
        SessionChartered,
        SessionMoved,
        SnapshotTaken,
    }
)


class SessionFold:
    """All sessions of a journal. `current` is the newest one, also after it has ended."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        #: nonces that were offered once (joined or requested): never accepted for that again
        self.seen_nonces: set[str] = set()
        #: nonces of packets that were decided: never accepted in an approval again
        self.used_nonces: set[str] = set()

    @property
    def current(self) -> Session | None:
        """The newest session, or None before the first charter."""
        return next(reversed(self._sessions.values()), None)

    @property
    def history(self) -> list[Session]:
        """All sessions, oldest first, the current one included."""
        return list(self._sessions.values())

    def by_id(self, session_id: str) -> Session | None:
        """The session with this id."""
        return self._sessions.get(session_id)

    def apply(self, recorded: Recorded) -> None:
        """Fold one event in place; what does not fit changes nothing."""
        event = recorded.event
        if type(event) not in _FOLDED:  # most of a journal is orders and fills: leave at once
            return
        if isinstance(event, SessionChartered):
            self._charter(event, recorded)
            return
        if isinstance(event, EngineStarted):
            if self.current is not None:
                self.current.blind.clear()  # what they were made of died with the engine
            return
        session = self._sessions.get(getattr(event, "session_id", ""))
        if session is not None:
            self._apply_to(session, event, recorded.actor, recorded.ts_us)

    def _charter(self, event: SessionChartered, recorded: Recorded) -> None:
        if event.session_id in self._sessions or not event.session_id:
            return
        if self.current is not None and not self.current.ended:
            return
        self._sessions[event.session_id] = Session(
            id=event.session_id,
            charter=event.charter,
            state=SessionState.CHARTER,
            since_us=recorded.ts_us,
            created_us=recorded.ts_us,
            created_by=recorded.actor.name,
        )

    def _apply_to(self, session: Session, event: AnyEvent, actor: Actor, ts_us: int) -> None:
        match event:
            case SessionMoved():
                _move(session, event, actor, ts_us)
            case ChecklistStarted():
                _start_checklist(session, event)
            case ItemAnswered():
                _answer(session, event, actor, ts_us)
            case ReviewerJoined():
                self._join(session, event)
            case GoRequested() | GoSigned() | GoDecided() | GoVoided():
                self._approve(session, event, actor, ts_us)
            case NoteAdded():
                session.runlog.append((ts_us, actor.name, event.text))
            case KillLatched():
                session.runlog.append(
                    (ts_us, actor.name, f"KILL by {event.source}: {event.reason}")
                )
            case _:
                _close(session, event, ts_us)

    def _join(self, session: Session, event: ReviewerJoined) -> None:
        fits = (
            not session.ended
            and event.reviewer == session.charter.reviewer
            and is_nonce(event.nonce)
            and event.nonce not in self.seen_nonces
        )
        if fits:
            self.seen_nonces.add(event.nonce)
            session.reviewer_nonce = event.nonce
            session.reviewer_signals = dict(event.signals)

    def _approve(
        self,
        session: Session,
        event: GoRequested | GoSigned | GoDecided | GoVoided,
        actor: Actor,
        ts_us: int,
    ) -> None:
        if isinstance(event, GoRequested):
            self._request(session, event, ts_us)
            return
        go = session.go
        if event.packet_sha256 != go.sha256:
            return
        match event:
            case GoSigned() if go.stage == "requested":
                go.stage = "signed"
                go.operator_signature = event.signature
                go.operator_fingerprint = event.fingerprint
            case GoDecided() if go.stage == "signed" and event.decision in _STAGES:
                _decide(go, event, ts_us)
                self.used_nonces |= _packet_nonces(go.packet)
                session.runlog.append(
                    (ts_us, actor.name, f"{event.decision} {event.reason}".strip())
                )
            case GoVoided() if go.stage in {"requested", "signed", _APPROVED}:
                go.stage, go.code, go.reason = "void", event.code, event.reason
                session.runlog.append((ts_us, actor.name, f"approval void: {event.reason}"))
            case _:
                pass

    def _request(self, session: Session, event: GoRequested, ts_us: int) -> None:
        nonces = _packet_nonces(event.packet)
        fits = (
            session.state in _ANSWERING
            and session.go.stage in {"none", "void"}
            and sha256_hex(event.packet.encode()) == event.packet_sha256
            and not nonces & self.used_nonces
        )
        if fits:
            self.seen_nonces |= nonces
            session.go = GoState(
                stage="requested",
                packet=event.packet,
                sha256=event.packet_sha256,
                requested_us=ts_us,
                expires_us=event.expires_us,
            )


def _move(session: Session, event: SessionMoved, actor: Actor, ts_us: int) -> None:
    if session.state is not event.before or not legal(event.before, event.after, event.cause):
        return
    if event.after is SessionState.LIVE and session.go.stage != _APPROVED:
        return
    if event.cause == Cause.GO_VOID and session.go.stage in {"requested", "signed"}:
        session.go.stage, session.go.reason = "void", event.reason
    session.state = event.after
    session.since_us = ts_us
    reason = f" ({event.reason})" if event.reason else ""
    session.runlog.append((ts_us, actor.name, f"{event.before} -> {event.after}{reason}"))


def _start_checklist(session: Session, event: ChecklistStarted) -> None:
    if session.state in {SessionState.CHARTER, SessionState.CHECKLIST} and not session.answers:
        session.checklist = event.checklist


def _answer(session: Session, event: ItemAnswered, actor: Actor, ts_us: int) -> None:
    item = session.item(event.item_id)
    if item is None or session.state not in _ANSWERING:
        return
    if event.salt:
        _open_blind(session, event)
        return
    role = _answering_role(session.charter, item, event.role, actor)
    if role is None:
        return
    if event.commitment:
        _seal_blind(session, item, role, SealedAnswer(event.commitment, actor.name, ts_us))
        return
    if is_shared(item) and _both_answered(session, item) and disagree(session, item):
        # Both have seen both answers: whoever reads again starts a new blind round.
        for other in item.roles:
            session.answers.pop((item.id, other), None)
    session.answers[item.id, role] = Answer(
        value=event.value, result=event.result, detail=event.detail, by=actor.name, at_us=ts_us
    )


def _seal_blind(session: Session, item: ChecklistItem, role: str, sealed: SealedAnswer) -> None:
    """The first answer of a blind round; it ends the round before, of which both know both."""
    if not is_shared(item):
        return
    if _both_answered(session, item):
        for other in item.roles:
            session.answers.pop((item.id, other), None)
    session.answers.pop((item.id, role), None)
    session.blind[item.id, role] = sealed


def _open_blind(session: Session, event: ItemAnswered) -> None:
    """What was sealed is told; whoever tells it, the commitment proves it."""
    key = event.item_id, event.role
    sealed = session.blind.get(key)
    told = commitment_of(
        session.id, event.item_id, event.role, by=event.by, value=event.value, salt=event.salt
    )
    if sealed is None or (sealed.commitment, sealed.by) != (told, event.by):
        return
    del session.blind[key]
    session.answers[key] = Answer(
        value=event.value,
        result=event.result,
        detail=event.detail,
        by=sealed.by,
        at_us=sealed.at_us,
    )


def _answering_role(charter: Charter, item: ChecklistItem, role: str, actor: Actor) -> str | None:
    """The role under which the answer counts, or None when this actor may not give it."""
    if item.kind is ItemKind.AUTO:
        return answer_roles(item)[0] if actor.kind == "automaton" else None
    people = {"operator": charter.operator, "reviewer": charter.reviewer}
    entitled = role in item.roles and actor.kind == "person" and people.get(role) == actor.name
    return role if entitled else None


def _both_answered(session: Session, item: ChecklistItem) -> bool:
    return all((item.id, role) in session.answers for role in answer_roles(item))


def _decide(go: GoState, event: GoDecided, ts_us: int) -> None:
    go.stage = _STAGES[event.decision]
    go.decision = event.decision
    go.decided_us = ts_us
    go.reason = event.reason
    go.code = event.decision if go.stage == "void" else ""
    go.cosign = event.cosign
    go.cosign_signature = event.signature
    go.reviewer_fingerprint = event.fingerprint
    go.signals = dict(event.signals)


def _packet_nonces(packet: str) -> set[str]:
    """Both nonces of a packet; a text that is not a packet has none."""
    try:
        document = strict_loads(packet, "packet")
    except (InputError, RecursionError):
        return set()
    if not isinstance(document, dict):
        return set()
    values = (document.get("operator_nonce"), document.get("reviewer_nonce"))
    return {value for value in values if isinstance(value, str)}


def _close(session: Session, event: AnyEvent, ts_us: int) -> None:
    """What follows a stop: reconciliation, lessons, pack and files."""
    match event:
        case ReconRun() | BreakAnswered() | ReconSigned():
            _reconcile(session, event, ts_us)
        case PackWritten() | PackSigned() | PackSealed():
            _pack(session, event)
        case PackRevisionWritten() | PackRevisionSigned() | PackRevised():
            if session.pack is not None and session.pack.stage == "sealed":
                fold_revision(session.revisions, event)
        case LessonsWritten():
            session.lessons = event.points
        case SnapshotTaken():
            session.snapshots.append((event.file, event.sha256))
        case MarketRecorded():
            session.market_files.append((event.file, event.rows, event.sha256))
        case _:
            pass


def _reconcile(session: Session, event: ReconRun | BreakAnswered | ReconSigned, ts_us: int) -> None:
    if isinstance(event, ReconRun):
        session.recon = ReconState(
            run_id=event.run_id,
            report=event.report,
            sha256=event.report_sha256,
            compared=dict(event.compared),
            breaks=dict(event.breaks),
            at_us=ts_us,
        )
        return
    recon = session.recon
    if recon is None or recon.run_id != event.run_id:
        return
    if isinstance(event, BreakAnswered):
        recon.answers[event.break_id] = event.answer
        if event.grant_id:
            recon.granted.add(event.break_id)
    elif event.report_sha256 == recon.sha256:
        recon.signatures[event.role] = event.signature


def _pack(session: Session, event: PackWritten | PackSigned | PackSealed) -> None:
    pack = session.pack
    if pack is not None and pack.stage == "sealed":
        return
    if isinstance(event, PackWritten):
        session.pack = PackState("written", event.folder, event.tagmanifest_sha256)
        return
    if pack is None or event.tagmanifest_sha256 != pack.tagmanifest_sha256:
        return
    if isinstance(event, PackSigned):
        pack.signed_by[event.role] = event.fingerprint
    else:
        pack.stage, pack.folder = "sealed", event.folder
