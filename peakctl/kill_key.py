"""The kill key's part of an application: sent at once, from any thread, never debounced.

The terminal driver calls `kill_now` in its input thread (screens/kill_driver.py). Each press is
sent on a thread and connection of its own, so that none waits for the answer of an earlier one;
how it went comes back as a message and is drawn by the event loop when it can.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import App
from textual.message import Message

from engine.contracts.errors import PeakError
from peakctl.client.kill import send_kill
from screens.model import KillPress, Model

KEEP_TRYING_SECONDS = 10.0
RETRY_SECONDS = 0.1


class KillNews(Message):
    """How one press of the kill key stands."""

    def __init__(self, press: KillPress) -> None:
        super().__init__()
        self.press = press


class KillKeyApp(App[int]):
    """An application that can kill from any thread."""

    ROLE: ClassVar[str]
    model: Model
    socket_path: Path

    def kill_now(self, pressed_us: int) -> None:
        """Send the kill, from any thread; returns at once. `pressed_us` is µs UTC."""
        self.post_message(KillNews(KillPress("sent", pressed_us)))
        sender = threading.Thread(target=self._send_kill, args=(pressed_us,), daemon=True)
        try:
            sender.start()
        except RuntimeError:  # no thread to be had: this one sends
            self._send_kill(pressed_us)

    def _send_kill(self, pressed_us: int) -> None:
        """Send until it is answered; an engine that was busy for a second must not lose a press.

        Every failure is shown at once, and after ten seconds it stays failed: the screen then
        says to use `peakctl kill`, which needs no engine.
        """
        deadline = time.monotonic() + KEEP_TRYING_SECONDS
        while True:
            try:
                got = send_kill(
                    self.socket_path,
                    person=self.model.person,
                    reason="kill key",
                    source=f"{self.ROLE}-key",
                    pressed_us=pressed_us,
                )
            except PeakError as error:
                self.post_message(KillNews(KillPress("failed", pressed_us, error.what)))
                if time.monotonic() > deadline:
                    return
                time.sleep(RETRY_SECONDS)
            else:
                words = f"{got.state} in {got.elapsed_ms:.1f} ms"
                self.post_message(KillNews(KillPress("answered", pressed_us, words)))
                return

    @on(KillNews)
    def show_kill(self, news: KillNews) -> None:
        """Draw it at once."""
        self.model = replace(self.model, press=news.press)
        self.draw()

    def draw(self) -> None:
        """Draw the screens."""
        raise NotImplementedError

    def action_kill(self) -> None:
        """The same key where no input thread took it out (web, tests)."""
        self.kill_now(time.time_ns() // 1_000)
