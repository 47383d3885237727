"""Particles of two kinds in one session: are they told apart, and is one kind not taken for two?

    ./run bench map_classes --structures DIR [--specimens belted:2401] [--movies 60] [--part 0.2]
        [--classes 2] [--json OUT]

Particles of `reconstruction_scenes.py` (physics that shares no code with frazil): every second movie shows the specimen
without the `--part` of its atoms that lies highest along its axis, as without a ligand or a domain. They go through
`RunningMap` from a 30 A start of the whole specimen. Printed: the share of particles whose likelier class is that of
their kind (classes are named after the kind that most of them are); what K maps foretell of the other half's particles
over one map, and whether frazil says that there is more than one kind; the correlation of each class map's difference
from the other with the true difference at 14 A, where it is. The same with whole specimens alone (`one kind`).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.reconstruction import scenes
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra, working_box_px
from frazil.models.reconstruction.refine.initial_map import INITIAL_RESOLUTION_ANGSTROM, low_pass
from frazil.models.reconstruction.refine.running_map import RunningMap

CPU = torch.device("cpu")
_COMPARED_ANGSTROM = 14.0
_PARTICLES = 25


def shortened(shape: scenes.Specimen, part: float) -> scenes.Specimen:
    """Without the atoms that lie highest: every copy loses the same, so the symmetry stays."""
    height = shape.position[:, 2]
    kept = height < np.quantile(height, 1 - part)
    return dataclasses.replace(shape, position=shape.position[kept], kind=shape.kind[kept])


class Mixture:
    """Movies of one or two kinds, and the running map of them."""

    def __init__(self, name: str, seed: int, folder: Path, *, movies: int, part: float, classes: int) -> None:
        self.shape = scenes.specimen(name, folder, seed)
        self.kinds = [self.shape] if part == 0 else [self.shape, shortened(self.shape, part)]
        box = 2 * math.ceil(0.8 * self.shape.diameter_angstrom / 1.2)
        per_kind = -(-movies // len(self.kinds))
        made = [
            list(scenes.movies(scenes.Session(kind, seed + number, movies=per_kind, box_px=box, particles=_PARTICLES)))
            for number, kind in enumerate(self.kinds)
        ]
        self.movies = [(number % len(made), made[number % len(made)][number // len(made)]) for number in range(movies)]
        n = working_box_px(box)
        self.pixel_size_angstrom = box * 1.2 / n
        self.plane = FourierPlane.of_box(n, self.pixel_size_angstrom)
        self.truths = [torch.from_numpy(scenes.truth_map(kind, n, self.pixel_size_angstrom)) for kind in self.kinds]
        self.running = RunningMap(
            low_pass(self.truths[0], INITIAL_RESOLUTION_ANGSTROM, self.pixel_size_angstrom),
            self.plane,
            symmetry=self.shape.symmetry,
            diameter_angstrom=self.shape.diameter_angstrom,
            device=CPU,
            class_count=classes,
        )

    def spectra(self, number: int) -> ParticleSpectra:
        movie = self.movies[number][1]
        t = movie.optics
        defocus = (t.defocus + t.astigmatism / 2, t.defocus - t.astigmatism / 2)
        return particle_spectra(
            torch.from_numpy(movie.stack),
            self.plane,
            pixel_size_angstrom=t.pixel_size,
            diameter_angstrom=self.shape.diameter_angstrom,
            ctf=CtfParameters(t.voltage_kv, t.cs_mm, t.amplitude_contrast, *defocus, t.angle),
        )

    def run(self) -> dict[str, Any]:
        started_s = time.process_time()
        for number, (_, movie) in enumerate(self.movies):
            halves = tuple(1 + (number + place) % 2 for place in range(len(movie.stack)))
            self.running.add(self.spectra(number), halves, np.ones(len(self.plane.kx)))
            for earlier in self.running.due():
                self.running.again(earlier, self.spectra(earlier))
        cpu_s = time.process_time() - started_s
        found = self.running.round()
        assert found.classes is not None, "too few particles for classes"
        table = np.zeros((len(found.classes.classes), len(self.kinds)))
        for number, (kind, _) in enumerate(self.movies):
            share = self.running.class_share(number)
            if share is not None:
                table[:, kind] += np.bincount(share.argmax(axis=1), minlength=len(table))
        result: dict[str, Any] = {
            "particles": self.running.particle_count,
            "classified": int(table.sum()),
            "classes_by_kind": table.astype(int).tolist(),
            "right": float(table.max(axis=1).sum() / table.sum()),
            "gain_ln": found.classes.gain_ln,
            "gain_sd_ln": found.classes.gain_sd_ln,
            "says_more_than_one_kind": found.classes.credible,
            "resolution_0143_angstrom": [one.resolution_0143_angstrom for one in found.classes.classes],
            "cpu_s": cpu_s,
        }
        if len(self.kinds) == 2:
            result["difference_correlation"] = self._difference(found.classes.classes, table)
        return result

    def _difference(self, classes: Any, table: np.ndarray) -> float | None:
        """Of the mean maps of the classes of either kind, beside the true difference, where that is strong."""
        belongs = table.argmax(axis=1)
        if len(set(belongs.tolist())) < 2:
            return None
        pixel = self.pixel_size_angstrom
        means = [
            low_pass(torch.stack([one.volume for one, k in zip(classes, belongs, strict=True) if k == kind]).mean(0),
                     _COMPARED_ANGSTROM, pixel)
            for kind in (0, 1)
        ]  # fmt: skip
        truths = [low_pass(one, _COMPARED_ANGSTROM, pixel) for one in self.truths]
        scale = float((means[0] * truths[0]).sum() / truths[0].square().sum())
        difference, true = means[0] - means[1], scale * (truths[0] - truths[1])
        where = true.abs() > 0.1 * true.abs().max()
        return float(torch.corrcoef(torch.stack([difference[where], true[where]]))[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path, required=True, help="folder of *.pdb.gz and *.cif.gz")
    parser.add_argument("--specimens", nargs="*", default=["belted:2401"])
    parser.add_argument("--movies", type=int, default=60)
    parser.add_argument("--part", type=float, default=0.2)
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for label in given.specimens:
        name, seed = label.split(":")
        for part in (given.part, 0.0):
            mixture = Mixture(name, int(seed), given.structures, movies=given.movies, part=part, classes=given.classes)
            title = f"{label} " + (f"{part:.0%} missing in half of them" if part else "one kind")
            results[title] = made = mixture.run()
            gain = "not known" if made["gain_ln"] is None else f"{made['gain_ln']:+.2f} +- {made['gain_sd_ln']:.2f} ln"
            print(
                f"{title}: {made['classified']} of {made['particles']} particles classified, {made['right']:.1%} with "
                f"their kind, gain {gain}, more than one kind: {made['says_more_than_one_kind']}, difference "
                f"{made.get('difference_correlation')}, {made['cpu_s']:.0f} CPU-s",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps({"movies": given.movies, "mixtures": results}, indent=1))


if __name__ == "__main__":
    main()
