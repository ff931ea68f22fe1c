"""Heads: exact text, stored with their signature, and what it means that one extends another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.contracts.errors import InputError, IntegrityError
from engine.contracts.people import ENGINE
from engine.journal.heads import (
    Head,
    extends,
    head_text,
    parse_head,
    read_heads,
    write_head,
)


def signed(text: bytes) -> str:
    return f"signature over {len(text)} bytes\n"


def test_a_head_reads_back_and_splits_into_three_words() -> None:
    text = head_text("peakctl/host", 12, "ab" * 32)
    assert text.split() == ["peakctl/host", "12", "ab" * 32]
    assert parse_head(text, "here") == Head("peakctl/host", 12, "ab" * 32)


@pytest.mark.parametrize("origin", ["", "two words", "line\nbreak", "ünicode"])
def test_an_origin_that_would_not_read_back_is_refused(origin: str) -> None:
    with pytest.raises(InputError):
        head_text(origin, 1, "ab" * 32)


def test_heads_come_back_in_order_with_their_signatures(tmp_path: Path) -> None:
    assert read_heads(tmp_path / "heads") == []
    written = [write_head(tmp_path / "heads", "p", size, "ab" * 32, signed) for size in (900, 20)]
    assert read_heads(tmp_path / "heads") == list(reversed(written))
    assert {path.name for path in (tmp_path / "heads").iterdir()} == {
        "000000000020.txt",
        "000000000020.txt.sig",
        "000000000900.txt",
        "000000000900.txt.sig",
    }


def test_a_damaged_renamed_or_unsigned_head_is_named(tmp_path: Path) -> None:
    path = write_head(tmp_path, "p", 20, "ab" * 32, signed).path
    good = path.read_text()
    path.write_text(good.replace("20", "020"))
    with pytest.raises(IntegrityError, match="not a head"):
        read_heads(tmp_path)
    path.write_text(good.replace("20", "21"))
    with pytest.raises(IntegrityError, match="another name"):
        read_heads(tmp_path)
    path.write_text(good)
    path.with_suffix(".txt.sig").unlink()
    with pytest.raises(IntegrityError, match=r"000000000020\.txt"):
        read_heads(tmp_path)


async def test_one_head_extends_another_only_on_the_same_chain(
    open_journal: Callable[..., Any], note: Callable[[object], Any]
) -> None:
    journal = open_journal().journal
    await journal.append(ENGINE, [note(number) for number in range(5)])
    old, new = Head("p", 2, journal.head_at(2)), Head("p", 5, journal.head)

    assert extends(old, new, journal)
    assert extends(Head("p", 0, "0" * 64), old, journal)
    assert not extends(new, old, journal)
    assert not extends(Head("q", 2, old.hash), new, journal)
    assert not extends(Head("p", 2, new.hash), new, journal)
    assert not extends(old, Head("p", 6, new.hash), journal)
