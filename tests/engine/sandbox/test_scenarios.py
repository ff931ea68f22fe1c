"""Each scenario is what it is named for, measured over its own time at full speed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tomllib
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest

from config.scenarios import read_scenario, scenario_names
from config.settings import ConfigProblems
from config.settings import load as load_settings
from engine.contracts.errors import ConfigError, InputError
from engine.contracts.session import Environment
from engine.sandbox.book import BUY, SELL
from engine.sandbox.errors import VenueError
from engine.sandbox.exchange import Exchange
from engine.sandbox.fault_desk import FaultDesk
from engine.sandbox.flow import STEP_MS, Flow, FlowShape
from engine.sandbox.flow_shape import Tape, measure, synthetic_tape
from engine.sandbox.limits import Limits
from engine.sandbox.orders import NewOrder, Trade
from engine.sandbox.rules import ONE, rules_for
from engine.sandbox.scenario import Scenario, parse_scenario
from engine.sandbox.stage import Stage
from peakctl import founding
from peakctl.supervisor import Supervisor

RULES = rules_for("BTCUSDT")
PRICE = 6_100_000
NAMES = ("flash_crash", "halt", "sideways_low_vol", "thin_book", "trend_regime")


def load(name: str) -> Scenario:
    return parse_scenario(*read_scenario(name))


class Theatre:
    """A venue on a clock of its own, directed by a scenario."""

    def __init__(self, scenario: Scenario, seed: int = 0) -> None:
        self.now_us = 1_800_000_000_000_000
        limits = Limits(weight_minute=1, orders_10s=1, orders_day=1)
        self.venue = Exchange(RULES, limits, clock_us=lambda: self.now_us)
        self.engine = self.venue.matching
        self.trades: list[Trade] = []
        self.venue.listeners.append(
            lambda out, _: self.trades.extend(item for item in out if isinstance(item, Trade))
        )
        balances = {"USDT": 10**7 * ONE, "BTC": 100 * ONE}
        self.account = self.venue.open_account("demo", balances)
        self.desk = FaultDesk(self.venue)
        flow = Flow(self.engine, scenario.seed + seed, PRICE)
        self.stage = Stage(self.venue, self.desk, flow, scenario)
        self.stage.open()
        self.mids: list[int] = []

    def play(self, seconds: float) -> None:
        for _ in range(round(seconds * 1000 / STEP_MS)):
            self.now_us += STEP_MS * 1000
            self.stage.step()
            self.desk.tick()
            self.mids.append(self.middle())

    def middle(self) -> int:
        bid, ask = self.engine.book.bids.best(), self.engine.book.asks.best()
        if bid is None or ask is None:
            return self.engine.last_price
        return (bid + ask) // 2

    def limit(self, side: int, price: int, quantity: int = 1000) -> object:
        number = self.engine.next_order_id
        new = NewOrder(
            client_id=f"c-{number}", side=side, type="LIMIT", price=price, quantity=quantity
        )
        return self.engine.place(self.account, new, self.now_us)


def depth_near(theatre: Theatre, within: int) -> int:
    """Steps that rest within so many ticks of the middle."""
    middle, book = theatre.middle(), theatre.engine.book
    return sum(
        quantity
        for side in (book.bids, book.asks)
        for price, quantity in side.top(1000)
        if abs(price - middle) <= within
    )


def test_these_scenarios_come_with_peakctl() -> None:
    assert scenario_names() == NAMES
    for name in NAMES:
        assert load(name).name == name
        assert load(name).about


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_gives_the_same_run(name: str) -> None:
    runs = []
    for seed in (0, 0, 1):
        theatre = Theatre(load(name), seed)
        theatre.play(40)
        runs.append((theatre.mids, [(t.price, t.quantity) for t in theatre.trades]))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("seed", [0, 1])
def test_sideways_stays_in_a_narrow_range(seed: int) -> None:
    theatre = Theatre(load("sideways_low_vol"), seed)
    theatre.play(600)
    reach = max(theatre.mids) - min(theatre.mids)
    usual = Theatre(Scenario(
        name="usual", about="", seed=101, repeat=False, base=FlowShape(), phases=(), faults=(),
    ), seed)  # fmt: skip
    usual.play(600)
    assert reach / PRICE < 0.0004
    assert reach * 4 < max(usual.mids) - min(usual.mids)
    assert abs(theatre.mids[-1] - PRICE) / PRICE < 0.0003


@pytest.mark.parametrize("seed", [0, 1])
def test_trend_goes_up_for_five_minutes_and_then_down(seed: int) -> None:
    theatre = Theatre(load("trend_regime"), seed)
    theatre.play(600)
    top, end = theatre.mids[len(theatre.mids) // 2], theatre.mids[-1]
    assert 0.003 < top / PRICE - 1 < 0.009
    assert 0.003 < 1 - end / top < 0.009
    half = len(theatre.mids) // 2
    minutes = theatre.mids[: half + 1 : 60 * 1000 // STEP_MS]
    assert sum(after > before for before, after in pairwise(minutes)) >= 4
    up = [t for t in theatre.trades if t.time_us < theatre.now_us - 300 * 10**6]
    assert sum(not t.buyer_is_maker for t in up) / len(up) > 0.55


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_crash_falls_five_percent_in_seconds_and_recovers(seed: int) -> None:
    theatre = Theatre(load("flash_crash"), seed)
    theatre.play(30)
    before = theatre.middle()
    assert abs(before / PRICE - 1) < 0.005
    calm = measure(tape(theatre))
    theatre.play(8)
    low = min(theatre.mids)
    assert 0.035 < 1 - low / before < 0.075
    fell_in = next(i for i, mid in enumerate(theatre.mids) if mid < before * 0.97)
    assert fell_in * STEP_MS / 1000 <= 30 + 6
    theatre.play(30)
    assert (theatre.middle() - low) / (before - low) > 0.6
    crash = [t for t in theatre.trades if 30 < seconds_of(theatre, t) <= 36]
    assert len(crash) / 6 > 3 * calm.trades_per_second
    assert sum(t.buyer_is_maker for t in crash) / len(crash) > 0.8


def seconds_of(theatre: Theatre, trade: Trade) -> float:
    return (trade.time_us - 1_800_000_000_000_000) / 1e6


def tape(theatre: Theatre) -> Tape:
    from engine.sandbox.flow_shape import TapeTrade  # noqa: PLC0415

    return Tape(
        trades=[
            TapeTrade(t.time_us // 1000, t.price, t.quantity, SELL if t.buyer_is_maker else BUY)
            for t in theatre.trades
        ],
        tops=[(0, 1)],
        depth=[(0, 1), (1000, 1)],
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_thin_book_has_little_depth_and_a_wide_spread(seed: int) -> None:
    thin, usual = Theatre(load("thin_book"), seed), Theatre(load("halt"), seed)
    depths: dict[str, list[int]] = {"thin": [], "usual": []}
    for _ in range(60):
        thin.play(1)
        usual.play(0.1)
        depths["thin"].append(depth_near(thin, 6_000))
        depths["usual"].append(depth_near(usual, 6_000))
    assert sum(depths["thin"]) * 10 < sum(depths["usual"])
    assert len(thin.engine.book.bids.prices) <= 16
    shape = measure(synthetic_tape(RULES, seed, 200, PRICE, load("thin_book").base))
    assert shape.spread_one_tick < 0.7
    assert shape.spread_p95 > 400
    quantity = 2 * 10**5
    thin.limit(BUY, thin.middle() + 100_000, quantity)
    bought = [t for t in thin.account.trades if t.buyer]
    walked = max(t.price for t in bought) - min(t.price for t in bought)
    assert sum(t.quantity for t in bought) == quantity or not thin.engine.book.asks.prices
    assert len({t.price for t in bought}) >= 3
    assert walked > 100


def test_halt_refuses_orders_lets_cancels_and_resumes() -> None:
    theatre = Theatre(load("halt"))
    theatre.play(9.9)
    bid = theatre.engine.book.bids.best()
    assert bid is not None
    resting = [theatre.limit(BUY, bid - 50_000) for _ in range(2)]
    theatre.play(0.2)
    printed, top = len(theatre.trades), theatre.engine.book.bids.top(5)

    for status in ("HALT", "CANCEL_ONLY"):
        assert theatre.venue.rules.status == status
        with pytest.raises(VenueError, match="-2010 Market is closed"):
            theatre.limit(BUY, bid)
        order = resting.pop()
        theatre.engine.cancel(order, "x", theatre.now_us)
        assert order.status == "CANCELED"
        assert theatre.engine.book.bids.top(5) == top
        theatre.play(15)

    assert theatre.venue.rules.status == "TRADING"
    assert theatre.limit(BUY, bid - 50_000)
    theatre.play(10)
    assert len(theatre.trades) > printed
    quiet = [t for t in theatre.trades if 10.05 < seconds_of(theatre, t) <= 29.9]
    assert quiet == []


# --- the files ------------------------------------------------------------------------------------

GOOD = 'name = "x"\nabout = "y"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "name"),
        (GOOD + "colour = 1\n", "colour"),
        (GOOD + "[flow]\nvolatilty = 1.0\n", "flow"),
        (GOOD + "[flow]\nvolatility = -1.0\n", "flow.volatility"),
        (GOOD + "[[phase]]\nname = 'p'\nseconds = 1\ndrfit = 2\n", "drfit"),
        (GOOD + "[[phase]]\nname = 'p'\n", "phase[0]"),
        (GOOD + "[[phase]]\nname = 'p'\nseconds = 0\n", "phase[0].seconds"),
        (GOOD + "[[fault]]\nat_s = 1\n\n[[fault]]\nwipe = true\n", "fault[1]"),
        (GOOD + "[[fault]]\nat_s = 1\nsymbol_status = 'SHUT'\n", "fault[0].symbol_status"),
        (GOOD + "[[fault]]\nat_s = 1\nrest = [{on = 'submit', anser = 'html'}]\n", "anser"),
        (GOOD + "[[fault]]\nat_s = 1\nschedule = {seed = 1, every_ms = 9, kinds = ['z']}\n", "z"),
        (GOOD + "repeat = true\n", "repeat"),
    ],
)
def test_mistake_is_refused_with_file_and_key(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_scenario(tomllib.loads(text), "mine.toml")
    line = caught.value.line()
    assert says in line
    assert "mine.toml" in line or "schedule" in line


def test_unknown_name_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_scenario("locusts")
    assert all(name in caught.value.line() for name in NAMES)
    with pytest.raises(ConfigError, match="nowhere"):
        read_scenario(str(tmp_path / "nowhere.toml"))
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        read_scenario(str(tmp_path / "bad.toml"))


def test_phases_follow_each_other_and_then_the_base_goes_on() -> None:
    text = GOOD + "[flow]\nbursts = 1\n[[phase]]\nname='a'\nseconds=2\nbursts=5\n"
    text += "[[phase]]\nname='b'\nseconds=3\ndrift=7\n"
    once = parse_scenario(tomllib.loads(text), "x")
    assert [once.shape_at(at).bursts for at in (0, 1.99, 2, 4.99, 5, 99)] == [5, 5, 1, 1, 1, 1]
    assert [once.shape_at(at).drift for at in (0, 2, 5)] == [0, 7, 0]
    again = parse_scenario(tomllib.loads("repeat = true\n" + text), "x")
    assert [again.shape_at(at).bursts for at in (5, 6.5, 7, 10)] == [5, 5, 1, 5]


def test_faults_are_due_once_in_their_step_and_again_with_each_round() -> None:
    text = GOOD + "[[phase]]\nname='a'\nseconds=10\n[[fault]]\nat_s=3\nwipe=true\n"
    text += "[[fault]]\nat_s=0\nban_ms=1\n"
    once = parse_scenario(tomllib.loads(text), "x")
    assert [len(once.due(a, b)) for a, b in ((-1, 0), (0, 2.95), (2.95, 3), (3, 99))] == [
        1,
        0,
        1,
        0,
    ]
    again = parse_scenario(tomllib.loads("repeat = true\n" + text), "x")
    assert [request.wipe for request in again.due(2.95, 13)] == [True, False, True]


async def test_sandbox_is_directed_by_its_scenario(start, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        GOOD + "[[phase]]\nname='up'\nseconds=600\ndrift=200000\nvolatility=0\n"
        "[[fault]]\nat_s=0\nrest=[{on='time', answer='html'}]\n"
    )
    venue = await start(scenario=parse_scenario(*read_scenario(str(path))), flow=True)
    async with venue.http.get(venue.urls["rest"] + "/api/v3/time") as response:
        assert response.status == 403
    async with venue.http.post(venue.urls["rest"] + "/sandbox/faults", json={}) as response:
        assert response.status == 404, "a scenario does not open the control endpoint"
    async with asyncio.timeout(15):
        while venue.exchange.matching.last_price < PRICE + 50_000:
            _, ticker = await venue.demo.public("ticker/price", symbol="BTCUSDT")
    assert float(ticker["price"]) > 61_000


def test_scenario_and_recording_do_not_go_together(tmp_path: Path) -> None:
    from engine.sandbox.server import Sandbox, SandboxOptions  # noqa: PLC0415

    with pytest.raises(InputError, match="scenario"):
        Sandbox(SandboxOptions(scenario=load("halt"), replay=tmp_path / "r"))


def test_command_refuses_a_wrong_name_and_a_wrong_key_in_one_line(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(GOOD + "[flow]\nvolatilty = 1.0\n")
    for given, says in (("locusts", "trend_regime"), (str(mine), "volatilty")):
        done = subprocess.run(
            [sys.executable, "-m", "peakctl", "sandbox", "--scenario", given],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
        assert done.stderr.count("\n") == 1


def test_setting_takes_a_scenario_or_a_recording_but_not_both(tmp_path: Path) -> None:
    chosen = load_settings(tmp_path, {}, {"sandbox.scenario": "halt"}).settings.sandbox
    assert (chosen.scenario, chosen.replay) == ("halt", "")
    with pytest.raises(ConfigProblems, match=r"sandbox\.scenario"):
        load_settings(tmp_path, {}, {"sandbox.scenario": "halt", "sandbox.replay": "r.gz"})
    with pytest.raises(ConfigProblems, match="trend_regime"):
        load_settings(tmp_path, {}, {"sandbox.scenario": "locusts"})


def test_workspace_starts_its_sandbox_with_the_scenario_of_its_settings(tmp_path: Path) -> None:
    workspace = founding.init(tmp_path / "w", Environment.DEV)
    supervisor = Supervisor(workspace, {"sandbox.enabled": "true", "sandbox.scenario": "halt"})
    ready = supervisor.ensure_sandbox()
    try:
        assert ready is not None
        command = Path(f"/proc/{ready['pid']}/cmdline").read_bytes().split(b"\0")
        assert b"--scenario=halt" in command
    finally:
        supervisor.stop_sandbox()


def test_command_opens_the_control_endpoint_when_it_is_asked_to() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "peakctl", "sandbox", "--scenario", "halt", "--control"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            request = urllib.request.Request(
                ready["rest"] + "/sandbox/faults", data=b"{}", method="POST"
            )
            with urllib.request.urlopen(request, timeout=30) as response:
                assert json.loads(response.read())["symbol_status"] == "TRADING"
        finally:
            process.terminate()
        assert process.wait(timeout=30) == 0
