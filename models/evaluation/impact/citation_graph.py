"""A citation graph as typed arrays: who was published when, what it is, and which of the others it cites.

OpenAlex's terms (Priem, Piwowar & Orr 2022, arXiv:2205.01833): a *work* is an article, a patent or a dataset; a
citation is a reference of one work to another and happens when the citing work is published. Files are read elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ARTICLE, PATENT, DATASET, OTHER = range(4)
KINDS = ("article", "patent", "dataset", "other")
"""What `CitationGraph.kind` counts through."""

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class CitationGraph:
    """n works and m citations, complete up to `as_of_year`. Times are decimal years (2024.5: the middle of 2024).

    Raises
    ------
    ValueError
        If arrays do not fit each other, a work cites itself or one that does not exist, or a time is not finite or
        lies after `as_of_year`.
    """

    work_ids: tuple[str, ...]
    published_year: Floats
    """(n,)"""
    kind: NDArray[np.int8]
    """(n,) index into `KINDS`."""
    field: NDArray[np.int32]
    """(n,) index into `field_names`; -1: not known."""
    field_names: tuple[str, ...]
    citing: Indices
    """(m,) index of the work whose list of references the citation stands in."""
    cited: Indices
    """(m,)"""
    as_of_year: float

    def __post_init__(self) -> None:
        n = len(self.work_ids)
        if not (len(self.published_year) == len(self.kind) == len(self.field) == n):
            raise ValueError("a citation graph needs one date, one kind and one field for each work")
        if len(self.citing) != len(self.cited):
            raise ValueError("a citation has one citing and one cited work")
        for ends in (self.citing, self.cited):
            if len(ends) and not (ends.min() >= 0 and ends.max() < n):
                raise ValueError("a citation names a work that is not in the graph")
        if np.any(self.citing == self.cited):
            raise ValueError("a work cites itself")
        if not np.isfinite(self.as_of_year) or not np.all(self.published_year <= self.as_of_year):
            raise ValueError("a work is dated after the end of the graph, or its date is no number")

    def __len__(self) -> int:
        return len(self.work_ids)

    @property
    def first_year(self) -> float:
        """Of the oldest work; NaN without works."""
        return float(self.published_year.min()) if len(self) else float("nan")

    def index_of(self, work_id: str) -> int | None:
        """None: no such work."""
        try:
            return self.work_ids.index(work_id)
        except ValueError:
            return None

    def until(self, year: float) -> tuple[CitationGraph, Indices]:
        """The graph as it was then (works published before `year`, in their order), and the index that each of its
        works has here."""
        kept = np.flatnonzero(self.published_year < year)
        place = np.full(len(self), -1, np.int64)
        place[kept] = np.arange(len(kept))
        edges = (place[self.citing] >= 0) & (place[self.cited] >= 0)
        earlier = CitationGraph(
            tuple(self.work_ids[i] for i in kept),
            self.published_year[kept],
            self.kind[kept],
            self.field[kept],
            self.field_names,
            place[self.citing[edges]],
            place[self.cited[edges]],
            year,
        )
        return earlier, kept

    def citations_between(self, first_year: float, end_year: float, *, patents_only: bool = False) -> Indices:
        """(n,) how often each work was cited from `first_year` to before `end_year`."""
        when = self.published_year[self.citing]
        chosen = (when >= first_year) & (when < end_year)
        if patents_only:
            chosen &= self.kind[self.citing] == PATENT
        return np.bincount(self.cited[chosen], minlength=len(self)).astype(np.int64)

    def with_work(self, work_id: str, references: Sequence[int]) -> CitationGraph:
        """The graph with one more article, published at its end: of the field that most of its references have."""
        fields = self.field[list(references)]
        known = fields[fields >= 0]
        field = int(np.bincount(known).argmax()) if len(known) else -1
        cited = np.unique(np.asarray(references, np.int64))
        return CitationGraph(
            (*self.work_ids, work_id),
            np.append(self.published_year, self.as_of_year),
            np.append(self.kind, np.int8(ARTICLE)),
            np.append(self.field, np.int32(field)),
            self.field_names,
            np.append(self.citing, np.full(len(cited), len(self), np.int64)),
            np.append(self.cited, cited),
            self.as_of_year,
        )
