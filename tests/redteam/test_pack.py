"""Attacks on a sealed pack: two verifiers look, ours and the stock tools; both must say no.

The stock script is the one that an auditor has from a copy of VERIFY.md that they trust, so it is
cut out of the pack before the attack. Where only one of the two can know, the test says why.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.errors import AnswerNo
from engine.evidence import bag_check
from engine.evidence.bag import (
    INFO_NAME,
    MANIFEST_NAME,
    OPERATOR_SIGNATURE_NAME,
    REVIEWER_SIGNATURE_NAME,
    TAGMANIFEST_NAME,
    signature_name,
)
from engine.evidence.verify import verify_pack
from peakctl.commands.evidence import verify
from peakctl.founding import init
from tests.engine.evidence import conftest as evidence
from tests.redteam.conftest import keygen_key, keygen_sign

Sealed = tuple[evidence.World, Path]
ROOT = Path(__file__).parents[2]


class Copy:
    """A copy of a sealed pack, with the auditor's own script and list of signers."""

    def __init__(self, sealed: Sealed, folder: Path) -> None:
        self.world, original = sealed
        self.path = Path(shutil.copytree(original, folder / original.name, symlinks=True))
        self._script = evidence.StockTools.of(original)
        for one in (self.path, *self.path.rglob("*")):
            one.chmod(0o755 if one.is_dir() else 0o644)

    def both_say_no(self, *names: str) -> tuple[str, str]:
        """Neither verifier accepts it, and ours names one of the files. What each of them said."""
        report = verify_pack(self.path, self.world.allowed_signers)
        assert not report.ok
        said = "\n".join(f"{one.file} {one.what}" for one in report.errors)
        assert not names or any(name in said for name in names), said
        assert said.replace("\n", "").isprintable()
        done = self._script.run(self.path, self.world.allowed_signers)
        assert done.returncode != 0
        assert "PACK OK" not in done.stdout
        assert "Traceback" not in done.stderr
        return said, done.stdout

    def file(self, name: str) -> Path:
        """One file of the pack."""
        return self.path / name

    def relist(self) -> None:
        """Make the manifests true again, as somebody without the people's keys can."""
        hashes = {
            str(one.relative_to(self.path)): sha256_hex(one.read_bytes())
            for one in sorted((self.path / "data").rglob("*"))
            if one.is_file()
        }
        manifest = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
        self.file(MANIFEST_NAME).write_text(manifest)
        size = sum((self.path / name).stat().st_size for name in hashes)
        info = self.file(INFO_NAME)
        oxum = f"Payload-Oxum: {size}.{len(hashes)}"
        info.write_text(re.sub(r"(?m)^Payload-Oxum: .*$", oxum, info.read_text()))
        tags = ("bag-info.txt", "bagit.txt", MANIFEST_NAME)
        self.file(TAGMANIFEST_NAME).write_text(
            "".join(f"{sha256_hex(self.file(name).read_bytes())}  {name}\n" for name in tags)
        )

    def resign(self, operator: str, reviewer: str) -> None:
        """Sign the tag manifest with these signatures."""
        self.file(OPERATOR_SIGNATURE_NAME).write_text(operator)
        self.file(REVIEWER_SIGNATURE_NAME).write_text(reviewer)

    def by_both(self) -> None:
        """Both people sign what now lies there: only its meaning can give it away."""
        for document, role, signature in self.world.signatures(self.path):
            self.file(signature_name(document, role)).write_text(signature)


@pytest.fixture
def pack(sealed: Sealed, tmp_path: Path) -> Copy:
    """A copy to attack."""
    return Copy(sealed, tmp_path)


def test_the_copies_are_good_before_they_are_attacked(pack: Copy) -> None:
    assert verify_pack(pack.path, pack.world.allowed_signers).ok
    pack.relist()
    pack.by_both()
    assert verify_pack(pack.path, pack.world.allowed_signers).ok


# --- names and kinds of files ---------------------------------------------------------------------


def test_a_hard_link_changes_the_pack_from_outside_later(pack: Copy, tmp_path: Path) -> None:
    """A second name outside is no fault in itself; what is written through it is found."""
    outside = tmp_path / "outside"
    os.link(pack.file("data/reports/lessons.md"), outside)
    outside.write_bytes(outside.read_bytes() + b"and one lesson more\n")
    pack.both_say_no("data/reports/lessons.md")


