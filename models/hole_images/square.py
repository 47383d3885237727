"""An image of a square as a whole: how bright, how uneven, how dirty, how torn, and what no ice looks like in it.

Vacuum is not told by brightness alone: thin ice is bright too, and dry carbon brighter than thick ice. It is believed
where a hole should be and no edge is seen, as bright inside as outside, and nothing in the image brighter (*torn*);
with less trust where the brightest holes pile up at one value, apart from all others, as broken ones do and thin ones
do not (ice breaks below some 10 nm).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frazil.models.hole_images.cutouts import Index, Reduced, reduced
from frazil.models.hole_images.looks import Empty, HoleLooks, HolePlaces, SquareLook
from frazil.models.hole_images.measure import hole_looks
from frazil.models.hole_images.registration import Found, found_holes

_NO_RING, _FLAT_LN = 0.4, 0.04
"""A torn site: less of an edge than this, and the film's place within so much of the hole's."""
_PILE_LN, _GAP_LN = 0.02, 0.05
"""Empty holes lie within this of each other, and the next ones are darker by more than that."""
_MOST_EMPTY = 0.3
"""Of the holes: if more look empty, they are thin ice, as even as it may be."""
_LEAST_PILE = 3
_TORN_SD_LN, _BROKEN_SD_LN = 0.012, 0.05
"""How well a level of vacuum is known by it: film that is gone; holes that only look broken."""
_LEAST_FOR_GRADIENT = 8


def square_look(
    image: npt.NDArray[np.generic], places: HolePlaces, upside_down: bool | None = None
) -> tuple[SquareLook, HoleLooks]:
    """Measure an image (height, width) of camera counts, dark-corrected: its holes and itself.

    `upside_down`: how images of the same program lie, where that is known and this one does not say.
    A 4096 x 4096 image of 1,000 holes takes less than a second of one core.
    """
    small = reduced(image, places)
    found = found_holes(small, upside_down)
    looks = hole_looks(small, found)
    measured = np.flatnonzero(np.isfinite(looks.ln_intensity))
    top = float(image.max(initial=0))
    gradient, gradient_sd = _gradient(small, found, looks, measured)
    empty, torn = _empty(small, found, looks, measured)
    ln_intensity = float(np.median(looks.ln_intensity[measured])) if measured.size else float("nan")
    dark_share = float(np.mean(looks.dark_share[measured])) if measured.size else float("nan")
    height, width = image.shape
    torn_share = torn / len(measured) if measured.size else float("nan")
    return SquareLook(
        width, height, found.upside_down, found.rows_surely, found.shift_x_px * small.by, found.shift_y_px * small.by,
        len(measured), ln_intensity, gradient, gradient_sd, dark_share, torn_share, _saturated(image, top), empty,
    ), looks  # fmt: skip


def _saturated(image: npt.NDArray[np.generic], top: float) -> float:
    """Of an image whose highest value many pixels share."""
    share = float(np.count_nonzero(image == top)) / max(image.size, 1)
    return share if share > 1e-4 else 0.0


def _gradient(small: Reduced, found: Found, looks: HoleLooks, measured: Index) -> tuple[float, float]:
    """Of a plane through ln intensities, by least absolute deviations: three rounds of reweighted squares."""
    if measured.size < _LEAST_FOR_GRADIENT:
        return float("nan"), float("nan")
    height, width = small.image.shape
    side = float(max(height, width))
    x, y = found.x_px[measured] / side, found.y_px[measured] / side
    table = np.stack([np.ones(len(x)), x - x.mean(), y - y.mean()], axis=1)
    values, weight = looks.ln_intensity[measured], np.ones(len(x))
    plane = np.zeros(3)
    for _ in range(4):
        plane = np.linalg.lstsq(table * np.sqrt(weight)[:, None], values * np.sqrt(weight), rcond=None)[0]
        weight = 1.0 / np.maximum(np.abs(values - table @ plane), 1e-3)
    left = 1.4826 * float(np.median(np.abs(values - table @ plane)))
    covariance = left**2 * np.linalg.pinv(table.T @ table)
    slope = float(np.hypot(plane[1], plane[2]))
    along = plane[1:] / max(slope, 1e-12)
    return slope, float(np.sqrt(along @ covariance[1:, 1:] @ along))


def _empty(small: Reduced, found: Found, looks: HoleLooks, measured: Index) -> tuple[Empty | None, int]:
    """What no ice looks like, and how many sites are torn."""
    values = looks.ln_intensity[measured]
    if measured.size < _LEAST_FOR_GRADIENT:
        return None, 0
    flat = (looks.ring_share[measured] < _NO_RING) & (np.abs(looks.film_ln_contrast[measured]) < _FLAT_LN)
    flat &= (looks.dark_share[measured] < 0.1) & (values > np.median(values) - _PILE_LN)
    if flat.any():
        level = float(np.median(values[flat]))
        brighter = int((values[~flat] > level + 2.0 * _PILE_LN).sum())
        torn = measured[flat & (np.abs(values - level) < 2.0 * _PILE_LN)]
        if brighter <= max(1, len(torn) // 4) and len(torn) >= _LEAST_PILE:
            return _empty_at(small, found, torn, level, _TORN_SD_LN, torn_film=True), len(torn)
    top = float(np.sort(values)[-_LEAST_PILE])
    pile = values > top - _PILE_LN
    between = int(((values <= top - _PILE_LN) & (values > top - _PILE_LN - _GAP_LN)).sum())
    if pile.sum() >= _LEAST_PILE and pile.mean() <= _MOST_EMPTY and between <= pile.sum() // 4:
        level = float(np.median(values[pile]))
        return _empty_at(small, found, measured[pile], level, _BROKEN_SD_LN, torn_film=False), 0
    return None, 0


def _empty_at(small: Reduced, found: Found, at: Index, level: float, level_sd: float, *, torn_film: bool) -> Empty:
    x, y = (float(np.mean(place[at]) * small.by + 0.5 * (small.by - 1)) for place in (found.x_px, found.y_px))
    return Empty(level, level_sd, x, y, len(at), torn_film)
