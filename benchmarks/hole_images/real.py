"""A real image of a square (Leginon, 512 x 512 pixels, carbon film): no thickness is known of it, its lattice was read
off by eye."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import mrcfile
import numpy as np

from benchmarks.real_data import shared_data
from frazil.models.hole_images.looks import HolePlaces
from frazil.models.hole_images.square import square_look

_FILE = "micrographs/leginon_08mar13e_sq.mrc"
_FIRST_PX, _STEPS_PX, _DIAMETER_PX = (265.0, 126.0), ((40.0, -6.7), (6.7, 40.0)), 20.0
_MARGIN_PX, _LIT = 24.0, 500.0


def real_figures(args: argparse.Namespace) -> dict[str, Any] | None:
    """None: the data are not there."""
    path = shared_data.data_file(args, _FILE)
    if path is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its header has no machine stamp
        with mrcfile.open(path, permissive=True) as file:
            image = np.array(file.data, dtype=np.float32)
    steps = np.array([(a, b) for a in range(-12, 13) for b in range(-12, 13)], dtype=np.float64)
    at = np.array(_FIRST_PX) + steps @ np.array(_STEPS_PX)
    at = at[((at > _MARGIN_PX) & (at < len(image) - _MARGIN_PX)).all(axis=1)]
    around = np.array([image[int(y) - 8 : int(y) + 9, int(x) - 8 : int(x) + 9].mean() for x, y in at])
    at = at[around > _LIT]
    look, looks = square_look(image, HolePlaces(at[:, 0], at[:, 1], _DIAMETER_PX))
    moved = HolePlaces(at[:, 0] + 4.0, at[:, 1] - 5.0, _DIAMETER_PX)
    again, _ = square_look(image, moved)
    turned, _ = square_look(np.ascontiguousarray(image[::-1]), moved)
    return {
        "holes": len(at),
        "seen": look.seen_holes,
        "dark_holes": int((looks.dark_share > 0.1).sum()),
        "ring_share_median": float(np.median(looks.ring_share)),
        "ln_intensity_sd_between_holes": float(1.4826 * np.median(np.abs(looks.ln_intensity - look.ln_intensity))),
        "ln_intensity_sd_told": float(np.median(looks.ln_intensity_sd)),
        "film_ln_contrast_median": float(np.median(looks.film_ln_contrast)),
        "vacuum_seen": look.empty is not None,
        "shift_told_for_4_minus_5_px": [look.shift_x_px - again.shift_x_px, look.shift_y_px - again.shift_y_px],
        "turned_round_seen": turned.upside_down and not look.upside_down,
    }
