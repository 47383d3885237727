"""A session whose causes are known: movies, sidecars, a gain reference and the truth, to judge attribution by.

    ./run bench causal_sessions OUT [--seed 1] [--kind mixed] [--movies 60] [--size 1024]
        [--change illumination|gain|grid|"dose rate" --change-at 30] [--settle-longer 10] [--dose-rate-scale 0.5]

Another simulator than frazil's own and other formulas than its causal model's: `causal_draws.py` draws what each movie
is taken under, `causal_scene.py` makes its counts, `causal_physics.py` says what each cause costs.

    OUT/raw/GridSquare_*/Data/FoilHole_*_Fractions.tiff and .xml, OUT/gain.mrc, OUT/truth.json
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import tifffile

from benchmarks.causal_world.draws import CHANGES, KINDS, Taken, Wanted, draw_movies
from benchmarks.causal_world.physics import BESIDE, FACTORS, FREQUENCIES_PER_ANGSTROM, transmitted, true_losses
from benchmarks.causal_world.scene import Exposure, Image, Particle, frames, project
from benchmarks.causal_world.sidecar import exposure_xml

STRUCTURES = ("3j9i_", "4v1w_", "6z6u_", "5a1a_", "1bxn_", "1mnf_", "3cf3_")
_SENSITIVITY_SD = 0.03
_CHANGED_SENSITIVITY_SD = 0.12
_SHIPPED = Path(__file__).parents[2] / "models" / "simulation" / "structures"


def make_session(
    out_dir: Path,
    wanted: Wanted,
    *,
    structures: Path | None = None,
    file_format: str = "tiff",
    only_truth: bool = False,
) -> dict[str, Any]:
    """Write a session and return its truth; `only_truth` leaves the movies out."""
    taken = [_with_gain_of_its_time(movie, wanted) for movie in draw_movies(wanted)]
    raw = out_dir / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    sensitivity, changed = _sensitivities(wanted)
    with mrcfile.new(out_dir / "gain.mrc", overwrite=True) as file:
        file.set_data((1.0 / sensitivity).astype(np.float32))
    path = structure_file(structures, wanted.seed)
    particle = None if only_truth else project(path, taken[0].session.instrument, wanted.seed)
    suffix = "_Fractions.tiff" if file_format == "tiff" else "_Fractions.mrc"
    rows = []
    for movie in taken:
        name = _name(movie)
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        begun = time.process_time()
        if particle is not None:
            own = changed if _gain_has_changed(movie, wanted) else sensitivity
            write_movie(raw / f"{name}{suffix}", movie, particle, own, wanted)
        (raw / f"{name}.xml").write_text(sidecar_of(movie, wanted))
        rows.append(_row(movie, f"{name}{suffix}", f"{name}.xml"))
        print(f"{name} {time.process_time() - begun:.2f} s", flush=True)
    change, change_at = wanted.change, wanted.change_at
    truth = {
        "wanted": asdict(wanted),
        "session": asdict(taken[0].session),
        "structure": path.name,
        "factors": FACTORS,
        "beside": BESIDE,
        "frequency_per_angstrom": FREQUENCIES_PER_ANGSTROM,
        "change_point": None if change is None else {"movie": change_at, "cause": change, "factor": CHANGES[change]},
        "movies": rows,
    }
    (out_dir / "truth.json").write_text(json.dumps(truth) + "\n")
    return truth


def _gain_has_changed(movie: Taken, wanted: Wanted) -> bool:
    return wanted.change == "gain" and movie.index >= wanted.change_at


def _with_gain_of_its_time(movie: Taken, wanted: Wanted) -> Taken:
    if not _gain_has_changed(movie, wanted):
        return movie
    return replace(movie, causes=replace(movie.causes, gain_error_sd=_CHANGED_SENSITIVITY_SD))


def _sensitivities(wanted: Wanted) -> tuple[Image, Image]:
    """Of the camera as its gain reference knows it, and after a change of the gain."""
    random = np.random.default_rng([wanted.seed, 6])
    sensitivity = _pattern(random, wanted.size_px, _SENSITIVITY_SD)
    return sensitivity, sensitivity * _pattern(random, wanted.size_px, _CHANGED_SENSITIVITY_SD)


def sidecar_of(movie: Taken, wanted: Wanted) -> str:
    """The XML of one exposure."""
    return exposure_xml(
        movie.session.instrument,
        movie.causes,
        start_utc_s=movie.start_utc_s,
        exposure_time_s=movie.exposure_time_s,
        stage_um=movie.stage_um,
        size_px=wanted.size_px,
        dose_calibration=movie.session.dose_calibration,
    )


def write_movie(path: Path, movie: Taken, particle: Particle, sensitivity: Image, wanted: Wanted) -> None:
    """The counts of one exposure: TIFF with row 0 last and LZW, or MRC."""
    counted = frames(exposure_of(movie, wanted), particle, sensitivity)
    if path.suffix == ".mrc":
        with mrcfile.new(path, overwrite=True) as file:
            file.set_data(np.stack(list(counted)).astype(np.int8))
            file.voxel_size = movie.session.instrument.pixel_size_angstrom
        return
    with tifffile.TiffWriter(path) as tiff:
        for frame in counted:
            tiff.write(
                np.ascontiguousarray(frame[::-1]), compression="lzw", rowsperstrip=len(frame), photometric="minisblack",
                metadata=None, contiguous=False,
            )  # fmt: skip


def exposure_of(movie: Taken, wanted: Wanted) -> Exposure:
    """What a movie's frames are made of."""
    return Exposure(
        instrument=movie.session.instrument,
        causes=movie.causes,
        path_angstrom=movie.path_angstrom,
        coverage=movie.coverage,
        exposure_time_s=movie.exposure_time_s,
        size_px=wanted.size_px,
        seed=wanted.seed * 1000 + movie.index,
    )


