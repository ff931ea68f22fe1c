"""The loss breakers: what each measures, when it trips, and that no restart measures anew."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import event as ev
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Side
from engine.contracts.people import ENGINE
from engine.contracts.session import BreakerTerms, Charter, Mode, SessionState
from engine.risk.breakers import (
    DAY_US,
    HARD_DRAWDOWN_BPS,
    HOUR_US,
    OF_SESSION,
    WEEK_US,
    Action,
    SessionLoss,
    breakers,
    readings,
)
from engine.risk.losses import PEAK_STEP_BPS, LossBook

D = Decimal
NOW = 100 * DAY_US
TERMS = BreakerTerms(
    max_day_loss=D(50),
    max_week_loss=D(80),
    max_drawdown_bps=1000,
    max_losses_in_a_row=2,
    max_pauses_per_hour=1,
)


class Story:
    """Events as the journal would hold them, folded as they come."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.told: list[ev.Recorded] = []
        self.book = LossBook()
        self.session = SessionLoss(limit=D(30), realised=D(0), marked=D(0))

    def tell(self, event: ev.AnyEvent, ts_us: int = NOW) -> None:
        self.told.append(ev.Recorded(seq=len(self.told), ts_us=ts_us, actor=ENGINE, event=event))
        self.book.apply(self.told[-1])

    def charter(self, session: str = "a", instruments: tuple[str, ...] = ("BTCUSDT",)) -> None:
        charter = Charter(
            mode=Mode.PAPER,
            venue="sandbox",
            account="demo",
            instruments=instruments,
            limits=self.world.LIMITS,
            window_from_us=0,
            window_until_us=1,
            operator="alice",
            reviewer="bob",
            runbook="session",
            attendance_seconds=15,
        )
        self.tell(ev.SessionChartered(session_id=session, charter=charter))

    def balance(self, free: str, locked: str = "0") -> None:
        balances = {"USDT": (D(free), D(locked)), "BTC": (D(5), D(0))}
        self.tell(ev.BalancesRead(session_id="a", moment="opening", balances=balances))

    def fill(self, side: Side, quantity: str, price: str, ts_us: int = NOW, **more: Any) -> None:
        fill = Fill(
            symbol="BTCUSDT",
            trade_id=str(len(self.told)),
            client_order_id=f"o{len(self.told)}",
            venue_order_id="1",
            side=side,
            price=D(price),
            quantity=D(quantity),
            fee=D(0),
            fee_asset="USDT",
            liquidity=Liquidity.TAKER,
            time_us=ts_us,
        )
        self.tell(ev.OrderFilled(session_id="a", fill=msgspec.structs.replace(fill, **more)), ts_us)

    def trip(self, buy: str, sell: str, ts_us: int = NOW) -> None:
        """One round trip of one coin."""
        self.fill(Side.BUY, "1", buy, ts_us)
        self.fill(Side.SELL, "1", sell, ts_us)

    def move(self, after: SessionState, cause: str, ts_us: int = NOW) -> None:
        self.tell(
            ev.SessionMoved(session_id="a", before=SessionState.LIVE, after=after, cause=cause),
            ts_us,
        )

    def used(self, name: str, mark: str = "100", now_us: int = NOW) -> Decimal | None:
        (one,) = [one for one in self.readings(mark, now_us) if one.breaker.name == name]
        return one.used

    def readings(self, mark: str | None = "100", now_us: int = NOW) -> Any:
        marks = {} if mark is None else {"BTCUSDT": D(mark)}
        return readings(self.book, TERMS, "USDT", marks, now_us, self.session)

    def over(self, mark: str = "100", now_us: int = NOW) -> set[str]:
        return {one.breaker.name for one in self.readings(mark, now_us) if one.over}

    def refolded(self) -> LossBook:
        book = LossBook()
        for recorded in self.told:
            book.apply(recorded)
        return book


@pytest.fixture
def story(world: Any) -> Story:
    story = Story(world)
    story.charter()
    story.balance("900", "100")
    return story


def test_each_row_says_what_follows_and_who_lifts_it() -> None:
    rows = {row.name: row for row in breakers(TERMS, "USDT", D(30))}
    assert {name for name, row in rows.items() if row.action is Action.KILL} == {
        "DRAWDOWN",
        "AUTO_PAUSES",
    }
    assert rows["DAY_LOSS"].lifted_by.startswith("operator, by resuming once")
    assert rows["LOSSES_IN_A_ROW"].lifted_by == "operator, by resuming"
    assert [rows[name].limit for name in OF_SESSION] == [30, 30]
    assert rows["DRAWDOWN"].lifted_by.startswith("operator and reviewer")
    assert (rows["DAY_LOSS"].unit, rows["DAY_LOSS"].look_back_us) == ("USDT", DAY_US)


