"""Teaches the learned restoration with the session's own movies: a round of learning for every so many of them.

Which weights restore a movie must not depend on who was faster. So a movie of round r (by its place in the session) is
restored with what rounds 0 .. r - 2 have taught; with a whole round in between nobody waits in practice. Weights that
do not predict held-out halves better are not taken (docs/decisions/0013), and a round that fails teaches nothing.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from frazil.actors.movie_output import lessons_path, network_path
from frazil.actors.ray_runtime import RayRuntime
from frazil.actors.restoration_teacher import RestorationTeacher
from frazil.daemon.analysis.actor_call import ActorCall, Answer, is_a
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import MadeWith
from frazil.daemon.store.movie_states import current
from frazil.daemon.store.rows import LearningRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes
from frazil.models.deconvolution.lessons import LearningReport

TRAINING_ROUND_MOVIES = 25
_LAG_ROUNDS = 2
_EVERY = 3
"""One movie in so many leaves lessons: neighbours in one square teach the same."""
_CHECKED = 4
"""One lesson movie in so many is held out, for ever: never learned from."""
_REMEMBERED_MOVIES = 100
_TAUGHT_SQL = """
SELECT round, network_version FROM restoration_rounds WHERE parameter_hash = ? AND code_version = ? ORDER BY round
"""
_MOVIES_SQL = f"""
SELECT sequence, stem FROM movies
WHERE sequence BETWEEN ? AND ? AND sequence % ? = 0 AND {current()} AND stem IS NOT NULL ORDER BY sequence
"""


def makes_lessons(sequence: int) -> bool:
    """Whether a movie of this place in the session leaves lessons."""
    return sequence % _EVERY == 0


def is_check(sequence: int) -> bool:
    """Whether a lesson movie is only for checking."""
    return sequence // _EVERY % _CHECKED == _CHECKED - 1


def taught_with(store: Store, in_force: MadeWith) -> MadeWith:
    """Under which name the session's rounds go on. What the restoration was taught stays when settings change: it has
    earned its place on halves that were held out, and the lessons of early movies are gone."""
    rows = store.rows("SELECT parameter_hash, code_version FROM restoration_rounds ORDER BY round DESC LIMIT 1")
    newest = MadeWith(str(rows[0][0]), str(rows[0][1])) if rows else None
    return newest if newest is not None and newest.code_version == in_force.code_version else in_force


class RestorationTraining:
    """The learned restoration of one session. `enabled` False: the shipped weights for all movies."""

    def __init__(self, runtime: RayRuntime, context: SessionContext, *, enabled: bool) -> None:
        self._store, self._session_dir, self._utc_us = context.store, context.session_dir.resolve(), context.utc_us
        self._made_with, self._notices, self._enabled = context.made_with, context.notices, enabled
        self._versions = self._stored_versions() if enabled else [0]
        self._actor = ActorCall(runtime.ray, RestorationTeacher, "restoration", polite=True) if enabled else None

    def _stored_versions(self) -> list[int]:
        """The version in use after 0, 1, ... rounds, as far as an earlier run of the same settings has come."""
        versions = [0]
        for number, version in self._store.rows(
            _TAUGHT_SQL, self._made_with.parameter_hash, self._made_with.code_version
        ):
            if number != len(versions) or (version and not (self._session_dir / network_path(version)).is_file()):
                break
            versions.append(int(version))
        return versions

    @property
    def rounds(self) -> int:
        """How many have been learnt from."""
        return len(self._versions) - 1

    @property
    def eligible_below(self) -> int | None:
        """Movies with a smaller sequence can start now; None: all."""
        return (self.rounds + _LAG_ROUNDS) * TRAINING_ROUND_MOVIES if self._enabled else None

    def version_for(self, sequence: int) -> int:
        """The weights that a movie of this place is restored with; the scheduler has waited for them."""
        return self._versions[max(0, sequence // TRAINING_ROUND_MOVIES - _LAG_ROUNDS + 1)] if self._enabled else 0

    def makes_lessons(self, sequence: int) -> bool:
        return self._enabled and makes_lessons(sequence)

    def step(self, ended_movies: int) -> bool:
        """Take in what was learnt and begin the next round when its movies have ended; never waits. `ended_movies`: so
        many from the first on have their result. True: something is under way.

        Raises
        ------
        FrazilError
            The store does not take or give something: the next call goes on at the same place.
        """
        if self._actor is None:
            return False
        if self._actor.step():
            return True
        if ended_movies >= (self.rounds + 1) * TRAINING_ROUND_MOVIES:
            self._ask(self._actor)
        return self._actor.busy

    def close(self) -> None:
        """End the process; a round that it has in hand is taught again."""
        if self._actor is not None:
            self._actor.close()

    def _ask(self, actor: ActorCall) -> None:
        number = self.rounds + 1
        first = max(0, number * TRAINING_ROUND_MOVIES - _REMEMBERED_MOVIES)
        movies = self._store.rows(_MOVIES_SQL, first, number * TRAINING_ROUND_MOVIES - 1, _EVERY)
        lessons = [str(stem) for sequence, stem in movies if not is_check(sequence)]
        checks = [str(stem) for sequence, stem in movies if is_check(sequence)]

        def take_in(answer: Answer) -> None:
            self._learnt(number, len(lessons), len(checks), answer)

        # The file of a version is named by its round.
        version, folder = self._versions[-1], str(self._session_dir)
        actor.ask(take_in, "teach", folder, version, number, lessons, checks, accepts=is_a(LearningReport))

    def _learnt(self, number: int, lesson_movies: int, check_movies: int, answer: Answer) -> None:
        """Raises what the store raises; the same answer is handed over again then, and no round is skipped."""
        report: LearningReport = LearningReport(0.0, 0.0, False) if answer.error is not None else answer.value
        version = number if report.accepted else self._versions[-1]
        row = LearningRow(
            round=number,
            created_utc_us=self._utc_us(),
            network_version=version,
            accepted=report.accepted,
            improvement=report.improvement,
            improvement_sd=report.standard_error,
            lesson_movies=lesson_movies,
            check_movies=check_movies,
            parameter_hash=self._made_with.parameter_hash,
            code_version=self._made_with.code_version,
        )
        unneeded = self._unneeded_lessons(number)
        self._store.write(WritePolicy.DURABLE, session_writes.record_learning, row)
        if answer.error is not None:
            self._notices.alert(
                "warning",
                "restoration",
                f"nothing was learnt in round {number} of the restoration: {answer.error}",
                "nothing: micrographs are restored with what was learnt before; see logs/daemon.log",
            )
        self._versions.append(version)
        for path in unneeded:
            with contextlib.suppress(OSError):
                path.unlink()

    def _unneeded_lessons(self, number: int) -> list[Path]:
        """Files of lessons that no round after this one looks at."""
        end = (number + 1) * TRAINING_ROUND_MOVIES - _REMEMBERED_MOVIES
        rows = self._store.rows(_MOVIES_SQL, max(0, end - TRAINING_ROUND_MOVIES), end - 1, _EVERY)
        return [self._session_dir / lessons_path(str(stem)) for _, stem in rows]
