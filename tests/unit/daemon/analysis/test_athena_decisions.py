"""A round of advice as decisions on EPU's areas, against a grid on which every answer is known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from frazil.daemon.analysis.athena.decisions import AFTER_ALL, RoundDecisions, decisions_of
from frazil.daemon.store.target_rows import KnownTarget, TargetRoundRow
from frazil.models.grid_target import GridTarget
from frazil.models.targets.records import MoveMinutes, NextTargets, RankedTarget, SquareOutlook

GOOD, BAD, UNSEEN = 7, 8, 9
"""Squares: of the first there are holes on the list, the second has none worth it, nobody knows those of the third."""


def square(number: int) -> KnownTarget:
    return KnownTarget(GridTarget(f"epu:square:{number}", "square", "epu", str(number)), f"epu:square:{number}")


def hole(number: int, square_number: int, state: str = "chosen", **changes: object) -> KnownTarget:
    square_id = f"epu:square:{square_number}"
    target = GridTarget(f"epu:hole:{number}", "hole", "epu", str(number), square_id, state)
    return KnownTarget(replace(target, **changes), square_id)


def grid(*more: KnownTarget) -> dict[str, KnownTarget]:
    holes = [hole(number, GOOD) for number in (101, 102, 103)] + [hole(number, BAD) for number in (201, 202)]
    rows = [*map(square, (GOOD, BAD, UNSEEN)), *holes, hole(100, GOOD, "exposed"), *more]
    return {one.target.target_id: one for one in rows}


def ranked(*numbers: int) -> tuple[RankedTarget, ...]:
    return tuple(
        RankedTarget(
            *(rank, f"epu:hole:{number}", str(number), f"epu:square:{GOOD if number < 200 else BAD}", None),
            *(0.8, 0.7, 0.9, None, None, None, 1.0, f"why {number}"),
        )
        for rank, number in enumerate(numbers, 1)
    )


def a_round(*numbers: int, exposed: int = 1) -> TargetRoundRow:
    squares = tuple(
        SquareOutlook(f"epu:square:{number}", str(number), 4, 1, left, 1, 0.8, 0.7, 0.9, worth, "")
        for number, left, worth in ((GOOD, 3, 2), (BAD, 2, 0))
    )
    answer = NextTargets(ranked(*numbers), squares, "as it is", 1.0, 0.5, 0.3, (), MoveMinutes())
    return TargetRoundRow(4, 1, 0, "usable", 6.0, None, 6, exposed, 3, "next", answer)


def decided(found: RoundDecisions, decision_type: str) -> dict[int, str]:
    assert len({one.key for one in found.decisions}) == len(found.decisions), "one of each kind for an area"
    return {one.area_id: one.value for one in found.decisions if one.decision_type == decision_type}


def decide(known: dict[str, KnownTarget], row: TargetRoundRow, **changes: object) -> RoundDecisions:
    usual = {"avoided_ids": (), "taken_ids": (), "whole_list": True}
    return decisions_of(known, row, **{**usual, **changes})


def test_the_order_is_that_of_the_list_and_what_is_not_on_it_is_left_out() -> None:
    found = decide(grid(), a_round(102, 101))
    assert decided(found, "acquisitionOrder") == {102: "2", 101: "3", GOOD: "1"}, "one hole has been taken before"
    included = decided(found, "include")
    assert included == {102: "true", 101: "true", 103: "false", 201: "false", 202: "false", GOOD: "true", BAD: "false"}
    selections = {area: json.loads(value) for area, value in decided(found, "foilHoleSelection").items()}
    assert {one["areaId"]: one["result"] for one in selections[GOOD]} == {
        100: "true", 101: "true", 102: "true", 103: "false",
    }  # fmt: skip
    assert {one["result"] for one in selections[BAD]} == {"false"}
    assert UNSEEN not in {one.area_id for one in found.decisions}, "EPU has to look at it first"
    assert {one.details for one in found.decisions if one.area_id == 102} == {"why 102"}


def test_the_numbers_stay_when_the_first_of_the_list_has_been_taken() -> None:
    before = decide(grid(), a_round(102, 101, exposed=1))
    after = decide(grid(), a_round(101, exposed=2), taken_ids=("epu:hole:102",))
    assert decided(before, "acquisitionOrder")[101] == decided(after, "acquisitionOrder")[101] == "3"
    assert 102 not in decided(after, "include"), "what has been taken is nobody's to decide any more"
    assert decided(after, "foilHoleSelection") == decided(before, "foilHoleSelection")


@pytest.mark.parametrize("avoided", ["epu:hole:101", f"epu:square:{GOOD}"])
def test_what_a_person_avoids_is_left_out_with_all_that_lies_in_it(avoided: str) -> None:
    included = decided(decide(grid(), a_round(201), avoided_ids=(avoided,)), "include")
    assert included[101] == "false"
    assert included[201] == "true"
    assert included[GOOD] == "false"


def test_what_epu_gives_up_is_left_out_and_what_lies_at_a_bar_is_not_decided() -> None:
    bar = hole(104, GOOD, "seen", features=(("near_grid_bar", 1.0),))
    given_up = hole(105, GOOD, "avoided")
    gone = replace(hole(106, GOOD), gone=True)
    included = decided(decide(grid(bar, given_up, gone), a_round(101)), "include")
    assert included[105] == "false"
    assert not {104, 106} & included.keys()


def test_behind_the_end_of_a_long_list_nothing_is_left_out() -> None:
    found = decide(grid(), a_round(102), whole_list=False)
    assert set(decided(found, "include").values()) == {"true"}
    assert decided(found, "acquisitionOrder")[201] == str(AFTER_ALL)
    assert decided(found, "acquisitionOrder")[BAD] == str(AFTER_ALL)


def test_what_has_no_number_of_32_bits_is_left_out_and_counted() -> None:
    strangers = [
        hole(2**31, GOOD),
        KnownTarget(GridTarget("serialem:item:1", "hole", "serialem", "12"), None),
        KnownTarget(GridTarget("epu:grid", "grid", "epu", "sample 3"), None),
    ]
    found = decide(grid(*strangers), a_round(101))
    assert found.without_id == 2, "a grid is no area that anything is decided on"
    assert all(one.area_id < 2**31 for one in found.decisions)
