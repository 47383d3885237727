"""Half-map FSC: masks that follow the map, and a correction that takes away what a mask makes up and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.fourier.accumulator import shell_index
from frazil.models.reconstruction.fourier.centred_fft import centred_fft
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import particle_spectra
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.refine.running_map import ROUND_MOVIES, RunningMap
from frazil.models.reconstruction.resolution.conical_fsc import conical_fsc
from frazil.models.reconstruction.resolution.fsc import FscCurve, filtered, fourier_shell_correlation, spherical_mask
from frazil.models.reconstruction.resolution.half_map_fsc import HalfMapFsc, half_map_fsc, phase_randomised
from frazil.models.reconstruction.resolution.masks import MapMask, map_mask

CPU = torch.device("cpu")
BOX, PIXEL, DIAMETER = 48, 3.6, 105.0
OPTICS = CtfParameters(300.0, 2.7, 0.1, 16000.0, 15200.0, 40.0)


def white(seed: int, box: int = BOX) -> torch.Tensor:
    return torch.randn(box, box, box, generator=torch.Generator().manual_seed(seed))


def halves_of(truth: torch.Tensor, noise_sd: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same signal with independent white noise in the whole box."""
    signal = truth / truth.std()
    return signal + noise_sd * white(seed), signal + noise_sd * white(seed + 1000)


def test_mask_follows_the_particle_and_not_the_sphere(truth: torch.Tensor) -> None:
    a, b = halves_of(truth, 1.0, 1)
    mask = map_mask((a + b) / 2, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER)
    assert mask.name == "map"
    protein = truth > 0.2 * truth.max()
    assert float(mask.values[protein].mean()) > 0.99
    sphere = spherical_mask(BOX, 0.55 * DIAMETER / PIXEL, 3.0)
    assert float(mask.values.sum()) < 0.8 * float(sphere.sum())
    assert 0.0 <= float(mask.values.min()) <= float(mask.values.max()) <= 1.0


def test_mask_of_noise_is_the_sphere() -> None:
    mask = map_mask(white(3), pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER)
    assert mask.name == "sphere"


