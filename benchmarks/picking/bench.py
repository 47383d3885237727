"""Picks against known truth, and beside RELION's LoG picker: particles, fibres, and fields with nothing to pick.

    ./run bench picking --structures FOLDER [--first-seed 510] [--count 10] [--sets capsid "carbon edge" ...]
        [--work FOLDER] [--relion] [--json OUT.json]

Claim: F1 of at least 0.85 for specimens of 200 kDa and more and of 0.7 for one of 126 kDa, fewer than one false pick a
micrograph where there is nothing, and better than LoG throughout. Micrographs with known centres (`picking_scenes.py`;
the structures are those of `picking_specimens.py`, by the first letters of their files, [default: $FRAZIL_STRUCTURES]);
the true CTF is given to both programs. frazil is told the longest extent of the specimen ("told"), a range about it
("range": 0.75 to 1.2 times), or nothing ("untold"); RELION 3.1's `relion_autopick --LoG` its shortest and longest
extent, with its default threshold (+0.0) and with five others (`--LoG_adjust_threshold`), of which a person with the
truth in hand would take the best. F1 over all micrographs of a set (`picking_score.py` says what is right), with its 95
% interval from a bootstrap over micrographs; where there is nothing to pick, picks per micrograph. Seeds below 510 were
looked at in development."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ctf.scenes import Truth
from benchmarks.picking import scenes as picking_scenes
from benchmarks.picking import specimens as picking_specimens
from benchmarks.picking.score import Score, f1, precision_recall, score_axes, score_centres
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.particles.picking import pick_particles
from frazil.models.records import CtfEstimate

THRESHOLDS = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
"""Of RELION's LoG picker, in standard deviations; 0 is its default."""


TOLD: dict[str, tuple[float | None, float | None]] = {
    "frazil, told": (None, 1.0),
    "frazil, range": (0.75, 1.2),
    "frazil, untold": (None, None),
}
"""The least and the longest diameter that frazil is told."""


def load(name: str, seed: int, structures: Path, work: Path) -> picking_scenes.Scene:
    """From the work folder, or drawn and put there as MRC with its truth beside it."""
    stem = work / f"{name.replace(' ', '_')}_{seed}"
    if not stem.with_suffix(".npz").exists():
        scene = picking_scenes.draw_scene(name, seed, structures)
        with mrcfile.new(stem.with_suffix(".mrc"), overwrite=True) as out:
            out.set_data(scene.image)
            out.voxel_size = scene.truth.pixel_size
        said = json.dumps({"truth": asdict(scene.truth), "diameters": scene.diameters_angstrom})
        axes = {f"axis{number}": axis for number, axis in enumerate(scene.axes_px)}
        np.savez(stem.with_suffix(".npz"), **{"centres": scene.centres_px, "said": np.array(said), **axes})  # type: ignore[arg-type]
    with mrcfile.open(stem.with_suffix(".mrc")) as opened:
        image = np.array(opened.data)
    kept = np.load(stem.with_suffix(".npz"))
    said = json.loads(str(kept["said"]))
    fields: dict[str, Any] = {
        k: tuple(value) if isinstance(value, list) else value for k, value in said["truth"].items()
    }
    truth = Truth(**fields)
    axes_px = tuple(kept[key] for key in kept.files if key.startswith("axis"))
    return picking_scenes.Scene(name, truth, image, kept["centres"].reshape(-1, 2), axes_px, tuple(said["diameters"]))


