"""Brings the losses of earlier movies up to the newest version of the prior.

While movies arrive, only the newest of those whose losses are of an older version are computed again, so that a movie
costs the same however many came before; all of them are when the session is quiet and before it ends. The files of the
results stay as their workers wrote them.

What particles say of coma and heterogeneity comes with the map, long after the movie. It changes losses here and not
elsewhere: neither the prior nor the result of another movie. So how far the map is while movies arrive does not matter:
in the end, when the map is the last one, all movies whose losses are of other evidence are brought up to date.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frazil.daemon.analysis import advice_rows
from frazil.daemon.analysis.actor_call import ActorCall, Answer, is_a, tuple_of
from frazil.daemon.analysis.evidence import KEPT_MOVIES, EvidenceCache
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.daemon.store.movie_states import finished
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import causal_writes, particle_writes
from frazil.models.causal.change_points import ChangePoint
from frazil.models.causal.particles import SessionParticles
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.settle import with_settle_times
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import CausalLosses, MovieEvidence

_PER_VERSION = 10
"""Movies brought up to date with every version while others arrive."""
_BATCH = 20
_PAGE = 200
"""Outdated movies that are listed together: after a new version all are outdated, and few are dealt with."""
_OUTDATED = f"""
FROM movies m LEFT JOIN named_causes k USING (movie_id)
WHERE {finished("m")}
AND (k.prior_version IS DISTINCT FROM ? OR (? AND k.particle_evidence IS DISTINCT FROM ?)) AND movie_id IN
    (SELECT movie_id FROM stages WHERE parameter_hash = ? AND code_version = ?)
