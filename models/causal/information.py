"""What a session has told: how far a belief has come from the one that it started with, and when that is enough."""

from __future__ import annotations

import numpy as np

LEAST_NATS = 0.3
"""From so much on the session has told something of a quantity: about half its width gone."""


LEAST_MOVIES = 10
"""Nothing is advised from fewer: what they have in common may be the square that they were taken on."""


def no_advice(movie_count: int, prior_version: int) -> str:
    """Why nothing is advised from so many movies with a version of the prior.

    >>> no_advice(4, 0)
    'not known yet: 6 movies more'
    >>> no_advice(25, 5)
    'nothing would pay: no change is known to gain more than it costs'
    """
    if movie_count < LEAST_MOVIES:
        return f"not known yet: {LEAST_MOVIES - movie_count} movies more"
    if prior_version == 0:
        return "not known yet: nothing has been learnt from this session's movies"
    return "nothing would pay: no change is known to gain more than it costs"


def told_nats(mean: float, sd: float, first_mean: float, first_sd: float) -> float:
    """Information that a normal belief has gained over an earlier one, both in the same unit (Kullback & Leibler 1951).

    >>> round(told_nats(1.0, 0.1, 1.0, 0.1), 3)
    0.0
    >>> round(told_nats(1.0, 0.05, 1.0, 0.1), 3)
    0.318
    """
    least = 1e-9
    ratio = max(sd, least) / max(first_sd, least)
    return float(-np.log(ratio) + 0.5 * (ratio**2 - 1) + 0.5 * ((mean - first_mean) / max(first_sd, least)) ** 2)


def has_told(mean: float, sd: float, first_mean: float, first_sd: float) -> bool:
    """Whether a session has told of a quantity: the belief has become narrower, and by enough. (One that has become
    wider, because a change of the beam made it worthless, differs too and is no knowledge.)

    >>> has_told(1.0, 0.05, 1.0, 0.1), has_told(2.0, 2.0, 0.8, 0.2)
    (True, False)
    """
    return sd < first_sd and told_nats(mean, sd, first_mean, first_sd) >= LEAST_NATS
