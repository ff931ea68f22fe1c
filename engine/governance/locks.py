"""The locks before an order (I5): every one asked, each with its reason, doubt blocks (I12).

Live needs all of these at once: environment `prod`, venue and account on the allow list, a
session in state live with a valid pair of signatures made inside its change window and nothing
changed since, the promotion evidence computed from the store, no latch, an operator attending.
The other modes ask for less, but never for less than a session, an approval, no latch and an
operator. The table is walked by the engine at the moment of each order; there is no other way to
ask, and no argument that skips a row.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from engine.contracts.decision import Check, Verdict
from engine.contracts.session import Environment, Mode, SessionState
from engine.governance.latch import LatchState

#: Which mode may run in which environment at all; the configuration can only take away.
MODE_ENVIRONMENTS: dict[Mode, frozenset[Environment]] = {
    Mode.PAPER: frozenset({Environment.DEV, Environment.SHADOW, Environment.TESTNET}),
    Mode.SHADOW: frozenset({Environment.DEV, Environment.SHADOW}),
    Mode.TESTNET: frozenset({Environment.TESTNET}),
    Mode.LIVE: frozenset({Environment.PROD}),
}

#: The promotion evidence that live asks for.
MIN_SHADOW_WEEKS = 4
MIN_TESTNET_WEEKS = 4
REQUIRED_DRILLS = (
    "kill_switch",
    "engine_crash",
    "forced_disconnect",
    "flash_volatility",
    "orphan_order",
    "full_session",
)


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal proves (`engine.governance.promotion`); None means not known."""

    shadow_weeks: int | None
    testnet_weeks: int | None
    drills_passed: frozenset[str] | None
    open_breaks: int | None


class LockFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine knows at the moment of one order; None means not known.

    `changed` is `packet.changed_since` for the approved packet (empty: nothing); `decided_us` is
    when the reviewer's GO was accepted, µs UTC.
    """

    mode: Mode
    environment: Environment
    modes_allowed: frozenset[Mode] | None
    venue: str
    account: str
    allow_list: frozenset[tuple[str, str]] | None
    session_state: SessionState | None
    go_stage: str
    decided_us: int | None
    changed: tuple[str, ...] | None
    window_from_us: int | None
    window_until_us: int | None
    now_us: int
    latch: LatchState | None
    attended: bool | None
    promotion: Promotion | None


_Answer = tuple[bool, str]
_Lock = Callable[[LockFacts], _Answer]


def live_locks(facts: LockFacts) -> tuple[Check, ...]:
    """Every lock that applies to the session's mode, each ALLOW or BLOCK with its reason."""
    rows = LIVE_LOCKS if facts.mode is Mode.LIVE else BASIC_LOCKS
    return tuple(_ask(code, lock, facts) for code, lock in rows)


def _ask(code: str, lock: _Lock, facts: LockFacts) -> Check:
    try:
        opened, text = lock(facts)
    except Exception as error:  # noqa: BLE001  (a lock that cannot be asked stays locked, I12)
        opened, text = False, f"could not be checked ({type(error).__name__})"
    verdict = Verdict.ALLOW if opened is True else Verdict.BLOCK
    return Check(code=code, verdict=verdict, text=f"{code}: {text}")


def _environment(facts: LockFacts) -> _Answer:
    allowed = facts.environment in MODE_ENVIRONMENTS[facts.mode]
    return allowed, f"mode {facts.mode} in environment {facts.environment}"


def _mode(facts: LockFacts) -> _Answer:
    if facts.modes_allowed is None:
        return False, "the allowed modes are not known"
    return facts.mode in facts.modes_allowed, f"mode {facts.mode} in the configuration"


def _allow_list(facts: LockFacts) -> _Answer:
    if facts.allow_list is None:
        return False, "the allow list is not known"
    listed = (facts.venue, facts.account) in facts.allow_list
    return listed, f"venue {facts.venue}, account {facts.account}: {'' if listed else 'not '}listed"


def _session(facts: LockFacts) -> _Answer:
    if facts.session_state is None:
        return False, "there is no session"
    return facts.session_state is SessionState.LIVE, f"session is {facts.session_state}"


