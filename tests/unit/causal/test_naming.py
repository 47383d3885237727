"""Which cause is named, and when none is: movies whose causes are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from frazil.actors.causal_prior import CausalPriorActor
from frazil.models.causal.attribution import COMMON_BLUR_SD, attribute
from frazil.models.causal.bands import BAND_COUNT, band_frequencies_per_angstrom
from frazil.models.causal.causes import HEIGHT_OF_HOLE_LN_SD, centre_and_sd, normals_of
from frazil.models.causal.convergence import shares
from frazil.models.causal.draws import draw_causes
from frazil.models.causal.factors import ALL_FACTORS
from frazil.models.causal.naming import ROOTS, by_root, excess_by_root, losses_at_5_angstrom, name_cause
from frazil.models.causal.particles import SessionParticles
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.records import MovieEvidence

Make = Callable[..., MovieEvidence]
S_TO_US = 1_000_000
FIRST_UTC_US = 1_767_225_600_000_000
EPOCH = 5


def _learn(movies: list[MovieEvidence]) -> PriorSnapshot:
    prior = physics_prior()
    for start in range(0, len(movies), EPOCH):
        prior = update(prior, movies[start : start + EPOCH])
    return prior


def _session(known_movie: Make, thickness_nm: list[float]) -> list[MovieEvidence]:
    return [
        known_movie(nm, acquired_utc_us=FIRST_UTC_US + 20 * S_TO_US * number) for number, nm in enumerate(thickness_nm)
    ]


def _excess(**by_root: float) -> np.ndarray:
    return np.array([[by_root.get(root, 0.0)] * 8 for root in ROOTS])


def test_a_dominant_cause_is_named_two_equal_ones_are_not() -> None:
    assert name_cause(_excess(motion=0.8, ice=0.2)).factor == "motion"
    assert name_cause(_excess(motion=0.8, ice=0.6)).factor == ""
    assert name_cause(_excess(ice=0.2)).factor == ""


def test_what_only_some_draws_say_is_not_named() -> None:
    excess = _excess()
    excess[ROOTS.index("aberrations"), :4] = 2.0  # four draws of eight: as likely as not
    assert name_cause(excess).factor == ""
    excess[ROOTS.index("aberrations"), 4] = 2.0
    assert name_cause(excess).factor == "aberrations"


@pytest.mark.parametrize("dose_error", [-0.12, 0.12])
def test_a_wrong_zero_of_all_movies_names_none_of_them(known_movie: Make, dose_error: float) -> None:
    """The stated dose is 12 % wrong: every movie seems to have less or more ice, and none more than the others."""
    random = np.random.default_rng(5)
    movies = [
        replace(movie, dose_per_frame_e_per_px=movie.dose_per_frame_e_per_px * float(np.exp(dose_error)))
        for movie in _session(known_movie, random.uniform(30.0, 50.0, 40).tolist())
    ]
    prior = _learn(movies)
    assert {attribute(movie, prior).losses.named_cause for movie in movies} == {""}
    thick = known_movie(200.0)
    thick = replace(thick, dose_per_frame_e_per_px=thick.dose_per_frame_e_per_px * float(np.exp(dose_error)))
    assert attribute(thick, prior).losses.named_cause == "ice"


def test_what_is_usual_follows_each_version(known_movie: Make) -> None:
    """Under every draw of the causes a typical movie lies near what is usual, though both move with the draw."""
    movies = _session(known_movie, [40.0] * 30)
    prior = _learn(movies)
    ice = np.array(prior.usual)[ROOTS.index("ice")]
    assert ice.std() > 0.05  # the zero and the heights are not known
    losses = attribute(movies[3], prior).losses
    assert losses.named_cause == ""
    assert abs(float(np.median(ice)) - _ice_root_at_5_angstrom(losses.loss_ln_ssnr, losses.factor_names)) < 0.05


def _ice_root_at_5_angstrom(loss: tuple[tuple[float, ...], ...], names: tuple[str, ...]) -> float:
    bands = band_frequencies_per_angstrom()
    return sum(float(np.interp(0.2, bands, loss[names.index(name)])) for name in ("ice", "defocus_spread"))


def test_thick_holes_at_the_start_are_no_other_beam(known_movie: Make) -> None:
    """Four thick holes and one of too high a dose rate come first, then ordinary and thick ones in turn."""
    random = np.random.default_rng(51)
    first = [210.0, 180.0, 215.0, 235.0, 220.0]
    rest = np.where(random.random(35) < 0.4, random.uniform(170.0, 240.0, 35), random.uniform(25.0, 45.0, 35))
    rest[:5] = [40.0, 35.0, 32.0, 90.0, 30.0]
    assert _learn(_session(known_movie, [*first, *rest.tolist()])).change_points == ()


@pytest.mark.parametrize("ln_sd", [0.2, 0.6, 1.0, 1.4])
def test_a_long_tail_is_told_by_its_middle(ln_sd: float) -> None:
    """The least sd that holds 68 and, 1.96 times, 90 %: one that held 95 % of the long tail would hold 0.87 of it."""
    draws = np.exp(ln_sd * normals_of("blur"))
    centre, sd = centre_and_sd(draws)
    assert centre == pytest.approx(1.0, rel=0.05)
    assert 0.66 <= (np.abs(draws - centre) <= sd).mean() <= 0.83
    assert (np.abs(draws - centre) <= 1.96 * sd).mean() >= 0.89


def test_what_blurs_all_movies_alike_is_inside_the_interval(known_movie: Make) -> None:
    """A B-factor of 30 A2 that every movie has shows in no ring: 0.6 of ln SSNR at 5 A is not excluded."""
    movies = _session(known_movie, [40.0] * 20)
    prior = _learn(movies)
    losses = attribute(movies[0], prior).losses
    place = losses.factor_names.index("unexplained")
    at_5 = (
        np.interp(0.2, band_frequencies_per_angstrom(), row[place]) for row in (losses.loss_ln_ssnr, losses.loss_sd)
    )
    loss, sd = (float(value) for value in at_5)
    assert abs(0.6 - loss) <= 1.96 * sd
    (share,) = (one for one in shares(movies, prior) if one.factor == "unexplained")
    assert share.sd >= COMMON_BLUR_SD
    assert not share.converged
    assert share.told_nats < 0.3


def _shifted(known_movie: Make, count: int, far_um: float) -> list[MovieEvidence]:
    """Every third hole is aimed at without image shift, the others by so many um."""
    return [
        known_movie(
            40.0,
            acquired_utc_us=FIRST_UTC_US + 20 * S_TO_US * number,
            image_shift_x_um=0.0 if number % 3 == 0 else far_um,
        )
        for number in range(count)
    ]


def test_coma_that_particles_find_in_most_movies_is_usual(known_movie: Make) -> None:
    """0.3 mrad/um at 6 um costs each of two movies in three more than 1 at 5 A. Version 0 would not have thought so:
    the far movies are no news to each other, and one that is shifted twice as far is."""
    movies = _shifted(known_movie, 40, 6.0)
    prior = _learn(movies)
    told = SessionParticles(
        tilt_mean=(0.0, 0.3, 0.0, 0.0, 0.0, 0.3),
        tilt_covariance=tuple(map(tuple, (1e-6 * np.eye(6)).tolist())),
        baseline=(None,) * BAND_COUNT,
        baseline_sd=(None,) * BAND_COUNT,
        movie_count=40,
    )
    farther = known_movie(40.0, image_shift_x_um=12.0)
    named = [one.named_cause for one in CausalPriorActor().attribute(prior, [*movies[-6:], farther], told)]
    assert named == [""] * 6 + ["aberrations"]


def test_what_is_usual_is_not_asked_of_the_first_holes_alone(known_movie: Make) -> None:
    """Two holes at each stop, the stage drifts in the first of most: two movies in five, and not what is usual."""
    random = np.random.default_rng(8)
    drift = np.linspace(-10.0, 10.0, 20)
    movies = [
        known_movie(
            40.0 + float(random.normal()),
            acquired_utc_us=FIRST_UTC_US + 20 * S_TO_US * number,
            shift_x_angstrom=tuple((drift * (3.0 if number % 2 == 0 and number % 10 else 0.1)).tolist()),
        )
        for number in range(40)
    ]
    prior = _learn(movies)
    motion = np.array(prior.usual)[ROOTS.index("motion")]
    still, moving = (attribute(movie, prior).losses for movie in (movies[-1], movies[-2]))
    at = [float(np.interp(0.2, band_frequencies_per_angstrom(), one.loss_ln_ssnr[0])) for one in (still, moving)]
    assert at[0] < 0.1 < 0.5 < at[1]
    assert float(np.median(motion)) < 0.1
    assert moving.named_cause == "motion"


def test_heights_of_one_hole_do_not_cancel(known_movie: Make) -> None:
    """In 90 nm of ice heights cost much at 5 A. How far they spread in all holes is usual; that this hole may hold its
    particles otherwise is not."""
    random = np.random.default_rng(6)
    prior = _learn(_session(known_movie, np.exp(random.normal(np.log(90.0), 0.35, 40)).tolist()))
    movie = known_movie(100.0)
    draws = draw_causes(movie, prior)
    ice = ROOTS.index("ice")
    root = by_root(movie, draws, losses_at_5_angstrom(movie, draws))
    excess = excess_by_root(root, prior)[ice]
    typical = draw_causes(movie, prior, own_errors=False)
    shared = excess_by_root(by_root(movie, typical, losses_at_5_angstrom(movie, typical)), prior)[ice]
    spread = [np.ptp(np.quantile(values, (0.16, 0.84))) / 2 for values in (root[ice], excess, shared)]
    assert spread[2] < spread[1] < spread[0]
    assert np.log(draws.height_share / typical.height_share).std() == pytest.approx(HEIGHT_OF_HOLE_LN_SD)
    assert HEIGHT_OF_HOLE_LN_SD > 0.1
    heights = 2 * HEIGHT_OF_HOLE_LN_SD * np.median(losses_at_5_angstrom(movie, typical)["defocus_spread"])
    assert np.hypot(spread[2], heights) == pytest.approx(spread[1], rel=0.3)
    assert heights > 0.03


def test_what_is_usual_is_as_uncertain_as_the_median_of_so_many_movies(known_movie: Make) -> None:
    """Defocus of 6,000 to 30,000 A: movies lose unlike amounts to the beam's convergence, and a movie is not named for
    an excess over a median that forty other movies would have had elsewhere."""
    random = np.random.default_rng(4)
    movies = [
        replace(movie, defocus_angstrom=float(random.uniform(6_000, 30_000)))
        for movie in _session(known_movie, [40.0] * 40)
    ]
    prior = _learn(movies)
    convergence = ROOTS.index("spatial_coherence")
    usual = np.array(prior.usual)[convergence]
    angle_mrad = draw_causes(movies[0], prior).source_half_angle_mrad
    per_square = np.array(
        [losses_at_5_angstrom(m, draw_causes(m, prior))["spatial_coherence"] / angle_mrad**2 for m in movies]
    )
    of_these = np.median(per_square, axis=0)
    again = [np.median(random.choice(per_square[:, 0], 40)) for _ in range(500)]
    assert (usual / angle_mrad**2 / of_these).std() == pytest.approx(np.std(again) / of_these[0], rel=0.35)


def test_a_movie_without_a_fit_loses_to_convergence_what_its_neighbours_lose(known_movie: Make) -> None:
    """Its defocus is not known, and not nought: the interval holds what movies of the session's defoci lose."""
    random = np.random.default_rng(5)
    movies = [
        replace(movie, defocus_angstrom=float(random.uniform(14_000, 26_000)))
        for movie in _session(known_movie, [40.0] * 20)
    ]
    prior = _learn(movies)
    at = ALL_FACTORS.index("spatial_coherence")
    bands = band_frequencies_per_angstrom()
    of_neighbours = [np.interp(0.2, bands, attribute(movie, prior).losses.loss_ln_ssnr[at]) for movie in movies]
    losses = attribute(replace(movies[0], defocus_angstrom=None), prior).losses
    loss, sd = (float(np.interp(0.2, bands, row[at])) for row in (losses.loss_ln_ssnr, losses.loss_sd))
    assert loss == pytest.approx(float(np.median(of_neighbours)), rel=0.3)
    assert loss - 1.96 * sd < min(of_neighbours)
    assert loss + 1.96 * sd > max(of_neighbours)
