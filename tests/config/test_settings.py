"""Settings: layers, origins, limits that only tighten, and all problems at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.allowed import fields, known_keys
from config.layers import default_layer
from config.settings import ConfigProblems, load
from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import ConfigError
from engine.contracts.session import LONGER_IS_TIGHTER, Environment


def write(workspace: Path, text: str) -> Path:
    (workspace / "config").mkdir(exist_ok=True)
    path = workspace / "config" / "peakctl.toml"
    path.write_text(text)
    return workspace


def problems(
    workspace: Path, environ: Mapping[str, str] | None = None, **overrides: object
) -> tuple[str, ...]:
    with pytest.raises(ConfigProblems) as caught:
        load(workspace, environ or {}, {k.replace("__", "."): v for k, v in overrides.items()})
    return caught.value.problems


def test_base_defaults_hold_every_key_once() -> None:
    assert set(default_layer("base").values) == set(known_keys()) == set(fields())


@pytest.mark.parametrize("environment", list(Environment))
def test_every_environment_loads_by_itself(tmp_path: Path, environment: Environment) -> None:
    effective = load(tmp_path, {"PEAKCTL__ENVIRONMENT": environment.value})
    assert effective.settings.environment is environment
    assert set(effective.origins) == set(known_keys())


def test_later_layers_win_and_every_value_names_its_origin(tmp_path: Path) -> None:
    write(tmp_path, "[market]\nstale_ms = 2000\n[session]\nmin_dwell_ms = 900\n")
    effective = load(
        tmp_path, {"PEAKCTL__SESSION__MIN_DWELL_MS": "800"}, {"limits.max_open_orders": "7"}
    )
    assert effective.settings.market.stale_ms == 2000
    assert effective.settings.session.min_dwell_ms == 800
    assert effective.settings.limits.max_open_orders == 7
    assert effective.origins["market.stale_ms"] == "config/peakctl.toml"
    assert effective.origins["session.min_dwell_ms"] == "PEAKCTL__SESSION__MIN_DWELL_MS"
    assert effective.origins["limits.max_open_orders"] == "command line"
    assert effective.origins["clock.limit_ms"] == "defaults/base.toml"
    assert effective.origins["governance.modes"] == "defaults/dev.toml"


def test_all_problems_are_reported_with_place_key_and_allowed_values(tmp_path: Path) -> None:
    write(tmp_path, '[market]\nstale_ms = "soon"\n[limits]\nmax_opne_orders = 3\n')
    found = problems(tmp_path, {"PEAKCTL__JOURNAL__SEGMENT_LINES": "1"}, allow_same_uid="perhaps")
    assert len(found) == 4
    text = "\n".join(found)
    assert "config/peakctl.toml:2: market.stale_ms: got 'soon'; allowed: a whole number" in text
    assert "did you mean limits.max_open_orders?" in text
    assert "PEAKCTL__JOURNAL__SEGMENT_LINES: journal.segment_lines: got '1'" in text
    assert "command line: allow_same_uid: got 'perhaps'; allowed: true or false" in text


def test_a_bad_value_is_reported_even_where_a_later_layer_hides_it(tmp_path: Path) -> None:
    write(tmp_path, '[market]\nstale_ms = "soon"\n')
    assert "config/peakctl.toml:2: market.stale_ms" in problems(tmp_path, market__stale_ms=100)[0]


def test_a_float_is_refused_where_money_belongs(tmp_path: Path) -> None:
    write(tmp_path, "[limits]\nmax_position = 0.5\n")
    assert (
        "limits.max_position: got 0.5; allowed: a decimal number in quotes"
        in (problems(tmp_path)[0])
    )


def test_limits_only_tighten_from_layer_to_layer(tmp_path: Path) -> None:
    write(tmp_path, '[limits]\nmax_position = "0.5"\n')
    assert (
        load(tmp_path, {}).settings.limits.max_position
        == load(tmp_path, {"PEAKCTL__LIMITS__MAX_POSITION": "0.5"}).settings.limits.max_position
    )
    found = problems(tmp_path, {"PEAKCTL__LIMITS__MAX_POSITION": "0.6"})
    assert found[0].startswith("PEAKCTL__LIMITS__MAX_POSITION: limits.max_position: got '0.6'; ")
    assert found[0].endswith("allowed: at most 0.5 (a later layer may only tighten it)")


def test_safety_times_only_tighten_outside_dev(tmp_path: Path) -> None:
    assert load(tmp_path, {}, {"market.stale_ms": 9000}).settings.market.stale_ms == 9000
    found = problems(tmp_path, environment="prod", market__stale_ms=9000, session__min_dwell_ms=10)
    assert [line.split(": ")[1] for line in found] == ["market.stale_ms", "session.min_dwell_ms"]


@pytest.mark.parametrize("environment", ["shadow", "testnet", "prod"])
def test_demo_conveniences_are_for_dev_only(tmp_path: Path, environment: str) -> None:
    found = problems(tmp_path, environment=environment, allow_same_uid=True, sandbox__enabled=True)
    assert {line.split(": ")[1] for line in found} >= {"allow_same_uid", "sandbox.enabled"}


def test_no_mode_can_be_had_outside_its_environment_i5(tmp_path: Path) -> None:
    assert "governance.modes" in problems(tmp_path, governance__modes="live")[0]
    assert (
        "governance.modes" in problems(tmp_path, environment="prod", governance__modes="paper")[0]
    )


def test_a_secret_in_the_place_of_a_reference_is_refused_and_not_echoed_i10(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, venue__secret_ref="hunter2")
    assert "hunter2" not in line
    assert "env:NAME, file:PATH" in line


def test_an_address_with_a_password_in_it_is_refused(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, venue__rest_url="https://user:pw@example.org")
    assert "venue.rest_url" in line
    assert "pw" not in line


def test_the_document_is_canonical_and_changes_with_any_value(tmp_path: Path) -> None:
    one = load(tmp_path, {})
    again = load(tmp_path, {})
    other = load(tmp_path, {}, {"clock.limit_ms": 249})
    assert one.document == again.document
    assert one.sha256 == sha256_hex(one.document) != other.sha256
    document = json.loads(one.document)
    assert document["values"]["limits.max_position"] == {
        "value": "2",
        "origin": "defaults/base.toml",
    }
    assert document["inputs"][0]["sha256"] == sha256_hex(one.inputs[0].content)


def test_a_file_that_is_not_toml_names_the_line(tmp_path: Path) -> None:
    write(tmp_path, "environment = 'dev'\nlimits = = 3\n")
    with pytest.raises(ConfigError, match=r"config/peakctl\.toml: line 2: not TOML"):
        load(tmp_path, {})


def test_a_file_that_everyone_may_write_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "") / "config" / "peakctl.toml"
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="not writable by everyone"):
        load(tmp_path, {})


def test_an_unknown_environment_names_the_four(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="allowed: dev, shadow, testnet, prod"):
        load(tmp_path, {"PEAKCTL__ENVIRONMENT": "production"})


READY = {
    "rest": "http://127.0.0.1:5001",
    "ws": "ws://127.0.0.1:5001",
    "ws_api": "ws://127.0.0.1:5001/ws-api/v3",
    "accounts": [{"name": "demo", "hmac": {"key": "kkk", "secret": "topsecret"}}],
}


def test_a_running_sandbox_gives_addresses_and_references_but_no_secret_i10(tmp_path: Path) -> None:
    write(tmp_path, "[sandbox]\nenabled = true\n")
    run = tmp_path / ".peakctl" / "run"
    run.mkdir(parents=True)
    (run / "sandbox.json").write_text(json.dumps(READY))
    effective = load(tmp_path, {})
    assert effective.settings.venue.rest_url == "http://127.0.0.1:5001"
    assert effective.origins["venue.secret_ref"] == "sandbox.json"
    assert b"topsecret" not in effective.document
    assert all(b"topsecret" not in item.content for item in effective.inputs)


def test_a_sandbox_line_counts_only_while_the_sandbox_is_enabled(tmp_path: Path) -> None:
    run = tmp_path / ".peakctl" / "run"
    run.mkdir(parents=True)
    (run / "sandbox.json").write_text(json.dumps(READY))
    assert load(tmp_path, {}).settings.venue.rest_url == ""


def test_a_broken_sandbox_line_is_named(tmp_path: Path) -> None:
    run = tmp_path / ".peakctl" / "run"
    run.mkdir(parents=True)
    (run / "sandbox.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"sandbox\.json: not a sandbox's ready line"):
        load(tmp_path, {}, {"sandbox.enabled": True})


def test_every_layers_faults_are_told_at_once_and_with_their_lines(tmp_path: Path) -> None:
    """A file that is no TOML hides nothing of the variables and options, nor a bad environment."""
    write(tmp_path, "environment = 'dev'\n[limits]\nmax_position == 3\n")
    found = problems(
        tmp_path, {"PEAKCTL__MARKET__STALE_MS": "soon"}, environment="production", clock__limt_ms=1
    )
    assert sorted(line.split(": ")[0] for line in found) == [
        "PEAKCTL__MARKET__STALE_MS",
        "command line",
        "command line",
        "config/peakctl.toml",
    ]
    text = "\n".join(found)
    assert "config/peakctl.toml: line 3: not TOML" in text
    assert "environment: got 'production'; allowed: dev, shadow, testnet, prod" in text
    assert "did you mean clock.limit_ms?" in text


@pytest.mark.parametrize("environment", list(Environment))
def test_limits_and_breakers_of_an_environment_are_inside_the_base(
    tmp_path: Path, environment: Environment
) -> None:
    """What an environment's own file says is only tighter, key by key."""
    base = load(tmp_path, {}).settings
    found = load(tmp_path, {"PEAKCTL__ENVIRONMENT": environment.value}).settings
    for section in ("limits", "breakers"):
        for key, value in getattr(found, section).model_dump().items():
            widest = getattr(getattr(base, section), key)
            assert value >= widest if key in LONGER_IS_TIGHTER else value <= widest, key


