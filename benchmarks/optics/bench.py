"""A map of a tilted specimen with and without its plane, and of a tilted beam, against the map without either.

The same particles, places and noise in every arm (`particles.py`); only the optics differ. Each arm goes through
`RunningMap` as the actor drives it, from a start at 30 A. `resolution_angstrom`: the whole map against the structure at
0.5 under a sphere; `own_angstrom`: what the half maps say at 0.143. `share` is the loss-free arm's resolution over the
arm's. `tilt_error_mrad`: rms over the movies of the beam tilt that the map knows at its end. The plane that a movie is
told has an error of its own in both components of its slope.

    ./run bench particle_optics [--seeds 1] [--movies 24] [--particles 14] [--processes 2] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.optics.particles import (
    AMPLITUDE_CONTRAST,
    BOX_PX,
    DIAMETER_ANGSTROM,
    FIELD_ANGSTROM,
    PIXEL_ANGSTROM,
    SYMMETRY,
    Boxes,
    Scene,
    Specimen,
)
from frazil.models.optics.ctf import CtfParameters
from frazil.models.particles.defocus_plane import defocus_offsets_angstrom
from frazil.models.particles.half_sets import half_sets
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.refine.running_map import RunningMap
from frazil.models.reconstruction.resolution.fsc import fourier_shell_correlation, spherical_mask
from frazil.models.records import CtfEstimate, ExposureFacts, ParticlePicks

CPU = torch.device("cpu")
PLANE = FourierPlane.of_box(BOX_PX, PIXEL_ANGSTROM)


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to take and to treat the same particles."""

    name: str
    stage_deg: float = 0.0
    plane: bool = True
    """Whether particles get the plane that their movie's rings tell."""
    slope_sd: float = 0.035
    """Error of each component of the slope: 2 deg on a flat specimen."""
    beam_tilt_mrad: tuple[float, float] = (0.0, 0.0)
    beam_tilt_per_um_mrad: float = 0.0
    corrected: bool = True
    """Whether the map is told what the particles were taken with, so that it can take the beam tilt out."""
    false_planes: float = 0.0
    """Share of movies that are told a plane that chance made: 0.13 and more steep, at an error of 0.04."""


ARMS = (
    Arm("loss-free"),
    Arm("tilted 30 deg, with the plane", stage_deg=30.0),
    Arm("tilted 30 deg, one CTF a movie", stage_deg=30.0, plane=False),
    Arm("flat, a chance plane in 1 of 20 movies", false_planes=0.05),
    Arm("beam tilt 1.5 mrad", beam_tilt_mrad=(0.9, -1.2)),
    Arm("beam tilt 1.5 mrad, left in", beam_tilt_mrad=(0.9, -1.2), corrected=False),
    Arm("beam tilt 0.6 mrad and 0.25 mrad/um", beam_tilt_mrad=(0.0, 0.6), beam_tilt_per_um_mrad=0.25),
    Arm("no beam tilt, none looked for", corrected=False),
)


def told_ctf(arm: Arm, scene: Scene, boxes: Boxes, rng: np.random.Generator) -> CtfEstimate:
    """The movie's defocus, and the plane that its rings tell: told where its chi-square is above 9.2."""
    about = math.radians(scene.about_deg)
    slope = -math.tan(math.radians(scene.stage_deg)) * np.array([-math.sin(about), math.cos(about)])
    slope, sd = slope + rng.normal(0, arm.slope_sd, 2), arm.slope_sd
    if rng.random() < arm.false_planes:
        angle, sd = rng.uniform(0, 2 * math.pi), 0.04
        slope = (0.13 + rng.exponential(0.02)) * np.array([math.cos(angle), math.sin(angle)])
    steep = float(np.hypot(*slope))
    told = arm.plane and steep**2 > 9.2 * sd**2
    return CtfEstimate(
        *(boxes.defocus_angstrom, boxes.defocus_angstrom, 0.0, 0.0, 20.0, 20.0, 4.0, 0.9, 0.0, True),
        tilt_angle_deg=math.degrees(math.atan(steep)),
        tilt_sd_deg=math.degrees(sd / (1 + steep**2)),
        tilt_axis_deg=math.degrees(math.atan2(slope[1], slope[0])) - 90.0 if told else None,
    )


