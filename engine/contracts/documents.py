"""The documents people sign, and the namespace each signature is bound to.

One namespace per document and role: a signature made for one purpose is worth nothing for
another. `peak-trade.example` stands for the team's own domain (OpenSSH PROTOCOL.sshsig asks for
`name@domain` namespaces).
"""

from __future__ import annotations

from enum import StrEnum

from engine.contracts.people import Role

DOMAIN = "peak-trade.example"


class Namespace(StrEnum):
    """SSHSIG namespaces, by document and role."""

    GO = f"peakctl-go-v1@{DOMAIN}"
    COSIGN = f"peakctl-cosign-v1@{DOMAIN}"
    RECON = f"peakctl-recon-v1@{DOMAIN}"
    RECON_REVIEW = f"peakctl-reconreview-v1@{DOMAIN}"
    PACK = f"peakctl-pack-v1@{DOMAIN}"
    PACK_REVIEW = f"peakctl-packreview-v1@{DOMAIN}"
    RUNLOG = f"peakctl-runlog-v1@{DOMAIN}"
    RUNLOG_REVIEW = f"peakctl-runlogreview-v1@{DOMAIN}"
    INCIDENTS = f"peakctl-incidents-v1@{DOMAIN}"
    INCIDENTS_REVIEW = f"peakctl-incidentsreview-v1@{DOMAIN}"
    REVISION = f"peakctl-revision-v1@{DOMAIN}"
    REVISION_REVIEW = f"peakctl-revisionreview-v1@{DOMAIN}"
    HEAD = f"peakctl-head-v1@{DOMAIN}"
    RELEASE = f"peakctl-release-v1@{DOMAIN}"
    RELEASE_REVIEW = f"peakctl-releasereview-v1@{DOMAIN}"
    ADOPT = f"peakctl-adopt-v1@{DOMAIN}"
    ADOPT_REVIEW = f"peakctl-adoptreview-v1@{DOMAIN}"
    CLOSE_BREAK = f"peakctl-closebreak-v1@{DOMAIN}"
    CLOSE_BREAK_REVIEW = f"peakctl-closebreakreview-v1@{DOMAIN}"
    LOOSEN = f"peakctl-loosen-v1@{DOMAIN}"
    LOOSEN_REVIEW = f"peakctl-loosenreview-v1@{DOMAIN}"
    STEP_UP = f"peakctl-stepup-v1@{DOMAIN}"
    STEP_UP_REVIEW = f"peakctl-stepupreview-v1@{DOMAIN}"


class Purpose(StrEnum):
    """What two people may grant beside the go: one document type and two namespaces each."""

    RELEASE = "release"
    ADOPT = "adopt"
    CLOSE_BREAK = "close_break"
    LOOSEN = "loosen"
    STEP_UP = "step_up"


#: The namespace in which a role signs a document of a purpose.
DUAL_NAMESPACES: dict[tuple[Purpose, Role], Namespace] = {
    (Purpose.RELEASE, Role.OPERATOR): Namespace.RELEASE,
    (Purpose.RELEASE, Role.REVIEWER): Namespace.RELEASE_REVIEW,
    (Purpose.ADOPT, Role.OPERATOR): Namespace.ADOPT,
    (Purpose.ADOPT, Role.REVIEWER): Namespace.ADOPT_REVIEW,
    (Purpose.CLOSE_BREAK, Role.OPERATOR): Namespace.CLOSE_BREAK,
    (Purpose.CLOSE_BREAK, Role.REVIEWER): Namespace.CLOSE_BREAK_REVIEW,
    (Purpose.LOOSEN, Role.OPERATOR): Namespace.LOOSEN,
    (Purpose.LOOSEN, Role.REVIEWER): Namespace.LOOSEN_REVIEW,
    (Purpose.STEP_UP, Role.OPERATOR): Namespace.STEP_UP,
    (Purpose.STEP_UP, Role.REVIEWER): Namespace.STEP_UP_REVIEW,
}


def _of(role: Role) -> tuple[Namespace, ...]:
    return tuple(name for (_, signer), name in DUAL_NAMESPACES.items() if signer is role)


#: Documents of a pack that people sign one by one, by their name in it, beside its tag manifest.
SIGNED_REPORTS: dict[str, dict[Role, Namespace]] = {
    "data/reports/runlog.md": {
        Role.OPERATOR: Namespace.RUNLOG,
        Role.REVIEWER: Namespace.RUNLOG_REVIEW,
    },
    "data/reports/incidents.md": {
        Role.OPERATOR: Namespace.INCIDENTS,
        Role.REVIEWER: Namespace.INCIDENTS_REVIEW,
    },
}

OPERATOR_NAMESPACES = (
    Namespace.GO,
    Namespace.RECON,
    Namespace.PACK,
    Namespace.RUNLOG,
    Namespace.INCIDENTS,
    Namespace.REVISION,
    *_of(Role.OPERATOR),
)
REVIEWER_NAMESPACES = (
    Namespace.COSIGN,
    Namespace.RECON_REVIEW,
    Namespace.PACK_REVIEW,
    Namespace.RUNLOG_REVIEW,
    Namespace.INCIDENTS_REVIEW,
    Namespace.REVISION_REVIEW,
    *_of(Role.REVIEWER),
)
