"""DuckDB loses rows without an error when its log or file is hurt: comparing must notice (I7).

Each test takes the files of a store whose process was killed, hurts them, and expects `compare` to
give a reason and `align` to make the store equal the journal again.
"""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.contracts.errors import WorkspaceError
from engine.store import store as store_module
from engine.store.database import wal_path

HERE = Path(__file__).parent


def start_holder(folder: Path) -> subprocess.Popen[bytes]:
    holder = subprocess.Popen(
        [sys.executable, str(HERE / "left_open.py"), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"full\n"
    return holder


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose engine was killed with 20 of 40 events in the file, 20 in the log."""
    folder = tmp_path_factory.mktemp("killed")
    with start_holder(folder) as holder:
        holder.kill()
    assert wal_path(folder / "evidence.duckdb").stat().st_size > 1000
    return folder


@pytest.fixture
def hurt(killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(killed, tmp_path / "workspace"))


def edit(path: Path, sql: str) -> None:
    """Change the closed file as somebody with another DuckDB could."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)


def delete_log(path: Path) -> None:
    wal_path(path).unlink()


def cut_log_to(share: float) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        log = wal_path(path).read_bytes()
        wal_path(path).write_bytes(log[: int(len(log) * share)])

    return cut


def cut_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])


def delete_file(path: Path) -> None:
    path.unlink()


def delete_both(path: Path) -> None:
    path.unlink()
    wal_path(path).unlink()


def overwrite_file(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)


def flip_block_bits(path: Path) -> None:
    """Damage that opening and counting do not see: only reading everything does."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("CHECKPOINT")
    whole = bytearray(path.read_bytes())
    at = whole.rindex(b"first 1")
    whole[at] ^= 1
    path.write_bytes(whole)


HURTS: dict[str, Callable[[Path], None]] = {
    "log deleted": delete_log,
    "log emptied": cut_log_to(0),
    "log cut early": cut_log_to(0.3),
    "log cut in the middle": cut_log_to(0.5),
    "log cut late": cut_log_to(0.97),
    "file deleted": delete_file,
    "file and log deleted": delete_both,
    "file cut": cut_file,
    "file overwritten": overwrite_file,
    "a bit flipped": flip_block_bits,
    "row deleted": lambda path: edit(path, "DELETE FROM events WHERE seq = 7"),
    "last row deleted": lambda path: edit(path, "DELETE FROM events WHERE seq = 40"),
    "text changed": lambda path: edit(
        path, "UPDATE events SET data = replace(data, 'first 3', 'fixed 3') WHERE seq = 3"
    ),
    "name changed": lambda path: edit(path, "UPDATE events SET actor_name = 'bob' WHERE seq = 3"),
    "session changed": lambda path: edit(path, "UPDATE events SET session_id = NULL WHERE seq = 3"),
    "row doubled": lambda path: edit(
        path, "INSERT INTO events SELECT * FROM events WHERE seq = 40"
    ),
    "hash changed": lambda path: edit(
        path, "UPDATE events SET hash = repeat('0', 64) WHERE seq = 40"
    ),
    "table dropped": lambda path: edit(path, "DROP TABLE events CASCADE"),
}


@pytest.mark.parametrize("how", HURTS)
async def test_every_hurt_is_noticed_and_healed_from_the_journal(
    hurt: Path, make_pair: Any, story: Any, how: str
) -> None:
    HURTS[how](hurt / "evidence.duckdb")
    pair = make_pair(hurt)
    store = await pair.open(align=False)

    assert pair.journal.size == 41
    assert await store.compare(pair.journal)
    alignment = await store.align(pair.journal)
    assert alignment.reason
    assert alignment.events == store.size == 41
    assert await store.compare(pair.journal) is None
    fresh = await pair.open(hurt / "fresh.duckdb")
    assert await pair.content(store) == await pair.content(fresh)

    pair.journal.subscribe(store.project)
    await store.flushed(await pair.append([story.note("life goes on")]))
    assert await store.compare(pair.journal) is None
    await pair.close()


async def test_what_comes_while_it_is_made_again_is_in_it(
    hurt: Path, make_pair: Any, story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is gone, and events go on while another is built from the journal as it was."""
    pair = make_pair(hurt)
    store = await pair.open()
    delete_file(hurt / "evidence.duckdb")
    assert store.failed is not None
    loop, build = asyncio.get_running_loop(), store_module.build

    def busy(*asked: Any) -> Any:
        built = build(*asked)
        meanwhile = pair.append([story.note("meanwhile")])
        asyncio.run_coroutine_threadsafe(meanwhile, loop).result(30)
        return built

    monkeypatch.setattr(store_module, "build", busy)
    await store.rebuild(pair.journal)
    await store.flushed(await pair.append([story.note("afterwards")]))
    assert await store.compare(pair.journal) is None
    await pair.close()


async def test_a_killed_store_loses_nothing_and_its_log_is_set_aside(
    hurt: Path, make_pair: Any
) -> None:
    log = wal_path(hurt / "evidence.duckdb").read_bytes()
    pair = make_pair(hurt)
    store = await pair.open(align=False)
    assert await store.compare(pair.journal) is None
    assert (hurt / "evidence.duckdb.wal.aside").read_bytes() == log
    await pair.close()


async def test_an_older_copy_of_the_whole_store_is_noticed(
    hurt: Path, make_pair: Any, story: Any
) -> None:
    pair = make_pair(hurt)
    store = await pair.open()
    await store.close()
    old = (hurt / "evidence.duckdb").read_bytes()
    store = await pair.open()
    await store.flushed(await pair.append([story.note("later")]))
    await store.close()
    (hurt / "evidence.duckdb").write_bytes(old)

    store = await pair.open(align=False)
    assert await store.compare(pair.journal) == "the store has 41 events, the journal 42"
    alignment = await store.align(pair.journal)
    assert (alignment.rebuilt, alignment.events) == (False, 42)
    assert await store.compare(pair.journal) is None
    await pair.close()


async def test_a_store_of_another_history_is_replaced_and_kept(
    hurt: Path, make_pair: Any, story: Any
) -> None:
    shutil.rmtree(hurt / "journal")
    pair = make_pair(hurt)
    await pair.append([story.note(number) for number in range(60)])
    store = await pair.open(align=False)
    assert await store.compare(pair.journal) == "event 0 and what follows are not the journal's"
    assert (await store.align(pair.journal)).rebuilt
    assert await store.compare(pair.journal) is None
    with duckdb.connect(str(hurt / "evidence.duckdb.replaced"), read_only=True) as kept:
        assert kept.execute("SELECT count(*) FROM events").fetchone() == (41,)
    await pair.close()


async def test_a_second_process_is_refused_with_the_pid_of_the_first(
    tmp_path: Path, make_pair: Any
) -> None:
    with start_holder(tmp_path / "held") as holder:
        pair = make_pair(tmp_path / "ours")
        with pytest.raises(WorkspaceError, match=f"pid {holder.pid}"):
            await pair.open(tmp_path / "held" / "evidence.duckdb")
        await pair.close()
        holder.kill()
