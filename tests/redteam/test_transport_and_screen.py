"""Attacks on the way to the engine and on what people see: sockets, floods, words, secrets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from engine.contracts.errors import Refused
from engine.contracts.session import SessionState
from peakctl.app import ConsoleApp, ReviewApp
from peakctl.client.printable import printable
from peakctl.founding import create_demo
from tests.faults.conftest import FAST, Field, merged
from tests.redteam.conftest import SOMEBODY_ELSE, Desk, Loop
from tests.screens import conftest as data

operator, reviewer = data.operator, data.reviewer

#: Markup that acts, a terminal's title and colours, a turned direction, a line of its own.
EVIL = (
    "[@click=app.quit]x[/] [red]y \u202etxet \x1b]0;t\x07\x1b[2J\x9b31m\u200b\nfake | line \ud7ff"
)
ACTIVE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def alive(desk: Desk) -> None:
    """The engine answers, and it is the same one."""
    state = desk.state()
    assert state["engine"]["phase"] == "ready"
    assert state["engine"]["pid"] == desk.field.pid


# --- reaching the socket --------------------------------------------------------------------------


def _inodes(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def test_there_is_nothing_to_connect_to_over_the_network(desk: Desk) -> None:
    """No TCP or UDP socket of the engine listens, on any address."""
    mine = _inodes(desk.field.pid)
    for name, listening in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        path = Path("/proc/net") / name
        rows = [row.split() for row in path.read_text().splitlines()[1:]] if path.exists() else []
        assert not [row for row in rows if row[3] == listening and row[9] in mine]


def test_there_is_no_name_in_the_abstract_namespace(desk: Desk) -> None:
    """Abstract names have no owner and no mode: anybody could connect, or be there first."""
    mine = _inodes(desk.field.pid)
    rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:]]
    names = {row[7] for row in rows if row[6] in mine and len(row) > 7}
    assert names == {str(desk.place.socket)}


def test_other_users_are_kept_out_by_the_modes(desk: Desk) -> None:
    assert stat.S_IMODE(desk.place.socket.stat().st_mode) == 0o660
    assert stat.S_IMODE(desk.place.socket.parent.stat().st_mode) == 0o750
    assert stat.S_IMODE(desk.place.state.stat().st_mode) == 0o750
    for folder in (desk.place.journal, desk.place.heads, desk.place.log):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for private in (desk.place.log_key, desk.place.log / "engine.jsonl", desk.place.sandbox_ready):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_another_unix_user_cannot_even_connect(desk: Desk) -> None:
    """A real process of uid 4242 without our group, at the real socket."""
    script = (
        "import socket, sys\n"
        "one = socket.socket(socket.AF_UNIX)\n"
        "try:\n    one.connect(sys.argv[1])\n"
        "except PermissionError:\n    sys.exit(13)\n"
    )
    if os.getuid() != 0:
        pytest.skip("only root may become another user")
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", script, str(desk.place.socket)],
        user=SOMEBODY_ELSE,
        group=SOMEBODY_ELSE,
        extra_groups=[],
        cwd="/",
        check=False,
        capture_output=True,
    )
    assert done.returncode in {13, 126}, done


# --- bytes that are no request --------------------------------------------------------------------


def raw(desk: Desk, content: bytes, seconds: float = 3.0) -> bytes:
    """What the engine answers to these bytes until it hangs up, or is silent for so long."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(str(desk.place.socket))
        answer = b""
        try:
            connection.sendall(content)
            while chunk := connection.recv(65536):
                answer += chunk
                if content[:1] == b"{" and answer[-1:] == b"\n":
                    break  # lines are answered and the connection stays
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass
        return answer


