"""The BagIt 1.0 words (RFC 8493) as we use them: names, manifests, bag-info. Pure text.

We write a strict subset: ASCII names of a small alphabet, sha256 only, two spaces between hash and
name (which `sha256sum -c` wants), sorted lines, one line feed at the end of each. The parser takes
exactly that subset and nothing else, because everything outside it has fooled some validator:
duplicate lines, `..`, absolute names, backslash escapes, CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath

from engine.contracts.documents import SIGNED_REPORTS
from engine.contracts.errors import IntegrityError
from engine.contracts.people import Role

BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

BAGIT_NAME = "bagit.txt"
INFO_NAME = "bag-info.txt"
MANIFEST_NAME = "manifest-sha256.txt"
TAGMANIFEST_NAME = "tagmanifest-sha256.txt"
_SUFFIXES = {Role.OPERATOR: "op.sig", Role.REVIEWER: "rev.sig"}


def signature_name(document: str, role: Role) -> str:
    """Where a person's signature of a document of the bag lies: at the top, in no manifest.

    So the tag manifest is the same before and after anybody has signed, and one person can sign it
    and the reports in one go.
    """
    return f"{PurePosixPath(document).name}.{_SUFFIXES[role]}"


OPERATOR_SIGNATURE_NAME = signature_name(TAGMANIFEST_NAME, Role.OPERATOR)
REVIEWER_SIGNATURE_NAME = signature_name(TAGMANIFEST_NAME, Role.REVIEWER)

#: The tag files that the tag manifest lists.
TAGGED_NAMES = (INFO_NAME, BAGIT_NAME, MANIFEST_NAME)
#: The documents that both people sign in a pack, and in a revision of one.
PACK_SIGNED = (TAGMANIFEST_NAME, *SIGNED_REPORTS)
REVISION_SIGNED = (TAGMANIFEST_NAME,)


def top_names(signed: Iterable[str] = PACK_SIGNED) -> frozenset[str]:
    """Everything that stands at the top of a sealed bag, beside `data/`."""
    signatures = {signature_name(document, role) for document in signed for role in Role}
    return frozenset({*TAGGED_NAMES, TAGMANIFEST_NAME, *signatures})


#: Where the files of a pack lie; one anywhere else is nobody's.
PACK_PLACES = re.compile(
    r"data/(?:VERIFY\.md|run_manifest\.json|config_snapshot\.json"
    r"|go/(?:go\.json|cosign\.json)(?:\.sig)?|go/(?:allowed_signers|roster\.json|checklist\.json)"
    r"|go/dual/[a-z]+-[0-9]+\.json(?:\.op\.sig|\.rev\.sig)?|config/(?:effective\.json|inputs/[^/]+)"
    r"|audit/(?:log\.jsonl|heads\.jsonl|head\.txt(?:\.sig)?)|(?:market|reports|snapshots|tables)/[^/]+)"
)

_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
_NAME = re.compile(rf"{_PART}(/{_PART}){{0,7}}")
_LINE = re.compile(rf"([0-9a-f]{{64}})  ({_PART}(?:/{_PART}){{0,7}})")
_INFO_LABELS = ("Bag-Software-Agent", "Bagging-Date", "External-Identifier", "Payload-Oxum")
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,99}")


def legal_name(name: str) -> bool:
    """Tell whether a relative name is in our alphabet: no dot files, no `..`, at most 8 parts."""
    return _NAME.fullmatch(name) is not None


def legal_principal(principal: str) -> bool:
    """Tell whether a principal can stand in the verification script without quoting trouble."""
    return _PRINCIPAL.fullmatch(principal) is not None


def render_manifest(hashes: Mapping[str, str]) -> bytes:
    """Write `hash  name` lines, sorted by name."""
    return "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes)).encode("ascii")


def parse_manifest(raw: bytes, where: str) -> dict[str, str]:
    """Read a manifest of our form: name -> hash. Raises IntegrityError naming file and line."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        raise IntegrityError(what=f"line {row} is not ASCII", where=where) from error
    if not text.endswith("\n"):
        raise IntegrityError(what="the last line has no line feed", where=where)
    hashes: dict[str, str] = {}
    folded: set[str] = set()
    for number, line in enumerate(text[:-1].split("\n"), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise IntegrityError(what=f"line {number} is not `sha256  name`", where=where)
        name = match[2]
        if name.casefold() in folded:
            raise IntegrityError(what=f"line {number} lists {name} twice", where=where)
        folded.add(name.casefold())
        hashes[name] = match[1]
    return hashes


def render_info(session_id: str, started_us: int, payload_bytes: int, payload_files: int) -> bytes:
    """Write bag-info.txt; the date is the session's, so that writing twice gives the same bytes."""
    date = datetime.fromtimestamp(started_us // 1_000_000, UTC).date().isoformat()
    return (
        "Bag-Software-Agent: peakctl\n"
        f"Bagging-Date: {date}\n"
        f"External-Identifier: {session_id}\n"
        f"Payload-Oxum: {payload_bytes}.{payload_files}\n"
    ).encode("ascii")


def parse_info(raw: bytes, where: str) -> dict[str, str]:
    """Read bag-info.txt: label -> value, exactly those we write. Raises IntegrityError."""
    fields: dict[str, str] = {}
    try:
        lines = raw.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise IntegrityError(what="not ASCII", where=where) from error
    for number, line in enumerate(lines, 1):
        label, colon, value = line.partition(": ")
        if not colon or label in fields:
            raise IntegrityError(what=f"line {number} is not a new `label: value`", where=where)
        fields[label] = value
    if tuple(fields) != _INFO_LABELS:
        raise IntegrityError(what="does not have exactly the labels of ours", where=where)
    return fields
