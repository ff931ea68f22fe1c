"""What an act that needs two people may rest on: a grant in the journal, once. Pure.

An act's event counts only with a grant of its very document, and a grant only when two different
people with two different keys have signed that document. One grant carries one act: the first
that rests on it spends it. So an event that merely claims two signatures changes nothing, and one
that is written a second time changes nothing either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.contracts.documents import Purpose
from engine.contracts.people import Role
from engine.governance.dual_book import DualBook, Request


class Spent(NamedTuple):
    """What was granted, and by whom: both people, the operator first (I8)."""

    subject: Mapping[str, str]
    people: str


class GrantBook:
    """The grants of a journal that nothing has rested on yet."""

    def __init__(self, dual: DualBook) -> None:
        self._dual = dual
        self._spent: set[str] = set()

    def spend(self, purpose: Purpose, document_sha256: str) -> Spent | None:
        """What two people granted by this document; None when there is no such grant.

        The next to ask gets None.
        """
        if document_sha256 in self._spent:
            return None
        for request in self._dual.granted(purpose):
            if request.sha256 == document_sha256 and _by_two(request):
                self._spent.add(document_sha256)
                people = (request.signatures[role].person for role in Role)
                return Spent(request.said.subject, " and ".join(people))
        return None


def _by_two(request: Request) -> bool:
    """Whether both roles have signed: two people, two keys."""
    signed = request.signatures.values()
    people = {one.person for one in signed}
    keys = {one.fingerprint for one in signed if one.fingerprint}
    return len(people) == len(keys) == len(request.signatures) == len(Role)
