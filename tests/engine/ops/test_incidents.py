from __future__ import annotations

from collections.abc import Callable

from engine.contracts.event import IncidentClosed, IncidentNoted, IncidentOpened, Recorded
from engine.contracts.people import person
from engine.ops.incidents import IncidentFold

Record = Callable[..., Recorded]
ALICE = person("alice", "peer-uid:1000")


def test_an_incident_is_opened_noted_and_closed_by_people(record: Record) -> None:
    fold = IncidentFold()
    assert fold.next_id() == "I0001"
    fold.apply(record(IncidentOpened(incident_id="I0001", session_id="s", title="odd"), ALICE))
    fold.apply(record(IncidentNoted(incident_id="I0001", text="seen twice"), ALICE))
    assert [one.id for one in fold.open] == ["I0001"]
    fold.apply(record(IncidentClosed(incident_id="I0001", text="cable"), ALICE))
    incident = fold.get("I0001")
    assert incident is not None
    assert fold.open == ()
    assert [entry.text for entry in incident.timeline] == ["seen twice", "cable"]
    assert incident.opened_by == "alice"
    assert incident.closed_us == incident.timeline[-1].ts_us
    assert fold.next_id() == "I0002"


def test_a_closed_incident_stays_as_it_ended(record: Record) -> None:
    fold = IncidentFold()
    fold.apply(record(IncidentOpened(incident_id="I0001", session_id="s", title="odd")))
    fold.apply(record(IncidentClosed(incident_id="I0001", text="done")))
    before = fold.all
    fold.apply(record(IncidentNoted(incident_id="I0001", text="more")))
    fold.apply(record(IncidentOpened(incident_id="I0001", session_id="s", title="other")))
    fold.apply(record(IncidentNoted(incident_id="I0404", text="nobody")))
    assert fold.all == before
