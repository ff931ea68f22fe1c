"""I4 on the command line: two people, two signatures, one document and a reason; nothing less."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.people import Role
from engine.governance.wordlist import short_code
from peakctl.founding import create_demo
from peakctl.signing import Signer
from peakctl.supervisor import Supervisor
from peakctl.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]

NAMESPACES = {Role.OPERATOR: Namespace.RELEASE, Role.REVIEWER: Namespace.RELEASE_REVIEW}
SUFFIXES = {Role.OPERATOR: ".op.sig", Role.REVIEWER: ".rev.sig"}
REASON = "the book was read again & nothing rests; über \u202e"


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stderr.startswith("peakctl: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


class Desk:
    """A workspace with a real engine whose latch is set, and the commands of two people."""

    def __init__(self, folder: Path, cli: Run) -> None:
        self.place: Workspace = create_demo(folder / "w")
        self.folder = folder
        #: any command, outside of every workspace
        self.cli = cli

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.cli(*arguments, "-w", str(self.place.root))

    def kill(self) -> None:
        done = self.run("kill", "--reason", "a bad \u202e\x1b[2J feeling")
        assert done.returncode == 0, done.stderr

    def document(self, name: str) -> Path:
        file = self.folder / name
        done = self.run(
            *("latch", "document", "--reason", REASON, "--operator", "alice"),
            *("--reviewer", "bob", "--output", str(file)),
        )
        assert done.returncode == 0, done.stderr
        return file

    def key(self, role: Role) -> Path:
        return self.place.key_of(role.value)

    def sign(self, file: Path, role: Role) -> subprocess.CompletedProcess[str]:
        return self.run("latch", "sign", str(file), "--key", str(self.key(role)))

    def forge(self, file: Path, key: Role, namespace: Namespace, role: Role) -> None:
        """Any key's signature in any namespace, laid where the role's belongs."""
        signed = Signer(self.key(key)).sign(file.read_bytes(), namespace)
        file.with_name(f"{file.name}{SUFFIXES[role]}").write_text(signed)

    def forge_both(self, file: Path) -> None:
        for role in Role:
            self.forge(file, role, NAMESPACES[role], role)

    def ready_to_release(self) -> None:
        """Wait until what the release's checklist reads anew is there."""
        deadline = time.monotonic() + 30
        while True:
            state = json.loads(self.run("status", "--json").stdout)
            market = state["market"]
            if market and not market["stale"] and state["engine"]["watchdog"] == "watching":
                return
            assert time.monotonic() < deadline, state["engine"]
            time.sleep(0.1)

    def release(self, file: Path) -> subprocess.CompletedProcess[str]:
        return self.run("latch", "release", str(file), "--person", "alice")

    def is_set(self) -> bool:
        shown = json.loads(self.run("latch", "show", "--json").stdout)
        return bool(shown["state"] != "READY") and (self.place.state / "latch").exists()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, cli_in: Callable[[Path], Run]) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("latch")
    desk = Desk(folder, cli_in(folder))
    supervisor = Supervisor(desk.place)
    supervisor.ensure_engine()
    try:
        desk.kill()
        yield desk
    finally:
        supervisor.end_all("alice")


def change(file: Path, changes: Mapping[str, object]) -> Path:
    """A copy of a document with other values in it, in the form that the engine writes."""
    said = {**json.loads(file.read_bytes()), **changes}
    copy = file.with_name(f"changed-{file.name}")
    copy.write_bytes(canonical(said) + b"\n")
    return copy


def test_show_says_that_it_is_set_and_why(desk: Desk) -> None:
    shown = desk.run("latch", "show")
    assert shown.returncode == 0, shown.stderr
    assert "SET, PROVEN" in shown.stdout
    assert "a bad \\u202e\\x1b[2J feeling" in shown.stdout


def test_sign_shows_what_is_signed_and_overwrites_nothing(desk: Desk) -> None:
    file = desk.document("shown.json")
    before = file.read_bytes()
    done = desk.sign(file, Role.REVIEWER)
    assert done.returncode == 0, done.stderr
    assert "RELEASE THE KILL LATCH" in done.stdout
    assert "nothing rests; über \\u202e" in done.stdout
    assert "signing as reviewer bob" in done.stdout
    again = desk.sign(file, Role.REVIEWER)
    assert again.returncode == 2
    assert "shown.json.rev.sig: cannot be written" in one_line(again)
    assert file.read_bytes() == before


