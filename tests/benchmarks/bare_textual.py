"""The least full screen in Textual: a header, a form, lines of text, a footer. Run by the bench.

F1 opens the least dialog over it.
"""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Footer, Header, Input, Static


class BareDialog(ModalScreen[None]):
    """Thirty lines over the dimmed screen."""

    BINDINGS = [("escape", "dismiss", "Close")]  # noqa: RUF012
    CSS = "BareDialog { align: center middle; } Static { width: 80; height: 30; }"

    def compose(self) -> ComposeResult:
        """One widget."""
        yield Static("\n".join(f"key {number}   what it does" for number in range(30)))


class Bare(App[None]):
    """Nothing but widgets of the library."""

    BINDINGS = [("f1", "help", "help")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = False

    def compose(self) -> ComposeResult:
        """Two inputs and twenty lines."""
        yield Header()
        yield Input(placeholder="first")
        yield Input(placeholder="second")
        yield Static("\n".join(f"line {number}" for number in range(20)))
        yield Footer()

    def action_help(self) -> None:
        """Open the dialog."""
        self.push_screen(BareDialog())


if __name__ == "__main__":
    Bare().run()
