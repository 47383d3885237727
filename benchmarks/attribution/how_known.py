"""Whether "how do we know?" is right: effects where the order of holes confounds, and claims of the causal graph.

    ./run bench how_known [--sessions 400] [--movies 200] [--json OUT.json]

Prints how often the plain slope has the wrong sign and the adjusted interval holds the truth, how advice to wait longer
is labelled in sessions in which waiting helps and in which it only seems to, in how many sessions whose graph holds a
claim is called broken, and after how many movies a planted arrow from ice to drift is found.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.attribution.confounded_sessions import EFFECT, confounded, graph_session, learnt, settling_session
from frazil.models.causal.adjustment import Effect, adjusted_effect
from frazil.models.causal.graph import causal_graph
from frazil.models.causal.independence import BLOCK_MOVIES, IndependenceRecord, with_movies
from frazil.models.causal.knowledge import how_known

_ARROWS = (0.5, 1.0, 1.5)
_SESSIONS_AN_ARROW = 40


def effects(sessions: int) -> dict[str, int]:
    """Of settling on drift, the order of holes acting on both: sessions in which ..."""
    worlds = [confounded(seed) for seed in range(sessions)]
    found = [one for one in map(adjusted_effect, worlds) if isinstance(one, Effect)]
    nothing = [adjusted_effect(confounded(seed, effect=0.0)) for seed in range(sessions)]
    return {
        "sessions": sessions,
        "plain_slope_has_the_wrong_sign": sum(
            bool(np.polyfit(world.treatment, world.outcome, 1)[0] * EFFECT < 0) for world in worlds
        ),
        "can_be_told": len(found),
        "interval_holds_the_truth": sum(one.low <= EFFECT <= one.high for one in found),
        "of_no_effect_one_is_found": sum(isinstance(one, Effect) and one.is_sure for one in nothing),
    }


def labels(sessions: int, *, relaxes: float, by_order: float) -> dict[str, int]:
    """How advice to wait longer is known."""
    said: Counter[str] = Counter()
    for seed in range(sessions):
        movies = settling_session(seed, relaxes=relaxes, by_order=by_order)
        known = how_known("settle_time", movies, learnt(movies), causal_graph())
        said["withdrawn" if known.contradicted else known.known_by.value] += 1
    return dict(said.most_common())


def broken_after(seed: int, movies: int, ice_to_drift: float) -> int | None:
    """Movies until a claim is called broken."""
    rows, record = graph_session(seed, movies, ice_to_drift), IndependenceRecord()
    for end in range(BLOCK_MOVIES, movies + 1, BLOCK_MOVIES):
        record = with_movies(record, rows[end - BLOCK_MOVIES : end], causal_graph())
        if record.failed:
            return end
    return None


def arrows(movies: int) -> list[dict[str, float | None]]:
    """After how many movies a planted arrow from ice to drift is found, by its strength."""
    rows = []
    for strength in _ARROWS:
        found = [broken_after(10_000 + seed, movies, strength) for seed in range(_SESSIONS_AN_ARROW)]
        after = [number for number in found if number is not None]
        rows.append(
            {
                "power": strength,
                "sessions": len(found),
                "found": len(after),
                "median_movies": float(np.median(after)) if after else None,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=400)
    parser.add_argument("--movies", type=int, default=200)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    figures = {
        "effects": effects(args.sessions),
        "waiting_helps": labels(args.sessions // 4, relaxes=10.0, by_order=0.0),
        "waiting_seems_to_help": labels(args.sessions // 4, relaxes=0.0, by_order=-0.5),
        "graph_holds": {
            "sessions": args.sessions,
            "movies": args.movies,
            "a_claim_is_called_broken": sum(
                broken_after(seed, args.movies, 0.0) is not None for seed in range(args.sessions)
            ),
        },
        "drift_goes_with_ice_to_the_power": arrows(2 * args.movies),
    }
    for name, figure in figures.items():
        print(f"{name.replace('_', ' ')}: {figure}")
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
