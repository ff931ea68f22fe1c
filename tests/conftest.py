"""Compiled code is kept for all processes of a test run, whatever the shell has switched off.

The tests start hundreds of processes. Without compiled files beside the sources each of them
compiles the engine anew, which is a tenth of all the time the suite takes.
"""

from __future__ import annotations

import os
import sys


def pytest_configure() -> None:
    """Before any worker and any process of a test is started; they inherit it."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
