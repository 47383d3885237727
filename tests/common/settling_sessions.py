"""Sessions whose stage settles, whose foil moves and whose operators wait as a test says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from frazil.models.causal import counts, settle
from frazil.models.causal.factors import BAND_COUNT
from frazil.models.causal.prior import PriorSnapshot, packed, physics_prior
from frazil.models.causal.settle import with_settle_times
from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.records import ExposureFacts, MovieEvidence

HOLES = 6
_EXPOSURE_S, _FRAMES = 4.0, 20


def settling_session(
    seed: int,
    *,
    movies: int = 96,
    relaxes: float = 10.0,
    by_order: float = 0.0,
    waits_s: float = 10.0,
    between_s: float = 4.0,
    ice_moves: float = 0.0,
) -> list[MovieEvidence]:
    """Movies with settle times, six holes a stop.

    ln drift = ln(1 + relaxes exp(-t / 8 s)) + by_order * hole + ice_moves * ln(ice / 40 nm) + what the stop and the
    movie add. `waits_s`: mean of the wait after a move, which differs from stop to stop; `between_s`: by how much the
    time between two holes differs.
    """
    random, found, now_s, moved_s, of_stop = np.random.default_rng(seed), [], 0.0, 0.0, 0.0
    for number in range(movies):
        stop, hole = divmod(number, HOLES)
        if hole == 0:
            moved_s, of_stop = now_s, random.normal(0, 0.2)
            now_s += 1.0 + random.exponential(waits_s)
        else:
            now_s += 2.0 + random.uniform(0, between_s)
        settled_s = now_s - moved_s + _EXPOSURE_S * 2 / 3
        thickness_nm = random.lognormal(np.log(40), 0.3)
        ln_speed = np.log(0.5 * (1 + relaxes * np.exp(-settled_s / 8.0))) + by_order * hole + of_stop
        ln_speed += ice_moves * np.log(thickness_nm / 40) + random.normal(0, 0.35)
        found.append(_movie(random, float(np.exp(ln_speed)), thickness_nm, now_s, stop, hole))
        now_s += _EXPOSURE_S
    return with_settle_times(found, None, None)[0]


def _movie(
    random: np.random.Generator, speed_angstrom_per_s: float, thickness_nm: float, now_s: float, stop: int, hole: int
) -> MovieEvidence:
    step = speed_angstrom_per_s * _EXPOSURE_S / _FRAMES * (np.arange(_FRAMES) - (_FRAMES - 1) / 2)
    angle = random.uniform(0, 2 * np.pi)
    return MovieEvidence(
        shift_x_angstrom=tuple((np.cos(angle) * step).tolist()),
        shift_y_angstrom=tuple((np.sin(angle) * step).tolist()),
        shift_sd_angstrom=(0.05,) * _FRAMES,
        local_residual_angstrom=0.0,
        frame_count=_FRAMES,
        dose_per_frame_e_per_a2=2.0,
        pre_exposure_e_per_a2=0.0,
        dose_per_frame_e_per_px=2.0 * float(np.exp(-0.06 - thickness_nm / inelastic_mean_free_path_nm(300.0))),
        pixel_size_angstrom=1.0,
        voltage_kv=300.0,
        cs_mm=2.7,
        defocus_angstrom=float(random.uniform(8_000, 20_000)),
        relative_ice_thickness=None,
        log_ssnr=(None,) * BAND_COUNT,
        log_ssnr_sd=0.25,
        exposure=ExposureFacts(
            acquired_utc_us=1_767_225_600_000_000 + int(now_s * 1e6),
            exposure_time_s=_EXPOSURE_S,
            stated_dose_per_frame_e_per_a2=2.0,
            stage_x_um=20.0 * stop,
            stage_y_um=0.0,
            image_shift_x_um=float(hole),
            image_shift_y_um=0.0,
            energy_filter=True,
        ),
    )


def learnt(movies: list[MovieEvidence]) -> PriorSnapshot:
    """What a session teaches of settling and counts, at once."""
    sums = [added for movie in movies if (added := settle.sums_of(movie)) is not None]
    own = [added for movie in movies if (added := counts.ln_likelihood(movie)) is not None]
    return replace(
        physics_prior(),
        version=len(movies) // 5,
        movie_count=len(movies),
        settle_sums=tuple(tuple(row) for row in np.sum([settle.no_sums(), *sums], axis=0).tolist()),
        count_ln_weight=packed(counts.prior_ln_weight() + 0.5 * np.sum(own, axis=0)),
    )
