"""How far EPU's beam shift goes: um of the stage for one unit, from the lattice of the holes.

EPU writes `BeamShift` without a unit. Within a cluster (AFIS) the holes are reached from one position of the stage by
beam shift alone, so that the shifts form a lattice, that of the holes, in the unknown unit. Two ways to um:

Holes whose stage positions are known (from EPU's file of the square)
    position - mean of its cluster = matrix @ (shift - mean of its cluster): linear least squares.
Holes that are not known
    All places that were exposed, stage + matrix @ shift, lie on one lattice of holes, matrix @ (the lattice of shifts).
    In units of that lattice the places have one phase only where the matrix is right. For each of the lattice's two
    axes this is a peak of a Fourier sum over the stage's positions; pairs of peaks whose matrix shifts the beam alike
    in all directions (deflectors do, to some per cent) are refined by least squares, and the one with the least spread
    of phase is taken. The same holes also fit turned by half a turn, mirrored, or as a part of a finer lattice, but
    worse: clusters are centred by small shifts which then have the wrong sign, and errors count for more of a finer
    lattice.
    Where "worse" is not clear, nothing is said.

Exposures in one hole differ by the areas of the template; their means are taken out first. Lattices differ between
squares: that with the most positions of the stage is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_SAME_STAGE_UM = 0.3
"""Of exposures of one cluster: the stage does not move between them, its readings differ by some nm."""
_SPACING_UM = (0.8, 7.0)
"""Between holes, from centre to centre."""
_MOST_UNALIKE = 1.15
"""Ratio of the longest to the shortest shift that one unit makes in any direction."""
_LEAST_COHERENCE = 0.9
_CLEARLY = 5.0
"""By how much a log likelihood has to be higher than that of the next lattice: some 150 to 1."""
_FEWEST_CLUSTERS = 5
_PEAKS = 60
_MOST_RESIDUAL_OF_SPACING = 0.15
_LEAST_WIDTH = 0.05
"""Of the shifts' extent across their longest direction, relative to that: less is one line."""


@dataclass(frozen=True, slots=True)
class ShiftedExposure:
    """One exposure that was reached by beam shift."""

    stage_x_um: float
    stage_y_um: float
    shift_x: float
    shift_y: float
    hole: str = ""
    area: str = ""
    """Of the template: EPU's number after `Data_`."""
    square: str = ""
    hole_x_um: float | None = None
    hole_y_um: float | None = None
    """Stage position of its hole, where a file tells it."""


@dataclass(frozen=True, slots=True)
class BeamShiftCalibration:
    """stage (um) = matrix @ shift."""

    um_per_unit: tuple[tuple[float, float], tuple[float, float]]
    error_um_per_unit: tuple[tuple[float, float], tuple[float, float]]
    """Standard errors of the same."""
    residual_um: float
    """Root mean square distance of the exposed places from the holes."""
    cluster_count: int
    hole_count: int
    coherence: float | None = None
    """Of the phases on the lattice, 1: all alike. None where the holes' positions were known."""

    @property
    def scale_um(self) -> float:
        """Length for one unit, over all directions: what `microscope.beam_shift_um_per_unit` takes."""
        (a, b), (c, d) = self.um_per_unit
        return float(abs(a * d - b * c) ** 0.5)

    @property
    def scale_error_um(self) -> float:
        """Standard error of `scale_um`, errors of the four numbers taken as independent."""
        (a, b), (c, d) = self.um_per_unit
        (ea, eb), (ec, ed) = self.error_um_per_unit
        variance = (d * ea) ** 2 + (c * eb) ** 2 + (b * ec) ** 2 + (a * ed) ** 2
        return float(variance**0.5 / (2.0 * abs(a * d - b * c) ** 0.5))

    @property
    def mirrored(self) -> bool:
        """Whether the shift's axes are those of the stage seen from behind."""
        (a, b), (c, d) = self.um_per_unit
        return a * d - b * c < 0

    @property
    def rotation_deg(self) -> float:
        """Of the shift's x axis against the stage's."""
        return float(np.degrees(np.arctan2(self.um_per_unit[1][0], self.um_per_unit[0][0])))


@dataclass(frozen=True, slots=True)
class BeamShiftAnswer:
    """A calibration, or why there is none."""

    calibration: BeamShiftCalibration | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Places:
    """Means over the areas of each hole, of one square."""

    stage: Array
    """(n, 2) um."""
    shift: Array
    """(n, 2)."""
    cluster: NDArray[np.int64]
    """(n,) from 0, those of one position of the stage."""
    hole: Array
    """(n, 2) um; NaN where it is not known."""


