"""Revisions of a sealed pack, as a fold: written, signed by both, sealed, one by one. Pure.

Each names the tag manifest that it follows: the pack's for the first, else that of the revision
before. One is open at most; writing it again replaces what nobody has sealed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.contracts.event import PackRevised, PackRevisionSigned, PackRevisionWritten

RevisionEvent = PackRevisionWritten | PackRevisionSigned | PackRevised


@dataclass(slots=True)
class RevisionState:
    """One revision: `stage` is written or sealed; `signed_by` maps role to key fingerprint."""

    number: int
    stage: str
    folder: str
    revises: str
    tagmanifest_sha256: str
    signed_by: dict[str, str] = field(default_factory=dict)


def fold_revision(revisions: list[RevisionState], event: RevisionEvent) -> None:
    """Fold one event in place. Total: what does not fit changes nothing."""
    last = revisions[-1] if revisions else None
    open_one = last if last is not None and last.stage == "written" else None
    if isinstance(event, PackRevisionWritten):
        sealed = len(revisions) - (open_one is not None)
        if event.number != sealed + 1:
            return
        revisions[sealed:] = [
            RevisionState(
                event.number, "written", event.folder, event.revises, event.tagmanifest_sha256
            )
        ]
        return
    if open_one is None or event.tagmanifest_sha256 != open_one.tagmanifest_sha256:
        return
    if isinstance(event, PackRevisionSigned):
        open_one.signed_by[event.role] = event.fingerprint
    else:
        open_one.stage, open_one.folder = "sealed", event.folder
