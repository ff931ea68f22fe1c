"""One layer of configuration: dotted keys with their raw values, and where they were written.

Lowest first: `defaults/base.toml`, `defaults/<environment>.toml`, the workspace's
`config/peakctl.toml`, the running sandbox's ready line, `PEAKCTL__SECTION__KEY` variables, the
command line. A file is read once; the bytes that were parsed are the bytes that are hashed (I6).
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from config.allowed import echo
from engine.contracts.canonical import sha256_hex
from engine.contracts.errors import ConfigError
from engine.contracts.session import Environment
from engine.contracts.toml_text import load_toml
from engine.plain_file import open_plain

ENV_PREFIX = "PEAKCTL__"
WORKSPACE_FILE = "config/peakctl.toml"
#: Tables of a workspace that are no settings: read elsewhere, bound by the same hash (I6).
TABLE_FILES = ("config/ladder.toml", "config/drills.toml")
_TOML_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]")
_TOML_KEY = re.compile(r"\s*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?)\s*=")
_TOML_PLACE = re.compile(r"\(at (line \d+), column \d+\)")


@dataclass(frozen=True)
class InputFile:
    """A file that was read: its name relative to its root, hash and exact bytes."""

    path: str
    sha256: str
    content: bytes


@dataclass(frozen=True)
class Layer:
    """Values by dotted key; `spot(key)` is how an error names where a key was written."""

    name: str
    values: Mapping[str, object]
    places: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[InputFile, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """The file, variable or option that set `key`."""
        return self.places.get(key, self.name)

    def spot(self, key: str) -> str:
        """The place with its line where it has lines: `config/peakctl.toml:12`."""
        line = self.lines.get(key)
        return self.place(key) if line is None else f"{self.place(key)}:{line}"


def default_layer(name: str) -> Layer:
    """`base` or an environment's file, from the package."""
    shown = f"defaults/{name}.toml"
    content = (resources.files("config") / "defaults" / f"{name}.toml").read_bytes()
    return toml_layer(shown, content)


def workspace_layer(workspace: Path, *, visiting: bool = False) -> Layer:
    """The workspace's own file; a missing file is an empty layer. Raises ConfigError."""
    content = own_file(workspace, WORKSPACE_FILE, visiting=visiting)
    if content is None:
        return Layer(name=WORKSPACE_FILE, values={})
    return toml_layer(WORKSPACE_FILE, content)


def table_layer(workspace: Path, name: str, *, visiting: bool = False) -> Layer:
    """One of `TABLE_FILES`: no values, only its bytes among the inputs. Raises ConfigError."""
    content = own_file(workspace, name, visiting=visiting)
    if content is None:
        return Layer(name=name, values={})
    read = InputFile(path=name, sha256=sha256_hex(content), content=content)
    return Layer(name=name, values={}, inputs=(read,))


def own_file(workspace: Path, name: str, *, visiting: bool = False) -> bytes | None:
    """A file of the workspace that only its owner may write; None when there is none.

    `visiting` takes the workspace's owner for good as well: for who looks at another's settings,
    as a reviewer does, and acts on nothing in them. Raises ConfigError.
    """
    owners = {os.getuid(), 0}
    try:
        with open(workspace / name, "rb", opener=open_plain) as handle:
            facts = os.fstat(handle.fileno())
            content = handle.read()
        if visiting:
            owners.add(workspace.stat().st_uid)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            what=f"cannot be read ({error.strerror})",
            where=name,
            todo="check the file and its permissions",
        ) from error
    if facts.st_uid not in owners or facts.st_mode & stat.S_IWOTH:
        raise ConfigError(
            what=f"owned by uid {facts.st_uid}, mode {stat.S_IMODE(facts.st_mode):04o}",
            where=name,
            todo="it must be yours and not writable by everyone",
        )
    return content


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """`PEAKCTL__LIMITS__MAX_OPEN_ORDERS=5` and the like."""
    names = sorted(name for name in environ if name.upper().startswith(ENV_PREFIX))
    keys = {name[len(ENV_PREFIX) :].lower().replace("__", "."): name for name in names}
    return Layer(
        name="environment",
        values={key: environ[name] for key, name in keys.items()},
        places=keys,
    )


def override_layer(overrides: Mapping[str, object]) -> Layer:
    """Options of the command line, by dotted key."""
    return Layer(name="command line", values=dict(overrides))


def chosen_environment(layers: tuple[Layer, ...]) -> Environment:
    """The environment that the highest layer names, `dev` when none does. Raises ConfigError."""
    for layer in reversed(layers):
        if "environment" in layer.values:
            value = layer.values["environment"]
            if not isinstance(value, str) or value not in set(Environment):
                allowed = ", ".join(Environment)
                raise ConfigError(
                    what=f"environment: got {echo('environment', value)}; allowed: {allowed}",
                    where=layer.spot("environment"),
                )
            return Environment(str(value))
    return Environment.DEV


def nested(values: Mapping[str, object]) -> dict[str, object]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    tree: dict[str, object] = {}
    for key, value in values.items():
        *folders, leaf = key.split(".")
        branch = tree
        for folder in folders:
            below = branch.setdefault(folder, {})
            if not isinstance(below, dict):
                break
            branch = below
        else:
            branch[leaf] = value
    return tree


def toml_layer(name: str, content: bytes) -> Layer:
    """The bytes of a TOML file as a layer. Raises ConfigError naming the line."""
    try:
        text = content.decode("utf-8")
        document = load_toml(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = _TOML_PLACE.search(message)
        place = f"{name}: {found.group(1)}" if found else name
        raise ConfigError(
            what=f"not TOML ({_TOML_PLACE.sub('', message).strip()})", where=place
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(what=f"not UTF-8 (byte {error.start})", where=name) from error
    input_file = InputFile(path=name, sha256=sha256_hex(content), content=content)
    return Layer(name=name, values=_flat(document), inputs=(input_file,), lines=_lines(text))


def _lines(text: str) -> dict[str, int]:
    """Where each dotted key stands, counted from 1; what is written otherwise has no line."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = _TOML_HEADER.match(line)
        if header is not None:
            section = f"{header.group(1)}."
            found.setdefault(header.group(1), number)
        elif (key := _TOML_KEY.match(line)) is not None:
            found.setdefault(f"{section}{key.group(1)}", number)
    return found


def _flat(document: Mapping[str, object]) -> dict[str, object]:
    """Dotted keys of a two-level document; deeper tables stay values and fail as such."""
    values: dict[str, object] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            values.update({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            values[name] = value
    return values
