"""What makes the processes of a test run start sooner: compiled code is kept, no TLS is prepared.

The tests start hundreds of processes. Without compiled files beside the sources each of them
compiles the engine anew, which is a tenth of all the time the suite takes.
"""

from __future__ import annotations

import os
import sys


def pytest_configure() -> None:
    """Before any worker and any process of a test is started; they inherit it."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # No test speaks TLS, and every process would read the machine's list of authorities.
    os.environ["SSL_CERT_FILE"] = os.devnull
    sys.dont_write_bytecode = False
