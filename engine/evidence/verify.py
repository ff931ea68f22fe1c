"""Judging a pack: the checks of its VERIFY.md and some more, by a reader that trusts nothing in it.

Promises: never follows a link, never opens what is not a plain file, never writes; one changed byte
anywhere is a no that names the file; a doubt is a no (I12). Order: the tree, the manifests, hashes,
signatures (strict parser and ssh-keygen must agree), the documents against each other, the journal
from its first line to its signed head, and the documents against the journal. A tree or manifest
that is not as it must be ends the check there: what follows would read files nobody listed.

Who signed is only as sure as `allowed_signers`: given from outside the pack it is the desk's word,
taken from the pack it is the pack's own, which the report says as a note.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from engine.contracts.canonical import sha256_hex, strict_loads
from engine.contracts.documents import Namespace
from engine.contracts.errors import IntegrityError, PeakError
from engine.contracts.event import (
    GoDecided,
    GoRequested,
    MarketRecorded,
    ReconRun,
    Recorded,
    SnapshotTaken,
)
from engine.evidence import bag, tree
from engine.journal.chain import Link, check_form, decode_line, walk
from engine.journal.heads import parse_head
from engine.signatures.check import Checker

_GO = "data/go/go.json"
_COSIGN = "data/go/cosign.json"
_ROSTER = "data/go/roster.json"
_SIGNERS = "data/go/allowed_signers"
_RUN = "data/run_manifest.json"
_LOG = "data/audit/log.jsonl"
_HEAD = "data/audit/head.txt"
_RECON = "data/reports/recon.json"
_CONFIG = "data/config/effective.json"
_CHECKLIST = "data/go/checklist.json"

_ALWAYS = (
    "data/VERIFY.md",
    _RUN,
    _ROSTER,
    _SIGNERS,
    _CONFIG,
    _LOG,
    _HEAD,
    f"{_HEAD}.sig",
    _RECON,
    f"{_RECON}.op.sig",
    f"{_RECON}.rev.sig",
)
_APPROVAL = (_GO, f"{_GO}.sig", _COSIGN, f"{_COSIGN}.sig", _CHECKLIST)

#: What go.json binds by hash: field -> file.
_BOUND = (
    ("config_sha256", _CONFIG),
    ("roster_sha256", _ROSTER),
    ("checklist_sha256", _CHECKLIST),
)

#: No document of a pack is larger; journal, market data and reports are streamed.
_DOCUMENT_LIMIT = 16 << 20


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing about one file. `level` is `error`, or `note` for what is no fault."""

    file: str
    what: str
    level: str = "error"


