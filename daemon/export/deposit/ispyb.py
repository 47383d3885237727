"""A session in ISPyB's tables, as synchrotron facilities keep them: one JSON list of rows a table.

Table and column names are those of ISPyB's public schema (DiamondLightSource/ispyb-database), with its units: motion,
defocus and resolution in A, particle diameters in nm, dose in e/A2. Numbers are counted from 1 within the export and
mean nothing in a facility's database, where whoever reads the rows in gives new ones. A value that is not known, and a
column whose unit the schema leaves open (`pixelSizeOnImage`, `amplitudeContrast`), is left out.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from frazil.daemon.export.deposit.movies import DepositMovie, common
from frazil.daemon.export.relion_rows import Row
from frazil.models.formats.atomic import atomic_path

DATA_COLLECTION = 1
"""A session is one data collection."""
TABLES = ("DataCollection", "Movie", "MotionCorrection", "MotionCorrectionDrift", "CTF", "ParticlePicker")


class IspybTables:
    """Writes the rows of movies as they come; given out by `writing_tables`."""

    def __init__(self, files: Mapping[str, TextIO], session_dir: Path, raw_root: Path) -> None:
        self._files = files
        self._session_dir, self._raw_root = session_dir, raw_root
        self.row_counts = dict.fromkeys(TABLES, 0)

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """One row; values that are None are left out."""
        self._files[table].write(",\n" if self.row_counts[table] else "")
        self._files[table].write(json.dumps({name: value for name, value in row.items() if value is not None}))
        self.row_counts[table] += 1

    def add_movie(self, row: Row, shifts: Sequence[Row], diameter_angstrom: float | None) -> None:
        """A processed movie with its motion, CTF and picks.

        Parameters
        ----------
        row, shifts:
            Of `export_movies` and `export_shifts`.
        diameter_angstrom:
            Of the particles that are picked in this session.
        """
        number = self.row_counts["Movie"] + 1
        self.add("Movie", self._movie(number, row))
        self.add("MotionCorrection", self._motion(number, row, len(shifts)))
        for shift in shifts:
            self.add(
                "MotionCorrectionDrift", _drift(self.row_counts["MotionCorrectionDrift"] + 1, number, shift, shifts[0])
            )
        if row["defocus_u_angstrom"] is not None:
            self.add("CTF", _ctf(self.row_counts["CTF"] + 1, number, row))
        if row["particle_count"]:
            self.add(
                "ParticlePicker",
                {
                    "particlePickerId": self.row_counts["ParticlePicker"] + 1,
                    "firstMotionCorrectionId": number,
                    "particleDiameter": None if diameter_angstrom is None else diameter_angstrom / 10,
                    "numberOfParticles": row["particle_count"],
                },
            )

    def _movie(self, number: int, row: Row) -> dict[str, Any]:
        target_um = row["target_defocus_um"]
        return {
            "movieId": number,
            "dataCollectionId": DATA_COLLECTION,
            "movieNumber": None if row["sequence"] is None else row["sequence"] + 1,
            "movieFullPath": str(self._raw_root / row["relative_path"]),
            "createdTimeStamp": _time(row["acquired_utc_us"]),
            "positionX": row["stage_x_um"],
            "positionY": row["stage_y_um"],
            "nominalDefocus": None if target_um is None else target_um * 1e4,
        }

    def _motion(self, number: int, row: Row, frames: int) -> dict[str, Any]:
        total = row["motion_total_angstrom"]
        return {
            "motionCorrectionId": number,
            "dataCollectionId": DATA_COLLECTION,
            "movieId": number,
            "imageNumber": number,
            "firstFrame": 1 if frames else None,
            "lastFrame": frames or None,
            "dosePerFrame": row["dose_per_frame_e_per_a2"],
            "totalMotion": total,
            "averageMotionPerFrame": total / frames if frames and total is not None else None,
            "micrographFullPath": self._full(row["micrograph_path"]),
            "micrographSnapshotFullPath": self._full(row["thumbnail_path"]),
            "fftCorrectedFullPath": self._full(row["power_spectrum_path"]),
            "comments": row["rejection_reason"],
        }

    def _full(self, path: str | None) -> str | None:
        return None if path is None else str(self._session_dir / path)


def data_collection(session: Row, movies: Sequence[DepositMovie]) -> dict[str, Any]:
    """The row of the session itself, from its movies; what differs among them is left out."""
    times = [movie.acquired_utc_us for movie in movies if movie.acquired_utc_us is not None]
    return {
        "dataCollectionId": DATA_COLLECTION,
        "imageDirectory": session["raw_root"],
        "numberOfImages": len(movies),
        "startTime": _time(min(times, default=None)),
        "endTime": _time(max(times, default=None)),
        "voltage": session["voltage_kv"],
        "totalExposedDose": common(movie.total_dose_e_per_a2 for movie in movies),
        "imageSizeX": common(movie.width_px for movie in movies),
        "imageSizeY": common(movie.height_px for movie in movies),
        "comments": f"processed by frazil {session['code_version']}",
    }


@contextmanager
def writing_tables(folder: Path, session_dir: Path, raw_root: Path) -> Iterator[IspybTables]:
    """`folder/TABLE.json` for each of `TABLES`; they appear when the block ends well. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = {
            table: stack.enter_context(
                open(stack.enter_context(atomic_path(folder / f"{table}.json")), "w", encoding="utf-8")
            )
            for table in TABLES
        }
        for file in files.values():
            file.write("[\n")
        yield IspybTables(files, session_dir, raw_root)
        for file in files.values():
            file.write("\n]\n")


def _drift(number: int, motion_correction: int, shift: Row, first: Row) -> dict[str, Any]:
    """Where the specimen lay at a frame, against the first frame, in A."""
    return {
        "motionCorrectionDriftId": number,
        "motionCorrectionId": motion_correction,
        "frameNumber": shift["frame"],
        "deltaX": shift["shift_x_angstrom"] - first["shift_x_angstrom"],
        "deltaY": shift["shift_y_angstrom"] - first["shift_y_angstrom"],
    }


def _ctf(number: int, motion_correction: int, row: Row) -> dict[str, Any]:
    return {
        "ctfId": number,
        "motionCorrectionId": motion_correction,
        "astigmatism": row["defocus_u_angstrom"] - row["defocus_v_angstrom"],
        "astigmatismAngle": row["astigmatism_angle_deg"],
        "estimatedResolution": row["fit_resolution_angstrom"],
        "estimatedDefocus": (row["defocus_u_angstrom"] + row["defocus_v_angstrom"]) / 2,
        "ccValue": row["score"],
        "comments": None if row["reliable"] else (row["flag"] or "no usable CTF"),
    }


def _time(utc_us: int | None) -> str | None:
    """MySQL's way of writing a time, in UTC.

    >>> _time(1_700_000_000_000_000)
    '2023-11-14 22:13:20'
    """
    if utc_us is None:
        return None
    return datetime.datetime.fromtimestamp(utc_us // 1_000_000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
