"""What the engine is set up with: config, roster, runbooks and keys as plain values.

Read once at start; what the approval binds is watched afterwards (`current`), so that a file edited
while the engine runs is noticed and voids what was signed over the old one (I6). Secrets stay in
the venue options and leave by no other way (I10).
"""

from __future__ import annotations

import os
import platform
import shlex
import tomllib
from collections.abc import Mapping
from importlib.metadata import version as package_version
from pathlib import Path

import config
from config.drills import load_criteria, load_max_age_days
from config.ladder import load_ladder
from config.profiles import REFERENCE_KEYS
from config.roster import file_hashes
from config.secrets import require_private, resolve
from config.settings import Effective, Settings, load
from config.stress import load_shocks
from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.errors import ConfigError, PeakError, WorkspaceError
from engine.contracts.event import ConfigLoaded, PeopleLoaded
from engine.contracts.session import Checklist
from engine.contracts.toml_text import load_toml
from engine.execution.consent.approval_desk import ApprovalTerms
from engine.execution.consent.fingerprints import WatchedFiles, WatchedText, code_tree
from engine.execution.limits.facts import FactSettings
from engine.execution.limits.risk_desk import RiskTerms
from engine.execution.records.pack_desk import PackPlaces
from engine.execution.session_desk import CharterRules
from engine.execution.watchdog.process import WatchdogOrders
from engine.governance.changes import person_text
from engine.governance.checklist import parse_runbook
from engine.governance.packet import InputFile
from engine.governance.people import Roster, parse_roster, roster_document
from engine.key_files import KeyFiles
from engine.ops.drills import DAY_US, DrillTerms
from engine.ops.pasted import PastedSecrets
from engine.ops.redaction import Redaction
from engine.own_place import refuse_open
from engine.paths import EnginePaths
from engine.plain_file import read_plain, read_plain_text
from engine.planning import Plans
from engine.signatures.allowed_signers import parse_allowed_signers
from engine.signatures.check import Checker
from engine.signatures.sshsig import public_blob_of
from engine.venues.binance.options import BinanceOptions

__all__ = ["EnginePaths", "Setup", "fact_settings", "read_setup"]

