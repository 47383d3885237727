"""In which functions of x and y local motion is written best: polynomials or splines, judged by unseen coefficients.

    ./run bench local_basis [--json OUT.json]

2048 x 2048 x 40 movies (drifting and settling, 0.3 and 1 e/px) by `motion_movies.py`. For each basis: what the log
likelihood of held-out Fourier coefficients gains over no local motion, and the RMS error of the local displacement
against the truth. Nothing here chooses: `frazil.models.motion.estimate.local_motion.LOCAL_BASIS` is what was chosen
(docs/decisions/0011-local-motion-on-splines.md). Claim (exit 1): the chosen basis has the best sum of held-out gains,
within 2 %.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.motion.movies import make_scene, movie_frames, true_motion
from benchmarks.motion.score import grid, motion_errors
from frazil.models.motion.estimate.binning import build_small_stack
from frazil.models.motion.estimate.local_motion import LOCAL_BASIS, fit_local_motion
from frazil.models.motion.estimate.patches import cut_patches
from frazil.models.motion.estimate.spatial_basis import SpatialBasis
from frazil.models.motion.estimate.whole_frame import align_whole_frames
from frazil.models.motion.frame_source import StackFrames

SIZE_PX, FRAMES, PIXEL_SIZE_ANGSTROM, VOLTAGE_KV = 2048, 40, 1.0, 300.0
MOVIES = (("drifting", 1.0, 11), ("drifting", 0.3, 12), ("settling", 1.0, 13), ("settling", 0.3, 14))
BASES = (
    SpatialBasis("polynomial", 2),
    SpatialBasis("polynomial", 3),
    SpatialBasis("polynomial", 4),
    SpatialBasis("spline", 4),
    SpatialBasis("spline", 5),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    x, y = grid()
    rows = []
    print(f"{'movie':20s} {'basis':14s} {'held-out gain':>13s} {'roughest used':>13s} {'local error px':>14s}")
    for kind, dose, seed in MOVIES:
        truth = true_motion(kind, FRAMES, seed)
        scene = make_scene(SIZE_PX, PIXEL_SIZE_ANGSTROM, seed)
        frames = np.stack(list(movie_frames(scene, truth, dose, seed)))
        small = build_small_stack(StackFrames(torch.from_numpy(frames)), PIXEL_SIZE_ANGSTROM, torch.device("cpu"))
        motion = align_whole_frames(
            small,
            movie_pixel_size_angstrom=PIXEL_SIZE_ANGSTROM,
            voltage_kv=VOLTAGE_KV,
            dose_per_frame_e_per_a2=dose,
            pre_exposure_e_per_a2=0.0,
            b_factor_px2=150.0,
            max_shift_angstrom=60.0,
        )
        patches = cut_patches(
            small,
            motion,
            frame_size_px=(SIZE_PX, SIZE_PX),
            grid_x=5,
            grid_y=5,
            dose_per_frame_e_per_a2=dose,
            pre_exposure_e_per_a2=0.0,
            voltage_kv=VOLTAGE_KV,
        )
        for basis in BASES:
            fit = fit_local_motion(patches, motion, basis)
            error = motion_errors(fit.field.at(x - 0.5, y - 0.5) / PIXEL_SIZE_ANGSTROM, truth.at(x, y))
            row = {
                "movie": f"{kind} {dose} e/px",
                "basis": f"{basis.kind} {basis.order}",
                "held_out_gain": fit.held_out_gain,
                "roughest_group": fit.roughest_group,
                "local_error_px": error["local"],
            }
            rows.append(row)
            print(
                f"{row['movie']:20s} {row['basis']:14s} {fit.held_out_gain:13.1f} {fit.roughest_group:13d} "
                f"{error['local']:14.3f}",
                flush=True,
            )
    total = {f"{b.kind} {b.order}": 0.0 for b in BASES}
    for row in rows:
        total[str(row["basis"])] += float(row["held_out_gain"])  # type: ignore[arg-type]
    chosen = total[f"{LOCAL_BASIS.kind} {LOCAL_BASIS.order}"]
    holds = chosen >= 0.98 * max(total.values())
    print("sums of held-out gains: " + ", ".join(f"{name} {gain:.0f}" for name, gain in total.items()))
    print(("holds" if holds else "FAILS") + f"  the chosen basis ({LOCAL_BASIS.kind} {LOCAL_BASIS.order}) is the best")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "held_out_gain": total, "holds": holds}, indent=1) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
