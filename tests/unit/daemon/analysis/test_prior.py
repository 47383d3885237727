"""Whatever happens to an epoch, the prior's next version comes, the daemon goes on, and a person is told."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from frazil.config.settings import Settings
from frazil.daemon.analysis.heard_verdicts import heard_verdicts
from frazil.daemon.analysis.prior import PriorVersions
from frazil.daemon.session.epochs import EPOCH_MOVIES, OUTDATED, MadeWith, eligible_below
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store import result_files
from frazil.daemon.store.rows import ADVISER, InterventionRow, ScoreRow
from frazil.daemon.store.writes import causal_writes, session_writes
from frazil.models.causal.change_points import Announcement
from frazil.models.causal.evidence_weight import HeardVerdict
from frazil.models.causal.prior import physics_prior
from frazil.models.evaluation.value.temper import LEAST_OF_THE_STRUCTURE, evidence_weight

FIRST_USER = eligible_below(0)
"""The first movie that uses version 1."""


@pytest.fixture
def open_desk(runtime, store, context):
    def make(parameter_hash="h"):
        book = MovieRegistry.restore(store, parameter_hash=parameter_hash, code_version="1")
        return PriorVersions(runtime, context(made_with=MadeWith(parameter_hash, "1")), book)

    return make


@pytest.fixture
def epoch(put, ray):
    """The finished movies of one epoch, and an actor that counts them."""
    for sequence in range(EPOCH_MOVIES):
        put(sequence)
    ray.answers["learn"] = lambda prior, results, forgetting, announced, first, heard: replace(
        prior, version=prior.version + 1, movie_count=prior.movie_count + len(results)
    )


def raises(error):
    def answer(*_):
        raise error

    return answer


def run(desk):
    for _ in range(10):
        desk.step()
    assert not desk.busy


def test_what_a_session_started_from_is_kept_when_others_have_gone_on(runtime, store, context):
    def desk(start):
        book = MovieRegistry.restore(store, parameter_hash="h", code_version="1")
        return PriorVersions(runtime, context(), book, start=lambda: start)

    taught = replace(physics_prior(), empty_counts_per_px=7.0)
    assert desk(physics_prior()).prior_for(0) == physics_prior()
    assert desk(taught).prior_for(0) == physics_prior()


def test_an_epoch_is_learnt_from_once(open_desk, epoch, ray):
    desk = open_desk()
    run(desk)
    assert desk.newest_version == 1
    assert desk.prior_for(FIRST_USER).movie_count == EPOCH_MOVIES
    again = open_desk()
    run(again)
    assert again.prior_for(FIRST_USER) == desk.prior_for(FIRST_USER)
    assert len(ray.calls) == 1


def test_an_error_in_learning_carries_the_belief_forward(open_desk, epoch, ray, alerts):
    ray.answers["learn"] = raises(ray.exceptions.RayTaskError(np.linalg.LinAlgError("singular matrix")))
    desk = open_desk()
    run(desk)
    assert desk.newest_version == 1
    assert desk.prior_for(FIRST_USER) == replace(desk.prior_for(0), version=1)
    assert [text for text in alerts() if f"movies 1 to {EPOCH_MOVIES}" in text and "singular matrix" in text]
    again = open_desk()  # and it is stored: the next start does not fail at the same place
    assert again.newest_version == 1


def test_a_process_that_always_dies_carries_the_belief_forward(open_desk, epoch, ray, alerts):
    ray.answers["learn"] = raises(ray.exceptions.RayActorError("killed"))
    desk = open_desk()
    run(desk)
    assert desk.newest_version == 1
    assert len(ray.calls) == 3
    assert ray.started == 3
    assert "ended 3 times" in alerts()[0]


def test_a_process_that_dies_once_is_asked_about_the_same_epoch(open_desk, epoch, ray):
    learn = ray.answers["learn"]
    answers = iter([raises(ray.exceptions.RayActorError("killed")), learn])
    ray.answers["learn"] = lambda *arguments: next(answers)(*arguments)
    desk = open_desk()
    run(desk)
    assert [len(arguments[1]) for _, arguments in ray.calls] == [EPOCH_MOVIES, EPOCH_MOVIES]
    assert desk.prior_for(FIRST_USER).movie_count == EPOCH_MOVIES


def test_damaged_and_missing_results_are_no_evidence(open_desk, epoch, alerts, tmp_path):
    result_files.result_path(tmp_path, "m003").write_bytes(b"\x00 not a result")
    result_files.result_path(tmp_path, "m004").unlink()
    desk = open_desk()
    run(desk)
    assert desk.prior_for(FIRST_USER).movie_count == EPOCH_MOVIES - 2
    said = " ".join(alerts())
    assert "m003" in said
    assert "m004" in said


def test_what_was_learnt_from_results_of_other_settings_is_not_used(open_desk, epoch, put, ray):
    run(open_desk())
    for sequence in range(EPOCH_MOVIES):
        put(sequence, parameter_hash="other")
    desk = open_desk("other")
    assert desk.newest_version == 0, "all movies were done again"
    run(desk)
    assert [arguments[0].version for _, arguments in ray.calls] == [0, 0]
    assert {result.parameter_hash for result in ray.calls[-1][1][1]} == {"other"}
    assert open_desk("other").newest_version == 1
    assert open_desk("h").newest_version == 0


def test_versions_go_on_under_another_name_while_results_are_made_again(open_desk, epoch, put, store, ray):
    run(open_desk())
    store.submit(causal_writes.rename_versions, OUTDATED, "1").result()
    desk = open_desk(OUTDATED)
    assert desk.newest_version == 1, "no movie waits for a chain that begins anew"
    for sequence in range(EPOCH_MOVIES, 2 * EPOCH_MOVIES):
        put(sequence, parameter_hash="other")
        desk.begins(sequence)
        desk.ends(sequence)
    run(desk)
    assert desk.newest_version == 2
    assert open_desk("h").newest_version == open_desk("other").newest_version == 0


def test_versions_that_are_no_longer_in_memory_are_read_again(open_desk, epoch, put):
    for sequence in range(EPOCH_MOVIES, 20 * EPOCH_MOVIES):
        put(sequence)
    desk = open_desk()
    for _ in range(40):
        desk.step()
    assert desk.newest_version == 20
    counts = [desk.snapshot(version).movie_count for version in range(21)]
    assert counts == [EPOCH_MOVIES * version for version in range(21)]
    assert len(desk._snapshots) < 20, "a session of thousands of versions fits into memory"


def test_versions_of_an_earlier_form_of_the_model_are_made_again(open_desk, epoch, store, ray):
    run(open_desk())
    for state in ("{}", "not JSON"):
        store.submit(lambda c, s=state: c.execute("UPDATE priors SET state_json = ?", [s]) and None).result()
        desk = open_desk()
        assert desk.newest_version == 0
        run(desk)
        assert desk.newest_version == 1


def test_versions_made_in_larger_epochs_are_made_again(open_desk, epoch, store):
    run(open_desk())
    store.submit(lambda c: c.execute("UPDATE priors SET movie_count = 10") and None).result()
    assert open_desk().newest_version == 0


def test_the_session_says_how_much_is_forgotten(runtime, store, context, epoch, ray):
    book = MovieRegistry.restore(store, parameter_hash="h", code_version="1")
    run(PriorVersions(runtime, context(), book, forgetting=0.97))
    assert [arguments[2] for method, arguments in ray.calls if method == "learn"] == [0.97]


def test_what_a_person_announced_before_the_last_movie_is_learnt_with(open_desk, epoch, ray, store):
    """Advice is no announcement, nor is what was said when all of the epoch's movies had been found."""
    for sequence in range(EPOCH_MOVIES):
        store.submit(
            lambda c, n=sequence: (
                c.execute(
                    "UPDATE movies SET found_utc_us = ?, acquired_utc_us = ? WHERE sequence = ?", [10 * n, 1000 * n, n]
                )
                and None
            )
        ).result()
    for name, utc_us, who in (("a", 25, "anna"), ("b", 12, "ben"), ("c", 99, "anna"), ("d", 12, ADVISER)):
        row = InterventionRow(name, utc_us, "motion", "session", f"said {name}", who)
        store.submit(session_writes.record_intervention, row).result()
    run(open_desk())
    ((_, (_, _, _, announced, _, _)),) = [call for call in ray.calls if call[0] == "learn"]
    assert announced == [
        Announcement("said a", "motion", 3, 3000),
        Announcement("said b", "motion", 2, 2000),
    ]


