"""Ice of one movie by its counts, under a belief that has been taught by movies of known ice."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.models.causal.counts import ice_by_counts, ln_likelihood, prior_ln_weight
from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.records import ExposureFacts, MovieEvidence

ZERO = -0.1


def movie(ice_nm: float, noise: float = 0.0, **exposure: object) -> MovieEvidence:
    facts = {"stated_dose_per_frame_e_per_a2": 1.0, "energy_filter": True, **exposure}
    counts = 0.83**2 * np.exp(ZERO - ice_nm / inelastic_mean_free_path_nm(300.0) + noise)
    return MovieEvidence(
        (), (), (), 0.2, 40, 0.9, 0.0, float(counts), 0.83, 300.0, 2.7, 15_000.0, None, log_ssnr=(), log_ssnr_sd=0.25,
        exposure=ExposureFacts(**facts),  # type: ignore[arg-type]
    )  # fmt: skip


def test_differences_are_exact_and_the_common_zero_is_as_uncertain_as_it_says() -> None:
    rng = np.random.default_rng(4)
    truth = 45.0 * np.exp(0.3 * rng.normal(size=60))
    movies = [movie(float(ice), 0.008 * float(rng.normal())) for ice in truth]
    belief = prior_ln_weight() + sum(ln_likelihood(one) for one in movies)
    told = [ice_by_counts(one, belief) for one in movies]
    wrong = np.array([one.thickness_nm for one in told]) - truth
    assert np.std(wrong) < 1.2 * told[0].own_sd_nm
    assert abs(wrong.mean()) < 2.5 * told[0].zero_sd_nm
    first = ice_by_counts(movies[0], prior_ln_weight())
    assert first.zero_sd_nm > 1.3 * told[0].zero_sd_nm


def test_counts_without_a_stated_dose_or_a_filter_do_not_tell() -> None:
    assert ice_by_counts(movie(40.0, stated_dose_per_frame_e_per_a2=None), prior_ln_weight()) is None
    assert ice_by_counts(movie(40.0, energy_filter=False), prior_ln_weight()) is None
    assert ice_by_counts(movie(40.0, energy_filter=None), prior_ln_weight()).thickness_nm == pytest.approx(56.0, abs=40)
