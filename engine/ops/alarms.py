"""Alarms: what needs a person, how urgently, and what that person does first.

The table `ALARMS` is the whole catalogue. A code without a row cannot be raised; each row has its
response here in one sentence (the console shows it beside the alarm) and at length in
`runbooks/alarms.md`. The fold keeps what is not cleared; an alarm that is already active is not
raised again, so that a fault repeating ten times a second is one line, not six hundred. Pure.

Priority 1: act now, money may be at risk. 2: act before the next order. 3: look at it this session.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine.contracts.event import AlarmAcknowledged, AlarmCleared, AlarmRaised, Recorded
from engine.contracts.view import AlarmView


class AlarmDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One row: stable `code`, `priority` 1 to 3, what happened, and the first thing to do."""

    code: str
    priority: int
    text: str
    response: str


def _row(code: str, priority: int, text: str, response: str) -> AlarmDefinition:
    return AlarmDefinition(code=code, priority=priority, text=text, response=response)


ALARMS: dict[str, AlarmDefinition] = {
    row.code: row
    for row in (
        _row(
            "KILL_UNCONFIRMED",
            1,
            "the kill is not proven: orders may still be open",
            "Look at the venue's own page now and cancel there what is open.",
        ),
        _row(
            "ORPHAN",
            1,
            "the venue shows an order or trade that is not ours",
            "Press the kill key if it is open; find out who else uses the account.",
        ),
        _row(
            "ORDER_LOST",
            1,
            "the venue no longer knows an order that it had acknowledged",
            "Send nothing; compare with the venue's own order page.",
        ),
        _row(
            "LEDGER_REFUSED",
            1,
            "the venue says something of an order that does not fit what is recorded",
            "Send nothing; compare the order's record with the venue's own page.",
        ),
        _row(
            "ORDER_UNKNOWN",
            1,
            "the outcome of a request is not known",
            "Wait for the venue's answer; never enter the order again by hand.",
        ),
        _row(
            "RED_FLAG",
            1,
            "a red flag is up: the engine has pressed the kill by rule",
            "Leave the latch set; find the cause with both people before you ask for its release.",
        ),
        _row(
            "WATCHDOG_ACTED",
            1,
            "the watchdog canceled orders while no engine answered",
            "Check the position against the venue before anything else.",
        ),
        _row(
            "WATCHDOG_DOWN",
            1,
            "the watchdog process ended: nobody would cancel if the engine died",
            "Stop the session, or cancel what rests, until it runs again.",
        ),
        _row(
            "JOURNAL_FAILED",
            1,
            "the journal cannot be written: the engine takes no more orders",
            "Press the kill key, free the disk, restart the engine.",
        ),
        _row(
            "ENGINE_FAULT",
            1,
            "a part of the engine failed",
            "Press the kill key if an order rests; then read the log and restart the engine.",
        ),
        _row(
            "KEY_CLONED",
            1,
            "a hardware key's count did not rise: a copy of the key may exist",
            "Sign nothing more with that key; revoke it unless its owner handed it in twice.",
        ),
        _row(
            "UNSIGNED_ACT",
            1,
            "the journal tells of an act of two people that they have not signed",
            "Send nothing; keep a copy of the workspace and find out who wrote that line.",
        ),
        _row(
            "VERIFIERS_DISAGREE",
            2,
            "one verifier takes a signature that the other refuses",
            "Sign again; if it comes back, look at the signature file and at who made it.",
        ),
        _row(
            "ATTENDANCE",
            1,
            "no operator console is heard from: open orders are canceled",
            "Open the console again and check position and open orders.",
        ),
        _row(
            "VENUE_DOWN",
            1,
            "no connection to the venue",
            "Do not trade; look at open orders on the venue's own page.",
        ),
        _row(
            "APPROVAL_VOID",
            2,
            "the approval no longer counts: something that was signed has changed",
            "Find out what changed and who changed it; ask for a new go.",
        ),
        _row(
            "LADDER_DOWN",
            2,
            "the scaling ladder went a step down by itself",
            "Trade on only within the narrower limits; find the cause before you ask for the step.",
        ),
        _row(
            "MARKET_STALE",
            2,
            "market data is older than its limit",
            "Send no order on these prices; stop if it does not come back.",
        ),
        _row(
            "CLOCK_OFFSET",
            2,
            "our clock and the venue's differ too much",
            "Check the time service of this machine; go on when it is in step.",
        ),
        _row(
            "RECON_RED",
            2,
            "the reconciliation has red breaks",
            "Answer each with what the venue's own records say; nobody signs a guess.",
        ),
        _row(
            "SESSION_LOSS",
            2,
            "the session's loss limit is reached",
            "Stop the session; do not ask for a larger limit today.",
        ),
        _row(
            "BREAKER",
            1,
            "a loss breaker tripped",
            "Stop and find out why; resume only when both of you know what was lost and how.",
        ),
        _row(
            "DISK_LOW",
            2,
            "little disk space is left for the journal",
            "Free space before the next order; never delete inside .peakctl.",
        ),
        _row(
            "JOURNAL_REPAIRED",
            2,
            "a torn last line of the journal was moved aside",
            "Note in the runlog what happened to the machine; keep the torn file.",
        ),
        _row(
            "CONFIG_CHANGED",
            2,
            "the effective config differs from the one of the last start",
            "Read the differences together before the next charter.",
        ),
        _row(
            "PEOPLE_CHANGED",
            2,
            "roster, signers or revoked keys differ from what the journal says",
            "Sign nothing before both of you know who changed the list, and why.",
        ),
        _row(
            "STORE_REBUILT",
            3,
            "the store differed from the journal and was made again",
            "Note it in the runlog; the journal is the record and is whole.",
        ),
        _row(
            "WINDOW_END",
            3,
            "the change window is about to end",
            "Finish what is open; the session winds down by itself.",
        ),
    )
}


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm that is not cleared: as raised (µs UTC), and by whom it was taken ("" = nobody)."""

    raised: AlarmRaised
    raised_us: int
    acknowledged_by: str = ""
    note: str = ""


class AlarmFold:
    """The alarms that are not cleared, from the journal's events."""

    def __init__(self) -> None:
        self._active: dict[str, Alarm] = {}
        self._count = 0

    def apply(self, recorded: Recorded) -> None:
        """Fold one event. Total: an event about an unknown alarm changes nothing."""
        match recorded.event:
            case AlarmRaised() as raised:
                self._count += 1
                self._active.setdefault(
                    raised.alarm_id, Alarm(raised=raised, raised_us=recorded.ts_us)
                )
            case AlarmAcknowledged(alarm_id=alarm_id, note=note) if alarm_id in self._active:
                self._active[alarm_id] = msgspec.structs.replace(
                    self._active[alarm_id], acknowledged_by=recorded.actor.name, note=note
                )
            case AlarmCleared(alarm_id=alarm_id):
                self._active.pop(alarm_id, None)

    @property
    def active(self) -> tuple[Alarm, ...]:
        """Not cleared, the most urgent first, then the oldest."""
        return tuple(
            sorted(self._active.values(), key=lambda one: (one.raised.priority, one.raised_us))
        )

    @property
    def open(self) -> tuple[Alarm, ...]:
        """Active and taken by nobody yet."""
        return tuple(alarm for alarm in self.active if not alarm.acknowledged_by)

    def get(self, alarm_id: str) -> Alarm | None:
        """The active alarm with this id."""
        return self._active.get(alarm_id)

    def find(self, code: str, session_id: str = "") -> Alarm | None:
        """The active alarm of this code, of this session if one is named."""
        for alarm in self._active.values():
            if alarm.raised.code == code and session_id in ("", alarm.raised.session_id):
                return alarm
        return None

    def raise_event(self, code: str, session_id: str = "", detail: str = "") -> AlarmRaised | None:
        """The event that raises `code`, or None while the same alarm is active.

        The same alarm is one of the same code, session and detail. Ids count from the journal's
        first alarm, so they are the same after a restart; journal one before asking for the next.
        Raises KeyError for a code that is not in `ALARMS`: that is a fault of ours.
        """
        definition = ALARMS[code]
        text = f"{definition.text}: {detail}" if detail else definition.text
        for alarm in self._active.values():
            if (alarm.raised.code, alarm.raised.session_id, alarm.raised.text) == (
                code,
                session_id,
                text,
            ):
                return None
        return AlarmRaised(
            alarm_id=f"A{self._count + 1:05d}",
            session_id=session_id,
            code=code,
            priority=definition.priority,
            text=text,
            response=definition.response,
        )

    def clear_events(self, code: str) -> tuple[AlarmCleared, ...]:
        """The events that clear every active alarm of `code`."""
        return tuple(
            AlarmCleared(alarm_id=alarm_id)
            for alarm_id, alarm in self._active.items()
            if alarm.raised.code == code
        )

    def active_views(self) -> tuple[AlarmView, ...]:
        """The active alarms in the shape the screens draw."""
        return tuple(
            AlarmView(
                id=alarm.raised.alarm_id,
                code=alarm.raised.code,
                priority=alarm.raised.priority,
                text=alarm.raised.text,
                response=alarm.raised.response,
                raised_us=alarm.raised_us,
                acknowledged_by=alarm.acknowledged_by,
            )
            for alarm in self.active
        )


def alarm_rows(rows: Iterable[AlarmDefinition] = ALARMS.values()) -> tuple[tuple[str, ...], ...]:
    """The catalogue as text: code, priority, text, response."""
    return tuple((row.code, str(row.priority), row.text, row.response) for row in rows)