def say(store, round_number, **verdicts):
    """Verdicts of a round, each as sure as it is high; None: nothing can be said."""
    rows = [
        ScoreRow(
            *(round_number, name, 1, '{"does_not_know": ["no map yet"], "parts": {"rings": 0.9}}'),
            verdict=value,
            reliability=1.0 if value is None else value,
            unit="0-1",
        )
        for name, value in verdicts.items()
    ]
    store.submit(session_writes.record_scores, rows).result()


def test_an_epoch_hears_the_newest_verdicts_of_two_rounds_before(store):
    say(store, 0, logic=0.7, meta=0.9, novelty=0.8, sandbox=0.6)
    say(store, 1, logic=0.5, meta=None, value=0.1)
    say(store, 2, logic=0.3)
    heard = {one.evaluator: one for one in heard_verdicts(store, 3)}
    assert set(heard) == {"logic", "meta", "novelty", "sandbox"}, "V is a sum of the others"
    assert heard["logic"] == HeardVerdict("logic", 1, 0.5, 0.5)
    assert heard["meta"] == HeardVerdict("meta", 1, None, 1.0, "no map yet")
    assert heard["novelty"].round == 0
    assert heard_verdicts(store, 1) == ()
    cost = ScoreRow(1, "reproducibility", 1, '{"parts": {"cost": 0.4}}', verdict=0.4, reliability=1.0, unit="0-1")
    store.submit(session_writes.record_scores, [cost]).result()
    (only,) = [one for one in heard_verdicts(store, 3) if one.evaluator == "reproducibility"]
    assert only.verdict is None, "how long movies took is no evidence"


