"""Changing one key of a workspace's file, keeping its comments and everything else as it was.

The file is written beside itself and renamed, and only if all layers still load with the change.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import tomli_w

from config.allowed import allowed_text, checker, echo, known_keys
from config.layers import WORKSPACE_FILE
from config.settings import Effective, load
from engine.contracts.errors import ConfigError


def set_key(workspace: Path, key: str, text: str, environ: Mapping[str, str]) -> Effective:
    """Write `key` into the workspace's file and return what is then in force. Raises ConfigError.

    The file is put back as it was when the whole does not load any more.
    """
    if key not in known_keys():
        raise ConfigError(what=f"{key[:80]!r}: unknown key", todo="peakctl config show lists all")
    path = workspace / WORKSPACE_FILE
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    line = tomli_w.dumps({key.rpartition(".")[2]: _toml_value(key, text)})
    after = _with_line(before, key, line)
    if _without(tomllib.loads(after), key) != _without(tomllib.loads(before), key):
        raise ConfigError(what="cannot be changed by rule", where=str(path), todo="edit it by hand")
    _replace(path, after)
    try:
        return load(workspace, environ)
    except ConfigError:
        _replace(path, before)
        raise


def _toml_value(key: str, text: str) -> object:
    """`text` as the TOML type of the key: lists, whole numbers and booleans as such."""
    try:
        value = checker(key).validate_python(text)
    except ValueError as error:
        raise ConfigError(
            what=f"{key}: got {echo(key, text)}; allowed: {allowed_text(key)}",
            where="command line",
        ) from error
    if isinstance(value, bool | int):
        return value
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return str(value)


def _with_line(document: str, key: str, line: str) -> str:
    section, _, name = key.rpartition(".")
    lines = document.splitlines(keepends=True)
    start, end = _section_range(lines, section)
    if start is None:
        gap = "\n" if document and not document.endswith("\n\n") else ""
        return f"{document}{gap}[{section}]\n{line}"
    for index in range(start, end):
        if lines[index].split("=", 1)[0].strip() == name:
            return "".join([*lines[:index], line, *lines[index + 1 :]])
    return "".join([*lines[:start], line, *lines[start:]])


def _section_range(lines: list[str], section: str) -> tuple[int | None, int]:
    """First and end index of a section's lines; the top level is up to the first header."""
    headers = [index for index, line in enumerate(lines) if line.lstrip().startswith("[")]
    if not section:
        return 0, headers[0] if headers else len(lines)
    for position, index in enumerate(headers):
        if lines[index].strip() == f"[{section}]":
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


def _replace(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".toml.new")
    with beside.open("w", encoding="utf-8") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    beside.replace(path)
