"""Reproducibility against known truth; V, HyperScore, steadiness and temper against their formulas."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from frazil.actors.evaluator import Evaluator
from frazil.models.causal.bands import BAND_COUNT
from frazil.models.causal.evidence_weight import HeardVerdict
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import physics_prior
from frazil.models.evaluation import panel
from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.reproducibility import evaluator as reproducibility
from frazil.models.evaluation.reproducibility.ring_agreement import half_agreement
from frazil.models.evaluation.value import hyperscore, meta
from frazil.models.evaluation.value.temper import (
    LEAST_OF_THE_STRUCTURE,
    epoch_reliabilities,
    evidence_weight,
    temper,
)
from frazil.models.evaluation.value.temper import evaluate as temper_verdict
from frazil.models.evaluation.verdict import LEAST_RELIABILITY, Verdict
from frazil.models.records import MovieEvidence, MovieResult


def _agreements(truth: SimpleNamespace, shared: float) -> list[tuple[float, float]]:
    found = [half_agreement(truth.movie(spectra=truth.spectra(shared=shared, seed=seed)).result) for seed in range(8)]
    return [one for one in found if one is not None]


def test_rings_in_both_halves_agree_whatever_the_camera(truth: SimpleNamespace) -> None:
    values = [value for value, _ in _agreements(truth, 1.0)]
    assert len(values) == 8
    assert np.mean(values) == pytest.approx(1.0, abs=0.03)


def test_rings_that_each_half_has_for_itself_do_not(truth: SimpleNamespace) -> None:
    values = [value for value, _ in _agreements(truth, 0.0)]
    # The polynomial follows the unshared power in part; what is left must be far from agreement.
    assert abs(np.mean(values)) < 0.25


def test_the_more_is_shared_the_better_the_agreement(truth: SimpleNamespace) -> None:
    means = [np.mean([value for value, _ in _agreements(truth, shared)]) for shared in (0.2, 0.5, 0.8, 1.0)]
    assert all(b > a + 0.05 for a, b in itertools.pairwise(means))


def test_the_stated_error_is_the_scatter(truth: SimpleNamespace) -> None:
    found = [half_agreement(truth.movie(spectra=truth.spectra(shared=1.0, seed=seed)).result) for seed in range(40)]
    values = np.array([one for one in found if one is not None])
    assert 0.6 < values[:, 0].std(ddof=1) / values[:, 1].mean() < 1.6


def test_without_rings_or_halves_nothing_is_said(truth: SimpleNamespace) -> None:
    movie = truth.movie(spectra=truth.spectra(shared=1.0, seed=0))
    unreliable = replace(movie.result, ctf=replace(movie.result.ctf, reliable=False))
    one_frame = replace(movie.result, spectra=replace(movie.result.spectra, half_frc=()))
    assert half_agreement(unreliable) is None
    assert half_agreement(one_frame) is None
    verdict = reproducibility.evaluate(RoundFacts(0, (truth.movie(),)))
    assert verdict.verdict is None
    assert verdict.reliability == 1.0
    assert "no movie had reliable rings" in verdict.does_not_know[0]


def test_rounds_one_after_the_other_say_what_all_movies_at_once_do(truth: SimpleNamespace) -> None:
    movies = tuple(truth.movie(n, spectra=truth.spectra(shared=0.9, seed=n)) for n in range(6))
    at_once = reproducibility.evaluate(RoundFacts(0, movies))
    first = reproducibility.evaluate(RoundFacts(0, movies[:4]))
    stored = json.loads(json.dumps(first.evidence))
    then = reproducibility.evaluate(RoundFacts(1, movies[4:], earlier={"reproducibility": stored}))
    assert then.verdict == pytest.approx(at_once.verdict, rel=1e-12)
    assert then.uncertainty == pytest.approx(at_once.uncertainty, rel=1e-9)
    assert at_once.uncertainty == pytest.approx(
        np.std([min(1, row["agreement"]) for row in at_once.evidence["this_round"]], ddof=1) / math.sqrt(6), rel=1e-9
    )


def test_value_is_the_weighted_sum_when_all_is_known() -> None:
    known = {"logic": 0.9, "novelty": 0.5, "impact": 12.0, "reproducibility": 0.8, "meta": 0.7}
    weights = {"logic": 0.3, "novelty": 0.1, "impact": 0.1, "reproducibility": 0.4, "meta": 0.1}
    v = hyperscore.value([Verdict(name, value) for name, value in known.items()], weights)
    assert v.verdict == pytest.approx(0.27 + 0.05 + 0.1 * math.log(13) + 0.32 + 0.07)
    assert v.does_not_know == ()


def test_undefined_terms_are_left_out_and_shown() -> None:
    v = hyperscore.value(
        [Verdict("logic", 0.9, uncertainty=0.1), Verdict("impact", None), Verdict("reproducibility", 0.6)]
    )
    assert v.verdict == pytest.approx(0.75)
    assert v.uncertainty == pytest.approx(0.05)
    assert v.evidence["weights"] == {"logic": 0.5, "reproducibility": 0.5}
    assert v.does_not_know == tuple(f"{name} is undefined and left out" for name in ("novelty", "impact", "meta"))
    nothing = hyperscore.value([Verdict("logic", None)])
    assert nothing.verdict is None
    assert hyperscore.evaluate(nothing).verdict is None


def test_hyperscore_follows_its_formula_and_keeps_its_range() -> None:
    def formula(v: float) -> float:
        return 100 * (1 + (1 / (1 + math.exp(-(5 * math.log(v) - math.log(2))))) ** 2)

    for v in (0.05, 0.3, 0.95, 1.0, 1.5, 4.0):
        assert hyperscore.hyperscore(v) == pytest.approx(formula(v), rel=1e-12)
    assert hyperscore.hyperscore(1.0) == pytest.approx(100 * (1 + 1 / 9))
    assert hyperscore.hyperscore(0.0) == 100.0
    assert hyperscore.hyperscore(5e-324) == pytest.approx(100.0)
    assert hyperscore.hyperscore(1e300) == pytest.approx(200.0)
    for outside in (-0.01, math.nan):
        with pytest.raises(ValueError, match="V >= 0"):
            hyperscore.hyperscore(outside)


def test_steadiness_needs_two_rounds_and_falls_with_a_jump(truth: SimpleNamespace) -> None:
    def said(number: int, logic: float, earlier: Verdict | None) -> Verdict:
        before = {} if earlier is None else {"meta": json.loads(json.dumps(earlier.evidence))}
        return meta.evaluate(RoundFacts(number, (), earlier=before), [Verdict("logic", logic), Verdict("impact", None)])

    first = said(0, 0.9, None)
    assert first.verdict is None
    second = said(1, 0.9, first)
    assert second.verdict == 1.0
    third = said(2, 0.5, second)
    assert third.verdict == pytest.approx(1.0 - 0.4 / 2)
    assert said(2, 0.5, third).evidence == third.evidence  # the same round again is no new round
    newest = third
    for number in range(3, 20):
        newest = said(number, 0.5, newest)
    assert newest.verdict == pytest.approx(1.0)  # what was long ago is forgotten
    assert len(newest.evidence["rounds"]) == 8


def test_temper_is_the_geometric_mean() -> None:
    ones = dict.fromkeys(("logic", "novelty", "impact", "reproducibility", "meta"), 1.0)
    assert temper(ones) == 1.0
    assert temper(ones | {"meta": 0.5, "logic": 0.25}) == pytest.approx(0.125 ** (1 / 5))
    for wrong in (0.0, 1.1, -1.0):
        with pytest.raises(ValueError, match="reliability of logic"):
            temper(ones | {"logic": wrong})
    with pytest.raises(ValueError, match="reliability of taste"):
        temper({"taste": 1.0})
    assert temper({"logic": 0.25, "meta": 0.5}) == pytest.approx(0.125 ** (1 / 2)), "of those that are known"


def test_doubtful_epochs_have_a_smaller_temper(truth: SimpleNamespace) -> None:
    good = [truth.movie(n, spectra=truth.spectra(shared=1.0, seed=n)).result for n in range(10)]
    apart = [truth.movie(n, spectra=truth.spectra(shared=0.2, seed=n)).result for n in range(10)]
    blind = [replace(result, ctf=replace(result.ctf, reliable=False)) for result in good[:8]] + good[8:]
    false = [replace(result, ctf=replace(result.ctf, fit_resolution_angstrom=2.0)) for result in good]
    assert g(good) > 0.97
    assert g([]) == 1.0
    assert g(good, broken_claims=1) == pytest.approx(0.5 ** (1 / 3) * g(good))
    assert g(apart) < 0.85
    assert g(blind) < 0.75
    assert epoch_reliabilities(false)["logic"] == pytest.approx(0.75)
    assert epoch_reliabilities(blind)["meta"] == pytest.approx(3 / 11)
    for results in (good, apart, blind, false):
        assert all(LEAST_RELIABILITY <= r <= 1.0 for r in epoch_reliabilities(results).values())
        assert evidence_weight(results) == evidence_weight(results[::-1])


def g(results: Sequence[MovieResult], heard: Sequence[HeardVerdict] = (), broken_claims: int = 0) -> float:
    return evidence_weight(results, heard, broken_claims).g


def heard(**reliabilities: float | None) -> list[HeardVerdict]:
    """Verdicts of the sixth round; None: the evaluator could say nothing."""
    return [
        HeardVerdict(name, 5, None if value is None else value, 1.0 if value is None else value, "no map yet")
        for name, value in reliabilities.items()
    ]


def test_what_an_evaluator_doubts_counts_less_and_what_it_praises_not_more(truth: SimpleNamespace) -> None:
    results = [truth.movie(n, spectra=truth.spectra(shared=1.0, seed=n)).result for n in range(5)]
    own = epoch_reliabilities(results)
    assert set(own) == {"logic", "reproducibility", "meta"}
    for name in own:
        doubted = evidence_weight(results, heard(**{name: 0.3}))
        assert doubted.g == pytest.approx(g(results) * (0.3 / own[name]) ** (1 / 3))
        (term,) = [one for one in doubted.terms if one.name == name]
        assert (term.reliability, term.verdict_round) == (0.3, 5)
        assert "0.30 in round 6" in term.words
        assert g(results, heard(**{name: 1.0})) == pytest.approx(g(results)), "praise adds nothing to what movies show"
    worst = evidence_weight(results, heard(logic=0.05, novelty=0.05, impact=0.05, reproducibility=0.05, meta=0.05))
    assert 0.05 <= worst.g < 0.15


def test_the_structures_worth_takes_a_quarter_off_at_most(truth: SimpleNamespace) -> None:
    results = [truth.movie(n, spectra=truth.spectra(shared=1.0, seed=n)).result for n in range(5)]
    sure = g(results, heard(logic=1.0, novelty=1.0, impact=1.0, reproducibility=1.0, meta=1.0))
    doubted = g(results, heard(logic=1.0, novelty=0.05, impact=0.05, reproducibility=1.0, meta=1.0))
    assert doubted / sure == pytest.approx(LEAST_OF_THE_STRUCTURE ** (2 / 5))
    assert doubted / sure > 0.75


def test_who_says_nothing_is_left_out_in_words_and_never_a_one(truth: SimpleNamespace) -> None:
    results = [truth.movie(n, spectra=truth.spectra(shared=0.3, seed=n)).result for n in range(5)]
    silent = evidence_weight(results, heard(novelty=None, impact=None, meta=None))
    terms = {one.name: one for one in silent.terms}
    assert [terms[name].reliability for name in ("novelty", "impact")] == [None, None]
    assert terms["novelty"].words == "round 6: no map yet"
    assert terms["meta"].reliability == epoch_reliabilities(results)["meta"], "its own movies still speak"
    nobody = {one.name: one for one in evidence_weight(results).terms}
    assert nobody["impact"].words == "no finished round of the evaluators yet"
    ones = g(results, heard(novelty=1.0, impact=1.0))
    assert silent.g == g(results) < ones, "a 1 for who says nothing would flatter"


def test_the_sandbox_makes_reproducibility_firmer_or_weaker(truth: SimpleNamespace) -> None:
    results = [truth.movie(n, spectra=truth.spectra(shared=1.0, seed=n)).result for n in range(5)]
    own = epoch_reliabilities(results)["reproducibility"]
    terms = {one.name: one for one in evidence_weight(results, heard(sandbox=0.4)).terms}
    assert terms["reproducibility"].reliability == pytest.approx(math.sqrt(own * 0.4))
    assert "sandbox: 0.40 in round 6" in terms["reproducibility"].words
    assert g(results, heard(sandbox=None)) == g(results)


def test_a_rounds_own_g_hears_its_verdicts_but_not_how_long_movies_took(truth: SimpleNamespace) -> None:
    results = [truth.movie(n, spectra=truth.spectra(shared=1.0, seed=n)).result for n in range(5)]
    doubted = temper_verdict(7, results, [Verdict("logic", 0.2, reliability=0.2), Verdict("value", 0.1)])
    assert doubted.verdict == pytest.approx(g(results, heard(logic=0.2)))
    assert doubted.evidence["heard_from_version"] == 10
    assert any(text.startswith("novelty, left out") for text in doubted.does_not_know)
    slow = Verdict("reproducibility", 0.1, reliability=1.0, evidence={"parts": {"cost": 0.1}})
    assert temper_verdict(7, results, [slow]).verdict == pytest.approx(g(results))


def test_a_tempered_epoch_moves_the_prior_by_just_that_much() -> None:
    bands: list[float | None] = [None] * BAND_COUNT
    bands[4] = -2.0
    movie = MovieEvidence(
        (0.0,), (0.0,), (0.1,), 0.0, 40, 1.0, 0.0, 1.1, 1.1, 300.0, 2.7, 1.5e4, 0.1, tuple(bands), 0.5
    )
    before = np.array(physics_prior().precision)
    full = np.array(update(physics_prior(), [movie], temper=1.0).precision) - before
    half = np.array(update(physics_prior(), [movie], temper=0.5).precision) - before
    assert full[4, 4] > 0
    np.testing.assert_allclose(half, 0.5 * full, atol=1e-12)


def test_the_panel_says_everything_once_and_the_same_each_time(truth: SimpleNamespace) -> None:
    facts = truth.round()
    timed = Evaluator().score(facts)
    assert tuple(one.verdict.evaluator for one in timed) == panel.EVALUATORS
    assert all(one.seconds >= 0 for one in timed)
    assert [one.verdict for one in Evaluator().score(facts)] == [one.verdict for one in timed]
    said = {one.verdict.evaluator: one.verdict for one in timed}
    assert said["novelty"].verdict is None
    assert said["novelty"].does_not_know[0] == "no reference structures supplied"
    assert said["impact"].verdict is None
    assert said["impact"].does_not_know == ("no citation graph supplied",)
    for verdict in said.values():
        json.dumps(dict(verdict.evidence), allow_nan=False)


def test_a_reliability_out_of_range_is_refused() -> None:
    for wrong in (0.0, 1.5):
        with pytest.raises(ValueError, match="reliability"):
            Verdict("logic", 1.0, reliability=wrong)
