"""A desk of dual control with a real journal, real keys and both verifiers, and nothing else.

Two purposes are tied in: a loosening whose only rule is a switch, and the release of the latch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.contracts.documents import (
    DUAL_NAMESPACES,
    OPERATOR_NAMESPACES,
    REVIEWER_NAMESPACES,
    Purpose,
)
from engine.contracts.errors import Refused
from engine.contracts.event import AnyEvent, KillLatched, KillVerdict, NoteAdded, Recorded
from engine.contracts.people import ENGINE, Actor, Person, Role, person
from engine.contracts.requests import DualRequest, DualSignRequest, DualWithdrawRequest
from engine.contracts.session import Charter, Environment
from engine.contracts.view import DualView
from engine.execution.consent.approval_desk import ApprovalTerms
from engine.execution.consent.dual_act import Act, Grant, Measured
from engine.execution.consent.dual_desk import DualDesk
from engine.execution.consent.release_act import RELEASE_PROBES, ReleaseAct
from engine.execution.core import Core, State
from engine.execution.probes import Probes, Reading
from engine.execution.session_desk import CharterRules, SessionDesk
from engine.governance.dual import Denied
from engine.governance.people import Roster
from engine.journal.writer import Journal
from engine.signatures.allowed_signers import allowed_signers_line
from engine.signatures.check import Checker
from engine.signatures.sshsig import fingerprint, parse_public_line
from tests.engine.charters import LIMITS
from tests.redteam.conftest import keygen_sign

UIDS = {"alice": 1000, "bob": 1001, "carol": 1002}
ROLES = {"alice": Role.OPERATOR, "bob": Role.REVIEWER, "carol": Role.REVIEWER}
PRINCIPALS = {"alice": "op:alice", "bob": "rev:bob", "carol": "rev:carol"}
SUBJECT = {"limit": "max_position", "after": "2"}


class Files:
    """What a document binds, as files that somebody may edit."""

    def __init__(self) -> None:
        self.hashes = {"config": "c" * 64, "code": "d" * 64, "roster": "e" * 64}
        self.changed: tuple[str, ...] = ()

    def config_sha256(self) -> str:
        return self.hashes["config"]

    def code_sha256(self) -> str:
        return self.hashes["code"]

    def roster_sha256(self) -> str:
        return self.hashes["roster"]

    def runbook_sha256(self, name: str) -> str:
        raise NotImplementedError(name)

    def limits_hold(self, config_sha256: str) -> bool:
        raise NotImplementedError(config_sha256)

    def stale(self) -> tuple[str, ...]:
        return self.changed


class Loosen(Act):
    """Does one thing that can be counted; `forbids` is why it is not allowed now."""

    fields = tuple(SUBJECT)

    def __init__(self) -> None:
        self.forbids = ""
        self.measured = Measured({"book": "deep"})
        self.done_with: list[str] = []

    def check(self, _state: State, _subject: Mapping[str, str]) -> None:
        if self.forbids:
            raise Refused(what=self.forbids, code="FORBIDDEN")

    def events(self, _state: State, subject: Mapping[str, str], grant: Grant) -> Sequence[AnyEvent]:
        return [NoteAdded(session_id="", text=f"{subject['limit']} {grant.document_sha256}")]

    async def measure(self, _subject: Mapping[str, str]) -> Measured:
        return self.measured

    async def done(self, _subject: Mapping[str, str], grant: Grant) -> None:
        self.done_with.append(grant.document_sha256)


class World:
    """The desk, and the hands of everybody who has a key."""

    def __init__(self, folder: Path, keys: Mapping[str, Path], **terms: Any) -> None:
        self.folder = folder
        self.keys = keys
        self.files = Files()
        self.loosen = Loosen()
        self.readings = {name: Reading(value="good", passed=True) for name in RELEASE_PROBES}
        self.signers = folder / "allowed_signers"
        self.revoked = folder / "revoked_keys"
        self.write_signers()
        self.roster = Roster(tuple(self._person(name) for name in ROLES))
        self.environment = terms.pop("environment", Environment.TESTNET)
        self.allow_same_uid = terms.pop("allow_same_uid", False)
        self.start()

    def _person(self, name: str) -> Person:
        line = self.keys[name].with_suffix(".pub").read_text()
        return Person(
            id=name,
            name=name,
            role=ROLES[name],
            principal=PRINCIPALS[name],
            fingerprint=fingerprint(parse_public_line(line)),
        )

    def write_signers(self, **instead: str) -> None:
        """The signers' file; `instead` gives somebody another person's key."""
        lines = []
        for name, role in ROLES.items():
            names = OPERATOR_NAMESPACES if role is Role.OPERATOR else REVIEWER_NAMESPACES
            key = self.keys[instead.get(name, name)].with_suffix(".pub").read_text()
            lines.append(allowed_signers_line(PRINCIPALS[name], names, key))
        self.signers.write_text("".join(lines))

    def start(self) -> None:
        """Start the engine's part anew over the same journal."""
        self.journal = Journal.open(
            self.folder / "journal",
            commit_interval_ms=0,
            segment_lines=1000,
            clock_us=iter(range(1, 1_000_000)).__next__,
        ).journal
        state = State()
        for recorded in self.journal.read():
            state.apply(recorded)
        self.core = Core(self.journal, state)
        self.told: list[Recorded] = []
        self.core.listen(self.told.append)
        self.released = 0
        rules = CharterRules(
            modes_allowed=("testnet",),
            venue="v",
            account="a",
            symbols=("BTCUSDT",),
            ceiling=LIMITS,
            window_max_us=1,
            attendance_max_seconds=15,
        )
        probes = Probes({name: self._probe(name) for name in RELEASE_PROBES}, {})
        session = SessionDesk(self.core, self.roster, rules, dict, probes)
        release = ReleaseAct(self.core, probes, rules, lambda: ("BTCUSDT",), self._opened)
        self.desk = DualDesk(
            self.core,
            session,
            self.roster,
            Checker(self.signers, self.revoked),
            self.files,
            ApprovalTerms(
                environment=self.environment,
                ttl_us=300_000_000,
                allow_same_uid=self.allow_same_uid,
                hostname="desk",
                boot_id="boot",
                inputs=(),
                code={},
            ),
            {Purpose.LOOSEN: self.loosen, Purpose.RELEASE: release},
        )

    def restart(self) -> None:
        """Kill the engine and start another one."""
        self.journal.close()
        self.start()

    def _probe(self, name: str) -> Any:
        async def probe(_charter: Charter) -> Reading:
            return self.readings[name]

        return probe

    def _opened(self) -> None:
        self.released += 1

    # --- people ---------------------------------------------------------------------------------

    @staticmethod
    def actor(name: str, uid: int | None = None) -> Actor:
        """Somebody on the socket, with the uid that the kernel reports."""
        return person(name, f"peer-uid:{UIDS.get(name, 7) if uid is None else uid}")

    async def ask(
        self, name: str = "alice", purpose: Purpose = Purpose.LOOSEN, **more: Any
    ) -> DualView:
        """Ask for something; bob is the reviewer unless another is named."""
        subject = more.pop("subject", {} if purpose is Purpose.RELEASE else SUBJECT)
        words = {"reviewer": "bob", "reason": "the book is deep", **more}
        request = DualRequest(person=name, purpose=purpose, subject=subject, **words)
        return await self.desk.request(request, self.actor(name))

    def signature(
        self, key: str, view: DualView, role: Role, purpose: Purpose | None = None, **other: Any
    ) -> str:
        """Any key's signature over a document, in the namespace of a role and a purpose."""
        document = other.get("document", view.document)
        namespace = DUAL_NAMESPACES[purpose or Purpose(view.purpose), role]
        return keygen_sign(self.keys[key], document.encode(), other.get("namespace", namespace))

    async def hand_in(
        self, view: DualView, signature: str, name: str, uid: int | None = None, **more: Any
    ) -> None:
        """Hand in a signature as somebody."""
        words = {"request_id": view.id, "sha256": view.sha256, **more}
        request = DualSignRequest(person=name, signature=signature, **words)
        await self.desk.sign(request, self.actor(name, uid))

    async def sign(self, view: DualView, name: str, **more: Any) -> None:
        """Sign honestly and hand it in."""
        await self.hand_in(view, self.signature(name, view, ROLES[name]), name, **more)

    async def withdraw(self, view: DualView, name: str) -> None:
        """Take it back, or decline it."""
        request = DualWithdrawRequest(person=name, request_id=view.id, reason="no")
        await self.desk.withdraw(request, self.actor(name))

    async def kill(self, kill_id: str, verdict: str = "PROVEN", *left: str) -> None:
        """A kill and its verdict, as the kill switch journals them."""
        await self.core.record(
            ENGINE,
            KillLatched(kill_id=kill_id, session_id="", reason="r", source="test", pressed_us=1),
            KillVerdict(
                kill_id=kill_id,
                verdict=verdict,
                elapsed_us=1,
                canceled=0,
                open_orders=left,
                positions={},
            ),
        )

    # --- what became of it ----------------------------------------------------------------------

    def kinds(self) -> list[str]:
        """The kinds of everything in the journal."""
        return [str(one.event.__struct_config__.tag) for one in self.journal.read()]

    def stage(self, view: DualView) -> str:
        """Where a request stands."""
        return self.core.state.dual.requests[view.id].stage

    def code(self, view: DualView) -> str:
        """Why it was withdrawn."""
        return self.core.state.dual.requests[view.id].code

    def nothing_was_granted(self) -> None:
        """No grant, nothing of the act, the latch as it was."""
        kinds = self.kinds()
        assert not {"dual.granted", "note.added", "latch.released"} & set(kinds), kinds
        assert self.loosen.done_with == []
        assert self.released == 0


__all__ = ["SUBJECT", "Denied", "World"]
