"""Every difference that a reconciliation can find, as a table: its class and who answers.

* green: explained by a rule (rounding in the last digit a venue keeps); listed, needs no answer;
* yellow: not yet a difference in money, but not an agreement; the operator answers it;
* red: money, an order or a record is not what another side says; the operator answers it and the
  reviewer must have seen it. The session cannot be sealed without the answers.

A new cause is a new row and a test.
"""

from __future__ import annotations

import msgspec

GREEN, YELLOW, RED = "green", "yellow", "red"

#: The watch's own: a difference on which there is no verdict, because it moved during both looks.
IN_MOTION = "IN_MOTION"


class Cause(msgspec.Struct, frozen=True):
    """One kind of difference: what differs, and what most likely lies behind it.

    `owner` is the role that answers, "" when nobody must.
    """

    code: str
    subject: str
    klass: str
    owner: str
    text: str
    likely: str


_ALIEN = "somebody else uses the account, or one of our ids was used outside of the engine"
_STREAM = "the user stream lost or has not yet brought the report; the next look asks for it"
_RECORD = "the journal or its store was changed or damaged; verify the journal, rebuild the store"
_FOLD = "a fault of the engine's ledgers: they are not the fold of the journal"
_WIPE = "the venue was wiped (a test exchange), hides it for now, or is another venue"
_REPLACED = "the id was used again, or the order was changed at the venue by somebody else"
_AMENDED = "the order was changed at the venue outside of the engine"
_BUST = "the venue corrected or took back the trade, or a record was changed"
_MOVED = "money came or went outside of the session: a deposit, a transfer, somebody else's trade"

_ROWS = (
    Cause(
        "ORDER_ORPHAN",
        "orders",
        RED,
        "operator",
        "the venue has an order that we did not make",
        _ALIEN,
    ),
    Cause(
        "ORDER_ORPHAN_ENDED",
        "orders",
        YELLOW,
        "operator",
        "an order that we did not make has ended and traded nothing",
        _ALIEN,
    ),
    Cause(
        "ORDER_MISSING_ENGINE",
        "orders",
        RED,
        "operator",
        "the engine does not know the order",
        _FOLD,
    ),
    Cause(
        "ORDER_MISSING_JOURNAL",
        "orders",
        RED,
        "operator",
        "the journal has no such order",
        _RECORD,
    ),
    Cause(
        "ORDER_MISSING_VENUE",
        "orders",
        RED,
        "operator",
        "the venue does not show the order",
        _WIPE,
    ),
    Cause(
        "ORDER_TWICE",
        "orders",
        RED,
        "operator",
        "one side tells the order twice",
        "the venue took an id a second time, or a record was repeated",
    ),
    Cause(
        "ORDER_UNKNOWN",
        "orders",
        YELLOW,
        "operator",
        "the order's outcome is in doubt",
        "a request was not answered; the venue is being asked",
    ),
    Cause(
        "ORDER_LATE",
        "orders",
        YELLOW,
        "operator",
        "ended at the venue, still open here",
        _STREAM,
    ),
    Cause(
        "ORDER_ENDING",
        "orders",
        YELLOW,
        "operator",
        "ended, but told differently",
        "a cancel and an expiry met at the venue",
    ),
    Cause(
        "ORDER_ALIVE",
        "orders",
        RED,
        "operator",
        "open at the venue, ended here",
        "a lagging answer of the venue, or its cancel was not carried out",
    ),
    Cause("ORDER_STATE", "orders", RED, "operator", "the states differ", _FOLD),
    Cause("ORDER_VENUE_ID", "orders", RED, "operator", "the venue's ids differ", _REPLACED),
    Cause("ORDER_QUANTITY", "orders", RED, "operator", "the ordered quantities differ", _AMENDED),
    Cause("ORDER_FILLED", "orders", RED, "operator", "the filled quantities differ", _STREAM),
    Cause("ORDER_PRICE", "orders", RED, "operator", "the prices differ", _AMENDED),
    Cause(
        "FILL_ORPHAN",
        "fills",
        RED,
        "operator",
        "a trade of an order that we did not make",
        _ALIEN,
    ),
    Cause("FILL_MISSING_ENGINE", "fills", RED, "operator", "the engine missed the trade", _STREAM),
    Cause(
        "FILL_MISSING_JOURNAL",
        "fills",
        RED,
        "operator",
        "the journal has no such trade",
        _STREAM,
    ),
    Cause(
        "FILL_MISSING_VENUE",
        "fills",
        RED,
        "operator",
        "the venue does not show the trade",
        _WIPE,
    ),
    Cause(
        "FILL_TWICE",
        "fills",
        RED,
        "operator",
        "one side tells the trade twice",
        "a record was repeated, or the venue used a trade id again",
    ),
    Cause("FILL_PRICE", "fills", RED, "operator", "the trade's prices differ", _BUST),
    Cause("FILL_QUANTITY", "fills", RED, "operator", "the trade's quantities differ", _BUST),
    Cause("FILL_SIDE", "fills", RED, "operator", "the trade's sides differ", _BUST),
    Cause(
        "FILL_ORDER",
        "fills",
        RED,
        "operator",
        "the trade is booked on different orders",
        _REPLACED,
    ),
    Cause(
        "FEE_ROUNDING",
        "fees",
        GREEN,
        "",
        "the fees differ by rounding, at most 0.00000001",
        "the venue keeps eight places",
    ),
    Cause(
        "FEE_AMOUNT",
        "fees",
        RED,
        "operator",
        "the fees differ",
        "another fee tier or discount than the report said",
    ),
    Cause(
        "FEE_ASSET",
        "fees",
        RED,
        "operator",
        "the fees are in different assets",
        "the discount asset was switched on or off, or ran out",
    ),
    Cause(
        "POSITION",
        "positions",
        RED,
        "operator",
        "the positions differ",
        "a trade is missing on one side; see the fills",
    ),
    Cause(
        "BALANCE_NOT_READ",
        "balances",
        YELLOW,
        "operator",
        "one side's balances are missing",
        "there was no opening reading: the session was never live",
    ),
    Cause(
        "BALANCE_ROUNDING",
        "balances",
        GREEN,
        "",
        "differ by rounding, at most 0.00000001",
        "the venue keeps eight places",
    ),
    Cause("BALANCE", "balances", RED, "operator", "the balances differ", _MOVED),
    Cause(
        IN_MOTION,
        "orders",
        YELLOW,
        "operator",
        "differs, but was moving while it was looked at, twice",
        "orders trade faster than two looks; no verdict until it stands still",
    ),
)

#: By code.
CAUSES: dict[str, Cause] = {cause.code: cause for cause in _ROWS}
