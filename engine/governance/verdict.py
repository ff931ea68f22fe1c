"""The answers of the judges: on one signature what both verifiers said, on an approval yes or no.

They live in the pure room so that rules can be tested without keys; `engine.signatures.check`
makes the verdicts. `ok` is true only when both verifiers agree that the signature is good.
"""

from __future__ import annotations

import msgspec


class SignatureVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the strict verifier and ssh-keygen said of one signature.

    `principal` and `fingerprint` (`SHA256:...`) are who signed, empty when not known; `reason` is
    one clear sentence when `ok` is false. `sk_counter` and `sk_flags` (bit 0: touched, bit 2: PIN
    or finger) are set for hardware keys only. `code` is set where the reason has one of its own.
    """

    ok: bool
    strict_ok: bool
    keygen_ok: bool
    principal: str
    fingerprint: str
    reason: str = ""
    sk_counter: int | None = None
    sk_flags: int | None = None
    code: str = ""

    @property
    def disagree(self) -> bool:
        """Whether one verifier says yes and the other no: a refusal that somebody must look at."""
        return self.strict_ok != self.keygen_ok


class Approved(msgspec.Struct, frozen=True):
    """Yes, with the same-person signals that were seen and do not forbid it."""

    signals: dict[str, str] = {}


class Denied(msgspec.Struct, frozen=True):
    """No: a stable code and one sentence that says what to do."""

    code: str
    reason: str
