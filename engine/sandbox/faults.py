"""Faults on demand: what a real venue does on a bad day (venue.md 2.9). The words and the state.

Off unless the sandbox was started with `control` or a scenario. `POST /sandbox/faults` takes a
`FaultRequest`; an absent field changes nothing, so `{}` only asks. The answer is what is armed now
and `fired`: how often each fault has really happened since the start, so that a test can prove that
its fault did.

This file is pure: it decides, and counts. What is done about it is done elsewhere: REST answers in
`fault_middleware.py`, execution reports in `fault_reports.py`, old answers in `fault_replica.py`,
and connections, symbol, clock and accounts in `fault_desk.py`; `fault_schedule.py` draws faults
from a seed. Times are µs of the machine's clock, never of the skewed one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

Which = Literal["", "market", "user", "all"]
Status = Literal["TRADING", "HALT", "BREAK", "CANCEL_ONLY"]
On = Literal[
    "submit", "cancel", "cancel_all", "order", "open_orders", "orders", "fills", "account",
    "depth", "time", "query", "any",
]  # fmt: skip
Answer = Literal["silent", "reset", "code", "status", "delay", "skew", "html"]
Count = Annotated[int, msgspec.Meta(ge=0)]
#: An amount as the wire writes it.
Text = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}(\.[0-9]{1,8})?$")]

KINDS = ("market", "user")
#: Codes after which nobody knows whether the request was executed (errors.md).
_UNKNOWN_OUTCOME = frozenset({-1000, -1001, -1006, -1007})
_NEVER = 2**63
#: The venue cuts every connection after a day.
DAY_S = 86_400.0


class RestFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The next `times` matching requests (0: all until cleared), after `after` that pass.

    `on` names the request; `query` is any signed GET, `any` all of REST. `answer`:

    * `silent`: no answer, the connection stays open; `reset`: the connection is reset;
    * `code`: the JSON error `code`, with `status` or the status that the code usually has;
    * `status`: a bare HTTP status without a body; `html`: 403 with a web page, as a WAF gives;
    * `delay`: the true answer, `delay_ms` late; `skew`: -1021, as when the clocks disagree.

    `accept` says whether the request is executed before the fault shows. None takes what a venue
    does: executed for silent, reset, delay, 5xx and codes of unknown outcome, else not. A delay
    with `accept` false holds the request back, not the answer. `delay_ms` holds back every answer.
    """

    on: On
    answer: Answer
    accept: bool | None = None
    code: int = -1007
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    retry_after_s: Count | None = None
    delay_ms: Count = 0
    times: Count = 1
    after: Count = 0

    def accepts(self) -> bool:
        """Whether the request is executed first."""
        if self.accept is not None:
            return self.accept
        match self.answer:
            case "html" | "skew":
                return False
            case "code":
                return self.code in _UNKNOWN_OUTCOME
            case "status":
                return (self.status or 504) >= 500
            case _:
                return True


class ReportFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The next `times` execution reports of this kind.

    `duplicate` is sent twice; `reorder` changes places with the account's next report (or comes
    after `delay_ms`, at least a second, when there is none); `lose` never comes; `delay` comes
    `delay_ms` late, and what happened later may overtake it.
    """

    how: Literal["duplicate", "reorder", "lose", "delay"]
    execution: Literal["NEW", "TRADE", "CANCELED", "EXPIRED", "any"] = "any"
    delay_ms: Count = 0
    times: Count = 1


class CancelRace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The next `times` cancels come late: what rests is filled first, in part or whole."""

    fill: Literal["part", "all"]
    times: Count = 1


class Filters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New filters of the symbol; what is absent stays. Ticks and steps only grow in multiples."""

    tick_size: Text | None = None
    step_size: Text | None = None
    min_quantity: Text | None = None
    max_quantity: Text | None = None
    min_notional: Text | None = None
    max_notional: Text | None = None
    max_num_orders: Count | None = None


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Faults drawn from a seed, about every `every_ms`; `kinds` of `fault_schedule.NAMED`.

    Empty `kinds` are all but the wipe. `until_ms` after its start it ends and disarms everything;
    0 never ends.
    """

    seed: Count
    every_ms: Annotated[int, msgspec.Meta(ge=1)]
    kinds: tuple[str, ...] = ()
    until_ms: Count = 0


class FaultRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /sandbox/faults; a field that is absent changes nothing.

    * `clear`: disarm everything first: lists, timers, schedule, and status, filters and clock too.
    * `rest`, `reports` add to what is armed; `cancel_race` replaces.
    * `stream_cut`: those connections end now, without a close frame. `stream_stall` for
      `stream_stall_ms`: open and silent, what would have been sent is lost. `no_pong`: pings of
      clients are not answered ("" answers again). `server_shutdown`: the event goes out on every
      connection, which then ends after `server_shutdown_ms`. `cut_after_s`: the age at which a
      connection is ended (the venue's is 24 hours; 0 goes back to it).
    * `depth_gap` n: the next n depth events of each speed are lost, so `U` jumps. `stale_snapshot`
      n: the next n depth snapshots show the book as it was when this was armed.
    * `symbol_status`: but for TRADING, orders are refused and cancels pass; the market stands.
      `filters` change at run time. `wipe`: orders and trades of accounts gone, balances reset, keys
      kept, ids go on.
    * `clock_skew_ms`: the venue's clock is so far ahead. `hide_order_ms`: younger orders are in no
      query's answer; with `hide_from_cancels` no cancel finds them either, as if they were still on
      their way to the book. `open_orders_lag_ms`: openOrders as it was so long ago. `ban_ms`: 418
      for everybody for so long. 0 ends each.
    * `for_ms`: what this request sets (status, filters, clock, lags, pongs) and what of its `rest`
      and `reports` is left ends after so long.
    * `schedule`: see there. `submit_timeout` n with `submit_mode` and `submit_accept`: short for a
      `rest` entry on submit; replaces the one before.
    """

    clear: bool = False
    rest: tuple[RestFault, ...] = ()
    reports: tuple[ReportFault, ...] = ()
    cancel_race: CancelRace | None = None
    stream_cut: Which = ""
    stream_stall: Which = ""
    stream_stall_ms: Count = 0
    no_pong: Which | None = None
    server_shutdown: bool = False
    server_shutdown_ms: Count = 1000
    cut_after_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    depth_gap: Count = 0
    stale_snapshot: Count = 0
    symbol_status: Status | None = None
    filters: Filters | None = None
    wipe: bool = False
    clock_skew_ms: int | None = None
    hide_order_ms: Count | None = None
    hide_from_cancels: bool | None = None
    open_orders_lag_ms: Count | None = None
    ban_ms: Count | None = None
    for_ms: Count = 0
    schedule: Schedule | None = None
    submit_timeout: Count | None = None
    submit_mode: Literal["silent", "code", "reset"] = "silent"
    submit_accept: bool = True


@dataclass(slots=True)
class _Rest:
    fault: RestFault
    left: int
    pass_first: int
    until_us: int
    short: bool = False


@dataclass(slots=True)
class _Reports:
    fault: ReportFault
    left: int
    until_us: int


class Faults:
    """What is armed and what has fired. Methods named `take_` use up one."""

    def __init__(self) -> None:
        self.fired: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        """Disarm everything; the counts stay."""
        self._rest: list[_Rest] = []
        self._reports: list[_Reports] = []
        self._race: Literal["part", "all"] = "all"
        self._races = 0
        self._stalled_until_us = dict.fromkeys(KINDS, 0)
        self._mute: Which = ""
        self._gaps = {"@100ms": 0, "": 0}
        self._stale = 0
        self.cut_after_s = DAY_S
        self.clock_skew_us = 0
        self.hide_order_ms = 0
        self.hide_from_cancels = False
        self.open_orders_lag_ms = 0
        self.ban_until_us = 0

    def arm(self, request: FaultRequest, now_us: int) -> None:
        """Take a request in."""
        self._drop_old(now_us)
        until_us = now_us + request.for_ms * 1000 if request.for_ms else _NEVER
        self._rest += [_Rest(f, f.times or -1, f.after, until_us) for f in request.rest]
        self._reports += [_Reports(f, f.times or -1, until_us) for f in request.reports]
        if request.submit_timeout is not None:
            self._rest = [entry for entry in self._rest if not entry.short]
            if request.submit_timeout:
                fault = RestFault(
                    on="submit", answer=request.submit_mode, accept=request.submit_accept
                )
                self._rest.append(_Rest(fault, request.submit_timeout, 0, until_us, short=True))
        if request.cancel_race is not None:
            self._race, self._races = request.cancel_race.fill, request.cancel_race.times or -1
        for kind in KINDS:
            if request.stream_stall in {kind, "all"}:
                self._stalled_until_us[kind] = now_us + request.stream_stall_ms * 1000
        for speed in self._gaps:
            self._gaps[speed] += request.depth_gap
        self._stale += request.stale_snapshot
        self._set(request, now_us)

    def _drop_old(self, now_us: int) -> None:
        self._rest = [entry for entry in self._rest if now_us < entry.until_us]
        self._reports = [entry for entry in self._reports if now_us < entry.until_us]

    def _set(self, request: FaultRequest, now_us: int) -> None:
        """Fields that hold until they are set again."""
        if request.no_pong is not None:
            self._mute = request.no_pong
        if request.cut_after_s is not None:
            self.cut_after_s = request.cut_after_s or DAY_S
        if request.clock_skew_ms is not None:
            self.clock_skew_us = request.clock_skew_ms * 1000
            self.fired["clock_skew"] += 1
        if request.hide_order_ms is not None:
            self.hide_order_ms = request.hide_order_ms
        if request.hide_from_cancels is not None:
            self.hide_from_cancels = request.hide_from_cancels
        if request.open_orders_lag_ms is not None:
            self.open_orders_lag_ms = request.open_orders_lag_ms
        if request.ban_ms is not None:
            self.ban_until_us = now_us + request.ban_ms * 1000

    def document(self, now_us: int) -> dict[str, object]:
        """What is armed now, and what has fired."""
        self._drop_old(now_us)
        return {
            "submit_timeout": sum(entry.left for entry in self._rest if entry.short),
            "rest": [
                {"on": e.fault.on, "answer": e.fault.answer, "left": e.left, "after": e.pass_first}
                for e in self._rest
            ],
            "reports": [
                {"how": e.fault.how, "execution": e.fault.execution, "left": e.left}
                for e in self._reports
            ],
            "cancel_race": {"fill": self._race, "left": self._races},
            "stalled": [k for k in KINDS if now_us < self._stalled_until_us[k]],
            "no_pong": self._mute,
            "cut_after_s": self.cut_after_s,
            "depth_gap": max(self._gaps.values()),
            "stale_snapshot": self._stale,
            "clock_skew_ms": self.clock_skew_us // 1000,
            "hide_order_ms": self.hide_order_ms,
            "open_orders_lag_ms": self.open_orders_lag_ms,
            "ban_ms": max(0, self.ban_until_us - now_us) // 1000,
            "fired": dict(sorted(self.fired.items())),
        }

    # --- questions -------------------------------------------------------------------------------

    def take_rest(self, words: frozenset[str], now_us: int) -> RestFault | None:
        """The fault for a request that goes by these words of `On`; the first armed one wins."""
        for entry in self._rest:
            if entry.fault.on not in words or now_us >= entry.until_us:
                continue
            if entry.pass_first:
                entry.pass_first -= 1
                continue
            entry.left -= 1
            if not entry.left:
                self._rest.remove(entry)
            self.fired[f"{entry.fault.on}.{entry.fault.answer}"] += 1
            return entry.fault
        return None

    def take_report(self, execution: str, now_us: int) -> ReportFault | None:
        """The fault for an execution report of this kind."""
        for entry in self._reports:
            if entry.fault.execution not in {execution, "any"} or now_us >= entry.until_us:
                continue
            entry.left -= 1
            if not entry.left:
                self._reports.remove(entry)
            self.fired[f"report.{entry.fault.how}"] += 1
            return entry.fault
        return None

    def take_race(self) -> Literal["", "part", "all"]:
        """How much of the order is filled before this cancel."""
        if not self._races:
            return ""
        self._races -= 1
        self.fired[f"cancel_race.{self._race}"] += 1
        return self._race

    def take_gap(self, speed: str) -> bool:
        """Whether this depth event is lost."""
        if not self._gaps[speed]:
            return False
        self._gaps[speed] -= 1
        self.fired["depth_gap"] += 1
        return True

    def take_stale(self) -> bool:
        """Whether this snapshot is an old one."""
        if not self._stale:
            return False
        self._stale -= 1
        self.fired["stale_snapshot"] += 1
        return True

    def stalled(self, kind: str, now_us: int) -> bool:
        """Whether streams of this kind are silent now: what would be sent is lost."""
        silent = now_us < self._stalled_until_us[kind]
        if silent:
            self.fired[f"stream_stall.{kind}"] += 1
        return silent

    def mute(self, kind: str) -> bool:
        """Whether a client's ping on this kind of connection stays unanswered."""
        if self._mute not in {kind, "all"}:
            return False
        self.fired[f"no_pong.{kind}"] += 1
        return True

    def hidden(self, created_us: int, now_us: int) -> bool:
        """Whether queries do not show an order of this age."""
        # Nothing armed hides nothing, even when the clock was set back behind the order's time.
        young = self.hide_order_ms > 0 and now_us - created_us < self.hide_order_ms * 1000
        if young:
            self.fired["hide_order"] += 1
        return young
