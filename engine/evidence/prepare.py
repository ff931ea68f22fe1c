"""What the chain says of a pack's files before the pack is written: each one's hash, by its name.

Reports and tables are made from a beginning of the journal; then `pack.prepared` names them, and
the head that the pack is signed under covers that line. So a report or a table of another session,
or of another moment, has no place in the pack, whoever signs it again. The same holds for what is
read beside them: the config and its files, the lists of people, how to verify. What is not named
there has events of its own, or comes after that line: the head, the heads, the run's manifest.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.contracts.canonical import canonical
from engine.contracts.errors import IntegrityError
from engine.contracts.event import PackPrepared
from engine.journal.heads import SignedHead

#: Events that name their session each, and that a store must not have more or fewer of.
COUNTED = ("order.intended", "order.blocked", "order.filled", "orphan.adopted", "note.added")

#: These are named by the chain, and all files in these folders but for the reconciliation: that has
#: an event and signatures of its own.
BOUND = (
    "data/VERIFY.md",
    "data/config/",
    "data/config_snapshot.json",
    "data/go/allowed_signers",
    "data/go/checklist.json",
    "data/go/roster.json",
    "data/reports/",
    "data/tables/",
)
UNBOUND = frozenset(
    f"data/reports/{name}" for name in ("recon.json", "recon.json.op.sig", "recon.json.rev.sig")
)


def prepared(
    session_id: str,
    events: int,
    named: Mapping[str, str],
    tables: Mapping[str, tuple[str, int]],
) -> PackPrepared:
    """The event: `named` is `pack.named_by_chain`, `tables` are hashes and rows by file name."""
    files = {f"data/tables/{name}": digest for name, (digest, _) in tables.items()}
    files |= named
    return PackPrepared(
        session_id=session_id,
        events=events,
        files=dict(sorted(files.items())),
        rows={name.partition(".")[0]: rows for name, (_, rows) in sorted(tables.items())},
    )


def refuse_other_counts(here: Mapping[str, int], told: Mapping[str, int], where: str) -> None:
    """Hold another record's events by kind against those that the reports were told from.

    Raises IntegrityError naming the kind: one of the two is not the session's.
    """
    for kind in COUNTED:
        if here.get(kind, 0) != told.get(kind, 0):
            raise IntegrityError(
                what=f"has {here.get(kind, 0)} {kind}, the journal {told.get(kind, 0)}",
                where=where,
                todo="restart the engine: it aligns the store with the journal",
            )


def heads_lines(heads: list[SignedHead], first_seq: int, until_size: int) -> bytes:
    """`heads.jsonl`: the last head before the session's first event, and all up to the pack's own.

    One JSON line each, with the text that was signed and the signature over it.
    """
    upto = [one for one in heads if one.head.size <= until_size]
    before = [one for one in upto if one.head.size <= first_seq][-1:]
    within = [one for one in upto if one.head.size > first_seq]
    return b"".join(
        canonical({"signature": one.signature, "text": one.text}) + b"\n"
        for one in (*before, *within)
    )
