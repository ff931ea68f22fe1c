"""What single acts of dual control demand of the state, and what they journal."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import InputError, Refused
from engine.contracts.event import BreakAnswered, OrphanAdopted
from engine.contracts.order import OrderType, Side
from engine.contracts.session import SessionState
from engine.execution.consent.adopt_act import AdoptAct
from engine.execution.consent.close_act import CloseBreakAct
from engine.execution.consent.dual_act import Grant
from engine.governance.session import ReconState
from engine.orders.orphans import ADOPTED, Orphan
from engine.reconcile.report import Break, Report
from engine.venues.port import OrderReport, VenueQueryFailed

GRANT = Grant(
    request_id="0123456789ab",
    document="{}",
    document_sha256="0" * 64,
    reason="found out",
    operator="alice",
    reviewer="bob",
    operator_signature="a",
    reviewer_signature="b",
    requested_by="alice",
)


def one_break(number: int, klass: str) -> Break:
    return Break(
        id=f"B{number:04d}",
        klass=klass,
        subject="fills",
        key=f"BTCUSDT:{number}",
        engine="-",
        journal="-",
        venue="0.01 at 60000",
        cause="FILL_MISSING_ENGINE: the engine has not seen it",
        owner="operator",
    )


def recon(run_id: str = "r1") -> ReconState:
    breaks = (one_break(1, "red"), one_break(2, "red"), one_break(3, "yellow"))
    report = Report(
        run_id=run_id, session_id="s1", at_us=1, compared={"fills": 3}, breaks=breaks
    ).to_document()
    return ReconState(
        run_id=run_id,
        report=report.decode(),
        sha256=sha256_hex(report),
        compared={},
        breaks={},
        at_us=1,
    )


def state(**session: Any) -> Any:
    words: dict[str, Any] = {
        "id": "s1",
        "ended": False,
        "state": SessionState.LIVE,
        "charter": SimpleNamespace(instruments=("BTCUSDT",)),
        "recon": recon(),
        **session,
    }
    orphan = Orphan(
        session_id="s1",
        symbol="BTCUSDT",
        client_order_id="web-1",
        venue_order_id="77",
        side=Side.BUY,
        price=Decimal(60_000),
        quantity=Decimal("0.01"),
        found_us=1,
    )
    book = {"web-1": orphan}
    return SimpleNamespace(
        sessions=SimpleNamespace(current=SimpleNamespace(**words)),
        orders=SimpleNamespace(get=lambda _name: None),
        orphans=SimpleNamespace(named=lambda _symbol, name: book.get(name), book=book),
    )


# --- red breaks ----------------------------------------------------------------------------------


def test_several_red_breaks_are_named_with_what_the_sides_say_and_answered_together() -> None:
    act, now = CloseBreakAct(), state()
    subject = act.describe(now, {"run_id": "r1", "break_ids": "B0001, B0002,B0001"})
    assert "venue 0.01 at 60000" in subject["break B0001"]
    assert subject["report_sha256"] == now.sessions.current.recon.sha256
    act.check(now, subject)
    events = act.events(now, subject, GRANT)
    assert [(one.break_id, one.answer, one.grant_id) for one in events] == [
        ("B0001", "found out", GRANT.request_id),
        ("B0002", "found out", GRANT.request_id),
    ]
    assert all(isinstance(one, BreakAnswered) for one in events)


@pytest.mark.parametrize("ids", ["", " ,", "B0003", "B0009", "B0001,B0003", "x" * 99])
def test_only_red_breaks_of_the_report_are_closed(ids: str) -> None:
    with pytest.raises(InputError):
        CloseBreakAct().describe(state(), {"run_id": "r1", "break_ids": ids})


def test_a_closing_dies_with_its_run_its_report_and_its_use() -> None:
    act, now = CloseBreakAct(), state()
    subject = act.describe(now, {"run_id": "r1", "break_ids": "B0001"})
    for other, code in ((recon("r2"), "RUN_CHANGED"), (None, "RUN_CHANGED")):
        with pytest.raises(Refused) as refused:
            act.check(state(recon=other), subject)
        assert refused.value.code == code
    with pytest.raises(Refused, match="another one"):
        act.check(now, {**subject, "report_sha256": "0" * 64})
    with pytest.raises(Refused, match="no red break"):
        act.check(now, {**subject, "break B0001": "nothing to see"})
    now.sessions.current.recon.granted.add("B0001")
    with pytest.raises(Refused, match="closed already"):
        act.check(now, subject)


# --- orphans -------------------------------------------------------------------------------------


class VenueOfOne:
    """Shows one order, or nothing, or does not answer."""

    def __init__(self) -> None:
        self.shown: OrderReport | None = OrderReport(
            symbol="BTCUSDT",
            client_order_id="web-1",
            venue_order_id="77",
            side=Side.BUY,
            status="NEW",
            price=Decimal("60000.00"),
            quantity=Decimal("0.010"),
            filled_quantity=Decimal(0),
            filled_quote=Decimal(0),
            time_us=1,
        )
        self.silent = False

    async def order(self, _symbol: str, _name: str) -> OrderReport | None:
        if self.silent:
            raise VenueQueryFailed(what="no answer")
        return self.shown


ASKED = {"symbol": "BTCUSDT", "client_order_id": "web-1"}


def adopt(venue: Any) -> AdoptAct:
    return AdoptAct(None, None, venue)  # type: ignore[arg-type]  (neither is asked here)


async def test_an_orphan_is_adopted_as_it_was_signed_and_as_the_venue_shows_it() -> None:
    act, now = adopt(VenueOfOne()), state()
    subject = act.describe(now, ASKED)
    act.check(now, subject)
    measured = await act.measure(subject)
    assert measured.denied is None
    assert measured.values["status"] == "NEW"
    (event,) = act.events(now, subject, GRANT)
    assert isinstance(event, OrphanAdopted)
    assert (event.intent.type, event.intent.price, event.owner) == (
        OrderType.LIMIT,
        Decimal(60_000),
        "alice",
    )


async def test_an_order_that_is_gone_or_another_by_now_is_not_adopted() -> None:
    venue = VenueOfOne()
    act, now = adopt(venue), state()
    subject = act.describe(now, ASKED)
    for wrong in ({"quantity": "0.02"}, {"venue_order_id": "78"}, {"side": "SELL"}):
        measured = await act.measure({**subject, **wrong})
        assert measured.denied is not None
        assert measured.denied.code == "ORPHAN_CHANGED"
        with pytest.raises(Refused) as refused:
            act.check(now, {**subject, **wrong})
        assert refused.value.code == "ORPHAN_CHANGED"
    venue.shown = None
    gone = await act.measure(subject)
    assert gone.denied is not None
    venue.silent = True
    unknown = await act.measure(subject)
    assert unknown.denied is not None
    assert (gone.denied.code, unknown.denied.code) == ("NOT_SHOWN", "NOT_KNOWN")


@pytest.mark.parametrize(
    ("session", "code"),
    [
        ({"state": SessionState.CHECKLIST}, "NOT_TRADING"),
        ({"state": SessionState.RECONCILED}, "NOT_TRADING"),
        ({"charter": SimpleNamespace(instruments=("ETHUSDT",))}, "SYMBOL"),
        ({"ended": True}, "NO_SESSION"),
    ],
)
def test_a_session_that_cannot_take_it_in_does_not(session: dict[str, Any], code: str) -> None:
    act = adopt(VenueOfOne())
    subject = act.describe(state(), ASKED)
    with pytest.raises(Refused) as refused:
        act.check(state(**session), subject)
    assert refused.value.code == code


def test_what_is_adopted_already_or_was_never_found_is_not_adopted() -> None:
    act, now = adopt(VenueOfOne()), state()
    subject = act.describe(now, ASKED)
    with pytest.raises(InputError, match="no such orphan"):
        act.describe(now, {**ASKED, "client_order_id": "nobody"})
    book = now.orphans.book
    book["web-1"] = type(book["web-1"])(
        **{name: getattr(book["web-1"], name) for name in Orphan.__struct_fields__}
        | {"state": ADOPTED, "by": "bob"}
    )
    with pytest.raises(Refused, match="adopted already, by bob"):
        act.check(now, subject)
