"""The beam tilt of a session from movies that each know theirs badly, and a map that is freed of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import particle_spectra
from frazil.models.reconstruction.refine.session_tilt import SessionTilt
from frazil.models.records import ExposureFacts

CPU = torch.device("cpu")


def session(
    tilt_of: Callable[[np.ndarray], np.ndarray], *, movies: int, sd_mrad: float, seed: int, shifted: bool = True
) -> tuple[SessionTilt, np.ndarray]:
    """Movies of a 3 x 3 pattern 2 um apart, and their true tilts (n, 2)."""
    rng, told, true = np.random.default_rng(seed), SessionTilt(), []
    for number in range(movies):
        shift = 2.0 * np.array([number % 3 - 1, number // 3 % 3 - 1])
        true.append(tilt_of(shift))
        x, y = (float(part) for part in shift)
        told.aimed(number, ExposureFacts(image_shift_x_um=x, image_shift_y_um=y) if shifted else None)
        told.measured(number, true[-1] + rng.normal(0, sd_mrad, 2), (sd_mrad**2, 0.0, sd_mrad**2))
    told.renew()
    return told, np.array(true)


def known(told: SessionTilt, movies: int) -> np.ndarray:
    return np.array([told.known(number)[0] for number in range(movies)])


def test_a_tilt_that_no_movie_knows_is_known_by_all_and_its_error_is_told() -> None:
    off, pulls = [], []
    for seed in range(30):
        told, true = session(lambda _: np.array([1.2, -0.9]), movies=100, sd_mrad=0.5, seed=seed)
        error = known(told, 100) - true
        off.append(np.hypot(*error.T).mean())
        pulls += [error[n] @ np.linalg.solve(told.known(n)[1], error[n]) for n in range(9)]
        assert [told.of(n) for n in range(9)] == [pytest.approx(told.known(n)[0]) for n in range(9)]
    assert np.mean(off) < 0.13
    assert 1.0 < np.mean(pulls) < 3.0  # chi-square of two components


def test_a_tilt_that_goes_with_the_image_shift_is_told_by_place() -> None:
    matrix = np.array([[0.2, -0.05], [0.03, 0.15]])
    told, true = session(lambda shift: np.array([0.4, 0.0]) + matrix @ shift, movies=200, sd_mrad=0.4, seed=1)
    assert np.abs(known(told, 200) - true).max() < 0.15
    assert np.ptp(true[:, 0]) > 0.9
    unaimed, _ = session(lambda _: np.array([0.8, 0.0]), movies=100, sd_mrad=0.4, seed=2, shifted=False)
    assert unaimed.of(0) == pytest.approx([0.8, 0.0], abs=0.2)


def test_chance_is_not_corrected_and_few_movies_say_nothing() -> None:
    corrected = 0
    for seed in range(60):
        told, _ = session(lambda _: np.zeros(2), movies=40, sd_mrad=0.5, seed=seed)
        corrected += sum(bool(told.of(n).any()) for n in range(9))
    assert corrected <= 6  # of 540
    few, _ = session(lambda _: np.array([3.0, 0.0]), movies=4, sd_mrad=0.2, seed=1)
    assert not few.of(0).any()


def test_movies_that_come_or_tell_nothing_any_more_and_a_restart() -> None:
    told, _ = session(lambda _: np.array([1.5, 0.0]), movies=20, sd_mrad=0.2, seed=1)
    told.aimed(20, None)
    assert told.of(20) == pytest.approx([1.5, 0.0], abs=0.2)
    again = SessionTilt()
    again.restore(told.state())
    for now in (told, again):
        for number in range(16):
            now.not_measured(number)
        assert now.of(3).any()  # what is corrected stays until the next renewal
        now.renew()
        assert not now.of(3).any()
    assert again.of(20).tolist() == told.of(20).tolist()


def test_the_phase_is_taken_out_of_images_that_have_it() -> None:
    """An image with the phase of 3 mrad, by numpy: what is left is the image without it."""
    box, pixel, optics = 32, 2.5, CtfParameters(300.0, 2.7, 0.1, 15_000.0, 15_000.0, 0.0)
    plane = FourierPlane.of_box(box, pixel)
    image = np.random.default_rng(0).standard_normal((box, box))
    ky, kx = np.fft.fftfreq(box, pixel)[:, None], np.fft.fftfreq(box, pixel)[None]
    phase = 2 * np.pi * 2.7e7 * 0.0196875**2 * (kx**2 + ky**2) * 1e-3 * (2.0 * kx - 3.0 * ky)
    comatic = np.fft.ifft2(np.fft.fft2(image) * np.exp(1j * phase)).real

    def spectra(one: np.ndarray) -> Any:
        stack = torch.from_numpy(one.astype(np.float32))[None]
        return particle_spectra(stack, plane, pixel_size_angstrom=pixel, diameter_angstrom=50.0, ctf=optics)

    seen = spectra(comatic).without_beam_tilt(np.array([2.0, -3.0]), plane)
    # Wherever the Nyquist row and column, whose phase no real image has, do not reach.
    assert torch.allclose(seen.values, spectra(image).values, atol=2e-3)
    assert not torch.allclose(spectra(comatic).values, spectra(image).values, atol=0.1)
    untouched = spectra(image)
    assert untouched.without_beam_tilt(np.zeros(2), plane) is untouched
