"""The lines that stand on every screen: header, next step, answer, keys, kill line. Pure drawing.

The kill line is always on and always true: a dead link looks dead and names the other way.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from engine.contracts.session import END_STATES, SessionState
from peakctl.keys import actions_of, key_name
from screens.draw import age, between, clock, clock_ms, countdown, join, mark, text, wrap
from screens.model import KillPress, Model
from screens.words import DUAL_PURPOSES, ENVIRONMENTS, NO_SESSION, PHASES, SESSIONS, Mark, mark_of

_LINK_DOWN = Mark("✖", "LINK DOWN: use `peakctl kill` in any shell", "chip-now")
#: Longer than a press waits for its answer, µs.
_ANSWERED_US = 1_000_000
_PROBLEMS = {"LATCHED", "UNCONFIRMED", "PROVEN"}


def header(model: Model, width: int) -> Sequence[Content]:
    """Environment, session and state, clock, age of what is shown."""
    state = model.state
    environment = mark_of(ENVIRONMENTS, state.engine.environment) if state else None
    left = [text(f" {environment.text} ", environment.tone) if environment else text(" ? ", "chip")]
    session = model.session
    spare: list[Content] = []
    if session is None:
        left.append(mark(NO_SESSION))
    else:
        left.append(mark(mark_of(SESSIONS, session.state)))
        left.append(text(session.id, "quiet"))
        symbols = ",".join(session.charter.instruments)
        spare.append(text(f"{session.charter.mode} {symbols}", "quiet"))
    if state is not None and state.engine.phase != "ready":
        left.append(mark(mark_of(PHASES, state.engine.phase)))
    live = session is not None and session.state not in END_STATES
    now = text(clock(model.now_us, "%H:%M:%SZ" if live else "%H:%MZ") + " ")
    ends = [freshness(model), now]
    spare.insert(0, text(f"{model.role} {model.person}", "quiet"))
    for part in spare:
        if sum(piece.cell_length + 2 for piece in (*left, *ends, part)) <= width:
            left.append(part)
    gap = Content("  ")
    return [between(gap.join(left), gap.join(ends), width)]


def freshness(model: Model) -> Content:
    """Age of the last state in words: quiet while fresh, red when stale or cut off."""
    if model.state is None:
        return text(f"◌ {model.link_words}", "soon")
    if not model.link_up:
        return text(f"✖ LINK DOWN {age(model.silent_ms)}", "now")
    if model.stale:
        seconds = (model.silent_ms or 0) // 1000
        return text(f"▲ STALE {seconds} s", "now")
    return text("● data live", "quiet")


def next_step(model: Model, width: int) -> Sequence[Content]:
    """The one sentence, at most two rows; above it whatever waits for this person's signature."""
    asked = _asked(model, width)
    rows = wrap(model.next_step, width - 4, "accent", most=2 - len(asked))
    return [*asked, *(join(" ▶ " if n == 0 else "   ", row) for n, row in enumerate(rows))]


def _asked(model: Model, width: int) -> list[Content]:
    waits = model.waits_for_me
    if not waits:
        return []
    first = waits[0]
    what = DUAL_PURPOSES.get(first.purpose, first.purpose)
    more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
    left = countdown(first.expires_us - model.now_us)
    words = f"▲ ctrl+t: your signature is asked for: {what}{more}, by {first.requested_by}, {left}"
    return [join(" ", text(words, "soon")).truncate(width, ellipsis=True)]


def witness(model: Model, width: int) -> Sequence[Content]:
    """What this terminal's own copy of the heads says against the engine; at most three rows."""
    if not model.witness:
        return []
    rows = wrap(model.witness, width - 4, "now", most=3)
    return [join(text(" ✖ " if n == 0 else "   ", "now"), row) for n, row in enumerate(rows)]


def answer(model: Model, width: int) -> Sequence[Content]:
    """What the last action came to, or the demo's banner; at most three rows."""
    if not model.said.words:
        return _banner(model, width)
    lead = {"now": " ✖ ", "soon": " ▲ "}.get(model.said.tone, " · ")
    rows = wrap(model.said.words, width - 4, model.said.tone, most=3)
    return [
        join(text(lead if n == 0 else "   ", model.said.tone), row) for n, row in enumerate(rows)
    ]