def _pattern(random: np.random.Generator, size_px: int, sd: float) -> Image:
    pattern = 1.0 + sd * random.standard_normal((size_px, size_px), dtype=np.float32)
    return np.asarray(np.clip(pattern, 0.3, 2.0) / pattern.mean(), dtype=np.float32)


def structure_file(folder: Path | None, seed: int) -> Path:
    """One of STRUCTURES by the seed, from the folder or from what ships with frazil."""
    found = [path for path in sorted((folder or _SHIPPED).iterdir()) if path.name.startswith(STRUCTURES)]
    if not found:
        raise SystemExit(f"no structure file in {folder or _SHIPPED} begins with one of {', '.join(STRUCTURES)}")
    return found[int(np.random.default_rng([seed, 8]).integers(len(found)))]


def _name(movie: Taken) -> str:
    when = datetime.fromtimestamp(movie.start_utc_s, UTC).strftime("%Y%m%d_%H%M%S")
    square = 14_370_000 + movie.grid_square
    return f"GridSquare_{square}/Data/FoilHole_{14_380_000 + movie.hole}_Data_14371000_{movie.index % 3}_{when}"


def _row(movie: Taken, file: str, sidecar: str) -> dict[str, Any]:
    losses = true_losses(movie.causes, movie.session.instrument, movie.path_angstrom)
    return {
        "index": movie.index,
        "file": file,
        "sidecar": sidecar,
        "causes": asdict(movie.causes),
        "instrument": asdict(movie.session.instrument),
        "planted": movie.planted,
        "stage_moved": movie.stage_moved,
        "stage_um": movie.stage_um,
        "exposure_time_s": movie.exposure_time_s,
        "transmitted": transmitted(movie.causes, movie.session.instrument),
        "coverage": movie.coverage,
        "path_angstrom": np.round(movie.path_angstrom, 3).tolist(),
        "losses": {name: np.round(loss, 5).tolist() for name, loss in losses.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, default="mixed")
    parser.add_argument("--movies", type=int, default=60)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--change", choices=sorted(CHANGES))
    parser.add_argument("--change-at", type=int, default=30)
    parser.add_argument("--settle-longer", type=float, default=0.0, metavar="S")
    parser.add_argument("--dose-rate-scale", type=float, default=1.0)
    parser.add_argument("--heterogeneity", type=float, default=0.0, metavar="A2")
    parser.add_argument("--structures", type=Path, default=os.environ.get("FRAZIL_STRUCTURES"))
    parser.add_argument("--format", choices=("tiff", "mrc"), default="tiff")
    parser.add_argument("--only-truth", action="store_true", help="no movies: what the causes would cost")
    args = parser.parse_args()
    wanted = Wanted(
        seed=args.seed,
        kind=args.kind,
        movies=args.movies,
        size_px=args.size,
        frames=args.frames,
        change=args.change,
        change_at=args.change_at,
        settle_longer_s=args.settle_longer,
        dose_rate_scale=args.dose_rate_scale,
        heterogeneity_angstrom2=args.heterogeneity,
    )
    make_session(args.out, wanted, structures=args.structures, file_format=args.format, only_truth=args.only_truth)


if __name__ == "__main__":
    main()
