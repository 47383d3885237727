"""What the camera still prints after gain correction is seen without knowing the pattern."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.models.gain.evidence import pattern_left_rms

HALF_DOSE_E_PER_PX = 15.0
NOTHING_BAD = np.zeros((512, 512), dtype=bool)


def halves(pattern_rms: float, seed: int = 3, specimen_rms: float = 0.0) -> np.ndarray:
    """Two half-sums with independent counting noise under one white pattern, and a smooth specimen in both."""
    random = np.random.default_rng(seed)
    sensitivity = np.clip(1 + pattern_rms * random.standard_normal(NOTHING_BAD.shape), 0.05, None)
    k = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)[None, :])
    specimen = np.fft.irfft2(np.fft.rfft2(random.standard_normal(NOTHING_BAD.shape)) * np.exp(-0.5 * (k / 0.1) ** 2))
    specimen *= specimen_rms / specimen.std()
    expected = HALF_DOSE_E_PER_PX * sensitivity * (1 + specimen)
    return random.poisson(np.stack([expected, expected])).astype(np.float32)


@pytest.mark.parametrize("pattern_rms", [0.03, 0.12])
def test_the_strength_of_an_unknown_pattern(pattern_rms: float) -> None:
    assert pattern_left_rms(halves(pattern_rms), NOTHING_BAD) == pytest.approx(pattern_rms, rel=0.06)


def test_neither_noise_nor_specimen_is_a_pattern() -> None:
    """The covariance of noise has a standard error of (1/15) / sqrt(512^2 / 3.78): 1.6 % as a root."""
    for seed in range(4):
        found = pattern_left_rms(halves(0.0, seed, specimen_rms=0.1), NOTHING_BAD)
        assert found is not None
        assert abs(found) < 0.03


def test_hot_pixels_are_left_out() -> None:
    both = halves(0.0)
    bad = NOTHING_BAD.copy()
    bad[100:400:7, 100:400:9] = True
    both[:, bad] = 5000.0
    found = pattern_left_rms(both, bad)
    assert found is not None
    assert abs(found) < 0.03
    both[:, 50, 60] = 3000.0  # one that nobody knows of
    assert abs(pattern_left_rms(both, bad) or 0.0) < 0.03


def test_a_single_frame_says_nothing_nor_do_bad_pixels() -> None:
    assert pattern_left_rms(halves(0.1), ~NOTHING_BAD) is None
    both = halves(0.1)
    both[1] = 0.0
    assert pattern_left_rms(both, NOTHING_BAD) is None