"""
_OUTDATED_SQL = f"SELECT movie_id, m.sequence {_OUTDATED} AND m.sequence < ? ORDER BY m.sequence DESC LIMIT {_PAGE}"
_COUNT_SQL = f"SELECT count(*) {_OUTDATED}"
_NO_END = 1 << 62
_BETWEEN_SQL = f"SELECT movie_id FROM movies WHERE {finished()} AND sequence BETWEEN ? AND ? ORDER BY sequence"
_SEQUENCES_SQL = "SELECT movie_id, sequence FROM movies WHERE list_contains(?, movie_id)"


@dataclass(frozen=True, slots=True)
class _Batch:
    """Movies of one part of the session, for one call."""

    movies: list[tuple[str, MovieEvidence]]
    change: ChangePoint | None
    """That ended their part; None: it is the newest."""
    looked_at: int
    """So many from the end of the list need not be looked at again: those of the batch, and those without evidence."""


class LossesOfEarlierMovies:
    """See the module. Parameters are those of `Advice`."""

    def __init__(
        self,
        actor: ActorCall,
        context: SessionContext,
        evidence: EvidenceCache,
        *,
        snapshot: Callable[[int], PriorSnapshot],
        failed: Callable[[Answer, str], bool],
    ) -> None:
        self._actor, self._store, self._made_with = actor, context.store, context.made_with
        self._settle_times = context.causal_model.reads_settle_time
        """Whether a person's own equation needs how long the stage has stood: one movie alone does not say."""
        self._evidence, self._snapshot, self._failed = evidence, snapshot, failed
        self._outdated: list[tuple[str, int]] = []
        """Ids and sequences of the newest movies whose losses are of another version or other evidence, the newest
        last."""
        self._listed_from = _NO_END
        """All outdated movies from this place on have been listed; 0: all there are."""
        self._left = 0
        self._outdated_by: object = None
        """The version and the evidence against which the list was made."""
        self._particles: dict[str, ParticleEvidence] = {}
        self._particles_of: int | None = None
        """The version for which they were read."""
        self._fingerprint: str | None = None
        self._together: SessionParticles | None = None
        self._allowance = 0
        """Movies that may still be brought up to date with this version while others arrive."""
        self._hopeless: set[str] = set()
        """Movies whose losses cannot be brought up to date."""

    @property
    def together(self) -> SessionParticles | None:
        """What the session's particles say together; None: that is not computed yet."""
        return self._together

    @property
    def left(self) -> int:
        """Movies that are to be brought up to date in the end, as far as is known."""
        return self._left

    def has_result(self, movie_id: str) -> None:
        """A movie has a result, for the first time or again."""
        self._hopeless.discard(movie_id)
        self._outdated_by = None

    def new_version(self) -> None:
        """Some more movies may be brought up to date."""
        self._allowance = _PER_VERSION

    def ask(self, version: int, *, everything: bool, final: bool) -> bool:
        """Have the next movies brought up to date; False: there is none, or no more may be for now. `final`: also where
        only the particles' evidence is another one."""
        if version == 0 or not (everything or self._allowance):
            return False
        if final or self._particles_of != version:
            self._read_particles(version)
        self._list_outdated(version, final=final)
        if self._outdated and self._particles and self._together is None and self._ask_together(version):
            return True
        while self._outdated:
            asked = self._ask_batch(version, _BATCH if everything else min(_BATCH, self._allowance))
            if asked:
                return True
            self._list_outdated(version, final=final)
        self._allowance = 0
        return False

    def _ask_batch(self, version: int, most: int) -> bool:
        """False: of none of the movies that are listed anything is known."""
        newest = self._snapshot(version)
        batch = self._next_batch(newest, most)
        prior = advice_rows.as_of(newest, batch.change, self._snapshot)
        if batch.movies:
            self._ask_losses(prior, batch)
        # Only now: what fails before is done again.
        del self._outdated[len(self._outdated) - batch.looked_at :]
        self._left = max(self._left - batch.looked_at, len(self._outdated))
        self._allowance = max(0, self._allowance - len(batch.movies))
        return bool(batch.movies)

    def _list_outdated(self, version: int, *, final: bool) -> None:
        """A page of them, when the one before has been dealt with; those of which nothing is known are passed over."""
        outdated_by = version, final and self._fingerprint
        which = version, final, self._fingerprint, self._made_with.parameter_hash, self._made_with.code_version
        if self._outdated_by != outdated_by:
            self._outdated, self._listed_from, self._outdated_by = [], _NO_END, outdated_by
            self._left = int(self._store.rows(_COUNT_SQL, *which)[0][0]) if final else 0
        while not self._outdated and self._listed_from:
            rows = self._store.rows(_OUTDATED_SQL, *which, self._listed_from)
            known = [(str(one), int(sequence)) for one, sequence in rows if one not in self._hopeless]
            # The newest are taken from the end.
            self._outdated = known[::-1]
            self._listed_from = int(rows[-1][1]) if len(rows) == _PAGE else 0

    def _next_batch(self, newest: PriorSnapshot, most: int) -> _Batch:
        movies: list[tuple[str, MovieEvidence]] = []
        change: ChangePoint | None = None
        looked_at = 0
        for movie_id, sequence in reversed(self._outdated):
            if len(movies) >= most:
                break
            evidence = None if movie_id in self._hopeless else self._evidence.of(movie_id)
            if evidence is None:
                self._hopeless.add(movie_id)
            else:
                ended_by = advice_rows.before_change(newest, evidence, sequence)
                if movies and ended_by != change:
                    break  # of another part of the session: the next batch
                change = ended_by
                movies.append((movie_id, evidence))
            looked_at += 1
        return _Batch(self._settled(movies, newest.version) if self._settle_times else movies, change, looked_at)

    def _settled(self, movies: list[tuple[str, MovieEvidence]], version: int) -> list[tuple[str, MovieEvidence]]:
        """With their settle times, for which the movies between them and before them are looked at, too."""
        sequence_of = {str(movie_id): int(sequence) for movie_id, sequence in self._outdated}
        mine = [sequence_of[movie_id] for movie_id, _ in movies]
        if not mine:
            return movies
        epoch = min(min(mine) // EPOCH_MOVIES, version)
        before = self._snapshot(epoch)
        own = dict(movies)
        rows = self._store.rows(_BETWEEN_SQL, epoch * EPOCH_MOVIES, max(mine))
        known = [
            (str(movie_id), evidence)
            for (movie_id,) in rows
            if (evidence := own.get(str(movie_id)) or self._evidence.of(str(movie_id))) is not None
        ]
        settled, _, _ = with_settle_times(
            [evidence for _, evidence in known], before.last_exposure, before.stage_moved_utc_us
        )
        own.update({movie_id: movie for (movie_id, _), movie in zip(known, settled, strict=True) if movie_id in own})
        return list(own.items())

    def _ask_losses(self, prior: PriorSnapshot, batch: _Batch) -> None:
        fingerprint = self._fingerprint
        ids = [movie_id for movie_id, _ in batch.movies]

        def take_in(answer: Answer) -> None:
            if self._failed(answer, f"losses of {len(ids)} movies stay as they were"):
                self._hopeless.update(ids)
                return
            self._store.write(
                WritePolicy.DURABLE,
                causal_writes.replace_losses,
                list(zip(ids, answer.value, strict=True)),
                parameter_hash=self._made_with.parameter_hash,
                code_version=self._made_with.code_version,
                particle_evidence=fingerprint,
            )

        arguments: tuple[object, ...] = (prior, [evidence for _, evidence in batch.movies])
        # The newest movies' particles have nothing to do with an earlier part of the session.
        if batch.change is None and self._together is not None:
            arguments += self._together, [self._particles.get(movie_id) for movie_id in ids]
        accepts = tuple_of(CausalLosses, len(ids))
        self._actor.ask(take_in, "attribute", *arguments, accepts=accepts, optional=True)

    # --- particles -------------------------------------------------------------------------------------------------

    def _read_particles(self, version: int) -> None:
        particles = particle_writes.read_evidence(self._store, KEPT_MOVIES)
        fingerprint = particle_writes.fingerprint(list(particles.items()))
        if (version, fingerprint) != (self._particles_of, self._fingerprint):
            self._together = None
        self._particles, self._particles_of, self._fingerprint = particles, version, fingerprint

    def _ask_together(self, version: int) -> bool:
        """Ask what the particles of the movies since the last change say together; False: there are none."""
        newest = self._snapshot(version)
        sequences = dict(self._store.rows(_SEQUENCES_SQL, list(self._particles)))
        pairs = [
            (evidence, particles)
            for movie_id, particles in self._particles.items()
            if (evidence := self._evidence.of(movie_id)) is not None
            and advice_rows.before_change(newest, evidence, int(sequences[movie_id])) is None
        ]
        if not pairs:
            return False

        def take_in(answer: Answer) -> None:
            failed = self._failed(answer, "what particles say of coma and heterogeneity is not known")
            self._together = SessionParticles() if failed else answer.value

        self._actor.ask(take_in, "session_particles", newest, pairs, accepts=is_a(SessionParticles), optional=True)
        return True
