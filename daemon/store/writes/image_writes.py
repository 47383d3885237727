"""What is written of images of squares and of the ice by them. Idempotent, without clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields

from frazil.daemon.store.engine import Connection
from frazil.daemon.store.image_rows import HoleIceRow, HoleImageRow, IceCalibrationRow, SquareImageRow
from frazil.daemon.store.writes.target_writes import upsert

AT_ONCE = 5000
_KINDS = {"str": "TEXT", "int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN"}


def _columns(row: type) -> dict[str, str]:
    return {field.name: _KINDS[str(field.type).split(" ", maxsplit=1)[0]] for field in fields(row)}


_SQUARES, _HOLES = _columns(SquareImageRow), _columns(HoleImageRow)
_ICE, _CALIBRATIONS = _columns(HoleIceRow), _columns(IceCalibrationRow)


def record_image(connection: Connection, row: SquareImageRow, holes: Sequence[HoleImageRow]) -> None:
    """What an image shows, in place of what an earlier one of the same square did."""
    connection.execute("DELETE FROM hole_images WHERE square_id = ?", [row.square_id])
    upsert(connection, "hole_images", _HOLES, [astuple(hole) for hole in holes], key=("hole_id",))
    upsert(connection, "square_images", _SQUARES, [astuple(row)], key=("square_id",))


def record_ice(connection: Connection, rows: Sequence[HoleIceRow]) -> None:
    """How thick the ice of these holes is."""
    upsert(connection, "hole_ice", _ICE, [astuple(row) for row in rows], key=("hole_id",))


def record_calibration(connection: Connection, row: IceCalibrationRow) -> None:
    """What images of one kind are calibrated by."""
    upsert(connection, "ice_calibrations", _CALIBRATIONS, [astuple(row)], key=("kind",))
