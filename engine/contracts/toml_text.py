"""TOML as it is read everywhere in this house: what cannot be read is one kind of error.

`tomllib` raises others too for a text that is nothing but brackets, or a number of thousands of
digits; whoever asked for the file would be told of a fault of ours.
"""

from __future__ import annotations

import tomllib
from typing import Any


def load_toml(text: str) -> dict[str, Any]:
    """The document. Raises tomllib.TOMLDecodeError for whatever is none."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("it is nested too deeply") from error
    except ValueError as error:
        raise tomllib.TOMLDecodeError("it has a number beyond all measure") from error
