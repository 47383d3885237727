"""Rows of a session as RELION's optics and micrograph tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
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
    beam_shift_group: int | None = None
    """Number of the session's own; None: not known."""


class OpticsGroups:
    """Numbers optics groups from 1 without a gap, as RELION wants them, in the order of the session's own numbers.

    Where all of 1 to n are there, RELION's number is the session's; in any case the name has the session's number.
    """

    def __init__(self, optics: Iterable[Optics]) -> None:
        ordered = sorted(
            set(optics), key=lambda o: (o.beam_shift_group is None, o.beam_shift_group or 0, astuple(o)[:5])
        )
        self._numbers = {one: number for number, one in enumerate(ordered, 1)}

    @property
    def optics(self) -> tuple[Optics, ...]:
        """In the order of their numbers."""
        return tuple(self._numbers)

    def number(self, optics: Optics) -> int:
        """The group of these optics. Raises KeyError for some that it was not made with."""
        return self._numbers[optics]

    def block(self, extra: Mapping[str, Sequence[StarValue]] | None = None) -> StarBlock:
        """`data_optics`; `extra` columns in the order of the groups."""
        optics = list(self._numbers)
        return StarBlock(
            "optics",
            {
                "rlnOpticsGroupName": self._names(),
                "rlnOpticsGroup": list(self._numbers.values()),
                "rlnMicrographOriginalPixelSize": [o.movie_pixel_size_angstrom for o in optics],
                "rlnVoltage": [o.voltage_kv for o in optics],
                "rlnSphericalAberration": [o.cs_mm for o in optics],
                "rlnAmplitudeContrast": [o.amplitude_contrast for o in optics],
                "rlnMicrographPixelSize": [o.pixel_size_angstrom for o in optics],
                **(extra or {}),
            },
        )

    def _names(self) -> list[StarValue]:
        """Unique: RELION takes groups of one name for one group when it joins files."""
        names: list[StarValue] = []
        for optics, number in self._numbers.items():
            name = f"opticsGroup{number}" if optics.beam_shift_group is None else f"beamShift{optics.beam_shift_group}"
            names.append(name if name not in names else f"{name}_{number}")
        return names


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
