"""Half-sets of particles and of fibres' segments, and why it matters: boxes of one fibre hold the same noise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from frazil.models.atomic_model.projection import random_euler_deg
from frazil.models.optics.ctf import CtfParameters
from frazil.models.particles.extraction import extract_particles
from frazil.models.particles.half_sets import half_sets
from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import particle_spectra
from frazil.models.reconstruction.orientation.rotations import matrices_from_euler_deg
from frazil.models.reconstruction.resolution.fsc import fourier_shell_correlation
from frazil.models.records import ParticlePicks

CPU = torch.device("cpu")
BOX, PIXEL, SPACING, FIELD = 32, 4.0, 4, 512


def test_half_sets_are_fixed_and_even() -> None:
    first = half_sets("8088716a8db75d99", 11)
    assert first == half_sets("8088716a8db75d99", 11)
    assert first == half_sets("8088716a8db75d99", 30)[:11]  # of movie and number alone
    assert abs(first.count(1) - first.count(2)) == 1
    assert {half_sets(f"{movie:x}", 1)[0] for movie in range(20)} == {1, 2}  # no half always gets the best pick


def test_all_segments_of_a_fibre_are_in_one_half_and_halves_are_even_to_within_a_fibre() -> None:
    rng = np.random.default_rng(2)
    for movie in range(40):
        fibre = rng.integers(1, 8, rng.integers(1, 60)).tolist()
        halves = half_sets(f"movie {movie}", len(fibre), fibre)
        assert set(halves) <= {1, 2}
        assert len(set(zip(fibre, halves, strict=True))) == len(set(fibre))  # a fibre has one half
        assert abs(halves.count(1) - halves.count(2)) <= max(Counter(fibre).values())
        order = rng.permutation(len(fibre))  # of the fibres, not of the order in which segments are listed
        assert half_sets(f"movie {movie}", len(fibre), [fibre[i] for i in order]) == tuple(halves[i] for i in order)
    assert {half_sets(f"{movie:x}", 3, (5, 5, 5))[0] for movie in range(20)} == {1, 2}
    with pytest.raises(ValueError, match="3 segments"):
        half_sets("movie", 3, (1, 1))


def noise_picks(rng: np.random.Generator) -> ParticlePicks:
    """Segments an eighth of a box apart on twelve straight lines."""
    places = []
    for fibre in range(1, 13):
        angle = rng.uniform(0, np.pi)
        along = np.arange(-120, 121, SPACING)
        x, y = rng.uniform(200, 312, 2)
        columns = zip(x + along * np.cos(angle), y + along * np.sin(angle), along, strict=True)
        places += [(round(cx), round(cy), fibre, float(a) * PIXEL, np.degrees(angle)) for cx, cy, a in columns]
    x_px, y_px, number, along_angstrom, axis_deg = zip(*places, strict=True)
    return ParticlePicks(x_px, y_px, (1.0,) * len(places), 80.0, number, along_angstrom, axis_deg)


def crowded_picks(rng: np.random.Generator) -> ParticlePicks:
    """Particles of 20 px as near to each other as they are picked, 0.62 diameters, in boxes of 32 px."""
    x, y = (axis.ravel() for axis in np.mgrid[100:225:12.4, 100:225:12.4])
    order = rng.permutation(len(x))  # by their scores
    return ParticlePicks(tuple(x[order].round()), tuple(y[order].round()), (1.0,) * len(x), 80.0)


def fsc_of_noise(picks: ParticlePicks, halves: tuple[int, ...], euler_deg: np.ndarray, seed: int) -> float:
    """Mean over the shells of the FSC of two half maps of noise alone."""
    plane, optics = FourierPlane.of_box(BOX, PIXEL), CtfParameters(300.0, 2.7, 0.1, 15000.0, 15000.0, 0.0)
    noise = np.random.default_rng([seed, 1]).standard_normal((FIELD, FIELD))
    stack = extract_particles(torch.from_numpy(noise.astype(np.float32)), picks, box_px=BOX, diameter_px=20)
    spectra = particle_spectra(stack, plane, pixel_size_angstrom=PIXEL, diameter_angstrom=80.0, ctf=optics)
    poses, volumes = matrices_from_euler_deg(euler_deg), []
    for half in (1, 2):
        index = np.nonzero(np.array(halves) == half)[0]
        sums, power = FourierAccumulator(BOX, device=CPU), (spectra.ctf**2).expand(len(index), -1)
        sums.insert(plane, torch.from_numpy(poses[index]), spectra.values[index] * spectra.ctf, power)
        volumes.append(sums.volume())
    return float(np.mean(fourier_shell_correlation(*volumes, pixel_size_angstrom=PIXEL).fsc[:13]))


def mean_and_error(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values) / np.sqrt(len(values) - 1))


def agreement_on_fibres(*, by_fibre: bool) -> tuple[float, float]:
    """Over eight fields; segments are turned as their fibre lies, as any alignment of a fibre has them."""
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        picks = noise_picks(rng)
        n, rot = len(picks.x_px), rng.uniform(0, 360, 13)[list(picks.fibre)]
        euler = np.stack([rot, np.full(n, 90.0), -np.array(picks.axis_deg)], axis=1)
        found.append(fsc_of_noise(picks, half_sets(f"movie {seed}", n, picks.fibre if by_fibre else ()), euler, seed))
    return mean_and_error(found)


def test_noise_on_fibres_agrees_between_halves_only_where_a_fibre_is_in_both() -> None:
    alternating, error = agreement_on_fibres(by_fibre=False)
    assert alternating > 0.1
    assert alternating > 6 * error
    kept_together, error = agreement_on_fibres(by_fibre=True)
    assert abs(kept_together) < 3 * error
    assert error < 0.03


def test_noise_in_boxes_that_overlap_does_not_agree_where_each_is_turned_its_own_way() -> None:
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        picks = crowded_picks(rng)
        n = len(picks.x_px)
        euler = np.array([random_euler_deg(rng) for _ in range(n)])
        found.append(fsc_of_noise(picks, half_sets(f"movie {seed}", n), euler, seed))
    mean, error = mean_and_error(found)
    assert abs(mean) < 3 * error
    assert error < 0.03
