"""Motion and CTF against known truth: simulated 1024 x 1024 movies of 40 frames, 1 e-/A2 each, through a real worker.

    ./run bench simulated_truth [--movies 20] [--seed 100] [--structure t20s] [--json OUT.json]

The claim (95 % of movies): whole-frame shifts within 0.6 A RMS of the truth (both axes together, mean removed), defocus
within 150 A, astigmatism within 100 A (the length of the difference of the two astigmatism vectors); and no movie
silently wrong: whatever misses is flagged by frazil's own figures.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path

import numpy as np

from frazil.actors.frame_worker import FrameWorker, WorkerConfig
from frazil.actors.messages import MovieFailure, MovieTask
from frazil.config.loading import load_settings
from frazil.config.settings import GainOrientation
from frazil.models.causal.prior import physics_prior
from frazil.models.formats.acquisition import merge_metadata, resolve
from frazil.models.formats.movie import open_movie
from frazil.models.formats.sidecar import read_sidecar
from frazil.models.gain.gate import GainDecision, GainVerdict
from frazil.models.simulation.delivery import write_session
from frazil.models.simulation.layout import DeliverySettings
from frazil.models.simulation.settings import preset

SHIFT_LIMIT_ANGSTROM, DEFOCUS_LIMIT_ANGSTROM, ASTIGMATISM_LIMIT_ANGSTROM = 0.6, 150.0, 100.0


def astigmatism_vector(u_angstrom: float, v_angstrom: float, angle_deg: float) -> np.ndarray:
    """(U - V) at twice the angle: a quantity without jumps where U and V cross."""
    angle = math.radians(2 * angle_deg)
    return (u_angstrom - v_angstrom) * np.array([math.cos(angle), math.sin(angle)])


def measure(movies: int, seed: int, structure: str | None) -> list[dict[str, object]]:
    """One row a movie."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulation = preset("standard").with_changes(movies=movies, seed=seed, name="truth")
        if structure is not None:
            simulation = simulation.with_changes(specimen={"structure": structure})
        truth = write_session(folder / "m", simulation, DeliverySettings())
        settings = load_settings(preset="simulated", flags={"camera.gain": str(folder / "m" / "gain.mrc")})
        worker = FrameWorker(WorkerConfig("cpu-0", str(folder), settings, "cpu", 1))
        reference, orientation = settings.camera.gain, GainOrientation.IDENTITY
        gain = GainDecision(GainVerdict.CORRECT, "", None, reference, None, orientation, "multiply", 1, None, None)
        rows = []
        for movie in truth.movies:
            path = folder / "m" / "raw" / str(movie.file)
            with open_movie(path) as reader:
                sidecar = read_sidecar(folder / "m" / "raw" / str(movie.sidecar))
                metadata = merge_metadata(settings=settings, header=reader.header, sidecar=sidecar)
            acquisition = resolve(metadata, settings=settings)
            task = MovieTask(movie.stem, str(path), movie.stem, 1, acquisition, gain, "", physics_prior())
            result = worker.process(task)
            if isinstance(result, MovieFailure):
                raise SystemExit(result.traceback)
            shift = np.stack([result.shifts.shift_x_angstrom, result.shifts.shift_y_angstrom])
            true = np.stack([movie.shift_x_angstrom, movie.shift_y_angstrom])
            difference = (shift - shift.mean(axis=1, keepdims=True)) - (true - true.mean(axis=1, keepdims=True))
            ctf = result.ctf
            fitted = astigmatism_vector(ctf.defocus_u_angstrom, ctf.defocus_v_angstrom, ctf.astigmatism_angle_deg)
            actual = astigmatism_vector(movie.defocus_u_angstrom, movie.defocus_v_angstrom, movie.astigmatism_angle_deg)
            rows.append(
                {
                    "movie": movie.index,
                    "drift": movie.drift_kind,
                    "shift_rms_angstrom": float(np.sqrt((difference**2).sum(axis=0).mean())),
                    "shifts_trusted": result.shifts.converged,
                    "defocus_error_angstrom": (ctf.defocus_u_angstrom + ctf.defocus_v_angstrom) / 2
                    - (movie.defocus_u_angstrom + movie.defocus_v_angstrom) / 2,
                    "astigmatism_error_angstrom": float(np.hypot(*(fitted - actual))),
                    "ctf_reliable": ctf.reliable,
                    "fit_resolution_angstrom": ctf.fit_resolution_angstrom,
                    "flags": list(result.quality.flags),
                }
            )
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=20)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--structure", help="t20s, apoferritin, gltph or a PDB/mmCIF file")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments.movies, arguments.seed, arguments.structure)
    wrong = []
    print(f"{'movie':>5} {'drift':10} {'shift A':>8} {'trusted':>8} {'dz A':>8} {'astig A':>8} {'reliable':>9}  flags")
    for row in rows:
        print(
            f"{row['movie']:>5} {row['drift']:10} {row['shift_rms_angstrom']:8.3f} {row['shifts_trusted']!s:>8} "
            f"{row['defocus_error_angstrom']:8.1f} {row['astigmatism_error_angstrom']:8.1f} {row['ctf_reliable']!s:>9} "
            f"{','.join(map(str, row['flags']))}"  # type: ignore[call-overload]
        )
    shifts = np.array([row["shift_rms_angstrom"] for row in rows], dtype=float)
    defocus = np.abs(np.array([row["defocus_error_angstrom"] for row in rows], dtype=float))
    astigmatism = np.array([row["astigmatism_error_angstrom"] for row in rows], dtype=float)
    for row, shift, dz, astig in zip(rows, shifts, defocus, astigmatism, strict=True):
        bad_ctf = dz > DEFOCUS_LIMIT_ANGSTROM or astig > ASTIGMATISM_LIMIT_ANGSTROM
        if (shift > SHIFT_LIMIT_ANGSTROM and row["shifts_trusted"]) or (bad_ctf and row["ctf_reliable"]):
            wrong.append(row["movie"])
    summary = {
        "movies": len(rows),
        "seed": arguments.seed,
        "shift_rms_angstrom_p50_p95": [float(np.percentile(shifts, q)) for q in (50, 95)],
        "share_shift_within": float((shifts <= SHIFT_LIMIT_ANGSTROM).mean()),
        "defocus_error_angstrom_p50_p95": [float(np.percentile(defocus, q)) for q in (50, 95)],
        "share_defocus_within": float((defocus <= DEFOCUS_LIMIT_ANGSTROM).mean()),
        "astigmatism_error_angstrom_p50_p95": [float(np.percentile(astigmatism, q)) for q in (50, 95)],
        "share_astigmatism_within": float((astigmatism <= ASTIGMATISM_LIMIT_ANGSTROM).mean()),
        "silently_wrong": wrong,
    }
    print(json.dumps(summary, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"summary": summary, "movies": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
