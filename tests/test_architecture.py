"""The walls of the house, by contract (import-linter) and at run time (`sys.modules`).

Rooms and modules are discovered, so that a new room is held to the walls from its first day.
"""

from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import engine

ROOT = Path(__file__).resolve().parents[1]
ROOMS = sorted(module.name for module in pkgutil.iter_modules(engine.__path__))
PURE = ("contracts", "orders", "governance", "risk", "reconcile")

#: What the engine must do without: each room is imported where these are impossible to import.
TERMINAL = ("textual", "rich", "typer", "peakctl", "screens")

#: What a pure room may not even name: clocks, randomness, files, processes, sockets, loops.
IMPURE = {
    "asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "eval", "exec", "__import__"}
CLOCK_METHODS = {"now", "utcnow", "today"}

#: msgspec itself takes typing_extensions along where it is installed.
ALLOWED_TOPS = set(sys.stdlib_module_names) | {"engine", "msgspec", "typing_extensions"}
#: What tests check numpy's figures against, and no pure room may know.
HEAVY = ("scipy", "statsmodels", "arch", "pandas")
#: Modules of `risk` that judge an order: the numerics of its reports stay out of them.
ORDER_PATH = (
    "risk.limits", "risk.facts", "risk.exposure", "risk.headroom", "risk.activity", "risk.conduct",
    "risk.collars", "risk.breakers", "risk.losses",
)  # fmt: skip

IMPORT_ROOM = """
import importlib, json, pkgutil, sys
sys.modules.update(dict.fromkeys(sys.argv[2:]))
before = set(sys.modules)
room = importlib.import_module(sys.argv[1])
for found in pkgutil.walk_packages(getattr(room, "__path__", []), room.__name__ + "."):
    importlib.import_module(found.name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def modules_after_importing(room: str, *impossible: str) -> set[str]:
    """Import every module of the room ("" are all) where importing `impossible` ones fails."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ROOM, f"engine.{room}".rstrip("."), *impossible],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_import_contracts_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_room_of_the_engine_needs_anything_of_a_terminal() -> None:
    """One process imports them all: what one room needed and could not have would fail it."""
    loaded = modules_after_importing("", *TERMINAL)
    assert {name.split(".")[0] for name in loaded} & set(TERMINAL) == set()
    assert {name.split(".")[1] for name in loaded if name.startswith("engine.")} == set(ROOMS)


@pytest.mark.parametrize("room", PURE)
def test_pure_room_loads_only_contracts_pure_rooms_and_msgspec(room: str) -> None:
    loaded = modules_after_importing(room, *HEAVY)
    allowed_tops = ALLOWED_TOPS | ({"numpy"} if room == "risk" else set())
    assert {name for name in loaded if name.split(".")[0] not in allowed_tops} == set()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("engine.")}
    assert rooms <= set(PURE)
    if "numpy" not in loaded:  # which takes threads along for itself
        assert loaded & {"asyncio", "socket", "threading", "subprocess"} == set()


@pytest.mark.parametrize("module", ORDER_PATH)
def test_order_path_loads_no_numpy_nor_anything_else_heavy(module: str) -> None:
    loaded = modules_after_importing(module, "numpy", *HEAVY)
    assert {name for name in loaded if name.split(".")[0] not in ALLOWED_TOPS} == set()
    assert loaded & {"asyncio", "socket", "threading", "subprocess"} == set()


def pure_files() -> list[Path]:
    return [path for room in PURE for path in sorted((ROOT / "engine" / room).rglob("*.py"))]


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_file_names_no_clock_file_socket_or_loop(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & IMPURE, where
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in IMPURE, where
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_CALLS, where
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in CLOCK_METHODS, where


def test_the_pure_rooms_exist() -> None:
    assert set(PURE) <= set(ROOMS)
