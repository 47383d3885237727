"""How thick the ice of each exposure is by its counts, under what the session knows of its zero by now."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

from frazil.config.errors import FormatError
from frazil.daemon.store import result_files
from frazil.daemon.store.movie_states import current, finished
from frazil.daemon.store.store import Store
from frazil.models.causal.counts import IceByCounts, ice_by_counts, prior_ln_weight
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.records import MovieEvidence

_log = logging.getLogger(__name__)
_MOVIES_SQL = f"""
SELECT l.hole_id, m.movie_id FROM movie_targets l JOIN movies m USING (movie_id)
WHERE {current("m")} AND {finished("m")} AND l.hole_id IN (SELECT hole_id FROM hole_images)
ORDER BY m.acquired_utc_us DESC NULLS LAST, m.sequence DESC NULLS LAST
"""
_NEWEST_SQL = "SELECT version FROM priors ORDER BY version DESC LIMIT 1"
_STATE_SQL = "SELECT state_json FROM priors WHERE version = ?"
_AT_ONCE = 200
"""Results that are read from their files at a time: the newest first."""


@dataclass(frozen=True, slots=True)
class HoleIce:
    """Of the exposures of one hole together."""

    hole_id: str
    thickness_nm: float
    own_sd_nm: float
    zero_sd_nm: float


@dataclass(slots=True)
class ExposedIce:
    """See the module. Keeps of every movie the little that its counts say."""

    store: Store
    session_dir: Path
    complete: bool = True
    """All results there are have been read."""
    _evidence: dict[str, MovieEvidence | None] = field(default_factory=dict)
    _ice: dict[str, tuple[int, IceByCounts | None]] = field(default_factory=dict)
    """With the version of the prior by which it was told."""
    _belief: tuple[int, np.ndarray] | None = None
    """By the version of the prior."""

    def changed(self, movie_id: str) -> None:
        """This movie has another result."""
        self._evidence.pop(movie_id, None)
        self._ice.pop(movie_id, None)

    def read(self, *, everything: bool) -> list[HoleIce]:
        """Of holes that were measured in an image, by hole. Raises what `Store.rows` raises."""
        rows = [(str(hole_id), str(movie_id)) for hole_id, movie_id in self.store.rows(_MOVIES_SQL)]
        new = [movie_id for _, movie_id in rows if movie_id not in self._evidence]
        now = new if everything else new[:_AT_ONCE]
        self.complete = len(now) == len(new)
        for movie_id in now:
            self._evidence[movie_id] = self._counted(movie_id)
        belief = self._count_belief()
        version = -1 if self._belief is None else self._belief[0]
        told: dict[str, list[IceByCounts]] = {}
        for hole_id, movie_id in rows:
            ice = self._ice_of(movie_id, version, belief)
            if ice is not None:
                told.setdefault(hole_id, []).append(ice)
        return [_together(hole_id, told[hole_id]) for hole_id in sorted(told)]

    def _ice_of(self, movie_id: str, version: int, belief: np.ndarray) -> IceByCounts | None:
        """Once for each version of the prior."""
        evidence = self._evidence.get(movie_id)
        if evidence is None:
            return None
        if self._ice.get(movie_id, (None, None))[0] != version:
            self._ice[movie_id] = version, ice_by_counts(evidence, belief)
        return self._ice[movie_id][1]

    def _counted(self, movie_id: str) -> MovieEvidence | None:
        """Without its curves: thousands of movies are kept."""
        try:
            path = result_files.result_path(self.session_dir, movie_id)
            evidence = result_files.read_result(path).result.evidence
        except (FormatError, OSError) as error:
            _log.info("counts of %s are not known: %s", movie_id, error)
            return None
        if evidence is None:
            return None
        return replace(evidence, shift_x_angstrom=(), shift_y_angstrom=(), shift_sd_angstrom=(), log_ssnr=())

    def _count_belief(self) -> np.ndarray:
        rows = self.store.rows(_NEWEST_SQL)
        version = int(rows[0][0]) if rows else 0
        if self._belief is None or self._belief[0] != version:
            self._belief = version, self._read_belief(version) if rows else prior_ln_weight()
        return self._belief[1]

    def _read_belief(self, version: int) -> np.ndarray:
        text = str(self.store.rows(_STATE_SQL, version)[0][0])
        try:
            return msgspec.json.decode(text.encode(), type=PriorSnapshot).count_belief()
        except msgspec.DecodeError:  # of an earlier form of the model: the prior is made anew
            return prior_ln_weight()


def _together(hole_id: str, told: list[IceByCounts]) -> HoleIce:
    """The mean of what several exposures of one hole say: of other places in it, each as good as the others."""
    mean = sum(one.thickness_nm for one in told) / len(told)
    own = sum(one.own_sd_nm for one in told) / len(told)
    return HoleIce(hole_id, mean, own / np.sqrt(len(told)), max(one.zero_sd_nm for one in told))