#: The user stream may be silent for long; the adapter pings it, so its age only informs.
_USER_LIMIT_MS = 30_000
_US_PER_MINUTE = 60_000_000
#: Some two hundred files: looked at once a second, not at every order.
_CODE_LOOK_US = 1_000_000
_MS_PER_SECOND = 1_000
_US_PER_SECOND = 1_000_000
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Setup:
    """Everything read at start, and the watch over what was read."""

    def __init__(
        self,
        paths: EnginePaths,
        effective: Effective,
        environ: Mapping[str, str],
        overrides: Mapping[str, object] | None = None,
    ) -> None:
        self.paths = paths
        self.plans = Plans(paths.workspace, environ, overrides)
        self.effective = effective
        self.settings: Settings = effective.settings
        self.version = package_version("peakctl")
        self.boot_id = _boot_id()
        refuse_open(self._own_places())
        self.roster = self._read_roster()
        self.demo = any(person.demo for person in self.roster.people)
        self.checker = Checker(paths.allowed_signers, paths.revoked_keys)
        self.signers_bytes = self._read_signers()
        self.log_principal = self._log_principal()
        self.venue_options = self._venue_options(environ)
        venue = self.settings.venue
        own = bool(venue.watchdog_api_key_ref)
        self.watchdog_options = (
            self._options_with(venue.watchdog_api_key_ref, venue.watchdog_secret_ref, environ)
            if own
            else self.venue_options
        )
        references = tuple(getattr(venue, key) for key in REFERENCE_KEYS)
        self._venue_keys = KeyFiles(references, paths.workspace)
        self.pasted = PastedSecrets(Redaction(self.secrets()))
        self.user_limit_ms = _USER_LIMIT_MS
        self.origin = f"peakctl/{paths.workspace.name}"
        root = Path(config.__file__).parent.parent
        packages = [root / name for name in ("engine", "peakctl", "screens", "config")]
        self._code = WatchedFiles.of_tree(lambda: code_tree(packages), look_every_us=_CODE_LOOK_US)
        self._books: dict[str, WatchedText] = {}
        self._loaded_with = environ, overrides
        self._limits_of: tuple[str, bool] = ("", True)
        self._inputs = WatchedFiles([(name, paths.workspace / name) for name in effective.files()])
        self._people = WatchedFiles(
            [
                ("people.toml", paths.people),
                ("allowed_signers", paths.allowed_signers),
                ("revoked_keys", paths.revoked_keys),
            ]
        )
        self.ladder = load_ladder(paths.workspace, self.settings.environment)
        self._criteria = load_criteria(paths.workspace)
        self._drill_age_us = load_max_age_days(paths.workspace) * DAY_US
        self._at_start = (self._inputs.sha256(), self._people.sha256())
        self._roster_sha256 = sha256_hex(self.roster_bytes())
        self._code_at_start = self._code.sha256()

    # --- what is watched --------------------------------------------------------------------------

    def config_sha256(self) -> str:
        """Hash of the effective config; another value once its file was edited after the start."""
        now = self._inputs.sha256()
        return self.effective.sha256 if now == self._at_start[0] else now

    def stale(self) -> tuple[str, ...]:
        """What on the disk is no longer what this engine was started with: nothing new binds it."""
        held = {
            "config": self._inputs.sha256() == self._at_start[0],
            "roster": self._people.sha256() == self._at_start[1],
            "code": self._code.sha256_now() == self._code_at_start,
        }
        return tuple(name for name, holds in held.items() if not holds)

    def limits_hold(self, config_sha256: str) -> bool:
        """Whether the config's own limits are still those of the start; no, if it does not read.

        `config_sha256` is what the method of that name has just said: no file is looked at twice.
        """
        if config_sha256 == self.effective.sha256:
            return True
        if self._limits_of[0] != config_sha256:
            try:
                loaded = load(self.paths.workspace, *self._loaded_with)
                hold = loaded.settings.limits == self.settings.limits
            except PeakError:
                hold = False
            self._limits_of = config_sha256, hold
        return self._limits_of[1]

    def runbook_sha256(self, name: str) -> str:
        """Hash of a runbook's text as it is on disk now; `name` is the file's."""
        book = self._books.setdefault(name, WatchedText(self.paths.runbooks / Path(name).name))
        return book.sha256()

    def code_sha256(self) -> str:
        """Hash over our own source files as they are on disk now."""
        return self._code.sha256()

    def roster_sha256(self) -> str:
        """Hash of the roster document; another value once people, keys or revocations changed."""
        now = self._people.sha256()
        return self._roster_sha256 if now == self._at_start[1] else now

    def roster_bytes(self) -> bytes:
        """The roster as it is signed over: people and the hash of allowed_signers, as at start."""
        return roster_document(self.roster, sha256_hex(self.signers_bytes))

    # --- what a start journals where it differs ---------------------------------------------------

    def config_loaded(self) -> ConfigLoaded:
        """The effective config as texts, references only (I10)."""
        return ConfigLoaded(
            sha256=self.effective.sha256,
            environment=self.settings.environment.value,
            values=self.effective.values(),
            origins=dict(self.effective.origins),
            files=self.effective.files(),
        )

    def people_loaded(self) -> PeopleLoaded:
        """The roster as texts, and the three files that it is made of."""
        return PeopleLoaded(
            sha256=self._roster_sha256,
            people={person.id: person_text(person) for person in self.roster.people},
            files=file_hashes(self.paths.workspace),
        )

    def key_changed(self) -> str:
        """What has happened to the venue key's files since the start, "" when nothing has.

        Another value, another owner, or open to others. A file that is away for a moment, while it
        is written anew, is no sign.
        """
        return self._venue_keys.changed()

    # --- plain values for the rooms ---------------------------------------------------------------

    @property
    def review_command(self) -> str:
        """What the reviewer types in the second terminal."""
        return f"peakctl review --workspace {shlex.quote(str(self.paths.workspace))}"

    @property
    def fact_settings(self) -> FactSettings:
        """What the checks need of the settings."""
        return fact_settings(self.settings)

    def drill_terms(self) -> DrillTerms:
        """What a drill must satisfy to count now."""
        code = self.code_sha256()
        return DrillTerms(criteria=self._criteria, max_age_us=self._drill_age_us, code_sha256=code)

    @property
    def charter_rules(self) -> CharterRules:
        """What a charter may say."""
        settings = self.settings
        return CharterRules(
            modes_allowed=tuple(mode.value for mode in settings.governance.modes),
            venue=settings.venue.name,
            account=settings.venue.account,
            symbols=tuple(settings.venue.symbols),
            ceiling=settings.limits.to_limits(),
            window_max_us=settings.session.window_max_minutes * _US_PER_MINUTE,
            attendance_max_seconds=settings.session.attendance_seconds,
            allow_same_uid=settings.allow_same_uid,
        )

    def approval_terms(self, hostname: str) -> ApprovalTerms:
        """What an approval is made under."""
        settings = self.settings
        return ApprovalTerms(
            environment=settings.environment,
            ttl_us=settings.session.go_expiry_seconds * _US_PER_SECOND,
            allow_same_uid=settings.allow_same_uid,
            min_dwell_us=settings.session.min_dwell_ms * _US_PER_SECOND // _MS_PER_SECOND,
            hostname=hostname,
            boot_id=self.boot_id,
            inputs=tuple(
                InputFile(path=one.path, size=len(one.content), sha256=one.sha256)
                for one in self.effective.inputs
            ),
            code={"version": self.version, "python": platform.python_version()},
        )

    def pack_places(self) -> PackPlaces:
        """Where packs are made."""
        paths = self.paths
        return PackPlaces(
            sessions=paths.sessions,
            market=paths.market,
            snapshots=paths.snapshots,
            exports=paths.exports,
            allowed_signers=paths.allowed_signers,
            allowed_signers_bytes=self.signers_bytes,
            revoked_keys=paths.revoked_keys,
            log_principal=self.log_principal,
            version=self.version,
        )

    def config_files(self) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
        """The effective config as hashed, and the files it was read from."""
        inputs = tuple((one.path, one.content) for one in self.effective.inputs)
        return self.effective.document, inputs

    @property
    def watchdog_orders(self) -> WatchdogOrders:
        """What the watchdog is told through its pipe."""
        options = self.watchdog_options
        key = options.ed25519_private_key
        return WatchdogOrders(
            name=options.name,
            rest_url=options.rest_url,
            ws_url=options.ws_url,
            ws_api_url=options.ws_api_url,
            api_key=options.api_key,
            secret=options.secret,
            ed25519_private_key=str(key) if key else "",
            symbols=tuple(self.settings.venue.symbols),
            recv_window_ms=options.recv_window_ms,
            grace_ms=self.settings.watchdog.grace_seconds * _MS_PER_SECOND,
            log_path=str(self.paths.watchdog_log),
            journal_path=str(self.paths.journal),
            latch_path=str(self.paths.latch),
        )

    @property
    def risk_terms(self) -> RiskTerms:
        """What the risk report is made with."""
        risk = self.settings.risk
        return RiskTerms(
            level=risk.level,
            interval=risk.interval,
            bars=risk.bars,
            window=risk.window,
            symbols=tuple(self.settings.venue.symbols),
            shocks=lambda: load_shocks(self.paths.workspace),
        )

    def runbooks(self) -> dict[str, Checklist]:
        """The session checklists of the workspace, by runbook name without ending.

        A runbook without front matter has no checklist and is left out; a broken one raises.
        """
        found: dict[str, Checklist] = {}
        for path in sorted(self.paths.runbooks.glob("session_*.md")):
            text = read_plain_text(path)
            found[path.stem] = parse_runbook(text, path.name)
        return found

    def secrets(self) -> tuple[str, ...]:
        """Values that must be blanked wherever they would show, a private key by its own text."""
        both = (self.venue_options, self.watchdog_options)
        found = [value for one in both for value in (one.api_key, one.secret) if value]
        for key in {one.ed25519_private_key for one in both} - {None}:
            pem = "" if key is None else key.read_text(encoding="ascii", errors="replace")
            found += [line for line in pem.splitlines() if line and not line.startswith("-")]
        return tuple(dict.fromkeys(found))

    # --- reading ----------------------------------------------------------------------------------

    def _own_places(self) -> tuple[Path, ...]:
        paths = self.paths
        files = (paths.people, paths.allowed_signers, paths.revoked_keys)
        folders = (paths.workspace, paths.people.parent, paths.runbooks, paths.state)
        return (*files, *folders, paths.journal, paths.heads, paths.socket.parent, paths.drills)

    def _read_roster(self) -> Roster:
        where = str(self.paths.people)
        try:
            document = load_toml(read_plain_text(self.paths.people))
        except OSError as error:
            raise ConfigError(
                what=f"cannot be read ({error.strerror})", where=where, todo="see peakctl people"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(what=f"not TOML ({error})", where=where) from error
        return parse_roster(document, environment=self.settings.environment, where=where)

    def _read_signers(self) -> bytes:
        try:
            return read_plain(self.paths.allowed_signers)
        except OSError as error:
            where = str(self.paths.allowed_signers)
            raise ConfigError(what=f"cannot be read ({error.strerror})", where=where) from error

    def _log_principal(self) -> str:
        """The principal whose key signs heads, from allowed_signers; and the key is that one."""
        where = str(self.paths.allowed_signers)
        signers = parse_allowed_signers(self.signers_bytes.decode("utf-8", "replace"), where)
        for signer in signers.signers:
            if Namespace.HEAD in signer.namespaces:
                if public_blob_of(self.paths.log_key) == signer.public_key_blob:
                    return signer.principal
                raise ConfigError(
                    what=f"{signer.principal} is listed with another key than lies here",
                    where=str(self.paths.log_key),
                    todo="put the log key back from a copy; nobody could vouch for new heads",
                )
        raise ConfigError(
            what="names no key for the journal's heads",
            where=where,
            todo="make the workspace with peakctl init",
        )

    def _venue_options(self, environ: Mapping[str, str]) -> BinanceOptions:
        venue = self.settings.venue
        if not venue.rest_url:
            raise WorkspaceError(
                what="there is no venue address",
                where="venue.rest_url",
                todo="with sandbox.enabled the sandbox must run first: start the console, "
                "it brings the sandbox along",
            )
        return self._options_with(venue.api_key_ref, venue.secret_ref, environ)

    def _options_with(
        self, api_key_ref: str, secret_ref: str, environ: Mapping[str, str]
    ) -> BinanceOptions:
        """The adapter's form with one key pair of the account."""
        venue, workspace = self.settings.venue, self.paths.workspace
        key = resolve(api_key_ref, workspace, environ).get_secret_value()
        timeout_s = venue.request_timeout_ms / _MS_PER_SECOND
        hmac = venue.key_type == "hmac"
        secret = resolve(secret_ref, workspace, environ).get_secret_value() if hmac else ""
        key_path = None if hmac else require_private(secret_ref, workspace)
        return BinanceOptions(
            name=venue.name,
            rest_url=venue.rest_url,
            ws_url=venue.ws_url,
            ws_api_url=venue.ws_api_url,
            api_key=key,
            secret=secret,
            ed25519_private_key=key_path,
            symbols=tuple(venue.symbols),
            recv_window_ms=venue.recv_window_ms,
            trade_timeout_s=timeout_s,
            query_timeout_s=timeout_s,
        )


def fact_settings(settings: Settings) -> FactSettings:
    """What the checks need of the settings."""
    return FactSettings(
        environment=settings.environment,
        stale_ms=settings.market.stale_ms,
        clock_limit_ms=settings.clock.limit_ms,
        breakers=settings.breakers.to_terms(),
        modes_allowed=frozenset(settings.governance.modes),
        allow_list=frozenset(
            (venue, account)
            for venue, _, account in (one.partition(":") for one in settings.governance.accounts)
        ),
    )


def read_setup(
    workspace: Path,
    socket: Path,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Setup:
    """Read everything. Raises ConfigError, WorkspaceError with all that is wrong."""
    variables = dict(os.environ) if environ is None else dict(environ)
    effective = load(workspace, variables, overrides)
    return Setup(EnginePaths(workspace, socket), effective, variables, overrides)


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
