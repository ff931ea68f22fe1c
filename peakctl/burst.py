"""Keys of one burst act in the order in which they were typed.

Over a slow link, or from a paste of keys, several keys arrive at once. Textual hands each to the
focused widget's own queue and runs the application's keys at once, so that ctrl+s overtakes the
text before it and text overtakes ctrl+u. Here a key waits until what came before it was taken, for
a bounded time, and is then acted on where it stands in the order. Kill keys are not held up: the
terminal driver takes them out before any of this.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.events import Key

#: A widget that is busy for longer holds no key back.
SETTLE_SECONDS = 0.5

#: Focus moves at once, not by way of the focused widget: what follows a Tab is for the next field.
FOCUS_KEYS = [
    Binding("tab", "app.focus_next", show=False, priority=True),
    Binding("shift+tab", "app.focus_previous", show=False, priority=True),
]


def is_text(app: App[int], key: Key) -> bool:
    """Whether the focused widget takes this key as a letter."""
    focused = app.focused
    return focused is not None and focused.check_consume_key(key.key, key.character)


async def settle(app: App[int]) -> None:
    """Wait until the focused widget and those around it have taken all that was sent to them."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            node: DOMNode | None = app.focused or app.screen
            while node is not None and node is not app:
                taken = asyncio.Event()
                if node.is_running and node.call_later(taken.set):
                    await taken.wait()
                node = node.parent
