"""A round that cannot be judged is told, and the next one is judged."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from frazil.actors.evaluator import TimedVerdict
from frazil.config.settings import EvaluationSettings, Settings
from frazil.daemon import score_facts
from frazil.daemon.prior_epochs import EPOCH_MOVIES
from frazil.daemon.score_desk import ScoreDesk
from frazil.daemon.store import session_writes
from frazil.daemon.store.rows import ParticleRows, ReconstructionRow
from frazil.models.evaluation.verdict import Verdict


@pytest.fixture
def desk(runtime, store, put, tmp_path):
    for sequence in range(2 * EPOCH_MOVIES):
        put(sequence)
    book = SimpleNamespace(open_sequences=[], ended_sequences=list(range(2 * EPOCH_MOVIES)))
    return ScoreDesk(
        runtime, store, tmp_path, Settings(), book, utc_us=lambda: 1, map_idle=lambda: True
    )  # fmt: skip


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
    for sequence, halves in enumerate([(1, 2, 1), (2, 1, 2), (1, 1, 2)]):
        result = put(sequence)
        picks = result.picks
        store.submit(
            session_writes.record_particles,
            ParticleRows(
                movie_id=result.movie_id, x_px=picks.x_px, y_px=picks.y_px, half_set=halves, diameter_angstrom=150.0
            ),
        ).result()
    map_row = ReconstructionRow(round=1, created_utc_us=1, movie_count=3, particle_count=9, symmetry="C1")
    store.submit(session_writes.record_reconstruction, map_row).result()
    facts = score_facts.round_facts(store, tmp_path, Settings(), 0).map
    assert facts.half_set_particle_counts == (5, 4)
    assert facts.halved_particle_count == 9


def test_the_described_model_is_among_the_facts(store, put, tmp_path):
    put(0)
    (tmp_path / "helix.yaml").write_text("helix: {rise_angstrom: 1.408, twist_deg: 22.03}")
    settings = Settings(evaluation=EvaluationSettings(model=str(tmp_path / "helix.yaml")))
    facts = score_facts.round_facts(store, tmp_path, settings, 0)
    assert facts.model.helix.twist_deg == 22.03
    assert score_facts.round_facts(store, tmp_path, Settings(), 0).model is None
