"""The judge of 2-D classes: what share of a class's members are particles, from what is to be seen of the class.

With x the features of a class (`class_features`), each less its mean and over its deviation in training, and f(x) those
and their squares,

    score = 1 / (1 + exp(-(b + w . f(x)))),

the logistic regression of the share of true particles among a class's members (Cox 1958, J. R. Stat. Soc. B 20, 215),
held back by |w|^2. Weights come from classes of simulated sessions with planted junk (`./run bench
class_judge_training`), and lie as a table in `class_weights.json`; the score is a share, so that 0.5 says that half of
them may be junk.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from frazil.models.reconstruction.classes.class_features import NAMES, ClassFeatures, as_row

Word = Literal["good", "unsure", "junk"]
GOOD_FROM, JUNK_UP_TO = 0.75, 0.25
"""Scores between them are no verdict."""
_FILE = Path(__file__).with_name("class_weights.json")
_LIMIT = 3.0
"""Deviations from the mean beyond which a feature says no more: nothing was learnt there."""


@dataclass(frozen=True, slots=True)
class ClassWeights:
    """Of the judge."""

    version: str
    made: str
    mean: NDArray[np.float64]
    """(F,) of each feature, in the order of NAMES."""
    deviation: NDArray[np.float64]
    weights: NDArray[np.float64]
    """(1 + 2 F,) of one, the features and their squares."""


@cache
def shipped() -> ClassWeights:
    """The weights that ship. Raises OSError, ValueError or KeyError where the file is not there or holds none."""
    return parsed(json.loads(_FILE.read_text(encoding="utf-8")))


def parsed(found: Mapping[str, Any]) -> ClassWeights:
    """Raises ValueError where the features are others, KeyError where something is missing."""
    features = found["features"]
    if tuple(features) != NAMES:
        raise ValueError(f"weights of a judge of {', '.join(features)}, not of {', '.join(NAMES)}")
    columns = {part: np.array([features[name][part] for name in NAMES]) for part in ("mean", "deviation")}
    weights = [found["constant"], *(features[name]["weight"] for name in NAMES)]
    weights += [features[name]["weight_of_square"] for name in NAMES]
    return ClassWeights(str(found["version"]), str(found["made"]), **columns, weights=np.array(weights))


def as_json(weights: ClassWeights) -> dict[str, Any]:
    """Undoes `parsed`."""
    count = len(NAMES)
    linear, square = weights.weights[1 : 1 + count], weights.weights[1 + count :]
    of_feature = zip(NAMES, weights.mean, weights.deviation, linear, square, strict=True)
    return {
        "version": weights.version,
        "made": weights.made,
        "constant": float(weights.weights[0]),
        "features": {
            name: dict(zip(("mean", "deviation", "weight", "weight_of_square"), map(float, numbers), strict=True))
            for name, *numbers in of_feature
        },
    }


def score(features: ClassFeatures, weights: ClassWeights | None = None) -> float:
    """Share of particles among the class's members, [0, 1]."""
    weights = weights or shipped()
    return 1.0 / (1.0 + math.exp(-float(_terms(as_row(features)[None], weights)[0] @ weights.weights)))


def word(value: float | None) -> Word:
    """What a score says; None: there is none yet."""
    if value is None or JUNK_UP_TO < value < GOOD_FROM:
        return "unsure"
    return "good" if value >= GOOD_FROM else "junk"


def learn(
    rows: NDArray[np.float64],
    good_share: NDArray[np.float64],
    members: NDArray[np.float64],
    *,
    held_back: float,
    version: str,
    made: str,
) -> ClassWeights:
    """The weights that give these classes' shares the greatest likelihood, less held_back |w|^2 / 2.

    Parameters
    ----------
    rows:
        (n, F) features.
    good_share, members:
        (n,) share of particles among a class's members, and by how much the class counts.
    """
    share = members / members.sum()
    mean = share @ rows
    deviation = np.sqrt(share @ (rows - mean) ** 2)
    empty = ClassWeights(version, made, mean, deviation, np.zeros(1 + 2 * rows.shape[1]))
    terms = _terms(rows, empty)
    penalty = np.full(terms.shape[1], held_back)
    penalty[0] = 0.0

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = terms @ w
        value = share @ (np.logaddexp(0.0, at) - good_share * at) + 0.5 * (penalty * w) @ w
        return float(value), terms.T @ (share * (1.0 / (1.0 + np.exp(-at)) - good_share)) + penalty * w

    found = scipy.optimize.minimize(
        loss, np.zeros(terms.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 5000}
    )
    return ClassWeights(version, made, mean, deviation, np.asarray(found.x, dtype=np.float64))


def _terms(rows: NDArray[np.float64], weights: ClassWeights) -> NDArray[np.float64]:
    scaled = np.clip((rows - weights.mean) / weights.deviation, -_LIMIT, _LIMIT)
    return np.concatenate([np.ones((len(rows), 1)), scaled, scaled**2], axis=1)
