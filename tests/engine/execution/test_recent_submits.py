"""The last minute's intents, looked up once each, are those that a look at all of them finds."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.decision import Check, Verdict, decide_all
from engine.contracts.event import OrderIntended, Recorded
from engine.contracts.order import OrderIntent, OrderType, Side, TimeInForce
from engine.contracts.people import ENGINE
from engine.contracts.session import Environment, Mode
from engine.execution.core import State
from engine.execution.facts import FactsBuilder, FactSettings, Readings

ALLOWED = decide_all((Check(code="X", verdict=Verdict.ALLOW, text="x"),))
SESSIONS = ("aaaaaaaaaaaa", "bbbbbbbbbbbb")
MINUTE = 60_000_000


def builder(state: State) -> FactsBuilder:
    settings = FactSettings(
        environment=Environment.DEV,
        stale_ms=1_000,
        clock_limit_ms=1_000,
        modes_allowed=frozenset({Mode.PAPER}),
        allow_list=frozenset(),
    )
    return FactsBuilder(state, {}, Readings(), settings, lambda _: (), Path("/nowhere/latch"))


def intend(state: State, seq: int, session_id: str, ts_us: int) -> None:
    intent = OrderIntent(
        client_order_id=f"pk-{session_id}-{seq:06d}",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        price=Decimal(100),
        time_in_force=TimeInForce.GTC,
    )
    event = OrderIntended(
        session_id=session_id,
        intent=intent,
        intent_sha256=intent.intent_sha256(),
        owner="alice",
        decision=ALLOWED,
    )
    assert state.apply(Recorded(seq=seq, ts_us=ts_us, actor=ENGINE, event=event)) is None


_STEPS = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=MINUTE // 2),  # time that passes
        st.sampled_from(SESSIONS),
        st.integers(min_value=0, max_value=3),  # intents then
        st.booleans(),  # whether somebody asks
    ),
    max_size=25,
)


@given(_STEPS)
def test_each_intent_of_the_last_minute_counts_once(
    steps: list[tuple[int, str, int, bool]],
) -> None:
    state = State()
    facts = builder(state)
    now, seq = 1_000_000_000, 0
    sent: dict[str, list[int]] = {session_id: [] for session_id in SESSIONS}
    for passed, session_id, intents, asked in steps:
        now += passed
        for _ in range(intents):
            intend(state, seq, session_id, now)
            sent[session_id].append(now)
            seq += 1
        if asked:
            since = now - MINUTE
            expected = tuple(at for at in sent[session_id] if at > since)
            assert facts._recent_submits(session_id, since) == expected
