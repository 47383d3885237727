"""How far the fitted rings go: the frequency at which spectrum and CTF^2 stop agreeing, with its error.

Water adds power of its own between 0.25 and 0.28 1/A: a broad peak where it is vitreous, sharp rings where it has
crystallised (Dowell & Rinfret 1960, Nature 188, 1144). The rings of the CTF go on beneath it. So the band is judged as
any other: what is smooth there is divided out first. Where ice has crystallised the band is left out, and an end that
lies in it has an error that says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import median_filter

from frazil.models.ctf_fit.band import FloatArray, cubic_basis, uniform_knots
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.profiles import RingProfile, correlation
from frazil.models.ctf_fit.ring_model import RingParameters

CORRELATION = 0.3
"""The rings end where the local correlation of spectrum and CTF^2 falls below this ..."""
SIGNIFICANCE = 3.0
"""... or where the local amplitude is less than so many standard deviations above none."""
_FRINGES_PER_WINDOW = 2.0
_SHORTEST_WINDOW_PER_ANGSTROM = 0.012
_STEP_OF_WINDOW = 0.25
_ERROR_OF_WINDOW = 0.3
"""One sigma of the end, of the window that it was found with: a window that holds rings in a part of it still
correlates with them. Simulated spectra whose rings end at a known frequency scatter by this."""
_ICE_PER_ANGSTROM = (0.235, 0.305)
"""Where water's peak is looked for: its band with as much beside it as tells the level."""
_BESIDE_PER_ANGSTROM = 0.19
_CRYSTALS_PER_ANGSTROM = (0.247, 0.3)
"""With the three innermost reflections of hexagonal ice, at 3.90, 3.67 and 3.44 A."""
_ICE_KNOTS_PER_ANGSTROM = 0.012
_FRINGES_PER_KNOT = 1.5
_STANDS_OUT_SD = 5.0


@dataclass(frozen=True, slots=True)
class FitEnd:
    """The end of the rings."""

    resolution_angstrom: float
    sd_angstrom: float


def fit_end(profile: RingProfile, optics: RingOptics, parameters: RingParameters) -> FitEnd | None:
    """Resolution at which the fit stops agreeing with the rings, or None if it agrees nowhere.

    A window of two fringes (at least 0.012 1/A) slides outwards from where the rings are most significant; the fit
    ends where correlation or significance falls below its limit, between the last window that passes and the first
    that does not.
    """
    profile = without_ice(profile, optics, parameters)
    high = float(profile.centres[-1] + 0.5 * profile.width_per_angstrom)
    centres: list[float] = []
    margins: list[float] = []
    local_correlations: list[float] = []
    significance: list[float] = []
    windows: list[float] = []
    centre = profile.low_per_angstrom
    while centre < high:
        fringes_per_k = optics.defocus_gradient * parameters.defocus_angstrom * centre / np.pi
        window = max(_SHORTEST_WINDOW_PER_ANGSTROM, _FRINGES_PER_WINDOW / max(fringes_per_k, 1e-9))
        window = min(window, 0.5 * (high - profile.low_per_angstrom))
        local, sigma = correlation(profile, centre - 0.5 * window, centre + 0.5 * window)
        near = profile.count[np.abs(profile.centres - centre) <= 0.5 * window]
        # A small image's bins may be wider than the window: none of them lies in it then.
        if len(near) and float(np.mean(near > 0)) > 0.5:
            centres.append(centre)
            margins.append(min(local / CORRELATION, sigma / SIGNIFICANCE) - 1.0)
            local_correlations.append(local)
            significance.append(sigma)
            windows.append(window)
        centre += max(_STEP_OF_WINDOW * window, profile.width_per_angstrom)
    last = _last_good(np.array(margins), np.array(significance))
    if last is None:
        return None
    end, sd = centres[last], _ERROR_OF_WINDOW * windows[last]
    if last + 1 < len(centres):
        step, fall = centres[last + 1] - end, margins[last] - margins[last + 1]
        end += step * margins[last] / max(fall, 1e-9)
        end -= _overhang(np.array(centres), np.array(local_correlations), end, windows[last])
        sd = max(sd, step / math.sqrt(12.0))  # farther than a step: bins that count for nothing lie between
    return FitEnd(1.0 / end, sd / end**2)


