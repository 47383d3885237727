"""What a formula may name: quantities of one movie, as they are stored, with the errors that are stated for them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from frazil.models.evaluation.robustness.rerun_parts import path_length_sd_angstrom
from frazil.models.evaluation.robustness.sensitivity import Output
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.formula import Formula
from frazil.models.records import MovieResult

QUANTITIES: Mapping[str, str] = {
    "pixel_size_angstrom": "of the frames as they are read",
    "voltage_kv": "acceleration voltage",
    "cs_mm": "spherical aberration",
    "dose_per_frame_e_per_a2": "as stated, else as counted",
    "total_dose_e_per_a2": "of all frames",
    "frame_count": "frames",
    "defocus_u_angstrom": "underfocus positive, the larger one",
    "defocus_v_angstrom": "the smaller one",
    "astigmatism_angle_deg": "of U from x towards y",
    "phase_shift_deg": "of a phase plate",
    "ctf_fit_resolution_angstrom": "up to which the rings agree",
    "ctf_score": "correlation of the rings with CTF^2",
    "ice_ring_density": "excess power at 0.25-0.28 1/A",
    "total_motion_angstrom": "length of the path over all frames",
    "early_motion_angstrom": "over the first 4 e/A2",
    "late_motion_angstrom": "after them",
    "relative_ice_thickness": "ln(reference counts / transmitted counts)",
    "mean_counts_per_px": "of the sum over all frames",
    "dose_per_frame_e_per_px": "as counted",
    "particle_count": "picks",
}
GIVEN = ("pixel_size_angstrom", "voltage_kv", "cs_mm", "dose_per_frame_e_per_a2")
"""Quantities that are settings of the instrument: in a formula they move when the instrument's parameter does."""


def stored_quantities(result: MovieResult, acquisition: AcquisitionParameters) -> dict[str, Output]:
    """Of one movie; a value of None is not known. A CTF that does not trust itself says nothing."""
    ctf, shifts, quality = result.ctf, result.shifts, result.quality
    frames = result.header.frame_count
    dose = acquisition.dose_per_frame_e_per_a2
    if dose is None:
        dose = quality.dose_per_frame_e_per_px / acquisition.pixel_size_angstrom**2
    defocus_sd = math.hypot(ctf.defocus_sd_angstrom, 0.5 * ctf.astigmatism_sd_angstrom)
    known, reliable = ctf.defocus_known, ctf.reliable
    values: dict[str, Output] = {
        "pixel_size_angstrom": Output(acquisition.pixel_size_angstrom),
        "voltage_kv": Output(acquisition.voltage_kv),
        "cs_mm": Output(acquisition.cs_mm),
        "dose_per_frame_e_per_a2": Output(dose),
        "total_dose_e_per_a2": Output(dose * frames),
        "frame_count": Output(float(frames)),
        "defocus_u_angstrom": Output(ctf.defocus_u_angstrom if known else None, defocus_sd),
        "defocus_v_angstrom": Output(ctf.defocus_v_angstrom if known else None, defocus_sd),
        "astigmatism_angle_deg": Output(ctf.astigmatism_angle_deg if reliable else None),
        "phase_shift_deg": Output(ctf.phase_shift_deg if known else None),
        "ctf_fit_resolution_angstrom": Output(ctf.fit_resolution_angstrom if known else None),
        "ctf_score": Output(ctf.score if known else None),
        "ice_ring_density": Output(ctf.ice_ring_density if math.isfinite(ctf.ice_ring_density) else None),
        "total_motion_angstrom": Output(shifts.total_angstrom, path_length_sd_angstrom(shifts)),
        "early_motion_angstrom": Output(shifts.early_angstrom),
        "late_motion_angstrom": Output(shifts.late_angstrom),
        "relative_ice_thickness": Output(quality.relative_ice_thickness),
        "mean_counts_per_px": Output(quality.mean_counts_per_px),
        "dose_per_frame_e_per_px": Output(quality.dose_per_frame_e_per_px),
        "particle_count": Output(float(len(result.picks.x_px))),
    }
    return values


def formula_output(formula: Formula, quantities: Mapping[str, Output]) -> Output:
    """A formula's value and its error: those of its quantities, taken as independent, carried through it (half of the
    difference between one sigma above and below each)."""
    values = {name: output.value for name, output in quantities.items() if isinstance(output.value, float)}
    variance = 0.0
    for name in formula.variables:
        sd = quantities[name].uncertainty if name in quantities else None
        if sd is None or name not in values:
            continue
        above = formula.value({**values, name: values[name] + sd})
        below = formula.value({**values, name: values[name] - sd})
        if above is None or below is None:
            return Output(formula.value(values))
        variance += (0.5 * (above - below)) ** 2
    return Output(formula.value(values), math.sqrt(variance) if variance > 0 else None)
