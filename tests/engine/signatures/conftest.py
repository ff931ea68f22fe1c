"""Real keys of ssh-keygen, made once for all tests here."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.contracts.documents import OPERATOR_NAMESPACES, REVIEWER_NAMESPACES
from engine.signatures.allowed_signers import allowed_signers_line


def make_key(path: Path) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", str(path)], check=True
    )
    return path


def keygen_sign(key: Path, message: bytes, namespace: str) -> str:
    done = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace],
        input=message,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode("ascii")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder / name) for name in ("alice", "bob", "mallory")}


@pytest.fixture(scope="session")
def sign() -> Callable[[Path, bytes, str], str]:
    return keygen_sign


@pytest.fixture
def signers_text(keys: dict[str, Path]) -> str:
    alice = keys["alice"].with_suffix(".pub").read_text()
    bob = keys["bob"].with_suffix(".pub").read_text()
    return allowed_signers_line("op:alice", OPERATOR_NAMESPACES, alice) + allowed_signers_line(
        "rev:bob", REVIEWER_NAMESPACES, bob
    )


@pytest.fixture
def signers(tmp_path: Path, signers_text: str) -> Path:
    path = tmp_path / "allowed_signers"
    path.write_text(signers_text)
    return path
