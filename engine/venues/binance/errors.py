"""From what went wrong to one `Fault`, by the tables of `taxonomy`.

The question behind all of it: **may we say "not accepted"?** Only then does a submit become
Rejected; everything else is Unknown and ends only by asking the venue (I3). Two witnesses must
agree: a status that is certain with a code that is not (-1007 inside a 429) is not certain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import aiohttp
import msgspec

from engine.http1 import NotHttpError
from engine.venues.binance.lines import NotConnectedError
from engine.venues.binance.taxonomy import (
    CODES,
    MESSAGES,
    OURS,
    SPEECHLESS,
    STATUSES,
    UNLISTED,
    Again,
    Rule,
    TableRow,
    table_rows,
)

__all__ = [
    "TRANSPORT_ERRORS",
    "Again",
    "Fault",
    "TableRow",
    "classify_answer",
    "classify_code",
    "classify_transport",
    "held",
    "table_rows",
    "undecodable",
]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One classified failure.

    `certain`: the request certainly had no effect. `read` and `cancel`: whether such a request may
    be repeated, and after what; a submit may not. `retry_after_s`: the venue asked us to be silent
    for so many seconds. `code` is the venue's code as text, or one of ours (HTTP_503, TIMEOUT,
    RESET, CONNECT, UNDECODABLE, RATE_RESERVED ...). `advice` is one sentence for the operator.
    """

    code: str
    reason: str
    certain: bool
    read: Again
    cancel: Again
    advice: str
    retry_after_s: float | None = None

    @property
    def text(self) -> str:
        """Code and reason in one line."""
        return f"{self.code}: {self.reason}"


#: Exceptions by the code of their row, most special first.
TRANSPORT: tuple[tuple[type[BaseException], str, str], ...] = (
    (NotConnectedError, "CONNECT", "connection refused"),
    (NotHttpError, "UNDECODABLE", "answer is not HTTP"),
    (aiohttp.ConnectionTimeoutError, "CONNECT", "no connection in time"),
    (aiohttp.ClientConnectorError, "CONNECT", "connection refused"),
    (aiohttp.ServerTimeoutError, "TIMEOUT", "no answer in time"),
    (TimeoutError, "TIMEOUT", "no answer in time"),
    (aiohttp.ServerDisconnectedError, "RESET", "connection closed unanswered"),
    (ConnectionResetError, "RESET", "connection closed unanswered"),
    (aiohttp.ClientPayloadError, "RESET", "answer cut short"),
    (aiohttp.ClientOSError, "RESET", "connection broken"),
    (aiohttp.ClientResponseError, "UNDECODABLE", "answer is not HTTP"),
    (aiohttp.ClientError, "TRANSPORT", "request failed"),
    (OSError, "RESET", "connection broken"),
)

#: What a request may raise; everything else is a fault of ours and must surface.
TRANSPORT_ERRORS = (aiohttp.ClientError, OSError)  # TimeoutError is an OSError

#: Silence when the venue says 429 or 418 without saying for how long.
DEFAULT_SILENCE_S = 10.0

_TAG = re.compile(r"<[^>]*>")


def classify_answer(status: int, body: bytes, headers: Mapping[str, str]) -> Fault:
    """Classify an HTTP answer that is not 2xx."""
    code, message = _read_body(body)
    retry_after_s = _retry_after(status, headers)
    return classify_code(status, code, message, retry_after_s)


def classify_code(
    status: int, code: int | None, message: str, retry_after_s: float | None = None
) -> Fault:
    """Classify a status with the venue's code (None when the body had none)."""
    by_status = next(rule for low, high, rule in STATUSES if low <= status <= high)
    by_code = _rule_of_code(code, message)
    rule = by_status or by_code
    doubted = code in CODES and not by_code.certain
    # A refusal's code inside an answer that is none (-2013 in a 503) must not be taken for one.
    fitting = doubted or (code in CODES and by_code.read is Again.SILENCE)
    named = code is not None and (by_status is None or fitting)
    return Fault(
        code=str(code) if named else f"HTTP_{status}",
        reason=message or rule.meaning,
        certain=rule.certain and not (by_status is not None and doubted),
        read=rule.read,
        cancel=rule.cancel,
        advice=by_code.advice if named else rule.advice,
        retry_after_s=retry_after_s,
    )


def classify_transport(error: BaseException) -> Fault:
    """Classify what the transport raised. The text never quotes the request (I10)."""
    for kind, code, meaning in TRANSPORT:
        if isinstance(error, kind):
            return _ours(code, f"{meaning} ({type(error).__name__})")
    return _ours("TRANSPORT", type(error).__name__)


def undecodable(what: str) -> Fault:
    """Classify a 2xx answer that we cannot read: the venue did something, we do not know what."""
    return _ours("UNDECODABLE", what)


def held(code: str, why: str, retry_after_s: float | None = None) -> Fault:
    """Classify a request that we did not send; `code` is CLOSED, RATE_RESERVED or RATE_SILENCE."""
    return msgspec.structs.replace(_ours(code, why), retry_after_s=retry_after_s)


def _ours(code: str, reason: str) -> Fault:
    rule = OURS[code]
    return Fault(
        code=code,
        reason=reason or rule.meaning,
        certain=rule.certain,
        read=rule.read,
        cancel=rule.cancel,
        advice=rule.advice,
    )


def _rule_of_code(code: int | None, message: str) -> Rule:
    if code is None:
        return SPEECHLESS
    lowered = message.lower()
    for special, part, rule in MESSAGES:
        if code == special and part in lowered:
            return rule
    return CODES.get(code, UNLISTED)


def _read_body(body: bytes) -> tuple[int | None, str]:
    """Return the code and message of an error body; (None, first words) when it is not one."""
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        words = _TAG.sub(" ", body[:400].decode("utf-8", "replace"))
        return None, " ".join(words.split())[:80]
    if isinstance(answer, dict):
        code, message = answer.get("code"), answer.get("msg")
        if isinstance(code, int) and not isinstance(code, bool):
            return code, str(message or "")[:200]
    return None, ""


def _retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    if status not in {418, 429}:
        return None
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else DEFAULT_SILENCE_S
