"""The callables that the consoles hand to their screens: signing, packet reading, checking a pack.

Screens may not import the engine's rooms; here the pure ones are bound to this person, this key
and this workspace. Heavy imports (settings, verification) happen at the call, after first paint.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from engine.contracts.errors import PeakError
from engine.contracts.people import Role
from engine.contracts.session import Charter, Environment, Mode
from engine.contracts.toml_text import load_toml
from engine.governance.packet import packet_lines, parse_packet, short_code
from peakctl.ceremony import cosign_document, new_nonce
from peakctl.signing import signals
from peakctl.workspace import Workspace
from screens.desk import CosignFacts, DualSeen, Sign, Tools

if TYPE_CHECKING:
    from config.model import Settings
    from engine.contracts.view import DualView

DEFAULT_WINDOW_MINUTES = 60

_MODES = {
    Environment.DEV: Mode.PAPER,
    Environment.SHADOW: Mode.SHADOW,
    Environment.TESTNET: Mode.TESTNET,
    Environment.PROD: Mode.LIVE,
}


def make_tools(workspace: Workspace, sign: Sign, draft: Callable[[], Charter | None]) -> Tools:
    """Everything a screen needs from other rooms; the config in force may change the dwell."""
    return Tools(
        sign=sign,
        short_code=short_code,
        packet_lines=lines_of,
        cosign_document=_cosign_of,
        new_nonce=new_nonce,
        signals=signals,
        verify_pack=lambda folder: _verify(workspace, folder),
        charter_draft=draft,
        read_dual=_dual_of,
    )


#: Lines of the packet that are times, µs UTC: people read them as a clock.
_TIMES = {"window from", "window until", "issued", "expires", "latched at"}


def lines_of(packet: str) -> tuple[tuple[str, str], ...]:
    """What the packet says, line by line, with its times as a clock shows them."""
    try:
        lines = packet_lines(parse_packet(packet.encode()))
    except PeakError as error:
        return (("NOT READABLE", error.line()),)
    return tuple((label, _clock(value) if label in _TIMES else value) for label, value in lines)


def _clock(time_us: str) -> str:
    if not time_us.isdigit():
        return time_us
    moment = time.gmtime(int(time_us) // 1_000_000)
    return f"{time.strftime('%Y-%m-%d %H:%M:%SZ', moment)} ({time_us})"


def _dual_of(view: DualView) -> DualSeen:
    """The document of a request, from its own bytes; refused when this clock calls it stale."""
    from peakctl.dual import read_view, refuse_stale  # noqa: PLC0415

    reading = read_view(view)
    if view.stage == "pending":
        refuse_stale(reading, time.time_ns() // 1_000)
    return DualSeen(
        sha256=reading.sha256,
        short_code=reading.code,
        lines=tuple(
            (label, _clock(value) if label in _TIMES else value) for label, value in reading.lines
        ),
        namespaces={role.value: reading.namespace(role).value for role in Role},
    )


def _cosign_of(facts: CosignFacts) -> str:
    return cosign_document(
        packet=facts.packet,
        decision=facts.decision,
        reason=facts.reason,
        typed_code=facts.short_code,
        typed_limit=facts.typed_limit,
        nonce=facts.nonce,
    )


def _verify(workspace: Workspace, folder: str) -> tuple[bool, tuple[str, ...]]:
    from engine.evidence.verify import verify_pack  # noqa: PLC0415

    report = verify_pack(
        workspace.sessions / folder, workspace.allowed_signers, workspace.revoked_keys
    )
    return report.ok, tuple(f"{finding.file}: {finding.what}" for finding in report.findings)


def read_settings(workspace: Workspace, overrides: Mapping[str, str]) -> Settings:
    """The config in force here, or where we visit. Raises ConfigError."""
    from config.settings import load  # noqa: PLC0415

    return load(workspace.root, os.environ, overrides, visiting=True).settings


def draft_charter(workspace: Workspace, person: str, settings: Settings | None = None) -> Charter:
    """A first charter from the config in force: its limits, its venue, the roster's reviewer."""
    settings = settings or read_settings(workspace, {})
    roster = load_toml(workspace.people_file.read_text(encoding="utf-8"))
    people = roster.get("people", [])
    reviewers = [str(row["id"]) for row in people if row.get("role") == "reviewer"]
    books = sorted(path.stem for path in workspace.runbooks.glob("*.md"))
    now_us = time.time_ns() // 1_000
    minutes = min(DEFAULT_WINDOW_MINUTES, settings.session.window_max_minutes)
    return Charter(
        mode=_MODES[settings.environment],
        venue=settings.venue.name,
        account=settings.venue.account,
        instruments=tuple(settings.venue.symbols[:1]),
        limits=settings.limits.to_limits(),
        window_from_us=now_us,
        window_until_us=now_us + minutes * 60_000_000,
        operator=person,
        reviewer=reviewers[0] if reviewers else "",
        runbook=_session_runbook(books),
        attendance_seconds=settings.session.attendance_seconds,
        purpose="",
    )


def _session_runbook(books: list[str]) -> str:
    """The runbook of a session day: the one called so, else the first."""
    named = [book for book in books if "session" in book]
    return (named or books or [""])[0]