def test_a_file_name_that_is_not_text(pack: Copy) -> None:
    (Path(os.fsdecode(bytes(pack.path))) / os.fsdecode(b"data/\xff\xfe.txt")).write_bytes(b"x")
    pack.both_say_no("data/")


@pytest.mark.parametrize(
    "name",
    [
        "data/x" * 60,
        "data/" + "n" * 250,
        "data/.hidden",
        "data/a b",
        "data/a\nb",
        "data/a\\b",
        "data/\u202egnp.txt",
        "data/\x1b]0;t\x07",
        "data/-rf",
        "data/REPORTS/lessons.md",
        "data/reports/LESSONS.md",
        "..data",
        "manifest-md5.txt",
        "fetch.txt",
        "tagmanifest-md5.txt",
        "verify.sh",
        "json.py",
        "data/__init__.py",
    ],
    ids=ascii,
)
def test_a_file_with_a_name_that_has_no_place(pack: Copy, name: str) -> None:
    path = pack.file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    pack.both_say_no()


def test_names_that_have_no_place_are_listed_properly_too(pack: Copy) -> None:
    """A list that names them, signed by both, does not make them legal."""
    for name in ("data/.hidden", "data/reports/LESSONS.md", "data/a b"):
        path = pack.file(name)
        path.write_bytes(b"x")
        pack.relist()
        pack.by_both()
        pack.both_say_no()
        path.unlink()


def test_a_pack_inside_a_pack(pack: Copy, other: Sealed) -> None:
    shutil.copytree(other[1], pack.file("data/inner"))
    pack.both_say_no("data/inner")


def test_folders_nested_deeper_than_any_of_ours(pack: Copy) -> None:
    path = pack.file("data/" + "/".join("d" * 40))
    path.mkdir(parents=True)
    (path / "x").write_bytes(b"x")
    pack.both_say_no("data/d")


def test_a_file_is_emptied(pack: Copy) -> None:
    for name in ("data/audit/log.jsonl", "data/reports/recon.json", "data/go/cosign.json"):
        before = pack.file(name).read_bytes()
        pack.file(name).write_bytes(b"")
        pack.both_say_no(name)
        pack.file(name).write_bytes(before)


def test_two_files_are_exchanged(pack: Copy) -> None:
    go, cosign = pack.file("data/go/go.json"), pack.file("data/go/cosign.json")
    first, second = go.read_bytes(), cosign.read_bytes()
    go.write_bytes(second)
    cosign.write_bytes(first)
    pack.both_say_no("data/go/go.json")


# --- the lists ------------------------------------------------------------------------------------

LISTS: dict[str, Callable[[str], str]] = {
    "a star for binary": lambda text: text.replace("  ", " *"),
    "capital digits": lambda text: text[:64].upper() + text[64:],
    "windows line ends": lambda text: text.replace("\n", "\r\n"),
    "a backslash escape": lambda text: "\\" + text,
    "a path that climbs": lambda text: text + f"{'0' * 64}  data/../../x\n",
    "a path that climbs to where it began": lambda text: text.replace(
        "  data/go/go.json\n", "  data/go/../go/go.json\n"
    ),
    "a dot in a path": lambda text: text.replace("  data/go/go.json\n", "  ./data/go/go.json\n"),
    "a doubled slash": lambda text: text.replace("  data/go/go.json\n", "  data//go/go.json\n"),
    "an absolute path": lambda text: text + f"{'0' * 64}  /etc/hostname\n",
    "the same file in capitals": lambda text: text + text.splitlines()[0].upper() + "\n",
    "no hash": lambda text: text + "data/x\n",
    "md5": lambda text: text + "d41d8cd98f00b204e9800998ecf8427e  data/x\n",
    "a line less": lambda text: text.partition("\n")[2],
    "empty": lambda _: "",
    "no last line end": lambda text: text.rstrip("\n"),
    "a byte order mark": lambda text: "\ufeff" + text,
    "a zero byte": lambda text: text + "\0",
}


