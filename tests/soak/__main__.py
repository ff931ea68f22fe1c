"""The soak from the command line: `python -m tests.soak --seconds 1800`. Prints a table.

The exit code is 1 when anything was wrong: a break, an order twice, a trade on one side only, a
journal that does not verify, a store that differs, memory that is not flat.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.soak.soak import Soak, soak
from tests.soak.verdict import problems


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--session-seconds", type=float, default=300)
    parser.add_argument("--every-ms", type=int, default=1500, help="mean time between faults")
    parser.add_argument("--folder", type=Path, help="keep the workspace here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="peakctl-soak-") as made:
        folder = asked.folder or Path(made) / "w"
        done: Soak = asyncio.run(
            soak(
                folder,
                asked.seconds,
                session_seconds=asked.session_seconds,
                every_ms=asked.every_ms,
            )
        )
    wrong = problems(done)
    sys.stdout.write(f"{done.table()}\n{'verdict':18} {'; '.join(wrong) or 'good'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
