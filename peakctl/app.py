"""The two applications: the operator's console and the reviewer's terminal.

Which screen belongs to which state of the session is a table per role; everything shared is in
`peakctl/shell.py`. Nothing heavy is imported before the first paint.
"""

from __future__ import annotations

from pathlib import Path

from engine.contracts.session import SessionState
from peakctl.shell import PeakApp
from peakctl.workspace import Workspace
from screens.charter import CharterScreen
from screens.go import GoScreen
from screens.review.packet import PacketScreen
from screens.review.waiting import WaitingScreen

_FROM_LIVE_ON: dict[SessionState | None, str] = {
    SessionState.LIVE: "live",
    SessionState.PAUSED: "live",
    SessionState.STOPPING: "reconcile",
    SessionState.STOPPED: "reconcile",
    SessionState.RECONCILED: "seal",
    SessionState.SEALED: "seal",
    SessionState.KILLED: "stopped",
}
OPERATOR_STEPS: dict[SessionState | None, str] = {
    None: "charter",
    SessionState.CHARTER: "checklist",
    SessionState.CHECKLIST: "checklist",
    SessionState.GO_NOGO: "go",
    SessionState.NO_GO: "go",
    SessionState.ABORTED: "charter",
    **_FROM_LIVE_ON,
}
REVIEWER_STEPS: dict[SessionState | None, str] = {
    None: "waiting",
    SessionState.CHARTER: "waiting",
    SessionState.CHECKLIST: "checklist",
    SessionState.GO_NOGO: "packet",
    SessionState.NO_GO: "packet",
    SessionState.ABORTED: "waiting",
    **_FROM_LIVE_ON,
}


class ConsoleApp(PeakApp):
    """The operator's console."""

    TITLE = "peakctl"
    ROLE = "operator"
    STEPS = OPERATOR_STEPS
    SCREENS_OF = (CharterScreen, GoScreen)

    def leaving_words(self) -> str:
        """Nothing trades unattended."""
        session = self.model.session
        seconds = session.charter.attendance_seconds if session else 0
        return (
            f"{super().leaving_words()} If no operator's console is heard for {seconds} s, it takes"
            " no new orders and cancels what rests."
        )


class ReviewApp(PeakApp):
    """The reviewer's terminal: joins each session by itself, with a fresh nonce."""

    TITLE = "peakctl review"
    ROLE = "reviewer"
    STEPS = REVIEWER_STEPS
    SCREENS_OF = (WaitingScreen, PacketScreen)
    _joined = ""

    def follow(self) -> None:
        """Join first."""
        session = self.model.session
        early = {SessionState.CHARTER, SessionState.CHECKLIST}
        if session is not None and session.state in early and self._joined != session.id:
            self._joined = session.id
            self.nonce = self.tools.new_nonce()
            self.act(self._join())
        super().follow()

    async def _join(self) -> str:
        await self.client.join_review(self.nonce, self.tools.signals())
        return "You have joined. Answer your items from your own readings."


def run_console(workspace: Path, person: str, key_file: Path | None, demo_line: str | None) -> int:
    """Run the operator's console; the exit code is the process's."""
    app = ConsoleApp(Workspace.open(workspace), person, key_file, demo_line or "")
    return app.run() or app.return_code or 0


def run_review(workspace: Path, person: str, key_file: Path | None) -> int:
    """Run the reviewer's terminal; the exit code is the process's."""
    app = ReviewApp(Workspace.visit(workspace), person, key_file)
    return app.run() or app.return_code or 0
