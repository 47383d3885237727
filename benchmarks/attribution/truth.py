"""Attribution against known truth: frazil over a session of `causal_sessions.py`, and how right its losses are.

    ./run bench attribution_truth SESSION [--work DIR] [--json OUT]   score; movies not done yet are done
    ./run bench attribution_truth SESSION --final-prior               every movie with the last prior
    ./run bench attribution_truth SESSION --refit                     fit every CTF again
    ./run bench attribution_truth SESSION --watched FRAZIL_SESSION    of a session that `frazil watch` filled
    ./run bench attribution_truth SESSION --gain OTHER                true gain of OTHER over SESSION

The first run aligns and fits every movie and keeps the results in DIR (SESSION/work); later ones take seconds
(`attribution_replay.py`). Motion's truth is completed by what frazil's own alignment left, that of the aberrations by
the astigmatism that its fit missed.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attribution import replay as replays
from benchmarks.attribution.score import UNCORRECTED, Attributed, score, table
from benchmarks.causal_world.physics import Causes, Instrument, aberration_loss, motion_left
from benchmarks.real_data.shared_data import rows

Array = NDArray[Any]
NEAR_MOVIES = 5
"""A change found so far from the planted one is the same."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One movie's losses and their sd by factor on frequencies of its own."""

    frequency_per_angstrom: Array
    loss: dict[str, Array]
    sd: dict[str, Array]

    def at(self, k: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        """Both on another axis."""
        on = self.frequency_per_angstrom
        return (
            {name: np.interp(k, on, values) for name, values in self.loss.items()},
            {name: np.interp(k, on, values) for name, values in self.sd.items()},
        )


def read_truth(session: Path) -> dict[str, Any]:
    """truth.json with arrays in place of lists."""
    truth: dict[str, Any] = json.loads((session / "truth.json").read_text())
    for movie in truth["movies"]:
        movie["losses"] = {name: np.array(values) for name, values in movie["losses"].items()}
        movie["path_angstrom"] = np.array(movie["path_angstrom"])
    return truth


def complete(truth: dict[str, Any], kept: list[Any]) -> None:
    """Add to the truth of each movie what frazil's alignment and CTF fit left to do."""
    k = np.array(truth["frequency_per_angstrom"])
    for movie, done in zip(truth["movies"], kept, strict=True):
        instrument = Instrument(**movie["instrument"])
        causes = Causes(**movie["causes"])
        alignment = replays.alignment_angstrom(done)
        left = motion_left(k, movie["path_angstrom"], instrument, alignment)
        movie["losses"]["motion"] = -np.log(left)
        as_they_came = np.zeros((1, len(movie["path_angstrom"]), 2))
        movie["losses"][UNCORRECTED] = -np.log(motion_left(k, movie["path_angstrom"], instrument, as_they_came))
        ctf = replays.renewed(done.fit.values["estimate"])
        fitted = _vector(ctf.defocus_u_angstrom - ctf.defocus_v_angstrom, ctf.astigmatism_angle_deg)
        actual = _vector(causes.astigmatism_angstrom, causes.astigmatism_angle_deg)
        missed = float(np.hypot(*(fitted - actual))) if ctf.defocus_known else 0.0
        movie["losses"]["aberrations"] = aberration_loss(k, causes, instrument, missed)


def _vector(astigmatism_angstrom: float, angle_deg: float) -> Array:
    turned = 2 * math.radians(angle_deg)
    return astigmatism_angstrom * np.array([math.cos(turned), math.sin(turned)])


def losses_of(result: Any) -> Loss:
    """From a movie's record."""
    losses = result.losses
    names = losses.factor_names
    return Loss(
        np.array(losses.frequency_per_angstrom),
        {name: np.array(values) for name, values in zip(names, losses.loss_ln_ssnr, strict=True)},
        {name: np.array(values) for name, values in zip(names, losses.loss_sd, strict=True)},
    )


def watched_losses(session_dir: Path, truth: dict[str, Any]) -> list[Loss]:
    """From the tables of a session folder that `frazil watch` filled, in the order of the truth."""
    found = rows(
        session_dir,
        "SELECT m.relative_path AS path, c.factor, c.frequency_per_angstrom AS k, c.loss_ln_ssnr AS loss, "
        "c.loss_sd AS sd FROM causal_losses c JOIN movies m USING (movie_id) ORDER BY path, factor, k",
    )
    by_movie: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
    for row in found:
        factors = by_movie.setdefault(Path(str(row["path"])).name, {})
        factors.setdefault(str(row["factor"]), []).append((row["k"], row["loss"], row["sd"]))
    losses = []
    for movie in truth["movies"]:
        curves = {name: np.array(values).T for name, values in by_movie[Path(movie["file"]).name].items()}
        axis = next(iter(curves.values()))[0]
        losses.append(
            Loss(axis, {name: v[1] for name, v in curves.items()}, {name: v[2] for name, v in curves.items()})
        )
    return losses


def attributed(truth: dict[str, Any], losses: list[Loss], said: list[str] | None = None) -> Attributed:
    """Truth and attribution side by side, (movies, frequencies) by factor."""
    k = np.array(truth["frequency_per_angstrom"])
    at = [loss.at(k) for loss in losses]
    names = list(losses[0].loss)
    return Attributed(
        k,
        tuple(truth["factors"]),
        (*truth["beside"], UNCORRECTED),
        {name: np.stack([movie["losses"][name] for movie in truth["movies"]]) for name in truth["movies"][0]["losses"]},
        {name: np.stack([loss[name] for loss, _ in at]) for name in names},
        {name: np.stack([sd[name] for _, sd in at]) for name in names},
        [movie["planted"] for movie in truth["movies"]],
        said,
    )


def change_found(planted: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, Any]:
    """The planted change beside what was found, and how many movies later it was known (None: never, or elsewhere)."""
    near = [change for change in found if abs(change["movie_number"] - planted["movie"]) <= NEAR_MOVIES]
    return {
        "planted": planted,
        "known_after_movies": near[0]["movies_seen"] - planted["movie"] if near else None,
        "right_cause": any(change["cause"] == planted["cause"] for change in near),
        "false": len(found) - len(near),
        "found": found,
    }


def true_gain(truth: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What `other` (the same session with one thing really done) gains in ln SSNR, by factor and in all."""
    factors = truth["factors"]
    gain = {
        name: np.mean(
            [a["losses"][name] - b["losses"][name] for a, b in zip(truth["movies"], other["movies"], strict=True)],
            axis=0,
        ).tolist()
        for name in (*factors, *truth["beside"])
    }
    return {
        "frequency_per_angstrom": truth["frequency_per_angstrom"],
        "gain_ln_ssnr": gain,
        "total": np.sum([gain[name] for name in factors], axis=0).tolist(),
        "exposure_time_s": [
            float(np.mean([movie["exposure_time_s"] for movie in session["movies"]])) for session in (truth, other)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--process-only", action="store_true")
    parser.add_argument("--final-prior", action="store_true")
    parser.add_argument("--refit", action="store_true")
    parser.add_argument("--watched", type=Path)
    parser.add_argument("--gain", type=Path)
    parser.add_argument("--movies", type=int, help="only the first so many")
    args = parser.parse_args()
    truth = read_truth(args.session)
    truth["movies"] = truth["movies"][: args.movies]
    if args.gain is not None:
        print(json.dumps(true_gain(truth, read_truth(args.gain)), indent=1))
        return
    work = args.work or args.session / "work"
    replays.process(args.session, truth, work)
    if args.process_only:
        return
    run = replays.replay(args.session, truth, work, refit=args.refit, final_prior=args.final_prior)
    complete(truth, run.kept)
    if args.watched is not None:
        losses = watched_losses(args.watched, truth)
    else:
        losses = [losses_of(result) for result in run.results]
    own = [result.losses.named_cause for result in run.results if result.losses is not None]
    figures = score(attributed(truth, losses, own if len(own) == len(run.results) else None))
    figures["seconds_per_movie"] = run.seconds_per_movie
    figures["ctf_reliable"] = sum(result.ctf.reliable for result in run.results)
    if truth["change_point"] is not None:
        figures["change_point"] = change_found(truth["change_point"], replays.change_points(run))
    print(table(figures))
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