def test_drawdown_stops_hard_at_twenty_percent_whatever_the_terms_say() -> None:
    for asked, given_ in ((9_999, 2_000), (2_000, 2_000), (1_999, 1_999)):
        terms = msgspec.structs.replace(TERMS, max_drawdown_bps=asked)
        (row,) = [one for one in breakers(terms, "USDT", D(30)) if one.name == "DRAWDOWN"]
        assert row.limit == given_
    assert HARD_DRAWDOWN_BPS == 2_000


@pytest.mark.parametrize(
    ("name", "span", "limit"), [("DAY_LOSS", DAY_US, 50), ("WEEK_LOSS", WEEK_US, 80)]
)
def test_loss_counts_for_its_look_back_and_trips_over_its_limit(
    story: Story, name: str, span: int, limit: int
) -> None:
    story.trip("100", str(100 - limit))
    assert story.used(name) == limit
    assert name not in story.over()
    story.trip("100", "99.99")
    assert {name, f"{name}_MARKED"} <= story.over(now_us=NOW + span - 1)
    assert story.used(name, now_us=NOW + span) == 0
    assert story.used(name, now_us=NOW - 5) == limit + D("0.01")  # the clock was set back


def test_the_sessions_loss_counts_realised_and_marked_each_alone(story: Story) -> None:
    story.session = SessionLoss(limit=D(30), realised=D(-30), marked=D(40))
    assert [story.used(name) for name in OF_SESSION] == [30, 0]
    assert story.over() == set()
    story.session = SessionLoss(limit=D(30), realised=D("-30.01"), marked=D(40))
    assert story.over() == {"SESSION_LOSS"}
    story.session = SessionLoss(limit=D(30), realised=D(0), marked=D("-30.01"))
    assert story.over() == {"SESSION_LOSS_MARKED"}
    story.session = SessionLoss(limit=D(30), realised=D(0), marked=None)
    assert story.used("SESSION_LOSS_MARKED") is None


def test_profit_is_no_loss(story: Story) -> None:
    story.trip("100", "130")
    assert story.used("DAY_LOSS") == 0
    assert story.over() == set()


def test_what_is_held_counts_at_its_mark(story: Story) -> None:
    story.fill(Side.BUY, "2", "100")
    assert story.used("DAY_LOSS", "70") == 0
    assert story.used("DAY_LOSS_MARKED", "70") == 60
    assert "DAY_LOSS_MARKED" in story.over("70")


def test_what_has_no_mark_is_not_known_and_trips_nothing(story: Story) -> None:
    story.fill(Side.BUY, "2", "100")
    seen = {one.breaker.name: one for one in story.readings(None)}
    for name in ("DAY_LOSS_MARKED", "WEEK_LOSS_MARKED", "DRAWDOWN"):
        assert seen[name].used is None
        assert not seen[name].over
        assert seen[name].row().used_percent == 100
    assert seen["DAY_LOSS"].used == 0


def test_flat_symbol_needs_no_mark(story: Story) -> None:
    story.trip("100", "90")
    assert {one.breaker.name: one.used for one in story.readings(None)}["DAY_LOSS_MARKED"] == 10


def test_drawdown_is_from_the_highest_equity_at_a_fill(story: Story) -> None:
    story.fill(Side.BUY, "1", "100")
    assert story.used("DRAWDOWN") == 0
    story.fill(Side.BUY, "1", "200")  # the first coin is worth 200 now: 1100
    assert story.book.peak == 1100
    assert story.used("DRAWDOWN", "145") == 1000
    assert "DRAWDOWN" not in story.over("145")
    assert "DRAWDOWN" in story.over("144.99")


def test_a_peak_between_two_fills_is_recorded_and_measured_from(story: Story) -> None:
    """What was held rose to 1100 and fell again, without a fill: the fall is from there."""
    story.fill(Side.BUY, "1", "100")
    for mark, peak in (("100", None), ("99", None), ("100.5", None), ("100.501", D("1000.501"))):
        assert story.book.new_peak({"BTCUSDT": D(mark)}) == peak
    assert PEAK_STEP_BPS == 5
    assert story.book.new_peak({}) is None
    assert (story.book.holds("BTCUSDT"), story.book.holds("ETHUSDT")) == (True, False)
    story.tell(ev.EquityPeaked(session_id="a", equity=D(1100), marks={"BTCUSDT": D(200)}))
    assert (story.book.peak, story.used("DRAWDOWN", "90")) == (1100, 1000)
    assert story.over("90") == set()
    assert "DRAWDOWN" in story.over("89.99")
    story.tell(ev.EquityPeaked(session_id="a", equity=D(1050), marks={}))  # late: changes nothing
    story.tell(ev.EquityPeaked(session_id="a", equity=D("NaN"), marks={}))
    assert story.book.peak == story.refolded().peak == 1100
    story.trip("100", "100")
    assert not story.book.holds("ETHUSDT")
    story.charter("b")
    story.tell(ev.EquityPeaked(session_id="b", equity=D(1100), marks={}))
    assert story.book.peak is None  # no balance was read yet: there is no equity
    assert story.book.new_peak({"BTCUSDT": D(500)}) is None


