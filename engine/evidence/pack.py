"""Writing the evidence pack: a BagIt 1.0 folder that coreutils and OpenSSH can check.

Promises: the same inputs give the same bytes (so the same tag manifest); the folder carries its
final name only when it is complete, signed by both people and on the disk (everything is written
to `<name>.partial`, files and folders are fsynced, then one rename); nothing outside the folder is
changed, and what an interrupted writing left is moved aside under a name of its own, never removed.
The pack carries the whole journal from seq 0 up to its signed head, so that the chain can be
checked without us.

    bagit.txt bag-info.txt manifest-sha256.txt tagmanifest-sha256.txt{,.op.sig,.rev.sig}
    runlog.md{.op.sig,.rev.sig} incidents.md{.op.sig,.rev.sig}
    data/VERIFY.md  data/run_manifest.json  data/config_snapshot.json
    data/go/       go.json{,.sig} cosign.json{,.sig} allowed_signers roster.json checklist.json
    data/config/   effective.json  inputs/...
    data/audit/    log.jsonl head.txt head.txt.sig heads.jsonl
    data/reports/  recon.json{,.op.sig,.rev.sig} and the files of engine.evidence.reports
    data/tables/   *.parquet      data/market/   *.parquet      data/snapshots/ *.json

The signatures of the tag manifest, the runlog and the incidents lie at the top, in no manifest: the
tag manifest is complete before anybody signs, and each person signs all three at once.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.documents import DOMAIN
from engine.contracts.errors import InputError, IntegrityError, WorkspaceError
from engine.contracts.people import Role
from engine.evidence import bag
from engine.evidence.folder import BagWriter, disk_named, sync_folder, write_new
from engine.evidence.grants import GrantFiles, grant_documents
from engine.evidence.spool import Content, digest_of
from engine.journal.heads import parse_head

_CHUNK = 1 << 20
_PARTIAL = ".partial"
_INTERRUPTED = ".interrupted-"


class ApprovalFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The go/no-go as signed: exact document bytes and armoured signatures."""

    go: bytes
    go_signature: str
    cosign: bytes
    cosign_signature: str


class ReconFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The reconciliation report as signed by both."""

    report: bytes
    operator_signature: str
    reviewer_signature: str


class PackInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that goes into a pack. Times in µs UTC.

    `operator`, `reviewer` and `log` are principals of `allowed_signers`. `journal_segments` are the
    journal's files in order; as many lines as `head` says are copied; `heads` are the session's
    signed heads, one JSON line each, and `first_seq` is where the session begins;
    `counts` are its events by kind; `named` are hashes that the journal names, by name in the pack.
    Keys of
    `config_inputs`, `reports`, `snapshots`, `market` and `tables` are file names inside their
    folder. `approval` is None
    only for a session that was killed before anyone approved it; `checklist` is the document that
    go.json binds by hash. `run` is free text about the run
    (version, code hash, python, seeds) without secrets.
    """

    session_id: str
    started_us: int
    operator: str
    reviewer: str
    log: str
    allowed_signers: bytes
    roster: bytes
    config: bytes
    journal_segments: tuple[Path, ...]
    head: bytes
    head_signature: str
    recon: ReconFiles
    reports: dict[str, Content]
    run: dict[str, str]
    approval: ApprovalFiles | None = None
    grants: tuple[GrantFiles, ...] = ()
    checklist: bytes | None = None
    config_inputs: dict[str, bytes] = {}
    snapshots: dict[str, Path] = {}
    market: dict[str, Path] = {}
    tables: dict[str, Path] = {}
    heads: bytes = b""
    first_seq: int = 0
    counts: dict[str, int] = {}
    named: dict[str, str] = {}


class PackWrittenResult(msgspec.Struct, frozen=True, kw_only=True):
    """A written, not yet signed pack: its `.partial` folder and the bytes that both people sign.

    `set_aside` is where the leftover of an interrupted writing went, None when there was none.
    """

    folder_tmp: Path
    tagmanifest_sha256: str
    tagmanifest_bytes: bytes
    set_aside: Path | None = None


