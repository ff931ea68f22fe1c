"""What the store's tests share: a session's story as events, and a journal with its store."""

import itertools
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.contracts import event as ev
from engine.contracts.decision import Decision, Verdict
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import OrderIntent, OrderType, Side
from engine.contracts.people import Actor, person
from engine.contracts.session import ItemResult, SessionState
from engine.journal.writer import Journal
from engine.store.store import Store
from tests.engine.charters import CHARTER

SESSION = "abcdefabcdef"
ALICE = person("alice", "peer-uid:1000")


def intended(order: str, quantity: str, price: str | None, session: str) -> ev.OrderIntended:
    return ev.OrderIntended(
        session_id=session,
        intent=OrderIntent(
            client_order_id=order,
            symbol="BTCUSDT",
            side=Side.BUY,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=Decimal(quantity),
            price=None if price is None else Decimal(price),
        ),
        intent_sha256="0" * 64,
        owner="alice",
        decision=Decision(verdict=Verdict.ALLOW, checks=()),
    )


def filled(
    order: str,
    trade: str,
    quantity: str,
    price: str = "100",
    side: Side = Side.BUY,
    session: str = SESSION,
) -> ev.OrderFilled:
    return ev.OrderFilled(
        session_id=session,
        fill=Fill(
            symbol="BTCUSDT",
            trade_id=trade,
            client_order_id=order,
            venue_order_id=f"v-{order}",
            side=side,
            price=Decimal(price),
            quantity=Decimal(quantity),
            fee=Decimal("0.001"),
            fee_asset="BNB",
            liquidity=Liquidity.TAKER,
            time_us=1,
        ),
    )


class Story:
    """Builders of events, as the tests write them."""

    session = SESSION
    filled = staticmethod(filled)

    @staticmethod
    def intended(
        order: str, quantity: str = "1", price: str | None = "100", session: str = SESSION
    ) -> ev.OrderIntended:
        return intended(order, quantity, price, session)

    @staticmethod
    def acknowledged(order: str) -> ev.OrderAcknowledged:
        return ev.OrderAcknowledged(
            client_order_id=order, venue_order_id=f"v-{order}", venue_time_us=1
        )

    @staticmethod
    def unknown(order: str) -> ev.OrderUnknown:
        return ev.OrderUnknown(client_order_id=order, cause="timeout")

    @staticmethod
    def rejected(order: str) -> ev.OrderRejected:
        return ev.OrderRejected(client_order_id=order, code="-2010", reason="no funds")

    @staticmethod
    def canceled(order: str, quantity: str = "0") -> ev.OrderCanceled:
        return ev.OrderCanceled(
            client_order_id=order, filled_quantity=Decimal(quantity), venue_time_us=1
        )

    @staticmethod
    def expired(order: str) -> ev.OrderExpired:
        return ev.OrderExpired(
            client_order_id=order, filled_quantity=Decimal(0), reason="IOC", venue_time_us=1
        )

    @staticmethod
    def note(text: object) -> ev.NoteAdded:
        return ev.NoteAdded(session_id=SESSION, text=str(text))

    @staticmethod
    def charter() -> ev.SessionChartered:
        return ev.SessionChartered(session_id=SESSION, charter=CHARTER)

    @classmethod
    def day(cls) -> list[Any]:
        """A little of everything that has a view."""
        moved = ev.SessionMoved(
            session_id=SESSION,
            before=SessionState.CHARTER,
            after=SessionState.CHECKLIST,
            cause="started",
        )
        return [
            cls.charter(),
            moved,
            ev.ItemAnswered(
                session_id=SESSION,
                item_id="disk",
                role="operator",
                value="90 GB",
                result=ItemResult.PASS,
            ),
            ev.GoSigned(
                session_id=SESSION, packet_sha256="a" * 64, signature="sig", fingerprint="SHA256:x"
            ),
            cls.intended("o1"),
            cls.acknowledged("o1"),
            cls.filled("o1", "t1", "0.25"),
            cls.note('a note: "quoted", ünicode, \x7f,"kind":"x","data":{'),
            ev.AlarmRaised(
                alarm_id="a1",
                session_id=SESSION,
                code="STALE",
                priority=2,
                text="stale",
                response="wait",
            ),
            ev.AlarmAcknowledged(alarm_id="a1"),
            ev.KillLatched(
                kill_id="k1", session_id=SESSION, reason="drill", source="F9", pressed_us=7
            ),
            ev.KillVerdict(
                kill_id="k1",
                verdict="PROVEN",
                elapsed_us=900,
                canceled=1,
                open_orders=(),
                positions={"BTCUSDT": Decimal("0.25")},
            ),
        ]


class Pair:
    """A journal and the store that follows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "evidence.duckdb"
        ticks = itertools.count(1_763_000_000_000_000)
        self.journal = Journal.open(
            folder / "journal",
            commit_interval_ms=0,
            segment_lines=50,
            clock_us=lambda: next(ticks),
        ).journal
        self.stores: list[Store] = []

    async def open(self, path: Path | None = None, *, align: bool = True) -> Store:
        store = await Store.open(path or self.path, export_folder=self.folder / "export")
        self.stores.append(store)
        if align:
            await store.align(self.journal)
            self.journal.subscribe(store.project)
        return store

    async def append(self, events: Sequence[Any], actor: Actor = ALICE) -> int:
        """Append and return the last sequence."""
        return (await self.journal.append(actor, events))[-1].seq

    async def content(self, store: Store) -> list[tuple[Any, ...]]:
        return await self.ask(store, "SELECT * FROM events ORDER BY seq")

    @staticmethod
    async def ask(store: Store, sql: str) -> list[tuple[Any, ...]]:
        """A question of the test's own, on the store's own connection."""
        return await store._on_thread(
            lambda: store._open_database().cursor().execute(sql).fetchall()
        )

    async def close(self) -> None:
        for store in self.stores:
            await store.close()
        self.journal.close()


@pytest.fixture
def story() -> type[Story]:
    return Story


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    both = Pair(tmp_path)
    yield both
    await both.close()


@pytest.fixture
def make_pair() -> type[Pair]:
    return Pair
