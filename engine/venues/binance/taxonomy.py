"""Every failure of a request as one row of data: what it proves, what may follow, what to do.

A row answers four questions. Is the outcome **certain**, that is: did the request certainly have no
effect? May a **read** be repeated, and a **cancel**, and after what? What does the **operator** do?
A submit may never be sent again, whatever the row says: an id that was filled meanwhile is accepted
a second time (rest-api.md, New order), so an order in doubt ends only by asking the venue (I3).

The tables are walked by `errors`: HTTP status, then the venue's code (some codes by their message),
then the exception of the transport. What is in no table is not certain and not repeated.

Sources: errors.md, rest-api.md ("HTTP Return Codes", "IP Limits") of the Spot documentation and
reference/venue.md 2.5, 2.6 and 2.9. 4xx is the sender's fault; 5xx is "execution status UNKNOWN";
403 comes from the firewall in front of the exchange; 409 is a half-done request.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Again(Enum):
    """When the same request may be sent once more; the value is what the table prints."""

    NO = "no"
    BACKOFF = "after a pause"
    CLOCK = "with a new clock reading"
    SILENCE = "after Retry-After"


class Rule(msgspec.Struct, frozen=True):
    """One row. `certain`: the request certainly had no effect. `advice` is for the operator."""

    certain: bool
    read: Again
    cancel: Again
    meaning: str
    advice: str


_ASK = "Nothing to do: the venue is asked until it has told; send nothing in its place."
_WAIT = "Wait: cancels and proofs go out first, the rest follows when the venue listens again."
_FIX_ORDER = "Correct the order and send a new one."
_FIX_KEY = "Check the API key and its rights (peakctl doctor); trading is blocked until then."
_FIX_US = "This is a fault of ours: note the text in an incident and tell the developers."
_STATUS = "Look at the venue's status page; cancels and questions go on by themselves."


def _refused(meaning: str, advice: str = _FIX_US) -> Rule:
    """Refused before anything happened, and would be again."""
    return Rule(True, Again.NO, Again.NO, meaning, advice)


def _unknown(meaning: str, advice: str = _ASK) -> Rule:
    """It may have happened; asking again is free, and canceling again does no harm."""
    return Rule(False, Again.BACKOFF, Again.BACKOFF, meaning, advice)


def _doubtful(meaning: str, advice: str) -> Rule:
    """It may have happened, and the same request would end the same way."""
    return Rule(False, Again.NO, Again.NO, meaning, advice)


def _busy(meaning: str, advice: str = _WAIT) -> Rule:
    """Not accepted, and not before the venue's Retry-After is over."""
    return Rule(True, Again.SILENCE, Again.SILENCE, meaning, advice)


#: By HTTP status; ranges are inclusive and the first that holds decides. Where the rule is None
#: the venue's code decides alone; elsewhere a code of the table can only add doubt.
STATUSES: tuple[tuple[int, int, Rule | None], ...] = (
    (429, 429, _busy("too many requests or orders; not accepted")),
    (418, 418, _busy("banned for going on past 429; not accepted")),
    (403, 403, _doubtful("stopped by the venue's firewall, no word of the exchange", _STATUS)),
    (409, 409, _doubtful("half done", _ASK)),
    (408, 408, _unknown("the venue gave up waiting")),
    (400, 499, None),
    (500, 599, _unknown("failed inside the venue, execution status unknown")),
    (0, 999, _doubtful("not an answer of this API", "Check the venue's address in the config.")),
)

#: By the venue's code inside a 4xx answer.
CODES: dict[int, Rule] = {
    -1000: _unknown("unknown error while processing"),
    -1001: _unknown("internal error, disconnected"),
    -1002: _refused("not authorized", _FIX_KEY),
    -1003: _busy("too much request weight"),
    -1006: _unknown("unexpected response from the message bus, execution status unknown"),
    -1007: _unknown("timeout of the backend, execution status unknown"),
    -1008: _unknown("server overloaded", _STATUS),
    -1013: _refused("a filter of the symbol refuses the order", _FIX_ORDER),
    -1014: _refused("unsupported combination of order fields"),
    -1015: _busy("too many new orders", "Send fewer orders; new ones wait, cancels go through."),
    -1016: _unknown("the service is shutting down", _STATUS),
    -1020: _refused("the venue does not support this"),
    -1021: Rule(
        True,
        Again.CLOCK,
        Again.CLOCK,
        "timestamp outside of the window",
        "Send the order anew: the clock has been measured again. If it comes back, check the "
        "machine's clock and its line.",
    ),
    -1022: _refused("the signature is not valid", _FIX_KEY),
    -1100: _refused("illegal characters in a parameter"),
    -1101: _refused("too many parameters"),
    -1102: _refused("a mandatory parameter is missing, malformed or too large"),
    -1103: _refused("unknown parameter"),
    -1104: _refused("not all parameters were read"),
    -1105: _refused("a parameter is empty"),
    -1106: _refused("a parameter is not required here"),
    -1108: _refused("a parameter overflows", _FIX_ORDER),
    -1111: _refused("too many decimals in a parameter", _FIX_ORDER),
    -1112: _refused("no orders on the book", "Wait for a market, or send a limit order."),
    -1114: _refused("timeInForce is not required here"),
    -1115: _refused("invalid timeInForce", _FIX_ORDER),
    -1116: _refused("invalid order type", _FIX_ORDER),
    -1117: _refused("invalid side", _FIX_ORDER),
    -1118: _refused("the new client order id is empty"),
    -1119: _refused("the original client order id is empty"),
    -1120: _refused("invalid interval"),
    -1121: _refused("invalid symbol", "Check the symbols of the charter and of the config."),
    -1125: _refused("the listen key does not exist"),
    -1127: _refused("the time span is too long"),
    -1128: _refused("these optional parameters do not go together"),
    -1130: _refused("a parameter is not valid"),
    -1131: _refused("recvWindow is too large", "Set recv_window_ms to 60000 or less."),
    -1134: _refused("invalid strategyType"),
    -1135: _refused("invalid JSON"),
    -1145: _refused("invalid cancelRestrictions"),
    -1151: _refused("a symbol is named twice"),
    -1194: _refused("invalid time unit"),
    -2010: _refused("the exchange refused the order", _FIX_ORDER),
    -2011: _refused(
        "not open: filled, canceled or never there",
        "Nothing to do: the order is asked for, and a fill that won the race is recorded.",
    ),
    -2013: _refused("the venue has no such order", _ASK),
    -2014: _refused("malformed API key", _FIX_KEY),
    -2015: _refused("API key, address or permission refused", _FIX_KEY),
    -2016: _refused("no trading window for the symbol", "Choose another symbol or wait."),
    -2021: _doubtful("cancel-replace partly failed", _ASK),
    -2022: _refused("cancel-replace failed"),
    -2026: _refused("the order is in the venue's archive", "Ask the venue's support for it."),
    -2035: Rule(
        True,
        Again.BACKOFF,
        Again.NO,
        "the account is subscribed on this connection already",
        "Nothing to do: the stream is connected anew.",
    ),
    -2036: _refused("no subscription on this connection", "Nothing to do: it is made anew."),
}

