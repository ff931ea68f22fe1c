"""A revision of a sealed pack: what both people say later of lessons or incidents, beside it.

The pack itself is never touched again. A revision is a bag of its own, `<pack>.r1`, `.r2` and so
on, that names the sha256 of the tag manifest it follows, says who asked for it and why, and carries
the new text whole. Both people of the session sign its tag manifest in a namespace of its own; the
signed head in it says when in the journal's life it was made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from engine.contracts.canonical import canonical, sha256_hex, strict_loads
from engine.contracts.documents import DOMAIN, Namespace
from engine.contracts.errors import IntegrityError
from engine.contracts.people import Role
from engine.evidence import bag, tree
from engine.evidence.bag_check import DOCUMENT_LIMIT, BagCheck, PackReport, Terms, listed
from engine.evidence.folder import disk_named
from engine.evidence.pack import PackWrittenResult, begin, filled_template
from engine.evidence.text import plain_item, plain_line, stamp
from engine.journal.heads import parse_head

DOCUMENT = "data/revision.json"
LESSONS = "data/reports/lessons.md"
INCIDENTS = "data/reports/incidents.md"
NAMESPACES = {Role.OPERATOR: Namespace.REVISION, Role.REVIEWER: Namespace.REVISION_REVIEW}

_SIGNERS = "data/go/allowed_signers"
_HEAD = "data/audit/head.txt"
_RUN = "data/run_manifest.json"
_VERIFY = "data/VERIFY.md"
_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"(?P<pack>.+)\.r(?P<number>[1-9][0-9]{0,3})")
_TYPE = "peakctl-revision-1"
_PLACES = re.compile(
    r"data/(?:VERIFY\.md|revision\.json|go/allowed_signers|audit/head\.txt(?:\.sig)?"
    r"|reports/(?:incidents|lessons)\.md)"
)
_TERMS = Terms(
    document=DOCUMENT,
    signers=_SIGNERS,
    always=(DOCUMENT, _SIGNERS, _HEAD, f"{_HEAD}.sig", _VERIFY),
    signed=bag.REVISION_SIGNED,
    places=_PLACES,
    namespaces=NAMESPACES,
)


class RevisionInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that goes into a revision. Times in µs UTC; people and log are principals.

    `lessons` replaces the points, `incident` is added to `incidents_before` (the newest text).
    """

    session_id: str
    number: int
    revises: str
    pack_sha256: str
    reason: str
    asked_by: str
    at_us: int
    operator: str
    reviewer: str
    log: str
    allowed_signers: bytes
    head: bytes
    head_signature: str
    lessons: tuple[str, ...] = ()
    incident: str = ""
    incidents_before: bytes = b""


def revision_name(pack: str, number: int) -> str:
    """The folder's name of a pack's revision."""
    return f"{pack}.r{number}"


def revised_name(name: str) -> tuple[str, int] | None:
    """The pack's name and the revision's number; None for a name that is no revision's."""
    match = _NAME.fullmatch(name)
    return (match["pack"], int(match["number"])) if match else None


def write_revision(folder: Path, inputs: RevisionInputs) -> PackWrittenResult:
    """Write `<folder>.partial` for both to sign. Raises as `write_pack`."""
    with disk_named(folder):
        return _write(folder, inputs)


def _write(folder: Path, inputs: RevisionInputs) -> PackWrittenResult:
    writer, aside = begin(folder)
    document = {
        "asked_by": inputs.asked_by,
        "at_us": inputs.at_us,
        "incident": inputs.incident,
        "lessons": list(inputs.lessons),
        "log": inputs.log,
        "number": inputs.number,
        "operator": inputs.operator,
        "pack_sha256": inputs.pack_sha256,
        "reason": inputs.reason,
        "reviewer": inputs.reviewer,
        "revises": inputs.revises,
        "session_id": inputs.session_id,
        "type": _TYPE,
    }
    writer.write(DOCUMENT, canonical(document) + b"\n")
    writer.write(_VERIFY, _verify_text(inputs))
    writer.write(_SIGNERS, inputs.allowed_signers)
    writer.write(_HEAD, inputs.head)
    writer.write(f"{_HEAD}.sig", inputs.head_signature.encode("ascii"))
    if inputs.lessons:
        writer.write(LESSONS, _lessons(inputs))
    if inputs.incident:
        writer.write(INCIDENTS, _incidents(inputs))
    tagmanifest = writer.close(inputs.session_id, inputs.at_us)
    return PackWrittenResult(
        folder_tmp=writer.root,
        tagmanifest_sha256=sha256_hex(tagmanifest),
        tagmanifest_bytes=tagmanifest,
        set_aside=aside,
    )


def verify_revision(
    folder: Path,
    allowed_signers: Path | None,
    revoked: Path | None = None,
    *,
    at_us: int | None = None,
) -> PackReport:
    """Check one sealed revision, and its link to what lies beside it under the names it follows.

    Never raises for what is in the folder; WorkspaceError when ssh-keygen is missing.
    """
    check = _RevisionCheck(folder, allowed_signers, revoked, at_us, _TERMS)
    return check.run(
        (
            ("the revision says what it changes, why, and what it follows", check.document),
            ("it follows the pack or the revision that lies beside it", check.follows),
        )
    )


