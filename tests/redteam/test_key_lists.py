"""Attacks on the lists of keys: forms that ssh-keygen follows and we do not.

Somebody can write into `allowed_signers` or `revoked_keys`. What the stock program would let in is
shown beside each attack; with us both verifiers must agree, and ours takes plain lines alone.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.contracts.documents import OPERATOR_NAMESPACES, REVIEWER_NAMESPACES, Namespace
from engine.contracts.errors import ConfigError, InputError, PeakError
from engine.contracts.people import Role
from engine.own_place import refuse_open
from engine.planning import Plans
from engine.setup import read_setup
from engine.signatures.allowed_signers import allowed_signers_line
from engine.signatures.check import Checker
from engine.signatures.sshsig import generate_log_key
from peakctl.founding import create_demo
from tests.redteam.conftest import keygen_sign


def _line(principal: str, options: str, public: str) -> str:
    kind, key = public.split()[:2]
    return f"{principal} {options} {kind} {key}\n"


@pytest.mark.parametrize(
    ("principal", "options"),
    [
        ("*", 'namespaces="{all}"'),
        ("rev:*", 'namespaces="{all}"'),
        ("rev:bo?", 'namespaces="{all}"'),
        ("rev:bob,op:alice", 'namespaces="{all}"'),
        ("!op:alice,*", 'namespaces="{all}"'),
        ("rev:bob", 'namespaces="*"'),
        ("rev:bob", 'namespaces="peakctl-*"'),
        ("rev:bob", 'namespaces="{all},{go}"'),
        ("rev:bob", ""),
        ("rev:bob", 'namespaces="{all}",valid-after="20200101"'),
    ],
)
def test_a_loose_line_in_allowed_signers_lets_nobody_in(
    tmp_path: Path, keys: dict[str, Path], principal: str, options: str
) -> None:
    """`ssh-keygen` calls mallory's signature good under each of these lines."""
    message = b"decision\n"
    signature = keygen_sign(keys["mallory"], message, Namespace.COSIGN)
    path = tmp_path / "allowed_signers"
    filled = options.format(all=",".join(REVIEWER_NAMESPACES), go=Namespace.GO)
    path.write_text(_line(principal, filled, keys["mallory"].with_suffix(".pub").read_text()))
    assert _stock(path, "rev:bob", message, signature, tmp_path) == 0
    verdict = Checker(path).check("rev:bob", Namespace.COSIGN, message, signature)
    assert not verdict.ok
    assert verdict.reason


def _stock(signers: Path, principal: str, message: bytes, signature: str, folder: Path) -> int:
    file = folder / "signature"
    file.write_text(signature)
    return subprocess.run(
        [
            *("ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", principal),
            *("-n", Namespace.COSIGN, "-s", str(file)),
        ],
        input=message,
        capture_output=True,
        check=False,
    ).returncode


def test_a_certificate_of_a_listed_authority_lets_nobody_in(
    tmp_path: Path, keys: dict[str, Path]
) -> None:
    """Whoever holds the authority's key could make a reviewer out of anybody."""
    subprocess.run(
        [
            *("ssh-keygen", "-q", "-s", str(keys["bob"]), "-I", "m", "-n", "rev:bob"),
            str(keys["mallory"].with_suffix(".pub")),
        ],
        check=True,
        capture_output=True,
    )
    certificate = keys["mallory"].with_name("mallory-cert.pub")
    message = b"decision\n"
    signature = keygen_sign(certificate, message, Namespace.COSIGN)
    path = tmp_path / "allowed_signers"
    names = ",".join(REVIEWER_NAMESPACES)
    public = keys["bob"].with_suffix(".pub").read_text()
    path.write_text(_line("rev:bob", f'cert-authority,namespaces="{names}"', public))
    assert _stock(path, "rev:bob", message, signature, tmp_path) == 0
    assert not Checker(path).check("rev:bob", Namespace.COSIGN, message, signature).ok
    path.write_text(_line("rev:bob", f'namespaces="{names}"', public))
    assert not Checker(path).check("rev:bob", Namespace.COSIGN, message, signature).ok


def test_one_key_under_two_names_is_nobodys(tmp_path: Path, keys: dict[str, Path]) -> None:
    public = keys["alice"].with_suffix(".pub").read_text()
    path = tmp_path / "allowed_signers"
    path.write_text(
        allowed_signers_line("op:alice", OPERATOR_NAMESPACES, public)
        + allowed_signers_line("rev:bob", REVIEWER_NAMESPACES, public)
    )
    signature = keygen_sign(keys["alice"], b"x\n", Namespace.COSIGN)
    assert _stock(path, "rev:bob", b"x\n", signature, tmp_path) == 0
    assert not Checker(path).check("rev:bob", Namespace.COSIGN, b"x\n", signature).ok


