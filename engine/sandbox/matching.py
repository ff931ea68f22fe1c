"""Matching: what happens to an order, a cancel or a replayed market event.

Fills are made at the maker's price, best price first, first come first filled within a price. The
engine is pure: time comes in as µs, and what happened comes out of `take()` in the order it
happened (trades, execution reports, then balances), for the wire to publish. Promises, held by
property tests: quantities and money are conserved (fees apart), the book never crosses, a balance
is never negative, and exactly what open orders need is locked.

Orders without an account are market flow: they match like all others but hold no balances.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.sandbox.accounts import Account
from engine.sandbox.book import BUY, SELL, Book
from engine.sandbox.errors import (
    duplicate_order,
    filter_failure,
    market_closed,
    unknown_order,
    would_match,
)
from engine.sandbox.orders import (
    NewOrder,
    Order,
    Output,
    OwnTrade,
    Position,
    PreventedMatch,
    Report,
    Trade,
)
from engine.sandbox.reach import reach_of
from engine.sandbox.rules import Rules


class Matching:
    """One symbol's matching engine with its order and trade id sequences."""

    def __init__(self, rules: Rules, *, first_order_id: int = 1, first_trade_id: int = 1) -> None:
        self.rules = rules
        self.book: Book[Order] = Book()
        self.next_order_id = first_order_id
        self.next_trade_id = first_trade_id
        self.next_match_id = 0
        self.last_price = 0
        self.resting: dict[int, Order] = {}
        #: told of the first fill of an account's order: (account, as maker); counts unfilled orders
        self.on_first_fill: Callable[[Account, bool], None] = lambda _account, _maker: None
        self._out: list[Output] = []
        self._touched: dict[str, Account] = {}

    def take(self, now_us: int) -> list[Output]:
        """What happened since the last call, oldest first."""
        for account in self._touched.values():
            account.updated_us = now_us
            held = {a: account.balances[a] for a in sorted(account.touched)}
            account.touched.clear()
            state = {asset: (balance.free, balance.locked) for asset, balance in held.items()}
            self._out.append(Position(account=account, balances=state, time_us=now_us))
        self._touched.clear()
        out, self._out = self._out, []
        return out

    # --- orders of accounts ---------------------------------------------------------------------

    def place(self, account: Account, new: NewOrder, now_us: int) -> Order:
        """Accept and match an order. Raises VenueError and changes nothing when it is refused."""
        quantity, to_lock, dry = self.check(account, new)
        order = self._new_order(account, new, quantity, now_us)
        order.dry = dry
        self._lock(order, to_lock)
        account.orders[order.order_id] = order
        account.latest_by_client_id[order.client_id] = order
        account.open_orders[order.client_id] = order
        self._report(order, "NEW", now_us)
        self._match(order, now_us)
        if order.open:
            self._rest_or_expire(order, now_us)
        return order

    def check(self, account: Account, new: NewOrder) -> tuple[int, int, bool]:
        """All that could refuse an order.

        Returns its quantity (steps), the amount to lock and whether it will run dry.
        """
        if self.rules.status != "TRADING":
            raise market_closed()
        if new.client_id in account.open_orders:
            raise duplicate_order()
        if len(account.open_orders) >= self.rules.max_orders:
            raise filter_failure("MAX_NUM_ORDERS")
        asset = self.rules.quote if new.side == BUY else self.rules.base
        if new.type == "MARKET":
            reach = reach_of(self.book, self.rules, account, new)
            wanted = new.quantity or reach.quantity
            reference = self.rules.value(self.last_price, wanted)
            self.rules.check_notional(new.quote_amount or reference, market=True)
            if not wanted and not reach.dry:
                raise filter_failure("LOT_SIZE")
            needed = reach.value if new.side == BUY else wanted * self.rules.step
            account.require(asset, max(needed, new.quote_amount if new.side == BUY else 0))
            return wanted, needed, reach.dry
        value = self.rules.value(new.price, new.quantity)
        self.rules.check_notional(value)
        if self.last_price:
            self.rules.check_percent_price(new.price, self.last_price)
        needed = value if new.side == BUY else new.quantity * self.rules.step
        account.require(asset, needed)
        if new.type == "LIMIT_MAKER" and self.book.side(-new.side).crosses(new.price):
            raise would_match()
        return new.quantity, needed, False

    def cancel(self, order: Order, cancel_id: str, now_us: int) -> None:
        """Cancel what remains. Raises VenueError -2011 when it is not open."""
        if not order.open:
            raise unknown_order()
        self._end(order, "CANCELED", now_us, cancel_id=cancel_id)

    # --- market flow -----------------------------------------------------------------------------

    def flow_order(self, side: int, price: int, quantity: int, now_us: int) -> Order:
        """A limit order of market flow (GTC)."""
        new = NewOrder(client_id="", side=side, type="LIMIT", price=price, quantity=quantity)
        order = self._new_order(None, new, quantity, now_us)
        self._match(order, now_us)
        if order.remaining:
            order.rested = True
            self.book.add(order)
        return order

    def flow_market(self, side: int, quantity: int, now_us: int) -> Order:
        """A market order of market flow; what finds no liquidity is gone."""
        new = NewOrder(client_id="", side=side, type="MARKET", quantity=quantity)
        order = self._new_order(None, new, quantity, now_us)
        self._match(order, now_us)
        order.remaining = 0
        return order

    def flow_cancel(self, order: Order) -> None:
        """Take an order of market flow off the book."""
        self.book.remove(order)

    # --- inside ----------------------------------------------------------------------------------

    def _new_order(
        self, account: Account | None, new: NewOrder, quantity: int, now_us: int
    ) -> Order:
        order_id = self.next_order_id
        self.next_order_id += 1
        return Order(
            order_id=order_id,
            account=account,
            client_id=new.client_id,
            side=new.side,
            type=new.type,
            time_in_force=new.time_in_force,
            price=new.price,
            quantity=quantity,
            remaining=quantity,
            created_us=now_us,
            updated_us=now_us,
            quote_amount=new.quote_amount,
            stp=new.stp,
            strategy_id=new.strategy_id,
            strategy_type=new.strategy_type,
        )

    def _match(self, taker: Order, now_us: int) -> None:
        """Trade with the other side for as long as price, quantity and self-trade mode allow."""
        if taker.time_in_force == "FOK" and taker.account is not None:
            wanted = NewOrder(
                client_id=taker.client_id,
                side=taker.side,
                type=taker.type,
                price=taker.price,
                quantity=taker.quantity,
                stp=taker.stp,
            )
            reach = reach_of(self.book, self.rules, taker.account, wanted)
            if reach.fillable < taker.quantity:
                return
        market = taker.type == "MARKET"
        opposite = self.book.side(-taker.side)
        while taker.remaining and (market or opposite.crosses(taker.price)):
            maker = self.book.front(-taker.side)
            if maker is None:
                return
            own = maker.account is taker.account and taker.account is not None
            if own and taker.stp != "NONE":
                self._prevent(taker, maker, now_us)
                continue
            self._trade(taker, maker, min(taker.remaining, maker.remaining), now_us)

    def _prevent(self, taker: Order, maker: Order, now_us: int) -> None:
        """Keep an account from trading with itself, in the way the taker asked for."""
        assert taker.account is not None, "flow does not prevent self-trades"
        size = min(taker.remaining, maker.remaining)
        taker_loses, maker_loses = {
            "EXPIRE_TAKER": (taker.remaining, 0),
            "EXPIRE_MAKER": (0, maker.remaining),
            "EXPIRE_BOTH": (taker.remaining, maker.remaining),
            "DECREMENT": (size, size),
        }[taker.stp]
        match = PreventedMatch(
            match_id=self.next_match_id,
            taker_order_id=taker.order_id,
            maker_order_id=maker.order_id,
            mode=taker.stp,
            price=maker.price,
            quantity=size,
            taker_prevented=taker_loses,
            maker_prevented=maker_loses,
            time_us=now_us,
        )
        self.next_match_id += 1
        taker.account.prevented.append(match)
        taker.prevented_matches.append(match)
        if maker_loses:
            maker.prevented_matches.append(match)
            self._lose(maker, maker_loses, match, now_us)
        if taker_loses:
            self._lose(taker, taker_loses, match, now_us)

    def _lose(self, order: Order, quantity: int, match: PreventedMatch, now_us: int) -> None:
        """Take prevented steps off an order; one with none left ends."""
        if order.rested:
            self.book.reduce(order, quantity)
        else:
            order.remaining -= quantity
        order.prevented += quantity
        order.updated_us = now_us
        if not order.remaining:
            order.status = "EXPIRED_IN_MATCH"
            self._close(order)
        self._release(order)
        self._report(order, "TRADE_PREVENTION", now_us, match=match)

    def _trade(self, taker: Order, maker: Order, quantity: int, now_us: int) -> None:
        self.book.reduce(maker, quantity)
        taker.remaining -= quantity
        trade_id = self._print(taker, maker.price, quantity, now_us)
        for order, is_maker in ((taker, False), (maker, True)):
            self._fill(order, trade_id, maker.price, quantity, now_us, maker=is_maker)

    def _print(self, taker: Order, price: int, quantity: int, now_us: int) -> int:
        trade_id = self.next_trade_id
        self.next_trade_id += 1
        self.last_price = price
        self._out.append(
            Trade(
                trade_id=trade_id,
                price=price,
                quantity=quantity,
                time_us=now_us,
                buyer_is_maker=taker.side == SELL,
                taker_order_id=taker.order_id,
            )
        )
        return trade_id

    def _fill(
        self, order: Order, trade_id: int, price: int, quantity: int, now_us: int, *, maker: bool
    ) -> None:
        """Book a fill on an order and, when it has an account, on the account's balances."""
        value = self.rules.value(price, quantity)
        first = not order.filled
        order.filled += quantity
        order.filled_value += value
        order.updated_us = now_us
        order.status = "PARTIALLY_FILLED" if order.remaining or order.dry else "FILLED"
        account = order.account
        if account is None:
            return
        base = quantity * self.rules.step
        spent, got = (value, base) if order.side == BUY else (base, value)
        asset = self.rules.base if order.side == BUY else self.rules.quote
        fee = self.rules.fee(got, maker=maker)
        account.spend_locked(self._locked_asset(order), spent)
        order.locked -= spent
        account.receive(asset, got - fee)
        own = OwnTrade(
            trade_id=trade_id,
            order_id=order.order_id,
            price=price,
            quantity=quantity,
            value=value,
            fee=fee,
            fee_asset=asset,
            time_us=now_us,
            buyer=order.side == BUY,
            maker=maker,
        )
        order.fills.append(own)
        account.trades.append(own)
        self._touched[account.name] = account
        if order.status == "FILLED":
            self._close(order)
        self._release(order)
        self._report(order, "TRADE", now_us, trade=own)
        if first:
            self.on_first_fill(account, maker)

    def _rest_or_expire(self, order: Order, now_us: int) -> None:
        if order.type == "MARKET":
            order.expiry_reason = "INSUFFICIENT_LIQUIDITY"
        elif order.time_in_force == "IOC":
            order.expiry_reason = "UNFILLED_IOC_QUANTITY_EXPIRED"
        elif order.time_in_force == "FOK":
            order.expiry_reason = "UNFILLED_FOK_ORDER_EXPIRED"
        else:
            order.rested = True
            self.resting[order.order_id] = order
            self.book.add(order)
            return
        self._end(order, "EXPIRED", now_us)

    def _end(self, order: Order, status: str, now_us: int, *, cancel_id: str = "") -> None:
        """End an order that is not filled: off the book, balance released, reported."""
        if order.rested:
            self.book.remove(order)
        order.remaining = 0
        order.status = status
        order.updated_us = now_us
        self._close(order)
        self._release(order)
        execution = "CANCELED" if status == "CANCELED" else "EXPIRED"
        self._report(order, execution, now_us, cancel_id=cancel_id)

    def _close(self, order: Order) -> None:
        self.resting.pop(order.order_id, None)
        if order.account is not None:
            order.account.open_orders.pop(order.client_id, None)

    def _locked_asset(self, order: Order) -> str:
        return self.rules.quote if order.side == BUY else self.rules.base

    def _lock(self, order: Order, amount: int) -> None:
        assert order.account is not None, "only orders of accounts lock balances"
        order.account.lock(self._locked_asset(order), amount)
        order.locked = amount
        self._touched[order.account.name] = order.account

    def _release(self, order: Order) -> None:
        """Give back what is locked beyond what the rest of the order can cost."""
        if order.account is None:
            return
        if order.type == "MARKET":
            needed = order.locked if order.open else 0
        elif order.side == BUY:
            needed = self.rules.value(order.price, order.remaining)
        else:
            needed = order.remaining * self.rules.step
        if order.locked > needed:
            order.account.unlock(self._locked_asset(order), order.locked - needed)
            order.locked = needed
            self._touched[order.account.name] = order.account

    def _report(
        self,
        order: Order,
        execution: str,
        now_us: int,
        *,
        cancel_id: str = "",
        trade: OwnTrade | None = None,
        match: PreventedMatch | None = None,
    ) -> None:
        if order.account is None:
            return
        self._out.append(
            Report(
                order=order,
                execution=execution,
                status=order.status,
                filled=order.filled,
                filled_value=order.filled_value,
                time_us=now_us,
                cancel_id=cancel_id,
                trade=trade,
                resting=execution == "NEW" or (order.rested and bool(order.remaining)),
                match=match,
                prevented=order.prevented,
            )
        )