@pytest.mark.parametrize("how", LISTS)
def test_a_list_that_tools_read_differently(pack: Copy, how: str) -> None:
    """Signed by both, so that only its form can give it away."""
    path = pack.file(MANIFEST_NAME)
    path.write_bytes(LISTS[how](path.read_text()).encode())
    tags = pack.file(TAGMANIFEST_NAME)
    tags.write_text(
        re.sub(
            rf"(?m)^[0-9a-f]+(?=  {MANIFEST_NAME}$)",
            sha256_hex(path.read_bytes()),
            tags.read_text(),
        )
    )
    pack.by_both()
    pack.both_say_no(MANIFEST_NAME, "data/")


def test_the_list_of_lists_leaves_the_list_out(pack: Copy) -> None:
    """Then the signatures cover nothing of the payload."""
    path = pack.file(TAGMANIFEST_NAME)
    kept = [row for row in path.read_text().splitlines() if not row.endswith(MANIFEST_NAME)]
    path.write_text("\n".join(kept) + "\n")
    pack.by_both()
    pack.both_say_no(TAGMANIFEST_NAME)


def test_lists_of_md5_in_the_place_of_sha256(pack: Copy) -> None:
    pack.file(MANIFEST_NAME).rename(pack.file("manifest-md5.txt"))
    pack.file(TAGMANIFEST_NAME).rename(pack.file("tagmanifest-md5.txt"))
    pack.both_say_no(MANIFEST_NAME)


def test_bag_info_tells_of_another_session_or_size(pack: Copy) -> None:
    """bag-info.txt is for people; ours compares it, the stock script rests on the signatures."""
    info = pack.file(INFO_NAME)
    before = info.read_text()
    for changed in (
        re.sub("External-Identifier: .*", "External-Identifier: an0ther", before),
        re.sub("Payload-Oxum: .*", "Payload-Oxum: 1.1", before),
        before + "Payload-Oxum: 1.1\n",
    ):
        info.write_text(changed)
        pack.both_say_no(INFO_NAME)


# --- who signed -----------------------------------------------------------------------------------


def _changed(pack: Copy) -> bytes:
    """A lesson nobody wrote, with all lists made true again."""
    path = pack.file("data/reports/lessons.md")
    path.write_text(path.read_text() + "- all went well\n")
    pack.relist()
    return pack.file(TAGMANIFEST_NAME).read_bytes()


def test_the_lists_are_true_but_the_signatures_are_of_before(pack: Copy) -> None:
    _changed(pack)
    pack.both_say_no(TAGMANIFEST_NAME)


def test_the_changed_pack_is_signed_by_the_operator_alone(pack: Copy) -> None:
    keys = pack.world.keys
    reviewers = pack.file(REVIEWER_SIGNATURE_NAME).read_text()
    message = _changed(pack)
    pack.resign(keys.sign(evidence.OPERATOR, Namespace.PACK, message), reviewers)
    pack.both_say_no(REVIEWER_SIGNATURE_NAME)


def test_the_changed_pack_is_signed_by_one_person_for_both(pack: Copy) -> None:
    keys = pack.world.keys
    message = _changed(pack)
    mine = keys.sign(evidence.OPERATOR, Namespace.PACK, message)
    pack.resign(mine, keys.sign(evidence.OPERATOR, Namespace.PACK_REVIEW, message))
    pack.both_say_no(REVIEWER_SIGNATURE_NAME)
    pack.resign(mine, mine)
    pack.both_say_no(REVIEWER_SIGNATURE_NAME)


def test_the_changed_pack_is_signed_by_a_third_person(pack: Copy, tmp_path: Path) -> None:
    key = keygen_key(tmp_path / "mallory")
    message = _changed(pack)
    pack.resign(
        keygen_sign(key, message, Namespace.PACK), keygen_sign(key, message, Namespace.PACK_REVIEW)
    )
    pack.both_say_no(OPERATOR_SIGNATURE_NAME)


def test_the_third_person_is_in_the_packs_own_list_of_signers(pack: Copy, tmp_path: Path) -> None:
    """Everything inside agrees; the desk's list, from outside, does not."""
    keys = pack.world.keys
    fresh = {name: keygen_key(tmp_path / name.partition(":")[2]) for name in keys.public}
    inner = pack.file("data/go/allowed_signers")
    text = inner.read_text()
    for name, line in keys.public.items():
        public = fresh[name].with_suffix(".pub").read_text().split()[1]
        text = text.replace(line.split()[1], public)
    inner.write_text(text)
    message = _changed(pack)
    pack.resign(
        keygen_sign(fresh[evidence.OPERATOR], message, Namespace.PACK),
        keygen_sign(fresh[evidence.REVIEWER], message, Namespace.PACK_REVIEW),
    )
    pack.both_say_no(OPERATOR_SIGNATURE_NAME)


