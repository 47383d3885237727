"""The running map from particles with known poses: orientations, resolution, half-sets, sums, checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.orientation.orientation_search import OrientationSearch
from frazil.models.reconstruction.orientation.rotations import angle_between_deg, matrices_from_euler_deg
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES, RunningMap
from frazil.models.reconstruction.refine.weights import relative_ssnr
from frazil.models.reconstruction.resolution.fsc import FscCurve, fourier_shell_correlation, spherical_mask
from frazil.models.records import CausalLosses

CPU = torch.device("cpu")
BOX, PIXEL, DIAMETER = 48, 3.6, 105.0
OPTICS = CtfParameters(300.0, 2.7, 0.1, 16000.0, 15200.0, 40.0)
PLANE = FourierPlane.of_box(BOX, PIXEL)
FLAT = np.ones(len(PLANE.kx))
Simulate = Callable[..., Any]


def spectra(sample: Any, optics: CtfParameters = OPTICS) -> ParticleSpectra:
    return particle_spectra(sample.stack, PLANE, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=optics)


def new_map(truth: torch.Tensor, symmetry: str = "C3") -> RunningMap:
    return RunningMap(low_pass(truth, 30.0, PIXEL), PLANE, symmetry=symmetry, diameter_angstrom=DIAMETER, device=CPU)


def halves(count: int) -> tuple[int, ...]:
    return tuple(1 + number % 2 for number in range(count))


def resolution_against(truth: torch.Tensor, volume: torch.Tensor) -> float | None:
    mask = spherical_mask(BOX, 0.55 * DIAMETER / PIXEL, 3.0)
    return fourier_shell_correlation(volume, truth * mask, pixel_size_angstrom=PIXEL, mask=mask).resolution_angstrom(
        0.5
    )


def test_poses_are_found_from_a_30_angstrom_start(truth: torch.Tensor, simulate: Simulate) -> None:
    sample = simulate(30, 1.0, seed=1)
    found = new_map(truth).add(spectra(sample), halves(30), FLAT)
    assert found is not None
    error = angle_between_deg(found.poses, matrices_from_euler_deg(sample.euler_deg), symmetry_matrices("C3"))
    assert np.median(error) < 5.0
    assert (error < 12.0).mean() > 0.85
    offset = (found.shift_px - sample.shift_px) * PIXEL
    assert np.median(np.abs(offset)) < 1.0  # angstrom
    assert np.abs(offset.mean(axis=0)).max() < 1.0  # no systematic displacement, no mirrored axis


def test_map_reaches_what_its_fsc_says(truth: torch.Tensor, simulate: Simulate) -> None:
    running = new_map(truth)
    for movie in range(ROUND_MOVIES + 2):
        running.add(spectra(simulate(12, 1.0, seed=100 + movie)), halves(12), FLAT)
    now = running.round()
    assert running.movie_count == ROUND_MOVIES + 2
    assert not now.own_orientations, "most particles stand as the start had them"
    assert running.particle_count == 12 * (ROUND_MOVIES + 2)
    own, true = now.resolution_0143_angstrom, resolution_against(truth, now.full)
    assert own is not None
    assert true is not None
    assert true < 13.0  # far beyond the 30 A that it started from
    assert own == pytest.approx(true, rel=0.25)  # neither boasts nor hides
    assert now.resolution_05_angstrom is not None
    assert now.resolution_05_angstrom > own


def test_known_poses_give_the_map_back(truth: torch.Tensor, simulate: Simulate) -> None:
    """Insertion, gridding correction and the signs of CTF and shift, apart from any search; two defoci."""
    sums = FourierAccumulator(BOX, device=CPU)
    for seed, optics in ((5, OPTICS), (6, replace(OPTICS, defocus_u_angstrom=21000.0, defocus_v_angstrom=20500.0))):
        sample = simulate(150, 0.05, seed=seed, optics=optics)
        particles = spectra(sample, optics)
        centred = particles.values * PLANE.phases(sample.shift_px, len(PLANE.kx), CPU)
        poses = torch.from_numpy(matrices_from_euler_deg(sample.euler_deg))
        weight = (particles.ctf**2).expand(len(centred), -1)
        sums.insert(PLANE, poses, centred * particles.ctf, weight)
    mask = spherical_mask(BOX, 0.5 * DIAMETER / PIXEL, 3.0)
    volume = sums.volume() * mask
    together = torch.stack([low_pass(volume, 9.0, PIXEL).flatten(), low_pass(truth * mask, 9.0, PIXEL).flatten()])
    assert float(torch.corrcoef(together)[0, 1]) > 0.97  # positive: protein is bright in the map
    resolution = resolution_against(truth, volume)
    assert resolution is not None
    assert resolution < 8.5


def test_ctf_sign_and_astigmatism_matter(truth: torch.Tensor, simulate: Simulate) -> None:
    """With the wrong optics the same particles fit worse: the CTF is really used."""
    sample = simulate(12, 0.7, seed=9)
    search = OrientationSearch(
        truth,
        PLANE,
        resolution_angstrom=10.0,
        diameter_angstrom=DIAMETER,
        symmetry=symmetry_matrices("C3"),
        device=CPU,
    )
    right = search.find(spectra(sample)).score.mean()
    across = replace(OPTICS, astigmatism_angle_deg=OPTICS.astigmatism_angle_deg - 90.0)
    assert search.find(spectra(sample, across)).score.mean() < right
    overfocus = replace(OPTICS, defocus_u_angstrom=-16000.0, defocus_v_angstrom=-15200.0)
    other = replace(OPTICS, defocus_u_angstrom=26000.0, defocus_v_angstrom=25000.0)
    for wrong in (overfocus, other):
        assert search.find(spectra(sample, wrong)).score.mean() < 0.9 * right


def test_halves_never_touch(truth: torch.Tensor, simulate: Simulate) -> None:
    """Other particles in half 2 leave half 1 bit for bit the same, also after references were renewed."""
    one, other = new_map(truth), new_map(truth)
    for movie in range(ROUND_MOVIES + 1):
        sample, changed = simulate(8, 0.8, seed=200 + movie), simulate(8, 0.8, seed=300 + movie)
        mixed = replace(sample, stack=sample.stack.clone())
        mixed.stack[1::2] = changed.stack[1::2]
        first, second = spectra(sample), spectra(mixed)
        # The whitening is of the whole movie by intent; here it is held, to see the rest.
        one.add(first, halves(8), FLAT)
        other.add(replace(second, whitening=first.whitening), halves(8), FLAT)
        if movie == ROUND_MOVIES - 2:
            a, b = one.round(), other.round()
            assert torch.equal(a.half1, b.half1)
            assert not torch.allclose(a.half2, b.half2)


def test_orientations_are_the_maps_own_when_most_particles_have_been_searched_again(
    truth: torch.Tensor, simulate: Simulate
) -> None:
    running, taken = new_map(truth), []
    own = []
    for movie in range(2 * ROUND_MOVIES):
        taken.append(spectra(simulate(8, 0.8, seed=700 + movie)))
        running.add(taken[-1], halves(8), FLAT)
        for number in running.due():
            running.again(number, taken[number])
        own.append(running.round().own_orientations if movie in (ROUND_MOVIES, 2 * ROUND_MOVIES - 1) else None)
    assert (own[ROUND_MOVIES], own[-1]) == (False, True)


def test_noise_with_a_reference_has_no_resolution_beyond_it(truth: torch.Tensor) -> None:
    """Particles of nothing but noise: the half maps agree at most where the reference itself reaches."""
    running = new_map(truth)
    rng = np.random.default_rng(7)
    for _ in range(ROUND_MOVIES):
        stack = torch.from_numpy(rng.standard_normal((12, BOX, BOX)).astype(np.float32))
        noise = particle_spectra(stack, PLANE, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=OPTICS)
        running.add(noise, halves(12), FLAT)
    now = running.round()
    assert now.resolution_0143_angstrom is None or now.resolution_0143_angstrom > 22.0
    assert not now.own_orientations
    start = new_map(truth).state()["references"]
    np.testing.assert_array_equal(running.state()["references"], start, "noise takes no start's place")


def test_symmetric_particles_are_used_in_all_orientations(truth: torch.Tensor, simulate: Simulate) -> None:
    sample = simulate(6, 0.5, seed=11)
    with_symmetry, without = new_map(truth, "C3"), new_map(truth, "C1")
    with_symmetry.add(spectra(sample), halves(6), FLAT)
    without.add(spectra(sample), halves(6), FLAT)
    better, worse = (resolution_against(truth, m.round().half1) for m in (with_symmetry, without))
    assert better is not None
    assert worse is None or better < worse


def test_a_state_brings_back_everything(truth: torch.Tensor, simulate: Simulate) -> None:
    """Saved after a renewal of references and loaded elsewhere, the next movie gives bit for bit the same map."""
    undisturbed = new_map(truth)
    for movie in range(ROUND_MOVIES):
        undisturbed.add(spectra(simulate(6, 0.7, seed=400 + movie)), halves(6), FLAT)
    resumed = new_map(truth)
    resumed.restore({name: array.copy() for name, array in undisturbed.state().items()})
    last = spectra(simulate(6, 0.7, seed=500))
    for running in (undisturbed, resumed):
        running.add(last, halves(6), FLAT)
    assert torch.equal(undisturbed.round().full, resumed.round().full)
    assert (undisturbed.movie_count, undisturbed.particle_count) == (resumed.movie_count, resumed.particle_count)
    with pytest.raises(ValueError, match="size"):
        FourierAccumulator(32, device=CPU).restore(
            {"numerator": np.zeros((5, 2), np.float32), "denominator": np.zeros(5, np.float32)}
        )


def test_losses_become_weights() -> None:
    losses = CausalLosses(("motion", "ice"), (0.1, 0.2), ((0.1, 0.5), (0.2, 0.3)), ((0.0, 0.0), (0.0, 0.0)), 0)
    ssnr = relative_ssnr(losses, np.array([0.01, 0.1, 0.15, 0.2, 0.4]))
    np.testing.assert_allclose(ssnr, np.exp([-0.3, -0.3, -0.55, -0.8, -0.8]))
    np.testing.assert_array_equal(relative_ssnr(None, np.array([0.1, 0.2])), 1.0)


def test_a_movie_with_less_signal_counts_less(truth: torch.Tensor, simulate: Simulate) -> None:
    """Half of the movies hold only a quarter of the signal: told so, the map is better than with equal weights."""
    told, untold = FourierAccumulator(BOX, device=CPU), FourierAccumulator(BOX, device=CPU)
    for seed, ssnr in ((21, 1.0), (22, 1 / 16)):
        sample = simulate(60, 1.0, seed=seed)
        noise = np.random.default_rng(seed + 50).standard_normal(sample.stack.shape).astype(np.float32)
        stack = sample.stack * ssnr**0.5 + torch.from_numpy(noise) * 2
        particles = spectra(replace(sample, stack=stack / (4 + ssnr) ** 0.5))
        centred = particles.values * PLANE.phases(sample.shift_px, len(PLANE.kx), CPU)
        poses = torch.from_numpy(matrices_from_euler_deg(sample.euler_deg))
        for sums, weight in ((told, ssnr), (untold, 1.0)):
            damped = particles.ctf * weight**0.5
            sums.insert(PLANE, poses, centred * damped, (damped**2).expand(len(centred), -1))
    mask = spherical_mask(BOX, 0.5 * DIAMETER / PIXEL, 3.0)

    def agreement(sums: FourierAccumulator) -> float:
        curve = fourier_shell_correlation(sums.volume(), truth, pixel_size_angstrom=PIXEL, mask=mask)
        return float(np.mean(curve.fsc[8:18]))

    assert agreement(told) > agreement(untold) + 0.02


def test_fsc_of_equal_and_of_unrelated_maps(truth: torch.Tensor) -> None:
    same = fourier_shell_correlation(truth, 3 * truth, pixel_size_angstrom=PIXEL)
    np.testing.assert_allclose(same.fsc, 1.0, atol=1e-6)
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(BOX, BOX, BOX, generator=generator) for _ in range(2))
    noise = fourier_shell_correlation(a, b, pixel_size_angstrom=PIXEL)
    assert np.abs(noise.fsc[5:]).max() < 0.15
    assert same.frequency_per_angstrom[0] == pytest.approx(1 / (BOX * PIXEL))


def test_resolution_is_read_off_the_curve() -> None:
    curve = FscCurve((0.02, 0.04, 0.06, 0.08), (1.0, 0.9, 0.1, 0.3))
    assert curve.resolution_angstrom(0.5) == pytest.approx(1 / 0.05)
    assert FscCurve((0.02, 0.04), (0.1, 0.9)).resolution_angstrom(0.143) is None
    assert FscCurve((0.02, 0.04), (1.0, 0.9)).resolution_angstrom(0.143) == pytest.approx(25.0)
    np.testing.assert_allclose(curve.map_filter()[1:3], [np.sqrt(1.8 / 1.9), 0.0])
    assert curve.map_filter()[3] == 0.0  # nothing is believed beyond the first fall
