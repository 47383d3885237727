"""Joint draws of a movie's causes from the prior and the movie's own evidence."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from frazil.models.causal import counts
from frazil.models.causal.bands import Array, band_frequencies_per_angstrom
from frazil.models.causal.causes import (
    BLUR_LN_SD,
    COMA_LN_SD,
    COMA_MRAD_PER_UM_MEDIAN,
    COUNT_NORMALS,
    DQE_NYQUIST_LN_SD,
    DQE_NYQUIST_MEDIAN,
    DQE_ZERO_MEDIAN,
    DQE_ZERO_SD,
    DRAWS,
    FOCAL_SPREAD_LN_SD,
    FOCAL_SPREAD_MEDIAN_ANGSTROM,
    HEIGHT_OF_HOLE_LN_SD,
    HEIGHT_SHARE_LN_SD,
    HEIGHT_SHARE_MEDIAN,
    REFERENCE_HALF_ANGLE_MRAD,
    SHIFT_ERROR_LN_SD,
    STRENGTH_NORMALS,
    UNKNOWN_DEFOCUS_ANGSTROM,
    UNKNOWN_DEFOCUS_LN_SD,
    CauseDraws,
    lognormal,
    normals_of,
    positive,
    standard_normals,
)
from frazil.models.causal.factors import MODELLED_FACTORS
from frazil.models.causal.mechanisms import MECHANISMS, ring_washout
from frazil.models.causal.prior import PHYSICAL_SD, PRIOR_STRENGTH_SD, RING_DISCREPANCY, PriorSnapshot
from frazil.models.records import MovieEvidence

_UNCORRELATED = np.ones(1)
_LEAST_DEFOCI = 5


def draw_causes(movie: MovieEvidence, prior: PriorSnapshot, *, own_errors: bool = True) -> CauseDraws:
    """S draws: counts settle the ice, rings the strengths, and what neither sees keeps its physical prior.

    `own_errors` False: without the errors that are this movie's alone (its counts, the travel inside its frames, the
    heights in its hole). They average out over movies, where those of the session stay.
    """
    z = standard_normals()
    own = 1.0 if own_errors else 0.0
    counted = counts.draw(movie, prior.count_belief(), z[:, COUNT_NORMALS], own * normals_of("counted"))
    mean, sd = prior.strengths()
    return replace(
        _of_session(mean.tobytes(), sd.tobytes(), own_errors=own_errors),
        ice_thickness_nm=counted.thickness_nm,
        count_loss_s_px_per_e=counted.count_loss_s_px_per_e,
        defocus_angstrom=_unknown_defocus_angstrom(movie, prior, own * normals_of("defocus")),
    )


@lru_cache(maxsize=16)
def _of_session(strength_mean: bytes, strength_sd: bytes, *, own_errors: bool) -> CauseDraws:
    """What all movies share that one version of the prior judges; their ice and counts are put in movie by movie."""
    z, own = standard_normals(), 1.0 if own_errors else 0.0
    mean, sd = np.frombuffer(strength_mean), np.frombuffer(strength_sd)
    # What was learnt from rings is no better than the ring model is; what was not learnt keeps its physical prior.
    learnt = np.clip(1.0 - sd / PRIOR_STRENGTH_SD, 0.0, 1.0)
    sd = np.hypot(sd, RING_DISCREPANCY * np.abs(mean) * learnt)
    sd = np.hypot(sd, [PHYSICAL_SD.get(name, 0.0) for name in MODELLED_FACTORS])
    strengths = {
        name: positive(mean[f], sd[f], z[:, STRENGTH_NORMALS][:, f]) for f, name in enumerate(MODELLED_FACTORS)
    }
    nothing_yet: Array = np.zeros(DRAWS)
    return CauseDraws(
        ice_thickness_nm=nothing_yet,
        count_loss_s_px_per_e=nothing_yet,
        source_half_angle_mrad=REFERENCE_HALF_ANGLE_MRAD * np.sqrt(strengths["spatial_coherence"]),
        focal_spread_sd_angstrom=lognormal(
            FOCAL_SPREAD_MEDIAN_ANGSTROM, FOCAL_SPREAD_LN_SD, normals_of("focal_spread")
        ),
        dqe_zero=np.clip(DQE_ZERO_MEDIAN + DQE_ZERO_SD * normals_of("dqe_zero"), 0.5, 1.0),
        dqe_nyquist=np.minimum(lognormal(DQE_NYQUIST_MEDIAN, DQE_NYQUIST_LN_SD, normals_of("dqe_nyquist")), 0.9),
        coma_mrad_per_um=lognormal(COMA_MRAD_PER_UM_MEDIAN, COMA_LN_SD, normals_of("coma")),
        shift_error_scale=lognormal(1.0, SHIFT_ERROR_LN_SD, normals_of("shift_error")),
        blur_scale=lognormal(1.0, BLUR_LN_SD, own * normals_of("blur")),
        height_share=lognormal(HEIGHT_SHARE_MEDIAN, HEIGHT_SHARE_LN_SD, normals_of("height_share"))
        * lognormal(1.0, HEIGHT_OF_HOLE_LN_SD, own * normals_of("height_of_hole")),
        strengths=strengths,
    )


def _unknown_defocus_angstrom(movie: MovieEvidence, prior: PriorSnapshot, z: Array) -> Array | None:
    """(S,) of a movie whose CTF could not be fitted: as the session's newest movies have it; None: it is known."""
    if movie.defocus_angstrom is not None:
        return None
    rows = (row.evidence.defocus_angstrom for row in prior.window if row.evidence is not None)
    ln_defocus = np.log([defocus for defocus in rows if defocus])
    if ln_defocus.size < _LEAST_DEFOCI:
        return lognormal(UNKNOWN_DEFOCUS_ANGSTROM, UNKNOWN_DEFOCUS_LN_SD, z)
    return lognormal(float(np.exp(ln_defocus.mean())), float(ln_defocus.std(ddof=1)), z)


