"""Known tilts, losses and displacements put into particles, and asked back from their sums with a map."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from frazil.models.causal.bands import band_frequencies_per_angstrom
from frazil.models.optics.ctf import CtfParameters
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.orientation.placed_particles import PlacedParticles
from frazil.models.reconstruction.orientation.rotations import matrices_from_euler_deg
from frazil.models.reconstruction.refine.beam_tilt import beam_tilt
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.refine.particle_comparison import HalfMapComparison
from frazil.models.reconstruction.refine.particle_frc import Rings, smooth_amplitude, without_search_gain
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES, RunningMap
from frazil.models.reconstruction.resolution.fsc import FscCurve

CPU = torch.device("cpu")
BOX, PIXEL, DIAMETER, COUNT = 48, 3.6, 105.0, 60
OPTICS = CtfParameters(300.0, 2.7, 0.1, 16000.0, 15200.0, 40.0)
PLANE = FourierPlane.of_box(BOX, PIXEL)
CERTAIN = FscCurve(tuple(np.arange(1, 23) / (BOX * PIXEL)), (1.0,) * 22)
WAVELENGTH_ANGSTROM = 0.0196875  # at 300 kV
Simulate = Callable[..., Any]


def filtered(stack: torch.Tensor, kernel: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> torch.Tensor:
    """Images with their transforms (kernel exp(-2 pi i k x)) multiplied by kernel(kx, ky) in 1/A."""
    kx, ky = np.fft.fftfreq(BOX, PIXEL)[None, :], np.fft.fftfreq(BOX, PIXEL)[:, None]
    spectrum = np.fft.fft2(stack.numpy()) * kernel(kx, ky)
    return torch.from_numpy(np.fft.ifft2(spectrum).real.astype(np.float32))


def comatic(
    x_mrad: float, y_mrad: float, shift_angstrom: float = 0.0
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def kernel(kx: np.ndarray, ky: np.ndarray) -> np.ndarray:
        coma = 2 * math.pi * 2.7e7 * WAVELENGTH_ANGSTROM**2 * (kx**2 + ky**2) * (kx * x_mrad + ky * y_mrad) * 1e-3
        return np.exp(1j * (coma - 2 * math.pi * kx * shift_angstrom))

    return kernel


def noise(seed: int, count: int = COUNT) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, BOX, BOX)).astype(np.float32))


def spectra(stack: torch.Tensor) -> ParticleSpectra:
    return particle_spectra(stack, PLANE, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=OPTICS)


def placed(sample: Any, half_set: int | None = None) -> PlacedParticles:
    count = len(sample.euler_deg)
    halves = np.full(count, half_set or 1) if half_set else 1 + np.arange(count) % 2
    return PlacedParticles(
        halves.astype(np.int8),
        matrices_from_euler_deg(sample.euler_deg).astype(np.float32),
        sample.shift_px.astype(np.float32),
        np.ones(count, dtype=np.float32),
        np.ones(23, dtype=np.float32),
        1,
    )


def comparison(first: torch.Tensor, second: torch.Tensor | None = None) -> HalfMapComparison:
    """Poses are the true ones: nothing was searched."""
    halves = [first, first if second is None else second]
    return HalfMapComparison(
        halves, CERTAIN, PLANE, renewal=1, first_shell=2, last_searched_per_angstrom=0.0, device=CPU
    )


def evidence(reference: HalfMapComparison, stack: torch.Tensor, where: PlacedParticles) -> ParticleEvidence | None:
    return reference.evidence(reference.sums(spectra(stack), where), voltage_kv=300.0, cs_mm=2.7)


def test_beam_tilt_is_found_with_its_sign_and_error(truth: torch.Tensor, simulate: Simulate) -> None:
    reference, chi2 = comparison(truth), []
    for number, (x_mrad, y_mrad) in enumerate([(6.0, -3.0), (0.0, 0.0), (-4.0, 8.0), (2.0, 5.0)]):
        sample = simulate(COUNT, 0.0, seed=10 + number)  # without noise: scaled by 1000
        stack = filtered(sample.stack / 1000, comatic(x_mrad, y_mrad)) + noise(20 + number)
        found = evidence(reference, stack, placed(sample))
        assert found is not None
        assert found.beam_tilt_covariance_mrad2 is not None
        xx, xy, yy = found.beam_tilt_covariance_mrad2
        off = np.array([found.beam_tilt_x_mrad, found.beam_tilt_y_mrad], dtype=float) - (x_mrad, y_mrad)
        chi2.append(off @ np.linalg.inv([[xx, xy], [xy, yy]]) @ off)
        assert np.sqrt(xx) < 1.5, "sixty bright particles tell a tilt of some mrad at 8 A"
    assert max(chi2) < 13.8, "99.9 % of two degrees of freedom"
    assert sum(chi2) > 0.8, "stated errors are not far too large: 99.9 % of eight"


def test_a_common_displacement_is_no_coma(truth: torch.Tensor, simulate: Simulate) -> None:
    sample = simulate(COUNT, 0.0, seed=5)
    stack = filtered(sample.stack / 1000, comatic(0.0, 4.0, shift_angstrom=1.5)) + 0.2 * noise(6)
    sums = comparison(truth).sums(spectra(stack), placed(sample))
    found = beam_tilt(sums, PLANE, voltage_kv=300.0, cs_mm=2.7)
    assert found is not None
    assert found.shift_x_angstrom == pytest.approx(1.5, abs=0.1)
    assert found.shift_y_angstrom == pytest.approx(0.0, abs=0.1)
    assert (found.x_mrad, found.y_mrad) == (pytest.approx(0.0, abs=0.8), pytest.approx(4.0, abs=0.8))


def test_losses_between_movies_come_back(truth: torch.Tensor, simulate: Simulate) -> None:
    """Three times the particles' power is ln 3; a B-factor is its k^2."""
    reference, bands = comparison(truth), band_frequencies_per_angstrom()
    sample = simulate(COUNT, 0.0, seed=7)
    usual = evidence(reference, sample.stack / 1000 + noise(8), placed(sample))
    brighter = evidence(reference, sample.stack / 1000 * math.sqrt(3) + noise(9), placed(sample))
    softer = filtered(sample.stack / 1000, lambda kx, ky: np.exp(-40.0 * (kx**2 + ky**2)))
    blurred = evidence(reference, softer + noise(11), placed(sample))
    for other, expected in ((brighter, np.full(24, math.log(3))), (blurred, -80.0 * bands**2)):
        off = []
        for band in range(24):
            first, second = usual.log_ssnr[band], other.log_ssnr[band]  # type: ignore[union-attr]
            if first is not None and second is not None:
                sd = math.hypot(usual.log_ssnr_sd[band], other.log_ssnr_sd[band])  # type: ignore[union-attr, arg-type]
                off.append((second - first - expected[band]) / sd)
        assert len(off) >= 5
        assert np.abs(off).max() < 4.0
        assert np.mean(off) == pytest.approx(0.0, abs=1.5)


