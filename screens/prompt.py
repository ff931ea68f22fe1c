"""Dialogs that ask: a reason before something ends, a yes before leaving.

Focus is never on the button that acts, and Enter in the reason does not act.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.containers import Horizontal
from textual.types import CSSPathType
from textual.widget import Widget
from textual.widgets import Button, Input

from screens.base import BASE_CSS, PeakModal
from screens.draw import text, title, wrap
from screens.lines import Lines
from screens.model import Model


class ReasonPrompt(PeakModal[str]):
    """Asks for a reason in words; answers with it, or None."""

    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "prompt.tcss"]

    def __init__(self, heading: str, question: str, verb: str, *, needed: bool = True) -> None:
        super().__init__()
        self._heading = heading
        self._question = question
        self._verb = verb
        self._needed = needed

    def body(self) -> Iterable[Widget]:
        """Question, reason, two buttons."""
        yield Lines(id="prompt-title")
        yield Lines(id="prompt-question")
        box = Input(id="prompt-reason", compact=True, placeholder="reason", max_length=200)
        box.cursor_blink = False
        yield box
        with Horizontal(id="prompt-buttons"):
            yield Button("Back", id="prompt-back", compact=True)
            yield Button(self._verb, id="prompt-do", compact=True)

    def on_mount(self) -> None:
        """The cursor is in the reason."""
        self.query_one("#prompt-reason").focus()

    def show_box(self, model: Model) -> None:
        """Heading and question."""
        del model
        self.lines("prompt-title").show(lambda width, _h: [title(self._heading, width)])
        self.lines("prompt-question").show(lambda width, _h: wrap(self._question, width))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the reason goes to Back, not to the button that acts."""
        event.stop()
        self.set_focus(self.query_one("#prompt-back"))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Only with a reason."""
        event.stop()
        reason = self.query_one("#prompt-reason", Input).value.strip()
        if event.button.id == "prompt-back":
            self.dismiss(None)
        elif reason or not self._needed:
            self.dismiss(reason or "-")
        else:
            self.lines("prompt-question").show(
                lambda width, _h: [*wrap(self._question, width), text("Give a reason.", "soon")]
            )
            self.query_one("#prompt-reason").focus()


class QuitPrompt(PeakModal[str]):
    """Asks before leaving an open session; says what goes on without the console."""

    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "prompt.tcss"]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def body(self) -> Iterable[Widget]:
        """Question and two buttons, Stay first."""
        yield Lines(id="prompt-title")
        yield Lines(id="prompt-question")
        with Horizontal(id="prompt-buttons"):
            yield Button("Stay", id="prompt-back", compact=True)
            yield Button("Leave", id="prompt-do", compact=True)

    def on_mount(self) -> None:
        """Focus on Stay."""
        self.query_one("#prompt-back").focus()

    def show_box(self, model: Model) -> None:
        """Heading and question."""
        del model
        self.lines("prompt-title").show(lambda width, _h: [title("Leave the console", width)])
        self.lines("prompt-question").show(lambda width, _h: wrap(self._question, width))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Stay or leave."""
        event.stop()
        self.dismiss("leave" if event.button.id == "prompt-do" else None)