def test_a_flat_book_has_no_peak_between_fills(story: Story) -> None:
    story.trip("100", "90")
    assert not story.book.holds("BTCUSDT")
    assert story.book.new_peak({"BTCUSDT": D(500)}) is None


def test_two_people_who_release_lift_the_pauses_that_led_to_the_kill(story: Story) -> None:
    for at_us in (NOW, NOW + 1):
        story.move(SessionState.PAUSED, "risk_pause", at_us)
    assert story.over(now_us=NOW + 2) == {"AUTO_PAUSES"}
    story.tell(
        ev.LatchReleased(
            kill_id="k",
            reason="looked",
            document="",
            document_sha256="",
            operator_signature="",
            reviewer_signature="",
        )
    )
    assert story.over(now_us=NOW + 2) == set()
    assert story.used("AUTO_PAUSES", now_us=NOW + 2) == 0


def test_peak_stays_when_equity_falls(story: Story) -> None:
    story.trip("100", "150")
    story.trip("100", "90")
    assert (story.book.peak, story.book.equity) == (1050, 1040)


def test_drawdown_needs_an_opening_balance_above_nothing(world: Any) -> None:
    bare = Story(world)
    bare.charter()
    assert bare.used("DRAWDOWN") is None
    bare.balance("0")
    assert bare.used("DRAWDOWN") is None
    assert "DRAWDOWN" not in bare.over()


def test_two_quote_currencies_have_no_equity(world: Any) -> None:
    bare = Story(world)
    bare.charter(instruments=("BTCUSDT", "ETHBTC"))
    bare.balance("100")
    assert bare.book.equity is None


def test_losing_closes_in_a_row_count_by_order(story: Story) -> None:
    story.trip("100", "99")
    story.fill(Side.BUY, "2", "100")
    story.fill(Side.SELL, "1", "99", client_order_id="same")
    story.fill(Side.SELL, "1", "99", client_order_id="same")
    assert story.used("LOSSES_IN_A_ROW") == 2
    assert "LOSSES_IN_A_ROW" not in story.over()
    story.trip("100", "99")
    assert "LOSSES_IN_A_ROW" in story.over()
    story.trip("100", "100")  # nothing lost ends the row
    assert story.used("LOSSES_IN_A_ROW") == 0


def test_resuming_lifts_and_the_row_begins_again(story: Story) -> None:
    story.trip("100", "99")
    tripped = ev.BreakerTripped(
        session_id="a",
        name="LOSSES_IN_A_ROW",
        action="PAUSE",
        value=D(3),
        limit=D(2),
        unit="orders",
        lifted_by="x",
    )
    story.tell(tripped)
    assert story.book.tripped == {"LOSSES_IN_A_ROW"}
    story.move(SessionState.LIVE, "resume")
    assert (story.book.tripped, story.used("LOSSES_IN_A_ROW")) == (set(), 0)
    assert story.used("DAY_LOSS") == 1  # a loss stays a loss


def test_automatic_pauses_count_for_an_hour_and_those_of_people_do_not(story: Story) -> None:
    for cause in ("risk_pause", "pause"):
        story.move(SessionState.PAUSED, cause)
    assert story.over() == set()
    story.move(SessionState.PAUSED, "attendance_lost", NOW + 1)
    assert story.over(now_us=NOW + HOUR_US - 1) == {"AUTO_PAUSES"}
    assert story.over(now_us=NOW + HOUR_US) == set()


def test_loss_of_an_earlier_session_is_not_forgotten_by_a_new_one(story: Story) -> None:
    story.fill(Side.BUY, "1", "100")
    story.charter("b")
    assert story.used("DAY_LOSS_MARKED", "40") == 60
    assert story.book.peak is None


def test_trade_told_twice_counts_once(story: Story) -> None:
    story.trip("100", "90")
    told = story.told[-1].event
    story.tell(told)
    assert story.used("DAY_LOSS") == 10


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(90, 110)), max_size=12), st.integers(-10, 10)
)
def test_earned_after_a_moment_is_what_a_look_at_all_finds(
    world: Any, trips: list[tuple[int, int]], since: int
) -> None:
    story = Story(world)
    for ts_us, sell in trips:
        story.trip("100", str(sell), ts_us)
    expected = sum(sell - 100 for ts_us, sell in trips if ts_us > since)
    assert story.book.earned_after(since) == expected


_STEPS = st.lists(
    st.tuples(st.sampled_from(list(Side)), st.integers(1, 3), st.integers(80, 120)), max_size=20
)


@given(_STEPS, st.integers(70, 130))
def test_restart_measures_nothing_anew(world: Any, steps: Any, mark: int) -> None:
    story = Story(world)
    story.charter()
    story.balance("1000")
    for side, quantity, price in steps:
        story.fill(side, str(quantity), str(price))
    before = story.readings(str(mark))
    story.book = story.refolded()
    assert story.readings(str(mark)) == before
    assert all(one.used is None or one.used >= 0 for one in before)
