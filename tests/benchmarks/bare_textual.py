"""The least full screen in Textual: a header, a form, lines of text, a footer. Run by the bench."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Footer, Header, Input, Static


class Bare(App[None]):
    """Nothing but widgets of the library."""

    BINDINGS = [("f1", "nothing", "help")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = False

    def compose(self) -> ComposeResult:
        """Two inputs and twenty lines."""
        yield Header()
        yield Input(placeholder="first")
        yield Input(placeholder="second")
        yield Static("\n".join(f"line {number}" for number in range(20)))
        yield Footer()


if __name__ == "__main__":
    Bare().run()
