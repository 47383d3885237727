"""Asks what a version of the prior advises for the newest kept movies, and keeps it in the session's tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frazil.actors.causal_prior import AdviceAndShares
from frazil.daemon.analysis import advice_rows
from frazil.daemon.analysis.actor_call import ActorCall, Answer, is_a
from frazil.daemon.analysis.evidence import EvidenceCache
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.daemon.store.movie_states import finished
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import causal_writes
from frazil.models.causal.advice.timeline import seconds_per_movie
from frazil.models.causal.experiments.verdict import COMPLIED_ENOUGH
from frazil.models.causal.particles import SessionParticles
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.provenance import Experiment
from frazil.models.causal.settle import with_settle_times
from frazil.models.records import MovieEvidence

_NEWEST_MOVIES = 100
"""Newest finished movies among which the kept ones are looked for, whose stage moves start the settle clock, and by
which advice is judged."""
_NEWEST_SQL = f"""
SELECT movie_id, sequence, state FROM movies WHERE {finished()} AND sequence < ?
ORDER BY sequence DESC LIMIT ?
"""
# A map that is resolved to the end of its pixels gets no finer, whatever is done.
_MAP_SQL = """
SELECT CASE WHEN resolution_0143_angstrom > 1.001 / (
    SELECT coalesce(max(frequency_per_angstrom), 1e9) FROM fsc f WHERE f.round = r.round
) THEN resolution_0143_angstrom END
FROM reconstructions r ORDER BY round DESC LIMIT 1
"""
# What was compared by something that is no signal says nothing of what pays, and what was not done says nothing at all.
_EXPERIMENTS_SQL = """
SELECT node, least(arm_a, arm_b), greatest(arm_a, arm_b), CASE better WHEN 'A' THEN arm_a WHEN 'B' THEN arm_b END,
       sentence FROM experiments
WHERE state = 'decided' AND outcome IN ('ln_ssnr', 'fit_resolution', 'particles')
    AND coalesce(complied_share, 1) >= ? ORDER BY created_utc_us
