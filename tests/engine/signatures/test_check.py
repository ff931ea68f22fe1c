"""The checker: both verifiers must agree; any doubt is a no with a reason."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.contracts.documents import Namespace
from engine.contracts.errors import WorkspaceError
from engine.signatures import keygen
from engine.signatures.check import Checker

MESSAGE = b'{"decision":"GO"}\n'
Sign = Callable[[Path, bytes, str], str]


def limited(signers_text: str, option: str) -> str:
    """The list with one more option on bob's line."""
    return signers_text.replace("rev:bob namespaces=", f"rev:bob {option},namespaces=")


@pytest.fixture
def checker(signers: Path, tmp_path: Path) -> Checker:
    return Checker(signers, tmp_path / "revoked_keys")


def test_both_verifiers_agree_on_a_good_signature(
    checker: Checker, keys: dict[str, Path], sign: Sign
) -> None:
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
    assert verdict.ok
    assert verdict.strict_ok
    assert verdict.keygen_ok
    assert verdict.fingerprint.startswith("SHA256:")


async def test_checking_does_not_need_to_block_the_loop(
    checker: Checker, keys: dict[str, Path], signers: Path, sign: Sign
) -> None:
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    assert (await checker.check_async("rev:bob", Namespace.COSIGN, MESSAGE, armored)).ok
    second = await keygen.verify(armored, MESSAGE, Namespace.COSIGN, "rev:bob", signers)
    assert second.ok


def test_wrong_principal_namespace_or_message_is_a_no_of_both(
    checker: Checker, keys: dict[str, Path], sign: Sign
) -> None:
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    for principal, namespace, message in (
        ("op:alice", Namespace.COSIGN, MESSAGE),
        ("op:alice", Namespace.GO, MESSAGE),
        ("rev:mallory", Namespace.COSIGN, MESSAGE),
        ("*", Namespace.COSIGN, MESSAGE),
        ("", Namespace.COSIGN, MESSAGE),
        ("rev:bob\0", Namespace.COSIGN, MESSAGE),
        ("rev:bob", Namespace.PACK_REVIEW, MESSAGE),
        ("rev:bob", Namespace.COSIGN, MESSAGE + b" "),
        ("rev:bob", Namespace.COSIGN, MESSAGE.replace(b"\n", b"\r\n")),
    ):
        verdict = checker.check(principal, namespace, message, armored)
        assert (verdict.ok, verdict.strict_ok, verdict.keygen_ok) == (False, False, False)
        assert verdict.reason


def test_a_strangers_key_is_a_no(checker: Checker, keys: dict[str, Path], sign: Sign) -> None:
    armored = sign(keys["mallory"], MESSAGE, Namespace.COSIGN)
    verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
    assert not verdict.ok
    assert verdict.fingerprint


@pytest.mark.parametrize(
    "change", [lambda s: s + "junk\n", lambda s: s + s], ids=["trailing junk", "second signature"]
)
def test_what_only_ssh_keygen_accepts_is_a_no(
    change: Callable[[str], str], checker: Checker, keys: dict[str, Path], sign: Sign
) -> None:
    armored = change(sign(keys["bob"], MESSAGE, Namespace.COSIGN))
    verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
    assert verdict.keygen_ok
    assert not verdict.strict_ok
    assert not verdict.ok


def test_sampled_bit_flips_never_pass_the_checker(
    checker: Checker, keys: dict[str, Path], sign: Sign
) -> None:
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    lines = armored.splitlines()
    blob = base64.b64decode("".join(lines[1:-1]))
    for index in range(0, len(blob), 11):
        changed = bytearray(blob)
        changed[index] ^= 0x10
        text = base64.b64encode(bytes(changed)).decode()
        body = [text[at : at + 70] for at in range(0, len(text), 70)]
        again = "\n".join([lines[0], *body, lines[-1]]) + "\n"
        assert not checker.check("rev:bob", Namespace.COSIGN, MESSAGE, again).ok


def test_a_revoked_key_is_a_no_of_both(
    checker: Checker, keys: dict[str, Path], tmp_path: Path, sign: Sign
) -> None:
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    (tmp_path / "revoked_keys").write_text(keys["bob"].with_suffix(".pub").read_text())
    verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
    assert (verdict.ok, verdict.strict_ok, verdict.keygen_ok) == (False, False, False)
    assert "revoked" in verdict.reason


def test_validity_is_judged_at_the_given_time_by_both(
    signers: Path, signers_text: str, keys: dict[str, Path], sign: Sign
) -> None:
    signers.write_text(limited(signers_text, 'valid-before="20260601Z"'))
    checker = Checker(signers)
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    may_2026, july_2026 = 1_777_600_000_000_000, 1_783_000_000_000_000
    assert checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored, at_us=may_2026).ok
    late = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored, at_us=july_2026)
    assert (late.ok, late.strict_ok, late.keygen_ok) == (False, False, False)
    assert "no longer valid" in late.reason


def test_expired_by_now_is_a_no(
    signers: Path, signers_text: str, keys: dict[str, Path], sign: Sign
) -> None:
    signers.write_text(limited(signers_text, 'valid-before="20200101Z"'))
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    assert time.time() > 1_577_836_800
    assert not Checker(signers).check("rev:bob", Namespace.COSIGN, MESSAGE, armored).ok


def test_an_unreadable_list_makes_every_signature_a_no(
    tmp_path: Path, signers: Path, keys: dict[str, Path], sign: Sign
) -> None:
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    link = tmp_path / "link"
    link.symlink_to(signers)
    binary = tmp_path / "krl"
    binary.write_bytes(b"SSHKRL\n\0\xff")
    loose = tmp_path / "loose"
    loose.write_text("* " + keys["bob"].with_suffix(".pub").read_text())
    for checker in (
        Checker(tmp_path / "none"),
        Checker(tmp_path),
        Checker(link),
        Checker(loose),
        Checker(signers, binary),
        Checker(signers, tmp_path),
    ):
        verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
        assert not verdict.ok
        assert verdict.reason


def test_missing_ssh_keygen_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    checker: Checker,
    keys: dict[str, Path],
    sign: Sign,
) -> None:
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkspaceError) as caught:
        checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
    assert "\n" not in caught.value.line()
    assert "install" in caught.value.line()


def test_an_ssh_keygen_that_says_good_of_another_key_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    checker: Checker,
    keys: dict[str, Path],
    sign: Sign,
) -> None:
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    fake = tmp_path / "ssh-keygen"
    fake.write_text(
        "#!/bin/sh\n"
        f"echo 'Good \"{Namespace.COSIGN}\" signature for rev:bob with ED25519 key SHA256:abc'\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
    assert not verdict.ok
    assert "different keys" in verdict.reason


def test_an_ssh_keygen_that_says_no_is_believed(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    checker: Checker,
    keys: dict[str, Path],
    sign: Sign,
) -> None:
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    fake = tmp_path / "ssh-keygen"
    fake.write_text("#!/bin/sh\necho 'no thanks' >&2\nexit 255\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
    assert (verdict.ok, verdict.strict_ok, verdict.keygen_ok) == (False, True, False)
    assert "no thanks" in verdict.reason


def test_a_fifo_or_an_endless_list_is_refused_without_waiting(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    long = tmp_path / "long"
    long.write_bytes(b"#" * 1_000_001)
    for path in (fifo, long):
        verdict = Checker(path).check("rev:bob", Namespace.COSIGN, MESSAGE, "")
        assert not verdict.ok
        assert "not a file" in verdict.reason
