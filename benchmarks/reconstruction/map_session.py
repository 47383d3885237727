"""A session from the movies on disk to the map, beside the true poses, the true losses and RELION.

    ./run bench map_session --structures DIR [--sessions pentamer:2101 belted:2102 pentamer:2103+artefacts]
        [--movies 80] [--work DIR] [--relion] [--json OUT]

Movies of `map_session_movies.py` (1024 x 1024 at 1.2 A; physics that shares no code with frazil) go through
`frazil watch --once` with a start low-passed to 30 A. Of what lies in the session folder afterwards is told: picks
beside the true centres; the resolution at which the FSC against the true map falls to 0.5, of frazil's map and of the
true poses inverted on the same picks (whose solvent is not flat: also with both under the map's mask); with the last
poses, the half maps' 0.143 with uniform weights, with the causal prior's and with the true losses as weights.
`--relion`: `relion_reconstruct` on the exported STAR, and `relion_refine` from the same start.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.real_data import shared_data
from benchmarks.reconstruction import relion as reconstruction_relion
from benchmarks.reconstruction import scenes
from benchmarks.reconstruction import session_movies as map_session_movies
from benchmarks.reconstruction.relion import read_mrc
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.orientation.rotations import angle_between_deg, matrices_from_euler_deg
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.refine.initial_map import INITIAL_RESOLUTION_ANGSTROM, low_pass
from frazil.models.reconstruction.resolution.fsc import FscCurve, fourier_shell_correlation, spherical_mask
from frazil.models.reconstruction.resolution.half_map_fsc import half_map_fsc

Array = NDArray[Any]
CPU = torch.device("cpu")
NEAR_DIAMETERS = 0.3
_MOVIES_SQL = """
SELECT m.movie_id, m.relative_path AS path, p.x_px, p.y_px, p.half_set, p.rot_deg, p.tilt_deg, p.psi_deg,
       p.origin_x_angstrom, p.origin_y_angstrom, c.defocus_u_angstrom AS u, c.defocus_v_angstrom AS v,
       c.astigmatism_angle_deg AS angle
FROM movies m JOIN particle_arrays p USING (movie_id) JOIN ctf c USING (movie_id)
WHERE m.state = 'ready' AND len(p.x_px) > 0 ORDER BY m.sequence
"""
_SHIFTS_SQL = """
SELECT shift_x_angstrom AS x, shift_y_angstrom AS y FROM frame_shifts WHERE movie_id = '{movie_id}' ORDER BY frame
"""
_LOSSES_SQL = """
SELECT frequency_per_angstrom AS k, sum(loss_ln_ssnr) AS loss FROM causal_losses
WHERE movie_id = '{movie_id}' AND factor <> 'motion_uncorrected' GROUP BY k ORDER BY k
"""


@dataclass(frozen=True, slots=True)
class Picked:
    """One movie's particles as frazil left them, with their truth; particles without a true one near are false."""

    spectra: ParticleSpectra
    half_set: NDArray[Any]
    poses: Array | None
    """(n, 3, 3) frazil's; None: the map has none of them."""
    shift_px: Array
    """(n, 2) on the working plane, frazil's."""
    true_poses: Array
    true_shift_px: Array
    is_true: NDArray[np.bool_]
    causal_ssnr: Array
    """(M,) on the plane."""
    true_ssnr: Array
    optics: tuple[float, float, float]
    """Defocus U, V (A) and angle (deg) as frazil fitted them."""
    stack_path: Path


