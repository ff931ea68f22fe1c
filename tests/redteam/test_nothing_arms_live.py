"""I5, by enumeration: no command, route, variable or setting opens the locks of live.

Each list here is held against the thing itself: the command tree of typer, the routes of the built
application with the fields of what they take, every reading of the environment in the source, every
key of the settings. What is new and not in its table fails the test that holds the table.

The attacker is given all that is not evidence: environment prod, mode and account allowed, a
session that is live, signed inside its window and unchanged, an operator who attends, no latch.
"""

from __future__ import annotations

import ast
import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import aiohttp
import msgspec
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.allowed import fields, known_keys
from config.settings import Effective, Settings, load
from engine import api, serving
from engine.contracts import event as ev
from engine.contracts.decision import Verdict
from engine.contracts.errors import ConfigError
from engine.contracts.session import Charter, Environment, Mode, SessionState
from engine.execution.clock import wall_us
from engine.governance.gates import ASKS
from engine.governance.latch import LatchState
from engine.governance.locks import LIVE_LOCKS, LockFacts, Promotion, live_locks
from engine.governance.session import GoState, Session
from engine.host import Host
from engine.ops.job_kinds import JOB_KINDS
from engine.setup import EnginePaths, Setup, fact_settings
from peakctl.cli import app
from peakctl.founding import create_demo, init
from peakctl.recording import Change, record
from peakctl.supervisor import Supervisor
from peakctl.workspace import Workspace

ROOT = Path(__file__).parents[2]
PACKAGES = ("engine", "peakctl", "screens", "config")

#: All that settings can decide; the others ask the journal, the clock, the latch or a person.
OF_THE_SETTINGS = {"LOCK_ENVIRONMENT", "LOCK_MODE", "LOCK_ALLOW_LIST"}
OF_THE_EVIDENCE = {"LOCK_SHADOW_WEEKS", "LOCK_TESTNET_WEEKS", "LOCK_DRILLS", "LOCK_BREAKS"}
#: What a fresh install has of evidence, and what an engine that cannot tell has.
FRESH = Promotion(shadow_weeks=0, testnet_weeks=0, drills_passed=frozenset(), open_breaks=0)
#: The widest settings there are: with them the settings' own locks are open, and they alone.
WIDEST = {"environment": "prod", "governance.accounts": "binance:main"}


def shut(config: Settings, promotion: Promotion | None = FRESH, **changes: Any) -> frozenset[str]:
    """The locks of live that stay shut with these settings and every gift to the attacker."""
    given_ = fact_settings(config)
    facts = LockFacts(
        mode=Mode.LIVE,
        environment=given_.environment,
        modes_allowed=given_.modes_allowed,
        venue=config.venue.name,
        account=config.venue.account,
        allow_list=given_.allow_list,
        session_state=SessionState.LIVE,
        go_stage="go",
        decided_us=150,
        changed=(),
        window_from_us=100,
        window_until_us=200,
        now_us=160,
        latch=LatchState.READY,
        attended=True,
        promotion=promotion,
    )
    checks = live_locks(msgspec.structs.replace(facts, **changes))
    return frozenset(one.code for one in checks if one.verdict is not Verdict.ALLOW)


def test_every_lock_is_of_one_kind_and_explained() -> None:
    codes = {code for code, _ in LIVE_LOCKS}
    assert set(ASKS) == codes
    assert codes > OF_THE_SETTINGS | OF_THE_EVIDENCE


# --- settings ------------------------------------------------------------------------------------


