"""How near the running map comes to what the true poses allow, what causal weights are worth, what a movie costs.

Particles of `reconstruction_scenes.py` (physics that shares no code with frazil) go through `RunningMap` as the actor
drives it: movie by movie, with the earlier ones that are due again, from a 30 A low-passed start or from nothing.
Printed for every session: the resolution at which the FSC against the true map falls to 0.5, and 0.143 between the
halves, for the true poses inverted and for the running map; for sessions with artefacts the same with uniform weights
and with the true losses as weights. `--relion` also lets RELION refine the same particles from the same start.

    ./run bench reconstruction --structures DIR [--sessions pentamer:81+hard belted:82+hard]
        [--ab-initio 10] [--cost 500] [--relion] [--json OUT]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.reconstruction import relion as reconstruction_relion
from benchmarks.reconstruction import scenes
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra, working_box_px
from frazil.models.reconstruction.orientation.rotations import angle_between_deg, neighbours, pose_grid
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.orientation.symmetry_alignment import rotated
from frazil.models.reconstruction.refine.ab_initio import ab_initio_map
from frazil.models.reconstruction.refine.initial_map import INITIAL_RESOLUTION_ANGSTROM, low_pass
from frazil.models.reconstruction.refine.running_map import RunningMap
from frazil.models.reconstruction.resolution.fsc import FscCurve, fourier_shell_correlation, spherical_mask

CPU = torch.device("cpu")
_SAME_SHAPE, _SHAPE_RESOLUTION_ANGSTROM = 0.9, 15.0
_AB_INITIO_PARTICLES = 700


@dataclass(frozen=True, slots=True)
class Reached:
    truth_05_angstrom: float | None
    halves_0143_angstrom: float | None


class Bench:
    """One session on the working plane, with its truth."""

    def __init__(
        self,
        name: str,
        seed: int,
        folder: Path,
        *,
        movies: int,
        artefacts: bool,
        hard: bool,
        flexible_angstrom: float = 0.0,
    ) -> None:
        shape = scenes.specimen(name, folder, seed)
        box = 2 * math.ceil(0.8 * shape.diameter_angstrom / 1.2)
        self.session = scenes.Session(
            shape, seed, movies=movies, box_px=box, artefacts=artefacts, flexible_angstrom=flexible_angstrom
        )
        if hard:
            self.session = scenes.Session(
                shape, seed, movies=movies, box_px=box, artefacts=artefacts, particles=25, b_factor=150.0, dose=30.0
            )
        self.label = f"{name}:{seed}" + ("+artefacts" if artefacts else "") + ("+hard" if hard else "")
        n = working_box_px(box)
        self.pixel_size_angstrom = box * 1.2 / n
        self.plane = FourierPlane.of_box(n, self.pixel_size_angstrom)
        self.diameter_angstrom = shape.diameter_angstrom
        self.symmetry = shape.symmetry
        self.group = symmetry_matrices(shape.symmetry)
        self.truth = torch.from_numpy(scenes.truth_map(shape, n, self.pixel_size_angstrom))
        radius_px = min(0.55 * self.diameter_angstrom / self.pixel_size_angstrom, 0.44 * n)
        self.mask = spherical_mask(n, radius_px, 0.06 * n)
        self.movies = list(scenes.movies(self.session))

    def spectra(self, number: int) -> ParticleSpectra:
        movie = self.movies[number]
        t = movie.optics
        defocus = (t.defocus + t.astigmatism / 2, t.defocus - t.astigmatism / 2)
        optics = CtfParameters(t.voltage_kv, t.cs_mm, t.amplitude_contrast, *defocus, t.angle)
        return particle_spectra(
            torch.from_numpy(movie.stack),
            self.plane,
            pixel_size_angstrom=t.pixel_size,
            diameter_angstrom=self.diameter_angstrom,
            ctf=optics,
        )

    def halves(self, number: int) -> tuple[int, ...]:
        return tuple(1 + (number + i) % 2 for i in range(len(self.movies[number].stack)))

    def true_ssnr(self, number: int) -> NDArray[Any]:
        movie = self.movies[number]
        at = self.plane.frequency_per_angstrom
        return np.asarray(np.exp(np.interp(at, movie.frequency_per_angstrom, movie.ln_relative_ssnr)))

    def uniform_ssnr(self, number: int) -> NDArray[Any]:
        return np.ones(len(self.plane.kx))

    def curve(self, first: torch.Tensor, second: torch.Tensor, mask: torch.Tensor | None = None) -> FscCurve:
        """From the particle's own size on, both under the sphere, or under a mask."""
        mask = self.mask if mask is None else mask
        whole = fourier_shell_correlation(first * mask, second * mask, pixel_size_angstrom=self.pixel_size_angstrom)
        start = math.ceil(self.plane.box_px * self.pixel_size_angstrom / self.diameter_angstrom) - 1
        last = int(self.plane.radius_px.max())
        return FscCurve(whole.frequency_per_angstrom[start:last], whole.fsc[start:last])

    def with_true_poses(self, weights: Callable[[int], NDArray[Any]]) -> Reached:
        halves = [FourierAccumulator(self.plane.box_px, device=CPU) for _ in range(2)]
        for number, movie in enumerate(self.movies):
            particles = self.spectra(number)
            shift = movie.shift_px * movie.optics.pixel_size / self.pixel_size_angstrom
            centred = particles.values * self.plane.phases(shift, len(self.plane.kx), CPU)
            damped = particles.ctf * torch.from_numpy(weights(number)).sqrt().to(torch.float32)
            half_set = np.array(self.halves(number))
            for half in (0, 1):
                index = torch.from_numpy(np.nonzero(half_set == half + 1)[0])
                turned = np.concatenate([movie.poses[index.numpy()] @ operator for operator in self.group])
                weight = (damped**2).expand(len(index), -1)
                halves[half].insert(self.plane, torch.from_numpy(turned), centred[index] * damped, weight)
        full = (halves[0] + halves[1]).volume()
        return Reached(
            self.curve(full, self.truth).resolution_angstrom(0.5),
            self.curve(halves[0].volume(), halves[1].volume()).resolution_angstrom(0.143),
        )

    def run(self, start: torch.Tensor, weights: Callable[[int], NDArray[Any]]) -> tuple[RunningMap, float]:
        """The map after the session, and the median error of the newest poses (degrees)."""
        running = RunningMap(
            start,
            self.plane,
            symmetry=self.session.shape.symmetry,
            diameter_angstrom=self.diameter_angstrom,
            device=CPU,
        )
        errors: dict[int, NDArray[Any]] = {}
        for number in range(len(self.movies)):
            found = running.add(self.spectra(number), self.halves(number), weights(number))
            assert found is not None
            errors[number] = angle_between_deg(found.poses, self.movies[number].poses, self.group)
            for earlier in running.due():
                found = running.again(earlier, self.spectra(earlier))
                errors[earlier] = angle_between_deg(found.poses, self.movies[earlier].poses, self.group)
        return running, float(np.median(np.concatenate(list(errors.values()))))

    def stacks(self) -> Iterator[reconstruction_relion.Stack]:
        for movie in self.movies:
            t = movie.optics
            u, v = t.defocus + t.astigmatism / 2, t.defocus - t.astigmatism / 2
            yield reconstruction_relion.Stack(movie.stack, (u, v, t.angle))

    def start(self) -> torch.Tensor:
        return low_pass(self.truth, INITIAL_RESOLUTION_ANGSTROM, self.pixel_size_angstrom)

    def same_shape(self, volume: torch.Tensor) -> float:
        """Correlation with the truth at 15 A, over turns, both hands and heights along the axis."""
        small = 2 * math.ceil(self.plane.box_px * self.pixel_size_angstrom / _SHAPE_RESOLUTION_ANGSTROM) + 4
        truth = _binned(low_pass(self.truth * self.mask, _SHAPE_RESOLUTION_ANGSTROM, self.pixel_size_angstrom), small)
        own = _binned(low_pass(volume * self.mask, _SHAPE_RESOLUTION_ANGSTROM, self.pixel_size_angstrom), small)
        best = -1.0
        for hand in (own, torch.flip(own, (0,))):
            grid = pose_grid(9.0, self.group) if len(self.group) > 1 else pose_grid(15.0, self.group)
            if self.session.shape.symmetry.startswith("C") and len(self.group) > 1:
                grid = grid[np.abs(np.abs(grid[:, 2, 2]) - 1) < 0.02]  # the axis is where it is, or upside down
                grid = np.concatenate([grid, grid @ np.diag([1.0, -1.0, -1.0])])
            values = [_alike(truth, rotated(hand, turn)) for turn in grid]
            for first in np.argsort(values)[-3:]:
                turn, step = grid[first], 6.0
                for _ in range(5):
                    tried = [near @ turn for near in neighbours(step)]
                    turn = tried[int(np.argmax([_alike(truth, rotated(hand, one)) for one in tried]))]
                    step *= 0.6
                turned = rotated(hand, turn)
                shifts = (
                    itertools.product((-1, 0, 1), repeat=3)
                    if len(self.group) == 1
                    else ((z, 0, 0) for z in range(-3, 4))
                )
                best = max(best, *(_alike(truth, torch.roll(turned, shift, (0, 1, 2))) for shift in shifts))
        return best


