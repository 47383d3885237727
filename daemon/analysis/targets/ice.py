"""Ice in nm of every hole that an image shows: calibrated again when exposures, images or their zero say more."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from frazil.daemon.analysis.targets.exposed_ice import ExposedIce, HoleIce
from frazil.daemon.store.image_rows import HoleIceRow, IceCalibrationRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import image_writes
from frazil.models.hole_images.ice_calibration import (
    Brightness,
    Exposed,
    IceByBrightness,
    Reference,
    ice_by_brightness,
)

_HOLES_SQL = """
SELECT s.kind, h.square_id, h.hole_id, h.ln_intensity, h.ln_intensity_sd, h.u, h.v
FROM hole_images h JOIN square_images s USING (square_id) ORDER BY s.kind, h.square_id, h.hole_id
"""
_EMPTY_SQL = """
SELECT square_id, empty_ln_intensity, empty_ln_intensity_sd, empty_u, empty_v FROM square_images
WHERE empty_ln_intensity IS NOT NULL ORDER BY square_id
"""
_ICE_SQL = "SELECT hole_id, ice_nm, ice_sd_nm FROM hole_ice WHERE ice_nm IS NOT NULL"
_STEP = 0.1
"""Of a hole's error, and of a nm: what changes by less is not written again."""


@dataclass(slots=True)
class IceByImages:
    """See the module."""

    store: Store
    session_dir: Path
    utc_us: Callable[[], int]
    stop: Callable[[], bool]
    version: int = 0
    """Counts up when a hole's ice has changed."""
    _exposed: ExposedIce = field(init=False)
    _made_from: object = None
    _written: dict[str, tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        self._exposed = ExposedIce(self.store, self.session_dir)

    def changed(self, movie_id: str) -> None:
        """This movie has another result."""
        self._exposed.changed(movie_id)

    def calibrate(self, images_version: int, *, everything: bool) -> bool:
        """Make it again if something has changed; whether all that is known was in it. Raises what the store raises."""
        exposed = self._exposed.read(everything=everything)
        made_from = images_version, tuple(exposed)
        if made_from == self._made_from:
            return self._exposed.complete
        if self._written is None:
            self._written = {str(hole): (float(nm), float(sd)) for hole, nm, sd in self.store.rows(_ICE_SQL)}
        kinds: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for kind, *row in self.store.rows(_HOLES_SQL):
            kinds[str(kind)].append(tuple(row))
        empties = {str(row[0]): row[1:] for row in self.store.rows(_EMPTY_SQL)}
        now: dict[str, tuple[float, float]] = {}
        for kind, rows in kinds.items():
            zero_sd_nm, ice = calibrated(rows, exposed, empties)
            self._keep(kind, len(rows), ice, zero_sd_nm)
            told = zip(rows, ice.ice_nm.tolist(), ice.ice_sd_nm.tolist(), strict=True)
            now |= {str(row[1]): (nm, sd) for row, nm, sd in told if math.isfinite(nm)}
        self._write(now)
        self._made_from = made_from
        return self._exposed.complete

    def _keep(self, kind: str, holes: int, ice: IceByBrightness, zero_sd_nm: float | None) -> None:
        length, sd, correlation = (
            value if math.isfinite(value) else None for value in (ice.length_nm, ice.length_sd_nm, ice.correlation)
        )
        row = IceCalibrationRow(
            kind, holes, ice.exposures, ice.references, length, sd, correlation, zero_sd_nm, ice.refused, self.utc_us()
        )
        if not self.stop():
            self.store.write(WritePolicy.DURABLE, image_writes.record_calibration, row)

    def _write(self, now: dict[str, tuple[float, float]]) -> None:
        """Only what has changed enough to be seen."""
        assert self._written is not None
        rows = [HoleIceRow(hole_id, nm, sd) for hole_id, (nm, sd) in now.items() if self._is_news(hole_id, nm, sd)]
        rows += [HoleIceRow(hole_id, None, None) for hole_id in self._written.keys() - now.keys()]
        for first in range(0, len(rows), image_writes.AT_ONCE):
            if self.stop():
                return
            some = rows[first : first + image_writes.AT_ONCE]
            self.store.write(WritePolicy.DURABLE, image_writes.record_ice, some)
            for row in some:
                if row.ice_nm is None or row.ice_sd_nm is None:
                    del self._written[row.hole_id]
                else:
                    self._written[row.hole_id] = row.ice_nm, row.ice_sd_nm
        self.version += bool(rows)

    def _is_news(self, hole_id: str, nm: float, sd: float) -> bool:
        before = (self._written or {}).get(hole_id)
        step = _STEP * max(sd, 1.0)
        return before is None or abs(before[0] - nm) > step or abs(before[1] - sd) > step


def calibrated(
    rows: Sequence[tuple[Any, ...]], exposed: Sequence[HoleIce], empties: Mapping[str, Sequence[Any]]
) -> tuple[float | None, IceByBrightness]:
    """Of images of one kind: rows of (square, hole, ln intensity, its sd, u, v). Also the error of all exposures'
    thicknesses together; None: there are none."""
    number: dict[str, int] = {}
    image = np.array([number.setdefault(str(row[0]), len(number)) for row in rows], dtype=np.intp)
    table = np.array([[np.nan if value is None else value for value in row[2:6]] for row in rows], dtype=np.float64)
    at = {str(row[1]): place for place, row in enumerate(rows)}
    mine = [one for one in exposed if one.hole_id in at]
    zero_sd_nm = max((one.zero_sd_nm for one in mine), default=None)
    references = [
        Reference(number[square_id], *map(float, values))
        for square_id, values in empties.items()
        if square_id in number
    ]
    told = Exposed(
        np.array([at[one.hole_id] for one in mine], dtype=np.intp),
        np.array([one.thickness_nm for one in mine]),
        np.array([one.own_sd_nm for one in mine]),
        zero_sd_nm or 0.0,
    )
    return zero_sd_nm, ice_by_brightness(Brightness(image, *table.T), told, references)