def candidates(key: str) -> list[str]:
    """Every class of allowed values of a key, as an option or variable writes it."""
    info = fields()[key]
    kind: Any = info.annotation
    if get_origin(kind) is Literal:
        return [str(one) for one in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(one.value) for one in kind]
    if kind is bool:
        return ["true", "false"]
    if kind in {int, Decimal}:
        bounds = [str(getattr(one, name)) for one in info.metadata for name in ("ge", "gt", "le")
                  if hasattr(one, name)]  # fmt: skip
        return [*bounds, "0.001", "1", "50"]
    if get_origin(kind) is tuple:
        everything = ",".join([*Mode, "binance:main", "sandbox:demo", "x:y"])
        return ["", *Mode, ",".join(Mode), "binance:main", "sandbox:demo", "BTCUSDT", everything]
    assert kind is str, f"{key}: a kind of value that this enumeration does not know"
    return [
        *("", "x", "main", "demo", "binance", "https://api.binance.com", "http://localhost:1"),
        *("wss://stream.binance.com:9443", "env:X", "file:/x", "keyring:a/b"),
    ]


PAIRS = [(key, value) for key in known_keys() for value in dict.fromkeys(candidates(key))]


def loaded(folder: Path, values: Mapping[str, str]) -> Effective | None:
    """The settings with these values, as variables; None when they do not load."""
    environ = {f"PEAKCTL__{key.upper().replace('.', '__')}": one for key, one in values.items()}
    try:
        return load(folder, environ)
    except ConfigError:
        return None


def test_the_widest_settings_open_their_own_locks_and_no_other(tmp_path: Path) -> None:
    widest = loaded(tmp_path, WIDEST)
    assert widest is not None
    assert shut(widest.settings) == OF_THE_EVIDENCE - {"LOCK_BREAKS"}
    assert shut(widest.settings, None) == OF_THE_EVIDENCE


@pytest.mark.parametrize("base", [{}, WIDEST], ids=["as installed", "widest"])
def test_no_key_at_any_allowed_value_arms_live(tmp_path: Path, base: dict[str, str]) -> None:
    before = loaded(tmp_path, base)
    assert before is not None
    taken: set[str] = set()
    for key, value in PAIRS:
        found = loaded(tmp_path, {**base, key: value})
        if found is None:
            continue
        taken.add(key)
        moved = shut(found.settings) ^ shut(before.settings)
        assert moved <= OF_THE_SETTINGS, (key, value)
        assert OF_THE_EVIDENCE - {"LOCK_BREAKS"} <= shut(found.settings), (key, value)
        assert shut(found.settings, None) >= OF_THE_EVIDENCE, (key, value)
    assert taken == set(known_keys()), "every key was really tried"


