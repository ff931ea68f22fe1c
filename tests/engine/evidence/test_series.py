"""A folder of packs is one history: each begins with the one before, none is missing or forked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.contracts import event as ev
from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.people import Role
from engine.evidence.bag import REVISION_SIGNED, TAGMANIFEST_NAME
from engine.evidence.pack import add_signature, finish
from engine.evidence.revision import (
    NAMESPACES,
    RevisionInputs,
    revision_name,
    verify_revision,
    write_revision,
)
from engine.evidence.series import SeriesReport, verify_series
from engine.signatures.allowed_signers import allowed_signers_line


def judged(world: Any) -> SeriesReport:
    return verify_series(world.root / "sessions", world.allowed_signers)


def errors(world: Any) -> str:
    return "\n".join(
        f"{one.folder}: {one.what}" for one in judged(world).breaks if one.level == "error"
    )


def revise(world: Any, pack: Path, nth: int = 1, **changes: Any) -> Path:
    """A revision of a pack, signed by both."""
    first = sha256_hex((pack / TAGMANIFEST_NAME).read_bytes())
    before = pack if nth == 1 else pack.with_name(revision_name(pack.name, nth - 1))
    inputs = RevisionInputs(
        session_id=world.inputs.session_id,
        number=nth,
        revises=sha256_hex((before / TAGMANIFEST_NAME).read_bytes()),
        pack_sha256=first,
        reason="a second look",
        asked_by="alice",
        at_us=world.inputs.started_us,
        operator="op:alice",
        reviewer="rev:bob",
        log=world.inputs.log,
        allowed_signers=world.inputs.allowed_signers,
        head=world.inputs.head,
        head_signature=world.inputs.head_signature,
        lessons=("look twice",),
    )
    inputs = msgspec.structs.replace(inputs, **changes)
    folder = pack.with_name(revision_name(pack.name, nth))
    written = write_revision(folder, inputs)
    for role, who in ((Role.OPERATOR, "op:alice"), (Role.REVIEWER, "rev:bob")):
        signature = world.keys.sign(who, NAMESPACES[role], written.tagmanifest_bytes)
        add_signature(folder, role, signature)
    return finish(folder, REVISION_SIGNED)


def test_packs_of_one_journal_are_one_history(world: Any) -> None:
    second = world.seal_again()
    report = judged(world)
    assert report.ok, report.breaks
    assert [one.kind for one in report.links] == ["pack", "pack"]
    assert report.links[1].folder == second.name
    assert report.links[0].events < report.links[1].events


def peakctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "peakctl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_pack_that_was_sealed_and_is_gone_is_named(world: Any) -> None:
    second = world.seal_again()
    signers = f"--allowed-signers={world.allowed_signers}"
    done = peakctl("verify", str(second.parent), signers)
    assert (done.returncode, "2 packs, one history" in done.stdout) == (0, True), done
    shutil.rmtree(second.with_name(f"{second.name}_first"))
    assert not judged(world).ok
    assert f"{second.name}_first: was sealed" in errors(world)
    done = peakctl("verify", str(second.parent), signers, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert not told["ok"]
    assert [one["kind"] for one in told["links"]] == ["pack"]


def test_a_pack_that_nobody_sealed_is_named(world: Any) -> None:
    first = world.seal()
    first.rename(first.with_name(f"{first.name}_first"))
    world.chain.add(ev.EngineStopped(reason="and on"))
    world.write_later()
    assert "does not say it was sealed" in errors(world)


def test_a_forked_journal_is_named(world: Any) -> None:
    """The later journal was written anew from before the end of the earlier one."""
    first = world.seal()
    digest = sha256_hex((first / TAGMANIFEST_NAME).read_bytes())
    moved = first.rename(first.with_name(f"{first.name}_first"))
    chain = world.chain
    del chain.lines[-2:], chain.records[-2:]
    chain.head = sha256_hex(chain.lines[-1])
    chain.add(ev.LessonsWritten(session_id=world.inputs.session_id, points=("another history",)))
    chain.add(
        ev.PackSealed(
            session_id=world.inputs.session_id, folder=moved.name, tagmanifest_sha256=digest
        )
    )
    world.write_later()
    assert "forked or replaced" in errors(world)


def test_a_copy_of_a_pack_under_another_name_is_named(world: Any) -> None:
    second = world.seal_again()
    shutil.copytree(second, second.with_name("20250101_000000_copy"))
    assert "one of them is a copy" in errors(world)


def test_a_broken_pack_is_named_with_its_file(world: Any) -> None:
    second = world.seal_again()
    path = second / "data/reports/lessons.md"
    path.chmod(0o644)
    path.write_text("no lesson")
    assert f"{second.name}: data/reports/lessons.md: was changed" in errors(world)
    assert sorted(one.ok for one in judged(world).links) == [False, True]


def test_a_leftover_and_a_stranger_are_no_faults_but_are_told(world: Any) -> None:
    pack = world.seal()
    pack.with_name(f"{pack.name}.interrupted-1").mkdir()
    pack.with_name("notes").mkdir()
    (pack.parent / "README.md").write_text("hi")
    report = judged(world)
    assert report.ok
    assert {one.folder for one in report.breaks} == {f"{pack.name}.interrupted-1", "notes"}
    (pack.parent / "link").symlink_to(pack)
    assert "link: is neither" in errors(world)


def test_a_folder_without_packs_is_no_history(tmp_path: Path) -> None:
    assert not verify_series(tmp_path, None).ok


@pytest.mark.parametrize("explained", [True, False])
def test_a_new_log_key_needs_a_change_of_the_roster(
    world: Any, story: Any, explained: bool
) -> None:
    key = world.keys.path("log:desk2")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", str(key)], check=True
    )
    public = key.with_name(f"{key.name}.pub").read_text().strip()
    line = allowed_signers_line("log:desk2", (Namespace.HEAD,), public)
    world.allowed_signers.write_text(world.allowed_signers.read_text() + line)
    world.around = msgspec.structs.replace(world.around, log="log:desk2")
    change = ev.PeopleChanged(
        person="log:desk2",
        what="added",
        before="",
        after="",
        reason="the old disk died",
        files_before={},
        files_after={"allowed_signers": line} if explained else {},
    )
    note = ev.NoteAdded(session_id=story.SESSION, text=f"the new log key is {line}")
    world.seal_again(change, note)
    assert judged(world).ok is explained
    assert explained or "no change of the roster" in errors(world)


# --- revisions ------------------------------------------------------------------------------------


def test_a_revision_names_what_it_follows_and_the_pack_stays(world: Any, story: Any) -> None:
    pack = world.seal()
    before = {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()}
    first, second = revise(world, pack), revise(world, pack, 2, incident="it was the clock")
    assert {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()} == before
    assert "1. look twice" in (first / "data/reports/lessons.md").read_text()
    assert "it was the clock" in (second / "data/reports/incidents.md").read_text()
    for one, followed in ((first, pack), (second, first)):
        assert verify_revision(one, world.allowed_signers).findings == ()
        done = story.StockTools.of(one).run(one, world.allowed_signers, followed)
        assert (done.returncode, done.stdout) == (0, "REVISION OK\n")
    report = judged(world)
    assert report.ok
    assert [one.kind for one in report.links] == ["pack", "revision", "revision"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"revises": "0" * 64, "pack_sha256": "0" * 64}, "does not follow"),
        ({"revises": "0" * 64}, "the first revision follows the pack"),
        ({"lessons": ()}, "changes nothing"),
        ({"reason": ""}, "gives no reason"),
        ({"number": 3}, "another number"),
        ({"reviewer": "op:alice"}, "is not a good signature"),
        ({"session_id": "an0thersessi"}, "names another session_id than the pack"),
        ({"operator": "rev:bob", "reviewer": "op:alice"}, "names another operator than the pack"),
        ({"head": b"peakctl/desk\n1\n" + b"0" * 64 + b"\n"}, "or an earlier one"),
        ({"head": b"peakctl/other\n99\n" + b"0" * 64 + b"\n"}, "no head of the pack's own"),
    ],
)
def test_a_revision_that_is_signed_by_both_and_still_means_nothing(
    world: Any, story: Any, changes: dict[str, Any], what: str
) -> None:
    pack = world.seal()
    made = revise(world, pack, **changes)
    found = verify_revision(made, world.allowed_signers)
    assert any(what in one.what for one in found.errors), found.errors
    assert not judged(world).ok
    if not changes.keys() & {"lessons", "reason"}:  # what it means is for people to judge
        done = story.StockTools.of(made).run(made, world.allowed_signers, pack)
        assert (done.returncode, "REVISION OK" in done.stdout) == (1, False)


def test_a_revision_with_a_file_that_never_ends_or_has_no_place(world: Any, story: Any) -> None:
    pack = world.seal()
    made = revise(world, pack)
    tools = story.StockTools.of(made)
    lessons, manifest = made / "data/reports/lessons.md", made / "manifest-sha256.txt"
    for path in (lessons, manifest, pack / TAGMANIFEST_NAME):
        path.chmod(0o644)
        size = path.stat().st_size
        os.truncate(path, 1 << 43)
        assert not verify_revision(made, world.allowed_signers).ok
        assert tools.run(made, world.allowed_signers, pack).returncode == 1
        os.truncate(path, size)
    (made / "data/more.txt").write_text("and more")
    assert not verify_revision(made, world.allowed_signers).ok
    assert tools.run(made, world.allowed_signers, pack).returncode == 1


def test_words_of_a_revision_begin_no_heading(world: Any) -> None:
    pack = world.seal()
    said = {"incident": "# Incidents: none", "lessons": ("# all well", "--- | \\<b>")}
    made = revise(world, pack, **said)
    for name in ("incidents.md", "lessons.md"):
        text = (made / "data/reports" / name).read_text()
        assert "\\# " in text
        assert not re.search(r"(?m)^(- |1\. )#", text)
    assert "\\\\\\<b>" in text


def test_a_revision_of_another_pack_is_not_ours(world: Any) -> None:
    second = world.seal_again()
    first = second.with_name(f"{second.name}_first")
    revise(world, first).rename(second.with_name(f"{second.name}.r1"))
    assert "does not follow" in errors(world)


def test_a_changed_revision_and_one_that_lost_its_pack(world: Any, story: Any) -> None:
    pack = world.seal()
    made = revise(world, pack)
    path = made / "data/reports/lessons.md"
    path.chmod(0o644)
    good = path.read_bytes()
    path.write_bytes(good + b"and more\n")
    assert not verify_revision(made, world.allowed_signers).ok
    done = story.StockTools.of(made).run(made, world.allowed_signers, pack)
    assert done.returncode == 1
    path.write_bytes(good)
    assert verify_revision(made, world.allowed_signers).ok
    pack.rename(pack.with_name("elsewhere"))
    assert not verify_revision(made, world.allowed_signers).ok


def test_a_revision_that_the_journal_names_and_that_is_gone(world: Any) -> None:
    revised = ev.PackRevised(
        session_id=world.inputs.session_id,
        number=1,
        folder="gone.r1",
        revises="0" * 64,
        tagmanifest_sha256="1" * 64,
    )
    world.seal_again(revised)
    assert "gone.r1: was sealed as a revision and is missing" in errors(world)
