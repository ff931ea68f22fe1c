"""Attacks on limits, ladder and promotion: to be let do more than what was earned and signed for.

Through the socket of a running engine, through files of its workspace, and by events that claim
what did not happen, told to the same folds that an engine acts on.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from config.drills import load_criteria
from config.ladder import load_ladder
from config.settings import load
from engine.contracts import event as ev
from engine.contracts.decision import Decision, Verdict
from engine.contracts.documents import Purpose
from engine.contracts.errors import ConfigError
from engine.contracts.order import OrderIntent, OrderType, Side
from engine.contracts.people import ENGINE, Actor, Role
from engine.contracts.session import Environment, Mode
from engine.execution.core import Core, State
from engine.execution.drill_audit import DrillAudit
from engine.journal.writer import Journal
from engine.ops.drills import TRACES, DrillTerms
from tests.engine.governance.stories import (
    ALICE,
    KEYS,
    MONDAY,
    SIGNERS,
    granted,
    sealed_session,
    without,
)
from tests.redteam.conftest import Answer, Desk

NAME = "max_orders_per_day"
#: So little under the ceiling that no other attack of this desk notices.
TIGHT = "199999"


@pytest.fixture
def limits(desk: Desk) -> Iterator[Callable[[], dict[str, Any]]]:
    """The limits in force by name; whatever is tried, they must be the same afterwards."""

    def read() -> dict[str, Any]:
        return {one["name"]: one["value"] for one in desk.get("limits").body["rows"]}

    before = read()
    yield read
    assert read() == before


def tighten(desk: Desk, name: str, value: str, other: dict[str, Any] | None = None) -> Answer:
    body = {"person": "alice", "name": name, "value": value, "reason": "x"}
    return desk.post("limits/tighten", **{**body, **(other or {})})


def dual(desk: Desk, purpose: str, subject: dict[str, Any]) -> Answer:
    return desk.post("dual/request", person="alice", purpose=purpose, subject=subject, reason="x")


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_position", "1E9"),
        ("max_position", "1E-9"),
        ("max_position", "0e0"),
        ("max_position", "-1"),
        ("max_position", "-0.5"),
        ("max_position", "NaN"),
        ("max_position", "sNaN"),
        ("max_position", "Infinity"),
        ("max_position", "-Infinity"),
        ("max_position", "１"),  # noqa: RUF001  (a digit that is none)
        ("max_position", "1\u202e0"),
        ("max_position", "1 "),
        ("max_position", "1;2"),
        ("max_position", "0,5"),
        ("max_position", "0x1"),
        ("max_position", "0." + "0" * 18 + "1"),
        ("max_position", "9" * 29),
        ("max_order_notional", "5 USDT"),
        ("max_order_notional", "5k"),
        ("price_collar_bps", "1%"),
        ("price_collar_bps", "0.5"),
        ("max_open_orders", "5.0"),
        ("max_open_orders", "true"),
        ("cooldown_loss_seconds", "1m"),
        ("cooldown_loss_seconds", "86401"),
        ("cooldown_loss_seconds", "-1"),
        ("max_positon", "1"),
        ("limits.max_position", "1"),
        ("__dict__", "1"),
        ("", "1"),
    ],
)
def test_a_limit_that_is_no_plain_number_in_its_unit(desk: Desk, name: str, value: str) -> None:
    answer = tighten(desk, name, value)
    assert answer.status == 400, answer


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"value": 1}, 400),
        ({"value": 1.5}, 400),
        ({"value": None}, 400),
        ({"reason": ""}, 400),
        ({"reason": " \n\t "}, 400),
        ({"reason": "x" * 501}, 400),
        ({"loosen": True}, 400),
        ({"person": "mallory"}, 403),
        ({"person": ""}, 403),
        ({"person": "carol"}, 403),
    ],
)
def test_a_tightening_in_another_form_or_name(
    desk: Desk, body: dict[str, Any], status: int
) -> None:
    assert tighten(desk, NAME, TIGHT, body).status in {status, 409}


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_position", "2"),
        ("max_position", "2.000000000000000001"),
        ("max_position", "3"),
        ("max_open_orders", "201"),
        ("cooldown_rejects_seconds", "1"),
        ("cooldown_rejects_seconds", "2"),
    ],
)
def test_a_tightening_that_widens(desk: Desk, name: str, value: str) -> None:
    assert tighten(desk, name, value).code == "NOT_TIGHTER"


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ({"name": "max_position", "value": "3"}, "STANDING"),
        ({"name": "max_position", "value": "1E9"}, ""),
        ({"name": "max_position", "value": "-1"}, ""),
        ({"name": "max_position"}, ""),
        ({"name": "max_position", "value": "1", "ceiling": "99"}, ""),
        ({"name": "max_position", "value": "1", "before": "0"}, ""),
        ({}, ""),
    ],
)
def test_loosening_what_cannot_be_loosened(desk: Desk, subject: dict[str, str], code: str) -> None:
    answer = dual(desk, "loosen", subject)
    assert answer.status in {400, 403, 409}, answer
    assert not code or answer.code == code


def test_loosening_over_the_ceiling_or_to_what_is_in_force(desk: Desk) -> None:
    assert tighten(desk, NAME, TIGHT).status == 200
    assert dual(desk, "loosen", {"name": NAME, "value": "200001"}).code == "CEILING"
    assert dual(desk, "loosen", {"name": NAME, "value": "999999999"}).code == "CEILING"
    assert dual(desk, "loosen", {"name": NAME, "value": TIGHT}).code == "NOT_WIDER"
    assert tighten(desk, NAME, "200000").code == "NOT_TIGHTER"


def test_loosening_with_one_persons_signature(desk: Desk) -> None:
    tighten(desk, NAME, TIGHT)
    view = dual(desk, "loosen", {"name": NAME, "value": "200000"}).body
    signature = desk.sign("operator", view["document"], "peakctl-loosen-v1@peak-trade.example")
    for person in ("alice", "bob"):
        desk.post(
            "dual/sign",
            person=person,
            request_id=view["id"],
            sha256=view["sha256"],
            signature=signature,
            signer=person,
            typed_code="",
            signals={},
        )
    rows = {one["name"]: one["value"] for one in desk.get("limits").body["rows"]}
    assert rows[NAME] == TIGHT
    desk.post("dual/withdraw", person="alice", request_id=view["id"], reason="done")


# --- the ladder -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject",
    [
        {},
        {"step": "rehearsal_3"},
        {"evidence sealed_sessions": "99"},
        {"environment": "prod", "step": "whole"},
    ],
)
def test_a_step_up_without_the_evidence_or_with_evidence_of_ones_own(
    desk: Desk, subject: dict[str, str]
) -> None:
    answer = dual(desk, "step_up", subject)
    assert answer.status in {400, 403, 409}, answer
    assert answer.code == "EVIDENCE" or subject
    assert desk.get("evidence").body["ladder"]["step"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"person": "alice", "reason": "x"}, {403, 409}),
        ({"person": "alice", "reason": ""}, {400}),
        ({"person": "mallory", "reason": "x"}, {403, 409}),
        ({"person": "alice", "reason": "x", "step": -1}, {400}),
    ],
)
def test_a_step_down_from_the_first_by_a_stranger_or_by_number(
    desk: Desk, body: dict[str, Any], status: set[int]
) -> None:
    assert desk.post("ladder/down", **body).status in status
    assert desk.get("evidence").body["ladder"]["step"] == 0


@contextmanager
def file_of(desk: Desk, name: str, text: str) -> Iterator[None]:
    path = desk.place.root / "config" / name
    path.write_text(text)
    try:
        yield
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ladder.toml", '[dev.rehearsal_1.limits]\nmax_position = "1"\n'),
        ("ladder.toml", '[dev.rehearsal_1.limits]\nmax_position = "99"\n'),
        ("ladder.toml", "\n"),
        ("drills.toml", "max_age_days = 9999\n"),
    ],
)
def test_a_table_edited_by_hand_while_a_packet_waits(desk: Desk, name: str, text: str) -> None:
    packet = desk.packet()
    with file_of(desk, name, text):
        answer = desk.cosign(desk.decision(packet))
        assert answer.code in {"FACTS_CHANGED", "STAGE", "GO_SHA_MISMATCH"}, answer
        desk.nothing_was_approved()


@pytest.mark.parametrize(
    "text",
    [
        '[prod.probe.limits]\nmax_order_notional = "61"',
        '[prod.probe.limits]\nmax_order_notional = "6E1"',
        "[prod.small]\nasks = { sealed_sessions = 0 }",
        "[prod.small]\nasks = { drills = 0 }",
        "[prod.whole_at_once]\ntext = 'x'",
        "[prod]\n",
    ],
)
def test_a_ladder_that_is_softer_than_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "ladder.toml").write_text(text)
    ours = load_ladder(None, Environment.PROD)
    try:
        assert load_ladder(tmp_path, Environment.PROD) == ours
    except ConfigError:
        return


def test_steps_set_as_settings(tmp_path: Path) -> None:
    for environ in ({"PEAKCTL__LADDER__STEP": "3"}, {"PEAKCTL__PROMOTION__SHADOW_WEEKS": "9"}):
        with pytest.raises(ConfigError):
            load(tmp_path, environ)


# --- drills ---------------------------------------------------------------------------------------


def perfect(name: str) -> dict[str, int]:
    """Measures that every criterion holds for."""
    return {one.measure: one.value for one in load_criteria(None)[name]}


def record(
    desk: Desk, drill_id: str, name: str = "kill_switch", other: dict[str, Any] | None = None
) -> Answer:
    body = {"person": "alice", "drill_id": drill_id, "name": name, "measured": perfect(name)}
    return desk.post("drill/record", **{**body, **(other or {})})


def counting(desk: Desk) -> list[str]:
    return [one["name"] for one in desk.get("evidence").body["drills"] if one["counts"]]


def left(desk: Desk, drill_id: str, *events: ev.AnyEvent) -> Path:
    """A journal in the folder of drills, written with the real pen."""
    folder = desk.place.state / "drills" / drill_id / "journal"
    folder.mkdir(parents=True)

    async def write() -> None:
        journal = Journal.open(
            folder, commit_interval_ms=0, segment_lines=1000, clock_us=lambda: MONDAY
        ).journal
        await journal.append(ENGINE, list(events))
        journal.close()

    asyncio.run(write())
    return folder


def started(code_sha256: str) -> ev.EngineStarted:
    return ev.EngineStarted(
        version="1",
        pid=1,
        hostname="h",
        boot_id="b",
        environment="dev",
        config_sha256="c" * 64,
        code_sha256=code_sha256,
        python="3.11",
    )


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({"passed": True}, {400}),
        ({"criteria": {}}, {400}),
        ({"drill_id": "../../../etc"}, {400}),
        ({"drill_id": "0123456789AB"}, {400}),
        ({"drill_id": ""}, {400}),
        ({"drill_id": "ffffffffffff"}, {400}),
        ({"name": "full_sesion"}, {400}),
        ({"name": ""}, {400}),
        ({"measured": {"proven_ms": 1.5}}, {400}),
        ({"measured": {"proven_ms": "1"}}, {400}),
        ({"measured": {"proven_ms": True}}, {400}),
        ({"measured": {"proven_ms": 10**30}}, {400}),
        ({"measured": {str(one): 1 for one in range(51)}}, {400}),
        ({"fault": "x" * 501}, {400}),
        ({"person": "mallory"}, {403, 409}),
    ],
)
def test_a_drill_that_is_told_and_not_run(
    desk: Desk, other: dict[str, Any], status: set[int]
) -> None:
    assert record(desk, "0123456789ab", "kill_switch", other).status in status
    assert counting(desk) == []


def test_the_desks_own_journal_told_as_a_drill(desk: Desk) -> None:
    target = desk.place.state / "drills" / "aaaaaaaaaaaa" / "journal"
    target.parent.mkdir(parents=True)
    shutil.copytree(desk.place.journal, target)
    answer = record(desk, "aaaaaaaaaaaa", "full_session")
    assert answer.status != 200 or not answer.body["passed"]
    assert counting(desk) == []


def test_a_journal_without_what_the_drill_is_about(desk: Desk) -> None:
    code = _code_of(desk)
    left(desk, "bbbbbbbbbbbb", started(code), ev.EngineStopped(reason="x"))
    answer = record(desk, "bbbbbbbbbbbb")
    assert answer.status == 200
    assert not answer.body["passed"]
    assert "its journal does not tell of order.intended (0 of 20)" in answer.body["fault"]
    assert record(desk, "bbbbbbbbbbbb").code == "DRILL_REPLAYED"
    shutil.copytree(
        desk.place.state / "drills" / "bbbbbbbbbbbb", desk.place.state / "drills" / "cccccccccccc"
    )
    assert record(desk, "cccccccccccc").code == "DRILL_REPLAYED"
    assert counting(desk) == []


@pytest.mark.parametrize("codes", [("0" * 64,), ("own", "0" * 64), ()])
def test_a_journal_of_other_code_of_two_codes_or_of_none(
    desk: Desk, codes: tuple[str, ...]
) -> None:
    drill_id = f"dd{len(codes)}000000000"
    told = [started(_code_of(desk) if one == "own" else one) for one in codes]
    rest = [ev.EngineStopped(reason=str(codes))] * 3
    left(desk, drill_id, *told, *rest)
    record(desk, drill_id)
    assert counting(desk) == []


@pytest.mark.parametrize("harm", ["flip", "cut", "swap", "float"])
def test_a_drills_journal_that_was_worked_on(desk: Desk, harm: str) -> None:
    drill_id = {"flip": "e1", "cut": "e2", "swap": "e3", "float": "e4"}[harm] + "0" * 10
    folder = left(
        desk, drill_id, started(_code_of(desk)), *(ev.EngineStopped(reason=harm) for _ in range(3))
    )
    path = folder / "000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    harmed = {
        "flip": [lines[0].replace(b'"python":"3.11"', b'"python":"3.12"'), *lines[1:]],
        "cut": [lines[0], *lines[2:]],
        "swap": [lines[0], lines[2], lines[1], lines[3]],
        "float": [*lines[:-1], lines[-1].replace(b'"seq":3', b'"seq":3.0')],
    }[harm]
    assert harmed != lines
    path.write_bytes(b"".join(harmed))
    answer = record(desk, drill_id)
    assert answer.code == "DRILL_JOURNAL", answer
    assert counting(desk) == []


def test_a_drills_journal_behind_a_link(desk: Desk) -> None:
    folder = left(desk, "f10000000000", started(_code_of(desk)), ev.EngineStopped(reason="l"))
    moved = folder.parent / "moved.jsonl"
    (folder / "000001.jsonl").rename(moved)
    (folder / "000001.jsonl").symlink_to(moved)
    assert record(desk, "f10000000000").code == "DRILL_JOURNAL"


def test_measures_that_do_not_reach_what_they_must(desk: Desk) -> None:
    left(desk, "f20000000000", started(_code_of(desk)), ev.EngineStopped(reason="m"))
    measured = {**perfect("kill_switch"), "open_at_venue": 1}
    answer = record(desk, "f20000000000", "kill_switch", {"measured": measured})
    assert not answer.body["passed"]
    assert counting(desk) == []
    assert set(TRACES) == set(load_criteria(None))


def test_a_drill_told_better_than_its_journal_has_it(desk: Desk) -> None:
    """A true journal of a bad kill, with the measures of a good one."""
    order = OrderIntent(
        client_order_id="c1",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        price=Decimal(1),
    )
    meant = ev.OrderIntended(
        session_id="s",
        intent=order,
        intent_sha256="0" * 64,
        owner="alice",
        decision=Decision(verdict=Verdict.ALLOW, checks=()),
    )
    latched = ev.KillLatched(kill_id="k", session_id="s", reason="r", source="t", pressed_us=1)
    verdict = ev.KillVerdict(
        kill_id="k",
        verdict="UNCONFIRMED",
        elapsed_us=90_000_000,
        canceled=19,
        open_orders=("c1",),
        positions={},
    )
    run = started(_code_of(desk))
    left(desk, "f30000000000", run, *([meant] * 20), latched, verdict, meant, run)
    honest = record(desk, "f30000000000", other={"measured": {"proven_ms": 95_000}})
    assert "better than its journal" not in honest.body["fault"]
    left(desk, "f40000000000", run, *([meant] * 20), latched, meant, verdict, run)
    fault = record(desk, "f40000000000").body["fault"]
    for words in ("proven_ms 5000, at least 90000", "open_at_venue 0, at least 1", "through 0, at"):
        assert words in fault
    assert counting(desk) == []


def test_a_drills_journal_that_others_may_write(desk: Desk) -> None:
    folder = left(desk, "f50000000000", started(_code_of(desk)), ev.EngineStopped(reason="o"))
    (folder / "000001.jsonl").chmod(0o666)
    assert record(desk, "f50000000000").code == "DRILL_JOURNAL"


def test_a_drills_result_is_written_into_the_journal_by_hand(tmp_path: Path) -> None:
    """All is as it must be, but for the drill."""
    criteria = {"orphan_order": load_criteria(None)["orphan_order"]}
    terms = DrillTerms(criteria=criteria, max_age_us=10**12, code_sha256="c" * 64)
    forged = ev.DrillFinished(
        drill_id="0123456789ab",
        name="orphan_order",
        passed=True,
        measured={name: str(value) for name, value in perfect("orphan_order").items()},
        code_sha256=terms.code_sha256,
        started_us=MONDAY,
        ended_us=MONDAY + 1,
        journal_size=100,
        journal_head="d" * 64,
    )
    state = told((forged, ALICE))
    assert state.drills.counting(terms, MONDAY + 2) == {"orphan_order"}
    audit = DrillAudit(cast("Core", SimpleNamespace(state=state)), tmp_path, lambda: terms)
    assert not state.drills.counting(terms, MONDAY + 2, audit.why_not), "not looked at yet"

    asyncio.run(audit.look())
    assert not state.drills.counting(terms, MONDAY + 2, audit.why_not)
    assert "there is no journal of this drill" in audit.why_not(forged)


def _code_of(desk: Desk) -> str:
    """The code that this desk's engine runs, from its own journal."""
    lines = (desk.place.journal / "000001.jsonl").read_bytes().splitlines()
    rows = (json.loads(line) for line in lines)
    return next(str(row["data"]["code_sha256"]) for row in rows if row["kind"] == "engine.started")


