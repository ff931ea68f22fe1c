"""Small charts as SVG text: lines, steps, marks over time, and bars, with axes for people.

Pure and deterministic: coordinates are rounded to a tenth of a pixel, so the same series give the
same bytes. Nothing here is interactive and nothing is fetched. Floats are pixels only; the labels
are the caller's own numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import msgspec

WIDTH, HEIGHT = 900, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 20, 14, 34
_TICKS = 5

#: Room of a bar chart for names at the left and values at the right, and the height of a row.
_BAR_LEFT, _BAR_RIGHT, _BAR_ROW = 260, 200, 20

#: Colours are written into the picture itself: not every reader applies a page's style inside it.
COLOURS = {
    "equity": "#00589b",
    "before": "#777",
    "latency": "#00589b",
    "price": "#777",
    "buy": "#00703c",
    "sell": "#b3261e",
}
#: Lines that are broken, so that two in one chart differ without their colours.
_BROKEN = {"before": ' stroke-dasharray="6 4"'}
_GRID = "#ddd"
_LABEL = 'font-size="11" fill="#555"'

#: Spans shorter than this are labelled in milliseconds.
_FINE_US = 10_000_000

#: More points than this cannot be told apart and would make the page heavy.
MOST = 4_000


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Points (time in µs UTC, value), oldest first. `shape` is line, step, or a mark's name.

    Marks: `buy` (triangle up), `sell` (triangle down), `dot`. `kind` is a key of `COLOURS`.
    """

    name: str
    shape: str
    points: tuple[tuple[int, float], ...]
    kind: str


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a bar chart; `label` is its value in the caller's own words."""

    name: str
    value: float
    label: str


