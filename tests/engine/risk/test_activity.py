"""The fold behind rates and cooldowns: what it counts, over restarts, sessions and clock steps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import event as ev
from engine.contracts.decision import Check, Verdict, decide_all
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Side
from engine.contracts.people import ENGINE
from engine.contracts.session import Charter, Mode
from engine.risk.activity import DAY_US, Activity, Times

D = Decimal
ALLOWED = decide_all((Check(code="X", verdict=Verdict.ALLOW, text="x"),))


@given(st.lists(st.integers(-50, 50)), st.integers(-60, 60))
def test_times_after_are_those_that_a_look_at_all_finds(times: list[int], since: int) -> None:
    kept = Times()
    for at in times:
        kept.add(at)
    assert kept.after(since) == tuple(at for at in times if at > since)


class Story:
    """Events one after the other, as the journal would hold them."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.told: list[ev.Recorded] = []
        self.fold = Activity()

    def tell(self, ts_us: int, event: ev.AnyEvent) -> None:
        recorded = ev.Recorded(seq=len(self.told), ts_us=ts_us, actor=ENGINE, event=event)
        self.told.append(recorded)
        self.fold.apply(recorded)

    def intend(self, ts_us: int, session: str = "a") -> None:
        intent = self.world.intent(client_order_id=f"pk-{session}-{len(self.told):06d}")
        self.tell(
            ts_us,
            ev.OrderIntended(
                session_id=session,
                intent=intent,
                intent_sha256=intent.intent_sha256(),
                owner="alice",
                decision=ALLOWED,
            ),
        )

    def fill(
        self, ts_us: int, side: Side, quantity: str, price: str, fee: str = "0", **more: Any
    ) -> None:
        fill = Fill(
            symbol="BTCUSDT",
            trade_id=str(len(self.told)),
            client_order_id="x",
            venue_order_id="1",
            side=side,
            price=D(price),
            quantity=D(quantity),
            fee=D(fee),
            fee_asset="USDT",
            liquidity=Liquidity.TAKER,
            time_us=ts_us,
        )
        event = ev.OrderFilled(session_id=more.pop("session", "a"), fill=fill)
        self.tell(ts_us, msgspec.structs.replace(event, fill=msgspec.structs.replace(fill, **more)))

    def charter(self, session: str) -> None:
        charter = Charter(
            mode=Mode.PAPER,
            venue="sandbox",
            account="demo",
            instruments=("BTCUSDT",),
            limits=self.world.LIMITS,
            window_from_us=0,
            window_until_us=1,
            operator="alice",
            reviewer="bob",
            runbook="session",
            attendance_seconds=15,
        )
        self.tell(0, ev.SessionChartered(session_id=session, charter=charter))


@pytest.fixture
def story(world: Any) -> Story:
    return Story(world)


def test_orders_and_cancels_count_in_all_sessions_and_by_utc_day(story: Story) -> None:
    story.intend(DAY_US - 1)
    story.charter("b")
    story.intend(DAY_US, session="b")
    story.tell(DAY_US, ev.CancelRequested(client_order_id="x", cancel_id="x-c", cause="person"))
    story.tell(
        DAY_US + 1,
        ev.OrphanCancelRequested(
            session_id="b",
            symbol="BTCUSDT",
            client_order_id="web",
            venue_order_id="9",
            cancel_id="c",
            reason="not ours",
        ),
    )
    fold = story.fold
    assert fold.orders.after(0) == (DAY_US - 1, DAY_US)
    assert (fold.orders_of_day(DAY_US - 1), fold.orders_of_day(DAY_US)) == (1, 1)
    assert (fold.cancels_of_day(DAY_US - 1), fold.cancels_of_day(DAY_US + 5)) == (0, 2)
    assert fold.cancels.after(DAY_US) == (DAY_US + 1,)


def test_rejects_are_kept_with_their_times(story: Story) -> None:
    story.tell(7, ev.OrderRejected(client_order_id="x", code="-2010", reason="no"))
    assert story.fold.rejects.after(6) == (7,)


@pytest.mark.parametrize(
    ("second", "lost"),
    [
        ((Side.SELL, "1", "99.99"), True),
        ((Side.SELL, "0.5", "99.99"), True),  # a part of it is a loss as well
        ((Side.SELL, "3", "99.99"), True),  # through zero, too
        ((Side.SELL, "1", "100"), False),  # nothing won, nothing lost
        ((Side.SELL, "1", "100.01"), False),
        ((Side.SELL, "1", "100.01", "0.02"), True),  # the fee eats it
        ((Side.BUY, "1", "90"), False),  # adds to the position
        ((Side.BUY, "1", "90", "5"), False),
    ],
)
def test_close_for_less_than_it_cost_is_a_loss(
    story: Story, second: tuple[Any, ...], lost: bool
) -> None:
    story.fill(1, Side.BUY, "1", "100", "1")
    story.fill(2, *second)
    assert story.fold.losses.after(0) == ((2,) if lost else ())


def test_short_that_is_bought_back_higher_is_a_loss(story: Story) -> None:
    story.fill(1, Side.SELL, "1", "100")
    story.fill(2, Side.BUY, "1", "101")
    assert story.fold.losses.after(0) == (2,)


def test_fee_of_opening_again_is_no_loss(story: Story) -> None:
    story.fill(1, Side.BUY, "1", "100")
    story.fill(2, Side.SELL, "1", "101")
    story.fill(3, Side.BUY, "1", "100", "1")
    assert story.fold.losses.after(0) == ()


def test_trade_told_twice_loses_once(story: Story) -> None:
    story.fill(1, Side.BUY, "2", "100", trade_id="t1")
    story.fill(2, Side.SELL, "1", "90", trade_id="t2")
    story.fill(3, Side.SELL, "1", "90", trade_id="t2")
    assert story.fold.losses.after(0) == (2,)


def test_position_of_an_earlier_session_is_not_closed_by_this_one(story: Story) -> None:
    story.charter("a")
    story.fill(1, Side.BUY, "1", "100")
    story.charter("b")
    story.fill(2, Side.SELL, "1", "90", session="b")
    assert story.fold.losses.after(0) == ()


def test_restart_forgets_nothing(story: Story) -> None:
    story.fill(1, Side.BUY, "1", "100")
    story.intend(DAY_US - 5)
    story.fill(2, Side.SELL, "1", "90")
    again = Activity()
    for recorded in story.told:
        again.apply(recorded)
    assert again.losses.after(0) == story.fold.losses.after(0) == (2,)
    assert again.orders_of_day(5) == 1
