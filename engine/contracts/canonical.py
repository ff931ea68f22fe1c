"""The one byte form of everything that is hashed or signed: ASCII JSON, sorted keys, no floats.

Encoders disagree about floats (`1e+21` or `1E21`), so there are none; hashes and signatures are
always over the bytes as written, never over a re-serialisation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import msgspec

from engine.contracts.errors import InputError

_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="string")


def canonical(value: object) -> bytes:
    """Encode as canonical JSON, one line, without the final newline.

    `value` is JSON-like builtins, Decimals or msgspec structs without float fields.
    """
    raw = _ENCODER.encode(value)
    if raw.isascii():
        return raw
    return json.dumps(
        json.loads(raw), sort_keys=True, ensure_ascii=True, separators=(",", ":")
    ).encode("ascii")


def sha256_hex(data: bytes) -> str:
    """Lower-case hex sha256 of the bytes."""
    return hashlib.sha256(data).hexdigest()


def strict_loads(data: bytes | str, where: str) -> Any:
    """Parse JSON, refusing duplicate keys, floats and what is not plain UTF-8. Raises InputError.

    Bytes are decoded here: `json` itself would take UTF-16, UTF-32 and a byte order mark, too.
    """

    def pairs(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in items:
            if key in out:
                raise InputError(what=f"duplicate key {key!r}", where=where)
            out[key] = value
        return out

    def no_float(text: str) -> Any:
        raise InputError(
            what=f"float {text} where only strings and integers are allowed", where=where
        )

    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        return json.loads(
            text, object_pairs_hook=pairs, parse_float=no_float, parse_constant=no_float
        )
    # of JSON, of UTF-8, of a number with thousands of digits, of brackets without end
    except (ValueError, RecursionError) as error:
        raise InputError(what=f"not JSON ({error})", where=where) from error
