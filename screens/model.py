"""What a screen draws from: the engine's last state, when it came, and this terminal's own part.

Pure data. The state is the engine's alone; here are only the things the engine cannot know: that
its words arrived late or not at all, that the kill key was pressed here, what was last said.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.contracts.view import DualView, SessionView, StateView

#: A stream silent for longer than this is drawn as stale, whole screen.
SILENT_LIMIT_MS = 2_000

_WITHOUT_ENGINE = {
    "gone": "No engine runs here. ctrl+e starts it again; until then `peakctl kill` in any shell"
    " stops the market.",
    "starting": "Wait: the engine is starting.",
}


@dataclass(frozen=True)
class Said:
    """The last answer to this person: tone `plain`, `soon` or `now`."""

    words: str = ""
    tone: str = "plain"


@dataclass(frozen=True)
class KillPress:
    """The kill key as pressed in this terminal. `stage`: sent, answered, failed; times µs UTC."""

    stage: str
    pressed_us: int
    detail: str = ""


@dataclass(frozen=True)
class Model:
    """Everything a draw function may look at. `silent_ms` is the age of the last state."""

    role: str
    person: str
    state: StateView | None = None
    link_up: bool = False
    link_words: str = "connecting"
    silent_ms: int | None = None
    now_us: int = 0
    press: KillPress | None = None
    said: Said = Said()
    banner: str = ""
    #: the engine's process while the link is down: `gone`, `starting`, or nothing known
    engine: str = ""
    #: why this terminal's own copy of the heads contradicts the engine, "" while it does not
    witness: str = ""
    #: what the first head that this terminal ever saw was compared with, "" when it was not now
    witness_note: str = ""

    @property
    def stale(self) -> bool:
        """Whether nothing on the screen may be believed to be now (I9)."""
        if self.state is None or not self.link_up or self.silent_ms is None:
            return True
        return self.silent_ms > SILENT_LIMIT_MS

    def aged(self, age_ms: int | None) -> int | None:
        """An age of the last state, as of now: a silent engine makes every figure older."""
        if age_ms is None or not self.stale:
            return age_ms
        return age_ms + (self.silent_ms or 0)

    @property
    def session(self) -> SessionView | None:
        """The current session, if any."""
        return self.state.session if self.state else None

    @property
    def waits_for_me(self) -> tuple[DualView, ...]:
        """The requests that lack this person's signature and have time left, oldest first."""
        rows = self.state.dual if self.state else ()
        return tuple(
            one for one in rows if one.waits_for(self.person) and one.expires_us > self.now_us
        )

    @property
    def next_step(self) -> str:
        """The one sentence for this person."""
        if self.engine and not self.link_up:
            return _WITHOUT_ENGINE[self.engine]
        if self.state is None:
            return f"Waiting for the engine: {self.link_words}."
        return self.state.next_step if self.role == "operator" else self.state.next_step_reviewer
