"""Optics groups by movie: numbers come from beam shifts, are written once, and survive a restart."""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import asdict

import pytest

from frazil.daemon.processing.optics_groups import OpticsGroupsOfMovies
from frazil.models.records import AcquisitionMetadata

PLACES_UM = ((0.0, 0.0), (4.0, 0.0), (0.0, 4.0))


class FakeStore:
    """The columns of `movies` that optics groups read and write."""

    def __init__(self) -> None:
        self.movies: dict[str, tuple[str, str | None]] = {}
        self.numbers: dict[str, int] = {}
        self.writes: list[dict[str, int]] = []

    def rows(self, statement: str, *values: object):
        return [(movie, path, text, self.numbers.get(movie)) for movie, (path, text) in self.movies.items()]

    def write(self, policy, work, groups):
        assert work.__name__ == "set_optics_groups"
        assert not groups.keys() & self.numbers.keys(), "a number that was given never changes"
        self.numbers |= groups
        self.writes.append(dict(groups))
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def keep(self, movie: str, path: str, metadata: AcquisitionMetadata) -> None:
        fields = {name: value for name, value in asdict(metadata).items() if value not in (None, ())}
        self.movies[movie] = (path, json.dumps(fields) if fields else None)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def shifted(x_um: float, y_um: float) -> AcquisitionMetadata:
    return AcquisitionMetadata(image_shift_x_um=x_um, image_shift_y_um=y_um)


def session(
    groups: OpticsGroupsOfMovies, store: FakeStore, rounds: int, first: int = 0, first_place: int = 0
) -> dict[str, int]:
    """Movies at the three places in turn, with little scatter; the index of each movie's true place."""
    truth = {}
    for index in range(first, first + 3 * rounds):
        movie, place = f"m{index:03d}", (index + first_place) % 3
        metadata = shifted(PLACES_UM[place][0] + 0.001 * (index // 3 % 5), PLACES_UM[place][1])
        store.keep(movie, f"{movie}.tif", metadata)
        groups.add(movie, f"{movie}.tif", metadata)
        truth[movie] = place
    return truth


def assert_one_number_per_place(numbers: dict[str, int], truth: dict[str, int]) -> None:
    assert numbers.keys() == truth.keys()
    pairs = {(truth[movie], number) for movie, number in numbers.items()}
    assert len(pairs) == 3, pairs
    assert {number for _, number in pairs} == {1, 2, 3}


def test_three_places_have_three_numbers_and_movies_that_waited_get_theirs_afterwards(store):
    groups = OpticsGroupsOfMovies(store)
    truth = session(groups, store, 10)
    assert_one_number_per_place(store.numbers, truth)
    assert len(store.writes[0]) > 1, "the first ones waited until the places were known"


def test_numbers_go_on_after_a_restart(store):
    truth = session(OpticsGroupsOfMovies(store), store, 10)
    before = dict(store.numbers)
    again = OpticsGroupsOfMovies(store)
    assert store.numbers == before, "nothing is written twice"
    truth |= session(again, store, 3, first=30, first_place=2)  # another order than that of the first ones
    assert_one_number_per_place(store.numbers, truth)


def test_movies_that_waited_when_the_daemon_ended_get_their_numbers_after_it(store):
    truth = session(OpticsGroupsOfMovies(store), store, 10)
    store.numbers.clear()
    store.writes.clear()
    OpticsGroupsOfMovies(store)
    assert_one_number_per_place(store.numbers, truth)


def test_a_late_sidecar_does_not_change_a_number(store):
    groups = OpticsGroupsOfMovies(store)
    session(groups, store, 10)
    before, writes = dict(store.numbers), len(store.writes)
    groups.add("m000", "m000.tif", shifted(*PLACES_UM[1]))
    assert (store.numbers, len(store.writes)) == (before, writes)


def test_without_a_shift_the_name_of_the_exposure_counts(store):
    groups = OpticsGroupsOfMovies(store)
    for index, shot in enumerate(("11", "12", "11", "12")):
        path = f"FoilHole_900_Data_{shot}_{index}_20260101_120000_fractions.tiff"
        groups.add(f"m{index}", path, AcquisitionMetadata())
    assert store.numbers == {"m0": 1, "m1": 2, "m2": 1, "m3": 2}


def test_a_movie_of_which_nothing_is_said_has_no_group(store):
    groups = OpticsGroupsOfMovies(store)
    groups.add("m0", "m0.tif", AcquisitionMetadata(voltage_kv=300.0))
    assert store.numbers == {}
    assert store.writes == []
