"""`python -m peakctl`: the same as the `peakctl` command."""

from __future__ import annotations

import sys

from peakctl.cli import main

if __name__ == "__main__":
    sys.exit(main())
