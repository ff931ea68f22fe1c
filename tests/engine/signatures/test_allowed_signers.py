"""allowed_signers: one principal, one key, one role a line; everything loose is refused."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.documents import Namespace
from engine.contracts.errors import ConfigError, InputError
from engine.signatures.allowed_signers import parse_allowed_signers

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcZJEB3dMq1Wkbgz1o8h2QrGhPTkeB9Nd5Jq1eoQxkT"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcZJEB3dMq1Wkbgz1o8h2QrGhPTkeB9Nd5Jq1eoQxkU"
NS = f'namespaces="{Namespace.GO}"'


def us(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type,misc]


def test_a_good_file_is_read(signers_text: str) -> None:
    parsed = parse_allowed_signers("# people\n\n" + signers_text)
    assert [row.principal for row in parsed.signers] == ["op:alice", "rev:bob"]
    assert parsed.find("op:alice", Namespace.GO, 0).fingerprint.startswith("SHA256:")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"* {NS} {KEY}", "pattern or a list"),
        (f"*@desk {NS} {KEY}", "pattern or a list"),
        (f"op:al?ce {NS} {KEY}", "pattern or a list"),
        (f"op:alice,rev:bob {NS} {KEY}", "pattern or a list"),
        (f"!op:alice {NS} {KEY}", "pattern or a list"),
        (f'"op:alice" {NS} {KEY}', "pattern or a list"),
        (f"op:alice cert-authority,{NS} {KEY}", "not accepted"),
        (f"op:alice {KEY}", "no namespaces"),
        (f'op:alice namespaces="*" {KEY}', "pattern or empty"),
        (f'op:alice namespaces="peakctl-*" {KEY}', "pattern or empty"),
        (f'op:alice namespaces="" {KEY}', "pattern or empty"),
        (f'op:alice namespaces="{Namespace.GO},{Namespace.COSIGN}" {KEY}', "both roles"),
        (f'op:alice {NS},namespaces="x" {KEY}', "once"),
        (f"op:alice {NS},verify-required {KEY}", "not accepted"),
        (f'op:alice {NS},valid-after="20260101" {KEY}', "not UTC"),
        (f'op:alice {NS},valid-after="20261301Z" {KEY}', "does not exist"),
        (f"op:alice {NS} ssh-rsa AAAAB3NzaC1yc2E=", "not accepted"),
        (f"op:alice {NS} ssh-ed25519 AAAA", "past the end"),
        (f"op:alice {NS} {KEY[:-1]}", "base64"),
        (f"op:alice {NS} sk-{KEY}", "type"),
        (f"op:alice {NS} {KEY}\r", "control character"),
        ("op:alice", "form"),
        (f"op:alice {NS} {KEY}\nop:alice {NS} {OTHER}", "twice"),
        (f"op:alice {NS} {KEY}\nop:alina {NS} {KEY}", "same key"),
    ],
)
def test_loose_lines_are_refused(line: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        parse_allowed_signers(line)
    assert "line " in caught.value.where


def test_the_line_number_is_named(signers_text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_allowed_signers(signers_text + "# note\nnonsense\n")
    assert caught.value.where == "allowed_signers: line 4"


def test_validity_is_utc_and_ends_with_its_last_second() -> None:
    line = f'op:alice {NS},valid-after="20260101Z",valid-before="202602011230Z" {KEY}'
    parsed = parse_allowed_signers(line)
    start, end = us(2026, 1, 1), us(2026, 2, 1, 12, 30)
    parsed.find("op:alice", Namespace.GO, start)
    parsed.find("op:alice", Namespace.GO, end + 999_999)
    with pytest.raises(InputError, match="not valid yet"):
        parsed.find("op:alice", Namespace.GO, start - 1)
    with pytest.raises(InputError, match="no longer valid"):
        parsed.find("op:alice", Namespace.GO, end + 1_000_000)


def test_unknown_principal_and_foreign_namespace_are_refused(signers_text: str) -> None:
    parsed = parse_allowed_signers(signers_text)
    with pytest.raises(InputError, match="not listed"):
        parsed.find("op:mallory", Namespace.GO, 0)
    with pytest.raises(InputError, match="may not sign"):
        parsed.find("op:alice", Namespace.COSIGN, 0)


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused_with_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert parse_allowed_signers(text).signers == ()
