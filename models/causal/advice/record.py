"""What could be done, with what it costs, and the advice that is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from frazil.models.causal.provenance import Provenance

SESSION = "session"
"""The scope of advice that is about all movies; others are grid squares."""

PAYS = 0.9
"""So probable it has to be that an intervention gains more than it costs, or nothing is said."""


@dataclass(frozen=True, slots=True)
class Option:
    """What could be done, and what it costs."""

    factor: str
    """The cause that is acted upon, by the name of its factor."""
    node: str
    """Of the causal graph: what is set."""
    action: str
    words: str
    extra_s_per_movie: float = 0.0
    cost_ln: float = 0.0
    """Besides the time per movie: ln of the share of the session that is left for movies, negative."""
    cost_words: str = ""
    upwards: bool = True
    """Whether the node becomes more by it."""
    told: bool = True
    """Whether the session has told of what it rests on."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One intervention on a movie, a square or the session: what it would buy, with 95 % credible intervals."""

    factor: str
    """The cause that is acted upon, by the name of its factor."""
    action: str
    """Short name: `settle+10s`, `settle-5s`, `dose-rate*0.5`, `dose*0.8`, `thin-ice`, `calibrate-beam-tilt`,
    `parallel-beam`."""
    scope: str
    gain_ln_ssnr: float
    """At 5 A, of a map of the scope's movies."""
    gain_low: float
    gain_high: float
    fit_resolution_from_angstrom: float | None
    fit_resolution_to_angstrom: tuple[float, float, float] | None
    """(expected, best, worst) of the CTF fit."""
    map_resolution_from_angstrom: float | None
    map_resolution_to_angstrom: tuple[float, float, float] | None
    movies_saved_share: float
    """Share of the movies that could be left out for the same map: 1 - exp(-gain)."""
    movies_per_hour_change: float | None
    sentence: str
    net_ln_ssnr: float = 0.0
    """Gain less cost (movies per hour, holes given up, time of an alignment), as ln of the signal per hour at 5 A."""
    pays_probability: float = 0.0
    """Probability that the net gain is above 0."""
    node: str = ""
    """Of the causal graph: what is acted upon."""
    upwards: bool = True
    """Whether that becomes more; False: less."""
    provenance: Provenance = field(default_factory=Provenance)
    """How it is known."""
