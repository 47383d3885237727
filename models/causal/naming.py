"""Which cause to name first for a movie: the one that costs it most beyond what the session's movies usually lose.

Causes are named at their root: thick ice loses electrons and spreads heights, and both count as ice. A loss that every
movie has (radiation damage, the camera) is no news about this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal.causes import CauseDraws
from frazil.models.causal.change_points import WindowRow
from frazil.models.causal.factors import ALL_FACTORS, Array, band_frequencies_per_angstrom, curves_at
from frazil.models.causal.mechanisms import tilt_spread
from frazil.models.records import MovieEvidence

NAMED_PER_ANGSTROM = 1 / 5
"""Where losses are compared and named: detail that a map needs, and that rings still show."""
_ROOTS = {
    "motion": ("motion",),
    "ice": ("ice", "defocus_spread"),
    "aberrations": ("aberrations",),
    "coincidence": ("coincidence",),
    "spatial_coherence": ("spatial_coherence",),
    "radiation_damage": ("radiation_damage",),
    "unexplained": ("unexplained",),
}
"""Root cause and the factors through which it acts; the tilt's share of the spread of heights is a root of its own."""
_LEAST_EXCESS = 0.25
"""ln SSNR: less is within what good movies differ by."""
_DOUBT = 0.35
"""Of two causes that may have cost the same, the one that is better known to have is named: by this quantile."""
_LEAST_TYPICAL_MOVIES = 3


@dataclass(frozen=True, slots=True)
class NamedCause:
    """The root cause that costs a movie most beyond the usual, in ln SSNR at 5 A; empty name: nothing stands out."""

    factor: str
    excess_ln_ssnr: float


def name_cause(
    evidence: MovieEvidence,
    draws: CauseDraws,
    at_5_angstrom: dict[str, Array],
    window: tuple[WindowRow, ...],
    usual_before: tuple[float, ...] = (),
) -> NamedCause:
    """`at_5_angstrom`: (S,) draws of this movie's loss by factor; `window`: the newest movies, what is usual;
    `usual_before`: what was, before the session became another one (`least_usual`)."""
    usual = _usual(window, usual_before)
    excess_by_factor = {name: at_5_angstrom.get(name, np.zeros(1)) - usual[name] for name in ALL_FACTORS}
    by_root = {
        root: np.asarray(sum(excess_by_factor[name] for name in names), dtype=np.float64)
        for root, names in _ROOTS.items()
    }
    # Heights spread because the ice is thick or because the field is tilted: each root takes its share.
    tilt = float(curves_at(NAMED_PER_ANGSTROM, tilt_spread(evidence, draws, band_frequencies_per_angstrom())).mean())
    share = tilt / max(float(np.mean(at_5_angstrom["defocus_spread"])), 1e-9)
    by_root["ice"] = by_root["ice"] - share * excess_by_factor["defocus_spread"]
    by_root["defocus_spread"] = np.asarray(share * excess_by_factor["defocus_spread"])
    sure = {root: float(np.quantile(excess, _DOUBT)) for root, excess in by_root.items()}
    root = max(sure, key=lambda name: sure[name])
    excess = float(by_root[root].mean())
    if excess < _LEAST_EXCESS or sure[root] <= 0.0:
        return NamedCause("", 0.0)
    return NamedCause(root, excess)


def _usual(window: Sequence[WindowRow], usual_before: Sequence[float]) -> dict[str, float]:
    """Median loss by factor of the newest movies, or what it was before a change if that was less; before there are
    some, what physics calls usual."""
    least = least_usual(window, usual_before)
    return dict(zip(ALL_FACTORS, least, strict=True)) if least else _BEFORE


def least_usual(window: Sequence[WindowRow], usual_before: Sequence[float]) -> tuple[float, ...]:
    """By factor the median loss of some movies, or what was usual before them if that was less; empty: not known."""
    if len(window) < _LEAST_TYPICAL_MOVIES:
        return tuple(usual_before)
    table: Array = np.array([row.losses_at_5_angstrom for row in window])
    usual = np.median(table, axis=0)
    return tuple((np.minimum(usual, usual_before) if len(usual_before) else usual).tolist())


_BEFORE = dict.fromkeys(ALL_FACTORS, 0.0) | {
    "motion": 0.3,
    "radiation_damage": 1.5,
    "spatial_coherence": 0.2,
    "temporal_coherence": 0.05,
    "ice": 0.25,
    "detector": 0.3,
    "coincidence": 0.08,
    "aberrations": 0.1,
    "defocus_spread": 0.3,
}
"""Losses at 5 A of a good movie of 40 e/A2 in 40 nm of ice at 300 kV."""
