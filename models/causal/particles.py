"""What particles say of coma and heterogeneity, which rings do not show: beliefs of a session, and of one movie in it.

*Coma.* The beam tilts with the image shift s (2-vector, um) that aimed it: tau_i = t0 + M s_i + delta_i. Every movie
measures its tau with a covariance of its own (`reconstruction.beam_tilt`); t0 and M have a Gaussian prior, so their
posterior is a sum over movies, in any order, and a movie of few particles is known through the others.

*Heterogeneity.* ln SSNR of a movie's particles, coma taken out, plus all losses that the other causes explain, is the
same for all movies of one specimen but for what makes the particles of some movies differ from each other or from the
map. That is a level (boxes that hold something else) and a fall with k^2 (parts that move), each against the median
movie of the session: what all movies share is in the map too, and cannot be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import norm, qmc

from frazil.models.causal.bands import BAND_COUNT, Array, band_frequencies_per_angstrom
from frazil.models.causal.causes import COMA_LN_SD, COMA_MRAD_PER_UM_MEDIAN, DRAWS
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import ExposureFacts, MovieEvidence

_AXIAL_SD_MRAD = 0.1
"""Of t0: beam tilt that alignment without image shift leaves."""
_PER_UM_SD_MRAD = float(COMA_MRAD_PER_UM_MEDIAN * np.exp(COMA_LN_SD**2) / np.sqrt(2))
"""Of each entry of M: the same mean square tilt as without particles."""
_MOVIE_SD_MRAD, _UNKNOWN_SHIFT_SD_MRAD = 0.05, 0.4
"""Of delta: from movie to movie; where no image shift was recorded."""
_WIDTH_UM_PER_UNIT = 100.0
"""EPU's beam shift comes without a unit. M is fitted to what particles say and takes any unit: this only makes its
prior wide enough for units of some um to a few hundred (25 on one Krios), and delta keeps the width of an untold shift.
"""
_LEVEL_SD, _FALL_SD_AT_5_ANGSTROM = 0.5, 2.0
"""Prior of a movie's own level and fall, in ln SSNR: a share of foreign boxes, a B-factor of 100 A2."""
LEAST_MOVIES = 8
"""Fewer make no median."""
_MEDIAN_LN_VARIANCE_FACTOR = 1.57
"""Variance of a median over that of a mean."""


@dataclass(frozen=True, slots=True)
class SessionParticles:
    """What the particles of a session's movies say together."""

    tilt_mean: tuple[float, ...] = ()
    """(6,) t0x, Mxx, Mxy, t0y, Myx, Myy in mrad and mrad/um; empty: no movie measured its tilt."""
    tilt_covariance: tuple[tuple[float, ...], ...] = ()
    baseline: tuple[float | None, ...] = ()
    """Per band, median of ln SSNR of particles plus explained losses; None: too few movies."""
    baseline_sd: tuple[float | None, ...] = ()
    movie_count: int = 0


@dataclass(frozen=True, slots=True)
class ParticleDraws:
    """(S, 2) draws of what particles say of one movie."""

    axial_tilt_mrad: Array | None
    """The part of the tilt that is there without image shift, x and y; None: nothing is known from particles."""
    shifted_tilt_mrad: Array | None
    """What image shift adds."""
    level_and_fall: Array | None
    """Heterogeneity's loss at low frequency, and what it gains until 5 A; None: not measured."""


def session_particles(
    movies: Sequence[tuple[MovieEvidence, ParticleEvidence]], explained: Sequence[Array]
) -> SessionParticles:
    """Bring a session's movies together; `explained` are their (BAND_COUNT,) losses by all other causes."""
    precision, information, measured = np.diag(1 / _tilt_prior_sd() ** 2), np.zeros(6), 0
    for movie, particles in movies:
        own = _tilt(particles)
        if own is None:
            continue
        design, spread = shift_design(movie.exposure)
        weight = np.linalg.inv(own[1] + spread**2 * np.eye(2))
        precision, information = precision + design.T @ weight @ design, information + design.T @ weight @ own[0]
        measured += 1
    covariance = np.linalg.inv(precision)
    baseline, baseline_sd = _baseline([particles for _, particles in movies], explained)
    return SessionParticles(
        tilt_mean=tuple((covariance @ information).tolist()) if measured else (),
        tilt_covariance=tuple(tuple(row) for row in covariance.tolist()) if measured else (),
        baseline=baseline,
        baseline_sd=baseline_sd,
        movie_count=len(movies),
    )


def draw_particles(
    session: SessionParticles, movie: MovieEvidence, particles: ParticleEvidence | None, explained: Array
) -> ParticleDraws:
    """Of one movie of the session, with or without particles of its own; `explained` as in `session_particles`."""
    axial = shifted = None
    if session.tilt_mean:
        axial, shifted = tilt_draws(session, movie, particles)
    level_and_fall = None
    effects = None if particles is None else _level_and_fall(session, particles, explained)
    if effects is not None:
        mean, covariance = effects
        level_and_fall = mean + _normals()[:, 8:10] @ np.linalg.cholesky(covariance).T
    return ParticleDraws(axial, shifted, level_and_fall)


