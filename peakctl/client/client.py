"""EngineClient: the control API over the workspace's Unix socket, typed.

aiohttp is imported when the connection is opened, so that a command or a screen that does not talk
paints first. Errors arrive as the classes the engine raised. A refused or missing socket is
EngineUnreachable; a connection that breaks after a change was sent is EngineUnreachable with code
OUTCOME_UNKNOWN, because the engine may have done it (I3); nothing here is ever sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from engine.contracts import requests
from engine.contracts.decision import Decision
from engine.contracts.errors import EngineUnreachable, PeakError, error_from_wire
from engine.contracts.order import OrderType, Side, TimeInForce
from engine.contracts.session import Charter
from engine.contracts.view import GoView, KillView, PackView, ReconView, StateView
from peakctl.client.replies import (
    Changed,
    QueryResult,
    ReleaseDocument,
    SnapshotTaken,
    Submitted,
)

if TYPE_CHECKING:
    import aiohttp

REQUEST_SECONDS = 15.0
SLOW_SECONDS = 180.0
HELLO_SECONDS = 2.0
RECONNECT_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)

_Reply = TypeVar("_Reply")


class EngineClient:
    """One connection pool to one engine; use as `async with EngineClient(path, ...) as client`."""

    def __init__(self, socket_path: Path, person: str = "", role: str = "operator") -> None:
        self.socket_path = socket_path
        self.person = person
        self.role = role
        self._session: aiohttp.ClientSession | None = None
        self._connected = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def connected(self) -> bool:
        """Whether the state stream is up now."""
        return self._connected

    # --- reading ---------------------------------------------------------------------------

    async def state(self) -> StateView:
        """Read the whole state once."""
        return await self._get("state", StateView)

    async def heads(self) -> Any:
        """Signed heads of the journal, as the engine lists them."""
        return await self._request("GET", "heads", None, Any, REQUEST_SECONDS)

    async def journal(self, from_seq: int = 0) -> AsyncIterator[bytes]:
        """Journal lines from a sequence number, each with its newline."""
        import aiohttp  # noqa: PLC0415

        try:
            async with self._open().get(
                f"http://engine/v1/journal?from={from_seq}",
                timeout=aiohttp.ClientTimeout(total=None, sock_read=REQUEST_SECONDS),
            ) as response:
                if response.status != 200:
                    raise _error_of(await response.read(), response.status)
                buffered = b""
                async for chunk in response.content.iter_any():
                    *lines, buffered = (buffered + chunk).split(b"\n")
                    for line in lines:
                        yield line + b"\n"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def stream(self, role: str = "", person: str = "") -> AsyncIterator[StateView]:
        """Every state as it changes, reconnecting for ever with short waits; counts as attending.

        `connected` tells between two states whether the link is up.
        """
        hello = msgspec.json.encode(
            {"role": role or self.role, "person": person or self.person}
        ).decode()
        attempt = 0
        while True:
            async for view in self._stream_once(hello):
                attempt = 0
                yield view
            await asyncio.sleep(RECONNECT_SECONDS[min(attempt, len(RECONNECT_SECONDS) - 1)])
            attempt += 1

    async def _stream_once(self, hello: str) -> AsyncIterator[StateView]:
        """States of one connection; ends when it is lost or refused."""
        import aiohttp  # noqa: PLC0415

        decoder = msgspec.json.Decoder(StateView)
        try:
            async with self._open().ws_connect(
                "http://engine/v1/stream", max_msg_size=64 * 1024 * 1024
            ) as socket:
                await socket.send_str(hello)
                self._connected = True
                attending = asyncio.create_task(_say_hello(socket, hello))
                try:
                    async for message in socket:
                        if message.type is aiohttp.WSMsgType.TEXT:
                            yield decoder.decode(message.data)
                finally:
                    attending.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await attending
        except (aiohttp.ClientError, OSError, TimeoutError):
            return
        finally:
            self._connected = False

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
        return await self._post("order/submit", body, Submitted)

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
        return await self._post(
            "recon/run", requests.Request(person=self.person), ReconView, SLOW_SECONDS
        )

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
        return await self._post(
            "pack/write", requests.Request(person=self.person), PackView, SLOW_SECONDS
        )

    async def sign_pack(self, sha256: str, signature: str) -> StateView:
        """Hand in a signature over the tag manifest."""
        return await self._change("pack/sign", self._signed(sha256, signature), SLOW_SECONDS)

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
        return await self._post("snapshot", requests.Request(person=self.person), SnapshotTaken)

    async def release_document(self) -> ReleaseDocument:
        """The text to sign for releasing the latch."""
        return await self._get("latch/document", ReleaseDocument)

    async def release(
        self, document: str, operator_signature: str, reviewer_signature: str
    ) -> StateView:
        """Release the latch with both signatures."""
        body = requests.ReleaseRequest(
            person=self.person,
            document=document,
            operator_signature=operator_signature,
            reviewer_signature=reviewer_signature,
        )
        return await self._change("latch/release", body)

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

    async def _change(
        self, route: str, body: requests.Request, seconds: float = REQUEST_SECONDS
    ) -> StateView:
        return (await self._post(route, body, Changed, seconds)).state

    async def _get(self, route: str, kind: type[_Reply]) -> _Reply:
        reply: _Reply = await self._request("GET", route, None, kind, REQUEST_SECONDS)
        return reply

    async def _post(
        self,
        route: str,
        body: requests.Request,
        kind: type[_Reply],
        seconds: float = REQUEST_SECONDS,
    ) -> _Reply:
        reply: _Reply = await self._request("POST", route, msgspec.json.encode(body), kind, seconds)
        return reply

    async def _request(
        self, method: str, route: str, body: bytes | None, kind: Any, seconds: float
    ) -> Any:
        import aiohttp  # noqa: PLC0415

        try:
            async with self._open().request(
                method,
                f"http://engine/v1/{route}",
                data=body,
                headers={"Content-Type": "application/json"} if body is not None else {},
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as response:
                content, status = await response.read(), response.status
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(error) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._lost(method, route, error) from error
        if status != 200:
            raise _error_of(content, status)
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as error:
            raise PeakError(
                what=f"the engine's reply does not fit this version ({error})",
                where=route,
                todo="stop the engine and start it again with this version",
            ) from error

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=str(self.socket_path))
            )
        return self._session

    def _unreachable(self, error: BaseException) -> EngineUnreachable:
        return EngineUnreachable(
            what=f"no engine answers ({type(error).__name__})",
            where=str(self.socket_path),
            todo="start it with `peakctl`, or stop the market with `peakctl kill`",
        )

    def _lost(self, method: str, route: str, error: BaseException) -> EngineUnreachable:
        if method == "GET":
            return self._unreachable(error)
        return EngineUnreachable(
            what=f"the connection was lost during {route}; it may have been done",
            where=str(self.socket_path),
            todo="look at the state before trying again",
            code="OUTCOME_UNKNOWN",
        )


async def _say_hello(socket: aiohttp.ClientWebSocketResponse, hello: str) -> None:
    """Keep saying who attends, so that silence means that nobody does."""
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(HELLO_SECONDS)
            await socket.send_str(hello)


def _error_of(content: bytes, status: int) -> PeakError:
    try:
        wire = msgspec.json.decode(content, type=dict[str, dict[str, str]])["error"]
    except (msgspec.MsgspecError, KeyError):
        return PeakError(what=f"the engine answered {status} without a reason")
    return error_from_wire(wire)
