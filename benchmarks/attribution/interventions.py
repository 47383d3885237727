"""Whether a predicted gain is the gain: what frazil expects of an intervention, and the session in which it was done.

    ./run bench intervention_truth SESSIONS_DIR [--seeds 101:121] [--movies 24] [--size 768] [--json OUT.json]

For every seed a session of `causal_sessions.py` (kind `hasty`) is made, aligned and learnt from (kept in
SESSIONS_DIR/SEED; a second run takes seconds). "Settle longer" and "lower dose rate" are then really done: the same
session is drawn again with that one setting changed, every path of it included (a lower dose rate makes longer
exposures, and those drift more), and its true losses are compared with those of the session that was seen.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attribution import replay as replays
from benchmarks.attribution.truth import read_truth
from benchmarks.causal_world.draws import Wanted, draw_movies
from benchmarks.causal_world.physics import BESIDE, FACTORS, FREQUENCIES_PER_ANGSTROM, true_losses
from benchmarks.causal_world.sessions import make_session
from frazil.models.causal.bands import band_frequencies_per_angstrom
from frazil.models.causal.interventions import gain_of_dose_rate, gain_of_settling
from frazil.models.causal.settle import with_settle_times

Array = NDArray[Any]

SETTLE_LONGER_S, DOSE_RATE_SCALE = 10.0, 0.5
AT_ANGSTROM = (8.0, 5.0, 4.0)


def true_mean_loss(wanted: Wanted) -> Array:
    """Mean over movies of all losses, those beside the total included, on FREQUENCIES_PER_ANGSTROM."""
    total = [
        np.asarray(sum(true_losses(movie.causes, movie.session.instrument, movie.path_angstrom).values()))
        for movie in draw_movies(wanted)
    ]
    return np.asarray(np.mean(total, axis=0))


def judge(session: Path) -> dict[str, Any]:
    """Predicted and true gains of one session, at AT_ANGSTROM."""
    truth = read_truth(session)
    run = replays.replay(session, truth, session / "work")
    evidence = [result.evidence for result in run.results if result.evidence is not None]
    movies, *_ = _filled(evidence)
    prior = run.priors[-1]
    wanted = Wanted(**truth["wanted"])
    before = true_mean_loss(wanted)
    settled = Wanted(**{**truth["wanted"], "settle_longer_s": SETTLE_LONGER_S})
    slower = Wanted(**{**truth["wanted"], "dose_rate_scale": DOSE_RATE_SCALE})
    predicted = {
        "settle": gain_of_settling(movies, prior, SETTLE_LONGER_S),
        "dose_rate": gain_of_dose_rate(movies, prior, DOSE_RATE_SCALE),
    }
    actual = {"settle": before - true_mean_loss(settled), "dose_rate": before - true_mean_loss(slower)}
    figures: dict[str, Any] = {"session": session.name, "movies": len(movies)}
    for name, draws in predicted.items():
        figures[name] = {}
        for d in AT_ANGSTROM:
            at = [float(np.interp(1 / d, band_frequencies_per_angstrom(), draw)) for draw in draws]
            low, middle, high = (float(value) for value in np.quantile(at, (0.025, 0.5, 0.975)))
            true = float(np.interp(1 / d, FREQUENCIES_PER_ANGSTROM, actual[name]))
            inside = low <= true <= high
            figures[name][f"{d:g}"] = {"true": true, "low": low, "median": middle, "high": high, "inside": inside}
    return figures


def _filled(evidence: list[Any]) -> Any:
    """The movies with the time since the stage last moved, as the prior brings them together."""
    found = with_settle_times(evidence, None, None)
    return found if isinstance(found, tuple) else (found,)


def line(figures: dict[str, Any]) -> str:
    """One session's gains at 5 A, for the screen."""
    said = []
    for name in ("settle", "dose_rate"):
        one = figures[name]["5"]
        said.append(
            f"{figures['session']} {name:10} at 5 A: true {one['true']:+.3f}, predicted {one['median']:+.3f} "
            f"({one['low']:+.3f} to {one['high']:+.3f}){'' if one['inside'] else ' OUTSIDE'}"
        )
    return "\n".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", type=Path)
    parser.add_argument("--seeds", default="101:121", help="first:last+1")
    parser.add_argument("--movies", type=int, default=24)
    parser.add_argument("--size", type=int, default=768)
    parser.add_argument("--structures", type=Path, default=os.environ.get("FRAZIL_STRUCTURES"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--process-only", action="store_true")
    args = parser.parse_args()
    first, last = (int(part) for part in args.seeds.split(":"))
    figures = []
    for seed in range(first, last):
        session = args.sessions / str(seed)
        if not (session / "truth.json").exists():
            hasty = Wanted(seed=seed, kind="hasty", movies=args.movies, size_px=args.size)
            make_session(session, hasty, structures=args.structures)
        replays.process(session, read_truth(session), session / "work")
        if args.process_only:
            continue
        figures.append(judge(session))
        print(line(figures[-1]), flush=True)
    for name in ("settle", "dose_rate") if figures else ():
        for d in AT_ANGSTROM:
            inside = sum(one[name][f"{d:g}"]["inside"] for one in figures)
            print(f"{name:10} at {d:g} A: the true gain lies inside the 95 % interval in {inside} of {len(figures)}")
    if args.json is not None:
        args.json.write_text(json.dumps({"factors": FACTORS, "beside": BESIDE, "sessions": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
