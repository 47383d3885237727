"""How thick ice is by how bright holes are, calibrated on the exposures that the session has taken.

Ice of t nm takes its share of the electrons, I = I0 exp(-t / L), in an image of a square as in an exposure (Rice et al.
2018, J. Struct. Biol. 204, 38; Rheinberger et al. 2021, Acta Cryst. D77, 565). In an exposure L is known. In the image
it depends on aperture, slit and magnification, and I0 on the beam: both are learnt. For hole j of image g, at (u, v)

    t_j = L (A + a_g + p . (u, v, u^2 + v^2) - ln I_j) + scatter,      t measured = t + z + its own error,

with A = ln I0, a_g what the beam differs from image to image, p how uneven it is over an image, z the common error of
all exposures' thicknesses (their zero). Vacuum that is seen in an image tells A + a_g + p . (...) directly. Under one L
and one scatter everything is linear and normal; these two are a grid of values, weighed by prior times likelihood
(Gelman et al. 2013, ch. 5). ln I_j has an error of its own: it is drawn towards the other holes of its image by what
that error is of their spread (regression calibration; Carroll et al. 2006, ch. 4). Exposures count by the odds that
they follow the law at all, and not another one six times as wide (Hogg, Bovy & Lang 2010, arXiv:1008.4686, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp
from scipy.stats import spearmanr

from frazil.models.hole_images.levels import Sums, row_sums, solve
from frazil.models.hole_images.looks import Array

Index = npt.NDArray[np.intp]

LENGTH_NM, LENGTH_LN_SD = 300.0, 0.35
"""Of L before anything is known: 395 nm where a slit takes all that lost energy at 300 kV, some 200 to 330 nm where an
aperture takes what is scattered (Rice et al. 2018)."""
LENGTHS_NM = np.exp(np.linspace(np.log(110.0), np.log(820.0), 29))
_FINE, _FINE_SD = 25, 3.5
"""Values of the second grid, and to how many standard deviations to either side."""
SCATTERS_NM = np.array([1.5, 3.0, 5.0, 8.0, 13.0, 20.0])
"""Of a hole's ice about the law: blobs, ice that is thicker where the exposure was."""
TYPICAL_NM, TYPICAL_SD_NM = 45.0, 35.0
"""Of the middle one of the session's holes, where neither exposures nor vacuum tell."""
_TOLD_SD_NM = 100.0
"""The same where they do: exposures have a law of the ice in their zero already, and vacuum is no opinion."""
BEAM_LN_SD = 0.02
"""Of ln intensity from image to image."""
UNEVEN_LN_SD = 0.03
"""Of each term of p: what a beam loses from the middle of the holes to their rim."""
_STRAY, _STRAY_WIDTH = 0.15, 6.0
"""Share of exposures that do not follow the law, and how much further than the others they lie."""
_LEAST_FOR_FIRST = 5
_LEAST_TO_REFUSE, _MOST_EXPECTED = 8, 0.95
_UPPER = 1.645
"""Standard errors that the correlation may be too low by chance: one of twenty."""
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class Brightness:
    """(holes,) of all images of one kind: one magnification, one exposure."""

    image: Index
    """Number of the image, from 0."""
    ln_intensity: Array
    ln_intensity_sd: Array
    u: Array
    v: Array
    """Place in the image, -1 to 1 over its holes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Vacuum in an image."""

    image: int
    ln_intensity: float
    ln_intensity_sd: float
    u: float
    v: float


@dataclass(frozen=True, slots=True)
class Exposed:
    """(n,) ice of exposures by their counts."""

    hole: Index
    """Index into `Brightness`."""
    ice_nm: Array
    ice_sd_nm: Array
    """Of each by itself."""
    zero_sd_nm: float
    """Of all of them together."""