class MapSession:
    """One finished session beside its truth."""

    def __init__(self, out_dir: Path, session_dir: Path, folder: Path) -> None:
        self.truth: dict[str, Any] = json.loads((out_dir / "truth.json").read_text())
        self.session_dir = session_dir
        self.shape = scenes.specimen(self.truth["specimen"], folder, self.truth["seed"])
        self.symmetry, self.diameter_angstrom = self.shape.symmetry, self.shape.diameter_angstrom
        self.group = symmetry_matrices(self.symmetry)
        with mrcfile.open(session_dir / "maps" / "map.mrc") as mrc:
            self.map = torch.from_numpy(np.array(mrc.data, dtype=np.float32))
            self.pixel_size_angstrom = float(mrc.voxel_size.x)
        n = self.map.shape[0]
        self.plane = FourierPlane.of_box(n, self.pixel_size_angstrom)
        self.true_map = torch.from_numpy(scenes.truth_map(self.shape, n, self.pixel_size_angstrom))
        radius_px = min(0.55 * self.diameter_angstrom / self.pixel_size_angstrom, 0.44 * n)
        self.mask = spherical_mask(n, radius_px, 0.06 * n)
        self.found = self.missed = self.false = 0
        by_file = {movie["file"]: movie for movie in self.truth["movies"]}
        self.movies = [
            self._picked(row, by_file[Path(str(row["path"])).name])
            for row in shared_data.rows(session_dir, _MOVIES_SQL)
        ]

    def _picked(self, row: dict[str, Any], truth: dict[str, Any]) -> Picked:
        stack_path = self._stack_path(truth["file"])
        stack = read_mrc(stack_path)
        pixel = self.truth["instrument"]["pixel_size_angstrom"]
        u, v, angle = float(row["u"]), float(row["v"]), float(row["angle"])
        spectra = particle_spectra(
            stack,
            self.plane,
            pixel_size_angstrom=pixel,
            diameter_angstrom=self.diameter_angstrom,
            ctf=CtfParameters(300.0, 2.7, 0.1, u, v, angle),
        )
        picks = np.array([row["x_px"], row["y_px"]]).T
        # Where the frames lie once frazil has taken its shifts off them.
        shifts = shared_data.rows(self.session_dir, _SHIFTS_SQL.format(movie_id=row["movie_id"]))
        left = np.array(truth["path_angstrom"]) - np.array([[one["x"], one["y"]] for one in shifts])
        centres = np.array([[one["x_px"], one["y_px"]] for one in truth["particles"]]) + left.mean(axis=0) / pixel
        away = np.hypot(*(picks[:, None] - centres[None]).transpose(2, 0, 1))
        nearest = away.argmin(axis=1)
        is_true = away.min(axis=1) < NEAR_DIAMETERS * self.diameter_angstrom / pixel
        half = stack.shape[-1] // 2
        counted = np.all((centres > half) & (centres < 1024 - half), axis=1)
        self.found += len(set(nearest[is_true]) & set(np.nonzero(counted)[0]))
        self.missed += int(counted.sum()) - len(set(nearest[is_true]) & set(np.nonzero(counted)[0]))
        self.false += int((~is_true).sum())
        # A box's middle is the pixel that its pick was rounded to.
        true_shift = (centres[nearest] - np.round(picks)) * pixel / self.pixel_size_angstrom
        poses = None
        if row["rot_deg"] is not None and row["rot_deg"][0] is not None:
            poses = matrices_from_euler_deg(np.array([row["rot_deg"], row["tilt_deg"], row["psi_deg"]]).T)
        origin = np.array([row["origin_x_angstrom"], row["origin_y_angstrom"]], dtype=float).T
        at = self.plane.frequency_per_angstrom
        k = np.array(self.truth["frequency_per_angstrom"])
        own = shared_data.rows(self.session_dir, _LOSSES_SQL.format(movie_id=row["movie_id"]))
        causal = np.interp(at, [one["k"] for one in own], [one["loss"] for one in own])
        return Picked(
            spectra,
            np.array(row["half_set"]),
            poses,
            -origin / self.pixel_size_angstrom,
            np.array([one["pose"] for one in truth["particles"]]).reshape(-1, 3, 3)[nearest],
            true_shift,
            is_true,
            np.exp(-causal),
            np.exp(-np.interp(at, k, np.sum(list(truth["losses"].values()), axis=0))),
            (u, v, angle),
            stack_path,
        )

    def _stack_path(self, file: str) -> Path:
        return self.session_dir / "particles" / f"{Path(file).stem}.mrcs"

    def stacks(self) -> Iterator[reconstruction_relion.Stack]:
        """As `reconstruction_relion` asks for them."""
        for movie in self.movies:
            yield reconstruction_relion.Stack(read_mrc(movie.stack_path).numpy(), movie.optics)

    def curve(self, first: torch.Tensor, second: torch.Tensor) -> FscCurve:
        """From the particle's own size on, both under the same sphere."""
        whole = fourier_shell_correlation(
            first * self.mask, second * self.mask, pixel_size_angstrom=self.pixel_size_angstrom
        )
        start = math.ceil(self.plane.box_px * self.pixel_size_angstrom / self.diameter_angstrom) - 1
        last = int(self.plane.radius_px.max())
        return FscCurve(whole.frequency_per_angstrom[start:last], whole.fsc[start:last])

    def in_own_mask(self, volume: torch.Tensor) -> float | None:
        """Where a map's FSC against the truth falls to 0.5 when both lie under the mask of frazil's half maps."""
        halves = [read_mrc(self.session_dir / "maps" / f"half{number}.mrc") for number in (1, 2)]
        first_shell = math.ceil(self.plane.box_px * self.pixel_size_angstrom / self.diameter_angstrom)
        mask = half_map_fsc(
            *halves,
            pixel_size_angstrom=self.pixel_size_angstrom,
            diameter_angstrom=self.diameter_angstrom,
            first_shell=first_shell,
            last_shell=int(self.plane.radius_px.max()),
        ).mask.values
        return self.curve(volume * mask, self.true_map * mask).resolution_angstrom(0.5)

    def inverted(self, weights: str, *, true_poses: bool) -> tuple[torch.Tensor, float | None]:
        """(full map, half maps' 0.143 in A) of the session's picks; `weights`: uniform, causal or true."""
        halves = [FourierAccumulator(self.plane.box_px, device=CPU) for _ in range(2)]
        for movie in self.movies:
            poses = movie.true_poses if true_poses else movie.poses
            if poses is None:
                continue
            shift = movie.true_shift_px if true_poses else movie.shift_px
            centred = movie.spectra.values * self.plane.phases(shift, len(self.plane.kx), CPU)
            ssnr = {"uniform": np.ones(len(self.plane.kx)), "causal": movie.causal_ssnr, "true": movie.true_ssnr}
            damped = movie.spectra.ctf * torch.from_numpy(ssnr[weights]).sqrt().to(torch.float32)
            for half in (0, 1):
                chosen = np.nonzero((movie.half_set == half + 1) & (movie.is_true | (not true_poses)))[0]
                if not chosen.size:
                    continue
                index = torch.from_numpy(chosen)
                turned = np.concatenate([poses[chosen] @ operator for operator in self.group])
                weight = (damped**2).expand(len(index), -1)
                halves[half].insert(self.plane, torch.from_numpy(turned), centred[index] * damped, weight)
        volumes = [half.volume() for half in halves]
        return (halves[0] + halves[1]).volume(), self.curve(*volumes).resolution_angstrom(0.143)

    def pose_error_deg(self) -> float:
        """Median, of the picks that are particles."""
        errors = [
            angle_between_deg(movie.poses, movie.true_poses, self.group)[movie.is_true]
            for movie in self.movies
            if movie.poses is not None
        ]
        return float(np.median(np.concatenate(errors)))

    def centre_offset_px(self) -> tuple[float, float]:
        """Median of (frazil's centre - true centre) on the working plane, x and y: 0 where the frames of both agree."""
        apart = np.concatenate([(m.shift_px - m.true_shift_px)[m.is_true] for m in self.movies if m.poses is not None])
        return float(np.median(apart[:, 0])), float(np.median(apart[:, 1]))

    def start(self) -> torch.Tensor:
        return low_pass(self.true_map, INITIAL_RESOLUTION_ANGSTROM, self.pixel_size_angstrom)


