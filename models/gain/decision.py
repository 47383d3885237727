"""What was decided about the gain, and on what evidence: the record alone, which is all that a session keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from frazil.config.settings import GainOrientation


@dataclass(frozen=True, slots=True)
class SlopeEvidence:
    """How strongly the reference in one orientation shows in the data."""

    orientation: str
    slope: float
    slope_sd: float

    @property
    def sigma(self) -> float:
        return abs(self.slope) / self.slope_sd


class GainVerdict(StrEnum):
    CORRECT = "correct"
    """The reference fits; `orientation` and `convention` say how."""
    ALREADY_CORRECTED = "already-corrected"
    NOT_NEEDED = "no-pattern"
    """No reference was given, and the movies share no fixed pattern."""
    OVERRIDDEN = "overridden"
    """The person named orientation and convention, or `--no-gain`."""
    WRONG = "wrong-gain"
    MISSING = "missing-gain"
    UNDECIDED = "undecided"
    """More movies are needed."""


PASSES = frozenset({GainVerdict.CORRECT, GainVerdict.NOT_NEEDED, GainVerdict.OVERRIDDEN})


@dataclass(frozen=True, slots=True)
class GainDecision:
    """What to do with the gain, and why; stored with the session."""

    verdict: GainVerdict
    sentence: str
    """For a person: what was found."""
    remedy: str | None
    """What to do where the gate blocks."""
    gain_path: str | None
    defects_path: str | None
    orientation: GainOrientation
    convention: str
    """`multiply`, `divide` or `none`."""
    movie_count: int
    pattern_rms: float | None
    """Relative strength of the fixed pattern that the movies share; None: could not be asked."""
    pattern_sigma: float | None
    slopes: tuple[SlopeEvidence, ...] = ()

    @property
    def passes(self) -> bool:
        return self.verdict in PASSES

    @property
    def applies(self) -> bool:
        """A reference is to be applied to the counts."""
        return self.gain_path is not None and self.convention != "none"
