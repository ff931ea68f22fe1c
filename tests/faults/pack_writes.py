"""Run by `test_pack_writes`: writes one pack again and again, killed at another call each time.

For each n of the command line a fork of this process writes the pack and is SIGKILLed before its
n-th open, write, fsync, rename or mkdir of the pack. Then this process writes it to its end and
says what it found, a JSON line each.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.evidence.pack import finish, leftovers, write_pack
from engine.evidence.verify import verify_pack
from tests.engine.evidence.conftest import World, make_world


class Countdown:
    """Dies of SIGKILL before the n-th call."""

    def __init__(self, left: int) -> None:
        self.left = left

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, counted."""

        def counted(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return counted


def arm(left: int) -> Countdown:
    """Count the calls by which a pack comes onto the disk."""
    clock = Countdown(left)
    for name in ("fsync", "fchmod", "mkdir", "rename", "sendfile"):
        setattr(os, name, clock.before(getattr(os, name)))
    io.open = clock.before(io.open)  # type: ignore[assignment]
    return clock


def killed_at(world: World, left: int) -> bool:
    """Whether a writing process was killed; False when it came to its end before."""
    child = os.fork()
    if child == 0:
        arm(left)
        write_pack(world.folder, world.inputs)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(root: Path, points: list[int]) -> None:
    """One line of JSON a point."""
    world = make_world(root)
    clean = write_pack(world.folder, world.inputs).tagmanifest_sha256
    for left in points:
        killed = killed_at(world, left)
        final = world.folder.exists()
        written = write_pack(world.folder, world.inputs)
        found = {
            "at": left,
            "killed": killed,
            "half_under_its_name": final,
            "same": written.tagmanifest_sha256 == clean,
            "set_aside": written.set_aside.name if written.set_aside else "",
        }
        sys.stdout.write(json.dumps(found) + "\n")
    asides = len(leftovers(world.folder.parent))
    world.sign()
    report = verify_pack(finish(world.folder), world.allowed_signers)
    sys.stdout.write(json.dumps({"asides": asides, "verified": report.ok}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(one) for one in sys.argv[2:]])
