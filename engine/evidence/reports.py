"""The readable files of a pack, built from the records of one session. Pure: records in, text out.

Nothing here knows anything that is not in the journal, so every line of a report can be checked
against `data/audit/log.jsonl`, and the same records always give the same bytes. Times are the
journal's, UTC. Text that people or venues wrote is shown with control and bidi characters escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from engine.contracts import event as ev
from engine.contracts.canonical import canonical, strict_loads
from engine.contracts.errors import InputError
from engine.contracts.session import Charter, Checklist
from engine.evidence.figures import equity, metrics, trades
from engine.evidence.page import page
from engine.evidence.phrases import phrase
from engine.evidence.risk_part import risk_files
from engine.evidence.text import plain_line, stamp
from engine.ops.incidents import Incident, IncidentFold

_EXECUTION = (
    ev.OrderIntended,
    ev.OrderBlocked,
    ev.OrderAcknowledged,
    ev.OrderRejected,
    ev.OrderUnknown,
    ev.OrderLost,
    ev.OrderFilled,
    ev.CancelRequested,
    ev.CancelRefused,
    ev.OrderCanceled,
    ev.OrderExpired,
    ev.OrderClosed,
    ev.OrphanFound,
    ev.OrphanAdopted,
    ev.OrphanCancelRequested,
    ev.OrphanEnded,
    ev.KillLatched,
    ev.KillStage,
    ev.KillVerdict,
    ev.WatchdogActed,
)
_ALARMS = (ev.AlarmRaised, ev.AlarmAcknowledged, ev.AlarmCleared)


def session_records(records: Iterable[ev.Recorded], session_id: str) -> list[ev.Recorded]:
    """The records of one session, in order.

    They are found by its id, by its orders, kills, alarms and incidents; with them comes what the
    engine itself went through between the charter and the session's last record.
    """
    chosen: list[ev.Recorded] = []
    between: list[ev.Recorded] = []
    members: set[str] = set()
    for record in records:
        if _belongs(record.event, session_id, members):
            chosen.extend(between)
            between.clear()
            chosen.append(record)
        elif chosen and not _names_other(record.event):
            between.append(record)
    return chosen


def build_reports(records: Sequence[ev.Recorded], session_id: str) -> dict[str, bytes]:
    """Every report of the session except recon.json itself: file name -> bytes.

    `risk.json` and `risk.md` are there only when a risk report was made.

    `records` may be the whole journal; only the session's are used.
    """
    mine = session_records(records, session_id)
    builders: tuple[tuple[str, Callable[[Sequence[ev.Recorded]], bytes]], ...] = (
        ("runlog.md", runlog),
        ("checklist.json", checklist),
        ("execution.jsonl", execution),
        ("recon.md", recon),
        ("metrics.json", metrics),
        ("equity.csv", equity),
        ("trades.csv", trades),
        ("alerts.jsonl", alerts),
        ("incidents.md", incidents),
        ("lessons.md", lessons),
        ("report.html", page),
    )
    return {name: build(mine) for name, build in builders} | risk_files(mine)


def runlog(records: Sequence[ev.Recorded]) -> bytes:
    """The session as a story: the charter, then one line per thing that happened."""
    lines = ["# Runlog", ""]
    charter = _charter(records)
    if charter is not None:
        lines += ["| charter | |", "|---|---|"]
        lines += [f"| {label} | {plain_line(value)} |" for label, value in _charter_rows(charter)]
        lines.append("")
    lines += ["| time (UTC) | seq | who | what |", "|---|---|---|---|"]
    for record in records:
        text = phrase(record.event)
        if text:
            lines.append(
                f"| {stamp(record.ts_us)} | {record.seq} | {plain_line(record.actor.name)}"
                f" | {plain_line(text)} |"
            )
    return _text(lines)


def checklist(records: Sequence[ev.Recorded]) -> bytes:
    """The checklist with every answer that was given, the last one deciding."""
    started: Checklist | None = None
    answers: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        match record.event:
            case ev.ChecklistStarted(checklist=found):
                started, answers = found, {}
            case ev.ItemAnswered() as answered:
                answers.setdefault(answered.item_id, []).append(
                    {
                        "at": stamp(record.ts_us),
                        "by": record.actor.name,
                        "detail": answered.detail,
                        "proof": record.actor.proof,
                        "result": answered.result.value,
                        "role": answered.role,
                        "seq": record.seq,
                        "value": answered.value,
                    }
                )
    if started is None:
        return canonical({"items": [], "type": "peakctl-checklist-report-1"}) + b"\n"
    items = [
        {
            "answers": answers.get(item.id, []),
            "critical": item.critical,
            "id": item.id,
            "kind": item.kind.value,
            "roles": list(item.roles),
            "title": item.title,
        }
        for item in started.items
    ]
    document = {
        "items": items,
        "runbook": started.runbook,
        "runbook_sha256": started.sha256,
        "type": "peakctl-checklist-report-1",
        "version": started.version,
    }
    return canonical(document) + b"\n"


def execution(records: Sequence[ev.Recorded]) -> bytes:
    """All orders, fills, rejects, blocks and kills: one JSON line each, reason codes at the top."""
    return _json_lines(records, _EXECUTION)


def alerts(records: Sequence[ev.Recorded]) -> bytes:
    """Every alarm that was raised, taken and cleared, one JSON line each."""
    return _json_lines(records, _ALARMS)


def recon(records: Sequence[ev.Recorded]) -> bytes:
    """The last reconciliation for people: counts, breaks, answers, signatures."""
    last: ev.ReconRun | None = None
    answers: dict[str, str] = {}
    signed: list[str] = []
    for record in records:
        match record.event:
            case ev.ReconRun() as run:
                last, answers, signed = run, {}, []
            case ev.BreakAnswered(break_id=break_id, answer=answer):
                answers[break_id] = f"{answer} ({record.actor.name})"
            case ev.ReconSigned(role=role, fingerprint=key):
                signed.append(f"{role.value} {record.actor.name} {key}")
    if last is None:
        return _text(["# Reconciliation", "", "none"])
    lines = ["# Reconciliation", "", f"Run `{last.run_id}`, report sha256 `{last.report_sha256}`."]
    lines += ["", "| compared | count |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in sorted(last.compared.items())]
    lines += ["", "| breaks | count |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in sorted(last.breaks.items())]
    columns = ("id", "klass", "subject", "key", "engine", "journal", "venue", "cause")
    lines += ["", f"| {' | '.join(columns)} | answer |", f"|{'---|' * (len(columns) + 1)}"]
    for row in _breaks(last.report):
        cells = [plain_line(str(row.get(column, ""))) for column in columns]
        answer = plain_line(answers.get(str(row.get("id", "")), ""))
        lines.append(f"| {' | '.join(cells)} | {answer} |")
    lines += ["", *(f"Signed: {plain_line(one)}" for one in signed)]
    return _text(lines)


def incidents(records: Sequence[ev.Recorded]) -> bytes:
    """The incidents with their timelines, or `none`."""
    fold = IncidentFold()
    for record in records:
        fold.apply(record)
    lines = ["# Incidents", ""]
    for incident in fold.all:
        lines += _incident_lines(incident)
    return _text(lines if fold.all else [*lines, "none"])


def lessons(records: Sequence[ev.Recorded]) -> bytes:
    """The lessons learned, as last written."""
    points: tuple[str, ...] = ()
    for record in records:
        match record.event:
            case ev.LessonsWritten(points=written):
                points = written
    lines = [f"{number}. {plain_line(point)}" for number, point in enumerate(points, 1)]
    return _text(["# Lessons learned", "", *(lines or ["none written"])])


def _belongs(event: ev.Event, session_id: str, members: set[str]) -> bool:
    """Whether the event is of the session; remembers the ids of what it opens in `members`."""
    opened = ""
    match event:
        case ev.OrderIntended(intent=intent) if event.session_id == session_id:
            opened = intent.client_order_id
        case ev.KillLatched(kill_id=one) if event.session_id == session_id:
            opened = one
        case ev.AlarmRaised(alarm_id=one) if event.session_id == session_id:
            opened = one
        case ev.IncidentOpened(incident_id=one) if event.session_id == session_id:
            opened = one
    if opened:
        members.add(opened)
        return True
    if hasattr(event, "session_id"):
        return bool(event.session_id == session_id)
    return _member(event) in members


def _member(event: ev.Event) -> str | None:
    """The id of the order, kill, alarm or incident an event without session id speaks of."""
    for field in ("client_order_id", "kill_id", "alarm_id", "incident_id"):
        value = getattr(event, field, None)
        if isinstance(value, str):
            return value
    return None


def _names_other(event: ev.Event) -> bool:
    return bool(getattr(event, "session_id", "")) or _member(event) is not None


def _charter(records: Sequence[ev.Recorded]) -> Charter | None:
    for record in records:
        if isinstance(record.event, ev.SessionChartered):
            return record.event.charter
    return None


def _charter_rows(charter: Charter) -> list[tuple[str, str]]:
    limits = charter.limits
    names = limits.__struct_fields__
    return [
        ("mode", charter.mode.value),
        ("venue, account", f"{charter.venue}, {charter.account}"),
        ("instruments", ", ".join(charter.instruments)),
        ("window", f"{stamp(charter.window_from_us)} to {stamp(charter.window_until_us)}"),
        ("operator, reviewer", f"{charter.operator}, {charter.reviewer}"),
        ("runbook", charter.runbook),
        ("purpose", charter.purpose),
        *((f"limit {name}", str(getattr(limits, name))) for name in names),
    ]


def _breaks(report: str) -> list[Mapping[str, Any]]:
    try:
        parsed = strict_loads(report, "recon.json")
    except InputError:
        return []
    rows = parsed.get("breaks") if isinstance(parsed, dict) else None
    return [row for row in rows or [] if isinstance(row, dict)] if isinstance(rows, list) else []


def _reason_codes(event: ev.Event) -> list[str]:
    match event:
        case ev.OrderBlocked(decision=decision) | ev.OrderIntended(decision=decision):
            return [check.code for check in decision.reasons]
        case ev.OrderRejected(code=code) | ev.CancelRefused(code=code):
            return [code]
        case ev.OrderUnknown(cause=cause) | ev.CancelRequested(cause=cause):
            return [cause]
    return []


def _json_lines(records: Sequence[ev.Recorded], kinds: tuple[type[ev.Event], ...]) -> bytes:
    lines = []
    for record in records:
        if isinstance(record.event, kinds):
            line = {
                "actor": record.actor.name,
                "at": stamp(record.ts_us),
                "data": ev.event_to_data(record.event),
                "kind": ev.kind_of(record.event),
                "reasons": _reason_codes(record.event),
                "seq": record.seq,
                "ts_us": record.ts_us,
            }
            lines.append(canonical(line) + b"\n")
    return b"".join(lines)


def _incident_lines(incident: Incident) -> list[str]:
    state = "open" if incident.closed_us is None else f"closed {stamp(incident.closed_us)}"
    lines = [
        f"## {plain_line(incident.id)} {plain_line(incident.title)}",
        "",
        f"State: {state}",
        "",
    ]
    opened = f"- {stamp(incident.opened_us)} {plain_line(incident.opened_by)}: opened"
    entries = [
        f"- {stamp(entry.ts_us)} {plain_line(entry.by)}: {plain_line(entry.text)}"
        for entry in incident.timeline
    ]
    return [*lines, opened, *entries, ""]


def _text(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines).rstrip("\n") + "\n").encode("utf-8")
