"""By how much: advice asks the whole session and its timeline which size of an action brings most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from frazil.models.causal.adjustment import Effect
from frazil.models.causal.advice.decision import PAYS_UNTOLD, advise
from frazil.models.causal.advice.options import Scale, alignments
from frazil.models.causal.advice.record import PAYS
from frazil.models.causal.advice.thin_ice import thinner_ice
from frazil.models.causal.advice.timeline import Timeline, seconds_per_movie, timeline_of
from frazil.models.causal.bands import curves_at
from frazil.models.causal.interventions import touched, worlds_of
from frazil.models.causal.knowledge import _could_tell
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.causal.structural_model import structural_model
from frazil.models.records import MovieEvidence

Make = Callable[..., MovieEvidence]
START_S, HOLE_S, STOP_S, SQUARE_S = 1_767_225_600, 6.0, 9.0, 80.0


def session(known_movie: Make, squares: Sequence[Sequence[float]], holes: int = 4) -> list[MovieEvidence]:
    """Squares of holes by their ice in nm, `holes` to a stop."""
    now, movies = 0.0, []
    for number, square in enumerate(squares):
        now += SQUARE_S
        for place, nm in enumerate(square):
            now += STOP_S * (place % holes == 0)
            at = {"stage_x_um": 200.0 * number + 7.0 * (place // holes), "grid_square": f"square {number}"}
            movies.append(known_movie(nm, acquired_utc_us=int((START_S + now) * 1e6), **at))
            now += HOLE_S
    return movies


def learnt(movies: Sequence[MovieEvidence]) -> PriorSnapshot:
    prior = physics_prior()
    for first in range(0, len(movies) - 4, 5):
        prior = update(prior, movies[first : first + 5])
    return prior


def thin(movies: Sequence[MovieEvidence]) -> str:
    prior, pace_s = learnt(movies), seconds_per_movie(movies)
    said = advise(movies[-25:], prior, lately=movies, seconds_per_movie=pace_s)
    return next((one.sentence for one in said if one.action == "thin-ice"), "")


def test_the_ice_of_all_squares_decides_which_holes_are_left_out(known_movie: Make) -> None:
    """The newest 25 movies lie on a square whose ice is thick everywhere; the session has seen better."""
    random = np.random.default_rng(11)
    good, bad = random.uniform(25, 35, (2, 24)), random.uniform(240, 300, 28)
    assert "gives up 28 of 76 holes, keeps 63 %" in thin(session(known_movie, [*good, bad]))
    assert "gives up" not in thin(session(known_movie, [*good]))


def test_the_share_of_holes_is_any(known_movie: Make) -> None:
    """Every third hole is thick: neither a quarter nor half of them."""
    nm = np.where(np.arange(30) % 3 == 0, 260.0, 30.0) + np.arange(30) % 5
    assert "gives up 20 of 60 holes, keeps 67 %" in thin(session(known_movie, [nm, nm]))


def test_holes_given_up_cost_only_the_moves_that_fewer_holes_have_to_pay(known_movie: Make) -> None:
    """A square that is left out whole costs nothing; holes left out of every stop leave its move to the others."""
    good, bad = [30.0] * 12, [250.0] * 12
    apart = timeline_of(session(known_movie, [good, bad, good, bad]))
    mixed = timeline_of(session(known_movie, [[30.0, 30.0, 250.0, 250.0] * 3] * 4))
    assert apart is not None
    assert mixed is not None
    assert (apart.hole_s, apart.stop_s, apart.square_s) == pytest.approx((HOLE_S, STOP_S, SQUARE_S))
    kept = np.concatenate([np.arange(12), np.arange(24, 36), np.arange(12, 24), np.arange(36, 48)])
    taken = apart.seconds_of_first(kept)
    assert taken[23] / 24 == pytest.approx(taken[47] / 48)
    order = np.argsort(np.arange(48) % 4 // 2, kind="stable")
    taken = mixed.seconds_of_first(order)
    assert taken[23] / 24 == pytest.approx(HOLE_S + STOP_S / 2 + SQUARE_S / 6)
    assert taken[47] / 48 == pytest.approx(HOLE_S + STOP_S / 4 + SQUARE_S / 12)


def test_a_square_that_has_only_begun_saves_nothing_when_it_is_left_out(known_movie: Make) -> None:
    """Its few holes have not paid for it yet: even ice there is no reason to give them up."""
    random = np.random.default_rng(12)
    whole, begun = random.uniform(28, 32, 40), random.uniform(32, 36, 10)
    movies = session(known_movie, [whole, begun])
    timeline = timeline_of(movies)
    assert timeline is not None
    taken = timeline.seconds_of_first(np.arange(50))
    assert taken[39] / 40 == pytest.approx(taken[49] / 50, rel=0.01)
    assert "gives up" not in thin(movies)


def test_a_move_to_another_square_is_no_pause(known_movie: Make) -> None:
    """It takes more than ten times what a hole takes, and has to be paid for whatever else becomes faster."""
    movies = session(known_movie, [[30.0] * 12] * 3)
    mean_s = HOLE_S + STOP_S / 4 + SQUARE_S / 12
    assert seconds_per_movie(movies) == pytest.approx(mean_s, rel=0.05)
    last = movies[-1].exposure
    later = replace(movies[-1], exposure=replace(last, acquired_utc_us=(last.acquired_utc_us or 0) + 3_600_000_000))
    assert seconds_per_movie([*movies, later]) == pytest.approx(mean_s, rel=0.05), "an hour at lunch is one"
    assert seconds_per_movie(movies[:1]) is None


def test_a_limit_that_surely_pays_is_preferred(known_movie: Make) -> None:
    movies = session(known_movie, [np.geomspace(30.0, 300.0, 30), np.geomspace(30.0, 300.0, 30)])
    timeline, pace_s = timeline_of(movies), seconds_per_movie(movies)
    found = thinner_ice(movies, learnt(movies), timeline, pace_s, structural_model())
    assert found is not None
    option, gain = found
    assert pace_s is not None
    net = curves_at(0.2, gain) - np.log1p(option.extra_s_per_movie / pace_s)
    assert np.mean(net > 0.0) >= PAYS
    assert thinner_ice([movies[0]] * 12, learnt(movies), None, None, structural_model()) is None, (
        "no hole is better than another"
    )


def test_sizes_half_way_to_the_neighbours_are_tried() -> None:
    scale = Scale((5.0, 10.0, 20.0), 0.0, lambda size: pytest.fail(f"{size} s is only asked for"))
    assert scale.between(10.0) == (7.5, 15.0)
    assert scale.between(5.0) == (2.5, 7.5)
    assert scale.between(20.0) == (15.0,)


def test_a_beam_that_few_movies_have_seen_may_still_be_told_of(known_movie: Make) -> None:
    """What is believed of its convergence has not become narrow yet: only then what surely pays is said."""
    movies = [known_movie() for _ in range(12)]
    prior = learnt(movies)
    model = structural_model()
    worlds = worlds_of(movies, prior, touched(model), model)
    ((option, _),) = alignments(worlds, prior, physics_prior())
    assert option.action == "parallel-beam"
    assert not option.told
    assert [one for one in advise(movies, prior) if one.action == "parallel-beam"] == []
    assert PAYS_UNTOLD > PAYS


def test_movies_that_could_not_tell_an_effect_speak_against_none() -> None:
    """After twice the settle time x5.3 (x0.2-122) is no evidence against x0.17, though it lies beside it."""
    wide = Effect(slope=2.4, sd=2.2, low=-2.1, high=6.9, freedom=30, movies=57, residual_freedom=50)
    narrow = replace(wide, slope=0.1, sd=0.3, low=-0.5, high=0.7)
    assert not _could_tell(wide, -2.5)
    assert _could_tell(narrow, -2.5)


def test_a_timeline_without_squares_charges_a_share_of_a_hole() -> None:
    flat = Timeline(10.0, 0.0, None, None, np.zeros(10, dtype=np.int64), np.zeros(10, dtype=np.int64))
    assert flat.seconds_of_first(np.arange(10))[[4, 9]].tolist() == [55.0, 100.0]
