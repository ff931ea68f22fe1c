"""Schedules are pure: properties over seeds. And each row of the table is a request that fires."""

from __future__ import annotations

from itertools import islice, pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts.errors import InputError
from engine.sandbox.fault_schedule import NAMED, ORDINARY, draws
from engine.sandbox.faults import FaultRequest, Schedule

SEEDS = st.integers(0, 2**32)
EVERY = st.integers(1, 5_000)
KINDS = st.lists(st.sampled_from(sorted(NAMED)), max_size=4).map(tuple)


@given(SEEDS, EVERY, KINDS)
@settings(max_examples=60, deadline=None)
def test_same_seed_same_sequence_of_faults(seed: int, every_ms: int, kinds) -> None:
    schedule = Schedule(seed=seed, every_ms=every_ms, kinds=kinds)
    assert list(islice(draws(schedule), 40)) == list(islice(draws(schedule), 40))


@given(SEEDS, EVERY, KINDS)
@settings(max_examples=60, deadline=None)
def test_times_grow_by_half_to_one_and_a_half_intervals(seed: int, every_ms: int, kinds) -> None:
    drawn = list(islice(draws(Schedule(seed=seed, every_ms=every_ms, kinds=kinds)), 40))
    gaps = [after[0] - before[0] for before, after in pairwise([(0,), *drawn])]
    assert all(max(1, every_ms // 2) <= gap <= max(1, every_ms + every_ms // 2) for gap in gaps)
    assert {name for _, name, _ in drawn} <= set(kinds or ORDINARY)


@given(SEEDS, st.integers(1, 60_000))
@settings(max_examples=40, deadline=None)
def test_nothing_is_drawn_at_or_after_the_end(seed: int, until_ms: int) -> None:
    schedule = Schedule(seed=seed, every_ms=500, until_ms=until_ms)
    drawn = list(draws(schedule))
    assert all(at_ms < until_ms for at_ms, _, _ in drawn)
    endless = draws(Schedule(seed=seed, every_ms=500))
    assert drawn == list(islice(endless, len(drawn)))
    assert next(endless)[0] >= until_ms


def test_another_seed_gives_another_sequence() -> None:
    one, two = (list(islice(draws(Schedule(seed=n, every_ms=100)), 50)) for n in (1, 2))
    assert one != two


@pytest.mark.parametrize("name", list(NAMED))
def test_each_row_is_a_request_that_changes_something(name: str) -> None:
    for seed in range(5):
        _, drawn, request = next(draws(Schedule(seed=seed, every_ms=1, kinds=(name,))))
        assert drawn == name
        assert request != FaultRequest()
        encoded = msgspec.json.encode(request)
        assert msgspec.json.decode(encoded, type=FaultRequest) == request


def test_every_kind_is_drawn_sooner_or_later_but_a_wipe_only_by_name() -> None:
    drawn = {name for _, name, _ in islice(draws(Schedule(seed=5, every_ms=1)), 2_000)}
    assert drawn == set(NAMED) - {"wipe"}
    assert next(draws(Schedule(seed=5, every_ms=1, kinds=("wipe",))))[2].wipe


def test_unknown_kind_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="locusts") as caught:
        draws(Schedule(seed=1, every_ms=1, kinds=("locusts",)))
    assert "submit_timeout" in caught.value.todo
