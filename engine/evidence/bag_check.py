"""Judging a bag, whatever it holds: tree, manifests, hashes, its own texts, who signed.

Promises: never follows a link, never opens what is not a plain file, never writes; one changed byte
anywhere is a no that names the file; a doubt is a no (I12). A tree or manifest that is not as it
must be ends the check there: what follows would read files nobody listed. A file that is larger
than the signed count allows is not read at all, and a bag that changes under our eyes is a no.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from engine.contracts.canonical import sha256_hex, strict_loads
from engine.contracts.documents import Namespace
from engine.contracts.errors import IntegrityError, PeakError
from engine.contracts.people import Role
from engine.evidence import bag, tree
from engine.signatures.check import Checker

#: No document is larger; journal, market data and reports are streamed.
DOCUMENT_LIMIT = 16 << 20
#: Without both signatures nobody vouches for a size: so much is read of one file, and no more.
_UNSIGNED_LIMIT = 4 << 30

_NAMESPACES = {Role.OPERATOR: Namespace.PACK, Role.REVIEWER: Namespace.PACK_REVIEW}

#: A check with its name.
Step = tuple[str, Callable[[], None]]


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


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a sort of bag must have.

    `document` names its session and people; `signers` is its own copy of allowed_signers;
    `signed` are the documents that both sign at the top, `namespaces` those of its tag manifest;
    `places` is what the name of each file under `data/` must be.
    """

    document: str
    signers: str
    always: tuple[str, ...]
    signed: tuple[str, ...]
    places: re.Pattern[str]
    namespaces: dict[Role, Namespace] = msgspec.field(default_factory=_NAMESPACES.copy)