def test_the_list_around_the_pack_is_told_and_what_is_revoked_there_counts(
    pack: Copy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who hands over a whole folder hands over who may sign, too."""
    theirs = init(tmp_path / "theirs", log_principal=evidence.LOG)
    shutil.copyfile(pack.world.allowed_signers, theirs.allowed_signers)
    moved = pack.path.rename(theirs.sessions / pack.path.name)
    for inside in (False, True):
        monkeypatch.chdir(theirs.root if inside else tmp_path)
        assert verify(moved) == 0
        assert ("lies around the pack" in capsys.readouterr().out) is not inside
    revoked = theirs.root / "config/revoked_keys"
    revoked.unlink(missing_ok=True)
    for put in (
        lambda: revoked.write_text(f"{pack.world.keys.public[evidence.OPERATOR]}\n"),
        lambda: os.mkfifo(revoked),
    ):
        put()
        with pytest.raises(AnswerNo):
            verify(moved)
        revoked.unlink()


def test_the_signatures_are_exchanged(pack: Copy) -> None:
    operators = pack.file(OPERATOR_SIGNATURE_NAME).read_text()
    pack.resign(pack.file(REVIEWER_SIGNATURE_NAME).read_text(), operators)
    pack.both_say_no(OPERATOR_SIGNATURE_NAME)


def test_the_signatures_of_another_pack(pack: Copy, other: Sealed) -> None:
    for name in (OPERATOR_SIGNATURE_NAME, REVIEWER_SIGNATURE_NAME):
        pack.file(name).write_bytes((other[1] / name).read_bytes())
    pack.both_say_no(OPERATOR_SIGNATURE_NAME)


def test_a_signature_has_another_form(pack: Copy) -> None:
    """OpenSSH accepts these; a signature with two forms is two files with one meaning."""
    path = pack.file(OPERATOR_SIGNATURE_NAME)
    good = path.read_text()
    lines = good.splitlines()
    blob = base64.b64decode("".join(lines[1:-1]))
    for bad in (good + "junk\n", good + good, good.replace("U1NI", "U1 NI"), good[:-1]):
        path.write_text(bad)
        pack.both_say_no(OPERATOR_SIGNATURE_NAME)
    text = base64.b64encode(blob[:6] + bytes(4) + blob[10:]).decode()
    rows = [text[at : at + 70] for at in range(0, len(text), 70)]
    path.write_text("\n".join([lines[0], *rows, lines[-1]]) + "\n")
    pack.both_say_no(OPERATOR_SIGNATURE_NAME)


# --- parts of another session, signed again by both -----------------------------------------------

GROUPS: dict[str, tuple[str, ...]] = {
    "the approval": ("data/go/go.json", "data/go/cosign.json"),
    "the packet": ("data/go/go.json",),
    "the decision": ("data/go/cosign.json",),
    "the journal": ("data/audit/log.jsonl",),
    "journal and head": ("data/audit/log.jsonl", "data/audit/head.txt"),
    "the head": ("data/audit/head.txt",),
}


@pytest.mark.parametrize("group", GROUPS)
def test_a_part_of_another_session_of_the_same_people(
    pack: Copy, other: Sealed, group: str
) -> None:
    """Each part has true signatures; both people signed the whole; it still is not one session."""
    for name in GROUPS[group]:
        for one in (name, f"{name}.sig"):
            if (other[1] / one).exists():
                pack.file(one).write_bytes((other[1] / one).read_bytes())
    pack.relist()
    pack.by_both()
    pack.both_say_no("data/")


def _cut(lines: list[bytes]) -> list[bytes]:
    return lines[:-3]


def _edited(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b'"quantity":"0.02"', b'"quantity":"0.01"') for line in lines]


def _dropped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:8], *lines[9:]]


def _swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:8], lines[9], lines[8], *lines[10:]]


@pytest.mark.parametrize("how", [_cut, _edited, _dropped, _swapped])
def test_the_journal_is_changed_and_everything_else_made_true_again(
    pack: Copy, how: Callable[[list[bytes]], list[bytes]]
) -> None:
    """Even both people together cannot: the head is signed with the log key."""
    path = pack.file("data/audit/log.jsonl")
    before = path.read_bytes()
    path.write_bytes(b"".join(how(before.splitlines(keepends=True))))
    assert path.read_bytes() != before
    pack.relist()
    pack.by_both()
    pack.both_say_no("data/audit")


def test_a_journal_that_ends_before_its_head(pack: Copy) -> None:
    """A head of earlier, truly signed by the log key, over a journal that is longer."""
    lines = pack.file("data/audit/log.jsonl").read_bytes().splitlines(keepends=True)
    early = evidence.head_text(evidence.LOG, 5, sha256_hex(lines[4])).encode()
    pack.file("data/audit/head.txt").write_bytes(early)
    signature = pack.world.keys.sign(evidence.LOG, Namespace.HEAD, early)
    pack.file("data/audit/head.txt.sig").write_text(signature)
    pack.relist()
    pack.by_both()
    pack.both_say_no("data/audit/head.txt")


def test_the_reconciliation_is_another_than_the_journals(pack: Copy) -> None:
    path = pack.file("data/reports/recon.json")
    path.write_bytes(path.read_bytes().replace(b"rounding", b"nothing!"))
    keys, message = pack.world.keys, path.read_bytes()
    for end, who, namespace in (
        ("op", evidence.OPERATOR, Namespace.RECON),
        ("rev", evidence.REVIEWER, Namespace.RECON_REVIEW),
    ):
        pack.file(f"data/reports/recon.json.{end}.sig").write_text(
            keys.sign(who, namespace, message)
        )
    pack.relist()
    pack.by_both()
    pack.both_say_no("data/reports/recon.json")


def test_the_decision_was_no(pack: Copy) -> None:
    """The reviewer's own NO-GO in the place of the GO, with everything signed again."""
    path = pack.file("data/go/cosign.json")
    path.write_bytes(path.read_bytes().replace(b'"decision":"GO"', b'"decision":"NO-GO"'))
    signature = pack.world.keys.sign(evidence.REVIEWER, Namespace.COSIGN, path.read_bytes())
    pack.file("data/go/cosign.json.sig").write_text(signature)
    pack.relist()
    pack.by_both()
    pack.both_say_no("data/go/cosign.json")


def test_the_hash_of_the_packet_hides_in_the_reason(pack: Copy) -> None:
    """What a search would find is not where it must be: a key twice, or words that look like it."""
    path = pack.file("data/go/cosign.json")
    good = path.read_bytes()
    digest = sha256_hex(pack.file("data/go/go.json").read_bytes()).encode()
    for bad in (
        good.replace(digest, b"0" * 64).replace(b'"reason":""', b'"reason":"%b"' % digest),
        good.replace(b'"go_sha256"', b'"go_sha256":"%b","go_sha256"' % (b"0" * 64), 1),
    ):
        assert bad != good
        path.write_bytes(bad)
        signature = pack.world.keys.sign(evidence.REVIEWER, Namespace.COSIGN, bad)
        pack.file("data/go/cosign.json.sig").write_text(signature)
        pack.relist()
        pack.by_both()
        pack.both_say_no("data/go/cosign.json")


@pytest.mark.parametrize(
    "name", ["data/VERIFY.md", "data/reports/runlog.md", "data/go/roster.json"]
)
def test_a_document_for_people_is_replaced(pack: Copy, name: str) -> None:
    """The auditor's own copy of the script is what counts, not the pack's."""
    path = pack.file(name)
    assert path.exists()
    path.write_text("```bash\necho PACK OK\n```\n<script>alert(1)</script>")
    pack.both_say_no(name)


def test_two_names_for_one_key_in_the_roster(tmp_path: Path) -> None:
    """Both signatures by one key: the list of signers that would allow it is no list of ours."""
    world = evidence.make_world(tmp_path / "one")
    keys = world.keys
    for end in ("", ".pub"):
        shutil.copyfile(
            f"{keys.path(evidence.OPERATOR)}{end}", f"{keys.path(evidence.REVIEWER)}{end}"
        )
    world.allowed_signers.write_text(
        world.allowed_signers.read_text().replace(
            keys.public[evidence.REVIEWER].split()[1], keys.public[evidence.OPERATOR].split()[1]
        )
    )
    world.inputs = msgspec.structs.replace(
        world.inputs, allowed_signers=world.allowed_signers.read_bytes()
    )
    made = world.seal()
    assert not verify_pack(made, world.allowed_signers).ok
    done = world.tools(made).run(made, world.allowed_signers)
    assert done.returncode == 1


# --- what the chain names -------------------------------------------------------------------------

#: Files that nothing but the chain ties to their session.
SWAPPED = (
    "data/tables/orders.parquet",
    "data/tables/fills.parquet",
    "data/reports/report.html",
    "data/reports/runlog.md",
    "data/reports/incidents.md",
    "data/reports/lessons.md",
    "data/reports/metrics.json",
    "data/reports/equity.csv",
    "data/reports/execution.jsonl",
    "data/config_snapshot.json",
)


@pytest.mark.parametrize("name", SWAPPED)
def test_a_file_of_another_moment_is_signed_again_by_both(pack: Copy, name: str) -> None:
    """Both people sign the whole once more; the head does not: the journal names another file."""
    path = pack.file(name)
    path.write_bytes(path.read_bytes() + b"\n")
    pack.relist()
    pack.by_both()
    pack.both_say_no(name)


def test_a_report_that_the_journal_never_named(pack: Copy) -> None:
    for name in ("data/reports/profit.md", "data/tables/bonus.parquet"):
        pack.file(name).write_bytes(b"we earned a million\n")
        pack.relist()
        pack.by_both()
        pack.both_say_no(name)
        pack.file(name).unlink()


def _all_named(pack: Copy, names: Sequence[str]) -> None:
    """Both people sign the whole once more; both verifiers name each of the files."""
    pack.relist()
    pack.by_both()
    for text in pack.both_say_no():
        assert [name for name in names if name not in text] == [], text


def test_a_file_lies_where_nothing_of_ours_does(pack: Copy) -> None:
    names = ("data/extra/x.txt", "data/go/extra.json", "data/audit/log2.jsonl", "data/x.json")
    for name in names:
        pack.file(name).parent.mkdir(exist_ok=True)
        pack.file(name).write_bytes(b"x\n")
    _all_named(pack, names)


def test_a_file_that_the_journal_never_named_is_signed_by_both(pack: Copy) -> None:
    added = (
        "data/config/inputs/09_more.toml",
        "data/market/book-000009.parquet",
        "data/snapshots/000009.json",
    )
    changed = ("data/VERIFY.md", "data/go/allowed_signers", "data/go/checklist.json")
    pack.file("data/config/inputs").mkdir(exist_ok=True)
    for name in (*added, *changed):
        with pack.file(name).open("ab") as file:
            file.write(b"# and more\n")
    _all_named(pack, (*added, *changed))


def test_something_lies_among_the_acts_of_two_people(pack: Copy) -> None:
    name = "data/go/dual/release-9.json.op.sig"
    pack.file(name).parent.mkdir(exist_ok=True)
    shutil.copyfile(pack.file("data/go/go.json.sig"), pack.file(name))
    _all_named(pack, ("data/go/dual",))


def test_the_manifest_of_the_run_says_something_else(pack: Copy) -> None:
    path = pack.file("data/run_manifest.json")
    said = json.loads(path.read_bytes())
    others = {
        "approved": False,
        "config_sha256": "0" * 64,
        "journal_head": "0" * 64,
        "journal_size": said["journal_size"] - 1,
        "started_us": said["started_us"] + 1,
        "type": "peakctl-run-0",
    }
    path.write_bytes(canonical({**said, **others}) + b"\n")
    _all_named(pack, [f"else of {field}" for field in others])


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_a_document_in_a_coding_that_only_some_readers_guess(pack: Copy, coding: str) -> None:
    path = pack.file("data/run_manifest.json")
    path.write_bytes(path.read_text("ascii").encode(coding))
    _all_named(pack, ("data/run_manifest.json",))


def test_bag_info_and_bagit_say_something_else_over_both_signatures(pack: Copy) -> None:
    for name, old, new in (
        (INFO_NAME, "External-Identifier: ", "External-Identifier: x"),
        (INFO_NAME, "Payload-Oxum: ", "Payload-Oxum: 1"),
        (INFO_NAME, "Payload-Oxum: ", "Contact-Name: x\nPayload-Oxum: "),
        ("bagit.txt", "1.0", "0.97"),
    ):
        good = pack.file(name).read_text()
        pack.file(name).write_text(good.replace(old, new))
        tags = pack.file(TAGMANIFEST_NAME)
        digest = sha256_hex(pack.file(name).read_bytes())
        tags.write_text(re.sub(rf"(?m)^[0-9a-f]+(?=  {name}$)", digest, tags.read_text()))
        pack.resign(
            *(
                pack.world.keys.sign(who, space, tags.read_bytes())
                for who, space in (
                    (evidence.OPERATOR, Namespace.PACK),
                    (evidence.REVIEWER, Namespace.PACK_REVIEW),
                )
            )
        )
        pack.both_say_no(name, "data/run_manifest.json")
        pack.file(name).write_text(good)


def test_the_runlog_is_signed_by_one_person_or_by_nobody(pack: Copy) -> None:
    mine = pack.file("runlog.md.op.sig").read_text()
    for name, text in (
        ("runlog.md.rev.sig", mine),
        ("incidents.md.op.sig", mine),
        ("incidents.md.rev.sig", ""),
    ):
        good = pack.file(name).read_text()
        pack.file(name).write_text(text)
        pack.both_say_no(name)
        pack.file(name).unlink()
        pack.both_say_no(name)
        pack.file(name).write_text(good)


def test_no_incident_of_another_session_is_signed_for_this_one(pack: Copy) -> None:
    """Two sessions without incidents: the heading says whose silence was signed."""
    text = b"# Incidents of session an0thersessi\n\nnone\n"
    pack.file("data/reports/incidents.md").write_bytes(text)
    pack.relist()
    pack.by_both()
    pack.both_say_no("data/reports/incidents.md")


def _without_the_last(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _turned_round(lines: list[bytes]) -> list[bytes]:
    return lines[::-1]


def _not_on_the_chain(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"\\n2\\n", b"\\n3\\n"), *lines[1:]]


def _twice_a_key(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b'{"signature"', b'{"text":"x","signature"'), *lines[1:]]


