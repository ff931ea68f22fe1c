"""The reviewer's own copy of the heads: what continues it, what contradicts it, what is kept."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.errors import ConfigError
from engine.journal.heads import Head, parse_head
from engine.signatures.sshsig import generate_log_key
from peakctl.client.client import EngineClient
from peakctl.client.replies import HeadText
from peakctl.founding import create_demo
from peakctl.sealed_before import SealedHead, last_sealed
from peakctl.signing import Signer
from peakctl.supervisor import Supervisor
from peakctl.witness import LATE_SECONDS, Witness, extends, heads_file, log_key_of
from tests.peakctl.small_journal import SmallJournal

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (None, Head("o", 5, A), ""),
        (Head("o", 5, A), Head("o", 5, A), ""),
        (Head("o", 5, A), Head("o", 6, B), ""),
        (Head("o", 5, A), Head("o", 4, B), "went back: 4 events, 5"),
        (Head("o", 5, A), Head("o", 5, B), "other content at 5"),
        (Head("o", 5, A), Head("p", 9, B), "another journal: p, not o"),
    ],
)
def test_extends(old: Head | None, new: Head, said: str) -> None:
    answer = extends(old, new)
    assert said in answer
    assert bool(answer) == bool(said)


@pytest.fixture
def journal(tmp_path: Path) -> SmallJournal:
    made = SmallJournal(tmp_path / "w")
    made.grow(7)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "heads.jsonl"


@pytest.fixture
def open_copy(journal: SmallJournal, path: Path) -> Callable[..., Witness]:
    """The reviewer's terminal opens its copy, for the first time or again."""

    def opened(now_s: Callable[[], float] = lambda: 0.0) -> Witness:
        return Witness(path, log_key_of(journal.workspace), journal.given, now_s)

    return opened


Open = Callable[..., Witness]


def test_heads_are_kept_and_what_lies_between_is_read(
    journal: SmallJournal, open_copy: Open, path: Path
) -> None:
    witness = open_copy()
    assert witness.judge([]) == ""
    assert witness.judge([journal.head(5)]) == ""
    assert journal.asked == [4], "the first head's own line"
    assert witness.judge([journal.head(5)]) == ""
    journal.grow(17)
    assert witness.judge([journal.head(16)]) == ""
    assert journal.asked == [4, 5, 9, 13], "every line between the heads, and no other"
    assert len(path.read_bytes().splitlines()) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_head_that_goes_back_is_wrong_and_stays_wrong(
    journal: SmallJournal, open_copy: Open
) -> None:
    witness = open_copy()
    witness.judge([journal.head(7)])
    wrong = witness.judge([journal.head(6)])
    assert "went back: 6 events, 7" in wrong
    journal.grow(12)
    assert witness.judge([journal.head(12)]) == wrong
    assert open_copy().judge([journal.head(12)]) == wrong


def test_a_rewritten_past_is_noticed_when_it_has_outgrown_the_old_one(
    journal: SmallJournal, open_copy: Open
) -> None:
    """Every head is signed by the right key and larger than the last: only the lines tell."""
    witness = open_copy()
    assert witness.judge([journal.head(6)]) == ""
    journal.rewrite(3, 12)
    assert "does not continue what was seen" in witness.judge([journal.head(12)])


@pytest.mark.parametrize("size", [4, 7, 12])
def test_what_was_rolled_back_while_nobody_looked_is_noticed_at_the_next_start(
    journal: SmallJournal, open_copy: Open, size: int
) -> None:
    assert open_copy().judge([journal.head(7)]) == ""
    journal.rewrite(3, size)
    again = open_copy()
    wrong = again.judge([journal.head(size)])
    assert "no longer in the journal" in wrong
    assert open_copy().judge([]) == wrong, "and it is written down"


def test_an_honest_journal_goes_on_after_the_reviewers_restart(
    journal: SmallJournal, open_copy: Open
) -> None:
    open_copy().judge([journal.head(7)])
    journal.grow(20)
    assert open_copy().judge([journal.head(19)], 20) == ""


@pytest.mark.parametrize("how", ["another key", "no signature", "another head's", "junk behind"])
def test_a_head_must_be_signed_by_the_log_key(
    journal: SmallJournal, open_copy: Open, tmp_path: Path, how: str
) -> None:
    good = journal.head(7)
    generate_log_key(tmp_path / "other")
    bad = {
        "another key": journal.head(7, tmp_path / "other"),
        "no signature": HeadText(text=good.text, signature=""),
        "another head's": HeadText(text=good.text, signature=journal.head(6).signature),
        "junk behind": HeadText(text=good.text, signature=good.signature + "x\n"),
    }[how]
    assert "not signed by the log key" in open_copy().judge([bad])


