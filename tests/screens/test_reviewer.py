"""The reviewer's terminal on data: blind answers, the packet hashed here, the spoken code."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from engine.contracts.session import SessionState
from engine.governance import packet
from screens.lines import Choice
from tests.peakctl.small_journal import SmallJournal
from tests.screens import conftest as data

SIGNED = data.with_session(SessionState.GO_NOGO, go=data.go_view("signed"))


async def test_the_reviewer_joins_once_with_a_fresh_nonce(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(data.with_session(SessionState.CHARTER))
        await stage.show(data.CHECKLIST)
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls == [("join_review", "ab" * 32, {"tty": "/dev/pts/1"})]


async def test_the_reviewer_sees_own_items_only(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(data.CHECKLIST)
        shown = stage.text("check-items")
        assert "Position before the session" in shown
        assert "Watchdog" not in shown
        assert "operator 4 of 6 answered" in stage.text("check-title")


LIMIT = "25000"


async def decide(
    stage: data.Stage, code: str, decision: str, reason: str = "", limit: str = LIMIT
) -> None:
    screen = stage.app.screen
    await stage.press("tab")
    await stage.type(code)
    await stage.press("tab")
    await stage.type(limit)
    screen.query_one("#packet-decision", Choice).choose(decision)
    if reason:
        await stage.press("tab", "tab")
        await stage.type(reason)
    await stage.press("ctrl+s")


async def test_go_is_signed_with_the_spoken_code(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        assert "bajik" not in stage.text("packet-rows", "packet-head")
        await decide(stage, "bajik torul masit kurob", "GO")
        assert "✔ MATCH" in stage.text("packet-match")
        await stage.until(lambda: bool(stage.console.calls))
        name, document, signature = stage.console.calls[0]
        assert name == "cosign"
        assert document == f"GO {data.PACKET_SHA} {data.CODE} {LIMIT} \n"
        assert "peakctl-cosign-v1@" in signature


async def test_another_code_is_refused(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        await decide(stage, "bajik torul masit kuro", "GO")
        await stage.until(lambda: "not this packet's code" in stage.said)
        assert stage.console.calls == []


@pytest.mark.parametrize("limit", ["", "2500", "25000.0", "2.5e4", "25,000", "+25000"])
async def test_go_needs_the_limit_as_the_packet_has_it(reviewer, limit: str) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        await decide(stage, data.CODE, "GO", limit=limit)
        await stage.until(lambda: "is not the packet's max_order_notional" in stage.said)
        assert ("not its limit" in stage.text("packet-limit-match")) == bool(limit)
        assert stage.console.calls == []


async def test_a_limit_as_signed_is_marked_so(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        await decide(stage, data.CODE, "GO")
        assert "✔ AS SIGNED" in stage.text("packet-limit-match")


async def test_an_abstention_needs_a_reason_and_no_limit(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        await decide(stage, data.CODE, "ABSTAIN", limit="")
        await stage.until(lambda: "ABSTAIN needs a reason" in stage.said)
        stage.app.screen.query_one("#packet-reason").value = "I was not at the briefing"
        await stage.press("ctrl+s")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls[0][1].startswith(f"ABSTAIN {data.PACKET_SHA}")


async def test_after_an_abstention_the_reviewer_joins_anew_once(reviewer) -> None:
    """The decided packet has used the nonce up; a request that expired has not."""
    async with data.staged(reviewer) as stage:
        await stage.show(data.CHECKLIST)
        await stage.until(lambda: len(stage.console.calls) == 1)
        expired = data.with_session(SessionState.CHECKLIST, go=data.go_view("void"))
        await stage.show(expired)
        abstained = data.with_session(
            SessionState.CHECKLIST, go=data.go_view("void", decision="ABSTAIN")
        )
        await stage.show(abstained)
        await stage.until(lambda: len(stage.console.calls) == 2)
        await stage.show(msgspec.structs.replace(abstained, next_step="again"))
        assert [name for name, *_ in stage.console.calls] == ["join_review"] * 2


async def test_what_was_typed_before_the_packet_could_be_read_is_dropped(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        await stage.pilot.press("tab", "b", "a")  # within its first 300 ms
        assert stage.app.screen.query_one("#packet-code").value == ""
        await stage.press("b")
        assert stage.app.screen.query_one("#packet-code").value == "b"


async def test_the_waiver_stands_above_the_packet(reviewer) -> None:
    waived = tuple(
        (label, packet.WAIVED if label == "same-uid waiver" else value)
        for label, value in data.LINES
    )
    app, _ = reviewer
    app.tools = replace(app.tools, packet_lines=lambda _: waived)
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        assert "▲ one-uid waiver YES: both may work" in stage.text("packet-head")


async def test_nothing_is_decided_beforehand_and_no_go_needs_a_reason(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        await stage.press("ctrl+s")
        await stage.until(lambda: "choose GO, NO-GO or ABSTAIN" in stage.said)
        await decide(stage, "bajik torul masit kurob", "NO-GO")
        await stage.until(lambda: "needs a reason" in stage.said)
        assert stage.console.calls == []


async def test_a_packet_must_stand_for_the_dwell_of_the_config(reviewer, monkeypatch) -> None:
    monkeypatch.setattr(data.SETTINGS.session, "min_dwell_ms", 10_000)
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        await stage.until(lambda: stage.app.tools.min_dwell_ms == 10_000)
        await decide(stage, "bajik", "GO")
        await stage.until(lambda: "just appeared" in stage.said)


async def test_a_new_packet_empties_what_was_typed(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        await stage.press("tab")
        await stage.type("bajik")
        other = msgspec.structs.replace(data.go_view("signed"), packet='{"other":1}\n')
        await stage.show(data.with_session(SessionState.GO_NOGO, go=other))
        assert stage.app.screen.query_one("#packet-code").value == ""
        assert "HASH DIFFERS" in stage.text("packet-head")


async def test_the_reviewer_has_no_ticket_and_no_cancel(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+n", "c", "delete", "f12", "ctrl+w")
        assert stage.app.screen.name == "live"
        assert stage.console.calls == []
        assert "READY" in stage.text("kill")


async def test_a_history_that_goes_back_is_red_on_every_screen(reviewer) -> None:
    app, console = reviewer
    past = SmallJournal(app.workspace.root)
    past.grow(7)
    console.journal_lines = past.given
    async with data.staged(reviewer) as stage:
        console.signed_heads = (past.head(7),)
        await stage.show(data.GO)
        await app._judge_heads()
        stage.app.draw()
        assert stage.text("witness") == ""
        assert "journal first seen here, at 7 events; there was nothing" in stage.text(
            "packet-head"
        )
        console.signed_heads = (past.head(6),)
        await app._judge_heads()
        stage.app.draw()
        await stage.pilot.pause()
        assert "✖ HISTORY CHANGED: do not sign; the journal went back" in stage.text("witness")
        stage.app.action_go_to("live")
        await stage.pilot.pause()
        assert "HISTORY CHANGED" in stage.text("witness")


async def test_heads_that_cannot_be_checked_are_told_and_held_against_nobody(reviewer) -> None:
    app, console = reviewer
    past = SmallJournal(app.workspace.root)
    past.grow(7)
    console.journal_lines = past.given
    console.signed_heads = (past.head(7),)
    good = app.workspace.allowed_signers.read_text()
    app.workspace.allowed_signers.write_text("nonsense\n")
    async with data.staged(reviewer) as stage:
        await stage.show(data.GO)
        await app._judge_heads()
        stage.app.draw()
        assert "HEADS NOT CHECKED: do not sign" in stage.text("witness")
        app.workspace.allowed_signers.write_text(good)
        await app._judge_heads()
        stage.app.draw()
        await stage.pilot.pause()
        assert stage.text("witness") == ""


async def test_each_key_of_the_footer_is_this_terminals_own(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(SIGNED)
        await stage.press("f2")
        assert stage.app.screen.name == "waiting"
        await stage.press("f4")
        assert stage.app.screen.name == "packet"
