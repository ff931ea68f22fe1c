"""Alarms, incidents, risk reports and drills."""

from __future__ import annotations

from engine.contracts.events.base import Event


class AlarmRaised(Event, frozen=True, kw_only=True, tag="alarm.raised"):
    """Something needs a person. Priority 1 (act now) to 3."""

    alarm_id: str
    session_id: str
    code: str
    priority: int
    text: str
    response: str


class AlarmAcknowledged(Event, frozen=True, kw_only=True, tag="alarm.acknowledged"):
    """A person took an alarm."""

    alarm_id: str
    note: str = ""


class AlarmCleared(Event, frozen=True, kw_only=True, tag="alarm.cleared"):
    """The alarm's cause is gone."""

    alarm_id: str


class IncidentOpened(Event, frozen=True, kw_only=True, tag="incident.opened"):
    """A person opened an incident."""

    incident_id: str
    session_id: str
    title: str


class IncidentNoted(Event, frozen=True, kw_only=True, tag="incident.noted"):
    """A line in an incident's timeline."""

    incident_id: str
    text: str


class IncidentClosed(Event, frozen=True, kw_only=True, tag="incident.closed"):
    """An incident was closed."""

    incident_id: str
    text: str


class RiskReported(Event, frozen=True, kw_only=True, tag="risk.reported"):
    """A person asked what may be lost. `document` is the report's exact text (canonical JSON).

    `session_id` is "" outside a session.
    """

    session_id: str
    document: str
    sha256: str


class DrillFinished(Event, frozen=True, kw_only=True, tag="drill.finished"):
    """A rehearsed failure with its measured result."""

    drill_id: str
    name: str
    passed: bool
    measured: dict[str, str]
