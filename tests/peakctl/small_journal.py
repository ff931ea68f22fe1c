"""A small real journal with a real log key: lines, signed heads, and a second past of the same."""

from __future__ import annotations

from pathlib import Path

from engine.contracts.documents import Namespace
from engine.contracts.event import NoteAdded
from engine.contracts.people import person
from engine.journal.chain import ZERO_HASH, encode_line, line_hash
from engine.journal.heads import head_text
from engine.signatures.allowed_signers import allowed_signers_line
from engine.signatures.sshsig import generate_log_key, sign_with_key_file
from peakctl.client.replies import HeadText
from peakctl.workspace import Workspace

ORIGIN = "peakctl/desk"
#: As many lines as one answer of this journal has.
ANSWER = 4


class SmallJournal:
    """Notes, one a line; `word` makes another past of the same length."""

    def __init__(self, root: Path) -> None:
        (root / "config").mkdir(parents=True, exist_ok=True)
        self.workspace = Workspace(root)
        self.key = root / "log_ed25519"
        self.listed = generate_log_key(self.key)
        self.list_key(self.listed)
        self.lines: list[bytes] = []
        self.asked: list[int] = []

    def list_key(self, public_line: str) -> None:
        """Name this key as the log key."""
        line = allowed_signers_line("log:desk", (Namespace.HEAD,), public_line)
        self.workspace.allowed_signers.write_text(line)

    def grow(self, size: int, word: str = "as it was") -> None:
        """Write on until there are so many lines."""
        while len(self.lines) < size:
            seq = len(self.lines)
            prev = line_hash(self.lines[-1]) if self.lines else ZERO_HASH
            note = NoteAdded(session_id="s", text=f"{word} {seq}")
            actor = person("alice", "peer-uid:1000")
            self.lines.append(encode_line(seq, prev, 1_000 + seq, actor, note))

    def rewrite(self, start: int, size: int) -> None:
        """Another past from a line on, chained as it should be."""
        del self.lines[start:]
        self.grow(size, "as somebody would like it")

    def given(self, start: int) -> bytes:
        """What the engine gives from here on."""
        self.asked.append(start)
        return b"".join(self.lines[start : start + ANSWER])

    def head(self, size: int | None = None, key: Path | None = None) -> HeadText:
        """The head of so many lines, signed with the log key."""
        size = len(self.lines) if size is None else size
        text = head_text(ORIGIN, size, line_hash(self.lines[size - 1]))
        signature = sign_with_key_file(key or self.key, text.encode(), Namespace.HEAD)
        return HeadText(text=text, signature=signature)
