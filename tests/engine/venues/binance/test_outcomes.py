"""What becomes of a request when the venue misbehaves, over real sockets (I3, I10, I13)."""

import asyncio
import time
from decimal import Decimal

import pytest

from engine.contracts.order import OrderIntent, OrderType, Side, TimeInForce
from engine.venues.binance import BinanceOptions, BinanceVenue
from engine.venues.port import Accepted, Canceled, Rejected, Unknown, VenueQueryFailed

INTENT = OrderIntent(
    client_order_id="s1-1",
    symbol="BTCUSDT",
    side=Side.BUY,
    type=OrderType.LIMIT,
    quantity=Decimal("0.5"),
    price=Decimal("100"),
    time_in_force=TimeInForce.GTC,
)
ORDER = (
    '{"symbol":"BTCUSDT","orderId":7,"clientOrderId":"s1-1","transactTime":1,"price":"100",'
    '"origQty":"0.5","executedQty":"0","cummulativeQuoteQty":"0","status":"NEW","side":"BUY",'
    '"fills":[]}'
)


def always(answer):
    return lambda method, path: answer


async def test_accepted_answer(raw, adapter):
    raw.decide = always(raw.http(200, ORDER, "X-MBX-USED-WEIGHT-1M: 33"))
    outcome = await adapter.submit(INTENT)
    assert isinstance(outcome, Accepted)
    assert (outcome.report.venue_order_id, outcome.fills) == ("7", ())
    assert adapter.rate_use().used == 33


UNKNOWN_ANSWERS = {
    "dropped connection": (lambda raw: raw.CLOSE, "RESET"),
    "no answer": (lambda raw: raw.HANG, "TIMEOUT"),
    "-1007": (lambda raw: raw.error(504, -1007, "Timeout waiting for response."), "-1007"),
    "5xx": (lambda raw: raw.http(502, "<html>Bad Gateway</html>"), "HTTP_502"),
    "firewall": (lambda raw: raw.http(403, "<html>Request blocked</html>"), "HTTP_403"),
    "redirect": (lambda raw: raw.http(307, "", "Location: /api/v3/order"), "HTTP_307"),
    "unreadable success": (lambda raw: raw.http(200, "{}"), "UNDECODABLE"),
    "success of another order": (lambda raw: raw.http(200, ORDER.replace("s1-1", "s1-2")), "UNDEC"),
    "cut answer": (lambda raw: raw.http(200, ORDER)[:-9] + b"", "TIMEOUT"),
    "not HTTP": (lambda raw: b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "UNDECODABLE"),
}


@pytest.mark.parametrize("name", UNKNOWN_ANSWERS)
async def test_submit_is_unknown_and_was_sent_exactly_once(raw, adapter, name):
    answer, cause = UNKNOWN_ANSWERS[name]
    raw.decide = always(answer(raw))
    outcome = await adapter.submit(INTENT)
    assert isinstance(outcome, Unknown)
    assert outcome.cause.startswith(cause)
    assert raw.count("POST", "order") == 1


async def test_definite_refusal_is_rejected_with_the_venues_words(raw, adapter):
    raw.decide = always(raw.error(400, -1013, "Filter failure: LOT_SIZE"))
    outcome = await adapter.submit(INTENT)
    assert (type(outcome), outcome.code) == (Rejected, "-1013")
    assert outcome.reason == "Filter failure: LOT_SIZE"
    assert outcome.advice == "Correct the order and send a new one."
    assert raw.count("POST", "order") == 1


async def test_stale_timestamp_is_rejected_and_the_order_not_repeated(raw, adapter):
    raw.decide = always(raw.error(400, -1021, "Timestamp outside of the recvWindow."))
    outcome = await adapter.submit(INTENT)
    assert (type(outcome), outcome.code) == (Rejected, "-1021")
    assert raw.count("POST", "order") == 1


