"""Does a session's prior foretell movies that it has not seen? What is kept of it from version to version.

Every epoch is foretold by the version that was made before it, and counts as one whatever its movies share: their mean
is one bet. Against the claim that an interval holds what it says, and that its middle is the middle, bets of fixed
stakes s are made on x, what was seen less what the claim allows: the wealth prod (1 + s x_epoch) of each has a mean of
at most 1 if the claim is true, so that the mean of all wealths reaches 20 in at most one session of 20, however often
one looks (Ville 1939; Shafer 2021, J. R. Stat. Soc. A 184, 407). An interval that is too wide is no false claim: the
score tells that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from frazil.models.causal.forecast_score import Scored, of_normal

FALSE_ALARMS = 0.05
"""Of one quantity in a session, at most."""
LEAST_MOVIES_LEARNT = 10
"""Versions that have seen fewer are not asked: they do not claim to know the session."""
_LEAST_SEEN = 5
"""For the plain forecast."""
LEAST_EPOCHS = 3
"""Before so many nothing is said of the score."""
_OUTSIDE_68, _OUTSIDE_95 = 0.32, 0.05
_STAKES_68 = (0.5, 1.0, 2.0, 3.0)
_STAKES_95 = (2.0, 5.0, 10.0, 18.0)
_STAKES_SIDE = (-1.9, -1.0, -0.5, 0.5, 1.0, 1.9)
_LEAST_SD = 1e-3
"""Of the plain forecast: ln units; movies that are all alike are no promise."""
_STAKES = len(_STAKES_68) + len(_STAKES_95) + len(_STAKES_SIDE)

ASKED_OF = {
    "motion": ("steady_drift", "ring_fall"),
    "radiation_damage": ("ring_level", "ring_fall"),
    "spatial_coherence": ("ring_level", "ring_fall"),
    "temporal_coherence": ("ring_level", "ring_fall"),
    "ice": ("counted_electrons",),
    "detector": ("ring_level", "ring_fall"),
    "coincidence": ("counted_electrons",),
    "unexplained": ("ring_level", "ring_fall"),
}
"""What movies show of each cause. Coma and heights show in nothing that is foretold: whoever knows them has it from
particles."""
QUANTITY_WORDS = {
    "counted_electrons": "counted electrons",
    "steady_drift": "drift",
    "ring_level": "height of the rings",
    "ring_fall": "fall of the rings",
}


class Held(StrEnum):
    """What movies that were not seen say of the forecasts."""

    HOLDS = "holds"
    NOT_ASKED = "not asked"
    """Too few movies, or nothing that a movie shows tells of it."""
    FAILS = "fails"
    """The intervals do not hold what they say."""
    NO_BETTER = "no better"
    """The forecast is no better than what version 0 says."""


SPEAKS_AGAINST = (Held.FAILS, Held.NO_BETTER)
"""What movies that were not seen may say of a cause that would count as known without them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a movie showed of one quantity, and how two versions had foretold it."""

    came: float
    now: Scored
    first: Scored
    """By version 0."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """One quantity: sums over movies, none of which depends on their order within an epoch."""

    quantity: str
    seen: int = 0
    """Movies that showed it since the last change; of these the plain forecast is made."""
    total: float = 0.0
    squares: float = 0.0
    epochs: int = 0
    """That were foretold, with ..."""
    movies: int = 0
    inside_68: int = 0
    """Movies within the middle 68 % of their forecast."""
    inside_95: int = 0
    crps: float = 0.0
    """Sum over movies, in the quantity's unit (ln); smaller is better."""
    first_crps: float = 0.0
    """By version 0."""
    plain_crps: float = 0.0
    """Of a forecast that says: like the session's movies so far."""
    lead: float = 0.0
    """Sum over epochs of what a movie's CRPS is better than by version 0, and the sum of its squares."""
    lead_squares: float = 0.0
    ln_wealth: tuple[float, ...] = (0.0,) * _STAKES
    pit: tuple[float, ...] = ()
    """Of the newest epoch's movies, ascending."""

    @property
    def e_value(self) -> float:
        """Evidence against the forecast's intervals: 1 / 0.05 is enough."""
        return sum(math.exp(min(one, 700.0)) for one in self.ln_wealth) / len(self.ln_wealth)

    @property
    def held(self) -> Held:
        """What the movies so far say."""
        if self.e_value >= 1 / FALSE_ALARMS:
            return Held.FAILS
        if self.epochs < LEAST_EPOCHS:
            return Held.NOT_ASKED
        mean = self.lead / self.epochs
        variance = max(self.lead_squares / self.epochs - mean**2, 0.0)
        return Held.HOLDS if mean > math.sqrt(variance / (self.epochs - 1)) else Held.NO_BETTER

    @property
    def words(self) -> str:
        """For a person, without a full stop."""
        name = QUANTITY_WORDS[self.quantity]
        if not self.movies:
            return f"{name}: no movie has been foretold yet"
        inside = f"{name}: {self.inside_68} of {self.movies} unseen movies within their 68 % interval"
        gain = 1.0 - self.crps / self.first_crps if self.first_crps > 0 else 0.0
        than = f"{'better' if gain >= 0 else 'worse'} than by version 0"
        return f"{inside}, forecasts {100 * abs(gain):.0f} % {than}{_VERDICT_WORDS[self.held]}"


