"""Trains the weights of the learned residual that frazil ships (models/deconvolution/weights), from made-up specimens.

    python benchmarks/training/restoration_network.py [--fields 260] [--steps 1000] [--seed 1] [--out FILE.npz]

Fields of 1,024 A at 4 A per pixel (`random_specimens.py`; no real structure), through a CTF, counted twice (the two
halves), then exactly what a session does: SSNR from the halves, Wiener filter, occupancy, features. The target is the
field of the particles alone: noise, ice and films are what is to be left out. The loss is the share of each band that
is not explained, so that fine detail counts as much as outlines. Prints the loss on fields that were not trained on,
beside that of the local Wiener filter. The same seed gives the same weights on the same machine."""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import frazil.models.deconvolution
from benchmarks.training import random_specimens
from frazil.models.deconvolution.network import Features, ResidualNetwork, features_of
from frazil.models.deconvolution.occupancy import bands_of, find_occupancy, locally_filtered
from frazil.models.deconvolution.ssnr import half_spectra_ssnr
from frazil.models.deconvolution.working_grid import WorkingGrid, transfers
from frazil.models.optics.ctf import CtfParameters, ctf_2d, frequency_grid

SIZE = 256
CPU = torch.device("cpu")


def field(seed: int) -> tuple[Features, torch.Tensor, torch.Tensor]:
    """Features, target bands in their units, and the local Wiener filter's bands in the same."""
    s = random_specimens.draw(seed, SIZE)
    pixel = random_specimens.PIXEL_ANGSTROM
    rng = np.random.default_rng([seed, 5])
    # The fit of the CTF is not perfect.
    true = CtfParameters(
        s.voltage_kv,
        2.7,
        s.amplitude_contrast,
        s.defocus_angstrom + 0.5 * s.astigmatism_angstrom,
        s.defocus_angstrom - 0.5 * s.astigmatism_angstrom,
        s.angle_deg,
    )
    error = float(rng.normal(0, 80.0))
    fitted = CtfParameters(
        s.voltage_kv,
        2.7,
        s.amplitude_contrast,
        true.defocus_u_angstrom + error,
        true.defocus_v_angstrom + error,
        s.angle_deg + float(rng.normal(0, 4.0)),
    )
    kx, ky = frequency_grid(SIZE, SIZE, pixel)
    k2 = kx * kx + ky * ky
    envelope = torch.exp(-0.25 * s.b_factor_a2 * k2) * torch.sinc(kx * s.drift_angstrom[0] + ky * s.drift_angstrom[1])
    contrast = ctf_2d(true, SIZE, SIZE, pixel)
    counts = s.dose_e_per_a2 * pixel**2
    specimen = torch.fft.rfft2(torch.from_numpy(s.phase)) * envelope * (2 * counts)
    specimen[0, 0] = 0
    other = torch.fft.rfft2(torch.from_numpy(s.background)) * envelope * (2 * counts)
    mean = torch.fft.irfft2((specimen + other) * contrast, s=(SIZE, SIZE)) + counts
    halves = [torch.from_numpy(rng.poisson(0.5 * mean.clamp_min(0).numpy()).astype(np.float32)) for _ in range(2)]
    grid = WorkingGrid(SIZE, SIZE, SIZE, SIZE, pixel, pixel)
    ssnr = half_spectra_ssnr(halves[0], halves[1], pixel_size_angstrom=pixel, ctf=fitted)
    # Also a half alone, as the held-out check uses it.
    image = halves[0] + halves[1] if rng.random() > 0.25 else halves[0] * 2
    filters = transfers(grid, fitted, ssnr, CPU)
    filtered = torch.fft.rfft2(image - image.mean()) * filters.wiener()
    occupancy = find_occupancy(filtered, filters.k, grid)
    features = features_of(filtered, filters.k, filters.log_ssnr, occupancy, grid)
    local = torch.fft.rfft2(locally_filtered(filtered, filters.k, occupancy, grid))

    def in_bands(spectrum: torch.Tensor) -> torch.Tensor:
        parts = torch.stack([torch.fft.irfft2(spectrum * band, s=(SIZE, SIZE)) for band in bands_of(filters.k)])
        return parts / features.spread[:, None, None]

    return features, in_bands(specimen * filters.soft), in_bands(local)


def loss_of(output: torch.Tensor, target: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """(n, BANDS) share of the target's power that is not explained; output is first kept to its bands."""
    transform = torch.fft.rfft2(output)
    kept = torch.stack([transform[:, number] * band for number, band in enumerate(bands_of(k))], 1)
    error = (torch.fft.irfft2(kept, s=output.shape[-2:]) - target).square().mean((2, 3))
    power = target.square().mean((2, 3))
    # Where there is next to no specimen, what is made up counts against the whole band's power.
    return error / (power + 0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=260)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    default = Path(frazil.models.deconvolution.__path__[0]) / "weights" / "residual_network.npz"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    began = time.monotonic()
    held_out = [field(1_000_000 + arguments.seed * 1000 + number) for number in range(24)]
    fields = [field(arguments.seed * 100_000 + number) for number in range(arguments.fields)]
    print(f"{len(fields)} fields in {time.monotonic() - began:.0f} s", flush=True)
    kx, ky = frequency_grid(SIZE, SIZE, random_specimens.PIXEL_ANGSTROM)
    k = torch.sqrt(kx * kx + ky * ky)

    def stacked(chosen: list[tuple[Features, torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, ...]:
        return (
            torch.stack([one[0].bands for one in chosen]),
            torch.stack([one[0].conditions for one in chosen]),
            torch.stack([one[1] for one in chosen]),
        )

    test, test_conditions, test_target = stacked(held_out)
    wiener = loss_of(torch.stack([one[2] for one in held_out]), test_target, k)
    show("local Wiener filter", wiener)
    network = ResidualNetwork()
    print(f"{sum(p.numel() for p in network.parameters())} parameters", flush=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-4)
    steps = arguments.steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 30) * 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.003
    )
    order = np.random.default_rng(arguments.seed)
    for step in range(steps):
        chosen = [fields[int(index)] for index in order.integers(len(fields), size=arguments.batch)]
        features, conditions, target = stacked(chosen)
        turns, flip = int(order.integers(4)), bool(order.integers(2))
        # A field seen from behind or turned is as good a field.
        features, target = (torch.rot90(t, turns, (2, 3)) for t in (features, target))
        if flip:
            features, target = features.flip(3), target.flip(3)
        loss = loss_of(network(features, conditions), target, k).clamp(max=4.0).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 99 or step == steps - 1:
            with torch.no_grad():
                outputs = [network(test[i : i + 4], test_conditions[i : i + 4]) for i in range(0, len(test), 4)]
            show(f"step {step + 1}, {time.monotonic() - began:.0f} s", loss_of(torch.cat(outputs), test_target, k))
            save(network, arguments.out)


def show(name: str, loss: torch.Tensor) -> None:
    print(f"{name:24}", " ".join(f"{value:.3f}" for value in loss.median(0).values.tolist()), flush=True)


def save(network: ResidualNetwork, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, **{n: v.numpy().astype(np.float16) for n, v in network.state_dict().items()})


if __name__ == "__main__":
    main()
