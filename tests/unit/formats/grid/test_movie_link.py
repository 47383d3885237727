"""Movies find their place on the grid: by name, by label, by table, by the stage, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from grid_files import hole_xml, square_xml

from frazil.models.formats.grid.epu_square import read_grid_square
from frazil.models.formats.grid.hand_back import ranked_csv
from frazil.models.formats.grid.leginon_names import leginon_targets
from frazil.models.formats.grid.movie_link import (
    MovieLink,
    SerialemPlace,
    TargetIndex,
    UmPerShift,
    link_movie,
    serialem_place,
)
from frazil.models.formats.grid.navigator import parse_navigator
from frazil.models.formats.grid.navigator_targets import navigator_targets
from frazil.models.formats.grid.navigator_write import RankedTarget
from frazil.models.formats.grid.reading import GridReading
from frazil.models.formats.grid.target_list import read_target_list
from frazil.models.grid_target import GridTarget
from frazil.models.records import AcquisitionMetadata

NOTHING = AcquisitionMetadata()
EPU_MOVIE = "Images-Disc1/GridSquare_77/Data/FoilHole_501_Data_9_10_20240406_102527_Fractions.tiff"


def epu(tmp_path: Path) -> GridReading:
    path = tmp_path / "GridSquare_77.dm"
    taken = ["FoilHole_501_Data_9_10_20240406_102527"]
    at = (10.0, 10.0), (1.0, 2.0)
    path.write_text(square_xml(hole_xml(501, *at[0], at[1], exposures=taken) + hole_xml(502, *at[0], (4.0, 2.0))))
    return read_grid_square(path)


def at(x_um: float, y_um: float, **said: object) -> AcquisitionMetadata:
    return AcquisitionMetadata(stage_x_um=x_um, stage_y_um=y_um, **said)


def test_names_of_epu(tmp_path: Path) -> None:
    index = TargetIndex(epu(tmp_path).targets)
    named = link_movie(EPU_MOVIE, NOTHING, index)
    assert named == MovieLink("epu:exposure:FoilHole_501_Data_9_10_20240406_102527", "EPU name")
    later = link_movie("Data/FoilHole_502_Data_9_10_20240406_112527_EER.eer", NOTHING, index)
    assert later.target_id == "epu:hole:502", "not in the square's file yet"
    unknown = link_movie("Data/FoilHole_503_Data_9_10_20240406_112527_EER.eer", at(1.0, 2.0), index)
    assert (unknown.target_id, unknown.how) == (None, "none"), "its name says another hole than the one that is near"
    assert "503" in unknown.reason


NAV = """AdocVersion = 2.00

[Item = 78-1]
StageXYZ = 100 200 3
Type = 0
MapID = 100001
HoleArray = 3 3

[Item = 78-2]
StageXYZ = 150 200 3
Type = 0
MapID = 100002

