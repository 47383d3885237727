"""Thickness of a movie's ice with its error: known thicknesses in, held against what is told of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from frazil.models.causal.attribution import attribute
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import physics_prior
from frazil.models.records import MovieEvidence

Known = Callable[..., MovieEvidence]


def told(movie: MovieEvidence, prior: object = None) -> tuple[float, float]:
    losses = attribute(movie, physics_prior() if prior is None else prior).losses  # type: ignore[arg-type]
    assert losses.ice_nm is not None
    assert losses.ice_sd_nm is not None
    return losses.ice_nm, losses.ice_sd_nm


@pytest.mark.parametrize("thickness_nm", [25.0, 45.0, 90.0, 250.0])
def test_the_first_movie_is_told_within_its_error(known_movie: Known, thickness_nm: float) -> None:
    ice_nm, sd_nm = told(known_movie(thickness_nm))
    assert abs(ice_nm - thickness_nm) < 2.5 * sd_nm
    assert 5.0 < sd_nm < 45.0, "before the session has told its zero"


def test_thick_ice_is_surely_thicker_than_the_verdicts_limit(known_movie: Known) -> None:
    ice_nm, sd_nm = told(known_movie(250.0))
    assert ice_nm - sd_nm > 150.0
    ice_nm, sd_nm = told(known_movie(60.0))
    assert ice_nm - sd_nm < 150.0


def test_a_session_teaches_it(known_movie: Known) -> None:
    """Forty movies of 20 to 90 nm: each is told better than the first one was, and two of three within their error."""
    rng = np.random.default_rng(3)
    thicknesses = 42.0 * np.exp(0.35 * rng.standard_normal(40))
    movies = [
        known_movie(float(t), acquired_utc_us=1_767_225_600_000_000 + 60_000_000 * n) for n, t in enumerate(thicknesses)
    ]
    prior = physics_prior()
    for first in range(0, 40, 5):
        prior = update(prior, movies[first : first + 5])
    found = np.array([told(movie, prior) for movie in movies])
    off = found[:, 0] - thicknesses
    assert found[:, 1].mean() < told(movies[0])[1]
    assert np.mean(np.abs(off) < 1.5 * found[:, 1]) > 0.6
    assert np.std(off) < 8.0, "from movie to movie: the zero is common to all"


@pytest.mark.parametrize("changes", [{"stated_dose_per_frame_e_per_a2": None}, {"energy_filter": False}])
def test_where_counts_do_not_tell_it_nothing_is_said(known_movie: Known, changes: dict[str, object]) -> None:
    losses = attribute(known_movie(45.0, **changes), physics_prior()).losses
    assert (losses.ice_nm, losses.ice_sd_nm) == (None, None)
