"""Rows of a session as RELION's optics and micrograph tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frazil.models.formats.star import StarBlock, StarValue

_OPTIONAL: Mapping[str, str] = {
    "rlnDefocusU": "defocus_u_angstrom",
    "rlnDefocusV": "defocus_v_angstrom",
    "rlnCtfAstigmatism": "astigmatism_angstrom",
    "rlnDefocusAngle": "astigmatism_angle_deg",
    "rlnPhaseShift": "phase_shift_deg",
    "rlnCtfFigureOfMerit": "score",
    "rlnCtfMaxResolution": "fit_resolution_angstrom",
    "rlnCtfIceRingDensity": "ice_ring_density",
    "rlnAccumMotionTotal": "motion_total_angstrom",
    "rlnAccumMotionEarly": "motion_early_angstrom",
    "rlnAccumMotionLate": "motion_late_angstrom",
}


@dataclass(frozen=True, slots=True)
class Optics:
    """What distinguishes optics groups."""

    voltage_kv: float
    cs_mm: float
    amplitude_contrast: float
    pixel_size_angstrom: float
    """Of the micrograph."""
    movie_pixel_size_angstrom: float


class OpticsGroups:
    """Numbers optics groups from 1 in the order in which they are met."""

    def __init__(self) -> None:
        self._numbers: dict[Optics, int] = {}

    def number(self, optics: Optics) -> int:
        """The group of these optics."""
        return self._numbers.setdefault(optics, len(self._numbers) + 1)

    def block(self, extra: Mapping[str, Sequence[StarValue]] | None = None) -> StarBlock:
        """`data_optics`; `extra` columns in the order of the groups."""
        optics = list(self._numbers)
        return StarBlock(
            "optics",
            {
                "rlnOpticsGroupName": [f"opticsGroup{number}" for number in self._numbers.values()],
                "rlnOpticsGroup": list(self._numbers.values()),
                "rlnMicrographOriginalPixelSize": [o.movie_pixel_size_angstrom for o in optics],
                "rlnVoltage": [o.voltage_kv for o in optics],
                "rlnSphericalAberration": [o.cs_mm for o in optics],
                "rlnAmplitudeContrast": [o.amplitude_contrast for o in optics],
                "rlnMicrographPixelSize": [o.pixel_size_angstrom for o in optics],
                **(extra or {}),
            },
        )


def micrographs_block(rows: Sequence[Mapping[str, Any]]) -> StarBlock:
    """`data_micrographs` of kept micrographs."""
    columns: dict[str, list[StarValue]] = {
        "rlnMicrographName": [row["name"] for row in rows],
        "rlnMicrographMetadata": [row["motion_name"] for row in rows],
        "rlnOpticsGroup": [row["optics_group"] for row in rows],
    }
    for label, name in _OPTIONAL.items():
        values = [row[name] for row in rows]
        if all(value is not None for value in values):
            columns[label] = [float(value) for value in values]
    return StarBlock("micrographs", columns)


def rejected_block(rows: Sequence[Mapping[str, Any]]) -> StarBlock:
    """`data_micrographs` of the others: state, movie, reason (labels of frazil's own, which RELION 3.1 keeps).

    Names with blanks come last: tools that cut lines at blanks still read the first columns.
    """
    return StarBlock(
        "micrographs",
        {
            "frazilStem": [row["stem"] for row in rows],
            "frazilState": [row["state"] for row in rows],
            "rlnMicrographMovieName": [row["movie_name"] for row in rows],
            "frazilReason": [" ".join(str(row["reason"]).replace('"', "'").split()) for row in rows],
        },
    )
