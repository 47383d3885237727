"""Everything that grows with the session: the causal prior, the running map, the evaluators' verdicts.

It is told when movies begin and end and is stepped by the daemon's loop; the computing is done in Ray actors of their
own, so that no movie waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from frazil.actors.ray_runtime import RayRuntime
from frazil.config.settings import Settings
from frazil.daemon.analysis.earlier_sessions import starting_prior
from frazil.daemon.analysis.evaluation.reruns import MovieReruns
from frazil.daemon.analysis.evaluation.rounds import EvaluationRounds
from frazil.daemon.analysis.map.reconstruction import RunningReconstruction
from frazil.daemon.analysis.prior import PriorVersions
from frazil.daemon.analysis.restoration_training import RestorationTraining
from frazil.daemon.session import epochs
from frazil.daemon.session.epochs import MadeWith
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store.store import Store
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.records import MovieResult


@dataclass(frozen=True, slots=True)
class AnalysisSummary:
    """What prior, map and evaluators have to say in one line each."""

    prior_version: int
    map_resolution_angstrom: float | None
    particle_count: int | None


class AnalysisCoordinator:
    """See the module."""

    def __init__(
        self,
        runtime: RayRuntime,
        store: Store,
        session_dir: Path,
        settings: Settings,
        book: MovieRegistry,
        *,
        made_with: MadeWith,
        taught_with: MadeWith,
        utc_us: Callable[[], int],
    ) -> None:
        self._prior = PriorVersions(
            runtime,
            store,
            session_dir,
            book,
            made_with=made_with,
            utc_us=utc_us,
            start=lambda: starting_prior(settings.causal.learn_from, session_dir=session_dir),
            forgetting=settings.causal.forgetting,
        )
        self._lessons = RestorationTraining(
            runtime,
            store,
            session_dir,
            made_with=taught_with,
            enabled=settings.restoration.learn,
            utc_us=utc_us,
        )
        self._map = RunningReconstruction(runtime, store, session_dir, settings, book, utc_us=utc_us)
        self._sandbox = MovieReruns(runtime, store, session_dir, settings, utc_us=utc_us)
        self._scores = EvaluationRounds(
            runtime,
            store,
            session_dir,
            settings,
            book,
            utc_us=utc_us,
            map_idle=lambda: self._map.drained(final=False),
            on_judged=self._sandbox.judged,
        )

    @property
    def eligible_below(self) -> int:
        """Movies with a smaller sequence can start: what they are to be judged and restored with exists."""
        prior, lessons = epochs.eligible_below(self._prior.newest_version), self._lessons.eligible_below
        return prior if lessons is None else min(prior, lessons)

    def network_version_for(self, sequence: int) -> int:
        """The learned restoration that a movie of this place in the session uses."""
        return self._lessons.version_for(sequence)

    def makes_lessons(self, sequence: int) -> bool:
        """Whether the learned restoration learns from a movie of this place."""
        return self._lessons.makes_lessons(sequence)

    def prior_for(self, sequence: int) -> PriorSnapshot:
        """The prior that a movie of this place in the session uses."""
        return self._prior.prior_for(sequence)

    def movie_begins(self, sequence: int) -> None:
        """A movie was queued."""
        self._prior.begins(sequence)
        self._map.begins(sequence)
        self._scores.begins(sequence)

    def movie_ended(self, sequence: int, result: MovieResult | None) -> None:
        """A movie has its result in the store, or (None) will never have one."""
        self._prior.ends(sequence, None if result is None else result.movie_id)
        self._map.ends(sequence, None if result is None else result.movie_id)
        self._scores.ends(sequence)

    def step(self, *, quiet: bool) -> None:
        """Take in what the actors have finished and give them more; never waits. `quiet`: no movie is on its way."""
        self._prior.step(quiet=quiet)
        self._lessons.step(self._prior.newest_version * epochs.EPOCH_MOVIES)
        self._map.step()
        self._scores.step()
        self._sandbox.step()

    def drained(self, *, final: bool) -> bool:
        """Nothing is under way. With `final` whatever was put off until later is started first."""
        if self._lessons.step(self._prior.newest_version * epochs.EPOCH_MOVIES):
            return False
        if not self._map.drained(final=final):
            return False
        # Advice and verdicts come last: they are about the final map. Neither waits for the other.
        prior_drained = self._prior.drained(final=final)
        if not (self._scores.drained(final=final) and prior_drained):
            return False
        return not final or self._sandbox.drained()

    def summary(self) -> AnalysisSummary:
        """For the screen."""
        return AnalysisSummary(self._prior.newest_version, self._map.resolution_angstrom, self._map.particle_count)

    def close(self) -> None:
        """Leave; what is under way is done again at the next start."""
        self._prior.close()
        self._lessons.close()
        self._map.close()
        self._sandbox.close()
        self._scores.close()
