"""The risk report on demand: positions, prices and past collected, computed beside the loop, kept.

One report has two sheets. The first is what the session's own fills made; the second what the whole
account holds of the base assets of the charter's symbols, because what was held before falls in
price just the same. Without a session there is the second alone, over the configured symbols.

Nothing is guessed (I12): a position is valued at the middle of a fresh book or it is not in the
report, and what could not be had, a price, a history, the account, the shocks, stands there as a
gap in words. Any person of the roster may ask; what was told goes into the journal under that name.
Never on the order path: numpy is imported and everything is computed in a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import ConfigError
from engine.contracts.event import RiskReported
from engine.contracts.money import ZERO, plain
from engine.contracts.people import Actor, Role
from engine.contracts.replies import RiskAnswer
from engine.contracts.risk import ACCOUNT, SESSION
from engine.execution.clock import wall_us
from engine.execution.core import Core
from engine.execution.market import Market
from engine.execution.session_desk import SessionDesk
from engine.governance.session import Session
from engine.orders.exact import add
from engine.orders.positions import split_symbol
from engine.risk.inputs import PriceHistory, RiskInputs
from engine.risk.report_text import document_markdown, read_document, to_sheet, write_document
from engine.risk.stress import Exposed, Shock
from engine.venues.port import PriceBar, Venue, VenueQueryFailed

#: A history whose last closed bar ended more bars ago than this is called old.
_LATE_BARS = 2


class RiskTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the report; `symbols` are those looked at without a session.

    `shocks` reads the workspace's shocks and raises ConfigError; it is called in a thread.
    """

    level: Decimal
    interval: str
    bars: int
    window: int
    symbols: tuple[str, ...]
    shocks: Callable[[], tuple[Shock, ...]]


class _Scope(msgspec.Struct, frozen=True):
    """Whose positions, base quantities by symbol, and what is not known of them."""

    name: str
    held: dict[str, Decimal]
    gaps: tuple[str, ...] = ()


