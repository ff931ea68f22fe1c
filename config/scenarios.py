"""Scenario files: those that come with peakctl (`config/scenarios/`), and anybody's own.

Here they are only found and read as TOML; what their keys mean is checked by the sandbox
(`engine.sandbox.scenario`), which gets plain values and never a file.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from engine.contracts.errors import ConfigError
from engine.contracts.toml_text import load_toml

_SUFFIX = ".toml"


def scenario_names() -> tuple[str, ...]:
    """The names of the scenarios that come with peakctl."""
    folder = resources.files("config") / "scenarios"
    return tuple(
        sorted(
            entry.name.removesuffix(_SUFFIX)
            for entry in folder.iterdir()
            if entry.name.endswith(_SUFFIX)
        )
    )


def is_file_name(name: str) -> bool:
    """Whether a scenario is given as a file, not by one of our names."""
    return "/" in name or name.endswith(_SUFFIX)


def read_scenario(name: str) -> tuple[dict[str, object], str]:
    """The document of a scenario, by name or by file, and how errors name its place.

    A word without a dot or slash is a name. Raises ConfigError, with the names that there are.
    """
    if name in scenario_names():
        shown = f"scenarios/{name}{_SUFFIX}"
        content = (resources.files("config") / "scenarios" / f"{name}{_SUFFIX}").read_bytes()
    elif is_file_name(name):
        shown = name
        content = _read(Path(name))
    else:
        raise ConfigError(
            what=f"no scenario is named {name[:40]!r}",
            where="sandbox.scenario",
            todo=f"choose from {', '.join(scenario_names())}, or name a {_SUFFIX} file",
        )
    try:
        return load_toml(content.decode()), shown
    except ValueError as error:
        raise ConfigError(
            what=f"is not TOML ({error})", where=shown, todo="correct the file"
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            what=f"cannot be read ({error.strerror})",
            where=str(path),
            todo=f"name a file, or one of {', '.join(scenario_names())}",
        ) from error
