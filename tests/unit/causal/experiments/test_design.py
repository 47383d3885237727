"""The order of an experiment: what is balanced, what is refused, what is the same again."""

from __future__ import annotations

from collections import Counter

import pytest

from frazil.config.errors import UsageError
from frazil.models.causal.experiments.design import Target, plan
from frazil.models.causal.experiments.quantities import quantity_of, read_comparison
from frazil.models.causal.graph import causal_graph

HOLES = [Target(square=f"S{number // 25}") for number in range(100)]


def test_each_pair_of_neighbours_in_a_square_has_both_settings() -> None:
    design = plan("settle", (5.0, 20.0), HOLES, seed=4)
    by_block: dict[int, list[tuple[str, str]]] = {}
    for one in design.assignments:
        by_block.setdefault(one.block, []).append((one.arm, one.target.square))
    assert all(sorted(arm for arm, _ in pair) == ["A", "B"] for pair in by_block.values())
    assert all(len({square for _, square in pair}) == 1 for pair in by_block.values())
    # 25 holes a square: the last one of each has no neighbour.
    assert (len(design.assignments), design.left_out) == (96, 4)


def test_holes_at_one_position_of_the_stage_are_compared_with_each_other_first() -> None:
    holes = [Target(name=f"h{number}", square="S", group=f"G{number % 10}") for number in range(40)]
    design = plan("settle", (5.0, 20.0), holes, seed=1)
    groups: dict[int, set[str]] = {}
    for one in design.assignments:
        groups.setdefault(one.block, set()).add(one.target.group)
    assert all(len(found) == 1 for found in groups.values())


def test_the_seed_alone_makes_the_order_and_the_coin_is_fair() -> None:
    arms = [one.arm for one in plan("settle", (5.0, 20.0), HOLES, seed=4).assignments]
    assert arms == [one.arm for one in plan("settle", (5.0, 20.0), HOLES, seed=4).assignments]
    # What a plan of this seed was when this was written: another release has to give the same.
    assert "".join(arms)[:24] == "BABABAABABBAABBABAABABAB"
    first = Counter(
        plan("settle", (5.0, 20.0), HOLES, seed=seed).assignments[2 * block].arm
        for seed in range(100)
        for block in range(12)
    )
    assert 540 <= first["A"] <= 660  # 600 +- 3.5 sd


@pytest.mark.parametrize(
    ("quantity", "arms", "holes", "said"),
    [
        ("settle", (5.0, 5.0), HOLES, "nothing to compare"),
        ("settle", (-1.0, 5.0), HOLES, "cannot be set"),
        ("image-shift", (3.0, 4e6), HOLES, "cannot be set"),
        ("dose-rate", (float("nan"), 15.0), HOLES, "cannot be set"),
        ("settle", (5.0, 20.0), HOLES[:20], "too few"),
        ("settle", (5.0, 20.0), [Target(square=str(number)) for number in range(100)], "too few"),
        ("settle", (5.0, 20.0), [Target(name="a")] * 100, "listed twice"),
        ("settle", (5.0, 20.0), [Target(name="a"), *HOLES], "some have none"),
        ("voltage", (200.0, 300.0), HOLES, "nothing that is compared"),
    ],
)
def test_what_cannot_be_an_experiment_is_refused(
    quantity: str, arms: tuple[float, float], holes: list[Target], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        plan(quantity, arms, holes, seed=1)
    assert refused.value.remedy


def test_an_outcome_has_to_be_known_before_the_first_movie() -> None:
    with pytest.raises(UsageError, match="no outcome is called"):
        plan("settle", (5.0, 20.0), HOLES, seed=1, outcome="loss")


@pytest.mark.parametrize("text", ["settle", "settle=5", "settle=5,6,7", "settle=five,6", "=5,6", "beam=1,2"])
def test_a_comparison_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_comparison(text)


def test_each_quantity_is_a_node_of_the_causal_graph() -> None:
    nodes = set(causal_graph().nodes)
    assert {quantity_of(word).node for word in ("settle", "dose-rate", "image-shift", "defocus")} <= nodes


def test_who_followed_the_plan() -> None:
    settle, shift = quantity_of("settle"), quantity_of("image-shift")
    assert settle.complies(6.0, 5.0, 20.0)
    assert not settle.complies(19.0, 5.0, 20.0)
    assert not settle.complies(12.4, 5.0, 20.0)
    assert shift.complies(1.0, 6.0, 3.0)  # "up to 6"
    assert not shift.complies(5.0, 3.0, 6.0)
