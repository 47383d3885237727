"""Sessions as what their movies lose: by which cause, after which law, and what the causal part would say of it.

Losses are -ln(SSNR with the cause / without). They are drawn here and not by frazil's mechanisms. In `lawful` worlds
drift, ice, a convergent beam, coma and a spread of heights cost what textbooks say; in `lawless` ones each costs in
proportion to another power of k, thick ice also blurs, and a tenth of the movies has lost a half or more to nothing
that has a name. All are correlated over movies (a square's ice, a hole's settling).

What the causal part says of a movie is the truth and an error. How large that is has been measured: median absolute
error and bias of every cause at 8, 5 and 4 A, over three sessions of another author's simulator
(benchmarks/results/attribution_factors.json, `./run bench attribution`), one of which is drawn for each session. Of a
movie's error the bias is the session's, with the sign that it had; the rest has the median absolute error as its own,
half of its variance shared with neighbours. `physics`, version 0 of the prior, has not learnt how strongly each
mechanism acts in this session: every cause is besides told too large or too small by a factor drawn from the prior's
own width. What `unknown` cost is told by neither.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.models.causal.prior import STRENGTH_MEAN_SD

Array = NDArray[np.float64]
FACTORS_JSON = Path(__file__).resolve().parents[1] / "results" / "attribution_factors.json"
CAUSES = ("motion", "ice", "spatial_coherence", "coincidence", "aberrations", "defocus_spread")
"""Those that differ between the movies of a session."""
ATTRIBUTED_ANGSTROM = (8.0, 5.0, 4.0)
_STRENGTH_SD_OF_OTHERS = 0.3
"""Of ln of the factor by which version 0 is off for causes whose strength it does not learn."""
_ABS_TO_SD = 1 / 0.6745
_NEIGHBOURS_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class World:
    """How a session is drawn."""

    seed: int
    heavy: bool
    """Artefacts: bursts of drift, thick ice, image shifts with coma; else a good night."""
    lawful: bool

    @property
    def name(self) -> str:
        return f"{'artefacts' if self.heavy else 'ordinary'}:{self.seed}{'' if self.lawful else ':lawless'}"

    def rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, int(self.heavy), purpose, 1709])


@dataclass(frozen=True, slots=True)
class Losses:
    """Of every movie: (movies, K) by cause."""

    frequency_per_angstrom: Array
    by_cause: dict[str, Array]
    unknown: Array

    @property
    def total(self) -> Array:
        return np.asarray(sum(self.by_cause.values()) + self.unknown)


def correlated(rng: np.random.Generator, count: int, memory: float) -> Array:
    """(count,) standard normal numbers of which neighbours have the correlation `memory`."""
    fresh = rng.standard_normal(count)
    out = fresh.copy()
    for n in range(1, count):
        out[n] = memory * out[n - 1] + np.sqrt(1 - memory**2) * fresh[n]
    return out


def true_losses(world: World, movies: int, k: Array) -> Losses:
    """What the movies of a session have lost at frequencies `k` (K,) in 1/A."""
    rng, heavy = world.rng(1), world.heavy
    u = (k / 0.2)[None, :]  # 1 at 5 A
    ice = np.exp(np.log(60 if heavy else 35) + (0.55 if heavy else 0.15) * correlated(rng, movies, 0.8))[:, None] / 340
    burst = (rng.random(movies) < 0.35) * rng.uniform(1.5, 6.0, movies) if heavy else np.zeros(movies)
    drift = (burst + np.exp(-2.3 + 0.5 * correlated(rng, movies, 0.5)))[:, None]
    shift = np.abs(correlated(rng, movies, 0.3))[:, None] * (1.0 if heavy else 0.15)
    beam = np.exp(-2.0 + (0.6 if heavy else 0.2) * correlated(rng, movies, 0.2))[:, None]
    rate = np.exp(-2.8 + (0.8 if heavy else 0.1) * correlated(rng, movies, 0.9))[:, None]
    spread = np.exp(-3.0 + 0.5 * correlated(rng, movies, 0.5))[:, None]
    bends = (2.0, 2.0, 6.0, 4.0) if world.lawful else (1.0, 1.2, 3.0, 2.5)
    by_cause = {
        "motion": drift * u ** bends[0],
        "ice": 2 * ice + (0.0 if world.lawful else 1.5) * np.maximum(ice - 0.12, 0) * u,
        "spatial_coherence": beam * u ** bends[1],
        "coincidence": rate * np.ones_like(u),
        "aberrations": np.minimum(0.6 * shift**2 * u ** bends[2], 4.0),
        "defocus_spread": spread * u ** bends[3],
    }
    amount = np.abs(correlated(rng, movies, 0.5)) * (0.12 if world.lawful else 0.2)
    if not world.lawful:
        amount = amount + (rng.random(movies) < 0.1) * rng.uniform(0.5, 1.2, movies)
    return Losses(k, by_cause, amount[:, None] * np.minimum(u, 2.0))


def measured_errors(seed: int) -> dict[str, tuple[Array, Array]]:
    """By cause: bias and median absolute error at `ATTRIBUTED_ANGSTROM`, of one measured session."""
    sessions: dict[str, Any] = json.loads(FACTORS_JSON.read_text(encoding="utf-8"))["sessions"]
    names = sorted(sessions)
    factors = sessions[names[seed % len(names)]]["factors"]

    def column(cause: str, figure: str) -> Array:
        return np.array([factors[cause][f"{at:g}"][figure] for at in ATTRIBUTED_ANGSTROM], dtype=float)

    return {cause: (column(cause, "bias"), column(cause, "error_median")) for cause in CAUSES}


def told_losses(world: World, true: Losses, prior: str) -> Array:
    """(movies, K) total of what the causal part says; `prior`: physics or learned."""
    rng, k = world.rng(2), true.frequency_per_angstrom
    at = 1 / np.array(ATTRIBUTED_ANGSTROM)
    movies = len(true.unknown)
    total = np.zeros_like(true.unknown)
    for cause, (bias, error) in measured_errors(world.seed).items():
        own = np.sqrt(_NEIGHBOURS_SHARE) * correlated(rng, movies, 0.8)
        own = own + np.sqrt(1 - _NEIGHBOURS_SHARE) * rng.standard_normal(movies)
        off = np.interp(k, at, bias) + np.interp(k, at, error) * _ABS_TO_SD * own[:, None]
        sd = STRENGTH_MEAN_SD[cause][1] if cause in STRENGTH_MEAN_SD else _STRENGTH_SD_OF_OTHERS
        strength = np.exp(sd * rng.standard_normal())
        told = np.maximum(true.by_cause[cause] + off, 0.0)
        total += told * (strength if prior == "physics" else 1.0)
    return total
