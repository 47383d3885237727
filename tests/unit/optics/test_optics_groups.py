"""Planted patterns of beam shift come back as groups: the same partition, numbers that never change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from frazil.models.optics_groups import BeamPosition, BeamShiftGroups, beam_position, groups_of
from frazil.models.records import AcquisitionMetadata


def grid(side: int, spacing: float) -> np.ndarray:
    steps = (np.arange(side) - (side - 1) / 2) * spacing
    turned = np.deg2rad(17.0)
    points = np.array([(x, y) for y in steps for x in steps])
    return points @ np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])


def session(
    places: np.ndarray, rounds: int, jitter: float, seed: int, *, skip: float = 0.1
) -> Iterator[tuple[int, float, float]]:
    """(planted place, x, y): the pattern again and again, some holes left out."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        for number, (x, y) in enumerate(places):
            if rng.random() >= skip:
                dx, dy = rng.normal(scale=jitter, size=2)
                yield number, x + dx, y + dy


def same_partition(planted: Sequence[int], found: Sequence[int | None]) -> bool:
    pairs = set(zip(planted, found, strict=True))
    return len(pairs) == len(set(planted)) == len(set(found)) and None not in found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("unit", "side", "spacing", "jitter"),
    [
        ("um", 3, 1.7, 0.02),
        ("um", 5, 2.4, 0.05),
        ("um", 3, 0.45, 0.01),
        ("au", 5, 0.031, 0.0005),
        ("au", 7, 4e-6, 5e-8),
    ],
)
def test_planted_grids_come_back(unit: str, side: int, spacing: float, jitter: float, seed: int) -> None:
    movies = list(session(grid(side, spacing), 8, jitter, seed))
    found = groups_of(BeamPosition(unit, x, y) for _, x, y in movies)
    assert same_partition([place for place, _, _ in movies], found)


@pytest.mark.parametrize("seed", range(4))
def test_shots_in_holes_are_groups_of_their_own(seed: int) -> None:
    shots = np.array([(0.2, 0.2), (-0.2, 0.2), (0.0, -0.25)])
    places = (grid(3, 2.4)[:, None] + shots).reshape(-1, 2)
    movies = list(session(places, 6, 0.01, seed))
    found = groups_of(BeamPosition("um", x, y) for _, x, y in movies)
    assert same_partition([place for place, _, _ in movies], found)


@pytest.mark.parametrize("unit", ["um", "au"])
def test_numbers_never_change_and_a_restart_goes_on_with_them(unit: str) -> None:
    movies = list(session(grid(3, 1.7), 12, 0.02, 5))
    straight, given = BeamShiftGroups(), {}
    for place, (_, x, y) in enumerate(movies):
        news = straight.add(str(place), BeamPosition(unit, x, y))
        assert not set(news) & set(given)
        given |= news
    for cut in (3, 11, 40):
        first, numbers = BeamShiftGroups(), {}
        for place, (_, x, y) in enumerate(movies[:cut]):
            numbers |= first.add(str(place), BeamPosition(unit, x, y))
        second = BeamShiftGroups()
        for place, (_, x, y) in enumerate(movies[:cut]):
            if str(place) in numbers:
                second.restore(BeamPosition(unit, x, y), numbers[str(place)])
        for place, (_, x, y) in enumerate(movies):
            if str(place) in numbers:
                continue
            numbers |= second.add(str(place), BeamPosition(unit, x, y))
        assert numbers == given


def test_slow_drift_is_followed_and_a_recalibration_makes_new_groups() -> None:
    rng = np.random.default_rng(1)
    places = grid(3, 1.7)
    slow = [
        (n, *(places[n] + np.array([0.3, -0.2]) * step / 400 + rng.normal(scale=0.01, size=2)))
        for step in range(400)
        for n in [step % 9]
    ]
    found = groups_of(BeamPosition("um", x, y) for _, x, y in slow)
    assert same_partition([n for n, _, _ in slow], found)
    jumped = [*slow, *((n + 9, x + 0.6, y + 0.5) for n, x, y in slow)]
    after = groups_of(BeamPosition("um", x, y) for _, x, y in jumped)
    assert after[:400] == found
    assert same_partition([n for n, _, _ in jumped], after)


