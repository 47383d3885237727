"""EPU's beam and image shift have no unit: groups always, a length only where a person tells the unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from frazil.config.loading import load_settings
from frazil.config.settings import Settings
from frazil.models.formats.acquisition import merge_metadata, resolve
from frazil.models.formats.sidecar import read_sidecar
from frazil.models.records import AcquisitionMetadata, ExposureFacts, MovieHeader

HEADER = MovieHeader("raw/x.tif", "tiff", 40, 64, 64, "uint8", pixel_size_angstrom=1.3)
KNOWN = {"microscope.voltage_kv": 300.0, "microscope.cs_mm": 2.7}
UNIT = "microscope.beam_shift_um_per_unit"
Saved = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """`saved(beam=(x, y), image=(x, y))`: an exposure's XML; None leaves the element out."""

    def make(beam: tuple[float, float] | None, image: tuple[float, float] | None) -> Path:
        said = (("BeamShift", beam), ("ImageShift", image))
        optics = "".join(f"<{name}><_x>{v[0]}</_x><_y>{v[1]}</_y></{name}>" for name, v in said if v is not None)
        path = tmp_path / "FoilHole_1_Data_2_3_20260101_101010.xml"
        path.write_text(
            f"<MicroscopeImage><microscopeData><acquisition><camera><ExposureTime>2</ExposureTime></camera></acquisition>"
            f"<optics>{optics}</optics></microscopeData></MicroscopeImage>"
        )
        return path

    return make


def _merged(path: Path, **flags: float) -> AcquisitionMetadata:
    settings = load_settings(flags=KNOWN | flags)
    return merge_metadata(settings=settings, header=HEADER, sidecar=read_sidecar(path))


def _exposure(path: Path, **flags: float) -> ExposureFacts:
    settings = load_settings(flags=KNOWN | flags)
    return resolve(
        merge_metadata(settings=settings, header=HEADER, sidecar=read_sidecar(path)), settings=settings
    ).exposure


def _shift(exposure: ExposureFacts) -> tuple[float | None, ...]:
    return exposure.image_shift_x_um, exposure.image_shift_y_um, exposure.shift_x_au, exposure.shift_y_au


def test_without_a_unit_no_shift_is_a_length(saved: Saved) -> None:
    assert _shift(_exposure(saved((0.1, -0.2), (0.0, 0.0)))) == (None, None, 0.1, -0.2)
    assert _shift(_exposure(saved((0.0, 0.0), (3e-6, 0.0)))) == (None, None, 3e-6, 0.0)
    assert _shift(_exposure(saved(None, (0.01, 0.02)))) == (None, None, 0.01, 0.02)
    assert _shift(_exposure(saved((0.1, 0.0), None))) == (None, None, 0.1, 0.0)
    assert _shift(_exposure(saved(None, None))) == (None, None, None, None)


def test_with_its_unit_the_beam_shift_is_a_length_and_says_where_from(saved: Saved) -> None:
    path = saved((0.1, -0.2), (0.3, 0.4))
    assert _shift(_exposure(path, **{UNIT: 24.7})) == (pytest.approx(2.47), pytest.approx(-4.94), None, None)
    source = dict(_merged(path, **{UNIT: 24.7}).sources)["image_shift_x_um"]
    assert source == f"BeamShift of sidecar {path.name} times {UNIT}"
    # The unit of BeamShift says nothing of ImageShift's.
    assert _shift(_exposure(saved(None, (0.01, 0.02)), **{UNIT: 24.7})) == (None, None, 0.01, 0.02)


def test_a_unit_that_makes_a_shift_no_microscope_has_is_told(saved: Saved) -> None:
    metadata = _merged(saved((0.1, 0.2), None), **{UNIT: 1e6})
    assert (metadata.image_shift_x_um, metadata.image_shift_y_um) == (None, None)
    assert [name for name, _ in metadata.not_used] == ["image_shift_x_um", "image_shift_y_um"]
    assert UNIT in metadata.not_used[0][1]


def test_four_metres_are_told_and_move_nothing(saved: Saved) -> None:
    usual = _merged(saved((0.1, -0.2), (0.0, 0.0)))
    wrong = _merged(saved((0.1, -0.2), (4.0, 0.0)))
    ((name, reason),) = wrong.not_used
    assert name == "image_shift_x_au"
    assert "is 4 (sidecar FoilHole_1_Data_2_3_20260101_101010.xml)" in reason
    assert _exposure(saved((0.1, -0.2), (4.0, 0.0))) == _exposure(saved((0.1, -0.2), (0.0, 0.0)))
    gone = replace(wrong, not_used=(), image_shift_x_au=0.0, image_shift_y_au=0.0, sources=usual.sources)
    assert gone == usual


def test_metres_of_an_older_session_are_forgotten() -> None:
    """A row of before: 1e-6 of EPU's ImageShift was stored as 1 um."""
    row = AcquisitionMetadata(image_shift_x_um=1.0, image_shift_y_um=2.0, beam_shift_x_au=0.1, beam_shift_y_au=0.2)
    metadata = merge_metadata(settings=Settings(), header=HEADER, sidecar=row)
    assert (metadata.image_shift_x_um, metadata.image_shift_y_um) == (None, None)
    assert (metadata.beam_shift_x_au, metadata.beam_shift_y_au) == (0.1, 0.2)


def test_serialem_speaks_in_micrometres() -> None:
    mdoc = AcquisitionMetadata(image_shift_x_um=1.0, image_shift_y_um=2.0)
    metadata = merge_metadata(settings=Settings(), header=HEADER, sidecar=mdoc)
    assert (metadata.image_shift_x_um, metadata.image_shift_y_um) == (1.0, 2.0)
