"""One value that a document gives for one field, with where it stands and how sure its reading is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from frazil.models.documents.fields import RANGES, Field, facts_of
from frazil.models.documents.tree import Place

LOW = 0.6
"""Below `LOW` a value is shown and not proposed without a mark."""
KEYED, TABLED, SAID, GUESSED, UNIT_MISSING = 0.98, 0.92, 0.85, 0.5, 0.55
"""How sure a reading is: under a key of a program's file, beside a label, in a sentence, by its unit alone, without a
unit."""
OWN_NAME = "the name is the instrument's own"
"""Of a microscope that a file calls by its number."""
SAME = 0.005
"""Values of one field nearer than this, relative, are one value."""


Source = tuple[str, Place, str]
"""Name of the document, place, words as they stand there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`value` is a number in the field's unit, or words; `high` is the other end of a range."""

    field: Field
    value: float | str
    high: float | None
    document: str
    place: Place
    words: str
    """As they stand there."""
    confidence: float
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        return facts_of(self.field).unit or ""

    def doubted(self, note: str, at_most: float = GUESSED) -> Finding:
        """The same with a note, and no surer than this."""
        notes = self.notes if note in self.notes else (*self.notes, note)
        return replace(self, confidence=min(self.confidence, at_most), notes=notes)

    def told(self) -> str:
        """Value and unit for a person."""
        if isinstance(self.value, str):
            return self.value
        text = f"{self.value:.6g}" if self.high is None else f"{self.value:.6g} to {self.high:.6g}"
        if self.field in (Field.MOVIES, Field.PARTICLES, Field.WIDTH, Field.HEIGHT) or self.value >= 1000:
            text = f"{self.value:,.0f}" if self.high is None else text
        return f"{text} {self.unit}".strip()


def same_value(one: Finding, other: Finding) -> bool:
    """Whether two findings of a field say the same."""
    if isinstance(one.value, str) or isinstance(other.value, str):
        return str(one.value).casefold() == str(other.value).casefold()
    return _near(one.value, other.value) and _near(
        one.value if one.high is None else one.high, other.value if other.high is None else other.high
    )


def _near(one: float, other: float) -> bool:
    # Printed to three digits, a value is off by half of the last.
    return abs(one - other) <= SAME * max(abs(one), abs(other))


def number_finding(
    field: Field, numbers: Sequence[float], source: Source, confidence: float, notes: Sequence[str] = ()
) -> Finding | None:
    """A finding of one number, or of two that are the ends of a range; None: the field cannot have such a value.

    Defocus is turned to underfocus positive; a sign that was turned is noted.
    """
    facts, notes = facts_of(field), list(notes)
    ends = list(numbers)
    if field in RANGES:
        # Programs write underfocus as negative, papers either way: a range or target below zero is under focus.
        if max(ends) <= 0 > min(ends):
            ends = [-end for end in ends]
            notes.append("underfocus is written as negative")
        elif min(ends) < 0 < max(ends):
            notes.append("goes from overfocus to underfocus")
            confidence = min(confidence, GUESSED)
        ends.sort()
    elif field is Field.TILT_RANGE or len(ends) > 1:
        ends.sort()
    if not all(facts.low <= end <= facts.high for end in ends):
        return None
    whole = field in (Field.FRAMES, Field.MOVIES, Field.PARTICLES, Field.WIDTH, Field.HEIGHT)
    if whole and any(end != int(end) for end in ends):
        return None
    high = ends[1] if len(ends) > 1 and ends[1] != ends[0] else None
    return Finding(field, ends[0], high, *source, confidence, tuple(notes))
