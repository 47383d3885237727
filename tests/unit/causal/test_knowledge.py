"""How an advice is known: what sessions of known causes say of waiting longer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.attribution.confounded_sessions import HOLES, learnt, settling_session
from frazil.models.causal.advice.record import Advice
from frazil.models.causal.graph import causal_graph
from frazil.models.causal.knowledge import how_known, judged
from frazil.models.causal.measured import measured
from frazil.models.causal.provenance import Experiment, KnownBy, Provenance
from frazil.models.records import MovieEvidence

WAIT = Advice(
    *("motion", "settle+10s", "session", 0.3, 0.2, 0.4, None, None, None, None, 0.26, None, "wait"), node="settle_time"
)
THIN = replace(WAIT, factor="ice", action="thin-ice", node="ice_thickness")


def known(movies: list[MovieEvidence], node: str = "settle_time") -> Provenance:
    return how_known(node, movies, learnt(movies), causal_graph())


def test_where_waits_differed_the_movies_say_what_waiting_does() -> None:
    found = known(settling_session(2))
    assert found.known_by is KnownBy.ADJUSTED
    assert found.adjusted_for == ("stage_move", "hole_order", "session_time")
    assert [refuter.name for refuter in found.refuters] == ["placebo", "negative control", "random common cause"]
    assert all(refuter.passed for refuter in found.refuters)
    assert "electrons counted" in found.refuters[1].words
    assert found.robustness_value is not None
    assert 0.0 < found.robustness_value < 1.0
    assert "doubtful only if a hidden cause explained" in found.sentence


def test_where_the_order_of_holes_decided_the_wait_nothing_can_be_told() -> None:
    found = known(settling_session(1, waits_s=0.001, between_s=0.01))
    assert found.known_by is KnownBy.PHYSICS
    assert "cannot be told from this session" in found.sentence
    assert "order of the holes" in found.sentence
    assert "an experiment would tell" in found.sentence, "the law of settling was learnt from these movies, too"
    assert found.robustness_value is None


def test_advice_that_only_the_order_of_holes_made_is_withdrawn() -> None:
    """Early holes drift because they are early: waiting does nothing, and the prior has learnt that it does."""
    withdrawn = 0
    for seed in range(12):
        movies = settling_session(seed, relaxes=0.0, by_order=-0.5)
        prior = learnt(movies)
        stands, gone = judged([WAIT, THIN], movies, prior, causal_graph())
        assert THIN.action in {one.action for one in stands}
        assert {one.node for one in gone} <= {"settle_time"}
        assert not [one for one in stands if one.provenance.known_by is KnownBy.ADJUSTED]
        withdrawn += bool(gone)
        if gone:
            assert gone[0].provenance.sentence.startswith("the movies speak against it")
    assert withdrawn >= 9


def test_advice_that_is_true_is_hardly_ever_withdrawn() -> None:
    found = [known(settling_session(seed)) for seed in range(20)]
    assert sum(one.contradicted for one in found) <= 1
    assert sum(one.known_by is KnownBy.ADJUSTED for one in found) >= 14


def test_an_experiment_has_the_last_word() -> None:
    """About the values that it compared: the session waits some 27 s."""
    movies = settling_session(2, movies=24)
    prior, graph = learnt(movies), causal_graph()

    def known_with(low: float, high: float, better: float | None) -> Provenance:
        said = {"settle_time": Experiment(low, high, better, f"{better} is better")}
        return how_known("settle_time", movies, prior, graph, said)

    assert known_with(5.0, 60.0, 60.0) == Provenance(KnownBy.MEASURED, "60.0 is better")
    assert known_with(5.0, 60.0, 5.0).contradicted
    assert known_with(5.0, 60.0, None).contradicted, "no difference worth anything"
    for low, high in ((1.0, 3.0), (100.0, 200.0)):
        assert known_with(low, high, high).known_by is KnownBy.PHYSICS, "it was about other values"


def test_an_experiment_speaks_of_the_way_that_advice_leads() -> None:
    rates = Experiment(8.0, 16.0, 8.0, "8 is better")
    assert rates.says_of(16.0, upwards=False) is True
    assert rates.says_of(8.0, upwards=False) is None, "it is as low already"
    assert rates.says_of(8.0, upwards=True) is False
    assert rates.says_of(40.0, upwards=False) is None


def test_dose_rates_are_known_by_the_electrons_that_are_counted() -> None:
    """A session with two dose rates, changed from stop to stop, and a camera that loses 0.01 s px of coincidences."""
    random = np.random.default_rng(4)
    movies = []
    for number, movie in enumerate(settling_session(4)):
        time_s = (2.0, 8.0)[int(random.integers(2)) if number % HOLES == 0 else 0]
        time_s = movies[-1].exposure.exposure_time_s if number % HOLES else time_s
        rate = 40.0 / time_s
        counted = movie.dose_per_frame_e_per_px * (1 - np.exp(-0.01 * rate)) / (0.01 * rate)
        exposure = replace(movie.exposure, exposure_time_s=time_s)
        movies.append(replace(movie, dose_per_frame_e_per_px=float(counted), exposure=exposure))
    found = known(movies, "dose_rate")
    assert "at half the dose rate electrons are counted" in found.sentence
    assert not found.contradicted


@pytest.mark.parametrize(
    ("node", "says"),
    [("illumination_angle", "no number that every movie has"), ("ice_thickness", "no number that every movie has")],
)
def test_without_a_witness_it_is_physics(node: str, says: str) -> None:
    found = known(settling_session(3, movies=20), node)
    assert found.known_by is KnownBy.PHYSICS
    assert says in found.sentence


def test_who_does_not_say_where_the_stage_was_cannot_be_asked() -> None:
    movies = [
        replace(movie, settle_time_s=None, exposure=replace(movie.exposure, stage_x_um=None))
        for movie in settling_session(5, movies=20)
    ]
    assert "no movie says its settle time" in known(movies).sentence


def test_what_movies_show_of_the_stage() -> None:
    movies = settling_session(6, movies=14)
    table = measured(movies[::-1])
    order = table.columns["hole_order"][::-1]
    assert np.isnan(order[:HOLES]).all(), "nobody saw the move before the first stop"
    assert order[HOLES:].tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert table.stops is not None
    assert table.stops[::-1].tolist() == [0] * 6 + [1] * 6 + [2] * 2
    assert np.allclose(np.exp(table.columns["stage_move"][::-1][HOLES:]), 20.0)
    waited = [np.nan if movie.settle_time_s is None else movie.settle_time_s for movie in movies]
    assert np.allclose(np.exp(table.columns["settle_time"][::-1]), waited, equal_nan=True)
