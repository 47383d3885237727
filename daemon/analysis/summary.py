"""What the screen shows of the analysis at a glance: told by its parts while they run, by the store afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GridSummary:
    """Where to shoot next."""

    line: str = ""
    """Empty: no grid is known."""
    round: int | None = None
    square_id: str | None = None
    squares: int = 0
    holes: int = 0
    exposed: int = 0


@dataclass(frozen=True, slots=True)
class AnalysisSummary:
    """Of prior, map and grid."""

    prior_version: int | None
    particle_count: int | None
    """That were given to the map by now."""
    grid: GridSummary = field(default_factory=GridSummary)
