"""What several findings of one field come to: one value that they share, or a conflict that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frazil.models.documents.fields import Field
from frazil.models.documents.findings import LOW, OWN_NAME, Finding, same_value

_SEVERAL = frozenset(
    {
        Field.SOFTWARE, Field.DEFOCUS_TARGET, Field.DEFOCUS_LENS, Field.DOSE_PRIOR, Field.TITLE, Field.RELATED,
        Field.SAMPLE_KIND, Field.DOSE_RATE_BARE, Field.PIXEL_OVERVIEW, Field.MAGNIFICATION_OVERVIEW,
        Field.DEFOCUS_SEARCH, Field.BINNING, Field.SPECIMEN,
    }
)  # fmt: skip
"""Fields of which a session may have more than one value."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """`chosen` is the surest finding, `same` those that say so too, `rivals` one of each other value."""

    field: Field
    chosen: Finding
    same: tuple[Finding, ...]
    rivals: tuple[Finding, ...]

    @property
    def conflict(self) -> bool:
        return bool(self.rivals) and self.field not in _SEVERAL

    @property
    def certain(self) -> bool:
        """Neither contradicted nor unsure."""
        return not self.conflict and self.chosen.confidence >= LOW

    def shown(self) -> tuple[Finding, ...]:
        """All values, the chosen one first."""
        return (self.chosen, *self.rivals)


def agreed(findings: Sequence[Finding]) -> dict[Field, Agreed]:
    """By field, in the order of `Field`."""
    by_field: dict[Field, list[Finding]] = {}
    for finding in findings:
        by_field.setdefault(finding.field, []).append(finding)
    return {field: _one(field, by_field[field]) for field in Field if field in by_field}


def _one(field: Field, findings: Sequence[Finding]) -> Agreed:
    if any(OWN_NAME not in finding.notes for finding in findings):
        findings = [finding for finding in findings if OWN_NAME not in finding.notes]
    groups: list[list[Finding]] = []
    for finding in findings:
        for group in groups:
            if _agree(group[0], finding):
                group.append(finding)
                break
        else:
            groups.append([finding])
    groups.sort(key=lambda group: (-max(one.confidence for one in group), -len(group)))
    best = [max(group, key=lambda one: (one.confidence, len(str(one.value)))) for group in groups]
    same = tuple(one for one in groups[0] if one is not best[0])
    return Agreed(field, best[0], same, tuple(best[1:]))


def _agree(one: Finding, other: Finding) -> bool:
    """The same, or one name that says more than the other (`Titan Krios`, `Titan Krios G3`)."""
    if same_value(one, other):
        return True
    if isinstance(one.value, str) and isinstance(other.value, str):
        short, long = sorted((one.value.casefold().split(), other.value.casefold().split()), key=len)
        return long[: len(short)] == short
    return False