def spectra_of(boxes: Boxes, ctf: CtfEstimate) -> ParticleSpectra:
    """As the reconstructor makes them from what extraction stores."""
    width, height = (round(length / PIXEL_ANGSTROM) for length in FIELD_ANGSTROM)
    x, y = (boxes.place_angstrom[:, axis] / PIXEL_ANGSTROM for axis in (0, 1))
    picks = ParticlePicks(tuple(x + 0.5 * (width - 1)), tuple(y + 0.5 * (height - 1)))
    offsets = defocus_offsets_angstrom(picks, ctf, height_px=height, width_px=width, pixel_size_angstrom=PIXEL_ANGSTROM)
    return particle_spectra(
        boxes.images,
        PLANE,
        pixel_size_angstrom=PIXEL_ANGSTROM,
        diameter_angstrom=DIAMETER_ANGSTROM,
        ctf=CtfParameters(300.0, 2.7, AMPLITUDE_CONTRAST, ctf.defocus_u_angstrom, ctf.defocus_v_angstrom),
        defocus_offset_angstrom=offsets,
    )


def measured(arm: Arm, scene: Scene, specimen: Specimen) -> dict[str, Any]:
    """One arm."""
    rng = np.random.default_rng([scene.seed, 99])
    started = time.process_time()
    start = low_pass(specimen.truth, 30.0, PIXEL_ANGSTROM)
    running = RunningMap(start, PLANE, symmetry=SYMMETRY, diameter_angstrom=DIAMETER_ANGSTROM, device=CPU)
    all_spectra: list[ParticleSpectra] = []
    true_mrad: list[tuple[float, float]] = []
    for number, boxes in enumerate(specimen.movies(scene)):
        spectra = spectra_of(boxes, told_ctf(arm, scene, boxes, rng))
        all_spectra.append(spectra if arm.corrected else replace(spectra, optics=None))
        halves = half_sets(f"{scene.seed} {number}", len(boxes.images))
        exposure = ExposureFacts(image_shift_x_um=boxes.image_shift_um[0], image_shift_y_um=boxes.image_shift_um[1])
        running.add(all_spectra[-1], halves, np.ones(len(PLANE.kx)), exposure)
        true_mrad.append(boxes.beam_tilt_mrad)
        for earlier in running.due():
            running.again(earlier, all_spectra[earlier])
    now = running.round()
    mask = spherical_mask(BOX_PX, 0.5 * DIAMETER_ANGSTROM / PIXEL_ANGSTROM, 4.0)
    curve = fourier_shell_correlation(now.full, specimen.truth, pixel_size_angstrom=PIXEL_ANGSTROM, mask=mask)
    running.beam_tilt.renew()
    off = [np.hypot(*(running.beam_tilt.known(number)[0] - true)) for number, true in enumerate(true_mrad)]
    return {
        "arm": arm.name,
        "seed": scene.seed,
        "resolution_angstrom": curve.resolution_angstrom(0.5),
        "own_angstrom": now.resolution_0143_angstrom,
        "tilt_error_mrad": float(np.sqrt(np.mean(np.square(off)))) if arm.corrected else None,
        "cpu_s": time.process_time() - started,
    }


def job(given: tuple[Arm, Scene]) -> dict[str, Any]:
    """One arm of one session, in a process of its own."""
    torch.set_num_threads(1)
    arm, scene = given
    optics = {name: getattr(arm, name) for name in ("stage_deg", "beam_tilt_mrad", "beam_tilt_per_um_mrad")}
    row = measured(arm, replace(scene, **optics), Specimen())
    words = (f"{key} {value:.3f}" if isinstance(value, float) else f"{value}" for key, value in row.items())
    print("  ".join(words), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--movies", type=int, default=24)
    parser.add_argument("--particles", type=int, default=14)
    parser.add_argument("--noise", type=float, default=0.9, help="over the particles' own rms")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    scenes = [Scene(seed, args.movies, args.particles, args.noise) for seed in args.seeds]
    with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(job, [(arm, scene) for scene in scenes for arm in ARMS]))
    free = {row["seed"]: row["resolution_angstrom"] for row in rows if row["arm"] == ARMS[0].name}
    for row in rows:
        row["share"] = free[row["seed"]] / row["resolution_angstrom"]
    shares = {arm.name: float(np.mean([row["share"] for row in rows if row["arm"] == arm.name])) for arm in ARMS}
    print(json.dumps(shares, indent=1))
    if args.json is not None:
        setting = {"movies": args.movies, "particles": args.particles, "noise_sd": args.noise, "box_px": BOX_PX}
        told = {"setting": setting, "rows": rows, "mean_share": shares}
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