[Item = 78-2]
StageXYZ = 500 200 3
Type = 0
MapID = 100003
"""


def test_labels_of_serialem() -> None:
    index = TargetIndex(navigator_targets(parse_navigator(NAV, Path("a.nav")), "a.nav").targets)
    hole = link_movie("a.tif", at(101.0, 201.0), index, serialem=SerialemPlace("78-1", "-1 1", 0))
    assert hole == MovieLink("serialem:item:100001:-1 1", "navigator label")
    patch = link_movie("a.tif", AcquisitionMetadata(hole="78-1"), index)
    assert (patch.target_id, patch.how) == ("serialem:item:100001", "navigator label")
    assert "which hole" in patch.reason
    # A label that two items have: the stage tells them apart, and nothing else does.
    assert link_movie("a.tif", at(499.0, 201.0, hole="78-2"), index).target_id == "serialem:item:100003"
    for metadata in (AcquisitionMetadata(hole="78-2"), at(300.0, 200.0, hole="78-2"), at(150.0, 500.0, hole="78-1")):
        link = link_movie("a.tif", metadata, index)
        assert link.target_id is None
        assert "near its stage position" in link.reason


def test_what_an_mdoc_says_of_the_place(tmp_path: Path) -> None:
    path = tmp_path / "a.tif.mdoc"
    body = "[FrameSet = 0]\nNavigatorLabel = 78-1\nMultishotHoleAndPosition = {}\nPixelSpacing = 1\nNumSubFrames = 40\n"
    end = "SubFramePath = X:\\a.tif\nDateTime = 05-Sep-19  11:24:48\n"
    for said, place in (
        ("-1 2 0", SerialemPlace("78-1", "-1 2", 0)),
        ("1 1", SerialemPlace("78-1", "1", 1)),
        ("R1H2-0", SerialemPlace("78-1")),
        ("1", SerialemPlace("78-1")),
    ):
        path.write_text(body.format(said) + end)
        assert serialem_place(path, movie_name="a.tif") == place


def test_names_of_leginon() -> None:
    name = "s_g_00021gr_00007sq_v01_00002hl_v01_00002en-a.mrc"
    chain = leginon_targets(name)
    assert [one.level for one in chain] == ["grid", "area", "square", "patch", "exposure"]
    assert [one.parent_id for one in chain] == [None, *(one.target_id for one in chain[:-1])]
    # The version belongs to the level before it.
    assert chain[2].name == "s_g_00021gr_00007sq_v01"
    assert chain[3].name == "s_g_00021gr_00007sq_v01_00002hl_v01"
    assert chain[-1].order == 1
    assert link_movie(f"frames/{name}", NOTHING, TargetIndex(chain)).target_id == chain[-1].target_id
    assert link_movie(f"frames/{name}", NOTHING, TargetIndex(chain[:4])).target_id == chain[3].target_id


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("s_g_Square1_00021gr_holes_00007sq_00003enn.frames.mrc", None),
        ("20may08a_b_00021gr_00007sq_v02_00003hln_00004enn-DW.mrc", ["grid", "area", "square", "patch", "exposure"]),
        ("s_00004sq_00003exa_v01.tif", ["grid", "square", "exposure"]),
        ("s_g_00021gr_00007sq_00002hl.mrc", []),
        ("s_g_00021gr_00007sq_00002hl_00001fc.mrc", []),
        ("FoilHole_5_Data_6_7_20240406_102527.tiff", []),
        ("movie_00001.tif", []),
        ("00001gr_00002en.mrc", []),
        ("", []),
    ],
)
def test_only_exposures_of_leginon_are_taken_for_such(name: str, levels: list[str] | None) -> None:
    found = [one.level for one in leginon_targets(name)]
    assert found == (levels if levels is not None else found)
    assert found == [] or found[-1] == "exposure"


LIST = """Name,Square,group,ice,x_um,y_um,x_px,y_px,diameter_um,state,thickness_nm,remark
h1,S1,g,0.4,1,2,100,200,1.2,,30,nice
h2,S1,g,nan,4,2,,,,avoided,,
h1,S2,,,50,2,,,,dreaming,,
,,,,,,,,,,,
"""


def test_a_table_of_targets(tmp_path: Path) -> None:
    path = tmp_path / "targets.csv"
    path.write_text("\ufeff" + LIST, encoding="utf-8")
    reading = read_target_list(path)
    by_id = {one.target_id: one for one in reading.targets}
    assert list(by_id) == ["list:square:S1", "list:square:S2", *(f"list:hole:{n}" for n in ("S1/h1", "S1/h2", "S2/h1"))]
    hole = by_id["list:hole:S1/h1"]
    assert (hole.parent_id, hole.group, hole.state, hole.order) == ("list:square:S1", "list:group:S1/g", "chosen", 0)
    assert (hole.x_in_parent_px, hole.y_in_parent_px, hole.stage_x_um, hole.diameter_um) == (100.0, 200.0, 1.0, 1.2)
    assert dict(hole.features) == {"ice": 0.4, "thickness_nm": 30.0}
    assert (by_id["list:hole:S1/h2"].state, by_id["list:hole:S1/h2"].order) == ("avoided", None)
    whats = " ".join(note.what for note in reading.notes)
    for word in ("remark is 'nice'", "ice is 'nan'", "state 'dreaming'"):
        assert word in whats


def test_holes_of_a_table_are_found_by_name_and_square(tmp_path: Path) -> None:
    path = tmp_path / "targets.csv"
    path.write_text(LIST)
    index = TargetIndex(read_target_list(path).targets)
    assert link_movie("x/h2_Fractions.tiff", NOTHING, index) == MovieLink("list:hole:S1/h2", "name")
    assert link_movie("a.tif", AcquisitionMetadata(hole="h1", grid_square="S2"), index).target_id == "list:hole:S2/h1"
    assert link_movie("a.tif", AcquisitionMetadata(hole="h1"), index).target_id is None


def test_the_stage_decides_only_where_it_is_clear(tmp_path: Path) -> None:
    index = TargetIndex(epu(tmp_path).targets)
    assert link_movie("a.tif", at(1.3, 2.2), index) == MovieLink("epu:hole:501", "stage")
    assert link_movie("a.tif", at(2.5, 2.0), index).reason == "no hole lies within 1 um of its stage position"
    assert link_movie("a.tif", at(2.5, 2.0), index, tolerance_um=2.0).target_id is None, "two are as near"
    assert link_movie("a.tif", NOTHING, index).target_id is None
    assert link_movie("a.tif", NOTHING, TargetIndex(())).target_id is None
    assert link_movie("a.tif", at(1.0, 2.0), TargetIndex(())).target_id is None


def test_a_shifted_beam_needs_its_calibration(tmp_path: Path) -> None:
    index = TargetIndex(epu(tmp_path).targets)
    shifted = at(1.0, 2.0, beam_shift_x_au=0.0, beam_shift_y_au=0.125)
    assert "unit is not known" in link_movie("a.tif", shifted, index).reason
    # 0.125 along y is 3 um along the stage's x.
    matrix: UmPerShift = ((0.0, 24.0), (-24.0, 0.0))
    assert link_movie("a.tif", shifted, index, um_per_shift=matrix).target_id == "epu:hole:502"
    in_um = at(1.0, 2.0, image_shift_x_um=3.0, image_shift_y_um=0.0)
    assert "axes that are not known" in link_movie("a.tif", in_um, index).reason


def test_a_list_for_a_person_at_epu() -> None:
    hole = GridTarget("h", "hole", "epu", "501", "epu:square:77", x_in_parent_px=1.5, y_in_parent_px=2.0)
    text = ranked_csv([RankedTarget(hole, "thin ice,\nfar from bars"), RankedTarget(hole, "=1+1")])
    assert text.splitlines() == [
        "rank,square,hole,x_in_square_px,y_in_square_px,stage_x_um,stage_y_um,reason",
        '1,77,501,1.50,2.00,,,"thin ice, far from bars"',
        "2,77,501,1.50,2.00,,,'=1+1",
    ]


def test_every_exposure_of_a_real_square_finds_itself(epu37: Path) -> None:
    reading = read_grid_square(epu37 / "session" / "Metadata" / "GridSquare_4590776.dm")
    index = TargetIndex(reading.targets)
    exposures = [one for one in reading.targets if one.level == "exposure"]
    links = [link_movie(f"Images-Disc1/Data/{one.name}_Fractions.tiff", NOTHING, index) for one in exposures]
    assert [link.target_id for link in links] == [one.target_id for one in exposures]
    # And by the stage alone, each hole finds itself.
    holes = [one for one in reading.targets if one.level == "hole"]
    found = [link_movie("a.tif", at(one.stage_x_um, one.stage_y_um), index).target_id for one in holes]
    assert found == [one.target_id for one in holes]
