"""Has one movie in every so many rounds run again behind walls, and keeps the verdict on it.

It speaks later than the other evaluators and none of them waits for it. Rounds are taken in order, one at a time: a
round that is not run again, because its turn has not come, keeps the verdict of the one before. Which rounds are
depends on their numbers and on what lies in the store, never on the clock.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec

from frazil.actors.ray_runtime import RayRuntime
from frazil.actors.sandbox_rerun import Rerun, Rerunner
from frazil.config.errors import FrazilError
from frazil.config.settings import Settings
from frazil.daemon.analysis.actor_call import ActorCall, Answer, ProcessEndedError, is_a
from frazil.daemon.analysis.evaluation import facts as score_facts
from frazil.daemon.analysis.evaluation.rounds import evidence_json
from frazil.daemon.session.context import SessionContext
from frazil.daemon.store.rows import ScoreRow, StoredVerdict
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes
from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.robustness import evaluator as robustness
from frazil.models.evaluation.robustness.quantities import QUANTITIES
from frazil.models.evaluation.robustness.rerun import RerunJob
from frazil.models.evaluation.verdict import Verdict
from frazil.models.formats.acquisition import AcquisitionParameters, resolve
from frazil.models.formula import parse_formula
from frazil.models.gain.decision import GainDecision
from frazil.models.records import MovieResult

_LAST_WAIT_S = 300.0
_MISSING_SQL = (
    "SELECT DISTINCT round FROM scores WHERE round NOT IN (SELECT round FROM scores WHERE evaluator = ?) ORDER BY round"
)
_LAST_SQL = (
    "SELECT round, verdict, uncertainty, reliability, unit, evidence_json FROM scores "
    "WHERE evaluator = ? AND round < ? ORDER BY round DESC LIMIT 1"
)


class MovieReruns:
    """The reruns of one session.

    Raises
    ------
    SettingsError
        One of `evaluation.formulas` is no formula, or names a quantity that there is not.
    """

    def __init__(self, runtime: RayRuntime, context: SessionContext) -> None:
        self._store, self._session_dir, self._settings = context.store, context.session_dir, context.settings
        self._notices, self._utc_us, self._clock = context.notices, context.utc_us, context.clock
        self._end_asked_s: float | None = None
        self._ray = runtime.ray
        self._actor: ActorCall | None = None
        """Its process is started when the first movie is to be run again."""
        self._round = 0
        """The one that is being dealt with, or was last."""
        chosen = context.settings.evaluation
        self._off = not chosen.sandbox
        # A formula that is none is told before the first movie, not by a verdict that never comes.
        for name, text in chosen.formulas.items():
            parse_formula(name, text, QUANTITIES)
        self._waiting = [] if self._off else self._missing()

    def _missing(self) -> list[int]:
        return [int(row[0]) for row in self._store.rows(_MISSING_SQL, robustness.NAME)]

    def judged(self, round_number: int) -> None:
        """The other evaluators have spoken of this round."""
        if not self._off and round_number not in self._waiting:
            # A round is judged again when its map has grown: a rerun that is under way is not made twice for that.
            in_hand = {self._round} if self._actor is not None and self._actor.busy else set()
            self._waiting = sorted({*self._waiting, *self._missing()} - in_hand)

    def step(self) -> bool:
        """Take in a rerun and begin the next; never waits. True: something is under way.

        Raises
        ------
        FrazilError
            The store does not take or give something: the next call goes on at the same place.
        """
        if self._off:
            return False
        if self._actor is not None:
            busy = self._actor.busy
            self._actor.step()
            if busy:
                return True
        if self._waiting:
            self._begin(self._waiting[0])
            del self._waiting[0]
            return True
        return False

    def drained(self) -> bool:
        """Whether a session may end: nothing is under way, or it has waited for it for five minutes. (Others may want
        the cores all the time; what is missing is made when the session is started again.)"""
        if self._end_asked_s is None:
            self._end_asked_s = self._clock()
        if not self.step():
            self._end_asked_s = None
            return True
        return self._clock() - self._end_asked_s > _LAST_WAIT_S

    def close(self) -> None:
        """End the process; a rerun that it has in hand is made at the next start."""
        if self._actor is not None:
            self._actor.close()

    # --- a round ---------------------------------------------------------------------------------------------------

    def _begin(self, round_number: int) -> None:
        self._round = round_number
        before = self._store.rows(_LAST_SQL, robustness.NAME, round_number)
        every = self._settings.evaluation.sandbox_every_rounds
        if before and before[0][1] is not None and round_number - int(_rerun_round(before[0])) < every:
            self._keep(before[0])
            return
        job = self._job(round_number)
        if isinstance(job, str):
            self._record(robustness.nothing(job), 0.0, {})
            return
        if self._actor is None:
            self._actor = ActorCall(self._ray, Rerunner, "the sandbox", polite=True)
        self._actor.ask(self._take_in, "rerun", job, accepts=is_a(Rerun))

    def _job(self, round_number: int) -> RerunJob | str:
        """The first movie of the round with a CTF to start from; why there is none."""
        facts = score_facts.round_facts(self._store, self._session_dir, self._settings, round_number)
        movies = _resolved(facts, self._settings)
        usable = [one for one in movies if one[0].ctf.defocus_known]
        if not usable:
            return "no movie of this round has a defocus, and a pixel size, voltage and Cs, to start from"
        result, acquisition = usable[0]
        sums = result.files.micrograph_no_dose_weighting or result.files.micrograph
        return RerunJob(
            movie_path=result.header.path,
            micrograph_path=None if sums is None else str(self._session_dir / sums),
            result=result,
            acquisition=acquisition,
            gain=None if result.header.frame_count == 1 else self._gain(),
            settings=self._settings,
            movies=movies,
        )

    def _gain(self) -> GainDecision | None:
        stored = self._store.rows("SELECT gain_verdict FROM session")
        if not stored or stored[0][0] is None:
            return None
        return msgspec.json.decode(str(stored[0][0]), type=StoredVerdict).decision

    def _take_in(self, answer: Answer) -> None:
        if answer.error is None:
            rerun: Rerun = answer.value
            self._record(rerun.verdict, rerun.seconds, rerun.took)
            return
        text = f"round {self._round} could not be run again: {answer.error}"
        self._record(robustness.nothing(text), 0.0, {})
        self._notices.alert("warning", "evaluation", text)
        self._off = isinstance(answer.error, ProcessEndedError)

    # --- the store -------------------------------------------------------------------------------------------------

    def _record(self, verdict: Verdict, seconds: float, took: dict[str, float]) -> None:
        more = {"rerun_round": self._round} | ({"seconds": took} if took else {})
        row = ScoreRow(
            round=self._round,
            evaluator=verdict.evaluator,
            created_utc_us=self._utc_us(),
            evidence_json=evidence_json(verdict, **more),
            verdict=verdict.verdict,
            uncertainty=verdict.uncertainty,
            reliability=verdict.reliability,
            unit=verdict.unit,
            seconds=seconds,
        )
        self._store.write(WritePolicy.DURABLE, session_writes.record_score, row)

    def _keep(self, before: tuple[Any, ...]) -> None:
        """The verdict of an earlier round, with its evidence, which names its round."""
        _, verdict, uncertainty, reliability, unit, evidence = before
        row = ScoreRow(
            self._round,
            robustness.NAME,
            self._utc_us(),
            str(evidence),
            verdict=verdict,
            uncertainty=uncertainty,
            reliability=reliability,
            unit=unit,
            seconds=0.0,
        )
        self._store.write(WritePolicy.DURABLE, session_writes.record_score, row)


def _resolved(facts: RoundFacts, settings: Settings) -> tuple[tuple[MovieResult, AcquisitionParameters], ...]:
    """The round's movies with what they were taken with; those of which that is not known are left out."""
    found = []
    for movie in facts.movies:
        with contextlib.suppress(FrazilError):
            if movie.metadata is not None:
                found.append((movie.result, resolve(movie.metadata, settings=settings)))
    return tuple(found)


def _rerun_round(row: tuple[Any, ...]) -> int:
    return int(json.loads(str(row[5])).get("rerun_round", row[0]))
