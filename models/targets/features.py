"""What is known of a hole before it is shot, as columns of a linear model of ln resolution, and what is expected of
their slopes.

A prediction of the resolution itself is expected to be right but for a factor: slope near 1 on logarithmic scales. That
is one of three hypotheses, weighed by how well each foretells the session's own outcomes: it is right; it says nothing;
it says something else. Any other feature enters by its deviation from the grid's median and by the square of that,
because ice can be too thin as well as too thick. Where the ice is known in nm by frazil's own look at the images
(`models/hole_images`), the brightness that the program wrote down says the same less well, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from frazil.models.grid_target import GridTarget
from frazil.models.targets.layout import Holes
from frazil.models.targets.outcomes import LIMIT_LN, Array

_PLAIN_SD = 0.15
"""Of the slope of a standardised feature, in ln resolution."""
_CARRIED_SHARE = 0.5
"""How likely it is that slopes are those of the grid before: the same microscope, another sample."""
_CARRIED_SD = 0.05
"""And by how much they then differ."""
_EIGHTY_PERCENT = 2 * 1.2816
"""Standard deviations of a normal that 80 % lie within."""
_MOST_DEVIATIONS = 2.5
_MEAN_SD = 0.5
"""Of the grid's mean ln(resolution / usable) about 0, before anything is seen."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One of the things that slopes could be."""

    name: str
    probability: float
    mean: Array
    """(q + 1,) of (grid's mean, slopes)."""
    sd: Array


@dataclass(frozen=True, slots=True)
class Columns:
    """Features of all holes."""

    names: tuple[str, ...]
    trusted: tuple[bool, ...]
    value: Array
    """(holes, q), 0 where not known."""
    spread: Array
    """(q,) standard deviation over the grid: slopes are told for so much."""
    carried: tuple[tuple[str, float, float, float], ...] = ()
    """(name, slope for one standard deviation, 80 % interval) as another grid in this microscope told them."""

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """Right, nothing, something else; one alone where no feature is trusted."""
        trusted = np.array(self.trusted, dtype=bool)
        plain = Hypothesis("plain", 1.0, np.zeros(len(trusted) + 1), np.r_[_MEAN_SD, np.full(len(trusted), _PLAIN_SD)])
        if not trusted.any():
            return self._beside_carried((plain,))
        found = []
        for name, probability, mean, sd in (
            ("right", 0.6, 0.8, 0.2),
            ("nothing", 0.2, 0.0, 0.03),
            ("other", 0.2, 0.0, 0.6),
        ):
            means, sds = plain.mean.copy(), plain.sd.copy()
            means[1:][trusted], sds[1:][trusted] = mean, sd
            found.append(Hypothesis(name, probability, means, sds))
        return self._beside_carried(tuple(found))

    def _beside_carried(self, found: tuple[Hypothesis, ...]) -> tuple[Hypothesis, ...]:
        """With one more where another grid has told slopes: here they are the same, or as if nothing were known. Those
        of predictions are not carried: they are told in the prediction's own unit, whatever a grid's spread."""
        told = {name: (slope, (high - low) / _EIGHTY_PERCENT) for name, slope, low, high in self.carried}
        columns = enumerate(zip(self.names, self.trusted, self.spread, strict=True))
        at = [number for number, (name, trusted, spread) in columns if name in told and not trusted and spread > 0.0]
        if not at:
            return found
        mean, sd = found[-1].mean.copy(), found[-1].sd.copy()
        for number in at:
            slope, slope_sd = told[self.names[number]]
            mean[number + 1] = slope / self.spread[number]
            sd[number + 1] = np.hypot(slope_sd / self.spread[number], _CARRIED_SD)
        apart = tuple(replace(one, probability=(1.0 - _CARRIED_SHARE) * one.probability) for one in found)
        return (*apart, Hypothesis("carried", _CARRIED_SHARE, mean, sd))

    def untrusted(self) -> tuple[Hypothesis, ...]:
        """For another outcome than the one that they foretell."""
        return replace(self, trusted=(False,) * len(self.trusted), carried=()).hypotheses()


ICE_NM, ICE_SD_NM = "ice_nm", "ice_sd_nm"
_SAID_BY_ICE = ("intensity_mean_counts", "intensity_sd_counts", "image_ln_intensity")
_NO_COLUMN = (ICE_SD_NM,)
"""How well something is known is no property of a hole."""
_MOST_HOLES = 0.9
"""Of those whose brightness is known: the ice has to be known of so many to stand for it."""


def with_features(targets: Iterable[GridTarget], more: Mapping[str, Mapping[str, float]]) -> list[GridTarget]:
    """The same targets with features that stand in no program's file: by target, value by name."""
    return [
        replace(one, features=(*one.features, *more[one.target_id].items())) if one.target_id in more else one
        for one in targets
    ]


def columns_of(holes: Holes, trusted: Sequence[str], usable_angstrom: float) -> Columns:
    """Every feature that differs between holes."""
    names, kinds, values = [], [], []
    left_out = _left_out(holes)
    for name, value in holes.features:
        if name in left_out:
            continue
        known = np.isfinite(value)
        if not known.any() or np.ptp(value[known]) == 0.0:
            continue
        if name in trusted:
            ratio = np.log(np.maximum(value, 1e-3) / usable_angstrom)
            names.append(name)
            kinds.append(True)
            values.append(np.where(known, np.clip(ratio, -LIMIT_LN, LIMIT_LN), np.median(ratio[known])))
            continue
        middle = float(np.median(value[known]))
        scale = 1.4826 * float(np.median(np.abs(value[known] - middle))) or float(value[known].std())
        deviation = np.where(known, np.clip((value - middle) / scale, -_MOST_DEVIATIONS, _MOST_DEVIATIONS), 0.0)
        names += [name, f"{name} squared"]
        kinds += [False, False]
        values += [deviation, np.where(known, deviation**2 - np.mean(deviation[known] ** 2), 0.0)]
    table = np.stack(values, axis=1) if values else np.zeros((len(holes.ids), 0))
    return Columns(tuple(names), tuple(kinds), table, table.std(axis=0))


def _left_out(holes: Holes) -> frozenset[str]:
    """Features that are no columns of their own."""
    known = dict(holes.features)
    ice = known.get(ICE_NM)
    if ice is None:
        return frozenset(_NO_COLUMN)
    said = frozenset(
        name
        for name in _SAID_BY_ICE
        if name in known and np.isfinite(ice[np.isfinite(known[name])]).mean() >= _MOST_HOLES
    )
    return said | frozenset(_NO_COLUMN)
