"""What each hole looks like: how bright its middle is, how even, how whole its edge, what lies in it.

All at some 24 pixels a diameter (`cutouts`). The middle is what lies within 0.7 of the radius: ice is thicker at the
rim, and no hole is found to better than a pixel. Scales: *fine* is one such pixel, *coarse* a quarter of a diameter.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from frazil.models.hole_images.cutouts import Index, Reduced, cutouts, radii_px
from frazil.models.hole_images.looks import LOOKS, Array, HoleLooks, Image
from frazil.models.hole_images.registration import Found

MIDDLE = 0.7
"""Of the radius: what the intensity is taken of."""
_WITHIN = 0.86
"""Of the radius: where blobs are sought."""
_FILM = (1.2, 1.5)
"""Of the radius: the film around the hole."""
_TRIMMED = 0.15
"""Of the pixels, left out at either end."""
_SECTORS, _RINGS = 12, (0.55, 0.7, 0.85, 0.95, 1.05, 1.15, 1.3, 1.45)
"""Parts of the edge, and the rings (of the radius) that its profile is told by."""
_DARKER, _BRIGHTER = 0.15, 0.08
"""Least fall and rise of a blob against the hole's own level."""
_SURE = 4.0
"""Standard deviations of counting that a blob has to stand out by."""
_LEAST_SD = 0.002
_COVERED_LN = 0.5
"""By so much ln intensity may be wrong for each share of the hole that something lies in."""
_AT_ONCE = 512


def hole_looks(small: Reduced, found: Found) -> HoleLooks:
    """Of every hole whose cutout lies in the image; of none where no holes are seen."""
    looks = {name: np.full(len(found.x_px), np.nan) for name in LOOKS}
    inside = np.flatnonzero(small.inside(found.x_px, found.y_px) & found.seen)
    masks = _Masks(small.half_px, 0.5 * small.diameter_px)
    profile = _usual_profile(found, inside, masks)
    joined = np.full(len(found.x_px), np.nan)
    for start in range(0, len(inside), _AT_ONCE):
        some = inside[start : start + _AT_ONCE]
        parts = cutouts(found.image, found.x_px[some], found.y_px[some], masks.half_px)
        values = _looks_of(parts, masks, profile)
        joined[some] = values.pop("joined")
        for name, column in values.items():
            looks[name][some] = column
    # Pixels of most cameras are not independent: how far from it, quarters of holes tell, over all holes of the image.
    more = float(np.clip(np.nanmedian(joined), 1.0, 4.0)) if len(inside) else 1.0
    covered = _COVERED_LN * np.hypot(looks["dark_share"], looks["bright_share"])
    looks["ln_intensity_sd"] = np.hypot(np.maximum(more * looks["ln_intensity_sd"], _LEAST_SD), covered)
    looks["off_centre_px"][inside] = found.off_px[inside] * small.by
    return HoleLooks(**looks)


class _Masks:
    """Which pixels of a cutout are what, flat indices."""

    def __init__(self, half_px: int, radius_px: float) -> None:
        self.half_px = half_px
        radius = radii_px(half_px) / radius_px
        at = np.arange(-half_px, half_px + 1)
        angle = np.arctan2(at[:, None], at[None, :])
        sector = ((angle + np.pi) / (2.0 * np.pi) * _SECTORS).astype(np.intp) % _SECTORS
        ring = np.digitize(radius, _RINGS) - 1
        self.middle: Index = np.flatnonzero(radius <= MIDDLE)
        self.film: Index = np.flatnonzero((radius >= _FILM[0]) & (radius <= _FILM[1]))
        self.within = radius <= _WITHIN
        rings = len(_RINGS) - 1
        self.edge: Index = np.flatnonzero((ring >= 0) & (ring < rings))
        self.cell: Index = (sector * rings + ring).ravel()[self.edge]
        self.cells = _SECTORS * rings
        self.parts = _parts(half_px, radius_px)


def _parts(half_px: int, radius_px: float) -> list[Index]:
    """Seven disks of a quarter of a diameter: one in the middle, six around it."""
    turns = np.arange(6) * np.pi / 3.0
    middles = [(0.0, 0.0), *((0.5 * radius_px * np.cos(turn), 0.5 * radius_px * np.sin(turn)) for turn in turns)]
    return [np.flatnonzero(radii_px(half_px, float(x), float(y)) <= 0.25 * radius_px) for x, y in middles]


def _profiles(parts: Image, masks: _Masks) -> Array:
    """(n, sectors, rings) mean of each cell, relative to the hole's middle."""
    flat = parts.reshape(len(parts), -1)
    middle = np.maximum(np.median(flat[:, masks.middle], axis=1), 1e-6)
    order = np.argsort(masks.cell, kind="stable")
    cells, start = np.unique(masks.cell[order], return_index=True)
    sums = np.add.reduceat(flat[:, masks.edge[order]], start, axis=1)
    means = np.zeros((len(parts), masks.cells))
    means[:, cells] = sums / np.diff(np.r_[start, len(order)])
    return np.asarray(means.reshape(len(parts), _SECTORS, -1) / middle[:, None, None])


