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
    """A rehearsed failure with its measured result, as the engine judged it.

    `criteria` are the bounds by measure that it was held against, `fault` why it could not be
    carried to its end. The rest describes the drill's own desk, read from the journal it left
    (`journal_size` lines that end in `journal_head`): the version and code that it ran, when it
    began and ended (µs UTC), and the tag manifest of a pack that it sealed ("" for none).
    """

    drill_id: str
    name: str
    passed: bool
    measured: dict[str, str]
    criteria: dict[str, str] = {}  # noqa: RUF012  (msgspec copies it)
    fault: str = ""
    version: str = ""
    code_sha256: str = ""
    started_us: int = 0
    ended_us: int = 0
    journal_size: int = 0
    journal_head: str = ""
    tagmanifest_sha256: str = ""
