"""Patches against pixels that are known: where they lie, what they are read along with, and what is dark."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from frazil.models.motion.estimate.band import edge_window
from frazil.models.motion.estimate.binning import SmallStack
from frazil.models.motion.estimate.illumination import Illumination
from frazil.models.motion.estimate.local_motion import _assemble, _climb
from frazil.models.motion.estimate.patches import cut_patches, residual_angstrom
from frazil.models.motion.estimate.smooth_prior import StepPrior
from frazil.models.motion.estimate.spectra import MotionSpectra
from frazil.models.motion.estimate.whole_frame import WholeFrameMotion

PIXEL_ANGSTROM, SIZE_PX, MARGIN_PX = 2.0, 240, 24
SHIFT_PX = np.array([[-6, 2], [-2, -3], [0, 0], [3, 4], [5, -3]])


def _motion(shift_angstrom: np.ndarray) -> WholeFrameMotion:
    nothing = torch.zeros(2)
    return WholeFrameMotion(
        shift_angstrom, np.ones_like(shift_angstrom), 0.0, 1.0, False, MotionSpectra(nothing, nothing), StepPrior(), 0.0
    )


def _scene(seed: int = 0) -> np.ndarray:
    side = SIZE_PX + 2 * MARGIN_PX
    return np.random.default_rng(seed).normal(size=(side, side))


def _stack(frames: np.ndarray, lit: Illumination | None = None) -> SmallStack:
    ones = torch.ones(len(frames), dtype=torch.float64)
    # As after one halving and a cut of 6 rows and 10 columns.
    return SmallStack(torch.as_tensor(frames).half(), PIXEL_ANGSTROM, 1, ones, ones, (6, 10), lit)


def _seen(scene: np.ndarray) -> np.ndarray:
    """Frames of a specimen that moves by SHIFT_PX (x, y): frame(r) = scene(r - d)."""
    first = [(MARGIN_PX - y, MARGIN_PX - x) for x, y in SHIFT_PX]
    return np.stack([scene[top : top + SIZE_PX, left : left + SIZE_PX] for top, left in first])


def _cut(stack: SmallStack, shift_angstrom: np.ndarray, grid: int = 3) -> list:
    return cut_patches(
        stack,
        _motion(shift_angstrom),
        frame_size_px=(500, 520),
        grid_x=grid,
        grid_y=grid,
        dose_per_frame_e_per_a2=1.0,
        pre_exposure_e_per_a2=0.0,
        voltage_kv=300.0,
    )


def test_patches_are_read_along_with_the_specimen() -> None:
    """Displacements of whole pixels: every frame's patch is the same piece of the scene."""
    patches = _cut(_stack(_seen(_scene())), SHIFT_PX * PIXEL_ANGSTROM)
    assert len(patches) == 9
    for patch in patches:
        first, rest = patch.band.coefficients[:1], patch.band.coefficients[1:]
        torch.testing.assert_close(rest, first.expand_as(rest), atol=0.0, rtol=0.0)
        np.testing.assert_array_equal(patch.read_offset_angstrom, SHIFT_PX * PIXEL_ANGSTROM)
        assert float(residual_angstrom(SHIFT_PX * PIXEL_ANGSTROM, patch).abs().max()) == 0.0


def test_what_is_left_of_the_displacement_is_in_the_bands_phases() -> None:
    """Motion that is told 0.7 A too small along x is read to the same pixels, and that is what remains to be found."""
    told = SHIFT_PX * PIXEL_ANGSTROM - np.array([0.7, 0.0])
    for patch in _cut(_stack(_seen(_scene())), told):
        np.testing.assert_allclose(residual_angstrom(told, patch).numpy(), np.tile([-0.7, 0.0], (5, 1)), atol=1e-9)


