"""Trade on our sandbox with clients that are no dependencies of ours.

    python tests/engine/sandbox/clients/other_clients.py [--python PYTHON] [--venv DIR]

Makes a throw-away virtual environment with a newer Python (NautilusTrader needs 3.12), installs
the clients at pinned versions, starts our sandbox on loopback and lets each client trade: the
programs beside this file are run by the new environment, know nothing of our code, and get the
sandbox's ready line as a file. Prints one line for each client; exit code 0 when all traded, else
1. With `--venv` the environment is kept and used again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
#: Program -> what it needs.
CLIENTS = {
    "other_sdk.py": "binance-sdk-spot==13.2.0",
    "other_nautilus.py": "nautilus_trader==1.231.0",
}
NEWER = ("python3.12", "python3.13")
DEADLINE_S = 180
SANDBOX = """
import sys
from pathlib import Path
from engine.sandbox.server import SandboxOptions, main
sys.exit(main(SandboxOptions(key_folder=Path(sys.argv[1]), seed=3)))
"""


def say(text: str) -> None:
    """One line (or more) for whoever started this."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def runs(program: str) -> bool:
    """Whether it is a Python: a name on the path may be a shim of a version not chosen."""
    tried = subprocess.run([program, "-c", ""], check=False, stderr=subprocess.DEVNULL)
    return tried.returncode == 0


def find_python() -> str:
    """A Python that the clients run on. Exits with 1 when there is none."""
    installed = sorted(map(str, Path.home().glob(".pyenv/versions/3.1[23]*/bin/python3")))
    for candidate in (*NEWER, *installed):
        found = shutil.which(candidate)
        if found and runs(found):
            return found
    sys.exit(f"no Python for the clients found ({', '.join(NEWER)}): name one with --python")


def make_environment(folder: Path, python: str) -> Path:
    """The environment's Python, with all clients installed."""
    program = folder / "bin" / "python"
    if not program.exists():
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
    quiet = ["-q", "--disable-pip-version-check"]
    subprocess.run(
        [str(program), "-m", "pip", "install", *quiet, *CLIENTS.values()],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return program


def trade(python: Path, program: str, ready: Path) -> bool:
    """Run one client and print its line."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            [str(python), str(HERE / program), str(ready)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        say(f"FAILED  {CLIENTS[program]}: no end after {DEADLINE_S} s")
        return False
    took = time.monotonic() - began
    if done.returncode == 0:
        say(f"traded  {CLIENTS[program]} ({took:.1f} s): {done.stdout.splitlines()[-1]}")
        return True
    say(f"FAILED  {CLIENTS[program]} ({took:.1f} s), exit code {done.returncode}")
    say("\n".join((done.stdout + done.stderr).splitlines()[-40:]))
    return False


def main() -> int:
    """Run all clients; 0 when each of them traded."""
    parser = argparse.ArgumentParser(description="Trade on the sandbox with other clients.")
    parser.add_argument("--python", help="the Python of the new environment")
    parser.add_argument("--venv", type=Path, help="keep the environment in this folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="peakctl-clients-") as made:
        folder = Path(made)
        python = make_environment(asked.venv or folder / "venv", asked.python or find_python())
        sandbox = subprocess.Popen(
            [sys.executable, "-c", SANDBOX, str(folder / "keys")],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        try:
            assert sandbox.stdout is not None
            document = json.loads(sandbox.stdout.readline())
            ready = folder / "ready.json"
            ready.write_text(json.dumps(document))
            done = [trade(python, program, ready) for program in CLIENTS]
        finally:
            sandbox.terminate()
            sandbox.wait(timeout=10)
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
