"""The ladder: up one step with two signatures, down by one or by itself, and a fold like others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts import event as ev
from engine.contracts.documents import Purpose
from engine.contracts.people import ENGINE, Actor
from engine.contracts.session import Environment, Mode
from engine.execution.core import State
from engine.governance.ladder import ALL, DOWN, TROUBLES, UP, Asks, Step, shown, since, standing
from engine.governance.promotion import SealedSession
from tests.engine.governance.stories import ALICE, MONDAY, WEEK, charter_of, granted, sealed_session

STARTED = ev.EngineStarted(
    version="1",
    pid=1,
    hostname="desk",
    boot_id="boot",
    environment="dev",
    config_sha256="c" * 64,
    code_sha256="d" * 64,
    python="3.11",
)


class Journal:
    """A journal in memory and its state."""

    def __init__(self) -> None:
        self.told: list[ev.Recorded] = []
        self.state = State()
        self.grants = 0
        self.tell(STARTED)

    def tell(self, event: ev.AnyEvent, actor: Actor = ENGINE, at_us: int = MONDAY) -> None:
        recorded = ev.Recorded(seq=len(self.told), ts_us=at_us, actor=actor, event=event)
        self.told.append(recorded)
        self.state.apply(recorded)

    def refolded(self) -> State:
        state = State()
        for recorded in self.told:
            state.apply(recorded)
        return state

    @property
    def step(self) -> int:
        return self.state.ladder.place("dev").step

    def stepped(self, before: int, after: int, cause: str, document: str = "") -> None:
        event = ev.LadderStepped(
            session_id="",
            environment="dev",
            before=before,
            after=after,
            step=f"s{after}",
            cause=cause,
            reason="because",
            document_sha256=document,
        )
        self.tell(event, ALICE)

    def grant(self, step: str, purpose: Purpose = Purpose.STEP_UP, environment: str = "dev") -> str:
        self.grants += 1
        events, digest = granted(purpose, {"environment": environment, "step": step}, self.grants)
        for event, actor in events:
            self.tell(event, actor)
        return digest

    def up(self) -> None:
        here = self.step
        self.stepped(here, here + 1, UP, self.grant(f"s{here + 1}"))

    def charter(self, name: str) -> None:
        for one in sealed_session(name, MONDAY)[:1]:
            self.tell(one.event, one.actor)

    def trouble(self, cause: str) -> None:
        self.tell(_TROUBLE_EVENTS[cause])


_TROUBLE_EVENTS: dict[str, ev.AnyEvent] = {
    "kill": ev.KillLatched(kill_id="k", session_id="s", reason="r", source="key", pressed_us=1),
    "breaker": ev.BreakerTripped(
        session_id="s", name="DAY_LOSS", action="PAUSE", value=1, limit=1, unit="", lifted_by=""
    ),
    "drawdown": ev.BreakerTripped(
        session_id="s", name="DRAWDOWN", action="KILL", value=1, limit=1, unit="", lifted_by=""
    ),
    "red_break": ev.ReconRun(
        session_id="s", run_id="r", compared={}, breaks={"red": 1}, report="", report_sha256=""
    ),
}


@pytest.fixture
def journal() -> Journal:
    return Journal()


def test_up_takes_a_grant_of_two_over_this_very_step(journal: Journal) -> None:
    journal.up()
    journal.up()
    assert journal.step == 2
    assert journal.refolded().ladder.place("dev") == journal.state.ladder.place("dev")


def test_without_a_grant_nothing_moves(journal: Journal) -> None:
    journal.stepped(0, 1, UP)
    journal.stepped(0, 1, UP, "0" * 64)
    journal.stepped(0, 1, UP, journal.grant("s1", Purpose.LOOSEN))
    journal.stepped(0, 1, UP, journal.grant("s2"))
    journal.stepped(0, 1, UP, journal.grant("s1", environment="prod"))
    assert journal.step == 0


def test_no_step_is_skipped_and_no_grant_serves_twice(journal: Journal) -> None:
    journal.stepped(0, 2, UP, journal.grant("s2"))
    assert journal.step == 0
    digest = journal.grant("s1")
    journal.stepped(0, 1, UP, digest)
    journal.stepped(1, 0, DOWN)
    journal.stepped(0, 1, UP, digest)
    assert journal.step == 0


def test_one_signature_or_one_person_twice_is_no_grant(journal: Journal) -> None:
    events, digest = granted(Purpose.STEP_UP, {"environment": "dev", "step": "s1"})
    signed = [one for one in events if isinstance(one[0], ev.DualSigned)]
    for event, actor in (one for one in events if one is not signed[1]):
        journal.tell(event, actor)
    journal.stepped(0, 1, UP, digest)
    assert journal.step == 0
    events, digest = granted(Purpose.STEP_UP, {"environment": "dev", "step": "s1"}, 2)
    for event, actor in events:
        one_key = isinstance(event, ev.DualSigned)
        changed = {"fingerprint": "SHA256:one"} if one_key else {}
        journal.tell(msgspec.structs.replace(event, **changed), actor)
    journal.stepped(0, 1, UP, digest)
    assert journal.step == 0


def test_a_person_goes_down_and_never_up_by_saying_down(journal: Journal) -> None:
    journal.up()
    journal.up()
    journal.stepped(2, 1, DOWN)
    assert journal.step == 1
    journal.stepped(1, 2, DOWN)
    journal.stepped(1, -1, DOWN)
    journal.stepped(1, 2, "kill")
    journal.stepped(1, 0, "luck")
    assert journal.step == 1


@pytest.mark.parametrize("cause", list(TROUBLES))
def test_each_trouble_takes_it_down_by_itself(journal: Journal, cause: str) -> None:
    for _ in range(3):
        journal.up()
    journal.charter("s1")
    journal.trouble(cause)
    left = max(0, 3 - TROUBLES[cause].steps)
    assert journal.step == left
    due = journal.state.ladder.place("dev").due
    assert due is not None
    assert (due.before, due.after, due.cause) == (3, left, cause)
    journal.stepped(due.before, due.after, due.cause)
    assert journal.step == left
    assert journal.state.ladder.place("dev").due is None


def test_troubles_of_one_session_are_one_and_of_two_are_two(journal: Journal) -> None:
    for _ in range(3):
        journal.up()
    journal.charter("s1")
    for cause in ("breaker", "kill", "red_break", "kill"):
        journal.trouble(cause)
    assert journal.step == 2
    end = ev.SessionMoved(session_id="s1", before="charter", after="aborted", cause="abort")
    journal.tell(end)
    journal.charter("s2")
    journal.trouble("kill")
    assert journal.step == 1
    journal.trouble("drawdown")
    assert journal.step == 0
    assert TROUBLES["drawdown"].steps == ALL


def test_on_the_first_step_trouble_finds_nothing_below(journal: Journal) -> None:
    journal.charter("s1")
    journal.trouble("kill")
    assert journal.step == 0
    assert journal.state.ladder.place("dev").due is None


def test_each_environment_has_its_own_place(journal: Journal) -> None:
    journal.up()
    assert journal.state.ladder.place("prod").step == 0
    journal.tell(msgspec.structs.replace(STARTED, environment="prod"))
    journal.trouble("kill")
    assert journal.step == 1


def test_a_shorter_ladder_ends_where_it_ends() -> None:
    steps = [Step(name=str(one), text="", limits={}, asks=Asks()) for one in range(3)]
    assert [standing(place, steps) for place in (-1, 0, 2, 7)] == [0, 0, 2, 2]


# --- what is shown ------------------------------------------------------------------------------


def sealed(**changes: Any) -> SealedSession:
    base = SealedSession(
        session_id="s",
        mode="paper",
        environment="dev",
        live_seq=10,
        sealed_us=1,
        week=(2026, 1),
        clean=True,
        drawdown_bps=100,
    )
    return msgspec.structs.replace(base, **changes)


ASKS = Asks(sealed_sessions=2, weeks=2, drills=1, max_drawdown_bps=100, open_breaks=0)
ENOUGH = (sealed(), sealed(week=(2026, 2)))


def missing(sessions: tuple[SealedSession, ...], drills: Any = (), breaks: Any = 0) -> set[str]:
    return {one.code for one in shown(ASKS, sessions, drills, breaks) if not one.met}


def test_what_is_asked_for_must_be_there() -> None:
    assert missing(ENOUGH) == set()
    assert missing(ENOUGH[:1]) == {"sealed_sessions", "weeks"}
    assert missing((*ENOUGH[:1], sealed())) == {"weeks"}
    assert missing((*ENOUGH, sealed(drawdown_bps=101))) == {"max_drawdown_bps"}
    assert missing((*ENOUGH, sealed(clean=False, drawdown_bps=101))) == {"max_drawdown_bps"}
    assert missing((ENOUGH[0], sealed(week=(2026, 2), clean=False))) == {"sealed_sessions", "weeks"}
    assert missing((ENOUGH[0], sealed(week=None))) == {"weeks"}
    assert missing(ENOUGH, ("kill_switch",)) == {"drills"}
    assert missing(ENOUGH, (), 1) == {"open_breaks"}


def test_what_is_not_known_is_not_met() -> None:
    assert missing(ENOUGH, None, None) == {"drills", "open_breaks"}
    assert missing((*ENOUGH, sealed(drawdown_bps=None))) == {"max_drawdown_bps"}
    unknown = {one.code for one in shown(ASKS, None, (), 0) if not one.met}
    assert unknown == {"sealed_sessions", "weeks", "max_drawdown_bps"}


def test_only_sessions_since_the_step_was_entered_count(journal: Journal) -> None:
    for number in range(2):
        for one in sealed_session(f"s{number}", MONDAY + number * WEEK):
            journal.tell(one.event, one.actor, one.at_us)
    evidence = journal.state.evidence
    since_seq = journal.state.ladder.place("dev").since_seq
    assert len(since(evidence, "dev", since_seq)) == 2
    assert since(evidence, "prod", since_seq) == ()
    journal.up()
    assert since(evidence, "dev", journal.state.ladder.place("dev").since_seq) == ()
    assert charter_of(Mode.PAPER).mode is Mode.PAPER
    assert Environment.DEV.value == "dev"


@settings(max_examples=60, deadline=None)
@given(
    acts=st.lists(
        st.one_of(
            st.tuples(st.just("up"), st.integers(0, 4)),
            st.tuples(st.sampled_from(["forged", "down"]), st.integers(-1, 4)),
            st.tuples(st.sampled_from(sorted(TROUBLES)), st.just(0)),
            st.tuples(st.just("charter"), st.just(0)),
        ),
        max_size=25,
    )
)
def test_never_up_without_a_grant_never_by_more_than_one_and_a_restart_is_a_fold(
    acts: list[tuple[str, int]],
) -> None:
    journal = Journal()
    session = ""
    for number, (act, target) in enumerate(acts):
        before = journal.step
        if act == "up":
            journal.stepped(target, target + 1, UP, journal.grant(f"s{target + 1}"))
        elif act == "forged":
            journal.stepped(before, target, UP, "0" * 64)
        elif act == "down":
            journal.stepped(before, target, DOWN)
        elif act == "charter":
            if session:
                journal.tell(
                    ev.SessionMoved(
                        session_id=session, before="charter", after="aborted", cause="abort"
                    )
                )
            session = f"session{number:05d}"
            journal.charter(session)
        else:
            journal.trouble(act)
        now = journal.step
        assert now <= before + (act == "up" and target == before)
        assert now >= 0
        assert journal.refolded().ladder.place("dev") == journal.state.ladder.place("dev")
