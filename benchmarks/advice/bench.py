"""Advice over sessions whose best action and its true cost are known: is it the best, does it harm, is it silent?

    ./run bench advice [--first-seed 9001] [--work DIR] [--json OUT.json]

Forty sessions of 12 to 80 movies, 25 with one best action (PLAN) and 15 in which nothing pays, and eight of 2 to 9
movies. Each is drawn by laws of its own (`world`), measured with the errors that frazil's measurements have
(`evidence`), and given to the prior, the particles' evidence and the advice as the daemon does it (`said`). Asked is
after 10, 20, 40 and all movies; scored is what is said last, and any harm or noise at any time beside it.
Coma shows in nothing but particles: its sessions have a map and at least 24 movies; others have one in four of five.
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.advice.actions import NOTHING_PAYS_LN, PAYS_LN, Gain, TrueGains, family, session_of
from benchmarks.advice.evidence import seen_movies, seen_particles
from benchmarks.advice.said import Look, Said, learnt, look
from benchmarks.advice.world import KINDS, World
from frazil.daemon.session.epochs import EPOCH_MOVIES

PLAN = {
    "settle longer": 5, "thin ice": 5, "coma": 4, "lower rate": 3, "higher rate": 2, "parallel": 2,
    "settle shorter": 2, "fewer electrons": 2, "nothing": 15,
}  # fmt: skip
SHORT_MOVIES = (2, 3, 4, 5, 6, 7, 8, 9)
FIRST_SEED = 9001
"""Of the sessions that are reported. Rules were mended on those from 1001 on (--first-seed)."""
_LOOKS = (10, 20, 40)
_NEAR = 0.8
"""Of the best action's net gain: an advice that brings so much is as good."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A session, its truth and all that was said."""

    world: World
    best: tuple[Gain, ...]
    """The best action of each kind of it, the best first."""
    looks: tuple[Look, ...]

    @property
    def planted(self) -> bool:
        return self.world.kind != "nothing"

    @property
    def first(self) -> Said | None:
        """Of the last look."""
        return self.looks[-1].said[0] if self.looks and self.looks[-1].said else None

    @property
    def is_best(self) -> bool:
        """The first advice brings at least `_NEAR` of what the best action does."""
        return self.first is not None and self.first.true_net_ln >= _NEAR * self.best[0].net_ln

    def harmful(self, *, ever: bool) -> bool:
        looks = self.looks if ever else self.looks[-1:]
        return any(said.true_net_ln < 0.0 for one in looks for said in one.said)

    def speaks(self, *, ever: bool) -> bool:
        return any(one.said for one in (self.looks if ever else self.looks[-1:]))


def judge(seed: int, kind: str, movies: int | None = None) -> Judged:
    """One session from its laws to what is said of it."""
    world, gains, ranked = session_of(seed, kind, movies)
    return Judged(world, tuple(_best_of_each(ranked)), tuple(_looks(world, gains)))


def kept(work: Path | None, seed: int, kind: str, movies: int | None = None) -> Judged:
    """As `judge`, from the folder where an earlier run by the same code has left it."""
    if work is None:
        return judge(seed, kind, movies)
    path = work / f"{seed}-{kind.replace(' ', '-')}-{movies or 'all'}.pickle"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".tmp").write_bytes(pickle.dumps(judge(seed, kind, movies)))
        path.with_suffix(".tmp").rename(path)
    judged: Judged = pickle.loads(path.read_bytes())
    return judged


def _best_of_each(ranked: Iterable[Gain]) -> Iterable[Gain]:
    told: set[str] = set()
    for gain in ranked:
        name = family(gain.kind, gain.size)
        if name not in told:
            told.add(name)
            yield gain


