"""Revocation lists in every form of ssh-keygen: both verifiers read the same keys in them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.documents import Namespace
from engine.contracts.errors import ConfigError
from engine.signatures.check import Checker
from engine.signatures.revoked import parse_revoked
from engine.signatures.sshsig import fingerprint, parse_public_line

Sign = Callable[[Path, bytes, str], str]


def krl(folder: Path, *lines: str) -> bytes:
    """A KRL of ssh-keygen from its specification file."""
    spec, out = folder / "spec", folder / "krl"
    spec.write_text("".join(f"{line}\n" for line in lines))
    command = ["ssh-keygen", "-q", "-k", "-f", str(out), str(spec)]
    subprocess.run(command, check=True, capture_output=True)
    return out.read_bytes()


def specification(form: str, public_line: str) -> str:
    """One line of a KRL's specification that revokes this key."""
    kind, key = public_line.split()[:2]
    if form == "hash":
        return f"hash: {fingerprint(parse_public_line(public_line))}"
    return f"{form}: {kind} {key}"


@pytest.mark.parametrize("form", ["key", "sha1", "sha256", "hash"])
def test_every_form_of_a_krl_stops_the_key_for_both_and_no_other(
    tmp_path: Path, signers: Path, keys: dict[str, Path], sign: Sign, form: str
) -> None:
    bob = keys["bob"].with_suffix(".pub").read_text()
    content = krl(tmp_path, specification(form, bob))
    revoked = parse_revoked(content)
    assert revoked.covers(parse_public_line(bob))
    assert not revoked.covers(parse_public_line(keys["alice"].with_suffix(".pub").read_text()))
    path = tmp_path / "revoked_keys"
    path.write_bytes(content)
    checker = Checker(signers, path)
    bad = checker.check(
        "rev:bob", Namespace.COSIGN, b"x", sign(keys["bob"], b"x", Namespace.COSIGN)
    )
    assert (bad.strict_ok, bad.keygen_ok) == (False, False)
    assert "revoked" in bad.reason
    good = checker.check("op:alice", Namespace.GO, b"x", sign(keys["alice"], b"x", Namespace.GO))
    assert good.ok


def test_a_list_of_keys_is_read_with_its_comments(keys: dict[str, Path]) -> None:
    line = keys["bob"].with_suffix(".pub").read_text()
    revoked = parse_revoked(f"# gone\n\n{line}".encode())
    assert revoked.covers(parse_public_line(line))
    assert not parse_revoked(b"").covers(parse_public_line(line))


def test_an_empty_krl_revokes_nothing(tmp_path: Path, keys: dict[str, Path]) -> None:
    blob = parse_public_line(keys["bob"].with_suffix(".pub").read_text())
    assert not parse_revoked(krl(tmp_path)).covers(blob)


def test_a_krl_that_is_cut_or_longer_is_refused_or_says_less_never_more(
    tmp_path: Path, keys: dict[str, Path]
) -> None:
    """A list that was cut at the end of a section reads as a shorter list; its hash is signed."""
    bob = keys["bob"].with_suffix(".pub").read_text()
    content = krl(tmp_path, specification("sha256", bob))
    whole = 0
    for end in range(len(content)):
        with contextlib.suppress(ConfigError):
            whole += not parse_revoked(content[:end]).covers(parse_public_line(bob))
    assert whole <= 2  # the empty file, and the header alone
    with pytest.raises(ConfigError):
        parse_revoked(content + b"\0")


@pytest.mark.parametrize(
    "content",
    [
        b"SSHKRL\n\0",
        b"SSHKRL\n\0" + (2).to_bytes(4, "big") + bytes(24) + bytes(8),
        b"SSHKRL\n\0" + (1).to_bytes(4, "big") + bytes(24) + b"\0\0\0\1x" + bytes(4),
        b"SSHKRL\n\0" + (1).to_bytes(4, "big") + bytes(32) + b"\4\0\0\0\0",
        b"SSHKRL\n\0" + (1).to_bytes(4, "big") + bytes(32) + b"\xff\0\0\0\0",
        b"SSHKRL\n\0" + (1).to_bytes(4, "big") + bytes(32) + b"\5\0\0\0\5\0\0\0\1x",
        b"\xff\xfe",
        b"* ssh-ed25519 AAAA\n",
    ],
    ids=["cut", "format 2", "reserved", "signed", "extension", "short digest", "binary", "pattern"],
)
def test_what_we_do_not_read_whole_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_revoked(content)


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused_with_a_config_error(content: bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse_revoked(content)
    with contextlib.suppress(ConfigError):
        parse_revoked(b"SSHKRL\n\0" + (1).to_bytes(4, "big") + bytes(32) + content)
