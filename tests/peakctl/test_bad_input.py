"""Issue 2's list of bad input with real processes: one clear line, the exit code, nothing lost."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import load
from engine.contracts.errors import ConfigError
from peakctl.commands.running import guarded
from peakctl.tools import read_settings
from peakctl.workspace import Workspace
from tests.screens.conftest import DUAL

Run = Callable[..., subprocess.CompletedProcess[str]]

NOBODY = 65534
#: Root's rights pass every mode; and only root may give a folder away.
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stderr.startswith("peakctl: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but logs, to see that nothing was lost or changed."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "log"
    }


# --- config ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words", "command"),
    [
        (text, words, command)
        for text, words, commands in (
            (
                "[limits]\ntypo = 1\n",
                ("limits.typo: unknown key", "allowed: limits.max_order_qu"),
                ("config check", "config show", "config diff", "limits", "engine"),
            ),
            ('[market]\nstale_ms = "soon"\n', ("market.stale_ms", "soon"), ("config check",)),
            ("[limits\n", ("line 1", "not TOML"), ("config check", "engine")),
            (
                'environment = "moon"\n',
                ("environment", "dev, shadow, testnet, prod"),
                ("config check", "limits"),
            ),
        )
        for command in commands
    ],
)
def test_bad_config_names_file_key_and_what_is_allowed(
    cli: Run, demo: Workspace, command: str, text: str, words: tuple[str, ...]
) -> None:
    demo.config_file.write_text(text)
    before = contents(demo.root)
    done = cli(*command.split(), "-w", str(demo.root))
    assert done.returncode == 2
    line = one_line(done)
    assert "config/peakctl.toml" in line
    assert all(word in line for word in words), line
    assert contents(demo.root) == before


@pytest.mark.parametrize(
    ("content", "words", "command"),
    [
        (b"[[people]\n", "not TOML", "people list"),
        (b"[[people]\n", "not TOML", "snapshot"),
        (b"[[people]\n", "not TOML", "engine"),
        (b"people = 3\n", "not a list of tables", "people list"),
        (b'[[people]]\nid = "a"\n', "missing required field", "people list"),
        (b"\xff\xfe", "not TOML", "people list"),
        (None, "cannot be read", "people list"),
        (None, "cannot be read", "engine"),
    ],
)
def test_a_broken_roster_is_named(
    cli: Run, demo: Workspace, command: str, content: bytes | None, words: str
) -> None:
    demo.people_file.unlink()
    if content is not None:
        demo.people_file.write_bytes(content)
    done = cli(*command.split(), "-w", str(demo.root))
    assert done.returncode == 2
    line = one_line(done)
    assert "people.toml" in line
    assert words in line


@pytest.mark.parametrize("file", ["people.toml", "allowed_signers"])
def test_nobody_is_added_where_a_file_is_missing(
    cli: Run, demo: Workspace, tmp_path: Path, file: str
) -> None:
    key = tmp_path / "carol"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (demo.root / "config" / file).unlink()
    before = contents(demo.root)
    done = cli(
        *("people", "add", "carol", "reviewer", "--public-key", f"{key}.pub"),
        *("--reason", "x", "-w", str(demo.root)),
    )
    assert done.returncode == 2
    assert f"{file}: cannot be read" in one_line(done)
    assert contents(demo.root) == before


def test_verifying_heads_without_allowed_signers_names_the_file(cli: Run, demo: Workspace) -> None:
    demo.allowed_signers.unlink()
    done = cli("journal", "verify", "-w", str(demo.root))
    assert done.returncode == 2
    assert "allowed_signers: cannot be read" in one_line(done)


# --- workspace, processes ----------------------------------------------------------------------


@AS_ROOT
@pytest.mark.parametrize("command", ["engine", "doctor", "store rebuild", "config set a b"])
def test_a_workspace_of_another_user_is_not_run(cli: Run, demo: Workspace, command: str) -> None:
    os.chown(demo.root, NOBODY, NOBODY)
    before = contents(demo.root)
    done = cli(*command.split(), "-w", str(demo.root))
    assert done.returncode == 2
    assert f"belongs to uid {NOBODY}, you are uid 0" in one_line(done)
    assert contents(demo.root) == before


@AS_ROOT
def test_a_reviewer_reads_the_config_of_anothers_workspace_and_nothing_acts_on_it(
    demo: Workspace,
) -> None:
    for path in (demo.root, demo.config_file):
        os.chown(path, NOBODY, NOBODY)
    assert read_settings(demo, {}).session.min_dwell_ms == 1500
    with pytest.raises(ConfigError, match=f"owned by uid {NOBODY}"):
        load(demo.root, {})
    os.chown(demo.config_file, NOBODY - 1, NOBODY)
    with pytest.raises(ConfigError, match=f"owned by uid {NOBODY - 1}"):
        read_settings(demo, {})


@AS_ROOT
def test_nothing_is_founded_in_a_folder_of_another_user(cli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    for command in (("init", str(folder)), ("demo", "--headless", "--workspace", str(folder))):
        done = cli(*command)
        assert done.returncode == 2
        assert f"belongs to uid {NOBODY}" in one_line(done)
    assert list(folder.iterdir()) == []


def test_what_may_not_be_read_is_its_owners_affair(capsys: pytest.CaptureFixture[str]) -> None:
    def read() -> int:
        raise PermissionError(13, "Permission denied", "/theirs/journal")

    assert guarded(read, debug=False) == 2
    said = capsys.readouterr().err
    assert said == "peakctl: /theirs/journal: Permission denied; ask its owner for access\n"


def test_a_folder_with_something_in_it_is_not_made_a_workspace(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "mine.txt").write_text("keep")
    for command in (("init", "w"), ("demo", "--headless", "--workspace", "w")):
        done = cli(*command)
        assert done.returncode == 2
        assert "not empty" in one_line(done)
    assert contents(tmp_path) == {"w/mine.txt": b"keep"}


def test_a_port_in_use_is_named(cli: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = cli("sandbox", "--port", str(port))
    assert done.returncode == 2
    line = one_line(done)
    assert str(port) in line
    assert "port is in use" in line
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"garbage\n", "does not start with a time"),
        (b'1723161600001658384 {"stream":\n', "not a stream message"),
        (b"\xff\xfe\x00\n", ""),
        (b"", ""),
        (b"\x1f\x8b\x08\x00cut", ""),
    ],
)
def test_a_malformed_recording_names_file_and_line(
    cli: Run, tmp_path: Path, content: bytes, words: str
) -> None:
    name = "r.txt.gz" if content.startswith(b"\x1f\x8b") else "r.txt"
    (tmp_path / name).write_bytes(content)
    done = cli("sandbox", "--replay", name)
    assert done.returncode == 2
    line = one_line(done)
    assert name in line
    assert words in line
    assert done.stdout == ""
    played = cli("demo", "--headless", "--replay", name, "--workspace", "w")
    assert played.returncode == 2
    line = one_line(played)
    assert f"{name}:" in line
    assert words in line
    assert "while starting" not in line


# --- ssh-keygen --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--headless", "--workspace", "new"),
        ("init", "new"),
        ("dual", "sign", "--file", "loosen.json", "--role", "operator"),
    ],
    ids=lambda words: words[0],
)
def test_without_ssh_keygen_the_package_to_install_is_named(
    cli: Run, demo: Workspace, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "loosen.json").write_text(DUAL.document)
    extra = () if "new" in arguments else ("-w", str(demo.root))
    done = cli(*arguments, *extra, PATH=str(tmp_path / "nowhere"))
    assert done.returncode == 2
    line = one_line(done)
    assert "ssh-keygen was not found on PATH" in line
    assert "openssh-client" in line
    assert not (tmp_path / "loosen.json.op.sig").exists()


def test_doctor_without_ssh_keygen_says_so_among_the_rest(
    cli: Run, demo: Workspace, tmp_path: Path
) -> None:
    done = cli("doctor", "-w", str(demo.root), PATH=str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "ssh-keygen" in one_line(done)
    assert "install the OpenSSH client" in done.stdout


def test_doctor_is_content_with_ssh_keygen_alone(cli: Run, demo: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    found = shutil.which("ssh-keygen")
    assert found is not None
    (tmp_path / "bin" / "ssh-keygen").symlink_to(found)
    done = cli("doctor", "-w", str(demo.root), PATH=str(tmp_path / "bin"))
    assert done.returncode == 0, done.stderr
    assert "version unknown" in done.stdout


# --- packs, runbooks, no engine ----------------------------------------------------------------


def test_what_was_never_a_pack_is_a_no_in_one_line(cli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    done = cli("verify", "folder")
    assert done.returncode == 1
    assert "not a pack" in one_line(done)
    (tmp_path / "file").write_text("a")
    done = cli("verify", "file")
    assert done.returncode == 2
    assert "no such pack" in one_line(done)


def test_an_unreadable_runbook_is_named(cli: Run, demo: Workspace) -> None:
    (demo.runbooks / "bytes.md").write_bytes(b"ok \xff\xfe")
    (demo.runbooks / "folder.md").mkdir()
    for name, words in (
        ("bytes", "not UTF-8"),
        ("folder", "cannot be read"),
        ("none", "there are"),
    ):
        done = cli("runbook", name, "-w", str(demo.root))
        assert done.returncode == 2
        assert words in one_line(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ("snapshot", "--person", "alice"),
        ("store", "query", "select 1", "--person", "alice"),
        ("alarms", "ack", "a1", "--person", "alice"),
        ("incident", "text", "--person", "alice"),
        ("cosign", "--decision", "NO-GO", "--reason", "r", "--code", "c"),
        ("latch", "show"),
    ],
    ids=" ".join,
)
def test_without_an_engine_exit_5(cli: Run, demo: Workspace, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments, "-w", str(demo.root))
    assert done.returncode == 5
    assert "no engine answers" in one_line(done)
    assert done.stdout == ""


def test_a_decision_that_is_none_is_refused_before_anything_else(cli: Run, demo: Workspace) -> None:
    done = cli("cosign", "--decision", "MAYBE", "-w", str(demo.root))
    assert done.returncode == 2
    assert "say one of GO, NO-GO, ABSTAIN" in one_line(done)
