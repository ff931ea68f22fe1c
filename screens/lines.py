"""`Lines`: a widget of one-line rows that repaints only the columns that changed.

Every figure on the screens is drawn by it. A row is text and style, compared with what stands
there; an unchanged state sends no byte to the terminal, and a new last digit not the whole row.
Drawing is a pure function of the state and the size, handed in by the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import get_character_cell_size
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

Draw = Callable[[int, int], Sequence[Content]]


def _nothing(_width: int, _height: int) -> Sequence[Content]:
    return ()


class Lines(Widget):
    """Rows of text drawn by a function of (width, height); no padding or border of its own."""

    DEFAULT_CSS = "Lines { height: auto; width: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._draw: Draw = _nothing
        self._rows: list[Content] = []
        self._drawn_size = (-1, -1)

    def show(self, draw: Draw) -> None:
        """Draw with this function from now on, and now."""
        self._draw = draw
        self.redraw()

    def redraw(self) -> None:
        """Compute the rows and repaint those that changed."""
        width, height = self.content_size
        if width <= 0:
            return
        rows = list(self._draw(width, height))
        before, self._rows = self._rows, rows
        if self._drawn_size != (width, height):
            self._drawn_size = (width, height)
            self.refresh(layout=len(rows) != len(before))
            return
        if len(rows) != len(before):
            self.refresh(layout=self.styles.height is None or self.styles.height.is_auto)
            return
        for y, (new, old) in enumerate(zip(rows, before, strict=True)):
            if not new.is_same(old):
                first, end = changed_columns(new, old, width)
                if end > first:
                    self.refresh(Region(first, y, end - first, 1))

    @property
    def plain_rows(self) -> list[str]:
        """The rows as text."""
        return [row.plain for row in self._rows]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as are drawn."""
        del container, viewport
        return len(self._draw(width, 0)) if width > 0 else 0

    def render_line(self, y: int) -> Strip:
        """One row."""
        width, height = self.content_size
        if self._drawn_size != (width, height):
            # A frame before our own resize: drawn now, so that no frame lacks the kill line.
            self._rows, self._drawn_size = list(self._draw(width, height)), (width, height)
        base = self.visual_style
        if y >= len(self._rows):
            return Strip.blank(width, base.rich_style)
        row = self._rows[y].truncate(width, ellipsis=True)
        strips = Visual.to_strips(self, row, width, 1, base, apply_selection=False, pad=True)
        return strips[0] if strips else Strip.blank(width, base.rich_style)

    def on_resize(self) -> None:
        """Another size, other rows."""
        self.redraw()


def changed_columns(new: Content, old: Content, width: int) -> tuple[int, int]:
    """From which column up to which (exclusive) two rows differ, when drawn `width` wide.

    The whole row where a character is no column, or where a row has to be cut. One stretch: the
    library paints whole pieces of one style, and several stretches send more bytes than one.
    """
    after, before = _columns(new, width), _columns(old, width)
    if after is None or before is None:
        return 0, width
    differ = [at for at, (one, other) in enumerate(zip(after, before, strict=True)) if one != other]
    return (differ[0], differ[-1] + 1) if differ else (0, 0)


def _columns(row: Content, width: int) -> list[tuple[object, ...]] | None:
    """Each column's character and styles; None for a row whose characters are not its columns."""
    plain = row.plain
    if len(plain) > width or any(get_character_cell_size(one) != 1 for one in plain):
        return None
    columns: list[tuple[object, ...]] = [(one,) for one in plain.ljust(width)]
    for span in row.spans:
        for at in range(max(span.start, 0), min(span.end, len(plain))):
            columns[at] += (span.style,)
    return columns


class Picker(Lines, can_focus=True):
    """Lines with a selected row, moved by up and down; the screen draws the mark."""

    BINDINGS = [  # noqa: RUF012  (Textual reads a plain list)
        ("up", "move(-1)", "Up"),
        ("down", "move(1)", "Down"),
    ]

    class Moved(Message):
        """The selected row changed."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.keys: tuple[str, ...] = ()
        self.selected = ""
        #: whether a person chose the selected row
        self.has_moved = False

    def offer(self, keys: Sequence[str]) -> None:
        """The keys that can be selected; the selection stays on its key when it is still there."""
        before = self.keys
        self.keys = tuple(keys)
        if self.selected not in self.keys:
            index = before.index(self.selected) if self.selected in before else 0
            self.selected = self.keys[min(index, len(self.keys) - 1)] if self.keys else ""

    def action_move(self, step: int) -> None:
        """Select the next or previous key."""
        if not self.keys:
            return
        self.has_moved = True
        index = self.keys.index(self.selected) if self.selected in self.keys else 0
        self.selected = self.keys[max(0, min(len(self.keys) - 1, index + step))]
        self.post_message(self.Moved())


class Choice(Lines, can_focus=True):
    """One of a few words on one line: left, right or space choose."""

    BINDINGS = [  # noqa: RUF012  (Textual reads a plain list)
        ("left", "turn(-1)", "Previous"),
        ("right", "turn(1)", "Next"),
        ("space", "turn(1)", "Next"),
    ]

    class Changed(Message):
        """Another word was chosen."""

    def __init__(self, words: Sequence[str], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.words = tuple(words)
        self.value = self.words[0]
        self._draw = self._draw_choice

    def action_turn(self, step: int) -> None:
        """Choose the next or previous word."""
        self.choose(self.words[(self.words.index(self.value) + step) % len(self.words)])

    def choose(self, word: str) -> None:
        """Choose this word."""
        self.value = word
        self.redraw()
        self.post_message(self.Changed())

    def watch_has_focus(self, value: bool) -> None:  # noqa: FBT001  (a Textual watcher)
        """Draw with or without the focus."""
        super().watch_has_focus(value)
        self.redraw()

    def _draw_choice(self, width: int, _height: int) -> Sequence[Content]:
        if width < sum(len(word) + 3 for word in self.words):
            place = f"  {self.words.index(self.value) + 1} of {len(self.words)}"
            chosen = Content.styled(f"▸{self.value}◂", self._tone(self.value))
            return [chosen + Content.styled(place, "$quiet")]
        parts = [
            Content.styled(f"▸{word}◂" if word == self.value else f" {word} ", self._tone(word))
            for word in self.words
        ]
        return [Content(" ").join(parts)]

    def _tone(self, word: str) -> str:
        if word != self.value:
            return "$quiet"
        return "bold $inverse on $accented" if self.has_focus else "bold"
