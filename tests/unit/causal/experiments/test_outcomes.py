"""What a movie counts as, and which movie belongs to which hole."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from frazil.models.causal.bands import BAND_COUNT
from frazil.models.causal.experiments.blocks import unit_of
from frazil.models.causal.experiments.design import Design, Target, plan
from frazil.models.causal.experiments.matching import TakenMovie, match, microscope_seconds
from frazil.models.causal.experiments.outcomes import ln_ssnr_over, ring_reference, value_of
from frazil.models.records import MovieEvidence

PLAIN = MovieEvidence(
    shift_x_angstrom=(0.0, 3.0, 4.0, 5.0),
    shift_y_angstrom=(0.0, 4.0, 4.0, 4.0),
    shift_sd_angstrom=(0.1,) * 4,
    local_residual_angstrom=0.0,
    frame_count=4,
    dose_per_frame_e_per_a2=1.0,
    pre_exposure_e_per_a2=0.0,
    dose_per_frame_e_per_px=1.0,
    pixel_size_angstrom=1.0,
    voltage_kv=300.0,
    cs_mm=2.7,
    defocus_angstrom=12_000.0,
    relative_ice_thickness=None,
    log_ssnr=(None,) * BAND_COUNT,
    log_ssnr_sd=0.25,
    fit_resolution_angstrom=5.0,
)


def rings(first: int, last: int, level: float = 0.0) -> MovieEvidence:
    """ln SSNR falls by 0.1 a band."""
    values = tuple(level - 0.1 * band if first <= band <= last else None for band in range(BAND_COUNT))
    return replace(PLAIN, log_ssnr=values)


def test_how_far_a_movie_reaches_does_not_select_its_bands() -> None:
    reference = ring_reference([rings(2, 12) for _ in range(18)] + [rings(2, 9), rings(2, 9)])
    assert reference is not None
    assert reference.bands == tuple(range(2, 13))  # two of twenty end before
    far, near = (ln_ssnr_over(reference, rings(2, last, level=0.3).log_ssnr) for last in (20, 12))
    assert far == pytest.approx(0.3)
    assert near == pytest.approx(0.3)
    # A small defocus shows its first zero late: that is no loss, and no gain.
    assert ln_ssnr_over(reference, rings(6, 12, level=0.3).log_ssnr) == pytest.approx(0.3)
    assert ln_ssnr_over(reference, rings(2, 11, level=3.0).log_ssnr) == -math.inf
    assert ring_reference([rings(2, 12)] * 7) is None


def test_movies_that_failed_are_the_worst_and_do_not_vanish() -> None:
    reference = ring_reference([rings(2, 12)] * 8)
    for outcome in ("ln_ssnr", "fit_resolution", "particles", "motion", "drift"):
        assert value_of(outcome, None, reference=reference, particle_count=3) == -math.inf
    unfitted = replace(PLAIN, fit_resolution_angstrom=None)
    assert value_of("ln_ssnr", unfitted, reference=reference, particle_count=None) == -math.inf
    assert value_of("fit_resolution", unfitted, reference=reference, particle_count=None) == -math.inf
    assert value_of("particles", PLAIN, reference=reference, particle_count=None) is None
    assert value_of("ln_ssnr", PLAIN, reference=None, particle_count=None) is None


def test_more_is_better_for_each_outcome() -> None:
    better = replace(
        PLAIN, fit_resolution_angstrom=4.0, shift_x_angstrom=(0.0, 0.3, 0.4, 0.5), shift_y_angstrom=(0.0,) * 4
    )
    for outcome in ("fit_resolution", "motion", "drift"):
        best, usual = (value_of(outcome, one, reference=None, particle_count=None) for one in (better, PLAIN))
        assert best is not None
        assert usual is not None
        assert best > usual
    # 5 + 1 + 1 A of steps; 50 A^2 / (5 A)^2.
    assert value_of("motion", PLAIN, reference=None, particle_count=None) == pytest.approx(-math.log(7.0))
    assert value_of("fit_resolution", PLAIN, reference=None, particle_count=None) == pytest.approx(2.0)
    assert value_of("particles", PLAIN, reference=None, particle_count=99) == pytest.approx(math.log(100))


def taken(number: int, **more: object) -> TakenMovie:
    plain = TakenMovie(
        f"movie_{number:03d}.tif", number, finished=True, evidence=PLAIN, acquired_utc_us=number * 30_000_000
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def of_squares(*squares: str) -> Design:
    return plan("settle", (5.0, 20.0), [Target(square=name) for name in squares for _ in range(30)], seed=1)


def test_movies_without_names_belong_to_the_holes_of_their_square_in_order() -> None:
    movies = [taken(number, square="S1" if number % 2 else "S0") for number in range(62)]
    movies.append(taken(99, square="elsewhere"))
    found = match(of_squares("S0", "S1"), movies[::-1])
    assert [found.by_place[place][0].sequence for place in (1, 2, 30, 31, 32)] == [0, 2, 58, 1, 3]
    # More than the plan has, or of a square that it does not have: told, not forced.
    assert found.strangers == ("movie_060.tif", "movie_061.tif", "movie_099.tif")
    anywhere = match(of_squares(""), movies)
    assert len(anywhere.by_place) == 30


def test_movies_of_named_holes_belong_to_them_in_whatever_order() -> None:
    design = plan("settle", (5.0, 20.0), [Target(name=f"hole-{number}") for number in range(1, 41)], seed=1)
    movies = [
        taken(0, name="s1_hole-12_frames.tif"),
        taken(1, name="s1_hole-1_frames.tif"),
        taken(2, name="x.tif", hole="HOLE-40"),
        taken(3, name="s1_hole-12_again.tif"),
        taken(4, name="hole-123.tif"),
        taken(5, name="hole-1_hole-2.tif"),
    ]
    found = match(design, movies)
    assert {place: len(of_hole) for place, of_hole in found.by_place.items()} == {12: 2, 1: 1, 40: 1}
    assert found.strangers == ("hole-123.tif", "hole-1_hole-2.tif")


def test_time_is_from_the_end_of_one_exposure_to_the_end_of_the_next() -> None:
    movies = [taken(0, exposure_time_s=4.0), taken(1, exposure_time_s=2.0), taken(2, acquired_utc_us=None)]
    assert microscope_seconds(movies) == {"movie_001.tif": pytest.approx(28.0)}


def test_several_movies_of_a_hole_are_one_measurement() -> None:
    design = plan("settle", (5.0, 20.0), [Target()] * 30, seed=1, outcome="fit_resolution")
    other = replace(PLAIN, fit_resolution_angstrom=2.5)
    unit = unit_of([taken(0), taken(1, evidence=other), taken(2, evidence=None)], design, None)
    assert unit.value == pytest.approx(2.0)  # -inf, 2, 8
    assert (unit.movies, unit.failed, unit.pending) == (3, 1, False)
    assert unit_of([taken(0), taken(1, finished=False)], design, None).pending
    # A file that cannot be read is no fault of the setting.
    assert np.isnan(unit_of([taken(0, evidence=None, lost=True)], design, None).value)
