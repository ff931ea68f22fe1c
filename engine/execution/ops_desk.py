"""Alarms, incidents and snapshots: what a person is told, takes, writes down and keeps."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.errors import InputError
from engine.contracts.event import (
    AlarmAcknowledged,
    AnyEvent,
    IncidentClosed,
    IncidentNoted,
    IncidentOpened,
    SnapshotTaken,
)
from engine.contracts.people import ENGINE, Actor, Role
from engine.contracts.requests import AcknowledgeRequest, IncidentRequest
from engine.contracts.view import StateView
from engine.execution.core import Core, State
from engine.execution.session_desk import SessionDesk

_TEXT_LIMIT = 500


class OpsDesk:
    """Raises alarms for the other parts and takes what people say of them."""

    def __init__(self, core: Core, snapshots: Path) -> None:
        self._core = core
        self._snapshots = snapshots

    async def raise_alarm(self, code: str, text: str) -> None:
        """Raise an alarm unless the same one is active already."""
        session_id = self._session_id()

        def decide(state: State) -> list[AnyEvent]:
            raised = state.alarms.raise_event(code, session_id, text)
            return [raised] if raised is not None else []

        await self._core.decide(ENGINE, decide)

    async def acknowledge(
        self, request: AcknowledgeRequest, actor: Actor, session: SessionDesk
    ) -> None:
        """Take an alarm, by name."""
        session.require(actor, Role.OPERATOR, Role.REVIEWER)

        def decide(state: State) -> list[AnyEvent]:
            if state.alarms.get(request.alarm_id) is None:
                raise InputError(what="no such active alarm", where=request.alarm_id[:40])
            note = request.note[:_TEXT_LIMIT]
            return [AlarmAcknowledged(alarm_id=request.alarm_id, note=note)]

        await self._core.decide(actor, decide)

    async def incident(self, request: IncidentRequest, actor: Actor, session: SessionDesk) -> None:
        """Open, note or close an incident."""
        session.require(actor, Role.OPERATOR, Role.REVIEWER)
        session_id = self._session_id()
        await self._core.decide(actor, lambda state: [_incident_event(state, request, session_id)])

    async def snapshot(self, view: StateView, actor: Actor) -> dict[str, str]:
        """Write one moment of the whole state as canonical JSON and journal its hash."""
        raw = canonical(view) + b"\n"
        digest = sha256_hex(raw)
        name = f"snapshot-{view.time_us}.json"
        path = self._snapshots / name
        await asyncio.to_thread(_write_file, path, raw)
        await self._core.record(
            actor, SnapshotTaken(session_id=self._session_id(), file=name, sha256=digest)
        )
        return {"file": str(path), "sha256": digest}

    def _session_id(self) -> str:
        session = self._core.state.sessions.current
        return session.id if session else ""


def _incident_event(state: State, request: IncidentRequest, session_id: str) -> AnyEvent:
    text = " ".join(request.text.split())
    if not 1 <= len(text) <= _TEXT_LIMIT:
        raise InputError(what=f"1 to {_TEXT_LIMIT} characters", where="incident")
    if not request.incident_id:
        return IncidentOpened(
            incident_id=state.incidents.next_id(), session_id=session_id, title=text
        )
    known = state.incidents.get(request.incident_id)
    if known is None or known.closed_us is not None:
        raise InputError(what="no such open incident", where=request.incident_id[:40])
    kind = IncidentClosed if request.close else IncidentNoted
    return kind(incident_id=request.incident_id, text=text)


def _write_file(path: Path, content: bytes) -> None:
    """Write a new file durably, readable only by us."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
