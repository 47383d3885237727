"""Keeps the running reconstruction going: gives it movies in order, stores its rounds, brings it back when it dies.

It never stops the daemon and never delays a movie: a map that cannot be made is an alert.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from datetime import UTC, datetime
from pathlib import Path

from frazil.actors.ray_runtime import RayRuntime
from frazil.actors.reconstruction_records import Added, FinishedRound, MapMovie, ParticlePoses, Resumed
from frazil.actors.reconstructor import Reconstructor
from frazil.config.errors import FormatError, FrazilError, RetryLaterError, StopDaemonError, UsageError
from frazil.daemon.analysis.actor_call import ONCE, ActorCall, Answer, is_a
from frazil.daemon.analysis.map.changed_movies import ChangedMovies
from frazil.daemon.analysis.map.queue import MapQueue
from frazil.daemon.analysis.map.rounds import record_round
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store import result_files
from frazil.daemon.store.rows import ParticleRows
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import class_writes, particle_writes, session_writes
from frazil.daemon.transport.messages import MAP_BEGUN_ANEW
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES

_log = logging.getLogger(__name__)
_MAX_DEATHS = 3


class RunningReconstruction:
    """The running reconstruction of one session, as the daemon sees it."""

    def __init__(self, runtime: RayRuntime, context: SessionContext, registry: MovieRegistry) -> None:
        self._store, self._session_dir, self._settings = context.store, context.session_dir.resolve(), context.settings
        self._notices, self._utc_us = context.notices, context.utc_us
        self._queue = MapQueue()
        self._changed = ChangedMovies(context.store)
        self._replay: deque[str] = deque()
        """Movies that the actor has to be given (again) before any of the queue."""
        self._given: list[str] = []
        """All movies that were given, in order."""
        self._given_ids: set[str] = set()
        """The same, to look one up."""
        self._spoken = False
        """A person has said something of a 2-D class that no round has heard."""
        self._ending = False
        """The session's last round is wanted."""
        self._again: set[str] = set()
        """Movies that were given and have a result once more since."""
        self._skipped: set[str] = set()
        """Movies that ended the actor's process time after time."""
        self._deaths: Counter[str] = Counter()
        """By what the actor had in hand: a movie, or another of its calls."""
        self._in_hand = ""
        self._off = False
        self._next: str | None = None
        """A movie that was taken from the queue and is not given yet."""
        self._unrecorded = False
        """Movies were added since the last stored round."""
        self._round_due = False
        self._recorded_movie_count = 0
        self._begun = False
        """The actor has been asked where it goes on: only for a movie, so that none waits while its process starts."""
        self.particle_count: int | None = None
        for sequence in registry.open_sequences:
            self._queue.begins(sequence)
        ended = set(registry.ended_sequences)
        self._expected: dict[str, str] = {}
        movies, digests = self._changed.list()
        for movie in movies:
            made_with = self._result_id(movie.movie_id)
            # The others are to be done again.
            if movie.state == "ready" and movie.sequence in ended and made_with is not None:
                self._expected[movie.movie_id] = made_with
                self._queue.ends(movie.sequence, movie.movie_id)
        self._changed.seen(digests)
        self._recall_last_round()
        self._actor = ActorCall(
            runtime.ray,
            Reconstructor,
            "the reconstruction",
            str(self._session_dir),
            self._settings,
            retry=ONCE,
            rest_s=None,
            polite=True,
        )
        if self._expected:
            self._begin()

    # --- told by the daemon ----------------------------------------------------------------------------------------

    def begins(self, sequence: int) -> None:
        """A movie was queued."""
        self._queue.begins(sequence)

    def ends(self, sequence: int, movie_id: str | None) -> None:
        """A movie has its result in the store, or (None) will never have one."""
        self._queue.ends(sequence, movie_id)
        self._changed.look_again(sequence)
        if movie_id in self._given_ids:
            self._again.add(movie_id)
        if movie_id is not None:
            self._skipped.discard(movie_id)  # another result may do no harm

    def classes_spoken_of(self) -> None:
        """A person has given a verdict on a 2-D class, which the next round hears."""
        self._spoken = True

    def drained(self, *, final: bool) -> bool:
        """Nothing is under way or waits. With `final` the last round is made first."""
        if self._off:
            return True
        self._ending = self._ending or final
        if self._actor.busy or self._replay or self._next or self._queue.waiting or self._round_due:
            return False
        if final and (self._catch_up() or self._queue.waiting):
            return False
        if final and (self._unrecorded or self._spoken) and self._given:
            self._round_due = True
            return False
        return True

    @property
    def left_words(self) -> str:
        """What is still to be done, for a person who waits."""
        left = self._queue.waiting + len(self._replay) + (self._next is not None)
        return f"the map: particles of {left} movies" if left else "the map's last round"

    def step(self) -> None:
        """Take in what the actor has finished and give it the next thing; never waits.

        Raises
        ------
        FrazilError
            The store does not take or give something: the next call goes on at the same place.
        """
        if self._off or self._actor.step() or self._off or self._actor.busy:
            return
        if not self._begun:
            if self._queue.next_is_there:
                self._begin()
            return
        if self._round_due:
            if not self._catch_up():
                self._finish_round()
            return
        movie_id = self._next_movie()
        if movie_id is not None:
            self._give(movie_id)
        elif self._spoken and self._given:
            self._round_due = True  # nobody is to wait for movies that may not come

    def _finish_round(self) -> None:
        heard = class_writes.verdicts_now(self._store)
        self._spoken = False
        at_rest = self._ending or not self._queue.expects_any
        self._ask("finish_round", FinishedRound, heard, at_rest)

    def close(self) -> None:
        """End the actor; what came after the last round is added again at the next start."""
        self._actor.close()

    # --- the actor -------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._resume()
        self._begun = True

    def _resume(self) -> None:
        rows = self._store.rows("SELECT coalesce(max(class_id), 0) FROM classes")
        self._ask("resume", Resumed, dict(self._expected), int(rows[0][0]) + 1)

    def _ask(self, name: str, kind: type, *arguments: object, in_hand: str = "") -> None:
        self._in_hand = in_hand or name
        self._actor.ask(self._take_in, name, *arguments, accepts=is_a(kind))

    def _take_in(self, answer: Answer) -> None:
        error = answer.error
        if error is not None:
            if isinstance(error, OSError) and self._in_hand == "finish_round":
                self._on_unwritten(error)
            elif isinstance(error, UsageError):
                self._give_up(str(error))  # the initial map cannot be used
            else:
                self._on_death(error)  # also after an error: what the call had half done is not to be gone on with
            return
        if isinstance(answer.value, Resumed):
            self._on_resumed(answer.value)
        elif isinstance(answer.value, Added):
            self._on_added(answer.value)
        else:
            self._on_round(answer.value)
        self._deaths.pop(self._in_hand, None)

    def _on_death(self, error: Exception) -> None:
        self._deaths[self._in_hand] += 1
        if self._deaths[self._in_hand] >= _MAX_DEATHS:
            if self._in_hand not in self._given_ids:
                self._give_up(f"its process ended {_MAX_DEATHS} times while it did the same ({error})")
                return
            self._skip(self._in_hand, error)
        _log.warning("the reconstruction's process ended (%s); it goes on from its checkpoint", error)
        self._restart()

    def _skip(self, movie_id: str, error: Exception) -> None:
        self._skipped.add(movie_id)
        self._given.remove(movie_id)
        self._given_ids.discard(movie_id)
        self._expected.pop(movie_id, None)
        self._alert(
            "warning",
            f"movie {movie_id} is not in the map: the reconstruction ended {_MAX_DEATHS} times with it ({error})",
            "look at this movie's particles; it is tried again when it is processed again",
        )

    def _restart(self) -> None:
        self._actor.restart()
        self._resume()

    def _on_unwritten(self, error: OSError) -> None:
        self._deaths["finish_round"] += 1
        self._round_due = False  # tried again after the next ten movies, or at the end
        if self._deaths["finish_round"] >= _MAX_DEATHS:
            self._give_up(f"it cannot be written ({error})")
        else:
            self._alert("warning", f"the map cannot be written: {error}", "free disk space")

    def _tell_begun_anew(self, why: str) -> None:
        """Its rounds count from 1 again, which nobody should have to guess at."""
        now_utc_us = self._utc_us()
        at = datetime.fromtimestamp(now_utc_us / 1e6, UTC)
        text = f"the map of {self._recorded_movie_count} movies was begun anew at {at:%Y-%m-%d %H:%M} UTC: {why}"
        # An alert that is open keeps its words: the one before is over.
        self._store.write(WritePolicy.RETRIED, session_writes.clear_alert, MAP_BEGUN_ANEW, utc_us=now_utc_us - 1)
        self._notices.alert("info", "reconstruction", text, alert_id=MAP_BEGUN_ANEW)

    def _give_up(self, why: str) -> None:
        self._off = True
        self._alert(
            "error",
            f"there is no running map: {why}",
            "correct the settings of particles, or see logs; then start again",
        )

    def _on_resumed(self, resumed: Resumed) -> None:
        included = set(resumed.included)
        if resumed.begun_anew and self._recorded_movie_count:
            self._tell_begun_anew(resumed.begun_anew)
        self.particle_count = resumed.particle_count
        self._spoken = class_writes.verdicts_now(self._store) != resumed.class_verdicts
        if not self._given:  # the daemon has just started: the checkpoint is where it goes on
            self._given, self._given_ids = list(resumed.included), set(included)
            # Killed between the round's files and its row: the row is made again.
            self._unrecorded = self._round_due = resumed.movie_count > self._recorded_movie_count
        else:
            self._round_due = False
        self._replay = deque(movie_id for movie_id in self._given if movie_id not in included)

    # --- movies ----------------------------------------------------------------------------------------------------

    def _next_movie(self) -> str | None:
        if self._replay:
            return self._replay.popleft()
        while (movie_id := self._next or self._queue.take()) is not None:
            self._next = movie_id  # until its state is known, whatever the store does
            known = movie_id in self._given_ids or movie_id in self._skipped
            ready = not known and self._is_ready(movie_id)
            self._next = None
            if ready:
                self._given.append(movie_id)
                self._given_ids.add(movie_id)
                return movie_id
        return None

    def _catch_up(self) -> bool:
        """Follow what became of the given movies since: rejected by a person, done again, accepted after all.

        Asked before every round. What a movie left in the sums cannot be taken out, so a map with one that changed is
        made again from the checkpoint, or from nothing if the checkpoint has it. True: there is something to do first.
        """
        if self._replay:
            return False  # one thing after the other: each rebuilding gets to its end
        movies, digests = self._changed.list()
        ended = {movie.movie_id for movie in movies}
        gone = {movie.movie_id for movie in movies if movie.state != "ready" and movie.movie_id in self._given_ids}
        again = {movie_id for movie_id in self._again if movie_id in ended}
        changed = {movie_id for movie_id in again - gone if self._result_id(movie_id) != self._expected.get(movie_id)}
        self._again -= again
        for movie in movies:
            known = movie.movie_id in self._given_ids or movie.movie_id in self._skipped
            if movie.state == "ready" and not known and not self._queue.is_open(movie.sequence):
                self._queue.ends(movie.sequence, movie.movie_id)
        self._changed.seen(digests)
        if not gone and not changed:
            return False
        _log.info("%d movies of the map changed and %d left it; it is made again", len(changed), len(gone))
        self._given = [movie_id for movie_id in self._given if movie_id not in gone]
        self._given_ids -= gone
        for movie_id in gone | changed:
            self._expected.pop(movie_id, None)
        self._unrecorded = True
        self._restart()
        return True

    def _give(self, movie_id: str) -> None:
        made_with = self._result_id(movie_id)
        try:
            stored = result_files.read_result(result_files.result_path(self._session_dir, movie_id))
        except (FormatError, OSError) as error:
            self._alert("warning", f"movie {movie_id} is not in the map: {error}")
            return
        result, metadata = stored.result, stored.movie.metadata
        evidence, microscope = result.evidence, self._settings.microscope
        voltage_kv = evidence.voltage_kv if evidence is not None else microscope.voltage_kv
        cs_mm = evidence.cs_mm if evidence is not None else microscope.cs_mm
        if voltage_kv is None or cs_mm is None or made_with is None:
            return
        self._expected[movie_id] = made_with
        self._ask(
            "add",
            Added,
            MapMovie(
                movie_id=movie_id,
                result_id=made_with,
                particles_path=result.files.particles,
                pixel_size_angstrom=result.pixel_size_angstrom,
                diameter_angstrom=result.picks.diameter_angstrom,
                voltage_kv=voltage_kv,
                cs_mm=cs_mm,
                amplitude_contrast=metadata.amplitude_contrast or microscope.amplitude_contrast,
                ctf=result.ctf,
                losses=result.losses,
                fibre=result.picks.fibre,
                defocus_offset_angstrom=result.picks.defocus_offset_angstrom,
                exposure=None if evidence is None else evidence.exposure,
                result_file=str(result_files.result_path(Path(), movie_id)),
            ),
            in_hand=movie_id,
        )

    def _on_added(self, added: Added) -> None:
        self.particle_count = added.particle_count
        self._unrecorded = True
        self._round_due = added.movie_count % ROUND_MOVIES == 0
        if added.skipped is not None:
            self._alert("warning", f"particles of a movie are not in the map: {added.skipped}")
        for poses in added.poses:
            self._record_poses(poses)
        for movie_id, class_ids in added.class_ids.items():
            self._store.write(WritePolicy.RETRIED, class_writes.record_classes, movie_id, class_ids)

    def _record_poses(self, poses: ParticlePoses) -> None:
        try:
            stored = result_files.read_result(result_files.result_path(self._session_dir, poses.movie_id))
        except (FormatError, OSError) as error:
            _log.warning("poses of %s are not stored: %s", poses.movie_id, error)
            return
        picks = stored.result.picks
        if len(picks.x_px) != len(poses.half_set):
            _log.warning("poses of %s are not stored: the movie was picked again", poses.movie_id)
            return
        self._store.write(
            WritePolicy.RETRIED,
            particle_writes.record_poses,
            ParticleRows(
                movie_id=poses.movie_id,
                x_px=picks.x_px,
                y_px=picks.y_px,
                half_set=poses.half_set,
                score=picks.score or None,
                class_id=poses.class_id,
                rot_deg=poses.rot_deg,
                tilt_deg=poses.tilt_deg,
                psi_deg=poses.psi_deg,
                origin_x_angstrom=poses.origin_x_angstrom,
                origin_y_angstrom=poses.origin_y_angstrom,
                certainty=poses.certainty,
                map_class=poses.map_class,
                diameter_angstrom=picks.diameter_angstrom,
                fibre=picks.fibre or None,
                along_angstrom=picks.along_angstrom or None,
                axis_deg=picks.axis_deg or None,
                defocus_offset_angstrom=picks.defocus_offset_angstrom or None,
            ),
            poses.evidence,
        )

    def _on_round(self, done: FinishedRound) -> None:
        try:
            record_round(
                self._store,
                self._notices,
                done,
                now_utc_us=self._utc_us(),
                goal_angstrom=self._settings.evaluation.goal_resolution_angstrom,
            )
            self._recorded_movie_count = done.movie_count
        except (RetryLaterError, StopDaemonError):
            raise  # the round is handed over again
        except FrazilError as error:
            self._alert("warning", f"the map's round after {done.movie_count} movies is not in the store: {error}")
        self._round_due = self._unrecorded = False
        self.particle_count = done.particle_count

    # --- the store -------------------------------------------------------------------------------------------------

    def _result_id(self, movie_id: str) -> str | None:
        """Names one writing of a movie's result; None: its file is not there.

        Settings do not: a late sidecar changes a result without them. Size and time of the file are had without reading
        gigabytes at every start; where they differ from before, the actor looks at the content (a session was copied).
        """
        try:
            status = result_files.result_path(self._session_dir, movie_id).stat()
        except OSError:
            return None
        return f"{status.st_size}-{status.st_mtime_ns}"

    def _is_ready(self, movie_id: str) -> bool:
        """One that is not is looked at again before the next round: it may have been accepted by then."""
        rows = self._store.rows("SELECT state, sequence FROM movies WHERE movie_id = ?", movie_id)
        if rows and rows[0][0] == "ready":
            return True
        if rows and rows[0][1] is not None:
            self._changed.look_again(int(rows[0][1]))
        return False

    def _recall_last_round(self) -> None:
        rows = self._store.named("reconstructions").as_dicts()
        if rows:
            count = rows[-1].get("movie_count")
            self._recorded_movie_count = int(count) if isinstance(count, int | float) else 0

    def _alert(self, severity: str, text: str, remedy: str | None = None) -> None:
        self._notices.alert(severity, "reconstruction", text, remedy)