def calibrate_beam_shift(exposures: Sequence[ShiftedExposure]) -> BeamShiftAnswer:
    """The matrix of a session, or of as much of it as there is."""
    places = _places(exposures)
    if places is None:
        return BeamShiftAnswer(None, "no exposure says where the stage was and how the beam was shifted")
    by_holes = _from_holes(places)
    if by_holes is not None:
        return by_holes
    count = len(np.unique(places.cluster))
    if count < _FEWEST_CLUSTERS:
        reason = (
            f"the stage stood at {count} position(s) in the square with most of them, {_FEWEST_CLUSTERS} are needed"
        )
        return BeamShiftAnswer(None, reason)
    lattice = _shift_lattice(places)
    if lattice is None:
        return BeamShiftAnswer(None, "the shifts within the clusters do not form a lattice of holes")
    return _from_lattice(places, lattice)


def _places(exposures: Sequence[ShiftedExposure]) -> _Places | None:
    squares: dict[str, list[ShiftedExposure]] = defaultdict(list)
    for one in exposures:
        if np.isfinite((one.stage_x_um, one.stage_y_um, one.shift_x, one.shift_y)).all():
            squares[one.square].append(one)
    by_square = [(_clusters(_stage(shots)), shots) for shots in squares.values()]
    if not by_square:
        return None
    labels, shots = max(by_square, key=lambda pair: int(pair[0].max()))
    shift = np.array([(one.shift_x, one.shift_y) for one in shots])
    holes: dict[tuple[int, str], list[int]] = defaultdict(list)
    for index, one in enumerate(shots):
        holes[int(labels[index]), one.hole or f"exposure {index}"].append(index)
    shift = shift - _area_offsets(shots, shift, list(holes.values()))
    stage = _stage(shots)
    known = np.array([(_or_nan(one.hole_x_um), _or_nan(one.hole_y_um)) for one in shots])
    means = [[array[rows].mean(axis=0) for rows in holes.values()] for array in (stage, shift, known)]
    clusters = np.array([cluster for cluster, _ in holes], dtype=np.int64)
    return _Places(np.array(means[0]), np.array(means[1]), clusters, np.array(means[2]))


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _stage(shots: Sequence[ShiftedExposure]) -> Array:
    return np.array([(one.stage_x_um, one.stage_y_um) for one in shots])


def _clusters(stage: Array) -> NDArray[np.int64]:
    """Number of the cluster of each exposure; a new one begins where the stage is nowhere near an earlier one."""
    centres: list[Array] = []
    labels = np.zeros(len(stage), dtype=np.int64)
    for index, place in enumerate(stage):
        distances = [float(np.hypot(*(place - centre))) for centre in centres]
        if distances and min(distances) < _SAME_STAGE_UM:
            labels[index] = int(np.argmin(distances))
        else:
            labels[index] = len(centres)
            centres.append(place)
    return labels


def _area_offsets(shots: Sequence[ShiftedExposure], shift: Array, holes: list[list[int]]) -> Array:
    """(n, 2): where each exposure's area lies from the middle of its hole, over all holes with every area."""
    areas = sorted({one.area for one in shots})
    whole = [rows for rows in holes if len({shots[row].area for row in rows}) == len(areas)]
    offsets = {area: np.zeros(2) for area in areas}
    for area in areas:
        at = [shift[row] - shift[rows].mean(axis=0) for rows in whole for row in rows if shots[row].area == area]
        if at:
            offsets[area] = np.mean(at, axis=0)
    return np.array([offsets[one.area] for one in shots])


def _about_means(values: Array, clusters: NDArray[np.int64]) -> Array:
    means = np.array([values[clusters == cluster].mean(axis=0) for cluster in range(int(clusters.max()) + 1)])
    return np.asarray(values - means[clusters])


def _from_holes(places: _Places) -> BeamShiftAnswer | None:
    """None: too few holes are known to say anything by them."""
    known = np.isfinite(places.hole).all(axis=1)
    kept = known & (np.bincount(places.cluster[known], minlength=int(places.cluster.max()) + 1) > 1)[places.cluster]
    if kept.sum() < 6:
        return None
    _, clusters = np.unique(places.cluster[kept], return_inverse=True)
    shift = _about_means(places.shift[kept], clusters)
    hole = _about_means(places.hole[kept], clusters)
    sizes = np.linalg.svd(shift, compute_uv=False)
    if sizes[-1] < _LEAST_WIDTH * sizes[0]:
        return BeamShiftAnswer(None, "the beam was shifted along one line only")
    solution = np.asarray(np.linalg.lstsq(shift, hole, rcond=None)[0], dtype=np.float64)
    residuals = hole - shift @ solution
    freedom = int(kept.sum()) - len(np.unique(clusters)) - 2
    residual_um = float(np.sqrt(np.mean(np.sum(residuals**2, axis=1))))
    longest_um = float(np.hypot(*hole.T).max())
    if freedom < 2 or residual_um > 0.1 * longest_um:
        reason = f"the holes do not lie where the shifts say ({residual_um:.2g} um off, of {longest_um:.2g} um)"
        return BeamShiftAnswer(None, reason)
    errors = _standard_errors(shift, residuals, freedom)
    return BeamShiftAnswer(
        BeamShiftCalibration(
            _pairs(solution.T), _pairs(errors.T), residual_um, int(clusters.max()) + 1, int(kept.sum())
        )
    )


