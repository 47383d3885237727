"""Keeps the versions of the causal prior: closes epochs, lets the actor learn, stores each version."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from frazil.actors.causal_prior import CausalPriorActor
from frazil.actors.ray_runtime import RayRuntime
from frazil.config.errors import FormatError
from frazil.daemon import prior_epochs
from frazil.daemon.movie_book import MovieBook
from frazil.daemon.notices import Notices
from frazil.daemon.prior_epochs import EpochBook, MadeWith
from frazil.daemon.store import result_files, session_writes
from frazil.daemon.store.rows import PriorRow
from frazil.daemon.store.store import Store
from frazil.models.causal.factors import MODELLED_FACTORS
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.records import MovieResult

_log = logging.getLogger(__name__)
_MAX_TRIES = 3


class PriorDesk:
    """The causal prior of one session.

    Every version is made from the one before and the results of one epoch, read from their result files: so a restart
    makes the same versions as an undisturbed run. It never stops the daemon: an epoch that cannot be learnt from leaves
    the belief as it was, under the next version's number, so that the movies that wait for that version can start.
    Versions that an earlier run learnt from results of other settings are not used: they are made again.
    """

    def __init__(
        self,
        runtime: RayRuntime,
        store: Store,
        session_dir: Path,
        book: MovieBook,
        *,
        made_with: MadeWith,
        utc_us: Callable[[], int],
    ) -> None:
        self._ray = runtime.ray
        self._store = store
        self._session_dir = session_dir
        self._utc_us = utc_us
        self._made_with = made_with
        self._notices = Notices(store, utc_us=utc_us)
        self._actor = self._start_actor()
        self._snapshots = {0: physics_prior()}
        self._load()
        # Epochs that an earlier run has learnt from are closed.
        self._epochs = EpochBook.restored(book.open_sequences, book.ended_sequences, closed=self.newest_version)
        self._learning: Any = None
        self._learning_epoch = 0
        self._tries = 0

    def _start_actor(self) -> Any:
        return self._ray.remote(CausalPriorActor).options(num_cpus=0, max_restarts=0).remote()

    def _load(self) -> None:
        cursor = self._store.cursor()
        try:
            states = cursor.execute(
                "SELECT state_json FROM priors WHERE parameter_hash = ? AND code_version = ? ORDER BY version",
                [self._made_with.parameter_hash, self._made_with.code_version],
            ).fetchall()
        finally:
            cursor.close()
        for (state,) in states:
            snapshot = msgspec.json.decode(str(state).encode(), type=PriorSnapshot)
            if snapshot.version != self.newest_version + 1:
                break  # the one before was learnt from other results
            self._snapshots[snapshot.version] = snapshot

    @property
    def newest_version(self) -> int:
        return max(self._snapshots)

    def prior_for(self, sequence: int) -> PriorSnapshot:
        """The version that a movie of this place is to use; the scheduler has waited for it."""
        return self._snapshots[prior_epochs.prior_version_for(sequence)]

    def begins(self, sequence: int) -> None:
        self._epochs.begins(sequence)

    def ends(self, sequence: int) -> None:
        self._epochs.ends(sequence)

    @property
    def busy(self) -> bool:
        return self._learning is not None

    def step(self) -> None:
        """Start learning from the next closed epoch, or take in what was learnt."""
        if self._learning is None:
            epoch = self._epochs.close_next()
            if epoch is not None:
                self._ask(epoch)
            return
        ready, _ = self._ray.wait([self._learning], timeout=0)
        if not ready:
            return
        epoch, self._learning = self._learning_epoch, None
        try:
            snapshot: PriorSnapshot = self._ray.get(ready[0])
        except self._ray.exceptions.RayActorError as error:
            self._tries += 1
            self._actor = self._start_actor()
            if self._tries < _MAX_TRIES:
                _log.warning("the causal prior's process ended; it is started again")
                self._ask(epoch)
                return
            snapshot = self._carried_forward(epoch, f"its process ended {self._tries} times ({error})")
        except self._ray.exceptions.RayError as error:
            snapshot = self._carried_forward(epoch, str(getattr(error, "cause", None) or error))
        self._tries = 0
        self._record(snapshot)
        self._snapshots[snapshot.version] = snapshot

    def _ask(self, epoch: int) -> None:
        self._learning_epoch = epoch
        self._learning = self._actor.learn.remote(self._snapshots[epoch], self._results_of(epoch))

    def _carried_forward(self, epoch: int, why: str) -> PriorSnapshot:
        first = epoch * prior_epochs.EPOCH_MOVIES + 1
        self._notices.alert(
            "warning",
            "prior",
            f"nothing was learnt from movies {first} to {first + prior_epochs.EPOCH_MOVIES - 1}: {why}",
            "nothing: the causal prior goes on from what it knew before; see logs/daemon.log",
        )
        return replace(self._snapshots[epoch], version=epoch + 1)

    def _results_of(self, epoch: int) -> list[MovieResult]:
        """Results of an epoch's movies in the order of the session; without a readable result there is no evidence."""
        first = epoch * prior_epochs.EPOCH_MOVIES
        cursor = self._store.cursor()
        try:
            ids = [
                str(row[0])
                for row in cursor.execute(
                    "SELECT movie_id FROM movies WHERE sequence BETWEEN ? AND ? AND state IN ('ready', 'rejected') "
                    "ORDER BY sequence",
                    [first, first + prior_epochs.EPOCH_MOVIES - 1],
                ).fetchall()
            ]
        finally:
            cursor.close()
        results = []
        for movie_id in ids:
            try:
                results.append(result_files.read_result(result_files.result_path(self._session_dir, movie_id)).result)
            except (FormatError, OSError) as error:
                self._notices.alert(
                    "warning", "prior", f"the causal prior learns nothing from movie {movie_id}: {error}", "re-queue it"
                )
        return results

    def _record(self, snapshot: PriorSnapshot) -> None:
        mean, sd = snapshot.strengths()
        self._store.submit(
            session_writes.record_prior,
            PriorRow(
                version=snapshot.version,
                created_utc_us=self._utc_us(),
                movie_count=snapshot.movie_count,
                factor_names=MODELLED_FACTORS,
                mean=tuple(np.asarray(mean).tolist()),
                sd=tuple(np.asarray(sd).tolist()),
                state_json=msgspec.json.encode(snapshot).decode(),
                parameter_hash=self._made_with.parameter_hash,
                code_version=self._made_with.code_version,
            ),
        ).result()