def request(body: bytes, path: str = "/v1/note", head: str = "") -> bytes:
    """One HTTP request."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n{head}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


NOT_REQUESTS: dict[str, bytes] = {
    "a body over a megabyte": request(b'{"person":"alice","text":"' + b"x" * 1_100_000 + b'"}'),
    "an unknown field": request(b'{"person":"alice","text":"t","root":true}'),
    "a field twice": request(b'{"person":"alice","text":"t","person":"bob"}'),
    "a number for a name": request(b'{"person":0,"text":"t"}'),
    "a list": request(b'["alice"]'),
    "no JSON": request(b"person=alice&text=t"),
    "not UTF-8": request(b'{"person":"alice","text":"\xff"}'),
    "half a surrogate": request(b'{"person":"alice","text":"\\ud800"}'),
    "nested a hundred thousand deep": request(b"[" * 100_000),
    "an unknown route": request(b'{"person":"alice"}', "/v1/debug/exec"),
    "a path that climbs": request(b'{"person":"alice"}', "/v1/../../etc/passwd"),
    "an absolute address": request(b'{"person":"alice"}', "http://127.0.0.1/v1/note"),
    "two lengths": request(b'{"person":"alice","text":"t"}', head="Content-Length: 5\r\n"),
    "a length and chunks": request(
        b'{"person":"alice","text":"t"}', head="Transfer-Encoding: chunked\r\n"
    ),
    "a negative length": b"POST /v1/note HTTP/1.1\r\nHost: e\r\nContent-Length: -1\r\n\r\n",
    "a header of a megabyte": request(b"{}", head=f"X: {'y' * 1_000_000}\r\n"),
    "the greeting of another protocol": b"SSH-2.0-x\r\n\r\n",
    "zeros": bytes(100_000),
    "a line without an end": b"{" + b" " * 200_000,
    "a line with an unknown route": b'{"route":"kill/undo","body":{"person":"alice"}}\n',
    "a line with a field twice": (
        b'{"route":"order/submit","body":{"person":"alice","symbol":"BTCUSDT","side":"BUY",'
        b'"type":"MARKET","quantity":"1","quantity":"2"}}\n'
    ),
    "two lines at once": b'{"route":"order/submit","body":{}}\n' * 2,
}


@pytest.mark.parametrize("what", NOT_REQUESTS)
def test_bytes_that_are_no_request_change_nothing(desk: Desk, what: str) -> None:
    desk.packet()
    good = raw(desk, request(b'{"person":"alice","text":"this one is a request"}'))
    assert b'"ok":true' in good
    notes = len(desk.field.events("note.added"))
    answer = raw(desk, NOT_REQUESTS[what])
    assert b'"ok":true' not in answer
    assert not re.match(rb"HTTP/1.1 2|\{\"status\":2", answer), answer[:300]
    assert b"Traceback" not in answer
    assert len(desk.field.events("note.added")) == notes
    alive(desk)


def test_a_reading_route_does_not_take_commands_nor_a_command_a_get(desk: Desk) -> None:
    assert desk.get("kill").status == 405
    assert desk.post("state", person="alice").status == 405
    assert desk.state()["kill"]["state"] == "READY"


# --- the stream -----------------------------------------------------------------------------------


async def _websocket(path: Path, *messages: str | bytes) -> list[aiohttp.WSMessage]:
    """Say these on a stream, and hear what comes until the engine hangs up or has told twice."""
    heard = []
    connector = aiohttp.UnixConnector(str(path))
    async with (
        aiohttp.ClientSession(connector=connector) as client,
        client.ws_connect("http://engine/v1/stream", max_msg_size=1 << 26) as stream,
    ):
        for message in messages:
            if isinstance(message, bytes):
                await stream.send_bytes(message)
            else:
                await stream.send_str(message)
        while len(heard) < 4:
            heard.append(await asyncio.wait_for(stream.receive(), 20))
            if heard[-1].type is not aiohttp.WSMsgType.TEXT:
                break
    return heard


def test_a_frame_that_is_too_large_ends_its_own_connection_only(desk: Desk) -> None:
    heard = desk.run(_websocket(desk.place.socket, '{"role":"' + "x" * 100_000 + '"}'))
    assert heard[-1].type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
    assert heard[-1].data in {1009, None}
    alive(desk)


HELLOS: list[str | bytes] = [
    '{"role":"operator","person":"mallory"}',
    '{"role":"operator","person":"bob"}',
    '{"role":"operator","person":"carol"}',
    '{"role":"Operator","person":"alice"}',
    '{"role":"operator","person":""}',
    '{"role":"operator","person":"alice","also":1}',
    "no json",
    b"\x00\xff",
]


def test_nobody_but_the_operator_attends(tmp_path: Path, loop: Loop) -> None:
    """The operator has gone while the session is live: no other greeting makes it attended."""

    async def play() -> None:
        field = Field(create_demo(tmp_path / "w", merged(FAST, {})), {})
        try:
            await field.start_sandbox()
            await field.start_engine()
            await field.sit_down()
            await field.go_live(attendance_seconds=1)
            await field.operator.leave()
            await field.until(lambda view: not view.engine.attended, "unattended")
            for hello in HELLOS:
                for heard in await _websocket(field.workspace.socket, hello):
                    if heard.type is aiohttp.WSMsgType.TEXT:
                        assert not json.loads(heard.data)["engine"]["attended"], hello
            with pytest.raises(Refused):
                await field.submit(price=await field.away_price_now())
        finally:
            await field.close()

    loop.run(play())


# --- floods, and the kill that must come through --------------------------------------------------


def _kill_and_release(desk: Desk) -> float:
    """Seconds until the kill was acknowledged; the latch is opened again by two people."""
    desk.end_session()
    began = time.monotonic()
    answer = desk.post(
        "kill", person="alice", reason="flood", source="test", pressed_us=time.time_ns() // 1000
    )
    took = time.monotonic() - began
    assert answer.status == 200
    assert answer.body["state"] != "READY"
    desk.run(desk.field.until_kill("PROVEN"))
    desk.run(desk.field.release())
    return took


@contextmanager
def many(desk: Desk, count: int, content: bytes) -> Iterator[None]:
    """That many connections, each of which has said this and now waits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * count)), hard))
    with ExitStack() as open_:
        for _ in range(count):
            connection = open_.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(str(desk.place.socket))
            if content:
                connection.sendall(content)
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("count", "content"),
    [
        (1500, b""),
        (300, b"POST /v1/note HTTP/1.1\r\nHost: engine\r\nContent-Le"),
        (300, b"POST /v1/note HTTP/1.1\r\nHost: e\r\nContent-Length: 900000\r\n\r\n{"),
        (300, b'{"route":"order/submit",'),
        (
            100,
            request(b'{"person":"alice","sql":"select count(*) from events"}', "/v1/store/query"),
        ),
    ],
    ids=["silent", "half a head", "half a body", "half a line", "questions"],
)
def test_a_flood_does_not_hold_a_kill(desk: Desk, count: int, content: bytes) -> None:
    with many(desk, count, content):
        assert _kill_and_release(desk) < 10
    alive(desk)