def _usual_profile(found: Found, inside: Index, masks: _Masks) -> Array:
    """(rings,) about its own mean: of the image's holes, the median."""
    some = inside[:: max(1, len(inside) // _AT_ONCE)]
    if not some.size:
        return np.zeros(len(_RINGS) - 1)
    parts = cutouts(found.image, found.x_px[some], found.y_px[some], masks.half_px)
    usual = np.median(_profiles(parts, masks).mean(axis=1), axis=0)
    return np.asarray(usual - usual.mean())


def _looks_of(parts: Image, masks: _Masks, profile: Array) -> dict[str, Array]:
    flat = parts.reshape(len(parts), -1)
    middle = np.sort(flat[:, masks.middle], axis=1).astype(np.float64)
    count = middle.shape[1]
    cut = round(_TRIMMED * count)
    mean = np.maximum(middle[:, cut : count - cut].mean(axis=1), 1e-6)
    # Half the distance of the quartiles, as a normal's SD.
    fine = (middle[:, round(0.75 * count)] - middle[:, round(0.25 * count)]) / 1.349 / mean
    noise = np.maximum(_pixel_noise(parts, masks) / mean, 1e-4)
    coarse, coarse_sd, joined = _coarse(flat, masks, mean, noise)
    ring, ring_sd = _ring(_profiles(parts, masks), profile, noise, masks)
    dark, dark_sd, bright = _blobs(parts, masks, noise)
    film = np.median(flat[:, masks.film], axis=1).astype(np.float64)
    return {
        "joined": joined, "ln_intensity": np.log(mean), "ln_intensity_sd": noise / np.sqrt(count - 2 * cut),
        "film_ln_contrast": np.log(np.maximum(film, 1e-6) / mean), "texture_fine": fine, "texture_coarse": coarse,
        "texture_coarse_sd": coarse_sd, "ring_share": ring, "ring_share_sd": ring_sd, "dark_share": dark,
        "dark_share_sd": dark_sd, "bright_share": bright,
    }  # fmt: skip


def _pixel_noise(parts: Image, masks: _Masks) -> Array:
    """SD of a pixel by differences of neighbours in the middle: what changes slowly is none."""
    middle = np.zeros(parts[0].size, dtype=bool)
    middle[masks.middle] = True
    pairs = middle.reshape(parts[0].shape)
    pairs = pairs[:, 1:] & pairs[:, :-1]
    steps = np.abs(parts[:, :, 1:] - parts[:, :, :-1])[:, pairs]
    return np.asarray(np.median(steps, axis=1) / 0.6745 / np.sqrt(2.0), dtype=np.float64)


def _coarse(flat: Image, masks: _Masks, mean: Array, noise: Array) -> tuple[Array, Array, Array]:
    """SD of the parts less that of counting, its error, and by how much the whole is more than counting makes."""
    means = np.stack([flat[:, part].mean(axis=1) for part in masks.parts], axis=1) / mean[:, None]
    by_counting = noise**2 / np.mean([len(part) for part in masks.parts])
    variance = means.var(axis=1, ddof=1)
    spread = np.sqrt(np.maximum(variance - by_counting, 0.0))
    return spread, np.sqrt(variance / (2.0 * (len(masks.parts) - 1))), np.sqrt(variance / by_counting)


def _ring(profiles: Array, usual: Array, noise: Array, masks: _Masks) -> tuple[Array, Array]:
    """Slope of each sector's profile on the usual one, held to 0 .. 1: its mean, and what counting makes of it."""
    power = float((usual**2).sum())
    if power <= 0.0:
        return np.full(len(profiles), np.nan), np.full(len(profiles), np.nan)
    about = profiles - profiles.mean(axis=2, keepdims=True)
    slopes = (about * usual).sum(axis=2) / power
    slope_sd = noise / np.sqrt(len(masks.edge) / masks.cells * power)
    share = np.clip(slopes, 0.0, 1.0).mean(axis=1)
    return share, np.minimum(np.hypot(slope_sd, 0.2) / np.sqrt(_SECTORS), 0.5)


def _blobs(parts: Image, masks: _Masks, noise: Array) -> tuple[Array, Array, Array]:
    """Shares of the hole that are darker (with its error: blobs come as a whole, some 9 pixels at a time) and brighter
    than its own level."""
    smooth = ndimage.uniform_filter(parts, (0, 3, 3))[:, masks.within].astype(np.float64)
    ordered = np.sort(smooth, axis=1)
    count = ordered.shape[1]
    high, middle = (np.maximum(ordered[:, round(part * (count - 1))], 1e-6) for part in (0.75, 0.5))
    least = _SURE * noise / 3.0
    dark = (smooth < (high * (1.0 - np.maximum(_DARKER, least)))[:, None]).mean(axis=1)
    bright = (smooth > (middle * (1.0 + np.maximum(_BRIGHTER, least)))[:, None]).mean(axis=1)
    return dark, np.sqrt(np.maximum(dark, 1.0 / count) * 9.0 / count), bright
