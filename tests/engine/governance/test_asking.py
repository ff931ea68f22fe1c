"""Before there is a packet: who joins, and whether one may be asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.contracts.session import SessionState
from engine.governance.asking import RequestFacts, judge_join, judge_request
from engine.governance.verdict import Approved


def code(result: Any) -> str:
    return "APPROVED" if isinstance(result, Approved) else result.code


def request_facts(words: Any, **changes: Any) -> RequestFacts:
    base = RequestFacts(
        state=SessionState.CHECKLIST,
        stage="none",
        latch_set=False,
        blockers=(),
        joined_nonce=words.rev_nonce,
        operator_nonce=words.op_nonce,
        seen_nonces=frozenset({words.rev_nonce}),
        used_nonces=frozenset(),
        now_us=1,
        window_until_us=2,
    )
    return msgspec.structs.replace(base, **changes)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({}, "APPROVED"),
        ({"stage": "void"}, "APPROVED"),
        ({"state": SessionState.CHARTER}, "STATE"),
        ({"stage": "requested"}, "STAGE"),
        ({"latch_set": True}, "LATCH"),
        ({"latch_set": None}, "LATCH"),
        ({"blockers": ("clock: open",)}, "BLOCKERS"),
        ({"blockers": None}, "BLOCKERS_UNKNOWN"),
        ({"joined_nonce": ""}, "REVIEWER_MISSING"),
        ({"used_nonces": frozenset({"b" * 64})}, "NONCE_REPLAYED"),
        ({"operator_nonce": "x"}, "NONCE_MISSING"),
        ({"operator_nonce": "b" * 64}, "NONCE_REPLAYED"),
        ({"operator_nonce": "b" * 64, "seen_nonces": frozenset()}, "NONCE_REPLAYED"),
        ({"seen_nonces": frozenset({"a" * 64})}, "NONCE_REPLAYED"),
        ({"now_us": 2}, "WINDOW"),
    ],
)
def test_a_packet_is_built_only_when_everything_is_ready(words, wrong, expected) -> None:
    assert code(judge_request(request_facts(words, **wrong))) == expected


def test_a_reviewer_joins_with_a_fresh_nonce(words) -> None:
    assert code(judge_join("a" * 64, frozenset())) == "APPROVED"
    assert code(judge_join("a" * 64, frozenset({"a" * 64}))) == "NONCE_REPLAYED"
    assert code(judge_join("A" * 64, frozenset())) == "NONCE_MISSING"
