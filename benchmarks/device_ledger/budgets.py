"""What each stage of a movie may ask of a device; a figure that falls short of its goal must not get worse."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.device_ledger.ledger import StageCounts


@dataclass(frozen=True, slots=True)
class Budget:
    """Most of each, for a movie of any size: all frames, patches and tiles are in one launch."""

    launches: int
    synchronisations: int


BUDGETS = {
    "motion": Budget(2100, 60),
    "CTF": Budget(1700, 260),
    "restoration": Budget(3700, 310),
    "picking": Budget(19_000, 1850),
}
GOALS = {
    "motion": Budget(2000, 20),
    "CTF": Budget(300, 20),
    "restoration": Budget(400, 310),
    "picking": Budget(1000, 1850),
}
"""What a stage should ask; where there is no goal, the budget."""
BEFORE = {
    "motion": Budget(61_639, 6375),
    "CTF": Budget(2193, 389),
    "restoration": Budget(3645, 305),
    "picking": Budget(14_472, 1524),
}
"""What was counted in the same way for 512 x 512 px and 12 frames before frames were batched (2026-11)."""
MOST_UPLOADED = 1.1
"""Bytes that motion uploads, over those of the counts; beside them `SMALL_UPLOADS_BYTES`."""
SMALL_UPLOADS_BYTES = 4 << 20
"""Frequencies, shells, amplitudes and displacements, which a larger movie has not in proportion."""
LARGEST_FLOAT_UPLOAD = 0.5
"""Bytes of any one upload of floating point numbers, over those of the counts: frames go up as they were counted."""


def exceeded(stage: str, counts: StageCounts, movie_bytes: int) -> list[str]:
    """What of a stage is over its budget, in words; empty: nothing."""
    budget, found = BUDGETS[stage], []
    if counts.launches > budget.launches:
        found.append(f"{stage}: {counts.launches} launches, {budget.launches} allowed")
    if counts.synchronisations > budget.synchronisations:
        found.append(f"{stage}: {counts.synchronisations} synchronisations, {budget.synchronisations} allowed")
    if stage == "motion":
        most = MOST_UPLOADED * movie_bytes + SMALL_UPLOADS_BYTES
        if counts.uploaded_bytes > most:
            found.append(f"motion: {counts.uploaded_bytes} bytes uploaded, {most:.0f} allowed")
        largest = max(counts.float_uploads, default=0)
        if largest > LARGEST_FLOAT_UPLOAD * movie_bytes:
            found.append(f"motion: {largest} bytes of floating point numbers in one upload")
    return found
