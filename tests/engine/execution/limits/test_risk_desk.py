"""The risk desk over a real sandbox and a real journal: two scopes, gaps in words, a name on it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from config.stress import load_shocks
from engine.contracts import event as ev
from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import Refused
from engine.contracts.people import ENGINE, Person, Role, person
from engine.contracts.replies import RiskAnswer
from engine.contracts.risk import RiskSheet
from engine.execution.core import Core, State
from engine.execution.limits import risk_desk
from engine.execution.limits.risk_desk import RiskDesk, RiskTerms
from engine.execution.market import Market
from engine.execution.session_desk import SessionDesk
from engine.governance.people import Roster
from engine.journal.writer import Journal
from engine.risk.inputs import RiskInputs
from engine.risk.report_text import read_document
from engine.venues.binance.venue import BinanceVenue
from engine.venues.port import BookTop, PriceBar
from tests.engine.evidence.conftest import SESSION, charter, order_events
from tests.engine.venues.binance.conftest import running_market

SYMBOL = "BTCUSDT"
ROOT = Path(__file__).parents[4]
ALICE = person("alice", "peer-uid:1000")
PEOPLE = tuple(
    Person(id=name, name=name, role=role, principal=f"x:{name}", fingerprint=f"SHA256:{name}")
    for name, role in (("alice", Role.OPERATOR), ("bob", Role.REVIEWER))
)


class Clock:
    """The market's clock, µs, moved by the test alone."""

    us = 5_000_000

    def __call__(self) -> int:
        return self.us


