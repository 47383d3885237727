"""What a treatment did to an outcome in movies that nobody took as an experiment, with its confounders held fixed.

Regression of the outcome on the treatment within strata of the discrete confounders, continuous ones as further
columns. Movies between two moves of the stage share what the stage did, so that errors are those of whole stops left
out in turn (jackknife over clusters, CR3: Bell & McCaffrey 2002, Survey Methodology 28, 169; with one movie a stop
HC3, MacKinnon & White 1985, J. Econometrics 29, 305), with quantiles of Student's t for as many stops as carry weight
(Carter et al. 2017, Rev. Econ. Stat. 99, 698). Where the treatment did not vary, or only with a confounder, there is
no answer, and the plain difference is not given instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from frazil.models.causal.bands import Array

LEAST_MOVIES = 10
_LEAST_FREEDOM = 5
_LEAST_STOPS = 4.0
"""So many stops have to carry the treatment's variation: of fewer, their scatter is not known."""
_LEAST_OVERLAP = 0.02
"""Share of the treatment's variance that is left within the strata: below it the confounder decides the treatment."""
_CONSTANT = 1e-6
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Observed:
    """Movies with everything that an effect is told from; NaN is not known."""

    treatment: Array
    """(n,)"""
    outcome: Array
    """(n,)"""
    strata: Mapping[str, Array] = field(default_factory=dict)
    """(n,) codes of discrete confounders by name: compared are movies of the same code."""
    levels: Mapping[str, Array] = field(default_factory=dict)
    """(n,) continuous confounders by name, each taken off as a straight line."""
    stops: Array | None = None
    """(n,) which movies share a stop of the stage; None: each stands for itself."""

    @property
    def confounders(self) -> tuple[str, ...]:
        return (*self.strata, *self.levels)


@dataclass(frozen=True, slots=True)
class Effect:
    """Change of the outcome per unit of the treatment."""

    slope: float
    sd: float
    low: float
    """Of the 95 % interval, as is `high`."""
    high: float
    freedom: float
    """Degrees of freedom of the interval's quantile."""
    movies: int
    residual_freedom: int
    """Movies less everything that was fitted."""

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True, slots=True)
class Untold:
    """Why the session cannot tell: a sentence without a full stop."""

    reason: str


@dataclass(frozen=True, slots=True)
class Design:
    """Observed movies that can be compared, and what the confounders leave of treatment and outcome."""

    basis: Array
    """(n, r) orthonormal columns of intercept, strata and levels."""
    treatment: Array
    """(n,) as observed."""
    outcome: Array
    """(n,) as observed."""
    rows: NDArray[np.int64]
    """(n,) places of these movies among the observed ones."""
    cells: NDArray[np.int64]
    """(n,) number of the cell of all strata together."""
    stops: NDArray[np.int64]
    """(n,) number of each movie's stop."""
    blocks: tuple[tuple[NDArray[np.int64], Array], ...]
    """For every stop the places of its movies, and (1 - its part of the projection)^-1."""

    def left(self, values: Array) -> Array:
        """(..., n) what intercept, strata and levels leave of values."""
        return np.asarray(values - (values @ self.basis) @ self.basis.T)

    @property
    def residual_freedom(self) -> int:
        return int(self.treatment.size - self.basis.shape[1] - 1)


def adjusted_effect(observed: Observed, confidence: float = CONFIDENCE) -> Effect | Untold:
    """The effect within strata and at equal levels, or why there is none to tell."""
    design = comparable(observed)
    if isinstance(design, Untold):
        return design
    slope, sd, freedom = slopes(design, design.treatment[None, :])
    if not np.isfinite(sd[0]):
        return Untold("the treatment varied at one stop of the stage only")
    reach = float(stats.t.ppf(0.5 + confidence / 2, freedom[0]) * sd[0])
    return Effect(
        slope=float(slope[0]),
        sd=float(sd[0]),
        low=float(slope[0]) - reach,
        high=float(slope[0]) + reach,
        freedom=float(freedom[0]),
        movies=design.treatment.size,
        residual_freedom=design.residual_freedom,
    )


