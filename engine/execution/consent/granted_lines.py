"""What the journal's own lines say that two people have granted, and whether their signatures hold.

A fold believes events, and a checkpoint is a fold that somebody wrote down. Here the lines
themselves are read, those alone that speak of dual control and of what rests on it, and each grant
is asked for both signatures by both verifiers, at the moment at which it was given. What limits and
ladder would be with the grants that hold is laid out anew: a start compares (`upheld`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError, PeakError
from engine.contracts.event import (
    DualGranted,
    DualRequested,
    DualSigned,
    DualWithdrawn,
    LadderStepped,
    LimitLoosened,
    LimitTightened,
    OrphanAdopted,
    Recorded,
)
from engine.contracts.money import to_text
from engine.contracts.people import Role
from engine.governance.dual_document import DualContent, namespace_of, parse_dual
from engine.governance.ladder import DOWN, TROUBLES, UP
from engine.governance.people import Roster
from engine.journal.chain import decode_line
from engine.risk.standing import is_limit, tighter_than
from engine.signatures.check import Checker

#: Quotes inside of texts are escaped in a line, so this stands nowhere but in its place.
_LINES = re.compile(rb',"kind":"(?:dual\.|limit\.|ladder\.|orphan\.adopted")')
#: The journal's time never goes back, so it may be ahead of a clock that was set back.
_BEHIND_US, _AHEAD_US = 60_000_000, 3_600_000_000


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """One grant as the lines have it; `at_us` the journal's time of it, µs UTC."""

    request_id: str
    said: DualContent
    document: str
    sha256: str
    signatures: Mapping[Role, str]
    at_us: int

    @property
    def purpose(self) -> Purpose:
        """What it is a grant of."""
        return Purpose(self.said.purpose)


class GrantedLines:
    """The grants of a journal, and the limits and steps that rest on those that hold."""

    def __init__(self, segments: Sequence[Path], roster: Roster, checker: Checker) -> None:
        """Reads the lines. Raises OSError, IntegrityError."""
        self._roster = roster
        self._checker = checker
        self._why: dict[str, str] = {}
        self.grants: dict[str, Granted] = {}
        self._limits: list[tuple[LimitTightened | LimitLoosened, Granted | None]] = []
        #: every adoption of a stranger's order
        self.adopted: list[OrphanAdopted] = []
        self._steps: list[tuple[LadderStepped, Granted | None]] = []
        self._read(segments)

    def _read(self, segments: Sequence[Path]) -> None:
        asked: dict[str, DualRequested] = {}
        signed: dict[str, dict[Role, str]] = {}
        spent: set[str] = set()
        for recorded in _told(segments):
            match recorded.event:
                case DualRequested() as event:
                    asked.setdefault(event.request_id, event)
                case DualSigned() as event if event.role in set(Role):
                    signed.setdefault(event.request_id, {})[Role(event.role)] = event.signature
                case DualGranted(request_id=name) if name in asked:
                    made = _granted(asked.pop(name), signed.get(name, {}), recorded.ts_us)
                    if made is not None:
                        self.grants.setdefault(made.sha256, made)
                case DualWithdrawn(request_id=request_id):
                    asked.pop(request_id, None)
                case _:
                    self._rests(recorded, spent)

    def _rests(self, recorded: Recorded, spent: set[str]) -> None:
        """What rests on a grant, or tightens; a grant carries one act."""
        match recorded.event:
            case LimitTightened() as event:
                self._limits.append((event, None))
            case LimitLoosened(document_sha256=sha256) as event if sha256 not in spent:
                spent.add(sha256)
                self._limits.append((event, self.grants.get(sha256)))
            case LadderStepped(document_sha256=sha256) as event:
                up = event.cause == UP and sha256 not in spent
                spent.update([sha256] if up else ())
                self._steps.append((event, self.grants.get(sha256) if up else None))
            case OrphanAdopted() as event:
                self.adopted.append(event)
            case _:
                pass

    def why_not(self, grant: Granted | None, purpose: Purpose) -> str:
        """Why two people have not granted this; "" when both signatures hold."""
        if grant is None or grant.purpose is not purpose:
            return "nothing in the journal grants it"
        if grant.sha256 not in self._why:
            self._why[grant.sha256] = self._why_not_signed(grant)
        return self._why[grant.sha256]

    def _why_not_signed(self, grant: Granted) -> str:
        said, at_us = grant.said, grant.at_us
        if not said.issued_at - _BEHIND_US <= at_us <= said.expires_at + _AHEAD_US:
            return "it was granted at a time that the document does not allow"
        try:
            return why_unsigned(
                said, grant.document, grant.signatures, at_us, self._roster, self._checker
            )
        except PeakError as error:
            return error.line()

    def why_not_named(
        self, purpose: Purpose, subject: Mapping[str, str], also: str | None = None
    ) -> str:
        """Why no grant of a purpose that holds says all of this of its subject; "" when one does.

        `also`: a field that the subject has, whatever it says.
        """
        why = self.why_not(None, purpose)
        for one in reversed(self.grants.values()):
            said = one.said.subject
            fits = all(said.get(name) == value for name, value in subject.items())
            if one.purpose is purpose and fits and (also is None or also in said):
                why = self.why_not(one, purpose)
                if not why:
                    return ""
        return why

    def limits(self) -> dict[str, tuple[Decimal, str]]:
        """Each tightened limit as it must be, and why a loosening did not count ("": none)."""
        found: dict[str, tuple[Decimal, str]] = {}
        for name in sorted({event.name for event, _ in self._limits}):
            value, why = self._limit(name)
            if value is not None:
                found[name] = value, why
        return found

    def _limit(self, name: str) -> tuple[Decimal | None, str]:
        """From the newest loosening that holds on: what lies before it is over."""
        rows = [
            (event, grant)
            for event, grant in self._limits
            if event.name == name and is_limit(name, event.after)
        ]
        value: Decimal | None = None
        refused, start = "", 0
        for place in range(len(rows) - 1, -1, -1):
            event, grant = rows[place]
            if not isinstance(event, LimitLoosened):
                continue
            why = self._why_not_loosened(event, grant)
            if not why:
                value, start = event.after, place + 1
                break
            refused = refused or why
        for event, _ in rows[start:]:
            if isinstance(event, LimitTightened) and (
                value is None or tighter_than(name, event.after, value)
            ):
                value = event.after
        return value, refused

    def _why_not_loosened(self, event: LimitLoosened, grant: Granted | None) -> str:
        said = {} if grant is None else grant.said.subject
        if (said.get("name"), said.get("value")) != (event.name, to_text(event.after)):
            return "no grant is about this value"
        return self.why_not(grant, Purpose.LOOSEN)

    def step(self, environment: str) -> tuple[int, str]:
        """The highest step that the grants which hold allow, and why another did not count."""
        here, refused = 0, ""
        for event, grant in self._steps:
            if event.environment != environment:
                continue
            if event.cause == UP:
                why = self._why_not_up(event, grant)
                refused = why or refused
                if not why and (event.before, event.after) == (here, here + 1):
                    here = event.after
            elif event.cause in TROUBLES or event.cause == DOWN:
                here = event.after if 0 <= event.after < here else here
        return here, refused

    def _why_not_up(self, event: LadderStepped, grant: Granted | None) -> str:
        said = {} if grant is None else grant.said.subject
        if (said.get("environment"), said.get("step")) != (event.environment, event.step):
            return "no grant is about this step"
        return self.why_not(grant, Purpose.STEP_UP)


