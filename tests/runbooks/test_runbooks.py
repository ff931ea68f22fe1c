"""The runbooks: every alarm has its response, the checklist is one that the engine can read."""

from __future__ import annotations

import re
import tomllib

import msgspec
import pytest

import runbooks
from engine.contracts.session import ChecklistItem, ItemKind, ItemResult
from engine.governance.checklist import judge_answer, parse_runbook
from engine.ops.alarms import ALARMS


def _text(name: str) -> str:
    return (runbooks.folder() / f"{name}.md").read_text("utf-8")


def _items() -> tuple[ChecklistItem, ...]:
    front = _text("session_paper").split("+++\n")[1]
    return tuple(msgspec.convert(row, ChecklistItem) for row in tomllib.loads(front)["item"])


def test_the_runbooks_are_all_there() -> None:
    assert runbooks.names() == (
        "alarms",
        "kill",
        "reconcile",
        "roles_and_keys",
        "session_paper",
        "store_views",
        "threat_model",
        "verify_a_pack",
    )


def test_every_alarm_has_its_section_with_its_first_response() -> None:
    sections = dict(re.findall(r"(?ms)^## ([A-Z_]+)\n(.*?)(?=^## |\Z)", _text("alarms")))
    assert set(sections) == set(ALARMS)
    for code, row in ALARMS.items():
        assert f"Priority {row.priority}: {row.text}." in sections[code]
        assert f"**First:** {row.response}" in sections[code]
        assert len(sections[code].split("**First:**")[1]) > len(row.response) + 60, code


def test_the_session_checklist_is_read_as_the_engine_reads_it() -> None:
    checklist = parse_runbook(_text("session_paper"), "session_paper")
    assert checklist.items == _items()
    assert checklist.version == "1"


def test_the_list_is_short_and_has_the_eight_probes() -> None:
    items = _items()
    probes = {item.probe for item in items if item.kind is ItemKind.AUTO}
    assert probes == {
        "venue_reachable",
        "market_fresh",
        "store_equals_journal",
        "disk_space",
        "limits_loaded",
        "kill_path",
        "no_open_orders",
        "no_latch",
    }
    assert len(items) == 12
    shared = [item.id for item in items if len(item.roles) == 2]
    assert shared == ["max_notional_read"]


@pytest.mark.parametrize(
    ("item_id", "good", "bad"),
    [
        ("position_read", ("0", "-0.5", "12.25"), ("", "flat", "1e3", "0 BTC", ".5")),
        ("kill_key_known", ("F9", "f9", "ctrl+x", "Ctrl-X"), ("F8", "ctrl+c", "yes")),
        ("max_notional_read", ("2500", "2500.00"), ("-1", "y", "2 500", "2500 USDT")),
        ("word_for_doubt", ("NO-GO", "no go", "nogo"), ("go", "maybe", "y")),
    ],
)
def test_manual_answers_want_a_value_not_a_yes(
    item_id: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    item = next(item for item in _items() if item.id == item_id)
    assert {judge_answer(item, answer) for answer in good} == {ItemResult.PASS}
    assert {judge_answer(item, answer) for answer in bad} == {ItemResult.FAIL}


def test_no_runbook_tells_how_to_open_a_lock() -> None:
    for name in runbooks.names():
        text = _text(name).lower()
        for command in ("go", "dual"):
            text = text.replace(f"`peakctl {command} export", f"`peakctl {command}")
        for word in ("sudo", "rm -", "--force", "delete the latch", "unset", "export "):
            assert word not in text, (name, word)
