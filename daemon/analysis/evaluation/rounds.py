"""Keeps the evaluators' verdicts: one round for every epoch of movies, and one at the end.

It never stops the daemon and never delays a movie: a round that cannot be judged is an alert. Rounds are epochs of the
causal prior (movies by their place in the session) and are judged in order, each from what the one before found out, as
it lies in the store: so a restart gives the same verdicts as an undisturbed run, but for novelty, which speaks of the
references that have been described and of the map that lies in the session folder when it is asked.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from frazil.actors.evaluator import Evaluator, TimedVerdict
from frazil.actors.ray_runtime import RayRuntime
from frazil.config.settings import Settings
from frazil.daemon.analysis.evaluation import facts as score_facts
from frazil.daemon.analysis.evaluation.impact import CitationForecast
from frazil.daemon.session.epochs import EpochLedger
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store.rows import AlertRow, ScoreRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.logic import evaluator as logic
from frazil.models.evaluation.verdict import Verdict
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES

_log = logging.getLogger(__name__)
_MAX_DEATHS = 3
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
        store: Store,
        session_dir: Path,
        settings: Settings,
        book: MovieRegistry,
        *,
        utc_us: Callable[[], int],
        map_idle: Callable[[], bool],
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._ray = runtime.ray
        self._store, self._session_dir, self._settings = store, session_dir.resolve(), settings
        self._utc_us, self._map_idle, self._on_judged = utc_us, map_idle, on_judged
        self._impact = CitationForecast(runtime, settings.evaluation)
        self._deaths = 0
        self._off = False
        self._call: Any = None
        self._facts: RoundFacts | None = None
        self._judged: tuple[object, ...] | None = None
        """What the newest verdicts were made from."""
        self._due: int | None = None
        """A round whose movies have all ended and that is not judged yet."""
        self._looks = 0
        # The newest round may have been made at the end of a run, before all of its movies were there: once more.
        self._epochs = EpochLedger.restored(
            book.open_sequences, book.ended_sequences, closed=score_facts.scored_rounds(store) - 1
        )
        self._start()

    def _start(self) -> None:
        chosen = self._settings.evaluation
        actor = self._ray.remote(Evaluator).options(num_cpus=0, max_restarts=0, max_task_retries=0)
        self._actor = actor.remote(chosen.provers, chosen.prover_seconds, polite=True)

    # --- told by the daemon ----------------------------------------------------------------------------------------

    def begins(self, sequence: int) -> None:
        """A movie was queued."""
        self._epochs.begins(sequence)

    def ends(self, sequence: int) -> None:
        """A movie has its result in the store, or will never have one."""
        self._epochs.ends(sequence)

    def step(self) -> None:
        """Take in what the actor has judged and give it the next round; never waits."""
        if self._off or self._impact.step():
            return
        if self._call is not None:
            ready, _ = self._ray.wait([self._call], timeout=0)
            if not ready:
                return
            self._take_in()
            return
        if self._due is None:
            self._due = self._epochs.close_next()
        if self._due is None:
            return
        if not self._map_idle():
            self._looks += 1
            if self._looks % _STEPS_BETWEEN_LOOKS != 1:
                return
            if score_facts.map_is_due(self._store, self._due, ROUND_MOVIES):
                return
        round_number, self._due, self._looks = self._due, None, 0
        self._ask(round_number)

    def drained(self, *, final: bool) -> bool:
        """Nothing is under way. With `final` the newest movies, and the newest map, are judged first."""
        if self._off:
            return True
        if self._impact.step() or self._call is not None or self._due is not None:
            return False
        if not final:
            return True
        return not self._ask_last()

    def close(self) -> None:
        """End the actors; a round that they have in hand is judged at the next start."""
        self._impact.close()
        self._ray.kill(self._actor, no_restart=True)

    # --- the actor -------------------------------------------------------------------------------------------------

    def _ask(self, round_number: int) -> None:
        self._give(self._gather(round_number))

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
                self._give(facts)
                return True
        return False

    def _give(self, facts: RoundFacts) -> None:
        self._facts = facts
        if facts.movies:
            self._call = self._actor.score.remote(facts)

    def _take_in(self) -> None:
        call, self._call = self._call, None
        assert self._facts is not None
        try:
            verdicts: tuple[TimedVerdict, ...] = self._ray.get(call)
        except self._ray.exceptions.RayActorError as error:
            self._deaths += 1
            if self._deaths >= _MAX_DEATHS:
                self._off = True
                self._alert("error", f"there are no more verdicts: the evaluators' process ended {self._deaths} times")
                return
            _log.warning("the evaluators' process ended (%s); it is started again", error)
            self._start()
            self._give(self._facts)
            return
        except self._ray.exceptions.RayError as error:
            self._judged = _key(self._facts)  # not again and again
            why = getattr(error, "cause", None) or error
            self._alert("warning", f"round {self._facts.round} could not be judged: {why}")
            return
        self._deaths = 0
        self._judged = _key(self._facts)
        self._record(self._facts.round, verdicts)

    # --- the store -------------------------------------------------------------------------------------------------

    def _record(self, round_number: int, verdicts: tuple[TimedVerdict, ...]) -> None:
        now = self._utc_us()
        writes = [
            self._store.submit(session_writes.record_score, score_row(round_number, timed, created_utc_us=now))
            for timed in verdicts
        ]
        for timed in verdicts:
            if timed.verdict.evaluator != logic.NAME:
                continue
            for obligation in logic.obligations_of(timed.verdict.evidence).values():
                if obligation.refuted:
                    self._alert(
                        "warning",
                        obligation.sentence,
                        "look at this movie or map, and at the settings that the sentence names",
                        alert_id=f"logic-{obligation.name}-{obligation.subject}",
                    )
            for row in logic.contradictions_of(timed.verdict.evidence):
                self._alert(
                    "warning",
                    row.sentence,
                    "keep the session's folder and report it: one of them is wrong, or was asked wrongly",
                    alert_id=f"provers-{row.name}-{row.subject}",
                )
        for write in writes:
            write.result()
        self._on_judged(round_number)

    def _alert(self, severity: str, text: str, remedy: str | None = None, alert_id: str = "") -> None:
        row = AlertRow(severity, "evaluation", text, self._utc_us(), remedy=remedy, alert_id=alert_id)
        self._store.submit(session_writes.record_alert, row)


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
