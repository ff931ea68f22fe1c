"""The error taxonomy: only what is certain may become "rejected" (I3)."""

import aiohttp
import msgspec
import pytest

from engine.venues.binance.errors import (
    DEFAULT_SILENCE_S,
    classify_answer,
    classify_transport,
    undecodable,
)


def body(code, message):
    return msgspec.json.encode({"code": code, "msg": message})


# Every row of the reference's error table (venue.md 2.5): code, message, HTTP status.
CERTAIN = [
    (-1013, "Filter failure: LOT_SIZE", 400),
    (-1003, "Too much request weight used; current limit is 6000.", 429),
    (-1003, "Way too much request weight used; IP banned until 1.", 418),
    (-1015, "Too many new orders; current limit is 100 orders per 10 SECOND.", 429),
    (-1021, "Timestamp for this request is outside of the recvWindow.", 400),
    (-1022, "Signature for this request is not valid.", 400),
    (-1100, "Illegal characters found in a parameter.", 400),
    (-1102, "Mandatory parameter 'price' was not sent.", 400),
    (-1104, "Not all sent parameters were read.", 400),
    (-1106, "Parameter 'x' sent when not required.", 400),
    (-1111, "Parameter 'price' has too much precision.", 400),
    (-1115, "Invalid timeInForce.", 400),
    (-1116, "Invalid orderType.", 400),
    (-1117, "Invalid side.", 400),
    (-1120, "Invalid interval.", 400),
    (-1121, "Invalid symbol.", 400),
    (-1131, "recvWindow must be less than 60000.", 400),
    (-2010, "Account has insufficient balance for requested action.", 400),
    (-2010, "Order would immediately match and take.", 400),
    (-2010, "Market is closed.", 400),
    (-2011, "Unknown order sent.", 400),
    (-2013, "Order does not exist.", 400),
    (-2014, "API-key format invalid.", 401),
    (-2015, "Invalid API-key, IP, or permissions for action.", 401),
]


@pytest.mark.parametrize(("code", "message", "status"), CERTAIN)
def test_definite_refusals_are_certain_and_keep_the_venues_words(code, message, status):
    fault = classify_answer(status, body(code, message), {})
    assert fault.certain
    assert (fault.code, fault.reason) == (str(code), message)


UNKNOWN = [
    (500, body(-1000, "An unknown error occurred while processing the request.")),
    (400, body(-1000, "An unknown error occurred while processing the request.")),
    (503, body(-1007, "Timeout waiting for response from backend server.")),
    (504, body(-1007, "Timeout waiting for response from backend server.")),
    (400, body(-1007, "Timeout waiting for response from backend server.")),
    (400, body(-1006, "An unexpected response was received from the message bus.")),
    (503, body(-2010, "A definite code inside a 5xx proves nothing.")),
    (502, b"<html><body>Bad Gateway</body></html>"),
    (403, b"<html><head><title>403 Forbidden</title></head></html>"),
    (409, body(-2021, "Order cancel-replace partially failed.")),
    (400, b"not JSON"),
    (400, b""),
    (400, b"[]"),
    (400, b'{"code":"-2010","msg":"code as text"}'),
    (302, b""),
    (400, body(-2010, "Duplicate order sent.")),
]


@pytest.mark.parametrize(("status", "answer"), UNKNOWN)
def test_everything_else_is_unknown(status, answer):
    assert not classify_answer(status, answer, {}).certain


def test_unknown_answers_without_a_code_are_named_by_status():
    fault = classify_answer(502, b"<html><h1>Bad  Gateway</h1></html>", {})
    assert fault.text == "HTTP_502: Bad Gateway"


def test_refusal_inside_a_5xx_is_not_named_as_one():
    """Else a 503 that carries -2013 would read as "the venue has no such order"."""
    fault = classify_answer(503, body(-2013, "Order does not exist."), {})
    assert (fault.code, fault.certain) == ("HTTP_503", False)


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
    ],
)
def test_only_a_connection_that_never_was_is_certain(error, code, certain):
    fault = classify_transport(error)
    assert (fault.code, fault.certain) == (code, certain)


def test_a_success_we_cannot_read_is_unknown():
    assert not undecodable("missing orderId").certain
