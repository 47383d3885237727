"""Mechanisms against cases whose answer is known by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import j0

from frazil.models.causal import mechanisms
from frazil.models.causal.causes import CauseDraws
from frazil.models.causal.draws import central_causes, draw_causes
from frazil.models.causal.prior import physics_prior
from frazil.models.optics.dose import exposure_filter
from frazil.models.records import MovieEvidence

K = np.array([0.05, 0.1, 0.2, 0.3])
Make = Callable[..., MovieEvidence]


def _causes(movie: MovieEvidence, **changes: float) -> CauseDraws:
    return central_causes(movie).doing(**{n: np.array([v]) for n, v in changes.items()})


def test_a_still_and_perfectly_aligned_movie_loses_nothing_to_motion(known_movie: Make) -> None:
    movie = known_movie(shift_sd_angstrom=(0.0,) * 20)
    assert mechanisms.motion(movie, _causes(movie), K)[0] == pytest.approx(np.zeros(4), abs=1e-12)


def test_blur_of_uniform_drift_is_the_mean_of_sinc_squared_over_directions(known_movie: Make) -> None:
    """The same travel in every frame: weights cancel, and directions are integrated finely here."""
    step = 1.5
    movie = known_movie(shift_x_angstrom=tuple(step * np.arange(20)), shift_sd_angstrom=(0.0,) * 20)
    angle = np.linspace(0, np.pi, 2000, endpoint=False)
    left = np.mean(np.sinc(K[:, None] * step * np.cos(angle)) ** 2, axis=1)
    assert mechanisms.motion(movie, _causes(movie), K)[0] == pytest.approx(-np.log(left), rel=0.01)


def test_alignment_error_damps_as_a_gaussian(known_movie: Make) -> None:
    movie = known_movie(shift_sd_angstrom=(0.3,) * 20)
    assert mechanisms.motion(movie, _causes(movie), K)[0] == pytest.approx((2 * np.pi * K * 0.3) ** 2)


def test_blur_matters_less_in_frames_that_radiation_has_spoilt(known_movie: Make) -> None:
    still = np.zeros(20)
    early, late = still.copy(), still.copy()
    early[:3], late[17:] = -4.0, 4.0
    losses = [
        mechanisms.motion(movie, _causes(movie), K)[0, 3]
        for movie in (known_movie(shift_x_angstrom=tuple(path)) for path in (early, late))
    ]
    assert losses[0] > 2 * losses[1]


def test_removing_the_steady_drift_removes_its_blur_and_nothing_else(known_movie: Make) -> None:
    drifting = known_movie(shift_x_angstrom=tuple(1.0 * np.arange(20)))
    left = mechanisms.motion(drifting, _causes(drifting).doing(drift_removed=np.ones((1, 20))), K)
    still = known_movie()
    assert left == pytest.approx(mechanisms.motion(still, _causes(still), K), abs=1e-9)


def test_damage_is_that_of_the_best_exposure_weights(known_movie: Make) -> None:
    import torch

    movie = known_movie()
    q = exposure_filter(torch.from_numpy(K), torch.arange(20, dtype=torch.float64) * 2.0 + 1.0, 300.0).numpy()
    assert mechanisms.radiation_damage(movie, _causes(movie), K)[0] == pytest.approx(-np.log(np.mean(q**2, axis=0)))


def test_ice_loses_the_electrons_that_lost_energy_once_with_a_filter_and_twice_without(known_movie: Make) -> None:
    movie = known_movie()
    thin = _causes(movie, ice_thickness_nm=39.5)
    assert np.all(mechanisms.ice(movie, thin, K)[0] > 0.1)  # its own pattern costs something on top
    assert np.all(mechanisms.ice(movie, thin, K)[0] < 0.6)
    thick = _causes(movie, ice_thickness_nm=395.0)
    unfiltered = known_movie(energy_filter=False)
    difference = mechanisms.ice(unfiltered, thick, K[:1]) - mechanisms.ice(movie, thick, K[:1])
    # One mean free path: exp(-1) of the electrons once more, less the pattern that fades with them.
    assert 0.3 < difference[0, 0] < 1.0


def test_spatial_coherence_goes_with_the_square_of_angle_and_defocus(known_movie: Make) -> None:
    k = np.array([0.1])
    near, far = known_movie(defocus_angstrom=10_000.0), known_movie(defocus_angstrom=20_000.0)
    one = mechanisms.spatial_coherence(near, _causes(near, source_half_angle_mrad=0.02), k)[0, 0]
    assert mechanisms.spatial_coherence(near, _causes(near, source_half_angle_mrad=0.04), k)[0, 0] == pytest.approx(
        4 * one
    )
    assert mechanisms.spatial_coherence(far, _causes(far, source_half_angle_mrad=0.02), k)[0, 0] == pytest.approx(
        4 * one, rel=0.1
    )


def test_coincidence_loses_half_of_a_small_load(known_movie: Make) -> None:
    assert mechanisms.coincidence_loss(np.array([0.02]))[0] == pytest.approx(0.01, rel=0.01)
    movie = known_movie()
    assert mechanisms.dose_rate_e_per_px_per_s(movie) == pytest.approx(10.0)
    unstated = known_movie(stated_dose_per_frame_e_per_a2=None)
    assert mechanisms.coincidence(unstated, _causes(unstated), K) == pytest.approx(np.zeros((1, 4)))


def test_coma_is_a_bessel_function_of_its_phase(known_movie: Make) -> None:
    movie = known_movie(image_shift_x_um=3.0, image_shift_y_um=4.0)
    wavelength = 0.0196875
    phase = 2 * np.pi * 2.7e7 * wavelength**2 * K**3 * (0.1e-3 * 5.0)
    loss = mechanisms.aberrations(movie, _causes(movie, coma_mrad_per_um=0.1), K)[0]
    assert loss[:3] == pytest.approx(-2 * np.log(np.abs(j0(phase[:3]))), rel=1e-3, abs=1e-6)
    centred = known_movie()
    assert mechanisms.aberrations(centred, _causes(centred), K) == pytest.approx(np.zeros((1, 4)))


def test_coma_of_a_shift_without_a_unit_is_as_wide_as_what_nobody_knows(known_movie: Make) -> None:
    """Against draws of both unknowns, each of its own: 0.12 mrad/um by e^0.7, 3 um by e^0.7."""
    nobody = {"image_shift_x_um": None, "image_shift_y_um": None}
    movie = known_movie(**nobody, shift_x_au=0.1, shift_y_au=-0.2)
    k = np.array([0.2])
    loss = mechanisms.aberrations(movie, draw_causes(movie, physics_prior()), k)[:, 0]
    rng = np.random.default_rng(5)
    tilt_mrad = 0.12 * 3.0 * np.exp(0.7 * rng.normal(size=100_000) + 0.7 * rng.normal(size=100_000))
    true = -2 * np.log(np.abs(j0(2 * np.pi * 2.7e7 * 0.0196875**2 * k**3 * tilt_mrad * 1e-3)))
    wanted = [16, 50, 84]
    assert np.percentile(loss, wanted) == pytest.approx(np.percentile(np.minimum(true, 12.0), wanted), rel=0.12)
    # Its own unit says nothing of how long it is, and a shift of nothing is nothing in every unit.
    longer = known_movie(**nobody, shift_x_au=1.0, shift_y_au=-2.0)
    assert mechanisms.aberrations(longer, draw_causes(longer, physics_prior()), k)[:, 0] == pytest.approx(loss)
    centred = known_movie(**nobody, shift_x_au=0.0, shift_y_au=0.0)
    assert mechanisms.aberrations(centred, draw_causes(centred, physics_prior()), k) == pytest.approx(0.0)


def test_heights_spread_evenly_lose_the_mean_cosine_of_their_phase(known_movie: Make) -> None:
    movie, wavelength = known_movie(), 0.0196875
    k, spread_angstrom = np.array([0.1, 0.2, 0.25]), 300.0
    height = np.linspace(-spread_angstrom / 2, spread_angstrom / 2, 20_001)
    left = np.mean(np.cos(np.pi * wavelength * np.outer(k**2, height)), axis=1)
    causes = _causes(movie, ice_thickness_nm=30.0, height_share=1.0)
    assert mechanisms.defocus_spread(movie, causes, k)[0] == pytest.approx(-2 * np.log(left), rel=1e-3)


def test_a_few_draws_of_blur_are_each_what_they_are_alone(known_movie: Make) -> None:
    movie = known_movie(shift_x_angstrom=tuple(2.0 * np.arange(20.0)))
    scales = np.array([0.5, 0.6, 2.0])
    one = _causes(movie)
    three = one.doing(
        blur_scale=scales,
        shift_error_scale=np.ones(3),
        strengths={name: np.ones(3) for name in one.strengths},
    )
    together = mechanisms.motion(movie, three, K)
    alone = [mechanisms.motion(movie, _causes(movie, blur_scale=scale), K)[0] for scale in scales.tolist()]
    assert together == pytest.approx(np.stack(alone))


def test_a_tilted_field_spreads_defocus_as_thick_ice_does(known_movie: Make) -> None:
    flat = known_movie()
    tilted = replace(flat, tilt_angle_deg=20.0, field_width_angstrom=4000.0)
    thick = mechanisms.defocus_spread(flat, _causes(flat, ice_thickness_nm=150.0), K)
    thin = mechanisms.defocus_spread(flat, _causes(flat, ice_thickness_nm=15.0), K)
    assert np.all(thick[0, 1:] > thin[0, 1:])
    assert mechanisms.tilt_spread(tilted, _causes(tilted), K)[0, 3] > 1.0
    assert mechanisms.tilt_spread(flat, _causes(flat), K) == pytest.approx(np.zeros((1, 4)))


def test_summing_frames_as_they_came_loses_at_least_what_moved(known_movie: Make) -> None:
    movie = known_movie(shift_x_angstrom=tuple(np.linspace(-8, 8, 20)))
    lost = mechanisms.motion_uncorrected(movie, _causes(movie), K)[0]
    assert np.all(lost > mechanisms.motion(movie, _causes(movie), K)[0])
    assert lost[2] > 1.0


def test_every_mechanism_is_a_finite_loss(known_movie: Make) -> None:
    movie = known_movie(shift_x_angstrom=tuple(3.0 * np.arange(20)), image_shift_x_um=8.0)
    for name, act in mechanisms.MECHANISMS.items():
        loss = act(movie, _causes(movie), K)
        assert loss.shape == (1, 4), name
        assert np.all(np.isfinite(loss)), name
        assert name == "heterogeneity" or np.all(loss >= 0), name


def test_a_pattern_of_the_camera_adds_up_in_a_still_movie_and_not_in_one_that_moves(known_movie: Make) -> None:
    """Still, 20 frames of n counts carry a pattern of 20^2 n^2 rms^2 against 20 n of shot noise at low frequency, where
    radiation has left all frames alike; a specimen that moves spreads the pattern over frames out of phase."""
    k = np.array([0.005])
    clean, still = known_movie(), known_movie(fixed_pattern_rms=0.1)
    n = still.dose_per_frame_e_per_px
    added = (mechanisms.detector(still, _causes(still), k) - mechanisms.detector(clean, _causes(clean), k))[0, 0]
    assert added == pytest.approx(np.log1p(20 * n * 0.1**2), rel=1e-3)
    moving = replace(still, shift_x_angstrom=tuple(np.linspace(0, 200, 20)))
    assert mechanisms.detector(moving, _causes(moving), np.array([0.1]))[0, 0] < 0.2 * added + float(
        mechanisms.detector(clean, _causes(clean), np.array([0.1]))[0, 0]
    )
