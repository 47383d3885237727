"""What a movie's losses follow from, as joint draws: every quantity with its unit, known as well as it is known.

Losses are functions of causes (`mechanisms`); causes are uncertain. Draws carry the uncertainty through anything that
is computed from them, an intervention in angstrom as well as a loss: the same fixed numbers for every movie, so that
the same evidence gives the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.stats import norm, qmc

from frazil.models.causal.bands import Array
from frazil.models.causal.factors import MODELLED_FACTORS

DRAWS = 64
_OWN_NORMALS = ("focal_spread", "dqe_zero", "dqe_nyquist", "coma", "shift_error", "blur", "height_share", "settle")
_LATER_NORMALS = ("ring_fall", "beam_motion", "ice_motion", "ice_particles", "counted", "height_of_hole", "defocus")
"""Each is put in after the others were there: the columns before it stay what they were. The last three are what is
wrong of one movie alone."""
_SHUFFLES = 2000
COUNT_NORMALS = slice(0, 3)
"""Columns of `standard_normals` that `counts.draw` uses; one for the strength of each modelled factor follows, then
those of `_OWN_NORMALS`."""
STRENGTH_NORMALS = slice(3, 3 + len(MODELLED_FACTORS))
REFERENCE_HALF_ANGLE_MRAD = 0.02
"""Parallel illumination from a field-emission source; columns lie between about 0.01 and 0.06 mrad. The mechanism is
evaluated here, its strength is the square of the ratio to this."""
COMA_MRAD_PER_UM_MEDIAN, COMA_LN_SD = 0.12, 0.7
"""Beam tilt that image shift leaves uncompensated (Cheng et al. 2018, J. Struct. Biol. 204, 270, and what RELION's
users refine: 0.05 to 0.3 mrad/um). Rings do not show coma: only particles will sharpen this."""
FOCAL_SPREAD_MEDIAN_ANGSTROM, FOCAL_SPREAD_LN_SD = 65.0, 0.5
"""Cc 2.7 mm with 0.3 eV (cold) to 0.9 eV (Schottky) at 300 kV, and the ripple of voltage and lens currents: 20 to
150 A. Nothing in a session tells it."""
DQE_ZERO_MEDIAN, DQE_ZERO_SD = 0.9, 0.06
DQE_NYQUIST_MEDIAN, DQE_NYQUIST_LN_SD = 0.38, 0.3
"""Counting cameras at 200-300 kV, published curves (McMullan et al. 2014, Ultramicroscopy 147, 156)."""
SHIFT_ERROR_LN_SD = 0.4
"""How far stated errors of shifts may be off."""
BLUR_LN_SD = 0.25
"""Of the square of the travel inside a frame, inferred from its neighbours' positions."""
HEIGHT_SHARE_MEDIAN, HEIGHT_SHARE_LN_SD = 0.5, 0.45
"""Of the ice's thickness that particles' heights spread over: nine of ten particles lie at a surface, in some grids at
one of them, in others at both (Noble et al. 2018, eLife 7:e34257)."""
HEIGHT_OF_HOLE_LN_SD = 0.22
"""Of the same from hole to hole of a session: with the above 0.5 for any one movie."""
UNKNOWN_DEFOCUS_ANGSTROM, UNKNOWN_DEFOCUS_LN_SD = 13_000.0, 0.5
"""Where no fit says: 0.5 to 3.4 um in 95 of 100 movies."""
HETEROGENEITY_SD_AT_5_ANGSTROM = 0.2
"""Without particles nothing is known of heterogeneity: its loss is 0 with this sd, growing with k^2."""


