"""Is the truth of `causal_sessions.py` true? The loss of whole movies, measured with the noise-free picture at hand.

    ./run bench causal_check [--seed 11] [--kind mixed] [--movies 0 1 2] [--structures DIR]

A movie's counts are moved back by the true path, weighted by the exposure and correlated with the picture that an ideal
exposure would have (the particles through their CTF, every envelope left out). The SSNR that is found, against that of
an ideal exposure of the same dose, is the total loss; it has to be the sum of the factors' losses within its error.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from benchmarks.causal_world import scene as causal_scene
from benchmarks.causal_world.draws import KINDS, Wanted, draw_movies
from benchmarks.causal_world.physics import FACTORS, FREQUENCIES_PER_ANGSTROM, exposure_weights, true_losses
from benchmarks.causal_world.sessions import exposure_of, structure_file

Array = NDArray[Any]

_AT = (1, 3, 4, 6, 7, 9)
"""Of FREQUENCIES_PER_ANGSTROM."""
_WIDTH_PER_ANGSTROM = 0.01


def measured(exposure: causal_scene.Exposure, particle: causal_scene.Particle) -> dict[float, tuple[float, float]]:
    """Total loss and its error by frequency."""
    instrument, size = exposure.instrument, exposure.size_px
    pixel = instrument.pixel_size_angstrom
    ideal = causal_scene.ideal_picture(exposure, particle)
    window = np.outer(np.hanning(size), np.hanning(size))
    kx, ky = np.fft.rfftfreq(size, pixel)[None], np.fft.fftfreq(size, pixel)[:, None]
    k = np.hypot(kx, ky)
    axis = np.linspace(0, float(k.max()), 1024)
    curves = exposure_weights(axis, instrument)
    total = np.zeros(k.shape, dtype=np.complex128)
    power = np.zeros(k.shape)
    flat = np.ones((size, size), dtype=np.float32)
    for counts, path, curve in zip(
        causal_scene.frames(exposure, particle, flat), exposure.path_angstrom, curves, strict=True
    ):
        weight = np.interp(k, axis, curve)
        x, y = path.mean(axis=0)
        back = np.exp(2j * np.pi * (kx * x + ky * y))
        total += weight * fft.rfft2(counts - counts.mean()) * back
        power += weight**2
    picture = fft.irfft2(total / np.sqrt(power), s=(size, size))
    found, wanted = fft.rfft2((picture - picture.mean()) * window), fft.rfft2(ideal * window)
    losses = {}
    for frequency in (FREQUENCIES_PER_ANGSTROM[index] for index in _AT):
        ring = np.abs(k - frequency) < _WIDTH_PER_ANGSTROM
        of_ideal = float((np.abs(wanted[ring]) ** 2).mean())
        signal = abs((found[ring] * wanted[ring].conj()).mean()) ** 2 / of_ideal
        ratio = signal / (float((np.abs(found[ring]) ** 2).mean()) - signal)
        best = instrument.dose_e_per_a2 * pixel**2 * of_ideal / (window**2).sum()
        # The window makes neighbours of independent terms: some 0.4 of them count.
        losses[frequency] = (-math.log(ratio / best), math.sqrt(2 / (0.4 * ring.sum() * ratio)))
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--kind", choices=KINDS[:3], default="mixed")
    parser.add_argument("--movies", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--structures", type=Path, default=os.environ.get("FRAZIL_STRUCTURES"))
    args = parser.parse_args()
    wanted = Wanted(seed=args.seed, kind=args.kind)
    movies = draw_movies(wanted)
    particle = causal_scene.project(structure_file(args.structures, args.seed), movies[0].session.instrument, args.seed)
    off = []
    for index in args.movies:
        movie = movies[index]
        # Heights and coma are in the ideal picture; the losses beside the total are not measured here.
        exposure = exposure_of(movie, wanted)
        losses = true_losses(movie.causes, movie.session.instrument, movie.path_angstrom)
        for frequency, (loss, error) in measured(exposure, particle).items():
            true = sum(losses[name][FREQUENCIES_PER_ANGSTROM.index(frequency)] for name in FACTORS)
            off.append((loss - true) / error)
            print(f"movie {index} at {1 / frequency:4.1f} A: measured {loss:5.2f} +- {error:.2f}, stated {true:5.2f}")
    chi = np.clip(off, -6, 6)
    print(f"{len(off)} values: mean deviation {np.mean(chi):+.2f}, root mean square {np.sqrt(np.mean(chi**2)):.2f} sd")


if __name__ == "__main__":
    main()
