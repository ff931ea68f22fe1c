"""The engine's own folds over a journal's files, for reading while no engine runs.

Slow for a long journal, and it changes nothing. A torn last line was never promised: left out.
"""

from __future__ import annotations

from pathlib import Path

from engine.execution.core import State
from engine.journal.chain import decode_line
from engine.journal.segments import lines_in, open_segment, segment_paths


def fold_state(journal: Path) -> State:
    """Everything that a journal tells. Raises IntegrityError for what cannot be read."""
    state = State()
    if not journal.is_dir():
        return state
    for path in segment_paths(journal):
        with open_segment(path) as file:
            for number, line in enumerate(lines_in(file), start=1):
                if line.endswith(b"\n"):
                    state.apply(decode_line(line, f"{path.name}:{number}")[0])
    return state