def learn_for_sure(prior, results, forgetting, announced, first, heard):
    """As the actor does it, but for the movies' own evidence."""
    return replace(
        prior, version=prior.version + 1, movie_count=prior.movie_count + 5, weight=evidence_weight(results, heard)
    )


def test_what_a_version_heard_is_kept_with_it_and_g_follows_from_it(open_desk, put, store, ray):
    for sequence in range(4 * EPOCH_MOVIES):
        put(sequence)
    ray.answers["learn"] = learn_for_sure
    say(store, 0, logic=0.7, novelty=0.1)
    say(store, 1, logic=0.2, impact=None)
    desk = open_desk()
    run(desk)
    assert desk.newest_version == 4
    rows = store.named("evidence_weights", {"limit": 100}).as_dicts()
    by_version = {}
    for row in rows:
        by_version.setdefault(row["prior_version"], {})[row["term"]] = row
    assert sorted(by_version) == [1, 2, 3, 4]
    assert [by_version[version]["logic"]["verdict_round"] for version in (1, 2, 3, 4)] == [None, None, 0, 1]
    assert by_version[4]["logic"]["reliability"] == pytest.approx(0.2)
    assert by_version[4]["novelty"]["reliability"] == LEAST_OF_THE_STRUCTURE
    assert by_version[4]["impact"]["reliability"] is None
    assert by_version[4]["impact"]["words"] == "round 2: no map yet"
    for version, terms in by_version.items():
        known = [row["reliability"] for row in terms.values() if row["reliability"] is not None]
        assert [row["g"] for row in terms.values()] == pytest.approx([math.prod(known) ** (1 / len(known))] * 5)
        assert desk.snapshot(version).weight.g == terms["logic"]["g"]
    # A round that is judged anew changes no version that heard of it: a restart has the same g, bit for bit.
    say(store, 1, logic=0.9)
    again = open_desk()
    run(again)
    assert [again.snapshot(version) for version in range(5)] == [desk.snapshot(version) for version in range(5)]


def test_a_session_may_learn_without_verdicts(runtime, store, context, put, ray):
    for sequence in range(3 * EPOCH_MOVIES):
        put(sequence)
    ray.answers["learn"] = learn_for_sure
    say(store, 0, logic=0.7)
    book = MovieRegistry.restore(store, parameter_hash="h", code_version="1")
    deaf = Settings.model_validate({"causal": {"hear_verdicts": False}})
    desk = PriorVersions(runtime, context(settings=deaf), book)
    run(desk)
    assert {arguments[5] for method, arguments in ray.calls if method == "learn"} == {()}
