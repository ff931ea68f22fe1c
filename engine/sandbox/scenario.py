"""Scenarios: a market's behaviour over time, with faults at times, from a document.

Pure: the caller reads the file; here it is checked and asked questions. A scenario has a base
`[flow]` (the fields of `FlowShape`), phases that follow each other and change some of its fields
for their `seconds`, and `[[fault]]` entries: a `FaultRequest` with the second at which it is armed.
After its last phase the base flow goes on, or with `repeat` everything begins again. Nothing here
looks at a clock: seconds count from the scenario's start.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Annotated, TypeVar

import msgspec

from engine.contracts.errors import InputError
from engine.sandbox.fault_schedule import draws
from engine.sandbox.faults import FaultRequest
from engine.sandbox.flow import FlowShape

T = TypeVar("T")
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_Moment = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time with its own flow."""

    name: str
    seconds: float
    shape: FlowShape


class TimedFault(msgspec.Struct, frozen=True, kw_only=True):
    """What is armed at a second of the scenario."""

    at_s: float
    request: FaultRequest


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One checked scenario. `seed` is the flow's first one."""

    name: str
    about: str
    seed: int
    repeat: bool
    base: FlowShape
    phases: tuple[Phase, ...]
    faults: tuple[TimedFault, ...]

    @property
    def seconds(self) -> float:
        """How long its phases take, 0 without any."""
        return sum(phase.seconds for phase in self.phases)

    def shape_at(self, elapsed_s: float) -> FlowShape:
        """The flow at a moment."""
        moment = elapsed_s % self.seconds if self.repeat else elapsed_s
        for phase, end in zip(
            self.phases, accumulate(phase.seconds for phase in self.phases), strict=True
        ):
            if moment < end:
                return phase.shape
        return self.base

    def due(self, after_s: float, until_s: float) -> list[FaultRequest]:
        """What is to be armed after one moment and up to another, in the order of time."""
        found: list[tuple[float, FaultRequest]] = []
        for fault in self.faults:
            at_s = fault.at_s
            while at_s <= until_s:
                if at_s > after_s:
                    found.append((at_s, fault.request))
                if not self.repeat:
                    break
                at_s += self.seconds
        return [request for _, request in sorted(found, key=lambda entry: entry[0])]


class _Document(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: str
    about: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**32)] = 1
    repeat: bool = False
    flow: dict[str, object] = {}
    phase: list[dict[str, object]] = []
    fault: list[dict[str, object]] = []


class _PhaseHead(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: str
    seconds: _Seconds


class _FaultHead(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    at_s: _Moment


def parse_scenario(document: Mapping[str, object], where: str) -> Scenario:
    """Check a document. Raises InputError naming the file (`where`) and the key."""
    head = _convert(dict(document), _Document, where, "")
    base = _convert(head.flow, FlowShape, where, "flow")
    phases = []
    for number, row in enumerate(head.phase):
        place = f"phase[{number}]"
        own = {key: value for key, value in row.items() if key in _PhaseHead.__struct_fields__}
        timing = _convert(own, _PhaseHead, where, place)
        rest = {key: value for key, value in row.items() if key not in own}
        shape = _convert({**msgspec.structs.asdict(base), **rest}, FlowShape, where, place)
        phases.append(Phase(name=timing.name, seconds=timing.seconds, shape=shape))
    if head.repeat and not phases:
        raise InputError(what="repeat without a phase", where=f"{where}: repeat")
    faults = []
    for number, row in enumerate(head.fault):
        place = f"fault[{number}]"
        at = _convert({key: row[key] for key in row if key == "at_s"}, _FaultHead, where, place)
        rest = {key: value for key, value in row.items() if key != "at_s"}
        request = _convert(rest, FaultRequest, where, place)
        if request.schedule is not None:
            draws(request.schedule)
        faults.append(TimedFault(at_s=at.at_s, request=request))
    return Scenario(
        name=head.name,
        about=head.about,
        seed=head.seed,
        repeat=head.repeat,
        base=base,
        phases=tuple(phases),
        faults=tuple(faults),
    )


def _convert(value: object, kind: type[T], where: str, place: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        # "Object contains unknown field `x` - at `$.y`": the key is named from the file's top.
        what, _, inner = str(error).partition(" - at `$")
        key = (place + inner.rstrip("`")).lstrip(".")
        raise InputError(
            what=what.replace("Object contains", "has an") if "unknown field" in what else what,
            where=f"{where}: {key}" if key else where,
            todo="see the scenarios that come with peakctl",
        ) from error
