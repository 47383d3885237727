"""Local resolution of a session's newest map, as a map that ChimeraX and RELION colour by."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from frazil.config.errors import UsageError
from frazil.daemon.store.reading import SessionReader
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.reconstruction.refine.initial_map import read_map
from frazil.models.reconstruction.resolution.local_resolution import local_resolution_angstrom

_HALVES_SQL = """
SELECT half1_path, half2_path, (SELECT min(frequency_per_angstrom) FROM fsc WHERE fsc.round = r.round),
       (SELECT max(frequency_per_angstrom) FROM fsc WHERE fsc.round = r.round)
FROM reconstructions r WHERE half1_path IS NOT NULL ORDER BY round DESC LIMIT 1
"""


def export_local_resolution(reader: SessionReader, session_dir: Path, out: Path) -> tuple[float, float]:
    """Write the local resolution (A) on the map's grid; returns its 10th and 90th percentile where the map is dense.

    Raises
    ------
    UsageError
        If the session has no map yet.
    FormatError, OSError
        If the half maps cannot be read.
    """
    rows = reader.sql(_HALVES_SQL).rows
    if not rows or rows[0][2] is None:
        raise UsageError(
            "there is no map of which to tell the local resolution",
            path=session_dir,
            remedy="the map comes with the first particles of a session that has an initial map, or 700 of one without",
        )
    half1, half2, lowest, highest = rows[0]
    (first, pixel), (second, _) = (read_map(session_dir / str(name)) for name in (half1, half2))
    volumes = [torch.from_numpy(values) for values in (first, second)]
    box_angstrom = volumes[0].shape[0] * pixel
    found = local_resolution_angstrom(
        *volumes,
        pixel_size_angstrom=pixel,
        first_shell=max(1, math.floor(float(str(lowest)) * box_angstrom + 0.5)),
        last_shell=min(math.floor(float(str(highest)) * box_angstrom + 0.5), volumes[0].shape[0] // 2 - 1),
    )
    write_mrc(out, found.numpy(), pixel, is_volume=True)
    density = volumes[0] + volumes[1]
    dense = found[density > density.mean() + 2 * density.std()]
    low, high = (float(value) for value in np.percentile(dense.numpy(), (10, 90)))
    return low, high