def test_another_log_key_in_the_list_is_not_followed(
    journal: SmallJournal, open_copy: Open, tmp_path: Path
) -> None:
    """The owner of the workspace owns the list of signers too."""
    witness = open_copy()
    assert witness.judge([journal.head(5)]) == ""
    journal.list_key(generate_log_key(tmp_path / "other"))
    assert "another log key" in witness.judge([journal.head(7, tmp_path / "other")])


def test_a_list_of_signers_that_cannot_be_read_is_told_and_not_held_against_the_journal(
    journal: SmallJournal, open_copy: Open
) -> None:
    witness = open_copy()
    good = journal.workspace.allowed_signers.read_text()
    journal.workspace.allowed_signers.write_text("* ssh-ed25519 AAAA\n")
    with pytest.raises(ConfigError):
        witness.judge([journal.head(7)])
    journal.workspace.allowed_signers.write_text(good)
    assert witness.judge([journal.head(7)]) == ""


@pytest.mark.parametrize("how", ["nothing", "too few", "no line", "a line twice", "cut"])
def test_an_engine_that_does_not_give_the_lines_is_not_believed(
    journal: SmallJournal, open_copy: Open, path: Path, how: str
) -> None:
    witness = open_copy()
    witness.judge([journal.head(3)])
    lines = journal.lines
    answers = {
        "nothing": [b"", b""],
        "too few": [lines[3], b""],
        "no line": [b"[]\n"],
        "a line twice": [lines[3] + lines[3]],
        "cut": [lines[3] + lines[4][:-1]],
    }[how]
    given = iter(answers)
    journal.given = lambda start: next(given)  # type: ignore[method-assign]
    bad = Witness(path, log_key_of(journal.workspace), lambda start: next(given))
    assert bad.judge([journal.head(7)]) != ""


def test_an_engine_that_says_of_itself_that_it_has_less_went_back(
    journal: SmallJournal, open_copy: Open
) -> None:
    witness = open_copy()
    assert witness.judge([journal.head(7)], 7) == ""
    assert "went back: 6 events" in witness.judge([], 6)


def test_heads_that_stop_coming_while_events_come_are_told_as_long_as_it_lasts(
    journal: SmallJournal, open_copy: Open
) -> None:
    now = [0.0]
    witness = open_copy(lambda: now[0])
    assert witness.judge([journal.head(5)], 5) == ""
    now[0] = 1_000.0
    assert witness.judge([journal.head(5)], 5) == "", "nothing happened: no head is due"
    assert witness.judge([journal.head(5)], 6) == ""
    now[0] += LATE_SECONDS
    assert witness.judge([journal.head(5)], 7) == ""
    now[0] += 1
    assert "no signed head for 76 s: 2 events" in witness.judge([journal.head(5)], 7)
    assert witness.only_late
    assert witness.judge([journal.head(7)], 7) == ""
    assert not witness.only_late


def test_a_line_that_a_crash_cut_off_is_no_head(
    journal: SmallJournal, open_copy: Open, path: Path
) -> None:
    open_copy().judge([journal.head(5)])
    path.write_bytes(path.read_bytes() + b'{"signature": "x", "te')
    assert open_copy().judge([journal.head(6)]) == ""
    assert len(path.read_bytes().splitlines()) == 2
    assert "went back" in open_copy().judge([journal.head(5)])


def test_a_copy_of_an_older_version_goes_on(
    journal: SmallJournal, open_copy: Open, path: Path
) -> None:
    head = journal.head(5)
    path.parent.mkdir()
    path.write_text(json.dumps({"text": head.text, "signature": head.signature}) + "\n")
    assert open_copy().judge([journal.head(7)]) == ""


