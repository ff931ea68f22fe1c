"""The control API: HTTP on a Unix socket, for consoles, reviewer, CLI and tests alike.

Every request names a person; the engine records that name with the uid the kernel reports for the
peer (SO_PEERCRED), which no client can choose (I8). The routes only translate: body to request
struct, host call, result to JSON. Errors leave as `{"error": ...}` with the class that was raised.
The kill has a route of its own that neither waits for the decision lock nor for the venue.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import WSMsgType, web

from engine.command_line import refuse_repeats, told
from engine.contracts import requests as rq
from engine.contracts.errors import InputError
from engine.contracts.event import Recorded, event_to_data
from engine.contracts.people import Actor, Role, person
from engine.contracts.replies import ChangeMade
from engine.contracts.session import Mode
from engine.diary import Diary
from engine.governance.gates import explain
from engine.host import Host
from engine.peer import login_of

_log = Diary("api")

_R = TypeVar("_R", bound=rq.Request)

#: Largest request body: a packet and its signatures fit many times over.
_MAX_BODY = 1 << 20
#: No number of an event is longer.
_MAX_DIGITS = 18
#: A console gets at most this many state documents a second; what changes in between coalesces.
_STREAM_INTERVAL_SECONDS = 0.25
#: Even when nothing changes the ages do: one document a second keeps the link's age honest.
_STREAM_IDLE_SECONDS = 1.0
_PEERCRED = struct.Struct("3i")

HOST = web.AppKey("host", Host)


def _peer_of(transport: asyncio.BaseTransport | None) -> tuple[int, int]:
    """The peer's pid and uid from the kernel. Raises InputError when they cannot be read (I12)."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family != socket.AF_UNIX:
        raise InputError(what="the peer's uid cannot be read", where="control socket")
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size)
    pid, uid, _gid = _PEERCRED.unpack(raw)
    if pid <= 0 or uid < 0:
        raise InputError(what="the peer's uid cannot be read", where="control socket")
    return int(pid), int(uid)


def uid_of(transport: asyncio.BaseTransport | None) -> int:
    """The peer's uid from the kernel. Raises InputError when it cannot be read (I12)."""
    return _peer_of(transport)[1]


def _actor(request: web.Request, name: str) -> Actor:
    return person(name, f"peer-uid:{uid_of(request.transport)}")


async def _body(request: web.Request, kind: type[_R]) -> tuple[_R, Actor]:
    raw = await request.read()
    try:
        decoded = msgspec.json.decode(raw, type=kind)
        refuse_repeats(raw, request.path)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(
            what=str(error), where=request.path, todo="see the API's requests"
        ) from error
    checked = request.app[HOST].setup.pasted.checked(decoded, raw)
    if isinstance(checked, rq.JoinRequest | rq.GoRequest | rq.DualSignRequest):
        seen = login_of(_peer_of(request.transport)[0])
        signals = {**checked.signals, **seen}
        return msgspec.structs.replace(checked, signals=signals), _actor(request, checked.person)
    return checked, _actor(request, checked.person)


