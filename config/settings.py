"""Loading the settings: layers in, one checked and hashed `Effective` out.

Promises: unknown keys are refused; every problem of every layer is reported at once, each with
where it was written, the key, what was found and what is allowed; limits only tighten from layer
to layer; the document that is hashed (and carried into the pack) holds every value with its origin
and references to secrets, never a secret (I10). A value in a place for references is not even
echoed in an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from config.allowed import allowed_text, checker, echo, fields, known_keys, shown_key
from config.layers import (
    TABLE_FILES,
    WORKSPACE_FILE,
    InputFile,
    Layer,
    chosen_environment,
    default_layer,
    environment_layer,
    nested,
    override_layer,
    table_layer,
    toml_layer,
    workspace_layer,
)
from config.model import Settings
from config.profiles import REFERENCE_KEYS
from config.sandbox import ORIGIN, SANDBOX_KEYS, hidden, sandbox_layer
from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.errors import ConfigError
from engine.contracts.money import to_text
from engine.contracts.session import LONGER_IS_TIGHTER, Environment

__all__ = [
    "LOCAL_SANDBOX",
    "ConfigProblems",
    "Effective",
    "InputFile",
    "Settings",
    "defaults",
    "load",
    "secret_variables",
    "value_text",
]

#: Stands for what the running local sandbox gives: addresses, account, references to its keys.
LOCAL_SANDBOX = "(local sandbox)"

DOCUMENT_TYPE = "peakctl-config-1"

#: Keys that outside `dev` only tighten too: +1 a higher value is tighter, -1 a lower one.
TIGHTER: dict[str, int] = {
    "session.attendance_seconds": -1,
    "session.go_expiry_seconds": -1,
    "session.min_dwell_ms": 1,
    "session.window_max_minutes": -1,
    "market.stale_ms": -1,
    "clock.limit_ms": -1,
    "disk.min_free_mb": 1,
    "watchdog.grace_seconds": -1,
    "recon.every_seconds": -1,
}


class ConfigProblems(ConfigError):  # noqa: N818  (several faults in one)
    """Everything that is wrong with the configuration, one line each in `problems`."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__(what=" | ".join(problems))


@dataclass(frozen=True)
class Effective:
    """What is in force: the settings, each key's origin, and the bytes that are hashed."""

    settings: Settings
    origins: Mapping[str, str]
    document: bytes
    sha256: str
    inputs: tuple[InputFile, ...]

    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """Each key with its value as text and its origin, for `config show`."""
        values = flat_values(self.settings)
        return tuple((key, value_text(values[key]), self.origins[key]) for key in sorted(values))

    def values(self) -> dict[str, str]:
        """Each key's value as text, for comparing two starts.

        Where the running sandbox gives a key its value, the value is `LOCAL_SANDBOX`: its port and
        the place of its keys are not configuration.
        """
        ours = self.settings.sandbox.enabled
        return {
            key: LOCAL_SANDBOX if ours and key in SANDBOX_KEYS and _below(origin) else value
            for key, value, origin in self.rows()
        }

    def files(self) -> dict[str, str]:
        """The workspace's own files with their sha256, "" while there is none."""
        read = {one.path: one.sha256 for one in self.inputs}
        return {name: read.get(name, "") for name in (WORKSPACE_FILE, *TABLE_FILES)}


def secret_variables(settings: Settings) -> tuple[str, ...]:
    """The environment variables that the settings' references name."""
    references = (getattr(settings.venue, key) for key in REFERENCE_KEYS)
    return tuple(one.removeprefix("env:") for one in references if one.startswith("env:"))


def defaults(environment: Environment) -> dict[str, str]:
    """Each key's default in an environment, as text."""
    layers = (default_layer("base"), default_layer(environment.value))
    return _merge(layers, environment, ()).values()


def _below(origin: str) -> bool:
    """Whether the running sandbox's own layer stands above this origin."""
    return origin in {ORIGIN, WORKSPACE_FILE} or origin.startswith("defaults/")


