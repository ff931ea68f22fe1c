"""`Console`: what a screen may ask of the engine. `EngineClient` implements it over the socket.

Every method raises only PeakError: the engine's own (Refused, InputError, ...) rebuilt, or
EngineUnreachable. A change that was refused changed nothing. When the connection is lost after a
change was sent, the error says so, and the state that comes next says what happened (I3).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from engine.contracts.decision import Decision
from engine.contracts.documents import Purpose
from engine.contracts.order import OrderType, Side, TimeInForce
from engine.contracts.session import Charter
from engine.contracts.view import DualView, GoView, KillView, PackView, ReconView, StateView
from peakctl.client.replies import (
    Heads,
    QueryResult,
    RiskAnswer,
    SnapshotTaken,
    Submitted,
)


class Console(Protocol):
    """One person's connection to the engine; `person` is the id that each request names."""

    person: str
    role: str

    @property
    def connected(self) -> bool:
        """Whether the state stream is up now; False looks dead on the screen."""

    async def state(self) -> StateView:
        """Read the whole state once."""

    async def heads(self) -> Heads:
        """The latest signed head of the journal."""

    def journal(self, from_seq: int = 0) -> AsyncIterator[bytes]:
        """Journal lines from a sequence number, each with its newline; at most ten thousand."""

    def stream(self, role: str = "", person: str = "") -> AsyncIterator[StateView]:
        """Every state as it changes, reconnecting for ever; counts as attending."""

    async def charter(self, charter: Charter) -> StateView:
        """Write the charter and open the session."""

    async def start_checklist(self, reason: str = "") -> StateView:
        """Move from charter to checklist."""

    async def stop(self, reason: str = "") -> StateView:
        """Wind down: no new orders, cancel, prove."""

    async def pause(self, reason: str = "") -> StateView:
        """Refuse new orders for now."""

    async def resume(self, reason: str = "") -> StateView:
        """Go on after a pause."""

    async def abort(self, reason: str) -> StateView:
        """End a session that never went live."""

    async def probe(self, item_id: str = "") -> StateView:
        """Run one automatic checklist item, or all."""

    async def answer(self, item_id: str, role: str, answer: str) -> StateView:
        """Answer a manual checklist item."""

    async def join_review(self, nonce: str, signals: Mapping[str, str]) -> StateView:
        """Join as the reviewer with a fresh nonce (64 hex digits)."""

    async def request_go(self, nonce: str, signals: Mapping[str, str]) -> GoView:
        """Ask for go: the engine builds the packet."""

    async def sign_go(self, sha256: str, signature: str) -> StateView:
        """Hand in the operator's signature over the packet."""

    async def cosign(self, cosign: str, signature: str) -> StateView:
        """Hand in the reviewer's decision (exact text of cosign.json) and signature."""

    async def preview(
        self,
        symbol: str,
        side: Side,
        type: OrderType,  # noqa: A002
        quantity: Decimal,
        price: Decimal | None = None,
        time_in_force: TimeInForce | None = None,
    ) -> Decision:
        """Ask what the checks say of an order; nothing is sent."""

    async def submit(
        self,
        symbol: str,
        side: Side,
        type: OrderType,  # noqa: A002
        quantity: Decimal,
        price: Decimal | None = None,
        time_in_force: TimeInForce | None = None,
    ) -> Submitted:
        """Send an order: base quantity, quote price (None for MARKET)."""

    async def cancel(self, client_order_id: str) -> StateView:
        """Cancel one order."""

    async def cancel_orphan(self, symbol: str, client_order_id: str, reason: str) -> StateView:
        """Cancel a stranger's order; the state says whether it has ended."""

    async def note(self, text: str) -> StateView:
        """Write a line into the runlog."""

    async def kill(self, reason: str, source: str, pressed_us: int) -> KillView:
        """Stop everything. Screens use `kill.send_kill` from the input thread instead."""

    async def run_recon(self) -> ReconView:
        """Compare the three sides."""

    async def answer_break(self, run_id: str, break_id: str, answer: str) -> StateView:
        """Answer one break."""

    async def sign_recon(self, sha256: str, signature: str) -> StateView:
        """Hand in a signature over the report."""

    async def write_lessons(self, points: Sequence[str]) -> StateView:
        """Write one to three lessons."""

    async def write_pack(self) -> PackView:
        """Write the pack's files; its tag manifest is signed next."""

    async def pack_document(self, name: str) -> bytes:
        """The exact bytes of a file of the written pack that people sign or that ties it in."""

    async def sign_pack(
        self, sha256: str, signature: str, documents: Mapping[str, str]
    ) -> StateView:
        """Hand in signatures over the tag manifest and, by their names, over the reports."""

    async def acknowledge(self, alarm_id: str, note: str = "") -> StateView:
        """Take an alarm."""

    async def incident(self, text: str, incident_id: str = "", *, close: bool = False) -> StateView:
        """Open, note or close an incident."""

    async def snapshot(self) -> SnapshotTaken:
        """Write the whole state to a file, its hash to the journal."""

    async def risk_report(self) -> RiskAnswer:
        """What the positions may lose: asked for now, and kept in the journal."""

    async def dual_request(
        self,
        purpose: Purpose,
        subject: Mapping[str, str],
        reason: str,
        operator: str = "",
        reviewer: str = "",
    ) -> DualView:
        """Ask for an act that two people grant; the answer holds the document to sign."""

    async def dual_sign(
        self,
        request_id: str,
        sha256: str,
        signature: str,
        *,
        signer: str = "",
        typed_code: str = "",
        signals: Mapping[str, str] | None = None,
    ) -> StateView:
        """Hand in a signature over the document; the second one grants the act."""

    async def dual_withdraw(self, request_id: str, reason: str) -> StateView:
        """Take back one's own request, or decline the other's."""

    async def query(self, sql: str) -> QueryResult:
        """One read-only SQL statement on the store."""
