"""The list of who may sign what: OpenSSH's `allowed_signers`, with everything loose refused.

One principal, one key, one role per line, each with its namespaces. Refused with the line's
number: wildcards and lists of principals (a `*@desk` line lets an operator key verify as the
reviewer), `cert-authority`, lines without `namespaces=`, namespaces of both roles on one line, a
principal or a key that occurs twice, key types other than Ed25519, and validity times that are
not UTC (OpenSSH reads a time without `Z` in the local zone of whoever verifies).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from engine.contracts.documents import OPERATOR_NAMESPACES, REVIEWER_NAMESPACES
from engine.contracts.errors import ConfigError, InputError
from engine.signatures.sshsig import fingerprint, parse_public_line

_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_OPTION = re.compile(r'([a-z-]+)(?:="([^"]*)")?(?:,|$)')
_SECOND_US = 1_000_000
_TIME = re.compile(r"([0-9]{8})([0-9]{4})?([0-9]{2})?Z")
_LINE = re.compile(
    r'(?P<principal>\S+)[ \t]+(?:(?P<options>(?:[^\s"]|"[^"]*")+)[ \t]+)??'
    r"(?P<key>(?:sk-)?(?:ssh|ecdsa)-\S+[ \t]+\S+)(?P<comment>[ \t].*)?"
)


class AllowedSigner(msgspec.Struct, frozen=True, kw_only=True):
    """One line. Validity in µs UTC, None where not limited.

    As ssh-keygen has it, by whole seconds and with both ends: the second of `valid_before_us` is
    the last one in which the key is good.
    """

    principal: str
    namespaces: tuple[str, ...]
    public_key_blob: bytes
    valid_after_us: int | None = None
    valid_before_us: int | None = None

    @property
    def fingerprint(self) -> str:
        """OpenSSH's name of the key."""
        return fingerprint(self.public_key_blob)


class AllowedSigners(msgspec.Struct, frozen=True):
    """The parsed file."""

    signers: tuple[AllowedSigner, ...]

    def by_principal(self, principal: str) -> AllowedSigner | None:
        """The one line of this principal."""
        return next((row for row in self.signers if row.principal == principal), None)

    def find(self, principal: str, namespace: str, at_us: int) -> AllowedSigner:
        """The line that lets this principal sign in this namespace at this time (µs UTC).

        Raises InputError with the reason when there is none.
        """
        row = self.by_principal(principal)
        where = "allowed_signers"
        if row is None:
            raise InputError(what=f"{principal!r} is not listed", where=where, todo="add the key")
        if namespace not in row.namespaces:
            raise InputError(what=f"{principal} may not sign in {namespace}", where=where)
        if row.valid_after_us is not None and at_us < row.valid_after_us:
            raise InputError(what=f"the key of {principal} is not valid yet", where=where)
        if row.valid_before_us is not None and at_us >= row.valid_before_us + _SECOND_US:
            raise InputError(
                what=f"the key of {principal} is no longer valid", where=where, todo="renew it"
            )
        return row


def parse_allowed_signers(text: str, where: str = "allowed_signers") -> AllowedSigners:
    """Parse the whole file. Raises ConfigError naming the first line that is not acceptable."""
    rows: list[AllowedSigner] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        row = _parse_line(line, f"{where}: line {number}")
        for other in rows:
            if other.principal == row.principal:
                raise _refuse(f"{row.principal} is listed twice", f"{where}: line {number}")
            if other.public_key_blob == row.public_key_blob:
                raise _refuse(
                    f"{row.principal} and {other.principal} have the same key",
                    f"{where}: line {number}",
                )
        rows.append(row)
    return AllowedSigners(tuple(rows))


def _refuse(what: str, where: str, todo: str = "") -> ConfigError:
    return ConfigError(what=what, where=where, todo=todo or "correct the line")


def _parse_line(line: str, where: str) -> AllowedSigner:
    if not line.isprintable() and not line.replace("\t", " ").isprintable():
        raise _refuse("a control character in the line", where)
    match = _LINE.fullmatch(line)
    if match is None:
        raise _refuse(
            "not of the form: principal options key", where, 'write op:name namespaces="..." key'
        )
    principal = match["principal"]
    if not _PRINCIPAL.fullmatch(principal):
        raise _refuse(f"principal {principal[:40]!r} is a pattern or a list", where, "name one")
    options = _parse_options(match["options"] or "", where)
    try:
        blob = parse_public_line(match["key"], where)
    except InputError as error:
        raise _refuse(error.what, where, error.todo) from error
    return AllowedSigner(
        principal=principal,
        namespaces=_namespaces(options, where),
        public_key_blob=blob,
        valid_after_us=_time(options.get("valid-after"), where),
        valid_before_us=_time(options.get("valid-before"), where),
    )


def _parse_options(text: str, where: str) -> dict[str, str]:
    options: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _OPTION.match(text, at)
        if match is None or match[1] not in {"namespaces", "valid-after", "valid-before"}:
            raise _refuse(f"option {text[at : at + 30]!r} is not accepted", where)
        if match[2] is None or match[1] in options:
            raise _refuse(f"option {match[1]} needs one quoted value, once", where)
        options[match[1]] = match[2]
        at = match.end()
    return options


def _namespaces(options: dict[str, str], where: str) -> tuple[str, ...]:
    names = tuple(options["namespaces"].split(",")) if "namespaces" in options else ()
    if not names:
        raise _refuse("no namespaces= on the line", where, "say what the key may sign")
    for name in names:
        if not _NAMESPACE.fullmatch(name):
            raise _refuse(f"namespace {name[:40]!r} is a pattern or empty", where)
    if set(names) & set(OPERATOR_NAMESPACES) and set(names) & set(REVIEWER_NAMESPACES):
        raise _refuse("one key may not sign for both roles", where, "one role a line")
    return names


def _time(text: str | None, where: str) -> int | None:
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise _refuse(f"time {text[:20]!r} is not UTC", where, "write YYYYMMDD[HHMM[SS]]Z")
    digits = match[1] + (match[2] or "0000") + (match[3] or "00")
    try:
        moment = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise _refuse(f"time {text!r} does not exist", where) from error
    return int(moment.timestamp()) * 1_000_000


def allowed_signers_line(principal: str, namespaces: Sequence[str], public_line: str) -> str:
    """One line of the file, newline included, for a key's `.pub` line."""
    kind, key = public_line.split()[:2]
    line = f'{principal} namespaces="{",".join(namespaces)}" {kind} {key}\n'
    parse_allowed_signers(line, where=principal)
    return line
