"""Signs, axes, units and angle zeros, in one place, with the conversions to RELION's STAR files.

Arrays
    `image[y, x]`, float32 unless said otherwise; row 0 is the *first row in an MRC file* (the bottom of the picture as
    3dmod and RELION show it). TIFF files store the top row first: frazil flips them along y on reading, as RELION, IMOD
    and MotionCor2 do, so that coordinates and shifts agree with these programs. EER frames are not flipped.
Shifts
    frazil's shift is the *displacement of the specimen* in a frame, in angstrom, +x along columns, +y along rows;
    the mean over all frames is zero. RELION's motion STAR holds the shift *to apply*, in unbinned pixels, with
    frame 1 at zero: `relion_shift = -(shift - shift[0]) / pixel_size`.
Defocus
    Underfocus positive, angstrom. U is the larger one, V the smaller; `astigmatism_angle_deg` is the angle between
    the x axis and the direction of U, counter-clockwise (towards +y), in [-90, 90). Same as CTFFIND and RELION.
CTF
    CTF(k) = -sin(chi(k)); chi = pi lambda dz k^2 - pi/2 Cs lambda^3 k^4 + phase shift + asin(amplitude contrast)
    (Rohou & Grigorieff 2015, eqs 2-4).
Angles of particles
    ZYZ rot/tilt/psi in degrees, RELION.
Time
    UTC microseconds as integers. Camera time, file time and our monotonic clock are never mixed.
"""

from __future__ import annotations

from collections.abc import Sequence

ANGSTROM_PER_UM = 1.0e4
ANGSTROM_PER_MM = 1.0e7


def shifts_to_relion_px(shift_angstrom: Sequence[float], pixel_size_angstrom: float) -> list[float]:
    """One axis of frazil's shifts (A, displacement) as RELION's (px, to apply, first frame 0).

    A specimen that goes towards +x by 2 A a frame is shifted back by RELION:

    >>> shifts_to_relion_px([-2.0, 0.0, 2.0], pixel_size_angstrom=0.5)
    [-0.0, -4.0, -8.0]
    """
    first = shift_angstrom[0]
    return [-(shift - first) / pixel_size_angstrom for shift in shift_angstrom]


def shifts_from_relion_px(shift_px: Sequence[float], pixel_size_angstrom: float) -> list[float]:
    """Inverse of `shifts_to_relion_px`, in frazil's zero-mean gauge."""
    displacement = [-shift * pixel_size_angstrom for shift in shift_px]
    mean = sum(displacement) / len(displacement)
    return [shift - mean for shift in displacement]


def wrap_astigmatism_angle_deg(angle_deg: float) -> float:
    """An axis has no direction: bring its angle to [-90, 90).

    >>> [wrap_astigmatism_angle_deg(angle) for angle in (30.0, 90.0, 170.0, -95.0)]
    [30.0, -90.0, -10.0, 85.0]
    """
    return (angle_deg + 90.0) % 180.0 - 90.0
