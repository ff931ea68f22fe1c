"""The terminal driver that reads the kill key in the input thread, before any event loop.

Textual's input thread parses keys and queues them for the loop; a busy or blocked loop would hold
the kill key up for as long (2.7 s measured in a 3 s block). Here F9 and ctrl+x are taken out in
that thread and given to the application's `kill_now`, which sends on a connection and thread of
its own.
Nothing is debounced: each press is sent, in a modal, with an input focused, during start.
"""

from __future__ import annotations

import sys
import time
from typing import Protocol, cast

from textual import events
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from peakctl.keys import ACTIONS

KILL_KEYS = frozenset(key for row in ACTIONS if row.id == "kill" for key in row.keys.split(","))

#: While the event loop computes, each wait of the input thread or the sender for the interpreter's
#: lock lasts this long (5 ms by default, and a press needs about ten of them).
LOCK_WAIT_SECONDS = 0.0005


class Killable(Protocol):
    """An application with a kill that may be called from any thread and returns at once."""

    def kill_now(self, pressed_us: int) -> None:
        """Send the kill; `pressed_us` is when the key was read, µs UTC."""
        ...


class KillDriver(LinuxDriver):
    """Linux terminal driver with the kill key taken out first."""

    def start_application_mode(self) -> None:
        """Start the input thread, which must not wait long for a loop that computes."""
        sys.setswitchinterval(LOCK_WAIT_SECONDS)
        super().start_application_mode()  # type: ignore[no-untyped-call]  # the library's

    def process_message(self, message: Message) -> None:
        """Runs in the input thread for every key."""
        if isinstance(message, events.Key) and message.key in KILL_KEYS:
            cast(Killable, self._app).kill_now(time.time_ns() // 1_000)
            return
        super().process_message(message)
