"""What a screen may ask of the application: the client, this person's tools, and a voice.

Screens import no engine room and no signing code; the application hands both in as callables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from engine.contracts.session import Charter

if TYPE_CHECKING:
    from engine.contracts.view import DualView
    from peakctl.client.port import Console
    from screens.model import Model

#: Answers with the armoured signature over these bytes in this namespace.
Sign = Callable[[str, bytes], Awaitable[str]]


@dataclass(frozen=True)
class CosignFacts:
    """What the reviewer saw, typed and decided; `packet` is the exact text that was hashed here."""

    packet: str
    packet_sha256: str
    decision: str
    reason: str
    short_code: str
    typed_limit: str
    nonce: str


@dataclass(frozen=True)
class DualSeen:
    """A document for two to sign as this process hashed and read it; a namespace for each role."""

    sha256: str
    short_code: str
    lines: tuple[tuple[str, str], ...]
    namespaces: Mapping[str, str]


@dataclass(frozen=True)
class Tools:
    """Callables of other rooms, injected: pure ones on bytes, and this person's key."""

    sign: Sign
    short_code: Callable[[str], str]
    packet_lines: Callable[[str], tuple[tuple[str, str], ...]]
    cosign_document: Callable[[CosignFacts], str]
    new_nonce: Callable[[], str]
    signals: Callable[[], dict[str, str]]
    verify_pack: Callable[[str], tuple[bool, tuple[str, ...]]]
    charter_draft: Callable[[], Charter | None]
    #: raises PeakError for a document that must not be signed
    read_dual: Callable[[DualView], DualSeen]
    min_dwell_ms: int = 1500


class Desk(Protocol):
    """The application as a screen sees it."""

    model: Model
    tools: Tools
    #: this reviewer's nonce of the joined session, "" before joining
    nonce: str

    @property
    def client(self) -> Console:
        """The client; raises EngineUnreachable before the first connection."""
        ...

    def act(self, doing: Coroutine[Any, Any, str]) -> None:
        """Run one action; say its words, or its error, when it is done."""
        ...

    def say(self, words: str, tone: str = "plain") -> None:
        """Put words on the answer line."""
        ...

    def monotonic_ms(self) -> int:
        """A clock for dwell times."""
        ...
