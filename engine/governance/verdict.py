"""The verdict on one signature: what both verifiers said. Approval rules judge it as a value.

It lives in the pure room so that rules can be tested without keys; `engine.signatures.check`
makes it. `ok` is true only when both verifiers agree that the signature is good.
"""

from __future__ import annotations

import msgspec


class SignatureVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the strict verifier and ssh-keygen said of one signature.

    `principal` and `fingerprint` (`SHA256:...`) are who signed, empty when not known; `reason` is
    one clear sentence when `ok` is false. `sk_counter` is set for hardware keys.
    """

    ok: bool
    strict_ok: bool
    keygen_ok: bool
    principal: str
    fingerprint: str
    reason: str = ""
    sk_counter: int | None = None
