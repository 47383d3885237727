"""Where the holes really are in an image: which way its rows run, how far all of them are off, and each of them.

No look of holes is assumed: gold films are black and carbon ones nearly as bright as a hole, whose edge may be all that
is seen. The image's own holes, averaged at their stated places and again where they were found, are the picture that
each is compared with; its middle is where it is most nearly round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from frazil.models.hole_images.cutouts import Index, Reduced, cutouts, levelled, radii_px
from frazil.models.hole_images.looks import Array, Image

_SEARCH_DIAMETERS = 0.42
"""So far from its stated place a hole is sought: a third of a diameter, and what the image as a whole is off."""
_LEARNT_FROM = 150
"""Holes that the usual picture is averaged from."""
_ROUNDS = 2
_SMOOTH_PX = 1.0
"""Of the averaged image: edges are told by many pixels, each of few electrons."""
_LIKE = 0.25
"""Least correlation with the usual picture of a hole that is moved."""
_FAR_COSTS = 0.1
"""Of correlation, at the end of the search: of two places that look alike the nearer one is the hole."""
_MORE_ALIKE = 0.05
"""By so much holes are more like their usual picture than other places are like theirs."""
_SURELY = 0.1
"""By so much one way of the rows has to be better than the other to be beyond doubt."""
_ELSEWHERE_SEED = 20220811


@dataclass(frozen=True, slots=True)
class Found:
    """Places of the holes in the reduced image."""

    image: Image
    """The rows run as the places do."""
    upside_down: bool
    x_px: Array
    y_px: Array
    """(holes,)"""
    off_px: Array
    """(holes,) from the stated place, moved as all are."""
    shift_x_px: float
    shift_y_px: float
    seen: bool
    """Holes are seen at these places at all."""
    rows_surely: bool
    """It is beyond doubt which way the rows run."""


def found_holes(small: Reduced, upside_down: bool | None = None) -> Found:
    """See the module. Where no holes are seen places stay as they were stated, and rows as they are.

    `upside_down`: how other images of the same program lie, for one that looks alike either way: a lattice that is
    its own mirror image.
    """
    smooth = np.asarray(ndimage.gaussian_filter(small.image, _SMOOTH_PX), dtype=np.float32)
    upwards = np.ascontiguousarray(smooth[::-1])
    ways = [_usual(image, small, small.x_px, small.y_px) for image in (smooth, upwards)]
    surely = abs(ways[1].score - ways[0].score) >= _SURELY
    turned = int(ways[1].score > ways[0].score) if surely or upside_down is None else int(upside_down)
    image, best = (upwards if turned else smooth), ways[turned]
    if best.likeness < _elsewhere(image, small) + _MORE_ALIKE:
        still = np.zeros(len(small.x_px))
        return Found(small.image, False, small.x_px, small.y_px, still, 0.0, 0.0, seen=False, rows_surely=False)
    x, y = small.x_px + best.moved_x_px, small.y_px + best.moved_y_px
    off_x, off_y = np.zeros(len(x)), np.zeros(len(x))
    inside = np.flatnonzero(small.inside(x, y))
    if inside.size:
        off_x[inside], off_y[inside], _ = _offsets(image, small, best.picture, x[inside], y[inside])
    shift_x, shift_y = (float(np.median(off[inside])) if inside.size else 0.0 for off in (off_x, off_y))
    whole = np.ascontiguousarray(small.image[::-1]) if turned else small.image
    return Found(
        whole, bool(turned), x + off_x, y + off_y, np.hypot(off_x - shift_x, off_y - shift_y),
        best.moved_x_px + shift_x, best.moved_y_px + shift_y, seen=True, rows_surely=surely,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Usual:
    """The usual hole of an image, its middle in the middle."""

    picture: Image
    moved_x_px: float
    moved_y_px: float
    """From the stated places."""
    likeness: float
    """Mean correlation of holes with it."""
    score: float
    """The same less what it costs to have moved far."""


def _usual(image: Image, small: Reduced, x_px: Array, y_px: Array) -> _Usual:
    """Averaged at the stated places, then where holes were found; each time moved to where it is most nearly round."""
    some = _some(small, x_px, y_px)
    if len(some) == 0:
        return _Usual(np.zeros((1, 1), dtype=np.float32), 0.0, 0.0, -1.0, -1.0)
    picture = levelled(cutouts(image, x_px[some], y_px[some], small.half_px)).mean(axis=0)
    moved_x, moved_y, likeness = 0.0, 0.0, -1.0
    for _ in range(_ROUNDS):
        picture, middle_x, middle_y = _centred(picture, small)
        moved_x, moved_y = moved_x + middle_x, moved_y + middle_y
        some = _some(small, x_px + moved_x, y_px + moved_y)
        if len(some) == 0:
            break
        x, y = x_px[some] + moved_x, y_px[some] + moved_y
        off_x, off_y, like = _offsets(image, small, picture, x, y)
        likeness = float(np.mean(like))
        good = small.inside(x + off_x, y + off_y) & (like >= np.median(like))
        if good.any():
            picture = levelled(cutouts(image, (x + off_x)[good], (y + off_y)[good], small.half_px)).mean(axis=0)
    picture, middle_x, middle_y = _centred(picture, small)
    moved_x, moved_y = moved_x + middle_x, moved_y + middle_y
    score = likeness - _FAR_COSTS * float(np.hypot(moved_x, moved_y)) / small.diameter_px
    return _Usual(picture, moved_x, moved_y, likeness, score)


def _elsewhere(image: Image, small: Reduced) -> float:
    """Likeness of cutouts about places where nobody said that there are holes."""
    rng = np.random.default_rng(_ELSEWHERE_SEED)
    reach = 1.5 * small.diameter_px
    x, y = (at + rng.uniform(-reach, reach, len(at)) for at in (small.x_px, small.y_px))
    return _usual(image, small, x, y).likeness


def _some(small: Reduced, x_px: Array, y_px: Array) -> Index:
    inside = np.flatnonzero(small.inside(x_px, y_px))
    return inside[:: max(1, len(inside) // _LEARNT_FROM)][:_LEARNT_FROM]


def _smooth(picture: Image) -> Image:
    return np.asarray(ndimage.gaussian_filter(picture, 1.0))


def _centred(picture: Image, small: Reduced) -> tuple[Image, float, float]:
    x, y = _roundest(picture, small)
    return np.asarray(ndimage.shift(picture, (-y, -x), order=1, mode="nearest")), x, y


def _roundest(picture: Image, small: Reduced) -> tuple[float, float]:
    """Place about which rings of the picture differ most from each other and least in themselves."""
    smooth = _smooth(picture).astype(np.float64)
    reach = _SEARCH_DIAMETERS * small.diameter_px
    best, at = -1.0, (0.0, 0.0)
    for step in (reach / 3.0, reach / 9.0, reach / 27.0):
        around = at
        for y in around[1] + step * np.arange(-3, 4):
            for x in around[0] + step * np.arange(-3, 4):
                if np.hypot(x, y) > reach:
                    continue
                score = _roundness(smooth, small, float(x), float(y))
                if score > best:
                    best, at = score, (float(x), float(y))
    return at


def _roundness(smooth: Array, small: Reduced, x_px: float, y_px: float) -> float:
    """Share of the variance that is between rings, within 0.8 diameters."""
    radius = radii_px(small.half_px, x_px, y_px)
    within = radius <= 0.8 * small.diameter_px
    ring, values = radius[within].astype(np.intp), smooth[within]
    count = np.bincount(ring)
    mean = np.bincount(ring, values) / np.maximum(count, 1)
    return float((count * (mean - values.mean()) ** 2).sum() / max(((values - values.mean()) ** 2).sum(), 1e-12))


def _offsets(image: Image, small: Reduced, picture: Image, x_px: Array, y_px: Array) -> tuple[Array, Array, Array]:
    """How far each hole is from its place, by correlation with the usual picture (0 where it looks like nothing), and
    that correlation."""
    half = small.half_px
    parts = levelled(cutouts(image, x_px, y_px, half))
    window = (radii_px(half) <= 0.85 * small.diameter_px).astype(np.float32)
    model = (picture - float(picture[window > 0].mean())) * window
    model = np.where(model, model, np.float32(0.0))
    reach = max(1, round(_SEARCH_DIAMETERS * small.diameter_px))
    size = fft.next_fast_len(2 * half + 1 + reach, real=True)
    spectrum = np.conj(fft.rfft2(model.astype(np.float32), (size, size)))
    weight = np.conj(fft.rfft2(window, (size, size)))
    near = np.arange(-reach, reach + 1)
    distance = np.hypot(near[None, :], near[:, None]) / reach
    off_x, off_y, like = np.zeros(len(parts)), np.zeros(len(parts)), np.zeros(len(parts))
    power = float(np.sqrt((model**2).sum()))
    for start in range(0, len(parts), 256):
        some = fft.rfft2(parts[start : start + 256], (size, size))
        squares = fft.rfft2(parts[start : start + 256] ** 2, (size, size))
        products = some * spectrum, some * weight, squares * weight
        alike, sums, energy = (fft.irfft2(one, (size, size))[:, near][:, :, near] for one in products)
        spread = np.sqrt(np.maximum(energy - sums**2 / window.sum(), 1e-9))
        score = np.where(distance > 1.0, -1.0, alike / (power * spread))
        at = (score - _FAR_COSTS * distance**2).reshape(len(score), -1).argmax(axis=1)
        row, column = np.unravel_index(at, distance.shape)
        best = score[np.arange(len(score)), row, column]
        off_y[start : start + 256] = np.where(best >= _LIKE, near[row], 0)
        off_x[start : start + 256] = np.where(best >= _LIKE, near[column], 0)
        like[start : start + 256] = best
    return off_x, off_y, like
