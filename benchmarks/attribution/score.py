"""How right attributed losses are, given the true ones: errors, ranks, coverage, and whether the cause is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Array = NDArray[Any]

AT_ANGSTROM = (8.0, 5.0, 4.0)
NAMED_AT_ANGSTROM = 5.0
VARIES = 0.3
UNCORRECTED = "motion_uncorrected"
"""What alignment has undone: attributed, and no cause of anything any more."""
CAP = 3.0
"""Beyond it an average over coma or heights has no signal left to speak of: both sides are cut here."""
LEAST_EXCESS, LEAST_RATIO = 0.25, 2.0
"""A movie has one dominant cause if it costs that much more than in a typical movie, and twice as much as the next."""
CLEAR_EXCESS = 0.4
"""Well beyond that line: what a person would want to be told."""
PLANTED = {
    "drift_burst": "motion",
    "thick_ice": "ice",
    "coma": "aberrations",
    "coincidence": "coincidence",
    "defocus_spread": "defocus_spread",
}


_ROOTS = {"defocus_spread": "ice"}
"""In these sessions heights spread because the ice is thick, and for no other reason: both are the ice's."""


@dataclass(frozen=True, slots=True)
class Attributed:
    """Arrays are (movies, frequencies)."""

    frequency_per_angstrom: Array
    factors: tuple[str, ...]
    """That make up the total."""
    beside: tuple[str, ...]
    truth: dict[str, Array]
    loss: dict[str, Array]
    sd: dict[str, Array]
    planted: list[str | None]
    said: list[str] | None = None
    """The cause that frazil itself names for each movie, where it does; empty: nothing stands out."""


def score(found: Attributed) -> dict[str, Any]:
    """All figures of one session."""
    places = [int(np.argmin(np.abs(found.frequency_per_angstrom - 1 / d))) for d in AT_ANGSTROM]
    factors: dict[str, Any] = {}
    for name in (*found.factors, *found.beside):
        if name not in found.loss:
            factors[name] = None
            continue
        factors[name] = {
            f"{d:g}": _one(found.truth[name][:, at], found.loss[name][:, at], found.sd[name][:, at])
            for d, at in zip(AT_ANGSTROM, places, strict=True)
        }
    inside: dict[str, Any] = {}
    for d, at in zip(AT_ANGSTROM, places, strict=True):
        within = [
            np.abs(found.loss[n][:, at] - found.truth[n][:, at]) / np.maximum(found.sd[n][:, at], 1e-6)
            for n in (*found.factors, *found.beside)
            if n in found.loss
        ]
        inside[f"{d:g}"] = _coverage(np.concatenate(within))
    return {
        "movies": len(found.planted),
        "factors": factors,
        "coverage": inside,
        "total": {f"{d:g}": _total(found, at) for d, at in zip(AT_ANGSTROM, places, strict=True)},
        "named": named(found),
    }


def _one(truth: Array, loss: Array, sd: Array) -> dict[str, Any]:
    capped, true = np.minimum(loss, CAP), np.minimum(truth, CAP)
    error = capped - true
    varies = float(np.ptp(np.percentile(true, (2.5, 97.5))))
    rank = float(spearmanr(true, capped).statistic) if varies > VARIES and np.ptp(capped) > 0 else None
    return {
        "truth_median": float(np.median(truth)),
        "truth_varies": varies,
        "error_median": float(np.median(np.abs(error))),
        "bias": float(np.median(error)),
        "spearman": rank if varies <= VARIES or rank is not None else 0.0,
        "sd_median": float(np.median(sd)),
        **_coverage(np.abs(loss - truth) / np.maximum(sd, 1e-6)),
    }


def _coverage(ratio: Array) -> dict[str, float]:
    return {"cover_68": float((ratio <= 1.0).mean()), "cover_95": float((ratio <= 1.96).mean())}


def _total(found: Attributed, at: int) -> dict[str, float]:
    """Of the modelled factors; what frazil calls unexplained is told beside."""
    truth = np.sum([found.truth[name][:, at] for name in found.factors], axis=0)
    loss = np.sum([found.loss[name][:, at] for name in found.factors if name in found.loss], axis=0)
    unexplained = found.loss.get("unexplained")
    error = (loss - truth) / truth
    return {
        "truth_median": float(np.median(truth)),
        "relative_error_median": float(np.median(np.abs(error))),
        "relative_bias": float(np.median(error)),
        "within_15_percent": float((np.abs(error) <= 0.15).mean()),
        "unexplained_median": 0.0 if unexplained is None else float(np.median(unexplained[:, at])),
    }


def first_cause(losses: dict[str, Array], at: int, names: tuple[str, ...]) -> tuple[list[str], Array, Array]:
    """By movie: the root cause whose loss exceeds the session's typical one most, this excess, and the next one's."""
    present = [name for name in names if name in losses and name not in _ROOTS]
    by_root = {name: losses[name][:, at] for name in present}
    for factor, root in _ROOTS.items():
        if factor in losses:
            by_root[root] = by_root[root] + losses[factor][:, at]
    excess = np.stack([by_root[name] - np.median(by_root[name]) for name in present], axis=1)
    order = np.argsort(-excess, axis=1)
    best = [present[index] for index in order[:, 0]]
    ranked = -np.sort(-excess, axis=1)
    return best, ranked[:, 0], ranked[:, 1]


