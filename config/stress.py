"""The shocks of the risk report, from `stress.toml` here and in a workspace's `config/`.

A workspace's shock takes the place of ours of the same name; all others stay. Every fault of a file
is reported at once, with the file and the shock's name, and nothing is guessed: a shock that cannot
be read must not be left out of a report in silence (I12).
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

from engine.contracts.errors import ConfigError, InputError
from engine.contracts.money import parse_decimal
from engine.contracts.toml_text import load_toml
from engine.risk.stress import EVERY, Shock

WORKSPACE_FILE = "config/stress.toml"
KINDS = ("historical", "hypothetical")

_KEYS = frozenset({"name", "kind", "text", "source", "moves"})
_NEEDED = _KEYS - {"source"}
_NAME = re.compile(r"[a-z0-9_]{1,40}")
_SYMBOL = re.compile(r"[A-Z0-9]{2,20}")
_TEXT_LIMIT = 200


def load_shocks(workspace: Path) -> tuple[Shock, ...]:
    """All shocks in force, by name. Raises ConfigError with every problem of the files."""
    ours = (resources.files("config") / "stress.toml").read_bytes()
    found = {one.name: one for one in parse_shocks(ours, "stress.toml")}
    path = workspace / WORKSPACE_FILE
    try:
        theirs = path.read_bytes()
    except FileNotFoundError:
        theirs = b""
    except OSError as error:
        raise ConfigError(
            what=f"cannot be read ({error.strerror})", where=WORKSPACE_FILE, todo="look at the file"
        ) from error
    found |= {one.name: one for one in parse_shocks(theirs, WORKSPACE_FILE)}
    return tuple(found[name] for name in sorted(found))


def parse_shocks(content: bytes, where: str) -> tuple[Shock, ...]:
    """Read one file. Raises ConfigError."""
    try:
        tree = load_toml(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(what=f"not TOML ({error})", where=where, todo="mend the file") from error
    rows = tree.get("shock", [])
    problems = [f"{key}: not known; only [[shock]] tables" for key in tree if key != "shock"]
    shocks: list[Shock] = []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        problems.append("shock: write each as a [[shock]] table")
        rows = []
    for number, row in enumerate(rows, 1):
        name = str(row.get("name", f"shock {number}"))[:40]
        faults = _faults(row)
        if any(one.name == name for one in shocks):
            faults.append("stands here twice")
        problems += [f"{name}: {fault}" for fault in faults]
        if not faults:
            shocks.append(_shock(row))
    if problems:
        raise ConfigError(what=" | ".join(problems), where=where, todo="mend the file")
    return tuple(shocks)


def _faults(row: dict[str, object]) -> list[str]:
    faults = [f"{key} is not known" for key in sorted(set(row) - _KEYS)]
    faults += [f"{key} is missing" for key in sorted(_NEEDED - set(row))]
    if "name" in row and not _NAME.fullmatch(str(row["name"])):
        faults.append("name: allowed are a-z, 0-9 and _, at most 40")
    if "kind" in row and row["kind"] not in KINDS:
        faults.append(f"kind: got {str(row['kind'])[:20]!r}; allowed: {', '.join(KINDS)}")
    if row.get("kind") == "historical" and not row.get("source"):
        faults.append("source is missing: say where a historical figure is from")
    for key in ("text", "source"):
        if len(str(row.get(key, ""))) > _TEXT_LIMIT:
            faults.append(f"{key}: at most {_TEXT_LIMIT} characters")
    return faults + (_move_faults(row["moves"]) if "moves" in row else [])


def _move_faults(moves: object) -> list[str]:
    if not isinstance(moves, dict) or not moves:
        return ['moves: a table of symbol = "change", at least one']
    faults = []
    for symbol, move in moves.items():
        if symbol != EVERY and not _SYMBOL.fullmatch(symbol):
            faults.append(f"moves: {symbol[:20]!r} is no symbol")
        try:
            fits = isinstance(move, str) and -1 <= parse_decimal(move, symbol) <= 10
        except InputError:
            fits = False
        if not fits:
            faults.append(f'moves.{symbol[:20]}: a text between "-1" and "10"')
    return faults


def _shock(row: dict[str, object]) -> Shock:
    moves = row["moves"]
    assert isinstance(moves, dict), "checked by _faults"
    return Shock(
        name=str(row["name"]),
        kind=str(row["kind"]),
        text=str(row["text"]),
        source=str(row.get("source", "")),
        moves={symbol: parse_decimal(str(move), symbol) for symbol, move in moves.items()},
    )
