"""From a journal and its side files to the inputs of a pack.

Takes the signed documents out of the journal (the exact text that was signed) instead of from
anywhere else, and refuses to gather what is not there: a pack is written for a session that is
reconciled and signed by both, with every recording that its journal names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from engine.contracts import event as ev
from engine.contracts.errors import IntegrityError, Refused
from engine.contracts.people import Role
from engine.evidence.grants import grants_of
from engine.evidence.pack import ApprovalFiles, PackInputs, ReconFiles
from engine.evidence.prices import market_prices
from engine.evidence.reports import Told, of_session, short_reports, tell
from engine.evidence.spool import Spool
from engine.evidence.telling import LONG
from engine.journal.chain import decode_parts


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What is not in the journal; fields as in `PackInputs`.

    The folders are where the recordings and snapshots that the journal names are looked for;
    `spool` is where long reports wait for their pack (the system's temporary folder when None).
    """

    operator: str
    reviewer: str
    log: str
    allowed_signers: bytes
    roster: bytes
    config: bytes
    checklist: bytes
    run: dict[str, str]
    journal_segments: tuple[Path, ...] = ()
    head: bytes = b""
    head_signature: str = ""
    config_inputs: tuple[tuple[str, bytes], ...] = ()
    market_folders: tuple[Path, ...] = ()
    snapshot_folders: tuple[Path, ...] = ()
    spool: Path | None = None
    tables: dict[str, Path] = {}


def gather(lines: Iterable[bytes], session_id: str, around: Surroundings) -> PackInputs:
    """Build the inputs of the session's pack.

    `lines` is the journal up to the signed head; it is read once, and of the session only what is
    not an order's is kept. Raises Refused while the reconciliation is not signed by both,
    IntegrityError for a line that cannot be read or a recording that is gone.
    """
    if around.spool is not None:
        around.spool.mkdir(parents=True, exist_ok=True)
    long = {name: Spool(around.spool) for name in LONG}
    telling = tell(of_session(_decoded(lines), session_id), long)
    mine = [one for one in telling.kept if getattr(one.event, "session_id", None) == session_id]
    market, snapshots, named = _named_files(mine, around)
    telling.drawn.prices = market_prices(market.values())
    return PackInputs(
        session_id=session_id,
        started_us=mine[0].ts_us if mine else 0,
        operator=around.operator,
        reviewer=around.reviewer,
        log=around.log,
        allowed_signers=around.allowed_signers,
        roster=around.roster,
        config=around.config,
        journal_segments=around.journal_segments,
        head=around.head,
        head_signature=around.head_signature,
        recon=_recon(mine),
        reports={**long, **short_reports(telling)},
        run=around.run,
        approval=_approval(mine),
        grants=grants_of(mine),
        checklist=around.checklist,
        config_inputs=_flat(around.config_inputs),
        snapshots=snapshots,
        market=market,
        named=named,
        tables=around.tables,
        first_seq=mine[0].seq if mine else 0,
        counts=telling.metrics.counts(),
    )


def _decoded(lines: Iterable[bytes]) -> Iterator[Told]:
    for number, line in enumerate(lines):
        record, _prev, data = decode_parts(line, f"journal, event {number}")
        yield record, data


def _approval(mine: Sequence[ev.Recorded]) -> ApprovalFiles | None:
    """The packet that got its GO last, with both signatures."""
    packets: dict[str, str] = {}
    signatures: dict[str, str] = {}
    approval = None
    for record in mine:
        match record.event:
            case ev.GoRequested(packet=packet, packet_sha256=digest):
                packets[digest] = packet
            case ev.GoSigned(packet_sha256=digest, signature=signature):
                signatures[digest] = signature
            case ev.GoDecided(decision="GO") as decided:
                approval = ApprovalFiles(
                    go=packets[decided.packet_sha256].encode("ascii"),
                    go_signature=signatures[decided.packet_sha256],
                    cosign=decided.cosign.encode("ascii"),
                    cosign_signature=decided.signature,
                )
    return approval


def _recon(mine: Sequence[ev.Recorded]) -> ReconFiles:
    run: ev.ReconRun | None = None
    signatures: dict[Role, str] = {}
    for record in mine:
        match record.event:
            case ev.ReconRun() as found:
                run, signatures = found, {}
            case ev.ReconSigned(role=role, signature=signature):
                signatures[role] = signature
    if run is None or set(signatures) != set(Role):
        raise Refused(
            what="the reconciliation is not signed by both",
            where="pack",
            todo="reconcile and sign first",
            code="RECON_UNSIGNED",
        )
    return ReconFiles(
        report=run.report.encode("ascii"),
        operator_signature=signatures[Role.OPERATOR],
        reviewer_signature=signatures[Role.REVIEWER],
    )


def _named_files(
    mine: Sequence[ev.Recorded], around: Surroundings
) -> tuple[dict[str, Path], dict[str, Path], dict[str, str]]:
    """Recordings and snapshots by file name, and the hash of each by its name in the pack."""
    market: dict[str, Path] = {}
    snapshots: dict[str, Path] = {}
    named: dict[str, str] = {}
    for record in mine:
        match record.event:
            case ev.MarketRecorded(file=file, sha256=digest):
                name = PurePosixPath(file).name
                market[name] = _find(file, around.market_folders)
                named[f"data/market/{name}"] = digest
            case ev.SnapshotTaken(file=file, sha256=digest):
                name = PurePosixPath(file).name
                snapshots[name] = _find(file, around.snapshot_folders)
                named[f"data/snapshots/{name}"] = digest
    return market, snapshots, named


def _find(file: str, folders: Sequence[Path]) -> Path:
    name = PurePosixPath(file).name
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise IntegrityError(
        what="a file that the journal names is gone",
        where=name,
        todo="bring it back from a backup; its hash is in the journal",
    )


def _flat(inputs: Sequence[tuple[str, bytes]]) -> dict[str, bytes]:
    """Input files under plain names: the order number, then the last part of the path."""
    return {
        f"{number:02d}_{PurePosixPath(path).name.lstrip('.')}": content
        for number, (path, content) in enumerate(inputs, 1)
    }
