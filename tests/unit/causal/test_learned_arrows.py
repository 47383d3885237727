"""Arrows that movies tell: planted slopes are found, what is not there is not found, order does not matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from frazil.models.causal import counts
from frazil.models.causal.advice.decision import advise
from frazil.models.causal.bands import band_frequencies_per_angstrom
from frazil.models.causal.causes import normals_of
from frazil.models.causal.draws import draw_causes
from frazil.models.causal.learned_arrows import (
    MOTION_BY_RATE_SD,
    MOTION_PER_NM_SD,
    PARTICLES_PER_NM_SD,
    ArrowSums,
    LearnedArrows,
    Slope,
    learned,
    with_movies,
)
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import physics_prior
from frazil.models.causal.structural_equations import Departure
from frazil.models.causal.structural_model import structural_model
from frazil.models.records import MovieEvidence

Make = Callable[..., MovieEvidence]
BANDS = band_frequencies_per_angstrom()
NOTHING = Slope(0.0, 1.0, told=False)


def session(
    make: Make,
    seed: int,
    *,
    motion_per_nm: float = 0.0,
    particles_per_nm: float = 0.0,
    by_rate: float = 0.0,
    movies: int = 120,
    ice_ln_sd: float = 0.35,
    rates: tuple[float, ...] = (1.0,),
) -> list[MovieEvidence]:
    """Movies whose early motion and particles follow their ice within squares that differ in all of it."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(movies):
        square = number // 24
        own = np.random.default_rng([seed, 1 + square])
        ice_nm = float(45.0 * np.exp(own.normal(0, 0.25) + random.normal(0, ice_ln_sd)))
        share = float(random.choice(rates))
        from_square = own.normal(0, 0.5)
        more_nm = ice_nm - 45.0
        ln_moved = 2.0 + from_square + motion_per_nm * more_nm + by_rate * np.log(share) + random.normal(0, 0.3)
        moved = float(np.exp(ln_moved))
        direction = random.uniform(0, 2 * np.pi)
        frame = np.arange(20)
        path = moved * np.minimum(frame / 2.0, 1.0)
        ln_count = 5.0 + 2.0 * from_square + particles_per_nm * more_nm + random.normal(0, 0.2)
        count = int(random.poisson(np.exp(ln_count)))
        movie = make(
            ice_nm,
            shift_x_angstrom=tuple((path * np.cos(direction)).tolist()),
            shift_y_angstrom=tuple((path * np.sin(direction)).tolist()),
            exposure_time_s=4.0 / share,
            grid_square=f"square {square}",
            particle_count=count,
        )
        noisy = movie.dose_per_frame_e_per_px * float(np.exp(counts.COUNT_SD * random.normal()))
        made.append(replace(movie, dose_per_frame_e_per_px=noisy))
    return made


def slopes(movies: list[MovieEvidence]) -> LearnedArrows:
    return learned(with_movies(ArrowSums(), movies))


def inside(slope: Slope, truth: float) -> bool:
    return abs(slope.mean - truth) < 1.96 * slope.sd


def test_planted_slopes_lie_in_their_intervals_and_are_told(known_movie: Make) -> None:
    planted = {"motion_per_nm": -0.02, "particles_per_nm": 0.025, "by_rate": 0.3}
    found = [slopes(session(known_movie, seed, **planted, rates=(0.7, 1.0, 1.5))) for seed in range(1000, 1020)]
    for name, truth in (("motion_per_nm", -0.02), ("particles_per_nm", 0.025), ("motion_by_ln_rate", 0.3)):
        own = [getattr(one, name) for one in found]
        assert sum(inside(slope, truth) for slope in own) >= 17, name
        assert all(slope.told for slope in own), name
    for name, truth, spread in (("motion_per_nm", -0.02, 0.003), ("particles_per_nm", 0.025, 0.003)):
        assert np.mean([getattr(one, name).mean for one in found]) == pytest.approx(truth, abs=spread)


def test_where_nothing_acts_intervals_hold_nothing(known_movie: Make) -> None:
    """Squares differ in ice, motion and crowding all at once: between them it would look as if one made the other."""
    found = [slopes(session(known_movie, seed)) for seed in range(1000, 1020)]
    assert sum(inside(one.motion_per_nm, 0.0) for one in found) >= 17
    assert sum(inside(one.particles_per_nm, 0.0) for one in found) >= 17
    assert all(one.motion_by_ln_rate.sd == MOTION_BY_RATE_SD and not one.motion_by_ln_rate.told for one in found)


def test_the_error_of_the_ice_does_not_make_slopes_flat_and_sure(known_movie: Make) -> None:
    """Ice that differs by 9 nm and is measured to 4.7 nm: a plain regression finds 0.78 of the slope."""
    found = [
        slopes(session(known_movie, seed, motion_per_nm=-0.04, ice_ln_sd=0.2, movies=240)).motion_per_nm
        for seed in range(1000, 1020)
    ]
    assert sum(inside(slope, -0.04) for slope in found) >= 17
    assert np.mean([slope.mean for slope in found]) == pytest.approx(-0.04, abs=0.004)
    even = [
        slopes(session(known_movie, seed, motion_per_nm=-0.02, ice_ln_sd=0.02)).motion_per_nm
        for seed in range(1000, 1020)
    ]
    assert all(slope.sd > 0.3 * MOTION_PER_NM_SD for slope in even), "even ice tells nothing of what thinner ice does"
    assert sum(inside(slope, -0.02) for slope in even) >= 17


