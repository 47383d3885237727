"""Adjusted effects against worlds whose effects are known, and refuters against worlds that deserve them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.attribution.confounded_sessions import EFFECT, HOLES, confounded
from frazil.models.causal.adjustment import Design, Effect, Observed, Untold, adjusted_effect, comparable, slopes
from frazil.models.causal.bands import Array
from frazil.models.causal.refutation import (
    SHUFFLES,
    dealt_anew,
    negative_control,
    placebo,
    random_common_cause,
    robustness_value,
)


def told(observed: Observed) -> Effect:
    effect = adjusted_effect(observed)
    assert isinstance(effect, Effect), effect
    return effect


def naive_slope(observed: Observed) -> float:
    return float(np.polyfit(observed.treatment, observed.outcome, 1)[0])


def test_confounded_by_the_order_of_holes_the_adjusted_interval_holds_the_truth() -> None:
    """Twenty worlds; the plain slope has the wrong sign in all of them."""
    worlds = [confounded(seed) for seed in range(100, 120)]
    assert all(naive_slope(world) > 0.0 for world in worlds)
    inside = [effect.low <= EFFECT <= effect.high for effect in map(told, worlds)]
    assert sum(inside) >= 18


@pytest.mark.parametrize("effect", [0.0, EFFECT])
def test_intervals_hold_what_they_state(effect: float) -> None:
    effects = [adjusted_effect(confounded(seed, effect=effect)) for seed in range(400)]
    held = [one.low <= effect <= one.high for one in effects if isinstance(one, Effect)]
    assert len(held) > 350
    assert 0.93 <= np.mean(held) <= 0.995


def test_a_spread_that_grows_with_the_treatment_does_not_narrow_the_interval() -> None:
    held = []
    for seed in range(400):
        random = np.random.default_rng(seed)
        treatment = random.uniform(0, 1, 30)
        outcome = treatment + random.normal(0, 1, 30) * treatment**2
        one = told(Observed(treatment, outcome))
        held.append(one.low <= 1.0 <= one.high)
    assert np.mean(held) >= 0.93


def test_the_error_is_that_of_leaving_out_each_stop_in_turn() -> None:
    """Against fits made anew without each stop."""
    world = confounded(3)
    design = comparable(world)
    assert isinstance(design, Design)
    (slope,), (sd,), _ = slopes(design, design.treatment[None, :])

    def fit(rows: Array) -> float:
        order, time = world.strata["hole_order"][rows], world.levels["session_time"][rows]
        columns = np.column_stack([world.treatment[rows], order[:, None] == np.arange(HOLES), time])
        return float(np.linalg.lstsq(columns, world.outcome[rows], rcond=None)[0][0])

    assert world.stops is not None
    stops = np.unique(world.stops)
    without = np.array([fit(np.flatnonzero(world.stops != stop)) for stop in stops])
    assert slope == pytest.approx(fit(np.arange(96)))
    by_hand = np.sqrt(np.sum((without - slope) ** 2) * (stops.size - 1) / stops.size)
    assert sd == pytest.approx(by_hand)


def test_what_the_order_of_holes_decided_cannot_be_told() -> None:
    """Every stop waited alike: the plain slope is as sure as can be, and there is no answer."""
    world = confounded(1)
    order = world.strata["hole_order"]
    bound = replace(world, treatment=np.log(8.0 + 6.0 * order))
    answer = adjusted_effect(bound)
    assert isinstance(answer, Untold)
    assert "only together with what would have to be held fixed" in answer.reason


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"treatment": np.full(96, 2.0)}, "never varied"),
        ({"outcome": np.full(96, np.nan)}, "fewer than 10 movies"),
        ({"stops": np.arange(96) // 40.0}, "fewer than 4 stops"),
        ({"strata": {"hole": np.arange(96.0)}}, "fewer than 10 movies"),
        ({"levels": {f"c{n}": np.sin(n * np.arange(96.0) ** 2) for n in range(88)}}, "too few movies for what"),
    ],
)
def test_without_overlap_there_is_no_answer(change: dict[str, Array], says: str) -> None:
    answer = adjusted_effect(replace(confounded(2), **change))  # type: ignore[arg-type]
    assert isinstance(answer, Untold)
    assert says in answer.reason


def test_a_treatment_that_varied_at_one_stop_alone_cannot_be_told() -> None:
    treatment = np.zeros(60)
    treatment[:6] = np.arange(6)
    answer = adjusted_effect(replace(confounded(4, movies=60), treatment=treatment, strata={}, levels={}))
    assert isinstance(answer, Untold)


def test_the_placebo_finds_something_as_rarely_as_it_states() -> None:
    """In worlds without any effect its share of false positives is the stated 5 % or below, and it does not refute what
    is there in worlds with a clear one."""
    false = []
    for seed in range(60):
        design = comparable(confounded(seed, effect=0.0))
        if isinstance(design, Design):
            slope, sd, freedom = slopes(design, dealt_anew(design, SHUFFLES))
            false.append(np.mean(np.abs(slope) > 1.96 * sd * np.sqrt(1 + 4 / freedom)))
    assert 0.01 <= np.mean(false) <= 0.07
    clear = [placebo(confounded(seed, effect=-3.0)).passed for seed in range(20)]
    assert sum(clear) >= 18


def test_the_placebo_keeps_strata_and_stops_together() -> None:
    design = comparable(confounded(5))
    assert isinstance(design, Design)
    (made,) = dealt_anew(design, 1)
    for cell in range(HOLES):
        here = design.cells == cell
        assert sorted(made[here]) == sorted(design.treatment[here])
    of_stop = {tuple(np.round(design.treatment[design.stops == stop], 9)) for stop in range(16)}
    assert {tuple(np.round(made[design.stops == stop], 9)) for stop in range(16)} == of_stop
    assert not np.array_equal(made, design.treatment)


def test_the_placebo_refutes_what_few_ways_of_dealing_out_could_tell() -> None:
    """Two of five stops were treated: one way in ten looks as clear as the real one, however sure the interval is."""
    random = np.random.default_rng(1)
    stop = np.arange(50) // 10
    treatment = (stop < 2).astype(float)
    world = Observed(treatment, treatment + random.normal(0, 0.05, 50), stops=stop.astype(float))
    assert told(world).is_sure
    assert not placebo(world).passed


def test_a_hidden_cause_of_both_is_seen_by_the_negative_control() -> None:
    """A thick square is waited for and counts less; waiting cannot change counts."""
    refuted, kept = [], []
    for seed in range(30):
        random = np.random.default_rng(seed)
        hidden = random.normal(size=60)
        treatment = hidden + random.normal(size=60)
        counts = 0.8 * hidden + 0.4 * random.normal(size=60)
        refuted.append(not negative_control({"counts": Observed(treatment, counts)}).passed)
        clean = random.normal(size=60)
        kept.append(negative_control({"counts": Observed(treatment, clean)}).passed)
    assert sum(refuted) >= 28
    assert sum(kept) >= 27
    nothing = negative_control({})
    assert nothing.passed
    assert "nothing was measured" in nothing.words


def test_a_made_up_confounder_moves_little_but_for_a_design_that_hangs_by_a_thread() -> None:
    assert random_common_cause(confounded(6), told(confounded(6))).passed
    random = np.random.default_rng(2)
    confounder = random.normal(size=12)
    levels = {f"c{n}": random.normal(size=12) for n in range(5)}
    treatment = confounder + 0.4 * random.normal(size=12)
    thread = Observed(
        treatment, 5.0 * random.normal(size=12), levels={"c": confounder, **dict(list(levels.items())[:4])}
    )
    effect = told(thread)
    assert not random_common_cause(thread, replace(effect, sd=effect.sd / 10)).passed


def test_a_hidden_cause_as_strong_as_the_robustness_value_takes_the_effect_away() -> None:
    """Known truth: a column made to explain just that share of what is left of both; with it the slope is zero."""
    random = np.random.default_rng(3)
    treatment = random.normal(size=40)
    outcome = 0.6 * treatment + random.normal(size=40)
    left_t, left_y = treatment - treatment.mean(), outcome - outcome.mean()
    slope = float(left_t @ left_y / (left_t @ left_t))
    rest = left_y - slope * left_t
    plain_sd = float(np.sqrt(rest @ rest / 38 / (left_t @ left_t)))
    value = robustness_value(Effect(slope, plain_sd, 0.0, 0.0, 38, 40, 38), None)
    # Explains `value` of the treatment, and `value` of what the treatment leaves of the outcome.
    unit_t, unit_rest = left_t / np.linalg.norm(left_t), rest / np.linalg.norm(rest)
    side = random.normal(size=40)
    for unit in (np.ones(40) / np.sqrt(40), unit_t, unit_rest):
        side -= (side @ unit) * unit
    of_rest = np.sqrt(value * (1 - value))
    hidden = np.sqrt(value) * unit_t + of_rest * unit_rest
    hidden += np.sqrt(1 - hidden @ hidden) * side / np.linalg.norm(side)
    columns = np.column_stack([treatment, np.ones(40), hidden])
    with_hidden = float(np.linalg.lstsq(columns, outcome, rcond=None)[0][0])
    assert 0.1 < value < 0.9
    assert with_hidden == pytest.approx(0.0, abs=1e-9)


def test_a_doubtful_effect_has_no_robustness() -> None:
    assert robustness_value(Effect(1.0, 0.6, -0.2, 2.2, 30, 40, 30)) == 0.0
