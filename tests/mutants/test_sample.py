"""A drawn sample of the mutants is noticed; for all of them: `python -m tests.mutants`."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.mutants.mutate import mutants_of, source_of

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = 6


def test_a_sample_of_the_mutants_is_noticed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--sample", str(SAMPLE), "--seed", "5"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{SAMPLE} mutants, "), done.stdout
    assert ", 0 unnoticed, " in done.stdout


def test_each_comparison_is_inverted_and_its_boundary_shifted(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text("def least(a, b):\n    return a if 0 < a <= b else b\n", encoding="utf-8")
    mutants = list(mutants_of(file))
    file.write_text("edited meanwhile", encoding="utf-8")
    assert [ast.unparse(ast.parse(source_of(one))).splitlines()[1].strip() for one in mutants] == [
        "return a if 0 >= a <= b else b",
        "return a if 0 <= a <= b else b",
        "return a if 0 < a > b else b",
        "return a if 0 < a < b else b",
    ]
    assert len({one.name for one in mutants}) == len(mutants)
