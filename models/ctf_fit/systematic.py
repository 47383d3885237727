"""What a defocus owes to numbers of the instrument that are not quite known: alike in all movies of a session.

chi depends on defocus z and Cs by pi lambda z k^2 - pi/2 Cs lambda^3 k^4. A pixel size that is wrong by a share e
makes every k wrong by -e, so that the fitted z is wrong by 2 e (and by what Cs takes up, see below); a wrong Cs is
taken up by a z that is wrong by Cs lambda^2 k^2 / 2 times its share, at the frequencies that the fit rests on.
"""

from __future__ import annotations

import math

from frazil.models.optics.wavelength import electron_wavelength_angstrom

_MM_ANGSTROM = 1e7
_WEIGHT_AT = 0.7
"""Of the frequency where the rings end: where the middle of the fit's samples lies (they grow with k)."""


def defocus_systematic_sd_angstrom(
    defocus_angstrom: float,
    *,
    fit_resolution_angstrom: float | None,
    voltage_kv: float,
    cs_mm: float,
    pixel_size_error: float,
    cs_error: float,
) -> float:
    """One sigma, from relative errors of pixel size and Cs that are taken as independent.

    Astigmatism adds nothing to the mean defocus (U - V is a parameter of its own); of U and V alone half of its error
    comes on top.

    >>> round(defocus_systematic_sd_angstrom(16_350.0, fit_resolution_angstrom=4.0, voltage_kv=300.0, cs_mm=2.7,
    ...     pixel_size_error=0.005, cs_error=0.01))
    160
    """
    wavelength = electron_wavelength_angstrom(voltage_kv)
    k2 = 0.0 if fit_resolution_angstrom is None else (_WEIGHT_AT / fit_resolution_angstrom) ** 2
    of_cs = 0.5 * cs_mm * _MM_ANGSTROM * wavelength**2 * k2
    # Both terms of chi scale with k, by k^2 and k^4: what the pixel size makes of the second, z takes up too.
    of_pixel = pixel_size_error * (2.0 * defocus_angstrom - 4.0 * of_cs)
    return math.hypot(of_pixel, cs_error * of_cs)
