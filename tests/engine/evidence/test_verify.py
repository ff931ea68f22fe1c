"""Judging: a good pack, one changed byte anywhere, and everything a hostile folder can be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.people import Role
from engine.evidence.bag import TAGMANIFEST_NAME
from engine.evidence.pack import ApprovalFiles, add_signature, finish, write_pack
from engine.evidence.verify import verify_pack

#: The files of a pack are dealt out to so many tests, so that workers share them.
SHARES = 2


@pytest.fixture(scope="module")
def sealed(story: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    world = story.make_world(tmp_path_factory.mktemp("sealed"))
    return world, world.seal()


@pytest.fixture
def copy(sealed: tuple[Any, Path], tmp_path: Path) -> tuple[Any, Path]:
    world, pack = sealed
    return world, Path(shutil.copytree(pack, tmp_path / pack.name, symlinks=True))


def test_a_sealed_pack_is_good_for_us_and_for_stock_tools(
    story: Any, sealed: tuple[Any, Path]
) -> None:
    world, pack = sealed
    report = verify_pack(pack, world.allowed_signers)
    assert report.findings == ()
    assert report.ok
    assert report.session_id == story.SESSION
    assert len(report.checks) == 9
    done = story.StockTools.of(pack).run(pack, world.allowed_signers)
    assert (done.returncode, done.stdout, done.stderr) == (0, "PACK OK\n", "")


def test_verify_md_says_truly_how_to_cut_its_script_out(
    sealed: tuple[Any, Path], tmp_path: Path
) -> None:
    world, pack = sealed
    command = next(
        line.strip()
        for line in (pack / "data/VERIFY.md").read_text().splitlines()
        if line.strip().startswith("python3 -I -c")
    )
    subprocess.run(["bash", "-c", command.replace("PACK", str(pack))], cwd=tmp_path, check=True)
    done = subprocess.run(
        ["bash", "verify.sh", str(pack), str(world.allowed_signers)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "PACK OK\n"


def test_without_outside_signers_both_say_on_what_identity_rests(
    story: Any,
    sealed: tuple[Any, Path],
) -> None:
    _, pack = sealed
    report = verify_pack(pack, None)
    assert report.ok
    assert [(one.file, one.level) for one in report.findings] == [
        ("data/go/allowed_signers", "note")
    ]
    done = story.StockTools.of(pack).run(pack)
    assert done.returncode == 0
    assert done.stdout.startswith("NOTE ")


@pytest.mark.parametrize("share", range(SHARES))
def test_one_changed_byte_in_any_file_is_a_no_that_names_it(
    story: Any, copy: tuple[Any, Path], share: int
) -> None:
    world, pack = copy
    tools = story.StockTools.of(pack)
    names = [str(path.relative_to(pack)) for path in sorted(pack.rglob("*")) if path.is_file()]
    assert len(names) > 25
    for number, name in enumerate(names[share::SHARES]):
        path = pack / name
        path.chmod(0o644)
        good = path.read_bytes()
        at = (len(good) // 2, len(good) - 1)[number % 2]
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x01]) + good[at + 1 :])
        report = verify_pack(pack, world.allowed_signers)
        assert not report.ok, (name, at)
        assert name in {one.file for one in report.errors}, (name, at, report.errors)
        # The stock tools read the lists the same way for every file in them: a third is asked.
        if number % 3 == 0 or name.endswith((".sig", ".txt")):
            done = tools.run(pack, world.allowed_signers)
            assert done.returncode == 1, (name, at)
            assert name in done.stdout + done.stderr, (name, at, done)
            assert "PACK OK" not in done.stdout
        path.write_bytes(good)
    assert verify_pack(pack, world.allowed_signers).ok


@pytest.mark.parametrize(
    "name",
    ["tagmanifest-sha256.txt.op.sig", "tagmanifest-sha256.txt.rev.sig", "data/go/go.json.sig"],
)
def test_every_byte_of_a_signature_counts_for_both(
    story: Any, copy: tuple[Any, Path], name: str
) -> None:
    world, pack = copy
    tools = story.StockTools.of(pack)
    path = pack / name
    path.chmod(0o644)
    good = path.read_bytes()
    spoilt = [good + b"\n", good + good, good.replace(b"\n", b"\r\n"), b"x" + good, b""]
    spoilt += [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(0, len(good), 97)]
    for number, bad in enumerate(spoilt):
        path.write_bytes(bad)
        assert name in {one.file for one in verify_pack(pack, world.allowed_signers).errors}
        if number < 5 or number % 2:
            done = tools.run(pack, world.allowed_signers)
            assert done.returncode == 1
            assert name in done.stdout


def _link(pack: Path) -> str:
    target = pack / "data/reports/lessons.md"
    target.unlink()
    target.symlink_to("/etc/hostname")
    return "data/reports/lessons.md"


def _linked_folder(pack: Path) -> str:
    real = pack / "data/market"
    real.rename(pack.parent / "market-elsewhere")
    real.symlink_to(pack.parent / "market-elsewhere")
    return "data/market"


def _fifo(pack: Path) -> str:
    os.mkfifo(pack / "data/fifo")
    return "data/fifo"


def _fifo_instead(pack: Path) -> str:
    (pack / "data/audit/log.jsonl").unlink()
    os.mkfifo(pack / "data/audit/log.jsonl")
    return "data/audit/log.jsonl"


def _empty_folder(pack: Path) -> str:
    (pack / "data/nothing").mkdir()
    return "data/nothing"


def _stray_payload(pack: Path) -> str:
    (pack / "data/extra.txt").write_text("hi")
    return "data/extra.txt"


def _stray_top(pack: Path) -> str:
    (pack / "hashlib.py").write_text("raise SystemExit(0)")
    return "hashlib.py"


def _missing(pack: Path) -> str:
    (pack / "data/reports/lessons.md").unlink()
    return "data/reports/lessons.md"


def _no_tagmanifest(pack: Path) -> str:
    (pack / TAGMANIFEST_NAME).unlink()
    return TAGMANIFEST_NAME


def _odd_name(pack: Path) -> str:
    (pack / "data/evil\n\x1b[2Jname").write_text("")
    return "evil"


def _append(pack: Path, line: str) -> str:
    path = pack / "manifest-sha256.txt"
    path.chmod(0o644)
    path.write_text(path.read_text() + line)
    return "manifest-sha256.txt"


def _traversal(pack: Path) -> str:
    return _append(pack, f"{'0' * 64}  data/../../secret\n")


def _absolute(pack: Path) -> str:
    return _append(pack, f"{'0' * 64}  /etc/passwd\n")


def _outside_data(pack: Path) -> str:
    return _append(pack, f"{sha256_hex((pack / 'bagit.txt').read_bytes())}  bagit.txt\n")


def _duplicate(pack: Path) -> str:
    return _append(pack, (pack / "manifest-sha256.txt").read_text().splitlines()[0] + "\n")


def _one_space(pack: Path) -> str:
    return _append(pack, f"{'0' * 64} data/VERIFY.md\n")


def _junk_line(pack: Path) -> str:
    return _append(pack, "# a comment\n")


def _empty_manifest(pack: Path) -> str:
    path = pack / "manifest-sha256.txt"
    path.chmod(0o644)
    path.write_text("")
    return "manifest-sha256.txt"


@pytest.mark.parametrize(
    "spoil",
    [
        _link,
        _linked_folder,
        _fifo,
        _fifo_instead,
        _empty_folder,
        _stray_payload,
        _stray_top,
        _missing,
        _no_tagmanifest,
        _odd_name,
        _traversal,
        _absolute,
        _outside_data,
        _duplicate,
        _one_space,
        _junk_line,
        _empty_manifest,
    ],
)
def test_a_hostile_folder_is_refused_by_both_naming_the_place(
    story: Any, copy: tuple[Any, Path], spoil: Callable[[Path], str]
) -> None:
    world, pack = copy
    tools = story.StockTools.of(pack)
    name = spoil(pack)
    report = verify_pack(pack, world.allowed_signers)
    assert not report.ok
    assert any(name in one.file for one in report.errors), report.errors
    assert all(one.file.isprintable() for one in report.errors)
    done = tools.run(pack, world.allowed_signers)
    assert done.returncode == 1
    assert name in done.stdout
    assert "\x1b" not in done.stdout


def test_what_is_no_pack_at_all_is_a_no(tmp_path: Path) -> None:
    assert not verify_pack(tmp_path / "absent", None).ok
    assert not verify_pack(tmp_path, None).ok
    (tmp_path / "file").write_text("")
    assert not verify_pack(tmp_path / "file", None).ok


def _resealed(world: Any, **changes: Any) -> tuple[Path, Any]:
    """A pack with other content, properly signed again by both: only meaning can tell."""
    world.inputs = msgspec.structs.replace(world.inputs, **changes)
    return world.seal(), world


def _both_say_no(pack: Path, world: Any, file: str) -> None:
    report = verify_pack(pack, world.allowed_signers)
    assert file in {one.file for one in report.errors}, report.errors
    done = world.tools(pack).run(pack, world.allowed_signers)
    assert done.returncode == 1
    assert file in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("field", "content", "file"),
    [
        ("config", b'{"environment":"prod"}\n', "data/config/effective.json"),
        ("checklist", b"another", "data/go/checklist.json"),
    ],
)
def test_signed_again_but_not_what_was_approved(
    world: Any, field: str, content: bytes, file: str
) -> None:
    pack, world = _resealed(world, **{field: content})
    _both_say_no(pack, world, file)


def test_an_approval_of_other_bytes_does_not_count(story: Any, world: Any) -> None:
    go = world.inputs.approval.go.replace(b'"hostname":"desk1"', b'"hostname":"desk2"')
    assert go != world.inputs.approval.go
    approval = ApprovalFiles(
        go=go,
        go_signature=world.keys.sign(story.OPERATOR, Namespace.GO, go),
        cosign=world.inputs.approval.cosign,
        cosign_signature=world.inputs.approval.cosign_signature,
    )
    pack, world = _resealed(world, approval=approval)
    _both_say_no(pack, world, "data/go/cosign.json")


def test_a_session_killed_before_anyone_approved_has_no_approval_to_check(
    story: Any, tmp_path: Path
) -> None:
    world = story.make_world(tmp_path / "early", approved=False)
    pack = world.seal()
    assert not (pack / "data/go/go.json").exists()
    assert verify_pack(pack, world.allowed_signers).findings == ()
    done = world.tools(pack).run(pack, world.allowed_signers)
    assert (done.returncode, done.stdout) == (0, "PACK OK\n")


def test_a_pack_that_hides_its_approval_is_a_no(world: Any) -> None:
    pack, world = _resealed(world, approval=None)
    _both_say_no(pack, world, "data/go/go.json")


def test_another_report_than_the_journal_has_is_a_no(story: Any, world: Any) -> None:
    recon = world.inputs.recon
    report = recon.report.replace(b"green", b"white")
    changed = msgspec.structs.replace(
        recon,
        report=report,
        operator_signature=world.keys.sign(story.OPERATOR, Namespace.RECON, report),
        reviewer_signature=world.keys.sign(story.REVIEWER, Namespace.RECON_REVIEW, report),
    )
    pack, world = _resealed(world, recon=changed)
    _both_say_no(pack, world, "data/reports/recon.json")


def test_a_recording_the_journal_names_differently_is_a_no(world: Any) -> None:
    (world.root / "market/trades-000001.parquet").write_bytes(b"other prices")
    world.inputs = msgspec.structs.replace(world.inputs, named={})  # or it would not be written
    pack, world = _resealed(world)
    _both_say_no(pack, world, "data/market/trades-000001.parquet")


def _finished(world: Any) -> Path:
    """Sealed with true signatures of the reports, and those of the lists as they are."""
    partial = world.folder.with_name(f"{world.folder.name}.partial")
    for document, role, signature in world.signatures(partial):
        if document != TAGMANIFEST_NAME:
            add_signature(world.folder, role, signature, document)
    return finish(world.folder)


def test_one_person_cannot_sign_for_both(story: Any, world: Any) -> None:
    """The operator's key over the reviewer's namespace: allowed_signers does not let it."""
    written = write_pack(world.folder, world.inputs)
    message = written.tagmanifest_bytes
    add_signature(
        world.folder, Role.OPERATOR, world.keys.sign(story.OPERATOR, Namespace.PACK, message)
    )
    add_signature(
        world.folder, Role.REVIEWER, world.keys.sign(story.OPERATOR, Namespace.PACK_REVIEW, message)
    )
    _both_say_no(_finished(world), world, "tagmanifest-sha256.txt.rev.sig")


def test_a_signature_for_another_purpose_does_not_count(story: Any, world: Any) -> None:
    written = write_pack(world.folder, world.inputs)
    message = written.tagmanifest_bytes
    add_signature(
        world.folder, Role.OPERATOR, world.keys.sign(story.OPERATOR, Namespace.GO, message)
    )
    add_signature(
        world.folder, Role.REVIEWER, world.keys.sign(story.REVIEWER, Namespace.PACK_REVIEW, message)
    )
    _both_say_no(_finished(world), world, "tagmanifest-sha256.txt.op.sig")


def test_a_revoked_key_is_a_no(story: Any, sealed: tuple[Any, Path], tmp_path: Path) -> None:
    world, pack = sealed
    revoked = tmp_path / "revoked_keys"
    revoked.write_text(world.keys.public[story.REVIEWER] + "\n")
    report = verify_pack(pack, world.allowed_signers, revoked)
    assert "tagmanifest-sha256.txt.rev.sig" in {one.file for one in report.errors}
    done = story.StockTools.of(pack).run(pack, world.allowed_signers, revoked)
    assert done.returncode == 1
    assert "tagmanifest-sha256.txt.rev.sig" in done.stdout


def test_strangers_with_their_own_signers_file_are_told_apart(
    story: Any, sealed: tuple[Any, Path], tmp_path: Path
) -> None:
    """A pack that agrees with itself says nothing about who made it: the desk's file does."""
    _, pack = sealed
    others = story.Keys(tmp_path / "keys")
    desk = tmp_path / "allowed_signers"
    desk.write_bytes(others.allowed_signers())
    assert verify_pack(pack, None).ok
    assert not verify_pack(pack, desk).ok
    assert story.StockTools.of(pack).run(pack, desk).returncode == 1


@pytest.mark.parametrize(
    "document",
    [
        b'{"people":5}',
        b"[1]",
        b'{"people":[' + b"9" * 5000 + b"]}",
        b"[" * 100_000,
        b'{"people":[],"people":[]}',
        b"\xff\xfe",
        b"",
        b'{"session":{},"prev_head":"x","operator":[],"reviewer":1,"go_sha256":{}}',
    ],
)
def test_documents_made_to_hurt_are_a_no_and_never_an_exception(
    world: Any, story: Any, document: bytes
) -> None:
    """Both signed it, so every hash and signature is right: only the content is poison."""
    approval = ApprovalFiles(
        go=document,
        go_signature=world.keys.sign(story.OPERATOR, Namespace.GO, document),
        cosign=document,
        cosign_signature=world.keys.sign(story.REVIEWER, Namespace.COSIGN, document),
    )
    pack, world = _resealed(world, approval=approval, roster=document)
    report = verify_pack(pack, world.allowed_signers)
    assert any(one.file.startswith("data/go/") for one in report.errors), report.errors
    assert world.tools(pack).run(pack, world.allowed_signers).returncode == 1
