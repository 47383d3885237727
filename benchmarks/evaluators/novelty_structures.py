"""Does a map find its own structure, and does an unseen fold look new?

Truth: maps of every structure in a folder by the physics of `reconstruction_scenes.py` (which shares no code with
frazil), with the atoms turned and shifted at random, and white noise in two halves such that their FSC falls to 0.143
at 8, 12, 15 and 20 A; the map is their mean, filtered by its FSC as the running map is. References: the same files read
by `ReferenceIndex`. For each map: the rank of its own structure, its distance and the next one's, its novelty; and,
with all of its fold's files taken out (FOLDS names relatives), the novelty of an unseen fold, against the 95th
percentile of the novelties of the seen ones at the same resolution.

`--running`: the map is one that frazil's running map has made of particles (`reconstruction.py`: noise, CTF, its own
poses, from a 30 A start), after every ten movies.

    ./run bench novelty_structures --structures DIR [--seeds 101 102] [--running gltph:2501 ...] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from benchmarks.reconstruction import bench as reconstruction
from benchmarks.reconstruction import scenes
from frazil.models.evaluation.facts import ShapeComparison
from frazil.models.evaluation.novelty.evaluator import judge_shape
from frazil.models.evaluation.novelty.reference_index import ReferenceIndex
from frazil.models.evaluation.novelty.shape_comparison import compare
from frazil.models.evaluation.novelty.shape_map import level_of
from frazil.models.reconstruction.fourier.accumulator import shell_index
from frazil.models.reconstruction.fourier.centred_fft import centred_fft
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES, RunningMap
from frazil.models.reconstruction.resolution.fsc import FscCurve, filtered, fourier_shell_correlation, spherical_mask

RESOLUTIONS_ANGSTROM = (8.0, 12.0, 15.0, 20.0)
FOLDS = (("4v1w", "6z6u"), ("1aon", "1mnf"), ("4v4r", "4v5a"), ("1qvr", "3cf3"))
"""Files whose structures are near relatives, or one a part of the other; ClpB and p97 are rings of one AAA+ fold."""
RUNNING_OF = {"p97": "3cf3", "gltph": "2nwl", "proteasome": "3j9i", "groel": "1mnf"}
"""Specimens of `reconstruction_scenes.py` that are structures as they are, and their files."""
_PIXEL_ANGSTROM = 3.0
_KINDS = {"C": 0, "N": 1, "O": 2, "P": 3, "S": 3}
_LARGEST_ATOMS = 800_000


def atoms(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Heavy atoms of the first assembly."""
    structure = gemmi.read_structure(str(path))
    structure.remove_waters()
    structure.remove_hydrogens()
    model = structure[0]
    if structure.assemblies:
        made = gemmi.make_assembly(structure.assemblies[0], model, gemmi.HowToNameCopiedChain.Dup)
        model = made if made.count_atom_sites() <= _LARGEST_ATOMS else model
    position, kind = [], []
    for chain in model:
        for residue in chain:
            for atom in residue:
                name = atom.element.name
                if residue.name != "DUM" and name in _KINDS and atom.altloc in ("\0", "A"):
                    position.append(atom.pos.tolist())
                    kind.append(_KINDS[name])
    xyz = np.array(position, dtype=np.float32)
    return xyz - xyz.mean(axis=0), np.array(kind)


def truth(path: Path, rng: np.random.Generator) -> Tensor:
    """The structure turned and shifted by some 4 A along each axis."""
    position, kind = atoms(path)
    turn = Rotation.random(random_state=int(rng.integers(1 << 31))).as_matrix().astype(np.float32)
    moved = position @ turn.T + rng.normal(0, 4, 3).astype(np.float32)
    reach = float(np.linalg.norm(moved, axis=1).max())
    box = 8 * math.ceil((reach + 35) / _PIXEL_ANGSTROM / 4)
    return torch.from_numpy(scenes.truth_map(scenes.Specimen(path.name, "C1", moved, kind), box, _PIXEL_ANGSTROM))


