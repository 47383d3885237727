"""What a density looks like from no side in particular: invariants of its spherical harmonics between radial shells.

A centred density is written as rho(r, u) = sum_nlm c_nlm R_n(r) Y_lm(u) with real spherical harmonics of degree l and
radial functions R_n, hats in ln r made orthonormal under r^2 dr (distances in A: size belongs to the shape). A rotation
mixes the 2l+1 coefficients of each (n, l) by an orthogonal matrix that is the same for every n, so the products between
shells G_l[n, n'] = sum_m c_nlm c_n'lm do not change (Kam 1980, J. Theor. Biol. 82, 15, has them in Fourier space). The
diagonal alone is the power per shell of Kazhdan et al. (2003, Symp. Geometry Processing, 156); what lies off the
diagonal says how the shells are turned against each other. A mirror image has the same G.

The descriptor is the square root of each matrix G_l, upper triangle, with the off-diagonal times sqrt(2). Its Euclidean
distance is that of Hellinger between the G_l; it is at least the smallest distance that turning each degree by itself
could reach (Bures), which bounds the distance of the densities in their best pose from below, and at most sqrt(2) times
it (Bhatia, Jain & Lim 2019, Expo. Math. 37, 165). Unit norm: contrast says nothing.

Noise of two half maps is independent, so that products between them have the mean of the truth's; what is then below 0
among the eigenvalues is noise and set to 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

Array = NDArray[np.float64]

DEGREES = 8
"""Spherical harmonics of degree 0 to 7."""
SHELLS = 8
_FIRST_ANGSTROM, _LAST_ANGSTROM = 10.0, 360.0
"""Nodes of the first and the last radial function; density beyond the last is not seen."""
_STEP_ANGSTROM = 2.5
_LATITUDES = 32
"""Exact for products of degree up to 63: structure finer than that along a sphere averages out, less what aliases."""
DIMENSION = DEGREES * SHELLS * (SHELLS + 1) // 2


@dataclass(frozen=True, slots=True)
class _Sphere:
    direction: Array
    """(p, 3) unit vectors z, y, x."""
    harmonics: Array
    """(p, lm) real, times the quadrature weight."""


def coefficients(volume: NDArray[np.float32], pixel_size_angstrom: float, centre_px: Array) -> Array:
    """(shells, degrees^2) c_nlm of a cubic density; (l, m) is at l^2 + l + m.

    Parameters
    ----------
    volume:
        (n, n, n) [z, y, x], band-limited to well inside of Nyquist; 0 outside of the particle and of the box.
    centre_px:
        (3,) z, y, x of the centre, in voxels from the first.
    """
    sphere, radius = _sphere(), _radii()
    smooth = ndimage.spline_filter(volume, order=3, output=np.float32, mode="constant")
    reach = float(np.linalg.norm(np.maximum(centre_px, np.array(volume.shape) - centre_px))) * pixel_size_angstrom
    inside = radius <= reach
    lm = np.zeros((radius.size, DEGREES**2))
    for index in np.nonzero(inside)[0]:
        place = centre_px[:, None] + sphere.direction.T * (radius[index] / pixel_size_angstrom)
        values = ndimage.map_coordinates(smooth, place, order=3, prefilter=False, mode="constant")
        lm[index] = values @ sphere.harmonics
    return np.asarray(_radial_functions() @ (lm * (radius**2 * _STEP_ANGSTROM)[:, None]))


def descriptor(first: Array, second: Array | None = None) -> NDArray[np.float32]:
    """(DIMENSION,) unit norm, of the coefficients of a density, or of its two half maps.

    Raises
    ------
    ValueError
        If nothing is left: no density, or halves that have nothing in common.
    """
    other = first if second is None else second
    rows, columns = np.triu_indices(SHELLS)
    scale = np.where(rows == columns, 1.0, math.sqrt(2.0))
    parts = []
    for degree in range(DEGREES):
        own = slice(degree**2, (degree + 1) ** 2)
        products = first[:, own] @ other[:, own].T
        value, vector = np.linalg.eigh((products + products.T) / 2)
        root = (vector * np.sqrt(np.maximum(value, 0.0))) @ vector.T
        parts.append(root[rows, columns] * scale)
    whole = np.concatenate(parts)
    length = float(np.linalg.norm(whole))
    if not length > 0.0 or not math.isfinite(length):
        raise ValueError("there is no density to describe")
    return np.asarray(whole / length, dtype=np.float32)


@lru_cache(maxsize=1)
def _radii() -> Array:
    return np.arange(1, math.ceil(_LAST_ANGSTROM / _STEP_ANGSTROM)).astype(np.float64) * _STEP_ANGSTROM


@lru_cache(maxsize=1)
def _radial_functions() -> Array:
    """(shells, radii) orthonormal under r^2 dr: hats between nodes that are equally far apart in ln r."""
    radius = _radii()
    ratio = math.log(_LAST_ANGSTROM / _FIRST_ANGSTROM) / SHELLS
    at = np.log(radius / _FIRST_ANGSTROM) / ratio
    hats = np.maximum(0.0, 1.0 - np.abs(at - np.arange(SHELLS)[:, None]))
    hats[0] = np.where(at < 0, 1.0, hats[0])  # the middle is one ball
    gram = (hats * (radius**2 * _STEP_ANGSTROM)) @ hats.T
    value, vector = np.linalg.eigh(gram)
    # The symmetric root keeps each function near its own shell (Loewdin 1950, J. Chem. Phys. 18, 365).
    return np.asarray((vector / np.sqrt(value)) @ vector.T @ hats)


@lru_cache(maxsize=1)
def _sphere() -> _Sphere:
    """Gauss-Legendre in cos(theta), equal steps in phi."""
    cosine, weight = special.roots_legendre(_LATITUDES)
    phi = 2 * np.pi * (np.arange(2 * _LATITUDES) + 0.5) / (2 * _LATITUDES)
    z = np.repeat(cosine, phi.size)
    angle = np.tile(phi, cosine.size)
    rho = np.sqrt(1 - z**2)
    each = np.repeat(weight, phi.size) * (2 * np.pi / phi.size)
    columns = []
    for degree in range(DEGREES):
        for order in range(-degree, degree + 1):
            size = abs(order)
            norm = math.sqrt(
                (2 * degree + 1) / (4 * math.pi) * math.factorial(degree - size) / math.factorial(degree + size)
            )
            legendre = special.lpmv(size, degree, z) * norm
            turn = np.cos(size * angle) if order >= 0 else np.sin(size * angle)
            columns.append(legendre * turn * (math.sqrt(2.0) if order else 1.0))
    return _Sphere(
        np.stack([z, rho * np.sin(angle), rho * np.cos(angle)], axis=1), np.stack(columns, 1) * each[:, None]
    )
