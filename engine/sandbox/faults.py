"""Faults on demand, for drills and tests: what a real venue does on a bad day (venue.md 2.9).

Off unless the sandbox was started with `control`. `POST /sandbox/faults` takes a `FaultRequest`
and answers with what is armed now; an empty object only asks.

* `submit_timeout` n: the next n `POST order` are not answered properly. `submit_mode` is `silent`
  (the connection stays open without an answer), `code` (HTTP 504 with -1007) or `reset` (the
  connection is cut). With `submit_accept` false the order is not placed either.
* `stream_cut` `market`, `user` or `all`: those connections end now, without a close frame.
* `stream_stall_ms` with `stream_stall` `market`, `user` or `all`: those connections stay open and
  silent for so long; what would have been sent is lost (a book client sees a gap, a user stream
  misses reports).
* `hide_order_ms`: orders younger than this are not shown by any query (replica lag); 0 ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

Which = Literal["", "market", "user", "all"]


class FaultRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /sandbox/faults; a field that is absent changes nothing."""

    submit_timeout: int | None = None
    submit_mode: Literal["silent", "code", "reset"] = "silent"
    submit_accept: bool = True
    stream_cut: Which = ""
    stream_stall: Which = ""
    stream_stall_ms: int = 0
    hide_order_ms: int | None = None


class Faults:
    """What is armed. `on_cut` is called with the kind of stream to cut."""

    def __init__(self) -> None:
        self.submit_timeout = 0
        self.submit_mode = "silent"
        self.submit_accept = True
        self.hide_order_ms = 0
        self.on_cut: list[Callable[[str], None]] = []
        self._stalled_until_us = {"market": 0, "user": 0}

    def arm(self, request: FaultRequest, now_us: int) -> dict[str, object]:
        """Take a request in and return what is armed."""
        if request.submit_timeout is not None:
            self.submit_timeout = request.submit_timeout
            self.submit_mode = request.submit_mode
            self.submit_accept = request.submit_accept
        if request.hide_order_ms is not None:
            self.hide_order_ms = request.hide_order_ms
        for kind in self._stalled_until_us:
            if request.stream_stall in {kind, "all"}:
                self._stalled_until_us[kind] = now_us + request.stream_stall_ms * 1000
            if request.stream_cut in {kind, "all"}:
                for cut in self.on_cut:
                    cut(kind)
        return {
            "submit_timeout": self.submit_timeout,
            "submit_mode": self.submit_mode,
            "submit_accept": self.submit_accept,
            "hide_order_ms": self.hide_order_ms,
            "stalled": [kind for kind in self._stalled_until_us if self.stalled(kind, now_us)],
        }

    def take_submit(self) -> tuple[str, bool]:
        """The fault for this order as (mode, accept it); mode "" for none."""
        if not self.submit_timeout:
            return "", True
        self.submit_timeout -= 1
        return self.submit_mode, self.submit_accept

    def stalled(self, kind: str, now_us: int) -> bool:
        """Whether streams of this kind are silent now."""
        return now_us < self._stalled_until_us[kind]

    def hidden(self, created_us: int, now_us: int) -> bool:
        """Whether queries do not show an order of this age."""
        return now_us - created_us < self.hide_order_ms * 1000
