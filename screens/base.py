"""The base of every screen and every modal: same lines around, one body between.

A screen owns its layout and its messages. `show(model)` is called by the application at most four
times a second, and at once after an action; it must only draw.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import BindingsMap
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.types import CSSPathType
from textual.widget import Widget

from peakctl.keys import EVERYWHERE, actions_of
from screens import chrome
from screens.desk import Desk
from screens.lines import Lines
from screens.model import Model

Answer = TypeVar("Answer")

#: Absolute, so that screens in subfolders find it too.
BASE_CSS = Path(__file__).with_name("base.tcss")

#: Keys of a dialog's first milliseconds are dropped.
GRACE_MS = 300

#: Not priority: Enter belongs to the focused input first, Escape to what is on top.
_YIELDING = {"enter", "escape"}


def bind_actions(bindings: BindingsMap, screen: str, role: str) -> None:
    """Bind the registry's own actions of one screen."""
    for row in actions_of(screen, role):
        if row.screens != EVERYWHERE:
            bindings.bind(
                row.keys, row.id, row.label, show=False, priority=row.keys not in _YIELDING
            )


class PeakScreen(Screen[None]):
    """A full screen: header, next step, body, answer line, keys, kill line."""

    CSS_PATH: ClassVar[CSSPathType | None] = BASE_CSS
    AUTO_FOCUS = ""
    _ready = False
    NAME: ClassVar[str] = ""

    def __init__(self, role: str) -> None:
        super().__init__(name=self.NAME)
        self.role = role
        bind_actions(self._bindings, self.NAME, role)

    @property
    def desk(self) -> Desk:
        """The application."""
        return cast(Desk, self.app)

    @property
    def model(self) -> Model:
        """What there is to draw."""
        return self.desk.model

    def compose(self) -> ComposeResult:
        """The lines around, the body between."""
        yield Lines(id="header")
        yield Lines(id="next")
        yield Lines(id="witness")
        with Vertical(id="body"):
            yield from self.body()
        yield Lines(id="answer")
        yield Lines(id="keys")
        yield Lines(id="kill")

    @property
    def guarded(self) -> bool:
        """Whether text that is typed now was typed for something else: it is dropped."""
        return False

    def body(self) -> Iterable[Widget]:
        """The widgets of this screen."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """First paint, from whatever is known; before it there is nothing to draw on."""
        self._ready = True
        self.show(self.model)

    def on_screen_resume(self) -> None:
        """Back on top: draw what happened meanwhile."""
        self.show(self.model)

    def show(self, model: Model) -> None:
        """Draw everything, unless there is nothing to draw on: before mounting, while closing."""
        if not self._ready or not self.query("#kill"):
            return
        self.set_class(model.stale, "-stale")
        self.lines("header").show(lambda width, _h: chrome.header(model, width))
        self.lines("next").show(lambda width, _h: chrome.next_step(model, width))
        self.lines("witness").show(lambda width, _h: chrome.witness(model, width))
        self.lines("answer").show(lambda width, _h: chrome.answer(model, width))
        self.lines("keys").show(lambda width, _h: chrome.footer(model, self.NAME, width))
        self.lines("kill").show(lambda width, _h: chrome.kill_line(model, width))
        self.show_body(model)

    def show_body(self, model: Model) -> None:
        """Draw this screen's part."""
        raise NotImplementedError

    def lines(self, name: str) -> Lines:
        """One of the rows of this screen by id."""
        return self.query_one(f"#{name}", Lines)


class PeakModal(ModalScreen[Answer]):
    """A dialog: its box, and the kill line below it, because kill works here as well.

    While `guarded` the application drops every key but the kill key, so that a repeat of the key
    that opened the dialog, or what was being typed, cannot answer it.
    """

    _opened_ms: int | None = None

    CSS_PATH: ClassVar[CSSPathType | None] = BASE_CSS
    AUTO_FOCUS = ""
    _ready = False
    BINDINGS = [("escape", "close", "Close")]  # noqa: RUF012  (Textual reads a plain list)

    @property
    def desk(self) -> Desk:
        """The application."""
        return cast(Desk, self.app)

    def compose(self) -> ComposeResult:
        """The box and the kill line."""
        with Vertical(id="box"):
            yield from self.body()
        yield Lines(id="kill")

    def body(self) -> Iterable[Widget]:
        """The widgets in the box."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """First paint."""
        self._ready = True
        self._opened_ms = self.desk.monotonic_ms()
        self.show(self.desk.model)

    @property
    def guarded(self) -> bool:
        """Still inside its first 300 ms."""
        opened = self._opened_ms
        return opened is None or self.desk.monotonic_ms() - opened < GRACE_MS

    def show(self, model: Model) -> None:
        """Draw the kill line and the box, unless the dialog is opening or closing."""
        if not self._ready or not self.query("#kill"):
            return
        self.lines("kill").show(lambda width, _h: chrome.kill_line(model, width))
        self.show_box(model)

    def show_box(self, model: Model) -> None:
        """Draw this dialog's part."""
        del model

    def lines(self, name: str) -> Lines:
        """One of the rows of this dialog by id."""
        return self.query_one(f"#{name}", Lines)

    def action_close(self) -> None:
        """Leave without doing anything."""
        self.dismiss(None)
