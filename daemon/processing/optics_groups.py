"""Gives every movie its optics group from its beam shift, live, and keeps numbers over restarts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import movie_writes
from frazil.models.formats.epu_xml import epu_names
from frazil.models.optics_groups import BeamPosition, BeamShiftGroups, beam_position
from frazil.models.records import AcquisitionMetadata

_RESTORE_SQL = """
SELECT movie_id, relative_path, metadata_json, optics_group FROM movies
WHERE metadata_json IS NOT NULL OR optics_group IS NOT NULL ORDER BY sequence
"""
_SHIFT_FIELDS = (
    *("image_shift_x_um", "image_shift_y_um", "image_shift_x_au", "image_shift_y_au"),
    *("beam_shift_x_au", "beam_shift_y_au", "beam_shift_group"),
)


class OpticsGroupsOfMovies:
    """See the module. Called from the daemon's own thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._groups = BeamShiftGroups()
        self._numbered: set[str] = set()
        self._with_shift: set[str] = set()
        movies = [(row[0], row[1], _metadata(row[2]), row[3]) for row in store.rows(_RESTORE_SQL)]
        for movie_id, path, metadata, number in movies:
            position = _position(path, metadata)
            if number is not None:
                self._numbered.add(movie_id)
                if position is not None:
                    self._groups.restore(position, number)
        for movie_id, path, metadata, _ in movies:
            self.add(movie_id, path, metadata)

    def add(self, movie_id: str, relative_path: str, metadata: AcquisitionMetadata) -> None:
        """What is known of a movie now. One that has its number keeps it, whatever a late sidecar says."""
        position = _position(relative_path, metadata)
        by_shift = position is not None and position.unit != ""
        if position is None or movie_id in self._numbered or (movie_id in self._with_shift and not by_shift):
            return
        if by_shift:
            self._with_shift.add(movie_id)
        new_numbers = self._groups.add(movie_id, position)
        self._numbered |= new_numbers.keys()
        if new_numbers:
            self._store.write(WritePolicy.RETRIED, movie_writes.set_optics_groups, new_numbers)


def _metadata(stored: str | None) -> AcquisitionMetadata:
    fields = json.loads(stored) if stored else {}
    shifts: dict[str, Any] = {name: fields.get(name) for name in _SHIFT_FIELDS}
    return AcquisitionMetadata(**shifts)


def _position(relative_path: str, metadata: AcquisitionMetadata) -> BeamPosition | None:
    if metadata.beam_shift_group is None:
        metadata = replace(metadata, beam_shift_group=epu_names(PurePosixPath(relative_path)).beam_shift_group)
    return beam_position(metadata)
