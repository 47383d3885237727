"""Losses of sessions whose evidence is drawn by a second set of laws, which has no images and so can be many.

    ./run bench drawn_sessions [--sessions 40] [--first-seed 9501] [--json OUT.json]

`benchmarks/advice` draws its sessions by other laws than `causal_world` does: the stage comes to rest by two
exponentials or a power law, signal fades by a stretched exponential whose critical exposure goes with the distance,
the source is an evenly lit disc, the ice of neighbouring squares is alike, image shift tilts the beam by a matrix and a
cubic term, a brighter beam moves the specimen more. None of them is in the family of frazil's causal model. What its
workers would have measured is drawn with the errors that they have; attributed is with the version of the prior that
has seen the whole session, and with its particles where it has a map, as the daemon does. Scored as `attribution` is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.advice.evidence import seen_movies, seen_particles
from benchmarks.advice.said import learnt
from benchmarks.advice.truth import Course, losses, motion_left, path_angstrom
from benchmarks.advice.world import KINDS, Array, Grid, World, draw_world, grid_of
from benchmarks.attribution.bench import claims
from benchmarks.attribution.score import UNCORRECTED, Attributed, score, table
from benchmarks.attribution.truth import losses_of
from frazil.actors.causal_prior import CausalPriorActor
from frazil.models.causal.settle import with_settle_times
from frazil.models.records import MovieEvidence

FREQUENCIES_PER_ANGSTROM = (1 / 20, 1 / 15, 1 / 12, 1 / 10, 1 / 8, 1 / 7, 1 / 6, 1 / 5, 1 / 4.5, 1 / 4, 1 / 3.5, 1 / 3)
MOVIES, SESSIONS, FIRST_SEED = 60, 40, 9501
_TRUE_FACTORS = {
    "motion": ("motion",),
    "radiation_damage": ("damage",),
    "spatial_coherence": ("coherence",),
    "temporal_coherence": ("energy",),
    "ice": ("inelastic", "pattern"),
    "detector": ("camera",),
    "coincidence": ("coincidence",),
    "heterogeneity": (),
    "aberrations": ("coma",),
    "defocus_spread": ("heights",),
}
"""frazil's factors in the words of the drawn truth."""
_BESIDE = ("aberrations", "defocus_spread")


def drawn_session(seed: int, movies: int = MOVIES) -> tuple[World, Attributed]:
    """One session and its attribution, beside the truth."""
    kind = KINDS[seed % len(KINDS)]
    world = draw_world(seed, kind, movies)
    grid = grid_of(world)
    seen, course = seen_movies(world, grid)
    settled = with_settle_times(seen, None, None)[0]
    prior = learnt(settled)[-1]
    actor = CausalPriorActor()
    particles = seen_particles(world, grid, course)
    together = None
    if particles is not None:
        together = actor.session_particles(prior, list(zip(settled, particles, strict=True)))
    attributed = actor.attribute(prior, settled, together, particles or ())
    told = [losses_of(SimpleNamespace(losses=one)) for one in attributed]
    k = np.array(FREQUENCIES_PER_ANGSTROM)
    at = [one.at(k) for one in told]
    names = list(told[0].loss)
    return world, Attributed(
        k,
        tuple(name for name in _TRUE_FACTORS if name not in _BESIDE),
        (*_BESIDE, UNCORRECTED),
        _truth(world, grid, course, settled, k),
        {name: np.stack([loss[name] for loss, _ in at]) for name in names},
        {name: np.stack([sd[name] for _, sd in at]) for name in names},
        [None] * movies,
        [one.named_cause for one in attributed],
    )


def _truth(world: World, grid: Grid, course: Course, movies: Sequence[MovieEvidence], k: Array) -> dict[str, Array]:
    shifts = np.array([(movie.shift_x_angstrom, movie.shift_y_angstrom) for movie in movies]).transpose(0, 2, 1)
    lost = losses(world, grid, course, k, shifts)
    nothing = np.zeros((len(movies), k.size))
    found = {
        factor: np.sum([lost[name] for name in names], axis=0) if names else nothing
        for factor, names in _TRUE_FACTORS.items()
    }
    path = path_angstrom(world, grid, course)
    found[UNCORRECTED] = -np.log(
        np.maximum(motion_left(world, path, np.zeros((len(movies), world.frames, 2)), k), 1e-6)
    )
    return found


def by_factor(sessions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Of each factor and resolution over all sessions: errors of their medians, and how often intervals hold."""
    found: dict[str, Any] = {}
    for factor in (*_TRUE_FACTORS, UNCORRECTED):
        found[factor] = {}
        for resolution in next(iter(sessions.values()))["factors"][factor]:
            rows = {name: figures["factors"][factor][resolution] for name, figures in sessions.items()}
            worst = max(rows, key=lambda name: rows[name]["error_median"])
            found[factor][resolution] = {
                "truth_median": round(float(np.median([row["truth_median"] for row in rows.values()])), 4),
                "error_median": round(float(np.median([row["error_median"] for row in rows.values()])), 4),
                "error_worst": round(rows[worst]["error_median"], 4),
                "worst_session": worst,
                "cover_68": round(float(np.mean([row["cover_68"] for row in rows.values()])), 4),
                "cover_95": round(float(np.mean([row["cover_95"] for row in rows.values()])), 4),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sessions: dict[str, dict[str, Any]] = {}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.sessions):
        world, found = drawn_session(seed)
        sessions[f"{world.kind}:{seed}"] = score(found)
        print(f"== {world.kind} {seed} map {world.map_angstrom}\n{table(sessions[f'{world.kind}:{seed}'])}", flush=True)
    holds = claims(sessions, [])
    for claim, true in holds.items():
        print(f"{'holds' if true else 'FAILS':6} {claim}")
    if arguments.json is not None:
        kept = {name: {"total": one["total"], "named": one["named"]} for name, one in sessions.items()}
        for one in kept.values():
            one["named"] = {name: value for name, value in one["named"].items() if name != "wrong"}
        result = {"holds": holds, "by_factor": by_factor(sessions), "sessions": kept}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
