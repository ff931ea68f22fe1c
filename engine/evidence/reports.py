"""The readable files of a pack, built from the records of one session. Pure: records in, text out.

The records go by once (`Telling`). What has a line for every order grows while they do; what is
made at the end needs only the records that `Telling.kept` keeps, which are all but the orders'.

Nothing here knows anything that is not in the journal, so every line of a report can be checked
against `data/audit/log.jsonl`, and the same records always give the same bytes. Times are the
journal's, UTC. Text that people or venues wrote is shown with control and bidi characters escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

from engine.contracts import event as ev
from engine.contracts.canonical import canonical, strict_loads
from engine.contracts.errors import InputError
from engine.contracts.session import Checklist
from engine.evidence.page import page
from engine.evidence.risk_part import risk_files
from engine.evidence.telling import LONG, Sink, Telling, event_line
from engine.evidence.text import plain_item, plain_line, stamp
from engine.ops.incidents import Incident, IncidentFold

_ALARMS = (ev.AlarmRaised, ev.AlarmAcknowledged, ev.AlarmCleared)


#: A record, and the JSON of its event's fields as the journal has it.
Told = tuple[ev.Recorded, bytes]


def session_records(records: Iterable[ev.Recorded], session_id: str) -> list[ev.Recorded]:
    """The records of one session, in order; see `of_session`."""
    return [record for record, _ in of_session(_with_json(records), session_id)]


def of_session(records: Iterable[Told], session_id: str) -> Iterator[Told]:
    """Yield the records of one session, in order.

    They are found by its id, by its orders, kills, alarms and incidents; with them comes what the
    engine itself went through between the charter and the session's last record.
    """
    begun = False
    between: list[Told] = []
    members: set[str] = set()
    for one in records:
        event = one[0].event
        if _belongs(event, session_id, members):
            begun = True
            yield from between
            between.clear()
            yield one
        elif begun and not _names_other(event):
            between.append(one)


def build_reports(records: Iterable[ev.Recorded], session_id: str) -> dict[str, bytes]:
    """Every report of the session except recon.json itself: file name -> bytes.

    `risk.json` and `risk.md` are there only when a risk report was made.

    `records` may be the whole journal; only the session's are used.
    """
    files = {name: BytesIO() for name in LONG}
    telling = tell(of_session(_with_json(records), session_id), files)
    long = {name: file.getvalue() for name, file in files.items()}
    return {**long, **short_reports(telling)}


def tell(records: Iterable[Told], files: Mapping[str, Sink]) -> Telling:
    """Let the session's records go by: writes the files of `LONG`, returns the rest."""
    telling = Telling(files)
    for record, data in records:
        telling.take(record, data)
    telling.end()
    return telling


def short_reports(telling: Telling) -> dict[str, bytes]:
    """The reports that do not grow with the orders."""
    builders: tuple[tuple[str, Callable[[Sequence[ev.Recorded]], bytes]], ...] = (
        ("checklist.json", checklist),
        ("recon.md", recon),
        ("alerts.jsonl", alerts),
        ("incidents.md", incidents),
        ("lessons.md", lessons),
    )
    files = {name: build(telling.kept) for name, build in builders}
    files["metrics.json"] = telling.metrics.document(telling.ledger)
    files["report.html"] = page(telling.kept, telling.drawn)
    return files | risk_files(telling.kept)


def _with_json(records: Iterable[ev.Recorded]) -> Iterator[Told]:
    for record in records:
        yield record, canonical(ev.event_to_data(record.event))


def checklist(records: Sequence[ev.Recorded]) -> bytes:
    """The checklist with every answer that was given, the last one deciding, and the go/no-go."""
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
                        "by": answered.by or record.actor.name,
                        "commitment": answered.commitment,
                        "detail": answered.detail,
                        "proof": record.actor.proof,
                        "result": answered.result.value,
                        "role": answered.role,
                        "salt": answered.salt,
                        "seq": record.seq,
                        "value": answered.value,
                    }
                )
    items = [
        {
            "answers": answers.get(item.id, []),
            "critical": item.critical,
            "id": item.id,
            "kind": item.kind.value,
            "roles": list(item.roles),
            "title": item.title,
        }
        for item in (started.items if started else ())
    ]
    document = {
        "go_no_go": _decisions(records),
        "items": items,
        "runbook": started.runbook if started else "",
        "runbook_sha256": started.sha256 if started else "",
        "session_id": _session_id(records),
        "type": "peakctl-checklist-report-2",
        "version": started.version if started else "",
    }
    return canonical(document) + b"\n"


