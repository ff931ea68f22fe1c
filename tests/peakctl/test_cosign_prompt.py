"""`peakctl cosign` on a terminal: packet first, then prompts; nothing typed before counts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from engine.contracts.canonical import sha256_hex
from engine.governance.packet import build_packet
from engine.governance.wordlist import short_code
from tests.engine.governance.conftest import REV_NONCE, packet_facts
from tests.faults.conftest import ROOT

LIMIT = "500"
Spawn = Callable[[], pexpect.spawn]


@pytest.fixture
def packet(tmp_path: Path) -> bytes:
    content = build_packet(packet_facts())
    (tmp_path / "go.json").write_bytes(content)
    return content


@pytest.fixture
def cosign(tmp_path: Path, packet: bytes) -> Spawn:
    """The command in a terminal, where there is a packet and nothing else."""

    def run() -> pexpect.spawn:
        said = ("--packet", "go.json", "--decision", "GO", "--nonce", REV_NONCE)
        return pexpect.spawn(
            sys.executable,
            ["-P", "-m", "peakctl", "cosign", *said, "--document", "cosign.json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            dimensions=(60, 160),
            timeout=30,
            encoding="utf-8",
        )

    return run


def test_what_was_typed_before_the_prompt_is_dropped(
    cosign: Spawn, packet: bytes, tmp_path: Path
) -> None:
    code = short_code(sha256_hex(packet))
    terminal = cosign()
    terminal.send("junk-junk-junk-junk\n1\n")
    terminal.expect("limit max_order_notional +500")
    terminal.expect("short code, as the operator reads it out: ")
    assert code not in (terminal.before or ""), "it is read aloud, never shown"
    terminal.expect(pexpect.TIMEOUT, timeout=1.6)  # the least reading time
    terminal.sendline(code)
    terminal.expect("max_order_notional, as the packet has it: ")
    terminal.sendline(LIMIT)
    terminal.expect("wrote cosign.json")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    told = json.loads((tmp_path / "cosign.json").read_bytes())
    assert (told["short_code"], told["typed_limit"]) == (code, LIMIT)
    assert told["reviewer"]["uid"] is None
    assert told["reviewer"]["signals"] == {}


def test_an_answer_within_the_least_reading_time_is_none(cosign: Spawn, tmp_path: Path) -> None:
    terminal = cosign()
    terminal.expect("reads it out: ")
    terminal.sendline("one-two-three-four")
    terminal.expect("packet has it: ")
    terminal.sendline(LIMIT)
    terminal.expect("has just appeared")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 4
    assert not (tmp_path / "cosign.json").exists()
