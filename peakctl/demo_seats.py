"""The demo's two people: a client, the newest state, a key; and what they answer to a checklist."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable

from engine.contracts.documents import Namespace
from engine.contracts.errors import AnswerNo
from engine.contracts.money import to_text
from engine.contracts.people import Role
from engine.contracts.session import Charter, ChecklistItem
from engine.contracts.view import PackView, StateView
from peakctl.client.client import EngineClient
from peakctl.client.pack_signing import sign_pack
from peakctl.signing import Signer
from peakctl.workspace import Workspace

WAIT_SECONDS = 30.0

#: Answers by item, and what is tried for any item, in this order.
DEMO_ANSWERS: dict[str, tuple[str, ...]] = {
    "kill_key_known": ("F9",),
    "word_for_doubt": ("NO-GO",),
}
COMMON_ANSWERS = ("yes", "confirmed", "ready", "none", "0", "alice and bob, on the demo's line")


class Late(AnswerNo):
    """What was waited for did not come within its time."""


class Seat:
    """One person at one client: attends the stream, keeps the newest state, signs with a key."""

    def __init__(self, client: EngineClient, signer: Signer) -> None:
        self.client = client
        self.signer = signer
        self._view: StateView | None = None
        self._news = asyncio.Event()
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        async for view in self.client.stream():
            self._view = view
            self._news.set()

    async def leave(self) -> None:
        """Stop attending."""
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching

    async def until(
        self,
        holds: Callable[[StateView], bool],
        what: str,
        seconds: float = WAIT_SECONDS,
    ) -> StateView:
        """The first state in which `holds` is true. Raises Late at the deadline."""
        deadline = time.monotonic() + seconds
        while self._view is None or not holds(self._view):
            self._news.clear()
            if self._watching.done():
                await self._watching
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._news.wait()
            if time.monotonic() > deadline:
                raise Late(what=f"{what}: not within {seconds:.0f} s", where="demo")
        return self._view

    async def sign(self, document: str, namespace: Namespace) -> str:
        """The person's signature; ssh-keygen runs beside the loop."""
        return await asyncio.to_thread(self.signer.sign, document.encode("ascii"), namespace)

    async def sign_pack(self, pack: PackView) -> StateView:
        """The person's signatures of a written pack: lists, runlog, incidents."""

        async def sign(namespace: Namespace, document: bytes) -> str:
            return await asyncio.to_thread(self.signer.sign, document, namespace)

        return await sign_pack(self.client, Role(self.client.role), sign, pack)


@contextlib.asynccontextmanager
async def seats(workspace: Workspace) -> AsyncIterator[tuple[Seat, Seat]]:
    """Operator and reviewer, attending inside and gone outside."""
    async with (
        EngineClient(workspace.socket, "alice", "operator") as operator_client,
        EngineClient(workspace.socket, "bob", "reviewer") as reviewer_client,
    ):
        operator = Seat(operator_client, Signer(workspace.key_of("operator")))
        reviewer = Seat(reviewer_client, Signer(workspace.key_of("reviewer")))
        try:
            yield operator, reviewer
        finally:
            await operator.leave()
            await reviewer.leave()


def answer_for(item: ChecklistItem, charter: Charter) -> str:
    """What a careful person would answer: the value read where one is asked for, else plain words.

    Raises AnswerNo when none of them is what the runbook expects.
    """
    read = {
        "max_notional_read": to_text(charter.limits.max_order_notional),
        "position_read": "0",
    }
    candidates: tuple[str, ...] = (*DEMO_ANSWERS.get(item.id, ()), *COMMON_ANSWERS)
    if item.id in read:
        candidates = (read[item.id],)
    for words in candidates:
        if re.fullmatch(item.expect, words, re.IGNORECASE):
            return words
    raise AnswerNo(what=f"no demo answer fits {item.expect!r}", where=item.id)
