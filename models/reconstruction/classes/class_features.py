"""What there is to be seen of a 2-D class: a few numbers of its average and of how its members agree with it.

A particle's average is bright in the middle of a dark or empty rim, both halves of its members show the same, and each
member shows the average as strongly as it is. Ice alone gives a faint average that its members were turned towards, the
edge of a film or a crystal a bright side, a heap too wide a middle.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

_CORE, _RIM, _OUTER = 0.4, 0.5, 0.62
"""Of the diameter: where a particle is for certain, where it ends, where the search's mask ends."""
_LEAST_WEIGHT = 8.0
"""Members (older ones count less) below which a class is not judged."""
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class ClassFeatures:
    """Numbers without a unit, of one class among those of its session."""

    contrast: float
    """(mean of the core - mean of the rim) / rms of the average: positive is bright in the middle."""
    rim: float
    """ln (rms of the rim / rms of the core), about the mean of the outermost pixels."""
    off_centre: float
    """Distance of the centre of what is bright from the box's, diameters."""
    one_sided: float
    """First harmonic of the average around its middle, as a share of its mean magnitude."""
    size: float
    """Radius of gyration of what is bright, half-diameters."""
    coarse: float
    """Share of the average's power below one wave per diameter."""
    halves_agree: float
    """Mean correlation of the two halves' averages, ring by ring, weighted by samples; 0 where there are too few."""
    finest: float
    """Share of the rings, from one wave per diameter on, up to the first where halves agree to less than 0.5."""
    strength: float
    """ln of the mean power of the average as a member would show it, in units of noise."""
    relative_strength: float
    """The same against the median over the session's particles."""
    members_agree: float
    """ln of the mean gain in ln likelihood over an empty box, in units of that power: 0 where each member shows the
    average, more where members were turned towards it, less where they show less of it."""
    population: float
    """ln of its members against the mean class."""


NAMES = tuple(field.name for field in fields(ClassFeatures))


def as_row(features: ClassFeatures) -> NDArray[np.float64]:
    """(F,) in the order of NAMES."""
    return np.array(astuple(features), dtype=np.float64)


def class_features(
    images: NDArray[np.float32],
    half_correlations: NDArray[np.float64],
    weight: NDArray[np.float64],
    fit: NDArray[np.float64],
    *,
    diameter_px: float,
) -> list[ClassFeatures | None]:
    """Of all classes of a session; None: too few members.

    Parameters
    ----------
    images:
        (K, n, n) averages, bright particles, centre at pixel n // 2.
    half_correlations:
        (K, R) by ring from one Fourier pixel on; NaN: a half has too few members.
    weight, fit:
        (K,) members, and (K, 2) sums over them of the gain in ln likelihood and of the power of the average.
    """
    strength = np.log(np.maximum(fit[:, 1], _TINY) / np.maximum(weight, _TINY))
    judged = weight >= _LEAST_WEIGHT
    usual = _weighted_median(strength[judged], weight[judged]) if judged.any() else 0.0
    mean_weight = weight[weight > 0].mean() if (weight > 0).any() else 1.0
    first_ring = images.shape[-1] / diameter_px
    found: list[ClassFeatures | None] = []
    for slot in range(len(images)):
        if not judged[slot]:
            found.append(None)
            continue
        agree, finest = _agreement(half_correlations[slot], first_ring)
        contrast, rim, off_centre, one_sided, size, coarse = _of_average(images[slot].astype(np.float64), diameter_px)
        found.append(
            ClassFeatures(
                contrast=contrast,
                rim=rim,
                off_centre=off_centre,
                one_sided=one_sided,
                size=size,
                coarse=coarse,
                halves_agree=agree,
                finest=finest,
                strength=float(strength[slot]),
                relative_strength=float(strength[slot] - usual),
                members_agree=float(np.log(max(fit[slot, 0] / max(fit[slot, 1], _TINY), 0.05))),
                population=float(np.log(weight[slot] / mean_weight)),
            )
        )
    return found


def _of_average(image: NDArray[np.float64], diameter_px: float) -> tuple[float, ...]:
    """contrast, rim, off_centre, one_sided, size, coarse."""
    n = image.shape[-1]
    y, x = (np.mgrid[:n, :n] - n // 2) / diameter_px
    r = np.hypot(x, y)
    core, rim, within = r < _CORE, (r >= _RIM) & (r < _OUTER), r < _OUTER
    level = float(image[rim].mean())
    rms = float(np.sqrt(np.mean((image[within] - image[within].mean()) ** 2))) + _TINY
    contrast = (float(image[core].mean()) - level) / rms
    rim_rms, core_rms = (float(np.sqrt(np.mean((image[part] - level) ** 2))) + _TINY for part in (rim, core))
    bright = np.where(within, np.maximum(image - level, 0.0), 0.0)
    total = float(bright.sum()) + _TINY
    off_centre = float(np.hypot((bright * x).sum(), (bright * y).sum())) / total
    size = float(np.sqrt((bright * r**2).sum() / total)) / 0.5
    magnitude = float(np.abs(image[within] - level).sum()) + _TINY
    around = ((image - level) * (x + 1j * y) / np.maximum(r, 0.5 / diameter_px))[within].sum()
    spectrum = np.abs(np.fft.fft2(np.where(within, image - level, 0.0))) ** 2
    waves = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None]) * diameter_px
    coarse = float(spectrum[waves < 1.0].sum() / (spectrum.sum() + _TINY))
    return contrast, float(np.log(rim_rms / core_rms)), off_centre, float(abs(around)) / magnitude, size, coarse


def _agreement(curve: NDArray[np.float64], first_ring: float) -> tuple[float, float]:
    ring = np.arange(1, len(curve) + 1)
    compared = ring >= first_ring
    if not np.isfinite(curve).all() or not compared.any():
        return 0.0, 0.0
    values, size = curve[compared], ring[compared]
    below = np.nonzero(values < 0.5)[0]
    return float((values * size).sum() / size.sum()), float((below[0] if below.size else len(values)) / len(values))


def _weighted_median(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order]) >= 0.5 * weight.sum()
    return float(values[order][int(np.argmax(reached))])