@pytest.mark.parametrize("environment", list(Environment))
def test_no_layer_above_loosens_any_limit_of_any_environment(
    tmp_path: Path, environment: Environment
) -> None:
    chosen = {"PEAKCTL__ENVIRONMENT": environment.value}
    for key, value in load(tmp_path, chosen).settings.limits.model_dump().items():
        looser = value - 1 if key in LONGER_IS_TIGHTER else value * 2
        if looser < 0:
            continue
        with pytest.raises(ConfigError, match=f"limits.{key}"):
            load(tmp_path, {**chosen, f"PEAKCTL__LIMITS__{key.upper()}": str(looser)})


def test_what_the_sandbox_gives_is_no_value_to_compare(tmp_path: Path) -> None:
    """Another port of the local exchange is another document and the same configuration."""
    write(tmp_path, "[sandbox]\nenabled = true\n")
    stopped = load(tmp_path, {}).values()
    run = tmp_path / ".peakctl" / "run"
    run.mkdir(parents=True)
    documents = []
    for port in (5001, 5002):
        ready = json.dumps(READY).replace("5001", str(port))
        (run / "sandbox.json").write_text(ready)
        effective = load(tmp_path, {})
        assert effective.values() == stopped
        assert effective.values()["venue.rest_url"] == "(local sandbox)"
        documents.append(effective.sha256)
    assert documents[0] != documents[1]
    named = load(tmp_path, {}, {"venue.secret_ref": "env:MINE"}).values()
    assert named["venue.secret_ref"] == "env:MINE", "an option stands above the sandbox"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = " + "[" * 5000, "not TOML (it is nested too deeply)"),
        ("[limits]\nmax_open_orders = " + "9" * 5000, "not TOML (it has a number beyond all"),
        ('environment = ["prod"]', "environment: got ['prod']; allowed: dev"),
        ("[limits]\nmax_open_orders = true", "max_open_orders: got True; allowed: a whole"),
        ("[limits]\nmax_open_orders = 2.0", "max_open_orders: got 2.0; allowed: a whole"),
    ],
)
def test_what_is_no_value_is_a_fault_of_the_file_and_not_of_ours(
    tmp_path: Path, text: str, said: str
) -> None:
    write(tmp_path, text)
    assert any(said in line for line in problems(tmp_path))