@dataclass(frozen=True, slots=True)
class IceByBrightness:
    """What was learnt."""

    ice_nm: Array
    ice_sd_nm: Array
    """(holes,) NaN where nothing is said."""
    exposures: int
    references: int
    length_nm: float
    length_sd_nm: float
    """Of L."""
    correlation: float
    """Of exposures' ice and their holes' ln intensity, negative where brightness tells; NaN: too few."""
    refused: str = ""
    """Why nothing is said of any hole; empty: it is said."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Everything that is linear in A, p, z and the a_g, one row an exposure or reference."""

    image: Index
    place: Array
    """(n, 3) u, v, u^2 + v^2"""
    ln_intensity: Array
    """Drawn towards its image's other holes."""
    ln_variance: Array
    ice_nm: Array
    """0 for a reference."""
    own_sd_nm: Array
    exposed: npt.NDArray[np.bool_]
    weight: Array
    """Of exposures: less than 1 where they agree with no line."""


def ice_by_brightness(holes: Brightness, exposed: Exposed, references: Sequence[Reference]) -> IceByBrightness:
    """Thickness of every hole with its error; with no exposures by vacuum and physics alone, as well as that is known.

    A hole whose brightness is not known (NaN) gets no thickness.
    """
    images = int(holes.image.max(initial=-1)) + 1
    known = np.isfinite(holes.ln_intensity)
    usable = known[exposed.hole] & np.isfinite(exposed.ice_nm) if len(exposed.hole) else np.zeros(0, dtype=bool)
    nothing = np.full(len(holes.ln_intensity), np.nan)
    if not known.any():
        return IceByBrightness(nothing, nothing, 0, 0, np.nan, np.nan, np.nan, "no hole's brightness is known")
    level = float(np.median(holes.ln_intensity[known]))
    drawn, variance = _drawn_together(holes, known, images)
    rows = _rows(holes, exposed, usable, references, drawn - level, variance, level)
    rows, grid = _robust(rows, images, exposed.zero_sd_nm)
    correlation = _correlation(rows)
    length, length_sd = grid.length_nm()
    count = int(usable.sum())
    refused = _refusal(rows, correlation)
    if refused:
        return IceByBrightness(nothing, nothing, count, len(references), length, length_sd, correlation, refused)
    place = _place(holes.u, holes.v)
    mean, sd = grid.foretell(holes.image, place, drawn - level, variance)
    mean, sd = np.where(known, np.maximum(mean, 0.0), np.nan), np.where(known, sd, np.nan)
    return IceByBrightness(mean, sd, count, len(references), length, length_sd, correlation)


def _place(u: Array, v: Array) -> Array:
    return np.stack([u, v, u**2 + v**2], axis=-1)


def _drawn_together(holes: Brightness, known: npt.NDArray[np.bool_], images: int) -> tuple[Array, Array]:
    """ln intensity of each hole given those of its image, and its variance."""
    drawn, variance = holes.ln_intensity.copy(), holes.ln_intensity_sd**2
    for image in range(images):
        mine = known & (holes.image == image)
        if mine.sum() < 4:
            continue
        values, errors = holes.ln_intensity[mine], variance[mine]
        middle = float(np.median(values))
        spread = (1.4826 * float(np.median(np.abs(values - middle)))) ** 2 - float(np.median(errors))
        spread = max(spread, 0.25 * float(np.median(errors)))
        share = spread / (spread + errors)
        # A hole far from all others is what it looks like, an empty one above all.
        share = np.where(np.abs(values - middle) > 4.0 * np.sqrt(spread + errors), 1.0, share)
        drawn[mine], variance[mine] = middle + share * (values - middle), share * errors
    return drawn, variance


def _rows(
    holes: Brightness,
    exposed: Exposed,
    usable: npt.NDArray[np.bool_],
    references: Sequence[Reference],
    drawn: Array,
    variance: Array,
    level: float,
) -> _Rows:
    at = exposed.hole[usable]
    seen = np.array([(one.u, one.v, one.ln_intensity - level, one.ln_intensity_sd**2) for one in references])
    seen = seen.reshape(-1, 4)
    none = np.zeros(len(seen))
    return _Rows(
        np.r_[holes.image[at], np.array([one.image for one in references], dtype=np.intp)],
        np.r_[_place(holes.u[at], holes.v[at]), _place(seen[:, 0], seen[:, 1])],
        np.r_[drawn[at], seen[:, 2]],
        np.r_[variance[at], seen[:, 3]],
        np.r_[exposed.ice_nm[usable], none],
        np.r_[exposed.ice_sd_nm[usable], none],
        np.r_[np.ones(len(at), dtype=bool), np.zeros(len(seen), dtype=bool)],
        np.ones(len(at) + len(seen)),
    )


