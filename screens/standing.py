"""Drawing how close the breakers are, which step of the ladder it is, and what is still asked for.

Pure. A breaker that stands over its limit comes first; what is not known is drawn as `?` and as not
met, never as zero (I12).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content

from engine.contracts.standing import EvidenceRow, LadderView
from engine.contracts.view import HeadroomView, StateView
from screens.draw import BLANK, bar, cell, clock, join, table, text, title, wrap

_BAR = 12
_WIDE = 70
_WIDER = 90


def breaker_rows(limits: Iterable[HeadroomView], width: int) -> list[Content]:
    """Each breaker, the closest first: name, bar, used of limit, and what it does when over."""
    found = sorted((row for row in limits if row.action), key=lambda row: -row.used_percent)
    if not found:
        return []
    # What is not wide enough for all keeps the name, the bar and what follows.
    size, numbers = (_BAR, 24) if width >= _WIDER else (6, 20) if width >= _WIDE else (6, 0)
    widths = (2, max(4, width - size - numbers - 19), size, 5, numbers, 6)
    rows = [title("Breakers", width, text("the closest first", "quiet"))]
    for row in found:
        over = row.used_percent > 100
        tone = "now" if over else "soon" if row.used_percent >= 75 else "plain"
        shape = "■" if over else "▲" if row.used_percent >= 75 else ""
        words = f"{row.used or '?'}/{row.limit} {row.unit}"
        parts = (
            text(shape, tone),
            text(row.text, tone),
            bar(row.used_percent, size),
            text(f"{row.used_percent}%", tone),
            text(words, "quiet"),
            text(row.action, "now" if over else "quiet"),
        )
        rows += table([parts], widths, "lllrrr")
    return [cell(row, width) for row in rows]


def standing_rows(state: StateView | None, width: int) -> list[Content]:
    """Breakers, ladder and the evidence for live, as far as the engine tells them."""
    if state is None:
        return []
    ladder = ladder_rows(state.ladder, width) if state.ladder else []
    live = evidence_rows("Live asks for", state.promotion, width)
    parts = [one for one in (breaker_rows(state.limits, width), ladder, live) if one]
    return [row for part in parts for row in (BLANK, *part)]


def ladder_rows(ladder: LadderView, width: int) -> list[Content]:
    """The step, what it caps, who or what moved it last, and what the next asks for."""
    place = f"step {ladder.step + 1} of {len(ladder.steps)}, {ladder.environment}"
    here = ladder.steps[ladder.step]
    rows = [
        title("Scaling ladder", width, text(place, "quiet")),
        *wrap(f"{here.name}: {here.text}", width, "loud"),
    ]
    if here.limits:
        caps = ", ".join(f"{name} {value}" for name, value in here.limits.items())
        rows += wrap(f"caps {caps}", width, "quiet")
    if ladder.cause and ladder.since_us is not None:
        words = f"{ladder.cause} by {ladder.by}, {clock(ladder.since_us)} UTC: {ladder.reason}"
        rows += wrap(words, width, "quiet")
    if ladder.next:
        rows += evidence_rows(f"{ladder.next} asks for", ladder.asks, width)
    return [cell(row, width) for row in rows]


def evidence_rows(words: str, rows: Sequence[EvidenceRow], width: int) -> list[Content]:
    """What is asked for, and what there is of it."""
    if not rows:
        return []
    met = sum(row.met for row in rows)
    found = [title(words, width, text(f"{met} of {len(rows)} met", "quiet"))]
    for row in rows:
        have = "?" if row.have is None else str(row.have)
        shape = text("✔", "quiet") if row.met else text("✖", "soon")
        bound = text(f"{have}, {row.bound} {row.need}", "plain" if row.met else "soon")
        room = max(1, width - 2 - bound.cell_length - 1)
        found.append(join(shape, " ", cell(text(row.text), room), " ", bound))
    return [cell(one, width) for one in found]
