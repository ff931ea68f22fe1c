"""`peakctl store query --pack`: the same question, asked of a sealed pack's Parquet, no engine."""

from __future__ import annotations

import resource
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from engine.contracts.errors import InputError
from engine.contracts.money import to_text
from peakctl.commands.output import answer_rows, complain, named_rows, say, say_json

#: A question of a hostile pack ends before the memory of the machine does, bytes.
_ADDRESS_SPACE = 4 << 30

PackOption = Annotated[
    Path | None,
    typer.Option("--pack", help="Ask this sealed pack's tables instead; no engine is needed."),
]
UnverifiedOption = Annotated[
    bool, typer.Option("--unverified", help="With --pack: do not verify the pack first.")
]
SignersOption = Annotated[
    Path | None,
    typer.Option(
        "--allowed-signers", help="With --pack: who may sign (default: the workspace's list)."
    ),
]


def ask(sql: str, pack: Path, allowed_signers: Path | None, *, verify: bool, json: bool) -> int:
    """Verify the pack, ask, and say on standard error what the answer rests on."""
    from engine.evidence.pack_tables import ask_pack  # noqa: PLC0415
    from peakctl.commands.evidence import signers_beside  # noqa: PLC0415

    if not pack.is_dir():
        raise InputError(what="no such pack", where=str(pack), todo="name the session's folder")
    signers = allowed_signers or signers_beside(pack)
    now, most = resource.getrlimit(resource.RLIMIT_AS)
    if now == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, most))
    answer = ask_pack(pack, sql, signers, verify=verify)
    if not answer.verified:
        complain(f"{pack}: NOT verified; these rows may be anybody's")
    elif signers is None:
        complain(f"{pack}: verified, but who signed rests on the pack's own allowed_signers")
    if answer.truncated:
        complain(f"only the first {len(answer.rows)} rows; ask for fewer")
    rows = [
        [to_text(cell) if isinstance(cell, Decimal) else cell for cell in row]
        for row in answer.rows
    ]
    if json:
        say_json(named_rows(answer.columns, rows))
    else:
        say(*answer_rows(answer.columns, rows))
    return 0
