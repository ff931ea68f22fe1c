"""The settings as types: one class a section, one field a key, a line of text under each.

No field has a default here: `defaults/base.toml` holds every key once, so that each value in force
has an origin. Values are checked alone (type, range) and then together (`_whole`); what two layers
may do to each other (limits only tighten) is `settings.py`. No key arms live: `environment` and
`governance.modes` say what may be asked for, the engine's locks decide for themselves (I5).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.profiles import ADDRESS_KEYS, mixed_up
from config.scenarios import is_file_name, scenario_names
from engine.contracts.errors import InputError
from engine.contracts.money import parse_decimal, plain
from engine.contracts.session import BreakerTerms, Environment, Limits, Mode

#: What may be asked for at all, per environment. Code, not configuration (I5).
MODES: dict[Environment, frozenset[Mode]] = {
    Environment.DEV: frozenset({Mode.PAPER}),
    Environment.SHADOW: frozenset({Mode.SHADOW}),
    Environment.TESTNET: frozenset({Mode.TESTNET}),
    Environment.PROD: frozenset({Mode.LIVE}),
}

_REFERENCE = re.compile(
    r"env:[A-Za-z_][A-Za-z0-9_]*|file:[^\x00-\x1f]+|keyring:[^/\x00-\x1f]+/[^\x00-\x1f]+"
)


def _money(value: object) -> object:
    """Read a plain decimal; floats are refused (I11)."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise PydanticCustomError("money", "not a plain decimal number")
    try:
        number = parse_decimal(str(value), "")
    except InputError as error:
        raise PydanticCustomError("money", "not a plain decimal number") from error
    return plain(number)


def _url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        if not value:
            return value
        try:
            parts = urlsplit(value)
            usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            usable = False
        if not usable or parts.scheme not in schemes or parts.username or parts.query:
            raise PydanticCustomError("url", "not such an address")
        return value.rstrip("/")

    return AfterValidator(check)


def _reference(value: str) -> str:
    if value and not _REFERENCE.fullmatch(value):
        raise PydanticCustomError("reference", "not a reference")
    return value


def _listed(value: object) -> object:
    """Read `a,b` from the environment or command line as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


PositiveMoney = Annotated[Decimal, BeforeValidator(_money), Field(gt=0)]
RestUrl = Annotated[str, _url("http", "https"), Field(description="http(s)://host[:port]")]
SocketUrl = Annotated[str, _url("ws", "wss"), Field(description="ws(s)://host[:port][/path]")]
Reference = Annotated[
    str,
    AfterValidator(_reference),
    Field(description="env:NAME, file:PATH, file:PATH#a.b or keyring:SERVICE/USER"),
]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,20}$")]
Account = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
VenueAccount = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}:[A-Za-z0-9_.-]{1,40}$")]


class Section(BaseModel):
    """Base of the sections: unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VenueSettings(Section):
    """Where orders go. With `sandbox.enabled` the URLs and keys come from the running sandbox.

    The watchdog's references name a key pair of the same account and kind that only it uses: a
    trading key that is revoked or throttled leaves it able to cancel. Both empty: it uses that one.
    """

    kind: Literal["binance"]
    name: Account
    rest_url: RestUrl
    ws_url: SocketUrl
    ws_api_url: SocketUrl
    key_type: Literal["hmac", "ed25519"]
    api_key_ref: Reference
    secret_ref: Reference
    watchdog_api_key_ref: Reference
    watchdog_secret_ref: Reference
    account: Account
    symbols: Annotated[tuple[Symbol, ...], BeforeValidator(_listed), Field(min_length=1)]
    recv_window_ms: Annotated[int, Field(ge=100, le=60000)]
    request_timeout_ms: Annotated[int, Field(ge=100, le=30000)]


class SandboxSettings(Section):
    """The local exchange that `peakctl` starts when `enabled`; `speed` times real time.

    `replay` is a recording, `scenario` a name of `config/scenarios/` or a TOML file: one at most.
    `control` opens its fault switches, for drills.
    """

    enabled: bool
    port: Annotated[int, Field(ge=0, le=65535)]
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)]
    replay: str
    scenario: str
    speed: Annotated[PositiveMoney, Field(le=1000)]
    control: bool