# --- events that claim what did not happen --------------------------------------------------------


def told(*events: tuple[ev.AnyEvent, Actor]) -> State:
    state = State()
    for seq, (event, actor) in enumerate(events):
        state.apply(ev.Recorded(seq=seq, ts_us=MONDAY + seq, actor=actor, event=event))
    return state


SHADOW = (Mode.SHADOW, Environment.SHADOW)


def weeks(*events: tuple[ev.AnyEvent, Actor]) -> int:
    return told(*events).evidence.weeks(Mode.SHADOW, "shadow")


def story(name: str = "forged000000") -> list[tuple[ev.AnyEvent, Actor]]:
    return [(one.event, one.actor) for one in sealed_session(name, MONDAY, *SHADOW)]


def test_the_honest_story_counts_so_that_the_forged_ones_say_something() -> None:
    assert weeks(*story()) == 1


def test_a_seal_told_by_the_operator_alone() -> None:
    alone = [(event, SIGNERS[Role.OPERATOR]) for event, _ in story()]
    assert weeks(*alone) == 0


def test_a_seal_told_by_the_engine_alone() -> None:
    assert weeks(*[(event, ENGINE) for event, _ in story()]) == 0


def test_a_seal_whose_signatures_came_after_it() -> None:
    rows = story()
    seal, signed = rows[-2:], [one for one in rows if isinstance(one[0], ev.PackSigned)]
    rest = [one for one in rows if one not in signed and one not in seal]
    assert weeks(*rest, *seal, *signed) == 0


