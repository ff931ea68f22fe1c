"""The themes: dark, light and without colour, with the few colours that mean something.

`act-now` is red, `act-soon` amber, `accented` the one accent; the rest is grey. Contrast of each
against its background is at least 4.5 : 1 (WCAG AA), tested in tests/screens/test_words.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.theme import Theme

DARK = Theme(
    name="peak-dark",
    dark=True,
    primary="#7aa7d6",
    secondary="#5f87af",
    accent="#7ab8d6",
    warning="#e0b050",
    error="#ff6b6b",
    success="#a8b0b8",
    foreground="#d0d4d8",
    background="#14171a",
    surface="#14171a",
    panel="#20252a",
    variables={
        "quiet": "#8a939b",
        "accented": "#7ab8d6",
        "act-soon": "#e0b050",
        "act-now": "#ff6b6b",
        "chip": "#39424a",
        "chip-text": "#e8ecef",
        "inverse": "#14171a",
        "band": "#20252a",
        "input-selection-background": "#7ab8d6 35%",
        "input-cursor-background": "#d0d4d8",
    },
)

LIGHT = Theme(
    name="peak-light",
    dark=False,
    primary="#1f5f8f",
    secondary="#3f6f9f",
    accent="#1f5f8f",
    warning="#8a5a00",
    error="#b3171f",
    success="#4a5560",
    foreground="#1c2126",
    background="#f4f5f6",
    surface="#f4f5f6",
    panel="#e4e7ea",
    variables={
        "quiet": "#59626b",
        "accented": "#1f5f8f",
        "act-soon": "#8a5a00",
        "act-now": "#b3171f",
        "chip": "#ccd2d8",
        "chip-text": "#1c2126",
        "inverse": "#f4f5f6",
        "band": "#e4e7ea",
        "input-selection-background": "#1f5f8f 30%",
        "input-cursor-background": "#1c2126",
    },
)

#: For NO_COLOR, where Textual makes greys of colours: what needs a person is the brightest.
MONO = Theme(
    name="peak-mono",
    dark=True,
    primary="#ffffff",
    secondary="#9a9a9a",
    accent="#ffffff",
    warning="#ffffff",
    error="#ffffff",
    success="#9a9a9a",
    foreground="#c8c8c8",
    background="#121212",
    surface="#121212",
    panel="#242424",
    variables={
        "quiet": "#9a9a9a",
        "accented": "#ffffff",
        "act-soon": "#ffffff",
        "act-now": "#ffffff",
        "chip": "#3c3c3c",
        "chip-text": "#f0f0f0",
        "inverse": "#121212",
        "band": "#242424",
        "input-selection-background": "#ffffff 30%",
        "input-cursor-background": "#c8c8c8",
    },
)


def theme_of(environ: Mapping[str, str]) -> Theme:
    """By NO_COLOR, and COLORFGBG (`fg;bg`) where the terminal sets it for a light background."""
    if environ.get("NO_COLOR"):
        return MONO
    return LIGHT if environ.get("COLORFGBG", "").rpartition(";")[2] in {"7", "15"} else DARK
