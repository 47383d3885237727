"""A simulated grid: the same seed the same grid, and laws that give back what was put in."""

from dataclasses import replace

import numpy as np
import pytest

from frazil.config.errors import UsageError
from frazil.models.simulation.grid.draw import draw_grid
from frazil.models.simulation.grid.exposure import (
    Conditions,
    draw_luck,
    drift_angstrom_per_s,
    expected_signal,
    mean_particles,
    passing_loss_ln,
    shoot,
    standing_loss_ln,
)
from frazil.models.simulation.grid.images import measured, square_image
from frazil.models.simulation.grid.settings import KINDS, GridSettings, grid_of_kind
from frazil.models.simulation.grid.survey import (
    ATTENUATION_NM,
    VACUUM_COUNTS,
    beam_at,
    beam_over_square,
    brightness,
    chosen_holes,
    known_targets,
)
from frazil.models.simulation.grid.truth import GridTruth


def small(kind: str = "uniform", seed: int = 3, **changes) -> GridSettings:
    """Four squares a side without corners: twelve."""
    film = {"squares_a_side": 4, "surveyed_squares": 4} | changes.pop("film", {})
    return grid_of_kind(kind, seed).with_changes(film=film, **changes)


def with_ice(truth: GridTruth, ice_nm: float) -> GridTruth:
    """Every hole with this ice, nothing else about them."""
    count = len(truth.holes)
    holes = replace(
        truth.holes, ice_nm=np.full(count, ice_nm), cover=np.zeros(count), density_ln=np.zeros(count),
        torn=np.zeros(count, dtype=bool),
    )  # fmt: skip
    return replace(truth, holes=holes)


def test_same_seed_same_grid_and_another_seed_another():
    one, same, other = draw_grid(small()), draw_grid(small()), draw_grid(small(seed=4))
    assert one.as_json() == same.as_json()
    assert one.as_json()["holes"] != other.as_json()["holes"]
    np.testing.assert_array_equal(shoot(one, draw_luck(one)).particles, shoot(same, draw_luck(same)).particles)
    np.testing.assert_array_equal(brightness(one).mean, brightness(same).mean)


def test_holes_lie_on_a_lattice_of_the_stated_spacing_inside_their_square():
    truth = draw_grid(small())
    film, holes = truth.settings.film, truth.holes
    half = 0.5 * (film.square_pitch_um - film.bar_um)
    assert np.maximum(np.abs(holes.x_um), np.abs(holes.y_um)).max() < half
    inside = holes.square == 0
    x, y = holes.x_um[inside], holes.y_um[inside]
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_allclose(distance.min(axis=1), film.hole_spacing_um, atol=1e-9)
    # (39.5 um)^2 over 2.5 um squared, less a rim of half a hole.
    assert inside.sum() == pytest.approx(((2 * half - film.hole_diameter_um) / film.hole_spacing_um) ** 2, rel=0.06)
    # Patches are of one square, and of at most five by five holes.
    assert np.bincount(holes.patch).max() <= film.holes_a_patch_side**2
    for patch in np.unique(holes.patch):
        assert len(set(holes.square[holes.patch == patch].tolist())) == 1


def test_brightness_gives_the_ice_back():
    """t = L ln(I0 / I), by an image that was drawn pixel by pixel, within the shot noise of a hole: some 2.5 nm."""
    truth = draw_grid(small("patchy", film={"surveyed_squares": 12}))
    square = next(at for at, one in enumerate(truth.squares) if one.condition == "whole")
    found = measured(truth, square, square_image(truth, square))
    members = np.flatnonzero(truth.holes.square == square)
    holes = truth.holes
    beam = beam_over_square(truth, square) * beam_at(truth, holes.x_um[members], holes.y_um[members])
    ice_nm = -ATTENUATION_NM * np.log(found.mean / (VACUUM_COUNTS * beam))
    clean = holes.cover[members] == 0.0
    error_nm = (ice_nm - holes.ice_nm[members])[clean]
    assert clean.sum() > 60
    assert abs(np.median(error_nm)) < 1.2
    assert np.std(error_nm) < 4.0
    # The quick law agrees with the drawn image.
    quick = brightness(truth).mean[members]
    assert np.corrcoef(quick[clean], found.mean[clean])[0, 1] > 0.97


