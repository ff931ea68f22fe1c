from __future__ import annotations

import stat
from pathlib import Path

import pytest

from engine.contracts.errors import WorkspaceError
from engine.sandbox.auth import ApiKey, check_timing, load_or_make_keys, verify, ws_payload
from engine.sandbox.errors import VenueError
from engine.sandbox.wire import signed_payload

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
REST = (
    "&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    "&timestamp=1499827319559"
)
KEY = ApiKey(key="k", account="a", secret=SECRET)
NOW_US = 1_700_000_000_000_000


@pytest.mark.parametrize(
    ("symbol", "signature"),
    [
        ("LTCBTC", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        (
            "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96",
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
        ),
    ],
)
def test_reference_vectors_of_the_documentation(symbol: str, signature: str) -> None:
    payload = f"symbol={symbol}{REST}"
    assert verify(KEY, payload.encode(), signature)
    assert verify(KEY, payload.encode(), signature.upper())
    assert not verify(KEY, payload.encode() + b" ", signature)


def test_payload_is_query_then_body_without_the_signature() -> None:
    assert signed_payload("a=1&signature=x&b=2", "c=3&signature=y") == b"a=1&b=2c=3"
    with pytest.raises(VenueError) as caught:
        signed_payload("symbol=\uff11", "")
    assert caught.value.code == -1022


def test_ws_payload_is_sorted_by_name() -> None:
    params = {"timestamp": 1, "apiKey": "k", "signature": "s", "flag": True}
    assert ws_payload(params) == b"apiKey=k&flag=true&timestamp=1"


@pytest.mark.parametrize(
    ("offset_us", "window", "code"),
    [
        (0, None, 0),
        (999_000, None, 0),
        (1_000_000, None, -1021),
        (-5_000_000, None, 0),
        (-5_001_000, None, -1021),
        (-5_001_000, "60000", 0),
        (-1_500, "1.5", 0),
        (-2_000, "1.5", -1021),
        (0, "60001", -1102),
        (0, "1.2345", -1102),
    ],
)
def test_timing_rule(offset_us: int, window: str | None, code: int) -> None:
    stamp = str(NOW_US + offset_us)
    if code == 0:
        check_timing(stamp, window, NOW_US)
        return
    with pytest.raises(VenueError) as caught:
        check_timing(stamp, window, NOW_US)
    assert caught.value.code == code


def test_timestamp_may_be_in_milliseconds() -> None:
    check_timing(str(NOW_US // 1000), None, NOW_US)
    with pytest.raises(VenueError):
        check_timing(None, None, NOW_US)


def test_keys_are_made_once_private_and_kept(tmp_path: Path) -> None:
    first, _ = load_or_make_keys(tmp_path / "keys", "demo")
    again, _ = load_or_make_keys(tmp_path / "keys", "demo")

    assert first == again
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "keys").iterdir()}
    assert modes == {0o600}


def test_damaged_key_file_is_one_clear_error(tmp_path: Path) -> None:
    load_or_make_keys(tmp_path, "demo")
    (tmp_path / "demo.keys.json").write_text("{")
    with pytest.raises(WorkspaceError, match="keys cannot be read"):
        load_or_make_keys(tmp_path, "demo")
