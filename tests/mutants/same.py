"""Mutants that mean the same as the original, with the reason; by `Mutant.name`."""

from __future__ import annotations

SAME: dict[str, str] = {}
