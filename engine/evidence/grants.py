"""The acts of dual control in a pack: each granted document with both signatures, and its check.

`data/go/dual/<purpose>-<n>.json` beside `.op.sig` and `.rev.sig`; the purpose is spelt as in its
namespaces (`closebreak`), n counts the session's grants from 1. The document is the journal's exact
text. Checked: two good signatures in the purpose's own namespaces, by the two different people
whom the document names, with the roster's keys and roles; and exactly the grants that the journal
holds for this session, no more and no less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from engine.contracts import event as ev
from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Purpose
from engine.contracts.errors import IntegrityError
from engine.contracts.people import Role
from engine.evidence.bag_check import BagCheck
from engine.evidence.told import Told
from engine.governance.dual import DualContent, namespace_of, parse_dual

FOLDER = "go/dual"
_SUFFIXES = {Role.OPERATOR: ".op.sig", Role.REVIEWER: ".rev.sig"}


class GrantFiles(msgspec.Struct, frozen=True, kw_only=True):
    """One granted act: the exact document and the armoured signature of each role."""

    purpose: str
    document: bytes
    signatures: dict[Role, str]


def grants_of(mine: Sequence[ev.Recorded]) -> tuple[GrantFiles, ...]:
    """The session's grants in their order. Raises IntegrityError for one without its signatures."""
    documents: dict[str, str] = {}
    signed: dict[tuple[str, str], str] = {}
    found: list[GrantFiles] = []
    for record in mine:
        match record.event:
            case ev.DualRequested(document=document, document_sha256=digest):
                documents[digest] = document
            case ev.DualSigned(document_sha256=digest, role=role, signature=signature):
                signed[digest, role] = signature
            case ev.DualGranted(document_sha256=digest, purpose=purpose):
                try:
                    signatures = {role: signed[digest, role.value] for role in Role}
                    text = documents[digest]
                except KeyError as error:
                    raise IntegrityError(
                        what="the journal has a grant without its document and both signatures",
                        where=digest[:12],
                        todo="look at the journal",
                    ) from error
                found.append(
                    GrantFiles(
                        purpose=purpose, document=text.encode("ascii"), signatures=signatures
                    )
                )
    return tuple(found)


def grant_documents(grants: Sequence[GrantFiles]) -> Iterator[tuple[str, bytes]]:
    """Every file of the grants: its name under `data/`, and its bytes."""
    for number, grant in enumerate(grants, 1):
        name = f"{FOLDER}/{grant.purpose.replace('_', '')}-{number}.json"
        yield name, grant.document
        for role, suffix in _SUFFIXES.items():
            yield f"{name}{suffix}", grant.signatures[role].encode("ascii")


class GrantCheck:
    """Checks the grants of one pack."""

    def __init__(self, check: BagCheck) -> None:
        self._check = check
        inside = sorted(name for name in check.payload if name.startswith(f"data/{FOLDER}/"))
        self.names = tuple(name for name in inside if name.endswith(".json"))
        signatures = {f"{name}{suffix}" for name in self.names for suffix in _SUFFIXES.values()}
        self._strange = tuple(sorted({*inside} - {*self.names} - signatures))

    def signatures(self, people: Mapping[str, Mapping[str, Any]]) -> None:
        """Both signatures of each; `people` are the roster's rows by principal."""
        for name in self._strange:
            self._check.fault(name, "belongs to no document")
        for name in self.names:
            with self._check.naming(name):
                said = parse_dual(self._check.read(name))
                for role in Role:
                    self._signed(name, said, role, people)
                keys = {said.operator.fingerprint, said.reviewer.fingerprint}
                persons = {said.operator.person, said.reviewer.person}
                fine = len(keys) == len(persons) == len(Role)
                self._check.need(fine, name, "names one person or key twice")
                self._check.need(
                    said.session == self._check.session_id, name, "is of another session"
                )
                stem = said.purpose.replace("_", "")
                self._check.need(f"/{stem}-" in name, name, f"is about {said.purpose}")

    def _signed(
        self, name: str, said: DualContent, role: Role, people: Mapping[str, Mapping[str, Any]]
    ) -> None:
        who = said.signer(role)
        row = people.get(who.principal, {})
        self._check.need(
            row.get("role") == role.value and row.get("fingerprint") == who.fingerprint,
            name,
            f"names another {role.value} or key than the roster",
        )
        purpose = Purpose(said.purpose)
        signature = f"{name}{_SUFFIXES[role]}"
        if self._check.signed(who.principal, namespace_of(purpose, role), name, signature):
            key = self._check.signed_by.get(who.principal)
            self._check.need(key == who.fingerprint, signature, "is made with another key")

    def told(self, told: Told) -> None:
        """Exactly the grants of the journal."""
        journal = sorted(one.document_sha256 for one in told.of(ev.DualGranted))
        pack = sorted(sha256_hex(self._check.read(name)) for name in self.names)
        self._check.need(
            pack == journal, f"data/{FOLDER}", "does not hold exactly the grants of the journal"
        )