def _alike(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])


def _binned(volume: torch.Tensor, box_px: int) -> torch.Tensor:
    n = volume.shape[0]
    low = n // 2 - box_px // 2
    spectrum = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(volume)))[(slice(low, low + box_px),) * 3]
    return torch.fft.fftshift(torch.fft.ifftn(torch.fft.ifftshift(spectrum)).real)


def one_session(bench: Bench, relion: bool) -> dict[str, object]:
    weights = bench.true_ssnr if bench.session.artefacts else bench.uniform_ssnr
    ideal = bench.with_true_poses(weights)
    begun = time.process_time()
    running, error_deg = bench.run(bench.start(), weights)
    seconds = (time.process_time() - begun) / len(bench.movies)
    now = running.round()
    own = Reached(bench.curve(now.full, bench.truth).resolution_angstrom(0.5), now.resolution_0143_angstrom)
    in_mask = bench.curve(now.full, bench.truth, now.agreement.mask.values).resolution_angstrom(0.5)
    row: dict[str, object] = {
        "session": bench.label,
        "particles": running.particle_count,
        "true_poses": asdict(ideal),
        "running": asdict(own),
        "running_in_its_mask_truth_05_angstrom": in_mask,
        "ratio": _ratio(own.truth_05_angstrom, ideal.truth_05_angstrom),
        "median_error_deg": error_deg,
        "cpu_s_per_movie": seconds,
    }
    print(
        f"{bench.label:28s} {running.particle_count:5d} particles  FSC to truth 0.5: true poses "
        f"{_text(ideal.truth_05_angstrom)}, running map {_text(own.truth_05_angstrom)} (ratio {_text(row['ratio'])});  "
        f"halves 0.143: {_text(ideal.halves_0143_angstrom)}, {_text(own.halves_0143_angstrom)} in the map's mask, in "
        f"which it reaches {_text(in_mask)};  "
        f"poses {error_deg:.1f} deg;  {seconds:.2f} CPU-s a movie",
        flush=True,
    )
    if bench.session.artefacts:
        row["uniform_0143_angstrom"] = now.uniform_fsc.resolution_angstrom(0.143)
        unweighted = bench.with_true_poses(bench.uniform_ssnr)
        row["true_poses_uniform"] = asdict(unweighted)
        print(
            f"{'':28s} halves 0.143 with uniform weights, same poses: {_text(row['uniform_0143_angstrom'])}; "
            f"true poses: {_text(unweighted.halves_0143_angstrom)}"
        )
    if relion:
        volume = reconstruction_relion.refined(bench)
        if volume is not None:
            row["relion_truth_05_angstrom"] = bench.curve(volume, bench.truth).resolution_angstrom(0.5)
            print(f"{'':28s} RELION from the same start: {_text(row['relion_truth_05_angstrom'])}", flush=True)
    return row


