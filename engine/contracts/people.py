"""People and automata: everything that happens has a name on it (I8)."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """What a person may be in one session; one person has one role a session."""

    OPERATOR = "operator"
    REVIEWER = "reviewer"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the roster (`config/people.toml`).

    `principal` is the name in `allowed_signers` (`op:alice`); `fingerprint` the OpenSSH
    `SHA256:...` of the one key; `uid` the Unix user the person works as, or None where one account
    is shared (allowed only under the same-uid waiver). `demo` keys count in `dev` only.
    """

    id: str
    name: str
    role: Role
    principal: str
    fingerprint: str
    uid: int | None = None
    demo: bool = False


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who caused an event, and how we know.

    `kind` is `person` or `automaton`; `name` a person's id or an automaton's name (`engine`,
    `watchdog`, `attendance`); `proof` is `peer-uid:1000`, `sshsig:SHA256:...` or `process`.
    """

    kind: str
    name: str
    proof: str


def automaton(name: str) -> Actor:
    """The actor for something the engine did by rule."""
    return Actor(kind="automaton", name=name, proof="process")


def person(name: str, proof: str) -> Actor:
    """The actor for something a person did."""
    return Actor(kind="person", name=name, proof=proof)


ENGINE = automaton("engine")
