"""Asks what a version of the prior means: advice for the newest movies, and newer losses for the movies before them.

Both are computed by the causal prior's process whenever it has nothing to learn. While movies arrive, only the newest
of those whose losses are older are brought up to date, so that a movie costs the same however many came before; all of
them are when the session is quiet and before it ends. Results' files stay as their workers wrote them.

What particles say of coma and heterogeneity comes with the map, long after the movie. It changes losses here and not
elsewhere: neither the prior nor the result of another movie. So how far the map is while movies arrive does not matter:
in the end, when the map is the last one, all movies whose losses are of other evidence are brought up to date.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from frazil.actors.causal_prior import Counsel
from frazil.config.errors import FormatError
from frazil.daemon.analysis import advice_rows
from frazil.daemon.analysis.actor_call import ActorCall, Answer
from frazil.daemon.session.epochs import EPOCH_MOVIES, MadeWith
from frazil.daemon.session.notices import Notices
from frazil.daemon.store import result_files
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import causal_writes, particle_writes
from frazil.models.causal.change_points import ChangePoint
from frazil.models.causal.particles import SessionParticles
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.settle import with_settle_times
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import CausalLosses, MovieEvidence, MovieResult

_LOOKED_AT = 60
"""Newest finished movies among which the kept ones are looked for, and whose stage moves start the settle clock."""
_KEPT_EVIDENCE = 200
_PER_VERSION = 10
"""Movies brought up to date with every version while others arrive."""
_BATCH = 20
_VERSIONS_PER_ADVICE = 2
"""While movies arrive: advice costs seconds, more than everything else of the causal model."""
_MAX_DEATHS = 3
_NEWEST_SQL = """
SELECT movie_id, sequence, state FROM movies WHERE state IN ('ready', 'rejected') AND sequence < ?
ORDER BY sequence DESC LIMIT ?
"""
_STALE_SQL = """
SELECT movie_id, m.sequence FROM movies m LEFT JOIN named_causes k USING (movie_id)
WHERE m.state IN ('ready', 'rejected')
AND (k.prior_version IS DISTINCT FROM ? OR (? AND k.particle_evidence IS DISTINCT FROM ?)) AND movie_id IN
    (SELECT movie_id FROM stages WHERE parameter_hash = ? AND code_version = ?)
