"""Attacks on the records: the journal, its heads and the database, by somebody with the files.

The attacker has the whole workspace while no engine runs, but neither the log key's signature over
something new (unless the attack says so) nor the reviewer's own copy of the heads. Each attack must
be told by `peakctl journal verify`; what an engine would build on must be refused at its start too.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.contracts.canonical import canonical
from engine.contracts.documents import Namespace
from engine.contracts.errors import PeakError
from engine.contracts.event import NoteAdded, SessionChartered
from engine.contracts.people import person
from engine.execution.core import State
from engine.execution.records.checkpoint import restore
from engine.execution.records.frozen import freeze
from engine.execution.records.heads_writer import HeadsWriter
from engine.journal.chain import ZERO_HASH, line_hash
from engine.journal.heads import head_text, refuse_rewritten
from engine.journal.writer import Journal
from engine.signatures.sshsig import generate_log_key, sign_with_key_file
from peakctl.client.replies import HeadText
from peakctl.commands.ledger import verify
from peakctl.founding import init
from peakctl.witness import Witness, log_key_of
from peakctl.workspace import Workspace
from tests.engine.evidence import conftest as evidence
from tests.redteam.conftest import Desk

SIZE = 90
ALICE = person("alice", "peer-uid:1000")


async def _filled(place: Workspace, words: str) -> None:
    """Ninety events in five files, with a signed head every twenty."""
    ticks = itertools.count(1_763_000_000_000_000, 1000)
    journal = Journal.open(
        place.journal, commit_interval_ms=0, segment_lines=20, clock_us=lambda: next(ticks)
    ).journal
    heads = HeadsWriter(journal, place.heads, place.log_key, "peakctl/desk", 1, 1)
    while journal.size < SIZE:
        note = NoteAdded(session_id="abcdefabcdef", text=f"{words} {journal.size}")
        await journal.append(ALICE, [note])
        if journal.size % 20 == 10:
            heads.write()
    heads.write()
    journal.close()


def _made(folder: Path, words: str) -> Workspace:
    place = init(folder, log_principal="log:desk")
    asyncio.run(_filled(place, words))
    return place


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a whole journal. Tests attack copies."""
    return _made(tmp_path_factory.mktemp("kept") / "w", "word")


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Another desk's workspace, as whole as the first."""
    return _made(tmp_path_factory.mktemp("foreign") / "w", "other")


@pytest.fixture
def place(kept: Workspace, tmp_path: Path) -> Workspace:
    """A copy to attack."""
    return Workspace(Path(shutil.copytree(kept.root, tmp_path / "w")))


def told(place: Workspace) -> str:
    """What `journal verify` complains of; fails the test when it says that all is well."""
    with pytest.raises(PeakError) as caught:
        verify(place.root)
    return caught.value.line()


def starts(place: Workspace) -> str:
    """How an engine's start ends on these records: "" when it would go on with them."""
    try:
        opened = Journal.open(
            place.journal, commit_interval_ms=0, segment_lines=20, clock_us=lambda: 0
        ).journal
    except PeakError as error:
        return error.line()
    try:
        refuse_rewritten(opened, place.heads)
    except PeakError as error:
        return error.line()
    finally:
        opened.close()
    return ""


def test_what_nobody_touched_is_good(place: Workspace) -> None:
    assert verify(place.root) == 0
    assert starts(place) == ""


def segment(place: Workspace, number: int = 2) -> Path:
    return place.journal / f"{number:06d}.jsonl"


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def change(path: Path, how: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(how(lines_of(path))))


def rechained(place: Workspace, how: Callable[[list[bytes]], list[bytes]]) -> None:
    """A history of the attacker's own: changed in one file, then chained again to the very end.

    Every file names the new sha256 of the one before. Only the signed heads still know.
    """
    head, seq, previous = ZERO_HASH, 0, b""
    for path in sorted(place.journal.glob("*.jsonl")):
        lines = how(lines_of(path)) if path.name == "000002.jsonl" else lines_of(path)
        out = []
        for line in lines:
            row = json.loads(line)
            row |= {"prev": head, "seq": seq}
            if row["kind"] == "journal.segment":
                row["data"]["previous_sha256"] = line_hash(previous)
            out.append(canonical(row) + b"\n")
            head, seq = line_hash(out[-1]), seq + 1
        previous = b"".join(out)
        path.write_bytes(previous)


