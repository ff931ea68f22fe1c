"""What may run as a job: our own commands that take long, by name, with what each of them takes.

The table is the whole of it. A word that is no command here, an option that the row does not name
and a word too many are refused before anything starts; nothing goes through a shell. No row signs,
approves, trades or changes a limit, and each command asks the engine and its locks like at any
terminal. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.contracts.errors import InputError


class JobKind(NamedTuple):
    """One command that may run as a job.

    `arguments` are all needed, `options` have a value each, `flags` none. `nice` is how far it
    steps back behind what trades; `grace_seconds` is how long it has after SIGTERM to clean up.
    """

    words: tuple[str, ...]
    about: str
    arguments: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    flags: tuple[str, ...] = ("--json",)
    nice: int = 10
    grace_seconds: int = 5

    @property
    def usage(self) -> str:
        """The command as it is typed behind `peakctl`."""
        optional = [*(f"[{one} …]" for one in self.options), *(f"[{one}]" for one in self.flags)]
        return " ".join((*self.words, *self.arguments, *optional))


JOB_KINDS = (
    JobKind(
        ("verify",),
        "a sealed pack, a revision or a folder of packs",
        arguments=("PACK",),
        options=("--allowed-signers", "--revoked"),
    ),
    JobKind(("journal", "verify"), "every byte of the journal, its heads and their signatures"),
    JobKind(
        ("store", "rebuild"),
        "the store compared with the journal, made again and hashed; no engine may be running",
        flags=(),
    ),
    # A drill is measured: it does not step back. It ends an engine and an exchange of its own.
    JobKind(
        ("drill", "run"),
        "a rehearsed failure on a desk of its own, measured",
        arguments=("NAME",),
        options=("--person",),
        nice=0,
        grace_seconds=60,
    ),
    JobKind(
        ("risk", "report"),
        "value at risk, backtest and stress; goes into the journal under your name",
        options=("--person",),
    ),
)


def kind_of(words: Sequence[str]) -> JobKind:
    """The row that a command line belongs to. Raises InputError."""
    for kind in JOB_KINDS:
        if tuple(words[: len(kind.words)]) == kind.words:
            _check(kind, words[len(kind.words) :])
            return kind
    raise InputError(
        what=f"{' '.join(words)[:60]!r} does not run as a job",
        where="job run",
        todo=f"these do: {', '.join(' '.join(one.words) for one in JOB_KINDS)}",
    )


def _check(kind: JobKind, rest: Sequence[str]) -> None:
    """Refuse what the row does not name."""
    given = 0
    following = iter(rest)
    for word in following:
        name, sign, _ = word.partition("=")
        if name in kind.options:
            if not sign and next(following, "-").startswith("-"):
                raise _unfit(kind, f"{name} has no value")
        elif word.startswith("-"):
            if word not in kind.flags:
                raise _unfit(kind, f"{word[:40]!r} is not for a job")
        else:
            given += 1
    if given != len(kind.arguments):
        raise _unfit(kind, f"takes {len(kind.arguments)} arguments, there are {given}")


def _unfit(kind: JobKind, what: str) -> InputError:
    return InputError(
        what=what, where=f"job run {' '.join(kind.words)}", todo=f"as in: {kind.usage}"
    )