def test_signatures_of_another_sessions_pack() -> None:
    mine, other = story("mine00000000"), story("other0000000")
    borrowed = [
        other[place] if isinstance(event, ev.PackSigned) else (event, actor)
        for place, (event, actor) in enumerate(mine)
    ]
    assert weeks(*borrowed) == 0


def test_signatures_of_the_pack_before_it_was_written_anew() -> None:
    rows = story()
    place = next(n for n, (one, _) in enumerate(rows) if isinstance(one, ev.PackSealed))
    again = ev.PackWritten(session_id="forged000000", folder="x", tagmanifest_sha256="0" * 64)
    seal = msgspec.structs.replace(rows[place][0], tagmanifest_sha256="0" * 64)
    bent = [*rows[:place], (again, ALICE), (seal, ENGINE), *rows[place + 1 :]]
    assert weeks(*bent) == 0


def test_a_packet_of_shadow_for_a_session_on_paper() -> None:
    paper = sealed_session("forged000000", MONDAY, Mode.PAPER, Environment.DEV)
    rows = [(paper[0].event, paper[0].actor), *story()[1:]]
    assert weeks(*rows) == 0
    assert told(*rows).evidence.weeks(Mode.PAPER, "dev") == 0


@pytest.mark.parametrize("kind", [ev.GoSigned, ev.GoDecided, ev.ReconSigned, ev.PackSigned])
def test_a_story_without_one_kind_of_signature(kind: type[ev.Event]) -> None:
    left_out = without(sealed_session("forged000000", MONDAY, *SHADOW), kind)
    assert weeks(*[(one.event, one.actor) for one in left_out]) == 0


