"""I7: the order ledger that packs what is over is the ledger that never does, to every question."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts import event as ev
from engine.orders.ledger import OrderLedger
from tests.engine.charters import CHARTER

SESSIONS = ("aaaa", "bbbb", "cccc")
ENDS = ("rejected", "canceled", "expired")
KINDS = [
    "intended", "acknowledged", "unknown", "filled", "refused", "cancel_requested",
    "charter", "lost", *ENDS,
]  # fmt: skip


class _Unpacking(OrderLedger):
    """The same ledger that keeps everything as it is."""

    def _pack_ended(self, session_id: str) -> None:
        pass


def chartered(session: str) -> ev.SessionChartered:
    return ev.SessionChartered(session_id=session, charter=CHARTER)


def event(make: Any, kind: str, session: str, number: int) -> ev.AnyEvent:
    name = f"pk-{session}-{number:06d}" if number else f"web-{session}"
    venue_id = str(number)  # a wiped venue: the same ids in every session
    match kind:
        case "charter":
            return chartered(session)
        case "intended":
            return make.intended(name, session=session)
        case "filled":
            return make.filled(
                str(number), name=name, venue_order_id=venue_id, session=session, quantity="0.6"
            )
        case "refused":
            return make.filled(str(number), "NaN", name=name, session=session)
        case "acknowledged":
            return make.acknowledged(name, venue_id)
        case _:
            return getattr(make, kind)(name=name)


def answers(ledger: OrderLedger, make: Any) -> list[Any]:
    """Everything one can ask."""
    told: list[Any] = [
        ledger.open_orders(),
        ledger.unsettled(),
        ledger.lost(),
        ledger.unknown(),
        ledger.get("nobody"),
    ]
    for session in (*SESSIONS, "dddd"):
        told += [
            ledger.session_orders(session),
            list(ledger.latest(session)),
            ledger.count(session),
            ledger.sequence(session),
        ]
        for number in range(4):
            name = f"pk-{session}-{number:06d}" if number else f"web-{session}"
            fill = make.fill(str(number), "0.6", name=name)
            told += [
                ledger.get(name),
                ledger.told_quantity(name),
                ledger.told(session, fill),
                ledger.told(session, make.fill(str(number), "NaN", name=name)),
            ]
    told += [ledger.by_venue_id("BTCUSDT", str(number)) for number in range(4)]
    return told


#: An order's whole life, so that sessions do end while others go on.
LIVES = [
    ("intended", "acknowledged", "filled", "canceled"),
    ("intended", "rejected"),
    ("intended", "unknown", "filled", "refused", "expired", "filled"),
]
ONE = st.sampled_from([*LIVES, ("charter",), ("charter",), *((kind,) for kind in KINDS)])


@settings(max_examples=150)
@given(
    told=st.lists(st.tuples(ONE, st.sampled_from(SESSIONS), st.integers(0, 3)), max_size=25),
)
def test_i7_packed_sessions_answer_as_if_they_had_not_been(make: Any, told: list[Any]) -> None:
    packing, plain = OrderLedger(), _Unpacking()
    events = [event(make, kind, *of) for kinds, *of in told for kind in kinds]
    for record in make.recorded(events):
        assert packing.apply(record) == plain.apply(record)
    assert answers(packing, make) == answers(plain, make)
    assert packing.fills == list(packing._trades.values())


def test_what_is_over_is_packed_and_comes_back_with_a_late_trade(make: Any) -> None:
    ledger = OrderLedger()
    events: list[ev.AnyEvent] = [chartered("aaaa")]
    for number in range(1, 4):
        events += [
            event(make, kind, "aaaa", number) for kind in ("intended", "acknowledged", "canceled")
        ]
    events += [event(make, "intended", "bbbb", 1)]
    for record in make.recorded([*events, chartered("cccc")]):
        assert ledger.apply(record) is None
    assert list(ledger.orders) == ["pk-bbbb-000001"], "an open order keeps its session here"
    assert len(ledger.session_orders("aaaa")) == ledger.count("aaaa") == 3
    [late] = make.recorded([event(make, "filled", "aaaa", 2)])
    assert ledger.apply(late) is None
    assert [one.trade_id for one in ledger.fills] == ["2"]
    order = ledger.get("pk-aaaa-000002")
    assert order is not None
    assert order.filled_quantity == Decimal("0.6")
    [again] = make.recorded([event(make, "intended", "aaaa", 2)])
    refused = ledger.apply(again)
    assert refused is not None
    assert refused.code == "DUPLICATE_INTENT"
