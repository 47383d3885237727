"""Two answers of one micrograph made one: the mean of equals, nearer the sharper, wider where they disagree."""

from __future__ import annotations

import math

import numpy as np

from frazil.models.ctf_fit.fit import _together
from frazil.models.ctf_fit.report import error_scale
from frazil.models.ctf_fit.ring_model import RingParameters
from frazil.models.ctf_fit.whittle import RingFit

WIDENED_CENTRED = 2.5
GAIN = 1e9


def _fit(defocus: float, sd: float, *, centred: bool) -> RingFit:
    """An answer whose error, after all widening, is `sd` (A) in every parameter."""
    variance = sd * sd / (WIDENED_CENTRED if centred else 1.0)
    return RingFit(
        parameters=RingParameters(defocus, 100.0, -50.0, 0.0),
        covariance=np.diag([variance, variance, variance, 0.0]),
        nu=np.zeros(4),
        log_delta=np.zeros(4),
        log_likelihood_gain=GAIN,
        converged=True,
        fit_per_angstrom=0.1 if centred else None,
    )


def test_equals_meet_in_the_middle_and_know_more_than_either() -> None:
    joined = _together(_fit(20_000.0, 60.0, centred=False), 1.0, _fit(20_040.0, 60.0, centred=True), 0.25)
    assert abs(joined.parameters.defocus_angstrom - 20_020.0) < 1e-6
    # Correlation 0.8 * sqrt(0.25) = 0.4: the mean's variance is (1 + 0.4) / 2 of each.
    assert abs(error_scale(joined, 1.0) - 60.0 * math.sqrt(0.7)) < 0.1


def test_the_sharper_answer_decides_and_is_never_made_worse() -> None:
    joined = _together(_fit(20_000.0, 10.0, centred=False), 1.0, _fit(20_090.0, 100.0, centred=True), 0.9)
    assert abs(joined.parameters.defocus_angstrom - 20_000.0) < 5.0
    assert error_scale(joined, 1.0) <= 10.001


def test_disagreement_widens_the_error() -> None:
    near = _together(_fit(20_000.0, 60.0, centred=False), 1.0, _fit(20_050.0, 60.0, centred=True), 0.25)
    far = _together(_fit(20_000.0, 60.0, centred=False), 1.0, _fit(20_400.0, 60.0, centred=True), 0.25)
    assert error_scale(far, 1.0) > 2.0 * error_scale(near, 1.0)
