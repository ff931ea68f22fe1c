"""The operator's console on data: what each state shows, and what each key asks of the engine."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from textual.events import Key
from textual.widgets import Button, Input

from engine.contracts.documents import Purpose
from engine.contracts.session import SessionState
from engine.contracts.view import GoView
from screens.lines import Choice
from screens.model import SILENT_LIMIT_MS
from screens.ticket import Ticket
from tests.screens import conftest as data


async def test_the_next_step_and_the_kill_line_are_on_every_screen(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        for name in (
            "charter",
            "checklist",
            "go",
            "live",
            "reconcile",
            "seal",
            "stopped",
            "alarms",
        ):
            stage.app.action_go_to(name)
            await stage.pilot.pause()
            assert "Session is live until" in stage.text("next")
            assert "F9 / ctrl+x  KILL   ● READY" in stage.text("kill")
            assert "● LIVE" in stage.text("header")


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (data.EMPTY, "charter"),
        (data.CHECKLIST, "checklist"),
        (data.GO, "go"),
        (data.LIVE, "live"),
        (data.RECONCILE, "reconcile"),
        (data.SEAL, "seal"),
        (data.KILLED, "stopped"),
    ],
)
async def test_the_screen_follows_the_session(operator, state, name: str) -> None:
    async with data.staged(operator) as stage:
        await stage.show(state)
        assert stage.app.screen.name == name


async def test_a_silent_stream_makes_the_whole_screen_stale(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        assert "data live" in stage.text("header")
        stage.clock.passed_ms += SILENT_LIMIT_MS + 1
        stage.app.tick()
        assert "▲ STALE 2 s" in stage.text("header")
        assert "▲ STALE" in stage.text("book")
        assert stage.app.screen.has_class("-stale")


async def test_a_link_that_is_down_looks_dead_and_names_the_other_way(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        stage.console.connected = False
        stage.app.tick()
        assert "LINK DOWN: use `peakctl kill`" in stage.text("kill")
        assert "READY" not in stage.text("kill")


async def test_stale_market_is_drawn_stale_and_unknown_is_never_zero(operator) -> None:
    market = msgspec.structs.replace(data.MARKET, stale=True, book_age_ms=9_000, last=None)
    position = msgspec.structs.replace(data.POSITION, unrealized=None, mark=None)
    async with data.staged(operator) as stage:
        await stage.show(msgspec.structs.replace(data.LIVE, market=market, positions=(position,)))
        assert "▲ STALE 9.0 s" in stage.text("book")
        assert "last ?" in stage.text("book")
        assert "mark ?" in stage.text("position")
        assert "open ?" in stage.text("position")


async def test_the_charter_is_prefilled_and_written_with_one_key(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.EMPTY)
        box = stage.app.screen.query_one("#max_position", Input)
        assert box.value == "1"
        box.value = "0.5"
        await stage.press("ctrl+s")
        await stage.until(lambda: len(stage.console.calls) == 2)
        (name, charter), second = stage.console.calls
        assert (name, second) == ("charter", ("start_checklist",))
        assert charter.limits.max_position == data.D("0.5")
        assert charter.window_until_us - charter.window_from_us == 55 * 60_000_000


async def test_a_number_that_is_none_names_its_field_and_sends_nothing(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.EMPTY)
        stage.app.screen.query_one("#max_session_loss", Input).value = "1e9"
        await stage.press("ctrl+s")
        assert stage.said.startswith("loss, quote:")
        assert stage.console.calls == []


async def test_automatic_items_run_and_cannot_be_answered(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.CHECKLIST)
        assert "▶ ✖ FAIL" in stage.text("check-items")
        await stage.type("fine")
        await stage.press("enter")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls == [("probe", "i3")]
        await stage.press("ctrl+r")
        await stage.until(lambda: len(stage.console.calls) == 2)
        assert stage.console.calls[1] == ("probe", "")


async def test_a_manual_item_wants_a_value(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.CHECKLIST)
        await stage.press("down", "down", "enter")
        assert stage.console.calls == []
        stage.app.screen.query_one("#check-answer", Input).value = ""
        await stage.type("25000")
        await stage.press("enter")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls == [("answer", "i5", "operator", "25000")]


async def test_the_packet_is_hashed_here_before_it_is_signed(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.GO)
        assert "BAJIK   TORUL   MASIT   KUROB" in stage.text("go-head")
        assert "expires in 4:00" in stage.text("go-head")
        await stage.press("ctrl+s")
        await stage.until(lambda: bool(stage.console.calls))
        name, sha256, signature = stage.console.calls[0]
        assert (name, sha256) == ("sign_go", data.PACKET_SHA)
        assert data.PACKET_SHA in signature
        assert "peakctl-go-v1@" in signature


async def test_a_packet_with_another_hash_cannot_be_signed(operator) -> None:
    go = GoView(stage="requested", packet=data.PACKET, packet_sha256="0" * 64, expires_us=None)
    async with data.staged(operator) as stage:
        await stage.show(data.with_session(SessionState.GO_NOGO, go=go))
        assert "HASH DIFFERS" in stage.text("go-head")
        await stage.press("ctrl+s")
        await stage.until(lambda: "differs" in stage.said)
        assert stage.console.calls == []


async def ticket_with(stage: data.Stage, quantity: str) -> Ticket:
    await stage.show(data.LIVE)
    await stage.press("ctrl+n")
    await stage.type(quantity)
    ticket = stage.app.screen
    assert isinstance(ticket, Ticket)
    await stage.until(lambda: bool(stage.console.calls) and ticket._decision is not None)
    return ticket


async def test_an_order_leaves_only_from_the_send_button_after_its_checks(operator) -> None:
    async with data.staged(operator) as stage:
        ticket = await ticket_with(stage, "0.01")
        assert "MAX_NOTIONAL" in stage.text("ticket-checks")
        await stage.press("enter", "enter", "enter")  # quantity, price, then Back: never Send
        assert [call[0] for call in stage.console.calls if call[0] == "submit"] == []
        ticket = await ticket_with(stage, "0.01")
        ticket.query_one("#ticket-send").focus()
        await stage.press("enter")
        await stage.until(lambda: stage.console.calls[-1][0] == "submit")
        _, symbol, side, kind, quantity, price, tif = stage.console.calls[-1]
        assert (symbol, side, kind, quantity, price, tif) == (
            "BTCUSDT",
            "BUY",
            "LIMIT",
            data.D("0.01"),
            data.D("60000.10"),
            "GTC",
        )


async def test_a_blocked_order_cannot_be_sent_and_says_why(operator) -> None:
    async with data.staged(operator) as stage:
        stage.console.decision = data.BLOCK
        ticket = await ticket_with(stage, "0.5")
        assert ticket.query_one("#ticket-send", Button).has_class("waits")
        assert "✖ BLOCK" in stage.text("ticket-verdict")
        assert "blocked: MAX_NOTIONAL" in stage.text("ticket-why")


async def test_changing_a_field_takes_the_permission_back(operator) -> None:
    async with data.staged(operator) as stage:
        ticket = await ticket_with(stage, "0.01")
        assert ticket.sendable
        stage.console.decision = data.BLOCK
        ticket.query_one("#side", Choice).choose("SELL")
        assert not ticket.sendable
        await stage.pilot.pause()
        assert ticket.query_one("#ticket-send", Button).has_class("waits")


async def test_keys_of_the_first_300_ms_of_a_dialog_are_dropped(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        await stage.pilot.press("ctrl+n", "9", "9")
        assert stage.app.screen.query_one("#quantity", Input).value == ""
        await stage.type("1")
        assert stage.app.screen.query_one("#quantity", Input).value == "1"


async def test_the_marked_order_is_cancelled_with_one_key(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        await stage.press("down", "c")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls == [("cancel", data.ORDERS[1].intent.client_order_id)]


async def test_an_order_that_is_done_is_not_cancelled(operator) -> None:
    done = msgspec.structs.replace(data.LIVE, orders=data.ORDERS[4:])
    async with data.staged(operator) as stage:
        await stage.show(done)
        await stage.press("c")
        await stage.until(lambda: "not open" in stage.said)
        assert stage.console.calls == []


async def test_a_note_goes_into_the_runlog(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+l")
        await stage.type("spread is wide")
        await stage.press("enter")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls == [("note", "spread is wide")]


async def test_stopping_asks_for_a_reason_and_enter_does_not_stop(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        await stage.press("f12")
        await stage.type("done")
        await stage.press("enter")
        assert stage.console.calls == []
        await stage.press("tab", "enter")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls == [("stop", "done")]


async def test_a_break_is_answered_and_the_report_signed(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.RECONCILE)
        assert "■ RED" in stage.text("recon-breaks")
        await stage.press("down")
        await stage.type("late")
        await stage.press("enter")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls[0] == ("answer_break", "r1", "b2", "late")
        await stage.press("ctrl+s")
        await stage.until(lambda: len(stage.console.calls) == 2)
        name, sha256, signature = stage.console.calls[1]
        assert (name, sha256) == ("sign_recon", data.RECON.report_sha256)
        assert "peakctl-recon-v1@" in signature


async def test_the_pack_is_signed_and_verified_when_sealed(operator) -> None:
    sealed = msgspec.structs.replace(data.PACK, stage="sealed", signed_by=("operator", "reviewer"))
    async with data.staged(operator, (120, 40)) as stage:
        await stage.show(data.with_session(SessionState.RECONCILED, pack=data.SIGNABLE))
        await stage.until(lambda: "^S signs these 3" in stage.text("pack-documents"))
        shown = stage.text("pack-documents")
        assert "a key with a passphrase or a touch asks for each" in shown
        for name, raw in list(data.DOCUMENTS.items())[:2]:
            assert hashlib.sha256(raw).hexdigest()[:24] in shown, name
        assert data.SIGNABLE.tagmanifest_sha256[:24] in shown
        assert "note: [@click=app.exit]\\u202e all well[/]" in shown, "read, never obeyed"
        assert f"folder {data.SIGNABLE.folder}.partial" in stage.text("pack-rows")
        await stage.press("ctrl+s")
        await stage.until(lambda: bool(stage.console.calls))
        name, sha256, _signature, documents = stage.console.calls[0]
        assert (name, sha256) == ("sign_pack", data.SIGNABLE.tagmanifest_sha256)
        spaces = ("peakctl-runlog-v1@", "peakctl-incidents-v1@")
        for space, signature in zip(spaces, documents.values(), strict=True):
            assert space in signature
        await stage.show(data.with_session(SessionState.SEALED, pack=sealed))
        await stage.until(lambda: "✔ VERIFIED" in stage.text("pack-rows"))
        assert f"peakctl verify {sealed.folder}" in stage.text("pack-rows")
        # The next session's lessons are its own, and where the cursor is.
        await stage.show(data.with_session(SessionState.RECONCILED))
        await stage.type("one")
        assert stage.app.screen.query_one("#lesson-1", Input).value == "one"


async def test_a_session_that_cannot_be_sealed_is_ended_with_a_reason(operator) -> None:
    async with data.staged(operator, (120, 40)) as stage:
        await stage.show(data.SEAL)
        await stage.press("f12")
        await stage.type("the key is lost")
        await stage.press("tab", "tab", "enter")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls[0] == ("abort", "the key is lost")


async def test_a_pack_whose_parts_do_not_hang_together_is_not_signed(operator) -> None:
    """The lists that people see name other reports than the engine hands out."""
    async with data.staged(operator, (120, 40)) as stage:
        await stage.show(data.with_session(SessionState.RECONCILED, pack=data.PACK))
        await stage.until(lambda: "✖ DO NOT SIGN" in stage.text("pack-documents"))
        await stage.press("ctrl+s")
        await stage.until(lambda: "do not sign" in stage.text("answer"))
        assert not stage.console.calls


async def test_a_kill_closes_dialogs_and_shows_its_stages(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+n")
        await stage.show(data.KILLED)
        assert stage.app.screen.name == "stopped"
        assert "■ PROVEN 312.9 ms" in stage.text("kill")
        assert "none, proven" in stage.text("stopped-rows")


async def test_an_alarm_is_taken_by_name(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        assert "▲ 1 alarm F8" in stage.text("kill")
        await stage.press("f8")
        await stage.press("enter")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls == [("acknowledge", "a1")]


async def test_trouble_is_on_the_live_screen_and_its_cause_one_key_away(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.TROUBLE)
        assert "■ BREAKS 4.0 s" in stage.text("streams")
        assert "■ 1 ORPHAN ^O" in stage.text("streams")
        await stage.press("ctrl+o")
        assert "FILL_MISSING_ENGINE BTCUSDT 90211, since 14.0 s, 2 runs" in stage.text(
            "venue-watch"
        )
        assert "Likely: the user stream lost it. Owner: operator." in stage.text("venue-watch")


async def test_an_orphan_is_canceled_without_a_question(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.TROUBLE)
        await stage.press("ctrl+o", "c")
        await stage.until(lambda: bool(stage.console.calls))
        assert stage.console.calls == [("cancel_orphan", "BTCUSDT", "stranger-1", "by key")]


async def test_an_orphan_is_adopted_only_with_a_reason(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.TROUBLE)
        await stage.press("ctrl+o", "enter")
        stage.clock.passed_ms += 1_000
        await stage.press(*"mine", "tab", "tab", "enter")
        await stage.until(lambda: len(stage.console.calls) == 2)
        subject = {"symbol": "BTCUSDT", "client_order_id": "stranger-1"}
        asked, signed = stage.console.calls
        assert asked == ("dual_request", Purpose.ADOPT, subject, "mine")
        assert signed[0] == "dual_sign"


async def test_what_has_ended_is_not_canceled_again(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.TROUBLE)
        await stage.press("ctrl+o", "down", "c")
        await stage.until(lambda: "not open" in stage.text("answer"))
        assert stage.console.calls == []


async def test_an_old_agreement_is_drawn_as_stale(operator) -> None:
    old = msgspec.structs.replace(data.WATCHED, state="agree", age_ms=60_000, breaks=())
    async with data.staged(operator) as stage:
        await stage.show(msgspec.structs.replace(data.TROUBLE, recon_watch=old))
        assert "recon ▲ STALE 1 min" in stage.text("streams")
        await stage.press("ctrl+o")
        assert "STALE" in stage.text("venue-watch")


async def test_words_from_outside_are_neither_markup_nor_control(operator) -> None:
    evil = "[@click=app.exit]x[/] \u202e\x1b]0;t\x07"
    alarm = msgspec.structs.replace(data.ALARM, text=evil)
    async with data.staged(operator, (120, 40)) as stage:
        await stage.show(msgspec.structs.replace(data.LIVE, alarms=(alarm,), next_step=evil))
        await stage.press("f8")
        shown = stage.text("alarm-list", "next")
        assert "[@click=app.exit]x[/] \\u202e\\x1b]0;t\\x07" in shown
        assert "\u202e" not in shown


async def test_leaving_an_open_session_asks_and_escape_stays(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        await stage.press("ctrl+q")
        assert "no operator's console is heard for 15 s" in stage.text("prompt-question")
        await stage.press("enter")  # the focus is on Stay
        assert stage.app.is_running
        assert stage.app.screen.name == "live"
        await stage.press("ctrl+c")
        assert "ctrl+q leaves" in stage.said
        assert stage.app.is_running


@pytest.mark.parametrize("size", [(1, 1), (10, 5), (200, 60)])
async def test_any_size_is_survived(operator, size: tuple[int, int]) -> None:
    async with data.staged(operator, size) as stage:
        for state in (data.EMPTY, data.CHECKLIST, data.GO, data.LIVE, data.RECONCILE, data.SEAL):
            await stage.show(state)
        await stage.press("f1")
        assert stage.app.is_running


async def test_an_unchanged_state_repaints_nothing(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        book = stage.app.screen.query_one("#book")
        painted = []
        book.refresh = lambda *regions, **_: painted.append(regions)  # type: ignore[method-assign]
        await stage.show(msgspec.structs.replace(data.LIVE, time_us=data.NOW + 1))
        assert painted == []
        level = ((data.D("60000.10"), data.D(9)), *data.MARKET.bids[1:])
        market = msgspec.structs.replace(data.MARKET, bids=level)
        await stage.show(msgspec.structs.replace(data.LIVE, market=market))
        assert [[region.y for region in regions] for regions in painted] == [[1]]


async def test_escape_goes_back_to_the_sessions_own_step(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        await stage.press("f8", "escape")
        assert stage.app.screen.name == "live"


async def test_letters_after_the_note_key_are_the_note_even_in_one_burst(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.LIVE)
        for key, letter in (("ctrl+l", None), ("c", "c"), ("o", "o"), ("enter", "\r"), ("c", "c")):
            stage.app.post_message(Key(key, letter))
        await stage.until(lambda: len(stage.console.calls) == 2)
        assert stage.console.calls[0] == ("note", "co")
        assert stage.console.calls[1][0] == "cancel"


async def test_enter_goes_to_the_next_lesson_even_in_one_burst(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.with_session(SessionState.RECONCILED, recon=data.RECON))
        for key, letter in (("a", "a"), ("enter", "\r"), ("b", "b"), ("ctrl+r", None)):
            stage.app.post_message(Key(key, letter))
        await stage.until(lambda: len(stage.console.calls) == 2)
        assert stage.console.calls[0] == ("write_lessons", ("a", "b"))


async def test_the_key_that_starts_an_engine_is_the_inputs_while_one_runs(operator) -> None:
    async with data.staged(operator) as stage:
        await stage.show(data.EMPTY)
        stage.app.screen.query_one("#purpose", Input).value = "one"
        await stage.press("ctrl+a", "ctrl+e", "x")
        assert stage.app.screen.query_one("#purpose", Input).value == "onex"
