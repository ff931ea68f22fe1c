"""Lessons and seal: one to three lessons, the pack written, signed by both, verified.

Both sign three texts with one key press: the pack's tag manifest, the runlog, the incidents. They
are fetched, hashed and shown here before; a key that asks for a passphrase or a touch asks for
each, because each has a namespace of its own. Verification is the same that an auditor runs
(`peakctl verify`), on the folder, after sealing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import ClassVar

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.types import CSSPathType
from textual.widget import Widget
from textual.widgets import Input, Label

from engine.contracts.errors import InputError, PeakError, Refused
from engine.contracts.people import Role
from engine.contracts.session import SessionState
from engine.contracts.view import PackView
from peakctl.client.pack_signing import listed_reports, sign_pack
from screens.base import BASE_CSS, PeakScreen
from screens.charter import ask_abort
from screens.draw import BLANK, cell, join, mark, text, title, wrap
from screens.lines import Lines
from screens.model import Model
from screens.words import PACKS, mark_of

#: So many lines of a long report are shown here; the folder has all of them.
_SHOWN = 400
_STEPS = ("write", "operator signs", "reviewer signs", "sealed", "verified")


def steps_done(pack: PackView | None, verified: bool | None) -> int:  # noqa: FBT001
    """How many of the five steps are done."""
    if pack is None or pack.stage == "writing":
        return 0
    if pack.stage == "sealed":
        return 5 if verified else 4
    return 1 + ("operator" in pack.signed_by) + ("reviewer" in pack.signed_by)


def progress_row(done: int) -> Content:
    """The five steps with their marks."""
    parts = []
    for n, name in enumerate(_STEPS):
        shape, tone = (
            ("✔", "plain") if n < done else ("▶", "accent") if n == done else ("□", "quiet")
        )
        parts.append(text(f"{shape} {name}", tone))
    return Content("   ").join(parts)


def place_of(pack: PackView | None, model: Model) -> str:
    """The pack's full path: the engine names it from its sessions folder.

    Until both have signed it lies there under a name that says so.
    """
    if pack is None:
        return ""
    folder = pack.folder
    if model.state is not None and not folder.startswith("/"):
        folder = f"{model.state.engine.workspace}/sessions/{folder}"
    return folder if pack.stage == "sealed" else f"{folder}.partial"


def no_pack_words(model: Model, role: str) -> str:
    """What has to happen before there is a pack."""
    session = model.session
    if session is None or session.state is not SessionState.RECONCILED:
        return "No pack yet. Both sign the reconciliation first, at F6."
    if role == "operator":
        return "No pack yet. Write the lessons above, then ^R writes the pack."
    return "No pack yet. The operator writes the lessons and the pack; then you sign it here."


def document_rows(
    pack: PackView, reports: Mapping[str, bytes] | str | None, width: int
) -> list[Content]:
    """The three texts that are signed with their hashes, then two of them to be read."""
    if isinstance(reports, str):
        return wrap(f"✖ DO NOT SIGN: {reports}", width, "now")
    if reports is None:
        return [text("fetching what is to be signed …", "quiet")]
    words = (
        f"^S signs these {1 + len(reports)}, each in a namespace of its own; a key with a"
        " passphrase or a touch asks for each:"
    )
    rows = wrap(words, width)
    signed = [("tag manifest", pack.tagmanifest_sha256, "every file of the pack by its hash")]
    for name, content in reports.items():
        lines = content.count(b"\n")
        said = f"{lines} line{'' if lines == 1 else 's'}, below"
        signed.append((PurePosixPath(name).name, hashlib.sha256(content).hexdigest(), said))
    for name, sha256, said in signed:
        rows.append(
            join(
                cell(text(f"  {name}", "loud"), 16),
                text(f"{sha256[:24]}…  ", "quiet"),
                text(said, "quiet"),
            ).truncate(width, ellipsis=True)
        )
    for name, content in reversed(list(reports.items())):
        lines_of = content.decode("utf-8", "backslashreplace").rstrip("\n").split("\n")
        rows += [BLANK, title(PurePosixPath(name).name, width)]
        for line in lines_of[:_SHOWN]:
            rows += wrap(line, width) if line else [BLANK]
        if len(lines_of) > _SHOWN:
            left = f"… {len(lines_of) - _SHOWN} more lines: read them in the folder"
            rows.append(text(left, "soon"))
    return rows


def pack_rows(
    pack: PackView | None,
    where: str,
    verified: bool | None,  # noqa: FBT001  (None is: not yet known)
    findings: tuple[str, ...],
    waiting: str,
    width: int,
) -> list[Content]:
    """Progress, folder, hash, signatures, verification; `waiting` says why there is no pack."""
    rows = [progress_row(steps_done(pack, verified))]
    if pack is None:
        return [*rows, *wrap(waiting, width, "quiet")]
    rows.append(mark(mark_of(PACKS, pack.stage)))
    rows += [join(text("folder ", "quiet"), part) for part in wrap(where, max(10, width - 7))]
    if pack.tagmanifest:
        same = hashlib.sha256(pack.tagmanifest.encode()).hexdigest() == pack.tagmanifest_sha256
        words = "✔ manifest hashed here, equal: " if same else "✖ HASH DIFFERS: do not sign "
        rows.append(text(words + pack.tagmanifest_sha256[:32] + "…", "quiet" if same else "now"))
    rows.append(join(text("signed by ", "quiet"), text(", ".join(pack.signed_by) or "nobody yet")))
    if verified is not None:
        words = "✔ VERIFIED" if verified else "✖ VERIFICATION FAILED"
        rows.append(text(words, "loud" if verified else "now"))
    for finding in findings:
        rows += wrap(finding, width, "now" if verified is False else "quiet")
    if pack.stage == "sealed":
        rows += wrap(f"check it anywhere: peakctl verify {where}", width, "quiet")
    return rows


class SealScreen(PeakScreen):
    """F7."""

    NAME = "seal"
    CSS_PATH: ClassVar[CSSPathType | None] = [BASE_CSS, "seal.tcss"]

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self._verified: bool | None = None
        self._findings: tuple[str, ...] = ()
        self._checked_folder = ""
        #: What both sign beside the tag manifest, fetched for the pack with this tag manifest.
        self._reports: dict[str, bytes] | str | None = None
        self._reports_of = ""
        #: The rows of these documents, drawn once for a width.
        self._rows_at: tuple[int, list[Content]] = (-1, [])

    def body(self) -> Iterable[Widget]:
        """Lessons above, pack below."""
        yield Lines(id="seal-title")
        with VerticalScroll(id="seal-lessons", can_focus=False):
            for n in (1, 2, 3):
                box = Input(id=f"lesson-{n}", compact=True, max_length=300)
                box.cursor_blink = False
                yield Horizontal(Label(f"lesson {n}", markup=False), box, classes="field")
        yield Lines(id="pack-title")
        with VerticalScroll(id="pack-scroll"):
            yield Lines(id="pack-rows")
            yield Lines(id="pack-documents")

    def on_mount(self) -> None:
        """The operator starts with the lessons."""
        first = "#lesson-1" if self.role == "operator" else "#pack-scroll"
        self.query_one(first).focus()

    def show_body(self, model: Model) -> None:
        """Lessons stay while the pack is not written."""
        pack = model.session.pack if model.session else None
        asked = pack is None and self.role == "operator"
        lessons = self.query_one("#seal-lessons")
        if lessons.display is not asked and self.role == "operator":
            lessons.display = asked
            # What is to be signed is read with the keys; the next session has lessons of its own.
            self.query_one("#lesson-1" if asked else "#pack-scroll").focus()
            if asked:
                for box in self.query(Input):
                    box.clear()
        lessons.display = asked
        self.query_one("#seal-title").display = asked
        heading = "Lessons: one to three, also on a green day"
        self.lines("seal-title").show(lambda width, _h: [title(heading, width)])
        self.lines("pack-title").show(lambda width, _h: [title("Evidence pack", width)])
        folder = pack.folder if pack else ""
        if folder != self._checked_folder:
            self._verified, self._findings = None, ()
        verified, findings = self._verified, self._findings
        where, waiting = place_of(pack, model), no_pack_words(model, self.role)
        self.lines("pack-rows").show(
            lambda width, _h: pack_rows(pack, where, verified, findings, waiting, width)
        )
        self._show_documents(pack)
        if pack is not None and pack.stage == "sealed" and self._checked_folder != folder:
            self._checked_folder = folder
            self.desk.act(self._verify(folder))

    def _show_documents(self, pack: PackView | None) -> None:
        """While it is to be signed: what is, fetched once for each writing."""
        shown = self.lines("pack-documents")
        shown.display = pack is not None and pack.stage == "written"
        if pack is None or not shown.display:
            return
        if pack.tagmanifest_sha256 != self._reports_of:
            self._reports, self._reports_of = None, pack.tagmanifest_sha256
            self._rows_at = (-1, [])
            self.run_worker(self._fetch(pack), exit_on_error=True)
        reports = self._reports

        def rows(width: int, _height: int) -> list[Content]:
            if self._rows_at[0] != width or not isinstance(reports, dict):
                self._rows_at = (width, [BLANK, *document_rows(pack, reports, width)])
            return self._rows_at[1]

        shown.show(rows)

    async def _fetch(self, pack: PackView) -> None:
        try:
            reports: dict[str, bytes] | str = await listed_reports(self.desk.client, pack)
        except PeakError as error:
            reports = error.line()
        if self._reports_of == pack.tagmanifest_sha256:
            self._reports, self._rows_at = reports, (-1, [])
            self.show_body(self.model)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to the next lesson, and stays in the last."""
        event.stop()
        following = {"lesson-1": "#lesson-2"}.get(event.input.id or "", "#lesson-3")
        self.set_focus(self.query_one(following))

    def action_write_pack(self) -> None:
        """Write the lessons, then the pack."""
        points = tuple(box.value.strip() for box in self.query(Input) if box.value.strip())
        self.desk.act(self._write(points))

    async def _write(self, points: tuple[str, ...]) -> str:
        if not points:
            raise InputError(what="is empty", where="lesson 1", todo="write at least one lesson")
        session = self.model.session
        if session is None or session.state is not SessionState.RECONCILED:
            raise Refused(what="the session is not reconciled", todo="both sign at F6 first")
        await self.desk.client.write_lessons(points)
        await self.desk.client.write_pack()
        return "The pack is written. Read below what you sign, then sign with ^S."

    def action_sign_pack(self) -> None:
        """Sign the bytes of the tag manifest, the runlog and the incidents, in one go."""
        self.desk.act(self._sign())

    async def _sign(self) -> str:
        pack = self.model.session.pack if self.model.session else None
        if pack is None or not pack.tagmanifest:
            raise Refused(what="there is no written pack to sign", todo="write it with ^R")
        await sign_pack(self.desk.client, Role(self.role), self.desk.tools.sign, pack)
        return "The pack is signed: manifest, runlog and incidents."

    def action_end_unsealed(self) -> None:
        """End a session whose pack can never be sealed, with a reason."""
        ask_abort(self)

    def action_check_pack(self) -> None:
        """Verify the folder as an auditor would."""
        pack = self.model.session.pack if self.model.session else None
        if pack is None or pack.stage != "sealed":
            self.desk.say("There is no sealed pack to verify yet.", "soon")
        else:
            self.desk.act(self._verify(pack.folder))

    async def _verify(self, folder: str) -> str:
        work = self.run_worker(lambda: self.desk.tools.verify_pack(folder), thread=True)
        self._verified, self._findings = await work.wait()
        self.show_body(self.model)
        return f"The pack verifies: {folder}" if self._verified else "The pack does NOT verify."
