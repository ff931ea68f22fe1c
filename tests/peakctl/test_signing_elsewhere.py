"""Signing on another machine: the packet goes there as a file, the decision comes back as two.

Real processes against a real engine. The other machine is a bare folder: in one case it has our
command and no workspace, in the other nothing but a shell, coreutils and ssh-keygen, and it runs
the very commands that `runbooks/roles_and_keys.md` prints.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.governance.wordlist import short_code
from peakctl.ceremony import new_nonce
from peakctl.founding import create_demo
from peakctl.signing import signals
from peakctl.workspace import Workspace
from tests.faults.conftest import FAST, ROOT, Field, merged
from tests.redteam.conftest import Loop

RUNBOOK = ROOT / "runbooks" / "roles_and_keys.md"
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory, loop: Loop) -> Iterator[Field]:
    place = create_demo(tmp_path_factory.mktemp("elsewhere") / "w", merged(FAST, {}))
    made = loop.run(_field(place))
    try:
        loop.run(_start(made))
        yield made
    finally:
        loop.run(made.close())


async def _field(place: Workspace) -> Field:
    return Field(place, {})


async def _start(field: Field) -> None:
    await field.start_sandbox()
    await field.start_engine()
    await field.sit_down()


class Away:
    """Another machine: a folder with the reviewer's key, its own nonce, and no workspace."""

    def __init__(self, folder: Path, field: Field, role: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.key = folder / "id_ed25519"
        for suffix in ("", ".pub"):
            source = Path(f"{field.workspace.key_of(role)}{suffix}")
            Path(f"{self.key}{suffix}").write_bytes(source.read_bytes())
        self.key.chmod(0o600)

    def sh(self, script: str, **values: str) -> str:
        """A shell with nothing of ours in reach."""
        found = {**values, "PATH": "/usr/bin:/bin", "KEY": str(self.key)}
        done = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.folder,
            env=found,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def peakctl(self, *arguments: str, code: int = 0) -> str:
        """Our command, where there is no workspace. Returns what it said."""
        done = _peakctl(self.folder, *arguments)
        assert done.returncode == code, done
        return done.stdout + done.stderr


def _peakctl(folder: Path, *arguments: str) -> Done:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PEAK")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "peakctl", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT)},
    )


def here(field: Field, *arguments: str, code: int = 0) -> str:
    """A command on the desk's own machine."""
    done = _peakctl(field.workspace.root, *arguments)
    assert done.returncode == code, done
    return done.stdout + done.stderr


def blocks_of(heading: str) -> list[str]:
    """The commands printed under a heading of the runbook, block by block."""
    part = RUNBOOK.read_text().partition(f"{heading}\n")[2].partition("\n## ")[0]
    return [
        "\n".join(line[4:] for line in block.splitlines())
        for block in re.findall(r"(?:^    .*\n?)+", part, re.MULTILINE)
    ]


HEADING = "### On a machine with nothing but ssh-keygen"


def asked(field: Field, loop: Loop, nonce: str, away: Away) -> str:
    """The reviewer's nonce is handed in, go asked for, the packet carried away."""
    here(field, "go", "join", "--nonce", nonce, "--person", "bob")
    loop.run(field.client.probe())
    packet = loop.run(field.client.request_go(new_nonce(), signals())).packet
    (away.folder / "go.json").unlink(missing_ok=True)
    said = here(field, "go", "export", str(away.folder / "go.json"))
    assert said.startswith(sha256_hex(packet.encode()))
    return packet


def operator_signs_elsewhere(field: Field, tmp_path: Path, packet: str, name: str) -> None:
    """The operator's console has no key either."""
    away = Away(tmp_path / name, field, "operator")
    (away.folder / "go.json").write_text(packet)
    away.sh(f'ssh-keygen -q -Y sign -f "$KEY" -n {Namespace.GO} go.json')
    signature = str(away.folder / "go.json.sig")
    assert "signed" in here(field, "go", "sign", "--file", signature, "--person", "alice")


