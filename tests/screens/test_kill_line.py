"""The kill's true state on its fixed line: on every screen and in every dialog, in every state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from textual.screen import ModalScreen

from engine.contracts.view import StateView
from screens.base import PeakModal, PeakScreen
from screens.chrome import kill_mark
from screens.help import Help
from screens.model import KillPress, Model
from screens.prompt import QuitPrompt, ReasonPrompt
from screens.ticket import Ticket
from tests.screens import conftest as data

PRESSED = data.NOW
#: 10:20:30.123 as data.NOW has it
AT = "10:20:30.123"


def kill(state: str, **more: Any) -> StateView:
    seen = msgspec.structs.replace(data.LIVE.kill, state=state, **more)
    return msgspec.structs.replace(data.LIVE, kill=seen)


def model(state: StateView | None, *, up: bool = True, press: KillPress | None = None) -> Model:
    made = Model(role="operator", person="alice", state=state, link_up=up, silent_ms=0)
    return replace(made, press=press)


SENT = KillPress("sent", PRESSED)
ANSWERED = KillPress("answered", PRESSED, "LATCHED in 3.0 ms")
FAILED = KillPress("failed", PRESSED, "no answer")

ROWS = [
    (model(kill("READY")), "READY"),
    (model(kill("READY"), press=SENT), f"SENT {AT}"),
    (model(kill("LATCHED"), press=ANSWERED), "LATCHED, proving zero 0.0 ms"),
    (model(kill("PROVEN"), press=ANSWERED), "PROVEN 0.0 ms"),
    (model(kill("UNCONFIRMED", detail="the venue did not answer")), "UNCONFIRMED the venue did"),
    (model(kill("READY"), press=FAILED), f"FAILED {AT} no answer; use `peakctl kill`"),
    (model(kill("READY"), up=False), "LINK DOWN: use `peakctl kill`"),
    (model(kill("PROVEN"), up=False), "LINK DOWN: use `peakctl kill`"),
    (model(None, up=False), "LINK DOWN: use `peakctl kill`"),
    (model(kill("PROVEN"), up=False, press=ANSWERED), f"LINK DOWN: use `peakctl kill`; SENT {AT}"),
    (model(kill("READY"), up=False, press=FAILED), f"FAILED {AT} no answer; use `peakctl kill`"),
]


@pytest.mark.parametrize(("seen", "words"), ROWS, ids=lambda one: str(one)[:24])
def test_the_line_says_what_is_true(seen: Model, words: str) -> None:
    assert kill_mark(seen).word.startswith(words)


def test_a_latch_that_was_released_reads_ready_again() -> None:
    later = msgspec.structs.replace(kill("READY"), time_us=PRESSED + 5_000_000)
    assert kill_mark(model(later, press=ANSWERED)).word == "READY"
    assert kill_mark(model(later, press=SENT)).word.startswith("SENT"), "no answer yet"
    assert kill_mark(model(later, up=False, press=ANSWERED)).word.startswith("LINK DOWN")


def test_every_dialog_is_made_of_the_one_that_has_the_line() -> None:
    dialogs = {one for kind in (Help, QuitPrompt, ReasonPrompt, Ticket) for one in (kind,)}
    assert set(_below(PeakModal)) == dialogs, "a new dialog: show it here"
    assert set(_below(ModalScreen)) == {PeakModal, *dialogs} | {
        one for one in _below(ModalScreen) if one.__module__.startswith("textual")
    }


def _below(kind: type) -> list[type]:
    return [one for child in kind.__subclasses__() for one in (child, *_below(child))]


@pytest.mark.parametrize("who", ["operator", "reviewer"])
async def test_the_line_is_on_every_screen_and_dialog(who: str, request: Any) -> None:
    made = request.getfixturevalue(who)
    async with data.staged(made) as stage:
        await stage.show(data.LIVE)
        names = list(stage.app._installed_screens)
        kinds = {type(stage.app.get_screen(name)) for name in names}
        assert {"risk", "venue", "alarms", "stopped"} <= set(names)
        assert all(issubclass(kind, PeakScreen) for kind in kinds)
        for name in names:
            stage.app.action_go_to(name)
            await stage.pilot.pause()
            assert stage.app.screen.name == name
            assert "F9 / ctrl+x  KILL   ● READY" in stage.text("kill"), name
        dialogs = [Help("live", who), QuitPrompt("leave?"), ReasonPrompt("t", "w", "Do")]
        if who == "operator":
            dialogs.append(Ticket("BTCUSDT"))
        for dialog in dialogs:
            stage.app.push_screen(dialog)
            await stage.pilot.pause()
            assert stage.app.screen is dialog
            assert "F9 / ctrl+x  KILL   ● READY" in stage.text("kill"), dialog
            stage.console.connected = False
            stage.app.tick()
            assert "LINK DOWN: use `peakctl kill`" in stage.text("kill"), dialog
            stage.console.connected = True
            stage.app.tick()
            stage.app.pop_screen()
