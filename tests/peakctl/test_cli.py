"""The command line as a process: one line an error, the contract's exit codes, clean JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.contracts.documents import Namespace
from peakctl.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stderr.startswith("peakctl: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_help_and_version_need_no_workspace(real_cli: Run) -> None:
    assert "doctor" in real_cli("--help").stdout
    assert real_cli("--version").stdout.startswith("peakctl ")


def test_help_loads_no_room_that_is_slow() -> None:
    program = (
        "import sys, runpy\n"
        "sys.argv = ['peakctl', '--help']\n"
        "from peakctl.cli import main\n"
        "main()\n"
        "slow = ('aiohttp', 'pydantic', 'duckdb', 'pyarrow', 'textual', 'cryptography', 'uvloop')\n"
        "sys.stderr.write(repr([name for name in slow if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command"),
        (["status", "--nonsense"], "No such option"),
        (["verify"], "Missing argument"),
        (["status"], "not inside a workspace"),
        (["init", "/proc/nowhere"], "cannot be written"),
        (["verify", "nowhere"], "no such pack"),
        (["sandbox", "--speed", "fast"], "--speed"),
        (["demo", "--headless", "--replay", "nowhere"], "no such recording"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(cli: Run, arguments: list[str], words: str) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert words in one_line(done)
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["status"], ["status", "--json"], ["alarms", "list"], ["go", "show"]]
)
def test_without_an_engine_reads_of_now_exit_5(
    cli: Run, demo: Workspace, arguments: list[str]
) -> None:
    done = cli(*arguments, "-w", str(demo.root))
    assert done.returncode == 5
    assert "no engine answers" in one_line(done)
    assert done.stdout == ""


def test_every_config_problem_is_a_line_of_its_own(cli: Run, demo: Workspace) -> None:
    done = cli(
        "config",
        "check",
        "-w",
        str(demo.root),
        PEAKCTL__LIMITS__TYPO="1",
        PEAKCTL__MARKET__STALE_MS="soon",
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("peakctl: PEAKCTL__") for line in lines)


def test_config_show_names_the_origin_of_each_value(cli: Run, demo: Workspace) -> None:
    shown = cli("-w", str(demo.root), "config", "show", "--json")
    values = json.loads(shown.stdout)["values"]
    assert values["sandbox.enabled"] == {"value": "true", "origin": "config/peakctl.toml"}
    assert values["limits.max_position"]["origin"] == "defaults/base.toml"


def test_config_set_is_undone_when_it_does_not_load(cli: Run, demo: Workspace) -> None:
    before = demo.config_file.read_text()
    done = cli(
        *["config", "set", "limits.max_position", "99", "--reason", "x", "-w"], str(demo.root)
    )
    assert done.returncode == 2
    assert "may only tighten" in one_line(done)
    assert demo.config_file.read_text() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "show"],
        ["config", "diff"],
        ["limits"],
        ["people", "list"],
        ["session", "list"],
        ["session", "states"],
        ["session", "states", "--orders"],
        ["session", "states", "--refusals"],
        ["journal", "verify"],
        ["journal", "heads"],
        ["runbook"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_reads_print_json_and_only_json(cli: Run, demo: Workspace, arguments: list[str]) -> None:
    extra = [] if arguments[:2] == ["session", "states"] else ["-w", str(demo.root)]
    done = cli(*arguments, "--json", *extra)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    assert done.stderr == ""


def test_doctor_names_who_may_not_sign_all_that_the_role_signs(cli: Run, demo: Workspace) -> None:
    demo.allowed_signers.write_text(
        demo.allowed_signers.read_text(encoding="utf-8").replace(f",{Namespace.RUNLOG}", ""),
        encoding="utf-8",
    )
    done = cli("doctor", "-w", str(demo.root))
    assert done.returncode == 1
    assert "may not sign everything that their role signs: alice" in done.stdout


def test_doctor_says_what_is_wrong_and_exits_1(cli: Run, demo: Workspace) -> None:
    demo.log_key.chmod(0o644)
    done = cli("doctor", "-w", str(demo.root))
    assert done.returncode == 1
    assert "not well: keys" in one_line(done)
    assert "✖  keys" in done.stdout


def test_a_name_with_control_and_bidi_characters_is_shown_escaped(
    cli: Run, demo: Workspace
) -> None:
    (demo.runbooks / "evil\u202egnp.md").write_text("clear \x1b[2J\n")
    listed = cli("runbook", "-w", str(demo.root))
    assert "evil\\u202egnp" in listed.stdout
    shown = cli("runbook", "evil\u202egnp", "-w", str(demo.root))
    assert "\x1b" not in shown.stdout


def test_an_unforeseen_fault_is_one_line_and_a_crash_file_without_locals(
    demo: Workspace,
) -> None:
    program = (
        "import sys\n"
        "from peakctl.commands.running import guarded\n"
        "def fails():\n"
        "    word = 'local ' + str(6 * 7)\n"
        "    raise ZeroDivisionError('by us')\n"
        "sys.exit(guarded(fails, debug='--debug' in sys.argv))\n"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, "-w", str(demo.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run()
    assert done.returncode == 1
    assert "ZeroDivisionError" in one_line(done)
    (crash,) = demo.log.glob("crash-*.txt")
    assert crash.stat().st_mode & 0o777 == 0o600
    assert str(crash) in done.stderr
    assert "fails" in crash.read_text()
    assert "local 42" not in crash.read_text()
    assert "Traceback" in run("--debug").stderr


def test_people_add_writes_roster_and_signers_together(
    cli: Run, demo: Workspace, tmp_path: Path
) -> None:
    key = tmp_path / "carol"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    done = cli(
        *("people", "add", "carol", "reviewer", "--public-key", f"{key}.pub", "--reason", "x"),
        *("--name", "Carol", "-w", str(demo.root)),
    )
    assert done.returncode == 0, done.stderr
    assert "rev:carol namespaces=" in demo.allowed_signers.read_text()
    listed = json.loads(cli("people", "list", "--json", "-w", str(demo.root)).stdout)
    assert [person["id"] for person in listed] == ["alice", "bob", "carol"]