@pytest.mark.parametrize(
    "how", [_without_the_last, _turned_round, _not_on_the_chain, _twice_a_key, lambda _: []]
)
def test_the_heads_are_not_those_of_the_session(
    pack: Copy, how: Callable[[list[bytes]], list[bytes]]
) -> None:
    path = pack.file("data/audit/heads.jsonl")
    path.write_bytes(b"".join(how(path.read_bytes().splitlines(keepends=True))))
    pack.relist()
    pack.by_both()
    pack.both_say_no("data/audit/heads.jsonl")


def test_a_head_in_the_list_is_signed_with_another_key(pack: Copy, tmp_path: Path) -> None:
    path = pack.file("data/audit/heads.jsonl")
    first, *rest = path.read_bytes().splitlines(keepends=True)
    text = json.loads(first)["text"]
    signature = keygen_sign(keygen_key(tmp_path / "mallory"), text.encode(), Namespace.HEAD)
    path.write_bytes(b"".join([canonical({"signature": signature, "text": text}) + b"\n", *rest]))
    pack.relist()
    pack.by_both()
    pack.both_say_no("data/audit/heads.jsonl")


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1.0"])
def test_a_number_that_readers_disagree_on_is_in_a_signed_document(
    pack: Copy, value: bytes
) -> None:
    path = pack.file("data/go/cosign.json")
    path.write_bytes(path.read_bytes().replace(b'{"', b'{"aaa":%b,"' % value, 1))
    signature = pack.world.keys.sign(evidence.REVIEWER, Namespace.COSIGN, path.read_bytes())
    pack.file("data/go/cosign.json.sig").write_text(signature)
    pack.relist()
    pack.by_both()
    pack.both_say_no("data/go/cosign.json")