def _approval(facts: LockFacts) -> _Answer:
    if facts.go_stage != "go" or facts.decided_us is None:
        return False, f"no valid pair of signatures (stage {facts.go_stage or 'none'})"
    return True, "signed by operator and reviewer"


def _signed_in_window(facts: LockFacts) -> _Answer:
    begin, end, decided = facts.window_from_us, facts.window_until_us, facts.decided_us
    if begin is None or end is None or decided is None:
        return False, "change window or time of approval is not known"
    inside = begin <= decided < end
    return inside, f"approved {'inside' if inside else 'outside'} the change window"


def _unchanged(facts: LockFacts) -> _Answer:
    if facts.changed is None:
        return False, "what was signed cannot be compared with what is in force"
    if facts.changed:
        return False, f"changed since it was signed: {', '.join(facts.changed)}"
    return True, "nothing signed has changed"


def _window(facts: LockFacts) -> _Answer:
    if facts.window_from_us is None or facts.window_until_us is None:
        return False, "the change window is not known"
    inside = facts.window_from_us <= facts.now_us < facts.window_until_us
    return inside, f"{'inside' if inside else 'outside'} the change window"


def _latch(facts: LockFacts) -> _Answer:
    if facts.latch is None:
        return False, "the kill latch cannot be read"
    ready = facts.latch is LatchState.READY
    return ready, "kill latch is open" if ready else f"kill latch is set: {facts.latch}"


def _attended(facts: LockFacts) -> _Answer:
    if facts.attended is None:
        return False, "it is not known whether an operator attends"
    return facts.attended, f"{'an' if facts.attended else 'no'} operator console attends"


def _promotion(facts: LockFacts) -> Promotion:
    return facts.promotion or Promotion(
        shadow_weeks=None, testnet_weeks=None, drills_passed=None, open_breaks=None
    )


def _weeks(done: int | None, needed: int, of: str) -> _Answer:
    if done is None:
        return False, f"weeks of {of} are not known"
    return done >= needed, f"{done} of {needed} weeks of {of}"


def _shadow_weeks(facts: LockFacts) -> _Answer:
    return _weeks(_promotion(facts).shadow_weeks, MIN_SHADOW_WEEKS, "shadow")


def _testnet_weeks(facts: LockFacts) -> _Answer:
    return _weeks(_promotion(facts).testnet_weeks, MIN_TESTNET_WEEKS, "testnet")


def _drills(facts: LockFacts) -> _Answer:
    passed = _promotion(facts).drills_passed
    if passed is None:
        return False, "passed drills are not known"
    missing = [name for name in REQUIRED_DRILLS if name not in passed]
    return not missing, f"drills not passed: {', '.join(missing)}" if missing else "drills passed"


def _breaks(facts: LockFacts) -> _Answer:
    count = _promotion(facts).open_breaks
    if count is None:
        return False, "unanswered breaks are not known"
    return count == 0, f"{count} unanswered breaks"


#: What every mode asks.
BASIC_LOCKS: tuple[tuple[str, _Lock], ...] = (
    ("LOCK_ENVIRONMENT", _environment),
    ("LOCK_MODE", _mode),
    ("LOCK_SESSION", _session),
    ("LOCK_APPROVAL", _approval),
    ("LOCK_UNCHANGED", _unchanged),
    ("LOCK_WINDOW", _window),
    ("LOCK_LATCH", _latch),
    ("LOCK_ATTENDANCE", _attended),
)

#: What live asks: all of it.
LIVE_LOCKS: tuple[tuple[str, _Lock], ...] = (
    *BASIC_LOCKS,
    ("LOCK_ALLOW_LIST", _allow_list),
    ("LOCK_SIGNED_IN_WINDOW", _signed_in_window),
    ("LOCK_SHADOW_WEEKS", _shadow_weeks),
    ("LOCK_TESTNET_WEEKS", _testnet_weeks),
    ("LOCK_DRILLS", _drills),
    ("LOCK_BREAKS", _breaks),
)