"""
_NO_END = 1 << 62
_WITHDRAWN_REMEDY = "nothing; to be sure, compare both settings in a random order: `frazil experiment plan`"


@dataclass(frozen=True, slots=True)
class _AdvisedMovies:
    """What advice is asked about."""

    movies: list[MovieEvidence]
    """With their settle times, oldest first."""
    seconds_per_movie: float | None
    witnesses: list[MovieEvidence]
    """All of the newest since the last change, rejected ones too: what was rejected says as much of causes."""


class Advice:
    """See the module.

    Parameters
    ----------
    actor:
        The causal prior's, with nothing in hand when `ask` is called.
    snapshot:
        A version of the prior.
    failed:
        Told of every answer and of what a failure means; whether it is one.
    """

    def __init__(
        self,
        actor: ActorCall,
        context: SessionContext,
        evidence: EvidenceCache,
        *,
        snapshot: Callable[[int], PriorSnapshot],
        failed: Callable[[Answer, str], bool],
    ) -> None:
        self._actor, self._store, self._utc_us = actor, context.store, context.utc_us
        self._evidence, self._snapshot, self._failed = evidence, snapshot, failed
        self._notices = context.notices
        self._withdrawn: set[str] = set()
        """Ids of what a person has been told of advice that this session speaks against."""
        self._advised_from: object = None
        """What the newest advice was made from."""

    def ask(self, version: int, *, everything: bool, together: SessionParticles | None) -> bool:
        """Ask by this version; False: nothing has changed since the last time. `everything`: about the newest movies
        of all, not only about those that the version has seen. `together`: what the session's particles say."""
        # While movies arrive: those that the version has seen, so that it does not matter who was faster.
        end = _NO_END if everything else version * EPOCH_MOVIES
        rows = self._store.rows(_NEWEST_SQL, end, _NEWEST_MOVIES)
        kept = [str(movie_id) for movie_id, _, state in rows if state == "ready"][: advice_rows.ADVISED_MOVIES]
        if not kept:
            return False
        resolution = self._map_resolution_angstrom()
        experiments = self._decided()
        asked_from = (version, tuple(kept), resolution, everything, together, experiments)
        if asked_from == self._advised_from:
            return False
        prior = self._snapshot(version)
        about = self._advised_movies(rows, kept, prior)
        if not about.movies:
            # Of the time since a change nothing is known yet: what was advised before it is no advice any more.
            self._store.write(WritePolicy.DURABLE, causal_writes.replace_advice, (), ())
            self._advised_from = asked_from
            return False

        def take_in(answer: Answer) -> None:
            if not self._failed(answer, "there is no new advice"):
                self._record(answer.value, version, about)
            self._advised_from = asked_from  # the same question would have the same answer

        scopes = advice_rows.scopes(about.movies, prior)
        self._actor.ask(
            take_in,
            "advise",
            prior,
            scopes,
            resolution,
            about.seconds_per_movie,
            self._snapshot(0),
            together,
            about.witnesses,
            dict(experiments),
            accepts=is_a(AdviceAndShares),
            optional=True,
        )
        return True

    def _advised_movies(
        self, rows: list[tuple[str, int, str]], kept: list[str], prior: PriorSnapshot
    ) -> _AdvisedMovies:
        """Those of the kept movies that were taken since the last change; `rows`: newest first."""
        # Whole epochs, as far as they reach: the clock goes on from the version before them.
        whole = -(-min(int(sequence) for _, sequence, _ in rows) // EPOCH_MOVIES)
        oldest = min(int(sequence) for movie_id, sequence, _ in rows if movie_id in kept) // EPOCH_MOVIES * EPOCH_MOVIES
        first = min(whole, oldest // EPOCH_MOVIES)
        before = self._snapshot(min(first, prior.version))
        ids = [str(movie_id) for movie_id, sequence, _ in reversed(rows) if int(sequence) >= first * EPOCH_MOVIES]
        known = [(movie_id, evidence) for movie_id in ids if (evidence := self._evidence.of(movie_id)) is not None]
        settled, _, _ = with_settle_times(
            [evidence for _, evidence in known], before.last_exposure, before.stage_moved_utc_us
        )
        sequences = {str(movie_id): int(sequence) for movie_id, sequence, _ in rows}
        # Those before another beam or grid say nothing about what to do now.
        now = [
            (movie_id, movie)
            for (movie_id, _), movie in zip(known, settled, strict=True)
            if advice_rows.before_change(prior, movie, sequences[movie_id]) is None
        ]
        about = [movie for movie_id, movie in now if movie_id in kept]
        lately = [movie for _, movie in now]
        return _AdvisedMovies(about, seconds_per_movie(lately), lately)

    def _record(self, found: AdviceAndShares, version: int, about: _AdvisedMovies) -> None:
        rows = advice_rows.advice_rows(found.advice, version, utc_us=self._utc_us())
        shares = advice_rows.share_rows(found.shares, version, len(about.movies))
        self._store.write(WritePolicy.DURABLE, causal_writes.replace_advice, rows, shares)
        texts = advice_rows.withdrawn_texts(found.withdrawn)
        for alert_id in self._withdrawn - set(texts):
            self._notices.over(alert_id)
        for alert_id in sorted(set(texts) - self._withdrawn):
            self._notices.alert("info", "advice", texts[alert_id], _WITHDRAWN_REMEDY, alert_id)
        self._withdrawn = set(texts)

    def _decided(self) -> tuple[tuple[str, Experiment], ...]:
        """Experiments that are decided, by node of the graph, the newest last."""
        rows = self._store.rows(_EXPERIMENTS_SQL, COMPLIED_ENOUGH)
        return tuple((str(node), Experiment(low, high, better, str(words))) for node, low, high, better, words in rows)

    def _map_resolution_angstrom(self) -> float | None:
        rows = self._store.rows(_MAP_SQL)
        return None if not rows or rows[0][0] is None else float(rows[0][0])
