"""A sealed session counts only once its signatures were verified again, by its bytes."""

from __future__ import annotations

import asyncio
import tomllib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.contracts import event as ev
from engine.contracts.documents import Namespace
from engine.contracts.people import Role
from engine.execution.core import Core, State
from engine.execution.records.evidence_audit import EvidenceAudit, why_unsound
from engine.governance.packet import build_cosign
from engine.governance.people import Roster, parse_roster
from engine.signatures.check import Checker
from peakctl.founding import create_demo
from peakctl.signing import Signer
from peakctl.workspace import Workspace
from tests.engine.governance.conftest import cosign_content
from tests.engine.governance.stories import MONDAY, Told, bent, sealed_session
from tests.faults.conftest import eventually

NAME = "session00000"


class Desk:
    """People of a demo workspace with their real keys, and a story that they sign."""

    def __init__(self, place: Workspace) -> None:
        self.place = place
        document = tomllib.loads(place.people_file.read_text(encoding="utf-8"))
        self.roster: Roster = parse_roster(document)
        self.checker = Checker(place.allowed_signers, place.revoked_keys)

    def sign(self, role: Role, namespace: Namespace, message: str) -> str:
        return Signer(self.place.key_of(role.value)).sign(message.encode(), namespace)

    def story(self) -> list[Told]:
        """The whole story, with signatures that hold."""
        now_us = (self.place.allowed_signers.stat().st_mtime_ns // 1000) + 5_000_000
        told = sealed_session(NAME, max(now_us, MONDAY))
        packet = next(one.event for one in told if isinstance(one.event, ev.GoRequested)).packet
        report = next(one.event for one in told if isinstance(one.event, ev.ReconRun)).report
        cosign = build_cosign(cosign_content(packet.encode(), session_id=NAME)).decode()
        told = bent(
            told, is_of(ev.GoSigned), signature=self.sign(Role.OPERATOR, Namespace.GO, packet)
        )
        told = bent(
            told,
            is_of(ev.GoDecided),
            cosign=cosign,
            signature=self.sign(Role.REVIEWER, Namespace.COSIGN, cosign),
        )
        for role, namespace in (
            (Role.OPERATOR, Namespace.RECON),
            (Role.REVIEWER, Namespace.RECON_REVIEW),
        ):
            told = bent(
                told, is_of(ev.ReconSigned, role), signature=self.sign(role, namespace, report)
            )
        return told

    def unsound(self, told: list[Told]) -> str:
        session = fold(told).sessions.current
        assert session is not None
        return why_unsound(session, self.roster, self.checker)


def is_of(kind: type[ev.Event], role: Role | None = None) -> Any:
    return lambda event: isinstance(event, kind) and role in {None, getattr(event, "role", None)}


def fold(told: list[Told]) -> State:
    state = State()
    for seq, one in enumerate(told):
        state.apply(ev.Recorded(seq=seq, ts_us=one.at_us, actor=one.actor, event=one.event))
    return state


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(create_demo(tmp_path_factory.mktemp("audit") / "w", {}))


def test_signatures_that_hold_are_sound(desk: Desk) -> None:
    assert desk.unsound(desk.story()) == ""


def test_each_signature_is_asked(desk: Desk) -> None:
    told = desk.story()
    wrong = desk.sign(Role.OPERATOR, Namespace.GO, "another text")
    for kind, role, word in (
        (ev.GoSigned, None, "peakctl-go-v1 of alice"),
        (ev.GoDecided, None, "peakctl-cosign-v1 of bob"),
        (ev.ReconSigned, Role.OPERATOR, "peakctl-recon-v1 of alice"),
        (ev.ReconSigned, Role.REVIEWER, "peakctl-reconreview-v1 of bob"),
    ):
        for signature in (wrong, "", "s"):
            assert word in desk.unsound(bent(told, is_of(kind, role), signature=signature))


def test_a_decision_about_something_else_or_of_no_form_is_none(desk: Desk) -> None:
    told = desk.story()
    other = build_cosign(cosign_content(b"another packet", session_id=NAME)).decode()
    assert "another packet" in desk.unsound(bent(told, is_of(ev.GoDecided), cosign=other))
    assert "cannot be read" in desk.unsound(bent(told, is_of(ev.GoDecided), cosign="{}"))


def test_people_whom_the_roster_no_longer_has_earn_nothing(desk: Desk) -> None:
    session = fold(desk.story()).sessions.current
    assert session is not None
    only_bob = Roster(tuple(one for one in desk.roster.people if one.id != "alice"))
    assert "'alice' is no operator" in why_unsound(session, only_bob, desk.checker)


@pytest.mark.parametrize(("signed", "sound"), [(True, {NAME}), (False, set())])
async def test_what_was_not_looked_at_is_not_known_and_what_does_not_hold_earns_nothing(
    desk: Desk, *, signed: bool, sound: set[str]
) -> None:
    state = fold(desk.story() if signed else sealed_session(NAME, MONDAY))
    assert [one.session_id for one in state.evidence.sealed] == [NAME]
    audit = EvidenceAudit(cast("Core", SimpleNamespace(state=state)), desk.roster, desk.checker)
    assert audit.sound() is None
    running = asyncio.create_task(audit.run())
    await eventually(lambda: audit.sound() is not None, "a look at the signatures")
    running.cancel()
    assert audit.sound() == sound


def test_where_no_session_claims_anything_nothing_is_unknown(desk: Desk) -> None:
    core = cast("Core", SimpleNamespace(state=State()))
    assert EvidenceAudit(core, desk.roster, desk.checker).sound() == frozenset()
