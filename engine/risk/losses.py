"""What was earned and lost, fill by fill, over all sessions: the fold behind the breakers. Pure.

A fold of the journal and nothing else: a restart ends in the same figures, the peak included. All
sessions count together, so that a new session does not begin with a loss forgotten.

Equity is the quote balance that the venue showed when the session asked for its go, plus what was
earned since, plus what is held at its mark. Its peak is taken at our own fills, each symbol at its
last fill's price, and between them from `equity.peaked`, which the engine records whenever what is
held has carried the equity higher by `PEAK_STEP_BPS`: both are in the journal. (Base held before
the session is left out, which makes the equity smaller and a drawdown larger.)
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from decimal import ROUND_UP, Decimal

from engine.contracts import event as ev
from engine.contracts.money import ZERO
from engine.contracts.session import SessionState
from engine.orders.exact import add, multiply, subtract, usable
from engine.orders.positions import (
    Position,
    PositionLedger,
    fees_in_quote,
    split_symbol,
    unrealized,
)
from engine.risk.activity import Times
from engine.risk.sums import Amounts

_NO_FALL = (ZERO, Decimal(1))

#: A peak between two fills is recorded once it is so much above the last, basis points of that.
PEAK_STEP_BPS = 5

#: Causes of a pause that no person asked for.
AUTOMATIC = frozenset({"risk_pause", "recon_red", "attendance_lost"})


class LossBook:
    """Profit and loss of the account as the journal has it, folded in place."""

    def __init__(self) -> None:
        self.pauses = Times()
        #: quote balance at the session's begin plus what was realised since; None: not read yet
        self.equity: Decimal | None = None
        #: highest equity of the session, at any of its fills or recorded between them
        self.peak: Decimal | None = None
        #: the deepest fall from the peak at any of the session's fills, and that peak
        self._deepest: tuple[Decimal, Decimal] = _NO_FALL
        #: breakers that tripped in this session and that nobody has lifted
        self.tripped: set[str] = set()
        self._instruments: tuple[str, ...] = ()
        self._positions = PositionLedger()
        self._last_prices: dict[str, Decimal] = {}
        self._held: dict[str, Position] = {}
        #: what all fills before the n-th earned together, so that a week costs as little as a day
        self._sums = Amounts()
        self._sums.append(ZERO)
        self._at = array("q")
        self._highest = array("q")
        #: fills stamped earlier than one before them: the clock was set back
        self._late: list[int] = []
        self._closes: dict[str, Decimal] = {}

    @property
    def losses_in_a_row(self) -> int:
        """Orders in a row, the last ones, that closed at a loss; since a person last resumed."""
        count = 0
        for earned in reversed(self._closes.values()):
            if earned >= 0:
                break
            count += 1
        return count

    @property
    def deepest_bps(self) -> int | None:
        """The session's deepest drawdown at its fills, bps rounded up; None when not known."""
        if self.peak is None or not self.peak > 0:
            return None
        fall, peak = self._deepest
        return int((fall * 10_000 / peak).to_integral_value(ROUND_UP))

    def earned_after(self, since_us: int) -> Decimal:
        """Realised after fees by all fills later than `since_us`, quote."""
        begin = bisect_right(self._highest, since_us)
        total = subtract(self._sums[-1], self._sums[begin])
        for place in self._late[bisect_left(self._late, begin) :]:
            if self._at[place] <= since_us:
                total = subtract(total, subtract(self._sums[place + 1], self._sums[place]))
        return total

    def unrealised(self, marks: Mapping[str, Decimal]) -> Decimal | None:
        """What all that is held would earn at these marks; None when one has no mark."""
        total = ZERO
        for symbol, position in self._held.items():
            if not position.quantity:
                continue
            if symbol not in marks:
                return None
            total = add(total, unrealized(position, marks[symbol]))
        return total

    def holds(self, symbol: str) -> bool:
        """Whether any of it is held."""
        held = self._held.get(symbol)
        return held is not None and bool(held.quantity)

    def new_peak(self, marks: Mapping[str, Decimal]) -> Decimal | None:
        """The equity at these marks if it is a peak that has to be recorded, else None."""
        held = self.unrealised(marks)
        if held is None or self.equity is None or self.peak is None:
            return None
        now = add(self.equity, held)
        step = multiply(self.peak.copy_abs(), Decimal(PEAK_STEP_BPS))
        over = multiply(subtract(now, self.peak), Decimal(10_000))
        return now if over > step else None

    def apply(self, recorded: ev.Recorded) -> None:
        """Fold one event. Total: what does not concern it changes nothing."""
        match recorded.event:
            case ev.OrderFilled():
                self._fill(recorded, recorded.event)
            case ev.SessionChartered(charter=charter):
                self._instruments = charter.instruments
                self.equity = self.peak = None
                self._deepest = _NO_FALL
                self._lift()
            case ev.BalancesRead(moment="opening", balances=balances):
                self._open(balances)
            case ev.EquityPeaked(equity=equity) if self.peak is not None and usable(equity):
                self.peak = max(self.peak, equity)
            case ev.LatchReleased():
                self.pauses = Times()
            case ev.SessionMoved(after=SessionState.PAUSED, cause=cause) if cause in AUTOMATIC:
                self.pauses.add(recorded.ts_us)
            case ev.SessionMoved(cause="resume"):
                self._lift()
            case ev.BreakerTripped(name=name):
                self.tripped.add(name)

    def _lift(self) -> None:
        """A person looked, or a new session began: what counts in a row begins again."""
        self.tripped.clear()
        self._closes.clear()

    def _open(self, balances: dict[str, tuple[Decimal, Decimal]]) -> None:
        quotes = {split_symbol(symbol)[1] for symbol in self._instruments}
        if len(quotes) != 1:
            return  # two currencies have no sum
        free, locked = balances.get(quotes.pop(), (ZERO, ZERO))
        self.equity = add(free, locked)
        self._mark_peak()

    def _fill(self, recorded: ev.Recorded, event: ev.OrderFilled) -> None:
        fill = event.fill
        if not self._positions.apply(recorded):
            return
        before, after = self._held.get(fill.symbol), self._positions.position(fill.symbol)
        self._held[fill.symbol] = after
        self._last_prices[fill.symbol] = fill.price
        earned = subtract(_net(after), _net(before) if before else ZERO)
        self._keep(recorded.ts_us, earned)
        if before and before.quantity * fill.side.sign < 0:
            name = fill.client_order_id
            self._closes[name] = add(self._closes.pop(name, ZERO), earned)
        if self.equity is not None:
            self.equity = add(self.equity, earned)
            self._mark_peak()

    def _keep(self, at_us: int, earned: Decimal) -> None:
        highest = max(at_us, self._highest[-1] if self._highest else at_us)
        if highest != at_us:
            self._late.append(len(self._at))
        self._at.append(at_us)
        self._highest.append(highest)
        self._sums.append(add(self._sums[-1], earned))

    def _mark_peak(self) -> None:
        held = self.unrealised(self._last_prices)
        if self.equity is not None and held is not None:
            now = add(self.equity, held)
            self.peak = now if self.peak is None else max(self.peak, now)
            fall = subtract(self.peak, now)
            if multiply(fall, self._deepest[1]) > multiply(self._deepest[0], self.peak):
                self._deepest = (fall, self.peak)


def _net(position: Position) -> Decimal:
    """Realised less the fees that have a price, quote."""
    fees, _unpriced = fees_in_quote(position, {})
    return subtract(position.realized, fees)
