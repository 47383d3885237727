"""Where to shoot next, on grids whose answer is known."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.where_next.simulated import simulated
from frazil.models.grid_target import GridTarget
from frazil.models.targets.choice import Choice, situation
from frazil.models.targets.costs import USUAL, learnt_moves
from frazil.models.targets.layout import MOST_IN_PATCH, holes_of
from frazil.models.targets.outcomes import effective_signal
from frazil.models.targets.policy import arranged, next_targets, open_holes, outlooks_of
from frazil.models.targets.price import Here, best_total, price_grid, total_from, worth_of
from frazil.models.targets.probing import Probe
from frazil.models.targets.records import MoveMinutes, NextTargets, Outcome, TargetSettings
from frazil.models.targets.words import reason_of

MOVES = MoveMinutes(2.0, 5.0, 10.0, 15.0)
SETTINGS = TargetSettings(moves=MOVES)


def grid(squares: int = 3, patches: int = 3, holes: int = 12) -> list[GridTarget]:
    """Squares s0, s1, ... of one area, patches s0p0, ..., holes s0p0h0, ..."""
    found = [GridTarget("a", "area", "list", "a")]
    for s in range(squares):
        found.append(GridTarget(f"s{s}", "square", "list", f"{s}", "a"))
        for p in range(patches):
            found.append(GridTarget(f"s{s}p{p}", "patch", "list", f"{p}", f"s{s}"))
            found += [
                GridTarget(
                    f"s{s}p{p}h{h}",
                    "hole",
                    "list",
                    f"{s}-{p}-{h}",
                    f"s{s}p{p}",
                    x_in_parent_px=h % 4,
                    y_in_parent_px=h // 4,
                )
                for h in range(holes)
            ]
    return found


def shots(good: dict[str, bool]) -> list[Outcome]:
    return [
        Outcome(name, resolution_angstrom=3.5 if usable else 11.0, exposed_utc_us=60_000_000 * minute)
        for minute, (name, usable) in enumerate(good.items(), 1)
    ]


def asked(targets: list[GridTarget], outcomes: list[Outcome], minutes: float = 240.0, **changed: object) -> NextTargets:
    settings = replace(SETTINGS, **changed)
    return next_targets(arranged(targets, settings), outcomes, minutes, settings)


def test_a_good_square_is_stayed_in_and_a_bad_one_left() -> None:
    good = asked(grid(), shots({f"s0p0h{h}": True for h in range(8)}))
    assert good.ranked[0].square_id == "s0"
    assert "Stay in square 0" in good.verdict
    bad = asked(grid(), shots({f"s0p0h{h}": False for h in range(8)}), minutes=90.0)
    assert bad.ranked[0].square_id != "s0"
    outlook = {one.square_id: one for one in bad.squares}
    assert outlook["s0"].usable < 0.12 < outlook["s1"].usable
    assert outlook["s0"].usable_low < outlook["s0"].usable < outlook["s0"].usable_high
    assert outlook["s0"].exposed == 8
    assert outlook["s0"].left == 28


def test_a_square_that_is_all_bad_or_all_good_lies_inside_its_interval() -> None:
    for usable in (False, True):
        outcomes = shots({f"s0p{p}h{h}": usable for p in range(4) for h in range(15)})
        outlook = {one.square_id: one for one in asked(grid(3, 8, 25), outcomes).squares}
        if usable:
            assert outlook["s0"].usable_low > 0.85
            assert outlook["s0"].usable_high == 1.0
        else:
            assert outlook["s0"].usable_low == 0.0
            assert outlook["s0"].usable_high < 0.15


def test_nothing_that_was_shot_or_is_avoided_is_listed() -> None:
    outcomes = shots({f"s0p0h{h}": True for h in range(8)})
    targets = [replace(one, state="avoided") if one.target_id == "s0p1" else one for one in grid()]
    told = asked(targets, outcomes, ranked=200, avoided_ids=("s2", "s0p2h3"))
    listed = {one.target_id for one in told.ranked}
    assert listed
    assert not listed & {one.target_id for one in outcomes}
    assert not any(name.startswith(("s0p1", "s2")) or name == "s0p2h3" for name in listed)


def test_what_a_person_picked_comes_first() -> None:
    told = asked(grid(), shots({f"s0p0h{h}": True for h in range(8)}), picked_ids=("s2p1h7", "s1p0h0"))
    assert [one.target_id for one in told.ranked[:2]] == ["s2p1h7", "s1p0h0"]
    assert told.ranked[0].picked
    assert not told.ranked[2].picked


def test_minutes_of_the_list_are_those_of_the_moves() -> None:
    told = asked(grid(), shots({"s0p0h0": True}), picked_ids=("s0p0h1", "s0p1h0", "s1p0h0"))
    assert [one.minutes for one in told.ranked[:3]] == [2.0, 5.0, 10.0]


def test_a_grid_whose_holes_are_all_shot_has_nothing_left() -> None:
    told = asked(grid(1, 1, 4), shots({f"s0p0h{h}": True for h in range(4)}))
    assert told.unseen_squares == 0
    assert told.ranked == ()
    assert told.verdict == "Nothing is left to shoot on this grid."
    assert told.taken_share == 1.0


def test_where_files_name_only_what_was_taken_nothing_is_said_of_what_is_left() -> None:
    taken = [replace(one, program="leginon", state="exposed") for one in grid(1, 1, 4)]
    told = asked(taken, shots({f"s0p0h{h}": True for h in range(4)}))
    assert told.ranked == ()
    assert told.verdict == "No file names places that are still to be taken."
    assert told.taken_share == 0.0


def test_a_grid_is_called_done_when_nearly_all_is_taken() -> None:
    shot = {f"s{s}p{p}h{h}": s == 0 for s in range(2) for p in range(2) for h in range(11 if s else 12)}
    assert "This grid is done" in asked(grid(2, 2, 12), shots(shot)).verdict


def test_squares_without_known_holes_are_still_to_be_looked_at() -> None:
    unseen = [GridTarget(f"u{n}", "square", "list", f"u{n}", "a") for n in range(200)]
    unseen[0] = replace(unseen[0], state="avoided")
    targets = [*grid(1, 1, 30), *unseen]
    nearly = asked(targets, shots({f"s0p0h{h}": True for h in range(27)}), avoided_ids=("u1",))
    assert nearly.unseen_squares == 198
    assert nearly.taken_share >= 0.9
    assert nearly.verdict == (
        f"Of what the squares looked into can give, {100 * nearly.taken_share:.0f} % is taken."
        " 198 squares have no holes yet."
    )
    every = asked(targets, shots({f"s0p0h{h}": True for h in range(30)}))
    assert every.verdict == "Nothing is left to shoot in the squares looked into. 199 squares have no holes yet."
    begun = asked(targets, shots({f"s0p0h{h}": True for h in range(8)}))
    assert begun.verdict.startswith("Stay in square 0")
    assert begun.verdict.endswith(" 199 squares have no holes yet.")


def test_a_group_that_is_bought_as_a_whole_is_listed_whole() -> None:
    targets = [
        replace(one, parent_id=one.parent_id and one.parent_id[:2], group=one.parent_id)
        for one in grid()
        if one.level == "hole"
    ]
    targets += [one for one in grid() if one.level in ("area", "square")]
    told = asked(targets, [], ranked=12)
    assert len({one.patch_id for one in told.ranked}) == 1
    assert len(told.ranked) == 12


def test_a_list_without_patches_is_cut_into_neighbourhoods() -> None:
    square = GridTarget("s", "square", "epu", "s")
    spots = [
        GridTarget(f"h{n}", "hole", "epu", f"{n}", "s", stage_x_um=2.5 * (n % 20), stage_y_um=2.5 * (n // 20))
        for n in range(400)
    ]
    holes = holes_of([square, *spots])
    assert np.bincount(holes.patch).max() <= MOST_IN_PATCH
    assert len(holes.stop_ids) == 1
    centre = np.array([[2.5 * (n % 20), 2.5 * (n // 20)] for n in range(400)])
    for part in range(int(holes.patch.max()) + 1):
        assert np.ptp(centre[holes.patch == part], axis=0).max() <= 2.5 * 10
    step = holes.place[1] - holes.place[0]
    assert np.hypot(*step) == pytest.approx(1.0)


def test_signal_is_told_where_particles_are_and_ranks_by_it() -> None:
    outcomes = [
        Outcome(f"s{s}p0h{h}", resolution_angstrom=4.0, particles=400.0 if s else 40.0, loss_ln=1.0)
        for s in (0, 1) for h in range(8)
    ]  # fmt: skip
    told = asked(grid(2), outcomes, value="effective_signal")
    assert told.ranked[0].square_id == "s1"
    assert told.ranked[0].signal == pytest.approx(400.0 * np.exp(-1.0), rel=0.35)
    assert told.ranked[0].signal_low < told.ranked[0].signal < told.ranked[0].signal_high
    assert effective_signal(outcomes[0]) == pytest.approx(40.0 * np.exp(-1.0))


def test_words_of_signal_are_in_particles_and_none_of_them_in_percent_of_a_particle() -> None:
    outcomes = [
        Outcome(f"s{s}p0h{h}", resolution_angstrom=4.0, particles=400.0 if s else 40.0, loss_ln=1.0)
        for s in (0, 1) for h in range(8)
    ]  # fmt: skip
    told = asked(grid(2), outcomes, value="effective_signal", ranked=40)
    assert re.search(r" h a signal of [1-9],\d{3} particles more is expected\.", told.verdict)
    assert "usable exposures" not in told.verdict
    for one in told.ranked:
        percents = [float(found) for found in re.findall(r"(\d+) %", one.reason)]
        assert max(percents) <= 100.0
        assert one.reason.count("%") == 1
        value = float(re.search(r"a signal of ([\d,.]+) particles expected", one.reason)[1].replace(",", ""))
        assert value == pytest.approx(one.usable * one.signal, rel=0.4)


def test_a_hole_that_brings_more_than_its_price_is_no_look_whatever_is_counted() -> None:
    """All that is worth a look alone is worth less than its minutes; particles and chances are told apart."""
    outcomes = [
        Outcome(f"s0p0h{h}", resolution_angstrom=4.0 if h % 2 else 9.0, particles=300.0, loss_ln=0.0) for h in range(8)
    ]
    looks = 0
    for value in ("usable", "effective_signal"):
        settings = replace(SETTINGS, value=value)
        places = arranged(grid(), settings)
        known = outlooks_of(places, outcomes, settings)
        worth = known.usable * known.forecast.weight
        free = open_holes(places.holes, outcomes)
        now = situation(places.holes, known.forecast, worth, free, 0, MOVES, 240.0)
        hole = int(np.flatnonzero(free)[0])
        stop = int(places.holes.stop[hole])
        for part in (0.5, 2.0):
            price = part * worth[hole] / MOVES.hole
            choice = Choice(hole, "look", price, 10.0, Probe(stop, 3, 10.0, price))
            said = reason_of(now, choice, hole, 0.5, (0.4, 0.6), value, picked=False)
            assert said.startswith("to look") == (part > 1.0)
            looks += said.startswith("to look")
    assert looks == 2


def test_usable_exposures_are_counted_until_one_has_told_its_signal() -> None:
    told = asked(grid(), shots({f"s0p0h{h}": True for h in range(8)}), value="effective_signal")
    assert "more usable exposures expected" in told.verdict
    assert "signal" not in told.ranked[0].reason


def test_the_signal_that_is_told_is_the_one_that_is_planned_with_inside_its_interval() -> None:
    outcomes = [
        Outcome(f"s0p0h{h}", resolution_angstrom=4.0, particles=float(10 ** (h % 5)), loss_ln=0.0) for h in range(8)
    ]
    told = asked(grid(), outcomes, value="effective_signal", ranked=40)
    for one in told.ranked:
        assert one.signal == pytest.approx(np.sqrt(one.signal_low * one.signal_high))
        value = float(re.search(r"a signal of ([\d,.]+) particles expected", one.reason)[1].replace(",", ""))
        assert value == pytest.approx(one.usable * one.signal, rel=0.05)


def test_what_was_shot_without_a_result_is_not_called_unshot() -> None:
    at_work = ("s0p0", "s1")
    targets = [
        replace(one, state="exposed") if one.level == "hole" and one.target_id.startswith(at_work) else one
        for one in grid()
    ]
    outcomes = [*shots({"s0p0h0": True, "s0p0h1": False}), Outcome("s0p1h0")]
    words = {one.square_id: one.words for one in asked(targets, outcomes).squares}
    assert "; 1 of 2 so far; 11 more shot, no result yet" in words["s0"]
    assert words["s1"] == "square 1: nothing is left; 36 shot, no result yet"
    assert "; none shot yet" in words["s2"]
    early = {one.square_id: one for one in asked(targets, []).squares}
    assert "; 12 shot, no result yet" in early["s0"].words
    assert "none shot yet" not in early["s0"].words
    assert (early["s0"].exposed, early["s0"].no_result, early["s0"].left) == (0, 12, 24)


def test_moves_are_learnt_and_a_meal_is_none_of_them() -> None:
    places = holes_of(grid(2, 2, 40))
    names, minute, outcomes = [f"s{s}p{p}h{h}" for s in (0, 1) for p in (0, 1) for h in range(40)], 0.0, []
    for number, name in enumerate(names):
        minute += 90.0 if number == 20 else (12.0 if number == 80 else 4.0 if number % 40 == 0 else 0.5)
        outcomes.append(Outcome(name, exposed_utc_us=int(60e6 * minute)))
    moves = learnt_moves(places, outcomes)
    assert moves.hole == pytest.approx(0.5, rel=0.06)
    assert USUAL.patch < moves.patch < 4.0
    assert USUAL.square < moves.square < 12.0
    assert moves.square <= moves.area


def test_a_hole_costs_all_its_exposures() -> None:
    """Four exposures, 0.35 min apart, and 1.28 min to the next hole: 2.33 min a hole."""
    outcomes = [
        Outcome(f"s0p0h{h}", exposed_utc_us=int(60e6 * (1.0 + 2.33 * h + 0.35 * exposure)))
        for h in range(200)
        for exposure in range(4)
    ]
    assert learnt_moves(holes_of(grid(1, 1, 200)), outcomes).hole == pytest.approx(2.33, rel=0.03)


def test_the_price_of_a_minute_bounds_every_plan_and_nearly_is_one() -> None:
    places = holes_of(grid(3, 3, 12))
    chance = np.random.default_rng(5)
    value = chance.random(len(places.ids))
    free = np.ones(len(value), dtype=bool)
    prices = price_grid(value, free, MOVES)
    worth = worth_of(places, value, free, MOVES, prices)
    here = Here().after(places, 0)
    bound, price = best_total(total_from(places, worth, here, MOVES), prices, 150.0)
    minutes = taken = 0.0
    for square in (0, 1, 2):
        for stop in np.flatnonzero(places.square_of_stop == square):
            best = np.sort(value[places.stop == stop])[::-1]
            for rank, one in enumerate(best[best > 2.0 * price]):
                cost = 2.0 if rank or stop == here.stop else 5.0 if square == here.square or stop % 3 else 10.0
                if minutes + cost <= 150.0:
                    minutes, taken = minutes + cost, taken + one
    assert 0.9 * bound <= taken <= bound * 1.001


def test_the_same_question_has_the_same_answer() -> None:
    world = simulated("normal", 2).grid
    outcomes = [
        Outcome(world.hole_ids[at], resolution_angstrom=float(world.resolution_angstrom[at])) for at in range(30)
    ]
    places = arranged(world.targets, SETTINGS)
    told = [next_targets(places, part, 300.0, SETTINGS, at=world.hole_ids[29]) for part in (outcomes, outcomes[::-1])]
    assert told[0] == told[1]
