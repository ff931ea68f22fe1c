"""Building one-line rows of text: cells, bars, ages, clocks. Pure; width in terminal cells.

Everything that reaches a screen goes through `text()`: outside words are escaped by the client's
`printable` and never read as markup, because Textual runs `[@click=...]` found in data.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from decimal import Decimal

from textual.content import Content

from engine.contracts.money import to_text
from peakctl.client.printable import printable
from screens.words import TONES, Mark

Row = Content
BLANK = Content("")


def text(words: object, tone: str = "plain") -> Content:
    """Any words, escaped, in a tone."""
    return Content.styled(printable(str(words)), TONES[tone])


def mark(state: Mark, tone: str | None = None) -> Content:
    """Shape and word of a state in its tone."""
    return text(state.text, tone or state.tone)


def join(*parts: Content | str) -> Content:
    """Parts one after the other; plain strings are ours and go in as they are."""
    return Content("").join(Content(part) if isinstance(part, str) else part for part in parts)


def cell(content: Content | str, width: int, align: str = "left") -> Content:
    """Exactly `width` cells: cut with an ellipsis, or padded."""
    if width <= 0:
        return BLANK
    inner = Content(printable(content)) if isinstance(content, str) else content
    if inner.cell_length > width:
        inner = inner.truncate(width, ellipsis=True)
    missing = width - inner.cell_length
    return inner.pad_left(missing) if align == "right" else inner.pad_right(missing)


def between(left: Content, right: Content, width: int) -> Content:
    """Left and right at the two edges; the left gives way."""
    room = width - right.cell_length
    if room < 1:
        return cell(right, width)
    return join(cell(left, room), right)


def either(left: Content, right: Content, width: int) -> Content:
    """Left and right when both fit with a space between, else the left alone."""
    if left.cell_length + right.cell_length + 1 > width:
        return cell(left, width)
    return between(left, right, width)


def title(words: str, width: int, right: Content | None = None) -> Content:
    """A panel's title line: words, a rule, something at the right."""
    end = join(" ", right) if right is not None else BLANK
    head = text(words, "loud")
    rule = "─" * max(0, width - head.cell_length - end.cell_length - 1)
    return join(head, " ", text(rule, "quiet"), end)


def wrap(words: str, width: int, tone: str = "plain", most: int = 99) -> list[Content]:
    """Wrap words to `width`; the last of at most `most` rows ends with an ellipsis when cut."""
    if width < 1:
        return []
    rows: list[str] = []
    for paragraph in words.split("\n"):
        rows.extend(_wrap_one(printable(paragraph), width))
    if len(rows) > most:
        rows = [*rows[: most - 1], rows[most - 1][: max(0, width - 2)] + " …"]
    return [text(row, tone).truncate(width, ellipsis=True) for row in rows]


def _wrap_one(words: str, width: int) -> Iterable[str]:
    line = ""
    for word in words.split(" "):
        joined = f"{line} {word}" if line else word
        if len(joined) <= width:
            line = joined
            continue
        if line:
            yield line
        rest = word
        while len(rest) > width:
            yield rest[:width]
            rest = rest[width:]
        line = rest
    yield line


def bar(used_percent: int, width: int) -> Content:
    """A bar of a share in percent, with its tone: amber from 75, red from 100."""
    tone = "now" if used_percent >= 100 else "soon" if used_percent >= 75 else "quiet"
    filled = min(width, max(0, used_percent) * width // 100)
    return join(text("█" * filled, tone), text("░" * (width - filled), "quiet"))


def table(
    rows: Iterable[Sequence[Content | str]], widths: Sequence[int], aligns: str
) -> list[Content]:
    """Rows of cells with one space between; `aligns` holds `l` or `r` per column."""
    sides = ["right" if side == "r" else "left" for side in aligns]
    return [
        Content(" ").join(
            cell(part, width, side)
            for part, width, side in zip(row, widths, sides, strict=True)
            if width > 0
        )
        for row in rows
    ]


def amount(value: Decimal | None, signed: bool = False) -> str:  # noqa: FBT001, FBT002
    """A number as digits, or `?` for not known: never zero (I12)."""
    if value is None:
        return "?"
    digits = to_text(value)
    return f"+{digits}" if signed and value > 0 else digits


def short(digits: str, width: int) -> str:
    """A number's digits with as many decimals as fit, cut towards zero and marked `~`.

    Whole digits always stay, even where they do not fit.
    """
    if len(digits) <= width or "." not in digits:
        return digits
    whole, _, decimals = digits.partition(".")
    kept = decimals[: max(0, width - len(whole) - 2)]
    return f"~{whole}.{kept}" if kept else f"~{whole}"


def fixed(value: Decimal, step: Decimal) -> str:
    """A price or quantity with as many decimals as its step has, so that columns line up."""
    exponent = step.normalize().as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else 0
    return f"{value:.{places}f}"


def age(milliseconds: int | None) -> str:
    """An age for people: `?`, `120 ms`, `4.2 s`, `3 min`."""
    if milliseconds is None:
        return "?"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds // 60_000} min"


def clock(time_us: int, form: str = "%H:%M:%S") -> str:
    """UTC time of day."""
    return time.strftime(form, time.gmtime(time_us // 1_000_000))


def clock_ms(time_us: int) -> str:
    """UTC time of day with milliseconds."""
    return f"{clock(time_us)}.{time_us // 1000 % 1000:03d}"


def countdown(left_us: int) -> str:
    """Time left as `m:ss`, or `h:mm:ss`."""
    seconds = max(0, left_us // 1_000_000)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours}:{minutes:02d}:{seconds % 60:02d}"
    return f"{minutes}:{seconds % 60:02d}"
