"""Text from outside (names, reasons, symbols, venue words) made safe for a terminal.

Every character that is not printable (control, bidi and other format characters, separators other
than the space, unassigned) becomes a visible escape, so that nothing from outside can move the
cursor, hide text or turn its direction. Markup is the renderer's affair: screens draw with it off.
"""

from __future__ import annotations


def printable(text: str, *, keep: str = "") -> str:
    """Escape what a terminal could act on; characters in `keep` (such as newline) stay."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
