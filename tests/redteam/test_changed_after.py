"""Something that was signed is changed on the disk while the session trades (I6).

The engine runs from a copy of the code, so that the code can be changed too. Each change is made
while orders are allowed: the next order is refused, the approval is void, the console says which of
the signed things it was. What is put back afterwards was no less changed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.contracts.errors import PeakError, Refused
from peakctl import supervisor
from peakctl.ceremony import new_nonce
from peakctl.founding import create_demo
from peakctl.signing import signals
from screens.go import reason_rows
from tests.faults.conftest import FAST, ROOT, Field, merged
from tests.redteam.conftest import Loop, replaced

PACKAGES = ("engine", "peakctl", "screens", "config", "runbooks")


@dataclass(frozen=True)
class Place:
    """The desk, and the code that its engine runs."""

    field: Field
    code: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, loop: Loop) -> Iterator[Place]:
    """An engine that runs from a copy of ours."""
    code = tmp_path_factory.mktemp("code")
    for name in PACKAGES:
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, code / name, ignore=skip)
    workspace = create_demo(tmp_path_factory.mktemp("changed") / "w", merged(FAST, {}))
    field = loop.run(_field(workspace))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(supervisor, "import_path", lambda: str(code))
            loop.run(field.start_engine())
        loop.run(field.sit_down())
        yield Place(field, code)
    finally:
        loop.run(field.close())


async def _field(workspace: object) -> Field:
    field = Field(workspace, {}, by_exec=True)  # type: ignore[arg-type]
    await field.start_sandbox()
    return field


Change = Callable[[bytes], bytes]
#: What is changed: the file (in the workspace, or `code:` in the code), how, and what it is called.
CHANGES: dict[str, tuple[str, Change, str]] = {
    "a comment in the config": ("config/peakctl.toml", lambda old: old + b"# hello\n", "config"),
    "a looser limit in the config": (
        "config/peakctl.toml",
        lambda old: b"[limits]\nmax_open_orders = 99\n".join((old, b"")),
        "limits",
    ),
    "a check in the code": (
        "code:engine/governance/locks.py",
        lambda old: old.replace(b"MIN_SHADOW_WEEKS = 4", b"MIN_SHADOW_WEEKS = 0"),
        "code",
    ),
    "an item of the checklist": (
        "runbooks/session_paper.md",
        lambda old: old.replace(b"+++", b"+++\n# hello", 1),
        "checklist",
    ),
    "a line in the list of signers": (
        "config/allowed_signers",
        lambda old: old + b"# hello\n",
        "roster",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_i6_a_change_while_trading_ends_the_approval(place: Place, loop: Loop, what: str) -> None:
    name, change, called = CHANGES[what]
    inside = name.partition("code:")[2]
    path = place.code / inside if inside else place.field.workspace.root / name
    content = change(path.read_bytes())
    assert content != path.read_bytes()
    loop.run(_trade_and_change(place.field, path, content, called))


async def _trade_and_change(field: Field, path: Path, content: bytes, called: str) -> None:
    await field.go_live()
    price = await field.away_price()
    before = len(field.events("go.voided"))
    with replaced(path, content):
        # the code is looked at once a second, everything else at each order
        await field.until(
            lambda view: view.session is not None and view.session.go.stage == "void", "void"
        )
        with pytest.raises(PeakError) as refused:
            await field.submit(price=price)
        assert refused.value.exit_code == 4
    view = (await field.state()).session
    assert view is not None
    assert f"{called}_sha256" in view.go.reason
    shown = "".join(row.plain for row in reason_rows(view.go, 200))
    assert "VOID: changed since signed" in shown
    assert called in shown
    assert len(field.events("go.voided")) == before + 1
    assert any(one.code == "APPROVAL_VOID" and called in one.text for one in await _alarms(field))
    await field.until_session("stopped")
    with pytest.raises(Refused):
        await field.client.resume("it was put back")
    assert await field.venue_open() == []
    await field.reconcile()
    await field.seal()


async def _alarms(field: Field) -> tuple:  # type: ignore[type-arg]
    return (await field.state()).alarms


def test_i6_nothing_is_signed_that_the_engine_does_not_hold_in_memory(
    place: Place, loop: Loop
) -> None:
    """Changed before go is asked for: the packet would bind what is on the disk, not what runs."""
    changes = {
        place.code / "engine" / "new_door.py": b"OPEN = True\n",
        place.code / "engine" / "governance" / "locks.py": b"LIVE_LOCKS = ()\n",
        place.field.workspace.root / "config" / "peakctl.toml": b'environment = "dev"\n',
        place.field.workspace.root / "config" / "revoked_keys": b"# nobody\n",
        place.field.workspace.runbooks / "session_paper.md": b"+++\n",
    }
    loop.run(place.field.to_checklist())
    for path, content in changes.items():
        with replaced(path, content), pytest.raises(Refused) as refused:
            loop.run(place.field.client.request_go(new_nonce(), signals()))
        assert refused.value.code in {"STALE_ENGINE", "FACTS_CHANGED"}, path
    loop.run(place.field.client.request_go(new_nonce(), signals()))
    loop.run(place.field.client.abort("the next attack"))
