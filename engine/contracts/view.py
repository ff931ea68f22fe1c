"""What the control API sends: the whole state as one document, in the shapes the screens render.

A view is a reading, not a record: rebuilt from the folds at each change, at most a few times a
second. Every live figure carries its age in milliseconds; `None` means "not known", never zero
(I9, I12). Money is Decimal in the currency named in the docstring.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.contracts.fill import Fill
from engine.contracts.order import Order
from engine.contracts.session import Charter, ItemKind, ItemResult, SessionState
from engine.contracts.standing import EvidenceRow, LadderView


class EngineView(msgspec.Struct, frozen=True, kw_only=True):
    """The engine process. `phase` is `starting`, `recovering`, `ready` or `halted`."""

    pid: int
    version: str
    phase: str
    started_us: int
    environment: str
    workspace: str
    demo: bool
    config_sha256: str
    events: int
    head: str
    store_lag: int
    attended: bool
    watchdog: str
    review_command: str


class ItemView(msgspec.Struct, frozen=True, kw_only=True):
    """One checklist item for one role; `shared` items are answered blind by both."""

    id: str
    title: str
    kind: ItemKind
    role: str
    result: ItemResult
    value: str = ""
    detail: str = ""
    hint: str = ""
    by: str = ""
    shared: bool = False
    critical: bool = False
    answered_us: int | None = None


class GoView(msgspec.Struct, frozen=True, kw_only=True):
    """The go/no-go: `stage` is `none`, `requested`, `signed`, `go`, `no_go` or `void`."""

    stage: str
    packet: str = ""
    packet_sha256: str = ""
    operator_signature: str = ""
    expires_us: int | None = None
    decision: str = ""
    reason: str = ""


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """The current session."""

    id: str
    state: SessionState
    charter: Charter
    since_us: int
    checklist: tuple[ItemView, ...]
    reviewer_joined: bool
    go: GoView
    runlog: tuple[str, ...]
    recon: ReconView | None = None
    pack: PackView | None = None


class BreakView(msgspec.Struct, frozen=True, kw_only=True):
    """One difference that a reconciliation found. `klass` is green, yellow or red.

    `owner` is the role that answers ("" = nobody must), `age_ms` how long it was open at the run.
    """

    id: str
    klass: str
    subject: str
    key: str
    engine: str
    journal: str
    venue: str
    cause: str
    answer: str = ""
    likely: str = ""
    owner: str = ""
    age_ms: int = 0
    #: two people have closed it together: what a red one needs
    granted: bool = False


class ReconView(msgspec.Struct, frozen=True, kw_only=True):
    """The last reconciliation. `signed_by` holds roles."""

    run_id: str
    report: str
    report_sha256: str
    compared: dict[str, int]
    breaks: tuple[BreakView, ...]
    signed_by: tuple[str, ...]


class WatchBreakView(msgspec.Struct, frozen=True, kw_only=True):
    """One open break of the continuous reconciliation; `runs` in a row have seen it."""

    code: str
    key: str
    klass: str
    subject: str
    first_seen_us: int
    age_ms: int
    runs: int
    cause: str
    likely: str
    owner: str


class ReconWatchView(msgspec.Struct, frozen=True, kw_only=True):
    """The continuous reconciliation. `state`: agree, breaks, unknown or never.

    `at_us` and `age_ms` are of the last run that could compare, None when there was none: with
    state `unknown` the rest is what was known then. Over `limit_ms` it is stale. `reason` says why
    the venue could not be asked, or why a run was left out.
    """

    state: str
    moment: str = ""
    at_us: int | None = None
    age_ms: int | None = None
    limit_ms: int = 0
    reason: str = ""
    compared: dict[str, int] = {}
    breaks: tuple[WatchBreakView, ...] = ()


class OrphanView(msgspec.Struct, frozen=True, kw_only=True):
    """An order of the account that we did not make. Price in quote, quantities in base.

    `state`: open, cancel_requested, ended or adopted; `status` is the venue's last word on it.
    """

    symbol: str
    client_order_id: str
    venue_order_id: str
    side: str
    price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    state: str
    status: str
    found_us: int
    by: str = ""
    reason: str = ""


class DualView(msgspec.Struct, frozen=True, kw_only=True):
    """A request for an act that two people grant. `stage`: pending, granted or withdrawn.

    `document` is the exact text that both sign; whoever shows it hashes and reads these bytes.
    `signed_by` holds persons. `refused` says why a signature or the act was refused last; `code`
    and `closed_reason` why it was withdrawn.
    """

    id: str
    purpose: str
    stage: str
    document: str
    sha256: str
    reason: str
    requested_by: str
    operator: str
    reviewer: str
    requested_us: int
    expires_us: int
    signed_by: tuple[str, ...] = ()
    refused: str = ""
    code: str = ""
    closed_reason: str = ""
    closed_by: str = ""
    closed_us: int | None = None

    def waits_for(self, person: str) -> bool:
        """Whether this person's signature is what is missing, or one of the two."""
        named = person in {self.operator, self.reviewer}
        return self.stage == "pending" and named and person not in self.signed_by