def test_the_document_on_standard_output_is_its_bytes_and_nothing_else(desk: Desk) -> None:
    done = desk.run(
        *("latch", "document", "--reason", "r", "--operator", "alice", "--reviewer", "bob")
    )
    assert canonical(json.loads(done.stdout)) + b"\n" == done.stdout.encode()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--reason", " ", "--operator", "alice", "--reviewer", "bob"), "needs a reason"),
        (("--reason", "r", "--operator", "bob", "--reviewer", "bob"), "there are: alice"),
        (("--reason", "r", "--operator", "alice", "--reviewer", "alice"), "there are: bob"),
    ],
)
def test_a_document_wants_a_reason_and_two_people(
    desk: Desk, arguments: tuple[str, ...], words: str
) -> None:
    done = desk.run("latch", "document", *arguments)
    assert done.returncode == 2
    assert words in one_line(done)


def _one_signature(desk: Desk, file: Path) -> Path:
    assert desk.sign(file, Role.OPERATOR).returncode == 0
    return file


def _empty_signature(desk: Desk, file: Path) -> Path:
    desk.forge_both(file)
    file.with_name(f"{file.name}.rev.sig").write_text("")
    return file


def _one_person_in_both_places(desk: Desk, file: Path) -> Path:
    for role in Role:
        desk.forge(file, Role.OPERATOR, NAMESPACES[role], role)
    return file


def _one_person_named_twice(desk: Desk, file: Path) -> Path:
    said = json.loads(file.read_bytes())
    changed = change(file, {"reviewer": said["operator"]})
    for role in Role:
        desk.forge(changed, Role.OPERATOR, NAMESPACES[role], role)
    return changed


def _changed_after_signing(desk: Desk, file: Path) -> Path:
    desk.forge_both(file)
    file.write_bytes(change(file, {"reason": "another one"}).read_bytes())
    return file