def edit(old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [line.replace(old, new) for line in lines]


LINE_ATTACKS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a word changed": edit(b"word 25", b"w0rd 25"),
    "a name changed": lambda lines: [*lines[:5], lines[5].replace(b"alice", b"bobby"), *lines[6:]],
    "a line removed": lambda lines: [*lines[:5], *lines[6:]],
    "two lines swapped": lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
    "a line twice": lambda lines: [*lines[:6], lines[5], *lines[6:]],
    "a line of zeros": lambda lines: [*lines[:5], bytes(len(lines[5]) - 1) + b"\n", *lines[6:]],
    "an empty line": lambda lines: [*lines[:5], b"\n", *lines[5:]],
    "windows line ends": edit(b"\n", b"\r\n"),
    "a space more": edit(b'"data":{', b'"data": {'),
    "keys in another order": lambda lines: [
        *lines[:5],
        json.dumps(dict(reversed(json.loads(lines[5]).items()))).encode() + b"\n",
        *lines[6:],
    ],
    "a key twice": edit(b'"kind":', b'"kind":"x","kind":'),
    "the first line gone": lambda lines: lines[1:],
    "the last line gone": lambda lines: lines[:-1],
    "all but the first line gone": lambda lines: lines[:1],
    "an empty file": lambda _: [],
    "text before the first line": lambda lines: [b"# hello\n", *lines],
    "a byte order mark": lambda lines: [b"\xef\xbb\xbf", *lines],
}


@pytest.mark.parametrize("what", LINE_ATTACKS)
def test_a_line_in_the_middle_is_not_what_was_written(place: Workspace, what: str) -> None:
    change(segment(place), LINE_ATTACKS[what])
    assert "does not verify" in told(place)
    assert "00000" in starts(place), "an engine must refuse, and name the file"


def set_field(name: str, value: object) -> Callable[[list[bytes]], list[bytes]]:
    """One event of the file with another field, spelt canonically."""

    def attack(lines: list[bytes]) -> list[bytes]:
        row = json.loads(lines[5])
        row["data" if name == "text" else name] = (
            {**row["data"], "text": value} if name == "text" else value
        )
        return [*lines[:5], json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n"]

    return attack


RECHAINED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    name: LINE_ATTACKS[name]
    for name in ("a word changed", "a name changed", "a line removed", "two lines swapped")
} | {
    "a line more": lambda lines: [*lines, lines[-1]],
    "an event of an unknown kind": set_field("kind", "go.granted"),
    "time that goes back": set_field("ts", 1),
}


@pytest.mark.parametrize("what", RECHAINED)
def test_a_history_is_chained_again_without_the_log_key(place: Workspace, what: str) -> None:
    rechained(place, RECHAINED[what])
    told(place)
    assert starts(place) != "", "an engine must not go on with a rewritten history"


def test_an_event_carries_a_float_in_a_chain_made_again(place: Workspace) -> None:
    lines = lines_of(segment(place, 5))
    row = json.loads(lines[-1])
    row["data"]["text"] = 1.5
    raw = json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    segment(place, 5).write_bytes(b"".join([*lines[:-1], raw]))
    told(place)


@pytest.mark.parametrize("cut", [1, 5, 9, 30])
def test_the_end_is_cut_off_while_the_engine_is_stopped(place: Workspace, cut: int) -> None:
    """Whole lines and whole files go: the chain that is left is perfect."""
    left = cut
    for path in sorted(place.journal.glob("*.jsonl"), reverse=True):
        lines = lines_of(path)
        if left >= len(lines):
            path.unlink()
        else:
            path.write_bytes(b"".join(lines[: len(lines) - left]))
        left = max(0, left - len(lines))
    told(place)
    assert "signed" in starts(place)


def test_everything_is_gone_but_the_heads(place: Workspace) -> None:
    for path in place.journal.glob("*.jsonl"):
        path.unlink()
    told(place)
    assert "signed" in starts(place)


def test_an_older_copy_of_the_whole_journal_is_put_back(place: Workspace, tmp_path: Path) -> None:
    """A backup of last week is a good journal, but not today's."""
    for path in sorted(place.journal.glob("*.jsonl"))[2:]:
        path.unlink()
    told(place)
    assert "signed" in starts(place)