def folder_name(started_us: int, session_id: str) -> str:
    """The sealed name, `YYYYMMDD_HHMMSS_<session id>`, by the session's start in UTC."""
    start = datetime.fromtimestamp(started_us // 1_000_000, UTC)
    return f"{start:%Y%m%d_%H%M%S}_{session_id}"


def write_pack(folder: Path, inputs: PackInputs) -> PackWrittenResult:
    """Write `<folder>.partial`, fsynced and read-only; a leftover of an earlier try moves aside.

    Raises WorkspaceError if `folder` exists or the disk takes no more, InputError for names that
    have no place in a pack, and IntegrityError if the journal does not reach the head or a file is
    not the one that it names: that shows before anybody signs.
    """
    _check_inputs(inputs)
    with disk_named(folder):
        return _write(folder, inputs)


def _write(folder: Path, inputs: PackInputs) -> PackWrittenResult:
    writer, aside = begin(folder)
    for name, content in _documents(inputs):
        writer.put(f"data/{name}", content)
    for name, source in (
        *((f"market/{name}", path) for name, path in inputs.market.items()),
        *((f"snapshots/{name}", path) for name, path in inputs.snapshots.items()),
        *((f"tables/{name}", path) for name, path in inputs.tables.items()),
    ):
        writer.copy(f"data/{name}", source, inputs.named.get(f"data/{name}"))
    _copy_journal(writer, inputs)
    tagmanifest = writer.close(inputs.session_id, inputs.started_us)
    return PackWrittenResult(
        folder_tmp=writer.root,
        tagmanifest_sha256=sha256_hex(tagmanifest),
        tagmanifest_bytes=tagmanifest,
        set_aside=aside,
    )


def begin(folder: Path) -> tuple[BagWriter, Path | None]:
    """A writer of `<folder>.partial`, and where a leftover of that name went.

    Raises WorkspaceError if `folder` exists, or if what stands in the way is no folder.
    """
    if folder.exists() or folder.is_symlink():
        raise WorkspaceError(what="a pack with this name exists", where=str(folder))
    partial = partial_of(folder)
    aside = _set_aside(partial)
    return BagWriter(partial), aside


def leftovers(sessions: Path) -> tuple[Path, ...]:
    """Folders of packs that are not sealed: being signed, interrupted, or moved aside."""
    if not sessions.is_dir():
        return ()
    return tuple(sorted(path for path in sessions.iterdir() if is_leftover(path.name)))


def is_leftover(name: str) -> bool:
    """Whether a folder of this name is no sealed pack."""
    return name.endswith(_PARTIAL) or _INTERRUPTED in name


def add_signature(
    folder: Path, role: Role, armored: str, document: str = bag.TAGMANIFEST_NAME
) -> Path:
    """Put one person's signature of a document at the top; a second one replaces the first.

    `folder` is the final or the `.partial` name, `document` the tag manifest or one of
    `documents.SIGNED_REPORTS`. The caller has verified the signature.
    """
    partial = partial_of(folder)
    if not (partial / bag.TAGMANIFEST_NAME).is_file():
        raise WorkspaceError(what="there is no written pack to sign", where=str(partial))
    target = partial / bag.signature_name(document, role)
    target.unlink(missing_ok=True)
    write_new(target, armored.encode("ascii"))
    sync_folder(partial)
    return target


def standing(folder: Path) -> Path:
    """Where a written pack lies: under its `.partial` name, or finished under its final one.

    A crash may come between `finish` and the record of it: then the pack is finished, with both
    signatures, and nobody has said so yet.
    """
    partial = partial_of(folder)
    final = final_of(partial)
    return final if final.is_dir() and not partial.exists() else partial


def finish(folder: Path, signed: Iterable[str] = bag.PACK_SIGNED) -> Path:
    """Give a bag with both signatures of each document its final name, atomically.

    Returns that name; one that has it already keeps it.
    """
    partial = partial_of(folder)
    final = final_of(partial)
    if standing(folder) == final and not final.is_symlink():
        return final
    for document, role in itertools.product(signed, Role):
        if not (partial / bag.signature_name(document, role)).is_file():
            raise WorkspaceError(
                what=f"the {role}'s signature is missing",
                where=f"{partial}: {document}",
                todo="sign first",
            )
    if final.exists() or final.is_symlink():
        raise WorkspaceError(what="a pack with this name exists", where=str(final))
    partial.rename(final)
    sync_folder(final.parent)
    return final


def named_by_chain(inputs: PackInputs) -> dict[str, str]:
    """Hash of each file that is complete before the head is signed, by its name in the pack."""
    return {f"data/{name}": digest_of(content) for name, content in _before_head(inputs)}


def verify_text(inputs: PackInputs) -> bytes:
    """VERIFY.md for this pack: the template with its principals and session id."""
    values = {
        "SESSION": inputs.session_id,
        "OPERATOR": inputs.operator,
        "REVIEWER": inputs.reviewer,
        "LOG": inputs.log,
        "DOMAIN": DOMAIN,
        "FOLDER": folder_name(inputs.started_us, inputs.session_id),
        "PLACES": bag.PACK_PLACES.pattern,
    }
    return filled_template("verify_template.md", values)


def filled_template(name: str, values: Mapping[str, str]) -> bytes:
    """A text on how to verify, with its values and the check of the tree that all have alike."""
    texts = files("engine.evidence")
    tree = texts.joinpath("verify_tree_template.md").read_text("utf-8").rstrip("\n")
    marked = {**values, "TREE": tree}
    marks = re.compile(f"@({'|'.join(marked)})@")
    template = texts.joinpath(name).read_text("utf-8")
    return marks.sub(lambda mark: marked[mark[1]], template).encode("utf-8")


def _check_inputs(inputs: PackInputs) -> None:
    for principal in (inputs.operator, inputs.reviewer, inputs.log):
        if not bag.legal_principal(principal):
            raise InputError(
                what=f"principal {principal!r} has characters outside A-Z a-z 0-9 . _ : @ + -",
                where="allowed_signers",
            )
    if not bag.legal_name(inputs.session_id):
        raise InputError(what=f"session id {inputs.session_id!r} is not usable", where="session")
    for group in (
        inputs.config_inputs,
        inputs.reports,
        inputs.snapshots,
        inputs.market,
        inputs.tables,
    ):
        for name in group:
            if not bag.legal_name(name):
                raise InputError(what=f"file name {name!r} has no place in a pack", where="pack")


def _documents(inputs: PackInputs) -> Iterator[tuple[str, Content]]:
    head = parse_head(inputs.head.decode("ascii", "replace"), "head")
    run = {
        **inputs.run,
        "type": "peakctl-run-1",
        "session_id": inputs.session_id,
        "started_us": inputs.started_us,
        "operator": inputs.operator,
        "reviewer": inputs.reviewer,
        "log": inputs.log,
        "approved": inputs.approval is not None,
        "config_sha256": sha256_hex(inputs.config),
        "journal_size": head.size,
        "journal_head": head.hash,
    }
    yield "run_manifest.json", canonical(run) + b"\n"
    if inputs.approval is not None:
        yield "go/go.json", inputs.approval.go
        yield "go/go.json.sig", inputs.approval.go_signature.encode("ascii")
        yield "go/cosign.json", inputs.approval.cosign
        yield "go/cosign.json.sig", inputs.approval.cosign_signature.encode("ascii")
    yield from grant_documents(inputs.grants)
    yield "audit/head.txt", inputs.head
    yield "audit/head.txt.sig", inputs.head_signature.encode("ascii")
    yield "audit/heads.jsonl", inputs.heads
    yield "reports/recon.json", inputs.recon.report
    yield "reports/recon.json.op.sig", inputs.recon.operator_signature.encode("ascii")
    yield "reports/recon.json.rev.sig", inputs.recon.reviewer_signature.encode("ascii")
    yield from _before_head(inputs)


def _before_head(inputs: PackInputs) -> Iterator[tuple[str, Content]]:
    """What the chain names: it must not depend on the head that follows."""
    yield "VERIFY.md", verify_text(inputs)
    if inputs.checklist is not None:
        yield "go/checklist.json", inputs.checklist
    yield "go/allowed_signers", inputs.allowed_signers
    yield "go/roster.json", inputs.roster
    yield "config_snapshot.json", inputs.config
    yield "config/effective.json", inputs.config
    for name, content in inputs.config_inputs.items():
        yield f"config/inputs/{name}", content
    for name, report in inputs.reports.items():
        yield f"reports/{name}", report


def _copy_journal(writer: BagWriter, inputs: PackInputs) -> None:
    head = parse_head(inputs.head.decode("ascii", "replace"), "head")
    last = b""

    def lines() -> Iterator[bytes]:
        nonlocal last
        left = head.size
        for segment in inputs.journal_segments:
            with segment.open("rb", buffering=_CHUNK) as handle:
                for line in handle:
                    if left == 0:
                        return
                    left -= 1
                    last = line
                    yield line
        if left:
            raise IntegrityError(
                what=f"the journal ends {left} lines before its head", where="journal"
            )

    writer.stream("data/audit/log.jsonl", lines())
    if sha256_hex(last) != head.hash:
        raise IntegrityError(
            what=f"line {head.size} does not have the hash of the signed head", where="journal"
        )


def partial_of(folder: Path) -> Path:
    """The name that a bag has until it is sealed."""
    if folder.name.endswith(_PARTIAL):
        return folder
    return folder.with_name(f"{folder.name}{_PARTIAL}")


def final_of(partial: Path) -> Path:
    """The name that it gets."""
    return partial.with_name(partial.name.removesuffix(_PARTIAL))


def _set_aside(partial: Path) -> Path | None:
    """Move what an interrupted try left to a name of its own: it may hold somebody's signature."""
    if partial.is_symlink() or partial.is_file():
        raise WorkspaceError(
            what="something that is no folder stands where the pack is written",
            where=str(partial),
            todo="move it away",
        )
    if not partial.is_dir():
        return None
    final = final_of(partial)
    aside = next(
        candidate
        for number in itertools.count(1)
        if not os.path.lexists(candidate := final.with_name(f"{final.name}{_INTERRUPTED}{number}"))
    )
    partial.rename(aside)
    sync_folder(aside.parent)
    return aside
