"""How do we know? What a session's own movies say of a node that advice acts upon, beside what physics foretells.

Of each such node there is at most one witness: something that every movie shows and that the node acts upon. Its
adjusted effect is compared with what the prior foretells of the very same movies. Who has none rests on physics:
rings do not show coma, the beam's convergence never varies in a session, and water that makes ice thicker makes rings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np

from frazil.models.causal import counts, settle
from frazil.models.causal.adjustment import Design, Effect, Observed, Untold, adjusted_effect, comparable
from frazil.models.causal.advice.record import Advice
from frazil.models.causal.bands import Array
from frazil.models.causal.causes import standard_normals
from frazil.models.causal.graph import listed, node_of
from frazil.models.causal.identification import Identification, Way, identify, unmeasured_common_causes
from frazil.models.causal.independence import broken_claim, resting_on
from frazil.models.causal.measured import DISCRETE, LEAST_WAIT_S, Measured, measured
from frazil.models.causal.mechanisms import coincidence_loss
from frazil.models.causal.moved_resolution import CREDIBLE
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.provenance import Experiment, KnownBy, Provenance
from frazil.models.causal.refutation import negative_control, placebo, random_common_cause, robustness_value
from frazil.models.records import MovieEvidence

_CONTROLS = ("counted_electrons", "defocus_target", "steady_drift", "specimen_tilt", "fixed_pattern")
"""Outcomes that may serve as negative controls; the first so many of them that the graph allows:"""
_MOST_CONTROLS = 2


@dataclass(frozen=True, slots=True)
class _Foretold:
    """(H, n) what the prior foretells of each movie's outcome, up to a constant, and the weights (H,)."""

    outcome: Array
    weight: Array


@dataclass(frozen=True, slots=True)
class _Witness:
    """What shows the effect of a node."""

    outcome: str
    contrast: float
    """Change of the treatment that is told of."""
    contrast_words: str
    outcome_words: str
    foretold: Callable[[Sequence[MovieEvidence], PriorSnapshot], _Foretold]