@dataclass(frozen=True, slots=True)
class _Grid:
    """Posteriors under every L and scatter that is worth keeping, with weights that sum to 1."""

    lengths_nm: Array
    weight: Array
    """(lengths, scatters)"""
    solved: dict[tuple[int, int], Sums]

    def length_nm(self) -> tuple[float, float]:
        """Mean and sd."""
        weight = self.weight.sum(axis=1)
        mean = float(weight @ self.lengths_nm)
        return mean, float(np.sqrt(weight @ (self.lengths_nm - mean) ** 2))

    @property
    def best(self) -> tuple[int, int]:
        length, scatter = np.unravel_index(int(self.weight.argmax()), self.weight.shape)
        return int(length), int(scatter)

    def left_nm(self, rows: _Rows) -> Array:
        """What the best of them does not explain."""
        length_nm, sums = float(self.lengths_nm[self.best[0]]), self.solved[self.best]
        zero, _ = sums.zero_of(rows.image, rows.place)
        return np.asarray(rows.ice_nm - length_nm * (zero - rows.ln_intensity) - sums.common * rows.exposed)

    def foretell(self, image: Index, place: Array, ln_intensity: Array, variance: Array) -> tuple[Array, Array]:
        """Mean and sd over the mixture, (n,)."""
        total, squares, whole = np.zeros(len(image)), np.zeros(len(image)), 0.0
        for (at, scatter), sums in self.solved.items():
            weight, length_nm = float(self.weight[at, scatter]), float(self.lengths_nm[at])
            zero, zero_variance = sums.zero_of(image, place)
            mean = length_nm * (zero - ln_intensity)
            spread = length_nm**2 * (zero_variance + variance) + SCATTERS_NM[scatter] ** 2
            total, squares = total + weight * mean, squares + weight * (spread + mean**2)
            whole += weight
        mean = total / whole
        return mean, np.sqrt(np.maximum(squares / whole - mean**2, 1e-6))


def _robust(rows: _Rows, images: int, zero_sd_nm: float) -> tuple[_Rows, _Grid]:
    if rows.exposed.sum() >= _LEAST_FOR_FIRST:
        # A first look that some exposures under crystals cannot turn: about the middle one, by what physics expects.
        left = rows.ice_nm + LENGTH_NM * rows.ln_intensity
        left = left - np.median(left[rows.exposed])
        spread = max(1.4826 * float(np.median(np.abs(left[rows.exposed]))), float(SCATTERS_NM[2]))
        rows = _reweighted(rows, left / spread)
    grid = _grid(rows, images, zero_sd_nm)
    for _ in range(2):
        if not rows.exposed.any():
            break
        at, scatter = grid.best
        variance = rows.own_sd_nm**2 + SCATTERS_NM[scatter] ** 2 + grid.lengths_nm[at] ** 2 * rows.ln_variance
        rows = _reweighted(rows, grid.left_nm(rows) / np.sqrt(variance))
        grid = _grid(rows, images, zero_sd_nm)
    return rows, _grid(rows, images, zero_sd_nm, _around(grid))


def _reweighted(rows: _Rows, left: Array) -> _Rows:
    """By residuals in their own standard deviations."""
    odds = (
        _STRAY
        / (1.0 - _STRAY)
        / _STRAY_WIDTH
        * np.exp(0.5 * np.minimum(left**2, 200.0) * (1.0 - 1.0 / _STRAY_WIDTH**2))
    )
    weight = 1.0 / (1.0 + odds)
    return replace(rows, weight=np.where(rows.exposed, weight, 1.0))


def _around(grid: _Grid) -> Array:
    """L more finely where it is believed to be: many exposures know it better than the first grid's step."""
    middle_nm, sd_nm = grid.length_nm()
    reach_ln = max(_FINE_SD * sd_nm / middle_nm, 1.5 * float(np.log(LENGTHS_NM[1] / LENGTHS_NM[0])))
    return np.asarray(middle_nm * np.exp(np.linspace(-reach_ln, reach_ln, _FINE)))