def _banner(model: Model, width: int) -> list[Content]:
    """The demo's line for the second terminal, whole, to be copied; until somebody joined there."""
    if not model.banner or (model.session is not None and model.session.reviewer_joined):
        return []
    lead = " reviewer, in a second terminal: "
    if len(lead) + len(model.banner) <= width:
        return [join(text(lead, "quiet"), text(model.banner))]
    return [text(lead, "quiet"), *wrap(model.banner, width, most=2)]


def footer(model: Model, screen: str, width: int) -> Sequence[Content]:
    """The keys of this screen; what does not fit is in the help (F1, always first)."""
    rows = [row for row in actions_of(screen, model.role) if row.footer]
    rows.sort(key=lambda row: (row.id != "help", row.screens == ("*",)))
    parts: list[Content] = []
    used = 1
    for row in rows:
        key = key_name(row.keys.split(",")[0])
        length = len(key) + len(row.label) + 3
        if used + length > width:
            continue
        used += length
        parts.append(join(text(key, "accent"), " ", text(row.label, "quiet")))
    return [join(" ", Content("  ").join(parts))]


def kill_mark(model: Model) -> Mark:
    """State of the kill switch as this terminal knows it."""
    press, state = model.press, model.state
    kill = state.kill if state else None
    if kill is not None and model.link_up and kill.state in _PROBLEMS:
        return _engine_kill(
            kill.state, kill.stages[-1].elapsed_us if kill.stages else 0, kill.detail
        )
    if press is not None and press.stage == "failed":
        words = (
            f"FAILED {clock_ms(press.pressed_us)} {press.detail}; use `peakctl kill` in any shell"
        )
        return Mark("✖", words, "chip-now")
    if press is not None and not _released_since(press, model):
        sent = f"SENT {clock_ms(press.pressed_us)}"
        if not model.link_up:
            # What was answered is an answer of then: nothing is known of now.
            return Mark("✖", f"LINK DOWN: use `peakctl kill`; {sent}", "chip-now")
        got = " answered" if press.stage == "answered" else ""
        return Mark("▶", f"{sent}{got} {press.detail}".rstrip(), "chip-soon")
    if not model.link_up or state is None:
        return _LINK_DOWN
    return Mark("●", "READY", "loud")


def _released_since(press: KillPress, model: Model) -> bool:
    """Whether the latch that this press has set is open again: the line must say READY then.

    An answer means that the latch was set, so an open one in a later state was released by people.
    """
    state = model.state
    if press.stage != "answered" or state is None or not model.link_up:
        return False
    return state.kill.state == "READY" and state.time_us > press.pressed_us + _ANSWERED_US


def _engine_kill(state: str, elapsed_us: int, detail: str) -> Mark:
    milliseconds = f"{elapsed_us / 1000:.1f} ms"
    if state == "PROVEN":
        return Mark("■", f"PROVEN {milliseconds}", "chip-soon")
    if state == "UNCONFIRMED":
        return Mark("▲", f"UNCONFIRMED {detail}".rstrip(), "chip-now")
    return Mark("■", f"LATCHED, proving zero {milliseconds}", "chip-now")


def kill_line(model: Model, width: int) -> Sequence[Content]:
    """`F9 / ^X  KILL` and where it stands; at the right the alarms and the recording of it all."""
    where = kill_mark(model)
    left = join(text(" F9 / ctrl+x  KILL ", "reverse"), " ", text(f" {where.text} ", where.tone))
    return [between(left, _right_end(model), width)]


def _right_end(model: Model) -> Content:
    state = model.state
    if state is None:
        return text("")
    open_alarms = [alarm for alarm in state.alarms if not alarm.acknowledged_by]
    if open_alarms:
        worst = min(alarm.priority for alarm in open_alarms)
        tone = "now" if worst == 1 else "soon" if worst == 2 else "accent"
        return text(f"▲ {len(open_alarms)} alarm{'s' * (len(open_alarms) > 1)} F8 ", tone)
    trading = model.session is not None and model.session.state in {
        SessionState.LIVE,
        SessionState.PAUSED,
    }
    if trading and not state.engine.attended:
        return text("▲ unattended: no new orders ", "soon")
    return text("no alarms ", "quiet")
