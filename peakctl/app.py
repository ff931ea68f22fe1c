"""The two applications: the operator's console and the reviewer's terminal.

Which screen belongs to which state of the session is a table per role; everything shared is in
`peakctl/shell.py`. Nothing heavy is imported before the first paint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from engine.contracts.errors import ConfigError, PeakError, WorkspaceError
from engine.contracts.session import SessionState
from peakctl.commands.output import complain
from peakctl.crash import crash_line
from peakctl.shell import PeakApp, bindings_of
from peakctl.workspace import Workspace
from screens.charter import CharterScreen
from screens.go import GoScreen
from screens.review.packet import PacketScreen
from screens.review.waiting import WaitingScreen

if TYPE_CHECKING:
    from peakctl.client.port import Console
    from peakctl.client.replies import HeadText
    from peakctl.witness import LinesFrom, Witness

#: How often a silent engine's process is looked for.
LOOK_SECONDS = 1.0
#: How often the reviewer's terminal asks for the latest head.
WITNESS_SECONDS = 2.0
#: How long one answer with journal lines may take.
WITNESS_LINES_SECONDS = 30.0

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
    """The operator's console; it alone may start an engine that has died, by key."""

    TITLE = "peakctl"
    ROLE = "operator"
    BINDINGS: ClassVar[list[Any]] = bindings_of(ROLE)
    STEPS = OPERATOR_STEPS
    SCREENS_OF = (CharterScreen, GoScreen)
    _looking = False

    def on_mount(self) -> None:
        """Look after the engine's process while it is silent (the shell's own comes as well)."""
        self.set_interval(LOOK_SECONDS, self._watch_engine)

    def _watch_engine(self) -> None:
        if self.model.link_up:
            self._engine_is("")
        elif self.model.engine != "starting" and not self._looking:
            self._looking = True
            self.run_worker(self._look_for_engine, thread=True, exit_on_error=True)

    def _look_for_engine(self) -> None:
        from peakctl.supervisor import Supervisor  # noqa: PLC0415

        gone = Supervisor(self.workspace).engine_pid() is None
        self.call_from_thread(self._found_engine, "gone" if gone else "")

    def _found_engine(self, engine: str) -> None:
        self._looking = False
        if self.model.engine != "starting":
            self._engine_is("" if self.model.link_up else engine)

    def _engine_is(self, engine: str) -> None:
        if self.model.engine != engine:
            self.model = replace(self.model, engine=engine)
            self.draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The engine can be started only when none runs; until then the key is the input's."""
        if action == "start_engine":
            return self.model.engine == "gone"
        return super().check_action(action, parameters)

    def action_start_engine(self) -> None:
        """Start the engine again, because a person said so."""
        self._engine_is("starting")
        self.say(f"Starting the engine; its log is {self.workspace.log / 'engine.log'}")
        self.run_worker(self._start_engine, thread=True, exit_on_error=True)

    def _start_engine(self) -> None:
        from peakctl.supervisor import Supervisor  # noqa: PLC0415

        try:
            pid = Supervisor(self.workspace, self.overrides).ensure_engine()
        except PeakError as error:
            self.call_from_thread(self._engine_started, error.line(), "now")
        except OSError as error:
            words = f"the engine was not started: {error.strerror}"
            self.call_from_thread(self._engine_started, words, "now")
        else:
            self.call_from_thread(self._engine_started, f"The engine runs again (pid {pid}).", "")

    def _engine_started(self, words: str, tone: str) -> None:
        self._engine_is("")
        self.say(words, tone or "plain")

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
    BINDINGS: ClassVar[list[Any]] = bindings_of(ROLE)
    STEPS = REVIEWER_STEPS
    SCREENS_OF = (WaitingScreen, PacketScreen)
    _joined = ("", "")
    _judging = False

    def __init__(
        self, workspace: Workspace, person: str, key: Path | None, heads: Path | None = None
    ) -> None:
        super().__init__(workspace, person, key)
        self._heads = heads
        self._witness: Witness | None = None

    def on_mount(self) -> None:
        """Keep a copy of the heads of one's own (the shell's own comes as well)."""
        self.set_interval(WITNESS_SECONDS, self._ask_heads)

    def _ask_heads(self) -> None:
        if self.model.link_up and not self._judging:
            self._judging = True
            self.run_worker(self._judge_heads(), exit_on_error=True)

    async def _judge_heads(self) -> None:
        loop = asyncio.get_running_loop()

        def lines(start: int) -> bytes:
            """Asked from the thread that judges."""
            asked = asyncio.run_coroutine_threadsafe(_lines_from(self.client, start), loop)
            return asked.result(WITNESS_LINES_SECONDS)

        try:
            received = (await self.client.heads()).heads
            state = self.model.state
            events = state.engine.events if state is not None else None
            wrong = await asyncio.to_thread(self._judge, received, lines, events)
        except TimeoutError:
            wrong = "HEADS NOT CHECKED: do not sign; the engine does not give its journal's lines"
        except OSError as error:
            wrong = f"No copy of the heads is kept here: {error.filename}: {error.strerror}"
        except (ConfigError, WorkspaceError) as error:
            wrong = f"HEADS NOT CHECKED: do not sign; {error.line()}"
        except PeakError:
            wrong = self.model.witness  # no engine: nothing new is known
        finally:
            self._judging = False
        note = self._witness.note if self._witness is not None else ""
        self.model = replace(self.model, witness=wrong, witness_note=note)

    def _judge(self, received: Sequence[HeadText], lines: LinesFrom, events: int | None) -> str:
        from peakctl.sealed_before import last_sealed  # noqa: PLC0415
        from peakctl.witness import Witness, heads_file, log_key_of  # noqa: PLC0415

        if self._witness is None:
            path = self._heads or heads_file(self.workspace.root)
            sealed = last_sealed(self.workspace)
            self._witness = Witness(path, log_key_of(self.workspace), lines, sealed=sealed)
        wrong = self._witness.judge(received, events)
        if not wrong:
            return ""
        lead = "HEADS ARE LATE" if self._witness.only_late else "HISTORY CHANGED"
        return f"{lead}: do not sign; {wrong} (seen here: {self._witness.path})"

    def follow(self) -> None:
        """Join first."""
        session = self.model.session
        early = {SessionState.CHARTER, SessionState.CHECKLIST}
        # A decided packet has used the nonce up: after an abstention it takes a new one.
        used = session.go.packet_sha256 if session and session.go.decision == "ABSTAIN" else ""
        at = (session.id, used) if session is not None else ("", "")
        if session is not None and session.state in early and self._joined != at:
            self._joined = at
            self.nonce = self.tools.new_nonce()
            self.act(self._join())
        super().follow()

    async def _join(self) -> str:
        await self.client.join_review(self.nonce, self.tools.signals())
        return "You have joined. Answer your items from your own readings."


async def _lines_from(client: Console, start: int) -> bytes:
    return b"".join([line async for line in client.journal(start)])


def run_console(
    workspace: Path,
    person: str,
    key_file: Path | None,
    demo_line: str | None,
    overrides: Mapping[str, str] | None = None,
) -> int:
    """Run the operator's console; the exit code is the process's."""
    place = Workspace.open(workspace)
    return _run(ConsoleApp(place, person, key_file, demo_line or "", overrides))


def run_review(workspace: Path, person: str, key_file: Path | None) -> int:
    """Run the reviewer's terminal; the exit code is the process's."""
    return _run(ReviewApp(Workspace.visit(workspace), person, key_file))


def _run(app: PeakApp) -> int:
    """Run it; a fault of our own is one line here and a file in the workspace's log."""
    code = app.run()
    if app.fault is not None:
        complain(crash_line(app.fault, [app.workspace.log]))
        return 1
    return code or app.return_code or 0
