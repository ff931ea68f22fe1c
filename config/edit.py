"""One key of a workspace's file: set it or take it out, with everything else as it was.

`plan_set` and `plan_unset` write nothing: they make the new text, load the whole with it and say
what would be in force; what does not load is not planned. Comments, order and blank lines stay;
tomli-w writes the one line. `FileChange.apply` then replaces the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from config.allowed import checker, echo, known_keys, shown_key, typed_text
from config.layers import WORKSPACE_FILE
from config.replace import FileChange, read_file
from config.settings import Effective, load, value_text
from engine.contracts.errors import ConfigError
from engine.contracts.toml_text import load_toml

#: What stands for the value from before where the whole did not load.
DID_NOT_LOAD = "(did not load)"


@dataclass(frozen=True)
class KeyChange:
    """A planned change of one key: values in force as text, and the file.

    `effects` are all keys whose value in force moves; `was_set` whether the file named the key,
    `written` what it says of it now ("": nothing).
    """

    key: str
    before: str
    after: str
    effects: Mapping[str, str]
    was_set: bool
    written: str
    file: FileChange
    effective: Effective


def plan_set(
    workspace: Path,
    key: str,
    text: str,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> KeyChange:
    """Plan `key = text`. Raises ConfigError, with every problem of the whole that would be."""
    _require_known(key)
    return _plan(workspace, key, _line(key, _toml_value(key, text)), environ, overrides)


def plan_unset(
    workspace: Path,
    key: str,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> KeyChange:
    """Plan to take `key` out of the file, back to its default. Raises ConfigError."""
    _require_known(key)
    return _plan(workspace, key, "", environ, overrides)


def is_set(workspace: Path, key: str) -> bool:
    """Whether the workspace's file names the key. Raises ConfigError."""
    path = workspace / WORKSPACE_FILE
    return key in _keys(_parsed(_text(read_file(path) or b"", path), path))


def _require_known(key: str) -> None:
    if key not in known_keys():
        raise ConfigError(
            what=f"{shown_key(key)!r}: unknown key", todo="peakctl config show lists all"
        )


def _plan(
    workspace: Path,
    key: str,
    line: str,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None,
) -> KeyChange:
    path = workspace / WORKSPACE_FILE
    content = read_file(path)
    before = _text(content or b"", path)
    old = _parsed(before, path)
    was_set = key in _keys(old)
    if not line and not was_set:
        raise ConfigError(what=f"{key} is not set there", where=str(path), todo="nothing to take")
    after = _with_line(before, key, line)
    try:
        new = load_toml(after)
    except tomllib.TOMLDecodeError:
        new = {}  # what stands there cannot be cut out line by line
    if _without(new, key) != _without(old, key) or (key in _keys(new)) != bool(line):
        raise ConfigError(what="cannot be changed by rule", where=str(path), todo="edit it by hand")
    effective = load(workspace, environ, overrides, after.encode())
    now = effective.values()
    try:
        was = load(workspace, environ, overrides, before.encode()).values()
    except ConfigError:
        was = dict.fromkeys(now, DID_NOT_LOAD)
    return KeyChange(
        key=key,
        before=was[key],
        after=now[key],
        effects={name: value for name, value in now.items() if was[name] != value},
        was_set=was_set,
        written=_written(new, key),
        file=FileChange(path, content, after.encode()),
        effective=effective,
    )


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(what=f"not UTF-8 (byte {error.start})", where=str(path)) from error


def _parsed(text: str, path: Path) -> dict[str, object]:
    try:
        return load_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            what=f"not TOML ({error})", where=str(path), todo="correct it by hand"
        ) from error


def _keys(document: Mapping[str, object]) -> set[str]:
    return {
        f"{name}.{inner}" if inner else name
        for name, value in document.items()
        for inner in (value if isinstance(value, dict) else ("",))
    }


def _written(document: Mapping[str, object], key: str) -> str:
    """What a document says of a key, as text; "" where it says nothing."""
    section, _, name = key.rpartition(".")
    table = document.get(section) if section else document
    if not isinstance(table, Mapping) or name not in table:
        return ""
    return value_text(checker(key).validate_python(table[name]))


def _toml_value(key: str, text: str) -> object:
    """`text` as the TOML type of the key: lists, whole numbers and booleans as such."""
    try:
        value = checker(key).validate_python(text)
    except ValueError as error:
        raise ConfigError(
            what=f"{key}: got {echo(key, text)}; allowed: {typed_text(key)}",
            where="command line",
        ) from error
    if isinstance(value, bool | int):
        return value
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return str(value)


def _line(key: str, value: object) -> str:
    """The key's line; a list stays on it, however long, so that one line is one key."""
    name = key.rpartition(".")[2]
    if not isinstance(value, list):
        return tomli_w.dumps({name: value})
    items = (tomli_w.dumps({name: item}).partition("=")[2].strip() for item in value)
    return f"{name} = [{', '.join(items)}]\n"


def _with_line(document: str, key: str, line: str) -> str:
    """The document with the key's line in its place; an empty line takes the key out."""
    section, _, name = key.rpartition(".")
    lines = document.splitlines(keepends=True)
    start, end = _section_range(lines, section)
    if start is None:
        gap = "\n" if document and not document.endswith("\n\n") else ""
        return f"{document}{gap}[{section}]\n{line}"
    for index in range(start, end):
        if lines[index].split("=", 1)[0].strip() == name:
            behind = _behind(lines, index, end)
            comment = _comment(lines[index]) if line and behind == index + 1 else ""
            new = f"{line.rstrip()}{comment}\n" if line else ""
            return "".join([*lines[:index], new, *lines[behind:]])
    if start and not lines[start - 1].endswith("\n"):
        lines[start - 1] += "\n"
    return "".join([*lines[:start], line, *lines[start:]])


def _behind(lines: list[str], index: int, end: int) -> int:
    """Index behind the key's value, which people may spread over lines; at least the next one."""
    for behind in range(index + 1, end + 1):
        try:
            load_toml("".join(lines[index:behind]))
        except tomllib.TOMLDecodeError:
            continue
        return behind
    return index + 1


def _comment(line: str) -> str:
    """The comment behind a line's value, with the blanks before it.

    A `#` inside quotes is none; where quotes make it doubtful the comment is given up, not the
    value.
    """
    value = line.split("=", 1)[1]
    head, sign, rest = value.partition("#")
    if not sign or head.count('"') % 2 or head.count("'") % 2:
        return ""
    blanks = head[len(head.rstrip()) :] or " "
    return f"{blanks}#{rest.rstrip()}"


def _section_range(lines: list[str], section: str) -> tuple[int | None, int]:
    """First and end index of a section's lines; the top level is up to the first header."""
    headers = [index for index, line in enumerate(lines) if line.lstrip().startswith("[")]
    if not section:
        return 0, headers[0] if headers else len(lines)
    for position, index in enumerate(headers):
        if lines[index].split("#", 1)[0].strip() == f"[{section}]":
            following = headers[position + 1 :]
            return index + 1, following[0] if following else len(lines)
    return None, 0


def _without(document: dict[str, object], key: str) -> dict[str, object]:
    section, _, name = key.rpartition(".")
    if not section:
        return {k: v for k, v in document.items() if k != name}
    table = document.get(section)
    inner = {k: v for k, v in table.items() if k != name} if isinstance(table, dict) else {}
    return {**document, section: inner}
