"""Fibres and globular particles drawn by hand at known places, seen through a CTF in noise."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.particles.picking import pick_particles
from frazil.models.records import CtfEstimate, ParticlePicks

PIXEL = 3.0
SIZE = 400
WIDTH = 70.0
ESTIMATE = CtfEstimate(15000.0, 14500.0, 30.0, 0.0, 50.0, 50.0, 5.0, 0.9, 0.0, True)
ACQUISITION = AcquisitionParameters(PIXEL, 300.0, 2.7, 0.1, 1.0, 0.0, False, ())


def seen(specimen: np.ndarray, noise_sd: float, seed: int) -> torch.Tensor:
    """Through a CTF of this module's own (astigmatism left out: 3 % of the defocus)."""
    k2 = np.fft.fftfreq(SIZE, PIXEL)[:, None] ** 2 + np.fft.rfftfreq(SIZE, PIXEL)[None] ** 2
    gamma = np.pi * 0.019687 * k2 * 14750.0 - 0.5 * np.pi * 2.7e7 * 0.019687**3 * k2**2
    contrast = np.fft.irfft2(-np.fft.rfft2(specimen) * np.sin(gamma + 0.1), s=specimen.shape)
    contrast /= contrast[specimen > 0.3 * specimen.max()].std()
    noise = np.random.default_rng(seed).standard_normal(specimen.shape)
    return torch.from_numpy((100 + contrast + noise_sd * noise).astype(np.float32))


def axis() -> np.ndarray:
    """A flat bow across the field, x and y in px, about one point a px."""
    t = np.linspace(-0.17, 0.17, 341)
    return np.column_stack([200 + 1000 * np.sin(t), 700 - 520 * np.cos(t)])


def smooth_noise() -> np.ndarray:
    """Unit variance, of some 15 A, as density within a protein varies."""
    made = scipy.ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((SIZE, SIZE)), 2.0)
    return np.asarray(made / made.std())


def fibre() -> np.ndarray:
    """Thickness of a cylinder along the axis, with grain as proteins have."""
    y, x = np.mgrid[:SIZE, :SIZE]
    away = np.min([np.hypot(x - ax, y - ay) for ax, ay in axis()[::2]], axis=0) * PIXEL
    grain = 1 + 0.3 * smooth_noise()
    return np.sqrt(np.clip(1 - (away / (WIDTH / 2)) ** 2, 0, None)) * grain


def balls(centres: list[tuple[float, float]], diameter: float) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    grain = 1 + 0.3 * smooth_noise()
    total = np.zeros((SIZE, SIZE))
    for cx, cy in centres:
        total += np.sqrt(np.clip(1 - (np.hypot(x - cx, y - cy) * PIXEL / (diameter / 2)) ** 2, 0, None))
    return total * grain


def pick(image: torch.Tensor, diameter: float | None) -> ParticlePicks:
    return pick_particles(
        image,
        pixel_size_angstrom=PIXEL,
        diameter_angstrom=diameter,
        ctf=ESTIMATE,
        acquisition=ACQUISITION,
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize("diameter", [WIDTH, None])
def test_segments_lie_on_the_fibre_at_an_even_spacing(diameter: float | None) -> None:
    picks = pick(seen(fibre(), 2.0, 5), diameter)
    places = np.array([picks.x_px, picks.y_px]).T
    away = np.hypot(*(places[:, None] - axis()[None]).transpose(2, 0, 1)).min(axis=1)
    assert (away < 0.3 * WIDTH / PIXEL).mean() > 0.9
    assert np.median(away) < 0.1 * WIDTH / PIXEL
    assert picks.diameter_angstrom is not None
    assert 50 < picks.diameter_angstrom < 100
    along = np.sort(places[:, 0])
    assert np.diff(along).min() > 0.7 * picks.diameter_angstrom / PIXEL
    assert np.diff(along).max() < 1.3 * picks.diameter_angstrom / PIXEL
    length = np.hypot(*np.diff(axis(), axis=0).T).sum() * PIXEL
    assert len(places) > 0.7 * length / picks.diameter_angstrom
    # One fibre, its segments in order along it, and each knows which way it runs there.
    assert set(picks.fibre) == {1}
    order = np.argsort(picks.along_angstrom)
    steps, far = np.diff(places[order], axis=0), np.diff(np.array(picks.along_angstrom)[order])
    assert far == pytest.approx(picks.diameter_angstrom)
    assert np.hypot(*steps.T) * PIXEL == pytest.approx(far, rel=0.1)
    runs = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
    turned = (np.array(picks.axis_deg)[order][:-1] - runs + 180) % 360 - 180
    assert np.abs(turned).max() < 15


def test_touching_balls_in_a_row_are_particles() -> None:
    diameter = 120.0
    centres = [(40 + 40 * number, 200.0) for number in range(9)]
    picks = pick(seen(balls(centres, diameter), 1.0, 6), diameter)
    away = np.hypot(np.array(picks.x_px)[:, None] - [c[0] for c in centres], np.array(picks.y_px)[:, None] - 200)
    assert (away.min(axis=0) < 0.2 * diameter / PIXEL).sum() >= 7  # those at the ends may lie too near to the edge
    assert len(picks.x_px) <= len(centres) + 1


def test_noise_has_no_fibres() -> None:
    picks = [pick(seen(1e-9 * fibre(), 1e9, seed), WIDTH) for seed in range(3)]
    assert sum(len(found.x_px) for found in picks) <= 3