def test_the_journal_of_another_workspace_is_put_in_place(
    place: Workspace, foreign: Workspace
) -> None:
    shutil.rmtree(place.journal)
    shutil.copytree(foreign.journal, place.journal)
    told(place)
    assert "signed" in starts(place)


def test_journal_and_heads_of_another_workspace_are_put_in_place(
    place: Workspace, foreign: Workspace
) -> None:
    """They agree with each other; but this workspace's log key did not sign those heads."""
    for mine, theirs in ((place.journal, foreign.journal), (place.heads, foreign.heads)):
        shutil.rmtree(mine)
        shutil.copytree(theirs, mine)
    assert "does not verify" in told(place)


def test_a_line_is_written_by_hand_after_the_end(place: Workspace) -> None:
    """Without the link it is no event, however it looks."""
    with segment(place, 5).open("ab") as file:
        file.write(lines_of(segment(place, 5))[-1])
    told(place)
    assert starts(place) != ""


def test_files_of_the_journal_are_exchanged_renamed_or_missing(place: Workspace) -> None:
    two, three = segment(place, 2), segment(place, 3)
    aside = two.with_suffix(".aside")
    two.rename(aside)
    told(place)
    assert "000002.jsonl" in starts(place)
    three.rename(two)
    aside.rename(three)
    told(place)
    assert "000002.jsonl" in starts(place)
    three.rename(segment(place, 9))
    told(place)
    assert starts(place) != ""


def test_a_file_of_another_journal_is_between_ours(place: Workspace, foreign: Workspace) -> None:
    shutil.copyfile(segment(foreign, 3), segment(place, 3))
    told(place)
    assert "00000" in starts(place)


def test_a_line_of_gigabytes_is_refused_without_being_read(place: Workspace) -> None:
    """A sparse file costs the attacker nothing; it must not cost us our memory."""
    with segment(place, 5).open("r+b") as file:
        file.truncate(8 << 30)
    told(place)
    assert "000005.jsonl" in starts(place)


@pytest.mark.parametrize("what", ["fifo", "folder", "link to a device", "link to nowhere"])
def test_a_file_of_the_journal_is_no_file(place: Workspace, what: str) -> None:
    path = segment(place, 5)
    path.unlink()
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if what == "link to a device" else "/nonexistent")
    told(place)
    assert "000005.jsonl" in starts(place)


def test_the_folder_of_the_journal_is_something_else(place: Workspace) -> None:
    shutil.rmtree(place.journal)
    for put in (place.journal.touch, lambda: place.journal.symlink_to("journal")):
        put()
        assert "journal" in told(place)
        assert str(place.journal) in starts(place)
        place.journal.unlink()


# --- heads ----------------------------------------------------------------------------------------


def newest(place: Workspace) -> Path:
    return sorted(place.heads.glob("*.txt"))[-1]


def test_a_head_is_edited(place: Workspace) -> None:
    text = newest(place).read_text()
    for bad in (text.replace("\n90\n", "\n91\n"), text[:-2] + "\n", text.upper(), text + "x\n", ""):
        newest(place).write_text(bad)
        told(place)
        assert starts(place) != ""


def test_a_head_loses_its_signature_or_has_that_of_another(place: Workspace) -> None:
    first, *_, last = sorted(place.heads.glob("*.txt.sig"))
    shutil.copyfile(first, last)
    told(place)
    last.unlink()
    told(place)
    assert starts(place) != ""


def test_a_head_is_signed_by_another_key(place: Workspace, tmp_path: Path) -> None:
    """The attacker rewrote the end and signed the new head, with the only key that is at hand."""
    lines = lines_of(segment(place, 5))
    row = json.loads(lines[-1])
    row["data"]["text"] = "rewritten"
    lines[-1] = canonical(row) + b"\n"
    segment(place, 5).write_bytes(b"".join(lines))
    generate_log_key(tmp_path / "mine")
    text = head_text("peakctl/desk", SIZE, line_hash(lines[-1]))
    newest(place).write_text(text)
    signature = sign_with_key_file(tmp_path / "mine", text.encode(), Namespace.HEAD)
    newest(place).with_suffix(".txt.sig").write_text(signature)
    assert "does not verify" in told(place)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


