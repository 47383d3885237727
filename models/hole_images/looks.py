"""What an image of a square shows of its holes, and of the square: plain numbers, each with its error.

Intensities are natural logarithms of counts of the camera per pixel: what the ice takes is a difference of two of them
(I = I0 exp(-t / L); Rice et al. 2018, J. Struct. Biol. 204, 38). Shares are of areas, 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HolePlaces:
    """Where holes should be: pixels of the image, its first row at y = 0, from the middle of the first pixel."""

    x_px: Array
    y_px: Array
    """(holes,)"""
    diameter_px: float
    """Of all of them: a film has holes of one size."""

    def __len__(self) -> int:
        return len(self.x_px)


@dataclass(frozen=True, slots=True)
class HoleLooks:
    """(holes,) arrays; NaN: that hole lies outside of the image, or in its margin."""

    ln_intensity: Array
    """Of the middle part of the hole: mean of its middle 70 %."""
    ln_intensity_sd: Array
    """What counting and the hole's own unevenness leave uncertain."""
    film_ln_contrast: Array
    """ln intensity of the film around it less its own; negative: the film is darker."""
    texture_fine: Array
    """Robust SD of pixels of a twenty-fourth of a diameter, relative to the mean: mostly counting."""
    texture_coarse: Array
    """SD of parts of a quarter of a diameter, relative to the mean, less what counting makes."""
    texture_coarse_sd: Array
    ring_share: Array
    """Of the hole's edge, how much looks like the edge of the image's usual hole."""
    ring_share_sd: Array
    off_centre_px: Array
    """How far it lies from its stated place, once the image as a whole has been moved."""
    dark_share: Array
    """Of the hole: blobs of contamination, or film that hangs over."""
    dark_share_sd: Array
    bright_share: Array
    """Of the hole: ice that has broken away."""

    def __len__(self) -> int:
        return len(self.ln_intensity)


LOOKS = tuple(field.name for field in fields(HoleLooks))
"""Their names, in the order of the record."""


@dataclass(frozen=True, slots=True)
class Empty:
    """What no ice looks like, in one image."""

    ln_intensity: float
    ln_intensity_sd: float
    x_px: float
    y_px: float
    """Where it was seen: the middle of these places."""
    sites: int
    torn: bool
    """The film is gone as well; else only the ice is thought to be."""


@dataclass(frozen=True, slots=True)
class SquareLook:
    """Of the image as a whole."""

    width_px: int
    height_px: int
    """Of the image that was measured."""
    upside_down: bool
    """Its rows run the other way than the holes' places: they were turned round."""
    rows_surely: bool
    """That is beyond doubt: a lattice that is its own mirror image looks alike either way."""
    shift_x_px: float
    shift_y_px: float
    """From the holes' stated places to where they are: median."""
    seen_holes: int
    """Holes that were measured."""
    ln_intensity: float
    """Median of its holes."""
    gradient_ln: float
    gradient_ln_sd: float
    """How much ln intensity of holes changes over the image's side, along the steepest direction."""
    dark_share: float
    """Mean of its holes."""
    torn_share: float
    """Of the places of holes: those where the film is gone."""
    saturated_share: float
    """Of the pixels: those at the camera's highest value."""
    empty: Empty | None


def places_in_image(places: HolePlaces, x_px: Array, y_px: Array) -> tuple[Array, Array]:
    """Of pixels, from the middle of the holes in half their extent: -1 to 1, for what the beam does over an image."""
    half = max(float(np.ptp(places.x_px)), float(np.ptp(places.y_px)), 1.0) / 2.0
    middle_x, middle_y = (0.5 * float(at.min() + at.max()) for at in (places.x_px, places.y_px))
    return (x_px - middle_x) / half, (y_px - middle_y) / half
