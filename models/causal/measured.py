"""What movies show of the causal graph's nodes: a table of numbers, one row a movie, one column a node.

Rejected movies belong in it: who leaves out what turned out badly has chosen by the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal import counts, settle
from frazil.models.causal.bands import Array, band_frequencies_per_angstrom
from frazil.models.causal.mechanisms import dose_rate_e_per_px_per_s
from frazil.models.records import ExposureFacts, MovieEvidence

DISCRETE = ("hole_order", "grid_square")
"""Nodes whose numbers are names: movies are compared within one."""
LEAST_WAIT_S = 0.5
"""Below it a settle time is taken for this: its logarithm says how the stage comes to rest."""
LEAST_MOVE_UM = 0.1
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


@dataclass(frozen=True, slots=True)
class StageStop:
    """A movie as one of a stop of the stage."""

    exposure: ExposureFacts
    order: int | None
    """Exposures since the stage moved; None before the first move that was seen."""
    move_um: float | None
    """Of that move."""
    number: int
    """Of the stop."""


def measured(movies: Sequence[MovieEvidence]) -> Measured:
    """Of movies with their settle times, in any order.

    Units: `settle_time` ln s, `hole_order` exposures since the stage moved, `session_time` h, `stage_move` ln um of the
    last move, `image_shift` um, `dose_rate` ln e/px/s, `defocus_target` um as fitted, `specimen_tilt` deg,
    `steady_drift` ln A/s, `counted_electrons` ln of counted over stated, `fixed_pattern` slope, `ring_signal` ln SSNR.
    """
    of_stage, stops, _ = of_exposures([movie.exposure for movie in movies])
    bands = _ring_bands(movies)
    columns = {name: _column(movies, value_of) for name, value_of in PER_MOVIE.items()}
    rings = _column(movies, lambda movie: _mean_of_bands(movie, bands))
    return Measured({**of_stage, **columns, "ring_signal": rings}, stops)


def of_exposures(
    exposures: Sequence[ExposureFacts], before: StageStop | None = None
) -> tuple[dict[str, Array], Array | None, StageStop | None]:
    """The columns that follow from when and where movies were taken, the stop of each (None: some do not say), and the
    stage as the last of them leaves it. `before`: as movies before these left it."""
    order, move_um, stops = (np.full(len(exposures), np.nan) for _ in range(3))
    places = [i for i, one in enumerate(exposures) if one.acquired_utc_us is not None and one.stage_x_um is not None]
    places.sort(key=lambda index: exposures[index].acquired_utc_us or 0)
    for place in places:
        here = exposures[place]
        if before is None:
            before = StageStop(here, None, None, 0)
        else:
            distance_um = settle.moved_um(before.exposure, here)
            if distance_um > settle.MOVED_UM:
                before = StageStop(here, 0, distance_um, before.number + 1)
            else:
                before = StageStop(
                    here, None if before.order is None else before.order + 1, before.move_um, before.number
                )
        stops[place] = before.number
        if before.order is not None and before.move_um is not None:
            order[place], move_um[place] = before.order, before.move_um
    columns = {
        "hole_order": order,
        "session_time": _session_time_h(exposures),
        "stage_move": np.log(np.maximum(move_um, LEAST_MOVE_UM)),
        "grid_square": _codes([one.grid_square for one in exposures]),
    }
    return columns, stops if len(places) == len(exposures) else None, before


def _column(movies: Sequence[MovieEvidence], value_of: Callable[[MovieEvidence], float | None]) -> Array:
    found = [value_of(movie) for movie in movies]
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def _defocus_um(movie: MovieEvidence) -> float | None:
    return None if movie.defocus_angstrom is None else movie.defocus_angstrom / _ANGSTROM_PER_UM


def _ln_settle(movie: MovieEvidence) -> float | None:
    return None if movie.settle_time_s is None else float(np.log(max(movie.settle_time_s, LEAST_WAIT_S)))


def ln_dose_rate(movie: MovieEvidence) -> float | None:
    """ln of the stated e/px/s on the specimen; None: not stated."""
    rate = dose_rate_e_per_px_per_s(movie)
    return float(np.log(rate)) if rate else None


def ln_drift_speed(movie: MovieEvidence) -> float | None:
    """ln of the steady drift in A/s; None: frames have no time."""
    speed = settle.drift_speed_angstrom_per_s(movie)
    return None if speed is None else float(np.log(max(speed, settle.LEAST_SPEED_ANGSTROM_PER_S)))


def _image_shift_um(movie: MovieEvidence) -> float | None:
    x, y = movie.exposure.image_shift_x_um, movie.exposure.image_shift_y_um
    return None if x is None or y is None else float(np.hypot(x, y))


def _session_time_h(exposures: Sequence[ExposureFacts]) -> Array:
    times = np.array([np.nan if one.acquired_utc_us is None else one.acquired_utc_us for one in exposures])
    first = np.nanmin(times) if np.isfinite(times).any() else 0.0
    return np.asarray((times - first) / _US_PER_HOUR)


def _codes(names: Sequence[str | None]) -> Array:
    """A number for each name, in their order of appearance."""
    numbers: dict[str, int] = {}
    return np.array([np.nan if name is None else numbers.setdefault(name, len(numbers)) for name in names])


def _ring_bands(movies: Sequence[MovieEvidence]) -> tuple[int, ...]:
    k = band_frequencies_per_angstrom()
    low, high = _RING_BANDS_PER_ANGSTROM
    inside = [band for band in range(k.size) if low <= k[band] <= high]
    seen = {band: np.mean([m.log_ssnr[band] is not None for m in movies]) if movies else 0.0 for band in inside}
    return tuple(band for band in inside if seen[band] >= _RING_BANDS_SEEN)


def _mean_of_bands(movie: MovieEvidence, bands: Sequence[int]) -> float | None:
    values = [value for band in bands if (value := movie.log_ssnr[band]) is not None]
    return float(np.mean(values)) if values and len(values) == len(bands) else None


PER_MOVIE: dict[str, Callable[[MovieEvidence], float | None]] = {
    "settle_time": _ln_settle,
    "image_shift": _image_shift_um,
    "dose_rate": ln_dose_rate,
    "defocus_target": _defocus_um,
    "specimen_tilt": lambda movie: movie.tilt_angle_deg,
    "steady_drift": ln_drift_speed,
    "counted_electrons": counts.log_count_ratio,
    "fixed_pattern": lambda movie: movie.fixed_pattern,
}
"""What a movie shows by itself, by node."""
OF_EXPOSURES = ("hole_order", "session_time", "stage_move", "grid_square")
"""What follows from when and where it was taken."""
