"""`peakctl orphan`: orders of the account that we did not make, listed, adopted or canceled.

Adopting is an act of two people (`peakctl dual`), cancelling one of whoever sees it first. Exit
codes: a cancel that the venue has not confirmed is 3; what the engine refuses is 4.
"""
# ruff: noqa: FBT002  (typer makes options of booleans with defaults)

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError, NotProven
from peakctl.commands import dual_signing
from peakctl.commands.options import (
    JsonOption,
    KeyOption,
    PersonOption,
    ReasonOption,
    WorkspaceOption,
    visited,
    whoami,
)
from peakctl.commands.output import say, say_json, table, utc
from peakctl.commands.running import run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.contracts.view import OrphanView, StateView
    from peakctl.client.client import EngineClient
    from peakctl.workspace import Workspace

#: How long `cancel` waits for the venue's word.
CONFIRM_SECONDS = 10.0

SymbolOption = Annotated[str, typer.Option("--symbol", help="Needed when two share the id.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Orders of the account that we did not make.")
    group.command("list")(list_)
    group.command("adopt")(adopt)
    group.command("cancel")(cancel)
    app.add_typer(group, name="orphan")


def list_(workspace: WorkspaceOption = None, json: JsonOption = False) -> int:
    """The orphans, those that may still execute first."""
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    place = visited(workspace)

    async def work() -> tuple[OrphanView, ...]:
        async with EngineClient(place.socket) as client:
            return (await client.state()).orphans

    orphans = run(work())
    if json:
        say_json(orphans)
        return 0
    rows = [
        (
            one.client_order_id,
            one.symbol,
            one.side,
            f"{one.filled_quantity} of {one.quantity}",
            str(one.price),
            f"{one.state} {one.status}".rstrip(),
            utc(one.found_us),
            f"{one.by}: {one.reason}" if one.by else "",
        )
        for one in orphans
    ]
    header = ("order", "symbol", "side", "filled", "price", "state", "found", "by")
    say(*(table(rows, header) if rows else ["none"]))
    return 0


def adopt(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="Its client order id.")],
    reason: ReasonOption,
    symbol: SymbolOption = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
    key: KeyOption = None,
) -> int:
    """Ask for an order to become one of the session, and yours; the other person signs too."""
    place = visited(workspace)
    who = whoami(place, person)
    symbols: list[str] = []

    async def work(client: EngineClient) -> None:
        symbols.append(_one(await client.state(), order, symbol).symbol)

    _as(place, who, work)
    subject = {"symbol": symbols[0], "client_order_id": order}
    return dual_signing.ask_and_sign(place, Purpose.ADOPT, subject, reason, who, key)


def cancel(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="Its client order id.")],
    reason: ReasonOption,
    symbol: SymbolOption = "",
    workspace: WorkspaceOption = None,
    person: PersonOption = "",
) -> int:
    """Cancel an order; exit 3 while the venue has not said that it ended."""
    place = visited(workspace)
    who = whoami(place, person)
    last: list[OrphanView] = []

    async def work(client: EngineClient) -> None:
        asked = _one(await client.state(), order, symbol)
        view = await client.cancel_orphan(asked.symbol, order, reason)
        deadline = time.monotonic() + CONFIRM_SECONDS
        while True:
            last[:] = [
                one
                for one in view.orphans
                if (one.symbol, one.venue_order_id) == (asked.symbol, asked.venue_order_id)
            ]
            if time.monotonic() > deadline or (last and last[0].state == "ended"):
                return
            await asyncio.sleep(0.05)
            view = await client.state()

    _as(place, who, work)
    if not last or last[0].state != "ended":
        raise NotProven(
            what="the venue has not confirmed the cancel",
            where=order,
            todo="see peakctl orphan list, and the venue's own page",
        )
    say(f"{order} has ended: {last[0].status}, {last[0].filled_quantity} filled")
    return 0


def _as(place: Workspace, person: str, work: Callable[[EngineClient], Awaitable[None]]) -> None:
    from peakctl.client.client import EngineClient  # noqa: PLC0415

    async def connected() -> None:
        async with EngineClient(place.socket, person) as client:
            await work(client)

    run(connected())


def _one(view: StateView, order: str, symbol: str) -> OrphanView:
    """The orphan that is meant: one that is not over before others. Raises InputError."""
    found = [one for one in view.orphans if one.client_order_id == order]
    symbols = sorted({one.symbol for one in found})
    if symbol:
        found = [one for one in found if one.symbol == symbol]
    if not found or (not symbol and len(symbols) > 1):
        raise InputError(
            what="no such orphan" if not found else f"there are several: {', '.join(symbols)}",
            where=order[:40],
            todo="see peakctl orphan list" if not found else "name the --symbol",
        )
    return found[0]
