"""What all placed particles come to, kept as they come and go, against the same counted once over all that is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frazil.models.reconstruction.orientation.orientations import view_vectors
from frazil.models.reconstruction.orientation.placed_particles import PlacedParticles
from frazil.models.reconstruction.orientation.rotations import matrices_from_euler_deg
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.orientation.view_counts import FINE_BINS, bin_angles_deg, bin_numbers, shown_counts
from frazil.models.reconstruction.refine.placed_tally import PlacedTally

SHELLS = 9
C3 = symmetry_matrices("C3")


def movie(rng: np.random.Generator, count: int = 12) -> PlacedParticles:
    euler = np.stack([rng.uniform(-180, 180, count), rng.uniform(0, 180, count), rng.uniform(-180, 180, count)], axis=1)
    return PlacedParticles(
        half_set=rng.integers(1, 3, count).astype(np.int8),
        poses=matrices_from_euler_deg(euler).astype(np.float32),
        shift_px=np.zeros((count, 2), dtype=np.float32),
        certainty=rng.uniform(0, 1, count).astype(np.float32),
        shell_ssnr=rng.uniform(0.1, 2.0, SHELLS).astype(np.float32),
        renewal=int(rng.integers(2)),
        chosen=rng.uniform(size=count) < 0.7 if rng.integers(2) else None,
    )


def test_it_is_what_all_that_are_there_come_to() -> None:
    rng = np.random.default_rng(1)
    tally, there = PlacedTally(SHELLS, C3), [movie(rng) for _ in range(40)]
    for one in there:
        tally.put_in(one)
    for number in rng.integers(0, 40, 200).tolist():  # searched again
        tally.take_out(there[number])
        there[number] = movie(rng)
        tally.put_in(there[number])
    for one in there[30:]:
        tally.take_out(one)
    there = there[:30]
    chosen = np.concatenate([one.certainty[one.is_chosen] for one in there])
    assert tally.particle_count == chosen.size
    assert tally.discarded_share == float((chosen <= 0.5).mean())
    weights = [float(one.counts.sum(dtype=np.float64)) for one in there]
    own = sum(weight for weight, one in zip(weights, there, strict=True) if one.renewal)
    assert tally.own_share == pytest.approx(own / sum(weights), abs=1e-9)
    amplitude = np.average([np.sqrt(one.shell_ssnr.astype(np.float64)) for one in there], axis=0, weights=weights)
    np.testing.assert_allclose(tally.mean_amplitude, amplitude, rtol=1e-9)
    seen = np.concatenate([one.poses[one.counts > 0.5, 2] for one in there]).astype(np.float64)
    np.testing.assert_array_equal(tally.views.shown, shown_counts(seen, C3))
    assert tally.views.shown.sum() == 2 * 3 * len(seen)
    assert tally.views.fine.sum() == chosen.size
    again = PlacedTally(SHELLS, C3)
    again.restore(tally.state())
    assert (again.particle_count, again.own_share) == (tally.particle_count, tally.own_share)
    np.testing.assert_array_equal(again.mean_amplitude, tally.mean_amplitude)
    np.testing.assert_array_equal(again.views.fine, tally.views.fine)
    for one in reversed(there):
        tally.take_out(one)
    assert (tally.particle_count, tally.discarded_share, tally.own_share) == (0, None, 0.0)
    assert tally.mean_amplitude is None
    assert not tally.views.shown.any()


def test_a_map_that_counts_forty_thousand_times_a_thousand_is_kept() -> None:
    tally = PlacedTally(SHELLS, C3)
    many = replace(movie(np.random.default_rng(2)), certainty=np.ones(12, dtype=np.float32), chosen=None)
    tally.put_in(many)
    tally._steps *= 10**7
    tally._own_steps *= 10**7
    again = PlacedTally(SHELLS, C3)
    again.restore(tally.state())
    assert (again._steps, again._own_steps) == (tally._steps, tally._own_steps)


def test_a_bin_says_where_its_views_are() -> None:
    rot, tilt = np.array([-179.9, -40.0, 12.3, 100.0, 179.9]), np.array([0.5, 35.0, 90.0, 120.0, 179.0])
    counts = np.bincount(bin_numbers(view_vectors(rot, tilt), FINE_BINS), minlength=FINE_BINS[0] * FINE_BINS[1])
    told = sorted(bin_angles_deg(counts.reshape(FINE_BINS)))
    assert [count for _, _, count in told] == [1] * 5
    for (rot_deg, tilt_deg, _), own_rot, own_tilt in zip(told, rot, tilt, strict=True):
        assert abs(rot_deg - own_rot) <= 1.25 + 1e-9
        assert abs(np.cos(np.radians(tilt_deg)) - np.cos(np.radians(own_tilt))) <= 1 / 72 + 1e-9