def dominant(found: Attributed) -> tuple[list[str], Array, Array]:
    """By movie, by the truth: the first cause, what it costs more than usual, and whether it is the dominant one."""
    at = int(np.argmin(np.abs(found.frequency_per_angstrom - 1 / NAMED_AT_ANGSTROM)))
    names = tuple(name for name in (*found.factors, *found.beside) if name != UNCORRECTED)
    first, most, next_most = first_cause(found.truth, at, names)
    return first, most, (most > LEAST_EXCESS) & (most > LEAST_RATIO * np.maximum(next_most, 0.05))


def named(found: Attributed) -> dict[str, Any]:
    """Whether the cause is named first, of movies with one dominant cause by the truth."""
    at = int(np.argmin(np.abs(found.frequency_per_angstrom - 1 / NAMED_AT_ANGSTROM)))
    names = tuple(name for name in (*found.factors, *found.beside) if name != UNCORRECTED)
    true, most, clear = dominant(found)
    said, _, _ = first_cause(found.loss, at, (*names, "unexplained"))
    by_factor: dict[str, list[int]] = {}
    wrong = []
    for index in np.flatnonzero(clear):
        right = said[index] == true[index]
        tally = by_factor.setdefault(true[index], [0, 0])
        tally[0] += right
        tally[1] += 1
        if not right:
            own_word = None if found.said is None else found.said[index]
            wrong.append({"movie": int(index), "true": true[index], "named": said[index], "own_word": own_word})
    planted = [
        said[index] == true[index]
        for index, cause in enumerate(found.planted)
        if cause is not None and clear[index] and true[index] == _ROOTS.get(PLANTED[cause], PLANTED[cause])
    ]
    own = None
    if found.said is not None:
        own = [_ROOTS.get(found.said[i], found.said[i]) == _ROOTS.get(true[i], true[i]) for i in np.flatnonzero(clear)]
    plain = np.flatnonzero(clear & (most > CLEAR_EXCESS))
    words: dict[str, dict[str, int]] = {}
    if found.said is not None:
        for index in np.flatnonzero(clear):
            tally_of_words = words.setdefault(true[index], {})
            word = found.said[index] or "none"
            tally_of_words[word] = tally_of_words.get(word, 0) + 1
    return {
        "own_words": words,
        "own_words_right": None if not own else float(np.mean(own)),
        "own_words_elsewhere": None if found.said is None else sum(bool(found.said[i]) for i in np.flatnonzero(~clear)),
        "movies_with_one_cause": int(clear.sum()),
        "movies_with_a_clear_one": int(plain.size),
        "own_words_right_of_clear": None
        if found.said is None
        else sum(_ROOTS.get(found.said[i], found.said[i]) == true[i] for i in plain),
        "share_named_first": float(np.mean([true[i] == said[i] for i in np.flatnonzero(clear)]))
        if clear.any()
        else None,
        "by_factor": by_factor,
        "planted": len(planted),
        "planted_named_first": sum(planted),
        "wrong": wrong,
    }


def table(figures: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{figures['movies']} movies, CTF reliable in {figures.get('ctf_reliable', '?')}"]
    lines.append(
        f"{'factor':20} {'A':>3} {'truth':>6} {'varies':>6} {'|err|':>6} {'bias':>6} {'rho':>6} {'sd':>5} 68 % 95 %"
    )
    for name, at in figures["factors"].items():
        if at is None:
            lines.append(f"{name:20} not attributed")
            continue
        for d, one in at.items():
            rank = "" if one["spearman"] is None else f"{one['spearman']:6.2f}"
            lines.append(
                f"{name:20} {d:>3} {one['truth_median']:6.2f} {one['truth_varies']:6.2f} {one['error_median']:6.2f} "
                f"{one['bias']:6.2f} {rank:>6} {one['sd_median']:5.2f} {one['cover_68']:4.0%} {one['cover_95']:4.0%}"
            )
    for d, one in figures["total"].items():
        inside = figures["coverage"][d]
        lines.append(
            f"total at {d} A: {one['truth_median']:.2f}, relative error {one['relative_error_median']:.1%} (bias "
            f"{one['relative_bias']:+.1%}), within 15 % in {one['within_15_percent']:.0%}; unexplained "
            f"{one['unexplained_median']:.2f}; all factors covered {inside['cover_68']:.0%} / {inside['cover_95']:.0%}"
        )
    one = figures["named"]
    share = "-" if one["share_named_first"] is None else f"{one['share_named_first']:.0%}"
    lines.append(f"one dominant cause in {one['movies_with_one_cause']} movies: named first {share} {one['by_factor']}")
    if one["own_words_right"] is not None:
        lines.append(
            f"frazil's own word for it: right in {one['own_words_right']:.0%}; of the other movies it names a cause in "
            f"{one['own_words_elsewhere']}; true cause: its words {one['own_words']}"
        )
    if one["planted"]:
        lines.append(f"planted and dominant: named first {one['planted_named_first']} of {one['planted']}")
    for wrong in one["wrong"]:
        lines.append(f"  movie {wrong['movie']}: {wrong['true']}, named {wrong['named']}, own word {wrong['own_word']}")
    if "change_point" in figures:
        lines.append(f"change point {figures['change_point']}")
    return "\n".join(lines)
