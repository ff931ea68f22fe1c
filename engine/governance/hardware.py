"""Hardware (FIDO) keys: a counter that only rises, and where nothing less than such a key counts.

A FIDO key counts its signatures and signs the count. Two signatures with the same count, or a
lower one after a higher one, mean that two devices hold the key, or that a signature is handed in
again: it is refused and somebody is told. What is remembered is a fold over the journal, so it
survives a restart and cannot be set back without the heads noticing. Every event that accepts a
signature carries `fingerprint` and `counter`; a new one is folded by itself.

ssh-keygen checks none of this (PROTOCOL.u2f leaves it to the verifier): flags are judged in
`engine.signatures.sshsig`, the counter and the policy here. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import msgspec

from engine.contracts.event import AnyEvent, Recorded
from engine.contracts.session import Mode
from engine.governance.verdict import Denied, SignatureVerdict

#: Modes in which the reviewer's key must be a hardware key: no program signs without a touch.
HARDWARE_MODES = frozenset({Mode.LIVE})

KEY_CLONED = "KEY_CLONED"
HARDWARE_KEY = "HARDWARE_KEY"


def _carries(kind: type[msgspec.Struct]) -> bool:
    return {"fingerprint", "counter"} <= set(kind.__struct_fields__)


#: Events that accept one signature: whatever has both fields.
_CARRIERS: frozenset[type] = frozenset(kind for kind in get_args(AnyEvent) if _carries(kind))


class CounterFold:
    """The highest count that was accepted of each hardware key, by fingerprint."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}

    def apply(self, recorded: Recorded) -> None:
        """Fold one event in place; a signature of an ordinary key changes nothing."""
        event = recorded.event
        if type(event) not in _CARRIERS:
            return
        counter, key = getattr(event, "counter", None), getattr(event, "fingerprint", "")
        if counter is not None and counter > self.last.get(key, -1):
            self.last[key] = counter


def judge_counter(
    verdict: SignatureVerdict | None, last: Mapping[str, int] | None
) -> Denied | None:
    """Judge the count of a signature that is handed in for the first time; `last` is the fold's.

    Signatures of ordinary keys have none. What is not known blocks (I12).
    """
    if verdict is None or verdict.sk_counter is None:
        return None
    if last is None:
        return Denied("COUNTER_UNKNOWN", "the key's last count is not known; try again")
    before = last.get(verdict.fingerprint)
    if before is not None and verdict.sk_counter <= before:
        return Denied(
            KEY_CLONED,
            f"the hardware key {verdict.fingerprint} counts {verdict.sk_counter}, it has counted"
            f" {before} before: a copy of the key may exist, or this was handed in already",
        )
    return None


def judge_hardware(mode: str, verdict: SignatureVerdict | None) -> Denied | None:
    """Judge whether the reviewer's key is good enough for this mode."""
    if mode in HARDWARE_MODES and (verdict is None or verdict.sk_counter is None):
        return Denied(
            HARDWARE_KEY,
            f"mode {mode} asks for a reviewer with a hardware key (ed25519-sk); use that one",
        )
    return None
