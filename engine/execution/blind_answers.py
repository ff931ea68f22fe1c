"""The answers of both people to one item, neither of which the other can read beforehand.

The first answer stays in this process's memory: the journal, which whoever is on the socket may
read, gets its commitment alone. With the second answer both are told in one decision. What was
sealed before a restart cannot be opened any more and is asked for again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.contracts.errors import Refused
from engine.contracts.event import AnyEvent, ItemAnswered
from engine.contracts.people import Actor
from engine.contracts.session import ChecklistItem, ItemResult
from engine.execution.probes import Probes
from engine.governance.checklist import commitment_of
from engine.governance.session import Session

_SALT_BYTES = 32


@dataclass(frozen=True)
class _Kept:
    """One blind answer: what it is, what it was judged to be, and who gave it from where."""

    value: str
    result: ItemResult
    detail: str
    salt: str
    by: str
    proof: str
    commitment: str


class BlindAnswers:
    """The blind answers of the open session."""

    def __init__(self, probes: Probes, same_uid_allowed: Callable[[], bool]) -> None:
        self._probes = probes
        self._same_uid_allowed = same_uid_allowed
        self._session_id = ""
        self._kept: dict[tuple[str, str], _Kept] = {}

    def events(
        self, session: Session, item: ChecklistItem, role: str, words: str, actor: Actor
    ) -> Sequence[AnyEvent]:
        """What is journaled of an answer to a shared item. Raises Refused."""
        if session.id != self._session_id:
            self._session_id, self._kept = session.id, {}
        result, detail = self._probes.judge(item, words, session.charter)
        for other in item.roles:
            first = self._kept.get((item.id, other))
            sealed = session.blind.get((item.id, other))
            if other != role and first and sealed and sealed.commitment == first.commitment:
                self._refuse_one_user(first, actor)
                second = ItemAnswered(
                    session_id=session.id,
                    item_id=item.id,
                    role=role,
                    value=words,
                    result=result,
                    detail=detail,
                )
                return [_opened(session, item, other, first), second]
        salt = secrets.token_hex(_SALT_BYTES)
        made = commitment_of(session.id, item.id, role, by=actor.name, value=words, salt=salt)
        self._kept[item.id, role] = _Kept(
            words, result, detail, salt, actor.name, actor.proof, made
        )
        return [_sealed(session, item, role, made)]

    def _refuse_one_user(self, first: _Kept, actor: Actor) -> None:
        if first.proof == actor.proof and not self._same_uid_allowed():
            raise Refused(
                what=f"{first.by} has answered as the same Unix user",
                where="checklist",
                todo="each of the two reads and answers from an own login",
                code="SAME_UID",
            )


def _sealed(session: Session, item: ChecklistItem, role: str, commitment: str) -> ItemAnswered:
    return ItemAnswered(
        session_id=session.id,
        item_id=item.id,
        role=role,
        value="",
        result=ItemResult.OPEN,
        commitment=commitment,
    )


def _opened(session: Session, item: ChecklistItem, role: str, kept: _Kept) -> ItemAnswered:
    return ItemAnswered(
        session_id=session.id,
        item_id=item.id,
        role=role,
        value=kept.value,
        result=kept.result,
        detail=kept.detail,
        salt=kept.salt,
        by=kept.by,
    )
