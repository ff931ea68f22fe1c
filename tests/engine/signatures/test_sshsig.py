"""The strict verifier accepts what ssh-keygen writes and refuses everything near it."""

from __future__ import annotations

import base64
import hashlib
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.contracts.documents import Namespace
from engine.contracts.errors import InputError, WorkspaceError
from engine.signatures import sshsig
from engine.signatures.sshsig import (
    armour,
    fingerprint,
    generate_log_key,
    parse_public_line,
    sign_with_key_file,
    verify_strict,
)

MESSAGE = b'{"type":"peakctl-go-1"}\n'
Sign = Callable[[Path, bytes, str], str]
BEGIN = "-----BEGIN SSH SIGNATURE-----\n"
END = "-----END SSH SIGNATURE-----\n"


def blob_of(armored: str) -> bytes:
    return base64.b64decode("".join(armored.splitlines()[1:-1]))


@pytest.fixture(scope="module")
def signature(keys: dict[str, Path], sign: Sign) -> str:
    return sign(keys["alice"], MESSAGE, Namespace.GO)


@pytest.fixture(scope="module")
def alice(keys: dict[str, Path]) -> bytes:
    return parse_public_line(keys["alice"].with_suffix(".pub").read_text())


def refused(armored: str, key: bytes, *, message: bytes = MESSAGE, ns: str = Namespace.GO) -> str:
    with pytest.raises(InputError) as caught:
        verify_strict(armored, message, ns, key)
    return caught.value.what


def test_a_signature_of_ssh_keygen_is_good(signature: str, alice: bytes) -> None:
    parsed = verify_strict(signature, MESSAGE, Namespace.GO, alice)
    assert parsed.public_key_blob == alice
    assert parsed.namespace == Namespace.GO
    assert parsed.counter is None


def test_armour_is_the_one_ssh_keygen_writes(signature: str) -> None:
    assert armour(blob_of(signature)) == signature


def test_every_flipped_bit_of_the_blob_is_refused(signature: str, alice: bytes) -> None:
    blob = blob_of(signature)
    for bit in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << (bit % 8)
        refused(armour(bytes(changed)), alice)


def test_every_flipped_bit_of_the_armour_is_refused(signature: str, alice: bytes) -> None:
    raw = signature.encode()
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << (bit % 8)
        refused(changed.decode("latin-1"), alice)


def test_every_cut_is_refused(signature: str, alice: bytes) -> None:
    blob = blob_of(signature)
    for end in range(len(blob)):
        refused(armour(blob[:end]), alice)
    for end in range(len(signature)):
        refused(signature[:end], alice)


def test_every_flipped_bit_of_the_message_is_refused(signature: str, alice: bytes) -> None:
    for bit in range(len(MESSAGE) * 8):
        changed = bytearray(MESSAGE)
        changed[bit // 8] ^= 1 << (bit % 8)
        refused(signature, alice, message=bytes(changed))


def test_wrong_namespace_is_refused(signature: str, alice: bytes) -> None:
    assert "made for" in refused(signature, alice, ns=Namespace.COSIGN)


def test_another_persons_key_is_refused(
    signature: str, keys: dict[str, Path], alice: bytes
) -> None:
    bob = parse_public_line(keys["bob"].with_suffix(".pub").read_text())
    assert "another key" in refused(signature, bob)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda s: s + "junk", id="trailing junk"),
        pytest.param(lambda s: s + "\n", id="extra final newline"),
        pytest.param(lambda s: s[:-1], id="no final newline"),
        pytest.param(lambda s: "junk\n" + s, id="leading junk"),
        pytest.param(lambda s: s + s, id="second signature appended"),
        pytest.param(lambda s: s.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda s: s.replace("U1NI", "U1 NI", 1), id="space in base64"),
        pytest.param(
            lambda s: BEGIN + base64.b64encode(blob_of(s)).decode() + "\n" + END, id="wrap"
        ),
        pytest.param(lambda s: s.replace("SSH SIGNATURE", "SSH SIGNATURÉ"), id="not ASCII"),
        pytest.param(lambda s: s.replace("\n" + END, "\n\n" + END), id="empty line"),
        pytest.param(lambda s: "", id="empty"),
        pytest.param(lambda s: BEGIN + END, id="empty armour"),
        pytest.param(lambda s: BEGIN + "A" * 9000 + "\n" + END, id="too long"),
    ],
)
def test_malleable_armour_is_refused(
    change: Callable[[str], str], signature: str, alice: bytes
) -> None:
    refused(change(signature), alice)


def string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def forged(
    *,
    version: int = 1,
    reserved: bytes = b"",
    hash_name: str = "sha512",
    hash_bytes: bytes | None = None,
    tail: bytes = b"",
    inner_tail: bytes = b"",
    namespace: bytes = Namespace.GO.encode(),
) -> tuple[str, bytes]:
    """A signature that is right in itself (the key signs these very fields) but not acceptable."""
    key = Ed25519PrivateKey.generate()
    public = string(b"ssh-ed25519") + string(
        key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    )
    digest = hashlib.sha512(MESSAGE).digest() if hash_bytes is None else hash_bytes
    fields = string(namespace) + string(reserved) + string(hash_name.encode())
    raw = key.sign(b"SSHSIG" + fields + string(digest))
    blob = b"SSHSIG" + version.to_bytes(4, "big") + string(public) + fields
    blob += string(string(b"ssh-ed25519") + string(raw) + inner_tail) + tail
    return armour(blob), public


