"""Ice by brightness on drawn sessions: known lengths, beams, zeros and thicknesses in, and out again with errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from frazil.models.hole_images.ice_calibration import Brightness, Exposed, IceByBrightness, Reference, ice_by_brightness

OWN_SD_NM = 5.0


@dataclass
class World:
    """Holes in images, drawn by the law and with errors of its own; `seed` says everything."""

    seed: int
    images: int = 4
    length_nm: float = 260.0
    spread_ln: float = 0.45
    crystals: float = 0.0
    zero_sd_nm: float = 12.0

    def __post_init__(self) -> None:
        rng = self.rng = np.random.default_rng(self.seed)
        n = 120
        self.image = np.repeat(np.arange(self.images), n)
        self.u, self.v = rng.uniform(-1.0, 1.0, (2, len(self.image)))
        level = np.repeat(40.0 * np.exp(0.3 * rng.normal(size=self.images)), n)
        self.ice_nm = level * np.exp(self.spread_ln * rng.normal(size=len(self.image)))
        self.beam = np.repeat(0.015 * rng.normal(size=self.images), n) + 0.02 * self.u - 0.03 * (self.u**2 + self.v**2)
        self.sd = np.full(len(self.image), 0.012)
        ln_intensity = 7.0 + self.beam - self.ice_nm / self.length_nm + self.sd * rng.normal(size=len(self.image))
        self.crystal = rng.random(len(self.image)) < self.crystals
        self.ln_intensity = ln_intensity - self.crystal * rng.uniform(0.1, 0.5, len(self.image))
        self.zero_nm = float(rng.normal(0.0, self.zero_sd_nm))

    @property
    def brightness(self) -> Brightness:
        return Brightness(self.image, self.ln_intensity, self.sd, self.u, self.v)

    def exposed(self, count: int, *, of_images: int = 2, shuffled: bool = False) -> Exposed:
        hole = self.rng.choice(np.flatnonzero(self.image < of_images), count, replace=False)
        ice = self.ice_nm[hole] + self.zero_nm + self.rng.normal(0.0, OWN_SD_NM, count)
        if shuffled:
            ice = self.rng.permutation(ice)
        return Exposed(hole, ice, np.full(count, OWN_SD_NM), self.zero_sd_nm)

    def vacuum(self, image: int) -> Reference:
        at = np.flatnonzero(self.image == image)[0]
        return Reference(
            image, 7.0 + float(self.beam[at]) + 0.012 * float(self.rng.normal()), 0.012, float(self.u[at]),
            float(self.v[at]),
        )  # fmt: skip

    def left(self, exposed: Exposed) -> np.ndarray:
        return np.setdiff1d(np.flatnonzero(~self.crystal), exposed.hole)


def wrong(world: World, told: IceByBrightness, exposed: Exposed) -> np.ndarray:
    """(2, n): error in nm and in standard deviations, of holes that nobody exposed."""
    at = world.left(exposed)
    nm = told.ice_nm[at] - world.ice_nm[at]
    return np.stack([nm, nm / told.ice_sd_nm[at]])


def test_intervals_hold_what_they_say_over_many_sessions() -> None:
    inside_68, inside_95, rms = [], [], []
    for seed in range(100, 124):
        world = World(seed, length_nm=float(np.random.default_rng(seed).uniform(200.0, 400.0)))
        exposed = world.exposed(25)
        told = ice_by_brightness(world.brightness, exposed, [])
        assert told.refused == ""
        nm, pull = wrong(world, told, exposed)
        inside_68.append((np.abs(pull) < 1.0).mean())
        inside_95.append((np.abs(pull) < 1.96).mean())
        rms.append(nm.std())
    assert 0.6 < np.mean(inside_68) < 0.9
    assert np.mean(inside_95) > 0.9
    assert np.mean(rms) < 9.0


def test_length_and_zero_are_learnt_and_vacuum_takes_the_common_error_away() -> None:
    errors_with, errors_without = [], []
    for seed in range(200, 210):
        world = World(seed, zero_sd_nm=20.0)
        exposed = world.exposed(60)
        without = ice_by_brightness(world.brightness, exposed, [])
        told = ice_by_brightness(world.brightness, exposed, [world.vacuum(0), world.vacuum(3)])
        assert told.length_nm == pytest.approx(world.length_nm, abs=3.5 * told.length_sd_nm)
        assert told.length_sd_nm < 40.0
        assert np.mean(told.ice_sd_nm) < 0.7 * np.mean(without.ice_sd_nm)
        errors_with.append(wrong(world, told, exposed)[0].mean())
        errors_without.append(wrong(world, without, exposed)[0].mean())
    assert np.std(errors_with) < 0.5 * np.std(errors_without)


def test_before_any_exposure_physics_answers_with_wide_errors() -> None:
    world = World(300)
    none = Exposed(np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0), 0.0)
    told = ice_by_brightness(world.brightness, none, [])
    nm, pull = wrong(world, told, none)
    assert told.ice_sd_nm.min() > 10.0
    assert (np.abs(pull) < 1.96).mean() > 0.9
    by_vacuum = ice_by_brightness(world.brightness, none, [world.vacuum(1)])
    _, pull = wrong(world, by_vacuum, none)
    assert (np.abs(pull) < 1.96).mean() > 0.9
    assert by_vacuum.ice_sd_nm.mean() < told.ice_sd_nm.mean()
    assert np.corrcoef(by_vacuum.ice_nm, world.ice_nm)[0, 1] > 0.95
    assert nm.std() < 15.0


def test_exposures_under_crystals_do_not_turn_the_law() -> None:
    for seed in range(400, 410):
        world = World(seed, crystals=0.2)
        exposed = world.exposed(40)
        told = ice_by_brightness(world.brightness, exposed, [world.vacuum(0)])
        assert told.refused == ""
        nm, pull = wrong(world, told, exposed)
        assert nm.std() < 10.0
        assert abs(np.median(pull)) < 2.5


@pytest.mark.parametrize(("count", "least"), [(12, 5), (40, 16)])
def test_ice_that_does_not_go_with_brightness_is_refused_and_said_why(count: int, least: int) -> None:
    refused, wrongly = 0, 0
    for seed in range(500, 520):
        world = World(seed)
        told = ice_by_brightness(world.brightness, world.exposed(count, shuffled=True), [])
        refused += bool(told.refused)
        if told.refused:
            assert f"ice of {count} exposures does not follow" in told.refused
            assert not np.isfinite(told.ice_nm).any()
        wrongly += bool(ice_by_brightness(world.brightness, world.exposed(count), []).refused)
    assert refused >= least
    assert wrongly == 0


def test_even_ice_is_not_refused_for_having_no_correlation() -> None:
    for seed in range(600, 610):
        world = World(seed, spread_ln=0.03, images=1)
        exposed = world.exposed(30, of_images=1)
        told = ice_by_brightness(world.brightness, exposed, [])
        assert told.refused == ""
        nm, _ = wrong(world, told, exposed)
        assert nm.std() < 5.0


def test_the_order_of_holes_and_exposures_makes_no_difference() -> None:
    world = World(700)
    exposed = world.exposed(30)
    told = ice_by_brightness(world.brightness, exposed, [])
    again = np.random.default_rng(1).permutation(30)
    other = Exposed(exposed.hole[again], exposed.ice_nm[again], exposed.ice_sd_nm[again], exposed.zero_sd_nm)
    np.testing.assert_allclose(told.ice_nm, ice_by_brightness(world.brightness, other, []).ice_nm, rtol=1e-6)


def test_a_hole_that_was_not_measured_gets_no_ice() -> None:
    world = World(800)
    world.ln_intensity[7] = np.nan
    told = ice_by_brightness(world.brightness, world.exposed(10), [])
    assert np.isnan(told.ice_nm[7])
    assert np.isfinite(told.ice_nm[8:]).all()
    nothing = Brightness(world.image, np.full(len(world.image), np.nan), world.sd, world.u, world.v)
    assert ice_by_brightness(nothing, world.exposed(10), []).refused == "no hole's brightness is known"
