"""A session whose approval rests on a key that left the roster: the only reconciled one to end."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contracts.errors import Refused
from engine.contracts.event import SessionChartered
from engine.contracts.people import ENGINE, Person, Role, person
from engine.contracts.session import SessionState
from engine.execution.core import Core, State
from engine.execution.session_desk import SessionDesk, lost_keys
from engine.governance.people import Roster
from engine.governance.session import GoState, Session
from engine.journal.writer import Journal
from tests.engine.charters import CHARTER

KEYS = {"alice": "SHA256:a", "bob": "SHA256:b"}


def roster(**keys: str) -> Roster:
    roles = {"alice": Role.OPERATOR, "bob": Role.REVIEWER}
    return Roster(
        tuple(
            Person(id=name, name=name, role=roles[name], principal=name, fingerprint=key)
            for name, key in keys.items()
        )
    )


def session(decision: str = "GO") -> Session:
    go = GoState(
        stage="void",
        decision=decision,
        operator_fingerprint=KEYS["alice"],
        reviewer_fingerprint=KEYS["bob"],
    )
    return Session(
        id="s",
        charter=CHARTER,
        state=SessionState.RECONCILED,
        since_us=0,
        created_us=0,
        created_by="alice",
        go=go,
    )


@pytest.mark.parametrize(
    ("keys", "lost"),
    [
        (KEYS, ()),
        ({"alice": "SHA256:a"}, ("bob",)),
        ({"alice": "SHA256:a", "bob": "SHA256:new"}, ("bob",)),
        ({"alice": "SHA256:b", "bob": "SHA256:a"}, ("alice", "bob")),
    ],
)
def test_whose_key_of_the_approval_is_gone(keys: dict[str, str], lost: tuple[str, ...]) -> None:
    assert lost_keys(session(), roster(**keys)) == lost
    assert lost_keys(session("NO-GO"), roster(**keys)) == (), "its pack holds no approval"


@pytest.mark.parametrize("keys", [KEYS, {**KEYS, "bob": "SHA256:new"}], ids=["kept", "revoked"])
async def test_a_reconciled_session_ends_without_a_pack_only_when_it_must(
    tmp_path: Any, keys: dict[str, str]
) -> None:
    journal = Journal.open(
        tmp_path, commit_interval_ms=0, segment_lines=100, clock_us=lambda: 1
    ).journal
    core = Core(journal, State())
    unused: Any = None
    desk = SessionDesk(core, roster(**keys), unused, unused, unused)
    by = person("alice", "peer-uid:0")
    try:
        chartered = SessionChartered(session_id="s", charter=CHARTER)
        await core.decide(by, lambda _state: [chartered])
        open_one = core.state.sessions.current
        assert open_one is not None
        open_one.state, open_one.go = SessionState.RECONCILED, session().go
        if keys is KEYS:
            with pytest.raises(Refused, match="its pack can be sealed"):
                await desk.abort("tired", by)
        else:
            with pytest.raises(Refused, match="roster"):
                await desk.abort("not mine", ENGINE)
            await desk.abort("the key is lost", by)
        current = core.state.sessions.current
        assert current is not None
        assert current.ended is (keys is not KEYS)
    finally:
        journal.close()
