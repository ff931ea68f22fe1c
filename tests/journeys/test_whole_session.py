"""One whole session by two people at two real terminals, with the keyboard alone."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from people import Desk, ask_for_go, decide, open_session, place_order, work_checklist


def test_from_charter_to_sealed_pack(desk: Desk) -> None:
    operator = desk.operator()
    operator.wait_for(r"peakctl review --workspace\s+\S+/w")
    reviewer = desk.reviewer()
    reviewer.wait_for("Wait for the operator's charter")

    open_session(operator)
    work_checklist(operator, reviewer)
    code = ask_for_go(operator)
    decide(reviewer, code, "GO")
    operator.wait_for("● LIVE")
    reviewer.wait_for("● LIVE")

    place_order(operator, "0.002", _price(desk, "bids", "0.99"))
    operator.wait_for("1 open")
    place_order(operator, "0.003")
    operator.wait_for(r"filled\s+BUY\s+0\.003")
    place_order(operator, "0.4", _price(desk, "asks", "1.002"))
    operator.wait_for(r"0002 ◐ part|0002 ● filled")

    operator.press("c")
    operator.wait_for(r"0000 ⊘ canceled")

    operator.press("ctrl+l")
    operator.press("all as expected", "enter")
    desk.until_status(lambda seen: seen["session"]["runlog"][-1].endswith("all as expected"))
    place_order(operator, "0.002", _price(desk, "bids", "0.99"))
    operator.wait_for("0003 ○ resting")
    others = _other_terminals(desk)
    assert others["session"]["state"] == "live"
    operator.press("f9")
    operator.wait_for("PROVEN: nothing open at the venue")
    operator.wait_for(r"query_2\s+[\d.]+ ms\s+0 open")
    reviewer.wait_for("PROVEN")

    operator.press("f6")
    operator.wait_for("compares engine, journal and venue")
    operator.press("ctrl+r")
    operator.wait_for("no breaks")
    operator.press("ctrl+s")
    operator.wait_for("signed by operator")
    reviewer.press("f6")
    reviewer.wait_for("signed by operator")
    reviewer.press("ctrl+s")
    operator.wait_for("≡ RECONCILED")

    operator.wait_for("lesson 1")
    operator.press("the kill took well under a second")
    operator.wait_for("lesson 1   the kill took well under a second")
    operator.press("ctrl+r")
    operator.wait_for("▶ Sign the pack")
    operator.press("ctrl+s")
    reviewer.wait_for("▶ Sign the pack")
    reviewer.press("ctrl+s")
    operator.wait_for("SEALED")

    (pack,) = desk.packs()
    signers = str(desk.workspace / "config" / "allowed_signers")
    desk.command("verify", str(pack), "--allowed-signers", signers)
    assert _stock_tools(pack, signers, desk.workspace.parent) == 0
    _one_changed_byte(pack)
    said = desk.command("verify", str(pack), "--allowed-signers", signers, code=1)
    assert "data/reports/runlog.md" in said
    assert _stock_tools(pack, signers, desk.workspace.parent) == 1


def _price(desk: Desk, side: str, factor: str) -> str:
    """The best price of a side now, moved so far that no market gets there while somebody types."""
    best = Decimal(desk.status()["market"][side][0][0])
    return str((best * Decimal(factor)).quantize(Decimal("0.01")))


def _other_terminals(desk: Desk) -> dict[str, dict[str, str]]:
    """What works from any other terminal while the session runs."""
    where = ("--workspace", str(desk.workspace))
    desk.command("snapshot", *where, "--person", "alice")
    assert "live" in desk.command("session", "list", *where)
    desk.command("journal", "verify", *where)
    desk.command("doctor", *where)
    return desk.status()


def _stock_tools(pack: Path, signers: str, folder: Path) -> int:
    """The script of the pack's own VERIFY.md; nothing of ours runs."""
    text = (pack / "data" / "VERIFY.md").read_text(encoding="utf-8")
    script = folder / "verify.sh"
    script.write_text(text.split("```bash\n")[1].split("\n```")[0], encoding="utf-8")
    done = subprocess.run(
        ["bash", str(script), str(pack), signers],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    if done.returncode:
        assert "data/reports/runlog.md" in done.stdout + done.stderr
    return done.returncode


def _one_changed_byte(pack: Path) -> None:
    path = pack / "data" / "reports" / "runlog.md"
    path.parent.chmod(0o755)
    path.chmod(0o644)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