# --- files that are no use to read ----------------------------------------------------------------


def test_a_file_of_eight_terabytes_keeps_nobody_waiting(pack: Copy) -> None:
    """A hole costs its maker nothing; whoever hashes it has a day's work, or no memory left."""
    for name in (
        "data/market/trades-000001.parquet",
        "data/audit/log.jsonl",
        INFO_NAME,
        MANIFEST_NAME,
        TAGMANIFEST_NAME,
    ):
        size = pack.file(name).stat().st_size
        os.truncate(pack.file(name), 1 << 43)
        pack.both_say_no(name)
        os.truncate(pack.file(name), size)


def test_the_lists_count_a_file_of_eight_terabytes(pack: Copy) -> None:
    """The counts agree with the folder, but nobody signed them: what they list is not read."""
    path = pack.file("data/market/trades-000001.parquet")
    before = path.stat().st_size
    os.truncate(path, 1 << 43)
    info = pack.file(INFO_NAME)
    count = int(info.read_text().rpartition(": ")[2].partition(".")[0]) - before + (1 << 43)
    info.write_text(re.sub(r"Oxum: [0-9]+", f"Oxum: {count}", info.read_text()))
    tags = pack.file(TAGMANIFEST_NAME)
    digest = sha256_hex(info.read_bytes())
    tags.write_text(re.sub(r"(?m)^[0-9a-f]+(?=  bag-info)", digest, tags.read_text()))
    said, stock = pack.both_say_no(TAGMANIFEST_NAME)
    assert "too large to be read" in said
    assert "was not read" in stock


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes devices")
def test_a_device_among_the_files(pack: Copy) -> None:
    path = pack.file("data/reports/lessons.md")
    path.unlink()
    os.mknod(path, 0o644 | stat.S_IFCHR, os.makedev(1, 5))
    pack.both_say_no("data/reports/lessons.md")


