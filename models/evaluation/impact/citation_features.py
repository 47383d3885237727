"""What a citation graph says of each work when it ends, in numbers that do not depend on the order of works."""

from __future__ import annotations

import numpy as np

from frazil.models.evaluation.impact.citation_graph import KINDS, PATENT, CitationGraph, Floats, Indices

_WINDOWS_YEARS = ((0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 5.0), (5.0, 10.0))
_AGE_BAND_YEARS = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0)
FEATURES = (
    "log_citations",
    *(f"log_citations_{first:.0f}_{end:.0f}_years_ago" for first, end in _WINDOWS_YEARS),
    "log_patent_citations",
    "log_patent_citations_3_years",
    "log_age",
    "age_decades",
    "newborn",
    *(f"is_{kind}" for kind in KINDS[:-1]),
    "log_references",
    "references_log_age",
    "log_field_rate",
    "field_growth",
    "log_band_rate",
    "log_band_patent_rate",
    "log_against_band",
    "log_graph_rate",
    "graph_growth",
    "log_graph_references",
)
"""Columns of `work_features`. Logarithms are ln(1 + x), or ln((x + 1/2) / (y + 1/2)) of ratios. A *band* is the works
of like age, patents by themselves; a *rate* is citations of the last two years (by patents: three), per work."""


def work_features(graph: CitationGraph) -> Floats:
    """(n, len(FEATURES)) at `graph.as_of_year`, of order one; finite for any graph, also for works without citations or
    references and for fields that are not known."""
    n, now = len(graph), graph.as_of_year
    age = now - graph.published_year
    total = graph.citations_between(-np.inf, now + 1.0)
    patents = graph.citations_between(-np.inf, now + 1.0, patents_only=True)
    windows = [graph.citations_between(now - end, now - first) for first, end in _WINDOWS_YEARS]
    # What is dated at the very end counts as of the last year.
    windows[0] = graph.citations_between(now - 1.0, now + 1.0)
    recent = (windows[0] + windows[1]).astype(float)
    patents_recent = graph.citations_between(now - 3.0, now + 1.0, patents_only=True)
    references = np.bincount(graph.citing, minlength=n).astype(float)
    reference_age = (graph.published_year[graph.citing] - graph.published_year[graph.cited]).clip(0.0)
    mean_age = np.bincount(graph.citing, weights=reference_age, minlength=n) / np.maximum(references, 1.0)
    band = np.digitize(age, _AGE_BAND_YEARS) * 2 + (graph.kind == PATENT)
    band_rate = _group_mean(recent, band)
    field = graph.field.astype(np.int64) + 1
    newest, before = age < 2.0, (age >= 2.0) & (age < 4.0)
    columns = [
        np.log1p(total),
        *(np.log1p(window) for window in windows),
        np.log1p(patents),
        np.log1p(patents_recent),
        np.log1p(age),
        np.minimum(age, 40.0) / 10.0,
        np.exp(-age / 0.5),
        *((graph.kind == kind).astype(float) for kind in range(len(KINDS) - 1)),
        np.log1p(references),
        np.log1p(mean_age),
        np.log1p(_group_mean(recent, field)),
        _log_ratio(_group_sum(newest, field), _group_sum(before, field)),
        np.log1p(band_rate),
        np.log1p(_group_mean(patents_recent.astype(float), band)),
        _log_ratio(recent, band_rate),
        np.full(n, np.log1p(recent.mean() if n else 0.0)),
        np.full(n, _log_ratio(np.array(float(newest.sum())), np.array(float(before.sum())))),
        np.full(n, np.log1p(references[newest].mean() if newest.any() else 0.0)),
    ]
    return np.stack(columns, axis=1) if n else np.zeros((0, len(FEATURES)))


def _group_sum(values: Floats | np.ndarray[tuple[int], np.dtype[np.bool_]], group: Indices) -> Floats:
    """The sum over a work's group, for each work."""
    return np.asarray(np.bincount(group, weights=values.astype(float))[group]) if len(group) else np.zeros(0)


def _group_mean(values: Floats, group: Indices) -> Floats:
    return _group_sum(values, group) / np.maximum(_group_sum(np.ones(len(group)), group), 1.0)


def _log_ratio(above: Floats, below: Floats) -> Floats:
    return np.asarray(np.log((above + 0.5) / (below + 0.5)))
