"""Does the forecast of a map hold? 80 % intervals after a third of the movies against what the end brings.

    ./run bench map_forecast [--sessions 40] [--running 3] [--structures DIR] [--seed 500] [--json OUT]

Claim: after a third of the movies the 80 % interval of the final resolution (FSC 0.143, corrected) contains the one
that is measured at the end in at least 8 of 10 sessions. A session is a structure on a random box and pixel, damped
by a random B-factor (100 to 500 A2), with noise whose power grows with k as sampling by projections makes it, under
the mask that the maps themselves give; the noise of the first third stays in the maps at the end. The end is drawn
between 2.3 pixels and 12 A. Structures: those of DIR (.pdb.gz, .cif.gz), else those that ship with frazil. Nothing in
the forecast was set on these sessions. `--running` adds sessions of particles that a `RunningMap` orients itself,
from a 30 A start; there SSNR need not grow with the particles alone.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from frazil.models.atomic_model.potential import Atoms, read_atoms
from frazil.models.atomic_model.projection import potential_map, project_atoms, random_euler_deg
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.reconstruction.fourier.accumulator import shell_index
from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import particle_spectra
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.refine.running_map import RunningMap
from frazil.models.reconstruction.resolution.forecast import ssnr_of
from frazil.models.reconstruction.resolution.half_map_fsc import HalfMapFsc, half_map_fsc
from frazil.models.simulation.structures import STRUCTURE_FILES, SYMMETRY, structure_path

_THIRD = 1 / 3


@dataclass(frozen=True)
class Outcome:
    """One session."""

    structure: str
    box_px: int
    pixel_size_angstrom: float
    b_factor_a2: float
    now_angstrom: float | None
    low_angstrom: float
    median_angstrom: float
    high_angstrom: float
    end_angstrom: float | None
    held: bool

    @property
    def at_limit(self) -> bool:
        """The map ended at the box's last shell, which says little about a forecast."""
        last = self.box_px // 2 - 2
        return (
            self.end_angstrom is not None and self.end_angstrom < 1.001 * self.box_px * self.pixel_size_angstrom / last
        )


def coloured_noise(box_px: int, generator: torch.Generator) -> Tensor:
    """(n, n, n) of power proportional to the distance from the origin, 1 at shell 1."""
    white = torch.randn(box_px, box_px, box_px, generator=generator, dtype=torch.float64)
    gain = shell_index(box_px).double().clamp_min(1).sqrt()
    return centred_ifft_real(centred_fft(white, 3) * gain, 3)


