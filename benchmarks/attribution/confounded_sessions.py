"""Sessions in which causes go together as they do at real microscopes: what is told of them must be right all the same.

Three worlds of their own: numbers of settling (`confounded`), movies of settling (`settling_session`), and a whole
table of what movies show of which the causal graph holds (`graph_session`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from frazil.models.causal import counts, settle
from frazil.models.causal.adjustment import Observed
from frazil.models.causal.bands import BAND_COUNT, Array
from frazil.models.causal.independence import SeenMovie
from frazil.models.causal.measured import PER_MOVIE
from frazil.models.causal.prior import PriorSnapshot, packed, physics_prior
from frazil.models.causal.settle import with_settle_times
from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.records import ExposureFacts, MovieEvidence

HOLES, STOPS_A_SQUARE = 6, 8
EFFECT = -0.5
"""Of ln settle time on ln drift in `confounded`."""
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
        count_weights=packed(counts.prior_ln_weight() + 0.5 * np.sum(own, axis=0)),
    )


def confounded(
    seed: int,
    *,
    effect: float = EFFECT,
    by_order: float = 0.4,
    stop_sd: float = 0.3,
    waits_s: float = 8.0,
    movies: int = 96,
) -> Observed:
    """Stops of six holes: the later the hole, the longer the stage has stood, and the more the foil moves for reasons
    of its own. The wait after a move differs from stop to stop, and so does the stage's drift."""
    random = np.random.default_rng(seed)
    stop, order = np.arange(movies) // HOLES, np.arange(movies) % HOLES
    stops = movies // HOLES
    settled_s = 2.0 + random.exponential(waits_s, stops)[stop] + 6.0 * order + random.uniform(0, 6, movies)
    treatment = np.log(settled_s)
    outcome = effect * treatment + by_order * order + random.normal(0, stop_sd, stops)[stop]
    return Observed(
        treatment,
        outcome + random.normal(0, 0.4, movies),
        strata={"hole_order": order.astype(float)},
        levels={"session_time": np.arange(movies) / movies},
        stops=stop.astype(float),
    )


def graph_session(seed: int, movies: int, ice_to_drift: float = 0.0) -> list[SeenMovie]:
    """Movies of which the graph holds (but for what is planted), made as unlike its tests as a session may be: what a
    stop of the stage or a square has in common, drifts, bent dependences on the order of holes and the time."""
    random = np.random.default_rng(seed)
    stop, hole = np.arange(movies) // HOLES, np.arange(movies) % HOLES
    square, now = stop // STOPS_A_SQUARE, np.arange(movies) / movies
    stops, squares = int(stop.max()) + 1, int(square.max()) + 1

    def of_stop(sd: float) -> Array:
        return np.asarray(random.normal(0, sd, stops)[stop])

    def own(sd: float) -> Array:
        return np.asarray(random.normal(0, sd, movies))

    settled_s = 1 + random.exponential(10, stops)[stop] + 7 * hole + random.uniform(0, 4, movies)
    moved_um = random.uniform(5, 30, stops)
    ice = random.normal(0, 0.3, squares)[square] + of_stop(0.3) + own(0.3) + 0.05 * hole + 0.2 * now
    columns = {
        "settle_time": np.log(settled_s),
        "image_shift": hole + own(0.2),
        "dose_rate": np.full(movies, np.log(10.0)),
        "defocus_target": random.choice([1.0, 1.2, 1.4, 1.6], stops)[stop] + own(0.05),
        "specimen_tilt": np.abs(random.normal(2, 1, squares))[square] + own(0.3),
        "steady_drift": np.log1p(10 * np.exp(-settled_s / 8)) + of_stop(0.4) + own(0.4) - 0.1 * hole + 0.3 * now
        + ice_to_drift * ice,
        "counted_electrons": -0.06 - 0.12 * np.exp(ice) + own(0.012),
        "fixed_pattern": own(0.02),
    }  # fmt: skip
    x_um = np.cumsum(moved_um)[stop]
    return [
        SeenMovie(
            ExposureFacts(36_000_000 * i, 4.0, None, float(x_um[i]), 0.0, grid_square=str(square[i])),
            tuple(float(columns[name][i]) for name in PER_MOVIE),
        )
        for i in range(movies)
    ]
