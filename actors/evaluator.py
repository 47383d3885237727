"""The actor that judges: every evaluator on the facts of one round, with what each took.

It also reads what evaluators need from files: the maps of the round and the shapes of the reference structures, of
which it describes some every round until all are known.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from frazil.actors import niceness
from frazil.actors.provers import Provers
from frazil.models.evaluation.facts import RoundFacts, ShapeComparison
from frazil.models.evaluation.logic import evaluator as logic
from frazil.models.evaluation.novelty import evaluator as novelty
from frazil.models.evaluation.novelty.reference_index import ReferenceIndex
from frazil.models.evaluation.novelty.reference_shapes import read_cube
from frazil.models.evaluation.novelty.shape_comparison import compare
from frazil.models.evaluation.novelty.shape_map import LEVELS_ANGSTROM, level_of
from frazil.models.evaluation.panel import judge
from frazil.models.evaluation.reproducibility import evaluator as reproducibility
from frazil.models.evaluation.reproducibility.ctf_rerun import fit_again
from frazil.models.evaluation.verdict import Verdict

_log = logging.getLogger(__name__)
_FILES_PER_ROUND = 20
"""Reference files described in one round: most take one to three seconds, and a session's end waits for verdicts."""


@dataclass(frozen=True, slots=True)
class TimedVerdict:
    verdict: Verdict
    seconds: float
    prover_seconds: Mapping[str, float] = field(default_factory=dict)
    """What each prover took of it, by its name. Not part of the verdict: the same facts give the same verdict."""


class Evaluator:
    """What earlier rounds found out comes with the facts, and shapes lie in the cache: a restart loses nothing.

    Parameters
    ----------
    provers:
        Names of those that settle the session's claims (`frazil.actors.provers.PROVERS`).
    prover_seconds:
        That each of them has for a round.
    polite:
        Only what others leave of the cores is used: neither proving nor describing structures may slow a movie.
    """

    def __init__(
        self, provers: Sequence[str] = ("exact",), prover_seconds: float = 60.0, *, polite: bool = False
    ) -> None:
        if polite:
            niceness.give_way(niceness.EVALUATORS)
        self._prove = Provers(provers, seconds=prover_seconds)
        self._references: ReferenceIndex | None = None
        self._opened: tuple[str | None, str | None] = (None, None)

    def score(self, facts: RoundFacts) -> tuple[TimedVerdict, ...]:
        """All verdicts of a round, in the order of `panel.EVALUATORS`. The same facts, with the same references
        described, give the same verdicts."""
        timed: list[TimedVerdict] = []
        begun_s = time.perf_counter()
        facts = self._with_shape(facts)
        compared_s = time.perf_counter()
        facts = _with_rerun(facts)
        now_s = time.perf_counter()
        before = {novelty.NAME: compared_s - begun_s, reproducibility.NAME: now_s - compared_s}
        begun_s = now_s
        for verdict in judge(facts, self._prove):
            now_s = time.perf_counter()
            before_s = before.get(verdict.evaluator, 0.0)
            provers = dict(self._prove.seconds) if verdict.evaluator == logic.NAME else {}
            timed.append(TimedVerdict(verdict, now_s - begun_s + before_s, provers))
            begun_s = now_s
        return tuple(timed)

    def _with_shape(self, facts: RoundFacts) -> RoundFacts:
        """The facts with the map's shape compared, or with the reason why it is not."""
        if facts.references_dir is None or facts.references_cache is None:
            return facts
        try:
            references = self._described(facts.references_dir, facts.references_cache)
            count = references.count
            if facts.map is None or not count:
                pending = len(references.pending)
                reason = () if count else (_nothing_described(references.refused, pending),)
                return replace(facts, no_shape=reason or ("no running map to compare",), reference_count=count)
            found = _compared(facts, references)
        except Exception as error:  # whatever a map or the cache does: the other evaluators have their say
            return replace(facts, no_shape=(str(error) or type(error).__name__,))
        if isinstance(found, str):
            return replace(facts, no_shape=(found,), reference_count=count)
        return replace(facts, shape=found, reference_count=count)

    def _described(self, folder: str, cache: str) -> ReferenceIndex:
        if self._references is None or self._opened != (folder, cache):
            self._references = ReferenceIndex(Path(folder), Path(cache))
            self._opened = folder, cache
        self._references.look()
        self._references.describe(_FILES_PER_ROUND)
        return self._references


def _with_rerun(facts: RoundFacts) -> RoundFacts:
    """The facts with one movie computed again; without, where its micrograph is gone or cannot be fitted."""
    request = facts.rerun_request
    if request is None:
        return facts
    try:
        found = fit_again(request)
    except Exception as error:  # as with the map: the evaluators have their say without it
        _log.warning("no rerun of %s: %s", request.movie_id, error)
        return facts
    movies = tuple(
        replace(movie, rerun=found) if movie.result.movie_id == request.movie_id else movie for movie in facts.movies
    )
    return replace(facts, movies=movies)


def _compared(facts: RoundFacts, references: ReferenceIndex) -> ShapeComparison | str:
    """The comparison, or why there is none.

    Raises
    ------
    FrazilError, OSError, ValueError
        A map cannot be read, or shows nothing.
    """
    assert facts.map is not None
    if facts.map.files is None:
        return "the map of this round has been replaced by a later one"
    resolution = facts.map.resolution_0143_angstrom
    if resolution is None:
        return "the halves of the map agree at no resolution"
    level = level_of(resolution)
    if level is None:
        return f"the map's resolution of {resolution:.0f} A is coarser than {LEVELS_ANGSTROM[-1]:g} A"
    (whole, pixel), (first, _), (second, _) = (read_cube(Path(path)) for path in facts.map.files)
    with torch.no_grad():
        return compare(
            whole,
            (first, second),
            references,
            pixel_size_angstrom=pixel,
            resolution_angstrom=resolution,
            level_angstrom=level,
        )


def _nothing_described(refused: tuple[str, ...], pending: int) -> str:
    if pending:
        return f"{pending} reference structures are still to be described"
    if refused:
        return f"none of {len(refused)} reference files could be read: {refused[0]}"
    return "the folder of references holds no models or maps"