def _standard_errors(design: Array, residuals: Array, freedom: int) -> Array:
    """(parameters, 2): of a least squares solution with two right sides."""
    inverse = np.linalg.inv(design.T @ design).astype(np.float64)
    return np.sqrt(np.outer(np.diag(inverse), np.sum(residuals**2, axis=0) / max(freedom, 1)))


def _pairs(matrix: Array) -> tuple[tuple[float, float], tuple[float, float]]:
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)


def _shift_lattice(places: _Places) -> Array | None:
    """(2, 2) with the lattice's two shortest vectors as columns, in units of the shift."""
    differences = []
    for cluster in range(int(places.cluster.max()) + 1):
        shift = places.shift[places.cluster == cluster]
        first, second = np.triu_indices(len(shift), 1)
        differences.append(shift[first] - shift[second])
    steps = np.concatenate(differences)
    lengths = np.hypot(*steps.T)
    steps, lengths = steps[lengths > 1e-6], lengths[lengths > 1e-6]
    if len(steps) < 4:
        return None
    shortest = float(np.sort(lengths)[min(2, len(lengths) - 1)])
    a = steps[int(np.argmin(np.abs(lengths - shortest)))]
    aside = np.abs(steps[:, 0] * a[1] - steps[:, 1] * a[0]) > 0.5 * lengths * shortest
    if not aside.any():
        return None
    b = steps[int(np.argmin(np.where(aside, lengths, np.inf)))]
    basis = np.stack([a, b], axis=1)
    for _ in range(5):  # integers and vectors in turn
        counts = np.rint(np.linalg.solve(basis, steps.T).T)
        if np.linalg.matrix_rank(counts) < 2:
            return None
        basis = np.linalg.lstsq(counts, steps, rcond=None)[0].T
    off = steps - counts @ basis.T
    if float(np.sqrt(np.mean(np.sum(off**2, axis=1)))) > _MOST_RESIDUAL_OF_SPACING * shortest:
        return None
    return np.asarray(basis)


@dataclass(frozen=True, slots=True)
class _Fit:
    """One matrix that puts the holes on a lattice."""

    matrix: Array
    errors: Array
    coherence: float
    spread: float
    """Minus the logarithm of the coherences of both axes: half the sum of the phases' variances."""
    residual_um: float


def _from_lattice(places: _Places, lattice: Array) -> BeamShiftAnswer:
    fits: list[_Fit] = []
    for inverse in _candidates(places, lattice):
        fit = _refined(places, lattice, inverse)
        if fit is not None and all(not _alike(fit.matrix, other.matrix) for other in fits):
            fits.append(fit)
    if not fits:
        return BeamShiftAnswer(None, "no length of the shift puts the clusters on one lattice of holes")
    fits.sort(key=lambda fit: fit.spread)
    best = fits[0]
    if best.coherence < _LEAST_COHERENCE:
        reason = f"the clusters do not lie on one lattice of holes (coherence {best.coherence:.2f})"
        return BeamShiftAnswer(None, reason)
    count = int(places.cluster.max()) + 1
    if len(fits) > 1:
        clearer = (2 * count - 6) / 2 * np.log(fits[1].spread / best.spread)
        if clearer < _CLEARLY:
            scales = [abs(np.linalg.det(fit.matrix)) ** 0.5 for fit in fits[:2]]
            reason = f"{scales[0]:.1f} and {scales[1]:.1f} um a unit, turned otherwise, fit nearly alike"
            return BeamShiftAnswer(None, f"{reason}: more clusters, or the holes' positions, are needed")
    return BeamShiftAnswer(
        BeamShiftCalibration(
            _pairs(best.matrix), _pairs(best.errors), best.residual_um, count, len(places.shift), best.coherence
        )
    )


def _alike(one: Array, other: Array) -> bool:
    return bool(np.abs(one - other).max() < 0.03 * np.abs(one).max())


