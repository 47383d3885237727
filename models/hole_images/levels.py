"""Linear normal equations with a few common unknowns and one more for each image: solved image by image.

y = columns . x + a_image + error, x ~ N(mean, sd), a ~ N(0, a_sd). The unknowns of images only meet the common ones, so
that they are taken out one by one (Schur complement; Rue & Held 2005, section 2): a thousand images cost what one does
a thousand times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from frazil.models.hole_images.looks import Array

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class RowSums:
    """Weighted sums of rows: all that is needed of them."""

    own: Array
    """(images,) precision of each image's unknown."""
    own_value: Array
    mixed: Array
    """(images, q)"""
    common: Array
    """(q, q)"""
    common_value: Array
    ln_density: float
    """-0.5 sum(y^2 / variance + ln variance)"""


@dataclass(frozen=True, slots=True)
class Sums:
    """The posterior."""

    mean: Array
    """(q,) of the common unknowns; the last is that of exposures alone."""
    covariance: Array
    slope: Array
    """(images, q): a = offset + slope . x + N(0, variance)"""
    offset: Array
    variance: Array
    ln_evidence: float

    @property
    def common(self) -> float:
        """Mean of the last unknown."""
        return float(self.mean[-1])

    def zero_of(self, image: Index, place: Array) -> tuple[Array, Array]:
        """A + a_image + p . place of places in images, mean and variance (n,)."""
        row = np.c_[np.ones(len(image)), place, np.zeros(len(image))] + self.slope[image]
        mean = row @ self.mean + self.offset[image]
        return np.asarray(mean), np.asarray(((row @ self.covariance) * row).sum(axis=1) + self.variance[image])

    def scaled(self, ln_factor: float) -> Sums:
        """The same for values in another unit."""
        return replace(self, ln_evidence=self.ln_evidence + ln_factor)


def row_sums(image: Index, images: int, columns: Array, value: Array, variance: Array) -> RowSums:
    """Of rows (n,), columns (n, q)."""
    weight = 1.0 / variance
    weighted = columns * weight[:, None]
    mixed: Array = np.stack([_by_image(image, column, images) for column in weighted.T], axis=1)
    return RowSums(
        _by_image(image, weight, images), _by_image(image, weight * value, images), mixed, weighted.T @ columns,
        weighted.T @ value, -0.5 * float((value**2 * weight).sum() + np.log(variance).sum()),
    )  # fmt: skip


def _by_image(image: Index, values: Array, images: int) -> Array:
    return np.asarray(np.bincount(image, values, images), dtype=np.float64)


def solve(sums: RowSums, mean: Array, sd: Array, image_sd: float) -> Sums:
    """Posterior of all unknowns, and the evidence: ln density of all values, but for constants of their number."""
    own = sums.own + 1.0 / image_sd**2
    precision = np.diag(1.0 / sd**2)
    matrix = precision + sums.common - (sums.mixed / own[:, None]).T @ sums.mixed
    right = mean / sd**2 + sums.common_value - (sums.mixed / own[:, None]).T @ sums.own_value
    covariance = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    at = covariance @ right
    ln_evidence = (
        sums.ln_density
        + 0.5 * float(right @ at + (sums.own_value**2 / own).sum() - (mean**2 / sd**2).sum())
        - 0.5 * float(np.linalg.slogdet(matrix)[1] + np.log(own * image_sd**2).sum() + 2.0 * np.log(sd).sum())
    )
    return Sums(at, covariance, -sums.mixed / own[:, None], sums.own_value / own, 1.0 / own, ln_evidence)
