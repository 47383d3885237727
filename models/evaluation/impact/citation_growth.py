"""A synthetic citation graph from a known process, for training and for checks with a known future.

A work is cited at a rate

    fitness * (citations so far + m) * lognormal density of its age

(Wang, Song & Barabasi 2013, Science 342, 127), times how much is written where it is read. What is written follows
topics: each field has a few, their popularity wanders from year to year, a new work belongs to one and mostly cites
its own. Topics are not in the graph; fitness is handed on in part from what a work cites to itself. So a work's
neighbours say something of its future that its own record does not. Patents cite less, later, and mostly articles of
applied topics; data sets are cited and hardly cite.

No part of it is fitted to real citations; its parameters are drawn anew for every graph, over ranges meant to be wider
than what one field of science shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frazil.models.evaluation.impact.citation_graph import ARTICLE, DATASET, PATENT, CitationGraph, Floats, Indices

STEP_YEARS = 0.25
_FIRST_YEAR = 1998.0


@dataclass(frozen=True, slots=True)
class GrowthParameters:
    """Of one graph."""

    years: float
    works_per_year: float
    """In the first year."""
    growth_per_year: float
    """Logarithmic growth of what is published."""
    references_mean: float
    references_size: float
    """Size of their negative binomial; small: uneven."""
    offset: float
    """m: attractiveness before the first citation, in citations."""
    attachment_exponent: float
    """Of (citations + m); 1: linear preferential attachment."""
    fitness_log_sd: float
    fitness_inherited: float
    """Correlation of a work's log fitness with the mean of what it cites."""
    ageing_log_years_mean: tuple[float, ...]
    """One for each field; mean of ln(age / year) at which a work is cited."""
    ageing_log_sd: tuple[float, ...]
    topics_per_field: int
    topic_heat_sd: float
    """Of ln popularity."""
    topic_heat_memory_years: float
    own_topic_share: float
    """Of references that stay in the topic."""
    own_field_share: float
    """Of the others: those that stay in the field."""
    patent_share: float
    dataset_share: float
    patent_delay_log: float
    """Added to the mean of ln age for citations by patents."""

    @property
    def fields(self) -> int:
        return len(self.ageing_log_years_mean)


def draw_parameters(rng: np.random.Generator) -> GrowthParameters:
    """Parameters of one graph: 1,500 to 5,000 works of 26 years."""
    fields = int(rng.integers(2, 7))
    growth = float(rng.uniform(0.0, 0.09))
    works = float(rng.uniform(1500, 5000))
    years = 26.0
    return GrowthParameters(
        years=years,
        works_per_year=works * growth / math.expm1(growth * years) if growth > 1e-3 else works / years,
        growth_per_year=growth,
        references_mean=float(np.exp(rng.uniform(math.log(5.0), math.log(25.0)))),
        references_size=float(rng.uniform(2.0, 8.0)),
        offset=float(np.exp(rng.uniform(math.log(2.0), math.log(20.0)))),
        attachment_exponent=float(rng.uniform(0.85, 1.05)),
        fitness_log_sd=float(rng.uniform(0.4, 1.1)),
        fitness_inherited=float(rng.uniform(0.0, 0.7)),
        ageing_log_years_mean=tuple(rng.uniform(math.log(2.0), math.log(10.0), fields).tolist()),
        ageing_log_sd=tuple(rng.uniform(0.6, 1.2, fields).tolist()),
        topics_per_field=int(rng.integers(2, 7)),
        topic_heat_sd=float(rng.uniform(0.3, 1.2)),
        topic_heat_memory_years=float(rng.uniform(3.0, 15.0)),
        own_topic_share=float(rng.uniform(0.5, 0.9)),
        own_field_share=float(rng.uniform(0.5, 0.9)),
        patent_share=float(rng.uniform(0.03, 0.2)),
        dataset_share=float(rng.uniform(0.0, 0.1)),
        patent_delay_log=float(rng.uniform(0.1, 0.7)),
    )