def _overhang(centres: FloatArray, correlations: FloatArray, end: float, window: float) -> float:
    """How far a window's centre lies beyond rings that end at once (1/A): with rings in a share f of it, it still has
    sqrt(f) of the correlation that the window before has. Where they fade over many windows this is none."""
    before = float(np.interp(end - window, centres, correlations))
    share = min((CORRELATION / max(before, CORRELATION)) ** 2, 0.5)
    return window * (0.5 - share)


def _last_good(margins: FloatArray, significance: FloatArray) -> int | None:
    """The last window in a row that passes, from the most significant one on."""
    good = margins >= 0.0
    if not good.any():
        return None
    last = int(np.argmax(np.where(good, significance, -np.inf)))
    while last + 1 < len(good) and good[last + 1]:
        last += 1
    return last


def without_ice(profile: RingProfile, optics: RingOptics, parameters: RingParameters) -> RingProfile:
    """The same without water's peak: what is smooth is divided out. Where reflections of crystalline ice stand out of
    it, their whole band counts for nothing.

    The peak is a spline whose knots lie farther apart than the fringes, fitted together with the rings themselves,
    whose amplitude may fall through the band, so that it does not take them up.
    """
    k, count = profile.centres, profile.count.copy()
    band = (k >= _ICE_PER_ANGSTROM[0]) & (k <= _ICE_PER_ANGSTROM[1])
    middle = 0.5 * sum(_ICE_PER_ANGSTROM)
    fringe = 0.5 * np.pi / (optics.defocus_gradient * parameters.defocus_angstrom * middle)
    knots = uniform_knots(*_ICE_PER_ANGSTROM, max(_ICE_KNOTS_PER_ANGSTROM, _FRINGES_PER_KNOT * fringe))
    if int((band & (count > 0)).sum()) < 4 * len(knots):
        return profile
    beside = (k >= _BESIDE_PER_ANGSTROM) & (k < _ICE_PER_ANGSTROM[0]) & (count > 0)
    bins = round(_ICE_KNOTS_PER_ANGSTROM / profile.width_per_angstrom)
    if _has_crystals(profile.excess[band & (count > 0)], bins, profile.excess[beside]):
        count[(k > _CRYSTALS_PER_ANGSTROM[0]) & (k < _CRYSTALS_PER_ANGSTROM[1])] = 0.0
        return replace(profile, count=count)
    smooth, pattern = cubic_basis(k[band], knots), profile.pattern[band]
    design = np.hstack([smooth, np.stack([pattern, pattern * (k[band] - middle) / middle], axis=1)])
    root = np.sqrt(count[band])
    solution = np.linalg.lstsq(design * root[:, None], profile.excess[band] * root, rcond=None)[0]
    peak = smooth @ solution[:-2]
    excess = profile.excess.copy()
    excess[band] = (1.0 + profile.excess[band]) / np.maximum(1.0 + peak, 0.1) - 1.0
    return replace(profile, excess=excess)


def _has_crystals(excess: FloatArray, bins: int, beside: FloatArray) -> bool:
    """Whether two neighbouring bins stand out of the running median of `bins` by more than rings and counting do, there
    or `beside` the band: a reflection of crystalline ice."""
    rest = excess - median_filter(excess, size=max(3, bins), mode="nearest")
    scatter = max(float(np.median(np.abs(rest))) / 0.6745, float(np.std(beside)) if beside.size else 0.0)
    out = rest > _STANDS_OUT_SD * scatter
    return bool(np.any(out[1:] & out[:-1]))