def by_frazil(scene: picking_scenes.Scene, diameters: tuple[float | None, float | None]) -> tuple[NDArray[Any], float]:
    """Picks (n, 2) and the CPU seconds they cost; `diameters`: what is said of the least and of the longest, in true
    longest extents."""
    truth, extent = scene.truth, scene.diameters_angstrom[1]
    least, longest = (None if one is None else one * extent for one in diameters)
    u, v = truth.defocus + truth.astigmatism / 2, truth.defocus - truth.astigmatism / 2
    started = time.process_time()
    picks = pick_particles(
        torch.from_numpy(scene.image),
        pixel_size_angstrom=truth.pixel_size,
        diameter_angstrom=longest,
        least_diameter_angstrom=least,
        ctf=CtfEstimate(u, v, truth.angle, 0.0, 50.0, 50.0, 5.0, 0.9, 0.0, True),
        acquisition=AcquisitionParameters(
            truth.pixel_size, truth.voltage_kv, truth.cs_mm, truth.amplitude_contrast, 1.0, 0.0, False, ()
        ),
        device=torch.device("cpu"),
    )
    return np.array([picks.x_px, picks.y_px]).T.reshape(-1, 2), time.process_time() - started


def by_relion(scenes: list[picking_scenes.Scene], work: Path, threshold: float) -> list[NDArray[Any]]:
    """LoG picks of each scene, best first; one run for all scenes of a pixel size and extent."""
    found: dict[int, NDArray[Any]] = {}
    kinds: dict[tuple[float, float, float], list[int]] = {}
    for index, scene in enumerate(scenes):
        kinds.setdefault((scene.truth.pixel_size, *scene.diameters_angstrom), []).append(index)
    for (pixel, shortest, longest), members in kinds.items():
        with tempfile.TemporaryDirectory(dir=work) as folder:
            names = []
            for index in members:
                scene = scenes[index]
                names.append(f"{scene.name.replace(' ', '_')}_{scene.truth.seed}")
                (Path(folder) / f"{names[-1]}.mrc").symlink_to((work / f"{names[-1]}.mrc").resolve())
            star = _star([scenes[index].truth for index in members], names, pixel)
            (Path(folder) / "micrographs.star").write_text(star)
            done = subprocess.run(
                ["relion_autopick", "--i", "micrographs.star", "--odir", "out/", "--pickname", "autopick", "--LoG",
                 "--LoG_diam_min", f"{0.95 * shortest:.1f}", "--LoG_diam_max", f"{1.05 * longest:.1f}", "--shrink", "0",
                 "--lowpass", "20", "--LoG_adjust_threshold", str(threshold), "--LoG_upper_threshold", "999"],
                cwd=folder, capture_output=True, text=True,
            )  # fmt: skip
            # Where it picked nothing at all it aborts after picking, over the histograms of its log file.
            if done.returncode and "Generating logfile" not in done.stdout:
                raise RuntimeError(done.stderr)
            for index, name in zip(members, names, strict=True):
                found[index] = _read_coordinates(Path(folder) / "out" / f"{name}_autopick.star")
    return [found[index] for index in range(len(scenes))]


def _star(truths: list[Truth], names: list[str], pixel: float) -> str:
    first = truths[0]
    optics = "\n".join(
        ["", "data_optics", "", "loop_", "_rlnOpticsGroupName #1", "_rlnOpticsGroup #2", "_rlnMicrographPixelSize #3",
         "_rlnVoltage #4", "_rlnSphericalAberration #5", "_rlnAmplitudeContrast #6",
         f"opticsGroup1 1 {pixel} {first.voltage_kv} {first.cs_mm} {first.amplitude_contrast}", ""]
    )  # fmt: skip
    head = ["", "data_micrographs", "", "loop_", "_rlnMicrographName #1", "_rlnOpticsGroup #2", "_rlnDefocusU #3",
            "_rlnDefocusV #4", "_rlnDefocusAngle #5", "_rlnCtfFigureOfMerit #6"]  # fmt: skip
    rows = [
        f"{name}.mrc 1 {t.defocus + t.astigmatism / 2:.2f} {t.defocus - t.astigmatism / 2:.2f} {t.angle:.3f} 0.9"
        for t, name in zip(truths, names, strict=True)
    ]
    return optics + "\n".join([*head, *rows, ""])


