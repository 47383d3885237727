"""Teaches the learned restoration with the session's own movies: a round of learning for every so many of them.

Which weights restore a movie must not depend on who was faster. So a movie of round r (by its place in the session) is
restored with what rounds 0 .. r - 2 have taught; with a whole round in between nobody waits in practice. Weights that
do not predict held-out halves better are not taken (docs/decisions/0013), and a round that fails teaches nothing.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from frazil.actors.movie_output import lessons_path, network_path
from frazil.actors.ray_runtime import RayRuntime
from frazil.actors.restoration_teacher import RestorationTeacher
from frazil.config.errors import FrazilError
from frazil.daemon.analysis.actor_call import ActorCall, Answer
from frazil.daemon.session.epochs import MadeWith
from frazil.daemon.session.notices import Notices
from frazil.daemon.store.rows import LearningRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.models.deconvolution.lessons import LearningReport

_log = logging.getLogger(__name__)
ROUND_MOVIES = 25
_LAG_ROUNDS = 2
_EVERY = 3
"""One movie in so many leaves lessons: neighbours in one square teach the same."""
_CHECKED = 4
"""One lesson movie in so many is held out, for ever: never learned from."""
_REMEMBERED_MOVIES = 100
_MAX_TRIES = 3
_TAUGHT_SQL = """
SELECT round, network_version FROM restoration_rounds WHERE parameter_hash = ? AND code_version = ? ORDER BY round
"""
_MOVIES_SQL = """
SELECT sequence, stem FROM movies
WHERE sequence BETWEEN ? AND ? AND sequence % ? = 0 AND state <> 'outdated' AND stem IS NOT NULL ORDER BY sequence
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

    def __init__(
        self,
        runtime: RayRuntime,
        store: Store,
        session_dir: Path,
        *,
        made_with: MadeWith,
        enabled: bool,
        utc_us: Callable[[], int],
    ) -> None:
        self._store, self._session_dir, self._utc_us = store, session_dir.resolve(), utc_us
        self._made_with, self._enabled = made_with, enabled
        self._notices = Notices(store, utc_us=utc_us)
        self._versions = self._stored_versions() if enabled else [0]
        self._line = ActorCall(runtime.ray, RestorationTeacher, "restoration", polite=True) if enabled else None
        self._tries = 0

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
        return (self.rounds + _LAG_ROUNDS) * ROUND_MOVIES if self._enabled else None

    def version_for(self, sequence: int) -> int:
        """The weights that a movie of this place is restored with; the scheduler has waited for them."""
        return self._versions[max(0, sequence // ROUND_MOVIES - _LAG_ROUNDS + 1)] if self._enabled else 0

    def makes_lessons(self, sequence: int) -> bool:
        return self._enabled and makes_lessons(sequence)

    def step(self, ended_movies: int) -> bool:
        """Take in what was learnt and begin the next round when its movies have ended; never waits. `ended_movies`: so
        many from the first on have their result. True: something is under way."""
        if self._line is None:
            return False
        if not self._line.step() and not self._line.busy and ended_movies >= (self.rounds + 1) * ROUND_MOVIES:
            self._ask()
        return self._line.busy

    def close(self) -> None:
        """End the process; a round that it has in hand is taught again."""
        if self._line is not None:
            self._line.close()

    def _ask(self) -> None:
        assert self._line is not None
        number = self.rounds + 1
        first = max(0, number * ROUND_MOVIES - _REMEMBERED_MOVIES)
        movies = self._store.rows(_MOVIES_SQL, first, number * ROUND_MOVIES - 1, _EVERY)
        lessons = [str(stem) for sequence, stem in movies if not is_check(sequence)]
        checks = [str(stem) for sequence, stem in movies if is_check(sequence)]

        def take_in(answer: Answer) -> None:
            self._learnt(number, len(lessons), len(checks), answer)

        # The file of a version is named by its round.
        self._line.ask(take_in, "teach", str(self._session_dir), self._versions[-1], number, lessons, checks)

    def _learnt(self, number: int, lesson_movies: int, check_movies: int, answer: Answer) -> None:
        if answer.process_ended:
            self._tries += 1
            if self._tries < _MAX_TRIES:
                self._ask()
                return
        self._tries = 0
        report: LearningReport = answer.value or LearningReport(0.0, 0.0, False)
        if answer.trouble:
            self._notices.alert(
                "warning",
                "restoration",
                f"nothing was learnt in round {number} of the restoration: {answer.trouble}",
                "nothing: micrographs are restored with what was learnt before; see logs/daemon.log",
            )
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
        try:
            self._store.submit(session_writes.record_learning, row).result()
        except FrazilError as error:
            _log.warning("round %d of the restoration is not in the store: %s", number, error)
        self._versions.append(version)
        self._forget_lessons(number)

    def _forget_lessons(self, number: int) -> None:
        """Lessons that no later round looks at are deleted."""
        end = (number + 1) * ROUND_MOVIES - _REMEMBERED_MOVIES
        for _, stem in self._store.rows(_MOVIES_SQL, max(0, end - ROUND_MOVIES), end - 1, _EVERY):
            with contextlib.suppress(OSError):
                (self._session_dir / lessons_path(str(stem))).unlink()
