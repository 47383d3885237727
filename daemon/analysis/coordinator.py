"""Everything that grows with the session: the causal prior, the learned restoration, the running map, the verdicts.

It hears when movies begin and end and is stepped by the daemon's loop; the computing is done in Ray actors, each in a
process of its own, so that no movie waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from frazil.actors.ray_runtime import RayRuntime
from frazil.daemon.analysis.earlier_sessions import starting_prior
from frazil.daemon.analysis.evaluation.reruns import MovieReruns
from frazil.daemon.analysis.evaluation.rounds import EvaluationRounds
from frazil.daemon.analysis.experiments import ExperimentVerdicts
from frazil.daemon.analysis.map.reconstruction import RunningReconstruction
from frazil.daemon.analysis.prior import PriorVersions
from frazil.daemon.analysis.restoration_training import RestorationTraining
from frazil.daemon.analysis.step import StepBoundary
from frazil.daemon.analysis.summary import AnalysisSummary
from frazil.daemon.analysis.targets.desk import GridDesk
from frazil.daemon.session import epochs
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import MadeWith
from frazil.daemon.session.registry import MovieRegistry
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.records import MovieResult


@dataclass(frozen=True, slots=True)
class _Boundaries:
    """One around the steps of each part."""

    prior: StepBoundary
    restoration: StepBoundary
    map: StepBoundary
    verdicts: StepBoundary
    reruns: StepBoundary
    experiments: StepBoundary
    grid: StepBoundary


def _boundaries(context: SessionContext) -> _Boundaries:
    def around(name: str, subject: str) -> StepBoundary:
        return StepBoundary(name, subject, context.notices, clock=context.clock)

    return _Boundaries(
        prior=around("the causal prior", "prior"),
        restoration=around("the restoration's training", "restoration"),
        map=around("the running map", "reconstruction"),
        verdicts=around("the evaluation", "evaluation"),
        reruns=around("the rerun of movies", "evaluation"),
        experiments=around("the experiments", "evaluation"),
        grid=around("the grid", "targets"),
    )


class AnalysisCoordinator:
    """See the module. What fails in one part is recorded by that part's boundary (`step.py`); the other parts go on,
    and so does the daemon."""

    def __init__(
        self, runtime: RayRuntime, context: SessionContext, registry: MovieRegistry, *, taught_with: MadeWith
    ) -> None:
        """`taught_with`: under which name the rounds of the learned restoration go on."""
        causal = context.settings.causal
        self._around = _boundaries(context)
        self.waits_for = ""
        """What the end of the session waits for; empty: it has not come, or nothing."""
        self._prior = PriorVersions(
            runtime,
            context,
            registry,
            start=lambda: starting_prior(causal.learn_from, session_dir=context.session_dir),
            forgetting=causal.forgetting,
        )
        self._restoration = RestorationTraining(
            runtime, replace(context, made_with=taught_with), enabled=context.settings.restoration.learn
        )
        self._map = RunningReconstruction(runtime, context, registry)
        self._reruns = MovieReruns(runtime, context)
        self._experiments = ExperimentVerdicts(context)
        self._grid = GridDesk(context)
        self._verdicts = EvaluationRounds(
            runtime,
            context,
            registry,
            map_idle=lambda: self._map.drained(final=False),
            on_judged=self._reruns.judged,
        )

    @property
    def eligible_below(self) -> int:
        """Movies with a smaller sequence can start: what they are to be judged and restored with exists."""
        prior, restoration = epochs.eligible_below(self._prior.newest_version), self._restoration.eligible_below
        return prior if restoration is None else min(prior, restoration)

    def network_version_for(self, sequence: int) -> int:
        """The learned restoration that a movie of this place in the session uses."""
        return self._restoration.version_for(sequence)

    def makes_lessons(self, sequence: int) -> bool:
        """Whether the learned restoration learns from a movie of this place."""
        return self._restoration.makes_lessons(sequence)

    def prior_for(self, sequence: int) -> PriorSnapshot:
        """The prior that a movie of this place in the session uses. Raises what `Store.rows` raises."""
        return self._prior.prior_for(sequence)

    def movie_begins(self, sequence: int) -> None:
        """A movie was queued."""
        self._prior.begins(sequence)
        self._map.begins(sequence)
        self._verdicts.begins(sequence)

    def movie_ended(self, sequence: int, result: MovieResult | None) -> None:
        """A movie has its result in the store, or (None) will never have one."""
        self._prior.ends(sequence, None if result is None else result.movie_id)
        self._map.ends(sequence, None if result is None else result.movie_id)
        self._verdicts.ends(sequence)
        self._experiments.movie_ended(None if result is None else result.movie_id)
        self._grid.movie_ended(None if result is None else result.movie_id)

    def classes_spoken_of(self) -> None:
        """A person has given a verdict on a 2-D class."""
        self._map.classes_spoken_of()

    def step(self, *, quiet: bool) -> None:
        """Take in what the actors have finished and give them more; never waits. `quiet`: no movie is on its way.

        Raises
        ------
        StopDaemonError
            Going on would lose or falsify data.
        """
        around = self._around
        around.prior.run(lambda: self._prior.step(quiet=quiet), otherwise=None)
        around.restoration.run(self._train, otherwise=True)
        around.map.run(self._map.step, otherwise=None)
        around.verdicts.run(self._verdicts.step, otherwise=None)
        around.reruns.run(self._reruns.step, otherwise=True)
        around.experiments.run(self._experiments.step, otherwise=None)
        around.grid.run(self._grid.step, otherwise=None)

    def drained(self, *, final: bool) -> bool:
        """Nothing is under way. With `final` whatever was put off until later is started first, and `waits_for` says
        what it is. Raises what `step` raises."""
        around = self._around
        parts: tuple[tuple[str, Callable[[], bool]], ...] = (
            ("the experiments", lambda: around.experiments.drained(self._experiments.drained)),
            ("the restoration's training", lambda: around.restoration.drained(lambda: not self._train())),
            (self._map.left_words, lambda: around.map.drained(lambda: self._map.drained(final=final))),
            # Advice and verdicts come last: they are about the final map. Neither waits for the other.
            (self._prior.left_words, lambda: self._told(final=final)),
            # Losses are told by the newest prior, and the advice on the grid by losses.
            ("where to shoot next", lambda: around.grid.drained(lambda: self._grid.drained(final=final))),
        )
        for number, (words, drained) in enumerate(parts):
            if not drained():
                self.waits_for = f"{words} (step {number + 1} of {len(parts) + 1})" if final else ""
                return False
        done = not final or around.reruns.drained(self._reruns.drained)
        self.waits_for = (
            "" if done else f"a movie that is run again to check it (step {len(parts) + 1} of {len(parts) + 1})"
        )
        return done

    def _told(self, *, final: bool) -> bool:
        """Losses, advice and verdicts."""
        around = self._around
        prior_drained = around.prior.drained(lambda: self._prior.drained(final=final))
        return around.verdicts.drained(lambda: self._verdicts.drained(final=final)) and prior_drained

    def _train(self) -> bool:
        """Whether a round of the restoration is under way."""
        return self._restoration.step(self._prior.newest_version * epochs.EPOCH_MOVIES)

    def summary(self) -> AnalysisSummary:
        """For the screen."""
        return AnalysisSummary(self._prior.newest_version, self._map.particle_count, self._grid.summary)

    def close(self) -> None:
        """Leave; what is under way is done again at the next start."""
        self._prior.close()
        self._restoration.close()
        self._map.close()
        self._reruns.close()
        self._verdicts.close()
        self._grid.close()
