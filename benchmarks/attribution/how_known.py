"""Whether "how do we know?" is right: effects where the order of holes confounds, and claims of the causal graph.

    ./run bench how_known [--sessions 400] [--movies 200]

Prints how often the plain slope has the wrong sign and the adjusted interval holds the truth, how advice to wait longer
is labelled in sessions in which waiting helps and in which it only seems to, in how many sessions whose graph holds a
claim is called broken, and after how many movies a planted arrow from ice to drift is found.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from benchmarks.attribution.confounded_sessions import EFFECT, confounded, graph_session, learnt, settling_session
from frazil.models.causal.adjustment import Effect, adjusted_effect
from frazil.models.causal.graph import causal_graph
from frazil.models.causal.independence import BLOCK_MOVIES, IndependenceRecord, with_movies
from frazil.models.causal.knowledge import how_known

_ARROWS = (0.5, 1.0, 1.5)
_SESSIONS_AN_ARROW = 40


def effects(sessions: int) -> str:
    """Of settling on drift, the order of holes acting on both."""
    worlds = [confounded(seed) for seed in range(sessions)]
    wrong = sum(np.polyfit(world.treatment, world.outcome, 1)[0] * EFFECT < 0 for world in worlds)
    found = [one for one in map(adjusted_effect, worlds) if isinstance(one, Effect)]
    held = sum(one.low <= EFFECT <= one.high for one in found)
    nothing = [adjusted_effect(confounded(seed, effect=0.0)) for seed in range(sessions)]
    false = sum(isinstance(one, Effect) and one.is_sure for one in nothing)
    return (
        f"of {sessions} sessions the plain slope has the wrong sign in {wrong}; {len(found)} can be told, the 95 % "
        f"interval holds the truth in {held} ({100 * held / len(found):.1f} %); of no effect one is found in {false}"
    )


def labels(sessions: int, *, relaxes: float, by_order: float) -> str:
    """How advice to wait longer is known."""
    said: Counter[str] = Counter()
    for seed in range(sessions):
        movies = settling_session(seed, relaxes=relaxes, by_order=by_order)
        known = how_known("settle_time", movies, learnt(movies), causal_graph())
        said["withdrawn" if known.contradicted else known.known_by.value] += 1
    return ", ".join(f"{word} {count}" for word, count in said.most_common())


def broken_after(seed: int, movies: int, ice_to_drift: float) -> int | None:
    """Movies until a claim is called broken."""
    rows, record = graph_session(seed, movies, ice_to_drift), IndependenceRecord()
    for end in range(BLOCK_MOVIES, movies + 1, BLOCK_MOVIES):
        record = with_movies(record, rows[end - BLOCK_MOVIES : end], causal_graph())
        if record.failed:
            return end
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=400)
    parser.add_argument("--movies", type=int, default=200)
    args = parser.parse_args()
    print(effects(args.sessions))
    print("waiting helps:        ", labels(args.sessions // 4, relaxes=10.0, by_order=0.0))
    print("waiting seems to help:", labels(args.sessions // 4, relaxes=0.0, by_order=-0.5))
    alarms = sum(broken_after(seed, args.movies, 0.0) is not None for seed in range(args.sessions))
    print(f"the graph holds: a claim is called broken in {alarms} of {args.sessions} sessions of {args.movies} movies")
    for strength in _ARROWS:
        found = [broken_after(10_000 + seed, 2 * args.movies, strength) for seed in range(_SESSIONS_AN_ARROW)]
        after = [movies for movies in found if movies is not None]
        print(
            f"drift goes with ice to the power {strength:g}: found in {len(after)} of {len(found)}, after "
            f"{np.median(after) if after else float('nan'):.0f} movies (median)"
        )


if __name__ == "__main__":
    main()