ORDER BY m.sequence DESC
"""
_NUMBERS_SQL = "SELECT movie_id, sequence FROM movies WHERE list_contains(?, movie_id)"
# A map that is resolved to the end of its pixels gets no finer, whatever is done.
_MAP_SQL = """
SELECT CASE WHEN resolution_0143_angstrom > 1.001 / (
    SELECT coalesce(max(frequency_per_angstrom), 1e9) FROM fsc f WHERE f.round = r.round
) THEN resolution_0143_angstrom END
FROM reconstructions r ORDER BY round DESC LIMIT 1
"""


class AdviceAndLosses:
    """See the module. Told of versions and movies by the prior's desk, which also says when there is time."""

    def __init__(
        self,
        line: ActorCall,
        store: Store,
        session_dir: Path,
        *,
        made_with: MadeWith,
        notices: Notices,
        snapshot: Callable[[int], PriorSnapshot],
        utc_us: Callable[[], int],
    ) -> None:
        self._line, self._store, self._session_dir = line, store, session_dir
        self._made_with, self._notices = made_with, notices
        self._snapshot, self._utc_us = snapshot, utc_us
        self._evidence: dict[str, MovieEvidence | None] = {}
        """Of the newest movies, by id, oldest first; None: their results cannot be read or have none."""
        self._advice_due = False
        self._adviceled: object = None
        """What the newest advice was made from."""
        self._stale: list[tuple[str, int]] = []
        self._stale_of: object = None
        """The version and the evidence against which the list was made."""
        self._particles: dict[str, ParticleEvidence] = {}
        self._particles_of: object = None
        """The version for which they were read."""
        self._fingerprint: str | None = None
        self._together: SessionParticles | None = None
        """What they say together, once that is known."""
        self._allowance = 0
        self._hopeless: set[str] = set()
        """Movies whose losses cannot be brought up to date."""
        self._deaths = 0
        self._off = False
        self._nothing_left: object = None
        """The version for which everything has been done, and whether that was for the session's end."""

    # --- told by the prior's desk ----------------------------------------------------------------------------------

    def has_result(self, movie_id: str) -> None:
        """A movie has a result, for the first time or again."""
        self._evidence.pop(movie_id, None)
        self._hopeless.discard(movie_id)
        self._stale_of = None
        self._nothing_left = None

    def has_read(self, result: MovieResult) -> None:
        """Its evidence need not be read again."""
        self._keep(result.movie_id, result.evidence)

    def new_version(self, version: int, *, changed: bool) -> None:
        """`changed`: the session became another one, and the old advice is of the one before."""
        self._advice_due = self._advice_due or changed or version % _VERSIONS_PER_ADVICE == 0 or version == 1
        self._allowance = _PER_VERSION

    def ask_next(self, version: int, *, quiet: bool = False, final: bool = False) -> bool:
        """Give the process something to do; False: there is nothing. `quiet`: no movie is on its way; `final`: none
        will come, and the map is the last one."""
        everything = quiet or final
        if self._off or self._nothing_left == (version, final):
            return False
        if self._advice_due or everything:
            self._advice_due = False
            if self._ask_advice(version, everything=everything):
                return True
        if self._ask_losses(version, everything=everything, final=final):
            return True
        if everything:
            self._nothing_left = version, final
        return False

    # --- advice ----------------------------------------------------------------------------------------------------

    def _ask_advice(self, version: int, *, everything: bool) -> bool:
        # While movies arrive: those that the version has seen, so that it does not matter who was faster.
        end = 1 << 62 if everything else version * EPOCH_MOVIES
        rows = self._store.rows(_NEWEST_SQL, end, _LOOKED_AT)
        kept = [str(movie_id) for movie_id, _, state in rows if state == "ready"][: advice_rows.ADVISED_MOVIES]
        if not kept:
            return False
        resolution = self._map_resolution_angstrom()
        key = (version, tuple(kept), resolution, everything)
        if key == self._adviceled:
            return False
        first = min(int(sequence) for movie_id, sequence, _ in rows if movie_id in kept) // EPOCH_MOVIES
        before = self._snapshot(min(first, version))
        ids = [str(movie_id) for movie_id, sequence, _ in reversed(rows) if int(sequence) >= first * EPOCH_MOVIES]
        known = [(movie_id, evidence) for movie_id in ids if (evidence := self._evidence_of(movie_id)) is not None]
        settled, _, _ = with_settle_times(
            [evidence for _, evidence in known], before.last_exposure, before.stage_moved_utc_us
        )
        prior = self._snapshot(version)
        numbers = {str(movie_id): int(sequence) for movie_id, sequence, _ in rows}
        movies = [
            movie
            for (movie_id, _), movie in zip(known, settled, strict=True)
            # Those before another beam or grid say nothing about what to do now.
            if movie_id in kept and advice_rows.before_change(prior, movie, numbers[movie_id]) is None
        ]
        if not movies:
            # Of the time since a change nothing is known yet: what was advised before it is no advice any more.
            self._store.submit(causal_writes.replace_advice, (), ()).result()
            self._adviceled = key
            return False
        pace_s = advice_rows.seconds_per_movie(settled)

        def take_in(answer: Answer) -> None:
            if not answer.process_ended:
                self._adviceled = key  # the same question would have the same answer
            if self._in_trouble(answer, "there is no new advice"):
                return
            found: Counsel = answer.value
            self._store.submit(
                causal_writes.replace_advice,
                advice_rows.advice_rows(found.advice, version, seconds_per_movie=pace_s, utc_us=self._utc_us()),
                advice_rows.share_rows(found.shares, version, len(movies)),
            ).result()

        self._line.ask(take_in, "counsel", prior, advice_rows.scopes(movies, prior), resolution, pace_s)
        return True

    def _map_resolution_angstrom(self) -> float | None:
        rows = self._store.rows(_MAP_SQL)
        return None if not rows or rows[0][0] is None else float(rows[0][0])

    # --- losses ----------------------------------------------------------------------------------------------------

    def _ask_losses(self, version: int, *, everything: bool, final: bool) -> bool:
        if version == 0 or not (everything or self._allowance):
            return False
        if final or self._particles_of != version:
            self._read_particles(version)
        if self._stale_of != (version, final and self._fingerprint):
            made_with = self._made_with.parameter_hash, self._made_with.code_version
            found = self._store.rows(_STALE_SQL, version, final, self._fingerprint, *made_with)
            # The newest are taken from the end.
            self._stale = [(str(movie_id), int(sequence)) for movie_id, sequence in reversed(found)]
            self._stale_of = version, final and self._fingerprint
        if self._stale and self._particles and self._together is None and self._ask_together(version):
            return True
        batch: list[tuple[str, MovieEvidence]] = []
        most = _BATCH if everything else min(_BATCH, self._allowance)
        newest = self._snapshot(version)
        change: ChangePoint | None = None
        while self._stale and len(batch) < most:
            movie_id, sequence = self._stale[-1]
            evidence = None if movie_id in self._hopeless else self._evidence_of(movie_id)
            if evidence is None:
                self._hopeless.add(movie_id)
            else:
                ended_by = advice_rows.before_change(newest, evidence, sequence)
                if batch and ended_by != change:
                    break  # of another part of the session: the next batch
                change = ended_by
                batch.append((movie_id, evidence))
            self._stale.pop()
        self._allowance = max(0, self._allowance - len(batch)) if self._stale else 0
        if not batch:
            return False

        def take_in(answer: Answer) -> None:
            if self._in_trouble(answer, f"losses of {len(batch)} movies stay as they were"):
                if answer.process_ended:
                    self._stale_of = None
                else:
                    self._hopeless.update(movie_id for movie_id, _ in batch)
                return
            losses: tuple[CausalLosses, ...] = answer.value
            self._store.submit(
                causal_writes.replace_losses,
                [(movie_id, movie) for (movie_id, _), movie in zip(batch, losses, strict=True)],
                parameter_hash=self._made_with.parameter_hash,
                code_version=self._made_with.code_version,
                particle_evidence=fingerprint,
            ).result()

        prior, fingerprint = advice_rows.as_of(newest, change, self._snapshot), self._fingerprint
        movies = [evidence for _, evidence in batch]
        if change is None and self._together is not None:
            own = [self._particles.get(movie_id) for movie_id, _ in batch]
            self._line.ask(take_in, "attribute", prior, movies, self._together, own)
        else:  # of a part of the session with which the newest movies' particles have nothing to do
            self._line.ask(take_in, "attribute", prior, movies)
        return True

    def _read_particles(self, version: int) -> None:
        found = particle_writes.read_evidence(self._store, _KEPT_EVIDENCE)
        fingerprint = particle_writes.fingerprint(list(found.items()))
        if (version, fingerprint) != (self._particles_of, self._fingerprint):
            self._together = None
        self._particles, self._particles_of, self._fingerprint = found, version, fingerprint

    def _ask_together(self, version: int) -> bool:
        """Ask what the particles of the movies since the last change say together; False: there are none."""
        newest = self._snapshot(version)
        numbers = dict(self._store.rows(_NUMBERS_SQL, list(self._particles)))
        pairs = [
            (evidence, particles)
            for movie_id, particles in self._particles.items()
            if (evidence := self._evidence_of(movie_id)) is not None
            and advice_rows.before_change(newest, evidence, int(numbers[movie_id])) is None
        ]
        if not pairs:
            return False

        def take_in(answer: Answer) -> None:
            if self._in_trouble(answer, "what particles say of coma and heterogeneity is not known"):
                self._together = None if answer.process_ended else SessionParticles()
            else:
                self._together = answer.value

        self._line.ask(take_in, "session_particles", newest, pairs)
        return True

    def _in_trouble(self, answer: Answer, what: str) -> bool:
        """Whether the call failed. A process that ends time after time is asked no more; nothing is delayed by it."""
        if answer.process_ended:
            self._deaths += 1
            self._off = self._deaths >= _MAX_DEATHS
        elif not answer.trouble:
            self._deaths = 0
        if answer.trouble and (self._off or not answer.process_ended):
            self._notices.alert(
                "warning", "prior", f"{what}: {answer.trouble}", "nothing: movies are processed; see logs/daemon.log"
            )
        return bool(answer.trouble)

    # --- evidence --------------------------------------------------------------------------------------------------

    def _evidence_of(self, movie_id: str) -> MovieEvidence | None:
        if movie_id not in self._evidence:
            try:
                path = result_files.result_path(self._session_dir, movie_id)
                self._keep(movie_id, result_files.read_result(path).result.evidence)
            except (FormatError, OSError):
                self._keep(movie_id, None)  # learning from it has told a person
        return self._evidence[movie_id]

    def _keep(self, movie_id: str, evidence: MovieEvidence | None) -> None:
        self._evidence.pop(movie_id, None)
        self._evidence[movie_id] = evidence
        while len(self._evidence) > _KEPT_EVIDENCE:
            self._evidence.pop(next(iter(self._evidence)))
