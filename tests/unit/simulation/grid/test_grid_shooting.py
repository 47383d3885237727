"""A simulated microscope on a grid: its clock adds up, it obeys an order, it writes what a microscope would."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from frazil.config.errors import UsageError
from frazil.models.formats.hole_list import read_holes
from frazil.models.optics.ice import transmitted_fraction
from frazil.models.simulation.grid.clock import Clock, MoveTimes
from frazil.models.simulation.grid.draw import draw_grid
from frazil.models.simulation.grid.images import square_sheet
from frazil.models.simulation.grid.microscope import SimulatedMicroscope
from frazil.models.simulation.grid.orders import FileOrder, RandomOrder, ScanOrder, named_in
from frazil.models.simulation.grid.settings import grid_of_kind
from frazil.models.simulation.grid.shooting import ShootingPlan, shoot_grid
from frazil.models.simulation.settings import preset
from frazil.models.simulation.truth import read_truth

SMALL = grid_of_kind("gradient", 5).with_changes(film={"squares_a_side": 3, "surveyed_squares": 2}, patches=False)


def holes_of_patches(truth):
    """Two holes of one patch, then one each of another patch, another square, another area."""
    holes, area = truth.holes, truth.area
    first = int(np.flatnonzero(np.bincount(holes.patch)[holes.patch] > 4)[0])
    same = first + 1
    assert holes.patch[same] == holes.patch[first]
    patch = int(np.flatnonzero((holes.square == holes.square[first]) & (holes.patch != holes.patch[first]))[0])
    square = int(np.flatnonzero((area == area[first]) & (holes.square != holes.square[first]))[0])
    other = int(np.flatnonzero(area != area[first])[0])
    return first, same, patch, square, other


def test_clock_costs_by_the_highest_level_that_changes_and_adds_up():
    truth = draw_grid(grid_of_kind("uniform", 2))
    exact = MoveTimes(spread_ln=0.0)
    clock = Clock(truth, exact)
    first, same, patch, square, other = holes_of_patches(truth)
    hole_s = exact.stage_s + exact.wait_s + exact.exposure_s
    expected = [
        (first, "area", hole_s + exact.focus_s + exact.square_s + exact.area_s),
        (same, "hole", hole_s),
        (patch, "patch", hole_s + exact.focus_s),
        (square, "square", hole_s + exact.focus_s + exact.square_s),
        (other, "area", hole_s + exact.focus_s + exact.square_s + exact.area_s),
    ]
    total = 0.0
    for hole, level, seconds in expected:
        assert clock.peek(hole).total_s == pytest.approx(seconds)
        taken = clock.take(hole)
        total += taken.total_s
        assert (taken.level, taken.total_s) == (level, pytest.approx(seconds))
        assert clock.elapsed_s == pytest.approx(total)
    # A hole 1 minute, a patch 2, a square 6, an area 8.
    assert [round(seconds / 60.0) for _, _, seconds in expected] == [8, 1, 2, 6, 8]


def test_times_scatter_lognormally_and_are_the_holes_own():
    truth = draw_grid(grid_of_kind("uniform", 2))
    clock = Clock(truth, MoveTimes(spread_ln=0.2))
    total = np.array([clock.peek(hole).total_s for hole in range(0, 2000, 4)])
    assert np.std(np.log(total)) == pytest.approx(0.2 * 0.6, abs=0.04)
    assert clock.peek(7).total_s == Clock(truth, MoveTimes(spread_ln=0.2)).peek(7).total_s


def test_image_shift_reaches_near_holes_without_a_move_and_tells_how_far():
    truth = draw_grid(grid_of_kind("uniform", 2))
    clock = Clock(truth, MoveTimes(spread_ln=0.0, reach_um=4.0))
    first, same, patch, *_ = holes_of_patches(truth)
    clock.take(first)
    taken = clock.take(same)
    assert taken.image_shift_um == pytest.approx(truth.settings.film.hole_spacing_um, abs=1.2)
    assert taken.total_s == pytest.approx(9.0)
    # The stage stands since before the first exposure.
    assert taken.waited_s == pytest.approx(12.0 + 6.0 + 3.0)
    assert clock.take(patch).image_shift_um == 0.0


def test_a_hole_is_shot_once():
    microscope = SimulatedMicroscope(draw_grid(SMALL))
    microscope.shoot(3)
    with pytest.raises(ValueError, match="before"):
        microscope.shoot(3)


def test_a_shot_gives_what_the_holes_law_gives_whoever_comes_first():
    truth = draw_grid(SMALL)
    one, other = SimulatedMicroscope(truth), SimulatedMicroscope(truth)
    late = [one.shoot(hole) for hole in (10, 40, 20)][2]
    early = other.shoot(20)
    assert (late.particles, late.effective_signal) == (early.particles, early.effective_signal)
    assert late.begun_s > early.begun_s


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "rank,target_id\n1,epu:hole:5\n2,epu:hole:6\n"),
        ("a.csv", "name,square\n5,1\n6,1\n"),
        ("a.json", '{"ranked": [{"target_id": "epu:hole:5"}, {"target_id": "epu:hole:6"}], "verdict": "go"}'),
        ("a.json", '["epu:hole:5", 6]'),
    ],
)
def test_lists_of_targets_in_every_form(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert [one.rsplit(":", 1)[-1] for one in named_in(tmp_path / name)] == ["5", "6"]


def test_an_order_file_is_read_again_before_each_shot_and_the_scan_goes_on_without_it(tmp_path):
    truth = draw_grid(SMALL)
    path = tmp_path / "next.json"
    order, open_holes = FileOrder(path, truth), np.ones(len(truth.holes), dtype=bool)
    assert order.next(open_holes) == 0
    path.write_text(
        json.dumps([{"target_id": f"epu:hole:{truth.holes.number[7]}"}, {"name": str(truth.holes.number[9])}])
    )
    assert order.next(open_holes) == 7
    open_holes[7] = False
    assert order.next(open_holes) == 9
    path.write_text('[{"target_id": "epu:ho')
    assert order.next(open_holes) == 0
    path.write_text('["epu:hole:1"]')
    assert order.next(open_holes) == 0
    path.unlink()
    assert order.next(open_holes) == 0
    assert order.obeyed == 2
    assert order.next(np.zeros_like(open_holes)) is None


def test_chance_is_the_same_chance_for_one_seed_and_no_scan():
    truth = draw_grid(SMALL)
    open_holes = np.ones(len(truth.holes), dtype=bool)
    assert RandomOrder(truth).next(open_holes) == RandomOrder(truth).next(open_holes)
    assert RandomOrder(truth).next(open_holes) != ScanOrder().next(open_holes)


def _rows(path: Path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_grid_on_disk_is_shot_as_a_file_says_that_comes_meanwhile(tmp_path):
    out, order = tmp_path / "g", tmp_path / "next.csv"
    truth = draw_grid(SMALL)
    wanted: list[int] = []

    def on_shot(one, name):
        if one.shot == 1:
            left = read_holes(out / "grid.nav")
            wanted.extend(int(row.name) for row in left[-3:])
            order.write_text("name\n" + "\n".join(map(str, wanted)) + "\n")

    plan = ShootingPlan(order=str(order), most_shots=6, movies=False)
    shot = shoot_grid(out, SMALL, preset("demo"), plan, on_shot=on_shot)
    numbers = [int(truth.holes.number[one.hole]) for one in shot.exposures]
    assert numbers[2:5] == wanted
    assert shot.obeyed == 3
    assert numbers[5] == numbers[1] + 1 or numbers[5] > numbers[1]
    rows = _rows(out / "outcomes" / "exposures.csv")
    assert [row["exposure"].rsplit("_", 1)[-1] for row in rows] == [f"{number}en" for number in numbers]
    for row, one in zip(rows, shot.exposures, strict=True):
        assert float(row["ctf_max_resolution_angstrom"]) == pytest.approx(one.resolution_angstrom, abs=1e-3)
    places = {row["target"] for row in _rows(out / "outcomes" / "targets.csv")}
    assert {row[key] for row in rows for key in ("grid_area", "square", "patch")} <= places
    assert not any(path.name in ("grid.json", "truth.json", "exposures.csv") for path in (out / "raw").rglob("*"))
    with pytest.raises(UsageError, match="already"):
        shoot_grid(out, SMALL, preset("demo"), plan)


def test_epu_files_are_read_by_the_readers(tmp_path):
    epu_grid = pytest.importorskip("frazil.models.formats.grid.epu_grid")
    out = tmp_path / "g"
    shot = shoot_grid(out, SMALL, preset("demo"), ShootingPlan(most_shots=3, movies=False, pictures=False))
    truth = draw_grid(SMALL)
    reading = epu_grid.read_epu_grid(out / "raw", (out,))
    assert not reading.notes
    holes = {one.name: one for one in reading.targets if one.level == "hole"}
    exposed = {one.name for one in holes.values() if one.state == "exposed"}
    assert exposed == {str(truth.holes.number[one.hole]) for one in shot.exposures}
    assert sum(one.state in ("chosen", "exposed") for one in holes.values()) == shot.chosen
    assert len([one for one in reading.targets if one.level == "square"]) == len(truth.squares)
    for at in np.flatnonzero(truth.surveyed)[::17].tolist():
        one = holes[str(truth.holes.number[at])]
        assert one.stage_x_um == pytest.approx(truth.stage_x_um[at], abs=1e-4)
        assert one.stage_y_um == pytest.approx(truth.stage_y_um[at], abs=1e-4)
        x, y = square_sheet(truth, int(truth.holes.square[at])).stage_um(
            np.array(one.x_in_parent_px), np.array(one.y_in_parent_px)
        )
        assert (x, y) == (pytest.approx(one.stage_x_um, abs=1e-3), pytest.approx(one.stage_y_um, abs=1e-3))
        assert one.diameter_um == pytest.approx(1.2, abs=0.01)


def test_movies_have_their_holes_ice_and_particles(tmp_path):
    out = tmp_path / "g"
    settings = preset("demo").with_changes(frame_count=2, height_px=128, width_px=128)
    shot = shoot_grid(out, SMALL, settings, ShootingPlan(most_shots=2, pictures=False))
    truth = draw_grid(SMALL)
    movies = read_truth(out / "truth" / "truth.json")["movies"]
    assert len(movies) == 2
    for movie, one in zip(movies, shot.exposures, strict=True):
        ice_nm = float(truth.holes.ice_nm[one.hole])
        assert movie["ice_thickness_nm"] == pytest.approx(ice_nm, rel=1e-5)
        assert movie["transmitted_fraction"] == pytest.approx(transmitted_fraction(ice_nm, 300.0), rel=1e-4)
        assert movie["hole"] == str(truth.holes.number[one.hole])
        assert (out / "raw" / movie["file"]).stat().st_size > 1000
        assert (out / "raw" / movie["sidecar"]).exists()
        assert movie["stage_x_um"] == pytest.approx(truth.stage_x_um[one.hole], abs=1e-3)