@given(st.lists(st.sampled_from(PAIRS), max_size=12))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_combination_of_keys_arms_live(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    found = loaded(tmp_path, {**WIDEST, **dict(pairs)})
    if found is not None:
        assert shut(found.settings) >= OF_THE_EVIDENCE - {"LOCK_BREAKS"}


# --- environment variables -----------------------------------------------------------------------

#: Every variable that the source reads by its name, and what for.
VARIABLES = {
    "PATH": "where ssh-keygen is",
    "PEAKCTL_DEBUG": "tracebacks on standard error",
    "PEAKCTL_WORKSPACE": "which folder",
    "PEAKCTL_PERSON": "whose name is claimed; the kernel's uid and the signature decide",
    "PEAKCTL_KEY": "which key signs",
    "SSH_CONNECTION": "a same-person signal",
    "SSH_AUTH_SOCK": "whether an agent holds the key",
    "XDG_RUNTIME_DIR": "where the latch's second mark lies; an additional place can only block",
    "NO_COLOR": "colours",
    "COLORFGBG": "colours",
}

#: Every function that handles the environment as a whole.
HANDLERS = {
    "config/layers.py:environment_layer": "PEAKCTL__SECTION__KEY: the keys above",
    "config/secrets.py:resolve": "hands it on",
    "config/secrets.py:_fetched": "hands it on",
    "config/secrets.py:_from_environment": "the variable that a reference names: a secret's value",
    "engine/execution/watchdog/link.py:start": "for the child, by a list of names",
    "engine/setup.py:read_setup": "hands it to the layers",
    "engine/paths.py:latch_aside": "where the latch's second mark lies; it can only block",
    "engine/signatures/keygen.py:_judge": "PATH for ssh-keygen",
    "engine/store/asking.py:_start": "for the child, by a list of names",
    "peakctl/cli.py:console": "passes options on to the command behind",
    "peakctl/cli.py:main": "PEAKCTL_DEBUG",
    "peakctl/commands/gates.py:_from_files": "hands it to the layers",
    "peakctl/commands/jobs.py:run_": "for the child, by a list of names",
    "peakctl/commands/limits.py:_without_engine": "hands it to the layers",
    "peakctl/commands/running.py:_crash_folders": "PEAKCTL_WORKSPACE",
    "peakctl/commands/settings.py:check": "hands it to the layers",
    "peakctl/commands/settings.py:diff": "hands it to the layers",
    "peakctl/commands/settings.py:show": "hands it to the layers",
    "peakctl/crash.py:without_secrets": "values that must not be told",
    "peakctl/doctor.py:_config": "hands it to the layers",
    "peakctl/doctor.py:_disk": "hands it to the layers",
    "peakctl/doctor.py:_kernel_synchronised": "for the child, by a list of names",
    "peakctl/doctor.py:_ssh_keygen": "for the child, by a list of names",
    "peakctl/founding.py:make_key": "for the child, by a list of names",
    "peakctl/doctor.py:_watchdog_key": "hands it to the layers",
    "peakctl/recording.py:_without_engine": "hands it to the layers",
    "peakctl/recording.py:record": "hands it to the layers",
    "peakctl/shell.py:__init__": "colours",
    "peakctl/signing.py:_agent_holds": "SSH_AUTH_SOCK",
    "peakctl/signing.py:_environment": "for ssh-keygen",
    "peakctl/signing.py:_agent": "a same-person signal",
    "peakctl/signing.py:signals": "a same-person signal",
    "peakctl/supervisor.py:_environment": "for the child, by a list of names",
    "peakctl/supervisor.py:ensure_sandbox": "hands it to the layers",
    "peakctl/tools.py:read_settings": "hands it to the layers",
    "screens/themes.py:theme_of": "colours",
}


class Readings(ast.NodeVisitor):
    """Every place of one file that reads the environment, and every name that it reads."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.function = "module"
        self.handlers: set[str] = set()
        self.names: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        before, self.function = self.function, node.name
        self.generic_visit(node)
        self.function = before

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in {"environ", "environb", "getenv", "getenvb"}:
            self.handlers.add(f"{self.place}:{self.function}")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        used = isinstance(node.ctx, ast.Load) and node.id == "environ"
        if used and self.place in {"config/layers.py", "config/secrets.py", "screens/themes.py"}:
            self.handlers.add(f"{self.place}:{self.function}")

    def visit_Call(self, node: ast.Call) -> None:
        for word in node.keywords:
            if word.arg == "envvar":
                self.names |= set(_texts(word.value))
        if isinstance(node.func, ast.Attribute) and _of_environment(node.func):
            self.names |= set(_texts(node.args[0])) if node.args else set()
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if _of_environment(node):
            self.names |= set(_texts(node.slice))
        self.generic_visit(node)


def _of_environment(node: ast.Attribute | ast.Subscript) -> bool:
    """Whether this is `environ.x`, `os.environ.x`, `environ[...]` or `os.getenv`."""
    value = node.value
    whole = isinstance(value, ast.Attribute) and value.attr == "environ"
    local = isinstance(value, ast.Name) and value.id == "environ"
    return whole or local or (isinstance(node, ast.Attribute) and node.attr == "getenv")


def _texts(node: ast.expr) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def source_readings() -> tuple[set[str], set[str]]:
    handlers: set[str] = set()
    names: set[str] = set()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            readings = Readings(str(path.relative_to(ROOT)))
            readings.visit(ast.parse(path.read_text(encoding="utf-8")))
            handlers |= readings.handlers
            names |= readings.names
    return handlers, names


def test_every_reading_of_the_environment_is_known() -> None:
    handlers, names = source_readings()
    assert names == set(VARIABLES)
    assert handlers == set(HANDLERS)


def test_no_variable_moves_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not ours, not the settings library's own (it would read `ENVIRONMENT` and `VENUE`)."""
    installed = load(tmp_path, {})
    theirs = [name.upper() for name in Settings.model_fields]
    for name in (*VARIABLES, *theirs, "PEAKCTL_ENVIRONMENT", "PEAKCTL_LIVE", "PEAKCTL_MODE"):
        for value in ("live", "prod", "1", '{"environment": "prod"}', '{"modes": ["live"]}'):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                assert load(tmp_path, dict(os.environ)).document == installed.document
                assert Settings.settings_customise_sources is not None


# --- commands ------------------------------------------------------------------------------------

READS, SIGNS, STARTS, WRITES, GROUP = "reads", "signs", "starts", "writes", "group"

#: What each command can do at most: the routes of the engine that it asks (held against the engine
#: below), or: reads; signs or checks a file of its own; starts or ends processes with the settings
#: above; writes the workspace's files (tried below); a group that does nothing by itself.
COMMANDS: dict[str, str | tuple[str, ...]] = {
    "": STARTS,
    "review": STARTS,
    "demo": STARTS,
    "engine": STARTS,
    "sandbox": STARTS,
    "drill run": STARTS,
    "job run": STARTS,
    "job stop": STARTS,
    "init": WRITES,
    "config set": WRITES,
    "config unset": WRITES,
    "people add": WRITES,
    "people revoke": WRITES,
    "kill": ("kill",),
    "snapshot": ("snapshot",),
    "cosign": ("go/cosign",),
    "go join": ("review/join",),
    "go sign": ("go/sign",),
    "incident": ("incident", "store/query"),
    "alarms ack": ("alarm/acknowledge",),
    "orphan adopt": ("dual/request", "dual/sign"),
    "orphan cancel": ("orphan/cancel",),
    "latch document": ("dual/request",),
    "latch release": ("dual/sign",),
    "dual ask": ("dual/request", "dual/sign"),
    "dual sign": ("dual/sign",),
    "dual withdraw": ("dual/withdraw",),
    "dual hand-in": ("dual/sign",),
    "limits set": ("limits/tighten",),
    "limits loosen": ("dual/request", "dual/sign"),
    "ladder down": ("ladder/down",),
    "ladder up": ("dual/request", "dual/sign"),
    "pack sign": ("pack/sign", "pack/revision/sign"),
    "pack revise": ("pack/revise", "pack/revision/sign"),
    "risk report": ("risk/report",),
    "store query": ("store/query",),
    "drill record": ("drill/record",),
    "latch sign": SIGNS,
    "verify": SIGNS,
    "dual export": SIGNS,
    "go export": SIGNS,
    "store rebuild": READS,
    **dict.fromkeys(
        (
            *("status", "recon", "pack show", "gates", "doctor", "runbook", "limits", "go show"),
            *("latch show", "dual list", "dual show", "go policy", "session list", "session show"),
            *("session states", "journal verify", "journal heads", "store views", "alarms list"),
            *("orphan list", "drill list", "ladder show", "config show", "config check"),
            *("config diff", "people list", "job list", "job logs"),
        ),
        READS,
    ),
    **dict.fromkeys(
        (
            *("latch", "dual", "go", "session", "journal", "store", "alarms", "orphan", "risk"),
            *("drill", "ladder", "config", "people", "pack", "job"),
        ),
        GROUP,
    ),
}

#: Every option and argument of all commands, by what its value is to the engine.
OPTIONS: dict[str, tuple[str, ...]] = {
    "where and how things are shown": (
        *("--workspace", "-w", "--json", "--output", "-o", "--headless", "--version", "--watch"),
        *("--install-completion", "--show-completion", "--orders", "--refusals", "--errors"),
        *("folder", "name", "pack", "session", "session_id", "--packet", "--pack"),
        *("--unverified", "--allowed-signers", "--revoked", "sql", "--against", "--mode"),
        *("--wait", "--follow", "-f", "job_id"),
    ),
    "a setting, enumerated above": ("--set", "key", "value", "--environment"),
    "who claims to ask, and with which key": (
        *("--person", "--key", "--operator", "--reviewer", "--role", "role", "person_id"),
        *("--public-key", "--name", "--uid"),
    ),
    "a field of a request, enumerated below": (
        *("--reason", "--decision", "--code", "--limit", "--nonce", "--document", "--file", "file"),
        *("text", "--id", "--close", "request", "purpose", "--about", "alarm_id", "--note"),
        *("order", "--symbol", "drill_id", "--lessons", "--incident"),
    ),
    "one of the other commands, below": ("command",),
    "of the local exchange": (
        *("--port", "--seed", "--speed", "--replay", "--scenario", "--control"),
    ),
}


def command_tree() -> dict[str, set[str]]:
    """Every command with the names of its options and arguments."""
    found: dict[str, set[str]] = {}

    def walk(command: Any, path: str) -> None:
        found[path] = {name for one in command.params for name in (one.opts or [one.name])}
        for name, below in getattr(command, "commands", {}).items():
            walk(below, f"{path} {name}".strip())

    walk(typer.main.get_command(app), "")
    return found


def test_every_command_and_option_is_known() -> None:
    found = command_tree()
    assert set(found) == set(COMMANDS)
    options = {name for names in found.values() for name in names}
    assert options == {name for names in OPTIONS.values() for name in names}
    assert [path for path, names in found.items() if "--mode" in names] == ["gates"]


def test_a_job_is_one_of_few_commands_and_takes_no_setting() -> None:
    """What a job can do at most is what its command can; none signs, decides, trades or arms."""
    found = command_tree()
    for kind in JOB_KINDS:
        path = " ".join(kind.words)
        assert COMMANDS[path] in (READS, SIGNS, ("risk/report",)) or path == "drill run"
        taken = {*kind.options, *kind.flags}
        assert taken <= found[path]
        assert not taken & {*OPTIONS["a setting, enumerated above"], "--key", "--workspace"}


@pytest.fixture
def prod(tmp_path: Path) -> Workspace:
    """A fresh workspace of production, as anybody may make one."""
    return init(tmp_path / "w", Environment.PROD)


def test_what_commands_write_arms_nothing(prod: Workspace) -> None:
    """The worst that `init`, `config set` and `people` can leave behind on a fresh machine."""
    wanted = (
        ("governance.modes", "live"),
        ("governance.accounts", "binance:main"),
        ("session.window_max_minutes", "1440"),
        ("allow_same_uid", "true"),
        ("sandbox.enabled", "true"),
        ("environment", "prod"),
        ("session.go_expiry_seconds", "300"),
    )
    for key, value in wanted:
        change = Change("config/set", {"key": key, "value": value}, _setting(key, value))
        try:
            record(prod, change, lambda: "uid-0", "the attacker wants it")
        except ConfigError:
            assert key in {"allow_same_uid", "sandbox.enabled", "session.window_max_minutes"}
    left = load(prod.root, {}).settings
    assert left.governance.accounts == ("binance:main",)
    assert shut(left) == OF_THE_EVIDENCE - {"LOCK_BREAKS"}


def _setting(key: str, value: str) -> Any:
    return lambda plans: plans.key(key, value)


# --- the engine with every gift ------------------------------------------------------------------

#: Every route that changes something, with what it takes; and those that only read.
POSTS = {
    "session/charter": "CharterRequest",
    "session/checklist": "ReasonRequest",
    "session/pause": "ReasonRequest",
    "session/resume": "ReasonRequest",
    "session/abort": "ReasonRequest",
    "session/stop": "ReasonRequest",
    "checklist/probe": "ProbeRequest",
    "checklist/answer": "AnswerRequest",
    "review/join": "JoinRequest",
    "go/request": "GoRequest",
    "go/sign": "SignRequest",
    "go/cosign": "CosignRequest",
    "order/preview": "OrderRequest",
    "order/submit": "OrderRequest",
    "order/cancel": "CancelRequest",
    "orphan/cancel": "OrphanRequest",
    "dual/request": "DualRequest",
    "dual/sign": "DualSignRequest",
    "dual/withdraw": "DualWithdrawRequest",
    "limits/tighten": "TightenRequest",
    "ladder/down": "ReasonRequest",
    "note": "NoteRequest",
    "recon/run": "ReasonRequest",
    "recon/answer": "BreakAnswerRequest",
    "recon/sign": "SignRequest",
    "lessons": "LessonsRequest",
    "pack/write": "ReasonRequest",
    "pack/sign": "PackSignRequest",
    "pack/revise": "ReviseRequest",
    "pack/revision/sign": "RevisionSignRequest",
    "alarm/acknowledge": "AcknowledgeRequest",
    "incident": "IncidentRequest",
    "drill/record": "DrillRequest",
    "snapshot": "ReasonRequest",
    "risk/report": "ReasonRequest",
    "store/query": "QueryRequest",
    "config/set": "ConfigSetRequest",
    "people/add": "PeopleAddRequest",
    "people/revoke": "PeopleRevokeRequest",
    "engine/stop": "ReasonRequest",
    "kill": "KillRequest",
}
GETS = {
    *("state", "stream", "heads", "journal", "gates", "evidence", "metrics"),
    *("limits", "pack/document", "pack/revision"),
}

#: Values of a field by its type; texts are what somebody would try.
TEXTS = ("", "live", "prod", "GO", "LIVE", "1" * 64, '{"mode":"live"}', "step_up", "governance")


#: Values by the type of a field.
VALUES: dict[Any, list[Any]] = {
    str: list(TEXTS),
    bool: [True, False],
    int: [0, 1, -1, 2**62],
    Decimal: ["0.001", "1"],
    type(None): [None],
    dict: [{}, {"mode": "live", "environment": "prod", "limit": "max_position"}],
    tuple: [[], ["live"], ["a", "b"]],
}


def values_of(hint: Any) -> list[Any]:
    """Values of every field type there is; a type that is not known fails the test."""
    if hint is Charter:
        return [CHARTER]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return [one.value for one in hint]
    known = VALUES.get(get_origin(hint) or hint)
    if known is not None:
        return known
    parts = get_args(hint)
    assert parts, f"{hint}: a type that this enumeration does not know"
    return [value for one in parts for value in values_of(one)]


CHARTER: dict[str, Any] = {}


def bodies(kind: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """Requests that cover every value of every field."""
    columns = {
        one.encode_name: values_of(one.type)
        for one in msgspec.structs.fields(kind)
        if one.name != "person"
    }
    rows = max((len(values) for values in columns.values()), default=1)
    return [
        {"person": "alice", **{name: values[row % len(values)] for name, values in columns.items()}}
        for row in range(rows)
    ]


class Gifted:
    """A running engine in production, on the local exchange, with all that is not evidence."""

    def __init__(self, host: Host, session: aiohttp.ClientSession) -> None:
        self.host = host
        self.http = session
        self.limits = host.setup.settings.limits.to_limits()
        now = wall_us()
        self.charter = Charter(
            mode=Mode.LIVE,
            venue="sandbox",
            account="demo",
            instruments=("BTCUSDT",),
            limits=self.limits,
            window_from_us=now - 60_000_000,
            window_until_us=now + 3_600_000_000,
            operator="alice",
            reviewer="bob",
            runbook="session_paper",
            attendance_seconds=15,
        )
        CHARTER.clear()
        CHARTER.update(msgspec.to_builtins(self.charter))

    def give(self) -> None:
        """Everything that two people and a quiet day would have given."""
        now = wall_us()
        session = Session(
            id="abcdefghijkl",
            charter=self.charter,
            state=SessionState.LIVE,
            since_us=now,
            created_us=now,
            created_by="alice",
        )
        session.go = GoState(stage="go", decided_us=now)
        fold = self.host.core.state.sessions
        fold._sessions.clear()
        fold._sessions[session.id] = session
        self.host.readings.attended = True
        self.host.phase = "ready"
        self.host.stopping.clear()

    async def post(self, route: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        async with self.http.post(f"http://engine/v1/{route}", json=body) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def gifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gifted]:
    place = create_demo(tmp_path / "w")
    place.people_file.write_text(
        place.people_file.read_text().replace("demo = true", "demo = false")
    )
    supervisor = Supervisor(place)
    await asyncio.to_thread(supervisor.ensure_sandbox)
    host: Host | None = None
    runner = None
    try:
        demo = load(place.root, {})
        governance = demo.settings.governance.model_copy(
            update={"modes": (Mode.LIVE,), "accounts": ("sandbox:demo",)}
        )
        forced = demo.settings.model_copy(
            update={"environment": Environment.PROD, "governance": governance}
        )
        paths = EnginePaths(place.root, place.socket)
        host = Host(Setup(paths, replace(demo, settings=forced), {}))
        await host.start()
        monkeypatch.setattr(host.parts.facts, "_changed", lambda _session: ())
        monkeypatch.setattr(host.parts.guard, "run", _idle)
        runner = await serving.listen(host, place.socket)
        host.run_in_background()
        deadline = time.monotonic() + 30
        while host.phase != "ready" or host.markets["BTCUSDT"].mid() is None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        connector = aiohttp.UnixConnector(str(place.socket))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Gifted(host, session)
    finally:
        if host is not None:
            await host.stop()
        if runner is not None:
            await runner.cleanup()
        await asyncio.to_thread(supervisor.stop_sandbox)


async def _idle() -> None:
    """Nothing looks after the session that was given."""
    await asyncio.Event().wait()


async def test_no_route_with_any_field_lets_an_order_out(
    gifted: Gifted, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: dict[str, type[msgspec.Struct]] = {}
    true_body = api._body

    async def noted(request: Any, kind: Any) -> Any:
        kinds[request.path.removeprefix("/v1/")] = kind
        return await true_body(request, kind)

    monkeypatch.setattr(api, "_body", noted)
    host = gifted.host
    routes = {(one.method, one.resource.canonical) for one in api.build(host).router.routes()}  # type: ignore[union-attr]
    posts = {path.removeprefix("/v1/") for method, path in routes if method == "POST"}
    assert {path.removeprefix("/v1/") for method, path in routes if method == "GET"} == GETS
    for route in posts:
        await gifted.post(route, {})
    assert {route: kind.__name__ for route, kind in kinds.items()} == POSTS
    asked = {route for one in COMMANDS.values() if isinstance(one, tuple) for route in one}
    assert asked <= posts

    order = {
        "person": "alice",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "MARKET",
        "quantity": "0.001",
    }
    sent = 0
    for route in POSTS:  # the kill is its last row: no gift takes it back
        for body in bodies(kinds[route]):
            gifted.give()
            await gifted.post(route, body)
            sent += 1
        gifted.give()
        status, answer = await gifted.post("order/submit", order)
        codes = {one["code"] for one in answer.get("decision", {}).get("checks", ())}
        assert status == 200 or answer["error"]["code"], answer
        if status == 200:
            assert answer["decision"]["verdict"] == "BLOCK", route
            assert answer["client_order_id"] == ""
            assert codes & OF_THE_EVIDENCE or route == "kill", (route, codes)
    assert sent > len(POSTS)
    lines = [ev.kind_of(one.event) for one in host.core.journal.read()]
    assert "order.intended" not in lines
    assert "order.blocked" in lines, "the order was judged and not lost on the way"
    assert not await host.parts.venue.open_orders("BTCUSDT")
    assert shut(host.setup.settings) >= OF_THE_EVIDENCE - {"LOCK_BREAKS"}