@dataclass(frozen=True, slots=True)
class CauseDraws:
    """(S,) draws of each cause of one movie."""

    ice_thickness_nm: Array
    count_loss_s_px_per_e: Array
    """Electrons per pixel and second times this is the mean number that land in the same place and readout."""
    source_half_angle_mrad: Array
    focal_spread_sd_angstrom: Array
    dqe_zero: Array
    dqe_nyquist: Array
    coma_mrad_per_um: Array
    shift_error_scale: Array
    blur_scale: Array
    height_share: Array
    strengths: dict[str, Array]
    """Learned multipliers of the mechanisms whose causes above do not already carry what rings say."""
    image_shift_scale: float = 1.0
    dose_rate_scale: float = 1.0
    """What an intervention does: share of the setting that is left."""
    drift_removed: Array | None = None
    """(S, F) what an intervention takes off the travel in each frame, in units of the steady drift per frame."""
    beam_motion_scale: Array | None = None
    """(S,) what an intervention multiplies the squared travel by that is not the stage's; None: nothing."""
    transmitted_share: Array | None = None
    """(S,) of the electrons, those that lost no energy in the ice; None: as the thickness says."""
    height_spread_angstrom: Array | None = None
    """(S,) over which particles' heights spread; None: as thickness and share say."""
    beam_tilt_rad: Array | float | None = None
    """(S,) at the specimen; None: as image shift and particles say."""
    axial_tilt_mrad: Array | None = None
    """(S, 2) beam tilt from particles that is there without image shift; None: particles have not spoken yet."""
    shifted_tilt_mrad: Array | None = None
    """(S, 2) what image shift adds to it."""
    defocus_angstrom: Array | None = None
    """(S,) of a movie whose fit does not say; None: as the fit says."""
    level_and_fall: Array | None = None
    """(S, 2) loss by heterogeneity from particles, against the session's median: at k = 0, and what it gains to 5 A."""

    def doing(self, **changes: object) -> CauseDraws:
        """The same movie with causes set (an intervention): draws are kept where nothing was done."""
        return replace(self, **changes)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def standard_normals() -> Array:
    """(S, columns) fixed low-discrepancy draws, every column of mean 0 and variance 1 (scrambled Sobol, and columns
    that go with none of these by more than 0.2)."""
    uniform = qmc.Sobol(STRENGTH_NORMALS.stop + len(_OWN_NORMALS), scramble=True, seed=20150629).random(DRAWS)
    z = _standardized(np.asarray(norm.ppf(np.clip(uniform, 1e-4, 1 - 1e-4))))
    for number, _ in enumerate(_LATER_NORMALS):
        z = np.column_stack([z, _column_apart(z, seed=number)])
    z.flags.writeable = False
    return z


def _standardized(z: Array) -> Array:
    z = z - z.mean(axis=0)
    return np.asarray(z / z.std(axis=0))


def _column_apart(z: Array, seed: int) -> Array:
    """(S,) evenly filled normals in the order, of many, that goes least with any column of z (S, columns).

    Two Sobol sequences that are scrambled by different seeds may go together by 0.9: each fills its own columns evenly,
    and nothing keeps the two apart.
    """
    random = np.random.default_rng([20181127, seed])
    even = _standardized(norm.ppf((np.arange(DRAWS) + 0.5) / DRAWS))
    shuffled = np.array([random.permutation(even) for _ in range(_SHUFFLES)])
    worst = np.abs(shuffled @ z / DRAWS).max(axis=1)
    return np.asarray(shuffled[int(np.argmin(worst))])


def normals_of(name: str) -> Array:
    """(S,) the column of a quantity that has one of its own."""
    return standard_normals()[:, STRENGTH_NORMALS.stop + (*_OWN_NORMALS, *_LATER_NORMALS).index(name)]


def centre_and_sd(draws: Array) -> tuple[Array, Array]:
    """Median over the first axis of draws (S, ...), and the least sd whose multiples 1 and 1.96 hold at least 68 and
    90 % of the draws.

    Losses go with squares of what is uncertain, so that their draws have a long tail: no symmetric interval about their
    median holds 68 and 95 %. An sd of 95 % would hold 88 % of a lognormal of ln sd 1 within one sd, this one 80.
    """
    centre = np.median(draws, axis=0)
    within_one, within_wider = np.quantile(np.abs(draws - centre), (0.68, 0.90), axis=0)
    return np.asarray(centre), np.asarray(np.maximum(within_one, within_wider / 1.96))


def lognormal(median: float, ln_sd: float, z: Array) -> Array:
    return np.asarray(median * np.exp(ln_sd * z))


def positive(mean: float, sd: float, z: Array) -> Array:
    """Draws of a quantity that cannot be negative, lognormal with this mean and sd (a Gaussian's where sd << mean)."""
    mean = max(mean, 0.25 * sd, 1e-3)
    ln_variance = np.log1p((sd / mean) ** 2)
    return np.asarray(mean * np.exp(np.sqrt(ln_variance) * z - 0.5 * ln_variance))
