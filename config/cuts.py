"""A limit on any measured value of a micrograph, as a person writes it: `relative_ice_thickness <= 1.5`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

CUT_METRICS: Mapping[str, str] = {
    "ctf_fit_angstrom": "A",
    "ctf_score": "",
    "defocus_um": "um",
    "astigmatism_angstrom": "A",
    "phase_shift_deg": "deg",
    "tilt_angle_deg": "deg",
    "motion_total_angstrom": "A",
    "motion_early_angstrom": "A",
    "motion_late_angstrom": "A",
    "local_motion_rms_angstrom": "A",
    "ice_ring_density": "",
    "relative_ice_thickness": "",
    "mean_counts_per_px": "counts/px",
    "fixed_pattern": "",
    "half_frc_0143_angstrom": "A",
    "particle_count": "particles",
}
"""What a cut can be on, and its unit."""
_CUT = re.compile(r"\s*([a-z0-9_]+)\s*(<=|>=)\s*([-+0-9.eE]+)\s*")


@dataclass(frozen=True, slots=True)
class Cut:
    """A micrograph is kept when its value is on the right side, or not known."""

    metric: str
    at_most: bool
    limit: float

    def misses(self, value: float | None) -> bool:
        """Whether this value sets a micrograph aside."""
        if value is None or math.isnan(value):
            return False
        return value > self.limit if self.at_most else value < self.limit


def parse_cut(text: str) -> Cut:
    """Raises ValueError with what is wrong."""
    match = _CUT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a cut; write NAME <= NUMBER or NAME >= NUMBER")
    if match[1] not in CUT_METRICS:
        raise ValueError(f"there is no metric {match[1]!r}; there are {', '.join(CUT_METRICS)}")
    try:
        limit = float(match[3])
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise ValueError(f"{match[3]!r} is not a number")
    return Cut(match[1], match[2] == "<=", limit)