class Desk:
    """A risk desk on a sandbox of its own."""

    def __init__(self, folder: Path, sandbox: Any, venue: BinanceVenue, core: Core) -> None:
        self.folder, self.sandbox, self.venue, self.core = folder, sandbox, venue, core
        self.clock = Clock()
        self.markets: dict[str, Market] = {}
        none = cast("Any", None)
        self.desk = RiskDesk(
            core,
            SessionDesk(core, Roster(PEOPLE), none, none, none),
            venue,
            self.markets,
            RiskTerms(
                level=Decimal("0.99"),
                interval="5m",
                bars=400,
                window=250,
                symbols=(SYMBOL,),
                shocks=lambda: load_shocks(folder),
            ),
        )

    async def look_at_the_market(self, bid: str = "60000", ask: str = "60000.5") -> None:
        market = Market(await self.venue.instrument(SYMBOL), 3000, self.clock)
        market.hear(
            BookTop(
                symbol=SYMBOL,
                update_id=1,
                bids=((Decimal(bid), Decimal(1)),),
                asks=((Decimal(ask), Decimal(1)),),
                venue_time_us=1,
            )
        )
        self.markets[SYMBOL] = market

    async def hold_in_a_session(self) -> None:
        opened = ev.SessionChartered(session_id=SESSION, charter=charter())
        fills = [one for one in order_events() if isinstance(one, ev.OrderFilled)]
        await self.core.record(ENGINE, opened, *fills[:1])

    async def ask(self) -> tuple[RiskAnswer, Sequence[RiskSheet]]:
        answer = await self.desk.report(ALICE)
        return answer, read_document(answer.document).sheets

    def told(self) -> list[ev.Recorded]:
        return [one for one in self.core.journal.read() if isinstance(one.event, ev.RiskReported)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    journal = Journal.open(
        tmp_path / "journal", commit_interval_ms=0, segment_lines=1000, clock_us=lambda: 1
    ).journal
    async with running_market(tmp_path / "keys") as sandbox:
        venue = await sandbox.venue()
        yield Desk(tmp_path, sandbox, venue, Core(journal, State()))
    journal.close()


async def test_without_a_session_the_accounts_holdings_are_reported(desk: Desk) -> None:
    await desk.look_at_the_market()
    answer, (account,) = await desk.ask()
    free, locked = (await desk.venue.balances())["BTC"]
    (held,) = account.positions
    assert (account.scope, account.session_id, account.gaps) == ("account", "", ())
    assert (held.quantity, held.price) == (free + locked, Decimal("60000.25"))
    assert account.observations == 399
    assert [one.method for one in account.figures] == ["historical", "gaussian", "cornish-fisher"]
    assert account.backtest is not None
    assert account.stress[0].profit == -held.quantity * held.price / 2
    assert answer.markdown.startswith("# Risk report: what the account holds")


async def test_the_report_is_journaled_by_the_persons_name_with_its_hash(desk: Desk) -> None:
    await desk.look_at_the_market()
    answer, _ = await desk.ask()
    (told,) = desk.told()
    event = told.event
    assert isinstance(event, ev.RiskReported)
    assert told.actor == ALICE
    assert event.document == answer.document
    assert event.sha256 == answer.sha256 == sha256_hex(answer.document.encode())


async def test_a_session_has_a_sheet_of_its_own_before_the_accounts(desk: Desk) -> None:
    await desk.look_at_the_market()
    await desk.hold_in_a_session()
    _, (session, account) = await desk.ask()
    assert (session.scope, account.scope) == ("session", "account")
    assert session.session_id == account.session_id == SESSION
    # bought 0.005 and paid the fee in BTC
    assert session.positions[0].quantity == Decimal("0.004995")
    assert account.positions[0].quantity > session.positions[0].quantity
    (told,) = desk.told()
    assert getattr(told.event, "session_id", "") == SESSION


async def test_a_stale_book_is_a_gap_and_not_a_price(desk: Desk) -> None:
    await desk.look_at_the_market()
    desk.clock.us += 4_200_000
    answer, (account,) = await desk.ask()
    assert account.positions == ()
    assert account.figures == ()
    (gap,) = account.gaps
    assert gap.endswith("BTCUSDT is not in this report: its book is 4200 ms old")
    assert "nothing to lose" not in answer.markdown


async def test_before_the_market_is_known_there_is_no_price_either(desk: Desk) -> None:
    _, (account,) = await desk.ask()
    assert account.gaps[0].endswith("there is no book")


async def test_an_account_that_cannot_be_read_is_not_an_empty_one(desk: Desk) -> None:
    await desk.look_at_the_market()
    await desk.hold_in_a_session()
    await desk.sandbox.fault(rest=[{"on": "account", "answer": "code", "code": -1100, "times": 9}])
    _, (session, account) = await desk.ask()
    assert account.gaps[0].startswith("the account could not be read: ")
    assert (await desk.sandbox.fault())["fired"]
    assert account.positions == ()
    assert session.gaps == ()
    assert session.figures


async def test_a_history_that_the_venue_refuses_is_a_gap_and_stress_stays(desk: Desk) -> None:
    await desk.look_at_the_market()
    desk.desk._terms = msgspec.structs.replace(desk.desk._terms, interval="7m")
    _, (account,) = await desk.ask()
    assert account.figures == ()
    assert any(gap.startswith("history of BTCUSDT: ") for gap in account.gaps)
    assert "value at risk: no price history of BTCUSDT" in account.gaps
    assert account.stress[0].profit < 0


async def test_what_is_quoted_in_something_else_is_not_added_up(desk: Desk) -> None:
    await desk.look_at_the_market()
    await desk.hold_in_a_session()
    (fill,) = [one for one in desk.core.journal.read() if isinstance(one.event, ev.OrderFilled)]
    assert isinstance(fill.event, ev.OrderFilled)
    strange = msgspec.structs.replace(fill.event.fill, symbol="ETHBTC", trade_id="78")
    await desk.core.record(ENGINE, msgspec.structs.replace(fill.event, fill=strange))
    _, (session, _account) = await desk.ask()
    assert [one.symbol for one in session.positions] == [SYMBOL]
    assert any("ETHBTC is not in this report: it is not quoted in USDT" in g for g in session.gaps)


@pytest.mark.parametrize(("bars_ago", "told"), [(0, False), (2, False), (3, True)])
def test_a_history_that_ends_too_soon_is_called_old(bars_ago: int, told: bool) -> None:
    one = Decimal(1)
    bar = PriceBar(
        open_time_ms=0, close_time_ms=59_999, open=one, high=one, low=one, close=one, volume=one
    )
    words = risk_desk._late(SYMBOL, bar, 60_000 + bars_ago * 60_000)
    assert words == (f"history of BTCUSDT ends {bars_ago} bars ago" if told else "")


async def test_shocks_that_cannot_be_read_are_named(desk: Desk) -> None:
    await desk.look_at_the_market()
    (desk.folder / "config").mkdir()
    (desk.folder / "config" / "stress.toml").write_text("[[shock]]\nname = 1\n")
    _, (account,) = await desk.ask()
    assert account.stress == ()
    assert account.figures
    assert any("stress: config/stress.toml" in gap for gap in account.gaps)


async def test_a_stranger_is_refused_and_nothing_is_kept(desk: Desk) -> None:
    await desk.look_at_the_market()
    with pytest.raises(Refused):
        await desk.desk.report(person("mallory", "peer-uid:1"))
    assert desk.told() == []


async def test_the_figures_are_computed_beside_the_loop(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    whole = risk_desk._computed

    def computed(inputs: Sequence[RiskInputs]) -> bytes:
        threads.append(threading.current_thread())
        return whole(inputs)

    monkeypatch.setattr(risk_desk, "_computed", computed)
    await desk.look_at_the_market()
    await desk.ask()
    assert threads
    assert threading.main_thread() not in threads


#: Everything between a ticket and the venue, and the desk of the report as it stands there waiting.
ORDER_PATH = (
    "engine.execution.core",
    "engine.execution.limits.facts",
    "engine.execution.pipeline",
    "engine.execution.settle.settler",
    "engine.execution.kill.switch",
    "engine.execution.limits.risk_desk",
    "engine.risk.limits",
    "engine.risk.report_text",
    "engine.venues.binance.venue",
)
HEAVY = ("numpy", "scipy", "pandas", "pyarrow", "duckdb")


@pytest.mark.parametrize(
    ("modules", "impossible"), [(ORDER_PATH, HEAVY), (("engine.serving",), ("numpy", "scipy"))]
)
def test_the_order_path_is_whole_without_numpy(
    modules: tuple[str, ...], impossible: tuple[str, ...]
) -> None:
    code = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({impossible!r}))\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"assert not any(sys.modules[name] for name in {impossible!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