class RiskDesk:
    """Makes one report at a time."""

    def __init__(
        self,
        core: Core,
        session: SessionDesk,
        venue: Venue,
        markets: Mapping[str, Market],
        terms: RiskTerms,
    ) -> None:
        self._core = core
        self._session = session
        self._venue = venue
        self._markets = markets
        self._terms = terms
        self._alone = asyncio.Lock()

    async def report(self, actor: Actor) -> RiskAnswer:
        """Collect, compute, journal. Raises Refused for a stranger, JournalFailed."""
        self._session.require(actor, Role.OPERATOR, Role.REVIEWER)
        async with self._alone:
            current = self._core.state.sessions.current
            session = None if current is None or current.ended else current
            inputs = await self._inputs(session)
            document = await asyncio.to_thread(_computed, inputs)
            told = RiskReported(
                session_id="" if session is None else session.id,
                document=document.decode("ascii"),
                sha256=sha256_hex(document),
            )
            await self._core.record(actor, told)
        markdown = document_markdown(read_document(told.document))
        return RiskAnswer(document=told.document, sha256=told.sha256, markdown=markdown)

    # --- collecting -----------------------------------------------------------------------------

    async def _inputs(self, session: Session | None) -> tuple[RiskInputs, ...]:
        terms = self._terms
        symbols = terms.symbols if session is None else session.charter.instruments
        scopes = [] if session is None else [self._of_session()]
        scopes.append(await self._of_account(symbols))
        needed = sorted({name for scope in scopes for name, held in scope.held.items() if held})
        found = await asyncio.gather(*(self._history(symbol) for symbol in needed))
        shocks, faults = await asyncio.to_thread(self._shocks)
        histories = {history.symbol: history for history, _ in found if history is not None}
        told = dict(zip(needed, (gap for _, gap in found), strict=True))
        quote = self._quote(symbols[0])
        at_us = wall_us()
        inputs = []
        for scope in scopes:
            exposed, unvalued = self._valued(scope, quote)
            missing = [told[one.symbol] for one in exposed if told[one.symbol]]
            inputs.append(
                RiskInputs(
                    session_id="" if session is None else session.id,
                    at_us=at_us,
                    quote=quote,
                    positions=exposed,
                    histories=tuple(
                        histories[one.symbol] for one in exposed if one.symbol in histories
                    ),
                    interval=terms.interval,
                    level=float(terms.level),
                    window=terms.window,
                    shocks=shocks,
                    scope=scope.name,
                    gaps=(*scope.gaps, *unvalued, *missing, *faults),
                )
            )
        return tuple(inputs)

    def _of_session(self) -> _Scope:
        positions = self._core.state.positions.positions()
        return _Scope(SESSION, {name: one.quantity for name, one in positions.items()})

    async def _of_account(self, symbols: Sequence[str]) -> _Scope:
        """Holdings of the symbols' base assets; an asset that two symbols trade counts once."""
        try:
            balances = await self._venue.balances()
        except VenueQueryFailed as error:
            return _Scope(ACCOUNT, {}, (f"the account could not be read: {error.line()}",))
        held: dict[str, Decimal] = {}
        seen: set[str] = set()
        for symbol in symbols:
            base = self._assets(symbol)[0]
            if base not in seen:
                seen.add(base)
                held[symbol] = plain(add(*balances.get(base, (ZERO, ZERO))))
        return _Scope(ACCOUNT, held)

    async def _history(self, symbol: str) -> tuple[PriceHistory | None, str]:
        """The symbol's closes and what is to be said of them; None when they cannot be had."""
        terms = self._terms
        try:
            bars = await self._venue.bars(symbol, terms.interval, terms.bars)
        except VenueQueryFailed as error:
            return None, f"history of {symbol}: {error.line()}"
        if not bars:
            return None, f"history of {symbol}: the venue has no closed bar of {terms.interval}"
        history = PriceHistory(
            symbol=symbol,
            open_times_ms=tuple(one.open_time_ms for one in bars),
            closes=tuple(one.close for one in bars),
        )
        return history, _late(symbol, bars[-1], wall_us() // 1_000)

    def _shocks(self) -> tuple[tuple[Shock, ...], tuple[str, ...]]:
        try:
            return self._terms.shocks(), ()
        except ConfigError as error:
            return (), (f"stress: {error.line()}",)

    # --- valuing --------------------------------------------------------------------------------

    def _valued(self, scope: _Scope, quote: str) -> tuple[tuple[Exposed, ...], tuple[str, ...]]:
        """Positions at the middle of their fresh books, and what has no price now."""
        exposed, gaps = [], []
        for symbol, quantity in sorted(scope.held.items()):
            if not quantity:
                continue
            market = self._markets.get(symbol)
            mid = None if market is None else market.mid()
            held = f"{quantity:f} {symbol} is not in this report"
            if self._assets(symbol)[1] != quote:
                gaps.append(f"{held}: it is not quoted in {quote}")
            elif mid is None:
                gaps.append(f"{held}: {_no_price(market)}")
            else:
                exposed.append(Exposed(symbol=symbol, quantity=quantity, price=plain(mid)))
        return tuple(exposed), tuple(gaps)

    def _assets(self, symbol: str) -> tuple[str, str]:
        """Base and quote; read off the symbol while the venue's rules are not known."""
        market = self._markets.get(symbol)
        if market is None:
            return split_symbol(symbol)
        return market.instrument.base, market.instrument.quote

    def _quote(self, symbol: str) -> str:
        return self._assets(symbol)[1]


def _no_price(market: Market | None) -> str:
    age_ms = None if market is None else market.book_age_ms()
    if market is None or age_ms is None:
        return "there is no book"
    return f"its book is {age_ms} ms old" if market.stale else "its book has one side only"


def _late(symbol: str, last: PriceBar, now_ms: int) -> str:
    """What to say of a history that does not reach to the present; "" when it does."""
    length_ms = last.close_time_ms - last.open_time_ms + 1
    bars_ago = (now_ms - last.close_time_ms) // length_ms
    return f"history of {symbol} ends {bars_ago} bars ago" if bars_ago > _LATE_BARS else ""


def _computed(inputs: Sequence[RiskInputs]) -> bytes:
    """All sheets as one document. Runs in a thread."""
    from engine.risk.report import risk_report  # noqa: PLC0415  (numpy comes with it)

    sheets = [to_sheet(risk_report(one)) for one in inputs]
    return write_document(inputs[0].session_id, inputs[0].at_us, sheets)
