"""Gradient against finite differences, information against the classical bound and against scatter."""

import math

import numpy as np
import pytest
import torch

from frazil.models.motion.estimate.band import Band, BandGrid
from frazil.models.motion.estimate.band_sums import align_sums, align_sums_torch, project, project_torch
from frazil.models.motion.estimate.likelihood import Evaluation, evaluate, fisher_information
from frazil.models.motion.estimate.spectra import MotionSpectra, estimate_spectra, measure_moments


def _band(
    frames: int, rho_s: float, rho_g: float, seed: int, shift: np.ndarray, size: int = 64
) -> tuple[Band, MotionSpectra]:
    """White specimen, white pattern, unit noise, exact shifts; two shells of different damage."""
    grid = BandGrid.build(size, size, 2.0, 0.2, torch.device("cpu"))
    rng = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.complex(torch.randn(shape, generator=rng), torch.randn(shape, generator=rng)) / math.sqrt(2)

    shape = tuple(grid.shell.shape)
    n = len(grid.shell_frequency_per_angstrom)
    amplitude = torch.ones((frames, n + 1)) * torch.linspace(1.2, 0.6, frames)[:, None]
    amplitude[:, -1] = 0
    empty = Band(
        torch.zeros((frames, *shape), dtype=torch.complex64),
        grid.omega_x_rad_per_angstrom,
        grid.omega_y_rad_per_angstrom,
        grid.shell,
        grid.shell_frequency_per_angstrom,
        amplitude,
    )
    along_x, along_y = empty.phases(torch.as_tensor(-shift))
    specimen = noise(*shape) * math.sqrt(rho_s)
    coefficients = specimen * along_y[:, :, None] * along_x[:, None, :] * empty.amplitude_map()
    coefficients = coefficients + noise(*shape) * math.sqrt(rho_g) + noise(frames, *shape)
    spectra = MotionSpectra(torch.full((n + 1,), rho_s), torch.full((n + 1,), rho_g))
    spectra.specimen[-1] = 0
    spectra.pattern[-1] = 0
    band = Band(
        coefficients,
        grid.omega_x_rad_per_angstrom,
        grid.omega_y_rad_per_angstrom,
        grid.shell,
        grid.shell_frequency_per_angstrom,
        amplitude,
    )
    return band, spectra


def _at(band: Band, shift: np.ndarray, spectra: MotionSpectra) -> Evaluation:
    at = torch.as_tensor(shift)
    return evaluate(band, at, align_sums(band, at), spectra)


@pytest.mark.parametrize("rho_g", [0.0, 0.3])
def test_gradient_is_the_slope_of_the_likelihood(rho_g: float) -> None:
    rng = np.random.default_rng(1)
    shift = rng.normal(size=(5, 2)) * 2
    band, spectra = _band(5, 0.2, rho_g, 3, shift)
    at = shift + rng.normal(size=(5, 2)) * 0.5
    gradient = _at(band, at, spectra).gradient_per_angstrom
    step = 0.02
    for frame, axis in ((0, 0), (2, 1), (4, 0)):
        up, down = at.copy(), at.copy()
        up[frame, axis] += step
        down[frame, axis] -= step
        slope = (_at(band, up, spectra).log_likelihood - _at(band, down, spectra).log_likelihood) / (2 * step)
        assert gradient[frame, axis] == pytest.approx(slope, rel=0.02, abs=0.5)


@pytest.mark.parametrize("rho_g", [0.0, 0.3])
def test_gradient_at_the_truth_scatters_as_the_information_says(rho_g: float) -> None:
    shift = np.array([[0.0, 0.0], [3.0, -1.0], [6.0, 2.0], [9.0, 5.0]])
    scores, information = [], np.zeros((8, 8))
    for seed in range(150):
        band, spectra = _band(4, 0.15, rho_g, seed, shift, size=48)
        scores.append(_at(band, shift, spectra).gradient_per_angstrom.T.reshape(-1))
        if seed == 0:
            information = fisher_information(band, torch.as_tensor(shift), spectra)
    observed = np.cov(np.array(scores).T)
    ratio = np.diag(observed) / np.diag(information)
    assert abs(np.mean(ratio) - 1.0) < 0.15
    # 150 draws: the standard error of a correlation is 0.08.
    scale = np.sqrt(np.diag(information))
    assert np.abs(observed - information).max() < 0.4 * (scale[:, None] * scale[None, :]).max()


def test_information_of_two_frames_is_the_classical_time_delay_bound() -> None:
    band, spectra = _band(2, 0.4, 0.0, 0, np.zeros((2, 2)))
    band.amplitude[:, :-1] = 1.0
    information = fisher_information(band, torch.zeros((2, 2)), spectra)
    coherence = 0.4 / 1.4
    inside = band.shell < band.shell_count
    omega_sq = (band.omega_x_rad_per_angstrom[None, :].double() ** 2).expand(band.shell.shape)[inside].sum()
    assert information[0, 0] == pytest.approx(float(2 * omega_sq) * coherence**2 / (1 - coherence**2), rel=1e-4)
    np.testing.assert_allclose(information @ np.array([1, 1, 0, 0]), 0, atol=1e-6 * information[0, 0])


def test_specimen_and_pattern_are_told_apart_by_motion() -> None:
    t = np.linspace(-10, 10, 12)
    shift = np.stack([t, 0.5 * t], axis=1)
    band, _ = _band(12, 0.1, 0.05, 5, shift, size=96)
    found = estimate_spectra(measure_moments(band, align_sums(band, torch.as_tensor(shift))), 12)
    inside = slice(len(found.specimen) // 3, -1)
    assert float(found.specimen[inside].mean()) == pytest.approx(0.1, rel=0.15)
    assert float(found.pattern[inside].mean()) == pytest.approx(0.05, rel=0.25)
    clean, _ = _band(12, 0.1, 0.0, 5, shift, size=96)
    assert not estimate_spectra(measure_moments(clean, align_sums(clean, torch.as_tensor(shift))), 12).has_pattern


def test_fused_sums_are_those_that_torch_makes() -> None:
    rng = np.random.default_rng(5)
    shift = torch.as_tensor(rng.normal(size=(7, 2)) * 3)
    band, _ = _band(7, 0.4, 0.1, 6, shift.numpy())
    fused, plain = align_sums(band, shift), align_sums_torch(band, shift)
    for name in ("aligned", "early_phase", "late_phase"):
        torch.testing.assert_close(getattr(fused, name), getattr(plain, name), rtol=1e-4, atol=1e-4)
    generator = torch.Generator().manual_seed(1)
    weight, offset = (torch.randn(band.shell.shape, dtype=torch.complex64, generator=generator) for _ in range(2))
    assert plain.turned is not None
    got = project(band, shift, weight, offset, band.chequered)
    expected = project_torch(band, plain.turned, weight, offset).permute(1, 0, 2).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3 * np.abs(expected).max())
    assert np.abs(got[0] - got[1]).max() > 0.1 * np.abs(got).max()


def test_fused_sums_do_not_depend_on_the_number_of_threads() -> None:
    shift = torch.as_tensor(np.random.default_rng(5).normal(size=(6, 2)))
    band, _ = _band(6, 0.4, 0.1, 6, shift.numpy())
    weight = band.coefficients[0]
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            sums = align_sums(band, shift)
            results.append((sums.aligned, project(band, shift, weight, sums.phase, band.chequered)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])
