"""Taking known secrets out of text (I10): as they are, and in the spellings they travel in.

A spelling is the value in JSON, in a URL, in hex, or anywhere inside base64 (the three ways in
which its bits can fall on the characters). Private keys are known by their armour, whosever they
are.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"

#: Shorter values would redact ordinary words; no key or token is this short.
SHORTEST_SECRET = 6
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=\s]|\\[nr])*"
    r"(?:-----END [A-Z0-9 ]*PRIVATE KEY-----)?"
)


class Redaction:
    """The secrets of one process, as one pattern."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {
            spelling
            for secret in secrets
            if len(secret) >= SHORTEST_SECRET
            for spelling in _spellings(secret)
            if len(spelling) >= SHORTEST_SECRET
        }
        longest_first = sorted(spellings, key=lambda one: (-len(one), one))
        self._pattern = re.compile("|".join([*map(re.escape, longest_first), _PRIVATE_KEY]))

    def text(self, text: str) -> str:
        """The text without any known secret."""
        return self._pattern.sub(REDACTED, text)

    def holds(self, text: str) -> bool:
        """Whether a known secret is in the text."""
        return self._pattern.search(text) is not None


def _spellings(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogateescape")
    yield secret
    yield json.dumps(secret)[1:-1]
    yield quote(secret, safe="", errors="surrogateescape")
    yield quote_plus(secret, errors="surrogateescape")
    yield raw.hex()
    yield raw.hex().upper()
    for before in range(3):
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            yield _inside(alphabet(b"\0" * before + raw).decode("ascii"), before, len(raw))


def _inside(encoded: str, before: int, size: int) -> str:
    """The characters that only the secret's own bits decide: six bits each."""
    first = -(-before * 8 // 6)
    last = (before + size) * 8 // 6
    return encoded[first:last]
