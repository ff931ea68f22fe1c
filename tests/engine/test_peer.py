"""What the kernel knows of a peer: read, or unknown; never the peer's own word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.peer import login_of


@pytest.mark.parametrize(
    ("written", "read"),
    [("1000\n", "1000"), ("0", "0"), ("4294967295", ""), ("", ""), ("-1", ""), ("root", "")],
)
def test_a_login_is_a_number_or_not_known(tmp_path: Path, written: str, read: str) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "loginuid").write_text(written)
    assert login_of(7, tmp_path) == {"loginuid": read, "audit_session": ""}


def test_a_process_that_is_gone_is_not_known(tmp_path: Path) -> None:
    assert login_of(7, tmp_path) == {"loginuid": "", "audit_session": ""}


def test_this_process_has_a_login_or_none() -> None:
    assert all(text == "" or text.isdigit() for text in login_of(os.getpid()).values())
