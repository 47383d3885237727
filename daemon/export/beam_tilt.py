"""The beam tilt of each optics group, as RELION's optics table has it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from frazil.daemon.export.relion_rows import Row, rows_of
from frazil.daemon.export.relion_tables import OpticsGroups
from frazil.daemon.store.reading import SessionReader
from frazil.models.formats.acquisition import shift_of_no_unit
from frazil.models.formats.star import StarValue
from frazil.models.records import AcquisitionMetadata, ExposureFacts


def told_by_particles(reader: SessionReader, after: str, page: Sequence[Row]) -> dict[str, Row]:
    """What the particles of a page's movies tell of their beam tilt, by movie id."""
    rows = rows_of(reader, "export_beam_tilts", after, page)
    return {str(row["movie_id"]): row for row in rows}


def beam_tilt_columns(
    kept: Sequence[Row], told: dict[str, Row], groups: OpticsGroups
) -> dict[str, Sequence[StarValue]]:
    """`rlnBeamTiltX` and `rlnBeamTiltY` (mrad) in the order of the groups; empty: no beam tilt is clear of chance.

    All kept movies together tell the tilt of each (`session_tilt`); a group has the mean of its movies. RELION's sign
    is minus frazil's (`fourier/coma.py`).
    """
    if not told:
        return {}
    from frazil.models.reconstruction.refine.session_tilt import SessionTilt  # late: statistics take half a second

    together = SessionTilt()
    for number, row in enumerate(kept):
        together.aimed(number, _exposure(row))
        tilt = told.get(str(row["movie_id"]))
        if tilt is not None:
            x, y, xx, xy, yy = (float(tilt[f"beam_tilt_{name}"]) for name in _COLUMNS)
            together.measured(number, np.array([x, y]), (xx, xy, yy))
    together.renew()
    by_group: dict[int, list[np.ndarray]] = {groups.number(optics): [] for optics in groups.optics}
    for number, row in enumerate(kept):
        by_group[row["optics_group"]].append(together.of(number))
    mean = np.array([np.mean(tilts, axis=0) for tilts in by_group.values()]).reshape(-1, 2)
    if not mean.any():
        return {}
    return {"rlnBeamTiltX": (-mean[:, 0]).tolist(), "rlnBeamTiltY": (-mean[:, 1]).tolist()}


_COLUMNS = ("x_mrad", "y_mrad", "xx_mrad2", "xy_mrad2", "yy_mrad2")


def _exposure(row: Row) -> ExposureFacts:
    """How a movie was aimed."""
    said = msgspec.convert(row["metadata"], AcquisitionMetadata)
    x_au, y_au = shift_of_no_unit(said)
    return ExposureFacts(
        image_shift_x_um=said.image_shift_x_um,
        image_shift_y_um=said.image_shift_y_um,
        shift_x_au=x_au,
        shift_y_au=y_au,
    )