@pytest.mark.parametrize("seed", range(12))
def test_a_session_without_beam_shift_is_one_group(seed: int) -> None:
    rng = np.random.default_rng(seed)
    still = groups_of(BeamPosition("um", 0.0, 0.0) for _ in range(30))
    assert still == [1] * 30
    scattered = groups_of(BeamPosition("um", x, y) for x, y in rng.normal(scale=0.02, size=(150, 2)))
    assert set(scattered) == {1}
    no_unit = groups_of(BeamPosition("au", x, y) for x, y in rng.normal(scale=3.0, size=(150, 2)))
    assert set(no_unit) == {1}


@pytest.mark.parametrize(("unit", "spacing"), [("um", 1.7), ("au", 0.031)])
@pytest.mark.parametrize("rounds", [1, 6])
def test_beam_shift_that_is_switched_on_late_is_found(unit: str, spacing: float, rounds: int) -> None:
    places = grid(10, spacing)  # none of them where the shift was before
    still = [(-1, 0.0, 0.0)] * 500
    movies = [*still, *session(places, rounds, 0.01 * spacing, 3, skip=0.0)]
    groups, given = BeamShiftGroups(), {}
    for number, (_, x, y) in enumerate(movies):
        given |= groups.add(str(number), BeamPosition(unit, x, y))
    assert same_partition([place for place, _, _ in movies], [given.get(str(n)) for n in range(len(movies))])


def test_a_large_pattern_in_which_nothing_comes_twice_is_many_groups() -> None:
    found = groups_of(BeamPosition("um", x, y) for _, x, y in session(grid(10, 1.2), 1, 0.01, 0, skip=0.0))
    assert len(set(found)) == 100


def test_names_stand_in_for_sidecars_that_are_not_there() -> None:
    groups = BeamShiftGroups()
    assert groups.add("a", BeamPosition("", 0, 0, "77")) == {"a": 1}
    assert groups.add("b", BeamPosition("", 0, 0, "88")) == {"b": 2}
    assert groups.add("c", BeamPosition("", 0, 0, "77")) == {"c": 1}
    places = {"77": (0.0, 0.0), "88": (1.0, 0.0), "99": (0.0, 1.0)}
    given: dict[str, int] = {}
    for turn in range(5):
        for name, (x, y) in places.items():
            given |= groups.add(f"{name}-{turn}", BeamPosition("um", x + 0.01 * turn, y, name))
    assert {name: {given[f"{name}-{turn}"] for turn in range(5)} for name in places} == {
        "77": {1},
        "88": {2},
        "99": {3},
    }
    assert groups.add("late", BeamPosition("", 0, 0, "99")) == {"late": 3}


def test_what_a_sidecar_says() -> None:
    assert beam_position(AcquisitionMetadata()) is None
    assert beam_position(AcquisitionMetadata(image_shift_x_um=1.0, image_shift_y_um=2.0)) == BeamPosition("um", 1, 2)
    epu = AcquisitionMetadata(
        image_shift_x_um=0.0, image_shift_y_um=0.0, beam_shift_x_au=0.1, beam_shift_y_au=0.2, beam_shift_group="7"
    )
    assert beam_position(epu) == BeamPosition("au", 0.1, 0.2, "7")
    alone = AcquisitionMetadata(image_shift_x_au=0.01, image_shift_y_au=0.02)
    assert beam_position(alone) == BeamPosition("au", 0.01, 0.02)
    assert beam_position(AcquisitionMetadata(beam_shift_group="7")) == BeamPosition("", 0.0, 0.0, "7")
