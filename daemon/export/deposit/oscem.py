"""A session's acquisition as OSC-EM describes it (osc-em/OSCEM_Schemas): the parts that a session knows.

Units are written beside the values. Defocus is nm and negative for underfocus, as exports of microscopes have it; the
largest is the one nearest to focus. Specimen, grid and people are nothing that a session knows.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from frazil.daemon.export.deposit.movies import DepositMovie, common
from frazil.daemon.export.relion_rows import Row


def oscem(session: Row, movies: Sequence[DepositMovie], gain_orientation: str | None) -> dict[str, Any]:
    """The record; what is not known, or not the same for all movies, is left out."""
    defocus = [-1000.0 * movie.target_defocus_um for movie in movies if movie.target_defocus_um is not None]
    times = [movie.acquired_utc_us for movie in movies if movie.acquired_utc_us is not None]
    width, height = common(movie.width_px for movie in movies), common(movie.height_px for movie in movies)
    acquisition = {
        "detector": session["camera"] or common(movie.camera for movie in movies),
        "images_generated": len(movies),
        "pixel_size": _in("Å", common(movie.pixel_size_angstrom for movie in movies)),
        "dose_per_movie": _in("1/Å²", common(movie.total_dose_e_per_a2 for movie in movies)),
        "exposure_time": _in("s", common(movie.exposure_time_s for movie in movies)),
        "image_size": None if width is None or height is None else {"height": height, "width": width},
        "nominal_defocus": {"maximal": _in("nm", max(defocus)), "minimal": _in("nm", min(defocus))}
        if defocus
        else None,
        "datetime": None if not times else _iso(min(times)),
        "energy_filter": _used(common(movie.energy_filter for movie in movies)),
        "gainref_flip_rotate": gain_orientation,
        "specialist_optics": _phase_plate(common(movie.phase_plate for movie in movies)),
    }
    instrument = {
        "microscope": session["microscope"] or common(movie.microscope for movie in movies),
        "acceleration_voltage": _in("kV", session["voltage_kv"]),
        "cs": _in("mm", session["cs_mm"]),
    }
    formats = common(movie.empiar_format for movie in movies)
    about = {
        "type": "raw",
        "datasetName": session["name"],
        "sourceFolder": session["raw_root"],
        "dataFormat": formats,
        "scientificMetadata": {"acquisition": _known(acquisition), "instrument": _known(instrument)},
    }
    return _known(about)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _in(unit: str, value: float | None) -> dict[str, Any] | None:
    return None if value is None else {"unit": unit, "value": value}


def _used(value: bool | None) -> dict[str, bool] | None:
    return None if value is None else {"used": value}


def _phase_plate(used: bool | None) -> dict[str, Any] | None:
    return None if used is None else {"phaseplate": {"used": used}}


def _iso(utc_us: int) -> str:
    return datetime.datetime.fromtimestamp(utc_us // 1_000_000, datetime.UTC).isoformat()
