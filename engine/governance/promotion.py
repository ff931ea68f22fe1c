"""The evidence for promotion, computed from the journal and never typed in (I5). A pure fold.

**What counts as a session of evidence.** One that was sealed, and whose journal shows the whole
way there: approved by two people, live, reconciled and signed by both, packed and signed by both.
Each of those signatures must stand under the person whom the charter names and under the key that
the event's actor proves; two people, two keys. Mode, environment and charter are those of the
packet that both signed. An event that claims a seal without all of that changes nothing. And it
must have traded: at least one order that the venue acknowledged and that the reconciliation
compared, because a session in which nothing happened shows nothing.

**What counts as a week.** An ISO week (UTC, Monday to Sunday) with at least one such session in
that mode and environment whose signed reconciliation has no unanswered break. The weeks need not
follow one another. The week is that of the venue's clock, taken from the session's first
acknowledged order, and the journal's own clock and the time of the packet that both signed must be
within a day of it: setting the machine's clock, or another time in the lines, makes no weeks.

**Open breaks** are those, in the last reconciliation of any session, that somebody must answer
(yellow and red) and nobody has. A report that cannot be read is not known, and that blocks.

Evidence is only ever gained, by sealing; nothing here forgets. Each event costs what it touches.
The fold believes what the events say of signatures; `engine.execution.records.evidence_audit`
verifies them again, and only what held there counts.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, datetime
from typing import Any

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import InputError
from engine.contracts.event import (
    BreakAnswered,
    GoDecided,
    GoSigned,
    OrderAcknowledged,
    PackSigned,
    ReconRun,
    ReconSigned,
    Recorded,
    SessionChartered,
    SessionMoved,
)
from engine.contracts.people import Role
from engine.contracts.session import Mode, SessionState
from engine.contracts.standing import EvidenceRow
from engine.governance.locks import (
    MIN_SHADOW_WEEKS,
    MIN_TESTNET_WEEKS,
    REQUIRED_DRILLS,
    Promotion,
)
from engine.governance.packet import charter_sha256, parse_packet
from engine.governance.session import ReconState, Session

DAY_US = 86_400_000_000
#: The least number of orders that the signed reconciliation compared.
MIN_ORDERS = 1

#: ISO year and week.
Week = tuple[int, int]
_SIGNING = (GoSigned, GoDecided, ReconSigned, PackSigned)
#: The kinds that are folded here: all others change nothing.
EVIDENCE = frozenset(
    {
        BreakAnswered,
        OrderAcknowledged,
        ReconRun,
        SessionChartered,
        SessionMoved,
        *_SIGNING,
    }
)


class SealedSession(msgspec.Struct, frozen=True, kw_only=True):
    """One session that counts. `live_seq` is the journal's number of the event that made it live.

    `week` None: no time of the venue, or too far from ours. `clean`: no red break in the signed
    report. `drawdown_bps` is the deepest fall from the peak of equity, None when not known.
    """

    session_id: str
    mode: str
    environment: str
    live_seq: int
    sealed_us: int
    week: Week | None
    clean: bool
    drawdown_bps: int | None


class _Break(msgspec.Struct, frozen=True):
    id: str
    klass: str


class _Report(msgspec.Struct, frozen=True):
    """As much of a reconciliation report as is needed here."""

    breaks: tuple[_Break, ...]
    compared: dict[str, int]


class _Way(msgspec.Struct, kw_only=True):
    """What was seen of a session on its way: signers by act and role, and times."""

    live_seq: int = -1
    live_us: int = 0
    venue_us: int = 0
    #: (act, role) -> (person, key fingerprint, hash of what was signed)
    signed: dict[tuple[str, str], tuple[str, str, str]] = {}


class EvidenceBook:
    """Sealed sessions and unanswered breaks, folded in place. Total."""

    def __init__(self) -> None:
        self.sealed: list[SealedSession] = []
        self._weeks: dict[tuple[str, str], set[Week]] = {}
        self._unanswered: dict[str, int | None] = {}
        self._way = _Way()

    # --- reading ----------------------------------------------------------------------------------

    def weeks(self, mode: Mode, environment: str) -> int:
        """So many weeks have a session that counts."""
        return len(self._weeks.get((mode.value, environment), ()))

    @property
    def open_breaks(self) -> int | None:
        """Breaks that wait for an answer, over all sessions; None when a report is unreadable."""
        counts = self._unanswered.values()
        return None if None in counts else sum(one for one in counts if one is not None)

    def promotion(
        self,
        drills_passed: frozenset[str] | None,
        confirmed_red: int | None,
        sound: Container[str] | None = None,
    ) -> Promotion:
        """What live asks for.

        `confirmed_red` are the red breaks that the running watch has confirmed, None when it could
        not ask. `sound` are the sessions whose signatures were verified again; None while they were
        not, and then the weeks are not known, unless no session claims any.
        """
        open_breaks = self.open_breaks
        known = open_breaks is not None and confirmed_red is not None
        return Promotion(
            shadow_weeks=self._sound_weeks(Mode.SHADOW, sound),
            testnet_weeks=self._sound_weeks(Mode.TESTNET, sound),
            drills_passed=drills_passed,
            open_breaks=(open_breaks or 0) + (confirmed_red or 0) if known else None,
        )

    def _sound_weeks(self, mode: Mode, sound: Container[str] | None) -> int | None:
        """Weeks of a mode in the environment of its name."""
        if sound is None:
            return None if self.sealed else 0
        return len(
            {
                one.week
                for one in self.sealed
                if one.mode == one.environment == mode.value
                if one.week is not None and one.session_id in sound
            }
        )

    # --- folding ----------------------------------------------------------------------------------

    def apply(
        self, recorded: Recorded, session: Session | None, drawdown_bps: int | None = None
    ) -> None:
        """Fold one event that the sessions have folded already.

        `session` is the newest one, `drawdown_bps` the deepest drawdown of it so far.
        """
        event = recorded.event
        if type(event) not in EVIDENCE or session is None:  # most of a journal: leave at once
            return
        match event:
            case OrderAcknowledged():
                self._way.venue_us = self._way.venue_us or event.venue_time_us
            case SessionChartered():
                if event.session_id == session.id:
                    self._way = _Way()
            case ReconRun() | BreakAnswered():
                if event.session_id == session.id and session.recon is not None:
                    self._unanswered[session.id] = _unanswered(session.recon)
            case GoSigned() | GoDecided() | ReconSigned() | PackSigned():
                if event.session_id == session.id:
                    self._sign(event, recorded, session)
            case SessionMoved(session_id=session_id) if session_id == session.id:
                self._move(event, recorded, session, drawdown_bps)
            case _:
                pass

    def _sign(
        self,
        event: GoSigned | GoDecided | ReconSigned | PackSigned,
        recorded: Recorded,
        session: Session,
    ) -> None:
        """Keep a signature whose actor is the charter's person of that role, proven by that key."""
        role, digest = _role_and_digest(event)
        people = {
            Role.OPERATOR.value: session.charter.operator,
            Role.REVIEWER.value: session.charter.reviewer,
        }
        actor = recorded.actor
        proven = event.fingerprint and actor.proof == f"sshsig:{event.fingerprint}"
        if actor.kind == "person" and actor.name == people.get(role) and proven:
            act = type(event).__name__ if not isinstance(event, GoDecided) else GoSigned.__name__
            self._way.signed[act, role] = (actor.name, event.fingerprint, digest)

    def _move(
        self,
        event: SessionMoved,
        recorded: Recorded,
        session: Session,
        drawdown_bps: int | None,
    ) -> None:
        if event.after is not session.state or recorded.ts_us != session.since_us:
            return  # the sessions did not take it
        if event.after is SessionState.LIVE and self._way.live_seq < 0:
            self._way.live_seq, self._way.live_us = recorded.seq, recorded.ts_us
        if event.after is SessionState.SEALED:
            found = _evidence(session, self._way, recorded.ts_us, drawdown_bps)
            if found is not None:
                self.sealed.append(found)
                if found.week is not None:
                    key = (found.mode, found.environment)
                    self._weeks.setdefault(key, set()).add(found.week)


