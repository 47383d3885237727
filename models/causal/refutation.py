"""Attempts to refute an adjusted effect: it has to survive them before it is told.

- placebo: the treatment dealt out anew within its strata can do nothing; how often an effect is found all the same;
- negative control: an outcome that the graph says the treatment cannot touch (Lipsitch et al. 2010, Epidemiology 21,
  383); an effect on it means that something hidden acts on both;
- random common cause: a made-up confounder must not matter;
- hidden confounder: how much of what is left of treatment and outcome it would have to explain to make the effect
  doubtful (robustness value, Cinelli & Hazlett 2020, J. R. Stat. Soc. B 82, 39, eq. 20).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from frazil.models.causal.adjustment import (
    CONFIDENCE,
    Design,
    Effect,
    Observed,
    adjusted_effect,
    comparable,
    slopes,
)
from frazil.models.causal.bands import Array
from frazil.models.causal.provenance import Refuter

SHUFFLES = 200
_COMMON_CAUSES = 40
_FALSE_SHARE = 1.0 - CONFIDENCE
_MOST_FALSE_SHARE = _FALSE_SHARE + 2.0 * float(np.sqrt(_FALSE_SHARE * (1 - _FALSE_SHARE) / SHUFFLES))
_MOST_MOVED_SD = 0.5
_SEED = 20200101


def placebo(observed: Observed) -> Refuter:
    """Dealt out anew within its strata the treatment does nothing: intervals must leave out zero as rarely as they
    state, and an effect as clear as the real one must be rare among them."""
    design = comparable(observed)
    assert isinstance(design, Design), "an effect that was told has a design"
    dealt = _t_over_limit(design, dealt_anew(design, SHUFFLES))
    real = _t_over_limit(design, design.treatment[None, :])[0]
    false, as_clear = float(np.mean(dealt > 1.0)), float(np.mean(dealt >= real))
    return Refuter(
        "placebo",
        bool(false <= _MOST_FALSE_SHARE and (real <= 1.0 or as_clear <= _FALSE_SHARE)),
        f"dealt out anew it seems to act in {100 * false:.0f} % of {SHUFFLES} trials (5 % are stated), "
        f"as clearly as here in {100 * as_clear:.0f} %",
    )


def dealt_anew(design: Design, times: int) -> Array:
    """(times, n) the treatment dealt out anew within the cells of the strata, always in the same ways. What was given
    at one stop of the stage stays together, as it was when it was given."""
    random = np.random.default_rng(_SEED)
    made = np.empty((times, design.treatment.size))
    by_stop = random.random((times, len(design.blocks)))
    for cell in np.unique(design.cells):
        places = np.flatnonzero(design.cells == cell)
        places = places[np.argsort(design.stops[places], kind="stable")]
        order = np.argsort(by_stop[:, design.stops[places]], axis=1, kind="stable")
        made[:, places] = design.treatment[places][order]
    return made


def _t_over_limit(design: Design, treatments: Array) -> Array:
    """(R,) |slope| in units of half its interval: above 1 the interval leaves out zero."""
    slope, sd, freedom = slopes(design, treatments)
    half = np.maximum(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom) * sd, 1e-300)
    return np.asarray(np.abs(slope) / half)


def negative_control(controls: Mapping[str, Observed]) -> Refuter:
    """`controls`: by the words of an outcome that the treatment cannot touch, the movies with that outcome and what
    separates the two. Their number is accounted for (Bonferroni)."""
    level = 1.0 - _FALSE_SHARE / max(len(controls), 1)
    effects = {name: adjusted_effect(observed, level) for name, observed in controls.items()}
    told = {name: effect for name, effect in effects.items() if isinstance(effect, Effect)}
    touched = [name for name, effect in told.items() if effect.is_sure]
    if touched:
        words = f"it seems to act on {', '.join(touched)}, which it cannot touch: something hidden acts on both"
    elif told:
        words = f"it does nothing to {', '.join(told)}, as it must"
    else:
        words = "nothing was measured that it cannot touch"
    return Refuter("negative control", not touched, words)


def random_common_cause(observed: Observed, effect: Effect) -> Refuter:
    """A made-up confounder moves the estimate by less than half its sd (root mean square)."""
    design = comparable(observed)
    assert isinstance(design, Design), "an effect that was told has a design"
    made_up = np.random.default_rng(_SEED).normal(size=(_COMMON_CAUSES, design.treatment.size))
    treatment, outcome, made_up = design.left(design.treatment), design.left(design.outcome), design.left(made_up)
    # The slope with the made-up column beside the others (Frisch & Waugh 1933).
    size = (made_up**2).sum(axis=1)
    of_treatment, of_outcome = made_up @ treatment, made_up @ outcome
    again = (treatment @ outcome - of_treatment * of_outcome / size) / (treatment @ treatment - of_treatment**2 / size)
    moved = float(np.sqrt(np.mean(np.square((again - effect.slope) / effect.sd))))
    return Refuter(
        "random common cause",
        moved <= _MOST_MOVED_SD,
        f"a made-up confounder moves it by {moved:.2f} of its sd",
    )


def robustness_value(effect: Effect, confidence: float | None = CONFIDENCE) -> float:
    """Share of what is left of treatment and of outcome that a hidden cause would have to explain so that the interval
    reaches zero; None as confidence: so that the estimate itself is zero.

    Uses the interval's own sd, which is wider than the plain one that the formula was made for: it says less.

    >>> sure = Effect(1.0, 0.1, 0.8, 1.2, 30, 40, 30)
    >>> round(robustness_value(sure, None), 2), round(robustness_value(sure), 2)
    (0.81, 0.74)
    """
    freedom = max(effect.residual_freedom, 2)
    partial = abs(effect.slope) / max(effect.sd, 1e-300) / np.sqrt(freedom)
    if confidence is not None:
        limit = stats.t.ppf(0.5 + confidence / 2, max(effect.freedom - 1, 1)) / np.sqrt(freedom - 1)
        partial -= float(limit)
    if partial <= 0.0:
        return 0.0
    return float(0.5 * (np.sqrt(partial**4 + 4 * partial**2) - partial**2))
