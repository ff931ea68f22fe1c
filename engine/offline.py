"""Recording a change of config or roster while no engine runs: same lock, same chain, same events.

The journal's lock is what makes this the only writer: with an engine running it is refused with the
holder's pid. The journal is verified first and must extend its own signed heads, as at every start
of an engine. File and event are made by the same `perform` that the engine uses; a stop between the
two is found and journaled by the next start.
"""

from __future__ import annotations

from pathlib import Path

from engine.contracts.event import AnyEvent, Recorded
from engine.contracts.people import ENGINE, Actor
from engine.execution.change_desk import Plan, checked_reason, perform
from engine.execution.clock import wall_us
from engine.journal.heads import refuse_rewritten
from engine.journal.writer import Journal
from engine.planning import Plans


async def record_change(
    state: Path, plans: Plans, plan: Plan, reason: str, actor: Actor, segment_lines: int
) -> Recorded:
    """Make one change and journal it; `state` is the workspace's hidden folder.

    Raises WorkspaceError (JOURNAL_LOCKED) while an engine runs, IntegrityError for a journal that
    is not whole, ConfigError and InputError for a change that cannot be. Then nothing was changed.
    """
    text = checked_reason(reason)
    opened = Journal.open(
        state / "journal", commit_interval_ms=0, segment_lines=segment_lines, clock_us=wall_us
    )
    journal = opened.journal
    try:
        refuse_rewritten(journal, state / "heads")
        if opened.repaired is not None:
            await journal.append(ENGINE, [opened.repaired])

        async def record(event: AnyEvent) -> list[Recorded]:
            return await journal.append(actor, [event])

        return await perform(plan(plans), text, record)
    finally:
        journal.close()