def load(
    workspace: Path,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    content: bytes | None = None,
    *,
    visiting: bool = False,
) -> Effective:
    """Read all layers of a workspace. Raises ConfigProblems with everything that is wrong.

    `content` stands for the bytes of the workspace's file: what would be in force with them.
    `visiting` reads another user's workspace to look at it: no secret may be taken, and nothing
    sent, by what comes out of it. A running exchange's addresses are left out where they are not
    the visitor's to read.
    """
    problems: list[str] = []

    def layer_of(read: Callable[[], Layer], name: str) -> Layer:
        try:
            return read()
        except ConfigError as error:
            problems.append(error.line())
            return Layer(name=name, values={})

    base = default_layer("base")
    own = layer_of(
        lambda: (
            workspace_layer(workspace, visiting=visiting)
            if content is None
            else toml_layer(WORKSPACE_FILE, content)
        ),
        WORKSPACE_FILE,
    )
    tables = [
        layer_of(partial(table_layer, workspace, name, visiting=visiting), name)
        for name in TABLE_FILES
    ]
    above = (own, environment_layer(environ), override_layer(overrides or {}))
    try:
        environment = chosen_environment((base, *above))
    except ConfigError as error:
        # The layers are judged all the same, against the environment that allows the most.
        problems.append(error.line())
        environment = Environment.DEV
    layers = [base, default_layer(environment.value), own, *tables]
    if _sandbox_wanted((*layers, *above[1:])) and not (visiting and hidden(workspace)):
        ready = layer_of(lambda: sandbox_layer(workspace) or Layer(ORIGIN, {}), ORIGIN)
        layers.append(ready)
    layers.extend(above[1:])
    return _merge(tuple(layers), environment, problems)


def _sandbox_wanted(layers: tuple[Layer, ...]) -> bool:
    value: object = False
    for layer in layers:
        value = layer.values.get("sandbox.enabled", value)
    return value is True or str(value).lower() in {"true", "1", "yes", "on"}


def _merge(
    layers: tuple[Layer, ...], environment: Environment, problems: Sequence[str]
) -> Effective:
    known = known_keys()
    origins = {key: layer.place(key) for layer in layers for key in layer.values if key in known}
    found = [*problems, *_unknown_keys(layers), *_unusable(layers, environment)]
    if found:
        raise ConfigProblems(tuple(dict.fromkeys(found)))
    settings = _settings_from(layers)
    inputs = tuple(item for layer in layers for item in layer.inputs)
    document = _document(settings, origins, inputs)
    return Effective(
        settings=settings,
        origins=origins,
        document=document,
        sha256=sha256_hex(document),
        inputs=inputs,
    )


class _LayerSource(PydanticBaseSettingsSource):
    """One layer as a source of pydantic-settings; keys that do not exist were reported already."""

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_cls)
        self._tree = nested({k: v for k, v in layer.values.items() if k in known_keys()})

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """One top-level value of the layer."""
        return self._tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """The whole layer."""
        return self._tree


def _settings_from(layers: tuple[Layer, ...]) -> Settings:
    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(_LayerSource(settings_cls, layer) for layer in reversed(layers))

    try:
        return Layered()  # type: ignore[call-arg]  # the layers are the arguments
    except ValidationError as error:
        found = dict.fromkeys(pair for detail in error.errors() for pair in _allowed_pairs(detail))
        raise ConfigProblems(
            tuple(
                _problem(_last_spot(layers, key), key, _last_value(layers, key), allowed)
                for key, allowed in found
            )
        ) from error


def _allowed_pairs(detail: ErrorDetails) -> tuple[tuple[str, str], ...]:
    """(key, what is allowed) of one error of the whole: a rule over several keys or one field."""
    if detail["type"] == "together":
        return tuple(detail["ctx"]["problems"])
    key = ".".join(str(part) for part in detail["loc"][:2])
    return ((key, allowed_text(key)),)


