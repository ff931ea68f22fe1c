"""Whether operator and reviewer look like one person: independent signals, and a policy in rows.

Each signal compares what is known of both as `same`, `different` or `unknown`; unset is never
"different" (the kernel writes 4294967295 for a login that it does not know). All of them go into
the signed packet and the journal; what each means is a row of `SIGNAL_RULES`, a row per party is in
`PARTY_RULES`. Somebody who holds both private keys and two logins cannot be told from two people by
software: `HARDWARE_MODES` is the answer to that. Pure.

Sources: uid by SO_PEERCRED; login and audit session by `/proc/<pid>` (they survive su and sudo);
tty, ssh peer and agent as a process says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from engine.contracts.session import Mode
from engine.governance.shapes import Party
from engine.governance.verdict import Denied

SAME, DIFFERENT, UNKNOWN = "same", "different", "unknown"
_UNSET = frozenset({"", "-1", "4294967295"})


class Weight(StrEnum):
    """When a finding forbids the approval."""

    ALWAYS = "always"
    #: unless the one-uid waiver of `dev` is in force, which the packet shows
    UNLESS_WAIVED = "unless waived"
    LIVE = "in mode live"
    RECORDED = "never, it is recorded"


class SignalRule(msgspec.Struct, frozen=True, kw_only=True):
    """One signal: what `same` and `unknown` mean, under which code, and what to do."""

    signal: str
    same: Weight
    unknown: Weight
    code: str
    todo: str
    unknown_code: str = ""


class PartyRule(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a party's own process may say that weighs by itself."""

    signal: str
    value: str
    weight: Weight
    code: str
    todo: str


SIGNAL_RULES: tuple[SignalRule, ...] = (
    SignalRule(
        signal="person",
        same=Weight.ALWAYS,
        unknown=Weight.ALWAYS,
        code="SAME_PERSON",
        todo="operator and reviewer are one person; find a second one",
    ),
    SignalRule(
        signal="fingerprint",
        same=Weight.ALWAYS,
        unknown=Weight.ALWAYS,
        code="SAME_FINGERPRINT",
        todo="both use one key; give each person their own",
    ),
    SignalRule(
        signal="uid",
        same=Weight.UNLESS_WAIVED,
        unknown=Weight.UNLESS_WAIVED,
        code="SAME_UID",
        unknown_code="UID_UNKNOWN",
        todo="both work as one Unix user; the reviewer needs an own login",
    ),
    SignalRule(
        signal="loginuid",
        same=Weight.UNLESS_WAIVED,
        unknown=Weight.RECORDED,
        code="SAME_LOGIN",
        todo="both came in by one login; log in separately",
    ),
    SignalRule(
        signal="audit_session",
        same=Weight.UNLESS_WAIVED,
        unknown=Weight.RECORDED,
        code="SAME_LOGIN",
        todo="both came in by one login session; log in separately",
    ),
    SignalRule(
        signal="tty",
        same=Weight.UNLESS_WAIVED,
        unknown=Weight.RECORDED,
        code="SAME_TTY",
        todo="both used one terminal; the reviewer needs an own one",
    ),
    SignalRule(
        signal="ssh_peer",
        same=Weight.RECORDED,
        unknown=Weight.RECORDED,
        code="SAME_ADDRESS",
        todo="both came from one address",
    ),
)

PARTY_RULES: tuple[PartyRule, ...] = (
    PartyRule(
        signal="agent",
        value="forwarded",
        weight=Weight.LIVE,
        code="AGENT_FORWARDED",
        todo="whoever is root here can sign with a forwarded agent; sign without one",
    ),
)

#: What a process may say of itself. Anything else is not taken.
OBSERVED = ("loginuid", "audit_session", "tty", "ssh_peer", "agent")
_LONGEST = 120


def observed(signals: Mapping[str, str]) -> dict[str, str]:
    """What is taken over of a process's own words: known names, short, printable ASCII."""
    return {
        name: "".join(c for c in signals[name][:_LONGEST] if c.isascii() and c.isprintable())
        for name in OBSERVED
        if name in signals
    }


def same_person_signals(operator: Party, reviewer: Party) -> dict[str, str]:
    """Each independent signal as `same`, `different` or `unknown`."""
    return {
        rule.signal: _compare(_value(operator, rule.signal), _value(reviewer, rule.signal))
        for rule in SIGNAL_RULES
    }


def judge_same_person(
    operator: Party, reviewer: Party, *, mode: str, waived: bool
) -> Denied | None:
    """The first row that forbids an approval by these two, None when none does."""
    forbids = {
        Weight.ALWAYS: True,
        Weight.UNLESS_WAIVED: not waived,
        Weight.LIVE: mode == Mode.LIVE,
        Weight.RECORDED: False,
    }
    found = same_person_signals(operator, reviewer)
    for rule in SIGNAL_RULES:
        if found[rule.signal] == SAME and forbids[rule.same]:
            return Denied(rule.code, rule.todo)
        if found[rule.signal] == UNKNOWN and forbids[rule.unknown]:
            code = rule.unknown_code or rule.code
            return Denied(code, f"{rule.signal} is not known; connect through the socket")
    for row in PARTY_RULES:
        for party in (operator, reviewer):
            if party.signals.get(row.signal) == row.value and forbids[row.weight]:
                return Denied(row.code, f"{party.person}: {row.todo}")
    return None


def _value(party: Party, signal: str) -> str:
    match signal:
        case "person":
            return party.person
        case "fingerprint":
            return party.fingerprint
        case "uid":
            return "" if party.uid is None else str(party.uid)
        case _:
            return party.signals.get(signal, "")


def _compare(one: str, other: str) -> str:
    if one in _UNSET or other in _UNSET:
        return UNKNOWN
    return SAME if one == other else DIFFERENT


def policy_rows() -> tuple[tuple[str, str, str, str], ...]:
    """The policy as printed: signal, when `same` forbids, when `unknown` forbids, code."""
    return (
        *((r.signal, r.same.value, r.unknown.value, r.code) for r in SIGNAL_RULES),
        *(
            (f"{r.signal} {r.value}", r.weight.value, Weight.RECORDED.value, r.code)
            for r in PARTY_RULES
        ),
    )