def _grid(rows: _Rows, images: int, zero_sd_nm: float, lengths_nm: Array = LENGTHS_NM) -> _Grid:
    shape = len(lengths_nm), len(SCATTERS_NM)
    ln_weight, solved = np.zeros(shape), {}
    for at, length_nm in enumerate(lengths_nm.tolist()):
        for scatter, scatter_nm in enumerate(SCATTERS_NM.tolist()):
            sums = _sums(rows, images, zero_sd_nm, length_nm, scatter_nm)
            ln_prior = -0.5 * (np.log(length_nm / LENGTH_NM) / LENGTH_LN_SD) ** 2
            ln_weight[at, scatter] = sums.ln_evidence + ln_prior
            solved[at, scatter] = sums
    weight = np.exp(ln_weight - logsumexp(ln_weight))
    kept = {key: sums for key, sums in solved.items() if weight[key] >= _LEAST_WEIGHT * weight.max()}
    return _Grid(lengths_nm, weight, kept)


def _sums(rows: _Rows, images: int, zero_sd_nm: float, length_nm: float, scatter_nm: float) -> Sums:
    """In units of ln intensity: y / L = A + a_g + p . w + z / L."""
    variance = (rows.own_sd_nm / length_nm) ** 2 + rows.ln_variance
    variance = variance + np.where(rows.exposed, (scatter_nm / length_nm) ** 2, 0.0)
    value = rows.ice_nm / length_nm + rows.ln_intensity
    columns = np.c_[np.ones(len(value)), rows.place, rows.exposed / length_nm]
    mean = np.array([TYPICAL_NM / length_nm, 0.0, 0.0, 0.0, 0.0])
    typical_sd_nm = _TOLD_SD_NM if len(rows.image) else TYPICAL_SD_NM
    sd = np.array([typical_sd_nm / length_nm, *(UNEVEN_LN_SD,) * 3, max(zero_sd_nm, 1e-3)])
    sums = solve(row_sums(rows.image, images, columns, value, variance / rows.weight), mean, sd, BEAM_LN_SD)
    # A density of ln intensity becomes one of thickness: so that different L can be compared on the same exposures.
    return sums.scaled(-float(rows.exposed.sum()) * np.log(length_nm))


def _correlation(rows: _Rows) -> float:
    ice, ln_intensity = rows.ice_nm[rows.exposed], rows.ln_intensity[rows.exposed]
    if len(ice) < 3 or np.ptp(ice) == 0.0 or np.ptp(ln_intensity) == 0.0:
        return float("nan")
    return float(np.corrcoef(ice, ln_intensity)[0, 1])


def _refusal(rows: _Rows, correlation: float) -> str:
    """Whether exposures' ice goes with brightness far less than it would by physics: ranks, which holes under crystals
    cannot turn; Fisher's z of them, against a third of what is expected."""
    ice, ln_intensity = rows.ice_nm[rows.exposed], rows.ln_intensity[rows.exposed]
    count = len(ice)
    if count < _LEAST_TO_REFUSE or not np.isfinite(correlation):
        return ""
    spread_ln = 1.4826 * float(np.median(np.abs(ln_intensity - np.median(ln_intensity))))
    spread_nm = LENGTH_NM * np.sqrt(max(spread_ln**2 - UNEVEN_LN_SD**2, 0.0))
    noise_nm = float(np.hypot(np.median(rows.own_sd_nm[rows.exposed]), SCATTERS_NM[2]))
    expected = min(spread_nm / np.hypot(spread_nm, noise_nm), _MOST_EXPECTED)
    ranks = np.clip(float(spearmanr(-ln_intensity, ice).statistic), -0.999, 0.999)
    if np.arctanh(ranks) + _UPPER / np.sqrt(count - 3.0) >= np.arctanh(expected) / 3.0:
        return ""
    return (
        f"the ice of {count} exposures does not follow how bright their holes are (correlation {correlation:.2f}): "
        "nothing is said of the others"
    )
