"""A round that cannot be judged is told, and the next one is judged."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from frazil.actors.evaluator import Evaluator, TimedVerdict
from frazil.config.settings import EvaluationSettings, Settings
from frazil.daemon.analysis.evaluation import facts as score_facts
from frazil.daemon.analysis.evaluation.rounds import EvaluationRounds, score_row
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.daemon.store.rows import FeedbackRow, ForecastRow, ParticleRows, ReconstructionRow
from frazil.daemon.store.writes import session_writes
from frazil.models.evaluation.value import term_weights
from frazil.models.evaluation.verdict import Verdict


@pytest.fixture
def desk(runtime, context, put):
    for sequence in range(2 * EPOCH_MOVIES):
        put(sequence)
    book = SimpleNamespace(open_sequences=[], ended_sequences=list(range(2 * EPOCH_MOVIES)))
    return EvaluationRounds(runtime, context(), book, map_idle=lambda: True)


def finish(desk):
    for _ in range(20):
        desk.step()


def rounds(ray):
    return [arguments[0].round for _, arguments in ray.calls]


@pytest.mark.parametrize("kind", ["RayTaskError", "RayError"])
def test_an_error_in_judging_is_that_rounds_alone(desk, ray, alerts, kind):
    def judge(facts):
        if facts.round == 0:
            raise getattr(ray.exceptions, kind)(ValueError("no variance"))
        return ()

    ray.answers["score"] = judge
    finish(desk)
    assert rounds(ray) == [0, 1]
    assert alerts() == ["round 0 could not be judged: no variance"]


def test_a_process_that_dies_is_asked_about_the_same_round_and_given_up_in_the_end(desk, ray, alerts):
    def die(_):
        raise ray.exceptions.RayActorError("killed")

    ray.answers["score"] = die
    finish(desk)
    assert rounds(ray) == [0, 0, 0]
    assert desk.drained(final=True)
    assert "there are no more verdicts" in alerts()[0]


def test_provers_that_contradict_each_other_are_an_alert_and_what_each_took_is_evidence(desk, ray, store, alerts):
    row = {"name": "group-closed", "subject": "D7", "said": {"z3": "refuted", "exact": "proved"}}
    verdict = Verdict("logic", 1.0, evidence={"obligations": [], "contradictions": [row]})
    ray.answers["score"] = lambda facts: (TimedVerdict(verdict, 2.0, {"z3": 1.5}),)
    finish(desk)
    (text,) = alerts()
    assert text.startswith("provers contradict each other about whether the symmetry operations form a group")
    assert "z3: refuted, exact: proved" in text
    (evidence,) = store.rows("SELECT evidence_json FROM scores WHERE round = 0")[0]
    assert json.loads(evidence)["prover_seconds"] == {"z3": 1.5}


def test_the_half_sets_of_the_whole_map_are_counted(store, put, tmp_path):
    fibres = [None, (1, 2, 3), (4, 4, 5)]
    for sequence, halves in enumerate([(1, 2, 1), (2, 1, 2), (1, 1, 2)]):
        result = put(sequence)
        picks = result.picks
        store.submit(
            session_writes.record_particles,
            ParticleRows(
                *(result.movie_id, picks.x_px, picks.y_px, halves),
                fibre=fibres[sequence],
                diameter_angstrom=150.0,
            ),
        ).result()
    map_row = ReconstructionRow(round=1, created_utc_us=1, movie_count=3, particle_count=9, symmetry="C1")
    store.submit(session_writes.record_reconstruction, map_row).result()
    facts = score_facts.round_facts(store, tmp_path, Settings(), 0)
    assert facts.map.half_set_particle_counts == (5, 4)
    assert facts.map.halved_particle_count == 9
    assert facts.map.fibre_slack == 1  # of one movie the largest fibre has two segments
    assert [movie.half_set_fibre for movie in facts.movies] == [(), (1, 2, 3), (4, 4, 5)]


def test_the_described_model_is_among_the_facts(store, put, tmp_path):
    put(0)
    (tmp_path / "helix.yaml").write_text("helix: {rise_angstrom: 1.408, twist_deg: 22.03}")
    settings = Settings(evaluation=EvaluationSettings(model=str(tmp_path / "helix.yaml")))
    facts = score_facts.round_facts(store, tmp_path, settings, 0)
    assert facts.model.helix.twist_deg == 22.03
    assert score_facts.round_facts(store, tmp_path, Settings(), 0).model is None


def test_what_operators_say_moves_the_weights_of_the_next_round_and_is_told_in_sql(store, put, tmp_path):
    """From the feedback table through facts, panel and store to the view; the second round uses nothing again."""
    results = [put(sequence) for sequence in range(2 * EPOCH_MOVIES)]
    for number, result in enumerate(results[:4]):
        row = FeedbackRow(f"f{number}", 100 + number, ("accept", "reject")[number % 2], "ada", result.movie_id)
        store.submit(session_writes.record_feedback, row).result()
    for number in (0, 1):
        facts = score_facts.round_facts(store, tmp_path, Settings(), number)
        assert len(facts.feedback) == (4 if number == 0 else 0)
        for timed in Evaluator().score(facts):
            store.submit(session_writes.record_score, score_row(number, timed, created_utc_us=1)).result()
    newest, first = store.named("value_weights", {"limit": 10}).as_dicts()
    assert (first["steps"], newest["steps"]) == (1, 1)
    assert first["version"] == newest["version"] == f"{term_weights.shipped().version}+1"
    assert (first["moved_by"], newest["moved_by"]) == ("2 accepted and 2 rejected by ada", None)
    names = ("logic", "novelty", "impact", "reproducibility", "meta")
    assert sum(first[name] for name in names) == pytest.approx(1.0)
    (value,) = (one for one in summarise(store, tmp_path, now_utc_us=2, live=True).scores if one.evaluator == "value")
    assert value.weights == first["version"]


def test_the_goal_is_held_against_the_forecast_pace_and_disk(store, put, tmp_path):
    for sequence in range(EPOCH_MOVIES):
        put(sequence)
    (tmp_path / "motion").mkdir()
    for sequence in range(EPOCH_MOVIES):
        (tmp_path / f"motion/{sequence}.mrc").write_bytes(b"0" * 5000)
    step = ForecastRow(1, "step", 25, 15, 45, 1.0, 4.0, None, None, True, None, "20 more movies to reach 4 A")
    end = ForecastRow(2, "end", 10, None, None, 1.0, 6.0, 5.5, 6.5, True, None, "after 10 movies")
    for number, movies, resolution, foretold in ((1, 5, 7.0, (step, end)),):
        row = ReconstructionRow(number, 1, movies, 50, symmetry="C1", resolution_0143_angstrom=resolution)
        row = replace(row, forecasts=foretold)
        store.submit(session_writes.record_reconstruction, row).result()
    chosen = EvaluationSettings(goal_resolution_angstrom=4.0, microscope_hours_left=8.0)
    facts = score_facts.round_facts(store, tmp_path, Settings(evaluation=chosen), 0)
    assert facts.map_rounds == ((5, 7.0),)
    assert [(one.made_at_movies, one.movies) for one in facts.map_forecasts] == [(5, 10)]
    assert facts.prospects.movies_needed == (15, 25, 45)
    assert facts.prospects.bytes_per_movie == 5000
    assert facts.prospects.hours_left == pytest.approx(8.0, abs=1e-6)
    assert facts.prospects.resolution_angstrom == 7.0
    assert score_facts.round_facts(store, tmp_path, Settings(), 0).prospects is None
