"""The diary: JSON lines, and no secret in any of them (I10)."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.diary import Diary
from engine.ops.log import REDACTED, configure

SECRET = 'k3y/with+"odd"&chars'
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Lines]:
    path = tmp_path / "log" / "engine.jsonl"
    stream = configure(path, [SECRET, "abc", ""])

    def read() -> list[dict[str, Any]]:
        stream.flush()
        text = path.read_text("utf-8")
        assert SECRET not in text
        assert json.dumps(SECRET)[1:-1] not in text
        return [json.loads(line) for line in text.splitlines()]

    yield read
    root = logging.getLogger()
    for handler in [one for one in root.handlers if getattr(one, "peakctl", False)]:
        root.removeHandler(handler)
    stream.close()


def test_a_line_is_json_with_time_and_level(lines: Lines) -> None:
    Diary("x").info("started", port=7, name="abc")
    (line,) = lines()
    assert line["event"] == "started"
    assert line["level"] == "info"
    assert line["port"] == 7
    assert line["at"].endswith("+00:00")
    assert line["name"] == "abc", "short values are words, not secrets"


def test_the_secret_is_found_wherever_it_hides(lines: Lines) -> None:
    diary = Diary("x")
    diary.info(f"connect {SECRET}", url=f"https://h/?k={SECRET}", nested={"a": [SECRET]})
    diary.info("escaped", url="https://h/?k=k3y%2Fwith%2B%22odd%22%26chars")
    try:
        int(SECRET)
    except ValueError:
        diary.exception("failed")
    logging.getLogger("third.party").warning("sent %s", SECRET)
    found = lines()
    assert len(found) == 4
    assert all(REDACTED in json.dumps(line) for line in found)
    assert "ValueError" in found[2]["exception"]
    assert found[3]["logger"] == "third.party"


def test_fields_named_like_a_secret_are_blank(lines: Lines) -> None:
    Diary("x").info(
        "config", api_key="other-value", venue_secret="other-value", token="t", symbol="BTCUSDT"
    )
    (line,) = lines()
    assert (line["api_key"], line["venue_secret"], line["token"]) == (REDACTED,) * 3
    assert line["symbol"] == "BTCUSDT"


def test_a_newline_in_a_message_stays_one_line(lines: Lines) -> None:
    Diary("x").info("one\ntwo", text="\x1b[2J\u202e")
    (line,) = lines()
    assert line["event"] == "one\ntwo"


def test_only_the_owner_may_read_it(lines: Lines, tmp_path: Path) -> None:
    Diary("x").info("hello")
    assert len(lines()) == 1
    assert stat.S_IMODE((tmp_path / "log/engine.jsonl").stat().st_mode) == 0o600
