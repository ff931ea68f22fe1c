"""The report of one reconciliation: the document that both people read, answer and sign.

Bytes are canonical JSON and a newline, of type `peakctl-recon-1`; the same comparison always gives
the same bytes, and `from_document` takes no other form of them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.contracts.canonical import canonical, strict_loads
from engine.contracts.errors import IntegrityError
from engine.reconcile.causes import GREEN, RED, YELLOW

DOCUMENT_TYPE = "peakctl-recon-1"


class Break(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One difference. `id` is `B0001`...; the three sides' words are "-" where a side has nothing.

    `klass` is green, yellow or red; `subject` orders, fills, fees, positions or balances; `cause`
    is `CODE: text` of `causes.CAUSES` and `likely` what most likely lies behind it; `owner` the
    role that answers, "" when nobody must. `first_seen_us` is when any run first saw it, µs UTC;
    the two last are left out of documents that were written before there were such fields.
    """

    id: str
    klass: str
    subject: str
    key: str
    engine: str
    journal: str
    venue: str
    cause: str
    owner: str
    likely: str = ""
    first_seen_us: int = 0

    @property
    def code(self) -> str:
        """The cause's code."""
        return self.cause.partition(":")[0]


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reconciliation. `compared` counts distinct things by subject; breaks are red first."""

    run_id: str
    session_id: str
    at_us: int
    compared: dict[str, int]
    breaks: tuple[Break, ...]
    type: str = DOCUMENT_TYPE

    @property
    def counts(self) -> dict[str, int]:
        """Number of breaks by class, all three named."""
        counts = {GREEN: 0, YELLOW: 0, RED: 0}
        for one in self.breaks:
            counts[one.klass] += 1
        return counts

    def age_us(self, one: Break) -> int:
        """How long this break had been open when the report was made, µs."""
        return max(0, self.at_us - (one.first_seen_us or self.at_us))

    @property
    def needs_answer(self) -> tuple[Break, ...]:
        """The breaks that somebody must answer before signing."""
        return tuple(one for one in self.breaks if one.owner)

    def to_document(self) -> bytes:
        """The exact bytes that are signed."""
        return canonical(self) + b"\n"

    @classmethod
    def from_document(cls, document: bytes, where: str = "recon.json") -> Report:
        """Read what `to_document` wrote. Raises InputError or IntegrityError for anything else."""
        loaded: Any = strict_loads(document, where)
        try:
            report = msgspec.convert(loaded, type=cls)
        except msgspec.ValidationError as error:
            raise IntegrityError(what=f"not a reconciliation ({error})", where=where) from error
        if report.type != DOCUMENT_TYPE or report.to_document() != document:
            raise IntegrityError(
                what=f"not the exact bytes of a {DOCUMENT_TYPE} document", where=where
            )
        return report
