"""The criteria of the drills, from `drills.toml`; a workspace may only make them stricter.

`config/drills.toml` of a workspace has the same tables. A bound looser than ours is refused: the
evidence that opens live rests on these drills, and a file edit must not soften it (I5).
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

from config.layers import own_file
from engine.contracts.errors import ConfigError
from engine.contracts.toml_text import load_toml
from engine.ops.drills import Criterion

WORKSPACE_FILE = "config/drills.toml"
BOUNDS = ("at_most", "at_least", "exactly")
#: The one key beside the tables: how long a result counts, days.
MAX_AGE = "max_age_days"

Criteria = dict[str, tuple[Criterion, ...]]


def load_criteria(workspace: Path | None) -> Criteria:
    """By drill. Raises ConfigError with every problem of the workspace's file."""
    ours = parse_criteria(_packaged(), "drills.toml")
    content = _workspace_file(workspace)
    if content is None:
        return ours
    return _tightened(ours, parse_criteria(content, WORKSPACE_FILE))


def load_max_age_days(workspace: Path | None) -> int:
    """How long a result counts. Raises ConfigError when the workspace's file wants it longer."""
    ours = _max_age(_tree(_packaged(), "drills.toml"), "drills.toml")
    content = _workspace_file(workspace)
    tree = {} if content is None else _tree(content, WORKSPACE_FILE)
    if MAX_AGE not in tree:
        return ours
    theirs = _max_age(tree, WORKSPACE_FILE)
    if theirs > ours:
        what = f"{MAX_AGE}: {theirs} is looser than {ours}"
        raise ConfigError(what=what, where=WORKSPACE_FILE, todo="only tighten")
    return theirs


def _packaged() -> bytes:
    return (resources.files("config") / "drills.toml").read_bytes()


def _workspace_file(workspace: Path | None) -> bytes | None:
    """The workspace's own file, None when there is none. Raises ConfigError."""
    return None if workspace is None else own_file(workspace, WORKSPACE_FILE)


def _tree(content: bytes, where: str) -> dict[str, object]:
    try:
        return load_toml(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(what=f"not TOML ({error})", where=where, todo="mend the file") from error


def _max_age(tree: dict[str, object], where: str) -> int:
    value = tree.get(MAX_AGE)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        what = f"{MAX_AGE}: a whole number of days, at least 1"
        raise ConfigError(what=what, where=where, todo="mend the file")
    return value


def parse_criteria(content: bytes, where: str) -> Criteria:
    """Read one file. Raises ConfigError."""
    tree = _tree(content, where)
    tree.pop(MAX_AGE, None)
    problems: list[str] = []
    criteria: Criteria = {}
    for name, table in tree.items():
        rows = table.items() if isinstance(table, dict) else ()
        if not rows:
            problems.append(f"{name}: a table of measures is wanted")
        found = []
        for measure, bound in rows:
            one = _criterion(measure, bound)
            if one is None:
                problems.append(f"{name}.{measure}: write {{ at_most = N }}, with one of {BOUNDS}")
            else:
                found.append(one)
        criteria[name] = tuple(found)
    if problems:
        raise ConfigError(what=" | ".join(problems), where=where, todo="mend the file")
    return criteria


def _criterion(measure: str, bound: object) -> Criterion | None:
    if not isinstance(bound, dict) or len(bound) != 1:
        return None
    ((word, value),) = bound.items()
    if word not in BOUNDS or not isinstance(value, int) or isinstance(value, bool):
        return None
    return Criterion(measure=measure, bound=word, value=value)


def _tightened(ours: Criteria, theirs: Criteria) -> Criteria:
    problems = [f"{name}: no such drill" for name in theirs if name not in ours]
    merged = dict(ours)
    for name in theirs.keys() & ours.keys():
        wanted = {one.measure: one for one in theirs[name]}
        kept = []
        for one in ours[name]:
            new = wanted.pop(one.measure, one)
            if not _as_strict(new, one):
                problems.append(f"{name}.{one.measure}: {new.text} is looser than {one.text}")
            kept.append(new)
        problems += [f"{name}.{measure}: no such measure" for measure in wanted]
        merged[name] = tuple(kept)
    if problems:
        what = " | ".join(sorted(problems))
        raise ConfigError(what=what, where=WORKSPACE_FILE, todo="only tighten")
    return merged


def _as_strict(new: Criterion, old: Criterion) -> bool:
    """Whether all that the new bound lets pass, the old one lets pass too."""
    if new.bound == "exactly":
        return old.holds(new.value)
    if new.bound != old.bound:
        return False
    return new.value <= old.value if new.bound == "at_most" else new.value >= old.value