def watched(out_dir: Path, folder: Path, label: str) -> tuple[Path, float]:
    """Run frazil over a session's movies, from a 30 A start on its own grid; (session folder, seconds)."""
    session_dir = out_dir / "session"
    truth = json.loads((out_dir / "truth.json").read_text())
    shape = scenes.specimen(truth["specimen"], folder, truth["seed"])
    if (session_dir / "maps" / "map.mrc").exists():
        return session_dir, math.nan
    pixel = truth["instrument"]["pixel_size_angstrom"]
    n = 2 * math.ceil(0.8 * shape.diameter_angstrom / pixel)
    start = low_pass(torch.from_numpy(scenes.truth_map(shape, n, pixel)), INITIAL_RESOLUTION_ANGSTROM, pixel)
    with mrcfile.new(out_dir / "start.mrc", overwrite=True) as mrc:
        mrc.set_data(start.numpy())
        mrc.voxel_size = pixel
    begun = time.monotonic()
    shared_data.watch_once(
        out_dir / "raw",
        session_dir,
        *("--gain", out_dir / "gain.mrc", "--pixel-size-angstrom", pixel, "--voltage-kv", 300, "--cs-mm", 2.7),
        *("--particle-diameter-angstrom", round(shape.diameter_angstrom), "--symmetry", shape.symmetry),
        *("--initial-map", out_dir / "start.mrc", "--workers", 2),
    )
    print(f"{label}: {time.monotonic() - begun:.0f} s in frazil watch")
    return session_dir, time.monotonic() - begun