def test_the_forge_itself_makes_good_signatures() -> None:
    armored, public = forged()
    verify_strict(armored, MESSAGE, Namespace.GO, public)


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "SHA512", ""])
def test_other_hashes_are_refused(name: str) -> None:
    lower = name.lower() or "sha512"
    armored, public = forged(hash_name=name, hash_bytes=hashlib.new(lower, MESSAGE).digest())
    assert "hash" in refused(armored, public)


def test_a_version_other_than_one_is_refused() -> None:
    for version in (0, 2):
        armored, public = forged(version=version)
        assert "version" in refused(armored, public)


def test_a_filled_reserved_field_is_refused() -> None:
    armored, public = forged(reserved=b"x")
    assert "reserved" in refused(armored, public)


def test_bytes_after_the_fields_are_refused() -> None:
    for place in ({"tail": b"\0"}, {"inner_tail": b"\0"}):
        armored, public = forged(**place)  # type: ignore[arg-type]
        assert "too many" in refused(armored, public)


def test_an_empty_namespace_is_refused() -> None:
    armored, public = forged(namespace=b"")
    assert "namespace" in refused(armored, public, ns="")


def test_keys_of_other_types_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ecdsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(path)], check=True)
    with pytest.raises(InputError, match="not accepted"):
        parse_public_line(path.with_suffix(".pub").read_text())


def hardware(flags: int, counter: int = 7) -> tuple[str, bytes]:
    """A signature as a FIDO key makes it (PROTOCOL.u2f), with a software key."""
    key = Ed25519PrivateKey.generate()
    kind = sshsig.SK_ED25519.encode()
    raw_public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    public = string(kind) + string(raw_public) + string(b"ssh:")
    fields = string(Namespace.COSIGN.encode()) + string(b"") + string(b"sha512")
    inner = b"SSHSIG" + fields + string(hashlib.sha512(MESSAGE).digest())
    extra = bytes((flags,)) + counter.to_bytes(4, "big")
    raw = key.sign(hashlib.sha256(b"ssh:").digest() + extra + hashlib.sha256(inner).digest())
    blob = b"SSHSIG" + (1).to_bytes(4, "big") + string(public) + fields
    return armour(blob + string(string(kind) + string(raw) + extra)), public


def test_a_touched_hardware_key_is_good_and_its_counter_is_known() -> None:
    armored, public = hardware(flags=1)
    assert verify_strict(armored, MESSAGE, Namespace.COSIGN, public).counter == 7


def test_an_untouched_hardware_key_is_refused() -> None:
    armored, public = hardware(flags=0)
    assert "not touched" in refused(armored, public, ns=Namespace.COSIGN)


def test_the_fingerprint_is_the_one_ssh_keygen_prints(keys: dict[str, Path], alice: bytes) -> None:
    printed = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(keys["alice"])], capture_output=True, check=True, text=True
    )
    assert fingerprint(alice) == printed.stdout.split()[1]


def test_signing_in_process_gives_the_bytes_of_ssh_keygen(tmp_path: Path, sign: Sign) -> None:
    log_key = tmp_path / "log_ed25519"
    line = generate_log_key(log_key)
    for message in (b"", b"origin\n12\nabc\n", bytes(range(256)) * 5000):
        ours = sign_with_key_file(log_key, message, Namespace.HEAD)
        assert ours == sign(log_key, message, Namespace.HEAD)
        verify_strict(ours, message, Namespace.HEAD, parse_public_line(line))


def test_the_log_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "log_ed25519"
    line = generate_log_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.with_name("log_ed25519.pub").read_text() == line + "\n"
    before = path.read_bytes()
    with pytest.raises(WorkspaceError):
        generate_log_key(path)
    assert path.read_bytes() == before


def test_a_log_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log_ed25519"
    generate_log_key(path)
    path.chmod(0o640)
    with pytest.raises(WorkspaceError, match="chmod 600"):
        sign_with_key_file(path, b"", Namespace.HEAD)


def test_an_encrypted_or_linked_or_missing_log_key_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(locked)], check=True
    )
    link = tmp_path / "link"
    link.symlink_to(locked)
    for path in (locked, link, tmp_path / "none"):
        with pytest.raises(WorkspaceError):
            sign_with_key_file(path, b"", Namespace.HEAD)


def test_a_key_of_another_length_is_refused() -> None:
    blob = string(b"ssh-ed25519") + string(b"x" * 31)
    with pytest.raises(InputError, match="32 bytes"):
        parse_public_line("ssh-ed25519 " + base64.b64encode(blob).decode())


def test_a_log_key_of_another_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ecdsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(path)], check=True)
    with pytest.raises(WorkspaceError, match="not Ed25519"):
        sign_with_key_file(path, b"", Namespace.HEAD)
