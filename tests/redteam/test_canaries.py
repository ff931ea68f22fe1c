"""Canaries: secrets in every place that may hold one, pasted into every text, then looked for.

The engine runs on the very secrets that are looked for: the exchange's key comes from a keyring,
its secret from a 0600 file, others lie in the environment. Everything that a process of ours wrote
or said is searched for each of them in every spelling (I10).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from config.secrets import resolve
from engine import unseen
from engine.contracts.errors import PeakError
from engine.ops.redaction import Redaction
from peakctl.client.raw_http import exchange
from peakctl.commands.running import guarded
from peakctl.founding import create_demo
from tests.config import keyring_file
from tests.faults.conftest import FAST, Field, merged

ROOT = Path(__file__).parents[2]
#: Values in the environment that are nobody's business but the shell's.
SHELL = {
    "PEAKCTL_PROD_SECRET": "canary-prod-" + "Q7w" * 9,
    "PEAKCTL_TESTNET_API_KEY": "canary-testnet-" + "H2x" * 9,
    "VAULT_TOKEN": "canary-vault-" + "J9k" * 9,
}
#: Where a secret was put by us: the input, not an output.
PLANTED = {"ring.json", "venue.secret", "sandbox.json", "venue-keys", "keys"}
ARMOUR = "-----BEGIN " + "PRIVATE KEY-----"


class Aviary:
    """A desk with its canaries, and all that was printed by any process."""

    def __init__(self, field: Field, secrets: dict[str, str], folder: Path) -> None:
        self.field = field
        self.secrets = secrets
        self.folder = folder
        self.heard: dict[str, str] = {}
        self.spelled = Redaction(secrets.values())

    async def command(self, *arguments: str) -> str:
        status, out, err = await self.field.peakctl(*arguments)
        name = " ".join(one for one in arguments if not self.spelled.holds(one))
        self.heard[f"peakctl {name} ({status})"] = out + err
        return out + err

    async def refused(self, what: str, work: Coroutine[Any, Any, object]) -> None:
        with pytest.raises(PeakError) as caught:
            await work
        self.heard[what] = str(caught.value) + repr(caught.value)
        assert caught.value.code == "SECRET_PASTED", what

    def read(self, what: str, route: str) -> None:
        deadline = time.monotonic() + 30
        _, content = exchange(self.field.workspace.socket, "GET", f"/v1/{route}", deadline)
        self.heard[what] = content.decode("utf-8", "replace")

    def leaks(self) -> list[str]:
        """Every place with a canary in it: what was said, and every file of workspace and temp."""
        found = [what for what, text in self.heard.items() if self.spelled.holds(text)]
        for path in self.folder.rglob("*"):
            if not path.is_file() or PLANTED & set(path.parts):
                continue
            if any(self.spelled.holds(text) for text in texts_of(path)):
                found.append(str(path.relative_to(self.folder)))
        return found


def texts_of(path: Path) -> list[str]:
    """A file's bytes as text; what is packed inside of it too."""
    texts = [path.read_bytes().decode("latin-1")]
    if path.suffix == ".parquet":
        texts.append(json.dumps(pq.read_table(path).to_pylist(), default=str))
    return texts