class _RevisionCheck(BagCheck):
    """One run over one revision."""

    def document(self) -> None:
        said = self.json(DOCUMENT)
        number, revises = said.get("number"), str(said.get("revises", ""))
        self.need(said.get("type") == _TYPE, DOCUMENT, "is not a revision's document")
        self.need(isinstance(number, int) and number >= 1, DOCUMENT, "has no number")
        for field in ("revises", "pack_sha256"):
            self.need(
                _HASH.fullmatch(str(said.get(field, ""))) is not None, DOCUMENT, f"has no {field}"
            )
        self.need(bool(said.get("reason")), DOCUMENT, "gives no reason")
        self.need(
            (number == 1) == (revises == said.get("pack_sha256")),
            DOCUMENT,
            "the first revision follows the pack, and no other does",
        )
        own = sha256_hex(self.read(bag.TAGMANIFEST_NAME))
        self.need(own not in {revises, said.get("pack_sha256")}, DOCUMENT, "follows itself")
        changed = {LESSONS: bool(said.get("lessons")), INCIDENTS: bool(said.get("incident"))}
        self.need(any(changed.values()), DOCUMENT, "changes nothing")
        for name, there in changed.items():
            self.need((name in self.payload) == there, name, "and revision.json do not agree")
        keys = {self.signed_by.get(self.principal(role)) for role in Role}
        self.need(len(keys) == 2, DOCUMENT, "one person or key signed for both")
        self.signed(str(said.get("log", "")), Namespace.HEAD, _HEAD, f"{_HEAD}.sig")
        parse_head(self.read(_HEAD).decode("ascii", "replace"), _HEAD)

    def follows(self) -> None:
        named = revised_name(self.folder.name.removesuffix(".partial"))
        if named is None:
            raise IntegrityError(what="has not the name of a revision", where=self.folder.name)
        said = self.json(DOCUMENT)
        pack, number = named
        self.need(said.get("number") == number, DOCUMENT, "has another number than its folder")
        before = pack if number == 1 else revision_name(pack, number - 1)
        for name, field in ((pack, "pack_sha256"), (before, "revises")):
            try:
                beside = tree.read_regular(
                    self.folder.with_name(name), bag.TAGMANIFEST_NAME, DOCUMENT_LIMIT
                )
            except IntegrityError:
                self.fault(DOCUMENT, f"follows {name}, which does not lie beside it")
                continue
            self.need(
                sha256_hex(beside) == said.get(field),
                DOCUMENT,
                f"does not follow the {name} that lies beside it",
            )
        self._same_people(self.folder.with_name(pack), said)

    def _same_people(self, pack: Path, said: dict[str, Any]) -> None:
        """A revision is of the pack's own session, by its own two people, later in one journal."""
        run = strict_loads(listed(pack, _RUN) or b"{}", _RUN)
        fields = ("session_id", "operator", "reviewer")
        for field in fields:
            fine = isinstance(run, dict) and run.get(field) == said.get(field)
            self.need(fine, DOCUMENT, f"names another {field} than the pack")
        before = parse_head((listed(pack, _HEAD) or b"").decode("ascii", "replace"), _HEAD)
        now = parse_head(self.read(_HEAD).decode("ascii", "replace"), _HEAD)
        fine = now == before or (now.origin == before.origin and now.size > before.size)
        self.need(fine, _HEAD, "is no head of the pack's own journal, or an earlier one")


def _lessons(inputs: RevisionInputs) -> bytes:
    points = [f"{number}. {plain_item(one)}" for number, one in enumerate(inputs.lessons, 1)]
    head = f"# Lessons learned of session {plain_line(inputs.session_id)}"
    return ("\n".join([head, "", *points, "", *_told(inputs)]) + "\n").encode("utf-8")


def _incidents(inputs: RevisionInputs) -> bytes:
    added = [
        f"## Added by revision {inputs.number}",
        "",
        f"- {plain_item(inputs.incident)}",
        "",
        *_told(inputs),
    ]
    before = inputs.incidents_before.decode("utf-8", "replace").rstrip("\n")
    return ("\n".join([before, "", *added]) + "\n").encode("utf-8")


def _told(inputs: RevisionInputs) -> list[str]:
    asked = f"Revision {inputs.number}, {stamp(inputs.at_us)}, by {plain_line(inputs.asked_by)}"
    return [
        f"{asked}: {plain_line(inputs.reason)}",
        f"It follows the tag manifest with sha256 {inputs.revises}.",
    ]


def _verify_text(inputs: RevisionInputs) -> bytes:
    values = {
        "SESSION": inputs.session_id,
        "NUMBER": str(inputs.number),
        "OPERATOR": inputs.operator,
        "REVIEWER": inputs.reviewer,
        "LOG": inputs.log,
        "REVISES": inputs.revises,
        "DOMAIN": DOMAIN,
        "PLACES": _PLACES.pattern,
    }
    return filled_template("verify_revision_template.md", values)