@pytest.mark.parametrize("line", [b"[]\n", b"nonsense\n", b'{"text": "x"}\n', b"7\n"])
def test_a_copy_that_cannot_be_read_is_doubt(
    journal: SmallJournal, open_copy: Open, path: Path, line: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(line)
    assert f"{path}:1" in open_copy().judge([journal.head(5)])


def test_a_head_that_is_none_is_doubt(open_copy: Open) -> None:
    assert "not a head" in open_copy().judge([HeadText(text="x\n5\n", signature="")])


def test_each_workspace_has_its_own_copy_in_the_users_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one, other = heads_file(tmp_path / "one"), heads_file(tmp_path / "other")
    assert one != other
    assert one.parent == tmp_path / "peakctl" / "heads"


async def given(client: EngineClient, start: int) -> bytes:
    return b"".join([line async for line in client.journal(start)])


async def test_a_real_engines_heads_go_on_after_it_was_started_again(tmp_path: Path) -> None:
    workspace = create_demo(tmp_path / "w")
    supervisor = Supervisor(workspace)
    path = tmp_path / "heads.jsonl"
    loop = asyncio.get_running_loop()
    try:
        for kept in (1, 2):
            supervisor.ensure_engine()
            async with EngineClient(workspace.socket, "bob", "reviewer") as client:

                def lines(start: int, client: EngineClient = client) -> bytes:
                    return asyncio.run_coroutine_threadsafe(given(client, start), loop).result(20)

                witness = Witness(path, log_key_of(workspace), lines)
                heads = (await client.heads()).heads
                events = (await client.state()).engine.events
                assert await asyncio.to_thread(witness.judge, heads, events) == ""
            supervisor.stop_engine("alice", "a restart")
            assert len(path.read_bytes().splitlines()) == kept
    finally:
        supervisor.end_all("alice")


# --- the first head -------------------------------------------------------------------------------


def sealed(journal: SmallJournal, size: int) -> Callable[[], SealedHead]:
    head = parse_head(journal.head(size).text, "pack")
    return lambda: SealedHead(head, "20260101_000000_abc")


def test_the_first_head_is_compared_with_the_last_sealed_pack(
    journal: SmallJournal, path: Path
) -> None:
    """Nothing was seen here before; the pack that both have signed was there before."""
    vouch, pack = log_key_of(journal.workspace), sealed(journal, 5)
    witness = Witness(path, vouch, journal.given, sealed=pack)
    assert witness.judge([journal.head(7)]) == ""
    assert "continues pack 20260101_000000_abc" in witness.note
    for size, wrong in ((12, "does not continue what was seen"), (4, "went back: 4 events, 5")):
        journal.rewrite(3, size)
        fresh = Witness(path.with_name(f"{size}"), vouch, journal.given, sealed=pack)
        assert wrong in fresh.judge([journal.head(size)])
        assert fresh.note == ""


def test_a_first_head_that_nothing_vouches_for_says_so(
    open_copy: Open, journal: SmallJournal
) -> None:
    witness = open_copy()
    assert witness.judge([journal.head(7)]) == ""
    assert "nothing to compare with" in witness.note
    again = open_copy()
    assert again.judge([journal.head(7)]) == ""
    assert again.note == ""


def test_only_a_pack_that_two_people_signed_is_compared_with(tmp_path: Path) -> None:
    place = create_demo(tmp_path / "w", {})
    pack = place.sessions / "20260101_000000_abc"
    (pack / "data/audit").mkdir(parents=True)
    (place.sessions / "notes").mkdir()
    head = b"peakctl/desk\n5\n" + b"a" * 64 + b"\n"
    tags, text = pack / "tagmanifest-sha256.txt", pack / "data/audit/head.txt"
    manifest = f"{sha256_hex(head)}  data/audit/head.txt\n".encode()

    def signed(operator: str = "operator", reviewer: str = "reviewer") -> None:
        text.write_bytes(head)
        (pack / "manifest-sha256.txt").write_bytes(manifest)
        tags.write_text(f"{sha256_hex(manifest)}  manifest-sha256.txt\n")
        for suffix, key, namespace in (
            ("op", operator, Namespace.PACK),
            ("rev", reviewer, Namespace.PACK_REVIEW),
        ):
            signature = Signer(place.key_of(key)).sign(tags.read_bytes(), namespace)
            tags.with_name(f"{tags.name}.{suffix}.sig").write_text(signature)

    look = last_sealed(place)
    assert look() is None
    signed()
    assert look() == SealedHead(Head("peakctl/desk", 5, "a" * 64), pack.name)
    text.write_bytes(head.replace(b"\n5\n", b"\n4\n"))
    assert look() is None, "the head is not the one that was signed"
    signed(reviewer="operator")
    assert look() is None, "one person's key in both places"