@pytest.fixture
async def aviary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Aviary]:
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "temp").mkdir()
    ring = tmp_path / "ring.json"
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temp"))
    monkeypatch.setenv("KEYRING_PROPERTY_PATH", str(ring))
    chosen = tmp_path / "xdg/python_keyring/keyringrc.cfg"  # no variable may name code (I6)
    chosen.parent.mkdir(parents=True)
    chosen.write_text(f"[backend]\ndefault-keyring={keyring_file.__name__}.FileKeyring\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    workspace = await asyncio.to_thread(create_demo, tmp_path / "w", merged(FAST, {}))
    field = Field(
        workspace,
        {
            "venue.api_key_ref": "keyring:peakctl/venue",
            "venue.secret_ref": f"file:{tmp_path / 'venue.secret'}",
        },
        by_exec=True,
    )
    try:
        await field.start_sandbox()
        account = field.venue["accounts"][0]["hmac"]
        ring.write_text(json.dumps({"peakctl/venue": account["key"]}))
        secret = tmp_path / "venue.secret"
        secret.write_text(account["secret"])
        secret.chmod(0o600)
        await field.start_engine()
        await field.sit_down()
        canaries = {"key": account["key"], "secret": account["secret"], **SHELL}
        yield Aviary(field, canaries, tmp_path)
    finally:
        await field.close()


def spellings(secret: str) -> list[str]:
    """How a secret may come along in a text."""
    framed = base64.b64encode(f"user:{secret}:more".encode()).decode()
    return [secret, f"my key is {secret}.", quote(secret, safe=""), framed, secret.encode().hex()]


async def test_i10_no_canary_is_found_in_anything_that_was_written_or_said(aviary: Aviary) -> None:
    field, secret = aviary.field, aviary.secrets["secret"]
    await field.go_live()
    order = await field.rest_one()

    # Pasted by mistake, in every spelling, into every text that people send.
    client = field.client
    for text in (*spellings(secret), aviary.secrets["key"], f"{ARMOUR}\nMC4CAQAwBQYDK2Vw"):
        await aviary.refused(f"note {len(text)}", client.note(text))
    pasted: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "pause": lambda: client.pause(secret),
        "incident": lambda: client.incident(f"key {secret}"),
        "acknowledge": lambda: client.acknowledge("a", secret),
        "lessons": lambda: client.write_lessons(("fine", f"never {secret}")),
        "answer": lambda: client.answer("item", "operator", secret),
        "break": lambda: client.answer_break("r", "b", secret),
        "cancel": lambda: client.cancel(secret),
        "signals": lambda: client.join_review("0" * 64, {"tty": secret}),
        "query": lambda: client.query(f"select '{secret}'"),
    }
    for name, send in pasted.items():
        await aviary.refused(name, send())
    ticket = {"person": "alice", "symbol": secret, "side": "BUY", "type": "MARKET", "quantity": "1"}
    for route in ("order/preview", "order/submit"):
        answer = await asyncio.to_thread(post, field, route, ticket)
        assert b"SECRET_PASTED" in answer
        aviary.heard[route] = answer.decode()
    escaped = "".join(f"\\u{ord(one):04x}" for one in secret)
    note = b'{"person":"alice","text":"%b"}' % escaped.encode()
    assert b"SECRET_PASTED" in await asyncio.to_thread(raw, field, "note", note, secret)
    assert len([one for one in field.journal() if one["kind"] == "note.added"]) == 0

    # Commands and reads, faults of ours included; the wrong option for a secret.
    for arguments in (
        ("status", "--json"),
        ("config", "show"),
        ("config", "diff", "--json"),
        ("doctor", "--json"),
        ("snapshot",),
        ("--debug", "config", "set", "venue.secret_ref", secret, "--reason", "x"),
        ("--debug", "config", "set", "limits.max_position", secret, "--reason", "x"),
        ("--debug", "config", "set", secret, "1", "--reason", "x"),
        ("config", "set", "market.stale_ms", "2999", "--reason", f"as {secret}"),
        ("config", "check", "--set", f"venue.rest_url=https://u:{secret}@localhost"),
    ):
        await aviary.command(*arguments)
    for role in ("operator", "reviewer", "auditor"):
        aviary.read(f"state of {role}", f"state?role={role}")
    for route in ("metrics", "heads", "journal?from=0"):
        aviary.read(route, route)
    tables = await field.client.query(
        "select table_name from information_schema.tables where table_schema = 'main'"
    )
    for (table,) in tables.rows:
        answer = await field.client.query(f'select * from "{table}"')
        aviary.heard[f"table {table}"] = json.dumps(answer.rows, default=str)

    look_at_processes(aviary)

    # The end of a session and its pack, then a kill with a secret for a reason: never refused.
    await field.client.cancel(order)
    await field.client.stop("done")
    await field.until_session("stopped")
    await field.reconcile()
    await field.seal()
    assert list(field.workspace.sessions.glob("*/*")), "there is a pack to search"
    killed = await aviary.command("kill", "--reason", f"key {secret} is out")
    assert "PROVEN" in killed
    latched = field.events("kill.latched")
    assert latched[0]["reason"] == "key [redacted] is out"
    os.kill(field.pid, 9)
    assert await asyncio.to_thread(field.supervisor._gone, field.pid, 10.0)
    await aviary.command("--debug", "kill", "--reason", "again")
    assert aviary.leaks() == []


