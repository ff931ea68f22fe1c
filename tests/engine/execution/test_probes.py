"""I12: a probe that cannot read fails; an answer is judged by form and by what the engine knows."""

from __future__ import annotations

from typing import Any, cast

import pytest

from engine.contracts.errors import Refused
from engine.contracts.session import Charter, ChecklistItem, ItemKind, ItemResult
from engine.execution.probes import Probes, Reading

CHARTER = cast("Charter", None)


def manual(item_id: str = "x", expect: str = "[0-9.-]+|yes") -> ChecklistItem:
    return ChecklistItem(id=item_id, title="t", kind=ItemKind.MANUAL, expect=expect)


@pytest.mark.parametrize(
    "error",
    [Refused(what="no"), OSError("disk"), TimeoutError(), ValueError("x"), ZeroDivisionError()],
)
async def test_i12_a_probe_that_raises_is_a_fail_with_its_cause(error: Exception) -> None:
    async def broken(_: Charter) -> Reading:
        raise error

    reading = await Probes({"p": broken}, {}).run("p", CHARTER)
    assert not reading.passed
    assert reading.detail


async def test_i12_an_unknown_probe_is_a_fail() -> None:
    reading = await Probes({}, {}).run("p", CHARTER)
    assert not reading.passed
    assert "'p'" in reading.detail


@pytest.mark.parametrize(
    ("known", "answer", "result"),
    [
        ("500", "500.00", ItemResult.PASS),
        ("500", "5e2", ItemResult.FAIL),
        ("500", "501", ItemResult.FAIL),
        ("0", "-0", ItemResult.PASS),
        ("0", "0.0000", ItemResult.PASS),
        (None, "1", ItemResult.FAIL),
        ("500", "yes", ItemResult.FAIL),
        ("500", "..", ItemResult.FAIL),
        ("500", "1" * 150, ItemResult.FAIL),
    ],
)
def test_an_answer_is_compared_with_what_the_engine_reads(
    known: str | None, answer: str, result: ItemResult
) -> None:
    sensed: Any = {"x": lambda _: known}
    assert Probes({}, sensed).judge(manual(), answer, CHARTER)[0] is result


def test_an_answer_of_the_wrong_form_fails_before_anything_is_told() -> None:
    sensed: Any = {"x": lambda _: "500"}
    result, detail = Probes({}, sensed).judge(manual(), "five hundred", CHARTER)
    assert result is ItemResult.FAIL
    assert "500" not in detail


def test_an_item_without_a_sensor_is_judged_by_its_form() -> None:
    assert Probes({}, {}).judge(manual(), "yes", CHARTER) == (ItemResult.PASS, "")