def _reply(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn typed errors into one JSON form; anything else is logged whole and told in one line."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        unknown = InputError(what=error.reason, where=request.path, todo="see the list of routes")
        return web.json_response({"error": unknown.to_wire()}, status=error.status)
    except Exception as error:  # noqa: BLE001  (told as a fault, logged whole, confirms nothing)
        status, wire = told(error, request.path)
        return web.json_response({"error": wire}, status=status)


def _command_routes(host: Host) -> dict[str, Handler]:
    """Commands that answer with the new state."""

    def command(kind: type[_R], call: Callable[[_R, Actor], Awaitable[object]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            body, actor = await _body(request, kind)
            await call(body, actor)
            return _reply({"ok": True, "state": host.view(_role_of(host, body.person))})

        return handle

    session, recon = host.parts.session, host.parts.recon
    return {
        "session/charter": command(rq.CharterRequest, lambda b, a: session.charter(b.charter, a)),
        "session/checklist": command(rq.ReasonRequest, lambda _, a: session.begin_checklist(a)),
        "session/pause": command(rq.ReasonRequest, lambda b, a: session.pause(b.reason, a)),
        "session/resume": command(rq.ReasonRequest, lambda b, a: host.resume(b.reason, a)),
        "session/abort": command(rq.ReasonRequest, lambda b, a: session.abort(b.reason, a)),
        "session/stop": command(rq.ReasonRequest, lambda b, a: host.stop_session(b.reason, a)),
        "checklist/probe": command(rq.ProbeRequest, lambda b, a: session.probe(b.item_id, a)),
        "checklist/answer": command(
            rq.AnswerRequest, lambda b, a: session.answer(b.item_id, b.role, b.answer, a)
        ),
        "review/join": command(rq.JoinRequest, host.parts.approval.join),
        "go/sign": command(rq.SignRequest, host.parts.approval.sign),
        "go/cosign": command(rq.CosignRequest, host.parts.approval.cosign),
        "order/cancel": command(rq.CancelRequest, host.cancel),
        "orphan/cancel": command(rq.OrphanRequest, host.parts.orphans.cancel),
        "dual/sign": command(rq.DualSignRequest, host.parts.dual.sign),
        "dual/withdraw": command(rq.DualWithdrawRequest, host.parts.dual.withdraw),
        "limits/tighten": command(rq.TightenRequest, host.parts.limits.tighten),
        "ladder/down": command(rq.ReasonRequest, host.parts.ladder.down),
        "note": command(rq.NoteRequest, lambda b, a: session.note(b.text, a)),
        "recon/answer": command(rq.BreakAnswerRequest, recon.answer),
        "recon/sign": command(rq.SignRequest, recon.sign),
        "lessons": command(rq.LessonsRequest, lambda b, a: host.parts.pack.lessons(b.points, a)),
        "pack/sign": command(rq.PackSignRequest, host.parts.pack.sign),
        "pack/revision/sign": command(rq.RevisionSignRequest, host.parts.revisions.sign),
        "alarm/acknowledge": command(
            rq.AcknowledgeRequest, lambda b, a: host.parts.ops.acknowledge(b, a, session)
        ),
        "incident": command(
            rq.IncidentRequest, lambda b, a: host.parts.ops.incident(b, a, session)
        ),
    }


def _role_of(host: Host, name: str) -> str:
    someone = host.roster.by_id(name)
    return someone.role.value if someone else ""


def _reply_routes(host: Host) -> dict[str, Handler]:
    """Commands that answer with something of their own."""

    async def go_request(request: web.Request) -> web.StreamResponse:
        body, actor = await _body(request, rq.GoRequest)
        await host.parts.approval.request(body, actor)
        view = host.view("operator")
        return _reply(view.session.go if view.session else None)

    async def preview(request: web.Request) -> web.StreamResponse:
        body, _ = await _body(request, rq.OrderRequest)
        return _reply(host.parts.desk.preview(body))

    async def submit(request: web.Request) -> web.StreamResponse:
        body, actor = await _body(request, rq.OrderRequest)
        # The asker may go away meanwhile: what was started is carried through.
        return _reply(await asyncio.shield(asyncio.ensure_future(host.submit(body, actor))))

    async def kill(request: web.Request) -> web.StreamResponse:
        return _reply(await host.kill(*await _body(request, rq.KillRequest)))

    async def recon(request: web.Request) -> web.StreamResponse:
        _, actor = await _body(request, rq.ReasonRequest)
        return _reply(await host.parts.recon.run(actor))

    async def pack(request: web.Request) -> web.StreamResponse:
        _, actor = await _body(request, rq.ReasonRequest)
        await host.parts.pack.write(actor)
        view = host.view("operator")
        return _reply(view.session.pack if view.session else None)

    async def snapshot(request: web.Request) -> web.StreamResponse:
        _, actor = await _body(request, rq.ReasonRequest)
        host.parts.session.require(actor, *Role)
        return _reply(await host.parts.ops.snapshot(host.view("auditor"), actor))

    async def query(request: web.Request) -> web.StreamResponse:
        body, _ = await _body(request, rq.QueryRequest)
        return _reply(await host.query(body.sql))

    async def stop_engine(request: web.Request) -> web.StreamResponse:
        body, actor = await _body(request, rq.ReasonRequest)
        await host.ask_to_stop(body.reason, actor)
        return _reply({"ok": True})

    return {
        "drill/record": _drill_record,
        "go/request": go_request,
        "dual/request": _dual_request,
        "order/preview": preview,
        "order/submit": submit,
        "kill": kill,
        "recon/run": recon,
        "pack/write": pack,
        "pack/revise": _revise,
        "snapshot": snapshot,
        "risk/report": _risk_report,
        "store/query": query,
        "engine/stop": stop_engine,
    }


async def _dual_request(request: web.Request) -> web.StreamResponse:
    body, actor = await _body(request, rq.DualRequest)
    return _reply(await request.app[HOST].parts.dual.request(body, actor))


def _change_routes(host: Host) -> dict[str, Handler]:
    """Changes of config and roster: answered with the event as the journal has it."""
    desk = host.parts.changes

    def change(kind: type[_R], call: Callable[[_R, Actor], Awaitable[Recorded]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            body, actor = await _body(request, kind)
            # The asker may go away meanwhile: file and event belong together.
            done = await asyncio.shield(asyncio.ensure_future(call(body, actor)))
            return _reply(ChangeMade(seq=done.seq, data=event_to_data(done.event)))

        return handle

    return {
        "config/set": change(rq.ConfigSetRequest, desk.set_key),
        "people/add": change(rq.PeopleAddRequest, desk.add_person),
        "people/revoke": change(rq.PeopleRevokeRequest, desk.revoke_person),
    }


async def _drill_record(request: web.Request) -> web.StreamResponse:
    body, actor = await _body(request, rq.DrillRequest)
    return _reply(await request.app[HOST].parts.drills.record(body, actor))


async def _revise(request: web.Request) -> web.StreamResponse:
    body, actor = await _body(request, rq.ReviseRequest)
    return _reply(await request.app[HOST].parts.revisions.revise(body, actor))


async def _risk_report(request: web.Request) -> web.StreamResponse:
    _, actor = await _body(request, rq.ReasonRequest)
    return _reply(await request.app[HOST].parts.risk.report(actor))


async def _pack_document(request: web.Request) -> web.StreamResponse:
    name = request.query.get("name", "")
    return web.FileResponse(request.app[HOST].parts.pack.document(name))


async def _pack_revision(request: web.Request) -> web.StreamResponse:
    desk, session_id = request.app[HOST].parts.revisions, request.query.get("session", "")
    if name := request.query.get("name", ""):
        return web.FileResponse(desk.document(session_id, name))
    return _reply(desk.view(session_id))


def _reading_routes(host: Host) -> dict[str, Handler]:
    """What changes nothing."""

    async def state(request: web.Request) -> web.StreamResponse:
        return _reply(host.view(request.query.get("role", "")))

    async def heads(_request: web.Request) -> web.StreamResponse:
        return _reply({"heads": host.heads()})

    async def journal(request: web.Request) -> web.StreamResponse:
        start = request.query.get("from", "0")
        if not (start.isascii() and start.isdigit() and len(start) <= _MAX_DIGITS):
            raise InputError(what=f"{start[:20]!r} is not a number", where="from")
        lines = await asyncio.to_thread(host.journal_lines, int(start))
        return web.Response(body=lines, content_type="application/jsonl")

    async def limits(_request: web.Request) -> web.StreamResponse:
        return _reply(host.parts.limits.answer())

    async def evidence(_request: web.Request) -> web.StreamResponse:
        return _reply(host.parts.evidence.answer())

    async def metrics(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=host.metrics(), content_type="text/plain")

    return {
        "state": state,
        "stream": _stream,
        "heads": heads,
        "journal": journal,
        "pack/document": _pack_document,
        "pack/revision": _pack_revision,
        "gates": _gates,
        "metrics": metrics,
        "limits": limits,
        "evidence": evidence,
    }


async def _gates(request: web.Request) -> web.StreamResponse:
    """The locks explained, for the session's mode or the one that is named."""
    host = request.app[HOST]
    asked, venue = request.query.get("mode", ""), host.setup.settings.venue
    if asked and asked not in set(Mode):
        raise InputError(what=f"{asked[:20]!r} is no mode", where="mode", todo=", ".join(Mode))
    mode = Mode(asked) if asked else None
    return _reply(explain(host.parts.facts.gate_facts(mode, venue.name, venue.account)))


class Hello(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a console says first on the stream: its role and person. That is what attends."""

    role: str
    person: str


async def _stream(request: web.Request) -> web.StreamResponse:
    """Send the state on change, coalesced, until the console goes away."""
    host = request.app[HOST]
    socket_ = web.WebSocketResponse(heartbeat=5.0, max_msg_size=4096)
    await socket_.prepare(request)
    uid = uid_of(request.transport)
    hello = Hello(role="", person="")
    changed = host.watch()

    async def listen() -> None:
        nonlocal hello
        async for message in socket_:
            if message.type is not WSMsgType.TEXT:
                continue
            with contextlib.suppress(msgspec.DecodeError):
                said = msgspec.json.decode(message.data, type=Hello)
                if said != hello:
                    host.console_gone(socket_)
                hello = said
                host.console_heard(socket_, hello.role, hello.person, uid)

    listening = asyncio.create_task(listen(), name="console-listen")
    try:
        while not listening.done() and not socket_.closed:
            changed.clear()
            await socket_.send_str(msgspec.json.encode(host.view(hello.role)).decode())
            await asyncio.sleep(_STREAM_INTERVAL_SECONDS)
            waiting = asyncio.create_task(changed.wait())
            await asyncio.wait(
                {waiting, listening},
                timeout=_STREAM_IDLE_SECONDS - _STREAM_INTERVAL_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            waiting.cancel()
    except ConnectionError:
        _log.info("console went away", role=hello.role, person=hello.person)
    finally:
        host.unwatch(changed)
        host.console_gone(socket_)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return socket_


def build(host: Host) -> web.Application:
    """The application with all routes for this host."""
    app = web.Application(middlewares=[_errors], client_max_size=_MAX_BODY)
    app[HOST] = host
    posts = {**_command_routes(host), **_reply_routes(host), **_change_routes(host)}
    app.add_routes([web.post(f"/v1/{path}", handler) for path, handler in posts.items()])
    gets = _reading_routes(host)
    app.add_routes([web.get(f"/v1/{path}", handler) for path, handler in gets.items()])
    return app
