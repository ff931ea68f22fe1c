"""Secrets pasted into requests, and the spellings in which they are known again (I10)."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import requests as rq
from engine.contracts.errors import InputError
from engine.contracts.order import OrderType, Side
from engine.ops.pasted import PastedSecrets
from engine.ops.redaction import REDACTED, Redaction

SECRET = 'k3y/with+"odd"&chars=é'
PEM = "-----BEGIN " + "OPENSSH PRIVATE KEY-----\nAAAA\nBBBB==\n-----END OPENSSH PRIVATE KEY-----"


@given(st.text("abcXYZ0189/+=& %é", min_size=8, max_size=40), st.binary(max_size=8))
def test_a_secret_is_known_in_every_spelling_and_place(secret: str, before: bytes) -> None:
    redaction = Redaction([secret])
    framed = base64.b64encode(before + secret.encode() + before).decode()
    urlsafe = base64.urlsafe_b64encode(before + secret.encode() + before).decode()
    for spelled in (
        secret,
        json.dumps(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        secret.encode().hex(),
        framed,
        urlsafe,
    ):
        assert redaction.holds(f"x{spelled}y"), spelled
        assert not redaction.holds(redaction.text(f"x{spelled}y"))


def test_a_private_key_is_known_by_its_armour_and_a_json_line_stays_whole() -> None:
    redaction = Redaction([])
    assert redaction.text(f"a {PEM} b") == f"a {REDACTED} b"
    for torn in (PEM, PEM[:60]):
        line = json.dumps({"text": torn, "next": "kept"})
        assert json.loads(redaction.text(line))["next"] == "kept"
    assert not redaction.holds("-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----")


def test_words_and_short_values_are_left_alone() -> None:
    assert Redaction(["abc", ""]).text("abc ABCDEF") == "abc ABCDEF"


@pytest.fixture
def pasted() -> PastedSecrets:
    return PastedSecrets(Redaction([SECRET]))


def sent(request: rq.Request) -> tuple[rq.Request, bytes]:
    return request, msgspec.json.encode(request)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (rq.NoteRequest(person="alice", text=f"it is {SECRET}"), "text"),
        (rq.ReasonRequest(person="alice", reason=quote(SECRET, safe="")), "reason"),
        (rq.LessonsRequest(person="alice", points=("fine", SECRET)), "points"),
        (rq.JoinRequest(person="bob", nonce="0" * 64, signals={"tty": SECRET}), "signals"),
        (rq.JoinRequest(person="bob", nonce="0" * 64, signals={SECRET: "x"}), "signals"),
        (rq.NoteRequest(person=SECRET, text="x"), "person"),
        (rq.NoteRequest(person="alice", text=PEM), "text"),
    ],
)
def test_the_field_is_named_and_the_text_is_not(
    pasted: PastedSecrets, request_: rq.Request, field: str
) -> None:
    with pytest.raises(InputError) as refused:
        pasted.checked(*sent(request_))
    assert refused.value.where == field
    assert refused.value.code == "SECRET_PASTED"
    assert not Redaction([SECRET]).holds(str(refused.value.to_wire()))


def test_escapes_hide_nothing(pasted: PastedSecrets) -> None:
    request = rq.NoteRequest(person="alice", text=SECRET)
    escaped = "".join(f"\\u{ord(one):04x}" for one in SECRET)
    raw = f'{{"person":"alice","text":"{escaped}"}}'.encode()
    with pytest.raises(InputError):
        pasted.checked(request, raw)


def test_a_kill_is_never_refused_for_its_words(pasted: PastedSecrets) -> None:
    request = rq.KillRequest(person="alice", reason=f"{SECRET} is out", source="key", pressed_us=1)
    checked = pasted.checked(*sent(request))
    assert checked.reason == f"{REDACTED} is out"
    assert checked.pressed_us == 1


def test_everything_else_goes_through_as_it_came(pasted: PastedSecrets) -> None:
    order = rq.OrderRequest(
        person="alice",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=Decimal("0.001"),
    )
    assert pasted.checked(*sent(order)) is order