#: Codes whose message decides: code, a part of the message (case ignored), rule. First match wins.
MESSAGES: tuple[tuple[int, str, Rule], ...] = (
    # Our ids are used once, so a duplicate means that a request of ours arrived twice on the way
    # and the first one may live: certain of this answer, not of the order.
    (-2010, "duplicate", _doubtful("an order with this id is open", _ASK)),
    (
        -2010,
        "insufficient balance",
        _refused("insufficient balance", "Lower the quantity, or free or deposit funds."),
    ),
    (
        -2010,
        "immediately match",
        _refused("a post-only order would have traded", "Choose a price behind the market."),
    ),
    (-2010, "market is closed", _refused("the symbol is not trading", "Wait until it trades.")),
    (
        -2010,
        "restricted",
        _refused("the account may not trade this symbol", "Take the symbol out of the charter."),
    ),
    (
        -2010,
        "not permitted",
        _refused("the account may not trade this symbol", "Take the symbol out of the charter."),
    ),
    (
        -2010,
        "may not place or cancel",
        _refused("trading is disabled for this account", "Stop the session, call the venue."),
    ),
    (
        -2010,
        "disabled on this account",
        _refused("trading is disabled for this account", "Stop the session, call the venue."),
    ),
    (
        -2011,
        "cancel restrictions",
        _refused("the order is not in the state that the cancel asked for", _ASK),
    ),
)

#: Transport failures and answers that are none, by the code we give them (see `errors.TRANSPORT`).
#: Only a connection that never came to be is certain.
OURS: dict[str, Rule] = {
    "CONNECT": Rule(
        True,
        Again.BACKOFF,
        Again.BACKOFF,
        "no connection to the venue",
        "Check the line and the venue's address; it is tried again by itself.",
    ),
    "TIMEOUT": _unknown("no answer in time"),
    "RESET": _unknown("connection broken or closed unanswered"),
    "UNDECODABLE": _unknown("an answer that cannot be read"),
    "TRANSPORT": _unknown("the request failed on its way"),
    "CLOSED": _refused("not sent: the connection to the venue is closed here", "Start anew."),
    "RATE_RESERVED": _refused("not sent: the rest of the rate budget is kept for cancels", _WAIT),
    "RATE_SILENCE": _busy("not sent: the venue refuses everything for a while"),
}

#: A code in no table: nothing is known, so nothing is claimed.
UNLISTED = _doubtful("refused with a code that is in no table", _FIX_US)
#: A 4xx answer without a code: perhaps not the exchange's.
SPEECHLESS = _doubtful("refused without the venue's own words", _STATUS)

SUBMIT_AGAIN = "never blind: ask by client order id first"


class TableRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row as it is printed; `group` is `HTTP status`, `code`, `message` or `transport`."""

    group: str
    key: str
    outcome: str
    submit: str
    read: str
    cancel: str
    meaning: str
    advice: str


def table_rows() -> tuple[TableRow, ...]:
    """Return the whole taxonomy for `peakctl session states --errors` and the docs."""
    rows = [
        _row("HTTP status", str(low) if low == high else f"{low}-{high}", rule)
        for low, high, rule in STATUSES
        if rule is not None
    ]
    rows += [_row("message", f'{code} "{part}"', rule) for code, part, rule in MESSAGES]
    rows += [_row("code", str(code), rule) for code, rule in CODES.items()]
    rows += [_row("code", "any other", UNLISTED), _row("code", "none", SPEECHLESS)]
    rows += [_row("transport", code, rule) for code, rule in OURS.items()]
    return tuple(rows)


def _row(group: str, key: str, rule: Rule) -> TableRow:
    return TableRow(
        group=group,
        key=key,
        outcome="certain: not executed" if rule.certain else "UNKNOWN",
        submit="as a new order only" if rule.certain else SUBMIT_AGAIN,
        read=rule.read.value,
        cancel=rule.cancel.value,
        meaning=rule.meaning,
        advice=rule.advice,
    )
