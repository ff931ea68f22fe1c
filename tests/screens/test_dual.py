"""Two people beside the go: a document read from its bytes, the spoken code, a reason to say no."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from engine.contracts.documents import DUAL_NAMESPACES, Purpose
from engine.contracts.people import Role
from engine.contracts.session import SessionState
from engine.governance.wordlist import short_code
from tests.screens import conftest as data

ASKED = msgspec.structs.replace(data.LIVE, dual=(data.DUAL,))
CODE = short_code(data.DUAL.sha256)
SIZES = [(80, 24), (120, 40)]


def signature(role: Role, purpose: Purpose = Purpose.LOOSEN) -> str:
    return f"signed {DUAL_NAMESPACES[purpose, role]} {data.DUAL.sha256}"


async def test_whoever_is_asked_sees_it_on_every_screen(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(ASKED)
        assert "your signature is asked for: loosen a limit, by alice, 4:30" in stage.text("next")
        await stage.press("f8")
        assert "ctrl+t" in stage.text("next")
        await stage.show(msgspec.structs.replace(ASKED, dual=()))
        assert "ctrl+t" not in stage.text("next")


async def test_the_other_signs_with_the_spoken_code_after_reading(reviewer) -> None:
    app, console = reviewer
    async with data.staged(reviewer) as stage:
        await stage.show(ASKED)
        app.tools = replace(app.tools, min_dwell_ms=600_000)
        await stage.press("ctrl+t")
        shown = stage.text("dual-head", "dual-rows")
        assert "LOOSEN A LIMIT" in shown
        assert "the book is deeper than we thought" in shown
        assert "✔ operator alice   ○ reviewer bob   expires in 4:30" in shown
        assert CODE.split("-")[0] not in shown.lower()
        await stage.press("ctrl+s")
        assert "has just appeared" in stage.said
        stage.clock.passed_ms += 600_000
        await stage.press("ctrl+s")
        assert "type the words that alice reads aloud" in stage.said
        await stage.type("bajik torul masit kurob")  # the cursor is there already
        assert "not this document's code" in stage.text("dual-match")
        await stage.press("ctrl+s")
        assert "is not this document's code" in stage.said
        assert console.calls == []
        app.screen.query_one("#dual-code").value = ""
        await stage.type(CODE.replace("-", " "))
        assert "MATCH" in stage.text("dual-match")
        await stage.press("ctrl+s")
        await stage.until(lambda: bool(console.calls))
        typed = CODE.replace("-", " ")
        mine = signature(Role.REVIEWER)
        assert console.calls == [("dual_sign", data.DUAL.id, data.DUAL.sha256, mine, typed)]


async def test_declining_needs_a_reason_and_what_was_typed_stays_with_its_document(
    reviewer,
) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(ASKED)
        await stage.press("ctrl+t", "f12")
        assert "say why" in stage.said
        await stage.type("too wide")
        other = data.dual_view(id="ffffffffffff", says={"subject": {"limit": "x"}})
        await stage.show(msgspec.structs.replace(ASKED, dual=(other,)))
        assert stage.app.screen.query_one("#dual-reason").value == ""
        assert "DO NOT SIGN" in stage.text("dual-head")
        await stage.press("ctrl+s")
        assert "must not be signed" in stage.said
        await stage.show(ASKED)
        stage.app.screen.query_one("#dual-reason").value = "too wide"
        await stage.press("f12")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls == [("dual_withdraw", data.DUAL.id, "too wide")]


async def test_who_asked_sees_the_code_to_read_out_and_signs_without_typing_it(operator) -> None:
    asked = msgspec.structs.replace(ASKED, dual=(data.dual_view(signed_by=()),))
    async with data.staged(operator) as stage:
        await stage.show(asked)
        await stage.press("ctrl+t")
        assert CODE.upper().split("-")[0] in stage.text("dual-head")
        await stage.press("ctrl+s")
        await stage.until(lambda: bool(stage.console.calls))
        mine = signature(Role.OPERATOR)
        assert stage.console.calls == [("dual_sign", data.DUAL.id, data.DUAL.sha256, mine, "")]
        await stage.show(ASKED)
        assert "ctrl+t" not in stage.text("next")
        await stage.press("ctrl+s")
        assert "nothing here waits for your signature" in stage.said


async def test_words_in_a_document_are_only_words(reviewer) -> None:
    hostile = "[@click=app.exit]x[/] \u202eoh\x1b[2J"
    one = data.dual_view(says={"subject": {"limit": hostile}, "reason": hostile})
    async with data.staged(reviewer, (120, 40)) as stage:
        await stage.show(msgspec.structs.replace(ASKED, dual=(one,)))
        await stage.press("ctrl+t")
        shown = stage.text("dual-rows")
        assert "[@click=app.exit]x[/] \\u202eoh\\u001b[2J" in shown


async def test_a_red_break_and_an_orphan_are_asked_for_and_signed_by_the_operator(operator) -> None:
    red = msgspec.structs.replace(data.RECONCILE.session.recon.breaks[0], klass="red", id="B0009")
    recon = msgspec.structs.replace(data.RECONCILE.session.recon, breaks=(red,))
    async with data.staged(operator) as stage:
        await stage.show(data.with_session(SessionState.STOPPED, recon=recon))
        await stage.press("f6")
        await stage.type("found")
        await stage.press("enter")
        await stage.until(lambda: len(stage.console.calls) == 2)
        subject = {"run_id": recon.run_id, "break_ids": "B0009"}
        asked, signed = stage.console.calls
        assert asked == ("dual_request", Purpose.CLOSE_BREAK, subject, "found")
        assert signed[0] == "dual_sign"
        assert f"Read to bob, who signs with ctrl+t: {CODE}" in stage.said


def showing(made, *keys: str):
    async def run(pilot) -> None:
        stage = data.Stage(made[0], made[1], pilot)
        done = data.dual_view(id="1", stage="granted", purpose="release", closed_by="bob")
        await stage.show(msgspec.structs.replace(ASKED, dual=(data.DUAL, done)))
        await stage.press("ctrl+t", *keys)
        await pilot.pause()

    return run


async def test_the_release_of_the_latch_is_asked_for_on_the_kill_screen(reviewer) -> None:
    async with data.staged(reviewer) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+k", "ctrl+r")
        assert "when a kill is latched and PROVEN" in stage.said
        await stage.show(data.KILLED)
        assert "^R asks with a reason" in stage.text("stopped-rows")
        await stage.press("ctrl+r")
        stage.clock.passed_ms += 1_000
        await stage.type("the venue shows nothing, we both looked")
        await stage.press("enter", "tab", "enter")
        await stage.until(lambda: len(stage.console.calls) == 2)
        asked, signed = stage.console.calls
        words = "the venue shows nothing, we both looked"
        assert asked == ("dual_request", Purpose.RELEASE, {}, words)
        assert signed[0] == "dual_sign"
        waiting = msgspec.structs.replace(
            data.KILLED, dual=(data.dual_view(purpose=Purpose.RELEASE, signed_by=("bob",)),)
        )
        await stage.show(waiting)
        assert "A release is asked for" in stage.text("stopped-rows")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_picture(snap_compare, reviewer, size: tuple[int, int]) -> None:
    assert snap_compare(reviewer[0], terminal_size=size, run_before=showing(reviewer))


def test_picture_of_who_asked(snap_compare, operator) -> None:
    assert snap_compare(operator[0], terminal_size=(80, 24), run_before=showing(operator))
