"""Whether a text that somebody must give says anything that can be seen. Pure."""

from __future__ import annotations

#: Letters by their category, blank on every screen.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")


def in_words(text: str) -> str:
    """The text in one line, single blanks between its words; "" when no letter or digit shows."""
    said = any(one.isalnum() and one not in _BLANK_LETTERS for one in text)
    return " ".join(text.split()) if said else ""