def _role_and_digest(event: GoSigned | GoDecided | ReconSigned | PackSigned) -> tuple[str, str]:
    match event:
        case GoSigned():
            return Role.OPERATOR.value, event.packet_sha256
        case GoDecided():
            return Role.REVIEWER.value, event.packet_sha256
        case ReconSigned():
            return event.role.value, event.report_sha256
        case PackSigned():
            return event.role.value, event.tagmanifest_sha256


def _evidence(
    session: Session, way: _Way, sealed_us: int, drawdown_bps: int | None
) -> SealedSession | None:
    """What the sealed session shows; None when a piece of its story is missing."""
    go, recon, pack = session.go, session.recon, session.pack
    if go.stage != "go" or recon is None or pack is None or pack.stage != "sealed":
        return None
    signed = (
        (GoSigned, go.sha256),
        (ReconSigned, recon.sha256),
        (PackSigned, pack.tagmanifest_sha256),
    )
    if way.live_seq < 0 or not all(_by_two(way, kind.__name__, sha) for kind, sha in signed):
        return None
    packet, report = _packet(session), _report(recon)
    if packet is None or report is None or _unanswered(recon) != 0:
        return None
    if way.venue_us <= 0 or report.compared.get("orders", 0) < MIN_ORDERS:
        return None
    return SealedSession(
        session_id=session.id,
        mode=packet["mode"],
        environment=packet["environment"],
        live_seq=way.live_seq,
        sealed_us=sealed_us,
        week=_week(way, packet["issued_at"]),
        clean=all(one.klass != "red" for one in report.breaks),
        drawdown_bps=drawdown_bps,
    )