async def test_refused_connection_is_certain(unused_tcp_port):
    nobody = f"http://127.0.0.1:{unused_tcp_port}"
    venue = BinanceVenue(
        BinanceOptions(
            name="gone", rest_url=nobody, ws_url="", ws_api_url="", api_key="k", secret="s"
        )
    )
    outcome = await venue.submit(INTENT)
    await venue.close()
    assert (type(outcome), outcome.code) == (Rejected, "CONNECT")


async def test_after_429_only_cancels_and_their_proof_go_out_until_it_is_over(raw, adapter):
    def decide(method, path):
        if method == "POST":
            return raw.error(429, -1003, "Too much request weight used.", "Retry-After: 60")
        return raw.http(200, "[]")

    raw.decide = decide
    assert (await adapter.submit(INTENT)).code == "-1003"
    held = await adapter.submit(INTENT)
    assert (held.code, raw.count("POST", "order")) == ("RATE_RESERVED", 1)
    with pytest.raises(VenueQueryFailed, match="silence"):
        await adapter.balances()
    assert raw.count("GET", "account") == 0
    assert await adapter.cancel_all("BTCUSDT") == Canceled(reports=())
    assert await adapter.open_orders("BTCUSDT") == ()


async def test_order_count_limit_holds_orders_and_leaves_queries_alone(raw, adapter):
    def decide(method, path):
        if method == "POST":
            return raw.error(429, -1015, "Too many new orders.", "Retry-After: 60")
        return raw.http(200, '{"balances":[]}')

    raw.decide = decide
    assert (await adapter.submit(INTENT)).code == "-1015"
    assert (await adapter.submit(INTENT)).code == "RATE_RESERVED"
    assert await adapter.balances() == {}


