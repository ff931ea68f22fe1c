"""The long reports: told line by line, spooled, the same bytes whichever way they are made."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

from engine.contracts.canonical import sha256_hex
from engine.evidence.folder import BagWriter
from engine.evidence.reports import build_reports, of_session, short_reports, tell
from engine.evidence.spool import Spool, digest_of
from engine.evidence.telling import LONG
from engine.journal.chain import decode_parts

#: Of the orders in `conftest.order_events`, at `conftest.START_US`: what was written once must be
#: written so for ever, or a pack made again would not be the one that was signed.
PINNED = {
    "execution.jsonl": "88940233c2f96af6d20dfc71e9893e594a9653a6baa865312220148d318bc5cd",
    "trades.csv": "56b1a791d03f3e74fae45a6d9ab1e0c68f933ed119d24a531f1e6a66c88ef70a",
    "equity.csv": "9856b170c1b3bebaa497babc55dfa622f42a0251d2714abddb8d6d4ef20099a7",
}


def test_the_journals_own_bytes_and_the_decoded_events_tell_the_same(
    world: Any, story: Any
) -> None:
    told = ((record, data) for record, _, data in (decode_parts(x, "x") for x in world.chain.lines))
    files = {name: BytesIO() for name in LONG}
    telling = tell(of_session(told, story.SESSION), files)
    reports = {name: file.getvalue() for name, file in files.items()} | short_reports(telling)
    assert reports == build_reports(world.chain.records, story.SESSION)


def test_the_same_orders_give_the_same_bytes_for_ever(story: Any) -> None:
    chain = story.Chain()
    for event in story.order_events():
        chain.add(event)
    reports = build_reports(chain.records, story.SESSION)
    assert {name: sha256_hex(reports[name]) for name in PINNED} == PINNED


def test_orders_are_told_and_forgotten(world: Any, story: Any) -> None:
    files = {name: BytesIO() for name in LONG}
    told = ((record, b"{}") for record in world.chain.records)
    kept = tell(of_session(told, story.SESSION), files).kept
    kinds = {type(record.event).__name__ for record in kept}
    assert "SessionChartered" in kinds
    assert not {"OrderIntended", "OrderFilled", "OrderCanceled"} & kinds


def test_a_spool_is_hashed_on_the_way_and_leaves_nothing(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    spool = Spool(tmp_path)
    for at in range(0, len(content), 70_001):
        spool.write(content[at : at + 70_001])
    assert (spool.size, digest_of(spool)) == (len(content), sha256_hex(content))
    assert not list(tmp_path.iterdir()), "it has no name that a crash could leave behind"
    writer = BagWriter(tmp_path / "bag")
    writer.put("data/long", spool)
    writer.put("data/short", b"short")
    assert (tmp_path / "bag" / "data" / "long").read_bytes() == content
    assert (tmp_path / "bag" / "data" / "short").read_bytes() == b"short"
    manifest = writer.close("s", 0)
    assert sha256_hex((tmp_path / "bag" / "manifest-sha256.txt").read_bytes()) in manifest.decode()