def grow(parameters: GrowthParameters, rng: np.random.Generator) -> CitationGraph:
    """One graph from 1998 on; the same generator state gives the same graph."""
    p = parameters
    topics = p.fields * p.topics_per_field
    memory = math.exp(-STEP_YEARS / p.topic_heat_memory_years)
    heat = p.topic_heat_sd * rng.standard_normal(topics)
    applied = rng.random(topics) ** 2
    expected = p.works_per_year * math.exp(p.growth_per_year * p.years) / max(p.growth_per_year, 1 / p.years)
    room = int(1.5 * expected) + 1000
    published, topic, kind = np.zeros(room), np.zeros(room, np.int64), np.zeros(room, np.int8)
    fitness_z, citations = np.zeros(room), np.zeros(room)
    citing: list[Indices] = []
    cited: list[Indices] = []
    n = 0
    for step in range(round(p.years / STEP_YEARS)):
        now = step * STEP_YEARS
        heat = memory * heat + math.sqrt(1 - memory**2) * p.topic_heat_sd * rng.standard_normal(topics)
        count = int(rng.poisson(p.works_per_year * STEP_YEARS * math.exp(p.growth_per_year * now)))
        count = min(count, room - n)
        if count == 0:
            continue
        kinds, topics_new = _draw_works(count, heat, applied, p, rng)
        patents = kinds == PATENT
        new = np.arange(n, n + count)
        mean = p.references_mean * np.where(patents, 0.5, np.where(kinds == DATASET, 0.2, 1.0))
        references = rng.negative_binomial(p.references_size, p.references_size / (p.references_size + mean))
        if n:
            old = slice(0, n)
            pull = np.exp(p.fitness_log_sd * fitness_z[old]) * (citations[old] + p.offset) ** p.attachment_exponent
            field = topic[old] // p.topics_per_field
            age = now + 0.5 * STEP_YEARS - published[old]
            from_articles = pull * _ageing(age, field, p, 0.0)
            from_patents = pull * _ageing(age, field, p, p.patent_delay_log) * (kind[old] != PATENT)
            sources, targets = _draw_references(
                new, topics_new, references, patents, from_articles, from_patents, topic[old], p, rng
            )
            citing.append(sources)
            cited.append(targets)
            citations[:n] += np.bincount(targets, minlength=n)
            inherited = _inherited(sources - n, fitness_z[targets], count)
        else:
            inherited = np.zeros(count)
        share = p.fitness_inherited
        fitness_z[new] = share * inherited + math.sqrt(1 - share**2) * rng.standard_normal(count)
        published[new] = now + STEP_YEARS * rng.random(count)
        topic[new], kind[new] = topics_new, kinds
        n += count
    return CitationGraph(
        tuple(f"W{number}" for number in range(n)),
        _FIRST_YEAR + published[:n],
        kind[:n].copy(),
        (topic[:n] // p.topics_per_field).astype(np.int32),
        tuple(f"field {number}" for number in range(p.fields)),
        np.concatenate(citing) if citing else np.zeros(0, np.int64),
        np.concatenate(cited) if cited else np.zeros(0, np.int64),
        _FIRST_YEAR + p.years,
    )


def _draw_works(
    count: int, heat: Floats, applied: Floats, p: GrowthParameters, rng: np.random.Generator
) -> tuple[NDArray[np.int8], Indices]:
    """(count,) kinds and topics of new works; `heat`, `applied`: of each topic, patents prefer the applied ones."""
    kinds = rng.choice(
        [ARTICLE, PATENT, DATASET],
        count,
        p=[1 - p.patent_share - p.dataset_share, p.patent_share, p.dataset_share],
    ).astype(np.int8)
    popularity = np.exp(heat)
    topics = rng.choice(len(heat), count, p=popularity / popularity.sum())
    patents = kinds == PATENT
    wanted = popularity * applied
    topics[patents] = rng.choice(len(heat), int(patents.sum()), p=wanted / wanted.sum())
    return kinds, topics


def synthetic_graph(seed: int) -> CitationGraph:
    """A graph with parameters of its own."""
    rng = np.random.default_rng([seed, 77])
    return grow(draw_parameters(rng), rng)


def _inherited(citing: Indices, fitness_z: Floats, count: int) -> Floats:
    """Mean fitness of what each of `count` new works cites, standardised among them; 0 for those that cite nothing."""
    named = np.bincount(citing, minlength=count)
    mean = np.bincount(citing, weights=fitness_z, minlength=count) / np.maximum(named, 1)
    some = named > 0
    spread = float(mean[some].std()) if np.count_nonzero(some) > 2 else 0.0
    return np.where(some, (mean - mean[some].mean()) / spread, 0.0) if spread > 0 else np.zeros(count)


def _ageing(age_years: Floats, field: Indices, p: GrowthParameters, delay_log: float) -> Floats:
    """Lognormal density of the age, by the cited work's field; relative."""
    mean = np.asarray(p.ageing_log_years_mean)[field] + delay_log
    sd = np.asarray(p.ageing_log_sd)[field]
    log_age = np.log(np.maximum(age_years, 0.5 * STEP_YEARS))
    return np.asarray(np.exp(-0.5 * ((log_age - mean) / sd) ** 2 - log_age) / sd)


def _draw_references(
    new: Indices,
    topics_new: Indices,
    references: Indices,
    patents: NDArray[np.bool_],
    from_articles: Floats,
    from_patents: Floats,
    topic: Indices,
    p: GrowthParameters,
    rng: np.random.Generator,
) -> tuple[Indices, Indices]:
    """Citing and cited of one step, each pair once: references go to the own topic, the own field, or anywhere."""
    share = [p.own_topic_share, (1 - p.own_topic_share) * p.own_field_share]
    split = rng.multinomial(references, [*share, 1 - sum(share)])
    field = topic // p.topics_per_field
    sources: list[Indices] = []
    targets: list[Indices] = []
    for by_patents, weight in ((False, from_articles), (True, from_patents)):
        chosen = patents == by_patents
        for reach, where, home in (
            (0, topic, topics_new),
            (1, field, topics_new // p.topics_per_field),
            (2, np.zeros_like(topic), np.zeros_like(topics_new)),
        ):
            for group in np.unique(home[chosen]):
                members = np.flatnonzero(chosen & (home == group))
                there = np.flatnonzero(where == group)
                total = np.cumsum(weight[there])
                count = split[members, reach]
                if not len(there) or not total[-1] > 0 or not count.sum():
                    continue
                drawn = np.searchsorted(total, rng.random(int(count.sum())) * total[-1], side="right")
                sources.append(np.repeat(new[members], count))
                targets.append(there[np.minimum(drawn, len(there) - 1)])
    if not sources:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    pairs = np.unique(np.stack([np.concatenate(sources), np.concatenate(targets)], 1), axis=0)
    return pairs[:, 0], pairs[:, 1]