def _looks(world: World, gains: TrueGains) -> Iterable[Look]:
    movies, course = seen_movies(world, gains.grid)
    priors = learnt(movies)
    for count in sorted({*(n for n in _LOOKS if n < world.movies), world.movies}):
        seen = movies[:count]
        particles = seen_particles(world, gains.grid, _first(course, count))
        yield look(seen, particles, course, gains, priors[count // EPOCH_MOVIES])


def _first(course: Any, count: int) -> Any:
    names = ("site", "stop", "settle_s", "start_s", "shift_um", "order")
    return type(course)(
        **{name: getattr(course, name)[:count] for name in names}, exposure_s=course.exposure_s, hours=1.0
    )


def scored(sessions: Sequence[Judged], short: Sequence[Judged]) -> dict[str, Any]:
    """The four figures, by kind, and each failure."""
    planted, idle = [one for one in sessions if one.planted], [one for one in sessions if not one.planted]
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for one in sessions:
        row = by_kind[one.world.kind]
        row["sessions"] += 1
        row["first advice is the best or brings 80 % of it"] += one.is_best and one.planted
        row["silent"] += not one.speaks(ever=False)
        row["harmful"] += one.harmful(ever=False)
    return {
        "sessions": len(sessions),
        "with_a_best_action": len(planted),
        "first_is_best": sum(one.is_best for one in planted),
        "first_is_best_share": sum(one.is_best for one in planted) / max(len(planted), 1),
        "harmful": sum(one.harmful(ever=False) for one in sessions),
        "harmful_share": sum(one.harmful(ever=False) for one in sessions) / max(len(sessions), 1),
        "harmful_at_any_look": sum(one.harmful(ever=True) for one in sessions),
        "where_nothing_pays": len(idle),
        "silent": sum(not one.speaks(ever=False) for one in idle),
        "silent_share": sum(not one.speaks(ever=False) for one in idle) / max(len(idle), 1),
        "silent_at_every_look": sum(not one.speaks(ever=True) for one in idle),
        "short_sessions": len(short),
        "short_sessions_with_advice": sum(one.speaks(ever=True) for one in short),
        "by_kind": {kind: dict(row) for kind, row in by_kind.items()},
        "failures": [_row(one) for one in (*sessions, *short) if _failed(one)],
    }


def _failed(one: Judged) -> bool:
    noise = one.speaks(ever=True) and (not one.planted or one.world.movies < min(_LOOKS))
    return noise or one.harmful(ever=True) or (one.planted and one.world.movies >= min(_LOOKS) and not one.is_best)


def _row(one: Judged) -> dict[str, Any]:
    """A session for JSON."""
    return {
        "seed": one.world.seed,
        "kind": one.world.kind,
        "movies": one.world.movies,
        "map": one.world.map_angstrom is not None,
        "true_net_ln": {family(g.kind, g.size): [g.size, round(g.net_ln, 3)] for g in one.best[:4]},
        "looks": [
            {
                "movies": each.movies,
                "said": [
                    {**asdict(said), "net_ln": round(said.net_ln, 3), "true_net_ln": round(said.true_net_ln, 3)}
                    for said in each.said
                ],
                "withdrawn": each.withdrawn,
            }
            for each in one.looks
        ],
    }


def line(one: Judged) -> str:
    """For the screen."""
    best = one.best[0]
    said = (
        "silent"
        if one.first is None
        else f"{one.first.action} ({one.first.net_ln:+.2f}, truly {one.first.true_net_ln:+.2f})"
    )
    mark = "ok" if not _failed(one) else "FAILED"
    return (
        f"{one.world.seed} {one.world.kind:16s} {one.world.movies:3d} movies: best {family(best.kind, best.size)} "
        f"{best.size:.3g} {best.net_ln:+.2f}; {said} {mark}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--work", type=Path, help="folder in which sessions are kept: a run that was cut off goes on")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    kinds = [kind for kind in KINDS for _ in range(PLAN[kind])]
    sessions, short = [], []
    for number, kind in enumerate(kinds):
        sessions.append(kept(args.work, args.first_seed + number, kind))
        print(line(sessions[-1]), flush=True)
    for number, movies in enumerate(SHORT_MOVIES):
        kind = kinds[3 * number]
        short.append(kept(args.work, args.first_seed + len(kinds) + number, kind, movies))
        print(line(short[-1]), flush=True)
    figures = scored(sessions, short)
    for name, value in figures.items():
        if name not in ("failures", "by_kind"):
            print(f"{name}: {value}")
    for kind, row in figures["by_kind"].items():
        print(f"  {kind}: {row}")
    if args.json is not None:
        told = {
            "seeds": [args.first_seed, args.first_seed + len(kinds) + len(SHORT_MOVIES)],
            "pays_ln": PAYS_LN, "nothing_pays_ln": NOTHING_PAYS_LN, **figures,
            "all": [_row(one) for one in (*sessions, *short)],
        }  # fmt: skip
        args.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