def _read_coordinates(path: Path) -> NDArray[Any]:
    """x and y of a RELION coordinates file, by falling figure of merit."""
    if not path.exists():
        return np.zeros((0, 2))
    labels: list[str] = []
    rows: list[list[float]] = []
    for line in path.read_text().splitlines():
        words = line.split()
        if words and words[0].startswith("_rln"):
            labels.append(words[0])
        elif labels and len(words) == len(labels):
            rows.append([float(word) for word in words])
    if not rows:
        return np.zeros((0, 2))
    table = np.array(rows)
    order = np.argsort(-table[:, labels.index("_rlnAutopickFigureOfMerit")], kind="stable")
    return table[order][:, [labels.index("_rlnCoordinateX"), labels.index("_rlnCoordinateY")]]


def score(scene: picking_scenes.Scene, picks: NDArray[Any]) -> Score:
    diameter_px = scene.diameters_angstrom[1] / scene.truth.pixel_size
    if scene.name == "fibre":
        return score_axes(picks, scene.axes_px, diameter_px, scene.truth.size_px)
    return score_centres(picks, scene.centres_px, diameter_px, scene.truth.size_px)


def summary(scores: list[Score], nothing: bool) -> dict[str, float]:
    """Figure of a set with its 95 % interval."""
    rng = np.random.default_rng(0)

    def figure(some: list[Score]) -> float:
        return sum(s.wrong for s in some) / len(some) if nothing else f1(some)

    draws = [figure([scores[i] for i in rng.integers(len(scores), size=len(scores))]) for _ in range(1000)]
    low, high = np.percentile(draws, [2.5, 97.5])
    made = {"figure": figure(scores), "low": float(low), "high": float(high)}
    if not nothing:
        right = max(sum(s.right for s in scores), 1.0)
        x, y, square = np.sum([s.offset_diameters for s in scores], axis=0) / right
        made |= dict(zip(("precision", "recall"), precision_recall(scores), strict=True))
        made |= {"bias_diameters": float(np.hypot(x, y)), "rms_diameters": float(np.sqrt(square))}
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path, default=os.environ.get("FRAZIL_STRUCTURES"))
    parser.add_argument("--first-seed", type=int, default=510)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--sets", nargs="+", default=[*picking_specimens.NAMES, *picking_scenes.NOTHING])
    parser.add_argument("--work", type=Path, help="where micrographs are kept; default: a temporary folder")
    parser.add_argument("--relion", action="store_true", help="run relion_autopick beside")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.structures is None:
        print("picking needs a folder of structures: --structures or FRAZIL_STRUCTURES")
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {}
        print(
            f"{'set':14s}{'method':22s}{'F1 or picks':>12s}  95 %           precision recall  bias  rms (diameters)"
            "  CPU s"
        )
        for name in given.sets:
            seeds = range(given.first_seed, given.first_seed + given.count)
            scenes = [load(name, seed, given.structures, work) for seed in seeds]
            methods: dict[str, tuple[list[NDArray[Any]], float]] = {}
            for label, diameters in TOLD.items():
                made = [by_frazil(scene, diameters) for scene in scenes]
                methods[label] = [picks for picks, _ in made], float(np.mean([cost for _, cost in made]))
            if given.relion:
                for threshold in THRESHOLDS:
                    methods[f"LoG {threshold:+.1f}"] = by_relion(scenes, work, threshold), float("nan")
            nothing = name in picking_scenes.NOTHING
            for label, (picks, cost) in methods.items():
                scores = [score(scene, found) for scene, found in zip(scenes, picks, strict=True)]
                row = summary(scores, nothing) | {"cpu_s": cost, "micrographs": len(scenes)}
                results.setdefault(name, {})[label] = row | {"scores": [asdict(s) for s in scores]}
                text = f"{name:14s}{label:22s}{row['figure']:12.3f}  {row['low']:.3f}-{row['high']:.3f}"
                if not nothing:
                    text += f"    {row['precision']:.3f}     {row['recall']:.3f}"
                    text += f"   {row['bias_diameters']:.3f}  {row['rms_diameters']:.3f}"
                print(text + f"  {cost:.2f}", flush=True)
    if given.json:
        given.json.write_text(json.dumps({"first_seed": given.first_seed, "sets": results}, indent=1))


if __name__ == "__main__":
    main()
