"""A counted movie with drift, made in a second: blobs the size of proteins under a CTF."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from frazil.models.optics.ctf import CtfParameters, ctf_2d

PIXEL_SIZE_ANGSTROM = 1.0
_COUNTS_PER_PX = 0.8
_CONTRAST = 0.16
"""Standard deviation of a frame's mean counts over the specimen, relative."""
_DIAMETER_ANGSTROM = 150.0
_AREA_OF_ONE_ANGSTROM2 = 260.0**2


def counted_movie(side_px: int, frames: int) -> NDArray[np.uint8]:
    """(F, side, side) counts at 1 A per pixel; the specimen drifts by some 3 A along x and 2 A along y."""
    random = np.random.default_rng(1)
    spectrum = torch.fft.rfft2(torch.from_numpy(_specimen(side_px, random)))
    spectrum = spectrum * ctf_2d(
        CtfParameters(300.0, 2.7, 0.07, 12200.0, 11800.0, 30.0), side_px, side_px, PIXEL_SIZE_ANGSTROM
    )
    spectrum = spectrum * (_CONTRAST / float(torch.fft.irfft2(spectrum, s=(side_px, side_px)).std()))
    ky, kx = torch.fft.fftfreq(side_px)[:, None], torch.fft.rfftfreq(side_px)[None]
    time = np.arange(frames)
    drift_x_px, drift_y_px = 3.0 * (1.0 - np.exp(-time / 4.0)), -2.0 * time / frames
    out = np.empty((frames, side_px, side_px), np.uint8)
    for index in range(frames):
        angle = -2.0 * math.pi * (ky * float(drift_y_px[index]) + kx * float(drift_x_px[index]))
        image = torch.fft.irfft2(spectrum * torch.polar(torch.ones_like(angle), angle), s=(side_px, side_px)).numpy()
        out[index] = np.minimum(random.poisson(np.maximum(_COUNTS_PER_PX * (1.0 + image), 0.01)), 255)
    return out


def _specimen(side_px: int, random: np.random.Generator) -> NDArray[np.float32]:
    box = int(_DIAMETER_ANGSTROM / PIXEL_SIZE_ANGSTROM)
    y, x = np.mgrid[:box, :box].astype(np.float32)
    particles = []
    for _ in range(6):
        particle = np.zeros((box, box), np.float32)
        for _ in range(60):
            centre_y, centre_x = random.normal(0, _DIAMETER_ANGSTROM / 6, 2) + box / 2
            sigma = random.uniform(2.0, 5.0)
            particle += np.exp(-((y - centre_y) ** 2 + (x - centre_x) ** 2) / (2 * sigma**2))
        particles.append(particle)
    scene = np.zeros((side_px, side_px), np.float32)
    for _ in range(int(side_px**2 * PIXEL_SIZE_ANGSTROM**2 / _AREA_OF_ONE_ANGSTROM2)):
        top, left = random.integers(0, side_px - box, 2)
        scene[top : top + box, left : left + box] += particles[int(random.integers(6))]
    return scene - scene.mean()
