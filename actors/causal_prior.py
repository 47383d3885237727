"""The actor that learns: turns an epoch's results into the next version of the causal prior, and says what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from frazil.models.causal.advice.decision import advise
from frazil.models.causal.advice.record import SESSION, Advice
from frazil.models.causal.attribution import attribute, session_of
from frazil.models.causal.change_points import Announcement
from frazil.models.causal.convergence import Share, shares
from frazil.models.causal.evidence_weight import HeardVerdict
from frazil.models.causal.knowledge import judged
from frazil.models.causal.naming import usual_with_particles
from frazil.models.causal.particles import SessionParticles
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.provenance import Experiment
from frazil.models.causal.structural_model import StructuralModel, structural_model
from frazil.models.evaluation.value.temper import evidence_weight
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import CausalLosses, MovieEvidence, MovieResult


@dataclass(frozen=True, slots=True)
class AdviceAndShares:
    """What to change, best first, and how well the causes are known."""

    advice: tuple[Advice, ...]
    shares: tuple[Share, ...]
    withdrawn: tuple[Advice, ...] = ()
    """What physics would advise, and this session's experiments or movies speak against."""


class CausalPriorActor:
    """Keeps nothing but the session's causal graph: what it knows comes and goes with each call, so that a restart
    loses nothing."""

    def __init__(self, model: StructuralModel | None = None) -> None:
        """`model`: the session's causal graph; None: the one that ships."""
        self._model = structural_model() if model is None else model

    def learn(
        self,
        prior: PriorSnapshot,
        results: Sequence[MovieResult],
        forgetting: float = 1.0,
        announced: Sequence[Announcement] = (),
        first: PriorSnapshot | None = None,
        heard: Sequence[HeardVerdict] = (),
    ) -> PriorSnapshot:
        """The next version from an epoch's results and what people announced before its last movie; what the evaluators
        doubt moves it less. `first`: the session's version 0, with whose forecasts those of `prior` are compared;
        `heard`: the evaluators' newest verdicts that this epoch may hear of."""
        evidence = [_counted(result) for result in results if result.evidence is not None]
        weight = evidence_weight(results, heard, len(prior.independence.failed))
        learnt = update(
            prior,
            evidence,
            temper=weight.g,
            forgetting=forgetting,
            announced=announced,
            first=first,
            graph=self._model.graph,
        )
        return replace(learnt, weight=weight)

    def advise(
        self,
        prior: PriorSnapshot,
        scopes: Mapping[str, Sequence[MovieEvidence]],
        map_resolution_angstrom: float | None,
        seconds_per_movie: float | None,
        first: PriorSnapshot,
        together: SessionParticles | None,
        witnesses: Sequence[MovieEvidence] = (),
        experiments: Mapping[str, Experiment] | None = None,
    ) -> AdviceAndShares:
        """Advice for the movies of each scope (`session`, or a grid square), and the shares of the session's.

        `first`: the session's version 0; `together`: what its particles say; `witnesses`: the newest movies since the
        last change, rejected ones too, whose ice and times count and by which advice is judged; `experiments`: what
        decided ones say, by node.
        """
        advice = [
            one
            for scope, movies in scopes.items()
            for one in advise(
                movies,
                prior,
                lately=[one for one in witnesses if scope in (SESSION, one.exposure.grid_square)],
                first=first,
                together=together,
                scope=scope,
                map_resolution_angstrom=map_resolution_angstrom,
                seconds_per_movie=seconds_per_movie,
                model=self._model,
            )
        ]
        stands, withdrawn = judged(advice, witnesses, prior, self._model.graph, experiments)
        return AdviceAndShares(stands, shares(scopes.get(SESSION, ()), prior, first), withdrawn)

    def session_particles(
        self, prior: PriorSnapshot, movies: Sequence[tuple[MovieEvidence, ParticleEvidence]]
    ) -> SessionParticles:
        """What the particles of a session's movies say together."""
        return session_of(movies, prior, self._model)

    def attribute(
        self,
        prior: PriorSnapshot,
        movies: Sequence[MovieEvidence],
        together: SessionParticles | None = None,
        own: Sequence[ParticleEvidence | None] = (),
    ) -> tuple[CausalLosses, ...]:
        """Losses of movies by this version, and by what the session's particles say together and each movie's own."""
        particles = own or [None] * len(movies)
        if together is not None:
            prior = usual_with_particles(prior, together)
        return tuple(
            attribute(movie, prior, together, mine, self._model).losses
            for movie, mine in zip(movies, particles, strict=True)
        )


def _counted(result: MovieResult) -> MovieEvidence:
    """A movie's evidence with the number of its picks, where any were looked for."""
    assert result.evidence is not None
    count = None if result.picks.diameter_angstrom is None else len(result.picks.x_px)
    return replace(result.evidence, particle_count=count)
