"""Mechanisms against cases whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.models.causal import mechanisms
from frazil.models.records import MovieEvidence

K = np.array([0.05, 0.1, 0.2, 0.3])


def _evidence(**changes: object) -> MovieEvidence:
    facts: dict[str, object] = {
        "shift_x_angstrom": (0.0,) * 10,
        "shift_y_angstrom": (0.0,) * 10,
        "shift_sd_angstrom": (0.0,) * 10,
        "local_residual_angstrom": 0.0,
        "frame_count": 10,
        "dose_per_frame_e_per_a2": 1.0,
        "pre_exposure_e_per_a2": 0.0,
        "dose_per_frame_e_per_px": 1.0,
        "pixel_size_angstrom": 1.0,
        "voltage_kv": 300.0,
        "cs_mm": 2.7,
        "defocus_angstrom": 15000.0,
        "relative_ice_thickness": None,
        "log_ssnr": (),
        "log_ssnr_sd": 0.5,
    }
    return MovieEvidence(**(facts | changes))  # type: ignore[arg-type]


def test_a_still_and_perfectly_aligned_movie_loses_nothing_to_motion() -> None:
    assert mechanisms.motion(_evidence(), K) == pytest.approx(np.zeros(4))


def test_blur_of_uniform_drift_matches_the_average_of_sinc_squared() -> None:
    """Independent: the amplitude left by a straight blur, averaged over directions by numerical integration."""
    step = 1.5
    evidence = _evidence(shift_x_angstrom=tuple(step * np.arange(10)))
    angle = np.linspace(0, 2 * np.pi, 2001)
    left = np.mean(np.sinc(K[:, None] * step * np.cos(angle)), axis=1) ** 2
    assert mechanisms.motion(evidence, K) == pytest.approx(-np.log(left), rel=0.06)


def test_alignment_error_damps_as_a_gaussian() -> None:
    assert mechanisms.motion(_evidence(shift_sd_angstrom=(0.3,) * 10), K) == pytest.approx((2 * np.pi * K * 0.3) ** 2)


def test_no_exposure_no_damage_and_more_at_high_frequency() -> None:
    assert mechanisms.radiation_damage(_evidence(dose_per_frame_e_per_a2=1e-9), K) == pytest.approx(
        np.zeros(4), abs=1e-6
    )
    loss = mechanisms.radiation_damage(_evidence(dose_per_frame_e_per_a2=4.0), K)
    assert np.all(np.diff(loss) > 0)


def test_ice_loses_what_it_scatters() -> None:
    assert mechanisms.ice(_evidence(relative_ice_thickness=0.7), K) == pytest.approx(np.full(4, 0.7))
    assert mechanisms.ice(_evidence(relative_ice_thickness=-0.1), K) == pytest.approx(np.zeros(4))


def test_every_mechanism_is_a_loss() -> None:
    losses = mechanisms.predicted_losses(_evidence(shift_x_angstrom=tuple(range(10))), K)
    assert np.all(losses >= 0)
    assert np.all(np.isfinite(losses))
