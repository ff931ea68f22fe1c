"""The short code: 40 bits of a hash as four words that are easy to say and hard to mishear.

1024 words of the form consonant, vowel, consonant, vowel, made of eight consonants and four
vowels that stay apart over a bad line. Two screens show the same four words if, and for all that
people can do about it only if, they show the same document; the words are a check by voice, the
signatures bind.
"""

from __future__ import annotations

import hmac
import re

_CONSONANTS = "bjklmrst"
_VOWELS = "aiou"

#: Word number n stands for the ten bits of n.
WORDS: tuple[str, ...] = tuple(
    a + b + c + d for a in _CONSONANTS for b in _VOWELS for c in _CONSONANTS for d in _VOWELS
)

_HEX = re.compile(r"[0-9a-f]{64}")


def short_code(sha256_hex: str) -> str:
    """The first 40 bits of a sha256 (64 lower-case hex digits) as `word-word-word-word`."""
    if not _HEX.fullmatch(sha256_hex):
        raise ValueError("not a sha256 in lower-case hex")
    bits = int(sha256_hex[:10], 16)
    return "-".join(WORDS[bits >> shift & 0x3FF] for shift in (30, 20, 10, 0))


def same_code(typed: str, sha256_hex: str) -> bool:
    """Whether what a person typed is the hash's code: case and separators do not matter."""
    words = re.split(r"[^a-z]+", typed.strip().casefold())
    return hmac.compare_digest("-".join(words).encode(), short_code(sha256_hex).encode())
