"""Hardware keys: what ssh-keygen takes and we do not, told apart by both verifiers side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contracts.documents import REVIEWER_NAMESPACES, Namespace
from engine.contracts.errors import ConfigError
from engine.signatures.allowed_signers import allowed_signers_line
from engine.signatures.check import Checker
from tests.engine.signatures.software_token import TOUCHED, VERIFIED, SoftwareToken

MESSAGE = b'{"decision":"GO"}\n'


@pytest.fixture
def token() -> SoftwareToken:
    return SoftwareToken(counter=7)


@pytest.fixture
def checker(tmp_path: Path, token: SoftwareToken) -> Checker:
    path = tmp_path / "allowed_signers"
    path.write_text(allowed_signers_line("rev:bob", REVIEWER_NAMESPACES, token.public_line))
    return Checker(path, tmp_path / "revoked_keys")


@pytest.mark.parametrize("flags", [TOUCHED, TOUCHED | VERIFIED])
def test_both_verifiers_take_a_touched_key_and_the_count_is_known(
    checker: Checker, token: SoftwareToken, flags: int
) -> None:
    armored = token.sign(MESSAGE, Namespace.COSIGN, flags=flags)
    verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
    assert verdict.ok
    assert (verdict.sk_counter, verdict.sk_flags) == (7, flags)


@pytest.mark.parametrize("flags", [0x00, VERIFIED, TOUCHED | 0x08, TOUCHED | 0x10, TOUCHED | 0x80])
def test_ssh_keygen_takes_other_flags_and_we_do_not(
    checker: Checker, token: SoftwareToken, flags: int
) -> None:
    armored = token.sign(MESSAGE, Namespace.COSIGN, flags=flags)
    verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
    assert (verdict.ok, verdict.strict_ok, verdict.keygen_ok) == (False, False, True)
    assert verdict.disagree
    assert "touched" in verdict.reason or "says 0x" in verdict.reason


@pytest.mark.parametrize("place", ["flags", "counter"])
def test_flags_and_count_are_signed_over(
    checker: Checker, token: SoftwareToken, place: str
) -> None:
    """Whoever edits the count of a signature has no signature any more, for either verifier."""
    armored = token.sign(MESSAGE, Namespace.COSIGN, flags=TOUCHED)
    forged = token.sign(MESSAGE, Namespace.COSIGN, flags=TOUCHED | VERIFIED, counter=99)
    import base64  # noqa: PLC0415

    from engine.signatures.sshsig import armour  # noqa: PLC0415

    blob, other = (base64.b64decode("".join(one.splitlines()[1:-1])) for one in (armored, forged))
    mixed = blob[:-5] + other[-5:-4] + blob[-4:] if place == "flags" else blob[:-4] + other[-4:]
    verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armour(mixed))
    assert (verdict.strict_ok, verdict.keygen_ok) == (False, False)


def test_a_key_that_was_not_made_for_ssh_is_not_listed(tmp_path: Path) -> None:
    web = SoftwareToken(application=b"example.org")
    with pytest.raises(ConfigError, match="not ssh:"):
        allowed_signers_line("rev:bob", REVIEWER_NAMESPACES, web.public_line)


def test_a_revoked_token_is_a_no_of_both(
    checker: Checker, token: SoftwareToken, tmp_path: Path
) -> None:
    token.write_public(tmp_path / "revoked_keys")
    armored = token.sign(MESSAGE, Namespace.COSIGN)
    verdict = checker.check("rev:bob", Namespace.COSIGN, MESSAGE, armored)
    assert (verdict.strict_ok, verdict.keygen_ok) == (False, False)
