"""The same request once more, where the taxonomy allows it: jittered pauses, one deadline.

For reads and cancels; a submit never comes here. The first attempt costs nothing extra: the
library is asked only after a fault. Every pause and every attempt ends at the deadline, which is
the caller's, and a cancelled task leaves at once, in an attempt as in a pause.

A refusal after an attempt whose outcome is not known proves nothing of that attempt: the result is
certain only if every attempt was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec
import stamina
import stamina.instrumentation

from engine.venues.binance.errors import Again, Fault

#: The library would log each retry and count it in a registry of its own; what became of a request
#: is told by its caller, once.
stamina.instrumentation.set_on_retry_hooks(())

#: One attempt within so many seconds.
Attempt = Callable[[float], Awaitable[bytes | Fault]]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how often. All in seconds but `attempts`, the first included.

    `attempt_s` bounds one attempt, `deadline_s` everything; pauses grow from `first_s` to
    `longest_s`, jitter included. A silence that the venue asked for is waited out if it is not
    longer than `silence_s`.
    """

    attempts: int
    attempt_s: float
    deadline_s: float
    first_s: float
    longest_s: float
    silence_s: float


class _Failed(Exception):  # noqa: N818
    """An attempt ended with this fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


async def persist(
    attempt: Attempt,
    again: Callable[[Fault], Again],
    plan: Plan,
    new_clock: Callable[[], Awaitable[None]],
) -> bytes | Fault:
    """Make attempts until one is answered, or must not or cannot be repeated.

    `again` reads the row's permission for this kind of request, `new_clock` measures the clock.
    """
    deadline = asyncio.get_running_loop().time() + plan.deadline_s
    answer = await attempt(min(plan.attempt_s, plan.deadline_s))
    if not isinstance(answer, Fault) or again(answer) is Again.NO:
        return answer
    return await _Retries(attempt, again, plan, new_clock, deadline).after(answer)


class _Retries:
    """What follows the first fault of one request."""

    def __init__(
        self,
        attempt: Attempt,
        again: Callable[[Fault], Again],
        plan: Plan,
        new_clock: Callable[[], Awaitable[None]],
        deadline: float,
    ) -> None:
        self._attempt = attempt
        self._again = again
        self._plan = plan
        self._new_clock = new_clock
        self._deadline = deadline

    async def after(self, fault: Fault) -> bytes | Fault:
        """Repeat the request; the answer, or the last fault with the doubts of all of them."""
        answer: bytes | Fault = fault
        certain = fault.certain
        plan = self._plan
        steps = stamina.retry_context(
            on=self._pause,
            attempts=plan.attempts,
            timeout=plan.deadline_s,
            wait_initial=plan.first_s,
            wait_max=plan.longest_s,
            wait_jitter=plan.first_s,
        )
        with contextlib.suppress(_Failed):
            async for step in steps:
                if step.num > 1 and self._left_s() > 0:
                    if self._again(fault) is Again.CLOCK:
                        await self._new_clock()
                    answer = await self._attempt(min(plan.attempt_s, self._left_s()))
                if not isinstance(answer, Fault):
                    return answer
                fault, certain = answer, certain and answer.certain
                with step:
                    raise _Failed(fault)
        return msgspec.structs.replace(fault, certain=certain)

    def _pause(self, error: Exception) -> bool | float:
        """Say whether another attempt follows: after the usual pause, or after so many seconds."""
        if not isinstance(error, _Failed) or self._left_s() <= 0:
            return False
        match self._again(error.fault):
            case Again.BACKOFF:
                return True
            case Again.CLOCK:
                return 0.0
            case Again.SILENCE:
                silence_s = error.fault.retry_after_s
                if silence_s is not None and silence_s <= min(self._plan.silence_s, self._left_s()):
                    return silence_s
        return False

    def _left_s(self) -> float:
        return self._deadline - asyncio.get_running_loop().time()
