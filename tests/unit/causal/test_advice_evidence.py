"""What lets advice speak: how a stage slows down in a movie, where a session's time goes, and what was never seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.attribution.confounded_sessions import learnt, settling_session
from frazil.models.causal import settle
from frazil.models.causal.advice.decision import PAYS_UNTOLD, advise
from frazil.models.causal.advice.options import _convergence_told
from frazil.models.causal.advice.record import Advice
from frazil.models.causal.advice.timeline import timeline_of
from frazil.models.causal.bands import BAND_COUNT
from frazil.models.causal.change_points import ChangePoint
from frazil.models.causal.factors import MODELLED_FACTORS
from frazil.models.causal.graph import causal_graph
from frazil.models.causal.knowledge import how_known
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.causal.provenance import KnownBy
from frazil.models.records import MovieEvidence

Make = Callable[..., MovieEvidence]
START_S, EXPOSURE_S, FRAMES = 1_767_225_600, 4.0, 24


def session(
    known_movie: Make,
    *,
    count: int = 30,
    holes: int = 1,
    wait_s: float = 4.0,
    start_angstrom_per_s: float = 40.0,
    decay_s: float = 4.0,
    exposure_s: float = EXPOSURE_S,
    **changes: object,
) -> list[MovieEvidence]:
    """Every stop waits alike; the stage comes to rest as a power of the time, which no hypothesis of ours does."""
    random, now, stopped, movies = np.random.default_rng(3), 0.0, 0.0, []
    for number in range(count):
        if number % holes == 0:
            stopped, now = now, now + 5.0 + wait_s
        t = np.linspace(0, exposure_s, FRAMES) + now - stopped - 5.0
        path = -start_angstrom_per_s * decay_s / (1 + t / decay_s) + 0.3 * t
        angle = random.uniform(0, 2 * np.pi)
        movies.append(
            known_movie(
                shift_x_angstrom=tuple((path - path.mean()) * np.cos(angle) + random.normal(0, 0.05, FRAMES)),
                shift_y_angstrom=tuple((path - path.mean()) * np.sin(angle) + random.normal(0, 0.05, FRAMES)),
                shift_sd_angstrom=(0.05,) * FRAMES,
                frame_count=FRAMES,
                acquired_utc_us=int((START_S + now) * 1e6),
                exposure_time_s=exposure_s,
                stage_x_um=7.0 * (number // holes),
                **changes,
            )
        )
        now += exposure_s + 3.0
    return movies


def said(movies: Sequence[MovieEvidence], pace_s: float) -> list[Advice]:
    prior = physics_prior()
    for first in range(0, len(movies), 5):
        prior = update(prior, movies[first : first + 5])
    settled = settle.with_settle_times(movies, None, None)[0]
    return list(advise(settled[-25:], prior, seconds_per_movie=pace_s))


def test_a_stage_that_slows_down_in_every_movie_is_waited_for(known_movie: Make) -> None:
    """No movie waited longer than another: only the movies themselves show that the drift passes."""
    advice = [one for one in said(session(known_movie, start_angstrom_per_s=120.0), 16.0) if one.node == "settle_time"]
    assert advice[0].action in ("settle+5s", "settle+10s")
    assert advice[0].upwards
    steady = said(_steady(known_movie), 16.0)
    assert not [one for one in steady if one.node == "settle_time" and one.upwards]


def _steady(known_movie: Make) -> list[MovieEvidence]:
    """As fast in every frame: nothing says that it would pass."""
    movies = session(known_movie, start_angstrom_per_s=0.0)
    path = 8.0 * EXPOSURE_S * (np.arange(FRAMES) / FRAMES - 0.5)
    return [replace(movie, shift_x_angstrom=tuple(path.tolist()), shift_y_angstrom=(0.0,) * FRAMES) for movie in movies]


def test_who_waits_long_for_a_stage_at_rest_is_told_to_wait_less(known_movie: Make) -> None:
    long = session(known_movie, holes=3, wait_s=30.0, start_angstrom_per_s=2.0, decay_s=2.0)
    (best, *_) = [one for one in said(long, 18.7) if one.node == "settle_time"]
    assert best.action == "settle-30s", "all of the wait, for a move of up to 5 s is no part of it"
    assert not best.upwards
    assert "wait 30 s less" in best.sentence
    assert "brings" in best.sentence
    # Where each movie moves the stage, what lies between exposures beyond a readout and a move is waiting.
    alone = session(known_movie, holes=1, wait_s=30.0, start_angstrom_per_s=2.0, decay_s=2.0)
    (best, *_) = [one for one in said(alone, 42.0) if one.node == "settle_time"]
    assert best.action == "settle-23s"
    short = session(known_movie, holes=1, wait_s=10.0, start_angstrom_per_s=2.0, decay_s=2.0)
    assert not [one for one in said(short, 22.0) if one.node == "settle_time"]


def test_another_square_stops_the_clock(known_movie: Make) -> None:
    """It is centred and focused there and moves more than once: the time since the last exposure says nothing."""
    exposures = [
        (0, "a", 0.0),
        (20, "a", 7.0),
        (100, "b", 14.0),
        (108, "b", 14.0),
        (130, "b", 21.0),
        (400, None, 121.0),
    ]
    movies = [
        known_movie(acquired_utc_us=int((START_S + at) * 1e6), grid_square=square, stage_x_um=x)
        for at, square, x in exposures
    ]
    filled = settle.with_settle_times(movies, None, None)[0]
    assert [movie.settle_time_s for movie in filled] == [None, 16.0, None, None, 18.0, None]


def test_pace_is_that_of_the_timeline(known_movie: Make) -> None:
    """A hole takes 7 s; a stop of three 24 s more."""
    timeline = timeline_of(session(known_movie, count=30, holes=3, wait_s=19.0))
    assert timeline is not None
    assert timeline.hole_s == pytest.approx(7.0)
    assert timeline.stop_s == pytest.approx(24.0)
    assert timeline.square_s is None
    assert timeline.wait_s == pytest.approx(19.0)
    assert timeline_of(session(known_movie, count=3)) is None


def test_electrons_that_no_longer_count_are_left_out_where_they_cost_time(known_movie: Make) -> None:
    """Of 100 e/A2 the last half has next to nothing at 5 A and little at 15 A; of 40 it has, for finding particles."""
    many = session(
        known_movie, holes=10, start_angstrom_per_s=0.0, exposure_s=12.0, dose_per_frame_e_per_a2=100 / FRAMES
    )
    (less, *_) = [one for one in said(many, 16.0) if one.factor == "radiation_damage"]
    assert less.action.startswith("dose*")
    assert less.pays_probability >= PAYS_UNTOLD
    assert "of 100 e/A2" in less.sentence
    few = session(known_movie, holes=10, start_angstrom_per_s=0.0, dose_per_frame_e_per_a2=40 / FRAMES)
    assert not [one for one in said(few, 9.0) if one.factor == "radiation_damage"]


def test_after_another_illumination_only_a_narrow_belief_is_knowledge() -> None:
    """The belief starts anew about another mean: that mean is physics, not what the session has told."""
    column = BAND_COUNT + MODELLED_FACTORS.index("spatial_coherence")

    def believed(mean: float, sd: float, *changes: ChangePoint) -> PriorSnapshot:
        precision = np.array(physics_prior().precision)
        information = np.array(physics_prior().information)
        precision[column, column], information[column] = 1 / sd**2, mean / sd**2
        return replace(
            physics_prior(), version=5, precision=tuple(map(tuple, precision.tolist())),
            information=tuple(information.tolist()), change_points=changes,
        )  # fmt: skip

    change = ChangePoint(20, None, "illumination", "counts", 0.0, -0.3, 20.0, "")
    assert _convergence_told(believed(9.0, 4.0), physics_prior())
    assert not _convergence_told(believed(9.0, 4.0, change), physics_prior())
    assert _convergence_told(believed(9.0, 2.0, change), physics_prior())


def test_movies_that_show_a_larger_effect_speak_against_less_of_it() -> None:
    """Waiting really helps: who is told to wait less must hear that the movies say otherwise, if they say more."""
    movies = settling_session(2)
    flat = replace(learnt(movies), settle_sums=())
    sums = settle.no_sums()
    sums[:, 3] = np.where(settle.relative_speed(0.0) > 1.0, -50.0, 0.0)  # believes that nothing settles
    believing = replace(flat, settle_sums=tuple(map(tuple, sums.tolist())))
    longer = how_known("settle_time", movies, believing, causal_graph(), upwards=True)
    less = how_known("settle_time", movies, believing, causal_graph(), upwards=False)
    assert less.contradicted
    assert not longer.contradicted
    assert longer.known_by in (KnownBy.ADJUSTED, KnownBy.PHYSICS)