def test_an_endless_question_does_not_hold_a_kill(desk: Desk) -> None:
    endless = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"
    with many(
        desk,
        1,
        request(json.dumps({"person": "alice", "sql": endless}).encode(), "/v1/store/query"),
    ):
        assert _kill_and_release(desk) < 10
    alive(desk)


# --- words from outside ---------------------------------------------------------------------------


def test_a_note_cannot_write_a_line_into_journal_or_log(desk: Desk) -> None:
    """The words are there exactly once, as data; every line is still a whole record."""
    desk.packet()
    size = desk.state()["engine"]["events"]
    fake = (
        '"}\n{"actor":{"kind":"person","name":"bob"},"kind":"go.decided","data":{"decision":"GO"}'
    )
    assert desk.post("note", person="alice", text=fake + EVIL).status in {200, 400}
    assert desk.post("note", person="alice", text=fake).status in {200, 400}
    lines = [line for line in desk.field.journal() if line["seq"] >= size]
    assert [line["kind"] for line in lines if line["kind"] == "go.decided"] == []
    for row in (desk.place.log / "engine.jsonl").read_bytes().splitlines():
        assert isinstance(json.loads(row), dict)
    desk.nothing_was_approved()


def hostile(value: Any) -> Any:
    """The same data with hostile words in every text that can come from outside."""
    if isinstance(value, dict):
        return {
            name: EVIL if name in _FROM_OUTSIDE and isinstance(one, str) and one else hostile(one)
            for name, one in value.items()
        }
    return [hostile(one) for one in value] if isinstance(value, list) else value


#: Fields whose words come from people, from the venue or from a file.
_FROM_OUTSIDE = {
    *("text", "reason", "title", "detail", "name", "note", "answer", "value", "response", "cause"),
    *("purpose", "account", "hostname", "next_step", "client_order_id", "venue_order_id", "key"),
    *("owner", "workspace", "review_command", "unknown", "runbook", "acknowledged_by", "proof"),
}

