"""What movies show of the causal graph's nodes: a table of numbers, one row a movie, one column a node.

Rejected movies belong in it: who leaves out what turned out badly has chosen by the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal import counts, settle
from frazil.models.causal.factors import Array, band_frequencies_per_angstrom
from frazil.models.causal.mechanisms import dose_rate_e_per_px_per_s
from frazil.models.records import MovieEvidence

DISCRETE = ("hole_order", "grid_square")
"""Nodes whose numbers are names: movies are compared within one."""
LEAST_WAIT_S = 0.5
"""Below it a settle time is taken for this: its logarithm says how the stage comes to rest."""
_RING_BANDS_PER_ANGSTROM = (1 / 15, 1 / 6)
_RING_BANDS_SEEN = 0.8
"""Share of the movies that have to have rings in a band for it to count: the same bands for all movies."""
_US_PER_HOUR = 3600e6
_ANGSTROM_PER_UM = 1e4


@dataclass(frozen=True, slots=True)
class Measured:
    """(n,) columns by node, NaN where not known, and which movies share a stop of the stage."""

    columns: Mapping[str, Array]
    stops: Array | None
    """None: nobody said where the stage was."""

    def known(self) -> frozenset[str]:
        """Nodes of which anything is known."""
        return frozenset(name for name, values in self.columns.items() if np.isfinite(values).any())


def measured(movies: Sequence[MovieEvidence]) -> Measured:
    """Of movies with their settle times, in any order.

    Units: `settle_time` ln s, `hole_order` exposures since the stage moved, `session_time` h, `stage_move` ln um of the
    last move, `image_shift` um, `dose_rate` ln e/px/s, `defocus_target` um as fitted, `specimen_tilt` deg,
    `steady_drift` ln A/s, `counted_electrons` ln of counted over stated, `fixed_pattern` slope, `ring_signal` ln SSNR.
    """
    order, move_um, stops = _stage(movies)
    bands = _ring_bands(movies)
    return Measured(
        columns={
            "settle_time": _column(movies, _ln_settle),
            "hole_order": order,
            "session_time": _session_time_h(movies),
            "stage_move": np.log(np.maximum(move_um, 0.1)),
            "grid_square": _codes([movie.exposure.grid_square for movie in movies]),
            "image_shift": _column(movies, _image_shift_um),
            "dose_rate": _column(movies, _ln_dose_rate),
            "defocus_target": _column(movies, _defocus_um),
            "specimen_tilt": _column(movies, lambda m: m.tilt_angle_deg),
            "steady_drift": _column(movies, _ln_drift),
            "counted_electrons": _column(movies, counts.log_count_ratio),
            "fixed_pattern": _column(movies, lambda m: m.fixed_pattern),
            "ring_signal": _column(movies, lambda m: _mean_of_bands(m, bands)),
        },
        stops=stops,
    )


def _column(movies: Sequence[MovieEvidence], value_of: Callable[[MovieEvidence], float | None]) -> Array:
    found = [value_of(movie) for movie in movies]
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def _defocus_um(movie: MovieEvidence) -> float | None:
    return None if movie.defocus_angstrom is None else movie.defocus_angstrom / _ANGSTROM_PER_UM


def _ln_settle(movie: MovieEvidence) -> float | None:
    return None if movie.settle_time_s is None else float(np.log(max(movie.settle_time_s, LEAST_WAIT_S)))


def _ln_dose_rate(movie: MovieEvidence) -> float | None:
    rate = dose_rate_e_per_px_per_s(movie)
    return float(np.log(rate)) if rate else None


def _ln_drift(movie: MovieEvidence) -> float | None:
    speed = settle.drift_speed_angstrom_per_s(movie)
    return None if speed is None else float(np.log(max(speed, settle.LEAST_SPEED_ANGSTROM_PER_S)))


def _image_shift_um(movie: MovieEvidence) -> float | None:
    x, y = movie.exposure.image_shift_x_um, movie.exposure.image_shift_y_um
    return None if x is None or y is None else float(np.hypot(x, y))


def _session_time_h(movies: Sequence[MovieEvidence]) -> Array:
    times = _column(movies, lambda m: m.exposure.acquired_utc_us)
    first = np.nanmin(times) if np.isfinite(times).any() else 0.0
    return np.asarray((times - first) / _US_PER_HOUR)


def _codes(names: Sequence[str | None]) -> Array:
    """A number for each name, in their order of appearance."""
    numbers: dict[str, int] = {}
    return np.array([np.nan if name is None else numbers.setdefault(name, len(numbers)) for name in names])


def _stage(movies: Sequence[MovieEvidence]) -> tuple[Array, Array, Array | None]:
    """Of each movie: exposures since the stage moved, um of that move, and the number of the stop. The first two are
    NaN before the first move that is seen."""
    order, move_um, stops = (np.full(len(movies), np.nan) for _ in range(3))
    places = [index for index, m in enumerate(movies) if m.exposure.acquired_utc_us is not None]
    places = [i for i in places if movies[i].exposure.stage_x_um is not None]
    places.sort(key=lambda index: movies[index].exposure.acquired_utc_us or 0)
    stop, since, distance = 0, np.nan, np.nan
    for before, here in zip([None, *places], places, strict=False):
        if before is not None:
            moved_um = settle.moved_um(movies[before].exposure, movies[here].exposure)
            if moved_um > settle.MOVED_UM:
                stop, since, distance = stop + 1, -1.0, moved_um
        since += 1.0
        order[here], move_um[here], stops[here] = since, distance, stop
    if len(places) < len(movies):
        return order, move_um, None
    return order, move_um, stops


def _ring_bands(movies: Sequence[MovieEvidence]) -> tuple[int, ...]:
    k = band_frequencies_per_angstrom()
    low, high = _RING_BANDS_PER_ANGSTROM
    inside = [band for band in range(k.size) if low <= k[band] <= high]
    seen = {band: np.mean([m.log_ssnr[band] is not None for m in movies]) if movies else 0.0 for band in inside}
    return tuple(band for band in inside if seen[band] >= _RING_BANDS_SEEN)


def _mean_of_bands(movie: MovieEvidence, bands: Sequence[int]) -> float | None:
    values = [value for band in bands if (value := movie.log_ssnr[band]) is not None]
    return float(np.mean(values)) if values and len(values) == len(bands) else None
