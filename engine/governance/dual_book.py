"""The requests for dual control as a fold over the journal: which wait, which were decided.

Total: what does not fit is ignored. A request counts only if its text is a document of its purpose
with the recorded hash (I6); a grant only after both signatures. What was decided stays decided: a
nonce that was used once is never accepted again, whatever comes later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import InputError
from engine.contracts.event import (
    DualGranted,
    DualRefused,
    DualRequested,
    DualSigned,
    DualWithdrawn,
    Recorded,
)
from engine.contracts.people import Role
from engine.governance.dual import DualContent, Purpose, parse_dual

PENDING, GRANTED, WITHDRAWN = "pending", "granted", "withdrawn"

#: Requests that are no longer pending and still shown.
_KEPT = 40


@dataclass(slots=True)
class Request:
    """One request: `stage` is pending, granted or withdrawn; times µs UTC of the journal.

    `refused` is the last refusal while it waits (code, reason); `code` and `closed_reason` say
    why it was withdrawn.
    """

    id: str
    purpose: Purpose
    said: DualContent
    document: str
    sha256: str
    requested_us: int
    stage: str = PENDING
    signatures: dict[Role, DualSigned] = field(default_factory=dict)
    refused: tuple[str, str] | None = None
    code: str = ""
    closed_reason: str = ""
    closed_by: str = ""
    closed_us: int | None = None


class DualBook:
    """All requests of a journal that wait, the last decided ones, and every nonce."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}
        #: nonces of requests that were decided or withdrawn
        self.used_nonces: set[str] = set()
        #: nonces of all requests
        self.seen_nonces: set[str] = set()

    @property
    def pending(self) -> tuple[Request, ...]:
        """Those that wait, oldest first."""
        return tuple(one for one in self.requests.values() if one.stage == PENDING)

    def granted(self, purpose: Purpose) -> tuple[Request, ...]:
        """The last granted ones of a purpose, oldest first."""
        return tuple(
            one for one in self.requests.values() if one.stage == GRANTED and one.purpose is purpose
        )

    def apply(self, recorded: Recorded) -> None:
        """Fold one event; events of other kinds change nothing."""
        event = recorded.event
        if isinstance(event, DualRequested):
            self._request(event, recorded.ts_us)
            return
        if not isinstance(event, DualSigned | DualGranted | DualRefused | DualWithdrawn):
            return
        request = self.requests.get(event.request_id)
        if request is None or request.stage != PENDING:
            return
        match event:
            case DualSigned() if event.document_sha256 == request.sha256:
                self._sign(request, event)
            case DualGranted() if event.document_sha256 == request.sha256:
                if set(request.signatures) == set(Role):
                    self._close(request, GRANTED, recorded)
            case DualWithdrawn() if event.document_sha256 == request.sha256:
                request.code, request.closed_reason = event.code, event.reason
                self._close(request, WITHDRAWN, recorded)
            case DualRefused():
                request.refused = (event.code, event.reason)
            case _:
                pass

    def _request(self, event: DualRequested, ts_us: int) -> None:
        document = event.document.encode("utf-8", "surrogatepass")
        if sha256_hex(document) != event.document_sha256 or event.request_id in self.requests:
            return
        try:
            said = parse_dual(document)
        except InputError:
            return
        fits = (said.request_id, said.purpose) == (event.request_id, event.purpose)
        if not fits or said.nonce in self.seen_nonces:
            return
        self.seen_nonces.add(said.nonce)
        self.requests[event.request_id] = Request(
            id=event.request_id,
            purpose=Purpose(said.purpose),
            said=said,
            document=event.document,
            sha256=event.document_sha256,
            requested_us=ts_us,
        )

    @staticmethod
    def _sign(request: Request, event: DualSigned) -> None:
        role = request.said.role_of(event.person)
        if role is not None and role == event.role:
            request.signatures[role] = event
            request.refused = None

    def _close(self, request: Request, stage: str, recorded: Recorded) -> None:
        request.stage = stage
        request.closed_us = recorded.ts_us
        request.closed_by = recorded.actor.name
        self.used_nonces.add(request.said.nonce)
        closed = [one.id for one in self.requests.values() if one.stage != PENDING]
        for request_id in closed[:-_KEPT]:
            del self.requests[request_id]