def test_a_socket_among_the_files(pack: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pack.file("data"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("here")
        pack.both_say_no("data/here")


def test_a_file_is_replaced_between_its_hash_and_its_reading(
    pack: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was hashed is not what was read: the pack was changed under the verifier's eyes."""
    path = pack.file("data/reports/recon.json")
    real = bag_check.tree.sha256_regular

    def hashed_then_replaced(folder: Path, name: str) -> str:
        digest = real(folder, name)
        if name == "data/reports/recon.json":
            beside = path.with_name("other")
            beside.write_bytes(path.read_bytes())
            beside.replace(path)
        return digest

    monkeypatch.setattr(bag_check.tree, "sha256_regular", hashed_then_replaced)
    report = verify_pack(pack.path, pack.world.allowed_signers)
    assert {(one.file, one.what) for one in report.errors} == {
        ("data/reports/recon.json", "was changed while it was being checked")
    }


def test_the_tag_list_reaches_out_of_the_folder(pack: Copy) -> None:
    """A name that begins like the pack's own: a check by prefix would let it through."""
    evil = pack.path.with_name(f"{pack.path.name}-evil")
    evil.mkdir()
    (evil / "x").write_bytes(b"x")
    path = pack.file(TAGMANIFEST_NAME)
    line = f"{sha256_hex(b'x')}  ../{evil.name}/x\n"
    path.write_text(path.read_text() + line)
    pack.by_both()
    pack.both_say_no(TAGMANIFEST_NAME)


# --- what must go on working ----------------------------------------------------------------------


def test_a_pack_that_was_moved_and_renamed_is_still_good(pack: Copy, tmp_path: Path) -> None:
    moved = tmp_path / "another name; with $(odd) things"
    pack.path.rename(moved)
    assert verify_pack(moved, pack.world.allowed_signers).ok
    done = pack._script.run(moved, pack.world.allowed_signers)
    assert (done.returncode, done.stdout) == (0, "PACK OK\n")


def test_the_stock_tools_of_the_ci_notice_a_changed_byte_by_themselves(pack: Copy) -> None:
    done = subprocess.run(
        [
            str(ROOT / ".ci/verify-with-stock-tools"),
            str(pack.path),
            str(pack.world.allowed_signers),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "no to a changed byte" in done.stdout
    pack.file("data/go/roster.json").write_bytes(canonical({"people": []}) + b"\n")
    again = subprocess.run(done.args, capture_output=True, check=False, timeout=60)
    assert again.returncode != 0