NO_HEADS: dict[str, Callable[[Workspace], object]] = {
    "a fifo": lambda place: _fifo(newest(place)),
    "a signature that is a fifo": lambda place: _fifo(newest(place).with_suffix(".txt.sig")),
    "a terabyte": lambda place: os.truncate(newest(place), 1 << 40),
    "one more that is a fifo": lambda place: os.mkfifo(place.heads / "000000000999.txt"),
}


@pytest.mark.parametrize("what", NO_HEADS)
def test_a_head_is_no_file_that_anybody_would_finish_reading(place: Workspace, what: str) -> None:
    NO_HEADS[what](place)
    told(place)
    assert "heads" in starts(place)


def test_the_folder_of_the_heads_is_something_else(place: Workspace) -> None:
    """Then it is not so that no head was ever signed."""
    shutil.rmtree(place.heads)
    for put in (place.heads.touch, lambda: place.heads.symlink_to("heads")):
        put()
        assert "heads" in told(place)
        assert "heads" in starts(place)
        place.heads.unlink()


def _time_of_digits(line: bytes) -> bytes:
    return line[: line.rfind(b":") + 1] + b"9" * 5000 + b"}\n"


def _nested(line: bytes) -> bytes:
    return line.replace(b'"text":"', b'"text":' + b"[" * 100_000 + b"]" * 100_000 + b',"t":"')


@pytest.mark.parametrize("how", [_time_of_digits, _nested])
def test_a_line_that_breaks_its_reader_is_named_as_any_other(
    place: Workspace, how: Callable[[bytes], bytes]
) -> None:
    """Thousands of digits are no number to Python, brackets without end no depth."""
    lines = lines_of(segment(place, 5))
    segment(place, 5).write_bytes(b"".join([*lines[:-1], how(lines[-1])]))
    assert "does not verify" in told(place)
    assert starts(place) != ""


def test_every_head_is_taken_away(place: Workspace) -> None:
    """Then the end may be cut off too; but a journal with a session had a head before it."""
    shutil.rmtree(place.heads)
    assert verify(place.root) == 0, "notes alone do not prove that there was a head"
    assert starts(place) == ""
    asyncio.run(_chartered(place))
    assert "removed" in starts(place)
    told(place)


async def _chartered(place: Workspace) -> None:
    journal = Journal.open(
        place.journal, commit_interval_ms=0, segment_lines=20, clock_us=lambda: 0
    ).journal
    event = SessionChartered(session_id="abcdefabcdef", charter=evidence.charter())
    await journal.append(ALICE, [event])
    journal.close()


def the_reviewers(place: Workspace, folder: Path) -> Witness:
    """The reviewer's copy, which reads the journal as an engine would give it."""

    def given(start: int) -> bytes:
        files = sorted(place.journal.glob("*.jsonl"))
        return b"".join([line for file in files for line in lines_of(file)][start : start + 10])

    return Witness(folder / "heads.jsonl", log_key_of(place), given)


def test_the_owner_rewrites_and_signs_everything_and_the_reviewer_notices(
    place: Workspace, tmp_path: Path
) -> None:
    """Who has the log key too can lie to everybody but the copy in another person's folder."""
    witness = the_reviewers(place, tmp_path)
    seen = [
        HeadText(text=path.read_text(), signature=path.with_suffix(".txt.sig").read_text())
        for path in sorted(place.heads.glob("*.txt"))
    ]
    assert witness.judge(seen) == ""
    rechained(place, LINE_ATTACKS["a word changed"])
    last = lines_of(segment(place, 5))[-1]
    forged = head_text("peakctl/desk", SIZE, line_hash(last))
    signature = sign_with_key_file(place.log_key, forged.encode(), Namespace.HEAD)
    for path in place.heads.iterdir():
        path.unlink()
    newest_path = place.heads / f"{SIZE:012d}.txt"
    newest_path.write_text(forged)
    newest_path.with_suffix(".txt.sig").write_text(signature)
    assert verify(place.root) == 0, "a perfect forgery, as far as this machine can tell"
    said = witness.judge([HeadText(text=forged, signature=signature)])
    assert "other content" in said
    again = the_reviewers(place, tmp_path / "elsewhere")
    assert again.judge([HeadText(text=forged, signature=signature)]) == "", "who saw nothing before"
    longer = head_text("peakctl/desk", SIZE + 50, "a" * 64)
    assert witness.judge([HeadText(text=longer, signature="")]), "and it stays noticed"


