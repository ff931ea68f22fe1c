"""One human with two hats: every row of the policy, and what is only recorded."""

from __future__ import annotations

import pytest

from engine.contracts.session import Mode
from engine.governance.approval import Approved, judge_cosign
from engine.governance.same_person import (
    OBSERVED,
    PARTY_RULES,
    SIGNAL_RULES,
    Weight,
    judge_same_person,
    observed,
    policy_rows,
    same_person_signals,
)

VALUES = {"person": "alice", "fingerprint": "SHA256:" + "o" * 43, "uid": 1000}


def two(words, signal: str, value: object) -> tuple:
    """Operator and reviewer who differ in everything but this; None: the reviewer's is unknown."""
    operator = words.party("operator", signals={name: f"op {name}" for name in OBSERVED})
    reviewer = words.party("reviewer", signals={name: f"rev {name}" for name in OBSERVED})
    if signal in VALUES:
        same = VALUES[signal] if value == "same" else value
        return operator, words.party("reviewer", **{signal: same}, signals=reviewer.signals)
    given = f"op {signal}" if value == "same" else value or ""
    return operator, words.party("reviewer", signals={**reviewer.signals, signal: given})


@pytest.mark.parametrize("rule", SIGNAL_RULES, ids=lambda rule: rule.signal)
@pytest.mark.parametrize("waived", [False, True])
@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.LIVE])
def test_each_row_forbids_what_it_says(words, rule, waived: bool, mode: Mode) -> None:
    forbids = {
        Weight.ALWAYS: True,
        Weight.UNLESS_WAIVED: not waived,
        Weight.LIVE: mode is Mode.LIVE,
        Weight.RECORDED: False,
    }
    operator, reviewer = two(words, rule.signal, "same")
    assert same_person_signals(operator, reviewer)[rule.signal] == "same"
    denied = judge_same_person(operator, reviewer, mode=mode, waived=waived)
    assert (denied.code if denied else "") == (rule.code if forbids[rule.same] else "")
    missing = "" if rule.signal in {"person", "fingerprint"} else None
    operator, reviewer = two(words, rule.signal, missing)
    assert same_person_signals(operator, reviewer)[rule.signal] == "unknown"
    denied = judge_same_person(operator, reviewer, mode=mode, waived=waived)
    assert bool(denied) == forbids[rule.unknown]


@pytest.mark.parametrize("unset", ["", "-1", "4294967295"])
def test_an_unset_login_is_unknown_even_when_both_have_it(words, unset: str) -> None:
    both = {"loginuid": unset, "audit_session": unset}
    found = same_person_signals(
        words.party("operator", signals=both), words.party("reviewer", signals=both)
    )
    assert (found["loginuid"], found["audit_session"]) == ("unknown", "unknown")


@pytest.mark.parametrize("role", ["operator", "reviewer"])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_forwarded_agent_is_refused_in_live_and_recorded_elsewhere(
    words, role: str, mode: Mode
) -> None:
    other = "reviewer" if role == "operator" else "operator"
    parties = {
        role: words.party(role, signals={"agent": "forwarded"}),
        other: words.party(other, signals={"agent": "local"}),
    }
    denied = judge_same_person(parties["operator"], parties["reviewer"], mode=mode, waived=True)
    assert (denied.code if denied else "") == ("AGENT_FORWARDED" if mode is Mode.LIVE else "")


def test_the_reviewer_is_judged_as_the_process_was_that_decided(bench, words) -> None:
    """Joined from an own terminal, decided from the operator's: what was seen last counts."""
    here = words.party("reviewer", signals={"tty": "/dev/pts/1"})
    assert judge_cosign(bench.facts(cosign={"reviewer": here})).code == "SAME_TTY"
    login = words.party("operator", signals={"loginuid": "1000"})
    decided = words.party("reviewer", signals={"loginuid": "1000"})
    facts = bench.facts(packet={"operator": login}, cosign={"reviewer": decided})
    assert judge_cosign(facts).code == "SAME_LOGIN"


def test_a_decision_made_elsewhere_says_nothing_and_the_joined_process_counts(bench, words) -> None:
    away = words.party("reviewer", uid=None, signals={})
    assert isinstance(judge_cosign(bench.facts(cosign={"reviewer": away})), Approved)
    joined = words.party("reviewer", signals={"tty": "/dev/pts/1"})
    facts = bench.facts(packet={"reviewer": joined}, cosign={"reviewer": away})
    assert judge_cosign(facts).code == "SAME_TTY"


def test_what_a_process_says_of_itself_is_cut_to_known_short_printable_words() -> None:
    said = observed(
        {"tty": "/dev/pts/1\x1b[2J\u202e", "agent": "x" * 500, "uid": "0", "hello": "world"}
    )
    assert said == {"tty": "/dev/pts/1[2J", "agent": "x" * 120}


def test_the_policy_prints_every_row() -> None:
    assert len(policy_rows()) == len(SIGNAL_RULES) + len(PARTY_RULES)
