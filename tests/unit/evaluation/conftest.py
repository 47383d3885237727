"""A small session whose every claim is true, for the tests of the evaluators to plant faults in."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from movie_results import movie_result

from frazil.models.evaluation.facts import MapFacts, MovieFacts, RoundFacts
from frazil.models.records import (
    AcquisitionMetadata,
    CtfEstimate,
    FrameShifts,
    MovieHeader,
    ParticlePicks,
    Quality,
    Spectra,
)

PIXEL_ANGSTROM = 1.1
PARTICLES = 7


def ring_spectra(*, shared: float, seed: int, dose: float = 600.0) -> Spectra:
    """Power and half correlation of an exposure with Thon rings; `shared` of the ring power is in both halves, the
    rest is drawn anew for each half (as an artefact of the sum would be). Rings of complex Gaussian amplitudes."""
    rng = np.random.default_rng(seed)
    frequency = np.arange(0.015, 0.38, 0.0025)
    rings = 1.5 * np.exp(-30.0 * frequency**2) * np.sin(np.pi * 1.97e-2 * 1.5e4 * frequency**2) ** 2
    ice = 0.4 * np.exp(-(((frequency - 0.2) / 0.1) ** 2))
    noise = 1.0 - 0.3 * frequency  # a camera whose noise is not white
    count = (dose * 40 * frequency).astype(int)
    common, own = (shared * rings + ice) / 4, ((1.0 - shared) * rings + noise) / 2
    # Sums over a ring's `count` pairs of complex amplitudes: a complex Wishart matrix (Bartlett's decomposition).
    first = np.sqrt(common + own)
    across = common / first
    second = np.sqrt(common + own - across**2)
    a11, a22 = np.sqrt(rng.gamma(count)), np.sqrt(rng.gamma(count - 1))
    a21 = (rng.standard_normal(count.size) + 1j * rng.standard_normal(count.size)) / np.sqrt(2)
    even, odd_with_even, odd_alone = first * a11, across * a11 + second * a21, second * a22
    power_even, power_odd = even**2, np.abs(odd_with_even) ** 2 + odd_alone**2
    cross = even * odd_with_even.real
    power = ((power_even + power_odd + 2 * cross) / count).tolist()
    correlation = (cross / np.sqrt(power_even * power_odd)).tolist()
    values = tuple(frequency.tolist())
    flat = tuple(np.ones_like(frequency).tolist())
    return Spectra(values, tuple(power), flat, tuple(rings.tolist()), tuple(correlation))


def true_movie(number: int = 0, *, spectra: Spectra | None = None, frames: int = 40) -> MovieFacts:
    """One movie of 40 frames of 1 e/A2."""
    zeros = (0.0,) * frames
    places = tuple(100.0 + 50.0 * i for i in range(PARTICLES))
    result = movie_result(
        f"movie{number:02d}",
        header=MovieHeader("m.tif", "tiff", frames, 512, 512, "uint8", PIXEL_ANGSTROM),
        pixel_size_angstrom=PIXEL_ANGSTROM,
        shifts=FrameShifts(zeros, zeros, zeros, 0.0, 0.0, 0.0, True),
        ctf=CtfEstimate(15_200.0, 14_900.0, 20.0, 0.0, 20.0, 20.0, 3.4, 0.8, 0.0, True),
        **({} if spectra is None else {"spectra": spectra}),
        quality=Quality(40.0, 1.13, 0, 0.05, 0.0, False),
        picks=ParticlePicks(places, places, (1.0,) * PARTICLES, 150.0),
    )
    return MovieFacts(
        result=result,
        metadata=AcquisitionMetadata(frame_count=frames, total_dose_e_per_a2=40.0),
        pixel_size_angstrom=PIXEL_ANGSTROM,
        dose_per_frame_e_per_a2=1.0,
        half_set=tuple(1 + i % 2 for i in range(PARTICLES)),
        half_set_x_px=places,
        half_set_y_px=places,
    )


def true_map() -> MapFacts:
    """80 shells in a box of 160 pixels, 0.143 at 3.5 A."""
    frequency = np.arange(1, 80) / (160 * PIXEL_ANGSTROM)
    fsc = 1.0 / (1.0 + np.exp((frequency - 1 / 3.5) * 60.0) / (1 / 0.143 - 1) ** -1)
    below = int(np.nonzero(fsc < 0.143)[0][0])
    k0, k1, c0, c1 = frequency[below - 1], frequency[below], fsc[below - 1], fsc[below]
    crossing = k0 + (k1 - k0) * (c0 - 0.143) / (c0 - c1)
    return MapFacts(
        round=1,
        movie_count=2,
        particle_count=2 * PARTICLES,
        symmetry="D7",
        resolution_0143_angstrom=float(1 / crossing),
        frequency_per_angstrom=tuple(frequency.tolist()),
        fsc=tuple(fsc.tolist()),
        processed_movie_count=2,
        extracted_particle_count=2 * PARTICLES,
        half_set_particle_counts=(8, 6),
        halved_particle_count=2 * PARTICLES,
    )


def true_round() -> RoundFacts:
    """Two movies and a map."""
    return RoundFacts(
        round=0,
        movies=(true_movie(0), true_movie(1)),
        symmetry="D7",
        box_px=220,
        micrograph_pixel_size_angstrom=PIXEL_ANGSTROM,
        diameter_angstrom=150.0,
        map=true_map(),
    )


@pytest.fixture
def truth() -> SimpleNamespace:
    """`movie(number)`, `spectra(shared=, seed=)`, `map()`, `round()`."""
    return SimpleNamespace(movie=true_movie, spectra=ring_spectra, map=true_map, round=true_round, particles=PARTICLES)
