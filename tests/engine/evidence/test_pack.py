"""Writing: determinism, atomic naming, and what a foreign BagIt validator says."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import bagit
import msgspec
import pytest

from engine.contracts.documents import Namespace
from engine.contracts.errors import InputError, IntegrityError, Refused, WorkspaceError
from engine.contracts.people import Role
from engine.evidence import gather as gathering
from engine.evidence.pack import add_signature, finish, folder_name, standing, write_pack

_SHARED = (
    "operator",
    "reviewer",
    "log",
    "allowed_signers",
    "roster",
    "config",
    "checklist",
    "journal_segments",
    "head",
    "head_signature",
    "run",
)


def _bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_writing_twice_gives_the_same_bytes(world: Any) -> None:
    first = write_pack(world.folder, world.inputs)
    before = _bytes_of(first.folder_tmp)
    again = write_pack(world.folder, world.inputs)
    assert again.tagmanifest_sha256 == first.tagmanifest_sha256
    assert _bytes_of(again.folder_tmp) == before
    assert hashlib.sha256(again.tagmanifest_bytes).hexdigest() == again.tagmanifest_sha256


def test_the_final_name_appears_only_with_both_signatures(world: Any) -> None:
    written = write_pack(world.folder, world.inputs)
    assert written.folder_tmp.name == f"{world.folder.name}.partial"
    with pytest.raises(WorkspaceError, match="signature is missing"):
        finish(world.folder)
    add_signature(world.folder, Role.OPERATOR, "x")
    with pytest.raises(WorkspaceError, match="reviewer's signature is missing"):
        finish(written.folder_tmp)
    assert not world.folder.exists()
    add_signature(written.folder_tmp, Role.REVIEWER, "y")
    with pytest.raises(WorkspaceError, match=r"runlog.md: the operator's signature is missing"):
        finish(written.folder_tmp)
    world.sign()
    assert finish(written.folder_tmp) == world.folder
    assert not written.folder_tmp.exists()
    assert finish(written.folder_tmp) == world.folder
    with pytest.raises(WorkspaceError, match="exists"):
        write_pack(world.folder, world.inputs)


def test_a_pack_stands_under_its_partial_name_until_it_is_finished(world: Any) -> None:
    written = write_pack(world.folder, world.inputs)
    assert standing(world.folder) == standing(written.folder_tmp) == written.folder_tmp
    world.sign()
    finish(world.folder)
    assert standing(world.folder) == standing(written.folder_tmp) == world.folder


def test_the_name_is_the_start_in_utc_and_the_session() -> None:
    assert folder_name(1_723_161_600_000_000, "abc") == "20240809_000000_abc"


def test_files_are_read_only(world: Any) -> None:
    pack = world.seal()
    for path in pack.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o444, path


def test_the_journal_is_whole_from_its_first_line_and_ends_at_the_head(world: Any) -> None:
    pack = world.seal()
    assert (pack / "data/audit/log.jsonl").read_bytes() == b"".join(world.chain.lines)


def test_bagit_py_calls_it_valid_and_coreutils_accept_both_manifests(world: Any) -> None:
    pack = world.seal()
    assert bagit.Bag(str(pack)).validate(processes=1)
    for name in ("tagmanifest-sha256.txt", "manifest-sha256.txt"):
        subprocess.run(["sha256sum", "--strict", "--quiet", "-c", name], cwd=pack, check=True)


def test_a_journal_that_does_not_reach_its_head_is_refused(world: Any) -> None:
    short = msgspec.structs.replace(
        world.inputs, journal_segments=world.inputs.journal_segments[:1]
    )
    with pytest.raises(IntegrityError, match="before its head"):
        write_pack(world.folder, short)
    path = world.inputs.journal_segments[1]
    path.write_bytes(path.read_bytes().replace(b'"fills":1', b'"fills":2'))
    with pytest.raises(IntegrityError, match="signed head"):
        write_pack(world.folder, world.inputs)


@pytest.mark.parametrize("name", ["../up", "a b", ".hidden", "/abs", "a//b", "ü", "a\nb"])
def test_names_that_have_no_place_are_refused(world: Any, name: str) -> None:
    odd = msgspec.structs.replace(world.inputs, config_inputs={name: b""})
    with pytest.raises(InputError, match="no place in a pack"):
        write_pack(world.folder, odd)
    assert not world.folder.with_name(f"{world.folder.name}.partial").exists()


def test_a_principal_that_could_leave_the_script_is_refused(world: Any) -> None:
    odd = msgspec.structs.replace(world.inputs, operator="op'; rm -rf x; '")
    with pytest.raises(InputError, match="principal"):
        write_pack(world.folder, odd)


def test_a_link_in_the_way_is_not_followed(world: Any, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("keep")
    world.folder.parent.mkdir()
    world.folder.with_name(f"{world.folder.name}.partial").symlink_to(elsewhere)
    with pytest.raises(WorkspaceError, match="no folder"):
        write_pack(world.folder, world.inputs)
    assert (elsewhere / "precious").read_text() == "keep"


def test_a_disk_that_fills_leaves_no_final_name(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    real = os.fsync

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkspaceError, match="No space left"):
        write_pack(world.folder, world.inputs)
    assert not world.folder.exists()
    monkeypatch.undo()
    assert world.seal() == world.folder


def test_a_recording_that_is_not_the_journals_is_told_before_anybody_signs(
    world: Any, tmp_path: Path
) -> None:
    path = tmp_path / "market/trades-000001.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match=r"trades-000001\.parquet"):
        write_pack(world.folder, world.inputs)
    path.unlink()
    for put in (os.mkfifo, lambda one: one.symlink_to("/etc/passwd")):
        put(path)
        with pytest.raises(WorkspaceError, match=r"trades-000001\.parquet"):
            write_pack(world.folder, world.inputs)
        path.unlink()


def test_a_recording_that_is_gone_is_named(world: Any, tmp_path: Path) -> None:
    recorded = (tmp_path / "market/trades-000001.parquet").read_bytes()
    shutil.rmtree(tmp_path / "market")
    around = gathering.Surroundings(
        **{name: getattr(world.inputs, name) for name in _SHARED},
        snapshot_folders=(tmp_path / "snapshots",),
    )
    with pytest.raises(IntegrityError, match=r"trades-000001\.parquet"):
        gathering.gather(world.chain.lines, world.inputs.session_id, around)
    unsigned = [line for line in world.chain.lines if b'"kind":"recon.signed"' not in line]
    around = msgspec.structs.replace(around, market_folders=(tmp_path,))
    (tmp_path / "trades-000001.parquet").write_bytes(recorded)
    with pytest.raises(Refused, match="not signed by both"):
        gathering.gather(unsigned, world.inputs.session_id, around)


def test_a_second_signature_replaces_the_first(world: Any) -> None:
    written = write_pack(world.folder, world.inputs)
    add_signature(world.folder, Role.OPERATOR, "first")
    signed = world.keys.sign("op:alice", Namespace.PACK, written.tagmanifest_bytes)
    path = add_signature(world.folder, Role.OPERATOR, signed)
    assert path.read_text() == signed
