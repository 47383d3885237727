"""What a round of the reconstruction leaves in the session folder: maps, class averages, and pictures of both."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import torch
from numpy.typing import NDArray

from frazil.actors.reconstruction_records import ClassSummary, FinishedRound, MapClassSummary
from frazil.models.formats.atomic import atomic_path
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.map_round import record_values
from frazil.models.reconstruction import map_picture
from frazil.models.reconstruction.classes.chosen_particles import ChosenParticles
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.orientation.view_counts import bin_angles_deg
from frazil.models.reconstruction.refine.round_report import RoundReport, round_report
from frazil.models.reconstruction.refine.running_map import MapRound, RunningMap

_log = logging.getLogger(__name__)
MAP_PATHS = ("maps/map.mrc", "maps/half1.mrc", "maps/half2.mrc")
AVERAGES_PATH = "classes/averages.mrcs"
MAP_CLASS_PATH = "maps/class{number:03d}.mrc"
SECTIONS_PATH, PROJECTIONS_PATH, STRIP_PATH = "maps/sections.png", "maps/projections.png", "classes/strip.png"
ORIENTATIONS_PATH = "maps/orientations.png"
_STRIP_CLASSES = 8
_PICTURE_RADIUS = 0.6
"""Of what a picture shows, in diameters of the particle."""


class RoundFiles:
    """Writes what a round has to show; a file is replaced as a whole, so that the round before stays readable.

    All raise OSError if the disk is full.
    """

    def __init__(self, session_dir: Path, diameter_angstrom: float) -> None:
        self._session_dir = session_dir
        self._diameter_angstrom = diameter_angstrom

    def write_map(self, finished: FinishedRound, running: RunningMap) -> FinishedRound:
        """Maps, half maps, their pictures and the maps of classes; the record with what they show."""
        now = running.round()
        for relative, volume in zip(MAP_PATHS, (now.full, now.half1, now.half2), strict=True):
            path = self._session_dir / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            write_mrc(path, volume.numpy(), now.pixel_size_angstrom, is_volume=True)
        radius_px = _PICTURE_RADIUS * self._diameter_angstrom / now.pixel_size_angstrom
        self._write_picture(SECTIONS_PATH, map_picture.sections(now.full.numpy(), radius_px))
        self._write_picture(PROJECTIONS_PATH, map_picture.projections(now.full.numpy(), radius_px))
        operators = symmetry_matrices(finished.symmetry)
        self._write_picture(ORIENTATIONS_PATH, map_picture.orientations(running.views.shown))
        report = _report(now, len(operators))
        return replace(
            finished,
            frequency_per_angstrom=now.fsc.frequency_per_angstrom,
            fsc=now.fsc.fsc,
            uniform_fsc=now.uniform_fsc.fsc,
            map_path=MAP_PATHS[0],
            half1_path=MAP_PATHS[1],
            half2_path=MAP_PATHS[2],
            report=report,
            diameter_angstrom=self._diameter_angstrom,
            own_orientations=now.own_orientations,
            views=bin_angles_deg(running.views.fine),
            map_classes=self._write_map_classes(now),
            **(record_values(now) | record_values(report)),
        )

    def write_averages(
        self, finished: FinishedRound, particles: ChosenParticles, pixel_size_angstrom: float
    ) -> FinishedRound:
        """2-D class averages and a strip of the fullest; the record with a summary of each and what is chosen."""
        averages = sorted(particles.averages(), key=lambda average: average.class_id)
        path = self._session_dir / AVERAGES_PATH
        path.parent.mkdir(parents=True, exist_ok=True)
        if averages:
            images: NDArray[np.float32] = torch.stack([average.image for average in averages]).numpy()
            write_mrc(path, images, pixel_size_angstrom)
            radius_px = _PICTURE_RADIUS * self._diameter_angstrom / pixel_size_angstrom
            counts = [average.particle_count for average in averages]
            self._write_picture(STRIP_PATH, map_picture.strip(images, counts, radius_px, _STRIP_CLASSES))
        return replace(
            finished,
            classes=tuple(
                ClassSummary(
                    average.class_id,
                    average.particle_count,
                    average.resolution_angstrom,
                    particles.score_of(average.class_id),
                )
                for average in averages
            ),
            class_verdicts=particles.verdicts(),
            averages_path=AVERAGES_PATH if averages else None,
        )

    def _write_map_classes(self, now: MapRound) -> tuple[MapClassSummary, ...]:
        summaries = []
        for one in () if now.classes is None else now.classes.classes:
            relative = MAP_CLASS_PATH.format(number=one.number)
            write_mrc(self._session_dir / relative, one.volume.numpy(), now.pixel_size_angstrom, is_volume=True)
            summaries.append(MapClassSummary(one.number, one.particle_count, one.resolution_0143_angstrom, relative))
        return tuple(summaries)

    def _write_picture(self, relative: str, picture: NDArray[np.uint8]) -> None:
        with atomic_path(self._session_dir / relative) as temporary:
            Path(temporary).write_bytes(imagecodecs.png_encode(picture))


def _report(now: MapRound, symmetry_order: int) -> RoundReport | None:
    """None: the curves of this round cannot be fitted."""
    try:
        return round_report(
            now.half1,
            now.half2,
            now.agreement,
            pixel_size_angstrom=now.pixel_size_angstrom,
            symmetry_order=symmetry_order,
        )
    except np.linalg.LinAlgError as error:
        _log.warning("the map of this round could not be judged: %s", error)
        return None
