"""The model of a machine: what the scarcest resource bears, by sums that can be done by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.capacity.machine import Costs, Machine, Measured, Movie, capacity, law_of, must_hold

MOVIE = Movie(mpx=20.0, frames=40, file_mb=200.0, kept_mb=100.0)
COSTS = Costs(
    movie_cpu_s=18.0,
    gpu_host_cpu_s=8.0,
    gpu_s=1.0,
    gpu_worker_s=4.0,
    daemon_cpu_s=1.0,
    map_cpu_s=1.0,
    map_in_turn_s=1.0,
    efficiency=0.5,
)


def test_the_scarcest_resource_is_the_limit() -> None:
    plain = capacity(Machine("plain", cores=4, read_mb_per_s=100.0, write_mb_per_s=100.0), MOVIE, COSTS)
    assert plain.by_resource == {
        "cores": pytest.approx(3600 * 4 * 0.5 / 20),
        "disk read": pytest.approx(1800),
        "disk written": pytest.approx(3600),
        "the map, one movie after the other": pytest.approx(3600),
    }
    assert (plain.limit, plain.movies_per_h) == ("cores", pytest.approx(360))
    fast = capacity(Machine("fast", cores=400, gpus=1, workers=6, read_mb_per_s=1e6, write_mb_per_s=1e6), MOVIE, COSTS)
    assert fast.by_resource["cores"] == pytest.approx(3600 * 400 * 0.5 / 10)
    assert fast.movies_per_h == pytest.approx(3600)
    assert fast.by_resource["workers on the GPUs"] == pytest.approx(5400)
    slow_map = capacity(Machine("fast", cores=400, gpus=9, workers=9), MOVIE, replace(COSTS, map_in_turn_s=2.0))
    assert (slow_map.limit, slow_map.movies_per_h) == ("the map, one movie after the other", pytest.approx(1800))


def test_what_must_hold_is_what_bears_it() -> None:
    machine = Machine("one", cores=16, gpus=1, workers=6)
    asked = must_hold(machine, MOVIE, COSTS, 3000.0)
    assert asked["CPU-s a movie, all processes"] == pytest.approx(16 * 0.5 * 1.2)
    assert asked["GPU-s a movie"] == pytest.approx(1.2)
    assert asked["MB/s read"] == pytest.approx(200 / 1.2)
    just = replace(
        COSTS,
        gpu_host_cpu_s=asked["CPU-s a movie, all processes"] - 2.0,
        gpu_s=asked["GPU-s a movie"],
        gpu_worker_s=asked["s a movie in a worker"],
        map_in_turn_s=asked["s a movie of the map's process"],
    )
    machine = replace(machine, read_mb_per_s=asked["MB/s read"], write_mb_per_s=asked["MB/s written"])
    assert capacity(machine, MOVIE, just).by_resource == {
        name: pytest.approx(3000.0)
        for name in (
            "cores",
            "disk read",
            "disk written",
            "the map, one movie after the other",
            "GPUs",
            "workers on the GPUs",
        )
    }


def test_the_law_of_costs_is_found() -> None:
    """Of costs that follow it: what each movie takes, each pixel of a micrograph, each pixel of a frame."""
    large = Measured(mpx=16.0, frames=40, motion_cpu_s=16.0 * 40 * 0.01, other_cpu_s=16.0 * 0.2)
    small_cpu_s = 0.5 + 1.0 * 0.2 + 1.0 * 24 * 0.01
    law = law_of(large, 1.0, 24, small_cpu_s)
    total = large.motion_cpu_s + large.other_cpu_s
    assert law.cpu_s(16.0, 40) == pytest.approx(total)
    assert law.cpu_s(1.0, 24) == pytest.approx(small_cpu_s)
    assert law.cpu_s(16.0, 80) > 1.5 * total
