"""The defocus of each particle of a tilted specimen, from the plane that the rings of the movie's tiles show.

The plane's slope is the gradient g of the defocus over the image (`ctf_fit/tilt.py`), known with an error sigma along
itself. |g|^2 is too large by what the errors of its two components add, 2 sigma^2: the slope counts by the share of
its square that is left,

    dz(x, y) = dz + s g . (r - centre),  s = max(0, 1 - 2 sigma^2 / |g|^2)

(as in James & Stein 1961, Proc. 4th Berkeley Symp. 1, 361). A faint plane is so drawn to the movie's own defocus, and
one that chance makes as well is none at all (`CtfEstimate.tilt_axis_deg`).
"""

from __future__ import annotations

import math

import numpy as np

from frazil.models.records import CtfEstimate, ParticlePicks


def slope_share(ctf: CtfEstimate) -> float:
    """s: how much of the measured slope is believed, 0 to 1.

    >>> tilted = CtfEstimate(15e3, 15e3, 0.0, 0.0, 20.0, 20.0, 4.0, 0.9, 0.0, True, "", 30.0, 1.0, 0.0)
    >>> round(slope_share(tilted), 4)
    0.9968
    """
    steepness = math.hypot(*ctf.defocus_gradient)
    if steepness == 0.0 or ctf.tilt_sd_deg is None:
        return 0.0
    sd = math.radians(ctf.tilt_sd_deg) * (1.0 + steepness**2)
    return max(0.0, 1.0 - 2.0 * (sd / steepness) ** 2)


def defocus_offsets_angstrom(
    picks: ParticlePicks, ctf: CtfEstimate, *, height_px: int, width_px: int, pixel_size_angstrom: float
) -> tuple[float, ...]:
    """Of each pick of a micrograph (h, w), over the defocus of its CTF; empty: no tilt is known."""
    share = slope_share(ctf)
    if share == 0.0:
        return ()
    along_x, along_y = ctf.defocus_gradient
    x = np.array(picks.x_px) - 0.5 * (width_px - 1)
    y = np.array(picks.y_px) - 0.5 * (height_px - 1)
    return tuple((share * pixel_size_angstrom * (along_x * x + along_y * y)).tolist())
