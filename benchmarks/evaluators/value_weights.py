"""Does V with learned weights rank sessions by the true quality of their maps? Learns the weights that ship.

    ./run bench value_weights [--learning 40] [--held-out 40] [--structures DIR] [--trials 120] [--json OUT]
        [--write FILE] [--sessions FILE]

Claim: on 40 simulated sessions that were not used for learning (other structures, other seeds) V with learned weights
has a Spearman correlation with the true quality of at least 0.8, and a higher one than V with equal weights and than
each term alone. Sessions: `value_sessions.py`; true quality: the frequency at which FSC of the map with the true
potential falls below 0.5. Learning: Bayesian optimisation (Optuna's Gaussian process, expected improvement) of the mean
Spearman correlation over five folds of the learning sessions, each with one fifth left out; then the same inside of
each fold, to see what learning promises where it has not looked. Printed too: regression of quality on the terms, and
of what was achieved on the weights, over all trials.

`--write` writes the weights as they ship (models/evaluation/value/value_weights.json); `--sessions` keeps the sessions'
figures, and takes them from there the next time. Needs optuna (`pip install frazil[dev]`).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from benchmarks.evaluators import value_sessions
from frazil.models.evaluation.impact import evaluator as impact
from frazil.models.evaluation.impact.citation_growth import synthetic_graph
from frazil.models.evaluation.impact.weights import shipped_network
from frazil.models.evaluation.novelty.reference_index import ReferenceIndex
from frazil.models.evaluation.value import hyperscore
from frazil.models.evaluation.value.hyperscore import EQUAL_WEIGHTS
from frazil.models.evaluation.value.term_weights import LEAST_WEIGHT
from frazil.models.evaluation.verdict import Verdict

TERMS = tuple(EQUAL_WEIGHTS)
LEARNING = ("3j9i", "3cf3", "1qvr", "4v4r", "1igy", "2nwl", "5a1a")
HELD_OUT = ("1mnf", "1aon", "1bxn", "4v1w", "6z6u", "1u19", "1ihm")
_HELD_OUT_SEED = 20_001
"""From 10,001 on were held out once, before the present severities and search were settled, and are spent."""
_FOLDS = 5
_WORKS = 8
"""Works of a set's citation graph that sessions are given."""
Rows = Sequence[Mapping[str, Any]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learning", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=40)
    parser.add_argument("--structures", type=Path, default=Path(os.environ.get("FRAZIL_STRUCTURES", "structures")))
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held-out-seed", type=int, default=_HELD_OUT_SEED)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--sessions", type=Path)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    begun_s = _cpu_s()
    learning = kept(
        given.sessions,
        "learning",
        lambda: made(given.structures, LEARNING, given.learning, given.seed, given.processes),
    )
    print(f"{len(learning)} learning sessions, {_cpu_s() - begun_s:.0f} CPU s")
    trials = optimised(learning, given.trials, given.seed)
    weights = best(trials)
    inner = cross_validated(learning, given.trials // 2, given.seed)
    record: dict[str, Any] = {
        "weights": weights,
        "learning": compared(learning, weights),
        "cross_validated_spearman": inner,
        "trials": len(trials),
        "regression_of_quality_on_terms": regression(learning),
        "regression_of_achieved_on_weights": trial_regression(trials),
    }
    told("learning", record["learning"])
    print(f"  inside of each fold, on what it had left out: {inner:.3f}")
    print("weights: " + ", ".join(f"{name} {weight:.3f}" for name, weight in weights.items()))
    told_regression("true quality on the terms (learning)", record["regression_of_quality_on_terms"])
    told_regression("achieved Spearman on the weights (trials)", record["regression_of_achieved_on_weights"])
    if given.held_out:
        begun_s = _cpu_s()
        others = kept(
            given.sessions,
            "held out",
            lambda: made(given.structures, HELD_OUT, given.held_out, given.held_out_seed, given.processes),
        )
        print(f"{len(others)} held-out sessions, {_cpu_s() - begun_s:.0f} CPU s")
        record["held_out"] = compared(others, weights)
        record["regression_of_quality_on_terms_held_out"] = regression(others)
        told("held out", record["held_out"])
        told_regression("true quality on the terms (held out)", record["regression_of_quality_on_terms_held_out"])
        record["sessions"] = {"learning": list(learning), "held_out": list(others)}
    if given.write is not None:
        given.write.write_text(json.dumps(shipped(record, given.learning), indent=1) + "\n")
    if given.json is not None:
        given.json.write_text(json.dumps(record, indent=1) + "\n")
    return 0


# --- sessions --------------------------------------------------------------------------------------------------------


def _cpu_s() -> float:
    """Of this process and those that it has ended."""
    return sum(os.times()[:4])


def kept(file: Path | None, name: str, make: Any) -> Rows:
    known = json.loads(file.read_text()) if file is not None and file.exists() else {}
    if name not in known:
        known[name] = make()
        if file is not None:
            file.write_text(json.dumps(known))
    rows: Rows = known[name]
    return rows


def made(folder: Path, names: tuple[str, ...], count: int, seed: int, processes: int) -> list[dict[str, Any]]:
    """Sessions in numbers: truth, verdicts and parts. No number of the truth is among those that V is made of."""
    paths = value_sessions.structures(folder, names)
    works = forecasts(seed)
    rows = []
    with tempfile.TemporaryDirectory() as work, multiprocessing.get_context("spawn").Pool(processes) as pool:
        for without in (None, *paths):
            references(folder, Path(work), without)
        jobs = [(draw, path, works, folder, Path(work)) for draw, path in value_sessions.sessions(paths, count, seed)]
        for one in pool.imap(_one, jobs):
            rows.append(one)
            print(line(one), flush=True)
    return rows


def _one(job: tuple[value_sessions.Draw, Path, list[Verdict], Path, Path]) -> dict[str, Any]:
    draw, path, works, folder, work = job
    torch.set_num_threads(1)
    rng = np.random.default_rng([draw.seed, 11])
    chosen = works[int(rng.integers(len(works)))]
    known = references(folder, work, None if rng.uniform() < 0.5 else path)
    return row(value_sessions.judged(draw, path, impact=chosen, references=known))


def references(folder: Path, work: Path, without: Path | None) -> ReferenceIndex:
    """All structures of the folder, but for one: a session of something new."""
    chosen = work / ("all" if without is None else f"without-{without.name.split('.')[0]}")
    if not chosen.exists():
        chosen.mkdir()
        for path in folder.iterdir():
            if path != without and path.name.endswith((".gz", ".pdb", ".cif")):
                (chosen / path.name).symlink_to(path)
    index = ReferenceIndex(chosen, work / "shapes")
    while index.pending:
        index.describe()
    return index


def forecasts(seed: int) -> list[Verdict]:
    """Of some works of a synthetic citation graph; which of them a session has says nothing about its map."""
    device = torch.device("cpu")
    graph, network = synthetic_graph(seed), shipped_network(device)
    chosen = np.random.default_rng(seed).choice(len(graph), _WORKS, replace=False)
    return [
        impact.forecast(graph, impact.ImpactRequest(graph.work_ids[int(one)], ()), network, device) for one in chosen
    ]


def row(judged: value_sessions.Judged) -> dict[str, Any]:
    draw = judged.draw
    said = judged.verdicts
    return {
        "structure": draw.structure,
        "seed": draw.seed,
        "particles": draw.particles,
        "faults": draw.faults,
        "truth_per_angstrom": judged.truth_per_angstrom,
        "truth_fsc": judged.truth_fsc,
        "claimed_angstrom": judged.claimed_angstrom,
        "verdicts": {name: said[name].verdict for name in TERMS},
        "parts": {name: dict(said[name].evidence.get("parts", {})) for name in ("reproducibility", "meta")},  # type: ignore[arg-type]
    }


def line(one: Mapping[str, Any]) -> str:
    true = 1 / one["truth_per_angstrom"] if one["truth_per_angstrom"] else math.inf
    said = " ".join(
        f"{name[:5]} {'  - ' if value is None else f'{value:4.2f}'}" for name, value in one["verdicts"].items()
    )
    claim = one["claimed_angstrom"] or math.inf
    return (
        f"  {one['structure'][:14]:14} {one['particles']:5d} particles  true {true:5.1f} A  claimed {claim:5.1f} A  "
        f"{said}  {', '.join(one['faults'])}"
    )


# --- V and how it ranks ----------------------------------------------------------------------------------------------


def value(one: Mapping[str, Any], weights: Mapping[str, float]) -> float:
    """As the panel makes it: undefined terms left out."""
    found = hyperscore.value([Verdict(name, verdict) for name, verdict in one["verdicts"].items()], weights).verdict
    return math.nan if found is None else found


def spearman(rows: Rows, scores: NDArray[Any]) -> float:
    truth = np.array([one["truth_per_angstrom"] for one in rows])
    known = np.isfinite(scores)
    if known.sum() < 4 or np.ptp(scores[known]) == 0:
        return 0.0
    return float(stats.spearmanr(scores[known], truth[known]).statistic)


def values(rows: Rows, weights: Mapping[str, float]) -> NDArray[Any]:
    return np.array([value(one, weights) for one in rows])


def alone(rows: Rows, name: str) -> NDArray[Any]:
    return np.array([math.nan if one["verdicts"][name] is None else one["verdicts"][name] for one in rows])


def compared(rows: Rows, weights: Mapping[str, float]) -> dict[str, Any]:
    """Spearman correlations with the truth and their 95 % bootstrap intervals; how often, over the same draws, learned
    weights win."""
    scores = {"learned": values(rows, weights), "equal": values(rows, EQUAL_WEIGHTS)}
    scores |= {name: alone(rows, name) for name in TERMS}
    claimed = np.array([0.0 if one["claimed_angstrom"] is None else 1 / one["claimed_angstrom"] for one in rows])
    scores["claimed resolution (no term)"] = claimed
    rng = np.random.default_rng(3)
    draws = [rng.integers(len(rows), size=len(rows)) for _ in range(1000)]
    over = {
        name: np.array([spearman([rows[i] for i in draw], score[draw]) for draw in draws])
        for name, score in scores.items()
    }
    found: dict[str, Any] = {}
    for name, score in scores.items():
        known = np.isfinite(score)
        subset = [one for one, there in zip(rows, known, strict=True) if there]
        found[name] = {
            "spearman": spearman(rows, score),
            "interval_95": np.percentile(over[name], (2.5, 97.5)).tolist(),
            "sessions": int(known.sum()),
            "learned_on_the_same": spearman(subset, scores["learned"][known]),
            "learned_is_higher_share": float(np.mean(over["learned"] > over[name])),
        }
    return found


def told(title: str, found: Mapping[str, Any]) -> None:
    print(f"Spearman with the true quality, {title}:")
    for name, one in found.items():
        low, high = one["interval_95"]
        more = ""
        if name != "learned":
            share = one["learned_is_higher_share"]
            more = f"; learned on the same {one['learned_on_the_same']:.3f}, higher in {share:.0%} of draws"
        print(f"  {name:30} {one['spearman']:6.3f} (95 %: {low:.2f} to {high:.2f}, {one['sessions']} sessions{more})")


# --- learning --------------------------------------------------------------------------------------------------------


def folds(count: int) -> list[NDArray[Any]]:
    """What each of five folds leaves out."""
    order = np.random.default_rng(2).permutation(count)
    return [order[start::_FOLDS] for start in range(_FOLDS)]


def achieved(rows: Rows, weights: Mapping[str, float]) -> float:
    """Mean Spearman correlation over five folds, each with a fifth left out."""
    scores = values(rows, weights)
    found = []
    for left_out in folds(len(rows)):
        inside = np.setdiff1d(np.arange(len(rows)), left_out)
        found.append(spearman([rows[i] for i in inside], scores[inside]))
    return float(np.mean(found))


def optimised(rows: Rows, trials: int, seed: int) -> list[tuple[dict[str, float], float]]:
    """(weights, achieved) of every trial. Weights are the shares of five numbers in [0, 1], and a floor."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    done: list[tuple[dict[str, float], float]] = []

    def objective(trial: Any) -> float:
        parts = {name: trial.suggest_float(name, 0.0, 1.0) for name in TERMS}
        total = max(sum(parts.values()), 1e-9)
        room = 1.0 - LEAST_WEIGHT * len(TERMS)
        weights = {name: LEAST_WEIGHT + room * part / total for name, part in parts.items()}
        done.append((weights, achieved(rows, weights)))
        return done[-1][1]

    sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=25, deterministic_objective=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return done


def best(trials: Sequence[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    """Mean of the best tenth: ranks make plateaus, and their middle is held better than one of their corners."""
    chosen = sorted(trials, key=lambda one: -one[1])[: max(1, len(trials) // 10)]
    mean = {name: float(np.mean([weights[name] for weights, _ in chosen])) for name in TERMS}
    rounded = {name: round(weight, 3) for name, weight in mean.items()}
    largest = max(rounded, key=lambda name: rounded[name])
    rounded[largest] = round(1.0 - sum(weight for name, weight in rounded.items() if name != largest), 3)
    return rounded


def cross_validated(rows: Rows, trials: int, seed: int) -> float:
    """Spearman of what each fold's weights say of the sessions that it left out, as ranks within the fold, pooled."""
    scores, truth = [], []
    for left_out in folds(len(rows)):
        inside = [rows[i] for i in np.setdiff1d(np.arange(len(rows)), left_out)]
        weights = best(optimised(inside, trials, seed))
        # V of other weights has another scale: placed by what it is among the fold's own.
        own = np.sort(values(inside, weights))
        scores += np.searchsorted(own, values([rows[i] for i in left_out], weights)).tolist()
        truth += [rows[i]["truth_per_angstrom"] for i in left_out]
    return float(stats.spearmanr(scores, truth).statistic)


# --- regression ------------------------------------------------------------------------------------------------------


def regression(rows: Rows) -> dict[str, Any]:
    """Least squares of the true quality on the terms, all standardised; an undefined term is taken as average."""
    columns = {}
    for name in TERMS:
        column = alone(rows, name)
        column = np.log1p(column) if name == "impact" else column
        columns[name] = np.where(np.isfinite(column), column, np.nanmean(column))
    return least_squares(columns, np.array([one["truth_per_angstrom"] for one in rows]))


def trial_regression(trials: Sequence[tuple[Mapping[str, float], float]]) -> dict[str, Any]:
    """Of what was achieved on the weights of the trials; meta's is what the others leave."""
    names = [name for name in TERMS if name != "meta"]
    columns = {name: np.array([weights[name] for weights, _ in trials]) for name in names}
    return least_squares(columns, np.array([score for _, score in trials]))


def least_squares(columns: Mapping[str, NDArray[Any]], target: NDArray[Any]) -> dict[str, Any]:
    """Standardised coefficients with 95 % intervals (Student), R2, partial correlations with theirs (Fisher)."""
    names = [name for name, column in columns.items() if np.std(column) > 0]
    x = np.column_stack([(columns[name] - columns[name].mean()) / columns[name].std() for name in names])
    y = (target - target.mean()) / target.std()
    n, p = x.shape
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    residual = y - x @ beta
    freedom = n - p - 1
    error = np.sqrt(float(residual @ residual) / freedom * np.diag(inverse))
    wide = float(stats.t.ppf(0.975, freedom))
    found: dict[str, Any] = {"r2": 1.0 - float(residual @ residual) / n, "sessions": n, "terms": {}}
    for place, name in enumerate(names):
        t = beta[place] / error[place]
        partial = float(t / math.sqrt(t * t + freedom))
        z, half = math.atanh(partial), 1.96 / math.sqrt(n - (p - 1) - 3)
        found["terms"][name] = {
            "coefficient": float(beta[place]),
            "interval_95": [float(beta[place] - wide * error[place]), float(beta[place] + wide * error[place])],
            "partial_correlation": partial,
            "partial_interval_95": [math.tanh(z - half), math.tanh(z + half)],
        }
    return found


def told_regression(title: str, found: Mapping[str, Any]) -> None:
    print(f"Regression of {title}: R2 {found['r2']:.2f} over {found['sessions']}")
    for name, one in found["terms"].items():
        (low, high), (a, b) = one["interval_95"], one["partial_interval_95"]
        print(
            f"  {name:16} {one['coefficient']:6.2f} ({low:.2f} to {high:.2f}), partial correlation "
            f"{one['partial_correlation']:.2f} ({a:.2f} to {b:.2f})"
        )


def shipped(record: Mapping[str, Any], sessions: int) -> dict[str, Any]:
    """The file of weights."""
    figures = {"learning_spearman": record["learning"]["learned"]["spearman"]}
    figures["cross_validated_spearman"] = record["cross_validated_spearman"]
    if "held_out" in record:
        figures |= {
            "held_out_spearman": record["held_out"]["learned"]["spearman"],
            "held_out_equal_weights": record["held_out"]["equal"]["spearman"],
        }
    return {
        "version": "1",
        "made": f"Bayesian optimisation on {sessions} simulated sessions (benchmarks/evaluators/value_weights.py)",
        "weights": record["weights"],
        "figures": {name: round(figure, 3) for name, figure in figures.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
