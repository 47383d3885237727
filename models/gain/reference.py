"""Gain references and defects: reading them, turning them, checking that they fit.

A gain reference is used as a *multiplier* throughout frazil: `corrected = counts * multiplier`. Files follow one of two
conventions: Gatan and RELION references multiply; Falcon `.mrc` references for EER divide, their `.gain` TIFFs multiply
(RELION's documentation on EER). A pixel whose reference is zero or not finite is dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from frazil.config.errors import FormatError, UsageError
from frazil.config.settings import GainOrientation
from frazil.models.formats.image import read_image_2d

Convention = Literal["multiply", "divide"]

ORIENTATIONS: tuple[GainOrientation, ...] = (
    GainOrientation.IDENTITY,
    GainOrientation.ROT90,
    GainOrientation.ROT180,
    GainOrientation.ROT270,
    GainOrientation.FLIP_UD,
    GainOrientation.FLIP_LR,
    GainOrientation.ROT90_FLIP_UD,
    GainOrientation.ROT90_FLIP_LR,
)
"""The eight symmetries of the square, the identity first."""


def orient(image: NDArray[np.float32], orientation: GainOrientation) -> NDArray[np.float32]:
    """Turn a reference: rotate counter-clockwise first, then flip (up-down: along y, left-right: along x).

    `image[y, x]` with y as in `frazil.models.conventions`; the result is a view. `rot90` is RELION's `--gain_rot 1`
    ("clock-wise in relion_display", which shows row 0 on top), `flipud` and `fliplr` its `--gain_flip` 1 and 2.
    """
    if orientation is GainOrientation.AUTO:
        raise UsageError(
            "the gain orientation is not decided yet", remedy="let the gain gate decide, or name one of the eight"
        )
    name = orientation.value
    # np.rot90 turns counter-clockwise for row 0 on top; with row 0 at the bottom of the picture the sense is reversed.
    turned = np.rot90(image, k=-(int(name.removeprefix("rot").split("-")[0]) // 90))
    if name.endswith("flipud"):
        turned = turned[::-1, :]
    elif name.endswith("fliplr"):
        turned = turned[:, ::-1]
    return turned


@dataclass(frozen=True, slots=True)
class Reference:
    """A gain reference as it lies in its file, as a multiplier or a divisor that is not yet decided."""

    path: str
    values: NDArray[np.float32]  # (h, w), as stored
    dead: NDArray[np.bool_]  # (h, w), True where the reference is zero, negative or not finite

    def multiplier(self, orientation: GainOrientation, convention: Convention) -> NDArray[np.float32]:
        """(h, w) float32, mean 1 over live pixels, zero at dead ones, turned into the movie's frame."""
        values = self.values
        with np.errstate(divide="ignore", invalid="ignore"):
            multiplier = values if convention == "multiply" else (1.0 / values)
        multiplier = np.where(self.dead, 0.0, multiplier).astype(np.float32)
        multiplier /= multiplier[~self.dead].mean()
        return np.ascontiguousarray(orient(multiplier, orientation))

    def pattern(self) -> NDArray[np.float32]:
        """(h, w) what uncorrected counts look like if the reference multiplies: 1 / values, mean 1, dead pixels NaN."""
        with np.errstate(divide="ignore", invalid="ignore"):
            pattern = np.where(self.dead, np.nan, 1.0 / self.values).astype(np.float32)
        pattern /= np.nanmean(pattern)
        return pattern


def read_reference(path: Path, *, flip_tiff: bool = True) -> Reference:
    """Read a gain reference (.mrc, .dm4, .gain, .tif).

    `flip_tiff`: False for EER movies, which are not flipped on reading and whose `.gain` TIFF must not be either.

    Raises
    ------
    FormatError
        If the file is not an image, or more than a quarter of its pixels are dead.
    """
    values, _ = read_image_2d(path, flip_tiff=flip_tiff)
    dead = ~np.isfinite(values) | (values <= 0)
    if dead.mean() > 0.25:
        raise FormatError(
            f"{dead.mean():.0%} of this gain reference is zero, negative or not a number",
            path=path,
            remedy="check that this is the gain reference and not a dark or defect image",
        )
    return Reference(str(path), values, dead)


def read_defects(path: Path, shape: tuple[int, int], *, flip_tiff: bool = True) -> NDArray[np.bool_]:
    """Read a defect map or list as a mask (h, w), True where a pixel is bad.

    A text file (`.txt`) lists rectangles, `x y width height` in pixels a line, in the movie's frame (y as in
    `frazil.models.conventions`), `#` starts a comment; any other file is an image, non-zero is bad (`flip_tiff`: as in
    `read_reference`).

    Raises
    ------
    FormatError
        If the text is malformed, a rectangle lies outside, or the map's size is not that of the movies.
    """
    if path.suffix.lower() == ".txt":
        return _read_defect_list(path, shape)
    image, _ = read_image_2d(path, flip_tiff=flip_tiff)
    if image.shape != shape:
        raise FormatError(
            f"the defect map is {image.shape[1]} x {image.shape[0]} px, the movies are {shape[1]} x {shape[0]} px",
            path=path,
            remedy="give the defect map of this camera mode with `--defects`",
        )
    return np.asarray(image != 0)


def _read_defect_list(path: Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=bool)
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        remedy = "write `x y width height` in pixels, one rectangle a line"
        try:
            x, y, width, height = (int(word) for word in words)
        except ValueError as error:
            raise FormatError(f"line {number} is not four whole numbers", path=path, remedy=remedy) from error
        if min(x, y) < 0 or min(width, height) < 1 or x + width > shape[1] or y + height > shape[0]:
            raise FormatError(f"line {number} lies outside {shape[1]} x {shape[0]} px", path=path, remedy=remedy)
        mask[y : y + height, x : x + width] = True
    return mask
