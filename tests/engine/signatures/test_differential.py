"""Our verifier beside ssh-keygen on made-up signatures: ours may be stricter, never looser.

Whatever is done to a good signature, `ok` is true for the very bytes that ssh-keygen wrote and for
no others; and where the two differ, ours is the one that says no.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contracts.documents import Namespace
from engine.signatures.check import Checker
from engine.signatures.sshsig import armour
from tests.engine.signatures.software_token import SoftwareToken, string

MESSAGE = b'{"decision":"GO"}\n'
S = 1_000_000
Sign = Callable[[Path, bytes, str], str]


def blob_of(armored: str) -> bytes:
    return base64.b64decode("".join(armored.splitlines()[1:-1]))


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[str], str]:
    """One change: in the blob (armoured again as it should be) or in the armour."""
    place = draw(st.integers(0, 10_000))
    chunk = draw(st.binary(min_size=1, max_size=6))
    text = draw(st.text("ABC=- \n\t#xyz", min_size=1, max_size=6))

    def bit(one: str) -> str:
        blob = bytearray(blob_of(one))
        blob[place // 8 % len(blob)] ^= 1 << place % 8
        return armour(bytes(blob))

    def inserted(one: str) -> str:
        blob = blob_of(one)
        at = place % (len(blob) + 1)
        return armour(blob[:at] + chunk + blob[at:])

    def cut(one: str) -> str:
        return armour(blob_of(one)[: place % len(blob_of(one))])

    def hash_name(one: str) -> str:
        name = (b"md5", b"sha1", b"sha256", b"SHA512", b"")[place % 5]
        return armour(blob_of(one).replace(string(b"sha512"), string(name), 1))

    def reserved(one: str) -> str:
        old = string(b"") + string(b"sha512")
        return armour(blob_of(one).replace(old, string(chunk) + string(b"sha512"), 1))

    def around(one: str) -> str:
        at = (0, len(one), place % len(one))[place % 3]
        return one[:at] + text + one[at:]

    def twice(one: str) -> str:
        return one + text + one

    kinds = (bit, inserted, cut, hash_name, reserved, around, twice)
    return draw(st.sampled_from(kinds))


@settings(
    max_examples=70,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(change=mutations())
def test_only_the_very_bytes_are_good_and_ours_is_never_the_looser_one(
    signers: Path, keys: dict[str, Path], sign: Sign, change: Callable[[str], str]
) -> None:
    good = _GOOD.setdefault("bob", sign(keys["bob"], MESSAGE, Namespace.COSIGN))
    changed = change(good)
    verdict = Checker(signers).check("rev:bob", Namespace.COSIGN, MESSAGE, changed)
    assert verdict.ok == (changed == good)
    assert verdict.keygen_ok or not verdict.strict_ok


_GOOD: dict[str, str] = {}


#: Option, the moment, whether the key is good just before and just at it.
LIMITS = {
    'valid-after="20260601Z"': (1_780_272_000 * S, False, True),
    'valid-before="20260601Z"': (1_780_272_001 * S, True, False),
    'valid-after="20260601103000Z"': (1_780_309_800 * S, False, True),
    'valid-before="20260601103000Z"': (1_780_309_801 * S, True, False),
}


@pytest.mark.parametrize("option", LIMITS)
def test_both_agree_to_the_second_on_when_a_key_is_valid(
    signers: Path, signers_text: str, keys: dict[str, Path], sign: Sign, option: str
) -> None:
    """ssh-keygen counts the second of `valid-before` as good, and so do we."""
    edge_us, before, at = LIMITS[option]
    signers.write_text(signers_text.replace("rev:bob namespaces=", f"rev:bob {option},namespaces="))
    armored = sign(keys["bob"], MESSAGE, Namespace.COSIGN)
    for moment_us, valid in ((edge_us - S, before), (edge_us - 1, before), (edge_us, at)):
        verdict = Checker(signers).check(
            "rev:bob", Namespace.COSIGN, MESSAGE, armored, at_us=moment_us
        )
        assert (verdict.strict_ok, verdict.keygen_ok) == (valid, valid), verdict.reason


def test_a_key_is_its_type_too(tmp_path: Path, keys: dict[str, Path]) -> None:
    """A token's line with an ordinary key's type, and the other way round, is no line."""
    token = SoftwareToken()
    encoded = token.public_line.split()[1]
    path = tmp_path / "allowed_signers"
    path.write_text(f'rev:bob namespaces="{Namespace.COSIGN}" ssh-ed25519 {encoded}\n')
    verdict = Checker(path).check(
        "rev:bob", Namespace.COSIGN, MESSAGE, token.sign(MESSAGE, Namespace.COSIGN)
    )
    assert (verdict.strict_ok, verdict.ok) == (False, False)