class PackReport(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: `ok` without any finding of level error; `checks` are the checks that held."""

    ok: bool
    session_id: str
    findings: tuple[Finding, ...]
    checks: tuple[str, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make it a no."""
        return tuple(one for one in self.findings if one.level == "error")


def verify_pack(
    folder: Path,
    allowed_signers: Path | None,
    revoked: Path | None = None,
    *,
    at_us: int | None = None,
) -> PackReport:
    """Check one sealed pack. `at_us` (µs UTC, default now) is when the keys must be valid.

    Never raises for what is in the folder; WorkspaceError when ssh-keygen is missing.
    """
    check = _Verification(folder, allowed_signers, revoked, at_us)
    check.run()
    return PackReport(
        ok=not any(one.level == "error" for one in check.findings),
        session_id=check.session_id,
        findings=tuple(check.findings),
        checks=tuple(check.held),
    )


class _Verification:
    """One run over one folder; the steps fill `findings` and `held`."""

    def __init__(
        self, folder: Path, allowed_signers: Path | None, revoked: Path | None, at_us: int | None
    ) -> None:
        self._folder = folder
        self._at_us = at_us
        self._own_signers = allowed_signers is None
        self._checker = Checker(allowed_signers or folder / _SIGNERS, revoked)
        self._files: dict[str, int] = {}
        self._payload: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._go: dict[str, Any] | None = None
        self._signed_by: dict[str, str] = {}
        self.session_id = ""
        self.findings: list[Finding] = []
        self.held: list[str] = []

    def run(self) -> None:
        for name, step in (
            ("only plain files with plain names", self._tree),
            ("exactly the files that the manifests list", self._manifests),
        ):
            if not self._step(name, step):
                return
        for name, step in (
            ("every file has the hash in its manifest", self._hashes),
            ("bag texts agree with the payload", self._bag_texts),
            ("all signatures, by two verifiers", self._signatures),
            ("approval, people, config, roster and checklist belong together", self._documents),
            ("the journal is whole from its first line to its signed head", self._journal),
        ):
            self._step(name, step)

    def _step(self, name: str, step: Any) -> bool:
        before = len(self.findings)
        with self._naming(""):
            step()
        fine = not any(one.level == "error" for one in self.findings[before:])
        if fine:
            self.held.append(name)
        return fine

    @contextmanager
    def _naming(self, file: str) -> Iterator[None]:
        """Turn whatever our own rooms refuse into a finding about `file` (or where it says)."""
        try:
            yield
        except (PeakError, OSError, ValueError, RecursionError) as error:
            what = error.what if isinstance(error, PeakError) else str(error)
            where = error.where if isinstance(error, PeakError) else ""
            self._fault(file or where or str(self._folder), what)

    def _fault(self, file: str, what: str) -> None:
        self.findings.append(Finding(file=file, what=what))

    def _need(self, holds: bool, file: str, what: str) -> None:  # noqa: FBT001  (the condition)
        if not holds:
            self._fault(file, what)

    def _read(self, name: str) -> bytes:
        return tree.read_regular(self._folder, name, _DOCUMENT_LIMIT)

    def _json(self, name: str) -> dict[str, Any]:
        parsed = strict_loads(self._read(name), name)
        if not isinstance(parsed, dict):
            raise IntegrityError(what="is not a JSON object", where=name)
        return parsed

    # --- the steps ------------------------------------------------------------------------------

    def _tree(self) -> None:
        found = tree.scan(self._folder)
        self._files = found.files
        for name, what in found.faults:
            self._fault(name, what)
        folded: set[str] = set()
        for name in sorted(found.files):
            if not bag.legal_name(name):
                self._fault(tree.shown(name), "has a name that has no place in a pack")
            elif not name.startswith("data/") and name not in bag.TOP_NAMES:
                self._fault(name, "does not belong beside data/")
            if name.casefold() in folded:
                self._fault(tree.shown(name), "differs from another name only by case")
            folded.add(name.casefold())
        for name in sorted(bag.TOP_NAMES - set(found.files)):
            self._fault(name, "is missing")

    def _manifests(self) -> None:
        with self._naming(bag.TAGMANIFEST_NAME):
            raw = self._read(bag.TAGMANIFEST_NAME)
            self._tags = bag.parse_manifest(raw, bag.TAGMANIFEST_NAME)
            if set(self._tags) != set(bag.TAGGED_NAMES):
                self._fault(bag.TAGMANIFEST_NAME, "does not list exactly the three tag files")
        with self._naming(bag.MANIFEST_NAME):
            raw = self._read(bag.MANIFEST_NAME)
            self._payload = bag.parse_manifest(raw, bag.MANIFEST_NAME)
        present = {name for name in self._files if name.startswith("data/")}
        for name in sorted(self._payload):
            if not name.startswith("data/"):
                self._fault(bag.MANIFEST_NAME, f"lists {name}, which is outside data/")
            elif name not in present:
                self._fault(name, "is listed in the manifest but missing")
                self._fault(bag.MANIFEST_NAME, f"lists {name}, which is missing")
        for name in sorted(present - set(self._payload)):
            self._fault(name, "is not listed in the manifest")
        for name in _ALWAYS:
            self._need(name in self._payload, name, "is missing")

    def _hashes(self) -> None:
        for name, expected in (*self._tags.items(), *self._payload.items()):
            with self._naming(name):
                if tree.sha256_regular(self._folder, name) != expected:
                    self._fault(name, "was changed: its sha256 is not the one in the manifest")

    def _bag_texts(self) -> None:
        self._need(self._read(bag.BAGIT_NAME) == bag.BAGIT, bag.BAGIT_NAME, "is not BagIt 1.0")
        info = bag.parse_info(self._read(bag.INFO_NAME), bag.INFO_NAME)
        size = sum(self._files[name] for name in self._payload)
        self._need(
            info.get("Payload-Oxum") == f"{size}.{len(self._payload)}",
            bag.INFO_NAME,
            "counts other files than there are",
        )
        run = self._json(_RUN)
        self.session_id = str(run.get("session_id", ""))
        self._need(
            info.get("External-Identifier") == self.session_id != "",
            _RUN,
            "and bag-info.txt name different sessions",
        )

    def _signatures(self) -> None:
        run = self._json(_RUN)
        operator, reviewer, log = (str(run.get(key, "")) for key in ("operator", "reviewer", "log"))
        if self._own_signers:
            self.findings.append(
                Finding(
                    file=_SIGNERS,
                    what="who signed rests on the pack's own copy; give the desk's file to be sure",
                    level="note",
                )
            )
        top = bag.TAGMANIFEST_NAME
        both = [
            self._signed(operator, Namespace.PACK, top, bag.OPERATOR_SIGNATURE_NAME),
            self._signed(reviewer, Namespace.PACK_REVIEW, top, bag.REVIEWER_SIGNATURE_NAME),
        ]
        if not any(both):
            self._fault(top, "has neither person's signature: it was changed after signing")
        if _GO in self._payload:
            self._signed(operator, Namespace.GO, _GO, f"{_GO}.sig")
            self._signed(reviewer, Namespace.COSIGN, _COSIGN, f"{_COSIGN}.sig")
        self._signed(operator, Namespace.RECON, _RECON, f"{_RECON}.op.sig")
        self._signed(reviewer, Namespace.RECON_REVIEW, _RECON, f"{_RECON}.rev.sig")
        self._signed(log, Namespace.HEAD, _HEAD, f"{_HEAD}.sig")

    def _signed(self, principal: str, namespace: Namespace, document: str, signature: str) -> bool:
        with self._naming(signature):
            verdict = self._checker.check(
                principal,
                namespace.value,
                self._read(document),
                self._read(signature).decode("ascii", "replace"),
                at_us=self._at_us,
            )
            if verdict.ok:
                self._signed_by[principal] = verdict.fingerprint
                return True
            self._fault(
                signature,
                f"is not a good signature of {tree.shown(principal)} over {document}:"
                f" {verdict.reason}",
            )
        return False

    def _documents(self) -> None:
        run = self._json(_RUN)
        operator, reviewer = str(run.get("operator", "")), str(run.get("reviewer", ""))
        roster = self._json(_ROSTER)
        rows = roster.get("people")
        people = {
            str(row.get("principal")): row
            for row in (rows if isinstance(rows, list) else ())
            if isinstance(row, dict)
        }
        self._need(
            roster.get("allowed_signers_sha256") in ("", sha256_hex(self._read(_SIGNERS))),
            _ROSTER,
            "is not about this allowed_signers",
        )
        for principal, role in ((operator, "operator"), (reviewer, "reviewer")):
            row = people.get(principal, {})
            self._need(row.get("role") == role, _ROSTER, f"{principal} is not a {role} in it")
            signed_by = self._signed_by.get(principal)
            self._need(
                signed_by is None or row.get("fingerprint") == signed_by,
                _ROSTER,
                f"names another key for {principal} than the one that signed",
            )
        keys = {self._signed_by.get(one) for one in (operator, reviewer)}
        self._need(len(keys) == 2, _RUN, "one person or key signed for both")
        if _GO in self._payload:
            self._approval(operator, reviewer)

    def _approval(self, operator: str, reviewer: str) -> None:
        for name in _APPROVAL:
            self._need(name in self._payload, name, "is missing")
        go, cosign = self._json(_GO), self._json(_COSIGN)
        self._go = go
        self._need(go.get("session") == self.session_id, _GO, "is of another session")
        self._need(
            cosign.get("go_sha256") == sha256_hex(self._read(_GO))
            and cosign.get("decision") == "GO"
            and cosign.get("session") == self.session_id,
            _COSIGN,
            "does not approve this go.json",
        )
        for role, principal in (("operator", operator), ("reviewer", reviewer)):
            party = go.get(role)
            self._need(
                isinstance(party, dict)
                and party.get("principal") == principal
                and party.get("fingerprint") == self._signed_by.get(principal),
                _GO,
                f"names another {role} than the one who signed",
            )
        for field, name in _BOUND:
            with self._naming(name):
                self._need(
                    go.get(field) == sha256_hex(self._read(name)),
                    name,
                    "is not the one that go.json approves",
                )

    def _journal(self) -> None:
        head = parse_head(self._read(_HEAD).decode("ascii", "replace"), _HEAD)
        named = (self._go or {}).get("prev_head")
        before = named if isinstance(named, dict) else {}
        witness = _Witness(self.session_id, before.get("size"))
        with self._naming(""):
            walked = walk(witness.watch(tree.lines_of(self._folder, _LOG)), Link(), _LOG)
            self._need(not walked.tail, _LOG, "does not end with a whole line")
            self._need(
                (walked.link.size, walked.link.head) == (head.size, head.hash),
                _HEAD,
                "is not the head of data/audit/log.jsonl",
            )
        self._agrees(witness, before)

    def _agrees(self, witness: _Witness, before: dict[str, Any]) -> None:
        go_bytes = self._read(_GO).decode("ascii", "replace") if self._go is not None else ""
        packets, cosigns, reports = set(), set(), [""]
        for record in witness.records:
            match record.event:
                case GoRequested(packet=packet):
                    packets.add(packet)
                case GoDecided(decision="GO", cosign=cosign):
                    cosigns.add(cosign)
                case ReconRun(report=report):
                    reports.append(report)
                case MarketRecorded(file=file, sha256=digest):
                    self._carries(f"data/market/{PurePosixPath(file).name}", digest)
                case SnapshotTaken(file=file, sha256=digest):
                    self._carries(f"data/snapshots/{PurePosixPath(file).name}", digest)
        self._need(
            reports[-1].encode() == self._read(_RECON),
            _RECON,
            "is not the last reconciliation in the journal",
        )
        if self._go is None:
            self._need(not cosigns, _GO, "is missing: the journal has a GO for this session")
            return
        self._need(go_bytes in packets, _GO, "is not the packet in the journal")
        self._need(
            self._read(_COSIGN).decode("ascii", "replace") in cosigns,
            _COSIGN,
            "is not the decision in the journal",
        )
        self._need(
            before.get("sha256") == witness.head_before,
            _GO,
            "names a journal head that is not in this journal",
        )

    def _carries(self, name: str, digest: str) -> None:
        self._need(
            self._payload.get(name) == digest,
            name,
            "is missing or is not the file that the journal names",
        )


class _Witness:
    """Watches the lines go by: keeps the records of one session and one earlier head."""

    def __init__(self, session_id: str, before_size: object) -> None:
        self._mark = session_id.encode("ascii", "replace")
        self._before_size = before_size
        self._session_id = session_id
        self.head_before = "0" * 64 if before_size == 0 else ""
        self.records: list[Recorded] = []

    def watch(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        for number, line in enumerate(lines, 1):
            yield line  # the chain is checked first: what is decoded below is part of it
            if number == self._before_size:
                self.head_before = sha256_hex(line)
            if self._mark in line:
                self._keep(line, number)

    def _keep(self, line: bytes, number: int) -> None:
        where = f"{_LOG}:{number}"
        check_form(line, where)
        record, _prev = decode_line(line, where)
        if (
            isinstance(
                record.event, GoRequested | GoDecided | ReconRun | MarketRecorded | SnapshotTaken
            )
            and record.event.session_id == self._session_id
        ):
            self.records.append(record)
