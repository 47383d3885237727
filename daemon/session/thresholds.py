"""Which processed micrographs are set aside, and why: pure.

What a worker has brought and what the store has kept are judged by one function, so that what a change of thresholds
would do can be told exactly before it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from frazil.config.cuts import CUT_METRICS, parse_cut
from frazil.config.settings import ThresholdSettings
from frazil.daemon.store.writes.movie_writes import crossing_angstrom
from frazil.models.conventions import ANGSTROM_PER_UM
from frazil.models.records import ASTIGMATISM_UNCERTAIN, MovieResult


@dataclass(frozen=True, slots=True)
class Facts:
    """What a micrograph is judged by. In `metrics` (`CUT_METRICS`), None and NaN are "not known"."""

    reliable: bool
    flag: str | None
    metrics: Mapping[str, float | None]

    @property
    def defocus_known(self) -> bool:
        """As `CtfEstimate.defocus_known`."""
        return self.reliable or self.flag == ASTIGMATISM_UNCERTAIN


def facts_of(result: MovieResult) -> Facts:
    """Of a result, as the store will keep it."""
    ctf, quality, shifts, local = result.ctf, result.quality, result.shifts, result.local_motion
    spectra = result.spectra
    return Facts(
        ctf.reliable,
        ctf.flag,
        {
            "ctf_fit_angstrom": ctf.fit_resolution_angstrom,
            "ctf_score": ctf.score,
            "defocus_um": (ctf.defocus_u_angstrom + ctf.defocus_v_angstrom) / 2 / ANGSTROM_PER_UM,
            "astigmatism_angstrom": ctf.defocus_u_angstrom - ctf.defocus_v_angstrom,
            "phase_shift_deg": ctf.phase_shift_deg,
            "tilt_angle_deg": ctf.tilt_angle_deg,
            "motion_total_angstrom": shifts.total_angstrom,
            "motion_early_angstrom": shifts.early_angstrom,
            "motion_late_angstrom": shifts.late_angstrom,
            "local_motion_rms_angstrom": None if local is None else local.rms_residual_angstrom,
            "ice_ring_density": ctf.ice_ring_density,
            "relative_ice_thickness": quality.relative_ice_thickness,
            "mean_counts_per_px": quality.mean_counts_per_px,
            "fixed_pattern": quality.fixed_pattern,
            "half_frc_0143_angstrom": crossing_angstrom(spectra.frequency_per_angstrom, spectra.half_frc, 0.143),
            "particle_count": len(result.picks.x_px),
        },
    )


def rejection_reason(result: MovieResult, thresholds: ThresholdSettings) -> str | None:
    """`reason_for` a result."""
    return reason_for(facts_of(result), thresholds)


def reason_for(facts: Facts, thresholds: ThresholdSettings) -> str | None:
    """The first threshold that the micrograph misses, as a sentence for a person; None: kept.

    Motion comes first: it does not depend on the CTF. A CTF fit that is not reliable is judged only by its resolution
    threshold: `no rings` counts as infinitely bad. One of which only the astigmatism is uncertain is judged by all but
    its astigmatism. A value that is not known sets nothing aside.
    """
    return _motion_reason(facts, thresholds) or _ctf_reason(facts, thresholds) or _cut_reason(facts, thresholds)


def _motion_reason(facts: Facts, thresholds: ThresholdSettings) -> str | None:
    limit = thresholds.max_total_motion_angstrom
    if _above(motion := facts.metrics["motion_total_angstrom"], limit):
        return f"motion {motion:.1f} A, the limit is {limit:g} A"
    return None


def _ctf_reason(facts: Facts, thresholds: ThresholdSettings) -> str | None:
    limit = thresholds.max_ctf_fit_resolution_angstrom
    if limit is not None:
        fit = facts.metrics["ctf_fit_angstrom"]
        if not facts.defocus_known:
            return f"CTF not usable: {facts.flag or 'no rings'}"
        if fit is None or fit > limit:
            reached = "nowhere" if fit is None else f"{fit:.1f} A"
            return f"CTF fits to {reached}, the limit is {limit:g} A"
    return _optics_reason(facts, thresholds) if facts.defocus_known else None


def _optics_reason(facts: Facts, thresholds: ThresholdSettings) -> str | None:
    """Of a fit whose defocus is known."""
    metrics = facts.metrics
    limit = thresholds.max_astigmatism_angstrom
    if facts.reliable and _above(astigmatism := metrics["astigmatism_angstrom"], limit):
        return f"astigmatism {astigmatism:.0f} A, the limit is {limit:g} A"
    defocus_um = metrics["defocus_um"]
    if _above(thresholds.min_defocus_um, defocus_um):
        return f"defocus {defocus_um:.2f} um, the lower limit is {thresholds.min_defocus_um:g} um"
    if _above(defocus_um, thresholds.max_defocus_um):
        return f"defocus {defocus_um:.2f} um, the upper limit is {thresholds.max_defocus_um:g} um"
    if _above(ice := metrics["ice_ring_density"], limit := thresholds.max_ice_ring_density):
        return f"ice ring density {ice:.2f}, the limit is {limit:g}"
    return None


def _cut_reason(facts: Facts, thresholds: ThresholdSettings) -> str | None:
    for text in thresholds.cuts:
        cut = parse_cut(text)
        value = facts.metrics[cut.metric]
        if value is not None and _judged(cut.metric, facts) and cut.misses(value):
            unit = f" {CUT_METRICS[cut.metric]}" if CUT_METRICS[cut.metric] else ""
            words = cut.metric.rsplit("_angstrom", 1)[0].replace("_", " ")
            return f"{words} {value:.4g}{unit}, the {'limit' if cut.at_most else 'lower limit'} is {cut.limit:g}{unit}"
    return None


_OF_CTF = ("ctf_fit_angstrom", "defocus_um", "phase_shift_deg", "tilt_angle_deg", "ice_ring_density")


def _judged(metric: str, facts: Facts) -> bool:
    """Numbers of a fit that failed are no numbers."""
    if metric == "astigmatism_angstrom":
        return facts.reliable
    return facts.defocus_known or metric not in _OF_CTF


def _above(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit
