"""Sessions that do not become live, or lose a person half way: nothing is lost, all is said."""

from __future__ import annotations

from people import Desk, ask_for_go, decide, open_session, work_checklist


def test_no_go_with_a_reason_ends_the_session_and_is_kept(desk: Desk) -> None:
    operator, reviewer = desk.operator(), desk.reviewer()
    open_session(operator)
    work_checklist(operator, reviewer)
    decide(reviewer, ask_for_go(operator), "NO-GO", "the news at eight")
    operator.wait_for("NO.GO")
    operator.wait_for("the news at eight")
    state = desk.status()
    assert state["session"]["state"] == "no_go"
    assert state["session"]["go"]["decision"] == "NO-GO"
    assert not state["orders"]
    listed = desk.command("session", "list", "--workspace", str(desk.workspace))
    assert "no_go" in listed


def test_an_expired_packet_arms_nothing_and_can_be_asked_for_again(desk: Desk) -> None:
    desk.environ["PEAKCTL__SESSION__GO_EXPIRY_SECONDS"] = "3"
    operator = desk.operator()
    reviewer = desk.reviewer()
    open_session(operator)
    work_checklist(operator, reviewer)
    ask_for_go(operator)
    operator.wait_for("the request has expired")
    state = desk.status()
    assert state["session"]["state"] == "checklist"
    assert state["session"]["go"]["stage"] == "void"
    reviewer.wait_for("Wait for the operator to ask for go")
    ask_for_go(operator)
    assert desk.status()["session"]["go"]["stage"] in {"signed", "void"}


def test_a_reviewer_who_closes_the_terminal_half_way_can_come_back(desk: Desk) -> None:
    operator, reviewer = desk.operator(), desk.reviewer()
    open_session(operator)
    work_checklist(operator, reviewer)
    code = ask_for_go(operator)
    reviewer.wait_for("OPERATOR SIGNED")
    reviewer.close()
    assert desk.status()["session"]["state"] == "go_nogo"
    again = desk.reviewer()
    again.wait_for("OPERATOR SIGNED")
    decide(again, code, "GO")
    operator.wait_for("● LIVE")
