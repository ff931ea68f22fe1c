"""The documents that are signed: exact bytes out, nothing else in."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.errors import InputError
from engine.governance.dual import parse_dual
from engine.governance.packet import (
    BOUND,
    build_cosign,
    build_packet,
    changed_since,
    packet_lines,
    parse_cosign,
    parse_packet,
    same_person_signals,
    short_code,
)
from engine.governance.wordlist import WORDS, same_code


def test_the_packet_is_one_canonical_ascii_line(words) -> None:
    raw = build_packet(words.packet_facts(hostname="büro"))
    assert raw.isascii()
    assert raw.endswith(b"}\n")
    assert raw.count(b"\n") == 1
    document = json.loads(raw)
    assert list(document) == sorted(document)
    again = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert again == raw


def test_the_packet_says_what_the_evidence_format_asks_for(words) -> None:
    packet = parse_packet(build_packet(words.packet_facts()))
    assert packet["type"] == "peakctl-go-1"
    assert packet["limits"]["max_order_notional"] == "500"
    assert packet["limits"]["max_open_orders"] == "5"
    assert all(isinstance(value, str) for value in packet["limits"].values())
    assert packet["prev_head"] == {"size": 12, "sha256": "2" * 64}
    assert packet["operator_nonce"] == words.op_nonce
    assert packet["reviewer_nonce"] == words.rev_nonce
    assert packet["operator"]["uid"] == 1000
    assert packet["same_person"]["tty"] == "different"
    assert packet["allow_same_uid"] is False
    assert isinstance(packet["issued_at"], int)


def test_no_number_in_the_packet_is_a_float_i11(words) -> None:
    def walk(value: Any) -> None:
        assert not isinstance(value, float)
        for child in value.values() if isinstance(value, dict) else ():
            walk(child)
        for child in value if isinstance(value, list) else ():
            walk(child)

    walk(json.loads(build_packet(words.packet_facts())))


def test_duplicate_keys_floats_and_other_forms_are_refused(words) -> None:
    raw = build_packet(words.packet_facts())
    for broken in (
        raw.replace(b'{"account"', b'{"account":"x","account"', 1),
        raw.replace(b'"issued_at":', b'"issued_at":1.0,"x":'),
        raw.replace(b":", b": ", 1),
        raw.replace(b'"hostname":"desk",', b""),
        raw.replace(b'"hostname"', b'"hostnane"'),
        raw.replace(b'"uid":1000', b'"uid":"1000"'),
        raw.replace(b'"allow_same_uid":false', b'"allow_same_uid":0'),
        raw.replace(b'"max_position":"1"', b'"max_position":"2"'),
        raw.replace(b"peakctl-go-1", b"peakctl-go-2"),
        raw + raw,
        raw * 2000,
        b"",
        b"null\n",
    ):
        assert broken != raw
        with pytest.raises(InputError):
            parse_packet(broken)


def test_a_bound_hash_that_is_no_hash_is_refused(words) -> None:
    for name in ("config_sha256", "code_sha256", "checklist_sha256", "roster_sha256"):
        with pytest.raises(InputError, match=name):
            parse_packet(build_packet(words.packet_facts(**{name: "unknown"})))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_an_input_error(raw: bytes) -> None:
    for parse in (parse_packet, parse_cosign, parse_dual):
        with contextlib.suppress(InputError):
            parse(raw)


def test_cosign_comes_back_as_written(words) -> None:
    packet = build_packet(words.packet_facts())
    content = words.cosign_content(packet, reason="drei Gründe")
    assert parse_cosign(build_cosign(content))["reason"] == "drei Gründe"


def test_changed_since_names_each_hash_and_counts_unknown_as_changed_i6(words) -> None:
    packet = parse_packet(build_packet(words.packet_facts()))
    assert changed_since(packet, words.current()) == ()
    for name in BOUND:
        assert changed_since(packet, words.current(**{name: "0" * 64})) == (name,)
    assert changed_since(packet, {}) == BOUND
    assert changed_since({}, words.current()) == BOUND


def test_unset_signals_are_unknown_never_different(words) -> None:
    one, other = words.party("operator", uid=None), words.party("reviewer", signals={})
    signals = same_person_signals(one, other)
    assert signals["uid"] == "unknown"
    assert signals["loginuid"] == "unknown"
    assert signals["tty"] == "unknown"
    assert signals["person"] == "different"
    assert same_person_signals(one, one)["fingerprint"] == "same"


def test_both_screens_show_every_limit_and_escape_what_does_not_print(words) -> None:
    trick = "calm\u202egnp.exe\x1b]0;x\x07"
    charter = words.charter(purpose=trick)
    lines = packet_lines(parse_packet(build_packet(words.packet_facts(charter=charter))))
    text = "\n".join(f"{label}: {value}" for label, value in lines)
    assert "\\u202e" in text
    assert all(line.isprintable() for line in text.split("\n"))
    for name in msgspec.structs.fields(type(words.limits())):
        assert f"limit {name.name}" in text
    assert "same-uid waiver: no" in text
    waived = parse_packet(build_packet(words.packet_facts(allow_same_uid=True)))
    assert "YES" in dict(packet_lines(waived))["same-uid waiver"]


def test_the_word_list_is_1024_different_words_of_four_letters() -> None:
    assert len(set(WORDS)) == 1024
    assert {len(word) for word in WORDS} == {4}


def test_the_short_code_is_the_first_forty_bits() -> None:
    assert short_code("0" * 64) == "baba-baba-baba-baba"
    assert short_code("f" * 10 + "0" * 54) == "-".join([WORDS[-1]] * 4)
    assert short_code("0" * 10 + "f" * 54) == short_code("0" * 64)
    with pytest.raises(ValueError, match="sha256"):
        short_code("F" * 64)


@given(st.binary(min_size=5, max_size=5))
def test_the_short_code_can_be_read_back(first: bytes) -> None:
    index = {word: number for number, word in enumerate(WORDS)}
    bits = 0
    for word in short_code(first.hex() + "0" * 54).split("-"):
        bits = bits << 10 | index[word]
    assert bits == int.from_bytes(first, "big")


def test_a_typed_code_may_differ_in_case_and_separators() -> None:
    assert same_code(" BABA baba,baba  baba ", "0" * 64)
    assert not same_code("babababababababa", "0" * 64)
    assert not same_code("baba-baba-baba", "0" * 64)
    assert not same_code("baba-baba-baba-baba-baba", "0" * 64)
