"""The table of session steps: what is not a row does not exist."""

from __future__ import annotations

import itertools

from engine.contracts.event import Recorded, SessionChartered, SessionMoved
from engine.contracts.people import ENGINE
from engine.contracts.session import END_STATES, SessionState
from engine.governance.session_fold import SessionFold
from engine.governance.transitions import TRANSITIONS, Cause, causes_from, legal, session_rows

ROWS = {(row.before, row.after, row.cause) for row in TRANSITIONS}


def test_no_row_occurs_twice() -> None:
    assert len(ROWS) == len(TRANSITIONS) == len(session_rows())


def test_killed_is_reachable_from_every_state_that_is_no_end_i4() -> None:
    for state in set(SessionState) - END_STATES - {SessionState.KILLED}:
        assert legal(state, SessionState.KILLED, Cause.KILL)


def test_the_only_way_out_of_killed_is_a_reconciliation() -> None:
    assert [row.after for row in causes_from(SessionState.KILLED)] == [SessionState.RECONCILED]


def test_nothing_leaves_an_end() -> None:
    assert not [row for row in TRANSITIONS if row.before in END_STATES]


def test_live_is_entered_by_go_or_resume_only_i5() -> None:
    into = {(row.before, row.cause) for row in TRANSITIONS if row.after is SessionState.LIVE}
    assert into == {(SessionState.GO_NOGO, Cause.GO), (SessionState.PAUSED, Cause.RESUME)}


def test_every_state_reaches_an_end() -> None:
    for start in SessionState:
        seen, todo = {start}, [start]
        while todo:
            for row in causes_from(todo.pop()):
                if row.after not in seen:
                    seen.add(row.after)
                    todo.append(row.after)
        assert seen & END_STATES


def test_whatever_is_not_in_the_table_is_illegal() -> None:
    for before, after, cause in itertools.product(SessionState, SessionState, [*Cause, "", "x"]):
        assert legal(before, after, cause) == ((before, after, cause) in ROWS)


def test_an_illegal_step_changes_nothing(words) -> None:
    combinations = itertools.product(SessionState, SessionState, [*Cause, "", "nonsense"])
    for seq, (before, after, cause) in enumerate(combinations):
        if (before, after, cause) in ROWS:
            continue
        fold = SessionFold()
        start = SessionChartered(session_id=words.sid, charter=words.charter())
        fold.apply(Recorded(seq=0, ts_us=1, actor=ENGINE, event=start))
        session = fold.current
        assert session is not None
        session.state = before
        session.go.stage = "go"
        moved = SessionMoved(session_id=words.sid, before=before, after=after, cause=cause)
        fold.apply(Recorded(seq=seq + 1, ts_us=2, actor=ENGINE, event=moved))
        assert session.state is before
        assert session.since_us == 1
        assert session.runlog == []


def test_every_row_moves_a_session_that_stands_there(words) -> None:
    for row in TRANSITIONS:
        fold = SessionFold()
        start = SessionChartered(session_id=words.sid, charter=words.charter())
        fold.apply(Recorded(seq=0, ts_us=1, actor=ENGINE, event=start))
        session = fold.current
        assert session is not None
        session.state = row.before
        session.go.stage = "go"
        moved = SessionMoved(
            session_id=words.sid, before=row.before, after=row.after, cause=row.cause
        )
        fold.apply(Recorded(seq=1, ts_us=2, actor=ENGINE, event=moved))
        assert session.state is row.after
        assert session.since_us == 2
