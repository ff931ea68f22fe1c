"""The locks (I5): every one alone holds the door, and doubt holds it too (I12)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.contracts.decision import Verdict, decide_all
from engine.contracts.session import Environment, Mode, SessionState
from engine.governance.latch import LatchState
from engine.governance.locks import (
    LIVE_LOCKS,
    MIN_SHADOW_WEEKS,
    MIN_TESTNET_WEEKS,
    MODE_ENVIRONMENTS,
    REQUIRED_DRILLS,
    LockFacts,
    Promotion,
    live_locks,
)

PROVEN = Promotion(
    shadow_weeks=MIN_SHADOW_WEEKS,
    testnet_weeks=MIN_TESTNET_WEEKS,
    drills_passed=frozenset(REQUIRED_DRILLS),
    open_breaks=0,
)

#: Facts under which every lock of live is open: for tests of the rule, no engine can be in it.
OPEN = LockFacts(
    mode=Mode.LIVE,
    environment=Environment.PROD,
    modes_allowed=frozenset({Mode.LIVE}),
    venue="binance",
    account="main",
    allow_list=frozenset({("binance", "main")}),
    session_state=SessionState.LIVE,
    go_stage="go",
    decided_us=150,
    changed=(),
    window_from_us=100,
    window_until_us=200,
    now_us=160,
    latch=LatchState.READY,
    attended=True,
    promotion=PROVEN,
)

PAPER = msgspec.structs.replace(
    OPEN,
    mode=Mode.PAPER,
    environment=Environment.DEV,
    modes_allowed=frozenset({Mode.PAPER}),
    allow_list=None,
    promotion=None,
)


def blocked(facts: LockFacts) -> set[str]:
    return {check.code for check in live_locks(facts) if check.verdict is not Verdict.ALLOW}


def test_with_every_fact_in_place_the_rules_are_satisfied() -> None:
    assert blocked(OPEN) == set()
    assert blocked(PAPER) == set()


@pytest.mark.parametrize(
    ("wrong", "lock"),
    [
        ({"environment": Environment.DEV}, "LOCK_ENVIRONMENT"),
        ({"environment": Environment.TESTNET}, "LOCK_ENVIRONMENT"),
        ({"modes_allowed": frozenset()}, "LOCK_MODE"),
        ({"modes_allowed": None}, "LOCK_MODE"),
        ({"allow_list": frozenset()}, "LOCK_ALLOW_LIST"),
        ({"allow_list": None}, "LOCK_ALLOW_LIST"),
        ({"account": "other"}, "LOCK_ALLOW_LIST"),
        ({"venue": "other"}, "LOCK_ALLOW_LIST"),
        ({"session_state": None}, "LOCK_SESSION"),
        ({"session_state": SessionState.PAUSED}, "LOCK_SESSION"),
        ({"session_state": SessionState.KILLED}, "LOCK_SESSION"),
        ({"go_stage": "signed"}, "LOCK_APPROVAL"),
        ({"go_stage": "void"}, "LOCK_APPROVAL"),
        ({"go_stage": ""}, "LOCK_APPROVAL"),
        ({"decided_us": None}, "LOCK_APPROVAL"),
        ({"decided_us": 99}, "LOCK_SIGNED_IN_WINDOW"),
        ({"decided_us": 200}, "LOCK_SIGNED_IN_WINDOW"),
        ({"changed": ("config_sha256",)}, "LOCK_UNCHANGED"),
        ({"changed": None}, "LOCK_UNCHANGED"),
        ({"now_us": 99}, "LOCK_WINDOW"),
        ({"now_us": 200}, "LOCK_WINDOW"),
        ({"window_until_us": None}, "LOCK_WINDOW"),
        ({"latch": None}, "LOCK_LATCH"),
        ({"latch": LatchState.LATCHED}, "LOCK_LATCH"),
        ({"latch": LatchState.PROVEN}, "LOCK_LATCH"),
        ({"latch": LatchState.UNCONFIRMED}, "LOCK_LATCH"),
        ({"attended": False}, "LOCK_ATTENDANCE"),
        ({"attended": None}, "LOCK_ATTENDANCE"),
        ({"promotion": None}, "LOCK_SHADOW_WEEKS"),
        ({"promotion": None}, "LOCK_TESTNET_WEEKS"),
        ({"promotion": None}, "LOCK_DRILLS"),
        ({"promotion": None}, "LOCK_BREAKS"),
    ],
)
def test_each_lock_holds_alone_i5(wrong: dict[str, Any], lock: str) -> None:
    assert lock in blocked(msgspec.structs.replace(OPEN, **wrong))


@pytest.mark.parametrize(
    ("wrong", "lock"),
    [
        ({"shadow_weeks": MIN_SHADOW_WEEKS - 1}, "LOCK_SHADOW_WEEKS"),
        ({"shadow_weeks": None}, "LOCK_SHADOW_WEEKS"),
        ({"testnet_weeks": MIN_TESTNET_WEEKS - 1}, "LOCK_TESTNET_WEEKS"),
        ({"drills_passed": frozenset(REQUIRED_DRILLS[1:])}, "LOCK_DRILLS"),
        ({"open_breaks": 1}, "LOCK_BREAKS"),
        ({"open_breaks": -1}, "LOCK_BREAKS"),
    ],
)
def test_each_piece_of_promotion_evidence_is_needed(wrong: dict[str, Any], lock: str) -> None:
    promotion = msgspec.structs.replace(PROVEN, **wrong)
    assert blocked(msgspec.structs.replace(OPEN, promotion=promotion)) == {lock}


def test_a_fresh_install_cannot_go_live() -> None:
    fresh = Promotion(shadow_weeks=0, testnet_weeks=0, drills_passed=frozenset(), open_breaks=0)
    assert len(blocked(msgspec.structs.replace(OPEN, promotion=fresh))) == 3


def test_a_lock_that_cannot_be_asked_stays_locked_i12() -> None:
    nonsense: Any = "soon"
    for name in ("window_from_us", "promotion", "modes_allowed", "changed", "attended"):
        broken = msgspec.structs.replace(OPEN, **{name: nonsense if name != "modes_allowed" else 7})
        assert blocked(broken), name


def test_live_runs_in_prod_only_and_no_mode_runs_everywhere() -> None:
    assert MODE_ENVIRONMENTS[Mode.LIVE] == {Environment.PROD}
    assert set(MODE_ENVIRONMENTS) == set(Mode)
    for mode, allowed in MODE_ENVIRONMENTS.items():
        for environment in set(Environment) - allowed:
            facts = msgspec.structs.replace(
                PAPER, mode=mode, environment=environment, modes_allowed=frozenset(Mode)
            )
            assert "LOCK_ENVIRONMENT" in blocked(facts)


def test_paper_needs_session_approval_latch_and_operator() -> None:
    for wrong in (
        {"session_state": SessionState.CHECKLIST},
        {"go_stage": "requested"},
        {"latch": LatchState.LATCHED},
        {"attended": False},
        {"environment": Environment.PROD},
    ):
        checks = live_locks(msgspec.structs.replace(PAPER, **wrong))
        assert decide_all(checks).verdict is Verdict.BLOCK


def test_every_check_has_its_code_and_a_reason() -> None:
    checks = live_locks(OPEN)
    assert [check.code for check in checks] == [code for code, _ in LIVE_LOCKS]
    assert all(check.text.startswith(f"{check.code}: ") for check in checks)