def test_patches_lie_side_by_side_where_every_frame_saw_the_specimen() -> None:
    patches = _cut(_stack(_seen(_scene())), SHIFT_PX * PIXEL_ANGSTROM)
    # Seen by all: columns 6 to 235 and rows 3 to 236 (229 and 233 of them); a third of either holds an FFT of 72 px.
    rows, columns = [3, 84, 164], [6, 84, 163]
    height = patches[0].band.coefficients.shape[1:]
    assert all(patch.band.coefficients.shape[1:] == height for patch in patches)
    expected = [
        (((left + 36) * 2 + 10) / 520 - 0.5, ((top + 36) * 2 + 6) / 500 - 0.5) for top in rows for left in columns
    ]
    found = [(patch.centre_x_fraction, patch.centre_y_fraction) for patch in patches]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_patch_holds_the_transform_of_its_pixels_up_to_the_noise_of_each_shell() -> None:
    scene = _scene(4)
    patches = _cut(_stack(_seen(scene)), SHIFT_PX * PIXEL_ANGSTROM)
    pixels = scene[MARGIN_PX + 84 : MARGIN_PX + 156, MARGIN_PX + 84 : MARGIN_PX + 156]
    window = edge_window(72, 72, torch.device("cpu"), 0.1).numpy()
    spectrum = np.fft.rfft2((pixels - pixels.mean()) * window, norm="ortho")
    band = patches[4].band
    ky = np.fft.fftfreq(72, PIXEL_ANGSTROM)
    omega_y = band.omega_y_rad_per_angstrom.numpy()
    rows = [int(np.abs(2 * np.pi * ky - omega).argmin()) for omega in omega_y]
    expected = spectrum[rows][:, : len(band.omega_x_rad_per_angstrom)]
    shell = band.shell.numpy()
    for index in range(band.shell_count):
        ratio = (band.coefficients[0].numpy() / expected)[shell == index]
        # One real factor a shell: half precision is all that is lost.
        np.testing.assert_allclose(ratio, ratio.real.mean(), rtol=0.05)


def test_a_dark_patch_says_nothing_and_others_are_left_alone() -> None:
    weight = torch.ones((SIZE_PX, SIZE_PX))
    weight[:90, :90] = 0.0
    lit = Illumination(torch.ones_like(weight), weight, float(weight.square().mean()))
    frames = _seen(_scene(2)) + np.random.default_rng(1).normal(size=(5, SIZE_PX, SIZE_PX))
    patches = _cut(_stack(frames, lit), SHIFT_PX * PIXEL_ANGSTROM)
    assert float(patches[0].band.coefficients.abs().max()) == 0.0
    assert patches[0].band.independent_fraction < 0.05
    assert patches[8].band.independent_fraction == pytest.approx(1.0)
    assert 0.3 < float(patches[8].band.coefficients.abs().square().mean()) < 3.0


def test_a_step_that_makes_the_field_less_likely_is_shortened() -> None:
    """From the truth, in either direction: a long step is cut, and one with no way up is refused."""
    random = np.random.default_rng(3)
    frames = _seen(_smooth(_scene(6))) + random.normal(size=(5, SIZE_PX, SIZE_PX))
    patches = _cut(_stack(frames), SHIFT_PX * PIXEL_ANGSTROM)
    modes = np.ones((len(patches), 1))
    truth = (SHIFT_PX * PIXEL_ANGSTROM)[:, None, :].astype(float)
    start = truth + np.linspace(-1.5, 1.5, 5)[:, None, None] * np.array([1.0, 0.0])
    equations = _assemble(patches, modes, start)
    priors = [StepPrior(10.0, 10.0), StepPrior(10.0, 10.0)]
    # Twice as far as the truth and half of it again: the first try lies beyond, the second on the way.
    climbed = _climb(patches, modes, equations, start, start + 2.5 * (truth - start), priors)
    assert climbed is not None
    np.testing.assert_allclose(climbed[0], start + 1.25 * (truth - start))
    assert climbed[1].log_likelihood > equations.log_likelihood
    assert (
        _climb(patches, modes, _assemble(patches, modes, truth), truth, truth + 4.0 * (truth - start), priors) is None
    )


def _smooth(scene: np.ndarray) -> np.ndarray:
    """A specimen whose correlation is wide enough to be climbed from some A away."""
    return 2.0 * ndimage.gaussian_filter(scene, 1.2, mode="wrap") / ndimage.gaussian_filter(scene, 1.2).std()