async def test_a_fifth_of_the_weight_is_kept_for_cancels(raw, adapter):
    raw.decide = always(raw.http(200, "[]", "X-MBX-USED-WEIGHT-1M: 4800"))
    await adapter.open_orders("BTCUSDT")
    with pytest.raises(VenueQueryFailed, match="kept for cancels"):
        await adapter.orders("BTCUSDT", time.time_ns() // 1000)
    assert (await adapter.submit(INTENT)).code == "RATE_RESERVED"
    assert await adapter.cancel_all("BTCUSDT") == Canceled(reports=())


async def test_query_is_repeated_while_it_may_help(raw, adapter):
    answers = [raw.CLOSE, raw.error(503, -1008, "overloaded"), raw.http(200, ORDER)]
    raw.decide = lambda method, path: answers.pop(0)
    report = await adapter.order("BTCUSDT", "s1-1")
    assert (report.venue_order_id, answers) == ("7", [])


async def test_query_gives_up_after_its_attempts_and_nothing_is_assumed(raw, adapter):
    raw.decide = always(raw.error(503, -1001, "Internal error."))
    with pytest.raises(VenueQueryFailed) as caught:
        await adapter.open_orders("BTCUSDT")
    assert caught.value.code == "-1001"
    assert raw.count("GET", "openOrders") == 3


async def test_query_with_a_definite_answer_is_not_repeated(raw, adapter):
    raw.decide = always(raw.error(400, -1121, "Invalid symbol."))
    with pytest.raises(VenueQueryFailed, match="Invalid symbol"):
        await adapter.instrument("NOPE")
    assert len(raw.asked) == 1


async def test_order_that_the_venue_does_not_have_is_none(raw, adapter):
    raw.decide = always(raw.error(400, -2013, "Order does not exist."))
    assert await adapter.order("BTCUSDT", "s1-1") is None


async def test_order_that_could_not_be_looked_up_is_not_none(raw, adapter):
    raw.decide = always(raw.error(503, -2013, "Order does not exist."))
    with pytest.raises(VenueQueryFailed):
        await adapter.order("BTCUSDT", "s1-1")


async def test_cancel_of_what_is_not_open_is_rejected_and_of_nothing_at_all_is_done(raw, adapter):
    raw.decide = always(raw.error(400, -2011, "Unknown order sent."))
    outcome = await adapter.cancel("BTCUSDT", "s1-1", "c-1")
    assert (type(outcome), outcome.code) == (Rejected, "-2011")
    assert outcome.reason == "Unknown order sent."
    assert await adapter.cancel_all("BTCUSDT") == Canceled(reports=())


async def test_cancel_all_counts_the_orders_of_someone_elses_lists(raw, adapter):
    listed = ORDER.replace("s1-1", "theirs-1").replace('"NEW"', '"CANCELED"')
    answer = f'[{ORDER},{{"orderListId":1,"contingencyType":"OCO","orderReports":[{listed}]}}]'
    raw.decide = always(raw.http(200, answer))
    outcome = await adapter.cancel_all("BTCUSDT")
    assert [report.client_order_id for report in outcome.reports] == ["s1-1", "theirs-1"]


async def test_cancel_all_that_breaks_is_unknown_and_not_nothing(raw, adapter):
    raw.decide = always(raw.error(503, -2011, "Unknown order sent."))
    assert isinstance(await adapter.cancel_all("BTCUSDT"), Unknown)


async def test_cancel_whose_first_try_may_have_arrived_is_unknown(raw, adapter):
    """aiohttp sends a DELETE again over a new connection: refused then says nothing of before."""
    raw.decide = always(raw.http(200, '{"serverTime":1700000000000}'))
    await adapter.clock()

    def drop_and_die(method, path):
        raw.stop_listening()
        return raw.CLOSE

    raw.decide = drop_and_die
    assert isinstance(await adapter.cancel_all("BTCUSDT"), Unknown)
    assert raw.count("DELETE", "openOrders") == 1


async def test_cancel_that_our_clock_spoiled_goes_out_again_with_a_new_reading(raw, adapter):
    cancels = [raw.error(400, -1021, "Timestamp outside."), raw.http(200, f"[{ORDER}]")]
    ahead_ms = time.time_ns() // 1_000_000 + 60_000

    def decide(method, path):
        return (
            cancels.pop(0) if method == "DELETE" else raw.http(200, f'{{"serverTime":{ahead_ms}}}')
        )

    raw.decide = decide
    outcome = await adapter.cancel_all("BTCUSDT")
    assert [report.client_order_id for report in outcome.reports] == ["s1-1"]
    assert raw.count("GET", "time") == 3


async def test_clock_offset_is_the_venues_time_minus_ours(raw, adapter):
    raw.decide = lambda method, path: raw.http(
        200, f'{{"serverTime":{time.time_ns() // 1_000_000 - 1270}}}'
    )
    reading = await adapter.clock()
    assert abs(reading.offset_us + 1_270_000) < 200_000
    assert reading.round_trip_us > 0


async def test_open_that_failed_may_be_tried_again(raw, adapter):
    raw.decide = always(raw.error(503, -1001, "Internal error."))
    with pytest.raises(VenueQueryFailed):
        await adapter.open()
    raw.decide = lambda method, path: raw.http(200, '{"serverTime":1700000000000}')
    await adapter.open()


async def test_no_outcome_quotes_a_secret(raw, adapter):
    texts = []
    for answer in (raw.CLOSE, raw.HANG, raw.http(502, "x"), raw.http(200, "x")):
        raw.decide = always(answer)
        texts.append((await adapter.submit(INTENT)).cause)
        with pytest.raises(VenueQueryFailed) as caught:
            await adapter.balances()
        texts.append(caught.value.line())
    for text in texts:
        assert "signature" not in text
        assert "the-api-key" not in text
        assert "the-shared-secret" not in text


async def test_connections_are_kept_open_for_the_kill(raw, adapter):
    kept = asyncio.Event()

    def decide(method, path):
        if raw.count("GET", "ping") == 6:
            kept.set()
        return raw.http(200, '{"serverTime":1700000000000}')

    raw.decide = decide
    await adapter.open()
    async with asyncio.timeout(5):
        await kept.wait()
    assert raw.connections == 2
