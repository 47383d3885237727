"""Junk planted among particles, as the judge of 2-D classes removes it: on structures that it was not trained on.

Nobody gives a verdict: what is told is the soft default. Every session counts. `--structures` is a folder of PDB and
mmCIF files that begin with the names of `HELD_OUT`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.class_choice import scenes, sessions
from frazil.models.reconstruction.classes import class_judge

HELD_OUT = ("5a1a", "4v1w", "1igy", "2nwl")
SEEDS = (71, 72, 73)
JUNK_SHARE = 0.4
MOST_JUNK, MOST_LOST = 0.08, 0.05
_MOVIES, _PARTICLES = 40, 50
_MOVIES_OF_ONE_KIND = 20
_BINS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def case(
    shape: scenes.Shape, seed: int, junk_share: float, kinds: tuple[str, ...], movies_in_all: int
) -> dict[str, Any]:
    """One session to its end."""
    movies = scenes.movies(
        shape, seed, count=movies_in_all, particles=_PARTICLES, junk_share=junk_share, junk_kinds=kinds
    )
    started = time.process_time()
    *_, session = sessions.stream(shape, movies)
    kind, chosen = session.chosen()
    good = kind == scenes.GOOD
    words = _words(session)
    return {
        "structure": shape.name[:4],
        "mass_kda": round(len(shape.position_angstrom) * shape.rad_a2 / 0.04 * 14 / 1000),
        "diameter_angstrom": round(shape.diameter_angstrom),
        "seed": seed,
        "boxes": len(kind),
        "junk_planted": _rounded(float((~good).mean())),
        "junk_left": _rounded(float((~good)[chosen].mean()) if chosen.any() else 0.0),
        "good_lost": _rounded(float((~chosen)[good].mean()) if good.any() else 0.0),
        "best_by_class": _best(session),
        "left_by_kind": {
            name: _rounded(float(chosen[kind == number].mean()))
            for number, name in enumerate(scenes.KINDS)
            if (kind == number).any()
        },
        "classes": words,
        "cpu_s": round(time.process_time() - started, 1),
    }


def _words(session: sessions.Streamed) -> list[dict[str, Any]]:
    """Of every class that is there at the end: its score, its word, and the share of particles among its members."""
    kind, class_id = session.known()
    told = []
    for average in session.particles.averages():
        members = class_id == average.class_id
        score = session.particles.score_of(average.class_id)
        if members.any():
            told.append(
                {
                    "score": None if score is None else _rounded(score),
                    "word": class_judge.word(score),
                    "members": int(members.sum()),
                    "good_share": _rounded(float((kind[members] == scenes.GOOD).mean())),
                }
            )
    return told


def _best(session: sessions.Streamed) -> dict[str, float]:
    """What a judge that knows every member could do by class: classes that are mostly junk removed."""
    kind, class_id = session.known()
    good = kind == scenes.GOOD
    kept = np.zeros(len(kind), dtype=bool)
    for one in np.unique(class_id):
        members = class_id == one
        kept |= members & bool(good[members].mean() > 0.5)
    if not good.any():
        return {"junk_left": 1.0 if kept.any() else 0.0, "good_lost": 0.0}
    return {"junk_left": _rounded(float((~good)[kept].mean())), "good_lost": _rounded(float((~kept)[good].mean()))}


def calibration(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of classes by score: the mean score, and the share of particles among all their members."""
    classes = [one for told in cases for one in told["classes"] if one["score"] is not None]
    rows = []
    for low, high in itertools.pairwise(_BINS):
        found = [one for one in classes if low <= one["score"] < high or (high == 1.0 and one["score"] == 1.0)]
        if found:
            members = np.array([one["members"] for one in found], dtype=np.float64)
            rows.append(
                {
                    "from": low,
                    "to": high,
                    "classes": len(found),
                    "members": int(members.sum()),
                    "mean_score": _mean(found, "score", members),
                    "good_share": _mean(found, "good_share", members),
                }
            )
    return rows


def _mean(found: list[dict[str, Any]], name: str, members: NDArray[np.float64]) -> float:
    return _rounded(float(np.average([one[name] for one in found], weights=members)))


def _rounded(value: float) -> float:
    return round(value, 4)


def summary(planted: list[dict[str, Any]], pure: list[dict[str, Any]], clean: list[dict[str, Any]]) -> dict[str, Any]:
    """What docs quote."""
    met = [one["junk_left"] <= MOST_JUNK and one["good_lost"] <= MOST_LOST for one in planted]
    return {
        "sessions": len(planted),
        "sessions_that_meet_both": sum(met),
        "junk_left_median": _rounded(statistics.median(one["junk_left"] for one in planted)),
        "junk_left_most": max(one["junk_left"] for one in planted),
        "good_lost_median": _rounded(statistics.median(one["good_lost"] for one in planted)),
        "good_lost_most": max(one["good_lost"] for one in planted),
        "classes_of_noise": sum(len(one["classes"]) for one in pure),
        "classes_of_noise_called_good": sum(c["word"] == "good" for one in pure for c in one["classes"]),
        "good_lost_without_junk_most": max(one["good_lost"] for one in clean),
        "cpu_ms_per_box": round(1e3 * sum(one["cpu_s"] for one in planted) / sum(one["boxes"] for one in planted), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = os.environ.get("FRAZIL_STRUCTURES")
    parser.add_argument(
        "--structures", type=Path, default=folder, required=folder is None, help="[default: $FRAZIL_STRUCTURES]"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    planted, pure, clean = [], [], []
    print(f"{'structure':10} {'seed':>4} {'junk left':>9} {'good lost':>9}   best by class")
    for start in HELD_OUT:
        shape = scenes.load(scenes.structure_file(args.structures, start))
        for seed in SEEDS:
            one = case(shape, seed, JUNK_SHARE, scenes.KINDS[1:], _MOVIES)
            planted.append(one)
            best = one["best_by_class"]
            print(
                f"{start:10} {seed:4} {one['junk_left']:9.1%} {one['good_lost']:9.1%}   "
                f"{best['junk_left']:.1%}, {best['good_lost']:.1%}",
                flush=True,
            )
        pure.append(case(shape, SEEDS[0], 1.0, ("ice", "noise"), _MOVIES_OF_ONE_KIND))
        clean.append(case(shape, SEEDS[0], 0.0, scenes.KINDS[1:], _MOVIES_OF_ONE_KIND))
    told = {
        "summary": summary(planted, pure, clean),
        "calibration": calibration(planted + pure + clean),
        "planted": planted,
        "noise_alone": pure,
        "no_junk": clean,
    }
    print(json.dumps({name: told[name] for name in ("summary", "calibration")}, indent=1))
    if args.json is not None:
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