@pytest.mark.parametrize(
    "text",
    ["peakctl/desk\n50\n" + "a" * 64 + "\n", "peakctl/other\n95\n" + "a" * 64 + "\n", "", "junk\n"],
    ids=["shorter", "another journal", "nothing", "junk"],
)
def test_the_reviewers_copy_does_not_follow_a_head_that_cannot_be(
    place: Workspace, tmp_path: Path, text: str
) -> None:
    witness = the_reviewers(place, tmp_path)
    path = newest(place)
    signature = path.with_suffix(".txt.sig").read_text()
    assert witness.judge([HeadText(text=path.read_text(), signature="")]) != ""
    witness = the_reviewers(place, tmp_path / "second")
    assert witness.judge([HeadText(text=path.read_text(), signature=signature)]) == ""
    assert witness.judge([HeadText(text=text, signature="")]) != ""


def test_the_engine_answers_the_reviewer_with_what_breaks_a_reader(
    place: Workspace, tmp_path: Path
) -> None:
    """Brackets without end and numbers without end are no lines: red, and not a fault of ours."""
    path = newest(place)
    head = HeadText(text=path.read_text(), signature=path.with_suffix(".txt.sig").read_text())
    lines = (b"[" * 100_000 + b"\n", b'{"prev":%b}\n' % (b"9" * 5000), b"\xff\n")
    for number, line in enumerate(lines):
        witness = Witness(tmp_path / f"{number}.jsonl", log_key_of(place), lambda _, it=line: it)
        assert "not a journal line" in witness.judge([head])


# --- checkpoints, and verifying with nothing ------------------------------------------------------


def test_a_state_of_the_attackers_own_is_put_where_a_start_looks_for_one(place: Workspace) -> None:
    """A perfect file of a state without a latch; but no event of the journal speaks of it."""
    checkpoints = place.state / "checkpoints"
    checkpoints.mkdir()
    for name in (f"{SIZE:012d}.state", f"{SIZE - 5:012d}.state", "999999999999.state"):
        (checkpoints / name).write_bytes(zlib.compress(freeze(State())))
    opened = Journal.open(
        place.journal, commit_interval_ms=0, segment_lines=20, clock_us=lambda: 0
    ).journal
    begun = restore(checkpoints, opened, "c" * 64)
    opened.close()
    assert begun.size == 0
    assert "does not speak of it" in begun.refused
    assert verify(place.root) == 0, "the journal itself is as it was"