SCREENS = ["f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "ctrl+o", "ctrl+r", "question_mark"]


@pytest.mark.parametrize("view", ["LIVE", "TROUBLE", "CHECKLIST"])
async def test_hostile_words_are_only_words_on_every_screen(
    operator: tuple[ConsoleApp, data.DataConsole], view: str
) -> None:
    """No control or bidi character reaches the terminal, and no text becomes something to click."""
    shown = msgspec.convert(
        hostile(msgspec.to_builtins(getattr(data, view))), type(getattr(data, view)), strict=False
    )
    async with data.staged(operator, (140, 45)) as stage:
        await stage.show(shown)
        for key in SCREENS:
            await stage.press(key)
            _only_words(stage)
            await stage.press("escape")


@pytest.mark.parametrize("state", [SessionState.GO_NOGO, SessionState.STOPPED])
async def test_hostile_words_are_only_words_on_the_reviewers_screens(
    reviewer: tuple[ReviewApp, data.DataConsole], state: SessionState
) -> None:
    view = data.with_session(state, go=data.go_view("signed"))
    shown = msgspec.convert(hostile(msgspec.to_builtins(view)), type(view), strict=False)
    async with data.staged(reviewer, (140, 45)) as stage:
        await stage.show(shown)
        for key in SCREENS:
            await stage.press(key)
            _only_words(stage)
            await stage.press("escape")


def _only_words(stage: data.Stage) -> None:
    for strip in stage.app.screen._compositor.render_strips():
        assert not ACTIVE.search(strip.text), ascii(strip.text)
        for segment in strip:
            meta = segment.style.meta if segment.style and segment.style._meta else {}
            assert "app.quit" not in str(meta.get("@click", "")), segment


@pytest.mark.parametrize("code", [*range(0x20), 0x7F, *range(0x80, 0xA0), 0x200B, 0x202E, 0x2066])
def test_no_character_that_acts_is_printed(code: int) -> None:
    assert printable(f"a{chr(code)}b").isprintable()


# --- secrets --------------------------------------------------------------------------------------


def _canaries(desk: Desk) -> list[bytes]:
    """Every secret of this desk: the venue's keys, and the private halves of the people's keys."""
    ready = json.loads(desk.place.sandbox_ready.read_text())
    found = [one["hmac"]["secret"].encode() for one in ready["accounts"]]
    found += [ready["accounts"][0]["hmac"]["key"].encode()]
    for path in (desk.place.root / "keys").iterdir():
        if path.suffix != ".pub":
            found.append(path.read_bytes().splitlines()[3])
    found.append(desk.place.log_key.read_bytes().splitlines()[3])
    assert all(len(one) >= 16 for one in found)
    return found


def test_no_secret_is_in_any_file_but_its_own(desk: Desk) -> None:
    """Journal, store, heads, logs, snapshots, market data, exports, packs: all of them searched."""
    desk.packet()
    desk.post("snapshot", person="alice")
    desk.post("store/query", person="alice", sql="select nonsense from nowhere")
    own = {desk.place.root / "keys", desk.place.root / "venue-keys", desk.place.log_key.parent}
    canaries = _canaries(desk)
    searched = 0
    for path in desk.place.root.rglob("*"):
        if path.is_file() and path != desk.place.sandbox_ready and path.parent not in own:
            content = path.read_bytes() if path.suffix != ".duckdb" else b""
            searched += 1
            assert not [one for one in canaries if one in content], path
    assert searched > 10


def test_no_secret_is_told_over_the_socket(desk: Desk) -> None:
    canaries = _canaries(desk)
    for route in ("state?role=operator", "heads", "journal?from=0", "metrics"):
        answer = raw(
            desk,
            f"GET /v1/{route} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n".encode(),
        )
        assert answer.startswith(b"HTTP/1.1 200")
        assert not [one for one in canaries if one in answer]
    for sql in ("select * from duckdb_settings()", "select * from duckdb_variables()"):
        answer_ = desk.post("store/query", person="alice", sql=sql)
        assert not [one for one in canaries if one in json.dumps(answer_.body).encode()]


def test_no_secret_is_in_the_list_of_processes(desk: Desk) -> None:
    """Arguments are everybody's to read."""
    canaries = _canaries(desk)
    looked = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes()
                here = (entry / "cwd").readlink() == desk.place.root
            except OSError:
                continue
            looked += here
            assert not [one for one in canaries if one in arguments]
    assert looked >= 3


def test_no_secret_is_in_what_a_fault_of_the_config_says(
    tmp_path: Path, peakctl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """A key pasted where a reference belongs, a wrong file, a wrong place in a file."""
    canary = "canary-0123456789abcdef"
    assert peakctl("init", str(tmp_path / "w")).returncode == 0
    config = tmp_path / "w/config/peakctl.toml"
    (tmp_path / "w/secret.json").write_text(json.dumps({"a": canary}))
    (tmp_path / "w/secret.json").chmod(0o644)
    for reference in (canary, f"env:{canary}\n", "file:secret.json#b", "file:secret.json"):
        config.write_text(
            'environment = "testnet"\n[venue]\n'
            f"api_key_ref = {json.dumps(reference)}\nsecret_ref = {json.dumps(reference)}\n"
        )
        for command in (("config", "check"), ("config", "show", "--json")):
            done = peakctl(*command, "-w", str(tmp_path / "w"))
            if not reference.startswith("env:"):
                assert canary not in done.stdout + done.stderr, (reference, command)
            assert "Traceback" not in done.stderr


def test_the_engine_still_stops_by_signal_after_all_this(desk: Desk) -> None:
    """SIGUSR1 is a kill without a socket: no flood of connections stands before it."""
    desk.end_session()
    with many(desk, 400, b""):
        os.kill(desk.field.pid, signal.SIGUSR1)
        desk.run(desk.field.until_kill("PROVEN"))
    desk.run(desk.field.release())
    alive(desk)