_VERDICT_WORDS = {
    Held.HOLDS: "",
    Held.NOT_ASKED: " (too few to judge)",
    Held.FAILS: ": the intervals are too narrow or off",
    Held.NO_BETTER: ": no clear gain",
}


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """All quantities, in the order in which they were first seen."""

    foretold: tuple[Foretold, ...] = ()

    def of(self, quantity: str) -> Foretold:
        """Also of one that no movie has shown."""
        return next((one for one in self.foretold if one.quantity == quantity), Foretold(quantity))

    def held(self, factor: str) -> tuple[Held, str]:
        """What unseen movies say of a cause, the worst of what shows it, and the words for it."""
        asked = [self.of(name) for name in ASKED_OF.get(factor, ())]
        if not asked:
            return Held.NOT_ASKED, "nothing that a movie shows was foretold of it"
        shown = [one for one in asked if one.seen]
        if not shown:
            return Held.NOT_ASKED, f"no movie has shown {' or '.join(QUANTITY_WORDS[one.quantity] for one in asked)}"
        worst = max(shown, key=lambda one: _SEVERITY.index(one.held))
        return worst.held, worst.words


_SEVERITY = (Held.HOLDS, Held.NOT_ASKED, Held.NO_BETTER, Held.FAILS)


def with_epoch(record: PredictionRecord, movies: Sequence[dict[str, Seen]], movies_learnt: int) -> PredictionRecord:
    """The record with an epoch's movies, by quantity what each showed, foretold by a version that had learnt from so
    many before."""
    names = [one.quantity for one in record.foretold]
    names += [name for name in QUANTITY_WORDS if name not in names and any(name in one for one in movies)]
    foretold = []
    for name in names:
        rows = [one[name] for one in movies if name in one]
        foretold.append(_with(record.of(name), rows, asked=movies_learnt >= LEAST_MOVIES_LEARNT))
    return PredictionRecord(tuple(foretold))


def _with(before: Foretold, rows: Sequence[Seen], *, asked: bool) -> Foretold:
    if not rows:
        return before
    after = before
    if asked and before.seen >= _LEAST_SEEN:
        after = _scored(before, rows)
    came = [row.came for row in rows]
    return replace(
        after,
        seen=before.seen + len(rows),
        total=math.fsum([before.total, *came]),
        squares=math.fsum([before.squares, *(value**2 for value in came)]),
    )


def _scored(before: Foretold, rows: Sequence[Seen]) -> Foretold:
    """Sums are exact before they are rounded (`fsum`), so that the order of an epoch's movies changes no bit."""
    mean = before.total / before.seen
    variance = max(before.squares / before.seen - mean**2, 0.0) * before.seen / (before.seen - 1)
    plain_sd = max(math.sqrt(variance * (1 + 1 / before.seen)), _LEAST_SD)
    pit = sorted(row.now.pit for row in rows)
    inside_68 = sum(abs(one - 0.5) <= (1 - _OUTSIDE_68) / 2 for one in pit)
    inside_95 = sum(abs(one - 0.5) <= (1 - _OUTSIDE_95) / 2 for one in pit)
    lead = math.fsum(row.first.crps - row.now.crps for row in rows) / len(rows)
    bets = [(stake, 1 - inside_68 / len(rows) - _OUTSIDE_68) for stake in _STAKES_68]
    bets += [(stake, 1 - inside_95 / len(rows) - _OUTSIDE_95) for stake in _STAKES_95]
    bets += [(stake, math.fsum(pit) / len(rows) - 0.5) for stake in _STAKES_SIDE]
    return replace(
        before,
        epochs=before.epochs + 1,
        movies=before.movies + len(rows),
        inside_68=before.inside_68 + inside_68,
        inside_95=before.inside_95 + inside_95,
        crps=before.crps + math.fsum(row.now.crps for row in rows),
        first_crps=before.first_crps + math.fsum(row.first.crps for row in rows),
        plain_crps=before.plain_crps + math.fsum(of_normal(mean, plain_sd, row.came).crps for row in rows),
        lead=before.lead + lead,
        lead_squares=before.lead_squares + lead**2,
        ln_wealth=tuple(
            wealth + math.log1p(stake * x) for wealth, (stake, x) in zip(before.ln_wealth, bets, strict=True)
        ),
        pit=tuple(pit),
    )
