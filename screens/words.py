"""The words and shapes of every state: nothing on a screen is told by colour alone.

Grey is normal. `now` (red) means act now, `soon` (amber) act soon, `accent` is the one accent.
Each row gives shape, word and tone; two states of one table never share shape and word.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.contracts.decision import Verdict
from engine.contracts.documents import Purpose
from engine.contracts.order import OrderState
from engine.contracts.session import Environment, ItemResult, SessionState

#: Tone -> Textual style. The `$` names are variables of the themes in `screens/themes.py`.
TONES: dict[str, str] = {
    "plain": "",
    "loud": "bold",
    "quiet": "$quiet",
    "accent": "bold $accented",
    "soon": "bold $act-soon",
    "now": "bold $act-now",
    "chip": "bold $chip-text on $chip",
    "chip-accent": "bold $inverse on $accented",
    "chip-soon": "bold $inverse on $act-soon",
    "chip-now": "bold $inverse on $act-now",
    "reverse": "bold reverse",
}


class Mark(NamedTuple):
    """One state as it is drawn."""

    shape: str
    word: str
    tone: str

    @property
    def text(self) -> str:
        """Shape and word."""
        return f"{self.shape} {self.word}"


ENVIRONMENTS: dict[str, Mark] = {
    Environment.DEV: Mark("○", "DEV", "chip"),
    Environment.SHADOW: Mark("◐", "SHADOW", "chip-accent"),
    Environment.TESTNET: Mark("◑", "TESTNET", "chip-soon"),
    Environment.PROD: Mark("●", "PROD", "reverse"),
}

SESSIONS: dict[str, Mark] = {
    SessionState.CHARTER: Mark("□", "CHARTER", "plain"),
    SessionState.CHECKLIST: Mark("◇", "CHECKLIST", "plain"),
    SessionState.GO_NOGO: Mark("◈", "GO / NO-GO", "accent"),
    SessionState.LIVE: Mark("●", "LIVE", "accent"),
    SessionState.PAUSED: Mark("‖", "PAUSED", "soon"),
    SessionState.STOPPING: Mark("▽", "STOPPING", "soon"),
    SessionState.STOPPED: Mark("▼", "STOPPED", "plain"),
    SessionState.RECONCILED: Mark("≡", "RECONCILED", "plain"),
    SessionState.SEALED: Mark("✔", "SEALED", "plain"),
    SessionState.NO_GO: Mark("✖", "NO-GO", "plain"),
    SessionState.ABORTED: Mark("⊘", "ABORTED", "plain"),
    SessionState.KILLED: Mark("■", "KILLED", "now"),
}
NO_SESSION = Mark("·", "no session", "quiet")

ORDERS: dict[str, Mark] = {
    OrderState.CREATED: Mark("·", "created", "quiet"),
    OrderState.SUBMITTED: Mark("→", "sent", "plain"),
    OrderState.ACKNOWLEDGED: Mark("○", "resting", "plain"),
    OrderState.PARTIALLY_FILLED: Mark("◐", "part", "plain"),
    OrderState.FILLED: Mark("●", "filled", "plain"),
    OrderState.CANCEL_PENDING: Mark("▽", "cancel?", "soon"),
    OrderState.CANCELED: Mark("⊘", "canceled", "quiet"),
    OrderState.REJECTED: Mark("✖", "rejected", "soon"),
    OrderState.EXPIRED: Mark("▼", "expired", "quiet"),
    OrderState.UNKNOWN: Mark("?", "UNKNOWN", "now"),
    OrderState.CLOSED: Mark("▪", "closed", "quiet"),
}

ITEMS: dict[str, Mark] = {
    ItemResult.OPEN: Mark("□", "open", "quiet"),
    ItemResult.PASS: Mark("✔", "pass", "plain"),
    ItemResult.FAIL: Mark("✖", "FAIL", "now"),
}
#: Answered blind; the result is shown when the other one has answered, too.
GIVEN = Mark("◇", "given", "plain")

VERDICTS: dict[str, Mark] = {
    Verdict.ALLOW: Mark("✔", "allow", "plain"),
    Verdict.BLOCK: Mark("✖", "BLOCK", "now"),
    Verdict.PAUSE: Mark("‖", "PAUSE", "soon"),
}

BREAKS: dict[str, Mark] = {
    "green": Mark("✔", "GREEN", "plain"),
    "yellow": Mark("▲", "YELLOW", "soon"),
    "red": Mark("■", "RED", "now"),
}

#: The running reconciliation.
WATCH: dict[str, Mark] = {
    "agree": Mark("✔", "agree", "quiet"),
    "breaks": Mark("■", "BREAKS", "now"),
    "unknown": Mark("?", "UNKNOWN", "now"),
    "never": Mark("·", "not run yet", "quiet"),
}

GO_STAGES: dict[str, Mark] = {
    "none": Mark("□", "not asked", "quiet"),
    "requested": Mark("◇", "PACKET READY", "accent"),
    "signed": Mark("◈", "OPERATOR SIGNED", "accent"),
    "go": Mark("✔", "GO", "loud"),
    "no_go": Mark("✖", "NO-GO", "soon"),
    "void": Mark("⊘", "VOID", "soon"),
}

#: A request for two people.
DUAL_STAGES: dict[str, Mark] = {
    "pending": Mark("◇", "WAITS", "accent"),
    "granted": Mark("✔", "GRANTED", "loud"),
    "withdrawn": Mark("⊘", "withdrawn", "quiet"),
}

#: What each purpose of dual control is called in a line.
DUAL_PURPOSES: dict[str, str] = {
    Purpose.RELEASE: "release the latch",
    Purpose.ADOPT: "adopt an orphan",
    Purpose.CLOSE_BREAK: "close a red break",
    Purpose.LOOSEN: "loosen a limit",
    Purpose.STEP_UP: "step up the ladder",
}

PACKS: dict[str, Mark] = {
    "writing": Mark("◌", "WRITING", "accent"),
    "written": Mark("◇", "WRITTEN", "accent"),
    "sealed": Mark("✔", "SEALED", "loud"),
}

PHASES: dict[str, Mark] = {
    "starting": Mark("◌", "engine starting", "soon"),
    "recovering": Mark("◌", "engine recovering", "soon"),
    "ready": Mark("●", "engine ready", "quiet"),
    "halted": Mark("■", "ENGINE HALTED", "now"),
}

#: Alarm priority (1 is most urgent) -> mark.
ALARMS: dict[int, Mark] = {
    1: Mark("■", "ACT NOW", "now"),
    2: Mark("▲", "ACT SOON", "soon"),
    3: Mark("◆", "LOOK", "accent"),
}

UNKNOWN = Mark("?", "UNKNOWN", "soon")


def mark_of(table: dict[str, Mark], key: str) -> Mark:
    """The mark of a state; a state this console does not know is called by its name, in amber."""
    return table.get(key) or Mark("?", key.upper() or "UNKNOWN", "soon")
