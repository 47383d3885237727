"""What the causal graph says must be independent, tested on the session as it grows.

Every missing arrow is a claim: given a separating set, two measured nodes tell nothing of each other (Pearl 2009,
Causality, 1.2.3). Of each such pair the normal scores of their ranks are freed of the separating set in blocks of
movies, and every stop of the stage adds one number, the sum of the products of what is left. Under the claim these
numbers are about zero, and Student's t of all of them so far is its test: movies that share a stop count as one.

However often one looks: the m-th look spends 1 / (m (m + 1)) of the allowed false alarms (they add up to one), and all
pairs share them (Bonferroni). So in a session of any length a graph that is right is called wrong in 5 % at most.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import networkx as nx
import numpy as np
from scipy import stats

from frazil.models.causal.bands import Array
from frazil.models.causal.graph import listed, node_of
from frazil.models.causal.identification import separating_set
from frazil.models.causal.measured import DISCRETE, OF_EXPOSURES, PER_MOVIE, StageStop, of_exposures
from frazil.models.records import ExposureFacts, MovieEvidence

FALSE_ALARMS = 0.05
"""In a session, at most."""
BLOCK_MOVIES = 20
_EFFECTS = ("steady_drift", "counted_electrons", "fixed_pattern")
"""One of a pair has to be one of these: which settings people change together is no claim about physics."""
_LEAST_FREEDOM = 8
_LEAST_STOPS = 8
_CONSTANT = 1e-9


@dataclass(frozen=True, slots=True)
class Claim:
    """Two nodes that tell nothing of each other once `given` are known."""

    one: str
    other: str
    given: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.one}|{self.other}"


@dataclass(frozen=True, slots=True)
class Tally:
    """What the stops of a session have said of one claim so far."""

    name: str
    total: float = 0.0
    squares: float = 0.0
    stops: int = 0

    def p_value(self) -> float:
        """Two-sided; 1 while there are too few stops."""
        if self.stops < _LEAST_STOPS or self.squares <= 0.0:
            return 1.0
        share = self.total**2 / (self.stops * self.squares)
        t = np.sqrt((self.stops - 1) * share / max(1.0 - share, 1e-12))
        return float(2 * stats.t.sf(t, self.stops - 1))


@dataclass(frozen=True, slots=True)
class SeenMovie:
    """A movie that waits for its block."""

    exposure: ExposureFacts
    values: tuple[float | None, ...]
    """In the order of `measured.PER_MOVIE`."""


@dataclass(frozen=True, slots=True)
class IndependenceRecord:
    """What is kept from version to version: a few numbers a claim, and less than a block of movies."""

    looks: int = 0
    tallies: tuple[Tally, ...] = ()
    failed: tuple[str, ...] = ()
    """Names of claims that do not hold, in the order in which that was found."""
    waiting: tuple[SeenMovie, ...] = ()
    stage: StageStop | None = None
    """As the last movie of the last block left it; None: there was none."""


@lru_cache(maxsize=4)
def claims_of(graph: nx.DiGraph) -> tuple[Claim, ...]:
    """All testable ones, each with its smallest separating set, in the graph's order. What is itself an effect
    separates nothing here: straight lines would have to take off what bends."""
    nodes = [name for name in graph if name in PER_MOVIE or name in OF_EXPOSURES]
    causes = [name for name in nodes if name not in _EFFECTS]
    found = []
    for one, other in itertools.combinations(nodes, 2):
        if not {one, other} & set(_EFFECTS) or {one, other} & set(DISCRETE):
            continue
        given = separating_set(graph, one, other, causes)
        if given is not None:
            found.append(Claim(one, other, given))
    return tuple(found)


def seen(movies: Sequence[MovieEvidence]) -> list[SeenMovie]:
    """Movies with their settle times, in order of acquisition."""
    rows = [SeenMovie(movie.exposure, tuple(value_of(movie) for value_of in PER_MOVIE.values())) for movie in movies]
    return sorted(rows, key=lambda row: row.exposure.acquired_utc_us or 0)


def with_movies(record: IndependenceRecord, movies: Sequence[SeenMovie], graph: nx.DiGraph) -> IndependenceRecord:
    """The record with more movies taken in; looks once for every full block."""
    waiting = [*record.waiting, *movies]
    while len(waiting) >= BLOCK_MOVIES:
        block, waiting = waiting[:BLOCK_MOVIES], waiting[BLOCK_MOVIES:]
        record = _look(record, block, claims_of(graph))
    return replace(record, waiting=tuple(waiting))


def _look(record: IndependenceRecord, block: Sequence[SeenMovie], claims: Sequence[Claim]) -> IndependenceRecord:
    columns, stops, stage = _columns(block, record.stage)
    tallies = {tally.name: tally for tally in record.tallies}
    looks = record.looks + 1
    allowed = FALSE_ALARMS / (looks * (looks + 1)) / max(len(claims), 1)
    failed = list(record.failed)
    for claim in claims:
        tally = tallies.get(claim.name, Tally(claim.name))
        said = _said_by_stops(claim, columns, stops)
        if said.size:
            tally = Tally(
                claim.name, tally.total + float(said.sum()), tally.squares + float(said @ said), tally.stops + said.size
            )
            tallies[claim.name] = tally
        if claim.name not in failed and tally.p_value() < allowed:
            failed.append(claim.name)
    return replace(record, looks=looks, tallies=tuple(tallies.values()), failed=tuple(failed), stage=stage)


def _columns(
    block: Sequence[SeenMovie], before: StageStop | None
) -> tuple[Mapping[str, Array], Array, StageStop | None]:
    """(n,) by node, the stop of each movie (by fives where nobody said where the stage was), and the stage after it."""
    columns, stops, stage = of_exposures([row.exposure for row in block], before)
    table = np.array([[np.nan if value is None else value for value in row.values] for row in block])
    columns.update(zip(PER_MOVIE, table.T, strict=True))
    if stops is None:
        stops = np.floor(np.arange(len(block)) / 5)
    return columns, stops, stage


def _said_by_stops(claim: Claim, columns: Mapping[str, Array], stops: Array) -> Array:
    """(G,) the sum over each stop's movies of the product of what the separating set leaves of both; empty: the block
    says nothing."""
    names = (claim.one, claim.other, *claim.given)
    known = np.all([np.isfinite(columns[name]) for name in names], axis=0)
    if known.sum() < _LEAST_FREEDOM:
        return np.zeros(0)
    given = [columns[name][known] for name in claim.given]
    basis = _basis(given, [name in DISCRETE for name in claim.given], int(known.sum()))
    if known.sum() - basis.shape[1] - 1 < _LEAST_FREEDOM:
        return np.zeros(0)
    left = []
    for name in (claim.one, claim.other):
        values = columns[name][known]
        if np.ptp(values) <= _CONSTANT * max(float(np.abs(values).max()), 1.0):
            return np.zeros(0)
        scores = _normal_scores(values)
        rest = scores - basis @ (basis.T @ scores)
        spread = float(np.sqrt(np.mean(rest**2)))
        if spread < 0.05:  # the separating set decides it
            return np.zeros(0)
        left.append(rest / spread)
    product = left[0] * left[1]
    of_movies = stops[known]
    return np.array([product[of_movies == stop].sum() for stop in np.unique(of_movies)])


def _basis(given: Sequence[Array], discrete: Sequence[bool], movies: int) -> Array:
    """(n, r) orthonormal: intercept, normal scores of what is continuous, a column each for codes."""
    columns = [np.ones((movies, 1))]
    for values, is_code in zip(given, discrete, strict=True):
        if is_code:
            columns.append((values[:, None] == np.unique(values)[None, 1:]).astype(np.float64))
        else:
            columns.append(_normal_scores(values)[:, None])
    basis, size, _ = np.linalg.svd(np.concatenate(columns, axis=1), full_matrices=False)
    return np.asarray(basis[:, size > 1e-9 * size[0]])


def _normal_scores(values: Array) -> Array:
    """Normal quantiles of the ranks, ties in their middle (van der Waerden)."""
    return np.asarray(stats.norm.ppf(stats.rankdata(values) / (values.size + 1)))


def broken_claim(graph: nx.DiGraph, name: str) -> str:
    """What a person is told of a claim that does not hold: a sentence without a full stop."""
    claim = next((one for one in claims_of(graph) if one.name == name), None)
    one, other = (node_of(graph, node).words for node in name.split("|"))
    alike = listed([node_of(graph, node).words for node in claim.given]) if claim is not None else ""
    return (
        f"{one} and {other} go together in this session{f', also where {alike} are alike' if alike else ''}, and the "
        "causal graph knows no reason: one acts on the other, or something that is not measured acts on both"
    )


def resting_on(graph: nx.DiGraph, node: str, failed: Iterable[str]) -> tuple[str, ...]:
    """Of the claims that failed those between ends of which one lies on a way from the node to the signal: what is
    computed along that way leaves something out."""
    way = ({node} | nx.descendants(graph, node)) & ({"ln_ssnr"} | nx.ancestors(graph, "ln_ssnr"))
    # What is seen of a node that lies on the way stands for it.
    way |= {name for place in way - {"ln_ssnr"} for name in graph.successors(place) if name in _EFFECTS}
    return tuple(name for name in failed if set(name.split("|")) & way)
