"""SQL on a sealed pack: its own rows and nothing else, after the pack was verified."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.contracts.errors import AnswerNo, InputError, IntegrityError, Refused
from engine.evidence import pack_tables
from engine.evidence.pack_tables import ask_pack
from engine.evidence.verify import verify_pack
from engine.store.catalogue import TABLES
from engine.store.export import ExportFailed, ExportOrder, export_tables


@pytest.fixture(scope="module")
def sealed(story: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    world = story.make_world(tmp_path_factory.mktemp("tables"), tables=story.store_tables)
    return world, world.seal()


@pytest.fixture
def copy(sealed: tuple[Any, Path], tmp_path: Path) -> tuple[Any, Path]:
    world, pack = sealed
    made = Path(shutil.copytree(pack, tmp_path / pack.name))
    for one in made.rglob("*"):
        one.chmod(0o755 if one.is_dir() else 0o644)
    return world, made


def test_the_tables_of_a_sealed_pack_answer_and_add_up(sealed: tuple[Any, Path]) -> None:
    world, pack = sealed
    assert verify_pack(pack, world.allowed_signers).findings == ()
    answer = ask_pack(
        pack,
        "SELECT o.state, f.price, f.quantity FROM orders o JOIN fills f USING (client_order_id)",
        world.allowed_signers,
    )
    assert answer.verified
    assert answer.columns == ("state", "price", "quantity")
    assert answer.rows == [("canceled", Decimal("61000.50"), Decimal("0.005"))]
    assert set(answer.tables) >= {one.name for one in TABLES if one.packed}


def test_a_store_made_again_from_the_packs_own_journal_writes_the_same_bytes(
    story: Any, sealed: tuple[Any, Path], tmp_path: Path
) -> None:
    """Anybody can check the tables: from the lines that they were made of, the same files come."""
    _, pack = sealed
    chain = story.Chain()
    chain.lines = (pack / "data/audit/log.jsonl").read_bytes().splitlines(keepends=True)
    story.store_tables(tmp_path, chain)
    sealed_bytes = {one.name: one.read_bytes() for one in (pack / "data/tables").iterdir()}
    again = {one.name: one.read_bytes() for one in (tmp_path / "tables").iterdir()}
    order = ExportOrder(
        segments=(str(pack / "data/audit/log.jsonl"),),
        events=len(chain.lines) - 1,
        session_id=story.SESSION,
        folder=str(tmp_path / "by a child"),
    )
    by_a_child = {one.path.name: one.path.read_bytes() for one in export_tables(order)}
    assert sealed_bytes == again == by_a_child
    assert len(by_a_child) == sum(one.packed for one in TABLES)


def test_an_export_that_fails_says_so_and_where(tmp_path: Path) -> None:
    order = ExportOrder(
        segments=(str(tmp_path / "gone.jsonl"),),
        events=1,
        session_id="s",
        folder=str(tmp_path / "out"),
    )
    with pytest.raises(ExportFailed, match="could not be written"):
        export_tables(order)


def test_each_file_says_the_unit_and_meaning_of_its_columns(sealed: tuple[Any, Path]) -> None:
    _, pack = sealed
    for table in TABLES:
        if table.packed:
            schema = pq.read_schema(pack / "data/tables" / f"{table.name}.parquet")
            said = {
                field.name: (field.metadata[b"unit"].decode(), field.metadata[b"meaning"].decode())
                for field in schema
            }
            assert said == {one.name: (one.unit, one.meaning) for one in table.columns}


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT * FROM read_text('/etc/hostname')", InputError),
        ("SELECT * FROM glob('/etc/*')", InputError),
        ("SELECT * FROM read_text('data/../../people.toml')", InputError),
        ("SELECT * FROM nowhere", InputError),
        ("COPY orders TO '/tmp/orders.csv'", Refused),
        ("SET enable_external_access = true", Refused),
        ("ATTACH '/tmp/x.duckdb'", Refused),
        ("INSTALL httpfs", Refused),
        ("SELECT 1; SELECT 2", Refused),
        ("DROP VIEW orders", Refused),
    ],
)
def test_a_question_reaches_nothing_but_the_pack(
    sealed: tuple[Any, Path], sql: str, error: type[Exception]
) -> None:
    world, pack = sealed
    with pytest.raises(error):
        ask_pack(pack, sql, world.allowed_signers, verify=False)


def test_a_changed_pack_is_not_asked_unless_somebody_insists(copy: tuple[Any, Path]) -> None:
    world, pack = copy
    with (pack / "data/reports/lessons.md").open("a") as file:
        file.write("and more\n")
    with pytest.raises(AnswerNo, match=r"lessons\.md"):
        ask_pack(pack, "SELECT 1", world.allowed_signers)
    assert not ask_pack(pack, "SELECT 1", world.allowed_signers, verify=False).verified


def test_a_table_that_is_replaced_after_the_verification_gives_no_answer(
    copy: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, pack = copy
    real = pack_tables._ask

    def asked_meanwhile(*arguments: Any) -> Any:
        shutil.copyfile(pack / "data/tables/notes.parquet", pack / "data/tables/fills.parquet")
        return real(*arguments)

    monkeypatch.setattr(pack_tables, "_ask", asked_meanwhile)
    with pytest.raises(IntegrityError, match=r"fills\.parquet.*while"):
        ask_pack(pack, "SELECT count(*) FROM fills", world.allowed_signers)


def test_a_link_in_the_pack_leads_nowhere(copy: tuple[Any, Path]) -> None:
    world, pack = copy
    (pack / "data/tables/fills.parquet").unlink()
    (pack / "data/tables/fills.parquet").symlink_to("/etc/hostname")
    with pytest.raises(IntegrityError, match="symbolic link"):
        ask_pack(pack, "SELECT 1", world.allowed_signers, verify=False)


def test_more_rows_than_the_limit_are_named(sealed: tuple[Any, Path]) -> None:
    world, pack = sealed
    found = ask_pack(pack, "SELECT * FROM range(9)", world.allowed_signers, verify=False, limit=3)
    assert (len(found.rows), found.truncated) == (3, True)
