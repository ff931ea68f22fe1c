"""Judging a pack: the checks of its VERIFY.md and some more, by a reader that trusts nothing in it.

On top of what any bag must be (`bag_check`): signatures (strict parser and ssh-keygen must agree),
the documents against each other, the journal from its first line to its signed head, and the
documents, reports and tables against the journal.

Who signed is only as sure as `allowed_signers`: given from outside the pack it is the desk's word,
taken from the pack it is the pack's own, which the report says as a note.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from engine.contracts.canonical import sha256_hex, strict_loads
from engine.contracts.documents import SIGNED_REPORTS, Namespace
from engine.contracts.errors import IntegrityError
from engine.contracts.event import (
    GoDecided,
    GoRequested,
    MarketRecorded,
    PackPrepared,
    ReconRun,
    SnapshotTaken,
)
from engine.contracts.people import Role
from engine.evidence import bag, tree
from engine.evidence.bag_check import BagCheck, Finding, PackReport, Terms
from engine.evidence.grants import GrantCheck
from engine.evidence.prepare import BOUND, UNBOUND
from engine.evidence.told import Told
from engine.journal.chain import Link, walk
from engine.journal.heads import Head, parse_head
from engine.signatures.sshsig import parse, verify_strict

__all__ = ["Finding", "PackReport", "verify_pack"]

_GO = "data/go/go.json"
_COSIGN = "data/go/cosign.json"
_ROSTER = "data/go/roster.json"
_SIGNERS = "data/go/allowed_signers"
_RUN = "data/run_manifest.json"
_LOG = "data/audit/log.jsonl"
_HEAD = "data/audit/head.txt"
_HEADS = "data/audit/heads.jsonl"
_RECON = "data/reports/recon.json"
_CONFIG = "data/config/effective.json"
_SNAPSHOT = "data/config_snapshot.json"
_CHECKLIST = "data/go/checklist.json"

_ALWAYS = (
    "data/VERIFY.md",
    _RUN,
    _SNAPSHOT,
    _ROSTER,
    _SIGNERS,
    _CONFIG,
    _LOG,
    _HEAD,
    f"{_HEAD}.sig",
    _HEADS,
    _RECON,
    f"{_RECON}.op.sig",
    f"{_RECON}.rev.sig",
    *(
        f"data/reports/{name}"
        for name in (
            "alerts.jsonl",
            "checklist.json",
            "equity.csv",
            "execution.jsonl",
            "incidents.md",
            "lessons.md",
            "metrics.json",
            "recon.md",
            "report.html",
            "runlog.md",
            "trades.csv",
        )
    ),
)
_APPROVAL = (_GO, f"{_GO}.sig", _COSIGN, f"{_COSIGN}.sig", _CHECKLIST)

#: What go.json binds by hash: field -> file.
_BOUND = (
    ("config_sha256", _CONFIG),
    ("roster_sha256", _ROSTER),
    ("checklist_sha256", _CHECKLIST),
)

_TERMS = Terms(
    document=_RUN,
    signers=_SIGNERS,
    always=_ALWAYS,
    signed=bag.PACK_SIGNED,
    places=bag.PACK_PLACES,
)


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
    return _PackCheck(folder, allowed_signers, revoked, at_us, _TERMS).verified()


class _PackCheck(BagCheck):
    """One run over one pack."""

    _go: dict[str, Any] | None = None

    def verified(self) -> PackReport:
        return self.run(
            (
                ("all signatures, by two verifiers", self._signatures),
                (
                    "approval, people, config, roster and checklist belong together",
                    self._documents,
                ),
                ("the journal is whole from its first line to its signed head", self._journal),
            )
        )

    def _signatures(self) -> None:
        operator, reviewer = self.principal(Role.OPERATOR), self.principal(Role.REVIEWER)
        log = str(self.json(_RUN).get("log", ""))
        for document, namespaces in SIGNED_REPORTS.items():
            for role in Role:
                name = bag.signature_name(document, role)
                self.signed(self.principal(role), namespaces[role], document, name)
        if _GO in self.payload:
            self.signed(operator, Namespace.GO, _GO, f"{_GO}.sig")
            self.signed(reviewer, Namespace.COSIGN, _COSIGN, f"{_COSIGN}.sig")
        self.signed(operator, Namespace.RECON, _RECON, f"{_RECON}.op.sig")
        self.signed(reviewer, Namespace.RECON_REVIEW, _RECON, f"{_RECON}.rev.sig")
        self.signed(log, Namespace.HEAD, _HEAD, f"{_HEAD}.sig")

    def _documents(self) -> None:
        run = self.json(_RUN)
        operator, reviewer = str(run.get("operator", "")), str(run.get("reviewer", ""))
        roster = self.json(_ROSTER)
        rows = roster.get("people")
        people = {
            str(row.get("principal")): row
            for row in (rows if isinstance(rows, list) else ())
            if isinstance(row, dict)
        }
        self.need(
            roster.get("allowed_signers_sha256") in ("", sha256_hex(self.read(_SIGNERS))),
            _ROSTER,
            "is not about this allowed_signers",
        )
        for principal, role in ((operator, "operator"), (reviewer, "reviewer")):
            row = people.get(principal, {})
            self.need(row.get("role") == role, _ROSTER, f"{principal} is not a {role} in it")
            signed_by = self.signed_by.get(principal)
            self.need(
                signed_by is None or row.get("fingerprint") == signed_by,
                _ROSTER,
                f"names another key for {principal} than the one that signed",
            )
        GrantCheck(self).signatures(people)
        keys = {self.signed_by.get(one) for one in (operator, reviewer)}
        self.need(len(keys) == 2, _RUN, "one person or key signed for both")
        if _GO in self.payload:
            self._approval(operator, reviewer)
        self.need(
            self.payload[_SNAPSHOT] == self.payload[_CONFIG], _SNAPSHOT, f"differs from {_CONFIG}"
        )

    def _approval(self, operator: str, reviewer: str) -> None:
        for name in _APPROVAL:
            self.need(name in self.payload, name, "is missing")
        go, cosign = self.json(_GO), self.json(_COSIGN)
        self._go = go
        self.need(go.get("session") == self.session_id, _GO, "is of another session")
        self.need(
            cosign.get("go_sha256") == sha256_hex(self.read(_GO))
            and cosign.get("decision") == "GO"
            and cosign.get("session") == self.session_id,
            _COSIGN,
            "does not approve this go.json",
        )
        for role, principal in (("operator", operator), ("reviewer", reviewer)):
            party = go.get(role)
            self.need(
                isinstance(party, dict)
                and party.get("principal") == principal
                and party.get("fingerprint") == self.signed_by.get(principal),
                _GO,
                f"names another {role} than the one who signed",
            )
        for field, name in _BOUND:
            with self.naming(name):
                self.need(
                    go.get(field) == sha256_hex(self.read(name)),
                    name,
                    "is not the one that go.json approves",
                )

    def _journal(self) -> None:
        head = parse_head(self.read(_HEAD).decode("ascii", "replace"), _HEAD)
        heads = self._heads(head)
        named = (self._go or {}).get("prev_head")
        before = named if isinstance(named, dict) else {}
        told = Told(self.session_id, (*(one.size for one in heads), before.get("size")))
        with self.naming(""):
            walked = walk(told.watch(tree.lines_of(self.folder, _LOG)), Link(), _LOG)
            self.need(not walked.tail, _LOG, "does not end with a whole line")
            self.need(
                (walked.link.size, walked.link.head) == (head.size, head.hash),
                _HEAD,
                "is not the head of data/audit/log.jsonl",
            )
        for one in heads:
            self.need(
                told.hash_at.get(one.size) == one.hash,
                _HEADS,
                f"the head of {one.size} events is not in this journal",
            )
        self._run(head, told)
        self._agrees(told)
        self._approved(told, before)
        GrantCheck(self).told(told)
        self._prepared(told)

    def _heads(self, last: Head) -> list[Head]:
        """The session's heads: each signed with the key that signed the last, in order."""
        armoured = self.read(f"{_HEAD}.sig").decode("ascii", "replace")
        key = parse(armoured).public_key_blob
        heads: list[Head] = []
        for number, line in enumerate(self.read(_HEADS).splitlines(keepends=True), 1):
            with self.naming(_HEADS):
                row = strict_loads(line, _HEADS)
                if not isinstance(row, dict) or set(row) != {"signature", "text"}:
                    raise IntegrityError(what=f"line {number} is no signed head")
                text = str(row["text"])
                verify_strict(str(row["signature"]), text.encode(), Namespace.HEAD, key)
                heads.append(parse_head(text, _HEADS))
        sizes = [one.size for one in heads]
        fine = sizes == sorted(set(sizes)) and {one.origin for one in heads} == {last.origin}
        self.need(fine, _HEADS, "is not the heads of one journal in their order")
        self.need(heads[-1:] == [last], _HEADS, "does not end with head.txt")
        return heads

    def _run(self, head: Head, told: Told) -> None:
        """The run's manifest says of the others what they are."""
        run = self.json(_RUN)
        expected: dict[str, object] = {
            "approved": _GO in self.payload,
            "config_sha256": self.payload[_CONFIG],
            "journal_head": head.hash,
            "journal_size": head.size,
            "started_us": told.started_us,
            "type": "peakctl-run-1",
        }
        for field, value in expected.items():
            fine = run.get(field) == value and isinstance(run.get(field), type(value))
            self.need(fine, _RUN, f"says something else of {field}")

    def _agrees(self, told: Told) -> None:
        side = {
            f"data/market/{PurePosixPath(one.file).name}": one.sha256
            for one in told.of(MarketRecorded)
        } | {
            f"data/snapshots/{PurePosixPath(one.file).name}": one.sha256
            for one in told.of(SnapshotTaken)
        }
        for name, digest in side.items():
            self._carries(name, digest)
        for name in sorted(set(self.payload) - set(side)):
            if name.startswith(("data/market/", "data/snapshots/")):
                self.fault(name, "is not named by the journal")
        reports = [run.report.encode() for run in told.of(ReconRun)]
        self.need(
            reports[-1:] == [self.read(_RECON)],
            _RECON,
            "is not the last reconciliation in the journal",
        )

    def _approved(self, told: Told, before: dict[str, Any]) -> None:
        cosigns = {one.cosign.encode() for one in told.of(GoDecided) if one.decision == "GO"}
        if self._go is None:
            self.need(not cosigns, _GO, "is missing: the journal has a GO for this session")
            return
        packets = {one.packet.encode() for one in told.of(GoRequested)}
        self.need(self.read(_GO) in packets, _GO, "is not the packet in the journal")
        self.need(self.read(_COSIGN) in cosigns, _COSIGN, "is not the decision in the journal")
        size = before.get("size")
        self.need(
            isinstance(size, int) and before.get("sha256") == told.hash_at.get(size),
            _GO,
            "names a journal head that is not in this journal",
        )

    def _prepared(self, told: Told) -> None:
        """Reports and tables are those that the journal names, and count what it holds."""
        found = told.of(PackPrepared)[-1:]
        if not found:
            self.fault(_LOG, "does not name this pack's files")
            return
        named = found[0].files
        for name in sorted(named):
            self._carries(name, named[name])
        for name in sorted(set(self.payload) - set(named) - UNBOUND):
            if name.startswith(BOUND):
                self.fault(name, "is not named by the journal")
        for table, count in (("orders", told.orders), ("fills", told.fills)):
            rows = found[0].rows.get(table)
            what = f"has {rows} rows, the journal {count} {table}"
            self.need(rows == count, f"data/tables/{table}.parquet", what)

    def _carries(self, name: str, digest: str) -> None:
        self.need(
            self.payload.get(name) == digest,
            name,
            "is missing or is not the file that the journal names",
        )