class BagCheck:
    """One run over one folder; the steps fill `findings` and `held`."""

    def __init__(
        self,
        folder: Path,
        allowed_signers: Path | None,
        revoked: Path | None,
        at_us: int | None,
        terms: Terms,
    ) -> None:
        self.folder = folder
        self.terms = terms
        self.checker = Checker(allowed_signers or folder / terms.signers, revoked)
        self.payload: dict[str, str] = {}
        self.signed_by: dict[str, str] = {}
        self.session_id = ""
        self.findings: list[Finding] = []
        self.held: list[str] = []
        self._at_us = at_us
        self._own_signers = allowed_signers is None
        self._scan = tree.TreeScan(files={}, marks={}, faults=())
        self._tags: dict[str, str] = {}
        self._people: dict[Role, str] = {}
        self._vouched = False

    def run(self, steps: Sequence[Step]) -> PackReport:
        """Check the bag, then what it means by `steps`."""
        before: tuple[Step, ...] = (
            ("only plain files with plain names", self._tree),
            ("exactly the files that the manifests list", self._manifests),
        )
        after: tuple[Step, ...] = (
            ("both people signed the lists", self._seal),
            ("every file has the hash in its manifest", self._hashes),
            ("bag texts agree with the payload", self._bag_texts),
            *steps,
            ("nothing changed while it was looked at", self._unchanged),
        )
        if all(self._step(name, step) for name, step in before):
            for name, step in after:
                self._step(name, step)
        return PackReport(
            ok=not any(one.level == "error" for one in self.findings),
            session_id=self.session_id,
            findings=tuple(self.findings),
            checks=tuple(self.held),
        )

    # --- for the steps ----------------------------------------------------------------------------

    def fault(self, file: str, what: str) -> None:
        """Say what is wrong with a file."""
        self.findings.append(Finding(file=file, what=what))

    def need(self, holds: bool, file: str, what: str) -> None:  # noqa: FBT001  (the condition)
        """Say what is wrong with a file unless the condition holds."""
        if not holds:
            self.fault(file, what)

    @contextmanager
    def naming(self, file: str) -> Iterator[None]:
        """Turn whatever our own rooms refuse into a finding about `file` (or where it says)."""
        try:
            yield
        except (PeakError, OSError, ValueError, RecursionError) as error:
            what = error.what if isinstance(error, PeakError) else str(error)
            where = error.where if isinstance(error, PeakError) else ""
            self.fault(file or where or str(self.folder), what)

    def read(self, name: str) -> bytes:
        """One document, whole. Raises IntegrityError."""
        return tree.read_regular(self.folder, name, DOCUMENT_LIMIT)

    def json(self, name: str) -> dict[str, Any]:
        """One JSON object: no key twice, no float, no NaN. Raises InputError, IntegrityError."""
        parsed = strict_loads(self.read(name), name)
        if not isinstance(parsed, dict):
            raise IntegrityError(what="is not a JSON object", where=name)
        return parsed

    def signed(self, principal: str, namespace: Namespace, document: str, signature: str) -> bool:
        """Whether it is a good signature, by two verifiers; a finding when it is not."""
        with self.naming(signature):
            verdict = self.checker.check(
                principal,
                namespace.value,
                tree.read_regular(self.folder, document, _UNSIGNED_LIMIT),
                self.read(signature).decode("ascii", "replace"),
                at_us=self._at_us,
            )
            if verdict.ok:
                self.signed_by[principal] = verdict.fingerprint
                return True
            self.fault(
                signature,
                f"is not a good signature of {tree.shown(principal)} over {document}:"
                f" {verdict.reason}",
            )
        return False

    def principal(self, role: Role) -> str:
        """Who has this role by the bag's own document; "" until it was read."""
        return self._people.get(role, "")

    # --- the steps ------------------------------------------------------------------------------

    def _step(self, name: str, step: Callable[[], None]) -> bool:
        before = len(self.findings)
        with self.naming(""):
            step()
        fine = not any(one.level == "error" for one in self.findings[before:])
        if fine:
            self.held.append(name)
        return fine

    def _tree(self) -> None:
        self._scan = tree.scan(self.folder)
        top = bag.top_names(self.terms.signed)
        for name, what in self._scan.faults:
            self.fault(name, what)
        folded: set[str] = set()
        for name in sorted(self._scan.files):
            if not bag.legal_name(name):
                self.fault(tree.shown(name), "has a name that has no place in a pack")
            elif not name.startswith("data/") and name not in top:
                self.fault(name, "does not belong beside data/")
            elif name.startswith("data/") and not self.terms.places.fullmatch(name):
                self.fault(name, "is where nothing of ours lies")
            if name.casefold() in folded:
                self.fault(tree.shown(name), "differs from another name only by case")
            folded.add(name.casefold())
        for name in sorted(top - set(self._scan.files)):
            self.fault(name, "is missing")

    def _manifests(self) -> None:
        with self.naming(bag.TAGMANIFEST_NAME):
            raw = self.read(bag.TAGMANIFEST_NAME)
            self._tags = bag.parse_manifest(raw, bag.TAGMANIFEST_NAME)
            if set(self._tags) != set(bag.TAGGED_NAMES):
                self.fault(bag.TAGMANIFEST_NAME, "does not list exactly the three tag files")
        with self.naming(bag.MANIFEST_NAME):
            raw = self.read(bag.MANIFEST_NAME)
            self.payload = bag.parse_manifest(raw, bag.MANIFEST_NAME)
        present = {name for name in self._scan.files if name.startswith("data/")}
        for name in sorted(self.payload):
            if not name.startswith("data/"):
                self.fault(bag.MANIFEST_NAME, f"lists {name}, which is outside data/")
            elif name not in present:
                self.fault(name, "is listed in the manifest but missing")
                self.fault(bag.MANIFEST_NAME, f"lists {name}, which is missing")
        for name in sorted(present - set(self.payload)):
            self.fault(name, "is not listed in the manifest")
        for name in self.terms.always:
            self.need(name in self.payload, name, "is missing")

    def _seal(self) -> None:
        if self._own_signers:
            what = "who signed rests on the pack's own copy; give the desk's file to be sure"
            self.findings.append(Finding(file=self.terms.signers, what=what, level="note"))
        document = self.json(self.terms.document)
        self._people = {role: str(document.get(role.value, "")) for role in Role}
        top = bag.TAGMANIFEST_NAME
        good = [
            self.signed(
                self._people[role],
                self.terms.namespaces[role],
                top,
                bag.signature_name(top, role),
            )
            for role in Role
        ]
        if not any(good):
            self.fault(top, "has neither person's signature: it was changed after signing")
        self._vouched = all(good)

    def _hashes(self) -> None:
        limit = self._largest()
        if not self._vouched and sum(self._scan.files.values()) > _UNSIGNED_LIMIT:
            self.fault(str(self.folder), "is too large to be read while nobody vouches for it")
            return
        for name, expected in (*self._tags.items(), *self.payload.items()):
            if self._scan.files[name] > limit:
                self.fault(name, "was changed: it is larger than the whole payload was")
                continue
            with self.naming(name):
                if tree.sha256_regular(self.folder, name) != expected:
                    self.fault(name, "was changed: its sha256 is not the one in the manifest")

    def _largest(self) -> int:
        """No file of an unchanged bag is larger: what bag-info counts, if both signed it."""
        raw = self.read(bag.INFO_NAME)
        try:
            declared = int(bag.parse_info(raw, bag.INFO_NAME)["Payload-Oxum"].partition(".")[0])
        except (IntegrityError, KeyError, ValueError):
            declared = 0
        unchanged = tree.sha256_regular(self.folder, bag.INFO_NAME) == self._tags[bag.INFO_NAME]
        vouched = declared if self._vouched and unchanged else min(declared, _UNSIGNED_LIMIT)
        return max(vouched, DOCUMENT_LIMIT)

    def _bag_texts(self) -> None:
        self.need(self.read(bag.BAGIT_NAME) == bag.BAGIT, bag.BAGIT_NAME, "is not BagIt 1.0")
        info = bag.parse_info(self.read(bag.INFO_NAME), bag.INFO_NAME)
        size = sum(self._scan.files[name] for name in self.payload)
        self.need(
            info.get("Payload-Oxum") == f"{size}.{len(self.payload)}",
            bag.INFO_NAME,
            "counts other files than there are",
        )
        document = self.json(self.terms.document)
        self.session_id = str(document.get("session_id", ""))
        self.need(
            info.get("External-Identifier") == self.session_id != "",
            self.terms.document,
            "and bag-info.txt name different sessions",
        )

    def _unchanged(self) -> None:
        """What was hashed is what was read: no file was replaced between the two."""
        now = tree.scan(self.folder)
        for name in sorted(set(now.marks.items()) ^ set(self._scan.marks.items())):
            self.fault(tree.shown(name[0]), "was changed while it was being checked")


def listed(folder: Path, name: str) -> bytes | None:
    """A document of another bag as that bag's lists have it; None when they do not name it.

    Raises IntegrityError when it is not what they name. Who signed the lists is not asked.
    """

    def read(one: str, digest: str | None) -> bytes:
        raw = tree.read_regular(folder, one, DOCUMENT_LIMIT)
        if digest is not None and sha256_hex(raw) != digest:
            raise IntegrityError(what="is not as its lists have it", where=f"{folder.name}/{one}")
        return raw

    top = bag.TAGMANIFEST_NAME
    tags = bag.parse_manifest(read(top, None), top)
    manifest = read(bag.MANIFEST_NAME, tags.get(bag.MANIFEST_NAME, ""))
    digest = bag.parse_manifest(manifest, bag.MANIFEST_NAME).get(name)
    return None if digest is None else read(name, digest)
