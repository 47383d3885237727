"""Peaks and thresholds against counts that are known."""

from __future__ import annotations

import numpy as np
import torch

from frazil.models.particles.calibration import apart, believed, expected_false, find_peaks


def test_a_peak_is_found_to_a_part_of_a_pixel_and_only_where_it_may_be() -> None:
    y, x = np.mgrid[:80, :100]
    bumps = 5 * np.exp(-0.5 * ((x - 30.3) ** 2 + (y - 41.8) ** 2) / 16)
    bumps += 4 * np.exp(-0.5 * ((x - 70) ** 2 + (y - 20) ** 2) / 16)
    allowed = torch.ones(80, 100, dtype=torch.bool)
    score = torch.from_numpy(bumps.astype(np.float32))
    found = find_peaks(score, allowed, 16.0)
    assert np.allclose(found.x, [30.3, 70.0], atol=0.1)
    assert np.allclose(found.y, [41.8, 20.0], atol=0.1)
    allowed[:30] = False
    assert len(find_peaks(score, allowed, 16.0).score) == 1


def test_of_near_places_the_first_stays() -> None:
    x = np.array([10.0, 13.0, 40.0, 44.0, 11.0])
    y = np.array([10.0, 10.0, 40.0, 43.0, 16.1])
    assert apart(x, y, 5.5).tolist() == [0, 2, 4]


def test_expected_false_counts_peaks_as_high_a_micrograph() -> None:
    falling = np.array([9.0, 7.0, 7.0, 5.0, 3.0, 1.0])
    assert expected_false(np.array([10.0, 7.0, 4.0]), falling, 2.0).tolist() == [0.0, 1.5, 2.0]


def test_few_false_picks_or_a_small_share_of_them() -> None:
    score = np.linspace(20, 1, 40)
    expected = np.concatenate([np.zeros(10), np.full(10, 0.2), np.full(10, 1.4), np.full(10, 5.0)])
    assert believed(score, expected, 0.3, 0.0) == 20
    assert believed(score, expected, 0.3, 0.05) == 30  # 1.4 of 28 and more
    assert believed(score, np.full(40, 9.0), 0.3, 0.05) == 0
