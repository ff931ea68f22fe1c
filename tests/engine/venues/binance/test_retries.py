"""Requests on the venue's bad days: what is repeated, for how long, and what never is (I3, I13)."""

import asyncio
import time
from decimal import Decimal
from itertools import count

import pytest

from engine.contracts.order import OrderIntent, OrderType, Side, TimeInForce
from engine.venues.binance.errors import Again, Fault, classify_answer, classify_transport, held
from engine.venues.binance.retry import Plan, persist
from engine.venues.port import Accepted, Canceled, Rejected, Unknown, VenueQueryFailed

SYMBOL = "BTCUSDT"
_numbers = count(1)
PLAN = Plan(attempts=3, attempt_s=1.0, deadline_s=5.0, first_s=0.01, longest_s=0.05, silence_s=1.0)
RESET = classify_transport(ConnectionResetError())
REFUSED = classify_answer(400, b'{"code":-2011,"msg":"Unknown order sent."}', {})
CLOCK = classify_answer(400, b'{"code":-1021,"msg":"outside"}', {})


def intent(price="60000", quantity="0.001"):
    return OrderIntent(
        client_order_id=f"r-{next(_numbers)}",
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=Decimal(price),
        time_in_force=TimeInForce.GTC,
    )


async def resting(venue):
    order = intent()
    assert isinstance(await venue.submit(order), Accepted)
    return order.client_order_id


# --- the rule of repetition, without a venue ------------------------------------------------------


