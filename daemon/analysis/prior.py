"""Keeps the versions of the causal prior: closes epochs, lets the actor learn, stores what was learnt and found."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np

from frazil.actors.causal_prior import CausalPriorActor
from frazil.actors.ray_runtime import RayRuntime
from frazil.config.errors import FormatError, RetryLaterError, WriteError
from frazil.daemon.analysis import advice_rows
from frazil.daemon.analysis.actor_call import ActorCall, Answer, ProcessEndedError
from frazil.daemon.analysis.after_version import AfterVersion
from frazil.daemon.analysis.heard_verdicts import heard_verdicts
from frazil.daemon.session import epochs
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import EpochLedger
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store import result_files
from frazil.daemon.store.movie_states import finished
from frazil.daemon.store.rows import ADVISER, PriorRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import causal_writes
from frazil.models.causal.change_points import Announcement, is_over
from frazil.models.causal.evidence_weight import EvidenceWeight
from frazil.models.causal.factors import MODELLED_FACTORS
from frazil.models.causal.prior import COLUMNS, PriorSnapshot, physics_prior
from frazil.models.records import MovieResult

_log = logging.getLogger(__name__)
_IN_MEMORY = 16
"""Versions that are at hand; each is tens of kilobytes, and a long session has thousands. Others are read again."""


class PriorVersions:
    """The causal prior of one session.

    Every version is made from the one before and the results of one epoch, read from their result files: so a restart
    makes the same versions as an undisturbed run. It never stops the daemon: an epoch that cannot be learnt from leaves
    the belief as it was, under the next version's number, so that the movies that wait for that version can start.
    Versions that an earlier run learnt from results of other settings are not used: they are made again.
    """

    def __init__(
        self,
        runtime: RayRuntime,
        context: SessionContext,
        registry: MovieRegistry,
        *,
        start: Callable[[], PriorSnapshot] = physics_prior,
        forgetting: float = 1.0,
    ) -> None:
        self._forgetting = forgetting
        self._hear_verdicts = context.settings.causal.hear_verdicts
        self._store, self._session_dir = context.store, context.session_dir
        self._utc_us, self._notices, self._made_with = context.utc_us, context.notices, context.made_with
        self._snapshots: OrderedDict[int, PriorSnapshot] = OrderedDict()
        self._newest = 0
        self._unrecorded: PriorSnapshot | None = None
        """Version 0, as long as the store has not taken it."""
        self._first = self._version_0(start)
        self._load()
        # Epochs that an earlier run has learnt from are closed.
        self._epochs = EpochLedger.restored(registry.open_sequences, registry.ended_sequences, closed=self._newest)
        self._epoch: int | None = None
        """A closed one that is to be learnt from next."""
        self._actor = ActorCall(runtime.ray, CausalPriorActor, "causal prior", context.causal_model)
        self._after = AfterVersion(self._actor, context, snapshot=self.snapshot)

    # --- versions --------------------------------------------------------------------------------------------------

    def _version_0(self, start: Callable[[], PriorSnapshot]) -> PriorSnapshot:
        """What the session starts from: made once and kept, because the sessions that it was learnt from go on."""
        if self._store.rows("SELECT 1 FROM priors WHERE version = 0"):
            kept = self._usable(0)
            if kept is not None:
                return kept
            _log.warning("the session's first prior is of an earlier form of the model: made again")
        made = self._unrecorded = start()
        try:
            self._record_version_0()
        except (RetryLaterError, WriteError) as error:
            _log.warning("the session's first prior is not in the store yet: %s", error)
        return made

    def _record_version_0(self) -> None:
        """Raises what `Store.write` raises; it is tried again before anything is learnt."""
        if self._unrecorded is not None:
            self._store.write(WritePolicy.DURABLE, causal_writes.record_version, self._row(self._unrecorded), [], [])
            self._unrecorded = None

    def _load(self) -> None:
        rows = self._store.rows(
            "SELECT version, movie_count FROM priors WHERE parameter_hash = ? AND code_version = ? AND version > 0 "
            "ORDER BY version",
            self._made_with.parameter_hash,
            self._made_with.code_version,
        )
        newest = 0
        for version, movie_count in rows:
            # The one before was learnt from other results, or in other epochs.
            if version != newest + 1 or movie_count > version * epochs.EPOCH_MOVIES:
                break
            newest = int(version)
        snapshot = self._usable(newest) if newest else None
        if snapshot is not None:
            self._newest = newest
            self._keep(snapshot)

    def _usable(self, version: int) -> PriorSnapshot | None:
        """A stored version; None: it is of an earlier form of the model."""
        try:
            snapshot = self._stored(version)
        except msgspec.DecodeError:
            return None
        return snapshot if len(snapshot.information) == COLUMNS else None

    def _stored(self, version: int) -> PriorSnapshot:
        rows = self._store.rows("SELECT state_json FROM priors WHERE version = ?", version)
        assert rows, f"version {version} of the prior was never made"
        return msgspec.json.decode(str(rows[0][0]).encode(), type=PriorSnapshot)

    def _keep(self, snapshot: PriorSnapshot) -> None:
        self._snapshots[snapshot.version] = snapshot
        self._snapshots.move_to_end(snapshot.version)
        while len(self._snapshots) > _IN_MEMORY:
            self._snapshots.popitem(last=False)

    def snapshot(self, version: int) -> PriorSnapshot:
        """A version up to the newest one."""
        if version not in self._snapshots:
            self._keep(self._first if version == 0 else self._stored(version))
        return self._snapshots[version]

    @property
    def newest_version(self) -> int:
        return self._newest

    def prior_for(self, sequence: int) -> PriorSnapshot:
        """The version that a movie of this place is to use; the scheduler has waited for it."""
        return self.snapshot(epochs.prior_version_for(sequence))

    # --- movies begin and end --------------------------------------------------------------------------------------

    def begins(self, sequence: int) -> None:
        self._epochs.begins(sequence)

    def ends(self, sequence: int, movie_id: str | None = None) -> None:
        """A movie has its result in the store, or (None) will never have one."""
        self._epochs.ends(sequence)
        if movie_id is not None:
            self._after.has_result(movie_id)

    @property
    def busy(self) -> bool:
        return self._actor.busy

    def step(self, *, quiet: bool = False) -> None:
        """Take in what the process has found, and give it the next thing: to learn before all else. Never waits.
        `quiet`: no movie is on its way, so that there is time for those that are done.

        Raises
        ------
        FrazilError
            The store does not take or give something: the next call goes on at the same place.
        """
        if not self._actor.step():
            self._ask_next(quiet=quiet)

    def drained(self, *, final: bool) -> bool:
        """Nothing is under way. With `final` losses and advice are brought up to the newest version first. Raises what
        `step` raises."""
        if self._actor.busy:
            return False
        return not final or not self._ask_next(final=True)

    @property
    def left_words(self) -> str:
        """What is still to be done at the end, for a person who waits."""
        left = self._after.movies_left
        return f"losses of {left} movies by what all have taught" if left else "advice and the evaluators' verdicts"

    def _ask_next(self, *, quiet: bool = False, final: bool = False) -> bool:
        if self._actor.busy:
            return True
        self._record_version_0()
        if self._epoch is None:
            self._epoch = self._epochs.close_next()
        if self._epoch is not None:
            self._ask(self._epoch)
            self._epoch = None
            return True
        return self._after.ask_next(self._newest, quiet=quiet, final=final)

    def close(self) -> None:
        """End the process; an epoch that it has in hand is learnt from again."""
        self._actor.close()

    # --- learning --------------------------------------------------------------------------------------------------

    def _ask(self, epoch: int) -> None:
        def take_in(answer: Answer) -> None:
            self._learnt(epoch, answer)

        def accepts(value: object) -> bool:
            return isinstance(value, PriorSnapshot) and value.version == epoch + 1

        prior, results, announced = self.snapshot(epoch), self._results_of(epoch), self._announced(epoch)
        heard = heard_verdicts(self._store, epoch) if self._hear_verdicts else ()
        first = self.snapshot(0)
        self._actor.ask(take_in, "learn", prior, results, self._forgetting, announced, first, heard, accepts=accepts)

    def _learnt(self, epoch: int, answer: Answer) -> None:
        """Raises what `Store.write` raises; the same answer is handed over again then, and no version is skipped."""
        error = answer.error
        # What cannot be learnt from leaves the belief as it was, under the next version's number.
        snapshot = (
            replace(self.snapshot(epoch), version=epoch + 1, weight=EvidenceWeight())
            if error is not None
            else answer.value
        )
        changed = self._record(snapshot)
        if error is not None:
            self._tell_of_failure(epoch, error)
        self._keep(snapshot)
        self._newest = snapshot.version
        self._after.new_version(snapshot.version, changed=changed)

    def _tell_of_failure(self, epoch: int, error: Exception) -> None:
        first = epoch * epochs.EPOCH_MOVIES + 1
        why = f"its process ended {error.ends} times ({error})" if isinstance(error, ProcessEndedError) else str(error)
        self._notices.alert(
            "warning",
            "prior",
            f"nothing was learnt from movies {first} to {first + epochs.EPOCH_MOVIES - 1}: {why}",
            "nothing: the causal prior goes on from what it knew before; see logs/daemon.log",
        )

    def _results_of(self, epoch: int) -> list[MovieResult]:
        """Results of an epoch's movies in the order of the session; without a readable result there is no evidence."""
        first = epoch * epochs.EPOCH_MOVIES
        rows = self._store.rows(
            f"SELECT movie_id FROM movies WHERE sequence BETWEEN ? AND ? AND {finished()} ORDER BY sequence",
            first,
            first + epochs.EPOCH_MOVIES - 1,
        )
        results = []
        for movie_id in (str(row[0]) for row in rows):
            try:
                result = result_files.read_result(result_files.result_path(self._session_dir, movie_id)).result
            except (FormatError, OSError) as error:
                self._notices.alert(
                    "warning", "prior", f"the causal prior learns nothing from movie {movie_id}: {error}", "re-queue it"
                )
                continue
            self._after.has_read(result)
            results.append(result)
        return results

    def _announced(self, epoch: int) -> list[Announcement]:
        """What people said they changed before the last movie of an epoch was found, the newest first. A restart asks
        again and gets the same: both times are this machine's."""
        rows = self._store.rows(
            "SELECT i.sentence, i.factor, min(m.sequence), arg_min(m.acquired_utc_us, m.sequence) "
            "FROM interventions i JOIN movies m ON m.found_utc_us > i.created_utc_us "
            "WHERE i.place IS NULL AND i.who <> ? AND m.sequence < ? "
            "GROUP BY i.intervention_id, i.sentence, i.factor, i.created_utc_us ORDER BY i.created_utc_us DESC",
            ADVISER,
            (epoch + 1) * epochs.EPOCH_MOVIES,
        )
        return [
            Announcement(str(sentence), str(factor), int(number), None if utc_us is None else int(utc_us))
            for sentence, factor, number, utc_us in rows
        ]

    def _record(self, snapshot: PriorSnapshot) -> bool:
        """Store a version and tell of changes that it found and claims that it broke; returns whether there are any."""
        before = self.snapshot(snapshot.version - 1)
        news = snapshot.change_points[len(before.change_points) :]
        broken = snapshot.independence.failed[len(before.independence.failed) :]
        self._store.write(
            WritePolicy.DURABLE,
            causal_writes.record_version,
            self._row(snapshot),
            advice_rows.change_rows(snapshot, self._found_with()),
            [advice_rows.change_alert(point, utc_us=self._utc_us()) for point in news]
            + [advice_rows.graph_alert(name, utc_us=self._utc_us()) for name in broken],
            advice_rows.prediction_rows(snapshot),
            advice_rows.weight_rows(snapshot),
            over=[
                advice_rows.change_alert_id(point)
                for point in snapshot.change_points
                if is_over(point, snapshot.window)
            ],
        )
        for point in news:
            _log.warning("change: from movie %d on: %s", point.movie_number + 1, point.sentence)
        return bool(news or broken)

    def _row(self, snapshot: PriorSnapshot) -> PriorRow:
        mean, sd = snapshot.strengths()
        return PriorRow(
            version=snapshot.version,
            created_utc_us=self._utc_us(),
            movie_count=snapshot.movie_count,
            factor_names=MODELLED_FACTORS,
            mean=tuple(np.asarray(mean).tolist()),
            sd=tuple(np.asarray(sd).tolist()),
            state_json=msgspec.json.encode(snapshot).decode(),
            parameter_hash=self._made_with.parameter_hash,
            code_version=self._made_with.code_version,
            change_sd=snapshot.change_sd,
        )

    def _found_with(self) -> dict[int, int]:
        rows = self._store.rows("SELECT number, prior_version FROM change_points")
        return {int(number): int(version) for number, version in rows}
