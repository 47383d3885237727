"""The movie of a shot on a grid: real frames, with that hole's ice, its particles and the drift of that exposure.

Crystals and coma are not drawn: a movie of a hole that they spoil is better than the tables say.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from frazil.models.simulation.camera_files import write_defects, write_gain
from frazil.models.simulation.grid.epu_folder import exposure_name
from frazil.models.simulation.grid.microscope import Exposure
from frazil.models.simulation.grid.truth import GridTruth
from frazil.models.simulation.movie_files import write_movie
from frazil.models.simulation.session import MovieOverrides, SimulatedSession
from frazil.models.simulation.settings import SimulationSettings
from frazil.models.simulation.sidecars import epu_xml
from frazil.models.simulation.truth import MovieTruth

_NO_ICE_NM = 0.5
"""A hole without ice: the frames of next to nothing."""


class GridMovies:
    """Writes TIFF movies below a raw folder."""

    def __init__(self, settings: SimulationSettings, truth: GridTruth, raw: Path) -> None:
        self._truth, self._raw = truth, raw
        self.session = SimulatedSession(settings)

    def write_camera(self, out: Path) -> None:
        """Gain reference and defects."""
        settings, detector = self.session.settings, self.session.detector
        pixel = settings.pixel_size_angstrom
        write_defects(out, detector, pixel)
        write_gain(out / "gain.mrc", detector, convention="multiply", orientation="identity", pixel_size_angstrom=pixel)

    def write(self, one: Exposure, folder: Path, utc_us: int) -> MovieTruth:
        """The movie of an exposure and its XML; `folder` is relative to the raw folder."""
        holes, settings = self._truth.holes, self.session.settings
        square = self._truth.squares[int(holes.square[one.hole])]
        ice_nm = float(holes.ice_nm[one.hole])
        movie = self.session.movie(
            one.shot,
            MovieOverrides(
                drift_kind="settling",
                ice_thickness_nm=max(ice_nm, _NO_ICE_NM),
                empty=one.particles == 0,
                particles_per_um2=one.particles / self._truth.settings.particle.exposure_area_um2,
                drift_total_angstrom=one.drift_angstrom_per_s * settings.frame_time_s * settings.frame_count,
            ),
        )
        name = exposure_name(int(holes.number[one.hole]), utc_us)
        movie.truth = replace(
            movie.truth,
            stem=name,
            grid_square=str(square.number),
            hole=str(holes.number[one.hole]),
            acquired_utc_us=utc_us,
            stage_x_um=square.x_um + float(holes.x_um[one.hole]),
            stage_y_um=square.y_um + float(holes.y_um[one.hole]),
            image_shift_x_um=one.taken.image_shift_um,
            image_shift_y_um=0.0,
            file=(folder / f"{name}_Fractions.tiff").as_posix(),
            sidecar=(folder / f"{name}.xml").as_posix(),
        )
        target = self._raw / folder
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{name}.xml").write_text(epu_xml(movie.truth, settings), encoding="utf-8", newline="")
        write_movie(target / f"{name}_Fractions.tiff", movie, file_format="tiff")
        return movie.truth