class Answers:
    """Gives one answer after the other, and counts."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0
        self.clocks = 0

    async def attempt(self, limit_s):
        assert limit_s > 0
        self.asked += 1
        return self.answers.pop(0)

    async def new_clock(self):
        self.clocks += 1

    async def run(self, plan=PLAN):
        return await persist(self.attempt, lambda fault: fault.cancel, plan, self.new_clock)


async def test_answer_after_faults_is_the_answer():
    answers = Answers(RESET, RESET, b"yes")
    assert await answers.run() == b"yes"
    assert answers.asked == 3


async def test_attempts_are_counted():
    answers = Answers(RESET, RESET, RESET, b"never reached")
    fault = await answers.run()
    assert (fault.code, answers.asked) == ("RESET", 3)


async def test_definite_refusal_is_not_repeated():
    answers = Answers(REFUSED)
    fault = await answers.run()
    assert (fault.certain, answers.asked) == (True, 1)


async def test_refusal_after_a_doubt_proves_nothing_of_the_doubt():
    fault = await Answers(RESET, REFUSED).run()
    assert (fault.code, fault.certain) == ("-2011", False)


async def test_clock_is_measured_before_the_next_attempt():
    answers = Answers(CLOCK, b"yes")
    assert await answers.run() == b"yes"
    assert answers.clocks == 1


async def test_long_silence_is_not_waited_out():
    asked = Answers(classify_answer(429, b"", {"Retry-After": "60"}))
    fault = await asked.run()
    assert (fault.retry_after_s, asked.asked) == (60, 1)


async def test_deadline_ends_everything():
    class Slow(Answers):
        async def attempt(self, limit_s):
            self.asked += 1
            await asyncio.sleep(limit_s)
            return classify_transport(TimeoutError())

    slow = Slow()
    plan = Plan(
        attempts=50, attempt_s=0.1, deadline_s=0.3, first_s=0.01, longest_s=0.02, silence_s=1
    )
    began = time.monotonic()
    fault = await slow.run(plan)
    assert fault.code == "TIMEOUT"
    assert 2 <= slow.asked <= 4
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("where", ["attempt", "pause"])
async def test_cancelled_task_leaves_at_once(where):
    reached, second, calls = asyncio.Event(), asyncio.Event(), []

    async def attempt(limit_s):
        reached.set()
        if calls:
            second.set()
            await asyncio.Event().wait()
        calls.append(1)
        return RESET

    longest = Plan(attempts=9, attempt_s=99, deadline_s=99, first_s=50, longest_s=50, silence_s=1)
    plan = PLAN if where == "attempt" else longest

    async def no_clock():
        raise AssertionError

    task = asyncio.create_task(persist(attempt, lambda fault: fault.read, plan, no_clock))
    async with asyncio.timeout(5):
        await (second if where == "attempt" else reached).wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(calls) == 1


def test_what_we_held_back_waits_like_a_silence():
    assert held("RATE_SILENCE", "why", 1.5).cancel is Again.SILENCE
    assert isinstance(held("CLOSED", "why"), Fault)


# --- against the sandbox --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"answer": "code", "code": -1007},
        {"answer": "code", "code": -1008},
        {"answer": "status", "status": 502},
        {"answer": "reset"},
        {"answer": "skew"},
        {"answer": "code", "code": -1003, "status": 429, "retry_after_s": 1},
    ],
)
async def test_proof_of_a_kill_survives_two_faults(market, fault):
    venue = await market.venue()
    name = await resting(venue)
    times = 1 if "retry_after_s" in fault else 2
    await market.fault(rest=[{"on": "open_orders", "times": times, **fault}])
    assert [one.client_order_id for one in await venue.open_orders(SYMBOL)] == [name]
    assert await market.fired(f"open_orders.{fault['answer']}") == times


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"answer": "code", "code": -1007, "accept": False}, "code"),
        ({"answer": "status", "status": 503, "accept": False}, "status"),
        ({"answer": "skew"}, "skew"),
        ({"answer": "code", "code": -1003, "status": 429, "retry_after_s": 1}, "code"),
        ({"answer": "silent", "accept": False}, "silent"),
    ],
)
async def test_cancel_that_did_not_arrive_is_sent_again(market, fault, name):
    venue = await market.venue(cancel_attempt_s=0.5)
    order = await resting(venue)
    await market.fault(rest=[{"on": "cancel", **fault}])
    outcome = await venue.cancel(SYMBOL, order, f"{order}-c")
    assert isinstance(outcome, Canceled), outcome
    assert await market.fired(f"cancel.{name}") == 1
    assert await venue.open_orders(SYMBOL) == ()


@pytest.mark.parametrize("which", ["cancel", "cancel_all"])
async def test_cancel_that_arrived_unanswered_is_unknown_and_not_refused(market, which):
    """The second one finds nothing open, which says nothing of the first."""
    venue = await market.venue()
    order = await resting(venue)
    await market.fault(rest=[{"on": which, "answer": "code", "code": -1007, "accept": True}])
    if which == "cancel":
        outcome = await venue.cancel(SYMBOL, order, f"{order}-c")
    else:
        outcome = await venue.cancel_all(SYMBOL)
    assert isinstance(outcome, Unknown)
    assert "-2011" in outcome.cause
    assert (await venue.order(SYMBOL, order)).status == "CANCELED"


SUBMIT_FAULTS = [
    {"answer": "silent"},
    {"answer": "reset"},
    {"answer": "code", "code": -1000},
    {"answer": "code", "code": -1001},
    {"answer": "code", "code": -1006},
    {"answer": "code", "code": -1007},
    {"answer": "code", "code": -1008},
    {"answer": "status", "status": 408},
    {"answer": "status", "status": 500},
    {"answer": "status", "status": 504},
    {"answer": "html"},
]


@pytest.mark.parametrize("accept", [True, False])
async def test_submit_is_never_sent_again_and_never_called_certain(market, accept):
    venue = await market.venue(trade_timeout_s=0.4)
    for fault in SUBMIT_FAULTS:
        before = await market.fired(f"submit.{fault['answer']}")
        await market.fault(
            clear=True, rest=[{"on": "submit", "times": 0, "accept": accept, **fault}]
        )
        order = intent()
        outcome = await venue.submit(order)
        assert isinstance(outcome, Unknown), (fault, outcome)
        assert outcome.advice
        assert await market.fired(f"submit.{fault['answer']}") == before + 1, fault
        found = await venue.order(SYMBOL, order.client_order_id)
        assert (found is not None) is accept, fault


REFUSED_SUBMITS = [
    {"answer": "skew"},
    {"answer": "code", "code": -1003, "status": 429, "retry_after_s": 1},
    {"answer": "code", "code": -1003, "status": 418, "retry_after_s": 1},
    {"answer": "code", "code": -1015, "status": 429, "retry_after_s": 1},
]


@pytest.mark.parametrize("fault", REFUSED_SUBMITS)
async def test_refused_submit_is_certain_and_not_sent_again_either(market, fault):
    venue = await market.venue()
    await market.fault(rest=[{"on": "submit", "times": 0, "accept": False, **fault}])
    outcome = await venue.submit(intent())
    assert isinstance(outcome, Rejected), outcome
    assert await market.fired(f"submit.{fault['answer']}") == 1
    assert await venue.open_orders(SYMBOL) == ()


async def test_silent_venue_fails_a_query_within_its_deadline(market):
    venue = await market.venue(query_timeout_s=0.2, query_deadline_s=0.5, cancel_attempt_s=0.2)
    await market.fault(rest=[{"on": "query", "answer": "silent", "times": 0}])
    for ask in (venue.balances, lambda: venue.open_orders(SYMBOL)):
        began = time.monotonic()
        with pytest.raises(VenueQueryFailed) as caught:
            await ask()
        assert caught.value.code == "TIMEOUT"
        assert time.monotonic() - began < 5


# --- rates ---------------------------------------------------------------------------------------


async def test_counts_of_orders_weight_and_requests_are_told(market_with):
    market = await market_with(orders_10s=1000, orders_day=2000)
    venue = await market.venue()
    for _ in range(3):
        await resting(venue)
    windows = {(one.kind, one.window): one for one in venue.rate_use().windows}
    assert windows["ORDERS", "1D"].used == 3
    assert windows["ORDERS", "1D"].limit == 2000
    assert windows["ORDERS", "10S"].limit == 1000
    assert windows["ORDERS", "10S"].used <= 3
    assert windows["REQUEST_WEIGHT", "1M"].limit == 6000
    assert windows["RAW_REQUESTS", "5M"].used > 3


async def test_full_order_window_stops_orders_before_the_venue_does(market_with):
    market = await market_with(orders_10s=3)
    venue = await market.venue()
    outcomes = [await venue.submit(intent()) for _ in range(12)]
    accepted = [one for one in outcomes if isinstance(one, Accepted)]
    refused = [one for one in outcomes if isinstance(one, Rejected)]
    assert len(accepted) + len(refused) == 12
    assert len(accepted) in {3, 4, 5, 6}  # the window may change in between
    assert {one.code for one in refused} == {"RATE_RESERVED"}
    assert isinstance(await venue.cancel_all(SYMBOL), Canceled)


async def test_reserved_share_lasts_for_cancels_and_their_proof(market_with):
    """I13: what reads use up ends at 80 %; the cancel and its two proofs still fit."""
    market = await market_with(weight_minute=400)
    venue = await market.venue()
    await resting(venue)
    assert await _read_until_refused(venue) == "RATE_RESERVED"
    assert venue.rate_use().used <= 320
    outcome = await venue.cancel_all(SYMBOL)
    assert isinstance(outcome, Canceled)
    assert len(outcome.reports) == 1
    assert await venue.open_orders(SYMBOL) == ()
    assert await venue.open_orders(SYMBOL) == ()


async def _read_until_refused(venue):
    """The code of the refusal."""
    while True:
        try:
            await venue.balances()
        except VenueQueryFailed as error:
            return error.code


async def test_ban_is_knocked_at_now_and_then_and_left_when_it_ends(market):
    venue = await market.venue()
    order = await resting(venue)
    await market.fault(ban_ms=2_500)
    first = await venue.cancel(SYMBOL, order, f"{order}-c")
    assert (type(first), first.code) == (Rejected, "-1003")
    assert venue.rate_use().silent_ms > 0
    # Told at once what is the matter, or waited for if the end of the ban is near.
    second = await venue.cancel(SYMBOL, order, f"{order}-c")
    assert isinstance(second, Canceled) or second.code == "RATE_SILENCE"
    async with asyncio.timeout(15):
        while await _still_open(venue):
            await venue.cancel_all(SYMBOL)
    assert (await venue.order(SYMBOL, order)).status == "CANCELED"


async def _still_open(venue):
    try:
        return bool(await venue.open_orders(SYMBOL))
    except VenueQueryFailed:
        await asyncio.sleep(0.05)
        return True


# --- the clock -----------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_ms", [-420_000, 420_000])
async def test_machine_clock_that_is_minutes_wrong_trades(market, watch, skew_ms):
    await market.fault(clock_skew_ms=skew_ms)
    venue = await market.venue()
    assert abs((await venue.clock()).offset_us - skew_ms * 1000) < 5_000_000
    user = watch(venue.user_events())
    await resting(venue)
    assert isinstance(await venue.cancel_all(SYMBOL), Canceled)
    async with asyncio.timeout(10):
        while not venue.quality() or not venue.quality()[0].connected:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    user.cancel()


@pytest.mark.parametrize("skew_ms", [-90_000, 90_000])
async def test_clock_that_moves_while_we_run_is_measured_again(market, skew_ms):
    venue = await market.venue()
    order = await resting(venue)
    await market.fault(clock_skew_ms=skew_ms)
    assert (await venue.balances())["USDT"][1] == 60
    await market.fault(clock_skew_ms=0)
    assert isinstance(await venue.cancel(SYMBOL, order, f"{order}-c"), Canceled)


async def test_order_refused_for_the_clock_has_it_measured_for_the_next(market):
    venue = await market.venue()
    await market.fault(clock_skew_ms=90_000)
    first = await venue.submit(intent())
    assert (type(first), first.code) == (Rejected, "-1021")
    async with asyncio.timeout(10):
        while not isinstance(await venue.submit(intent()), Accepted):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_clock_is_measured_every_so_often(raw, adapter):
    measured = asyncio.Event()

    def decide(method, path):
        if raw.count("GET", "time") > 3:
            measured.set()
        return raw.http(200, f'{{"serverTime":{time.time_ns() // 1_000_000}}}')

    raw.decide = decide
    await adapter.open()
    async with asyncio.timeout(10):
        await measured.wait()
