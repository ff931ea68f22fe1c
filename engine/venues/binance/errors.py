"""What each failure means, as data: did certainly nothing happen, may a read be repeated.

Three tables, walked in this order: the HTTP status, then the venue's code, then the exception of
the transport. The question they answer is one: **may we say "not accepted"?** Only then does a
submit become Rejected; everything else is Unknown and ends only by asking the venue (I3).

Sources: errors.md and rest-api.md ("HTTP Return Codes") of the Spot documentation. 4xx is the
sender's fault and certain; 5xx is "execution status UNKNOWN"; 403 comes from the firewall in front
and says nothing we can build on; 409 is a half-done request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import aiohttp
import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One classified failure.

    `certain`: the request certainly had no effect. `retryable`: a read may be asked again at once.
    `retry_after_s`: the venue asked us to be silent for so many seconds. `code` is the venue's
    code as text, or one of ours (HTTP_503, TIMEOUT, RESET, CONNECT, UNDECODABLE).
    """

    code: str
    reason: str
    certain: bool
    retryable: bool
    retry_after_s: float | None = None

    @property
    def text(self) -> str:
        """Code and reason in one line."""
        return f"{self.code}: {self.reason}"


class Rule(msgspec.Struct, frozen=True):
    """One row: whether nothing happened for certain, whether a read may be repeated, and why."""

    certain: bool
    retryable: bool
    meaning: str


#: By HTTP status; ranges are inclusive. The first row that matches decides, unless it has
#: no rule: then the venue's code decides.
STATUSES: tuple[tuple[int, int, Rule | None], ...] = (
    (429, 429, Rule(True, False, "too many requests or orders; not accepted")),
    (418, 418, Rule(True, False, "banned after going on past 429; not accepted")),
    (403, 403, Rule(False, False, "stopped by the venue's firewall, no word of the exchange")),
    (409, 409, Rule(False, False, "half done")),
    (408, 408, Rule(False, True, "the venue gave up waiting")),
    (400, 499, None),
    (500, 599, Rule(False, True, "failed inside the venue, execution status unknown")),
    (0, 999, Rule(False, False, "not an answer of this API")),
)

#: By the venue's code inside a 4xx answer. A code that is not here is a certain refusal.
CODES: dict[int, Rule] = {
    -1000: Rule(False, True, "unknown error while processing"),
    -1001: Rule(False, True, "internal error, disconnected"),
    -1003: Rule(True, False, "too much request weight"),
    -1006: Rule(False, True, "unexpected response from the message bus, status unknown"),
    -1007: Rule(False, True, "timeout of the backend, status unknown"),
    -1008: Rule(False, True, "server overloaded"),
    -1015: Rule(True, False, "too many new orders"),
    -1021: Rule(True, True, "timestamp outside of the window: measure the clock again"),
}

#: Refusals that a code alone does not tell apart, by code and start of the message.
MESSAGES: tuple[tuple[int, str, Rule], ...] = (
    # Our ids are used once, so a duplicate means that a request of ours arrived twice on the way
    # and the first one may live: certain of this answer, not of the order.
    (-2010, "Duplicate order", Rule(False, False, "an order with this id is open")),
)

#: By exception, most special first. Only a connection that never came to be is certain.
TRANSPORT: tuple[tuple[type[BaseException], str, Rule], ...] = (
    (aiohttp.ConnectionTimeoutError, "CONNECT", Rule(True, True, "no connection in time")),
    (aiohttp.ClientConnectorError, "CONNECT", Rule(True, True, "connection refused")),
    (aiohttp.ServerTimeoutError, "TIMEOUT", Rule(False, True, "no answer in time")),
    (TimeoutError, "TIMEOUT", Rule(False, True, "no answer in time")),
    (aiohttp.ServerDisconnectedError, "RESET", Rule(False, True, "connection closed unanswered")),
    (aiohttp.ClientPayloadError, "RESET", Rule(False, True, "answer cut short")),
    (aiohttp.ClientOSError, "RESET", Rule(False, True, "connection broken")),
    (aiohttp.ClientResponseError, "UNDECODABLE", Rule(False, True, "answer is not HTTP")),
    (aiohttp.ClientError, "TRANSPORT", Rule(False, True, "request failed")),
    (OSError, "RESET", Rule(False, True, "connection broken")),
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
    rule = by_status or _rule_of_code(code, message)
    # A refusal's code inside an answer that is none (-2013 in a 503) must not be taken for one.
    named = code is not None and (by_status is None or code in CODES)
    return Fault(
        code=str(code) if named else f"HTTP_{status}",
        reason=message or rule.meaning,
        certain=rule.certain,
        retryable=rule.retryable,
        retry_after_s=retry_after_s,
    )


def classify_transport(error: BaseException) -> Fault:
    """Classify what the transport raised. The text never quotes the request (I10)."""
    for kind, code, rule in TRANSPORT:
        if isinstance(error, kind):
            return Fault(
                code=code,
                reason=f"{rule.meaning} ({type(error).__name__})",
                certain=rule.certain,
                retryable=rule.retryable,
            )
    return Fault(code="TRANSPORT", reason=type(error).__name__, certain=False, retryable=False)


def undecodable(what: str) -> Fault:
    """Classify a 2xx answer that we cannot read: the venue did something, we do not know what."""
    return Fault(code="UNDECODABLE", reason=what, certain=False, retryable=True)


def _rule_of_code(code: int | None, message: str) -> Rule:
    if code is None:
        return Rule(False, False, "refused without the venue's own words")
    for special, start, rule in MESSAGES:
        if code == special and message.startswith(start):
            return rule
    return CODES.get(code, Rule(True, False, "refused"))


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
