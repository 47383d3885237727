"""Critical exposure and frame weights against the published numbers."""

import math

import pytest
import torch

from frazil.models.optics.dose import (
    critical_exposure_e_per_a2,
    exposure_filter,
    mid_frame_exposures_e_per_a2,
    voltage_scale,
    whitened_weights,
)


def test_critical_exposure_of_grant_and_grigorieff() -> None:
    k = torch.tensor([0.05, 0.1, 1 / 3], dtype=torch.float64)
    # 0.24499 k^-1.6649 + 2.8141, worked out by hand.
    expected = torch.tensor([38.731, 14.140, 4.3398], dtype=torch.float64)
    torch.testing.assert_close(critical_exposure_e_per_a2(k, 300.0), expected, rtol=2e-3, atol=0)
    torch.testing.assert_close(critical_exposure_e_per_a2(k, 200.0), 0.8 * expected, rtol=2e-3, atol=0)
    assert math.isinf(float(critical_exposure_e_per_a2(torch.tensor(0.0), 300.0)))


def test_voltage_scale_is_one_and_four_fifths_and_refuses_nonsense() -> None:
    assert voltage_scale(300.0) == pytest.approx(1.0)
    assert voltage_scale(200.0) == pytest.approx(0.8)
    assert 0.3 < voltage_scale(100.0) < 0.7
    with pytest.raises(ValueError, match="voltage"):
        voltage_scale(3.0)


def test_amplitude_falls_to_exp_minus_half_at_the_critical_exposure() -> None:
    k = torch.tensor([0.2], dtype=torch.float64)
    left = exposure_filter(k, critical_exposure_e_per_a2(k, 300.0), 300.0)
    assert float(left) == pytest.approx(math.exp(-0.5))


def test_whitened_weights_keep_white_noise_white() -> None:
    k = torch.linspace(0, 0.5, 20, dtype=torch.float64)
    weights = whitened_weights(k, mid_frame_exposures_e_per_a2(40, 1.2, 3.0), 300.0)
    torch.testing.assert_close(weights.square().sum(dim=0), torch.ones(20, dtype=torch.float64))
    assert float(weights[0, 0]) == pytest.approx(1 / math.sqrt(40))
    assert bool((weights[0, 1:] > weights[-1, 1:]).all())