def test_two_signatures_from_two_other_machines(field: Field, loop: Loop, tmp_path: Path) -> None:
    away = Away(tmp_path / "reviewer", field, "reviewer")
    blocks = blocks_of(HEADING)
    nonce = away.sh(f"{blocks[0]}\necho $NONCE").strip()
    loop.run(field.to_checklist())
    packet = asked(field, loop, nonce, away)
    operator_signs_elsewhere(field, tmp_path, packet, "operator")
    told = json.loads(packet)
    typed = {
        "NONCE": nonce,
        "SESSION": told["session"],
        "PERSON": "bob",
        "PRINCIPAL": "rev:bob",
        "CODE": short_code(sha256_hex(packet.encode())),
        "LIMIT": told["limits"]["max_order_notional"],
        "DECISION": "GO",
        "REASON": "",
    }
    away.sh(blocks[2], **typed)
    handed = (
        *("cosign", "--document", str(away.folder / "cosign.json")),
        *("--file", str(away.folder / "cosign.json.sig"), "--person", "bob"),
    )
    assert "GO is recorded; session live" in here(field, *handed)
    decided = field.events("go.decided")[-1]
    assert json.loads(decided["cosign"])["typed_limit"] == told["limits"]["max_order_notional"]
    assert decided["counter"] is None
    assert "no packet signed by the operator" in here(field, *handed, code=4), "once only"


def test_no_go_and_abstain_from_another_machine_and_an_old_packet(
    field: Field, loop: Loop, tmp_path: Path
) -> None:
    loop.run(_after_trading(field))
    away = Away(tmp_path / "reviewer", field, "reviewer")
    first, second = new_nonce(), new_nonce()
    packet = asked(field, loop, first, away)
    operator_signs_elsewhere(field, tmp_path, packet, "operator 1")
    code = short_code(sha256_hex(packet.encode()))
    decide = ("cosign", "--packet", "go.json", "--code", code, "--key", str(away.key))
    assert code in away.peakctl("go", "show", "--packet", "go.json")
    _refusals(away, decide, first)
    said = (*decide, "--decision", "ABSTAIN", "--reason", "no briefing", "--nonce", first)
    away.peakctl(*said, "--document", "abstain.json")
    abstain = _handed(away, "abstain.json")
    assert "ABSTAIN is recorded; session checklist" in here(field, *abstain, code=1)
    old = packet
    packet = asked(field, loop, second, away)
    operator_signs_elsewhere(field, tmp_path, packet, "operator 2")
    here(field, *abstain, code=4)
    (away.folder / "old.json").write_text(old)
    stale = ("cosign", "--packet", "old.json", "--decision", "GO", "--code", code)
    stale = (*stale, "--limit", "50000", "--nonce", second, "--document", "stale.json")
    assert "another nonce than yours" in away.peakctl(*stale, code=4)
    code = short_code(sha256_hex(packet.encode()))
    no_go = ("cosign", "--packet", "go.json", "--decision", "NO-GO", "--reason", "too wide")
    no_go = (*no_go, "--code", code, "--nonce", second, "--document", "no.json")
    away.peakctl(*no_go, "--key", str(away.key))
    wrong = (*_handed(away, "no.json"), "--decision", "GO")
    assert "says NO-GO, not GO" in here(field, *wrong, code=2)
    assert "NO-GO is recorded; session no_go" in here(field, *_handed(away, "no.json"), code=1)


def _handed(away: Away, name: str) -> tuple[str, ...]:
    path = str(away.folder / name)
    return ("cosign", "--document", path, "--file", f"{path}.sig", "--person", "bob")


def _refusals(away: Away, decide: tuple[str, ...], nonce: str) -> None:
    """What the other machine already says no to."""
    for extra, code, words in (
        (("--decision", "GO", "--nonce", nonce, "--limit", "1"), 2, "--document"),
        (("--decision", "GO", "--limit", "1", "--document", "x"), 2, "nonce is missing"),
        (("--decision", "GO", "--nonce", nonce, "--document", "x"), 2, "--limit"),
    ):
        said = away.peakctl(*decide, *extra, code=code)
        assert words in said
        assert said.count("\n") == 1
    assert not (away.folder / "x").exists()


async def _after_trading(field: Field) -> None:
    view = await field.state()
    if view.session is not None and view.session.state.value == "live":
        await field.client.stop("next")
        await field.until_session("stopped")
        await field.reconcile()
        await field.seal()
    await field.to_checklist()
