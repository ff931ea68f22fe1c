"""One sentence per event, for the runlog. Events that would only repeat another have none. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.contracts import event as ev
from engine.contracts.money import to_text
from engine.contracts.order import OrderIntent
from engine.evidence.text import stamp


def _waiver(packet: str) -> str:
    """Named where it was in force: a packet is canonical, so its words stand one way only."""
    return " under the one-uid waiver" if '"allow_same_uid":true' in packet else ""


def _alike(signals: dict[str, str]) -> str:
    """Which same-person signals were the same for both."""
    same = [name for name, found in sorted(signals.items()) if found == "same"]
    return f" (same {', '.join(same)})" if same else ""


_PHRASES: dict[type[ev.Event], Callable[[Any], str]] = {
    ev.EngineStarted: lambda e: f"engine {e.version} started on {e.hostname} ({e.environment})",
    ev.EngineStopped: lambda e: f"engine stopped: {e.reason}",
    ev.EngineRecovered: lambda e: (
        f"engine recovered {e.events} events, {len(e.unknown_orders)} orders to ask for"
    ),
    ev.JournalRepaired: lambda e: (
        f"journal: {e.bytes_removed} torn bytes of {e.file} moved to {e.saved_as}"
    ),
    ev.StoreRebuilt: lambda e: f"store rebuilt from {e.events} events: {e.reason}",
    ev.VenueConnected: lambda e: (
        f"{e.venue} {e.stream} connected, clock offset {e.clock_offset_us} µs"
    ),
    ev.VenueDisconnected: lambda e: f"{e.venue} {e.stream} lost: {e.reason}",
    ev.MarketRecorded: lambda e: f"market data {e.file}: {e.rows} rows, sha256 {e.sha256}",
    ev.SnapshotTaken: lambda e: f"snapshot {e.file}, sha256 {e.sha256}",
    ev.ConfigLoaded: lambda e: f"config {e.environment} loaded, sha256 {e.sha256}",
    ev.ConfigChanged: lambda e: f"config {e.key}: {e.before} -> {e.after}: {e.reason}",
    ev.ConfigNoticed: lambda e: (
        f"config found changed without a record: {', '.join(e.changed) or 'values not known'}"
    ),
    ev.PeopleLoaded: lambda e: f"roster of {len(e.people)} people loaded, sha256 {e.sha256}",
    ev.PeopleChanged: lambda e: f"roster: {e.person} {e.what}: {e.reason}",
    ev.PeopleNoticed: lambda e: f"roster found changed without a record: {', '.join(e.changed)}",
    ev.SessionChartered: lambda e: f"session {e.session_id} chartered",
    ev.ChecklistStarted: lambda e: (
        f"checklist {e.checklist.runbook} version {e.checklist.version} started"
    ),
    ev.ItemAnswered: lambda e: (
        f"checklist {e.item_id} ({e.role}): answered blind, commitment {e.commitment}"
        if e.commitment
        else f"checklist {e.item_id} ({e.role}): {e.value} -> {e.result.value.upper()} {e.detail}"
    ),
    ev.ReviewerJoined: lambda e: f"reviewer {e.reviewer} joined",
    ev.GoRequested: lambda e: (
        f"go asked for{_waiver(e.packet)}, packet {e.packet_sha256}, expires {stamp(e.expires_us)}"
    ),
    ev.GoSigned: lambda e: f"operator signed the packet with {e.fingerprint}",
    ev.GoDecided: lambda e: (
        f"{e.decision} by the reviewer with {e.fingerprint}{_alike(e.signals)} {e.reason}"
    ),
    ev.GoVoided: lambda e: f"approval void: {e.code} {e.reason}",
    ev.ApprovalRefused: lambda e: f"{e.role} signature not accepted: {e.code} {e.reason}",
    ev.SessionMoved: lambda e: (
        f"{e.before.value} -> {e.after.value} ({e.cause}) {e.reason}".rstrip()
    ),
    ev.NoteAdded: lambda e: f"note: {e.text}",
    ev.AttendanceLost: lambda e: f"no operator console for {e.silent_seconds} s",
    ev.AttendanceRegained: lambda _: "operator console is back",
    ev.OrderIntended: lambda e: f"order {_intent(e.intent)} for {e.owner}",
    ev.OrderBlocked: lambda e: f"blocked {_intent(e.intent)}: {_reasons(e)}",
    ev.OrderAcknowledged: lambda e: f"{e.client_order_id} acknowledged as {e.venue_order_id}",
    ev.OrderRejected: lambda e: f"{e.client_order_id} rejected: {e.code} {e.reason}",
    ev.OrderUnknown: lambda e: f"{e.client_order_id} UNKNOWN: {e.cause}",
    ev.OrderLost: lambda e: f"{e.client_order_id} LOST, the venue cannot tell: {e.cause}",
    ev.OrderFilled: lambda e: (
        f"{e.fill.client_order_id} filled {to_text(e.fill.quantity)} at"
        f" {to_text(e.fill.price)} (trade {e.fill.trade_id})"
    ),
    ev.CancelRequested: lambda e: f"cancel of {e.client_order_id} asked for: {e.cause}",
    ev.CancelRefused: lambda e: f"cancel of {e.client_order_id} refused: {e.code} {e.reason}",
    ev.OrderCanceled: lambda e: (
        f"{e.client_order_id} canceled, {to_text(e.filled_quantity)} filled"
    ),
    ev.OrderExpired: lambda e: f"{e.client_order_id} expired: {e.reason}",
    ev.OrphanFound: lambda e: (
        f"ORPHAN at the venue: {e.side.value} {to_text(e.quantity)} {e.symbol} at"
        f" {to_text(e.price)}, {e.client_order_id} {e.venue_order_id}"
    ),
    ev.OrphanAdopted: lambda e: (
        f"ORPHAN adopted by {e.owner}: {_intent(e.intent)}, {e.venue_order_id}: {e.reason}"
    ),
    ev.OrphanCancelRequested: lambda e: (
        f"ORPHAN {e.symbol} {e.client_order_id}: cancel asked for: {e.reason}"
    ),
    ev.OrphanEnded: lambda e: (
        f"ORPHAN {e.symbol} {e.client_order_id} ended: {e.status},"
        f" {to_text(e.filled_quantity)} filled"
    ),
    ev.BalancesRead: lambda e: (
        f"balances ({e.moment}): "
        + ", ".join(
            f"{asset} {to_text(free)} free {to_text(locked)} locked"
            for asset, (free, locked) in sorted(e.balances.items())
        )
    ),
    ev.BreakerTripped: lambda e: (
        f"BREAKER {e.name} tripped: {to_text(e.value)} {e.unit} is over {to_text(e.limit)},"
        f" {e.action}; lifted by {e.lifted_by}"
    ),
    ev.EquityPeaked: lambda e: (
        f"equity at its peak: {to_text(e.equity)}, "
        + ", ".join(f"{symbol} at {to_text(mark)}" for symbol, mark in sorted(e.marks.items()))
    ),
    ev.KillLatched: lambda e: f"KILL latched from {e.source}: {e.reason}",
    ev.KillStage: lambda e: f"kill: {e.stage} after {e.elapsed_us} µs {e.detail}",
    ev.KillVerdict: lambda e: (
        f"kill {e.verdict} after {e.elapsed_us} µs, {e.canceled} canceled,"
        f" {len(e.open_orders)} open {e.detail}"
    ),
    ev.LatchReleased: lambda e: f"latch released by two signatures: {e.reason}",
    ev.WatchdogEnded: lambda e: f"the watchdog ended by itself, status {e.status}",
    ev.WatchdogActed: lambda e: (
        f"watchdog canceled {e.canceled}: {e.reason}, {e.verdict} after {e.elapsed_us} µs"
    ),
    ev.ReconRun: lambda e: (
        f"reconciliation {e.run_id}: "
        + ", ".join(f"{count} {name}" for name, count in sorted(e.breaks.items()))
    ),
    ev.ReconChecked: lambda e: _checked(e),  # noqa: PLW0108  (defined below)
    ev.BreakAnswered: lambda e: (
        f"break {e.break_id}{' closed by two people' if e.grant_id else ''}: {e.answer}"
    ),
    ev.DualRequested: lambda e: (
        f"two people asked for {e.purpose} {e.request_id}, document {e.document_sha256},"
        f" expires {stamp(e.expires_us)}"
    ),
    ev.DualSigned: lambda e: f"{e.role} {e.person} signed {e.purpose} {e.request_id}",
    ev.DualGranted: lambda e: (
        f"{e.purpose} {e.request_id} granted by {e.operator} and {e.reviewer}: {e.reason}"
        f"{_measured(e.measured)}"
    ),
    ev.DualRefused: lambda e: (
        f"{e.purpose} {e.request_id}, {e.person}: refused, {e.code} {e.reason}"
        f"{_measured(e.measured)}"
    ),
    ev.DualWithdrawn: lambda e: f"{e.purpose} {e.request_id} withdrawn: {e.code} {e.reason}",
    ev.ReconSigned: lambda e: f"reconciliation {e.run_id} signed by the {e.role.value}",
    ev.LessonsWritten: lambda e: (
        f"{len(e.points)} lesson{'' if len(e.points) == 1 else 's'} written"
    ),
    ev.PackPrepared: lambda e: (
        f"pack prepared from {e.events} events, {len(e.files)} files, "
        + ", ".join(f"{count} {name}" for name, count in sorted(e.rows.items()))
    ),
    ev.PackWritten: lambda e: (
        f"pack written, tag manifest {e.tagmanifest_sha256}"
        + (f"; an interrupted one was set aside as {e.set_aside}" if e.set_aside else "")
    ),
    ev.PackSigned: lambda e: f"pack signed by the {e.role.value} with {e.fingerprint}",
    ev.PackSealed: lambda e: f"pack sealed as {e.folder}",
    ev.PackRevisionWritten: lambda e: (
        f"revision {e.number} of the pack of {e.session_id} written, tag manifest"
        f" {e.tagmanifest_sha256}: {e.reason}"
    ),
    ev.PackRevisionSigned: lambda e: (
        f"revision of the pack of {e.session_id} signed by the {e.role.value} with {e.fingerprint}"
    ),
    ev.PackRevised: lambda e: f"revision {e.number} of the pack sealed as {e.folder}",
    ev.AlarmRaised: lambda e: f"ALARM {e.alarm_id} {e.code} priority {e.priority}: {e.text}",
    ev.AlarmAcknowledged: lambda e: f"alarm {e.alarm_id} taken {e.note}",
    ev.AlarmCleared: lambda e: f"alarm {e.alarm_id} cleared",
    ev.IncidentOpened: lambda e: f"incident {e.incident_id} opened: {e.title}",
    ev.IncidentNoted: lambda e: f"incident {e.incident_id}: {e.text}",
    ev.IncidentClosed: lambda e: f"incident {e.incident_id} closed: {e.text}",
    ev.RiskReported: lambda e: f"risk report, sha256 {e.sha256}",
    ev.DrillFinished: lambda e: f"drill {e.name}: {'passed' if e.passed else 'FAILED'}",
    ev.LimitTightened: lambda e: (
        f"limit {e.name} tightened from {to_text(e.before)} to {to_text(e.after)}: {e.reason}"
    ),
    ev.LimitLoosened: lambda e: (
        f"limit {e.name} loosened by two from {to_text(e.before)} to {to_text(e.after)}: {e.reason}"
    ),
    ev.LadderStepped: lambda e: (
        f"ladder of {e.environment}: step {e.before} -> {e.after} ({e.step}), {e.cause}: {e.reason}"
    ),
}

#: Events that a person reading the story does not need: the chain's own, and a final agreement.
UNTOLD = (ev.SegmentOpened, ev.OrderClosed, ev.StateCheckpointed)


def phrase(event: ev.Event) -> str:
    """The event in one sentence; "" for those in `UNTOLD`."""
    tell = _PHRASES.get(type(event))
    return tell(event).strip() if tell else ""


def _checked(event: ev.ReconChecked) -> str:
    """What a run of the watch found; agreement, every ten seconds, is no news."""
    if event.unknown:
        return f"reconciliation ({event.moment}) UNKNOWN: {event.unknown}"
    if not event.breaks:
        return ""
    found = ", ".join(f"{one.klass} {one.code} {one.key}" for one in event.breaks)
    return f"reconciliation ({event.moment}): {found}"


def _measured(values: dict[str, str]) -> str:
    return f" ({'; '.join(f'{name}: {value}' for name, value in values.items())})" if values else ""


def _intent(intent: OrderIntent) -> str:
    price = "" if intent.price is None else f" {to_text(intent.price)}"
    return (
        f"{intent.client_order_id} {intent.side.value} {to_text(intent.quantity)}"
        f" {intent.symbol} {intent.type.value}{price}"
    )


def _reasons(event: ev.OrderBlocked) -> str:
    return "; ".join(
        check.text if check.text.startswith(check.code) else f"{check.code}: {check.text}"
        for check in event.decision.reasons
    )
