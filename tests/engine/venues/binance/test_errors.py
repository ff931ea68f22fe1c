"""The error taxonomy: only what is certain may become "rejected" (I3)."""

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venues.binance.errors import (
    DEFAULT_SILENCE_S,
    TRANSPORT,
    Again,
    classify_answer,
    classify_transport,
    held,
    table_rows,
    undecodable,
)
from engine.venues.binance.lines import NotConnectedError
from engine.venues.binance.taxonomy import CODES, MESSAGES, OURS, STATUSES, SUBMIT_AGAIN

NO, PAUSE, CLOCK, WAIT = Again.NO, Again.BACKOFF, Again.CLOCK, Again.SILENCE


def body(code, message):
    return msgspec.json.encode({"code": code, "msg": message})


# Every row of the reference's error table (venue.md 2.5) and of 2.3, 2.6 and 2.9: code, message,
# HTTP status, whether nothing happened for certain, reads again, cancels again, a word of the
# advice.
REFERENCE = [
    (-1013, "Filter failure: PRICE_FILTER", 400, True, NO, NO, "Correct"),
    (-1013, "Filter failure: LOT_SIZE", 400, True, NO, NO, "Correct"),
    (-1013, "Filter failure: NOTIONAL", 400, True, NO, NO, "Correct"),
    (-1003, "Too much request weight used; limit is 6000.", 429, True, WAIT, WAIT, "Wait"),
    (-1003, "Way too much weight used; IP banned until 1.", 418, True, WAIT, WAIT, "Wait"),
    (-1015, "Too many new orders; limit is 100 per 10 SECOND.", 429, True, WAIT, WAIT, "fewer"),
    (-1007, "Timeout waiting for response from backend.", 504, False, PAUSE, PAUSE, "asked"),
    (-1007, "Timeout waiting for response from backend.", 503, False, PAUSE, PAUSE, "asked"),
    (-1007, "Timeout waiting for response from backend.", 408, False, PAUSE, PAUSE, "asked"),
    (-1021, "Timestamp is outside of the recvWindow.", 400, True, CLOCK, CLOCK, "clock"),
    (-1021, "Timestamp was 1000ms ahead of the server's time.", 400, True, CLOCK, CLOCK, "clock"),
    (-1022, "Signature for this request is not valid.", 400, True, NO, NO, "key"),
    (-1100, "Illegal characters found in a parameter.", 400, True, NO, NO, "fault of ours"),
    (-1102, "Mandatory parameter 'price' was not sent.", 400, True, NO, NO, "fault of ours"),
    (-1102, "recvWindow: Cannot be greater than 60000.", 400, True, NO, NO, "fault of ours"),
    (-1131, "recvWindow must be less than 60000.", 400, True, NO, NO, "recv_window_ms"),
    (-1104, "Not all sent parameters were read.", 400, True, NO, NO, "fault of ours"),
    (-1106, "Parameter 'x' sent when not required.", 400, True, NO, NO, "fault of ours"),
    (-1111, "Parameter 'price' has too much precision.", 400, True, NO, NO, "Correct"),
    (-1115, "Invalid timeInForce.", 400, True, NO, NO, "Correct"),
    (-1116, "Invalid orderType.", 400, True, NO, NO, "Correct"),
    (-1117, "Invalid side.", 400, True, NO, NO, "Correct"),
    (-1120, "Invalid interval.", 400, True, NO, NO, "fault of ours"),
    (-1121, "Invalid symbol.", 400, True, NO, NO, "charter"),
    (-1145, "cancelRestrictions has to be ONLY_NEW or ...", 400, True, NO, NO, "fault of ours"),
    (-2010, "Account has insufficient balance for requested action.", 400, True, NO, NO, "funds"),
    (-2010, "Duplicate order sent.", 400, False, NO, NO, "asked"),
    (-2010, "Order would immediately match and take.", 400, True, NO, NO, "price"),
    (-2010, "Market is closed.", 400, True, NO, NO, "trades"),
    (-2010, "This symbol is restricted for this account.", 400, True, NO, NO, "charter"),
    (-2011, "Unknown order sent.", 400, True, NO, NO, "fill"),
    (-2013, "Order does not exist.", 400, True, NO, NO, "asked"),
    (-2014, "API-key format invalid.", 401, True, NO, NO, "key"),
    (-2015, "Invalid API-key, IP, or permissions for action.", 401, True, NO, NO, "key"),
    (-2035, "User Data Stream subscription already active.", 400, True, PAUSE, NO, "anew"),
    (None, "<html><title>403 Forbidden</title></html>", 403, False, NO, NO, "status page"),
    (-2021, "Order cancel-replace partially failed.", 409, False, NO, NO, "asked"),
    (None, "<html>Bad Gateway</html>", 502, False, PAUSE, PAUSE, "asked"),
    (None, "<html>Gateway Time-out</html>", 504, False, PAUSE, PAUSE, "asked"),
]


@pytest.mark.parametrize(
    ("code", "message", "status", "certain", "read", "cancel", "advice"), REFERENCE
)
def test_every_row_of_the_reference(code, message, status, certain, read, cancel, advice):
    answer = message.encode() if code is None else body(code, message)
    fault = classify_answer(status, answer, {})
    assert (fault.certain, fault.read, fault.cancel) == (certain, read, cancel)
    assert advice in fault.advice
    if code is not None and status < 500:
        assert fault.code == str(code)
        assert fault.reason == message