def test_a_limit_loosened_without_two_people() -> None:
    tight = ev.LimitTightened(
        session_id="", name=NAME, before=Decimal(9), after=Decimal(3), reason="r"
    )
    events, digest = granted(Purpose.LOOSEN, {"name": NAME, "value": "9"})
    wide = ev.LimitLoosened(
        session_id="",
        name=NAME,
        before=Decimal(3),
        after=Decimal(9),
        reason="r",
        document_sha256=digest,
    )
    for missing in (ev.DualRequested, ev.DualSigned, ev.DualGranted):
        kept = [one for one in events if not isinstance(one[0], missing)]
        state = told((tight, ALICE), *kept, (wide, ALICE))
        assert state.limits.by_name[NAME].value == 3
    assert told((tight, ALICE), *events, (wide, ALICE)).limits.by_name[NAME].value == 9
    more = msgspec.structs.replace(wide, after=Decimal(10))
    assert told((tight, ALICE), *events, (more, ALICE)).limits.by_name[NAME].value == 3
    twice = told((tight, ALICE), *events, (wide, ALICE), (tight, ALICE), (wide, ALICE))
    assert twice.limits.by_name[NAME].value == 3


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "-1", "0.5"])
def test_a_tightening_in_the_journal_that_is_no_number_of_this_limit(value: str) -> None:
    bad = ev.LimitTightened(
        session_id="", name=NAME, before=Decimal(9), after=Decimal(value), reason="r"
    )
    assert told((bad, ALICE)).limits.by_name == {}


def test_two_keys_of_one_person_grant_nothing() -> None:
    events, digest = granted(Purpose.STEP_UP, {"environment": "dev", "step": "s1"})
    one = [
        (msgspec.structs.replace(event, person="alice"), actor)
        if isinstance(event, ev.DualSigned)
        else (event, actor)
        for event, actor in events
    ]
    step = ev.LadderStepped(
        session_id="",
        environment="dev",
        before=0,
        after=1,
        step="s1",
        cause="up",
        reason="r",
        document_sha256=digest,
    )
    assert told(*one, (step, ALICE)).ladder.place("dev").step == 0
    assert told(*events, (step, ALICE)).ladder.place("dev").step == 1
    assert KEYS[Role.OPERATOR] != KEYS[Role.REVIEWER]
