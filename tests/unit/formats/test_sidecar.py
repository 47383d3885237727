"""Pairing by name, also across roots, and reading by what the file is."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from frazil.config.errors import FormatError, RetryLaterError, UnsupportedFormatError
from frazil.models.formats.sidecar import is_sidecar, read_sidecar, sidecar_candidates, sidecar_key

EPU = "FoilHole_17102_Data_17055_12_20260214_181530"
MDOC = (
    "T = SerialEM: Scope 1   07-Dec-20  00:12:55\nVoltage = 300\n\n[FrameSet = 0]\nPixelSpacing = 0.83\n"
    "ExposureDose = 40\nNumSubFrames = 40\nSubFramePath = X:\\data\\x_1.tif\nDateTime = 07-Dec-20  00:38:42\n"
)
XML = (
    "<MicroscopeImage><microscopeData><gun><AccelerationVoltage>200000</AccelerationVoltage></gun>"
    "</microscopeData></MicroscopeImage>"
)


@pytest.mark.parametrize(
    ("movie", "sidecar"),
    [
        (f"{EPU}_Fractions.tiff", f"{EPU}.xml"),
        (f"{EPU}_fractions.mrc", f"{EPU}.xml"),
        (f"{EPU}_EER.eer", f"{EPU}.xml"),
        (f"{EPU}_EER.eer", f"{EPU}_EER.xml"),
        ("x_1.tif", "x_1.tif.mdoc"),
        ("x_1.tif", "x_1.mdoc"),
        ("SEMTest_001_00.38.38.mrc", "SEMTest_001_00.38.38.mrc.mdoc"),
        ("SEMTest_001_00.38.38.mrc", "SEMTest_001_00.38.38.mdoc"),
        ("A.TIF", "A.tif.mdoc"),
    ],
)
def test_movie_and_sidecar_have_one_key(movie: str, sidecar: str) -> None:
    assert sidecar_key(PurePosixPath(movie)) == sidecar_key(PurePosixPath(sidecar))
    assert is_sidecar(PurePosixPath(sidecar))
    assert not is_sidecar(PurePosixPath(movie))


def test_neighbours_have_different_keys() -> None:
    names = ["x_1.tif", "x_10.tif", "x_1.2.tif", "x_1_a.tif", "_EER.eer", f"{EPU}.xml", "SEMTest_00.38.38.mrc"]
    assert len({sidecar_key(PurePosixPath(name)) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("movie", "where"),
    [
        (f"Images-Disc1/GridSquare_1/Data/{EPU}_Fractions.tiff", f"raw/Images-Disc1/GridSquare_1/Data/{EPU}.xml"),
        (f"Images-Disc1/GridSquare_1/Data/{EPU}_EER.eer", f"epu/Images-Disc1/GridSquare_1/Data/{EPU}.xml"),
        (f"GridSquare_1/Data/{EPU}_EER.eer", f"epu/Images-Disc1/GridSquare_1/Data/{EPU}.xml"),
        (f"session/Images-Disc2/GridSquare_1/Data/{EPU}_EER.eer", f"epu/Images-Disc2/GridSquare_1/Data/{EPU}.xml"),
        (f"session/Images-Disc2/GridSquare_1/Data/{EPU}_EER.eer", f"epu/GridSquare_1/Data/{EPU}.xml"),
        (f"deep/{EPU}_EER.eer", f"epu/{EPU}.xml"),
        ("square1/x_1.tif", "raw/square1/x_1.tif.mdoc"),
        ("square1/x_1.tif", "raw/square1/x_1.mdoc"),
        ("square1/x_1.tif", "epu/square1/x_1.tif.mdoc"),
        ("square1/x_1_Fractions.tif", "raw/square1/x_1.xml"),
    ],
)
def test_the_sidecar_is_among_the_candidates(movie: str, where: str) -> None:
    raw, epu = Path("/s/raw"), Path("/s/epu")
    candidates = sidecar_candidates(movie, [raw, epu])
    assert Path("/s") / where in candidates
    assert len(candidates) == len(set(candidates))


def test_likely_places_come_first() -> None:
    root = Path("/s/raw")
    assert sidecar_candidates("q/x.tif", [root])[0] == root / "q/x.tif.mdoc"
    assert sidecar_candidates(f"q/{EPU}_EER.eer", [root])[0] == root / f"q/{EPU}.xml"


def test_same_name_in_two_folders_never_shares_a_sidecar() -> None:
    root, other = Path("/s/raw"), Path("/s/meta")
    first = set(sidecar_candidates("square1/x_1.tif", [root, other]))
    second = set(sidecar_candidates("square2/x_1.tif", [root, other]))
    assert not first & second


@pytest.mark.parametrize("movie", ["../x.tif", "/elsewhere/x.tif", "a/../../x.tif"])
def test_candidates_stay_below_the_roots(movie: str) -> None:
    with pytest.raises(ValueError, match=r"x\.tif"):
        sidecar_candidates(movie, [Path("/s/raw")])


def test_reading_by_suffix(tmp_path: Path) -> None:
    mdoc = tmp_path / "x_1.tif.mdoc"
    mdoc.write_text(MDOC)
    data = read_sidecar(mdoc)
    assert (data.pixel_size_angstrom, data.frame_count, data.dose_per_frame_e_per_a2) == (0.83, 40, 1.0)
    assert dict(data.sources)["voltage_kv"] == "sidecar x_1.tif.mdoc"
    xml = tmp_path / f"{EPU}.xml"
    xml.write_text(XML)
    assert read_sidecar(xml).voltage_kv == 200.0
    with pytest.raises(UnsupportedFormatError):
        read_sidecar(tmp_path / "x.json")


def test_mdoc_for_a_movie_with_an_epu_name_keeps_its_places(tmp_path: Path) -> None:
    path = tmp_path / "GridSquare_77" / f"{EPU}.mdoc"
    path.parent.mkdir()
    path.write_text(MDOC)
    data = read_sidecar(path)
    assert (data.grid_square, data.hole, data.beam_shift_group) == ("77", "17102", "17055")


def test_what_comes_later_and_what_never_will(tmp_path: Path) -> None:
    with pytest.raises(RetryLaterError):
        read_sidecar(tmp_path / "absent.xml")
    half = tmp_path / "half.xml"
    half.write_text(XML[:60])
    with pytest.raises(RetryLaterError):
        read_sidecar(half)
    page = tmp_path / "page.xml"
    page.write_text("<html/>")
    with pytest.raises(FormatError):
        read_sidecar(page)