UNKNOWN = [
    (500, body(-1000, "An unknown error occurred while processing the request.")),
    (400, body(-1000, "An unknown error occurred while processing the request.")),
    (503, body(-1007, "Timeout waiting for response from backend server.")),
    (400, body(-1007, "Timeout waiting for response from backend server.")),
    (429, body(-1007, "Timeout waiting for response from backend server.")),
    (400, body(-1006, "An unexpected response was received from the message bus.")),
    (503, body(-2010, "A definite code inside a 5xx proves nothing.")),
    (400, body(-9999, "A code that nobody has told us.")),
    (400, b"not JSON"),
    (400, b""),
    (400, b"[]"),
    (400, b'{"code":"-2010","msg":"code as text"}'),
    (302, b""),
    (400, body(-2010, "DUPLICATE ORDER SENT")),
]


@pytest.mark.parametrize(("status", "answer"), UNKNOWN)
def test_everything_else_is_unknown(status, answer):
    assert not classify_answer(status, answer, {}).certain


#: What the documents call "execution status unknown", written down apart from the tables.
NEVER_CERTAIN_CODES = {-1000, -1001, -1006, -1007, -1008, -1016}

_codes = st.one_of(
    st.sampled_from(sorted(CODES)), st.integers(min_value=-9999, max_value=0), st.none()
)
_messages = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["Duplicate order sent.", "Unknown order sent.", "Timeout", ""]),
)


def may_have_been_executed(status, code, message):
    """By the documents alone: is there any way that the order exists now?"""
    refused_at_the_door = status in {418, 429} and code not in NEVER_CERTAIN_CODES
    if refused_at_the_door:
        return False
    spoken = 400 <= status < 500 and status not in {403, 408, 409}
    duplicate = code == -2010 and "duplicate" in message.lower()
    return not spoken or code is None or code in NEVER_CERTAIN_CODES or duplicate


@given(
    status=st.one_of(st.integers(min_value=100, max_value=999), st.sampled_from([400, 429, 418])),
    code=_codes,
    message=_messages,
    retry_after=st.sampled_from(["", "7", "soon"]),
)
def test_what_may_have_been_executed_is_never_called_certain(status, code, message, retry_after):
    answer = message.encode() if code is None else body(code, message)
    fault = classify_answer(status, answer, {"Retry-After": retry_after})
    if may_have_been_executed(status, code, message):
        assert not fault.certain
    if fault.certain:
        assert fault.code.removeprefix("-").isdigit() or status in {418, 429}


@given(st.sampled_from([kind for kind, _, _ in TRANSPORT]), st.text(max_size=20))
def test_of_the_transport_only_a_connection_that_never_was_is_certain(kind, text):
    error = kind.__new__(kind)
    fault = classify_transport(error)
    never_was = (
        NotConnectedError,
        aiohttp.ConnectionTimeoutError,
        aiohttp.ClientConnectorError,
    )
    assert fault.certain is issubclass(kind, never_was)


def test_unknown_answers_without_a_code_are_named_by_status():
    fault = classify_answer(502, b"<html><h1>Bad  Gateway</h1></html>", {})
    assert fault.text == "HTTP_502: Bad Gateway"


@pytest.mark.parametrize("status", [503, 429, 403])
def test_refusal_inside_another_answer_is_not_named_as_one(status):
    """Else a 503 that carries -2013 would read as "the venue has no such order"."""
    fault = classify_answer(status, body(-2013, "Order does not exist."), {})
    assert fault.code == f"HTTP_{status}"


def test_retry_after_is_read_and_has_a_default():
    told = classify_answer(429, body(-1003, "too much"), {"Retry-After": "7"})
    assert told.retry_after_s == 7
    untold = classify_answer(418, body(-1003, "banned"), {})
    assert untold.retry_after_s == DEFAULT_SILENCE_S
    assert classify_answer(503, b"", {"Retry-After": "7"}).retry_after_s is None


@pytest.mark.parametrize(
    ("error", "code", "certain"),
    [
        (TimeoutError(), "TIMEOUT", False),
        (aiohttp.ServerDisconnectedError(), "RESET", False),
        (aiohttp.ClientOSError(104, "reset"), "RESET", False),
        (ConnectionResetError(), "RESET", False),
        (aiohttp.SocketTimeoutError(), "TIMEOUT", False),
        (aiohttp.ClientPayloadError(), "RESET", False),
        (aiohttp.ConnectionTimeoutError(), "CONNECT", True),
        (RuntimeError(), "TRANSPORT", False),
    ],
)
def test_only_a_connection_that_never_was_is_certain(error, code, certain):
    fault = classify_transport(error)
    assert (fault.code, fault.certain) == (code, certain)


def test_a_success_we_cannot_read_is_unknown():
    assert not undecodable("missing orderId").certain


@pytest.mark.parametrize("code", ["CLOSED", "RATE_RESERVED", "RATE_SILENCE"])
def test_what_we_did_not_send_is_certain(code):
    assert held(code, "why").certain


def test_the_printed_table_holds_every_row_with_something_to_do():
    rows = table_rows()
    keys = {(row.group, row.key) for row in rows}
    assert len(keys) == len(rows)
    listed = len([1 for _, _, rule in STATUSES if rule]) + len(CODES) + len(MESSAGES) + len(OURS)
    assert len(rows) == listed + 2
    assert {str(code) for code, *_ in REFERENCE if code} <= {key for _, key in keys}
    for row in rows:
        assert row.meaning
        assert row.advice.endswith(".")
        assert row.advice[0].isupper()
        assert (row.submit == SUBMIT_AGAIN) is (row.outcome == "UNKNOWN")


def test_no_row_lets_a_doubtful_submit_go_out_again():
    assert {row.submit for row in table_rows()} == {SUBMIT_AGAIN, "as a new order only"}
