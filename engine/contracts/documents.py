"""The documents people sign, and the namespace each signature is bound to.

One namespace per document and role: a signature made for one purpose is worth nothing for
another. `peak-trade.example` stands for the team's own domain (OpenSSH PROTOCOL.sshsig asks for
`name@domain` namespaces).
"""

from __future__ import annotations

from enum import StrEnum

DOMAIN = "peak-trade.example"


class Namespace(StrEnum):
    """SSHSIG namespaces, by document and role."""

    GO = f"peakctl-go-v1@{DOMAIN}"
    COSIGN = f"peakctl-cosign-v1@{DOMAIN}"
    RECON = f"peakctl-recon-v1@{DOMAIN}"
    RECON_REVIEW = f"peakctl-reconreview-v1@{DOMAIN}"
    PACK = f"peakctl-pack-v1@{DOMAIN}"
    PACK_REVIEW = f"peakctl-packreview-v1@{DOMAIN}"
    HEAD = f"peakctl-head-v1@{DOMAIN}"
    RELEASE = f"peakctl-release-v1@{DOMAIN}"
    RELEASE_REVIEW = f"peakctl-releasereview-v1@{DOMAIN}"


OPERATOR_NAMESPACES = (Namespace.GO, Namespace.RECON, Namespace.PACK, Namespace.RELEASE)
REVIEWER_NAMESPACES = (
    Namespace.COSIGN,
    Namespace.RECON_REVIEW,
    Namespace.PACK_REVIEW,
    Namespace.RELEASE_REVIEW,
)
