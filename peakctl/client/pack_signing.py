"""Signing a pack as one person: everything that is to be signed, in one ceremony.

What is signed is checked here first, from bytes that arrived here: the tag manifest has the hash
that the engine journaled, it names the manifest, and that names each report. So one look at one
hash is a look at all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from engine.contracts.documents import SIGNED_REPORTS, Namespace
from engine.contracts.errors import IntegrityError
from engine.contracts.people import Role
from engine.contracts.view import PackView, StateView

#: Answers with the armoured signature over these bytes in this namespace.
Sign = Callable[[Namespace, bytes], Awaitable[str]]

_MANIFEST = "manifest-sha256.txt"
_NAMESPACES = {Role.OPERATOR: Namespace.PACK, Role.REVIEWER: Namespace.PACK_REVIEW}


class PackSigner(Protocol):
    """What is needed of the client."""

    async def pack_document(self, name: str) -> bytes:
        """The exact bytes of a file of the written pack."""
        ...

    async def sign_pack(self, sha256: str, signature: str, documents: dict[str, str]) -> StateView:
        """Hand in all of one person's signatures."""
        ...


async def listed_reports(client: PackSigner, pack: PackView) -> dict[str, bytes]:
    """The reports that a person signs beside the tag manifest, under the hashes of its lists.

    Raises IntegrityError.
    """
    tagmanifest = pack.tagmanifest.encode("ascii")
    if hashlib.sha256(tagmanifest).hexdigest() != pack.tagmanifest_sha256:
        raise IntegrityError(what="the manifest's hash differs from the engine's", where="pack")
    manifest = await client.pack_document(_MANIFEST)
    _named(manifest, _MANIFEST, tagmanifest)
    reports = {name: await client.pack_document(name) for name in SIGNED_REPORTS}
    for name, content in reports.items():
        _named(content, name, manifest)
    return reports


async def sign_pack(client: PackSigner, role: Role, sign: Sign, pack: PackView) -> StateView:
    """Sign the tag manifest, the runlog and the incidents. Raises IntegrityError, AnswerNo."""
    reports = await listed_reports(client, pack)
    tagmanifest = pack.tagmanifest.encode("ascii")
    sha256 = hashlib.sha256(tagmanifest).hexdigest()
    signature = await sign(_NAMESPACES[role], tagmanifest)
    documents = {
        name: await sign(SIGNED_REPORTS[name][role], content) for name, content in reports.items()
    }
    return await client.sign_pack(sha256, signature, documents)


def _named(content: bytes, name: str, manifest: bytes) -> None:
    """Refuse bytes that the manifest does not list under this name."""
    line = f"{hashlib.sha256(content).hexdigest()}  {name}".encode("ascii")
    if line not in manifest.split(b"\n"):
        raise IntegrityError(
            what="is not the file that the manifest lists", where=name, todo="do not sign"
        )
