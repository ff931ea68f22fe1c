"""Checklists and alarm responses, as Markdown; a session runbook opens with TOML front matter."""

from __future__ import annotations

from pathlib import Path


def folder() -> Path:
    """The folder of the runbooks that come with the program."""
    return Path(__file__).resolve().parent


def names() -> tuple[str, ...]:
    """The runbooks' names, without `.md`, sorted."""
    return tuple(sorted(path.stem for path in folder().glob("*.md")))