class Axis(msgspec.Struct, frozen=True):
    """A span of values and how to place one on it, in pixels."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def chart(title: str, unit: str, series: Sequence[Series]) -> str:
    """One chart of all series, or a sentence when they have no points."""
    drawn = [_thinned(one) for one in series if one.points]
    if not drawn:
        return f"<figure><figcaption>{escape(title)}</figcaption><p>no data</p></figure>"
    times = [at for one in drawn for at, _ in one.points]
    values = [value for one in drawn for _, value in one.points]
    across = _axis(min(times), max(times), _LEFT, WIDTH - _RIGHT, pad=0.0)
    up = _axis(min(values), max(values), HEIGHT - _BOTTOM, _TOP, pad=0.06)
    body = [*_value_ticks(up), *_time_ticks(across)]
    body += [_drawn(one, across, up) for one in drawn]
    legend = " ".join(
        f'<span style="color:{COLOURS[one.kind]}">{escape(one.name)}</span>' for one in drawn
    )
    caption = f"{escape(title)} ({escape(unit)})"
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(caption)}">'
        + "".join(body)
        + "</svg>"
    )
    return f"<figure><figcaption>{caption} {legend}</figcaption>{svg}</figure>"


def bar_chart(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """Bars from a common zero, one a row in the order given; or a sentence when there are none."""
    if not bars:
        return f"<figure><figcaption>{escape(title)}</figcaption><p>no data</p></figure>"
    across = _axis(
        min(0.0, *(one.value for one in bars)),
        max(0.0, *(one.value for one in bars)),
        _BAR_LEFT,
        WIDTH - _BAR_RIGHT,
        pad=0.0,
    )
    zero = f"{across.place(0):.1f}"
    height = _BAR_ROW * len(bars) + 8
    body = [f'<line stroke="#777" x1="{zero}" x2="{zero}" y1="0" y2="{height}"/>']
    for place, one in enumerate(bars):
        top = 4 + place * _BAR_ROW
        ends = sorted((across.place(0), across.place(one.value)))
        shape = f'x="{ends[0]:.1f}" y="{top + 3}" width="{ends[1] - ends[0]:.1f}" height="14"'
        colour = COLOURS["sell" if one.value < 0 else "buy"]
        middle = f'y="{top + 14}" {_LABEL}'
        body.append(
            f'<rect fill="{colour}" {shape}/>'
            f'<text x="{_BAR_LEFT - 10}" text-anchor="end" {middle}>{escape(one.name)}</text>'
            f'<text x="{WIDTH - _BAR_RIGHT + 8}" {middle}>{escape(one.label)}</text>'
        )
    caption = f"{escape(title)} ({escape(unit)})"
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(caption)}">'
        + "".join(body)
        + "</svg>"
    )
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"


def _thinned(one: Series) -> Series:
    """At most `MOST` points, evenly chosen, the last among them; the name says so."""
    every = -(-len(one.points) // MOST)
    if every == 1:
        return one
    kept = one.points[::every]
    if kept[-1] != one.points[-1]:
        kept = (*kept, one.points[-1])
    return msgspec.structs.replace(one, points=kept, name=f"{one.name}, every {every}th")


def _axis(low: float, high: float, start: float, end: float, pad: float) -> Axis:
    """An axis over the span; a single value gets room on both sides."""
    room = (high - low) * pad if high > low else abs(low) * 0.01 or 1.0
    return Axis(low - room, high + room, start, end)


def _round_step(span: float) -> float:
    """The 1, 2 or 5 times a power of ten that gives about five ticks."""
    raw = span / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))


def _value_ticks(axis: Axis) -> list[str]:
    step = _round_step(axis.high - axis.low)
    places = max(0, -math.floor(math.log10(step)))
    first = math.ceil(axis.low / step)
    rows = []
    for number in range(first, math.floor(axis.high / step) + 1):
        pixel = f"{axis.place(number * step):.1f}"
        label = f"{number * step:,.{places}f}"
        span = f'x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{pixel}" y2="{pixel}"'
        place = f'x="{_LEFT - 6}" y="{pixel}" dy="4" text-anchor="end"'
        rows.append(f'<line stroke="{_GRID}" {span}/><text {place} {_LABEL}>{label}</text>')
    return rows


def _time_ticks(axis: Axis) -> list[str]:
    rows = []
    for number in range(_TICKS):
        at = axis.low + (axis.high - axis.low) * number / (_TICKS - 1)
        pixel = f"{axis.place(at):.1f}"
        anchor = {0: "start", _TICKS - 1: "end"}.get(number, "middle")
        rows.append(
            f'<text x="{pixel}" y="{HEIGHT - 12}" text-anchor="{anchor}" {_LABEL}>'
            f"{clock(round(at), fine=axis.high - axis.low < _FINE_US)}</text>"
        )
    return rows


def clock(at_us: int, *, fine: bool = False) -> str:
    """Time of day, UTC, to the second or (fine) to the millisecond."""
    seconds, rest = divmod(at_us % 86_400_000_000, 1_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{rest // 1000:03d}" if fine else text


def _drawn(one: Series, across: Axis, up: Axis) -> str:
    places = [(across.place(at), up.place(value)) for at, value in one.points]
    if one.shape in _MARKS:
        path = _MARKS[one.shape]
        marks = "".join(f'<path d="M{x:.1f} {y:.1f}{path}"/>' for x, y in places)
        return f'<g fill="{COLOURS[one.kind]}">{marks}</g>'
    commands = [f"M{places[0][0]:.1f} {places[0][1]:.1f}"]
    for x, y in places[1:]:
        commands.append(f"H{x:.1f}V{y:.1f}" if one.shape == "step" else f"L{x:.1f} {y:.1f}")
    look = f'fill="none" stroke-width="1.5" stroke="{COLOURS[one.kind]}"'
    look += _BROKEN.get(one.kind, "")
    return f'<path {look} d="{"".join(commands)}"/>'


#: Drawn from the point itself: a triangle under a buy, over a sell, a small square for a dot.
_MARKS = {
    "buy": "l-5 9h10z",
    "sell": "l-5 -9h10z",
    "dot": "m-2 -2h4v4h-4z",
}