def _decisions(records: Sequence[ev.Recorded]) -> list[dict[str, str | int]]:
    """Every go/no-go decision in order; the last one stood, unless it was voided after it."""
    told: list[dict[str, str | int]] = []
    for record in records:
        row: dict[str, str | int] = {
            "at": stamp(record.ts_us),
            "by": record.actor.name,
            "proof": record.actor.proof,
            "seq": record.seq,
        }
        match record.event:
            case ev.GoDecided() as made:
                told.append(
                    {
                        **row,
                        "decision": made.decision,
                        "fingerprint": made.fingerprint,
                        "packet_sha256": made.packet_sha256,
                        "reason": made.reason,
                    }
                )
            case ev.GoVoided() as void:
                told.append(
                    {
                        **row,
                        "code": void.code,
                        "decision": "VOID",
                        "packet_sha256": void.packet_sha256,
                        "reason": void.reason,
                    }
                )
    return told


def _session_id(records: Sequence[ev.Recorded]) -> str:
    chartered = (one.event for one in records if isinstance(one.event, ev.SessionChartered))
    return next((event.session_id for event in chartered), "")


def _title(what: str, records: Sequence[ev.Recorded]) -> list[str]:
    """The heading names the session: a signed "none" of another one is no signature of this."""
    session_id = _session_id(records)
    return [f"# {what} of session {plain_line(session_id)}" if session_id else f"# {what}", ""]


def alerts(records: Sequence[ev.Recorded]) -> bytes:
    """Every alarm that was raised, taken and cleared, one JSON line each."""
    return b"".join(
        event_line(record, canonical(ev.event_to_data(record.event)))
        for record in records
        if isinstance(record.event, _ALARMS)
    )


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
        return _text([*_title("Reconciliation", records), "none"])
    lines = [
        *_title("Reconciliation", records),
        f"Run `{last.run_id}`, report sha256 `{last.report_sha256}`.",
    ]
    lines += ["", "| compared | count |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in sorted(last.compared.items())]
    lines += ["", "| breaks | count |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in sorted(last.breaks.items())]
    columns = ("id", "klass", "subject", "key", "engine", "journal", "venue", "cause")
    rows = _breaks(last.report)
    if rows:
        shown = ["class" if column == "klass" else column for column in columns]
        lines += ["", f"| {' | '.join(shown)} | answer |", f"|{'---|' * (len(shown) + 1)}"]
    else:
        lines += ["", "No break: engine, journal and venue agree."]
    for row in rows:
        cells = [plain_line(str(row.get(column, ""))) for column in columns]
        answer = plain_line(answers.get(str(row.get("id", "")), ""))
        lines.append(f"| {' | '.join(cells)} | {answer} |")
    lines += ["", *(f"Signed: {plain_line(one)}" for one in signed)]
    return _text(lines)


def incidents(records: Sequence[ev.Recorded]) -> bytes:
    """The incidents with their timelines, or `none`; both people sign it either way."""
    fold = IncidentFold()
    for record in records:
        fold.apply(record)
    lines = _title("Incidents", records)
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
    lines = [f"{number}. {plain_item(point)}" for number, point in enumerate(points, 1)]
    return _text([*_title("Lessons learned", records), *(lines or ["none written"])])


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


def _breaks(report: str) -> list[Mapping[str, Any]]:
    try:
        parsed = strict_loads(report, "recon.json")
    except InputError:
        return []
    rows = parsed.get("breaks") if isinstance(parsed, dict) else None
    return [row for row in rows or [] if isinstance(row, dict)] if isinstance(rows, list) else []


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
