"""Signatures against the vectors in the venue's own documentation."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.contracts.errors import ConfigError
from engine.venues.binance import BinanceOptions
from engine.venues.binance.signing import (
    Ed25519Signer,
    HmacSigner,
    encode,
    signed_query,
    signed_ws_params,
)

# The example of rest-api.md, "SIGNED Endpoint Examples"; published, no secret of anybody.
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
EXAMPLE = {
    "symbol": "LTCBTC",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "0.1",
    "recvWindow": 5000,
    "timestamp": 1499827319559,
}


def options(**changes):
    plain = {"name": "v", "rest_url": "", "ws_url": "", "ws_api_url": "", "api_key": "KEY"}
    return BinanceOptions(**{**plain, **changes})


def ed25519_pem(tmp_path):
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path, key.public_key()


def test_hmac_reference_vector():
    expected = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    assert signed_query(encode(EXAMPLE), HmacSigner(SECRET)).endswith(f"&signature={expected}")


def test_symbol_is_percent_encoded_before_it_is_signed():
    wide = {**EXAMPLE, "symbol": "".join(chr(0xFF10 + n) for n in range(1, 7))}
    assert encode(wide).startswith("symbol=%EF%BC%91%EF%BC%92")
    signature = HmacSigner(SECRET).sign(encode(wide))
    assert signature.startswith("e1353ec6")
    assert signature.endswith("f33ef3")


def test_ed25519_signature_verifies_and_is_percent_encoded(tmp_path):
    path, public = ed25519_pem(tmp_path)
    query, _, quoted = signed_query(encode(EXAMPLE), Ed25519Signer.from_file(path)).rpartition(
        "&signature="
    )
    assert not set("+/=") & set(quoted)
    signature = quoted.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    public.verify(base64.b64decode(signature), query.encode())


def test_websocket_parameters_are_signed_sorted_by_name():
    given = {"timestamp": 2, "apiKey": "k", "recvWindow": 5000}
    signed = signed_ws_params(given, HmacSigner(SECRET))
    assert signed["signature"] == HmacSigner(SECRET).sign("apiKey=k&recvWindow=5000&timestamp=2")


def test_exactly_one_credential(tmp_path):
    path, _ = ed25519_pem(tmp_path)
    assert options(secret=SECRET).signer().logs_on is False
    assert options(ed25519_private_key=path).signer().logs_on is True
    for wrong in ({}, {"secret": SECRET, "ed25519_private_key": path}):
        with pytest.raises(ConfigError, match="exactly one"):
            options(**wrong).signer()


def test_unreadable_key_is_one_line_without_its_content(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----\nhidden-hidden\n-----END PRIVATE KEY-----\n")
    with pytest.raises(ConfigError) as caught:
        options(ed25519_private_key=path).signer()
    assert str(path) in caught.value.line()
    assert "hidden" not in caught.value.line()


def test_options_do_not_show_credentials():
    shown = repr(options(secret=SECRET, api_key="the-api-key"))
    assert SECRET not in shown
    assert "the-api-key" not in shown