def test_a_key_that_is_not_valid_yet_or_no_more(tmp_path: Path, keys: dict[str, Path]) -> None:
    line = allowed_signers_line(
        "rev:bob", REVIEWER_NAMESPACES, keys["bob"].with_suffix(".pub").read_text()
    )
    signature = keygen_sign(keys["bob"], b"x\n", Namespace.COSIGN)
    path = tmp_path / "allowed_signers"
    for option in ('valid-after="20990101Z"', 'valid-before="20200101Z"'):
        path.write_text(line.replace("namespaces=", f"{option},namespaces="))
        verdict = Checker(path).check("rev:bob", Namespace.COSIGN, b"x\n", signature)
        assert (verdict.strict_ok, verdict.keygen_ok) == (False, False)


def test_a_revocation_list_in_either_form_stops_the_key(
    tmp_path: Path, keys: dict[str, Path]
) -> None:
    """A binary KRL is what ssh-keygen can read and we cannot: then nobody's signature is good."""
    signers, revoked = tmp_path / "allowed_signers", tmp_path / "revoked_keys"
    public = keys["bob"].with_suffix(".pub")
    signers.write_text(allowed_signers_line("rev:bob", REVIEWER_NAMESPACES, public.read_text()))
    signature = keygen_sign(keys["bob"], b"x\n", Namespace.COSIGN)
    checker = Checker(signers, revoked)
    assert checker.check("rev:bob", Namespace.COSIGN, b"x\n", signature).ok
    revoked.write_text(public.read_text())
    assert not checker.check("rev:bob", Namespace.COSIGN, b"x\n", signature).ok
    revoked.unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-k", "-f", str(revoked), str(public)], check=True, capture_output=True
    )
    assert not checker.check("rev:bob", Namespace.COSIGN, b"x\n", signature).ok


@pytest.mark.parametrize("name", ["config/people.toml", "config/allowed_signers", "config", ""])
def test_a_roster_that_everybody_may_write_starts_no_engine(tmp_path: Path, name: str) -> None:
    """Whoever is on the machine could be anybody in it; nothing would say who wrote it."""
    place = create_demo(tmp_path / "w", {})
    path = place.root / name
    refuse_open([path, place.root / "nothing here"])
    path.chmod(path.stat().st_mode | 0o002)
    with pytest.raises(ConfigError, match="not writable by everyone"):
        read_setup(place.root, place.socket, {})


def test_a_person_without_a_unix_user_is_added_outside_dev(
    tmp_path: Path, keys: dict[str, Path]
) -> None:
    """Anybody on the socket could answer, pause or sign in that name."""
    place = create_demo(tmp_path / "w", {})
    line = keys["mallory"].with_suffix(".pub").read_text()
    (place.root / "config/peakctl.toml").write_text('environment = "shadow"\n')
    with pytest.raises(InputError, match="no Unix user"):
        Plans(place.root, {}).add("mallory", Role.REVIEWER, line, "", None)
    Plans(place.root, {}).add("mallory", Role.REVIEWER, line, "", 1234)


@pytest.mark.parametrize("how", ["another", "gone", "open"])
def test_the_log_key_is_exchanged_while_the_engine_is_stopped(tmp_path: Path, how: str) -> None:
    """Its heads would be signed by nobody who is listed: there would be no witness any more."""
    place = create_demo(tmp_path / "w", {})
    if how == "open":
        place.log_key.chmod(0o640)
    else:
        place.log_key.unlink()
    if how == "another":
        place.log_key.with_name("log_ed25519.pub").unlink()
        generate_log_key(place.log_key)
    words = {"another": "another key than lies here", "gone": "cannot be", "open": "may read it"}
    with pytest.raises(PeakError, match=words[how]):
        read_setup(place.root, place.socket, {})


@pytest.mark.parametrize("at_us", [-1, -(10**30), 253_402_300_800_000_000, 10**18, 10**40])
def test_a_line_of_no_time_at_all_proves_nothing_and_stops_nobody(
    tmp_path: Path, keys: dict[str, Path], at_us: int
) -> None:
    """A start asks for signatures at the times of the journal's lines, which anybody can write."""
    listed = tmp_path / "allowed_signers"
    public = keys["alice"].with_suffix(".pub").read_text()
    listed.write_text(allowed_signers_line("op:alice", (Namespace.GO,), public))
    signature = keygen_sign(keys["alice"], b"x", Namespace.GO)
    verdict = Checker(listed).check("op:alice", Namespace.GO, b"x", signature, at_us=at_us)
    assert not verdict.ok
    assert Checker(listed).check("op:alice", Namespace.GO, b"x", signature).ok