def measure(session: MapSession, label: str, relion: bool) -> dict[str, object]:
    """Print and return what is known of a session's map."""
    to_truth = session.curve(session.map, session.true_map).resolution_angstrom(0.5)
    ideal = {name: session.inverted(name, true_poses=True) for name in ("uniform", "true")}
    own = {name: session.inverted(name, true_poses=False) for name in ("uniform", "causal", "true")}
    best = session.curve(ideal["true"][0], session.true_map).resolution_angstrom(0.5)
    uniform, causal, true = (own[name][1] for name in ("uniform", "causal", "true"))
    precision = session.found / max(session.found + session.false, 1)
    recall = session.found / max(session.found + session.missed, 1)
    row: dict[str, object] = {
        "session": label,
        "movies": len(session.movies),
        "particles": sum(len(m.half_set) for m in session.movies),
        "pick_f1": 2 * precision * recall / max(precision + recall, 1e-9),
        "pose_error_deg": session.pose_error_deg(),
        "centre_offset_px": session.centre_offset_px(),
        "map_to_truth_05_angstrom": to_truth,
        "true_poses_to_truth_05_angstrom": best,
        "ratio": None if to_truth is None or best is None else to_truth / best,
        "in_the_maps_mask_05_angstrom": session.in_own_mask(session.map),
        "true_poses_in_the_maps_mask_05_angstrom": session.in_own_mask(ideal["true"][0]),
        "half_maps_0143_angstrom": {name: value for name, (_, value) in own.items()},
        "true_poses_half_maps_0143_angstrom": {name: value for name, (_, value) in ideal.items()},
        "to_truth_05_angstrom": {
            name: session.curve(full, session.true_map).resolution_angstrom(0.5) for name, (full, _) in own.items()
        },
    }
    if uniform is not None and causal is not None and true is not None:
        row["causal_gain_percent"] = 100 * (uniform / causal - 1)
        row["true_loss_gain_percent"] = 100 * (uniform / true - 1)
    if relion:
        volumes = {
            "relion_reconstruct": reconstruction_relion.reconstructed(
                session.session_dir, session.symmetry, session.plane.box_px
            ),
            "relion_refine": reconstruction_relion.refined(session),
        }
        for program, volume in volumes.items():
            if volume is not None:
                row[f"{program}_to_truth_05_angstrom"] = session.curve(volume, session.true_map).resolution_angstrom(
                    0.5
                )
    print(json.dumps(row, indent=1), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path, required=True, help="folder of *.pdb.gz and *.cif.gz")
    parser.add_argument("--sessions", nargs="*", default=["pentamer:2101", "belted:2102", "pentamer:2103+artefacts"])
    parser.add_argument("--movies", type=int, default=80)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--coverage", type=float, default=0.2, help="share of the field that particles cover")
    parser.add_argument("--work", type=Path, help="keep movies and sessions here [default: a temporary folder]")
    parser.add_argument("--relion", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    work = options.work or Path(tempfile.mkdtemp())
    rows = []
    for text in options.sessions:
        name, _, rest = text.partition(":")
        seed, *tags = rest.split("+")
        out_dir = work / text.replace(":", "-")
        map_session_movies.make_session(
            out_dir,
            name,
            int(seed),
            options.structures,
            kind="artefacts" if "artefacts" in tags else "plain",
            movies=options.movies,
            frames=options.frames,
            coverage=options.coverage,
        )
        session_dir, seconds = watched(out_dir, options.structures, text)
        row = measure(MapSession(out_dir, session_dir, options.structures), text, options.relion)
        rows.append({**row, "seconds": seconds})
        if options.json is not None:
            options.json.write_text(json.dumps({"sessions": rows}, indent=1) + "\n")
    if options.work is None:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
