"""The shell that both applications share: around the screens, before the client.

It owns the link (a worker after the first paint), the clock (a tick four times a second), the
kill key (any thread), leaving, and which screen is on top. What a screen shows and does is the
screen's; the engine's state is the engine's. Nothing heavy is imported before the first paint.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.binding import Binding
from textual.screen import ModalScreen
from textual.worker import WorkerFailed

from engine.contracts.documents import Namespace
from engine.contracts.errors import EngineUnreachable, InputError, PeakError, Refused
from engine.contracts.session import END_STATES, Charter, SessionState
from engine.contracts.view import StateView
from peakctl.burst import FOCUS_KEYS, is_text, settle
from peakctl.client.client import EngineClient
from peakctl.keys import ACTIONS, EVERYWHERE
from peakctl.kill_key import KillKeyApp
from peakctl.signing import Signer
from peakctl.tools import draft_charter, make_tools, read_settings
from peakctl.workspace import Workspace
from screens.base import PeakModal, PeakScreen
from screens.desk import Tools
from screens.help import Help
from screens.kill_driver import KILL_KEYS, KillDriver
from screens.model import Model, Said
from screens.prompt import QuitPrompt
from screens.shared import SHARED
from screens.themes import DARK, LIGHT, MONO, theme_of

if TYPE_CHECKING:
    from peakctl.client.port import Console

TICK_S = 0.25


def bindings_of(role: str) -> list[Binding]:
    """The keys of everywhere for one role; ctrl+c yields to an input, where it copies."""
    return [
        Binding(row.keys, row.id, row.label, show=False, priority=row.keys != "ctrl+c")
        for row in ACTIONS
        if row.screens == EVERYWHERE and role in row.roles
    ] + FOCUS_KEYS


class PeakApp(KillKeyApp):
    """What both consoles share. `desk` for the screens."""

    ENABLE_COMMAND_PALETTE = False
    STEPS: ClassVar[dict[SessionState | None, str]]
    SCREENS_OF: ClassVar[tuple[type[PeakScreen], ...]]

    def __init__(
        self,
        workspace: Workspace,
        person: str,
        key: Path | None,
        banner: str = "",
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(driver_class=KillDriver)
        for theme in (DARK, LIGHT, MONO):
            self.register_theme(theme)
        self.theme = theme_of(os.environ).name
        self.workspace = workspace
        self.overrides = dict(overrides or {})
        self.socket_path = workspace.socket
        self.model = Model(role=self.ROLE, person=person, banner=banner)
        self.tools: Tools = make_tools(workspace, self.sign, lambda: self._draft)
        self.nonce = ""
        self._signer = Signer(key or workspace.key_of(self.ROLE))
        self._client: EngineClient | None = None
        self._draft: Charter | None = None
        self._heard_at = 0.0
        self._at_step: tuple[object, ...] = ()
        self._typing = False

    # --- life ---

    def on_mount(self) -> None:
        """First paint from nothing; everything that takes time comes after it."""
        for kind in (*self.SCREENS_OF, *SHARED):
            self.install_screen(kind(self.ROLE), kind.NAME)
        self.push_screen(self.STEPS[None])
        self.set_interval(TICK_S, self.tick)
        self.call_after_refresh(self._after_first_paint)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: self.exit(return_code=143))

    def _after_first_paint(self) -> None:
        self.run_worker(self._listen(), exit_on_error=True)
        self.run_worker(self._read_config, thread=True, exit_on_error=True)

    async def _listen(self) -> None:
        """Follow the engine for ever; the client reconnects by itself."""
        async with EngineClient(self.socket_path, self.model.person, self.ROLE) as client:
            self._client = client
            async for view in client.stream():
                self._heard_at = time.monotonic()
                self._take(view)

    def _read_config(self) -> None:
        """In a thread: the dwell that the config asks for, and the draft of a first charter."""
        try:
            settings = read_settings(self.workspace, self.overrides)
            self.tools = replace(self.tools, min_dwell_ms=settings.session.min_dwell_ms)
            self._draft = draft_charter(self.workspace, self.model.person, settings)
        except (PeakError, OSError, ValueError) as error:
            words = error.line() if isinstance(error, PeakError) else str(error)
            self.call_from_thread(self.say, f"The config cannot be used here: {words}", "soon")

    def _take(self, view: StateView) -> None:
        """A new state: kept now, drawn at the next tick, followed at once."""
        self.model = replace(self.model, state=view, link_up=True, silent_ms=0, engine="")
        self.follow()

    def tick(self) -> None:
        """Clock, age, link; then draw what changed."""
        up = self._client is not None and self._client.connected
        silent = int((time.monotonic() - self._heard_at) * 1000) if self._heard_at else None
        words = "connecting" if self._client is not None else "starting"
        now_us = time.time_ns() // 1_000
        self.model = replace(
            self.model, link_up=up, silent_ms=silent, link_words=words, now_us=now_us
        )
        self.draw()

    def draw(self) -> None:
        """Draw the screen on top, and the one below a dialog."""
        for screen in self.screen_stack[-2:]:
            if isinstance(screen, PeakScreen | PeakModal):
                screen.show(self.model)

    # --- the desk ---

    @property
    def client(self) -> Console:
        """The client, once there is one."""
        if self._client is None:
            raise EngineUnreachable(what="not connected yet", todo="wait a moment")
        return self._client

    def act(self, doing: Coroutine[Any, Any, str]) -> None:
        """Run one action of a screen beside the screen."""
        self.run_worker(self._act(doing), exit_on_error=True)

    async def _act(self, doing: Coroutine[Any, Any, str]) -> None:
        try:
            words = await doing
            self._take(await self.client.state())
        except (Refused, InputError) as error:
            self.say(error.line(), "soon")
        except PeakError as error:
            self.say(error.line(), "now")
        else:
            self.say(words)

    def say(self, words: str, tone: str = "plain") -> None:
        """Put words on the answer line, and draw at once."""
        self.model = replace(self.model, said=Said(words, tone))
        self.draw()

    def monotonic_ms(self) -> int:
        """Milliseconds of a clock that never goes back."""
        return time.monotonic_ns() // 1_000_000

    async def sign(self, namespace: str, message: bytes) -> str:
        """Sign with this person's key; step aside when ssh-keygen must ask something.

        While it asks the terminal is ssh-keygen's: kill with `peakctl kill` in another shell.
        """
        if await asyncio.to_thread(self._signer.asks_on_terminal):
            with self.suspend():
                return self._signer.sign(message, Namespace(namespace))
        return await asyncio.to_thread(self._signer.sign, message, Namespace(namespace))

    async def on_event(self, event: events.Event) -> None:
        """Keys act in their order; what comes in a dialog's first 300 ms is dropped.

        In a packet's first 300 ms text is. The kill key is neither held up nor dropped.
        """
        typed = isinstance(event, events.Key | events.Paste) and not event.is_forwarded
        kills = isinstance(event, events.Key) and event.key in KILL_KEYS
        if not typed or kills or not self.screen_stack:
            await super().on_event(event)
            return
        words = not isinstance(event, events.Key) or is_text(self, event)
        if not (words and self._typing):
            await settle(self)
        self._typing = words
        top = self.screen_stack[-1]
        if isinstance(top, PeakModal) and top.guarded:
            return
        if words and isinstance(top, PeakScreen) and top.guarded:
            return
        if isinstance(event, events.Key) and not words and await self._bound(event.key):
            return
        await super().on_event(event)

    async def _bound(self, key: str) -> bool:
        """Run what the key is bound to, here and now, instead of by way of the widgets' queues."""
        return await self._check_bindings(key, priority=True) or await self._check_bindings(key)

    # --- moving ---

    def follow(self) -> None:
        """Show the session's own step when it changes, and the kill when one is latched."""
        state = self.model.state
        session = state.session if state else None
        step = (session.id, session.state) if session else (None, None)
        latched = state.kill.kill_id if state and state.kill.state != "READY" else ""
        if self._at_step == (*step, latched):
            return
        newly_latched = bool(latched) and latched not in self._at_step
        self._at_step = (*step, latched)
        if self.model.said.tone == "plain":
            # What was said of the step before is no advice for this one.
            self.model = replace(self.model, said=Said("", "plain"))
        self._show("stopped" if newly_latched else self.STEPS[step[1]])

    def _show(self, name: str) -> None:
        while isinstance(self.screen, ModalScreen):
            self.screen.dismiss(None)
        if self.screen.name != name:
            self.switch_screen(name)

    def action_go_to(self, name: str) -> None:
        """Look at another screen; not from inside a dialog."""
        if not isinstance(self.screen, ModalScreen) and self.screen.name != name:
            self.switch_screen(name)

    def action_leave(self) -> None:
        """Back to the session's own step."""
        session = self.model.session
        self.action_go_to(self.STEPS[session.state if session else None])

    def action_help(self) -> None:
        """The keys of the screen on top."""
        if isinstance(self.screen, Help):
            self.screen.dismiss(None)
        elif isinstance(self.screen, PeakScreen):
            self.push_screen(Help(self.screen.NAME, self.ROLE))

    def action_ask_quit(self) -> None:
        """Leave at once only when nothing is open."""
        session = self.model.session
        if session is None or session.state in END_STATES:
            self.exit(0)
        elif not isinstance(self.screen, QuitPrompt):
            self.push_screen(QuitPrompt(self.leaving_words()), self._left)

    def leaving_words(self) -> str:
        """What goes on without this console."""
        session = self.model.session
        name, state = (session.id, session.state) if session else ("", "")
        return f"Session {name} is open ({state}). The engine goes on without this terminal."

    def _left(self, answer: str | None) -> None:
        if answer:
            self.exit(0)

    def action_say_ctrl_c(self) -> None:
        """Nobody leaves by reflex."""
        self.say("ctrl+q leaves the console; F9 or ctrl+x stops all trading.")

    @property
    def fault(self) -> BaseException | None:
        """What the application died of, if it did."""
        error: BaseException | None = self._exception
        return error.error if isinstance(error, WorkerFailed) else error

    def _fatal_error(self) -> None:
        # Textual's own crash screen prints local variables, which may be secrets (I10); ours is
        # one line and a file, made by whoever runs the application.
        self.bell()
        self._close_messages_no_wait()
