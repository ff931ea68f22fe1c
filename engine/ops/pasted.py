"""Secrets that were pasted into a request by mistake: refused before anything is written (I10).

A note, a reason, a lesson or a ticket ends in the journal for good, so text that holds a secret of
this engine, or a private key, is refused with the name of its field and without the text. A kill is
never refused for its words: they are blanked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from engine.contracts.errors import InputError
from engine.contracts.requests import KillRequest, Request
from engine.ops.redaction import Redaction

_R = TypeVar("_R", bound=Request)


class PastedSecrets:
    """Looks through what people send."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def checked(self, request: _R, raw: bytes) -> _R:
        """The request, a kill without its secrets. Raises InputError for any other.

        `raw` is the body as sent: where it escapes nothing, one look at it is enough.
        """
        if b"\\" not in raw and not self._redaction.holds(raw.decode("utf-8", "replace")):
            return request
        fields = sorted(
            {
                name
                for name, text in _texts("", msgspec.to_builtins(request))
                if self._redaction.holds(text)
            }
        )
        if not fields:
            return request
        if isinstance(request, KillRequest):
            return msgspec.structs.replace(
                request,
                person=self._redaction.text(request.person),
                reason=self._redaction.text(request.reason),
                source=self._redaction.text(request.source),
            )
        raise InputError(
            what="holds a secret, and nothing of it was written",
            where=", ".join(fields),
            todo="write it without; if others saw it, replace the key at the venue",
            code="SECRET_PASTED",
        )


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Every text in a request with the field it is below."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield name or "field", str(key)
            yield from _texts(name or str(key), inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(name, inner)
