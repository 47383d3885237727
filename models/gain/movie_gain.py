"""The gain of one movie: what the gate decided about reference and defects, as it applies to this movie's frames.

Everybody who corrects frames does it here, a worker the whole movie and a rerun its sample, so that a reference that
does not fit has one outcome: an error, never frames without their gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frazil.config.errors import QuarantineError
from frazil.models.gain.correction import hot_pixels
from frazil.models.gain.decision import GainDecision
from frazil.models.gain.pattern import relative_residual
from frazil.models.gain.reference import read_defects, read_reference
from frazil.models.records import MovieHeader


@dataclass(frozen=True, slots=True)
class MovieGain:
    """Multiplier and defects in the movie's own frame; both cover the same pixels."""

    multiplier: NDArray[np.float32] | None
    """(h, w) mean 1 over live pixels, zero at dead ones; None: the counts are right as they are."""
    defects: NDArray[np.bool_] | None
    """(h, w) True for pixels that a person listed as bad; None: there is no list."""

    def correct(self, counts: NDArray[np.float32]) -> None:
        """Multiply counts (..., h, w) by the gain, in place."""
        if self.multiplier is not None:
            counts *= self.multiplier

    def bad_pixels(self, corrected_sum: NDArray[np.float32], frame_count: int) -> NDArray[np.bool_]:
        """(h, w) True for pixels to replace: listed, dead in the reference, or hot in the sum over all frames.

        corrected_sum: (h, w) sum over frames after `correct`. A single frame may be anybody's finished image, whose
        bright pixels are no camera's: of it, only those that are no finite numbers are bad.
        """
        bad = np.zeros(corrected_sum.shape, dtype=bool) if self.defects is None else self.defects.copy()
        if self.multiplier is not None:
            bad |= self.multiplier == 0
        bad |= hot_pixels(corrected_sum) if frame_count > 1 else ~np.isfinite(corrected_sum)
        return bad

    def within(self, window: tuple[slice, slice]) -> MovieGain:
        """The gain of a part of the field (rows, columns); a view."""
        return MovieGain(
            None if self.multiplier is None else self.multiplier[window],
            None if self.defects is None else self.defects[window],
        )

    def pattern(self) -> NDArray[np.float32] | None:
        """(h, w) `relative_residual` of what uncorrected counts look like; None where no gain is applied."""
        if self.multiplier is None:
            return None
        dead = self.multiplier == 0
        return relative_residual((1.0 / np.where(dead, 1.0, self.multiplier)).astype(np.float32), dead)


def read_movie_gain(decision: GainDecision | None, header: MovieHeader) -> MovieGain:
    """Read what the decision names and check that it fits a movie with this header.

    Parameters
    ----------
    decision:
        Of the gain gate; None: nothing was decided, and nothing is applied.

    Raises
    ------
    QuarantineError
        If the turned reference has another size than the frames.
    FormatError
        If the reference or the defect map cannot be read, or the map has another size than the frames.
    OSError
        If one of the files is gone.
    """
    if decision is None:
        return MovieGain(None, None)
    shape = (header.height_px, header.width_px)
    # EER movies are not flipped on reading, and TIFFs that go with them must not be either.
    flip_tiff = header.file_format != "eer"
    multiplier = None
    if decision.applies and decision.gain_path is not None:
        reference = read_reference(Path(decision.gain_path), flip_tiff=flip_tiff)
        multiplier = reference.multiplier(
            decision.orientation, "divide" if decision.convention == "divide" else "multiply"
        )
        if multiplier.shape != shape:
            raise QuarantineError(
                f"this movie is {shape[1]} x {shape[0]} px, "
                f"the gain reference {multiplier.shape[1]} x {multiplier.shape[0]} px",
                remedy="check that the movie was taken in the session's camera mode",
            )
    defects = None
    if decision.defects_path is not None:
        defects = read_defects(Path(decision.defects_path), shape, flip_tiff=flip_tiff)
    return MovieGain(multiplier, defects)
