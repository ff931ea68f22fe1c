"""Help of every command and the shells' completion scripts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from peakctl.cli import app
from peakctl.workspace import Workspace

Run = Callable[..., subprocess.CompletedProcess[str]]


def _commands() -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command and group with its help text."""

    def walk(command: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        yield path, str(getattr(command, "help", "") or "")
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, (*path, name))

    yield from walk(typer.main.get_command(app), ())


COMMANDS = dict(_commands())


def test_the_contracts_commands_are_there() -> None:
    for name in ("review", "demo", "init", "kill", "status", "snapshot", "doctor", "cosign"):
        assert (name,) in COMMANDS
    for path in (("session", "states"), ("go", "export"), ("journal", "heads"), ("latch", "sign")):
        assert path in COMMANDS


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "peakctl")
def test_help_opens_with_a_sentence(path: tuple[str, ...]) -> None:
    first = COMMANDS[path].strip().split("\n\n")[0].replace("\n", " ")
    assert first.endswith("."), first
    assert first[0].isupper() or first.startswith("`")
    assert len(first) <= 100, first


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "peakctl")
def test_help_is_printed_without_a_workspace(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*path, "--help"], prog_name="peakctl")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Usage: peakctl")
    assert done.stderr == ""


@pytest.mark.parametrize("path", [(), ("kill",), ("go", "export")], ids=" ".join)
def test_help_is_printed_by_the_program(cli: Run, path: tuple[str, ...]) -> None:
    done = cli(*path, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: peakctl")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("shell", "words"),
    [("bash", "complete -o default"), ("zsh", "#compdef peakctl"), ("fish", "complete --command")],
)
def test_a_completion_script_is_printed_for_each_shell(cli: Run, shell: str, words: str) -> None:
    done = cli("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0, done.stderr
    assert "_PEAKCTL_COMPLETE" in done.stdout
    assert words in done.stdout
    assert done.stderr == ""


def test_completion_knows_the_commands_of_a_group(cli: Run) -> None:
    done = cli(_PEAKCTL_COMPLETE="complete_bash", COMP_WORDS="peakctl latch ", COMP_CWORD="2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["show", "document", "sign", "release"]


def test_completion_is_installed_for_the_shell_one_is_in(cli: Run, tmp_path: Path) -> None:
    done = cli(
        *("--install-completion", "bash"),
        HOME=str(tmp_path),
        _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1",
    )
    assert done.returncode == 0, done.stderr
    assert "_PEAKCTL_COMPLETE" in (tmp_path / ".bash_completions" / "peakctl.sh").read_text()


def test_completion_knows_the_names_of_this_workspace(cli: Run, demo: Workspace) -> None:
    offered = {
        "runbook ": "session_paper",
        "limits set max_order_": "max_order_notional",
        "config set limits.max_order_n": "limits.max_order_notional",
        "drill run kill": "kill_switch",
        "store views ": "orders",
        "people revoke ": "alice",
    }
    for line, word in offered.items():
        words = f"peakctl {line}"
        done = cli(
            _PEAKCTL_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split(" ")) - 1),
            PEAKCTL_WORKSPACE=str(demo.root),
        )

        assert word in done.stdout.split(), done


def test_completion_outside_a_workspace_offers_nothing_and_says_nothing(cli: Run) -> None:
    done = cli(_PEAKCTL_COMPLETE="complete_bash", COMP_WORDS="peakctl runbook ", COMP_CWORD="2")
    assert (done.stdout.strip(), done.stderr) == ("", "")