def session(name: str, atoms: Atoms, seed: int) -> Outcome | None:
    """None: so faint that not even the end is resolved."""
    rng = np.random.default_rng(seed)
    diameter = 2 * atoms.radius_angstrom
    box = int(rng.choice([64, 80]))
    pixel = max(1.6 * diameter / box, 1.8)
    b_factor = float(rng.uniform(100, 500))
    signal = potential_map(atoms, box_px=box, pixel_size_angstrom=pixel, b_factor_a2=b_factor).double()
    shell = shell_index(box)
    count = torch.bincount(shell.flatten()).double()
    power = torch.bincount(shell.flatten(), weights=centred_fft(signal, 3).abs().square().flatten()) / count
    target = float(rng.uniform(2.3 * pixel, max(12.0, 3.0 * pixel)))
    end_shell = round(box * pixel / target)
    inside = 0.15  # of the box's noise that a mask leaves
    level = float(power[end_shell] / (inside * end_shell * box**3) * (1 - 0.143) / 0.143) ** 0.5
    generator = torch.Generator().manual_seed(seed)
    early = [coloured_noise(box, generator) * level / _THIRD**0.5 for _ in range(2)]
    late = [coloured_noise(box, generator) * level / (1 - _THIRD) ** 0.5 for _ in range(2)]

    def agreement(halves: list[Tensor]) -> HalfMapFsc:
        one, other = halves
        return half_map_fsc(one, other, pixel_size_angstrom=pixel, diameter_angstrom=diameter, last_shell=box // 2 - 2)

    now = agreement([signal + noise for noise in early])
    end = agreement([signal + _THIRD * a + (1 - _THIRD) * b for a, b in zip(early, late, strict=True)])
    reached = end.corrected.resolution_angstrom(0.143)
    if reached is None:
        return None
    forecast = ssnr_of(now.corrected, now.chance_covariance(box, 1)).resolution(1 / _THIRD)
    return Outcome(
        structure=name,
        box_px=box,
        pixel_size_angstrom=pixel,
        b_factor_a2=b_factor,
        now_angstrom=now.corrected.resolution_angstrom(0.143),
        low_angstrom=forecast.low,
        median_angstrom=forecast.median,
        high_angstrom=forecast.high,
        end_angstrom=reached,
        held=forecast.low - 1e-6 <= reached <= forecast.high + 1e-6,
    )


def running_session(name: str, seed: int, *, movies: int = 30, particles: int = 12) -> Outcome | None:
    """Particles of a shipped structure with random views, shifts and defoci, as a running map takes them."""
    rng = np.random.default_rng(seed)
    atoms, box = read_atoms(structure_path(name)), 48
    diameter = 2 * atoms.radius_angstrom
    pixel = 1.6 * diameter / box
    plane = FourierPlane.of_box(box, pixel)
    start = low_pass(potential_map(atoms, box_px=box, pixel_size_angstrom=pixel, b_factor_a2=100.0), 30.0, pixel)
    symmetry = SYMMETRY[name]
    running = RunningMap(start, plane, symmetry=symmetry, diameter_angstrom=diameter, device=torch.device("cpu"))
    noise_sd, forecast, now = float(rng.uniform(3.0, 6.0)), None, None
    taken = []
    for movie in range(movies):
        defocus = float(rng.uniform(10_000, 25_000))
        optics = CtfParameters(300.0, 2.7, 0.1, defocus + 150, defocus - 150, float(rng.uniform(-90, 90)))
        transfer = ctf_2d(optics, box, box, pixel)
        images = []
        for _ in range(particles):
            euler, (dx, dy) = random_euler_deg(rng), rng.uniform(-2, 2, 2)
            projection = project_atoms(
                atoms, euler, box_px=box, pixel_size_angstrom=pixel, b_factor_a2=150.0, shift_px=(float(dx), float(dy))
            )
            images.append(-torch.fft.irfft2(torch.fft.rfft2(projection) * transfer, s=(box, box)))
        stack = torch.stack(images)
        stack = stack / stack.std() / noise_sd
        stack = stack + torch.from_numpy(rng.standard_normal(stack.shape).astype(np.float32))
        spectra = particle_spectra(stack, plane, pixel_size_angstrom=pixel, diameter_angstrom=diameter, ctf=optics)
        running.add(spectra, tuple(1 + i % 2 for i in range(particles)), np.ones(len(plane.kx)))
        taken.append(spectra)
        for number in running.due():
            running.again(number, taken[number])
        if movie + 1 == movies // 3:
            now = running.round()
            order = len(symmetry_matrices(symmetry))
            belief = ssnr_of(now.fsc, now.agreement.chance_covariance(box, order))
            forecast = belief.resolution(movies / (movie + 1))
    end = running.round().resolution_0143_angstrom
    if end is None or forecast is None or now is None:
        return None
    return Outcome(
        structure=f"running {name}",
        box_px=box,
        pixel_size_angstrom=pixel,
        b_factor_a2=150.0,
        now_angstrom=now.resolution_0143_angstrom,
        low_angstrom=forecast.low,
        median_angstrom=forecast.median,
        high_angstrom=forecast.high,
        end_angstrom=end,
        held=forecast.low - 1e-6 <= end <= forecast.high + 1e-6,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--running", type=int, default=0)
    parser.add_argument("--structures", type=Path)
    parser.add_argument("--seed", type=int, default=500)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.structures is None:
        paths = [structure_path(name) for name in STRUCTURE_FILES]
    else:
        paths = sorted(path for path in given.structures.iterdir() if path.name.endswith((".pdb.gz", ".cif.gz")))
    known: dict[Path, Atoms] = {}
    outcomes = []
    print(f"{'structure':30} {'box':>4} {'px A':>5} {'B A2':>5} {'now':>6} {'forecast':>19} {'end':>6}")
    for number in range(given.sessions + given.running):
        if number < given.sessions:
            path = paths[number % len(paths)]
            known[path] = known.get(path) or read_atoms(path)
            outcome = session(path.name.split(".")[0], known[path], given.seed + number)
        else:
            outcome = running_session(list(STRUCTURE_FILES)[number % 3], given.seed + number)
        if outcome is None:
            continue
        outcomes.append(outcome)
        o = outcome
        print(
            f"{o.structure:30} {o.box_px:4d} {o.pixel_size_angstrom:5.2f} {o.b_factor_a2:5.0f} "
            f"{o.now_angstrom or 0:6.2f} "
            f"{o.median_angstrom:6.2f} ({o.low_angstrom:.2f}-{o.high_angstrom:.2f}) {o.end_angstrom:6.2f} "
            f"{'' if o.held else 'missed'}"
        )
    held = sum(o.held for o in outcomes)
    width = float(np.median([(o.high_angstrom - o.low_angstrom) / o.median_angstrom for o in outcomes]))
    free = [o for o in outcomes if not o.at_limit]
    held_free = sum(o.held for o in free)
    print(
        f"inside the 80 % interval: {held} of {len(outcomes)}, "
        f"of those not at the last shell {held_free} of {len(free)}; median width {width:.0%} of the resolution"
    )
    if given.json is not None:
        counts = {"held": held, "sessions": len(outcomes), "held_before_last_shell": held_free, "such": len(free)}
        record = counts | {"outcomes": [asdict(o) for o in outcomes]}
        given.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
