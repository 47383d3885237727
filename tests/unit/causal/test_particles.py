"""Coma and heterogeneity of movies whose truth is known, from evidence made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import j0

from frazil.models.causal.attribution import attribute, session_of
from frazil.models.causal.bands import band_frequencies_per_angstrom, curves_at
from frazil.models.causal.draws import draw_causes
from frazil.models.causal.particles import LEAST_MOVIES, draw_particles, session_particles
from frazil.models.causal.prior import physics_prior
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import ExposureFacts, MovieEvidence

BANDS = band_frequencies_per_angstrom()
NOTHING = np.zeros(BANDS.size)
MATRIX = np.array([[0.02, 0.25], [-0.2, 0.05]])
AXIAL = np.array([0.1, -0.05])


def movie(x_um: float, y_um: float) -> MovieEvidence:
    path = tuple(0.3 * np.arange(8))
    return MovieEvidence(
        *(path, path, (0.1,) * 8, 0.2, 8, 5.0, 0.0, 3.5, 0.83, 300.0, 2.7, 15_000.0, None),
        log_ssnr=(None,) * 24,
        log_ssnr_sd=0.25,
        exposure=ExposureFacts(image_shift_x_um=x_um, image_shift_y_um=y_um),
    )


def particles(tilt_mrad: np.ndarray | None, sd_mrad: float, log_ssnr: np.ndarray, sd: float = 0.2) -> ParticleEvidence:
    """Bands to 6 A are measured."""
    seen = BANDS < 1 / 6
    return ParticleEvidence(
        particle_count=50.0,
        reference_renewal=3,
        frequency_per_angstrom=(),
        frc=(),
        log_ssnr=tuple(float(v) if s else None for v, s in zip(log_ssnr, seen, strict=True)),
        log_ssnr_sd=tuple(sd if s else None for s in seen),
        beam_tilt_x_mrad=None if tilt_mrad is None else float(tilt_mrad[0]),
        beam_tilt_y_mrad=None if tilt_mrad is None else float(tilt_mrad[1]),
        beam_tilt_covariance_mrad2=None if tilt_mrad is None else (sd_mrad**2, 0.0, sd_mrad**2),
    )


def session(count: int, sd_mrad: float, seed: int = 1) -> list[tuple[MovieEvidence, ParticleEvidence]]:
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        shift = rng.uniform(-4, 4, 2)
        tilt = AXIAL + MATRIX @ shift + rng.normal(0, sd_mrad, 2)
        pairs.append((movie(*shift), particles(tilt, sd_mrad, NOTHING)))
    return pairs


def test_many_faint_movies_tell_the_tilt_that_image_shift_makes() -> None:
    """Each knows its own to 1.4 mrad, which is more than there is."""
    pairs = session(200, 1.4)
    together = session_particles(pairs, [NOTHING] * 200)
    truth = np.array([AXIAL[0], *MATRIX[0], AXIAL[1], *MATRIX[1]])
    off, covariance = np.array(together.tilt_mean) - truth, np.array(together.tilt_covariance)
    assert np.sqrt(np.diag(covariance))[[1, 2, 4, 5]].max() < 0.06
    assert off @ np.linalg.inv(covariance) @ off < 22.5, "99.9 % of six"
    backwards = session_particles(pairs[::-1], [NOTHING] * 200)
    np.testing.assert_allclose(backwards.tilt_mean, together.tilt_mean, rtol=1e-9)


def test_a_movie_without_particles_is_known_through_the_others() -> None:
    together = session_particles(session(200, 1.4), [NOTHING] * 200)
    shift = np.array([3.0, -2.0])
    said = draw_particles(together, movie(*shift), None, NOTHING)
    assert said.level_and_fall is None
    assert said.axial_tilt_mrad is not None
    assert said.shifted_tilt_mrad is not None
    tilt = said.axial_tilt_mrad + said.shifted_tilt_mrad
    expected = AXIAL + MATRIX @ shift
    assert (np.abs(tilt.mean(axis=0) - expected) < 4 * tilt.std(axis=0)).all()
    assert tilt.std(axis=0).max() < 0.3
    # Without image shift what is left is the axial part.
    assert np.abs(said.axial_tilt_mrad.mean(axis=0) - AXIAL).max() < 4 * said.axial_tilt_mrad.std(axis=0).max()


@pytest.mark.parametrize("unit_um", [5.0, 24.7, 100.0, 400.0])
def test_a_shift_without_a_unit_tells_the_tilt_as_well(unit_um: float) -> None:
    """The same session as EPU tells it: the matrix is another, the tilt that it makes is not."""

    def in_units(shifted: MovieEvidence) -> MovieEvidence:
        x, y = shifted.exposure.image_shift_x_um, shifted.exposure.image_shift_y_um
        assert x is not None
        assert y is not None
        told = ExposureFacts(shift_x_au=x / unit_um, shift_y_au=y / unit_um)
        return replace(shifted, exposure=told)

    pairs = session(400, 0.5)
    together = session_particles([(in_units(shifted), seen) for shifted, seen in pairs], [NOTHING] * 400)
    shift = np.array([3.0, -2.0])
    said = draw_particles(together, in_units(movie(*shift)), None, NOTHING)
    assert said.axial_tilt_mrad is not None
    assert said.shifted_tilt_mrad is not None
    tilt = said.axial_tilt_mrad + said.shifted_tilt_mrad
    assert np.abs(tilt.mean(axis=0) - (AXIAL + MATRIX @ shift)).max() < 0.2
    assert tilt.std(axis=0).max() < 0.6, "what nobody told of its own shift stays"


def test_coma_loss_is_that_of_the_measured_tilt() -> None:
    pairs = session(40, 0.02)
    prior = physics_prior()
    together = session_of(pairs, prior)
    alone, known = pairs[0]
    tilt = float(np.hypot(known.beam_tilt_x_mrad, known.beam_tilt_y_mrad))  # type: ignore[arg-type]
    before, after = attribute(alone, prior).losses, attribute(alone, prior, together, known).losses
    index = after.factor_names.index("aberrations")
    phase = 2 * np.pi * 2.7e7 * 0.0196875**2 * tilt * 1e-3 / 4**3
    expected = -2 * np.log(j0(phase))
    assert curves_at(1 / 4, np.array(after.loss_ln_ssnr[index])) == pytest.approx(expected, rel=0.1)
    assert curves_at(1 / 4, np.array(after.loss_sd[index])) < 0.3 * curves_at(1 / 4, np.array(before.loss_sd[index]))
    for name, old, new in zip(after.factor_names, before.loss_ln_ssnr, after.loss_ln_ssnr, strict=True):
        if name not in ("aberrations", "heterogeneity"):
            assert old == new, "the others are none of the particles' business"


def test_heterogeneity_is_what_a_movie_falls_below_the_others_by() -> None:
    rng, prior, fall = np.random.default_rng(3), physics_prior(), 1.5
    others = [(movie(0, 0), particles(None, 0, 1 - 30 * BANDS**2 + rng.normal(0, 0.2, 24))) for _ in range(30)]
    bad = particles(None, 0, 1 - 30 * BANDS**2 - fall * (5 * BANDS) ** 2)
    together = session_of([*others, (movie(0, 0), bad)], prior)
    assert together.tilt_mean == ()
    losses = attribute(movie(0, 0), prior, together, bad).losses
    index = losses.factor_names.index("heterogeneity")
    found = curves_at(1 / 8, np.array(losses.loss_ln_ssnr[index]))
    sd = curves_at(1 / 8, np.array(losses.loss_sd[index]))
    assert sd < 0.3
    assert found == pytest.approx(fall * (5 / 8) ** 2, abs=3 * sd)
    usual = attribute(movie(0, 0), prior, together, others[0][1]).losses
    assert curves_at(1 / 8, np.array(usual.loss_ln_ssnr[index])) < 3 * sd


def test_too_few_movies_and_nothing_measured_change_nothing() -> None:
    prior = physics_prior()
    few = session_of([(movie(0, 0), particles(None, 0, NOTHING))] * (LEAST_MOVIES - 1), prior)
    assert attribute(movie(1, 1), prior, few, particles(None, 0, NOTHING)) == attribute(movie(1, 1), prior)
    assert attribute(movie(1, 1), prior, session_of([], prior)) == attribute(movie(1, 1), prior)


def test_draws_have_the_covariance_that_they_should() -> None:
    """A movie with a sharp measurement of its own: its draws are as narrow."""
    pairs = session(60, 1.4)
    sharp = replace(pairs[0][1], beam_tilt_x_mrad=1.0, beam_tilt_y_mrad=0.0, beam_tilt_covariance_mrad2=(1e-4, 0, 1e-4))
    together = session_particles([(pairs[0][0], sharp), *pairs[1:]], [NOTHING] * 60)
    said = draw_particles(together, pairs[0][0], sharp, NOTHING)
    assert said.axial_tilt_mrad is not None
    assert said.shifted_tilt_mrad is not None
    tilt = said.axial_tilt_mrad + said.shifted_tilt_mrad
    assert np.abs(tilt.mean(axis=0) - [1.0, 0.0]).max() < 0.1
    assert tilt.std(axis=0).max() < 0.05
    assert len(draw_causes(pairs[0][0], physics_prior()).blur_scale) == len(tilt)