def why_unsigned(
    said: DualContent,
    document: str,
    signatures: Mapping[Role, str],
    at_us: int,
    roster: Roster,
    checker: Checker,
) -> str:
    """Why the document's two people have not signed it; "" when both did. Raises ConfigError."""
    purpose = Purpose(said.purpose)
    for role in Role:
        signer = said.signer(role)
        who = roster.by_id(signer.person)
        if who is None or (who.role, who.principal) != (role, signer.principal):
            return f"{signer.person!r} is no {role} of the roster"
        verdict = checker.check(
            who.principal,
            namespace_of(purpose, role),
            document.encode("utf-8", "replace"),
            signatures.get(role, ""),
            at_us=at_us,
        )
        if not verdict.ok:
            return f"signature of {signer.person}: {verdict.reason}"
        if verdict.fingerprint != who.fingerprint:
            return f"signature of {signer.person}: not with the key that the roster has"
    return ""


def _told(segments: Sequence[Path]) -> Iterator[Recorded]:
    for path in segments:
        content = path.read_bytes()
        for found in _LINES.finditer(content):
            begin = content.rfind(b"\n", 0, found.start()) + 1
            end = content.find(b"\n", found.start()) + 1
            yield decode_line(content[begin:end], str(path))[0]


def _granted(asked: DualRequested, signed: Mapping[Role, str], at_us: int) -> Granted | None:
    document = asked.document.encode("utf-8", "replace")
    try:
        said = parse_dual(document)
    except InputError:
        return None
    if sha256_hex(document) != asked.document_sha256 or said.request_id != asked.request_id:
        return None
    return Granted(
        request_id=asked.request_id,
        said=said,
        document=asked.document,
        sha256=asked.document_sha256,
        signatures=dict(signed),
        at_us=at_us,
    )