class LimitSettings(Section):
    """The ceiling of every charter's limits; units as in `engine.contracts.session.Limits`."""

    max_order_quantity: PositiveMoney
    max_order_notional: PositiveMoney
    max_position: PositiveMoney
    max_open_orders: Annotated[int, Field(ge=1, le=500)]
    max_orders_per_second: Annotated[int, Field(ge=1, le=50)]
    max_orders_per_minute: Annotated[int, Field(ge=1, le=1000)]
    max_orders_per_session: Annotated[int, Field(ge=1, le=200000)]
    max_session_loss: PositiveMoney
    price_collar_bps: Annotated[int, Field(ge=1, le=5000)]
    price_last_bps: Annotated[int, Field(ge=1, le=5000)]
    price_book_bps: Annotated[int, Field(ge=1, le=5000)]
    max_gross_exposure: PositiveMoney
    max_net_exposure: PositiveMoney
    max_asset_exposure: PositiveMoney
    max_orders_per_day: Annotated[int, Field(ge=1, le=200000)]
    max_messages_per_minute: Annotated[int, Field(ge=1, le=10000)]
    max_cancels_per_order: PositiveMoney
    cancels_before_ratio: Annotated[int, Field(ge=1, le=10000)]
    cooldown_loss_seconds: Annotated[int, Field(ge=0, le=86400)]
    max_rejects_per_minute: Annotated[int, Field(ge=1, le=1000)]
    cooldown_rejects_seconds: Annotated[int, Field(ge=0, le=86400)]

    def to_limits(self) -> Limits:
        """The same numbers in the engine's words."""
        return Limits(**self.model_dump())


class BreakerSettings(Section):
    """What trips the loss breakers; units as in `engine.contracts.session.BreakerTerms`."""

    max_day_loss: PositiveMoney
    max_week_loss: PositiveMoney
    max_drawdown_bps: Annotated[int, Field(ge=1, le=2000)]
    max_losses_in_a_row: Annotated[int, Field(ge=1, le=1000)]
    max_pauses_per_hour: Annotated[int, Field(ge=1, le=1000)]

    def to_terms(self) -> BreakerTerms:
        """The same numbers in the engine's words."""
        return BreakerTerms(**self.model_dump())


class SessionSettings(Section):
    """Times of a session: seconds, milliseconds and minutes as the names say."""

    attendance_seconds: Annotated[int, Field(ge=1, le=60)]
    go_expiry_seconds: Annotated[int, Field(ge=1, le=300)]
    min_dwell_ms: Annotated[int, Field(ge=0, le=60000)]
    window_max_minutes: Annotated[int, Field(ge=1, le=1440)]


class MarketSettings(Section):
    """Market data older than `stale_ms` is missing to risk and drawn as stale (I9)."""

    stale_ms: Annotated[int, Field(ge=100, le=60000)]


class ClockSettings(Section):
    """The largest offset to the venue's clock, either way, ms."""

    limit_ms: Annotated[int, Field(ge=1, le=5000)]


class DiskSettings(Section):
    """Free space below which the checklist fails, MiB."""

    min_free_mb: Annotated[int, Field(ge=16, le=10_000_000)]


class JournalSettings(Section):
    """Group commit, segment length, and how often a signed head is written."""

    commit_interval_ms: Annotated[int, Field(ge=0, le=100)]
    segment_lines: Annotated[int, Field(ge=10, le=100000)]
    head_every_events: Annotated[int, Field(ge=1, le=100000)]
    head_every_seconds: Annotated[int, Field(ge=1, le=3600)]


class WatchdogSettings(Section):
    """Silence of the engine after which the watchdog acts, and the engine's heartbeat."""

    grace_seconds: Annotated[int, Field(ge=1, le=60)]
    heartbeat_ms: Annotated[int, Field(ge=50, le=5000)]


class ReconSettings(Section):
    """How often a trading session is reconciled with the venue, seconds."""

    every_seconds: Annotated[int, Field(ge=1, le=600)]


