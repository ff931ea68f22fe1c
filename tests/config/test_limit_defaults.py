"""A charter of an older journal, without the newer limits, is read under the `dev` ceiling."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from engine.contracts.session import Limits

BASE = Path(__file__).parents[2] / "config" / "defaults" / "base.toml"


def test_each_default_of_a_limit_is_what_the_base_file_says() -> None:
    section = tomllib.loads(BASE.read_text(encoding="utf-8"))["limits"]
    fields = msgspec.structs.fields(Limits)
    defaults = {one.name: one.default for one in fields if not one.required}
    assert defaults == {name: type(value)(section[name]) for name, value in defaults.items()}
    assert section.keys() == {one.name for one in fields}
