"""Parts of dRepro and meta, and feasibility, against answers that were put in."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from frazil.models.evaluation.facts import MapFacts, MapForecast, MovieRerun, Prospects, RoundFacts
from frazil.models.evaluation.reproducibility import evaluator as reproducibility
from frazil.models.evaluation.reproducibility.computing_cost import CostLine, agreement
from frazil.models.evaluation.reproducibility.map_agreement import half_set_agreement
from frazil.models.evaluation.reproducibility.second_run import rerun_agreement, rerun_parts
from frazil.models.evaluation.value import feasibility, meta
from frazil.models.evaluation.value.contradictions import checks, consistency
from frazil.models.evaluation.value.forecast_record import calibration, due
from frazil.models.evaluation.verdict import Verdict
from frazil.models.records import StageTiming


def map_of(fsc: np.ndarray, *, box_angstrom: float = 256.0, resolution: float | None = 8.0) -> MapFacts:
    frequency = np.arange(1, len(fsc) + 1) / box_angstrom
    return MapFacts(1, 10, 500, "C1", resolution, tuple(frequency.tolist()), tuple(fsc.tolist()), 10, 500)


def step_curve(resolution: float, *, shells: int = 80, level: float = 1.0) -> np.ndarray:
    return np.where(np.arange(1, shells + 1) / 256.0 <= 1 / resolution, level, 0.0)


def falling(resolution: float, shells: int = 60) -> np.ndarray:
    k = np.arange(1, shells + 1) / 256.0
    return 1 / (1 + np.exp(60 * (k - 1 / resolution)))


# ---- half-sets


@pytest.mark.parametrize(("resolution", "expected"), [(4.0, 1.0), (8.0, 0.5), (16.0, 0.25)])
def test_halves_that_agree_to_a_resolution_count_up_to_it(resolution: float, expected: float) -> None:
    found = half_set_agreement(map_of(step_curve(resolution)))
    assert found is not None
    assert found[0] == pytest.approx(expected, abs=0.01)


def test_half_agreement_is_the_correlation_of_the_whole_map_with_the_truth() -> None:
    found = half_set_agreement(map_of(step_curve(4.0, level=0.5)))
    assert found is not None
    assert found[0] == pytest.approx(math.sqrt(2 / 3), abs=0.01)


def test_the_error_of_the_half_agreement_is_its_scatter() -> None:
    rng = np.random.default_rng(1)
    truth = 0.8 - 0.4 * np.arange(40) / 40
    pairs = 2 * math.pi * np.maximum(np.arange(1, 41), 5) ** 2  # the first shells hold next to nothing
    found = [
        half_set_agreement(map_of(np.tanh(np.arctanh(truth) + rng.standard_normal(40) / np.sqrt(pairs))))
        for _ in range(200)
    ]
    values = np.array([one for one in found if one is not None])
    assert 0.5 < values[:, 0].std() / values[:, 1].mean() < 1.5


# ---- cost


def test_cost_is_foretold_from_the_movies_before_and_a_slow_one_shows() -> None:
    rng = np.random.default_rng(2)
    line, errors = CostLine(), []
    for number in range(60):
        work = float(rng.choice([4e8, 6e8, 1.6e9]))
        seconds = 2e-8 * work**1.1 * math.exp(rng.normal(0, 0.03))
        predicted = line.predicted_s(work)
        if number > 20:
            assert predicted is not None
            errors.append(abs(seconds / predicted - 1))
        line.take(work, seconds)
    assert CostLine().predicted_s(1e8) is None
    assert np.mean(errors) < 0.05
    assert agreement(10.0, 40.0) == agreement(40.0, 10.0) == 0.25


def test_a_computer_that_slows_down_costs_reproducibility(truth: SimpleNamespace) -> None:
    def session(*seconds: float) -> Verdict:
        movies = []
        for number, one in enumerate(seconds):
            movie = truth.movie(number, spectra=truth.spectra(shared=1.0, seed=number))
            movies.append(replace(movie, result=replace(movie.result, timings=(StageTiming("all", one),))))
        return reproducibility.evaluate(RoundFacts(0, tuple(movies)))

    even, slow = session(10, 10, 10, 10), session(10, 10, 10, 40)
    assert even.evidence["parts"]["cost"] == pytest.approx(1.0)
    assert slow.evidence["parts"]["cost"] == pytest.approx((1 + 1 + 0.25) / 3)
    assert slow.evidence["costs"][-1]["relative_error"] == pytest.approx(3.0)
    assert even.verdict > slow.verdict
    assert even.evidence["part_exponents"] == pytest.approx({"rings": 1.0, "cost": 0.5})
    rings = even.evidence["parts"]["rings"]
    assert slow.verdict == pytest.approx(rings * math.sqrt(0.75))
    assert any("half-set agreement" in one for one in even.does_not_know)


# ---- reruns


def test_reruns_are_held_against_stated_errors(truth: SimpleNamespace) -> None:
    first = truth.movie(spectra=truth.spectra(shared=1.0, seed=0)).result
    same = MovieRerun("b", "again", first.ctf)
    assert rerun_parts(first, same) == {"ctf_reliable": 1.0, "defocus": 1.0}
    assert rerun_agreement(first, same) == 1.0
    # Astigmatism and defocus: u moved by 80 A moves the mean by 40 A.
    moved = replace(same, ctf=replace(first.ctf, defocus_u_angstrom=first.ctf.defocus_u_angstrom + 80))
    assert rerun_parts(first, moved)["defocus"] == pytest.approx(math.exp(-40 / first.ctf.defocus_sd_angstrom))
    lost = replace(same, ctf=replace(first.ctf, reliable=False))
    assert rerun_parts(first, lost) == {"ctf_reliable": 0.0}
    facts = replace(truth.movie(), result=first, rerun=moved)
    verdict = reproducibility.evaluate(RoundFacts(0, (facts,)))
    assert verdict.evidence["parts"]["reruns"] == pytest.approx(rerun_agreement(first, moved))


def test_half_sets_say_how_far_and_rings_how_much_of_it_to_believe(truth: SimpleNamespace) -> None:
    movie = truth.movie(spectra=truth.spectra(shared=0.4, seed=1))
    facts = RoundFacts(0, (movie,), map=map_of(step_curve(8.0)))
    verdict = reproducibility.evaluate(facts)
    parts = verdict.evidence["parts"]
    assert parts["half_sets"] == pytest.approx(0.5, abs=0.01)
    assert parts["rings"] < 0.6
    assert verdict.verdict == pytest.approx(parts["half_sets"] * parts["rings"] ** 0.1)
    assert reproducibility.evaluate(replace(facts, movies=())).verdict == pytest.approx(parts["half_sets"])


# ---- contradictions


def said(half_sets: float = 0.5, rings: float = 0.9, refuted: tuple[str, ...] = ()) -> list[Verdict]:
    rows = [{"name": name, "refuted": 1} for name in refuted]
    return [
        Verdict("logic", 0.9, evidence={"obligations": rows}),
        Verdict("reproducibility", 0.6, evidence={"parts": {"half_sets": half_sets, "rings": rings}}),
    ]


def severities(facts: RoundFacts, others: list[Verdict], best: float | None = 5.0) -> dict[str, float]:
    return {check.name: check.severity for check in checks(facts, others, best)}


def test_a_session_whose_verdicts_go_together_has_no_contradiction() -> None:
    facts = RoundFacts(0, (), map=map_of(falling(8.0)), map_rounds=((5, 10.0), (10, 8.0)))
    found = severities(facts, said())
    assert set(found.values()) == {0.0}
    assert len(found) == 5
    assert consistency(checks(facts, said(), 5.0)) == 1.0
    assert consistency(()) is None


def test_each_contradiction_is_found() -> None:
    good = RoundFacts(0, (), map=map_of(falling(8.0)))
    assert severities(good, said(refuted=("halves-disjoint",)))["halves-against-logic"] == 0.5
    assert severities(good, said(refuted=("dose-adds-up",)))["halves-against-logic"] == 0.0
    fine = replace(good, map=map_of(falling(4.0), resolution=4.0))
    assert severities(fine, said(), best=8.0)["map-against-rings"] == pytest.approx(0.5)
    assert severities(good, said(half_sets=0.9, rings=0.1))["halves-against-frames"] > 0.5
    worse = replace(good, map_rounds=((5, 8.0), (10, 11.0)))
    assert severities(worse, said())["map-against-itself"] > 0.5


@pytest.mark.parametrize("shared", [0.2, 0.4])
def test_halves_with_particles_in_common_level_off(shared: float) -> None:
    rng = np.random.default_rng(3)
    curve = shared + (1 - shared) * falling(10.0) + rng.normal(0, 0.01, 60)
    honest = falling(10.0) + rng.normal(0, 0.01, 60)
    agreed, without = half_set_agreement(map_of(curve)), half_set_agreement(map_of(honest))
    assert agreed is not None
    assert without is not None
    lost = 1 - without[0] / agreed[0]
    assert lost > 0.3
    found = severities(RoundFacts(0, (), map=map_of(curve)), said())["fsc-against-halves"]
    assert found == pytest.approx(lost, abs=0.05)
    assert severities(RoundFacts(0, (), map=map_of(honest)), said())["fsc-against-halves"] == 0.0
    # Shared noise fills the boxes: without the mask the curve ends where it ends with it.
    for unmasked, severity in ((curve, found), (0.3 * curve, 0.0)):
        made = replace(map_of(curve), fsc_unmasked=tuple(unmasked.tolist()))
        assert severities(RoundFacts(0, (), map=made), said())["fsc-against-halves"] == pytest.approx(severity)


# ---- calibration and drift


def test_intervals_that_hold_as_promised_are_calibrated_and_narrow_ones_are_not() -> None:
    rng = np.random.default_rng(4)

    def score(width: float) -> float:
        forecasts, rounds = [], []
        for number in range(400):
            made = 1000 * number + 10
            forecasts.append(MapForecast(made, made + 10, 8.0, 8.0 * math.exp(-width), 8.0 * math.exp(width)))
            rounds.append((made + 10, 8.0 * math.exp(rng.normal(0, 0.1))))
        found = calibration(due(forecasts, rounds))
        assert found is not None
        return found

    assert score(0.128) == pytest.approx(1.0, abs=0.06)
    assert score(0.025) == pytest.approx(0.2 / 0.8, abs=0.06)


def test_a_forecast_comes_due_with_the_map_it_spoke_of() -> None:
    forecast = MapForecast(10, 20, 8.0, 7.0, 9.0)
    assert due([forecast], [(10, 12.0), (15, 9.5)]) == ()
    (one,) = due([forecast], [(10, 12.0), (15, 9.5), (20, 8.2), (40, 6.0)])
    assert one.came_angstrom == 8.2
    assert one.held
    assert calibration(()) is None


def test_drift_is_a_line_through_the_rounds_and_not_their_scatter() -> None:
    def run(values: list[float], name: str = "logic") -> Verdict:
        verdict = None
        for number, value in enumerate(values):
            earlier = {} if verdict is None else {"meta": json.loads(json.dumps(dict(verdict.evidence)))}
            verdict = meta.evaluate(RoundFacts(number, (), earlier=earlier), [Verdict(name, value)])
        assert verdict is not None
        return verdict

    rng = np.random.default_rng(5)
    falls = run((0.9 - 0.05 * np.arange(8) + rng.normal(0, 0.005, 8)).tolist())
    assert falls.evidence["drifts"]["logic"] == pytest.approx(-0.35, abs=0.03)
    assert falls.evidence["parts"]["drift"] == pytest.approx(0.65, abs=0.03)
    scatter = run([0.8, 0.9, 0.85, 0.8, 0.9, 0.8, 0.85, 0.9])
    assert scatter.evidence["drifts"]["logic"] == 0.0
    grows = run([0.3, 0.35, 0.4, 0.45, 0.5], "reproducibility")
    assert grows.verdict == pytest.approx(1.0)  # a map that grows is neither unsteady nor drifting


# ---- feasibility


GOAL = Prospects(
    goal_angstrom=4.0,
    resolution_angstrom=6.0,
    movies=100,
    movies_needed=(150, 300, 500),
    movies_per_hour=40.0,
    hours_left=10.0,
    bytes_per_movie=1e9,
    free_bytes=1_000_000_000_000,
    seconds_per_movie=36.0,
    gpu=True,
)


def test_what_the_goal_needs_is_held_against_what_is_left() -> None:
    verdict = feasibility.evaluate(RoundFacts(0, (), prospects=GOAL))
    assert verdict.evidence["needed"] == pytest.approx({"microscope_h": 5.0, "disk_bytes": 2e11, "compute_h": 2.0})
    assert verdict.evidence["shares"] == pytest.approx({"microscope_h": 0.5, "disk_bytes": 0.2, "compute_h": 0.2})
    assert verdict.verdict == pytest.approx(0.5)
    assert verdict.evidence["scarcest"] == "microscope_h"
    assert verdict.uncertainty == pytest.approx(0.5 * (400 - 50) / 200 / 2.5632)
    small_disk = feasibility.evaluate(RoundFacts(0, (), prospects=replace(GOAL, free_bytes=50_000_000_000)))
    assert (small_disk.verdict, small_disk.evidence["scarcest"]) == (pytest.approx(4.0), "disk_bytes")


def test_a_goal_that_is_not_set_reached_or_out_of_reach_is_said() -> None:
    def told(prospects: Prospects | None) -> Verdict:
        return feasibility.evaluate(RoundFacts(0, (), prospects=prospects))

    assert told(None).verdict is None
    assert told(None).does_not_know[0].startswith("no goal is set")
    assert told(replace(GOAL, resolution_angstrom=3.9)).verdict == 0.0
    never = told(replace(GOAL, reachable=False, sentence="no: the pixels end at 5 A"))
    assert never.verdict is None
    assert "do not bring 4 A" in never.does_not_know[0]
    unknown = told(replace(GOAL, hours_left=None))
    assert unknown.verdict == pytest.approx(0.2)  # by the disk alone
    assert "microscope_hours_left" in unknown.does_not_know[0]