class PackView(msgspec.Struct, frozen=True, kw_only=True):
    """The pack: `stage` is `writing`, `written`, `sealed`. `tagmanifest` is the text to sign."""

    stage: str
    folder: str
    tagmanifest: str = ""
    tagmanifest_sha256: str = ""
    signed_by: tuple[str, ...] = ()


class RevisionView(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of a sealed pack: `stage` is `written` or `sealed`; `signed_by` holds roles."""

    session_id: str
    number: int
    stage: str
    folder: str
    revises: str
    tagmanifest_sha256: str
    signed_by: tuple[str, ...] = ()


class StageView(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a kill with its time since the request, µs; and on the monotonic clock."""

    stage: str
    elapsed_us: int
    detail: str
    monotonic_us: int = 0


class KillView(msgspec.Struct, frozen=True, kw_only=True):
    """The latch and the last kill. `state`: READY, LATCHED, PROVEN, UNCONFIRMED.

    `held_in`: where the latch holds now, of memory, journal, file, aside and watchdog. `kills` have
    come since the last release; `latched_us` is of the first of them, all else of the last.
    """

    state: str
    kill_id: str = ""
    reason: str = ""
    by: str = ""
    latched_us: int | None = None
    stages: tuple[StageView, ...] = ()
    open_orders: tuple[str, ...] = ()
    positions: dict[str, Decimal] = {}
    detail: str = ""
    held_in: tuple[str, ...] = ()
    kills: int = 1


class StreamView(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of the venue: `market` or `user`. `age_ms` since the last message.

    Latency is from the venue's event to our receipt, over the last events; None before the first.
    """

    name: str
    connected: bool
    age_ms: int | None
    limit_ms: int
    messages: int
    gaps: int
    reconnects: int
    latency_p50_ms: int | None = None
    latency_p95_ms: int | None = None
    latency_p99_ms: int | None = None


class RateWindowView(msgspec.Struct, frozen=True, kw_only=True):
    """One of the venue's limits: `kind` (REQUEST_WEIGHT, ORDERS, RAW_REQUESTS) in `window` (10S).

    `used` None: the venue has not told yet.
    """

    kind: str
    window: str
    used: int | None
    limit: int


class VenueView(msgspec.Struct, frozen=True, kw_only=True):
    """The venue as the engine sees it."""

    name: str
    connected: bool
    clock_offset_ms: int | None
    streams: tuple[StreamView, ...]
    used_weight: int | None
    weight_limit: int
    windows: tuple[RateWindowView, ...] = ()
    #: how long the venue still wants silence after a 429 or 418, ms
    silent_ms: int = 0


class TradeView(msgspec.Struct, frozen=True, kw_only=True):
    """One public trade. `taker` is BUY or SELL; price in quote, quantity in base."""

    price: Decimal
    quantity: Decimal
    taker: str
    time_us: int


class MarketView(msgspec.Struct, frozen=True, kw_only=True):
    """The market of one symbol: best levels first, [price, quantity]; ages in ms."""

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    step_size: Decimal
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    trades: tuple[TradeView, ...]
    last: Decimal | None
    book_age_ms: int | None
    trade_age_ms: int | None
    stale: bool
    limit_ms: int


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """Position of the session in one symbol: base quantity, quote values; marked at mid.

    `unrealized` and `mark` are None while the market is stale.
    """

    symbol: str
    quantity: Decimal
    average_price: Decimal | None
    realized: Decimal
    unrealized: Decimal | None
    fees: dict[str, Decimal]
    mark: Decimal | None


class HeadroomView(msgspec.Struct, frozen=True, kw_only=True):
    """One limit and how much of it is used; numbers as text, `used_percent` 0 to 100 or more.

    Of a breaker, `action` is what follows when it is over (PAUSE, KILL) and `lifted_by` says who
    may lift that; both "" for other limits.
    """

    code: str
    text: str
    used: str
    limit: str
    unit: str
    used_percent: int
    action: str = ""
    lifted_by: str = ""


class AlarmView(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm that is not cleared."""

    id: str
    code: str
    priority: int
    text: str
    response: str
    raised_us: int
    acknowledged_by: str = ""


class StateView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything: what `status --json` prints and the consoles draw.

    `orders` are open ones first, then the most recent; `fills` most recent first. `next_step` is
    one sentence for the operator, `next_step_reviewer` for the reviewer.
    """

    time_us: int
    engine: EngineView
    kill: KillView
    venue: VenueView | None
    market: MarketView | None
    session: SessionView | None
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    positions: tuple[PositionView, ...]
    balances: dict[str, tuple[Decimal, Decimal]]
    limits: tuple[HeadroomView, ...]
    alarms: tuple[AlarmView, ...]
    next_step: str
    next_step_reviewer: str
    recon_watch: ReconWatchView = ReconWatchView(state="never")
    orphans: tuple[OrphanView, ...] = ()
    #: those that wait first, oldest first, then the last decided ones, newest first
    dual: tuple[DualView, ...] = ()
    #: where the environment stands on the scaling ladder, and what live asks for
    ladder: LadderView | None = None
    promotion: tuple[EvidenceRow, ...] = ()
