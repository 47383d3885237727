"""What is taken from one movie's spectra: rings only where they can be told from the background."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.models.causal.bands import band_frequencies_per_angstrom
from frazil.models.causal.evidence import collect_evidence, measured_bands
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.records import CtfEstimate, FrameShifts, MovieEvidence, Quality, Spectra

FIT_RESOLUTION_ANGSTROM = 4.0


def evidence(defocus_angstrom: float, phase_shift_deg: float = 0.0) -> MovieEvidence:
    """Of a movie whose fitted ring amplitude is half its noise everywhere."""
    k = np.linspace(0.005, 0.5, 500)
    half = tuple(np.full(k.size, 0.5).tolist())
    return collect_evidence(
        shifts=FrameShifts((0.0, 1.0), (0.0, 0.0), (0.1, 0.1), 1.0, 1.0, 0.0, True),
        local_motion=None,
        ctf=CtfEstimate(
            defocus_u_angstrom=defocus_angstrom,
            defocus_v_angstrom=defocus_angstrom,
            astigmatism_angle_deg=0.0,
            phase_shift_deg=phase_shift_deg,
            defocus_sd_angstrom=20.0,
            astigmatism_sd_angstrom=20.0,
            fit_resolution_angstrom=FIT_RESOLUTION_ANGSTROM,
            score=0.9,
            ice_ring_density=0.0,
            reliable=True,
        ),
        spectra=Spectra(tuple(k.tolist()), half, tuple([1.0] * k.size), half, half),
        quality=Quality(30.0, 1.0, 0, None, 0.0, False),
        acquisition=AcquisitionParameters(1.0, 300.0, 2.7, 0.1, 1.0, 0.0, False, ()),
        dose_per_frame_e_per_a2=1.0,
        frame_count=2,
        field_angstrom=(1000.0, 1000.0),
        particle_diameter_angstrom=None,
    )


@pytest.mark.parametrize(
    ("defocus_angstrom", "phase_shift_deg", "first_zero_angstrom"),
    [(5_000.0, 0.0, 10.1), (10_000.0, 0.0, 14.3), (30_000.0, 0.0, 24.7), (10_000.0, 90.0, 20.5)],
)
def test_rings_count_from_the_first_zero_to_well_inside_the_reach_of_the_fit(
    defocus_angstrom: float, phase_shift_deg: float, first_zero_angstrom: float
) -> None:
    """Zeros worked out by hand: 1 / k^2 = lambda z / (1 - asin(0.1)/pi - phase/pi), lambda = 0.0197 A."""
    index, measured = measured_bands(evidence(defocus_angstrom, phase_shift_deg))
    bands = band_frequencies_per_angstrom()
    wanted = np.nonzero((bands > 1 / first_zero_angstrom) & (bands <= 0.85 / FIT_RESOLUTION_ANGSTROM))[0]
    assert index.tolist() == wanted.tolist()
    assert measured == pytest.approx(np.log(0.5))
