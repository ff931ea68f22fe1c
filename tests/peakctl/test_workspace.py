"""Workspaces: founding, owning, and the socket's path."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import load
from engine.contracts.documents import Namespace
from engine.contracts.errors import PeakError, WorkspaceError
from engine.contracts.people import Role
from engine.contracts.session import Environment
from engine.governance.people import parse_roster
from engine.signatures.allowed_signers import parse_allowed_signers
from peakctl.founding import Identity, add_person, init
from peakctl.workspace import SOCKET_PATH_BYTES, Workspace, find


def test_a_new_workspace_is_closed_where_it_must_be(tmp_path: Path) -> None:
    workspace = init(tmp_path / "w", Environment.TESTNET)
    assert load(workspace.root, {}).settings.environment is Environment.TESTNET
    for folder in (workspace.journal, workspace.log, workspace.log_key.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(workspace.run.stat().st_mode) == 0o750
    assert stat.S_IMODE(workspace.log_key.stat().st_mode) == 0o600
    assert Workspace.open(workspace.root) == workspace


def test_the_demo_has_two_people_with_one_role_each_and_their_own_namespaces(
    demo: Workspace,
) -> None:
    roster = parse_roster(tomllib.loads(demo.people_file.read_text()), environment=Environment.DEV)
    assert {(person.id, person.role, person.demo) for person in roster.people} == {
        ("alice", Role.OPERATOR, True),
        ("bob", Role.REVIEWER, True),
    }
    signers = parse_allowed_signers(demo.allowed_signers.read_text())
    alice, bob = signers.by_principal("op:alice"), signers.by_principal("rev:bob")
    log = signers.by_principal("log:demo")
    assert alice is not None
    assert bob is not None
    assert log is not None
    assert not set(alice.namespaces) & set(bob.namespaces)
    assert Namespace.GO in alice.namespaces
    assert Namespace.COSIGN in bob.namespaces
    assert log.namespaces == (Namespace.HEAD,)
    assert len({alice.fingerprint, bob.fingerprint, log.fingerprint}) == 3


def test_demo_people_are_refused_outside_dev(demo: Workspace) -> None:
    document = tomllib.loads(demo.people_file.read_text())
    with pytest.raises(PeakError, match="demo person in prod"):
        parse_roster(document, environment=Environment.PROD)


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(WorkspaceError, match="not empty"):
        init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_is_no_workspace_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="not a workspace; make one with `peakctl init"):
        Workspace.open(tmp_path)
    with pytest.raises(WorkspaceError, match="not inside a workspace"):
        find(tmp_path)


def test_a_workspace_is_found_from_below(demo: Workspace) -> None:
    assert find(demo.root / "config") == demo.root


def test_a_workspace_of_another_user_is_refused_but_may_be_visited(
    demo: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = os.getuid() + 1
    monkeypatch.setattr("os.getuid", lambda: stranger)
    with pytest.raises(WorkspaceError, match=rf"belongs to uid \d+, you are uid {stranger}"):
        Workspace.open(demo.root)
    assert Workspace.visit(demo.root) == demo


def test_the_same_key_cannot_be_two_people(demo: Workspace) -> None:
    before = (demo.people_file.read_text(), demo.allowed_signers.read_text())
    line = demo.key_of("operator").with_suffix(".pub").read_text()
    twin = Identity(
        id="carol", name="Carol", role=Role.REVIEWER, principal="rev:carol", public_line=line
    )
    with pytest.raises(PeakError, match="same fingerprint as alice"):
        add_person(demo, twin)
    assert (demo.people_file.read_text(), demo.allowed_signers.read_text()) == before


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder with a short path, whatever the test's own folder is called."""
    with tempfile.TemporaryDirectory(prefix="pk", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def test_a_socket_path_that_fits_stays_in_the_workspace(demo: Workspace) -> None:
    assert demo.socket == demo.run / "engine.sock"


def test_a_socket_path_that_is_too_long_moves_to_the_runtime_folder(
    tmp_path: Path, runtime: Path
) -> None:
    workspace = Workspace(tmp_path / ("x" * 120))
    other = Workspace(tmp_path / ("y" * 120))
    path = workspace.socket
    assert path.is_relative_to(runtime)
    assert len(os.fsencode(path)) <= SOCKET_PATH_BYTES
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path == workspace.socket != other.socket
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def test_a_runtime_folder_that_others_may_enter_is_refused(tmp_path: Path, runtime: Path) -> None:
    workspace = Workspace(tmp_path / ("x" * 120))
    workspace.socket.parent.chmod(0o755)
    with pytest.raises(WorkspaceError, match="mode 0755"):
        _ = workspace.socket
    (folder,) = (runtime / "peakctl").iterdir()
    folder.chmod(0o700)
    (runtime / "peakctl").chmod(0o777)
    with pytest.raises(WorkspaceError, match="mode 0777"):
        _ = workspace.socket


def test_the_fallback_without_a_runtime_folder_says_nothing_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with tempfile.TemporaryDirectory(prefix="pk") as short:
        monkeypatch.setattr("tempfile.tempdir", short)
        path = Workspace(tmp_path / ("x" * 120)).socket
    assert len(os.fsencode(path)) <= SOCKET_PATH_BYTES
