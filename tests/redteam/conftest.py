"""What the attacks share: one running desk a worker, one sealed pack, keys of `ssh-keygen`.

Everything is real: an engine, an exchange, a watchdog, files, signatures. The desk is attacked from
the outside only: bytes on its socket, bytes in its files. Its two honest people live on an event
loop in a thread of its own, so that they go on attending while a test attacks.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.people import Role
from engine.contracts.session import SessionState
from engine.governance.wordlist import short_code
from peakctl.ceremony import cosign_document, new_nonce
from peakctl.client.raw_http import exchange
from peakctl.founding import Identity, add_person, create_demo, make_key
from peakctl.signing import signals
from peakctl.workspace import Workspace
from tests.engine.evidence import conftest as evidence
from tests.faults.conftest import FAST, Field, merged
from tests.fork_server import fork_server

_T = TypeVar("_T")

#: Where a session can still be approved, or already was.
APPROVED = {SessionState.LIVE, SessionState.PAUSED}
#: Nobody here works as this Unix user.
SOMEBODY_ELSE = 4242


@dataclass(frozen=True)
class Answer:
    """What the engine said: HTTP status and the JSON it answered."""

    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str:
        """The code of the refusal, "" when it was none."""
        return str(self.body.get("error", {}).get("code", ""))


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for one piece of work."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Desk:
    """A running desk, as somebody sees it who can reach its socket and its files."""

    def __init__(self, place: Workspace, loop: Loop) -> None:
        self.place = place
        self._loop = loop
        self.field: Field = loop.run(self._start())

    async def _start(self) -> Field:
        field = Field(self.place, {})
        await field.start_sandbox()
        await field.start_engine()
        await field.sit_down()
        await field.ready()
        return field

    def close(self) -> None:
        """End every process."""
        self._loop.run(self.field.close())

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Let the honest people do something."""
        return self._loop.run(work)

    # --- bytes on the socket --------------------------------------------------------------------

    def post(self, route: str, **body: Any) -> Answer:
        """Ask the engine, as whoever `person` claims to be."""
        return self._ask("POST", route, body)

    def get(self, route: str) -> Answer:
        """Read something."""
        return self._ask("GET", route, None)

    def _ask(self, method: str, route: str, body: dict[str, Any] | None) -> Answer:
        deadline = time.monotonic() + 60
        status, raw = exchange(self.place.socket, method, f"/v1/{route}", deadline, body)
        return Answer(status, json.loads(raw))

    def state(self) -> dict[str, Any]:
        """The state as an auditor gets it."""
        return self.get("state?role=auditor").body

    def session(self) -> dict[str, Any]:
        """The session in it."""
        found: dict[str, Any] = self.state()["session"]
        return found

    def nothing_was_approved(self) -> None:
        """Nothing trades, and nothing was approved by whatever was just tried."""
        session = self.session()
        assert session["state"] not in APPROVED
        assert session["go"]["stage"] != "go"

    # --- the two people -------------------------------------------------------------------------

    def sign(self, role: str, document: str | bytes, namespace: str) -> str:
        """A signature with the key of a role, in any namespace."""
        raw = document.encode() if isinstance(document, str) else document
        return keygen_sign(self.place.key_of(role), raw, namespace)

    def packet(self) -> str:
        """The packet that the operator has signed and the reviewer has not yet answered."""
        return self.run(self._packet())

    async def _packet(self) -> str:
        view = await self.field.state()
        if view.session is None or view.session.state.value in {"aborted", "no_go"}:
            await self.field.to_checklist()
            view = await self.field.state()
        assert view.session is not None
        if view.session.state is SessionState.GO_NOGO and view.session.go.stage == "signed":
            return view.session.go.packet
        if view.session.state is SessionState.GO_NOGO and view.session.go.stage == "requested":
            packet = view.session.go.packet
            signature = await self.field.operator.sign(packet, Namespace.GO)
            await self.field.client.sign_go(sha256_hex(packet.encode()), signature)
            return packet
        await self.field.until_session("checklist")
        await self.field.reviewer.client.join_review(new_nonce(), signals())
        await self.field.client.probe()
        return await self.field.request_and_sign()

    def requested(self) -> str:
        """A packet that nobody has signed yet."""
        return self.run(self._requested())

    async def _requested(self) -> str:
        await self.end_session_now()
        await self.field.to_checklist()
        go = await self.field.client.request_go(new_nonce(), signals())
        return go.packet

    def end_session(self) -> None:
        """No session is open."""
        self.run(self.end_session_now())

    async def end_session_now(self) -> None:
        """As `end_session`."""
        view = await self.field.state()
        if view.session is not None and view.session.state.value not in {"aborted", "no_go"}:
            await self.field.client.abort("the next attack")

    def decision(self, packet: str, decision: str = "GO", reason: str = "") -> str:
        """The reviewer's own, honest document."""
        code = short_code(sha256_hex(packet.encode()))
        return cosign_document(
            packet=packet,
            decision=decision,
            reason=reason,
            typed_code=code,
            typed_limit=json.loads(packet)["limits"]["max_order_notional"],
        )

    def cosign(self, document: str, signature: str | None = None, person: str = "bob") -> Answer:
        """Hand in a decision; signed by the reviewer unless another signature is given."""
        if signature is None:
            signature = self.sign("reviewer", document, Namespace.COSIGN)
        return self.post("go/cosign", person=person, cosign=document, signature=signature)


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    """Other content for a while; the file as it was afterwards."""
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(content)
    try:
        yield
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)


