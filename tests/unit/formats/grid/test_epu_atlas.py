"""The atlas of EPU: squares with their places on the grid."""

from __future__ import annotations

from pathlib import Path

import pytest
from grid_files import NAMESPACES, place, square_xml

from frazil.config.errors import FormatError, RetryLaterError
from frazil.models.formats.grid.affine import fit_pixel_to_stage
from frazil.models.formats.grid.epu_atlas import read_atlas
from frazil.models.formats.grid.epu_grid import find_atlas
from frazil.models.formats.grid.epu_session import read_epu_plan
from frazil.models.formats.grid.epu_square import read_grid_square
from frazil.models.formats.grid.windows_path import below


def node(number: int, stage: str, aligned: str, category: str = "<Category>2</Category>") -> str:
    return (
        f"<pair_hash><key>{number}</key><value><Id>{number}</Id>{aligned}{category}"
        "<FeatureVector><double>0.5</double><double>-1.5</double></FeatureVector><PositionOnTheAtlas><Center>"
        f"<x>100.5</x><y>200</y></Center><Physical><height>4E-05</height><width>5E-05</width></Physical>"
        f"</PositionOnTheAtlas>{stage}</value></pair_hash>"
    )


def atlas_xml(nodes: str, *, aligned: bool = True) -> str:
    transformation = "<Rotation>0.1</Rotation>" if aligned else ""
    nil = "" if aligned else ' i:nil="true"'
    tile = f"<TileXml><Nodes><KeyValuePairs>{nodes}</KeyValuePairs></Nodes></TileXml>"
    return (
        f"<AtlasSessionXml {NAMESPACES}><Atlas><AtlasAlignmentTransformation{nil}>{transformation}"
        "</AtlasAlignmentTransformation><AtlasImageReference><BaseFileName>Atlas_1</BaseFileName>"
        "<FileFormat>Mrc</FileFormat></AtlasImageReference><TilesEfficient>"
        # A square lies in two tiles; the list is padded.
        f'<_items>{tile}{tile}<TileXml i:nil="true"/></_items><_size>2</_size></TilesEfficient></Atlas>'
        "</AtlasSessionXml>"
    )


@pytest.mark.parametrize(("aligned", "expected"), [(True, (30.0, 40.0)), (False, (10.0, 20.0))])
def test_squares_lie_where_the_session_finds_them(tmp_path: Path, aligned: bool, expected: tuple[float, float]) -> None:
    path = tmp_path / "Sample3" / "Atlas" / "Atlas.dm"
    path.parent.mkdir(parents=True)
    one = node(7, place("StagePosition", 10.0, 20.0, 0.0), place("AlignedStagePosition", 30.0, 40.0, 0.0))
    path.write_text(atlas_xml(one, aligned=aligned))
    grid, square = read_atlas(path).targets
    assert (grid.level, grid.name, grid.image_path) == ("grid", "sample 3", "Atlas_1.mrc")
    assert (square.target_id, square.parent_id, square.state) == ("epu:square:7", grid.target_id, "seen")
    assert (square.stage_x_um, square.stage_y_um) == pytest.approx(expected)
    assert (square.x_in_parent_px, square.y_in_parent_px) == (100.5, 200.0)
    assert dict(square.features) == {
        "category_number": 2.0,
        "square_width_um": 50.0,
        "square_height_um": 40.0,
        "atlas_feature_1": 0.5,
        "atlas_feature_2": -1.5,
    }


def test_a_square_without_a_place_is_told(tmp_path: Path) -> None:
    path = tmp_path / "Atlas.dm"
    zero = place("StagePosition", 0.0, 0.0, 0.0), place("AlignedStagePosition", 0.0, 0.0, 0.0)
    path.write_text(atlas_xml(node(7, *zero, category='<Category i:nil="true"/>')))
    reading = read_atlas(path)
    assert reading.targets[1].stage_x_um is None
    assert "category_number" not in dict(reading.targets[1].features)
    assert [note.what for note in reading.notes] == ["gives no stage position of 1 square(s): 7"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "Atlas.dm"
    path.write_text(square_xml(""))
    with pytest.raises(FormatError):
        read_atlas(path)
    path.write_text("<AtlasSessionXml></AtlasSessionXml>")
    with pytest.raises(RetryLaterError):
        read_atlas(path)


def test_a_path_of_the_microscope_is_found_by_its_end(tmp_path: Path) -> None:
    said = r"X:\visit\epu\Supervisor_1\Sample4\Atlas\Atlas.dm"
    there = tmp_path / "moved" / "Sample4" / "Atlas" / "Atlas.dm"
    there.parent.mkdir(parents=True)
    there.write_text("")
    (tmp_path / "Atlas.dm").write_text("")  # of whatever session: a name alone proves nothing deeper down
    for root in (tmp_path / "moved", tmp_path):
        assert below(root, said) == there
    assert find_atlas(said, [tmp_path / "nowhere", tmp_path]) == there
    second = tmp_path / "copy" / "Sample4" / "Atlas" / "Atlas.dm"
    second.parent.mkdir(parents=True)
    second.write_text("")
    assert below(tmp_path, said) is None, "two end alike"
    assert below(tmp_path, r"X:\..\..\etc\[a-z]*") is None
    assert below(tmp_path, "") is None


def test_a_real_atlas(epu37: Path) -> None:
    plan = read_epu_plan(epu37 / "session" / "EpuSession.dm")
    path = find_atlas(plan.atlas_path, [epu37 / "session", epu37 / "Atlas"])
    assert path == epu37 / "Atlas" / "Sample4" / "Atlas" / "Atlas.dm"
    reading = read_atlas(path)
    squares = [one for one in reading.targets if one.level == "square"]
    assert (len(squares), reading.notes) == (222, ())
    assert {one.name for one in squares} == set(plan.samples[0].square_numbers)
    assert sum("category_number" not in dict(one.features) for one in squares) == 14
    fit = fit_pixel_to_stage(squares)
    assert fit is not None
    assert fit.um_per_px == pytest.approx(0.475, abs=0.01)
    assert fit.residual_um < 2.0
    # What EPU drives to is the aligned position: the square's own file says the same to the last digit.
    own = read_grid_square(epu37 / "session" / "Metadata" / "GridSquare_4590776.dm").targets[0]
    seen = next(one for one in squares if one.target_id == own.target_id)
    assert (seen.stage_x_um, seen.stage_y_um) == pytest.approx((own.stage_x_um, own.stage_y_um), abs=1e-9)


def test_a_real_plan(epu37: Path) -> None:
    plan = read_epu_plan(epu37 / "session" / "EpuSession.dm")
    assert (plan.clustering, plan.leaves_out_holes_near_bars, plan.wait_after_stage_s) == (False, True, 5.0)
    assert plan.hole_intensity_counts == pytest.approx((534.08, 1020.80), abs=0.01)
    assert len(plan.areas) == 4
    assert plan.areas[0].defocus_um == (3.0, 2.7, 2.4, 2.1, 1.9, 1.6, 1.3, 1.0)
    # Four shots within a hole of 2.1 um.
    assert all(0.3 < (area.x_um**2 + area.y_um**2) ** 0.5 < 0.5 for area in plan.areas)
