"""No two states of one kind may look alike without colour, and colours must be readable."""

from __future__ import annotations

import pytest

from engine.contracts.order import OrderState
from engine.contracts.session import Environment, ItemResult, SessionState
from screens import words
from screens.themes import DARK, LIGHT, MONO

TABLES = {
    "environments": (words.ENVIRONMENTS, list(Environment)),
    "sessions": (words.SESSIONS, list(SessionState)),
    "orders": (words.ORDERS, list(OrderState)),
    "items": (words.ITEMS, list(ItemResult)),
    "breaks": (words.BREAKS, ["green", "yellow", "red"]),
    "verdicts": (words.VERDICTS, ["ALLOW", "BLOCK", "PAUSE"]),
    "go": (words.GO_STAGES, ["none", "requested", "signed", "go", "no_go", "void"]),
    "dual": (words.DUAL_STAGES, ["pending", "granted", "withdrawn"]),
    "packs": (words.PACKS, ["writing", "written", "sealed"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_state_has_its_own_shape_and_its_own_word(name: str) -> None:
    table, states = TABLES[name]
    assert set(table) == set(states)
    marks = table.values()
    assert len({mark.word for mark in marks}) == len(table)
    assert len({mark.shape for mark in marks}) == len(table)
    assert all(mark.tone in words.TONES for mark in marks)


def test_a_state_this_console_does_not_know_is_called_by_its_name() -> None:
    assert words.mark_of(words.SESSIONS, "frozen").text == "? FROZEN"


def luminance(color: str) -> float:
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [DARK, LIGHT, MONO], ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", ["quiet", "accented", "act-soon", "act-now"])
def test_every_tone_reads_on_the_background_and_on_the_bands(theme, name: str) -> None:
    color = theme.variables[name]
    assert contrast(color, theme.background) >= 4.5
    assert contrast(color, theme.variables["band"]) >= 4.5
    assert contrast(theme.variables["inverse"], theme.variables["act-now"]) >= 4.5
