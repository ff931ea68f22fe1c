"""Replies of the control API that are not a view or a decision of the contracts."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.contracts.replies import OrderTimes, RiskAnswer, Submitted
from engine.contracts.view import StateView

__all__ = [
    "Changed",
    "HeadText",
    "Heads",
    "OrderTimes",
    "QueryResult",
    "RiskAnswer",
    "SnapshotTaken",
    "Submitted",
]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What most POSTs answer: it was done, and this is the state now."""

    ok: bool
    state: StateView


class SnapshotTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot's file and the sha256 of its bytes."""

    file: str
    sha256: str


class HeadText(msgspec.Struct, frozen=True, kw_only=True):
    """A signed head of the journal: three lines (origin, size, hash) and the armoured signature."""

    text: str
    signature: str


class Heads(msgspec.Struct, frozen=True, kw_only=True):
    """The latest signed head; none before the first."""

    heads: tuple[HeadText, ...]


class QueryResult(msgspec.Struct, frozen=True, kw_only=True):
    """Columns and rows of a read-only query on the store.

    `cut` is "" when these are all, else the limit that was reached: "rows" or "bytes".
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: str = ""