def comparable(observed: Observed) -> Design | Untold:
    """The movies that have others of their stratum to be compared with; `Untold` where treatment or movies do not
    suffice (positivity)."""
    design = _design(observed)
    if design is None:
        return Untold(f"fewer than {LEAST_MOVIES} movies can be compared")
    treatment = design.treatment
    spread = float(np.sum((treatment - treatment.mean()) ** 2))
    if spread <= (_CONSTANT * max(float(np.abs(treatment).max()), 1.0)) ** 2 * treatment.size:
        return Untold("it was never varied")
    if design.residual_freedom < _LEAST_FREEDOM:
        return Untold("too few movies for what would have to be held fixed")
    left = design.left(treatment)
    if float(left @ left) < _LEAST_OVERLAP * spread:
        return Untold("it varied only together with what would have to be held fixed")
    if _carrying(design, left[None, :])[0] < _LEAST_STOPS:
        return Untold(f"it varied at fewer than {_LEAST_STOPS:.0f} stops of the stage")
    return design


def slopes(design: Design, treatments: Array) -> tuple[Array, Array, Array]:
    """(R,) slope of the outcome on each of the treatments (R, n), its sd, and the degrees of freedom of its t; infinite
    sd where leaving out one stop leaves no treatment."""
    left, rest = design.left(treatments), design.left(design.outcome)
    weight = np.maximum((left**2).sum(axis=1), 1e-300)
    slope = (left @ rest) / weight
    residual = rest[None, :] - slope[:, None] * left
    variance = np.zeros(len(treatments))
    for places, inverse in design.blocks:
        turned = left[:, places] @ inverse
        without = weight - (turned * left[:, places]).sum(axis=1)
        moved = (turned * residual[:, places]).sum(axis=1)
        gone = without <= 1e-9 * weight
        variance += np.where(gone, np.inf, (moved / np.where(gone, 1.0, without)) ** 2)
    stops = len(design.blocks)
    freedom = np.minimum(np.maximum(_carrying(design, left) - 1.0, 1.0), design.residual_freedom)
    return slope, np.sqrt(variance * (stops - 1) / stops), np.asarray(freedom)


def _carrying(design: Design, left: Array) -> Array:
    """(R,) how many stops carry the treatments' variation, were it spread evenly over them."""
    share = np.stack([(left[:, places] ** 2).sum(axis=1) for places, _ in design.blocks], axis=1)
    return np.asarray(share.sum(axis=1) ** 2 / np.maximum((share**2).sum(axis=1), 1e-300))


def _design(observed: Observed) -> Design | None:
    """None: fewer than `LEAST_MOVIES` movies have company in their strata."""
    columns = [observed.treatment, observed.outcome, *observed.strata.values(), *observed.levels.values()]
    rows = np.flatnonzero(np.all(np.isfinite(np.array(columns)), axis=0))
    cells = _cells(observed, rows)
    while rows.size:  # a movie that is alone in its cell is compared with none
        counts = np.bincount(cells)
        alone = counts[cells] == 1
        if not alone.any():
            break
        rows = rows[~alone]
        cells = _cells(observed, rows)
    if rows.size < LEAST_MOVIES:
        return None
    columns = [(cells[:, None] == np.arange(cells.max() + 1)).astype(np.float64)]
    for values in observed.levels.values():
        here = values[rows]
        spread = here.std()
        if spread > _CONSTANT * max(float(np.abs(here).max()), 1.0):
            columns.append(((here - here.mean()) / spread)[:, None])
    basis, values, _ = np.linalg.svd(np.concatenate(columns, axis=1), full_matrices=False)
    basis = basis[:, values > 1e-9 * values[0]]
    stops = np.arange(rows.size) if observed.stops is None else np.unique(observed.stops[rows], return_inverse=True)[1]
    return Design(
        basis=np.asarray(basis),
        treatment=observed.treatment[rows],
        outcome=observed.outcome[rows],
        rows=rows,
        cells=cells,
        stops=stops,
        blocks=tuple(_block(basis, np.flatnonzero(stops == stop)) for stop in range(stops.max() + 1)),
    )


def _cells(observed: Observed, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) one number for each combination of codes."""
    if not observed.strata or not rows.size:
        return np.zeros(rows.size, dtype=np.int64)
    codes = np.stack([values[rows] for values in observed.strata.values()], axis=1)
    return np.asarray(np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1), dtype=np.int64)


def _block(basis: Array, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], Array]:
    """A direction that this stop alone can tell has no residual here: the pseudo-inverse leaves it out."""
    mine = basis[places]
    return places, np.asarray(np.linalg.pinv(np.eye(places.size) - mine @ mine.T, rcond=1e-9, hermitian=True))