def keygen_sign(key: Path, message: bytes, namespace: str) -> str:
    """What ssh-keygen itself writes."""
    return subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace],
        input=message,
        capture_output=True,
        check=True,
    ).stdout.decode("ascii")


def keygen_key(path: Path, kind: str = "ed25519") -> Path:
    """A new key of ssh-keygen."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "redteam", "-f", str(path)], check=True
    )
    return path


def refused(desk: Desk, answer: Answer, *codes: str) -> None:
    """The engine said no, with one of these codes, and nothing was approved."""
    assert answer.status in {400, 403, 409, 413}, answer
    assert answer.code in codes, answer
    desk.nothing_was_approved()


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    """The loop of the honest people."""
    made = Loop()
    yield made
    made.close()


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory, loop: Loop) -> Iterator[Desk]:
    """A running desk with a third person, an operator who works as another Unix user."""
    place = create_demo(tmp_path_factory.mktemp("redteam") / "w", merged(FAST, {}))
    add_person(
        place,
        Identity(
            id="carol",
            name="Carol (elsewhere)",
            role=Role.OPERATOR,
            principal="op:carol",
            public_line=make_key(place.root / "keys" / "carol", "demo"),
            uid=SOMEBODY_ELSE,
            demo=True,
        ),
    )
    made = Desk(place, loop)
    yield made
    made.close()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Keys of strangers."""
    folder = tmp_path_factory.mktemp("keys")
    return {
        name: keygen_key(folder / name, kind)
        for name, kind in (
            ("alice", "ed25519"),
            ("bob", "ed25519"),
            ("mallory", "ed25519"),
            ("ecdsa", "ecdsa"),
        )
    }


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[evidence.World, Path]:
    """A good pack, and the world it was made in. Tests change copies only."""
    world = evidence.make_world(tmp_path_factory.mktemp("sealed"))
    return world, world.seal()


@pytest.fixture(scope="session")
def other(
    tmp_path_factory: pytest.TempPathFactory, sealed: tuple[evidence.World, Path]
) -> tuple[evidence.World, Path]:
    """A second session of the same two people, sealed just as well."""
    first, _ = sealed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "SESSION", "0therses51on")
        patch.setattr(evidence, "Keys", lambda _folder: first.keys)
        world = evidence.make_world(tmp_path_factory.mktemp("other"))
        return world, world.seal()


@pytest.fixture
def peakctl(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`peakctl ...` as a forked process, in an empty folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PEAK")}
        return fork_server().run(
            [sys.executable, "-P", "-m", "peakctl", *arguments],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": str(Path(__file__).parents[2])},
        )

    return run