def test_particles_are_kept_out_of_thin_ice_and_lie_on_each_other_in_thick():
    truth = draw_grid(small())
    mean = {ice: float(mean_particles(with_ice(truth, ice))[0]) for ice in (0.0, 8.0, 30.0, 150.0)}
    particle = truth.settings.particle
    full = particle.per_um2 * particle.exposure_area_um2
    assert mean[0.0] == 0.0
    assert mean[8.0] < 0.06 * full
    assert 0.9 * full < mean[30.0] < 1.3 * full
    assert mean[150.0] < 0.4 * mean[30.0]


def test_loss_by_ice_is_beer_lambert_and_heights():
    """By hand at 3 A: t/395 + ln(1 + t/80) + 0.3 (pi 0.0197 / 9 * 10 t / sqrt 12)^2, thick enough to lie any way."""
    truth = with_ice(draw_grid(small()), 60.0)
    phase = np.pi * 0.0197 / 9.0 * 600.0 / np.sqrt(12.0)
    lying = -np.log(0.45 + 0.55 / (1.0 + np.exp(-(60.0 - 19.2) / 4.0)))
    by_hand = 60.0 / 395.0 + np.log1p(60.0 / 80.0) + 0.3 * phase**2 + lying
    assert standing_loss_ln(truth)[0] == pytest.approx(by_hand, rel=1e-6)
    # At twice the resolution only the heights' part grows: by 2^4.
    grown = standing_loss_ln(truth, 1.5)[0] - standing_loss_ln(truth)[0]
    assert grown == pytest.approx(15.0 * 0.3 * phase**2, rel=1e-6)


def test_drift_decays_with_the_wait_and_coma_grows_with_the_shift():
    truth = with_ice(draw_grid(small()), 30.0)
    luck = draw_luck(truth)
    early, late = drift_angstrom_per_s(luck, 1.0), drift_angstrom_per_s(luck, 60.0)
    assert np.median(early / late) > 5.0
    losses = [float(passing_loss_ln(truth, luck, Conditions(60.0, shift)).mean()) for shift in (0.0, 4.0, 8.0)]
    assert losses[2] - losses[0] == pytest.approx(1.0, rel=1e-9)
    assert losses[1] - losses[0] == pytest.approx(0.25, rel=1e-9)


def test_signal_is_that_of_usable_shots_only_and_its_mean_is_what_luck_leaves():
    truth = draw_grid(small("half-bad", film={"surveyed_squares": 12}))
    shots = shoot(truth, draw_luck(truth))
    assert not shots.effective_signal[~shots.usable].any()
    assert (shots.effective_signal <= shots.particles).all()
    expected = expected_signal(truth, 48)
    thin, thick = (truth.holes.ice_nm > 20) & (truth.holes.ice_nm < 45), truth.holes.ice_nm > 110
    assert thick.sum() > 100
    assert expected[thin].mean() > 5.0 * expected[thick].mean()
    # Luck of its own: a shot scatters about the mean without a bias.
    drawn = np.mean([shoot(truth, draw_luck(truth, 100 + n)).effective_signal for n in range(48)], axis=0)
    assert drawn.mean() == pytest.approx(expected.mean(), rel=0.02)


def test_kinds_differ_as_they_are_called():
    usable = {}
    for kind in KINDS:
        truth = draw_grid(small(kind, seed=11, film={"squares_a_side": 8, "surveyed_squares": 60}))
        chosen = chosen_holes(truth, brightness(truth))
        usable[kind] = float(shoot(truth, draw_luck(truth)).usable[chosen].mean())
    assert usable["uniform"] > 0.85
    assert usable["all-bad"] < 0.2
    assert usable["few-good"] < 0.5
    assert 0.4 < usable["half-bad"] < usable["uniform"] - 0.1
    with pytest.raises(UsageError, match="no kind"):
        grid_of_kind("perfect", 1)


def test_what_is_known_before_a_shot_has_nothing_of_the_truth_in_it():
    truth = draw_grid(small())
    seen = brightness(truth)
    chosen = chosen_holes(truth, seen)
    targets = known_targets(truth, seen, chosen)
    holes = [one for one in targets if one.level == "hole"]
    assert {name for one in holes for name, _ in one.features} == {
        "intensity_mean_counts", "intensity_sd_counts", "near_grid_bar",
    }  # fmt: skip
    assert len(holes) == truth.surveyed.sum()
    assert sum(one.state == "chosen" for one in holes) == chosen.sum()
    by_id = {one.target_id: one for one in targets}
    above = [by_id[one.parent_id].level for one in targets if one.parent_id is not None]
    assert set(above) == {"grid", "area", "square", "patch"}
    assert not any(one.features for one in known_targets(truth, None, chosen) if one.level != "hole")
