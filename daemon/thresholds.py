"""Which processed micrographs are set aside, and why: pure."""

from __future__ import annotations

from frazil.config.settings import ThresholdSettings
from frazil.models.conventions import ANGSTROM_PER_UM
from frazil.models.records import MovieResult


def rejection_reason(result: MovieResult, thresholds: ThresholdSettings) -> str | None:
    """The first threshold that the micrograph misses, as a sentence for a person; None: kept.

    Motion comes first: it does not depend on the CTF. A CTF fit that is not reliable is judged only by its resolution
    threshold: `no rings` counts as infinitely bad. One of which only the astigmatism is uncertain is judged by all but
    its astigmatism.
    """
    limit = thresholds.max_total_motion_angstrom
    if limit is not None and result.shifts.total_angstrom > limit:
        return f"motion {result.shifts.total_angstrom:.1f} A, the limit is {limit:g} A"
    ctf = result.ctf
    limit = thresholds.max_ctf_fit_resolution_angstrom
    if limit is not None:
        if not ctf.defocus_known:
            return f"CTF not usable: {ctf.flag or 'no rings'}"
        if ctf.fit_resolution_angstrom is None or ctf.fit_resolution_angstrom > limit:
            reached = "nowhere" if ctf.fit_resolution_angstrom is None else f"{ctf.fit_resolution_angstrom:.1f} A"
            return f"CTF fits to {reached}, the limit is {limit:g} A"
    if not ctf.defocus_known:
        return None
    astigmatism = ctf.defocus_u_angstrom - ctf.defocus_v_angstrom
    limit = thresholds.max_astigmatism_angstrom
    if limit is not None and ctf.reliable and astigmatism > limit:
        return f"astigmatism {astigmatism:.0f} A, the limit is {limit:g} A"
    defocus_um = (ctf.defocus_u_angstrom + ctf.defocus_v_angstrom) / 2 / ANGSTROM_PER_UM
    if thresholds.min_defocus_um is not None and defocus_um < thresholds.min_defocus_um:
        return f"defocus {defocus_um:.2f} um, the lower limit is {thresholds.min_defocus_um:g} um"
    if thresholds.max_defocus_um is not None and defocus_um > thresholds.max_defocus_um:
        return f"defocus {defocus_um:.2f} um, the upper limit is {thresholds.max_defocus_um:g} um"
    limit = thresholds.max_ice_ring_density
    if limit is not None and ctf.ice_ring_density > limit:
        return f"ice ring density {ctf.ice_ring_density:.2f}, the limit is {limit:g}"
    return None
