"""`report.html`: one file, nothing fetched or run, hostile words harmless, same bytes each time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.contracts import event as ev
from engine.contracts.canonical import canonical
from engine.contracts.decision import Check, Decision, Verdict
from engine.contracts.errors import IntegrityError
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import Side
from engine.contracts.session import SessionState
from engine.evidence.chart import MOST, Series, chart, clock
from engine.evidence.page import page as draw
from engine.evidence.prices import market_prices
from engine.evidence.reports import tell
from engine.evidence.telling import LONG
from engine.store.market import MarketRecorder

NASTY = '"><script>alert(1)</script>\u202e\x1b]0;x\x07'


def page(records: Sequence[ev.Recorded]) -> bytes:
    """The page of these records."""
    told = ((one, canonical(ev.event_to_data(one.event))) for one in records)
    telling = tell(told, {name: BytesIO() for name in LONG})
    return draw(telling.kept, telling.drawn)


class Reader(HTMLParser):
    """Tags, attributes and open elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(raw: bytes) -> Reader:
    reader = Reader()
    reader.feed(raw.decode("utf-8"))
    reader.close()
    return reader


def fill(number: int, side: Side, price: str, quantity: str = "0.1") -> ev.OrderFilled:
    return ev.OrderFilled(
        session_id="s",
        fill=Fill(
            symbol="BTCUSDT",
            client_order_id=f"c{number}",
            venue_order_id=str(number),
            trade_id=str(number),
            side=side,
            price=Decimal(price),
            quantity=Decimal(quantity),
            fee=Decimal(0),
            fee_asset="USDT",
            liquidity=Liquidity.TAKER,
            time_us=number,
        ),
    )


def test_the_page_of_a_session_shows_its_parts(world: Any) -> None:
    words = " ".join(read(page(world.chain.records)).words)
    for part in ("Profit and fills", "Limit use", "Approvals and interventions"):
        assert part in words
    assert "operator signed the packet" in words


def test_nothing_is_fetched_and_nothing_runs(world: Any) -> None:
    raw = page(world.chain.records)
    reader = read(raw)
    assert {tag for tag, _ in reader.tags}.isdisjoint({"script", "img", "link", "iframe", "a"})
    for _tag, attributes in reader.tags:
        assert not {name for name in attributes if name.startswith("on")}
        assert not {"src", "href", "xlink:href"} & set(attributes)
    policy = next(a["content"] for t, a in reader.tags if t == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert b"url(" not in raw
    assert b"@import" not in raw


def test_what_people_wrote_stays_text(story: Any) -> None:
    chain = story.Chain()
    nasty = msgspec.structs.replace(story.charter(), purpose=NASTY)
    chain.add(ev.SessionChartered(session_id=story.SESSION, charter=nasty))
    chain.add(ev.ReviewerJoined(session_id=story.SESSION, reviewer=NASTY, nonce="0", signals={}))
    raw = page(chain.records).decode()
    assert "<script" not in raw
    assert "\u202e" not in raw
    assert "\x1b" not in raw
    assert raw.count("\\u202e") == 2


def test_fills_stand_on_the_price_that_the_recordings_have(world: Any) -> None:
    """Three trades of the market were recorded, one was ours."""
    raw = world.inputs.reports["report.html"].decode()
    assert "Fills on the price, BTCUSDT" in raw
    assert "market trades" in raw
    line = re.search(r'stroke="#777" d="M([^"]+)"', raw)
    assert line is not None
    assert line[1].count("L") == 2


def test_nothing_on_the_page_of_a_pack_leads_anywhere(world: Any) -> None:
    raw = world.inputs.reports["report.html"].decode().replace("http-equiv", "")
    raw = re.sub(r"SHA256:[A-Za-z0-9+/]{43}", "", raw).lower()  # base64 may have two slashes
    for word in ("http", "//", "src=", "href", "data:", "file:", "<script", "javascript"):
        assert word not in raw, word


def test_a_hostile_symbol_stays_text(story: Any) -> None:
    chain = story.Chain()
    one = fill(1, Side.BUY, "60000")
    chain.add(msgspec.structs.replace(one, fill=msgspec.structs.replace(one.fill, symbol=NASTY)))
    raw = page(chain.records).decode()
    assert "<script" not in raw
    assert "\u202e" not in raw
    assert "\x1b" not in raw


def test_a_long_recording_is_thinned_the_same_way_each_time(tmp_path: Path) -> None:
    recorder = MarketRecorder(tmp_path, "s", rows_per_file=20_000)
    for number in range(2 * MOST + 500):
        price = Decimal(60_000 + number % 7)
        recorder.trade("BTCUSDT", number, price, Decimal(1), "BUY", number, number)
    files = [tmp_path / one.file for one in recorder.close()]
    points = market_prices(files)["BTCUSDT"]
    assert MOST <= len(points) < 2 * MOST
    assert points[:2] == [(0, 60_000.0), (2, 60_002.0)]
    assert points == market_prices(files)["BTCUSDT"]
    files[0].write_bytes(b"no Parquet")
    with pytest.raises(IntegrityError, match="cannot be read"):
        market_prices(files)


def test_the_same_records_give_the_same_bytes(world: Any) -> None:
    assert page(world.chain.records) == page(list(world.chain.records))


def test_a_session_without_orders_says_so(story: Any) -> None:
    chain = story.Chain()
    chain.add(ev.SessionChartered(session_id=story.SESSION, charter=story.charter()))
    words = " ".join(read(page(chain.records)).words)
    assert "No fill in this session." in words
    assert "No order was judged." in words


def test_the_profit_that_is_drawn_is_the_tables(story: Any) -> None:
    chain = story.Chain()
    chain.add(fill(1, Side.BUY, "60000"))
    chain.add(fill(2, Side.SELL, "60100"))
    raw = page(chain.records).decode()
    curve = re.search(r'stroke="#00589b" d="M(\S+) (\S+?)H(\S+?)V(\S+?)"', raw)
    assert curve is not None
    assert float(curve[2]) > float(curve[4]), "10 USDT of profit is drawn above zero"
    assert "<th>profit after fees</th><td>10 USDT</td>" in raw


def test_the_equity_curve_is_after_fees_from_zero_on_and_each_trade_counts_once(story: Any) -> None:
    chain = story.Chain()
    moved = {"session_id": story.SESSION, "cause": "go", "reason": ""}
    before, live = SessionState.GO_NOGO, SessionState.LIVE
    chain.add(ev.SessionMoved(before=before, after=live, **moved))
    for number, fee in ((1, "60"), (2, "60"), (2, "60")):
        one = fill(number, Side.BUY, "60000")
        paid = msgspec.structs.replace(one.fill, fee=Decimal(fee))
        chain.add(msgspec.structs.replace(one, fill=paid))
    raw = page(chain.records).decode()
    after = re.search(r'stroke="#00589b" d="M\S+ (\S+?)H\S+?V(\S+?)H\S+?V(\S+?)"', raw)
    gross = re.search(r'stroke="#777" stroke-dasharray="6 4" d="M\S+ (\S+?)H\S+?V(\S+?)H', raw)
    assert after is not None
    assert gross is not None
    zero, once, twice = map(float, after.groups())
    assert (once - zero) == pytest.approx(twice - once, abs=0.11), "60 USDT lower with each fee"
    assert zero < once
    assert float(gross[1]) == float(gross[2]) == zero
    assert "<th>orders, fills, blocked</th><td>0, 2, 0</td>" in raw
    assert "<th>profit after fees</th><td>-120 USDT</td>" in raw


def test_a_fee_without_a_price_is_named_and_ends_the_curve(story: Any) -> None:
    chain = story.Chain()
    one = fill(1, Side.BUY, "60000")
    strange = msgspec.structs.replace(one.fill, fee=Decimal("0.1"), fee_asset="BNB")
    chain.add(msgspec.structs.replace(one, fill=strange))
    raw = page(chain.records).decode()
    assert "<td>0 USDT, without a price: 0.1 BNB</td>" in raw
    assert "<th>profit after fees</th><td>not known</td>" in raw
    assert 'stroke="#00589b" d="M' not in raw


def test_the_nearest_approach_to_each_limit_is_shown(story: Any) -> None:
    chain = story.Chain()
    intended = next(one for one in story.order_events() if isinstance(one, ev.OrderIntended))
    for name, value in (("X", "10"), ("X", "45"), ("X", "20"), ("Y", "51")):
        check = Check(code=f"MAX_{name}", verdict=Verdict.ALLOW, text="x", value=value, limit="50")
        decision = Decision(verdict=Verdict.ALLOW, checks=(check,))
        chain.add(msgspec.structs.replace(intended, decision=decision))
    raw = page(chain.records).decode()
    assert '<td>MAX_X</td><td class="n">45</td><td class="n">50</td>' in raw
    assert '<i class="near" style="width:90%"></i></span> ▲ near' in raw
    assert '<i class="near" style="width:100%"></i></span> ■ over: blocked' in raw


def test_buys_and_sells_have_marks_of_their_own(story: Any) -> None:
    chain = story.Chain()
    for number, side in enumerate((Side.BUY, Side.BUY, Side.SELL), 1):
        chain.add(fill(number, side, str(60_000 + number)))
    raw = page(chain.records).decode()
    assert raw.count("l-5 9h10z") == 2
    assert raw.count("l-5 -9h10z") == 1


@pytest.mark.parametrize("points", [((5, 1.0),), ((5, 0.0), (5, 0.0)), ((1, -3.0), (2, 3.0))])
def test_any_span_can_be_drawn(points: tuple[tuple[int, float], ...]) -> None:
    drawn = chart("x", "u", [Series(name="n", shape="line", points=points, kind="price")])
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert drawn.count("<line") >= 2


def test_many_points_are_thinned_and_it_is_said() -> None:
    points = tuple((number, float(number % 7)) for number in range(3 * MOST + 1))
    drawn = chart("x", "u", [Series(name="n", shape="step", points=points, kind="equity")])
    assert "every 4th" in drawn
    assert drawn.count("H") <= MOST + 1


def test_time_of_day_is_utc() -> None:
    assert clock(1_723_161_600_000_000 + 3_723_000_000) == "01:02:03"