def test_order_does_not_matter_and_little_is_kept(known_movie: Make) -> None:
    movies = session(known_movie, 3, motion_per_nm=-0.02, particles_per_nm=0.02)
    together = with_movies(ArrowSums(), movies)
    shuffled = [movies[place] for place in np.random.default_rng(1).permutation(len(movies))]
    one_by_one = ArrowSums()
    for movie in shuffled:
        one_by_one = with_movies(one_by_one, [movie])
    for mine, other in ((together.motion, one_by_one.motion), (together.particles, one_by_one.particles)):
        assert [name for name, _ in mine] == [name for name, _ in other]
        for (_, a), (_, b) in zip(mine, other, strict=True):
            assert np.allclose(a, b, rtol=1e-12, atol=1e-12)
    once, again = learned(together).motion_per_nm, learned(one_by_one).motion_per_nm
    assert once.mean == pytest.approx(again.mean, rel=1e-9)
    assert len(together.motion) == 5


def test_movies_that_say_nothing_add_nothing(known_movie: Make) -> None:
    silent = [
        known_movie(energy_filter=False, particle_count=10),
        known_movie(stated_dose_per_frame_e_per_a2=None, particle_count=10),
    ]
    assert with_movies(ArrowSums(), silent) == ArrowSums()
    coarse = known_movie(dose_per_frame_e_per_a2=10.0, particle_count=None)
    assert with_movies(ArrowSums(), [coarse]) == ArrowSums()
    nothing = learned(ArrowSums())
    assert (nothing.motion_per_nm.mean, nothing.motion_per_nm.sd) == (0.0, MOTION_PER_NM_SD)
    assert (nothing.particles_per_nm.mean, nothing.particles_per_nm.sd) == (0.0, PARTICLES_PER_NM_SD)
    assert not nothing.motion_per_nm.told


def test_the_prior_keeps_them_and_forgets_them_with_the_grid(known_movie: Make) -> None:
    movies = session(known_movie, 4, particles_per_nm=0.02, movies=20)
    first = update(physics_prior(), movies[:10])
    assert first.arrows == with_movies(ArrowSums(), movies[:10])
    second = update(first, movies[10:], temper=0.5, forgetting=0.9)
    assert second.arrows == with_movies(first.arrows, movies[10:], temper=0.5, kept=0.9)


def test_what_was_told_takes_part_in_surgery(known_movie: Make) -> None:
    arrows = LearnedArrows(Slope(-0.03, 0.004, told=True), Slope(0.4, 0.05, told=True), Slope(0.02, 0.003, told=True))
    model, frame = structural_model(), np.arange(20)
    movie = known_movie(
        60.0, shift_x_angstrom=tuple(np.where(frame == 0, -0.1, 0.0).tolist()), shift_sd_angstrom=(0.0,) * 20
    )
    draws = draw_causes(movie, physics_prior())
    world = model.world(movie, draws, BANDS, arrows=arrows, wanted=("motion",))
    thin = np.full(64, 40.0)
    thinner = model.done(world, "ice_thickness", thin)
    more = thin - draws.ice_thickness_nm
    grows = np.exp(2.0 * (-0.03 + 0.004 * normals_of("ice_motion")) * more)
    assert np.allclose(thinner.values["motion"], world.values["motion"] * grows[:, None], rtol=5e-3, atol=1e-9)
    assert np.allclose(thinner.ln_particles, (0.02 + 0.003 * normals_of("ice_particles")) * more)
    weaker = model.done(world, "dose_rate", Departure(share=0.5))
    falls = 0.5 ** (2.0 * (0.4 + 0.05 * normals_of("beam_motion")))
    assert np.allclose(weaker.values["motion"], world.values["motion"] * falls[:, None], rtol=5e-3, atol=1e-9)
    assert np.all(np.asarray(weaker.ln_particles) == 0.0)
    untold = replace(arrows, motion_per_nm=NOTHING, particles_per_nm=NOTHING)
    same = model.done(replace(world, arrows=untold), "ice_thickness", thin)
    assert np.array_equal(same.values["motion"], world.values["motion"])
    assert same.ln_particles == 0.0


def test_thinner_ice_with_fewer_particles_does_not_pay(known_movie: Make) -> None:
    """Half of the holes have thick ice: to skip them pays, unless the particles are in them."""
    advised = {}
    for slope in (0.0, 0.03):
        random = np.random.default_rng(5)
        prior = physics_prior()
        movies = []
        for _ in range(12):
            epoch = []
            for _ in range(5):
                ice_nm = float(random.choice([25.0, 160.0]) * np.exp(random.normal(0, 0.1)))
                count = int(random.poisson(150.0 * np.exp(slope * (ice_nm - 90.0))))
                epoch.append(known_movie(ice_nm, particle_count=count))
            prior, movies = update(prior, epoch), [*movies, *epoch]
        advised[slope] = {one.action: one for one in advise(movies[-25:], prior)}
    assert "thin-ice" in advised[0.0]
    assert "thin-ice" not in advised[0.03]
