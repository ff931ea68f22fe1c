"""A key with a passphrase: ssh-keygen asks on the terminal itself, never inside our screen."""

from __future__ import annotations

import subprocess

from people import Desk, ask_for_go, open_session, type_code_and_limit, work_checklist

from peakctl.founding import create_demo

#: Made up here and used for a throw-away key only.
WORDS = "correct horse"


def test_the_reviewer_signs_with_a_passphrase_asked_by_ssh_keygen(desk: Desk) -> None:
    workspace = create_demo(desk.workspace)
    key = str(workspace.key_of("reviewer"))
    protect = ["ssh-keygen", "-q", "-p", "-P", "", "-N", WORDS, "-f", key]
    subprocess.run(protect, check=True, capture_output=True)
    operator, reviewer = desk.console(), desk.reviewer()
    open_session(operator)
    work_checklist(operator, reviewer)
    code = ask_for_go(operator)
    reviewer.wait_for("hashed here, equal")
    type_code_and_limit(reviewer, code)
    reviewer.press("tab", "right")
    reviewer.wait_for("▸GO◂")
    for _ in range(10):
        reviewer.press("ctrl+s")
        if reviewer.glimpse("Enter passphrase"):
            break
    reviewer.wait_for("Enter passphrase", 0)
    # Our full screen was left before ssh-keygen asked.
    assert reviewer.raw.rindex(b"\x1b[?1049l") < reviewer.raw.rindex(b"Enter passphrase")
    reviewer.type(f"{WORDS}\r")
    operator.wait_for("● LIVE")
    reviewer.wait_for("● LIVE")
    assert WORDS.encode() not in reviewer.raw
