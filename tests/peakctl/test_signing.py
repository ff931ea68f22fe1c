"""Signing with the real ssh-keygen: files, agents, passphrases, and what goes wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.contracts.documents import Namespace
from engine.contracts.errors import PeakError, WorkspaceError
from engine.signatures.check import Checker
from peakctl.signing import Signer, signals
from peakctl.workspace import Workspace

MESSAGE = b'{"type":"test"}\n'


def locked_key(folder: Path) -> Path:
    key = folder / "locked"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "long enough", "-f", str(key)], check=True
    )
    return key


def test_a_signature_holds_for_its_namespace_and_no_other(demo: Workspace) -> None:
    signature = Signer(demo.key_of("operator")).sign(MESSAGE, Namespace.GO)
    checker = Checker(demo.allowed_signers, None)
    assert checker.check("op:alice", Namespace.GO, MESSAGE, signature).ok
    assert not checker.check("op:alice", Namespace.PACK, MESSAGE, signature).ok
    assert not checker.check("rev:bob", Namespace.GO, MESSAGE, signature).ok
    assert not checker.check("op:alice", Namespace.GO, MESSAGE + b" ", signature).ok


def test_an_open_key_asks_nothing_and_a_locked_one_asks(demo: Workspace, tmp_path: Path) -> None:
    assert not Signer(demo.key_of("operator")).asks_on_terminal()
    assert Signer(locked_key(tmp_path)).asks_on_terminal()


@pytest.mark.usefixtures("agent")
def test_an_agent_signs_for_a_public_file_alone(demo: Workspace, tmp_path: Path) -> None:
    key = demo.key_of("operator")
    subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)
    public = tmp_path / "only.pub"
    public.write_text(key.with_suffix(".pub").read_text())
    signer = Signer(public)
    assert not signer.asks_on_terminal()
    signature = signer.sign(MESSAGE, Namespace.GO)
    assert (
        Checker(demo.allowed_signers, None).check("op:alice", Namespace.GO, MESSAGE, signature).ok
    )


def test_a_locked_key_without_a_terminal_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    key = locked_key(tmp_path)
    with pytest.raises(PeakError, match="ssh-keygen made no signature") as caught:
        Signer(key).sign(MESSAGE, Namespace.GO)
    assert caught.value.exit_code == 1
    assert "\n" not in caught.value.line()


def test_a_missing_key_and_a_missing_ssh_keygen_are_named(
    demo: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WorkspaceError, match="no such key"):
        Signer(tmp_path / "nobody").sign(MESSAGE, Namespace.GO)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkspaceError, match="ssh-keygen was not found"):
        Signer(demo.key_of("operator")).sign(MESSAGE, Namespace.GO)


def test_signals_are_texts_and_unset_is_empty() -> None:
    seen = signals()
    assert set(seen) == {"uid", "loginuid", "audit_session", "tty", "ssh_peer", "agent"}
    assert "4294967295" not in seen.values()


@pytest.mark.parametrize(
    ("agent", "ssh", "said"),
    [("", "", "none"), ("", "x", "none"), ("/s", "", "local"), ("/s", "192.0.2.1 1", "forwarded")],
)
def test_an_agent_in_a_login_over_ssh_counts_as_forwarded(
    monkeypatch: pytest.MonkeyPatch, agent: str, ssh: str, said: str
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    monkeypatch.setenv("SSH_CONNECTION", ssh)
    assert signals()["agent"] == said
