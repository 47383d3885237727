"""Weights of V: those that ship, and steps from operators' verdicts: in the right direction, bounded, logged, once."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from frazil.models.evaluation import panel
from frazil.models.evaluation.facts import MovieFeedback, RoundFacts
from frazil.models.evaluation.value import term_weights
from frazil.models.evaluation.value.hyperscore import EQUAL_WEIGHTS
from frazil.models.evaluation.verdict import Verdict

MEANS = {"logic": 0.9, "reproducibility": 0.6, "meta": 0.8}
GOOD = {"logic": 0.9, "reproducibility": 0.9, "meta": 0.8}
BAD = {"logic": 0.9, "reproducibility": 0.3, "meta": 0.8}


def test_the_shipped_weights_are_shares_with_a_version_and_a_word_on_how_they_were_made() -> None:
    found = term_weights.shipped()
    assert sum(found.weights.values()) == pytest.approx(1.0)
    assert min(found.weights.values()) >= term_weights.LEAST_WEIGHT - 1e-9
    assert found.version
    assert found.made


@pytest.mark.parametrize("wrong", [{"logic": 1.0}, dict.fromkeys(EQUAL_WEIGHTS, 0.3), {**EQUAL_WEIGHTS, "logic": -0.2}])
def test_a_file_without_five_shares_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weights of V"):
        term_weights.parsed({"version": "1", "made": "by hand", "weights": wrong})


def test_the_term_that_tells_what_operators_keep_gains_weight() -> None:
    after = term_weights.step(EQUAL_WEIGHTS, [(True, GOOD), (False, BAD)], MEANS, anchor=EQUAL_WEIGHTS)
    assert after["reproducibility"] > 0.2
    assert all(after[name] < 0.2 for name in ("logic", "novelty", "impact", "meta"))
    at_floor = {"logic": 0.28, "novelty": 0.01, "impact": 0.01, "reproducibility": 0.5, "meta": 0.2}
    moved = term_weights.step(at_floor, [(True, GOOD), (False, BAD)], MEANS, anchor=at_floor)
    assert moved["reproducibility"] > 0.501  # what is at its floor stays there and holds nobody back
    assert moved["novelty"] == pytest.approx(0.01)
    contrary = term_weights.step(EQUAL_WEIGHTS, [(False, GOOD), (True, BAD)], MEANS, anchor=EQUAL_WEIGHTS)
    assert contrary["reproducibility"] < 0.2


def test_steps_are_bounded_and_stay_on_the_simplex() -> None:
    weights = dict(EQUAL_WEIGHTS)
    agreed = [term_weights.agreement(weights, [(True, GOOD), (False, BAD)], MEANS)]
    for _ in range(200):
        after = term_weights.step(weights, [(True, GOOD), (False, BAD)] * 3, MEANS, anchor=EQUAL_WEIGHTS)
        assert sum(after.values()) == pytest.approx(1.0)
        assert all(abs(after[n] - weights[n]) <= term_weights.MOST_PER_ROUND + 1e-12 for n in weights)
        assert all(abs(after[n] - 0.2) <= term_weights.MOST_IN_ALL + 1e-9 for n in weights)
        assert min(after.values()) >= term_weights.LEAST_WEIGHT - 1e-12
        weights = after
        agreed.append(term_weights.agreement(weights, [(True, GOOD), (False, BAD)], MEANS))
    assert weights["reproducibility"] == pytest.approx(0.35, abs=1e-6)
    assert agreed[-1] > agreed[0]


def spoken(truth: SimpleNamespace, number: int, accepted: bool) -> MovieFeedback:
    """An operator who keeps the movies whose even and odd frames agree."""
    movie = truth.movie(number, spectra=truth.spectra(shared=1.0 if accepted else 0.3, seed=number))
    return MovieFeedback(f"f{number}", accepted, 1000 + number, movie, "ada")


def test_a_movie_speaks_for_itself(truth: SimpleNamespace) -> None:
    good = term_weights.movie_terms(spoken(truth, 1, True).movie)
    assert good["logic"] == good["meta"] == 1.0
    assert good["reproducibility"] > 0.9
    failed = spoken(truth, 1, True).movie
    failed = replace(failed, result=replace(failed.result, ctf=replace(failed.result.ctf, reliable=False)))
    assert term_weights.movie_terms(failed) == {"logic": 1.0, "meta": 0.0}


def test_feedback_moves_the_weights_once_and_every_step_is_logged(truth: SimpleNamespace) -> None:
    feedback = tuple(spoken(truth, number, number % 2 == 0) for number in range(6))
    plain, told = term_weights.in_use(RoundFacts(0, ()))
    assert plain == dict(term_weights.shipped().weights)
    assert told["version"] == term_weights.shipped().version
    first, evidence = term_weights.in_use(RoundFacts(0, (), feedback=feedback))
    assert first["reproducibility"] > plain["reproducibility"]
    assert evidence["version"] == f"{term_weights.shipped().version}+1"
    step = evidence["last_step"]
    assert step["reason"] == "3 accepted and 3 rejected by ada"
    assert (step["before"], step["after"]) == (plain, first)
    assert step["agreement_after"] > step["agreement_before"]
    stored = {"value": {term_weights.KEY: json.loads(json.dumps(evidence))}}
    again, later = term_weights.in_use(RoundFacts(1, (), feedback=feedback, earlier=stored))
    assert again == pytest.approx(first)
    assert later["steps"] == 1


def test_weights_of_another_shipped_version_are_forgotten() -> None:
    state = {"shipped": "old", "weights": dict.fromkeys(EQUAL_WEIGHTS, 0.2), "steps": 9}
    weights, told = term_weights.in_use(RoundFacts(3, (), earlier={"value": {term_weights.KEY: state}}))
    assert weights == dict(term_weights.shipped().weights)
    assert told["steps"] == 0


def test_the_panel_uses_and_tells_the_weights(truth: SimpleNamespace) -> None:
    said: dict[str, Verdict] = {one.evaluator: one for one in panel.judge(truth.round())}
    used = said["value"].evidence["weights"]
    shipped = term_weights.shipped().weights
    total = sum(shipped[name] for name in used)
    assert used == pytest.approx({name: shipped[name] / total for name in used})
    assert said["value"].evidence[term_weights.KEY]["version"] == term_weights.shipped().version
    assert said["feasibility"].verdict is None