class RiskSettings(Section):
    """The risk report: confidence level, bars of history and their length, backtest window.

    The horizon of every figure is one bar; `window` are the bars of each forecast of the backtest.
    """

    level: Annotated[
        Decimal,
        BeforeValidator(_money),
        Field(ge=Decimal("0.9"), le=Decimal("0.999"), description='from "0.9" to "0.999"'),
    ]
    interval: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d"]
    bars: Annotated[int, Field(ge=100, le=1000)]
    window: Annotated[int, Field(ge=30, le=900)]


class GovernanceSettings(Section):
    """Modes a charter may ask for and `venue:account` pairs it may name; neither arms anything."""

    modes: Annotated[tuple[Mode, ...], BeforeValidator(_listed)]
    accounts: Annotated[tuple[VenueAccount, ...], BeforeValidator(_listed)]


class Settings(BaseSettings):
    """Everything, after all layers."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    environment: Environment
    allow_same_uid: bool
    venue: VenueSettings
    sandbox: SandboxSettings
    limits: LimitSettings
    breakers: BreakerSettings
    session: SessionSettings
    market: MarketSettings
    clock: ClockSettings
    disk: DiskSettings
    journal: JournalSettings
    watchdog: WatchdogSettings
    recon: ReconSettings
    risk: RiskSettings
    governance: GovernanceSettings

    @model_validator(mode="after")
    def _whole(self) -> Settings:
        problems = tuple(_together(self))
        if problems:
            raise PydanticCustomError("together", "together", {"problems": problems})
        return self


def _venue(settings: Settings) -> list[tuple[str, str]]:
    """Addresses that are there and encrypted, a key of the right kind, nothing of another place."""
    venue, environment = settings.venue, settings.environment
    found = mixed_up(environment, venue.model_dump())
    if not settings.sandbox.enabled and environment is not Environment.DEV:
        for key in ADDRESS_KEYS:
            if not getattr(venue, key):
                found.append((f"venue.{key}", "an address, because sandbox.enabled is false"))
            elif not getattr(venue, key).startswith(("https://", "wss://")):
                found.append((f"venue.{key}", "https:// or wss:// outside environment dev"))
    if venue.key_type == "ed25519" and not _key_file(venue.secret_ref):
        found.append(("venue.secret_ref", "file:PATH, because venue.key_type is ed25519"))
    if bool(venue.watchdog_api_key_ref) != bool(venue.watchdog_secret_ref):
        found.append(("venue.watchdog_secret_ref", "both references of the watchdog, or neither"))
    if venue.key_type == "ed25519" and not _key_file(venue.watchdog_secret_ref):
        wanted = "file:PATH, because venue.key_type is ed25519"
        found.append(("venue.watchdog_secret_ref", wanted))
    return found


def _key_file(reference: str) -> bool:
    return not reference or (reference.startswith("file:") and "#" not in reference)


def _scenario(sandbox: SandboxSettings) -> list[tuple[str, str]]:
    """A name that there is, or a file; and no recording beside it."""
    named = sandbox.scenario
    if named and sandbox.replay:
        return [("sandbox.scenario", "empty while sandbox.replay is set")]
    if named and not is_file_name(named) and named not in scenario_names():
        return [("sandbox.scenario", f"one of {', '.join(scenario_names())}, or a .toml file")]
    return []


def _together(settings: Settings) -> list[tuple[str, str]]:
    """Rules over several keys, as (key, what is allowed)."""
    found: list[tuple[str, str]] = []
    environment = settings.environment
    if settings.allow_same_uid and environment is not Environment.DEV:
        found.append(("allow_same_uid", "true in environment dev only"))
    if settings.sandbox.enabled and environment is not Environment.DEV:
        found.append(("sandbox.enabled", "true in environment dev only"))
    found.extend(_scenario(settings.sandbox))
    allowed = MODES[environment]
    if not set(settings.governance.modes) <= allowed:
        names = ", ".join(sorted(allowed))
        found.append(("governance.modes", f"in environment {environment} only {names}"))
    found.extend(_venue(settings))
    if settings.risk.window + 32 > settings.risk.bars:
        found.append(("risk.window", "at least 32 below risk.bars"))
    if settings.watchdog.heartbeat_ms * 2 > settings.watchdog.grace_seconds * 1000:
        found.append(("watchdog.heartbeat_ms", "at most half of watchdog.grace_seconds"))
    return found
