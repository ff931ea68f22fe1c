"""What a terminal can compare the first head with that it ever sees: the last sealed pack here.

A pack names the journal's head at its end, and both people have signed the list that names the
pack's files; nobody who owns the workspace alone can make another. Its head must still be in the
journal. Without such a pack there is nothing to compare with, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.contracts.canonical import sha256_hex
from engine.contracts.documents import Namespace
from engine.contracts.errors import PeakError
from engine.contracts.people import Role
from engine.journal.heads import Head, parse_head
from engine.signatures.read_once import read_once

if TYPE_CHECKING:
    from engine.signatures.check import Checker
    from peakctl.workspace import Workspace

_HEAD = "data/audit/head.txt"
_MANIFEST, _TAGS = "manifest-sha256.txt", "tagmanifest-sha256.txt"
_SIGNED = (
    (Role.OPERATOR, "op.sig", Namespace.PACK),
    (Role.REVIEWER, "rev.sig", Namespace.PACK_REVIEW),
)
_PACK = re.compile(r"[0-9]{8}_[0-9]{6}_[0-9a-z]+")
#: So many of the newest packs are looked at.
_MOST = 5


class SealedHead(NamedTuple):
    """The head that a sealed pack names, and the pack's folder."""

    head: Head
    pack: str


#: The head of the newest pack that holds, or None.
LastSealed = Callable[[], SealedHead | None]


def last_sealed(workspace: Workspace) -> LastSealed:
    """Looks among the workspace's packs; what cannot be read or does not hold is passed over."""

    def look() -> SealedHead | None:
        from engine.signatures.allowed_signers import parse_allowed_signers  # noqa: PLC0415
        from engine.signatures.check import Checker  # noqa: PLC0415

        checker = Checker(workspace.allowed_signers, workspace.revoked_keys)
        try:
            text = read_once(workspace.allowed_signers).decode("utf-8", "replace")
            rows = parse_allowed_signers(text, str(workspace.allowed_signers)).signers
            names = sorted(
                (one.name for one in workspace.sessions.iterdir() if _PACK.fullmatch(one.name)),
                reverse=True,
            )
        except (OSError, PeakError):
            return None
        signers = {
            name: [row.principal for row in rows if name in row.namespaces]
            for _, _, name in _SIGNED
        }
        for name in names[:_MOST]:
            head = _head_of(workspace.sessions / name, signers, checker)
            if head is not None:
                return SealedHead(head, name)
        return None

    return look


def _head_of(pack: Path, signers: dict[Namespace, list[str]], checker: Checker) -> Head | None:
    try:
        tags = read_once(pack / _TAGS)
        for _, suffix, namespace in _SIGNED:
            armored = read_once(pack / f"{_TAGS}.{suffix}").decode("ascii", "replace")
            if not any(
                checker.check(principal, namespace, tags, armored).ok
                for principal in signers[namespace]
            ):
                return None
        manifest = read_once(pack / _MANIFEST)
        text = read_once(pack / _HEAD)
        named = _lists(tags, manifest, _MANIFEST) and _lists(manifest, text, _HEAD)
        return parse_head(text.decode("ascii", "replace"), _HEAD) if named else None
    except PeakError:
        return None


def _lists(list_: bytes, content: bytes, name: str) -> bool:
    """Whether the list names this content under this name."""
    return f"{sha256_hex(content)}  {name}\n".encode("ascii") in list_.splitlines(keepends=True)
