"""EngineClient: the control API over the workspace's Unix socket, one typed method a route.

Errors arrive as the classes the engine raised; what a lost connection means is `connection.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

from engine.contracts import requests
from engine.contracts.decision import Decision
from engine.contracts.documents import Purpose
from engine.contracts.order import OrderType, Side, TimeInForce
from engine.contracts.session import Charter
from engine.contracts.standing import DrillView, EvidenceAnswer, LimitsAnswer
from engine.contracts.view import (
    DualView,
    GoView,
    KillView,
    PackView,
    ReconView,
    RevisionView,
    StateView,
)
from peakctl.client.connection import SLOW_SECONDS, Connection
from peakctl.client.replies import (
    Heads,
    QueryResult,
    RiskAnswer,
    SnapshotTaken,
    Submitted,
)


class EngineClient(Connection):
    """One connection pool to one engine; use as `async with EngineClient(path, ...) as client`."""

    # --- reading ---------------------------------------------------------------------------

    async def state(self) -> StateView:
        """Read the whole state once."""
        return await self._get(f"state?role={self.role}", StateView)

    async def heads(self) -> Heads:
        """The latest signed head of the journal."""
        return await self._get("heads", Heads)

    # --- session ---------------------------------------------------------------------------

    async def charter(self, charter: Charter) -> StateView:
        """Write the charter and open the session."""
        body = requests.CharterRequest(person=self.person, charter=charter)
        return await self._change("session/charter", body)

    async def start_checklist(self, reason: str = "") -> StateView:
        """Move from charter to checklist."""
        return await self._change("session/checklist", self._reason(reason))

    async def stop(self, reason: str = "") -> StateView:
        """Wind down: no new orders, cancel, prove."""
        return await self._change("session/stop", self._reason(reason), SLOW_SECONDS)

    async def pause(self, reason: str = "") -> StateView:
        """Refuse new orders for now."""
        return await self._change("session/pause", self._reason(reason))

    async def resume(self, reason: str = "") -> StateView:
        """Go on after a pause."""
        return await self._change("session/resume", self._reason(reason))

    async def abort(self, reason: str) -> StateView:
        """End a session that never went live."""
        return await self._change("session/abort", self._reason(reason))

    async def probe(self, item_id: str = "") -> StateView:
        """Run one automatic checklist item, or all."""
        body = requests.ProbeRequest(person=self.person, item_id=item_id)
        return await self._change("checklist/probe", body, SLOW_SECONDS)

    async def answer(self, item_id: str, role: str, answer: str) -> StateView:
        """Answer a manual checklist item."""
        body = requests.AnswerRequest(person=self.person, item_id=item_id, role=role, answer=answer)
        return await self._change("checklist/answer", body)

    async def join_review(self, nonce: str, signals: Mapping[str, str]) -> StateView:
        """Join as the reviewer with a fresh nonce (64 hex digits)."""
        body = requests.JoinRequest(person=self.person, nonce=nonce, signals=dict(signals))
        return await self._change("review/join", body)

    async def request_go(self, nonce: str, signals: Mapping[str, str]) -> GoView:
        """Ask for go: the engine builds the packet."""
        body = requests.GoRequest(person=self.person, nonce=nonce, signals=dict(signals))
        return await self._post("go/request", body, GoView, SLOW_SECONDS)

    async def sign_go(self, sha256: str, signature: str) -> StateView:
        """Hand in the operator's signature over the packet."""
        return await self._change("go/sign", self._signed(sha256, signature))

    async def cosign(self, cosign: str, signature: str) -> StateView:
        """Hand in the reviewer's decision (exact text of cosign.json) and signature."""
        body = requests.CosignRequest(person=self.person, cosign=cosign, signature=signature)
        return await self._change("go/cosign", body)

    # --- orders ----------------------------------------------------------------------------

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
        body = self._order(symbol, side, type, quantity, price, time_in_force)
        return await self._post("order/preview", body, Decision)

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
        body = self._order(symbol, side, type, quantity, price, time_in_force)
        submitted: Submitted = await self._command("order/submit", body, Submitted)
        return submitted

    def _order(
        self,
        symbol: str,
        side: Side,
        type: OrderType,  # noqa: A002
        quantity: Decimal,
        price: Decimal | None,
        time_in_force: TimeInForce | None,
    ) -> requests.OrderRequest:
        if time_in_force is None and type is OrderType.LIMIT:
            time_in_force = TimeInForce.GTC
        return requests.OrderRequest(
            person=self.person,
            symbol=symbol,
            side=side,
            type=type,
            quantity=quantity,
            price=price,
            time_in_force=time_in_force,
        )

    async def cancel(self, client_order_id: str) -> StateView:
        """Cancel one order."""
        body = requests.CancelRequest(person=self.person, client_order_id=client_order_id)
        return await self._change("order/cancel", body)

    async def cancel_orphan(self, symbol: str, client_order_id: str, reason: str) -> StateView:
        """Cancel a stranger's order; the state says whether it has ended."""
        body = self._orphan(symbol, client_order_id, reason)
        return await self._change("orphan/cancel", body, SLOW_SECONDS)

    def _orphan(self, symbol: str, client_order_id: str, reason: str) -> requests.OrphanRequest:
        return requests.OrphanRequest(
            person=self.person, symbol=symbol, client_order_id=client_order_id, reason=reason
        )

    # --- limits, ladder, drills --------------------------------------------------------------

    async def limits(self) -> LimitsAnswer:
        """Every limit in force, and what makes it so."""
        return await self._get("limits", LimitsAnswer)

    async def tighten_limit(self, name: str, value: str, reason: str) -> StateView:
        """Make one limit tighter, from the next order on."""
        body = requests.TightenRequest(person=self.person, name=name, value=value, reason=reason)
        return await self._change("limits/tighten", body)

    async def evidence(self) -> EvidenceAnswer:
        """What live asks for and what there is; the ladder; the drills behind both."""
        return await self._get("evidence", EvidenceAnswer)

    async def ladder_down(self, reason: str) -> StateView:
        """Go one step down the ladder."""
        return await self._change("ladder/down", self._reason(reason))

    async def record_drill(
        self, drill_id: str, name: str, measured: Mapping[str, int], fault: str = ""
    ) -> DrillView:
        """Let the engine judge and record a drill by the journal that it left."""
        body = requests.DrillRequest(
            person=self.person,
            drill_id=drill_id,
            name=name,
            measured=dict(measured),
            fault=fault,
        )
        return await self._post("drill/record", body, DrillView, SLOW_SECONDS)

    # --- dual control ----------------------------------------------------------------------

    async def dual_request(
        self,
        purpose: Purpose,
        subject: Mapping[str, str],
        reason: str,
        operator: str = "",
        reviewer: str = "",
    ) -> DualView:
        """Ask for an act that two people grant; the answer holds the document to sign."""
        body = requests.DualRequest(
            person=self.person,
            purpose=purpose,
            subject=dict(subject),
            reason=reason,
            operator=operator,
            reviewer=reviewer,
        )
        return await self._post("dual/request", body, DualView)

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
        body = requests.DualSignRequest(
            person=self.person,
            request_id=request_id,
            sha256=sha256,
            signature=signature,
            signer=signer,
            typed_code=typed_code,
            signals=dict(signals or {}),
        )
        return await self._change("dual/sign", body, SLOW_SECONDS)

    async def dual_withdraw(self, request_id: str, reason: str) -> StateView:
        """Take back one's own request, or decline the other's."""
        body = requests.DualWithdrawRequest(
            person=self.person, request_id=request_id, reason=reason
        )
        return await self._change("dual/withdraw", body)

    async def note(self, text: str) -> StateView:
        """Write a line into the runlog."""
        return await self._change("note", requests.NoteRequest(person=self.person, text=text))

    async def kill(self, reason: str, source: str, pressed_us: int) -> KillView:
        """Stop everything; answered as soon as the latch is set."""
        body = requests.KillRequest(
            person=self.person, reason=reason, source=source, pressed_us=pressed_us
        )
        return await self._post("kill", body, KillView)

    # --- after -----------------------------------------------------------------------------

    async def run_recon(self) -> ReconView:
        """Compare the three sides."""
        return await self._post("recon/run", self._reason(""), ReconView, SLOW_SECONDS)

    async def answer_break(self, run_id: str, break_id: str, answer: str) -> StateView:
        """Answer one break."""
        body = requests.BreakAnswerRequest(
            person=self.person, run_id=run_id, break_id=break_id, answer=answer
        )
        return await self._change("recon/answer", body)

    async def sign_recon(self, sha256: str, signature: str) -> StateView:
        """Hand in a signature over the report."""
        return await self._change("recon/sign", self._signed(sha256, signature))

    async def write_lessons(self, points: Sequence[str]) -> StateView:
        """Write one to three lessons."""
        body = requests.LessonsRequest(person=self.person, points=tuple(points))
        return await self._change("lessons", body)

    async def write_pack(self) -> PackView:
        """Write the pack's files; its tag manifest is signed next."""
        return await self._post("pack/write", self._reason(""), PackView, SLOW_SECONDS)

    async def pack_document(self, name: str) -> bytes:
        """The exact bytes of a file of the written pack that people sign or that ties it in."""
        return await self._ask(
            "GET", f"pack/document?name={quote(name, safe='')}", None, SLOW_SECONDS
        )

    async def sign_pack(
        self, sha256: str, signature: str, documents: Mapping[str, str]
    ) -> StateView:
        """Hand in signatures over the tag manifest and, by their names, over the reports."""
        body = requests.PackSignRequest(
            person=self.person, sha256=sha256, signature=signature, documents=dict(documents)
        )
        return await self._change("pack/sign", body, SLOW_SECONDS)

    async def revise_pack(
        self, session_id: str, reason: str, lessons: Sequence[str] = (), incident: str = ""
    ) -> RevisionView:
        """Write a revision of a sealed pack, for both to sign."""
        body = requests.ReviseRequest(
            person=self.person,
            session_id=session_id,
            reason=reason,
            lessons=tuple(lessons),
            incident=incident,
        )
        return await self._post("pack/revise", body, RevisionView, SLOW_SECONDS)

    async def revision(self, session_id: str) -> RevisionView:
        """The newest revision of a session's pack."""
        return await self._get(f"pack/revision?session={quote(session_id, safe='')}", RevisionView)

    async def revision_document(self, session_id: str, name: str) -> bytes:
        """The exact bytes of a file of it that people look at before they sign."""
        query = f"session={quote(session_id, safe='')}&name={quote(name, safe='')}"
        return await self._ask("GET", f"pack/revision?{query}", None, SLOW_SECONDS)

    async def sign_revision(self, session_id: str, sha256: str, signature: str) -> StateView:
        """Hand in a signature over the tag manifest of the open revision."""
        body = requests.RevisionSignRequest(
            person=self.person, session_id=session_id, sha256=sha256, signature=signature
        )
        return await self._change("pack/revision/sign", body, SLOW_SECONDS)

    async def acknowledge(self, alarm_id: str, note: str = "") -> StateView:
        """Take an alarm."""
        body = requests.AcknowledgeRequest(person=self.person, alarm_id=alarm_id, note=note)
        return await self._change("alarm/acknowledge", body)

    async def incident(self, text: str, incident_id: str = "", *, close: bool = False) -> StateView:
        """Open, note or close an incident."""
        body = requests.IncidentRequest(
            person=self.person, incident_id=incident_id, text=text, close=close
        )
        return await self._change("incident", body)

    async def snapshot(self) -> SnapshotTaken:
        """Write the whole state to a file, its hash to the journal."""
        return await self._post("snapshot", self._reason(""), SnapshotTaken)

    async def risk_report(self) -> RiskAnswer:
        """What the positions may lose: asked for now, and kept in the journal."""
        return await self._post("risk/report", self._reason(""), RiskAnswer, SLOW_SECONDS)

    async def query(self, sql: str) -> QueryResult:
        """One read-only SQL statement on the store."""
        body = requests.QueryRequest(person=self.person, sql=sql)
        return await self._post("store/query", body, QueryResult, SLOW_SECONDS)

    async def stop_engine(self, reason: str) -> None:
        """Ask the engine to end in an orderly way."""
        body = msgspec.json.encode(self._reason(reason))
        await self._request("POST", "engine/stop", body, Any, SLOW_SECONDS)

    # --- transport -------------------------------------------------------------------------

    def _reason(self, reason: str) -> requests.ReasonRequest:
        return requests.ReasonRequest(person=self.person, reason=reason)

    def _signed(self, sha256: str, signature: str) -> requests.SignRequest:
        return requests.SignRequest(person=self.person, sha256=sha256, signature=signature)
