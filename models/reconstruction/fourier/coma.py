"""The phase that a tilted beam gives to an image: it goes with k^3 and with direction.

Under a beam tilt tau the image's transform (kernel exp(-2 pi i k . x), x along columns, y along rows) is

    X(k) = C(k) F(k) exp(+i 2 pi Cs lambda^2 |k|^2 k . tau)

(Glaeser et al. 2011, J. Struct. Biol. 174, 1). RELION's `rlnBeamTiltX` and `rlnBeamTiltY` have the other sign: its
`relion_reconstruct` takes this phase out when they are minus tau (`tests/system/test_relion_optics.py`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frazil.models.conventions import ANGSTROM_PER_MM
from frazil.models.optics.wavelength import electron_wavelength_angstrom
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane


def coma_phase_rad(plane: FourierPlane, count: int, *, voltage_kv: float, cs_mm: float) -> NDArray[np.float64]:
    """(2, count) phase of 1 mrad along x and along y."""
    k = np.stack([plane.kx[:count], plane.ky[:count]]) / (plane.box_px * plane.pixel_size_angstrom)
    wavelength = electron_wavelength_angstrom(voltage_kv)
    return np.asarray(2e-3 * np.pi * cs_mm * ANGSTROM_PER_MM * wavelength**2 * (k**2).sum(axis=0) * k)
