"""What exposures gave, from the results of their movies: what the advice on the next ones is learnt from."""

from __future__ import annotations

from dataclasses import dataclass, field

from frazil.daemon.store.movie_states import FINISHED, current
from frazil.daemon.store.queries.movie_columns import OF_TOTAL
from frazil.daemon.store.store import Store
from frazil.models.targets.records import Outcome

USUAL_ANGSTROM = 5.0
"""At which losses are told where the session has no goal."""
_AT_ONCE = 500
"""Movies whose losses are read together: their curves are unfolded for it."""
_MOVIES_SQL = f"""
SELECT l.movie_id, l.hole_id, m.state, c.fit_resolution_angstrom, c.reliable, q.particle_count, m.acquired_utc_us,
       k.prior_version, k.particle_evidence
FROM movie_targets l JOIN movies m USING (movie_id)
LEFT JOIN ctf c USING (movie_id) LEFT JOIN quality q USING (movie_id) LEFT JOIN named_causes k USING (movie_id)
WHERE {current("m")} ORDER BY m.acquired_utc_us NULLS FIRST, m.sequence
"""
# A curve at one frequency, linear between its points; all causes of the total together.
_LOSSES_SQL = f"""
SELECT movie_id, sum(CASE WHEN f1 > f0 THEN loss0 + (loss1 - loss0) * (frequency - f0) / (f1 - f0)
                     ELSE coalesce(loss0, loss1) END)
FROM (SELECT movie_id, factor, max(frequency) AS frequency,
             max(f) FILTER (f <= frequency) AS f0, arg_max(loss, f) FILTER (f <= frequency) AS loss0,
             min(f) FILTER (f >= frequency) AS f1, arg_min(loss, f) FILTER (f >= frequency) AS loss1
      FROM (SELECT movie_id, factor, unnest(frequency_per_angstrom) AS f, unnest(loss_ln_ssnr) AS loss,
                   ?::DOUBLE AS frequency
            FROM causal_loss_arrays WHERE {OF_TOTAL} AND movie_id IN (SELECT unnest(?::TEXT[])))
      GROUP BY movie_id, factor)
GROUP BY movie_id
"""
_MadeWith = tuple[int | None, str | None]
"""Version of the prior and fingerprint of the particles that losses were made with; (None, ...): there are none."""


@dataclass(slots=True)
class SessionOutcomes:
    """See the module. Remembers losses: they are curves, and the session has tens of thousands of them."""

    store: Store
    resolution_angstrom: float = USUAL_ANGSTROM
    """At which losses are told."""
    _losses: dict[str, tuple[_MadeWith, float]] = field(default_factory=dict)
    """By movie."""

    def changed(self, movie_id: str) -> None:
        """This movie has another result."""
        self._losses.pop(movie_id, None)

    def read(self) -> list[Outcome]:
        """Of all movies whose place is known, in the order in which they were taken; of one without a result only that
        it was taken. Raises what `Store.rows` raises."""
        rows = self.store.rows(_MOVIES_SQL)
        self._read_losses({str(row[0]): (row[7], row[8]) for row in rows if row[2] in FINISHED})
        return [
            Outcome(str(hole_id), exposed_utc_us=acquired_utc_us)
            if state not in FINISHED
            else Outcome(
                target_id=str(hole_id),
                resolution_angstrom=fit_angstrom,
                particles=None if particles is None else float(particles),
                loss_ln=self._loss_ln(str(movie_id), (version, evidence)),
                exposed_utc_us=acquired_utc_us,
                usable=_usable(str(state), reliable),
            )
            for movie_id, hole_id, state, fit_angstrom, reliable, particles, acquired_utc_us, version, evidence in rows
        ]

    def _read_losses(self, finished: dict[str, _MadeWith]) -> None:
        """Of movies that have none here, or others in the store by now: by a newer prior, or with other particles."""
        ids = [
            movie_id
            for movie_id, now in finished.items()
            if now[0] is not None and self._loss_ln(movie_id, now) is None
        ]
        for first in range(0, len(ids), _AT_ONCE):
            some = ids[first : first + _AT_ONCE]
            for movie_id, loss_ln in self.store.rows(_LOSSES_SQL, 1.0 / self.resolution_angstrom, some):
                self._losses[movie_id] = finished[movie_id], loss_ln

    def _loss_ln(self, movie_id: str, made_with: _MadeWith) -> float | None:
        known = self._losses.get(movie_id)
        return known[1] if known is not None and known[0] == made_with else None


def _usable(state: str, reliable: bool | None) -> bool | None:
    """What a threshold, a person or a fit that failed said; None: by its resolution."""
    return False if state != "ready" or reliable is False else None
