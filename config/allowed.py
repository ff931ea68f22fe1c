"""What each key may be, as text for errors and docs, read from the types of `model.py`."""

from __future__ import annotations

import re
import types
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from config.model import Settings

_PATTERNS = {
    r"^[A-Z0-9]{2,20}$": "capital letters and digits",
    r"^[A-Za-z0-9_.-]{1,40}$": "1 to 40 letters, digits, _ . -",
    r"^[A-Za-z0-9_.-]{1,40}:[A-Za-z0-9_.-]{1,40}$": "venue:account",
}

#: As long as the shortest key that a venue gives out, and longer than any word of ours.
_RUN = re.compile(r"[A-Za-z0-9+/=_-]{24,}")

_NOUNS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    Decimal: 'a decimal number in quotes such as "12.50"',
}


@cache
def fields() -> dict[str, FieldInfo]:
    """Every dotted key with its field, in the order of the model."""
    found: dict[str, FieldInfo] = {}
    for name, info in Settings.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found.update({f"{name}.{key}": inner for key, inner in kind.model_fields.items()})
        else:
            found[name] = info
    return found


@cache
def known_keys() -> tuple[str, ...]:
    """Every key that exists."""
    return tuple(fields())


def allowed_text(key: str) -> str:
    """What `key` may be, in words; for a whole section, its keys."""
    info = fields().get(key)
    if info is None:
        names = [name for name in known_keys() if name.startswith(f"{key}.")]
        return f"a table with the keys {', '.join(name.split('.', 1)[1] for name in names)}"
    if info.description:
        return info.description
    return _kind(info.annotation, info.metadata)


def typed_text(key: str) -> str:
    """What `key` may be, for whoever types it behind a command, where nothing is quoted twice."""
    in_a_file = _NOUNS[Decimal]
    text = allowed_text(key).replace(in_a_file, "a plain decimal number such as 12.50")
    return text.replace("a list of: ", "with commas between, each: ")


def echo(key: str, value: object) -> str:
    """How an error may show a value that was refused: never where it may hold a secret (I10).

    A long run of letters and digits is not shown anywhere: keys get pasted into wrong places.
    """
    text = f"{value!r}"
    if key.endswith("_ref"):
        known = isinstance(value, str) and value.startswith(("env:", "file:", "keyring:"))
        return "this reference" if known else "a value that is not a reference"
    if key.endswith("_url") and ("@" in text or "?" in text):
        return "an address with more than a host in it"
    if _key_like(text):
        return "a value that may be a secret"
    return text[:80]


def shown_key(key: str) -> str:
    """How an error may name a key that does not exist, or a variable with one in its name."""
    return "a key that may be a secret" if _key_like(key) else key[:80]


def _key_like(text: str) -> bool:
    """Whether a long run of letters has a digit among them."""
    return any(any(map(str.isdigit, run)) for run in _RUN.findall(text))


@cache
def checker(key: str) -> TypeAdapter[Any]:
    """A validator of one key alone, so that every layer's value can be judged."""
    info = fields()[key]
    kind: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    return TypeAdapter(kind)


def _kind(kind: Any, metadata: list[Any]) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(str(value) for value in get_args(kind))
    if get_origin(kind) is tuple:
        return f"a list of: {_member(get_args(kind)[0])}"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(kind)
    if kind in _NOUNS:
        return _NOUNS[kind] + _bounds(metadata)
    pattern = next((p for item in metadata if (p := getattr(item, "pattern", None))), "")
    return _PATTERNS.get(pattern, "text")


def _member(kind: Any) -> str:
    if isinstance(kind, types.GenericAlias) or not hasattr(kind, "__metadata__"):
        return _kind(kind, [])
    inner, *extra = get_args(kind)
    metadata = [
        m for item in extra for m in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]
    return _kind(inner, metadata)


def _bounds(metadata: list[Any]) -> str:
    low = high = ""
    for item in metadata:
        if isinstance(item, annotated_types.Ge):
            low = f" from {item.ge}"
        elif isinstance(item, annotated_types.Gt):
            low = f" above {item.gt}"
        elif isinstance(item, annotated_types.Le):
            high = f" to {item.le}"
    return low + high