def _foretold_drift(movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> _Foretold:
    """ln of the drift's speed by each way of settling."""
    seconds = [
        (LEAST_WAIT_S if movie.settle_time_s is None else movie.settle_time_s) + settle.middle_of_late_frames_s(movie)
        for movie in movies
    ]
    return _Foretold(
        np.log(np.stack([settle.relative_speed(time_s) for time_s in seconds], axis=1)),
        settle.relative_weights(prior.settle_belief()),
    )


def _foretold_counts(movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> _Foretold:
    """ln of the share of the electrons that the camera's coincidences leave."""
    _, _, ln_g, ln_g_sd = counts.zero_and_loss(prior.count_belief())
    g = np.exp(ln_g + ln_g_sd * standard_normals()[:, 0])
    rate = np.array([counts.arriving_e_per_px_per_s(movie, counts.log_count_ratio(movie)) for movie in movies])
    return _Foretold(-coincidence_loss(g[:, None] * rate[None, :]), np.ones(g.size))


_WITNESSES = {
    "settle_time": _Witness(
        "steady_drift", np.log(2.0), "after twice the settle time", "the stage drifts", _foretold_drift
    ),
    "dose_rate": _Witness(
        "counted_electrons", -np.log(2.0), "at half the dose rate", "electrons are counted", _foretold_counts
    ),
}


def judged(
    advice: Sequence[Advice],
    movies: Sequence[MovieEvidence],
    prior: PriorSnapshot,
    graph: nx.DiGraph,
    experiments: Mapping[str, Experiment] | None = None,
) -> tuple[tuple[Advice, ...], tuple[Advice, ...]]:
    """The advice that stands, with what stands behind it, and that which this session's experiments or movies speak
    against. Parameters are those of `how_known`."""
    known = {
        (node, upwards): how_known(node, movies, prior, graph, experiments, upwards=upwards)
        for node, upwards in {(one.node, one.upwards) for one in advice}
    }
    with_provenance = [replace(one, provenance=known[one.node, one.upwards]) for one in advice]
    stands = tuple(one for one in with_provenance if not one.provenance.contradicted)
    return stands, tuple(one for one in with_provenance if one.provenance.contradicted)


_UPWARDS = {"settle_time": True, "dose_rate": False}
"""Where advice to act on a node leads where nothing else is said: to wait longer, to lower the dose rate."""


def how_known(
    node: str,
    movies: Sequence[MovieEvidence],
    prior: PriorSnapshot,
    graph: nx.DiGraph,
    experiments: Mapping[str, Experiment] | None = None,
    *,
    upwards: bool | None = None,
) -> Provenance:
    """What stands behind advice to act on a node.

    Parameters
    ----------
    movies:
        The newest ones since the last change, rejected ones too, with their settle times.
    experiments:
        What decided experiments of the session say, by node.
    upwards:
        Whether the advice is to have more of it; None: as is usual (`_UPWARDS`).
    """
    table = measured(movies)
    upwards = _UPWARDS.get(node) if upwards is None else upwards
    experiment = (experiments or {}).get(node)
    if experiment is not None and node in _UPWARDS and upwards is not None and node in table.known():
        pays = experiment.says_of(float(np.exp(np.nanmedian(table.columns[node]))), upwards=upwards)
        if pays is not None:
            return Provenance(KnownBy.MEASURED, experiment.sentence, contradicted=not pays)
    broken = resting_on(graph, node, prior.independence.failed)
    if broken:
        why = "; ".join(broken_claim(graph, name) for name in broken)
        return Provenance(KnownBy.PHYSICS, f"what it rests on does not hold: {why}", contradicted=True)
    witness = _WITNESSES.get(node)
    if witness is None:
        return _physics("no number that every movie has shows its effect")
    known = table.known()
    if not {node, witness.outcome} <= known:
        missing = next(name for name in (node, witness.outcome) if name not in known)
        return _physics(f"no movie says its {node_of(graph, missing).words}")
    found = identify(graph, node, witness.outcome, known)
    if found.way is not Way.BACK_DOOR:
        hidden = [node_of(graph, name).words for name in unmeasured_common_causes(graph, node, witness.outcome, known)]
        both = "acts on both and is not measured" if len(hidden) < 2 else "act on both and are not measured"
        apart = f"{listed(hidden)}, which {both}" if hidden else f"what {both}"
        return _physics(f"what {node_of(graph, node).words} does cannot be told apart from {apart}")
    observed = observed_of(table, found)
    effect = adjusted_effect(observed)
    held = tuple(node_of(graph, name).words for name in found.nodes)
    if isinstance(effect, Untold):
        return _physics(f"{_subject(graph, node)}: {effect.reason}{_fixed(held)}; {_FITTED}")
    foretold = _foretold_interval(witness, observed, movies, prior)
    return _judged(witness, observed, effect, foretold, _Held(graph, table, found, upwards == _UPWARDS[node]))


@dataclass(frozen=True, slots=True)
class _Held:
    """By what the effect was identified."""

    graph: nx.DiGraph
    table: Measured
    found: Identification
    as_usual: bool
    """Whether the advice leads where the effect is wanted; else an effect that is larger than foretold speaks against
    it."""

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(node_of(self.graph, name).words for name in self.found.nodes)


def observed_of(table: Measured, found: Identification) -> Observed:
    """The columns that an identified effect is told from."""
    return Observed(
        table.columns[found.treatment],
        table.columns[found.outcome],
        strata={name: table.columns[name] for name in found.nodes if name in DISCRETE},
        levels={name: table.columns[name] for name in found.nodes if name not in DISCRETE},
        stops=table.stops,
    )


def _judged(
    witness: _Witness, observed: Observed, effect: Effect, foretold: tuple[float, float, float], held: _Held
) -> Provenance:
    """An effect that could be told, after every attempt to refute it. `foretold`: mean, low and high of the slope."""
    refuters = (placebo(observed), negative_control(_controls(held)), random_common_cause(observed, effect))
    mean, low, high = foretold
    passed = all(refuter.passed for refuter in refuters)
    weaker = effect.low > high if mean < 0 else effect.high < low
    stronger = effect.high < low if mean < 0 else effect.low > high
    against = (weaker and _could_tell(effect, mean)) if held.as_usual else stronger
    said = (
        f"{witness.contrast_words} {witness.outcome_words} {_factors(witness, effect.slope, effect.low, effect.high)} "
        f"in {effect.movies} movies{_alike(held.words)}, physics says some x{np.exp(witness.contrast * mean):.2f}"
    )
    value = robustness_value(effect)
    rest = (held.found.nodes, refuters, value)
    if not passed:
        why = "; ".join(refuter.words for refuter in refuters if not refuter.passed)
        return Provenance(KnownBy.PHYSICS, f"physics alone: what the movies show does not stand ({said}): {why}", *rest)
    if against:
        return Provenance(KnownBy.ADJUSTED, f"the movies speak against it: {said}", *rest, contradicted=True)
    if not effect.is_sure or effect.slope * mean <= 0.0:
        return Provenance(KnownBy.PHYSICS, f"physics alone: the movies do not tell yet ({said}); {_FITTED}", *rest)
    return Provenance(
        KnownBy.ADJUSTED,
        f"{said}; doubtful only if a hidden cause explained {100 * value:.0f} % of what is left of both",
        *rest,
    )


def _could_tell(effect: Effect, foretold: float) -> bool:
    """Whether these movies tell the foretold effect from none at all: an interval wider than that lies beside the
    foretold one by the accident of a few stops, and speaks against nothing."""
    return (effect.high - effect.low) / 2 <= abs(foretold)


def _controls(held: _Held) -> dict[str, Observed]:
    """By their words, measured outcomes that the treatment cannot touch."""
    controls: dict[str, Observed] = {}
    known, treatment = held.table.known(), held.found.treatment
    for name in _CONTROLS:
        if len(controls) == _MOST_CONTROLS or name not in known or name in (treatment, held.found.outcome):
            continue
        found = identify(held.graph, treatment, name, known)
        if found.way is Way.NO_EFFECT:
            controls[node_of(held.graph, name).words] = observed_of(held.table, found)
    return controls


def _foretold_interval(
    witness: _Witness, observed: Observed, movies: Sequence[MovieEvidence], prior: PriorSnapshot
) -> tuple[float, float, float]:
    """Mean and 95 % interval of the slope that the same regression would find in what the prior foretells."""
    design = comparable(observed)
    assert isinstance(design, Design), "an effect that was told has a design"
    foretold = witness.foretold(movies, prior)
    left = design.left(design.treatment)
    slope = foretold.outcome[:, design.rows] @ left / float(left @ left)
    order = np.argsort(slope)
    share = np.cumsum(foretold.weight[order]) / foretold.weight.sum()
    low, high = (float(slope[order][min(int(np.searchsorted(share, q)), slope.size - 1)]) for q in CREDIBLE)
    return float(np.average(slope, weights=foretold.weight)), low, high


_FITTED = "physics was fitted to the same movies, an experiment would tell (`frazil experiment plan`)"
"""A law that was learnt from confounded movies is as confounded as they are: a person has to know."""


def _physics(why: str) -> Provenance:
    return Provenance(KnownBy.PHYSICS, f"physics alone: {why}")


def _factors(witness: _Witness, slope: float, low: float, high: float) -> str:
    """ "x0.71 (x0.55-0.92)": what the contrast does to an outcome that is a logarithm."""
    ends = sorted(np.exp(witness.contrast * np.array([low, high])))
    return f"x{np.exp(witness.contrast * slope):.2f} (x{ends[0]:.2f}-{ends[1]:.2f})"


def _alike(held: Sequence[str]) -> str:
    return f" alike in {listed(held)}" if held else ""


def _fixed(held: Sequence[str]) -> str:
    return f" (held fixed: {listed(held)})" if held else ""


def _subject(graph: nx.DiGraph, node: str) -> str:
    return f"what {node_of(graph, node).words} does cannot be told from this session"
