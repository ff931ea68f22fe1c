"""Runbooks: Markdown with TOML front matter becomes a checklist, or is refused by name and key."""

from __future__ import annotations

import hashlib

import pytest

from engine.contracts.errors import InputError
from engine.contracts.session import ItemKind, ItemResult
from engine.governance.checklist import answer_roles, is_shared, judge_answer, parse_runbook


def test_a_runbook_becomes_a_checklist(words) -> None:
    checklist = parse_runbook(words.runbook, "session.md")
    assert (checklist.runbook, checklist.version) == ("session.md", "1")
    assert checklist.sha256 == hashlib.sha256(words.runbook.encode()).hexdigest()
    clock, balance, plan = checklist.items
    assert (clock.kind, clock.critical, clock.probe) == (ItemKind.AUTO, True, "clock")
    assert is_shared(balance)
    assert not is_shared(plan)
    assert answer_roles(clock) == ("operator",)


def test_a_manual_answer_must_match_as_a_whole(words) -> None:
    balance = parse_runbook(words.runbook, "session.md").items[1]
    assert judge_answer(balance, " 100 USDT ") is ItemResult.PASS
    for text in ("", "   ", "100", "about 100 USDT", "100 USDT!", "1" * 600 + " USDT"):
        assert judge_answer(balance, text) is ItemResult.FAIL


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("+++", "---", "no front matter"),
        ("+++\n# Session", "# Session", "does not end"),
        ('version = "1"', "", "version"),
        ('version = "1"', "version = 1", "version"),
        ('version = "1"', 'version = "1', "not TOML"),
        ("[[item]]", "[[thing]]", "no \\[\\[item"),
        ('id = "plan"', 'id = "clock"', "twice"),
        ('id = "plan"', 'id = "Plan!"', "item 3"),
        ('id = "plan"', 'idd = "plan"', "idd"),
        ('kind = "manual"\n+++', 'kind = "magic"\n+++', "magic"),
        ('probe = "clock"\n', "", "probe"),
        ('title = "Say the plan"', 'title = "x"\nprobe = "x"', "probe"),
        ('"reviewer"]', '"king"]', "unknown role"),
        ('"reviewer"]', '"operator"]', "once"),
        ("expect = '", "expect = '(", "regular expression"),
        ("critical = true", 'critical = "yes"', "critical"),
    ],
)
def test_a_broken_runbook_is_refused_by_name(words, before, after, named) -> None:
    assert before in words.runbook
    with pytest.raises(InputError, match=named) as caught:
        parse_runbook(words.runbook.replace(before, after), "session.md")
    assert "session.md" in caught.value.where
