"""The shell of both consoles: what is imported before the first paint, and the action registry."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine.contracts.session import SessionState
from peakctl.app import OPERATOR_STEPS, REVIEWER_STEPS, ConsoleApp, ReviewApp
from peakctl.keys import ACTIONS, EVERYWHERE, actions_of, keys_of, markdown_table
from screens.shared import SHARED

HEAVY = ("aiohttp", "pandas", "duckdb", "pyarrow", "numpy", "pydantic", "cryptography")
#: The same byte as another key, or eaten by terminals and multiplexers (docs: keys.py).
DEAD_KEYS = {f"ctrl+{letter}" for letter in "abdhijm["} | {"f10", "f11"}

SCREENS = {
    role: {kind.NAME: kind for kind in (*app.SCREENS_OF, *SHARED)}
    for role, app in (("operator", ConsoleApp), ("reviewer", ReviewApp))
}


def test_nothing_heavy_is_imported_before_the_first_paint() -> None:
    program = "import sys, peakctl.app; print(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not set(HEAVY) & set(done.stdout.split())


@pytest.mark.parametrize("role", ["operator", "reviewer"])
def test_every_action_of_every_screen_can_be_done(role: str) -> None:
    app = ConsoleApp if role == "operator" else ReviewApp
    for name, kind in SCREENS[role].items():
        for action in actions_of(name, role):
            of_app = action.screens == EVERYWHERE or action.id.startswith("app.")
            owner = app if of_app else kind
            method = action.id.removeprefix("app.").split("(")[0]
            assert hasattr(owner, f"action_{method}"), (name, action.id)


@pytest.mark.parametrize("role", ["operator", "reviewer"])
def test_no_key_means_two_things_on_one_screen(role: str) -> None:
    for name in SCREENS[role]:
        keys = [key for row in actions_of(name, role) for key in row.keys.split(",")]
        assert len(keys) == len(set(keys)), name


def test_no_key_is_one_that_terminals_eat() -> None:
    used = {key for row in ACTIONS for key in row.keys.split(",")}
    assert not used & DEAD_KEYS


def test_what_is_dangerous_is_known() -> None:
    assert {row.id for row in ACTIONS if row.dangerous} == {
        "open_charter",
        "abort",
        "end_unsealed",
        "adopt_orphan",
        "ask_release",
        "sign_dual",
        "decline_dual",
        "sign_go",
        "decide",
        "ticket",
        "stop",
        "sign_recon",
        "sign_pack",
    }


def test_kill_is_everywhere_for_everybody_and_never_asks() -> None:
    (kill,) = (row for row in ACTIONS if row.id == "kill")
    assert kill.screens == EVERYWHERE
    assert kill.roles == ("operator", "reviewer")
    assert not kill.dangerous
    assert keys_of(kill) == "F9 / ^X"


@pytest.mark.parametrize(
    ("steps", "role"), [(OPERATOR_STEPS, "operator"), (REVIEWER_STEPS, "reviewer")]
)
def test_every_state_of_a_session_has_its_screen(steps: dict[object, str], role: str) -> None:
    assert set(steps) == {None, *SessionState}
    assert set(steps.values()) <= set(SCREENS[role])


def test_the_key_table_names_every_action() -> None:
    table = markdown_table()
    assert all(row.description in table for row in ACTIONS)