def look_at_processes(aviary: Aviary) -> None:
    """Process list, environments and core limits of every process of this workspace."""
    root = aviary.field.workspace.root
    seen = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            pid, cwd = int(entry.name), (entry / "cwd").readlink()
            line = (entry / "cmdline").read_bytes().decode().split("\0")
            if cwd != root:
                continue
            aviary.heard[f"command line {pid}"] = " ".join(line)
            if "tests.fork_server" in line:
                continue  # the exchange of this test, started by it
            name = "watchdog" if "engine.execution.watchdog.process" in line else line[4]
            seen.add(name)
            environ = (entry / "environ").read_bytes().decode()
            aviary.heard[f"environment of {name}"] = environ
            limits = (entry / "limits").read_text()
            assert next(
                one.split()[4:6] for one in limits.splitlines() if one.startswith("Max core")
            ) == ["0", "0"], name
    assert seen >= {"engine", "watchdog"}


def post(field: Field, route: str, body: dict[str, Any]) -> bytes:
    deadline = time.monotonic() + 30
    return exchange(field.workspace.socket, "POST", f"/v1/{route}", deadline, body)[1]


def raw(field: Field, route: str, body: bytes, secret: str) -> bytes:
    """A request with the secret in headers and address too."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(field.workspace.socket))
        line.settimeout(30)
        line.sendall(
            f"POST /v1/{route}?signature={secret} HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: {secret}\r\n"
            f"Authorization: Bearer {secret}\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )
        received = b""
        while chunk := line.recv(65536):
            received += chunk
        return received


def test_the_search_itself_finds_a_canary(tmp_path: Path) -> None:
    """The net is not torn: each spelling is found where it was planted on purpose."""
    secret = "canary-" + "Zz9" * 8
    for number, text in enumerate(spellings(secret)):
        (tmp_path / f"{number}.txt").write_text(f"x{text}y")
    net = Aviary(None, {"a": secret}, tmp_path)  # type: ignore[arg-type]  (files only)
    assert len(net.leaks()) == 5


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_of_ours_tells_no_secret_whatever_its_message_says(
    tmp_path: Path, debug: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "canary-" + "Rr4" * 8
    held = tmp_path / "key"
    held.write_text(secret)
    held.chmod(0o600)
    resolve("file:key", tmp_path, {})
    monkeypatch.setenv("VAULT_TOKEN", SHELL["VAULT_TOKEN"])
    monkeypatch.setenv("PEAKCTL_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["peakctl"])
    (tmp_path / ".peakctl" / "log").mkdir(parents=True)

    def fails() -> int:
        raise RuntimeError(f"cannot GET https://h/?k={quote(secret)}&t={SHELL['VAULT_TOKEN']}")

    assert guarded(fails, debug=debug) == 1
    (crash,) = (tmp_path / ".peakctl" / "log").glob("crash-*.txt")
    told = capfd.readouterr()
    assert "[redacted]" in crash.read_text()
    assert ("Traceback" in told.err) is debug
    net = Redaction([secret, SHELL["VAULT_TOKEN"]])
    assert not net.holds(crash.read_text() + told.out + told.err)


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
def test_a_process_of_ours_cannot_be_read_by_others_of_its_user() -> None:
    source = Path(unseen.__file__).read_text()
    program = (
        f"{source}\nimport time\nprint(keep_memory(), is_kept(), flush=True)\ntime.sleep(60)\n"
    )
    open_one = "print(1, flush=True)\nimport time\ntime.sleep(60)\n"
    looker = (
        "import sys\ntry:\n  open(f'/proc/{sys.argv[1]}/environ','rb').read(); print('read')\n"
        "except PermissionError:\n  print('closed')\n"
    )
    told = []
    for code in (program, open_one):
        process = subprocess.Popen(
            ["/usr/bin/env", "python3", "-c", code], stdout=subprocess.PIPE, user=65534, cwd="/"
        )
        assert process.stdout is not None
        with process.stdout:
            first = process.stdout.readline().decode().split()
            look = subprocess.run(
                ["/usr/bin/env", "python3", "-c", looker, str(process.pid)],
                capture_output=True,
                text=True,
                check=True,
                user=65534,
                cwd="/",
            )
            told.append((first[0], look.stdout.strip()))
            process.kill()
            process.wait()
    assert told == [("True", "closed"), ("1", "read")]


def test_every_command_closes_its_memory_first() -> None:
    program = (
        "import sys\nsys.argv = ['peakctl', '--version']\nfrom peakctl.cli import main\nmain()\n"
        "from engine.unseen import is_kept\nsys.exit(0 if is_kept() else 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=ROOT, capture_output=True
    )
    assert done.returncode == 0