def _by_two(way: _Way, act: str, digest: str) -> bool:
    """Whether both roles signed this very text, two people with two keys."""
    pair = [way.signed.get((act, role.value)) for role in (Role.OPERATOR, Role.REVIEWER)]
    found = [one for one in pair if one is not None and one[2] == digest]
    people, keys = {one[0] for one in found}, {one[1] for one in found}
    return len(found) == len(people) == len(keys) == len(Role)


def _packet(session: Session) -> dict[str, Any] | None:
    """The packet that both signed, when it is about this very charter."""
    try:
        packet = parse_packet(session.go.packet.encode("ascii"))
    except (InputError, UnicodeEncodeError):
        return None
    charter = session.charter
    fits = (
        packet["session"] == session.id
        and packet["mode"] == charter.mode.value
        and packet["charter_sha256"] == charter_sha256(charter)
    )
    return packet if fits else None


def _report(recon: ReconState) -> _Report | None:
    """The reconciliation's report, when it is the text that was signed."""
    if sha256_hex(recon.report.encode()) != recon.sha256:
        return None
    try:
        return msgspec.json.decode(recon.report, type=_Report)
    except (msgspec.DecodeError, RecursionError):
        return None


def _unanswered(recon: ReconState) -> int | None:
    """Breaks of the last run that somebody must answer and nobody has; None: not readable."""
    report = _report(recon)
    if report is None:
        return None
    return sum(one.klass != "green" and one.id not in recon.answers for one in report.breaks)


def _week(way: _Way, issued_us: int) -> Week | None:
    """The ISO week of the venue's clock, when two others agree to within a day.

    The journal's own, and the time of the packet, which both people have signed.
    """
    if max(abs(way.venue_us - way.live_us), abs(way.venue_us - issued_us)) > DAY_US:
        return None
    year, week, _day = datetime.fromtimestamp(way.venue_us / 1_000_000, UTC).isocalendar()
    return year, week


def promotion_rows(promotion: Promotion) -> tuple[EvidenceRow, ...]:
    """What live asks for and what there is, for people."""
    passed = promotion.drills_passed
    missing = [name for name in REQUIRED_DRILLS if name not in (passed or ())]
    lacking = f", not: {', '.join(missing)}" if missing else ""
    drills = None if passed is None else len(REQUIRED_DRILLS) - len(missing)
    return (
        _least("shadow_weeks", "weeks of shadow", promotion.shadow_weeks, MIN_SHADOW_WEEKS),
        _least("testnet_weeks", "weeks of testnet", promotion.testnet_weeks, MIN_TESTNET_WEEKS),
        _least("drills", f"drills that count{lacking}", drills, len(REQUIRED_DRILLS)),
        EvidenceRow(
            code="open_breaks",
            text="unanswered breaks",
            have=promotion.open_breaks,
            need=0,
            bound="at most",
            met=promotion.open_breaks == 0,
        ),
    )


def _least(code: str, text: str, have: int | None, need: int) -> EvidenceRow:
    met = have is not None and have >= need
    return EvidenceRow(code=code, text=text, have=have, need=need, bound="at least", met=met)
