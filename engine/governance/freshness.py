"""How long what two people sign is good for: one rule for the packet and for dual control.

Judged twice, by the wall clock that the document names and by a monotonic one that nobody can set
back; what is not known is refused (I12). Times in µs.
"""

from __future__ import annotations

import msgspec

from engine.governance.verdict import Denied

#: No request lives longer than this, whatever the configuration says.
MAX_TTL_US = 300 * 1_000_000
#: How far the document's clock may be ahead of ours: it is the same machine's.
_CLOCK_SLACK_US = 1_000_000


class Lifetime(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when a document says it is good, and what the engine knows of its age.

    `elapsed_us` is monotonic since it was made, None when not known (a restart since).
    """

    issued_us: int
    expires_us: int
    ttl_us: int
    now_us: int
    elapsed_us: int | None


def judge_fresh(life: Lifetime, what: str, again: str) -> Denied | None:
    """Deny what lives too long, is over or of unknown age; `what` it is, how to ask `again`."""
    lives_us = life.expires_us - life.issued_us
    if not 0 < lives_us <= min(life.ttl_us, MAX_TTL_US):
        return Denied("EXPIRY_TOO_LONG", f"the {what} lives longer than allowed; {again}")
    if life.now_us < life.issued_us - _CLOCK_SLACK_US:
        return Denied("CLOCK", f"the {what} is from the future; check the clock, {again}")
    if life.now_us >= life.expires_us:
        return Denied("EXPIRED", f"the request has expired; {again}")
    if life.elapsed_us is None or life.elapsed_us < 0:
        return Denied("ELAPSED_UNKNOWN", f"the age of the request is not known; {again}")
    if life.elapsed_us >= lives_us:
        return Denied("EXPIRED_MONOTONIC", f"the request is too old; {again}")
    return None