def test_the_journal_is_verified_without_an_engine_and_without_duckdb(place: Workspace) -> None:
    """By the command itself, in a process in which neither DuckDB nor Arrow can be imported."""
    text = (
        "import sys; sys.modules.update(dict.fromkeys(['duckdb', 'pyarrow', 'engine.host'])); "
        "from peakctl.commands.ledger import verify; from pathlib import Path; "
        "sys.exit(verify(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", text, str(place.root)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{SIZE} events in 5 files" in done.stdout


# --- the database, asked by people ----------------------------------------------------------------

WRITES = [
    "INSERT INTO events SELECT * FROM events",
    "UPDATE events SET actor_name = 'bob'",
    "DELETE FROM events",
    "DROP TABLE events",
    "CREATE OR REPLACE VIEW orders AS SELECT 1",
    "CREATE TEMP TABLE x AS SELECT 1",
    "CREATE MACRO now() AS 1",
    "ALTER TABLE events ADD COLUMN x INT",
    "COPY events TO '/tmp/peakctl-redteam.csv'",
    "COPY (SELECT 1) TO '{exports}/x.parquet'",
    "EXPORT DATABASE '/tmp/peakctl-redteam'",
    "IMPORT DATABASE '/tmp/peakctl-redteam'",
    "ATTACH '/tmp/peakctl-redteam.duckdb' AS evil",
    "ATTACH ':memory:' AS m",
    "USE memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "RESET allowed_directories",
    "PRAGMA enable_profiling",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "VACUUM",
    "BEGIN TRANSACTION",
    "COMMIT",
    "ROLLBACK; DELETE FROM events",
    "SELECT 1; DROP TABLE events",
    "SELECT 1;;DELETE FROM events;",
    "-- harmless\nDELETE FROM events",
    "/* */ DELETE FROM events",
    "WITH x AS (DELETE FROM events RETURNING *) SELECT * FROM x",
    "EXPLAIN ANALYZE DELETE FROM events",
    "PREPARE x AS DELETE FROM events",
    "EXECUTE x",
    "CREATE SECRET s (TYPE s3)",
    "COMMENT ON TABLE events IS 'x'",
    "CREATE TRIGGER t",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('{root}/.peakctl/keys/log_ed25519')",
    "SELECT * FROM '{root}/config/people.toml'",
    "SELECT * FROM read_json('/proc/self/environ')",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM read_duckdb('{root}/.peakctl/evidence.duckdb')",
    "SELECT * FROM read_text('{exports}/../keys/log_ed25519')",
    "SELECT * FROM read_csv('http://127.0.0.1:1/x')",
    "SELECT * FROM query('DELETE FROM events')",
    "SELECT getenv('HOME')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_scan('/etc/passwd')",
    "SELECT * FROM read_ndjson('/proc/self/environ')",
    "SELECT * FROM read_text('/proc/self/maps')",
    "SELECT * FROM read_blob('/proc/self/mem')",
    "SELECT * FROM glob('/dev/shm/*')",
    "SELECT * FROM '/dev/shm/peakctl-query-x/evidence.duckdb'",
    "SELECT * FROM sqlite_scan('/etc/passwd', 'x')",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "SELECT * FROM 'https://127.0.0.1:1/x.parquet'",
    "COPY events TO '/dev/shm/peakctl-redteam.csv'",
    "COPY events FROM '/etc/passwd'",
    "ATTACH '{root}/.peakctl/evidence.duckdb' AS live",
    "DETACH evidence",
    "SET GLOBAL memory_limit = '10GB'",
    "SET temp_directory = '/tmp'",
    "SET threads = 64",
    "PRAGMA threads = 64",
    "RESET memory_limit",
    "DROP SCHEMA main CASCADE",
    "MERGE INTO events USING events AS e ON true WHEN MATCHED THEN DELETE",
    "SELECT nextval('nothing')",
    "EXPLAIN SELECT * FROM read_text('/etc/passwd')",
    "SUMMARIZE SELECT * FROM read_text('/etc/passwd')",
    "SELECT repeat('x', 30000000) FROM range(100000)",
    "",
    ";",
    "\x00",
    "SELECT",
    "x" * 900_000,
    "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,
]


@pytest.mark.parametrize("sql", WRITES, ids=lambda sql: ascii(sql[:60]))
def test_a_question_that_is_none(desk: Desk, sql: str) -> None:
    """No write, no file, no network, no setting; and the engine answers the next question."""
    count = "SELECT count(*) FROM events"
    before = desk.post("store/query", person="alice", sql=count).body["rows"][0][0]
    filled = sql.replace("{root}", str(desk.place.root)).replace(
        "{exports}", str(desk.place.state / "exports")
    )
    answer = desk.post("store/query", person="alice", sql=filled)
    assert answer.status in {400, 403, 409}, answer
    assert answer.code != "ENGINE_FAULT", answer
    assert desk.post("store/query", person="alice", sql=count).body["rows"][0][0] >= before
    assert not list(Path("/tmp").glob("peakctl-redteam*"))
    assert not list((desk.place.state / "exports").glob("x.*"))


def resident_mib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 >> 20


def test_questions_with_answers_of_gigabytes(desk: Desk) -> None:
    """They end in the query process; the engine's memory stays where it was."""
    desk.post("store/query", person="alice", sql="SELECT 1")
    before = resident_mib(desk.field.pid)
    for sql in (
        "SELECT string_agg(repeat('x', 1000), '') FROM range(1000000)",
        "SELECT repeat('x', 20000000) FROM range(100000)",
        "SELECT list(range) FROM range(1000000000)",
    ):
        answer = desk.post("store/query", person="alice", sql=sql)
        assert answer.status in {400, 403, 409}, answer
    wide = desk.post(
        "store/query", person="alice", sql="SELECT repeat('x', 1000000) FROM range(99)"
    )
    assert (wide.status, wide.body["cut"]) == (200, "bytes")
    assert resident_mib(desk.field.pid) - before < 100
    assert desk.state()["engine"]["phase"] == "ready"
