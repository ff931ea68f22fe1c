"""Incidents: what people wrote down while something went wrong, as a fold. Pure.

An incident is opened, noted and closed by people; nothing closes one by itself, and a closed one
stays as it is: later notes are refused by the fold, so that its end is its end.
"""

from __future__ import annotations

import msgspec

from engine.contracts.event import IncidentClosed, IncidentNoted, IncidentOpened, Recorded


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an incident: when (µs UTC), who, what."""

    ts_us: int
    by: str
    text: str


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One incident; `closed_us` is None while it is open."""

    id: str
    session_id: str
    title: str
    opened_us: int
    opened_by: str
    timeline: tuple[TimelineEntry, ...] = ()
    closed_us: int | None = None


class IncidentFold:
    """All incidents, in the order they were opened."""

    def __init__(self) -> None:
        self._incidents: dict[str, Incident] = {}

    def apply(self, recorded: Recorded) -> None:
        """Fold one event. Total: what does not fit changes nothing."""
        match recorded.event:
            case IncidentOpened() as opened:
                self._incidents.setdefault(
                    opened.incident_id,
                    Incident(
                        id=opened.incident_id,
                        session_id=opened.session_id,
                        title=opened.title,
                        opened_us=recorded.ts_us,
                        opened_by=recorded.actor.name,
                    ),
                )
            case IncidentNoted(incident_id=incident_id, text=text):
                self._add(incident_id, recorded, text, closed_us=None)
            case IncidentClosed(incident_id=incident_id, text=text):
                self._add(incident_id, recorded, text, closed_us=recorded.ts_us)

    @property
    def all(self) -> tuple[Incident, ...]:
        """Every incident, open or closed."""
        return tuple(self._incidents.values())

    @property
    def open(self) -> tuple[Incident, ...]:
        """The incidents that nobody has closed."""
        return tuple(one for one in self._incidents.values() if one.closed_us is None)

    def get(self, incident_id: str) -> Incident | None:
        """The incident with this id."""
        return self._incidents.get(incident_id)

    def next_id(self) -> str:
        """The id of the next incident, the same after a restart."""
        return f"I{len(self._incidents) + 1:04d}"

    def _add(
        self, incident_id: str, recorded: Recorded, text: str, *, closed_us: int | None
    ) -> None:
        incident = self._incidents.get(incident_id)
        if incident is None or incident.closed_us is not None:
            return
        entry = TimelineEntry(ts_us=recorded.ts_us, by=recorded.actor.name, text=text)
        self._incidents[incident_id] = msgspec.structs.replace(
            incident, timeline=(*incident.timeline, entry), closed_us=closed_us
        )