def _candidates(places: _Places, lattice: Array) -> list[Array]:
    """Inverse matrices (units for a um) from pairs of peaks, one for each axis of the lattice."""
    reciprocal = np.linalg.inv(lattice)
    count = int(places.cluster.max()) + 1
    stage = np.array([places.stage[places.cluster == cluster].mean(axis=0) for cluster in range(count)])
    stage = stage - stage.mean(axis=0)
    step = 0.2 / max(float(np.ptp(stage, axis=0).max()), 1.0)
    axis = np.arange(-1.2 / _SPACING_UM[0], 1.2 / _SPACING_UM[0], step)
    waves_x, waves_y = (np.exp(2j * np.pi * np.outer(axis, stage[:, side])) for side in (0, 1))
    peaks = []
    for row in reciprocal:
        phases = np.exp(2j * np.pi * places.shift @ row)
        weights = np.array([phases[places.cluster == cluster].sum() for cluster in range(count)])
        strength = np.abs((waves_x * weights) @ waves_y.T)
        peaks.append(_local_peaks(strength, axis))
    found = []
    for first in peaks[0]:
        for second in peaks[1]:
            inverse = lattice @ np.stack([first, second])
            sizes = np.linalg.svd(inverse, compute_uv=False)
            if sizes[1] <= 0 or sizes[0] > _MOST_UNALIKE * sizes[1]:
                continue
            spacing = np.hypot(*(np.linalg.inv(inverse) @ lattice))
            if _SPACING_UM[0] <= spacing.min() and spacing.max() <= _SPACING_UM[1]:
                found.append(inverse)
    return found


def _local_peaks(strength: Array, axis: Array) -> list[Array]:
    inner = strength[1:-1, 1:-1]
    around = [strength[1 + i : strength.shape[0] - 1 + i, 1 + j : strength.shape[1] - 1 + j] for i, j in _NEIGHBOURS]
    rows, columns = np.nonzero(np.all([inner >= other for other in around], axis=0))
    strongest = np.argsort(-inner[rows, columns], kind="stable")[:_PEAKS]
    return [np.array([axis[rows[at] + 1], axis[columns[at] + 1]]) for at in strongest]


_NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def _refined(places: _Places, lattice: Array, inverse: Array) -> _Fit | None:
    """Least squares of the inverse with the nearest holes, in turn; None: it runs away."""
    reciprocal = np.linalg.inv(lattice)
    centred = places.stage - places.stage.mean(axis=0)
    design = np.concatenate([centred, np.ones((len(centred), 1))], axis=1)
    for _ in range(6):
        on_lattice = (reciprocal @ (inverse @ centred.T + places.shift.T)).T
        phase = np.angle(np.exp(2j * np.pi * on_lattice).mean(axis=0)) / (2 * np.pi)
        wanted = np.rint(on_lattice - phase) @ lattice.T - places.shift
        solution = np.linalg.lstsq(design, wanted, rcond=None)[0]
        inverse = solution[:2].T
        if abs(np.linalg.det(inverse)) < 1e-9:
            return None
    sizes = np.linalg.svd(inverse, compute_uv=False)
    if sizes[0] > _MOST_UNALIKE * sizes[1]:
        return None
    residuals = wanted - design @ solution
    matrix = np.linalg.inv(inverse).astype(np.float64)
    on_lattice = (reciprocal @ (inverse @ centred.T + places.shift.T)).T
    coherences = np.abs(np.exp(2j * np.pi * on_lattice).mean(axis=0))
    # Holes of a cluster share the stage's error: only clusters count as independent.
    clusters = int(places.cluster.max()) + 1
    inflation = np.sqrt(len(centred) / (clusters - 3))
    errors = inflation * _standard_errors(design, residuals, len(centred) - 3)[:2].T
    # d(matrix) = -matrix d(inverse) matrix; and the lattice of shifts is known as well as their scatter lets it be.
    from_lattice = np.abs(matrix).max() * _lattice_error(places, lattice)
    errors_um: Array = np.sqrt((matrix**2) @ (errors**2) @ (matrix**2) + from_lattice**2)
    residual_um = float(np.sqrt(np.mean(np.sum((residuals @ matrix.T) ** 2, axis=1))))
    spread = float(-np.log(np.clip(coherences, 1e-6, 1 - 1e-9)).sum())
    return _Fit(matrix, errors_um, float(coherences.min()), spread, residual_um)


def _lattice_error(places: _Places, lattice: Array) -> float:
    """Relative standard error of the lattice's vectors."""
    first = places.shift[np.unique(places.cluster, return_index=True)[1]][places.cluster]
    steps = np.rint(np.linalg.solve(lattice, (places.shift - first).T).T)
    about, counts = (_about_means(values, places.cluster) for values in (places.shift, steps))
    off = about - counts @ lattice.T
    freedom = max(len(about) - int(places.cluster.max()) - 5, 1)
    variance = float(np.sum(off**2)) / 2 / freedom
    return float((variance / max(float(np.sum(counts**2)) / 2, 1.0)) ** 0.5 / np.hypot(*lattice).min())
