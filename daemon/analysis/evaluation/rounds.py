"""Keeps the evaluators' verdicts: one round for every epoch of movies, and one at the end.

It never stops the daemon and never delays a movie: a round that cannot be judged is an alert. Rounds are epochs of the
causal prior (movies by their place in the session) and are judged in order, each from what the one before found out, as
it lies in the store: so a restart gives the same verdicts as an undisturbed run, but for novelty, which speaks of the
references that have been described and of the map that lies in the session folder when it is asked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from frazil.actors.evaluator import Evaluator, TimedVerdict
from frazil.actors.ray_runtime import RayRuntime
from frazil.daemon.analysis.actor_call import ActorCall, Answer, ProcessEndedError, tuple_of
from frazil.daemon.analysis.evaluation import facts as score_facts
from frazil.daemon.analysis.evaluation.impact import CitationForecast
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import EpochLedger
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store.rows import ScoreRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes
from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.logic import evaluator as logic
from frazil.models.evaluation.verdict import Verdict
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES as MAP_ROUND_MOVIES

_STEPS_BETWEEN_LOOKS = 20
"""While a round waits for its map, the store is asked for it about every two seconds."""


class EvaluationRounds:
    """The verdicts of one session, as the daemon sees them.

    Parameters
    ----------
    map_idle:
        Whether the running map has nothing to do: then no map is waited for.
    on_judged:
        Told of every round whose verdicts are in the store.
    """

    def __init__(
        self,
        runtime: RayRuntime,
        context: SessionContext,
        registry: MovieRegistry,
        *,
        map_idle: Callable[[], bool],
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store, self._session_dir, self._settings = context.store, context.session_dir.resolve(), context.settings
        self._notices, self._utc_us = context.notices, context.utc_us
        self._map_idle, self._on_judged = map_idle, on_judged
        chosen = context.settings.evaluation
        self._impact = CitationForecast(runtime, chosen)
        self._off = False
        self._judged: tuple[object, ...] | None = None
        """What the newest verdicts were made from."""
        self._due: int | None = None
        """A round whose movies have all ended and that is not judged yet."""
        self._looks = 0
        # The newest round may have been made at the end of a run, before all of its movies were there: once more.
        self._epochs = EpochLedger.restored(
            registry.open_sequences, registry.ended_sequences, closed=score_facts.scored_rounds(context.store) - 1
        )
        self._actor = ActorCall(
            runtime.ray, Evaluator, "the evaluators", chosen.provers, chosen.prover_seconds, polite=True
        )

    # --- movies begin and end --------------------------------------------------------------------------------------

    def begins(self, sequence: int) -> None:
        """A movie was queued."""
        self._epochs.begins(sequence)

    def ends(self, sequence: int) -> None:
        """A movie has its result in the store, or will never have one."""
        self._epochs.ends(sequence)

    def step(self) -> None:
        """Take in what the actor has judged and give it the next round; never waits.

        Raises
        ------
        FrazilError
            The store does not take or give something: the next call goes on at the same place.
        """
        if self._off or self._impact.step():
            return
        busy = self._actor.busy
        self._actor.step()
        if busy:
            return
        if self._due is None:
            self._due = self._epochs.close_next()
        if self._due is None or not self._map_is_there(self._due):
            return
        self._ask(self._gather(self._due))
        self._due, self._looks = None, 0

    def _map_is_there(self, round_number: int) -> bool:
        """Whether the map that belongs to a round has been made, or none is on its way."""
        if self._map_idle():
            return True
        self._looks += 1
        if self._looks % _STEPS_BETWEEN_LOOKS != 1:
            return False
        return not score_facts.map_is_due(self._store, round_number, MAP_ROUND_MOVIES)

    def drained(self, *, final: bool) -> bool:
        """Nothing is under way. With `final` the newest movies, and the newest map, are judged first. Raises what
        `step` raises."""
        if self._off:
            return True
        if self._due is None:
            self._due = self._epochs.close_next()  # several may wait: each is judged before the session ends
        if self._impact.step() or self._actor.busy or self._due is not None:
            return False
        if not final:
            return True
        return not self._ask_last()

    def close(self) -> None:
        """End the actors; a round that they have in hand is judged at the next start."""
        self._impact.close()
        self._actor.close()

    # --- the actor -------------------------------------------------------------------------------------------------

    def _gather(self, round_number: int) -> RoundFacts:
        facts = score_facts.round_facts(self._store, self._session_dir, self._settings, round_number)
        return replace(facts, impact=self._impact.verdict)

    def _ask_last(self) -> bool:
        """Judge the movies after the last full round, or that round once more if the map has grown since."""
        for round_number in (self._epochs.closed, self._epochs.closed - 1):
            facts = self._gather(round_number)
            if facts.movies:
                if _key(facts) == self._judged:
                    return False
                self._ask(facts)
                return True
        return False

    def _ask(self, facts: RoundFacts) -> None:
        def take_in(answer: Answer) -> None:
            self._take_in(facts, answer)

        if facts.movies:
            self._actor.ask(take_in, "score", facts, accepts=tuple_of(TimedVerdict))

    def _take_in(self, facts: RoundFacts, answer: Answer) -> None:
        if answer.error is None:
            self._record(facts.round, answer.value)
        elif isinstance(answer.error, ProcessEndedError):
            ends = answer.error.ends
            self._alert("error", f"there are no more verdicts: the evaluators' process ended {ends} times")
            self._off = True
        else:
            self._alert("warning", f"round {facts.round} could not be judged: {answer.error}")
        self._judged = _key(facts)  # not again and again

    # --- the store -------------------------------------------------------------------------------------------------

    def _record(self, round_number: int, verdicts: Sequence[TimedVerdict]) -> None:
        """Raises what the store raises; the same verdicts are handed over again then, and replace themselves."""
        now_utc_us = self._utc_us()
        rows = [score_row(round_number, timed, created_utc_us=now_utc_us) for timed in verdicts]
        self._store.write(WritePolicy.DURABLE, session_writes.record_scores, rows)
        self._on_judged(round_number)
        for timed in verdicts:
            if timed.verdict.evaluator == logic.NAME:
                self._tell_of_logic(timed.verdict)

    def _tell_of_logic(self, verdict: Verdict) -> None:
        """What was refuted, and where provers contradict each other."""
        for obligation in logic.obligations_of(verdict.evidence).values():
            if obligation.refuted:
                self._alert(
                    "warning",
                    obligation.sentence,
                    "look at this movie or map, and at the settings that the sentence names",
                    alert_id=f"logic-{obligation.name}-{obligation.subject}",
                )
        for row in logic.contradictions_of(verdict.evidence):
            self._alert(
                "warning",
                row.sentence,
                "keep the session's folder and report it: one of them is wrong, or was asked wrongly",
                alert_id=f"provers-{row.name}-{row.subject}",
            )

    def _alert(self, severity: str, text: str, remedy: str | None = None, alert_id: str = "") -> None:
        self._notices.alert(severity, "evaluation", text, remedy, alert_id)


def score_row(round_number: int, timed: TimedVerdict, *, created_utc_us: int) -> ScoreRow:
    """A verdict as it is stored."""
    verdict, took = timed.verdict, timed.prover_seconds
    return ScoreRow(
        round=round_number,
        evaluator=verdict.evaluator,
        created_utc_us=created_utc_us,
        evidence_json=evidence_json(verdict, **({"prover_seconds": dict(took)} if took else {})),
        verdict=verdict.verdict,
        uncertainty=verdict.uncertainty,
        reliability=verdict.reliability,
        unit=verdict.unit,
        seconds=timed.seconds,
    )


def evidence_json(verdict: Verdict, **more: Any) -> str:
    """Evidence, what is not known, and `more`, as one JSON object; NaN and infinity become null."""
    said = {**verdict.evidence, "does_not_know": list(verdict.does_not_know), **more}
    return json.dumps(_finite(said), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _key(facts: RoundFacts) -> tuple[object, ...]:
    map_movies = None if facts.map is None else facts.map.movie_count
    return facts.round, tuple(movie.result.movie_id for movie in facts.movies), map_movies