def noisy(whole: Tensor, resolution_angstrom: float, seed: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The filtered map and its halves. The noise is set by halving until the curve's crossing lies there; a curve with
    dips can only cross in one of them."""
    n = whole.shape[0]
    sphere = spherical_mask(n, 0.44 * n, 0.06 * n)
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(whole.shape, generator=generator) * sphere for _ in range(2)]
    signal = whole * sphere
    spectra = [centred_fft(one, 3) for one in (signal, *noise)]
    shell = shell_index(n).flatten()

    def total(first: Tensor, second: Tensor) -> NDArray[Any]:
        values = (first * second.conj()).real.flatten().double()
        return torch.bincount(shell, weights=values)[1 : n // 2].numpy()

    own, *noise_of = spectra
    one, two = noise_of
    power = total(own, own)
    across, both = total(own, two) + total(one, own), total(one, two)
    linear, square = [2 * total(own, part) for part in noise_of], [total(part, part) for part in noise_of]
    frequency = np.arange(1, n // 2) / (n * _PIXEL_ANGSTROM)

    def curve(level: float) -> FscCurve:
        halves = [power + level * linear[i] + level**2 * square[i] for i in range(2)]
        fsc = (power + level * across + level**2 * both) / np.sqrt(halves[0] * halves[1])
        return FscCurve(tuple(frequency.tolist()), tuple(fsc.tolist()))

    low, high = 1e-3 * float(whole.std()), 1e3 * float(whole.std())
    for _ in range(40):
        middle = math.sqrt(low * high)
        found = curve(middle).resolution_angstrom(0.143)
        low, high = (middle, high) if found is not None and found < resolution_angstrom else (low, middle)
    level = low
    made = [signal + level * part for part in noise]
    return filtered((made[0] + made[1]) / 2, curve(level).map_filter()), (made[0], made[1])


def fold_of(name: str) -> tuple[str, ...]:
    """The starts of the names of a file's fold."""
    start = name[:4]
    return next((fold for fold in FOLDS if start in fold), (start,))


def without_fold(found: ShapeComparison, index: ReferenceIndex, own: str, wide: ShapeComparison) -> ShapeComparison:
    """The comparison as it would be had no structure of the fold ever been a reference."""
    fold = fold_of(own)
    kept = tuple(one for one in wide.neighbours if not one.name.startswith(fold))
    others = [number for number in range(index.count) if not index.name(number).startswith(fold)]
    next_of = {number: _next(index, number, found.level_angstrom, fold) for number in others}
    gap = kept[0].distance - wide.neighbours[0].distance
    return replace(
        found,
        neighbours=kept[:10],
        neighbours_to_next=tuple(next_of[one.number] for one in kept[:10]),
        # The spread of the nearest distance is taken from that to its own structure.
        distance_draws=tuple(value + gap for value in found.distance_draws),
        leave_one_out=tuple(next_of.values()),
    )


def _next(index: ReferenceIndex, number: int, level_angstrom: float, fold: tuple[str, ...]) -> float:
    own = index.name(number)[:4]
    near = index.nearest(index.descriptor(number, level_angstrom), level_angstrom, index.count)
    return next(one.distance for one in near if not one.name.startswith((*fold, own)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[101, 102])
    parser.add_argument("--skip", nargs="*", default=[], help="make no maps of these (starts of names)")
    parser.add_argument("--running", nargs="*", default=[], help=f"NAME:SEED; names: {', '.join(RUNNING_OF)}")
    parser.add_argument("--movies", type=int, default=30, help="of each running map")
    parser.add_argument("--cache", type=Path, help="keep the references' shapes here")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        index = ReferenceIndex(options.structures, options.cache or Path(temporary))
        begun = time.process_time()
        index.describe()
        print(f"{index.count} shapes of {options.structures} in {time.process_time() - begun:.0f} CPU-s")
        lines: list[dict[str, Any]] = []
        for seed in options.seeds:
            for place, path in enumerate(sorted(options.structures.iterdir())):
                if path.name.startswith(tuple(options.skip)):
                    continue
                rng = np.random.default_rng([seed, place])
                whole = truth(path, rng)
                for resolution in RESOLUTIONS_ANGSTROM:
                    lines.append(_line(index, path.name.split(".")[0], whole, resolution, seed))
                    print("  ".join(f"{key} {_text(value)}" for key, value in lines[-1].items()), flush=True)
        running = [
            line
            for label in options.running
            for line in of_running_map(index, label, options.structures, options.movies)
        ]
        summary = summarise(lines)
    for row in summary:
        print(row)
    if options.json is not None:
        options.json.write_text(
            json.dumps({"seeds": options.seeds, "summary": summary, "maps": lines, "running": running}, indent=1) + "\n"
        )


def of_running_map(index: ReferenceIndex, label: str, folder: Path, movies: int) -> list[dict[str, Any]]:
    """One line a round whose halves agree finely enough to be compared."""
    name, seed = label.split(":")
    bench = reconstruction.Bench(name, int(seed), folder, movies=movies, artefacts=False, hard=False)
    running = RunningMap(
        bench.start(),
        bench.plane,
        symmetry=bench.symmetry,
        diameter_angstrom=bench.diameter_angstrom,
        device=torch.device("cpu"),
    )
    lines = []
    for number in range(movies):
        running.add(bench.spectra(number), bench.halves(number), bench.uniform_ssnr(number))
        for earlier in running.due():
            running.again(earlier, bench.spectra(earlier))
        if (number + 1) % ROUND_MOVIES:
            continue
        now = running.round()
        resolution = now.resolution_0143_angstrom
        level = None if resolution is None else level_of(resolution)
        if resolution is None or level is None:
            continue
        found = compare(
            now.full,
            (now.half1, now.half2),
            index,
            pixel_size_angstrom=now.pixel_size_angstrom,
            resolution_angstrom=resolution,
            level_angstrom=level,
        )
        wide = index.nearest(found.descriptor, level, index.count)
        rank = next(rank for rank, one in enumerate(wide, start=1) if one.name.startswith(RUNNING_OF[name]))
        other = next(one for one in wide if not one.name.startswith(RUNNING_OF[name]))
        lines.append(
            {
                "running_map": label,
                "particles": running.particle_count,
                "reached_angstrom": resolution,
                "low_pass_angstrom": level,
                "rank": rank,
                "distance": wide[rank - 1].distance,
                "next_name": other.name,
                "next_distance": other.distance,
                "novelty": judge_shape(found).verdict,
            }
        )
        print("  ".join(f"{key} {_text(value)}" for key, value in lines[-1].items()), flush=True)
    return lines


def _line(index: ReferenceIndex, name: str, whole: Tensor, wanted: float, seed: int) -> dict[str, Any]:
    made, halves = noisy(whole, wanted, seed)
    # As the running map does it: what the program is told is what the halves say.
    reached = fourier_shell_correlation(*halves, pixel_size_angstrom=_PIXEL_ANGSTROM).resolution_angstrom(0.143)
    level = None if reached is None else level_of(reached)
    assert reached is not None
    assert level is not None
    begun = time.process_time()
    found = compare(
        made,
        halves,
        index,
        pixel_size_angstrom=_PIXEL_ANGSTROM,
        resolution_angstrom=reached,
        level_angstrom=level,
    )
    seconds = time.process_time() - begun
    wide = replace(found, neighbours=index.nearest(found.descriptor, found.level_angstrom, index.count))
    own = [rank for rank, one in enumerate(wide.neighbours, start=1) if one.name.startswith(name)]
    others = [one for one in wide.neighbours if not one.name.startswith(name)]
    seen, unseen = judge_shape(found), judge_shape(without_fold(found, index, name, wide))
    return {
        "name": name,
        "seed": seed,
        "wanted_angstrom": wanted,
        "reached_angstrom": reached,
        "low_pass_angstrom": found.level_angstrom,
        "rank": own[0],
        "distance": wide.neighbours[own[0] - 1].distance,
        "next_name": others[0].name,
        "next_distance": others[0].distance,
        "noise_distance": found.noise_distance,
        "seen": seen.verdict,
        "seen_sd": seen.uncertainty,
        "unseen": unseen.verdict,
        "unseen_sd": unseen.uncertainty,
        "unseen_reliability": unseen.reliability,
        "seconds": seconds,
    }


def summarise(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a resolution."""
    rows = []
    for resolution in RESOLUTIONS_ANGSTROM:
        here = [line for line in lines if line["wanted_angstrom"] == resolution]
        if not here:
            continue
        limit = float(np.percentile([line["seen"] for line in here], 95))
        rows.append(
            {
                "wanted_angstrom": resolution,
                "maps": len(here),
                "own_first": sum(line["rank"] == 1 for line in here),
                "seen_95th_percentile": limit,
                "unseen_above": sum(line["unseen"] > limit for line in here),
                "unseen_median": float(np.median([line["unseen"] for line in here])),
                "ratio_median": float(np.median([line["distance"] / line["next_distance"] for line in here])),
                "ratio_worst": max(line["distance"] / line["next_distance"] for line in here),
                "cpu_seconds_median": float(np.median([line["seconds"] for line in here])),
            }
        )
    return rows


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
