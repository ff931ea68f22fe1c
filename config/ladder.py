"""The scaling ladder, from `ladder.toml`; a workspace may only make its steps tighter.

`config/ladder.toml` of a workspace names steps of ours and gives them tighter limits or asks for
more. A wider limit, a smaller ask, or a step that there is not is refused: what
scales up a live desk must not be softened by a file edit (I5). An approval binds both files:
ours as code, the workspace's as an input of the effective config (I6).
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from importlib import resources
from pathlib import Path

import msgspec

from config.layers import own_file
from engine.contracts.errors import ConfigError, InputError
from engine.contracts.session import Environment
from engine.contracts.toml_text import load_toml
from engine.governance.ladder import Asks, Step
from engine.risk.standing import parse_limit, tighter_than

WORKSPACE_FILE = "config/ladder.toml"

#: By environment, lowest step first.
Ladders = dict[Environment, tuple[Step, ...]]

_KEYS = frozenset({"text", "limits", "asks"})
#: Of these the larger number asks for more; of the others the smaller.
_AT_LEAST = frozenset({"sealed_sessions", "weeks", "drills"})
_MOST = 1_000_000


def load_ladder(workspace: Path | None, environment: Environment) -> tuple[Step, ...]:
    """The steps of an environment. Raises ConfigError with every problem of the file."""
    packaged = (resources.files("config") / "ladder.toml").read_bytes()
    ours = parse_ladders(packaged, "ladder.toml")
    content = None if workspace is None else own_file(workspace, WORKSPACE_FILE)
    if content is None:
        return ours[environment]
    return _tightened(ours, content)[environment]


def parse_ladders(content: bytes, where: str) -> Ladders:
    """Read a whole file: every environment has at least one step. Raises ConfigError."""
    problems: list[str] = []
    ladders = {
        Environment(name): tuple(_step(f"{name}.{key}", table, problems) for key, table in steps)
        for name, steps in _environments(content, where, problems)
    }
    problems += [f"{name}: no step" for name in Environment if not ladders.get(name)]
    _refuse(problems, where, "mend the file")
    return ladders


def _tightened(ours: Ladders, content: bytes) -> Ladders:
    problems: list[str] = []
    merged = {name: {step.name: step for step in steps} for name, steps in ours.items()}
    for name, steps in _environments(content, WORKSPACE_FILE, problems):
        for key, table in steps:
            place = f"{name}.{key}"
            before = merged[Environment(name)].get(key)
            if before is None:
                problems.append(f"{place}: no such step")
                continue
            step = _step(place, table, problems)
            problems += _looser(place, before, step, table)
            merged[Environment(name)][key] = msgspec.structs.replace(
                before,
                limits={**before.limits, **step.limits},
                asks=msgspec.structs.replace(
                    before.asks,
                    **{one: getattr(step.asks, one) for one in _asked(table)},
                ),
            )
    _refuse(problems, WORKSPACE_FILE, "only tighten")
    return {name: tuple(steps.values()) for name, steps in merged.items()}


def _looser(place: str, before: Step, step: Step, table: object) -> list[str]:
    problems = [
        f"{place}.limits.{name}: {value} is wider than {before.limits[name]}"
        for name, value in step.limits.items()
        if name in before.limits and tighter_than(name, before.limits[name], value)
    ]
    for name in _asked(table):
        new, old = getattr(step.asks, name), getattr(before.asks, name)
        if new < old if name in _AT_LEAST else new > old:
            problems.append(f"{place}.asks.{name}: {new} asks for less than {old}")
    return problems


_ASKS: tuple[str, ...] = Asks.__struct_fields__


def _asked(table: object) -> tuple[str, ...]:
    """The asks that a step's table names; the rest of them stay as they are."""
    asks = table.get("asks") if isinstance(table, dict) else None
    return tuple(name for name in asks if name in _ASKS) if isinstance(asks, dict) else ()


def _environments(
    content: bytes, where: str, problems: list[str]
) -> list[tuple[str, list[tuple[str, object]]]]:
    try:
        tree = load_toml(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(what=f"not TOML ({error})", where=where, todo="mend the file") from error
    found = []
    for name, steps in tree.items():
        if name not in set(Environment) or not isinstance(steps, dict):
            problems.append(f"{name}: allowed: {', '.join(Environment)}, each with its steps")
        else:
            found.append((name, list(steps.items())))
    return found


def _step(place: str, table: object, problems: list[str]) -> Step:
    """One step; what is wrong with it goes into `problems`."""
    name = place.partition(".")[2]
    if not isinstance(table, dict):
        problems.append(f"{place}: a table is wanted")
        return Step(name=name, text="", limits={}, asks=Asks())
    problems += [f"{place}.{key}: unknown key" for key in table.keys() - _KEYS]
    text = table.get("text", "")
    if not isinstance(text, str):
        problems.append(f"{place}.text: words are wanted")
    return Step(
        name=name,
        text=str(text),
        limits=_limits(f"{place}.limits", table.get("limits", {}), problems),
        asks=_asks(f"{place}.asks", table.get("asks", {}), problems),
    )


def _limits(place: str, table: object, problems: list[str]) -> dict[str, Decimal]:
    if not isinstance(table, dict):
        problems.append(f"{place}: a table is wanted")
        return {}
    found: dict[str, Decimal] = {}
    for name, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | str):
            problems.append(f'{place}.{name}: a whole number, or "12.50" in quotes')
            continue
        try:
            found[name] = parse_limit(name, str(value))
        except InputError as error:
            problems.append(f"{place}.{name}: {error.what}")
    return found


def _asks(place: str, table: object, problems: list[str]) -> Asks:
    if not isinstance(table, dict):
        problems.append(f"{place}: a table is wanted")
        return Asks()
    found: dict[str, int] = {}
    for name, value in table.items():
        if name not in _ASKS:
            problems.append(f"{place}.{name}: allowed: {', '.join(_ASKS)}")
        elif isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
            problems.append(f"{place}.{name}: a whole number from 0 to {_MOST}")
        else:
            found[name] = value
    return Asks(**found)


def _refuse(problems: list[str], where: str, todo: str) -> None:
    if problems:
        raise ConfigError(what=" | ".join(problems), where=where, todo=todo)