def _problem(place: str, key: str, value: object, allowed: str) -> str:
    return f"{place}: {key}: got {echo(key, value)}; allowed: {allowed}"


def _last_value(layers: tuple[Layer, ...], key: str) -> object:
    for layer in reversed(layers):
        if key in layer.values:
            return layer.values[key]
    return None


def _last_spot(layers: tuple[Layer, ...], key: str) -> str:
    for layer in reversed(layers):
        if key in layer.values:
            return layer.spot(key)
    return "settings"


def _unknown_keys(layers: tuple[Layer, ...]) -> list[str]:
    known = known_keys()
    problems = []
    for layer in layers:
        for key in layer.values:
            if key in known:
                continue
            near = difflib.get_close_matches(key, known, n=1)
            section = key.split(".", maxsplit=1)[0]
            siblings = [name for name in known if name.startswith(f"{section}.")] or sorted(
                {name.split(".", maxsplit=1)[0] for name in known}
            )
            hint = f"did you mean {near[0]}? " if near else ""
            problems.append(
                f"{shown_key(layer.spot(key))}: {shown_key(key)}: unknown key; "
                f"{hint}allowed: {', '.join(siblings)}"
            )
    return problems


def _unusable(layers: tuple[Layer, ...], environment: Environment) -> list[str]:
    """Every value of every layer that its field refuses, or that loosens a layer below."""
    directions = {
        key: 1 if key.removeprefix("limits.") in LONGER_IS_TIGHTER else -1
        for key in known_keys()
        if key.startswith(("limits.", "breakers."))
    }
    if environment is not Environment.DEV:
        directions |= TIGHTER
    problems = []
    tightest: dict[str, Any] = {}
    for layer in layers:
        for key, raw in layer.values.items():
            if key not in known_keys():
                continue
            if isinstance(raw, bool | float) and fields()[key].annotation is int:
                problems.append(_problem(layer.spot(key), key, raw, allowed_text(key)))
                continue
            try:
                value = checker(key).validate_python(raw)
            except ValidationError:
                problems.append(_problem(layer.spot(key), key, raw, allowed_text(key)))
                continue
            sign = directions.get(key, 0)
            before = tightest.get(key, value)
            if (sign and (value - before) * sign < 0) and not layer.name.startswith("defaults/"):
                word = "at most" if sign < 0 else "at least"
                allowed = f"{word} {value_text(before)} (a later layer may only tighten it)"
                problems.append(_problem(layer.spot(key), key, raw, allowed))
                continue
            tightest[key] = value
    return problems


def flat_values(settings: Settings) -> dict[str, Any]:
    """Every value by dotted key."""
    flat: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if hasattr(value, "model_dump"):
            flat.update({f"{name}.{key}": inner for key, inner in value.model_dump().items()})
        else:
            flat[name] = value
    return flat


def _document(
    settings: Settings, origins: Mapping[str, str], inputs: tuple[InputFile, ...]
) -> bytes:
    values = flat_values(settings)
    return (
        canonical(
            {
                "type": DOCUMENT_TYPE,
                "environment": settings.environment.value,
                "values": {
                    key: {"value": _plain_value(value), "origin": origins[key]}
                    for key, value in values.items()
                },
                "inputs": [
                    {"path": item.path, "sha256": item.sha256, "size": len(item.content)}
                    for item in inputs
                ],
            }
        )
        + b"\n"
    )


def _plain_value(value: object) -> object:
    """Integers, booleans and lists as they are, the rest as text (no floats, I11)."""
    if isinstance(value, tuple):
        return [str(item) for item in value]
    if isinstance(value, bool | int):
        return value
    return value_text(value)


def value_text(value: object) -> str:
    """A value as people and the journal have it."""
    if isinstance(value, Decimal):
        return to_text(value)
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
