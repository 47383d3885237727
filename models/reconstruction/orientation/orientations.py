"""Are all views there? Sampling compensation factor, and where the views crowd.

A projection along v samples the Fourier voxels across v. s(u), the sampling of Fourier direction u over its mean, says
how often a voxel was measured; noise variance there is 1 / s, so that the map's SSNR falls to

    SCF = 1 / mean over u of (1 / s(u))

of what even views would give (Baldwin & Lyumkis 2020, Prog. Biophys. Mol. Biol. 150, 160). Even views: 1. Side views
alone, about one axis: 8 / pi^2 = 0.81. Views along one axis alone: 0, for most directions are never measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frazil.models.reconstruction.orientation.rotations import directions

PREFERRED_BELOW = 0.8
"""Less even than side views alone (0.81), which leave no direction unmeasured."""
CAP_DEG = 30.0
_STEP_DEG = 5.0
_LEAST_PARTICLES = 200
"""Fewer views are uneven by chance."""
_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class OrientationReport:
    """How the views of a map's particles are spread."""

    particle_count: int
    scf: float
    """0 to 1."""
    chance_scf: float
    """What so few particles would have if no view were preferred."""
    unmeasured_share: float
    """Of Fourier directions that no image crosses."""
    cap_rot_deg: float
    cap_tilt_deg: float
    """Direction (RELION's rot and tilt) about which the views crowd most."""
    cap_share: float
    """Of all views that lie within `CAP_DEG` of it, its opposite, or their symmetric copies."""
    cap_expected: float
    """The same for even views."""

    @property
    def preferred(self) -> bool:
        """Some directions are measured so much less that the map suffers, and not by chance."""
        return self.particle_count >= _LEAST_PARTICLES and self.scf < PREFERRED_BELOW * self.chance_scf

    @property
    def sentence(self) -> str:
        """For a person."""
        if not self.preferred:
            return f"views are spread well: {self.scf:.0%} of the signal that even views would give"
        return (
            f"preferred orientation: {self.cap_share:.0%} of the views within {CAP_DEG:.0f} deg of rot "
            f"{self.cap_rot_deg:.0f}, tilt {self.cap_tilt_deg:.0f} ({self.cap_expected:.0%} if even); the map has "
            f"{self.scf:.0%} of the signal that even views would give"
        )


def view_vectors(rot_deg: NDArray[np.float64], tilt_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) directions along which the map is looked at: the third row of RELION's matrix (`rotations`)."""
    rot, tilt = np.radians(rot_deg), np.radians(tilt_deg)
    return np.stack([np.sin(tilt) * np.cos(rot), np.sin(tilt) * np.sin(rot), np.cos(tilt)], axis=-1)


def fourier_sampling(
    towards: NDArray[np.float64],
    views: NDArray[np.float64],
    counts: NDArray[np.float64],
    symmetry: NDArray[np.float64],
    shell: float,
) -> NDArray[np.float64]:
    """(m,) sampling of Fourier directions (m, 3), 1 for even views.

    Parameters
    ----------
    views, counts:
        (n, 3) unit vectors and how many particles have each.
    symmetry:
        (s, 3, 3) rotations of the map: each particle counts in all of them.
    shell:
        Distance from the origin in voxels of 1 / diameter, where neighbours are independent. A plane reaches one voxel
        to either side, falling off linearly, as samples are inserted (`FourierAccumulator`).
    """
    found = np.zeros(len(towards))
    rows = max(1, _AT_ONCE // max(len(views), 1))
    for operator in symmetry:
        turned = towards @ operator.T
        for start in range(0, len(turned), rows):
            part = turned[start : start + rows]
            found[start : start + rows] += np.maximum(1 - shell * np.abs(part @ views.T), 0.0) @ counts
    # The kernel's mean over the sphere is 1 / (2 shell).
    return np.asarray(found * 2 * shell / (len(symmetry) * counts.sum()))


def sampling_compensation_factor(sampling: NDArray[np.float64], least: float) -> float:
    """Harmonic over arithmetic mean of the sampling; `least`: what a direction without any image is taken to have."""
    return float(1 / (np.mean(1 / np.maximum(sampling, least)) * np.mean(sampling)))


def orientation_report(
    rot_deg: NDArray[np.float64],
    tilt_deg: NDArray[np.float64],
    counts: NDArray[np.float64],
    symmetry: NDArray[np.float64],
    *,
    diameter_angstrom: float,
    resolution_angstrom: float,
) -> OrientationReport | None:
    """Of (n,) RELION angles, or of bins of them with (n,) counts; None: no particle.

    `resolution_angstrom` chooses the shell at which voxels are asked for: finer detail needs more views.
    """
    total = float(counts.sum())
    if total <= 0:
        return None
    shell = max(diameter_angstrom / resolution_angstrom, 2.0)
    views = view_vectors(rot_deg, tilt_deg)
    towards = directions(_STEP_DEG, symmetry)
    sampling = fourier_sampling(towards, views, counts, symmetry, shell)
    one_image = 2 * shell / (total * len(symmetry))
    # Of n even views, s has a variance of 4 shell / 3 n: mean square of the kernel over the square of its mean.
    chance = 1 / (1 + 4 * shell / (3 * total * len(symmetry)))
    share = _cap_shares(towards, views, counts, symmetry) / total
    best = int(np.argmax(share))
    sphere = directions(_STEP_DEG, np.eye(3)[None])
    even = _cap_shares(towards[best : best + 1], sphere, np.full(len(sphere), 1 / len(sphere)), symmetry)
    x, y, z = towards[best]
    return OrientationReport(
        particle_count=round(total),
        scf=sampling_compensation_factor(sampling, one_image / 2),
        chance_scf=chance,
        unmeasured_share=float(np.mean(sampling <= 0)),
        cap_rot_deg=math.degrees(math.atan2(y, x)),
        cap_tilt_deg=math.degrees(math.acos(np.clip(z, -1.0, 1.0))),
        cap_share=float(share[best]),
        cap_expected=float(even[0]),
    )


def _cap_shares(
    towards: NDArray[np.float64],
    views: NDArray[np.float64],
    counts: NDArray[np.float64],
    symmetry: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(m,) how many views lie within `CAP_DEG` of each direction, its opposite or their symmetric copies."""
    least = math.cos(math.radians(CAP_DEG))
    found = np.zeros(len(towards))
    rows = max(1, _AT_ONCE // max(len(views), 1))
    for start in range(0, len(towards), rows):
        part = towards[start : start + rows]
        near = np.zeros((len(part), len(views)), dtype=bool)
        for operator in symmetry:
            near |= np.abs((part @ operator.T) @ views.T) >= least
        found[start : start + rows] = near @ counts
    return found