def _longer_lived(desk: Desk, file: Path) -> Path:
    changed = change(file, {"expires_at": time.time_ns() // 1000 + 86_400_000_000})
    desk.forge_both(changed)
    return changed


def _never_asked_for(desk: Desk, file: Path) -> Path:
    changed = change(file, {"request_id": "0" * 12})
    desk.forge_both(changed)
    return changed


def _wrong_namespace(desk: Desk, file: Path) -> Path:
    desk.forge(file, Role.OPERATOR, Namespace.GO, Role.OPERATOR)
    desk.forge(file, Role.REVIEWER, Namespace.RELEASE_REVIEW, Role.REVIEWER)
    return file


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (_one_signature, "one signature releases nothing"),
        (_empty_signature, "signature of bob"),
        (_one_person_in_both_places, "signature of bob"),
        (_one_person_named_twice, "another document"),
        (_changed_after_signing, "another document"),
        (_longer_lived, "another document"),
        (_never_asked_for, "is not known"),
        (_wrong_namespace, "signature of alice"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_i4_less_than_two_people_over_the_document_asked_for_is_refused(
    desk: Desk, prepare: Callable[[Desk, Path], Path], words: str
) -> None:
    file = prepare(desk, desk.document(f"{prepare.__name__}.json"))
    done = desk.release(file)
    assert done.returncode == 4, done.stderr
    assert words in one_line(done)
    assert desk.is_set()


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\xfe", b'{"type":"peakctl-go-1"}\n'])
def test_what_is_no_release_document_is_neither_signed_nor_sent(
    desk: Desk, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "d.json"
    file.write_bytes(content)
    for done in (
        desk.sign(file, Role.OPERATOR),
        desk.release(file),
        desk.run("dual", "sign", "--file", str(file), "--key", str(desk.key(Role.OPERATOR))),
        desk.run("dual", "hand-in", str(file), "--person", "alice"),
    ):
        assert done.returncode == 2
        assert "d.json: is not" in one_line(done)
    assert list(tmp_path.iterdir()) == [file]


def test_a_stranger_signs_only_by_saying_as_what(desk: Desk, tmp_path: Path) -> None:
    file = desk.document("stranger.json")
    key = tmp_path / "eve"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    done = desk.run("latch", "sign", str(file), "--key", str(key))
    assert done.returncode == 2
    assert "key of neither of the two" in one_line(done)
    done = desk.run("latch", "sign", str(file), "--key", str(key), "--role", "reviewer")
    assert done.returncode == 0, done.stderr
    # Elsewhere there is no workspace: the document itself says whose key it is.
    elsewhere = ("dual", "sign", "--file", str(file), "--key", str(desk.key(Role.OPERATOR)))
    wrong = desk.cli(*elsewhere, "--code", "ba-ba-ba-ba")
    assert (wrong.returncode, "nothing was signed" in one_line(wrong)) == (1, True)
    done = desk.cli(*elsewhere)
    assert (done.returncode, "signing as operator alice" in done.stdout) == (0, True), done.stderr
    refused = desk.release(file)
    assert refused.returncode == 4
    assert "signature of bob" in one_line(refused)
    assert desk.is_set()


def test_dual_shows_what_waits_and_the_other_types_the_code(desk: Desk) -> None:
    file = desk.document("listed.json")
    said = json.loads(file.read_bytes())
    request = said["request_id"]
    (row,) = [
        one
        for one in json.loads(desk.run("dual", "list", "--json").stdout)
        if one["stage"] == "pending"
    ]
    assert (row["id"], row["requested_by"]) == (request, "alice")
    (line,) = [one for one in desk.run("dual", "list").stdout.splitlines() if "pending" in one]
    assert line.split()[:6] == [request, "release", "pending", "alice", "nobody", "alice,"]
    shown = json.loads(desk.run("dual", "show", request, "--json").stdout)
    assert shown["sha256"] == sha256_hex(file.read_bytes())
    assert shown["waits_for"] == ["alice", "bob"]
    text = desk.run("dual", "show", request).stdout
    assert "RELEASE THE KILL LATCH" in text
    assert "nothing rests; über \\u202e" in text
    code = short_code(shown["sha256"])
    assert f"short code {code}" in text
    mine = ("dual", "sign", request, "--person", "bob", "--key", str(desk.key(Role.REVIEWER)))
    assert "the short code is missing" in one_line(desk.run(*mine))
    wrong = desk.run(*mine, "--code", "baba-baba-baba-baba")
    assert wrong.returncode == 1
    assert "nothing was signed" in one_line(wrong)
    stolen = desk.run(
        *("dual", "sign", request, "--person", "bob", "--code", code),
        *("--key", str(desk.key(Role.OPERATOR))),
    )
    assert stolen.returncode == 4
    assert "signature of bob" in one_line(stolen)
    done = desk.run(*mine, "--code", code)
    assert done.returncode == 0, done.stderr
    assert "signed by bob; now alice signs" in done.stdout
    declined = desk.run("dual", "withdraw", request, "--reason", "not yet", "--person", "bob")
    assert declined.returncode == 0, declined.stderr
    assert "withdrawn (DECLINED)" in declined.stdout
    late = desk.run("dual", "sign", request, "--person", "alice")
    assert late.returncode == 4
    assert "DECLINED" in one_line(late)
    assert desk.is_set()
    unknown = desk.run("dual", "show", "0" * 12)
    assert (unknown.returncode, "no such request" in one_line(unknown)) == (2, True)


def test_i4_both_signatures_release_it_once(desk: Desk) -> None:
    desk.ready_to_release()
    file = desk.document("good.json")
    for role in Role:
        done = desk.sign(file, role)
        assert done.returncode == 0, done.stderr
    released = desk.release(file)
    assert released.returncode == 0, released.stderr
    assert "the latch is released; kill READY" in released.stdout
    assert not desk.is_set()
    assert "not set" in desk.run("latch", "show").stdout
    again = desk.release(file)
    assert again.returncode == 4
    assert "is granted" in one_line(again)
    fetched = desk.run(
        *("latch", "document", "--reason", "r", "--operator", "alice", "--reviewer", "bob")
    )
    assert fetched.returncode == 4
    assert "not set" in one_line(fetched)
    desk.kill()
    replayed = desk.release(file)
    assert replayed.returncode == 4
    assert "is granted" in one_line(replayed)


def test_without_an_engine_exit_5(demo: Workspace, cli: Run) -> None:
    for arguments in (
        ("show",),
        ("document", "--reason", "r", "--operator", "alice", "--reviewer", "bob"),
    ):
        done = cli("latch", *arguments, "-w", str(demo.root))
        assert done.returncode == 5
        assert "no engine answers" in one_line(done)