def test_particles_are_never_compared_with_their_own_half(truth: torch.Tensor, simulate: Simulate) -> None:
    sample = simulate(COUNT, 0.7, seed=12)
    own, rubbish = placed(sample, half_set=1), torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    assert evidence(comparison(rubbish, truth), sample.stack, own) == evidence(comparison(truth), sample.stack, own)
    assert evidence(comparison(truth, rubbish), sample.stack, own) is None, "nothing of the map is seen"


def test_ice_alone_says_nothing(truth: torch.Tensor, simulate: Simulate) -> None:
    sample = simulate(COUNT, 1.0, seed=13)
    assert evidence(comparison(truth), noise(14), placed(sample)) is None
    nobody = placed(sample)
    nobody.certainty[:] = 0.0
    assert evidence(comparison(truth), sample.stack, nobody) is None


def test_what_the_search_added_is_taken_out() -> None:
    """Rings drawn with the gain that five fitted numbers have: the amplitude comes back."""
    k = np.arange(1, 21) / 170.0
    amplitude, power, noise_power, particles = np.exp(-0.5 * (k / k[-1]) ** 2), 8.0 * np.exp(-20 * k), 1.0, 400.0
    samples = np.arange(1, 21) * 3.0 * particles
    w = amplitude**2 * power / noise_power  # of one particle
    gain = 5 / 4 * k**2 / (w * k**2).sum()
    assert gain.max() > 0.1
    cross = amplitude * power * particles * (1 + gain)
    seen = Rings(k, cross, power * particles, samples + amplitude**2 * power * particles, samples, particles)
    raw = smooth_amplitude(seen)
    corrected = smooth_amplitude(without_search_gain(seen, np.ones(20), k[-1]))
    assert raw is not None
    assert corrected is not None
    assert np.abs(np.log(corrected / amplitude)).max() < 0.03 < 0.08 < np.abs(np.log(raw / amplitude)).max()
    unsearched = without_search_gain(seen, np.ones(20), 0.0)
    assert (unsearched.cross == cross).all()


def test_the_running_map_gives_evidence_once_it_has_halves(truth: torch.Tensor, simulate: Simulate) -> None:
    def new_map() -> RunningMap:
        return RunningMap(low_pass(truth, 30.0, PIXEL), PLANE, symmetry="C3", diameter_angstrom=DIAMETER, device=CPU)

    running, tilt = new_map(), comatic(0.0, 15.0)
    halves = tuple(1 + number % 2 for number in range(12))
    movies = [spectra(filtered(simulate(12, 0.6, seed=300 + n).stack, tilt)) for n in range(ROUND_MOVIES + 1)]
    for number, movie in enumerate(movies[:-1]):
        running.add(movie, halves, np.ones(len(PLANE.kx)))
        early = running.evidence(number, movie, voltage_kv=300.0, cs_mm=2.7)
        assert (early is None) == (number + 1 < ROUND_MOVIES)
    running.add(movies[-1], halves, np.ones(len(PLANE.kx)))
    found = [running.evidence(number, movie, voltage_kv=300.0, cs_mm=2.7) for number, movie in enumerate(movies)]
    told = [one for one in found if one is not None and one.beam_tilt_covariance_mrad2 is not None]
    assert len(told) >= 8
    weight = np.array([1 / one.beam_tilt_covariance_mrad2[2] for one in told])  # type: ignore[index]
    mean = np.average([one.beam_tilt_y_mrad for one in told], weights=weight)
    assert mean == pytest.approx(15.0, abs=4 / np.sqrt(weight.sum()))
    assert mean > 5 / np.sqrt(weight.sum()), "clearly there"
    resumed = new_map()
    resumed.restore(running.state())
    assert resumed.evidence(3, movies[3], voltage_kv=300.0, cs_mm=2.7) == found[3]
