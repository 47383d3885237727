"""A session of EPU on disk as it grows: the atlas first, squares as they are imaged, holes as they are taken.

    OUT/Atlas/Sample<n>/Atlas/Atlas.dm, Atlas_1.mrc
    OUT/raw/EpuSession.dm, Metadata/GridSquare_<id>.dm, Images-Disc1/GridSquare_<id>/...

Files are put in place whole; they hold what EPU knows at that time and nothing of the truth.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from frazil.models.formats.atomic import atomic_path
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.simulation.grid import images
from frazil.models.simulation.grid.clock import MoveTimes
from frazil.models.simulation.grid.epu_dm import AREA_ID, SETTING_ID, HoleState, atlas_dm, session_dm, square_dm
from frazil.models.simulation.grid.epu_image import image_xml
from frazil.models.simulation.grid.images import Sheet, square_sheet
from frazil.models.simulation.grid.survey import BRIGHTEST, DARKEST, VACUUM_COUNTS, Brightness
from frazil.models.simulation.grid.truth import Flags, GridTruth

_ANGSTROM_PER_UM = 1e4
_SQUARE_MAGNIFICATION, _HOLE_MAGNIFICATION = 740, 5_300


class EpuFolder:
    """Writes below `out`; times are microseconds since 1970."""

    def __init__(
        self, out: Path, truth: GridTruth, times: MoveTimes, *, pictures: bool = True, sample: int = 1
    ) -> None:
        """`sample`: slot of the autoloader."""
        self._truth, self._times, self._pictures = truth, times, pictures
        self.raw, self._atlas = out / "raw", out / "Atlas" / f"Sample{sample}" / "Atlas"
        self._atlas_there = "\\".join((out.name, *self._atlas.relative_to(out).parts))
        self._holes: dict[int, list[HoleState]] = {}
        self._image: dict[int, str] = {}
        count = len(truth.holes)
        self.seen = Brightness(np.full(count, np.nan), np.full(count, np.nan))
        """Of holes whose square was imaged, measured in the image."""

    def begin(self, name: str, utc_us: int, *, output: str) -> None:
        """Atlas, session, a stub for every square."""
        sheet = images.atlas_sheet(self._truth)
        if self._pictures:
            self._write_picture(self._atlas / "Atlas_1.mrc", images.atlas_image(self._truth), sheet)
        _write_text(self._atlas / "Atlas.dm", atlas_dm(self._truth, utc_us))
        session = session_dm(self._truth, name, utc_us, self._times, output=output, atlas=self._atlas_there)
        _write_text(self.raw / "EpuSession.dm", session)
        for at in range(len(self._truth.squares)):
            self._write_square(at)

    def image_square(self, at: int, utc_us: int) -> None:
        """Take its image, find its holes, choose them by the filter."""
        truth, square = self._truth, self._truth.squares[at]
        picture, sheet = images.square_image(truth, at), square_sheet(truth, at)
        members = np.flatnonzero(truth.holes.square == at)
        found = images.measured(truth, at, picture)
        self.seen.mean[members], self.seen.sd[members] = found.mean, found.sd
        name = f"GridSquare_{stamp(utc_us)}"
        folder = self._folder(square.number)
        if self._pictures:
            self._write_picture(folder / f"{name}.mrc", picture, sheet)
        xml = image_xml(name, sheet, utc_us, magnification=_SQUARE_MAGNIFICATION, defocus_um=50.0, exposure_s=1.0)
        _write_text(folder / f"{name}.xml", xml)
        self._image[at] = name
        self._holes[at] = self._found(at, sheet)
        self._write_square(at)

    def _found(self, at: int, sheet: Sheet) -> list[HoleState]:
        truth, square, holes = self._truth, self._truth.squares[at], self._truth.holes
        states, order = [], 0
        for hole in np.flatnonzero(holes.square == at).tolist():
            x_um, y_um = square.x_um + float(holes.x_um[hole]), square.y_um + float(holes.y_um[hole])
            x_px, y_px = (float(part) for part in sheet.pixel(np.array(x_um), np.array(y_um)))
            near = bool(holes.bar_um[hole] < truth.settings.film.near_bar_um)
            share = float(self.seen.mean[hole]) / VACUUM_COUNTS
            selected = not near and DARKEST <= share <= BRIGHTEST
            states.append(HoleState(
                int(holes.number[hole]), x_px, y_px, x_um, y_um, float(self.seen.mean[hole]),
                float(self.seen.sd[hole]), near, selected, order if selected else -1,
            ))  # fmt: skip
            order += selected
        return states

    def chosen(self) -> Flags:
        """(holes,) of imaged squares, kept by the filter."""
        selected = {one.number for states in self._holes.values() for one in states if one.selected}
        return np.isin(self._truth.holes.number, list(selected))

    def centre_hole(self, hole: int, utc_us: int) -> None:
        """The image of a hole, just before it is exposed."""
        number, at = int(self._truth.holes.number[hole]), int(self._truth.holes.square[hole])
        state = next(one for one in self._holes[at] if one.number == number)
        name = f"FoilHole_{number}_{stamp(utc_us)}"
        folder = self._folder(self._truth.squares[at].number) / "FoilHoles"
        scale = ((-images.HOLE_UM_PER_PX, 0.0), (0.0, images.HOLE_UM_PER_PX))
        sheet = Sheet(images.HOLE_PX, images.HOLE_PX, state.x_um, state.y_um, scale)
        if self._pictures:
            self._write_picture(folder / f"{name}.mrc", images.hole_image(self._truth, hole), sheet)
        xml = image_xml(name, sheet, utc_us, magnification=_HOLE_MAGNIFICATION, defocus_um=15.0, exposure_s=0.5)
        _write_text(folder / f"{name}.xml", xml)
        self._set(at, replace(state, image=name))

    def exposed(self, hole: int, exposure: str) -> None:
        """The hole is done; `exposure` is the name of its movie without an ending."""
        number, at = int(self._truth.holes.number[hole]), int(self._truth.holes.square[hole])
        self._set(at, replace(next(one for one in self._holes[at] if one.number == number), exposure=exposure))
        self._write_square(at)

    def data_folder(self, hole: int) -> Path:
        """Where the hole's movie belongs, relative to `raw`."""
        square = self._truth.squares[int(self._truth.holes.square[hole])]
        return (self._folder(square.number) / "Data").relative_to(self.raw)

    def _set(self, at: int, state: HoleState) -> None:
        self._holes[at] = [state if one.number == state.number else one for one in self._holes[at]]

    def _folder(self, number: int) -> Path:
        return self.raw / "Images-Disc1" / f"GridSquare_{number}"

    def _write_square(self, at: int) -> None:
        order = list(self._image).index(at) if at in self._image else -1
        text = square_dm(self._truth, at, holes=self._holes.get(at, ()), image=self._image.get(at), order=order)
        _write_text(self.raw / "Metadata" / f"GridSquare_{self._truth.squares[at].number}.dm", text)

    @staticmethod
    def _write_picture(path: Path, picture: images.Picture, sheet: Sheet) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mrc(path, picture, sheet.um_per_px * _ANGSTROM_PER_UM)


def exposure_name(number: int, utc_us: int) -> str:
    """Of a movie, without what EPU adds.

    >>> exposure_name(5665438, 1_767_225_600_000_000)
    'FoilHole_5665438_Data_4601896_4601898_20260101_000000'
    """
    return f"FoilHole_{number}_Data_{AREA_ID}_{SETTING_ID}_{stamp(utc_us)}"


def stamp(utc_us: int) -> str:
    """As EPU puts times into names."""
    return f"{datetime.fromtimestamp(utc_us / 1e6, tz=UTC):%Y%m%d_%H%M%S}"


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
