"""The judge of 2-D classes learns: classes of simulated sessions with planted junk, and the weights that tell shares.

./run bench class_judge_training --structures FOLDER   # makes the classes (a minute a structure), then learns
./run bench class_judge_training                       # learns from the classes that are kept

Writes `training_classes.csv` beside this file and `class_weights.json` beside the judge. Structures are files of the
Protein Data Bank, named by what they begin with (`TRAINED_ON`); `bench.py` is of others.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.class_choice import scenes, sessions
from frazil.models.reconstruction.classes import class_judge
from frazil.models.reconstruction.classes.class_features import NAMES, as_row

TRAINED_ON = ("3cf3", "3j9i", "1u19", "4v4r", "1bxn", "1mnf")
CLASSES_FILE = Path(__file__).with_name("training_classes.csv")
WEIGHTS_FILE = Path(class_judge.__file__).with_name("class_weights.json")
HELD_BACK = 0.002
_MOVIES, _PARTICLES, _LOOKED_AT = 30, 40, (10, 20, 30)
_MOST_MEMBERS = 60.0
"""That a class counts as: one of 300 is no five independent ones."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of session."""

    junk_share: float
    dose_e_per_a2: float
    junk_kinds: tuple[str, ...] = scenes.KINDS[1:]


KINDS = (
    Kind(0.4, 40.0),
    Kind(0.2, 30.0),
    Kind(0.6, 55.0),
    Kind(0.0, 40.0),
    Kind(1.0, 40.0, ("ice", "noise")),
    Kind(1.0, 40.0),
)


def classes_of(shape: scenes.Shape, kind: Kind, seed: int) -> list[list[str]]:
    """Rows of `training_classes.csv`: structure, seed, movies, members, share of particles, features."""
    rows = []
    movies = scenes.movies(
        shape,
        seed,
        count=_MOVIES,
        particles=_PARTICLES,
        junk_share=kind.junk_share,
        junk_kinds=kind.junk_kinds,
        dose_e_per_a2=kind.dose_e_per_a2,
    )
    for session in sessions.stream(shape, movies, judged=False, again_per_movie=0):
        if len(session.movies) not in _LOOKED_AT:
            continue
        truth, class_id = session.known()
        for average in session.particles.averages():
            members = class_id == average.class_id
            if average.features is not None and members.any():
                share = float((truth[members] == scenes.GOOD).mean())
                numbers = [f"{value:.6g}" for value in as_row(average.features)]
                row = [shape.name[:4], str(seed), str(len(session.movies)), str(int(members.sum()))]
                rows.append([*row, f"{share:.6g}", *numbers])
    return rows


def learnt(path: Path = CLASSES_FILE) -> class_judge.ClassWeights:
    """The weights that the kept classes give."""
    rows, share, members, structures = read(path)
    return class_judge.learn(
        rows,
        share,
        np.minimum(members, _MOST_MEMBERS),
        held_back=HELD_BACK,
        version="1",
        made=f"logistic regression on {len(rows)} classes of simulated sessions of {', '.join(structures)}",
    )


def read(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Features (n, F), share of particles (n,), members (n,), and the structures that they are of."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    if tuple(header[5:]) != NAMES:
        raise SystemExit(f"{path} has other features; make it again with --structures")
    values = np.array([[float(value) for value in row[3:]] for row in rows])
    return values[:, 2:], values[:, 1], values[:, 0], sorted({row[0] for row in rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path, help="a folder of PDB and mmCIF files: make the classes anew")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.structures is not None:
        made = []
        for place, start in enumerate(TRAINED_ON):
            shape = scenes.load(scenes.structure_file(args.structures, start))
            for number, kind in enumerate(KINDS):
                made += classes_of(shape, kind, seed=1000 + 10 * place + number)
                print(f"{shape.name}: {kind.junk_share:.0%} junk, {len(made)} classes", flush=True)
        with CLASSES_FILE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([["structure", "seed", "movies", "members", "good_share", *NAMES], *made])
    weights = learnt()
    WEIGHTS_FILE.write_text(json.dumps(class_judge.as_json(weights), indent=1) + "\n", encoding="utf-8")
    print(f"{WEIGHTS_FILE.name}: {weights.made}")


if __name__ == "__main__":
    main()
