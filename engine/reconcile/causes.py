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


class Cause(msgspec.Struct, frozen=True):
    """One kind of difference. `owner` is the role that answers, "" when nobody must."""

    code: str
    subject: str
    klass: str
    owner: str
    text: str


_ROWS = (
    Cause("ORDER_ORPHAN", "orders", RED, "operator", "the venue has an order that we did not make"),
    Cause("ORDER_MISSING_ENGINE", "orders", RED, "operator", "the engine does not know the order"),
    Cause("ORDER_MISSING_JOURNAL", "orders", RED, "operator", "the journal has no such order"),
    Cause("ORDER_MISSING_VENUE", "orders", RED, "operator", "the venue does not show the order"),
    Cause("ORDER_TWICE", "orders", RED, "operator", "one side tells the order twice"),
    Cause("ORDER_UNKNOWN", "orders", YELLOW, "operator", "the order's outcome is in doubt"),
    Cause("ORDER_LATE", "orders", YELLOW, "operator", "ended at the venue, still open here"),
    Cause("ORDER_ENDING", "orders", YELLOW, "operator", "ended, but told differently"),
    Cause("ORDER_ALIVE", "orders", RED, "operator", "open at the venue, ended here"),
    Cause("ORDER_STATE", "orders", RED, "operator", "the states differ"),
    Cause("ORDER_VENUE_ID", "orders", RED, "operator", "the venue's ids differ"),
    Cause("ORDER_QUANTITY", "orders", RED, "operator", "the ordered quantities differ"),
    Cause("ORDER_FILLED", "orders", RED, "operator", "the filled quantities differ"),
    Cause("ORDER_PRICE", "orders", RED, "operator", "the prices differ"),
    Cause("FILL_ORPHAN", "fills", RED, "operator", "a trade of an order that we did not make"),
    Cause("FILL_MISSING_ENGINE", "fills", RED, "operator", "the engine missed the trade"),
    Cause("FILL_MISSING_JOURNAL", "fills", RED, "operator", "the journal has no such trade"),
    Cause("FILL_MISSING_VENUE", "fills", RED, "operator", "the venue does not show the trade"),
    Cause("FILL_TWICE", "fills", RED, "operator", "one side tells the trade twice"),
    Cause("FILL_PRICE", "fills", RED, "operator", "the trade's prices differ"),
    Cause("FILL_QUANTITY", "fills", RED, "operator", "the trade's quantities differ"),
    Cause("FILL_SIDE", "fills", RED, "operator", "the trade's sides differ"),
    Cause("FILL_ORDER", "fills", RED, "operator", "the trade is booked on different orders"),
    Cause("FEE_ROUNDING", "fees", GREEN, "", "the fees differ by rounding, at most 0.00000001"),
    Cause("FEE_AMOUNT", "fees", RED, "operator", "the fees differ"),
    Cause("FEE_ASSET", "fees", RED, "operator", "the fees are in different assets"),
    Cause("POSITION", "positions", RED, "operator", "the positions differ"),
    Cause("BALANCE_NOT_READ", "balances", YELLOW, "operator", "one side's balances are missing"),
    Cause("BALANCE_ROUNDING", "balances", GREEN, "", "differ by rounding, at most 0.00000001"),
    Cause("BALANCE", "balances", RED, "operator", "the balances differ"),
)

#: By code.
CAUSES: dict[str, Cause] = {cause.code: cause for cause in _ROWS}
