"""Pictures of the main screens at 80x24 and 120x40; `--snapshot-update` renews them."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from engine.contracts.session import SessionState
from tests.screens import conftest as data

SIZES = [(80, 24), (120, 40)]
STATES = {
    "charter": data.EMPTY,
    "checklist": data.CHECKLIST,
    "go": data.GO,
    "live": data.LIVE,
    "reconcile": data.RECONCILE,
    "seal": data.SEAL,
    "killed": data.KILLED,
}
REVIEWS = {
    "waiting": data.with_session(SessionState.CHARTER),
    "packet": data.with_session(SessionState.GO_NOGO, go=data.go_view("signed")),
}


def showing(made, state, *keys: str, stale: bool = False):
    app, console = made

    async def run(pilot: Pilot[int]) -> None:
        stage = data.Stage(app, console, pilot)
        await stage.show(state)
        for key in keys:
            await stage.press(key)
        if state is data.SEAL:
            await stage.until(lambda: "incidents.md" in stage.text("pack-documents"))
        if stale:
            stage.clock.passed_ms += 9_000
            app.tick()
        await pilot.pause()

    return run


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", STATES)
def test_operator(snap_compare, operator, name: str, size: tuple[int, int]) -> None:
    run = showing(operator, STATES[name])
    assert snap_compare(operator[0], terminal_size=size, run_before=run)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", REVIEWS)
def test_reviewer(snap_compare, reviewer, name: str, size: tuple[int, int]) -> None:
    run = showing(reviewer, REVIEWS[name])
    assert snap_compare(reviewer[0], terminal_size=size, run_before=run)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_venue(snap_compare, operator, size: tuple[int, int]) -> None:
    run = showing(operator, data.TROUBLE, "ctrl+o")
    assert snap_compare(operator[0], terminal_size=size, run_before=run)


def test_trouble_on_the_live_screen(snap_compare, operator) -> None:
    run = showing(operator, data.TROUBLE)
    assert snap_compare(operator[0], terminal_size=(80, 24), run_before=run)


def test_stale(snap_compare, operator) -> None:
    run = showing(operator, data.LIVE, stale=True)
    assert snap_compare(operator[0], terminal_size=(80, 24), run_before=run)


def test_light(snap_compare, operator) -> None:
    operator[0].theme = "peak-light"
    run = showing(operator, data.LIVE)
    assert snap_compare(operator[0], terminal_size=(80, 24), run_before=run)


def test_without_colour(snap_compare, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    made = data.make_app("operator", tmp_path, monkeypatch)
    run = showing(made, data.LIVE)
    assert snap_compare(made[0], terminal_size=(80, 24), run_before=run)


def test_help(snap_compare, operator) -> None:
    run = showing(operator, data.LIVE, "f1")
    assert snap_compare(operator[0], terminal_size=(80, 24), run_before=run)
