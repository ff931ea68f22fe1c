"""Checklists: read from a runbook, answered blind by two people, counted before go.

A runbook is Markdown with TOML front matter between two `+++` lines:

    +++
    version = "1"
    [[item]]
    id = "clock"
    title = "Clock offset is under 250 ms"
    kind = "auto"            # or "manual"
    probe = "clock"          # automatic items only
    roles = ["operator", "reviewer"]
    expect = "[0-9.]+"       # manual items: must match the whole answer
    hint = "..."
    critical = true
    +++

Promises: automatic items are answered by an automaton only; items that both answer stay hidden
from the other until both have answered, in the journal too (`commitment_of`); answers of both must
be equal after `strip` and `casefold`; whatever is open, failed, different or old is a blocker
(I12).
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.errors import InputError
from engine.contracts.people import Role
from engine.contracts.session import Checklist, ChecklistItem, ItemKind, ItemResult
from engine.contracts.toml_text import load_toml

#: A critical automatic reading older than this does not count for go.
CRITICAL_AGE_US = 120 * 1_000_000

_FENCE = "+++"
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_MAX_ANSWER = 500


def front_matter(text: str, name: str) -> dict[str, Any]:
    """The TOML between the two `+++` lines that open the text. Raises InputError."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != _FENCE:
        raise InputError(
            what="no front matter", where=name, todo="start the runbook with a +++ line"
        )
    for number, line in enumerate(lines[1:], start=1):
        if line.strip() == _FENCE:
            try:
                return load_toml("\n".join(lines[1:number]) + "\n")
            except tomllib.TOMLDecodeError as error:
                raise InputError(what=f"front matter is not TOML ({error})", where=name) from error
    raise InputError(what="front matter does not end", where=name, todo="close it with a +++ line")


def parse_runbook(text: str, name: str) -> Checklist:
    """Read a runbook's checklist. `name` is the file's name; the hash is of the text as UTF-8.

    Raises InputError naming the item and the key.
    """
    head = front_matter(text, name)
    rows = head.get("item")
    if not isinstance(rows, list) or not rows:
        raise InputError(what="no [[item]] in the front matter", where=name, todo="add one")
    version = head.get("version")
    if not isinstance(version, str) or not version:
        raise InputError(
            what="version is missing", where=name, todo='write version = "1" in the front matter'
        )
    items = tuple(_parse_item(row, f"{name}: item {n}") for n, row in enumerate(rows, start=1))
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise InputError(what=f"item id {item.id!r} occurs twice", where=name)
        seen.add(item.id)
    return Checklist(
        runbook=name, version=version, sha256=sha256_hex(text.encode("utf-8")), items=items
    )


def _parse_item(row: object, where: str) -> ChecklistItem:
    if not isinstance(row, dict):
        raise InputError(what="is not a table", where=where, todo="write [[item]]")
    unknown = sorted(set(row) - set(ChecklistItem.__struct_fields__))
    if unknown:
        raise InputError(what=f"unknown key {unknown[0]!r}", where=where)
    try:
        item = msgspec.convert(row, type=ChecklistItem)
    except msgspec.ValidationError as error:
        raise InputError(what=str(error), where=where) from error
    if not _ID.fullmatch(item.id):
        raise InputError(
            what=f"id {item.id!r} is not usable", where=where, todo="use a-z, 0-9, - and _"
        )
    if not item.roles or len(set(item.roles)) != len(item.roles):
        raise InputError(what="roles must name each role once", where=where)
    if set(item.roles) - set(Role):
        raise InputError(what=f"roles {list(item.roles)} has an unknown role", where=where)
    if (item.kind is ItemKind.AUTO) != bool(item.probe):
        raise InputError(
            what="an automatic item has a probe, a manual one has none", where=f"{where}: probe"
        )
    try:
        re.compile(item.expect)
    except re.error as error:
        raise InputError(what=f"not a regular expression ({error})", where=where) from error
    return item


def judge_answer(item: ChecklistItem, text: str) -> ItemResult:
    """PASS when the whole stripped answer matches what the item expects, else FAIL."""
    answer = text.strip()
    if not answer or len(answer) > _MAX_ANSWER:
        return ItemResult.FAIL
    return ItemResult.PASS if re.fullmatch(item.expect, answer) else ItemResult.FAIL


def normal(value: str) -> str:
    """The form in which two people's answers are compared."""
    return value.strip().casefold()


def answer_roles(item: ChecklistItem) -> tuple[str, ...]:
    """The roles whose answers the item needs; a probe has one answer, kept under the first role."""
    return item.roles[:1] if item.kind is ItemKind.AUTO else item.roles


def is_shared(item: ChecklistItem) -> bool:
    """Whether both people answer it, each from own readings."""
    return len(answer_roles(item)) > 1


def commitment_of(
    session_id: str, item_id: str, role: str, *, by: str, value: str, salt: str
) -> str:
    """What is told of a blind answer before it is opened: sha256 over all of it and a salt.

    Without the salt (256 random bits) no list of likely answers finds the value.
    """
    document = {
        "by": by,
        "item": item_id,
        "role": role,
        "salt": salt,
        "session": session_id,
        "type": "peakctl-blind-answer-1",
        "value": value,
    }
    return sha256_hex(canonical(document) + b"\n")
