"""What one purpose of dual control does: the interface of an act, and what it is handed.

**To tie in a purpose**, subclass `Act` and put an instance into the table that `engine.parts` gives
the desk (`DualDesk(..., acts={Purpose.LOOSEN: LoosenAct(...)})`):

* `check(state, subject)` raises Refused when the act is not allowed now. Pure, asked at the
  request, at each signature and, under the decision lock, at the grant.
* `events(state, subject, grant)` gives the act's own events; they are journaled right after
  `dual.granted`. Pure. All that they say must come from `subject` or `state`: `subject` is what
  both signed.
* `describe(state, asked)` (optional) makes the signed subject out of what was asked for: add every
  fact that a signer must see (old value, new value, ceiling). The default takes exactly the fields
  named in `fields` and nothing else.
* `measure(subject)` (optional, async) reads the world anew just before the grant: values go into
  `dual.granted` or `dual.refused`; a `denied` refuses the grant.
* `done(subject, grant)` (optional, async) runs after the grant is durable.

A client asks with `client.dual_request(Purpose.LOOSEN, {...}, reason)` and signs with
`client.dual_sign(...)`; the consoles' and `peakctl dual` do the rest for every purpose.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import msgspec

from engine.contracts.errors import InputError
from engine.contracts.event import AnyEvent
from engine.execution.core import State
from engine.governance.dual import Denied


class Measured(msgspec.Struct, frozen=True):
    """What was read anew for an act, by name, and why it forbids the act, if it does."""

    values: dict[str, str] = {}
    denied: Denied | None = None


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What two people have granted: the exact document, its reason, both people and signatures."""

    request_id: str
    document: str
    document_sha256: str
    reason: str
    operator: str
    reviewer: str
    operator_signature: str
    reviewer_signature: str
    requested_by: str


class Act(ABC):
    """One purpose, as the desk needs it. See the file's docstring."""

    #: the fields of the subject, where `describe` is not overridden
    fields: tuple[str, ...] = ()

    def describe(
        self,
        state: State,  # noqa: ARG002  (for acts that add facts)
        asked: Mapping[str, str],
    ) -> dict[str, str]:
        """The whole subject to sign, out of what was asked for. Raises InputError, Refused."""
        if set(asked) != set(self.fields):
            raise InputError(
                what=f"the subject has the fields {', '.join(sorted(asked))[:80] or 'none'}",
                where="dual control",
                todo=f"name exactly: {', '.join(self.fields) or 'none'}",
            )
        return dict(asked)

    @abstractmethod
    def check(self, state: State, subject: Mapping[str, str]) -> None:
        """Raise Refused when the act is not allowed now."""

    @abstractmethod
    def events(self, state: State, subject: Mapping[str, str], grant: Grant) -> Sequence[AnyEvent]:
        """The act's own events, journaled with `dual.granted`."""

    async def measure(
        self,
        subject: Mapping[str, str],  # noqa: ARG002  (for acts that measure)
    ) -> Measured:
        """Read anew what the act depends on, just before the grant."""
        return Measured()

    async def done(  # noqa: B027  (most acts are done with their events)
        self, subject: Mapping[str, str], grant: Grant
    ) -> None:
        """Follow up on a grant that is durable."""