def tilt_draws(
    session: SessionParticles, movie: MovieEvidence, particles: ParticleEvidence | None
) -> tuple[Array, Array]:
    """(S, 2) axial tilt and what image shift adds, mrad, of a movie of a session whose tilt was measured."""
    z = _normals()
    theta = np.array(session.tilt_mean) + z[:, :6] @ np.linalg.cholesky(np.array(session.tilt_covariance)).T
    design, spread = shift_design(movie.exposure)
    without_shift = design * np.array([1.0, 0, 0, 1.0, 0, 0])
    axial, shifted = theta @ without_shift.T, theta @ (design - without_shift).T
    # theta has seen this movie's own measurement; given theta it only says more of delta.
    own = None if particles is None else _tilt(particles)
    mean, covariance = np.zeros((len(z), 2)), spread**2 * np.eye(2)
    if own is not None:
        gain = spread**2 * np.linalg.inv(own[1] + spread**2 * np.eye(2))
        mean = (own[0] - axial - shifted) @ gain.T
        covariance = covariance - spread**2 * gain
    return axial + mean + z[:, 6:8] @ np.linalg.cholesky(covariance + 1e-12 * np.eye(2)).T, shifted


def _level_and_fall(
    session: SessionParticles, particles: ParticleEvidence, explained: Array
) -> tuple[Array, Array] | None:
    """Mean (2,) and covariance (2, 2) of the movie's own level and fall as *losses*."""
    rows, values, variances = [], [], []
    shape = np.square(5.0 * band_frequencies_per_angstrom())
    for band, (value, sd, usual, usual_sd) in enumerate(
        zip(particles.log_ssnr, particles.log_ssnr_sd, session.baseline, session.baseline_sd, strict=False)
    ):
        if value is None or sd is None or usual is None or usual_sd is None:
            continue
        rows.append((1.0, shape[band]))
        values.append(usual - value - explained[band])
        variances.append(sd**2 + usual_sd**2)
    if not rows:
        return None
    design, weight = np.array(rows), 1 / np.array(variances)
    precision = np.diag([1 / _LEVEL_SD**2, 1 / _FALL_SD_AT_5_ANGSTROM**2]) + (design.T * weight) @ design
    covariance = np.linalg.inv(precision)
    return covariance @ (design.T @ (weight * np.array(values))), covariance


def _baseline(
    particles: Sequence[ParticleEvidence], explained: Sequence[Array]
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    usual: list[float | None] = []
    usual_sd: list[float | None] = []
    for band in range(BAND_COUNT):
        values = np.array(
            [
                value + losses[band]
                for one, losses in zip(particles, explained, strict=True)
                if (value := one.log_ssnr[band]) is not None
            ]
        )
        if values.size < LEAST_MOVIES:
            usual.append(None)
            usual_sd.append(None)
            continue
        spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
        usual.append(float(np.median(values)))
        usual_sd.append(float(spread * np.sqrt(_MEDIAN_LN_VARIANCE_FACTOR / values.size)))
    return tuple(usual), tuple(usual_sd)


def _tilt(particles: ParticleEvidence) -> tuple[Array, Array] | None:
    if particles.beam_tilt_covariance_mrad2 is None:
        return None
    xx, xy, yy = particles.beam_tilt_covariance_mrad2
    return (
        np.array([particles.beam_tilt_x_mrad, particles.beam_tilt_y_mrad], dtype=np.float64),
        np.array([[xx, xy], [xy, yy]]),
    )


def shift_design(exposure: ExposureFacts) -> tuple[Array, float]:
    """(2, 6) from theta to the tilt of a movie that was aimed so, and the sd of what is its own."""
    x, y = exposure.image_shift_x_um, exposure.image_shift_y_um
    known = x is not None and y is not None
    if not known and exposure.shift_x_au is not None and exposure.shift_y_au is not None:
        x, y = (_WIDTH_UM_PER_UNIT * part for part in (exposure.shift_x_au, exposure.shift_y_au))
    row = [1.0, x or 0.0, y or 0.0]
    design = np.array([[*row, 0, 0, 0], [0, 0, 0, *row]], dtype=np.float64)
    return design, _MOVIE_SD_MRAD if known else _UNKNOWN_SHIFT_SD_MRAD


def shift_prior_sd() -> Array:
    """(2,) prior sd of a row of M, mrad/um."""
    return np.array([_PER_UM_SD_MRAD, _PER_UM_SD_MRAD])


def _tilt_prior_sd() -> Array:
    return np.array([_AXIAL_SD_MRAD, *shift_prior_sd()] * 2)


@lru_cache(maxsize=1)
def _normals() -> Array:
    """(S, 10), as `causes.standard_normals`, of their own: those stay what they were."""
    uniform = qmc.Sobol(10, scramble=True, seed=20261122).random(DRAWS)
    z = np.asarray(norm.ppf(np.clip(uniform, 1e-4, 1 - 1e-4)))
    z = np.asarray((z - z.mean(axis=0)) / z.std(axis=0))
    z.flags.writeable = False
    return z
