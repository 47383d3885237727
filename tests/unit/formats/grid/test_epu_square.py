"""Squares and holes of EPU: what the files say, in our units, and what becomes of files that are not whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from grid_files import NAMESPACES, hole_xml, image_xml, square_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from frazil.config.errors import FormatError, FrazilError, HeaderLimitError, RetryLaterError
from frazil.models.formats.grid.affine import fit_pixel_to_stage
from frazil.models.formats.grid.epu_grid import read_epu_grid
from frazil.models.formats.grid.epu_images import read_hole_image, read_square_image
from frazil.models.formats.grid.epu_session import read_epu_plan
from frazil.models.formats.grid.epu_square import read_grid_square
from frazil.models.grid_target import GridTarget

EXPOSURE = "FoilHole_{hole}_Data_9_10_20240406_102527"


def stage_um(x_px: float, y_px: float) -> tuple[float, float]:
    """Known truth: axes swapped, one mirrored, pixels not square."""
    return 5.0 + 0.003 * x_px + 0.0415 * y_px, -7.0 - 0.0402 * x_px + 0.002 * y_px


def square_of(*holes: str, lacey: bool = False, number: int = 77) -> str:
    return square_xml("".join(holes), lacey=lacey, number=number)


def some_holes(count: int = 6, **said: object) -> list[str]:
    places = [(100.0 * k, 70.0 * k * k % 900) for k in range(count)]
    return [hole_xml(500 + k, *at, stage_um(*at), order=k, primary=500 + k, **said) for k, at in enumerate(places)]


def read(tmp_path: Path, text: str, name: str = "GridSquare_77.dm") -> tuple[dict[str, GridTarget], list[str]]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    reading = read_grid_square(path)
    return {one.target_id: one for one in reading.targets}, [note.what for note in reading.notes]


@pytest.mark.parametrize("lacey", [False, True])
def test_holes_come_with_their_places_in_um_and_pixels(tmp_path: Path, lacey: bool) -> None:
    targets, notes = read(tmp_path, square_of(*some_holes(), lacey=lacey))
    assert notes == []
    square, hole = targets["epu:square:77"], targets["epu:hole:503"]
    assert (square.parent_id, square.state, square.order, square.stage_x_um) == ("epu:grid", "chosen", 3, 10.0)
    assert dict(square.features) == {"hole_spacing_um": 2.5}
    assert (hole.parent_id, hole.level, hole.order, hole.group) == (square.target_id, "hole", 3, None)
    assert (hole.x_in_parent_px, hole.y_in_parent_px) == (300.0, 630.0)
    assert (hole.stage_x_um, hole.stage_y_um) == pytest.approx(stage_um(300.0, 630.0))
    assert hole.stage_z_um == pytest.approx(90.0)
    # 50 px, at the root of the area that a pixel covers.
    assert hole.diameter_um == pytest.approx(50 * (0.0415 * 0.0402 + 0.003 * 0.002) ** 0.5)
    assert dict(hole.features) == {"intensity_mean_counts": 700.5, "intensity_sd_counts": 20.0, "near_grid_bar": 0.0}


def test_states_are_what_epu_says_and_not_what_we_make_of_it(tmp_path: Path) -> None:
    at = (10.0, 20.0), stage_um(10.0, 20.0)
    holes = [
        hole_xml(1, *at[0], at[1], selected=False),
        hole_xml(2, *at[0], at[1], selected=False, near_bar=True),
        hole_xml(3, *at[0], at[1]),
        hole_xml(4, *at[0], at[1], state="InProgress"),
        hole_xml(5, *at[0], at[1], state="Completed"),
        hole_xml(6, *at[0], at[1], state="InProgress", exposures=[EXPOSURE.format(hole=6)]),
        hole_xml(7, *at[0], at[1], state="Skipped"),
        hole_xml(8, *at[0], at[1], state="Dreaming"),
    ]
    targets, notes = read(tmp_path, square_of(*holes))
    states = [targets[f"epu:hole:{number}"].state for number in range(1, 9)]
    assert states == ["seen", "seen", "chosen", "chosen", "exposed", "exposed", "avoided", "chosen"]
    assert dict(targets["epu:hole:2"].features)["near_grid_bar"] == 1.0
    assert targets["epu:hole:1"].order is None
    exposure = targets[f"epu:exposure:{EXPOSURE.format(hole=6)}"]
    assert (exposure.level, exposure.parent_id, exposure.state) == ("exposure", "epu:hole:6", "exposed")
    assert targets["epu:square:77"].state == "exposed"
    assert len(notes) == 1
    assert "'Dreaming'" in notes[0]


def test_a_corrected_position_counts_and_does_not_bend_the_map(tmp_path: Path) -> None:
    holes = some_holes()
    holes[2] = hole_xml(502, 200.0, 280.0, stage_um(200.0, 280.0), corrected_um=(1.25, -3.5))
    targets, notes = read(tmp_path, square_of(*holes))
    assert (targets["epu:hole:502"].stage_x_um, targets["epu:hole:502"].stage_y_um) == (1.25, -3.5)
    assert notes == []


def test_holes_of_a_cluster_share_a_group(tmp_path: Path) -> None:
    at = (10.0, 20.0), stage_um(10.0, 20.0)
    holes = [hole_xml(n, *at[0], at[1], primary=p) for n, p in ((1, 1), (2, 1), (3, 3), (4, None))]
    targets, _ = read(tmp_path, square_of(*holes))
    groups = [targets[f"epu:hole:{n}"].group for n in range(1, 5)]
    assert groups == ["epu:cluster:1", "epu:cluster:1", None, None]


def test_a_stage_that_does_not_follow_the_image_is_told(tmp_path: Path) -> None:
    holes = [*some_holes(8), hole_xml(599, 400.0, 400.0, (90.0, 90.0))]
    _, notes = read(tmp_path, square_of(*holes))
    assert len(notes) == 1
    assert "do not follow the image" in notes[0]


def test_a_hole_twice_is_told_and_the_later_one_counts(tmp_path: Path) -> None:
    holes = [*some_holes(), hole_xml(501, 1.0, 2.0, stage_um(1.0, 2.0))]
    targets, notes = read(tmp_path, square_of(*holes))
    assert targets["epu:hole:501"].x_in_parent_px == 1.0
    assert any("501" in note for note in notes)


def test_numbers_that_are_none_are_not_known(tmp_path: Path) -> None:
    holes = [hole_xml(1, 5.0, 5.0, (1.0, 2.0), mean="NaN"), hole_xml(2, float("nan"), 1.0, (float("inf"), 1.0))]
    targets, _ = read(tmp_path, square_of(*holes))
    assert "intensity_mean_counts" not in dict(targets["epu:hole:1"].features)
    assert (targets["epu:hole:2"].x_in_parent_px, targets["epu:hole:2"].stage_x_um) == (None, None)


def test_an_early_stub_is_a_square_without_holes(tmp_path: Path) -> None:
    targets, notes = read(tmp_path, square_of())
    assert (list(targets), notes) == (["epu:square:77"], [])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_file_cut_anywhere_is_being_written(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = square_of(*some_holes(2)).encode()
    path = tmp_path_factory.mktemp("cut") / "GridSquare_77.dm"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(RetryLaterError):
        read_grid_square(path)
    # Rewritten in place: the end of a longer version behind a new one.
    path.write_bytes(whole + whole[data.draw(st.integers(60, len(whole) - 2)) :])
    with pytest.raises(RetryLaterError):
        read_grid_square(path)


def test_what_no_instrument_writes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "GridSquare_1.dm"
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + square_of().partition("?>")[2]
    for text, error in ((bomb, FormatError), ("<Other/>", FormatError), ("<a>" * 100, HeaderLimitError)):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(error):
            read_grid_square(path)
    with pytest.raises(RetryLaterError):
        read_grid_square(tmp_path / "missing.dm")


def test_references_within_a_file_are_followed_once(tmp_path: Path) -> None:
    # EPU's elements refer to each other, to what they lie in as well.
    area = (
        "<x><key>4</key><value><ImageAcquisitionSettingXml>{defocus}<ExposureTime>2</ExposureTime>"
        "</ImageAcquisitionSettingXml><ShiftInPixels><height>0</height><width>100</width></ShiftInPixels></value></x>"
    )
    first = area.format(defocus='<Defocus z:Id="9"><double>-1E-06</double><double>-2E-06</double></Defocus>')
    second = area.replace("<key>4", "<key>5").format(defocus='<Defocus z:Ref="9" i:nil="true"/>')
    matrix = "<matrix><_m11>-1E-08</_m11><_m12>0</_m12><_m21>0</_m21><_m22>1E-08</_m22></matrix>"
    text = (
        f'<EpuSessionXml {NAMESPACES} z:Id="1"><Session z:Ref="1" i:nil="true"/>'
        "<ClusteringMode>ClusteringWithImageBeamShift</ClusteringMode><ClusteringRadius>1.2E-05</ClusteringRadius>"
        "<Samples><_items><SampleXml><AtlasId>Z:\\v\\Sample2\\Atlas\\Atlas.dm</AtlasId>"
        "<FilterHolesSettings><MinimumIntensity>500</MinimumIntensity><MaximumIntensity>900</MaximumIntensity>"
        "</FilterHolesSettings><FilterGridSquaresSettings><MinimumIntensity>0</MinimumIntensity>"
        "<MaximumIntensity>65535</MaximumIntensity></FilterGridSquaresSettings>"
        f"<TargetAreaTemplate><DataAcquisitionAreas><m_serializationArray>{first}{second}</m_serializationArray>"
        f"</DataAcquisitionAreas><PhysicalTransformation>{matrix}</PhysicalTransformation>"
        "<DelayAfterStageShift>5</DelayAfterStageShift></TargetAreaTemplate></SampleXml>"
        '<SampleXml i:nil="true"/></_items><_size>1</_size></Samples></EpuSessionXml>'
    )
    path = tmp_path / "EpuSession.dm"
    path.write_text(text, encoding="utf-8")
    plan = read_epu_plan(path)
    assert [area.defocus_um for area in plan.areas] == [(1.0, 2.0), (1.0, 2.0)]
    assert [(area.x_um, area.y_um) for area in plan.areas] == [pytest.approx((-1.0, 0.0))] * 2
    assert (plan.clustering, plan.cluster_radius_um, plan.wait_after_stage_s) == (True, 12.0, 5.0)
    assert (plan.hole_intensity_counts, plan.square_intensity_counts) == ((500.0, 900.0), None)


def test_images_say_where_the_stage_was_and_what_was_found(tmp_path: Path) -> None:
    folder = tmp_path / "Images-Disc1" / "GridSquare_77"
    (folder / "FoilHoles").mkdir(parents=True)
    square_file = folder / "GridSquare_20240406_102420.xml"
    square_file.write_text(image_xml(3.0, -4.0))
    square = read_square_image(square_file, "a.jpg")
    assert (square.target_id, square.stage_x_um, square.stage_y_um) == ("epu:square:77", 3.0, -4.0)
    assert (square.image_width_px, square.image_height_px, square.image_path) == (2880, 2046, "a.jpg")
    assert square.acquired_utc_us == 1712395457850000
    hole_file = folder / "FoilHoles" / "FoilHole_500_20240406_102451.xml"
    found = "<Quality>0.79</Quality><Size><height>770</height><width>770</width></Size>"
    hole_file.write_text(image_xml(3.0, -4.0, found=found))
    hole = read_hole_image(hole_file)
    assert hole.diameter_um == pytest.approx(770 * 16e-4)
    assert (hole.parent_id, dict(hole.features)) == ("epu:square:77", {"centre_quality": 0.79})
    assert hole.stage_x_um is None
    with pytest.raises(FormatError):
        read_square_image(tmp_path / "GridSquare_20240406_102420.xml")


def test_a_session_is_put_together_from_what_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "Metadata").mkdir()
    (tmp_path / "Metadata" / "GridSquare_77.dm").write_text(square_of(*some_holes()))
    (tmp_path / "Metadata" / "GridSquare_78.dm").write_text(square_of(*some_holes(), number=78)[:700])
    folder = tmp_path / "Images-Disc1" / "GridSquare_77"
    folder.mkdir(parents=True)
    for name, x_um in (("GridSquare_20240406_102420", 1.0), ("GridSquare_20240406_112420", 2.0)):
        (folder / f"{name}.xml").write_text(image_xml(x_um, 0.0))
    (folder / "GridSquare_20240406_112420.jpg").write_bytes(b"")
    reading = read_epu_grid(tmp_path)
    square = next(one for one in reading.targets if one.level == "square")
    assert square.stage_x_um == 2.0, "the newest image tells where the stage was"
    assert square.image_path == "Images-Disc1/GridSquare_77/GridSquare_20240406_112420.jpg"
    assert (square.state, square.order) == ("chosen", 3)
    assert [(note.file, note.again) for note in reading.notes] == [("GridSquare_78.dm", True)]
    with pytest.raises(FormatError):
        read_epu_grid(tmp_path / "Images-Disc1")


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300))
def test_whatever_bytes_give_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "GridSquare_1.dm"
    path.write_bytes(raw)
    with pytest.raises(FrazilError):
        read_grid_square(path)


def test_a_real_session(epu37: Path) -> None:
    reading = read_epu_grid(epu37 / "session", [epu37 / "Atlas"])
    assert reading.notes == ()
    by_level = Counter(one.level for one in reading.targets)
    assert by_level == {"grid": 1, "square": 222, "hole": 570, "exposure": 868}
    holes = [one for one in reading.targets if one.level == "hole"]
    assert Counter(one.state for one in holes) == {"exposed": 217, "chosen": 59, "seen": 294}
    assert sum(dict(one.features)["near_grid_bar"] for one in holes) == 291
    in_order = sorted((one for one in holes if one.order is not None), key=lambda one: one.order or 0)
    assert len({one.order for one in in_order}) == 276
    assert [one.state for one in in_order] == ["exposed"] * 217 + ["chosen"] * 59
    assert {one.group for one in holes} == {None}
    fit = fit_pixel_to_stage(holes)
    assert fit is not None
    assert fit.residual_um < 1e-5
    assert fit.stage_um(*fit.pixel(-50.0, -560.0)) == pytest.approx((-50.0, -560.0))
    # R2/2: the operator's film has holes of some 2.1 um every 4.1 um.
    assert [one.diameter_um for one in holes] == pytest.approx([2.1] * 570, rel=0.02)
    square = next(one for one in reading.targets if one.target_id == "epu:square:4590776")
    assert (square.state, square.image_width_px, square.image_height_px) == ("exposed", 2880, 2046)
    assert square.x_in_parent_px is not None, "from the atlas"
    # The middle of the image is where the stage was when it was taken.
    assert fit.stage_um(1440.0, 1023.0) == pytest.approx((square.stage_x_um, square.stage_y_um), abs=1.0)