def from_nothing(bench: Bench, seeds: int) -> list[float]:
    """Correlations with the truth of maps from the first particles alone."""
    chosen: list[ParticleSpectra] = []
    while sum(len(one.values) for one in chosen) < _AB_INITIO_PARTICLES and len(chosen) < len(bench.movies):
        chosen.append(bench.spectra(len(chosen)))
    found = []
    for seed in range(seeds):
        begun = time.process_time()
        made = ab_initio_map(
            chosen,
            bench.plane,
            symmetry=bench.session.shape.symmetry,
            diameter_angstrom=bench.diameter_angstrom,
            seed=seed,
            device=CPU,
        )
        seconds = time.process_time() - begun
        found.append(bench.same_shape(made.volume))
        print(f"{bench.label:28s} from nothing, seed {seed}: {found[-1]:.3f} at 15 A, {seconds:.0f} CPU-s", flush=True)
    print(f"{'':28s} {sum(value >= _SAME_SHAPE for value in found)} of {seeds} reach {_SAME_SHAPE}")
    return found


def cost(folder: Path, movies: int) -> dict[str, float]:
    """CPU-s and memory of adding a movie, early and late: 40 boxes of 64 px at 2 A, a trimer taken for C1."""
    shape = scenes.specimen("gltph", folder, 1)
    drawn = scenes.Session(shape, 1, movies=12, particles=40, pixel_size_angstrom=2.0, box_px=64)
    stacks = [torch.from_numpy(movie.stack) for movie in scenes.movies(drawn)]
    optics = [
        CtfParameters(300.0, 2.7, 0.1, movie.optics.defocus, movie.optics.defocus - 1, 0.0)
        for movie in scenes.movies(drawn)
    ]
    plane = FourierPlane.of_box(64, 2.0)
    start = low_pass(torch.from_numpy(scenes.truth_map(shape, 64, 2.0)), INITIAL_RESOLUTION_ANGSTROM, 2.0)
    running = RunningMap(start, plane, symmetry="C1", diameter_angstrom=shape.diameter_angstrom, device=CPU)

    def particles(number: int) -> ParticleSpectra:
        return particle_spectra(
            stacks[number % 12],
            plane,
            pixel_size_angstrom=2.0,
            diameter_angstrom=shape.diameter_angstrom,
            ctf=optics[number % 12],
        )

    took, memory_mb = [], []
    for number in range(movies):
        begun = time.process_time()
        own = particles(number)
        running.add(own, tuple(1 + i % 2 for i in range(len(own.values))), np.ones(len(plane.kx)))
        for earlier in running.due():
            running.again(earlier, particles(earlier))
        took.append(time.process_time() - begun)
        memory_mb.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6)
    figures = {
        "movies": movies,
        "first_s": float(np.median(took[2:10])),
        "early_s": float(np.median(took[25:50])),
        "late_s": float(np.median(took[-25:])),
        "worst_s": max(took[2:]),
        "early_mb": float(np.median(memory_mb[25:50])),
        "late_mb": float(np.median(memory_mb[-25:])),
    }
    print(f"CPU-s of a movie, its own search and two earlier ones: {figures}")
    return figures


def _ratio(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first / second


def _text(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path, required=True, help="folder of *.pdb.gz and *.cif.gz")
    parser.add_argument("--sessions", nargs="*", default=["pentamer:81+hard", "belted:82+hard"])
    parser.add_argument("--movies", type=int, default=80)
    parser.add_argument("--ab-initio", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--cost", type=int, default=0, metavar="MOVIES")
    parser.add_argument("--relion", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, object] = {}
    rows = []
    for text in options.sessions:
        name, _, rest = text.partition(":")
        seed, *tags = rest.split("+")
        bench = Bench(
            name,
            int(seed),
            options.structures,
            movies=options.movies,
            artefacts="artefacts" in tags,
            hard="hard" in tags,
        )
        row = {} if "shape" in tags else one_session(bench, options.relion)
        if options.ab_initio:
            row["from_nothing"] = from_nothing(bench, options.ab_initio)
        rows.append(row)
    report["sessions"] = rows
    if options.cost:
        report["cost"] = cost(options.structures, options.cost)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
