"""What the control API takes: one struct per request body. Unknown fields are refused.

Every request that changes something names the `person` it is for; the engine records that name
with the peer uid of the connection.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.contracts.documents import Purpose
from engine.contracts.order import OrderType, Side, TimeInForce
from engine.contracts.people import Role
from engine.contracts.session import Charter


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: who asks."""

    person: str


class CharterRequest(Request, frozen=True, kw_only=True):
    """POST /v1/session/charter: write the charter and open the session."""

    charter: Charter


class ReasonRequest(Request, frozen=True, kw_only=True):
    """POST /v1/session/{checklist,stop,pause,resume,abort}, /v1/risk/report: with a reason."""

    reason: str = ""


class ProbeRequest(Request, frozen=True, kw_only=True):
    """POST /v1/checklist/probe: run one automatic item, or all when `item_id` is empty."""

    item_id: str = ""


class AnswerRequest(Request, frozen=True, kw_only=True):
    """POST /v1/checklist/answer: answer a manual item as `role`."""

    item_id: str
    role: str
    answer: str


class JoinRequest(Request, frozen=True, kw_only=True):
    """POST /v1/review/join: the reviewer's process joins with a fresh nonce (64 hex digits)."""

    nonce: str
    #: the client's own observations of itself; the engine puts login and audit session in itself
    signals: dict[str, str]


class GoRequest(Request, frozen=True, kw_only=True):
    """POST /v1/go/request: ask for go; `nonce` is the operator's (64 hex digits)."""

    nonce: str
    #: the client's own observations of itself; the engine puts login and audit session in itself
    signals: dict[str, str]


class SignRequest(Request, frozen=True, kw_only=True):
    """POST /v1/{go,recon,pack}/sign: an armoured SSHSIG over the document with this sha256."""

    sha256: str
    signature: str


class PackSignRequest(SignRequest, frozen=True, kw_only=True):
    """POST /v1/pack/sign: the tag manifest, and each report that is signed by itself.

    `documents` maps the name of such a report in the pack to an armoured SSHSIG over its bytes.
    """

    documents: dict[str, str] = {}


class ReviseRequest(Request, frozen=True, kw_only=True):
    """POST /v1/pack/revise: write a revision of a sealed pack, for both to sign.

    `lessons` replaces the lessons (one to three), `incident` adds to the incidents; one of them is
    needed.
    """

    session_id: str
    reason: str
    lessons: tuple[str, ...] = ()
    incident: str = ""


class RevisionSignRequest(SignRequest, frozen=True, kw_only=True):
    """POST /v1/pack/revision/sign: a signature over the tag manifest of the open revision."""

    session_id: str


class CosignRequest(Request, frozen=True, kw_only=True):
    """POST /v1/go/cosign: the exact text of cosign.json and the reviewer's signature over it."""

    cosign: str
    signature: str


class OrderRequest(Request, frozen=True, kw_only=True):
    """POST /v1/order/{preview,submit}: quantity in base, price in quote (None for MARKET)."""

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce | None = None


class CancelRequest(Request, frozen=True, kw_only=True):
    """POST /v1/order/cancel."""

    client_order_id: str


class OrphanRequest(Request, frozen=True, kw_only=True):
    """POST /v1/orphan/cancel: a stranger's order, by symbol and its id at the venue."""

    symbol: str
    client_order_id: str
    reason: str


class NoteRequest(Request, frozen=True, kw_only=True):
    """POST /v1/note: a line for the runlog."""

    text: str


class KillRequest(Request, frozen=True, kw_only=True):
    """POST /v1/kill: stop everything. `pressed_us` is when the key was read, µs UTC."""

    reason: str
    source: str
    pressed_us: int


class BreakAnswerRequest(Request, frozen=True, kw_only=True):
    """POST /v1/recon/answer."""

    run_id: str
    break_id: str
    answer: str


class LessonsRequest(Request, frozen=True, kw_only=True):
    """POST /v1/lessons: one to three points."""

    points: tuple[str, ...]


class AcknowledgeRequest(Request, frozen=True, kw_only=True):
    """POST /v1/alarm/acknowledge."""

    alarm_id: str
    note: str = ""


class IncidentRequest(Request, frozen=True, kw_only=True):
    """POST /v1/incident: open (`incident_id` empty), note or close (`close` true)."""

    incident_id: str = ""
    text: str
    close: bool = False


class DualRequest(Request, frozen=True, kw_only=True):
    """POST /v1/dual/request: ask for an act that two people grant, and be one of the two.

    `subject` names what the act is about, as the purpose wants it; an empty `operator` or
    `reviewer` is the session's, or the only one whom the roster has.
    """

    purpose: Purpose
    subject: dict[str, str]
    reason: str
    operator: str = ""
    reviewer: str = ""


class DualSignRequest(Request, frozen=True, kw_only=True):
    """POST /v1/dual/sign: a signature over the request's document; with the second one it is done.

    `signer` is whose signature it is, when another person hands it in ("" = the asking person's
    own); `typed_code` the short code that the signer typed, "" when signed from a file.
    """

    request_id: str
    sha256: str
    signature: str
    signer: str = ""
    typed_code: str = ""
    #: the client's own observations of itself: tty, loginuid, ssh peer
    signals: dict[str, str] = {}


class DualWithdrawRequest(Request, frozen=True, kw_only=True):
    """POST /v1/dual/withdraw: take back one's own request, or decline the other's."""

    request_id: str
    reason: str


class QueryRequest(Request, frozen=True, kw_only=True):
    """POST /v1/store/query: one read-only SQL statement on the store."""

    sql: str


class ConfigSetRequest(Request, frozen=True, kw_only=True):
    """POST /v1/config/set: one key of the workspace's file; no `value` takes the key out."""

    key: str
    value: str | None
    reason: str


class PeopleAddRequest(Request, frozen=True, kw_only=True):
    """POST /v1/people/add: a person with the line of their public key."""

    id: str
    role: Role
    public_line: str
    reason: str
    name: str = ""
    uid: int | None = None


class PeopleRevokeRequest(Request, frozen=True, kw_only=True):
    """POST /v1/people/revoke: take a person out and revoke their key."""

    id: str
    reason: str


class TightenRequest(Request, frozen=True, kw_only=True):
    """POST /v1/limits/tighten: one limit, its value as text in its own unit, and why."""

    name: str
    value: str
    reason: str


class DrillRequest(Request, frozen=True, kw_only=True):
    """POST /v1/drill/record: what a drill measured; its journal lies in the folder of drills.

    `fault` is why it could not be carried to its end, else "".
    """

    drill_id: str
    name: str
    measured: dict[str, int]
    fault: str = ""
