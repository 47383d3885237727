"""Known truth in, the verdict out: false decisions, coverage, cost in time, failed and lost movies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frazil.config.errors import UsageError
from frazil.models.causal.experiments.answer import compliance_sentence, decided, sentence
from frazil.models.causal.experiments.blocks import Unit
from frazil.models.causal.experiments.design import COVARIATES, Design, Target, plan
from frazil.models.causal.experiments.sequence import track
from frazil.models.causal.experiments.verdict import as_it_happened, judge

HOLES = 160
RANDOM = np.random.default_rng


def design(seed: int = 1, holes: int = HOLES, outcome: str = "ln_ssnr") -> Design:
    targets = [Target(square=f"S{number // 20}") for number in range(holes)]
    return plan("settle", (20.0, 5.0), targets, seed=seed, outcome=outcome)


def ordinary(
    one: Design, seed: int, *, gain: float = 0.0, more_s: float = 0.0, failing_below: float = -np.inf
) -> dict[int, Unit]:
    """Holes that differ by square and time, with exponential outliers; A gains and takes longer."""
    random = RANDOM(seed)
    squares = random.normal(0, 0.5, 200)
    units = {}
    for hole in one.assignments:
        is_a = hole.arm == "A"
        y = random.normal(0, 0.25) - random.exponential(0.3) + squares[hole.place // 20] - hole.place / HOLES
        y += gain * is_a
        seconds = 30.0 + random.exponential(2.0) + more_s * is_a
        measured = 20.0 if is_a else 5.0
        value = float(y) if y > failing_below else -np.inf
        units[hole.place] = Unit(value, hole.place, seconds=seconds, measured=measured, fit_resolution_angstrom=4.0)
    return units


def pairs(one: Design, units: dict[int, Unit]) -> tuple[np.ndarray, np.ndarray]:
    found: dict[int, dict[str, float]] = {}
    for hole in one.assignments:
        found.setdefault(hole.block, {})[hole.arm] = units[hole.place].value
    return np.array([pair["A"] for pair in found.values()]), np.array([pair["B"] for pair in found.values()])


def test_null_experiments_are_hardly_ever_decided_however_often_one_looks() -> None:
    """60 runs, each looked at after every one of 60 pairs; heavy tails. 5 % of 60 and three sd is 8."""
    wrong = 0
    for run in range(60):
        noise = RANDOM(run).standard_t(2, (60, 2))
        found = track(noise[:, 0], noise[:, 1], alpha=0.05, scatter=0.4)
        wrong += bool(((found.low > 0) | (found.high < 0)).any())
    assert wrong <= 8


@pytest.mark.parametrize("gain", [0.0, 0.4])
def test_the_interval_holds_the_truth_at_every_look_also_with_failed_fits(gain: float) -> None:
    outside = 0
    for run in range(40):
        one = design(run, 100)
        a, b = pairs(one, ordinary(one, run, gain=gain, failing_below=-1.2))
        found = track(a, b, alpha=0.05, scatter=0.4)
        outside += bool(((found.low > gain) | (found.high < gain)).any())
    assert outside <= 6


def test_ends_come_nearer_as_blocks_come_and_no_two_looks_disagree() -> None:
    one = design()
    units = ordinary(one, 3, gain=0.1)
    last = judge(one, units)
    for end in range(20, HOLES, 20):
        said = judge(one, {place: unit for place, unit in units.items() if place <= end})
        assert said.state == "running" or (said.better, said.pairs) == (last.better, last.pairs)
    a, b = pairs(one, units)
    early, late = track(a[:30], b[:30], alpha=0.05, scatter=0.4), track(a, b, alpha=0.05, scatter=0.4)
    assert np.allclose(early.low, late.low[:30], equal_nan=True)
    assert late.high[-1] - late.low[-1] < 0.8 * (early.high[-1] - early.low[-1])


def test_a_scatter_guessed_wrong_by_ten_costs_movies_not_validity() -> None:
    outside = 0
    for run in range(40):
        noise = RANDOM(run).normal(0, 4.0, (60, 2))
        found = track(noise[:, 0] + 3.0, noise[:, 1], alpha=0.05, scatter=0.4)
        outside += bool(((found.low > 3.0) | (found.high < 3.0)).any())
    assert outside <= 6


def test_waiting_is_chosen_where_it_pays_and_refused_where_it_does_not() -> None:
    """15 s more of 32 cost ln(47 / 32) = 0.38."""
    one = design()
    pays, does_not = (judge(one, ordinary(one, 5, gain=gain, more_s=15.0)) for gain in (1.2, 0.0))
    assert (pays.state, pays.better) == ("decided", "A")
    assert (does_not.state, does_not.better) == ("decided", "B")
    assert pays.rate is not None
    assert pays.rate.low < np.log(32 / 47) < pays.rate.high
    assert pays.net.low < 1.2 + np.log(32 / 47) < pays.net.high
    assert "settle time 20 s is better" in sentence(one, pays)
    assert "4.00 ->" in sentence(one, pays)
    assert "h become" in sentence(one, pays)


def test_it_stops_by_itself_and_later_movies_do_not_change_what_it_said() -> None:
    one = design()
    units = ordinary(one, 5, gain=1.2)
    said = judge(one, units)
    assert said.pairs < said.most_pairs // 2
    later = {place: (unit if place <= 2 * said.pairs else Unit(-9.0, place)) for place, unit in units.items()}
    assert judge(one, later).better == "A"


def test_at_its_greatest_number_it_says_what_would_still_be_needed() -> None:
    one = design(holes=40)
    said = judge(one, ordinary(one, 2, gain=0.05))
    assert said.state == "undecided"
    assert said.movies_more is not None
    assert said.movies_more > 40
    assert said.hours_more == pytest.approx(said.movies_more * 32 / 3600, rel=0.1)
    assert "not decided after 40 movies" in sentence(one, said)


def test_movies_whose_fit_fails_count_against_their_arm() -> None:
    """B fails in four of ten holes, and is a little better where it does not: dropping its failures would choose it."""
    one = design()
    random = RANDOM(8)
    units = {}
    for hole in one.assignments:
        failed = hole.arm == "B" and random.random() < 0.4
        y = random.normal(0.1 if hole.arm == "B" else 0.0, 0.2)
        units[hole.place] = Unit(-np.inf if failed else float(y), hole.place, failed=int(failed))
    assert judge(one, units).better == "A"
    assert judge(one, units).arms[1].failed > 10


def test_holes_lost_more_often_in_one_arm_decide_nothing() -> None:
    decisions = 0
    for run in range(15):
        one = design(run, 100)
        random = RANDOM(run)
        units = ordinary(one, run)
        lost = {h.place for h in one.assignments if random.random() < (0.3 if h.arm == "B" else 0.02)}
        decisions += judge(one, {p: u for p, u in units.items() if p not in lost}).better != ""
    assert decisions <= 3


def test_what_is_known_of_holes_before_sharpens_the_interval() -> None:
    random = RANDOM(11)
    ice = random.normal(0, 1, 200)
    holes = [Target(square="S", covariates=(float(value), None)) for value in ice]
    told = plan("settle", (20.0, 5.0), holes, seed=2)
    untold = plan("settle", (20.0, 5.0), [Target(square="S")] * 200, seed=2)
    assert COVARIATES[0] == "ice"
    units = {
        hole.place: Unit(float(-ice[hole.place - 1] + 0.15 * (hole.arm == "A") + random.normal(0, 0.1)), hole.place)
        for hole in told.assignments
    }
    assert judge(told, units).better == "A"
    assert judge(untold, units).pairs > 1.5 * judge(told, units).pairs


def test_a_verdict_waits_for_the_movie_that_is_still_processed() -> None:
    one = design()
    units = ordinary(one, 5, gain=1.2)
    units[5] = replace(units[5], pending=True)
    assert judge(one, units).pairs <= 3


def test_movies_as_they_happened_are_refused() -> None:
    one = design()
    with pytest.raises(UsageError, match="no experiment"):
        judge(one, {9_999: Unit(1.0, 1)})
    with pytest.raises(UsageError, match="no experiment"):
        as_it_happened([1.0], [2.0])


def test_confounding_by_the_order_of_holes_does_not_reach_the_experiment() -> None:
    """Long waits for a square's first holes, which are better anyway: as it happened the wait seems to gain more."""
    held = naive = 0
    for world in range(10):
        one = design(world)
        random = RANDOM(100 + world)
        place = np.arange(HOLES)
        y = random.normal(0, 0.3, HOLES) - 1.8 * (place % 20) / 20
        arm = np.array([hole.arm == "A" for hole in one.assignments])
        a, b = pairs(one, {i + 1: Unit(float(y[i] + 0.2 * arm[i]), i) for i in range(HOLES)})
        found = track(a, b, alpha=0.05, scatter=0.4)
        held += found.low[-1] <= 0.2 <= found.high[-1]
        long = place % 20 < 10
        difference = (y + 0.2 * long)[long].mean() - y[~long].mean()
        naive += abs(difference - 0.2) < 1.96 * np.sqrt(y[long].var() / long.sum() + y[~long].var() / long.sum())
    assert held >= 9
    assert naive == 0


def test_too_few_that_followed_the_plan_is_said_loudly() -> None:
    one = design()
    units = {place: replace(unit, measured=5.0) for place, unit in ordinary(one, 1).items()}
    said = judge(one, units)
    assert said.complied_share == pytest.approx(0.5)
    assert compliance_sentence(one, said).startswith("ONLY 50 %")
    assert "100 %" in compliance_sentence(one, judge(one, ordinary(one, 1)))


def test_only_decided_experiments_about_a_node_measure_it() -> None:
    one = design()
    done = judge(one, ordinary(one, 5, gain=1.2))
    small = design(holes=40)
    open_still = judge(small, ordinary(small, 2))
    assert decided([(one, done), (small, open_still)], "settle_time") == ((one, done),)
    assert decided([(one, done)], "dose_rate") == ()
    assert judge(one, {}).state == "not started"
    assert "not yet" in sentence(one, judge(one, {}))