def central_causes(movie: MovieEvidence) -> CauseDraws:
    """One draw at the middle of what physics and this movie alone say, every strength 1.

    The ring model's columns are made of it: they must not depend on what other movies have taught, or the order in
    which movies come would matter.
    """
    z = standard_normals()[:, COUNT_NORMALS]
    counted = counts.draw(movie, counts.prior_ln_weight(), z, normals_of("counted"))
    one = _UNCORRELATED
    return CauseDraws(
        ice_thickness_nm=np.median(counted.thickness_nm) * one,
        count_loss_s_px_per_e=np.median(counted.count_loss_s_px_per_e) * one,
        source_half_angle_mrad=REFERENCE_HALF_ANGLE_MRAD * one,
        focal_spread_sd_angstrom=FOCAL_SPREAD_MEDIAN_ANGSTROM * one,
        dqe_zero=DQE_ZERO_MEDIAN * one,
        dqe_nyquist=DQE_NYQUIST_MEDIAN * one,
        coma_mrad_per_um=COMA_MRAD_PER_UM_MEDIAN * one,
        shift_error_scale=one,
        blur_scale=one,
        height_share=HEIGHT_SHARE_MEDIAN * one,
        strengths=dict.fromkeys(MODELLED_FACTORS, one),
    )


@lru_cache(maxsize=64)
def unit_losses(movie: MovieEvidence) -> Array:
    """(F + 1, BAND_COUNT) loss of every modelled factor at strength 1, and the rings' own wash-out."""
    causes, bands = central_causes(movie), band_frequencies_per_angstrom()
    rows = [MECHANISMS[name](movie, causes, bands)[0] for name in MODELLED_FACTORS]
    losses = np.stack([*rows, ring_washout(movie, causes, bands)[0]])
    losses.flags.writeable = False
    return losses