def test_chance_under_a_mask_is_as_wide_and_as_correlated_as_stated() -> None:
    """FSC of two noises: variance and correlation of neighbouring shells against 60 pairs of noise maps."""
    mask = MapMask(spherical_mask(BOX, 12.0, 4.0), "sphere")
    z = np.array(
        [
            fourier_shell_correlation(white(seed), white(seed + 500), pixel_size_angstrom=PIXEL, mask=mask.values).fsc
            for seed in range(60)
        ]
    )[:, 7:20]
    nothing = FscCurve(tuple(np.arange(1, BOX // 2) / (BOX * PIXEL)), (0.0,) * (BOX // 2 - 1))
    curves = HalfMapFsc(nothing, nothing, nothing, nothing, None, mask)
    stated = curves.chance_covariance(BOX, 1)[7:20, 7:20]
    scaled = z / np.sqrt(np.diag(stated))
    assert np.mean(scaled**2) == pytest.approx(1.0, abs=0.12)
    for distance in (1, 2):
        found = np.mean(scaled[:, distance:] * scaled[:, :-distance])
        said = np.mean(np.diag(stated, distance) / np.sqrt(np.diag(stated)[distance:] * np.diag(stated)[:-distance]))
        assert found == pytest.approx(said, abs=0.12)
    assert np.diag(curves.chance_covariance(BOX, 4)) == pytest.approx(4 * np.diag(curves.chance_covariance(BOX, 1)))


def test_random_phases_keep_amplitudes_and_low_shells(truth: torch.Tensor) -> None:
    before = centred_fft(truth.double(), 3)
    after = centred_fft(phase_randomised(before, from_shell=9, generator=torch.Generator().manual_seed(2)), 3)
    shell = shell_index(BOX)
    inner = (shell > 0) & (shell < 9)
    torch.testing.assert_close(after[inner], before[inner], rtol=1e-4, atol=1e-4)
    outer = (shell >= 9) & (shell < BOX // 2 - 1)
    torch.testing.assert_close(after[outer].abs(), before[outer].abs(), rtol=1e-3, atol=1e-3)
    cosine = (after[outer] * before[outer].conj()).real.sum() / (before[outer].abs() ** 2).sum()
    assert abs(float(cosine)) < 0.05


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_tight_mask_makes_noise_agree_and_the_correction_takes_it_back(truth: torch.Tensor, seed: int) -> None:
    """Signal to 15 A, noise beyond. A hard mask carries the agreement on; corrected, it ends."""
    signal = low_pass(truth / truth.std(), 15.0, PIXEL)
    a, b = signal + 2.5 * white(seed), signal + 2.5 * white(seed + 100)
    tight = MapMask((spherical_mask(BOX, 10.0, 1.0) > 0.5).float(), "sphere")
    found = half_map_fsc(a, b, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, mask=tight)
    empty = np.array(found.masked.frequency_per_angstrom) > 1 / 13.0
    assert np.mean(np.array(found.masked.fsc)[empty]) > 0.05  # the mask alone
    # Where it errs it hides: cut-off ringing of random phases leaks more than a compact particle does.
    assert -0.15 < np.mean(np.array(found.corrected.fsc)[empty]) < 0.03
    resolution, boast = found.corrected.resolution_angstrom(0.143), found.masked.resolution_angstrom(0.143)
    assert resolution is not None
    assert boast is not None
    assert 13.0 < resolution < 17.0
    assert boast < 0.9 * resolution


def test_corrected_curve_is_the_truth_under_a_soft_mask(truth: torch.Tensor) -> None:
    """White noise of known power on a known signal: FSC = S / (S + N) of what lies inside of the mask."""
    signal = truth / truth.std()
    noise_sd = 2.0
    expected, found = [], []
    mask = None
    for seed in (21, 22, 23):
        a, b = halves_of(truth, noise_sd, seed)
        curves = half_map_fsc(a, b, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, mask=mask)
        assert curves.mask.name == "map"
        mask = curves.mask
        shell = shell_index(BOX).flatten()
        count = torch.bincount(shell)[1 : BOX // 2].numpy()
        power = torch.bincount(shell, weights=centred_fft(signal.double() * mask.values, 3).abs().square().flatten())
        s = power[1 : BOX // 2].numpy() / count
        n = noise_sd**2 * float((mask.values**2).sum())
        expected.append(s / (s + n))
        found.append(curves.corrected.fsc)
    # Shells next to where phases begin to be random are not corrected.
    difference = np.mean(found, axis=0) - np.mean(expected, axis=0)
    assert np.abs(difference[2:]).max() < 0.15
    assert np.abs(difference[2:]).mean() < 0.04


def test_curves_that_begin_later_are_the_same_from_there(truth: torch.Tensor) -> None:
    a, b = halves_of(truth, 2.0, 41)
    whole = half_map_fsc(a, b, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, last_shell=20)
    later = half_map_fsc(a, b, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, first_shell=3, last_shell=20)
    assert later.corrected.frequency_per_angstrom == whole.corrected.frequency_per_angstrom[2:]
    assert later.masked.fsc == whole.masked.fsc[2:]
    assert later.randomised_from_per_angstrom == whole.randomised_from_per_angstrom
    assert later.corrected.fsc == pytest.approx(whole.corrected.fsc[2:])
    np.testing.assert_allclose(
        np.diag(later.chance_covariance(BOX, 3)), np.diag(whole.chance_covariance(BOX, 3))[2:], 1e-6
    )
    cones = [conical_fsc(a, b, one, pixel_size_angstrom=PIXEL).fsc for one in (whole, later)]
    np.testing.assert_allclose(cones[1], cones[0][:, 2:])


def test_equal_maps_need_no_correction(truth: torch.Tensor) -> None:
    found = half_map_fsc(truth, 2 * truth, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER)
    assert found.randomised_from_per_angstrom is None
    np.testing.assert_allclose(found.corrected.fsc, 1.0, atol=1e-6)


def test_same_halves_same_curves(truth: torch.Tensor) -> None:
    a, b = halves_of(filtered(truth, np.ones(12)), 1.0, 31)
    first = half_map_fsc(a, b, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER)
    assert half_map_fsc(a, b, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER).corrected == first.corrected


def test_einstein_from_noise_stays_at_the_low_pass_of_the_start(truth: torch.Tensor) -> None:
    """Noise, oriented against the same 30 A start in both halves over two rounds: what the halves agree by is the
    start's, and neither rounds nor masks carry it beyond the start's low-pass edge."""
    plane = FourierPlane.of_box(BOX, PIXEL)
    running = RunningMap(low_pass(truth, 30.0, PIXEL), plane, symmetry="C3", diameter_angstrom=DIAMETER, device=CPU)
    rng = np.random.default_rng(17)
    for _ in range(2 * ROUND_MOVIES):
        stack = torch.from_numpy(rng.standard_normal((16, BOX, BOX)).astype(np.float32))
        noise = particle_spectra(stack, plane, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=OPTICS)
        running.add(noise, tuple(1 + i % 2 for i in range(16)), np.ones(len(plane.kx)))
    now = running.round()
    # The raised cosine of the low-pass ends 1.5 Fourier voxels beyond 30 A, and a voxel is not resolved from the next.
    edge_angstrom = BOX * PIXEL / (BOX * PIXEL / 30.0 + 2.5)
    resolution = now.resolution_0143_angstrom
    assert resolution is None or resolution > edge_angstrom
    beyond = np.array(now.fsc.frequency_per_angstrom) > 1 / edge_angstrom
    assert abs(np.mean(np.array(now.fsc.fsc)[beyond])) < 0.05
    # The trap is real: inside of the low-pass noise does agree.
    assert max(now.agreement.unmasked.fsc[:5]) > 0.3
