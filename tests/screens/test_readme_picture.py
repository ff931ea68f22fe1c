"""The README's picture is what the live console draws; it is made here and compared here."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from engine.contracts.order import OrderState
from tests.screens import conftest as data

_ALL = {row.state: row for row in data.ORDERS}
#: An ordinary moment: two orders rest, two are done, nothing is wrong.
CALM = msgspec.structs.replace(
    data.LIVE,
    orders=tuple(
        _ALL[state]
        for state in (
            OrderState.ACKNOWLEDGED,
            OrderState.PARTIALLY_FILLED,
            OrderState.FILLED,
            OrderState.CANCELED,
        )
    ),
    limits=tuple(
        msgspec.structs.replace(row, used=used, used_percent=percent)
        for row, (used, percent) in zip(
            data.HEADROOM,
            (("0.07", 7), ("2", 10), ("12.40", 2), ("4", 1), ("3", 5)),
            strict=True,
        )
    ),
    alarms=(),
)

PICTURE = Path(__file__).resolve().parents[2] / "screens" / "console.svg"
RENEW = "PEAKCTL_RENEW_PICTURE"


async def drawn(operator) -> str:
    """The live console at 120x40, without the web fonts that Textual's picture asks for."""
    async with data.staged(operator, (120, 40)) as stage:
        await stage.show(CALM)
        svg = stage.app.export_screenshot(title="peakctl")
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"@font-face \{.*?\}\n?", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


async def test_the_readmes_picture_is_the_live_console(operator) -> None:
    svg = await drawn(operator)
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    if os.environ.get(RENEW):
        PICTURE.write_text(svg, encoding="utf-8")
    kept = PICTURE.read_text(encoding="utf-8") if PICTURE.exists() else ""
    assert kept == svg, (
        f"{PICTURE.name} is not what the console draws; if that is right, renew it:"
        f" {RENEW}=1 .venv/bin/pytest tests/screens/{Path(__file__).name}"
    )
