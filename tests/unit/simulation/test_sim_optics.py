"""Image formation against formulas written out here, and against averages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from frazil.models.optics.ctf import CtfParameters
from frazil.models.optics.ice import frame_average_amplitude, inelastic_mean_free_path_nm, transmitted_fraction
from frazil.models.optics.scattering import interaction_rad_per_v_angstrom
from frazil.models.simulation import SimulatedSession, SimulationSettings, preset
from frazil.models.simulation.microscope import make_canvas, motion_factor, transfer_function, white_spectrum
from frazil.models.simulation.settings import OpticsSettings

WAVELENGTH_300KV = 0.0196875
COHERENT = OpticsSettings(source_half_angle_mrad=0.0, focal_spread_angstrom=0.0)


def quiet(**changes: object) -> SimulationSettings:
    """Small, without particles, ice or any motion: parts are switched on by the test."""
    base = preset("demo").with_changes(
        height_px=256,
        width_px=256,
        frame_count=4,
        pixel_size_angstrom=1.5,
        specimen={
            "structure": "gltph",
            "particles_per_um2": 0.0,
            "denatured_film_angstrom": 0.0,
            "ice_structure_noise": False,
        },
        stage={"local_motion_rms_angstrom": 0.0, "blur_within_frames": False},
        camera={"mtf_at_nyquist": 1.0},
    )
    return base.with_changes(**changes)


def test_interaction_parameter_is_the_published_one() -> None:
    # Kirkland 2010, table 5.2 f.: 6.526e-4 rad/(V A) at 300 kV, 7.288e-4 at 200 kV
    assert interaction_rad_per_v_angstrom(300.0, 0.0196875) == pytest.approx(6.526e-4, rel=1e-3)
    assert interaction_rad_per_v_angstrom(200.0, 0.0250793) == pytest.approx(7.288e-4, rel=1e-3)


def test_inelastic_loss() -> None:
    assert transmitted_fraction(395.0, 300.0) == pytest.approx(math.exp(-1.0))
    assert 290.0 < inelastic_mean_free_path_nm(200.0) < 340.0


def test_carbon_shows_ctf_zeros_where_the_formula_puts_them() -> None:
    settings = quiet(
        height_px=512,
        width_px=512,
        specimen={"carbon_thickness_nm": 10.0, "ice_thickness_mean_nm": 20.0, "ice_thickness_sd_nm": 0.0},
        optics={
            "defocus_min_angstrom": 12_000.0,
            "defocus_max_angstrom": 12_000.0,
            "astigmatism_sd_angstrom": 0.0,
        },
        frame_count=1,
    )
    movie = SimulatedSession(settings).movie(0)
    image = movie.expected_sum()
    window = torch.outer(torch.hann_window(512), torch.hann_window(512))
    power = torch.fft.rfft2((image - image.mean()) * window).abs().numpy() ** 2
    k = np.hypot(np.fft.fftfreq(512, 1.5)[:, None], np.fft.rfftfreq(512, 1.5)[None, :])
    step = 0.4 / (512 * 1.5)
    ring = (k / step).astype(int).ravel()
    count = np.maximum(np.bincount(ring), 1)
    radial, mean_k = np.bincount(ring, power.ravel()) / count, np.bincount(ring, k.ravel()) / count
    defocus = movie.truth.defocus_u_angstrom + 100.0  # the film lies on the ice, 10 nm below its middle
    for n in range(2, 7):
        # pi lambda dz k^2 - pi/2 Cs lambda^3 k^4 + asin(A) = n pi
        lam = WAVELENGTH_300KV
        a, b, c = 0.5 * math.pi * 2.7e7 * lam**3, -math.pi * lam * defocus, n * math.pi - math.asin(0.1)
        zero = math.sqrt((-b - math.sqrt(b * b - 4 * a * c)) / (2 * a))
        near = np.nonzero(np.abs(mean_k - zero) < 0.12 / math.sqrt(lam * defocus * n))[0]
        assert mean_k[near[np.argmin(radial[near])]] == pytest.approx(zero, abs=0.0025)


def test_protein_is_dark_at_underfocus() -> None:
    settings = quiet(specimen={"particles_per_um2": 800.0}, height_px=384, width_px=384, frame_count=1)
    movie = SimulatedSession(settings).movie(0)
    image = movie.expected_sum().numpy()
    image = image / image.mean()
    inside = [p for p in movie.truth.particles if 30 < p.x_px < 350 and 30 < p.y_px < 350]
    assert len(inside) >= 3
    darkness = [
        1 - image[round(p.y_px) - 8 : round(p.y_px) + 9, round(p.x_px) - 8 : round(p.x_px) + 9].mean() for p in inside
    ]
    assert min(darkness) > 0.005


def test_height_is_extra_defocus_and_astigmatism_lies_along_its_angle() -> None:
    canvas = make_canvas(128, 128, 16, 1.5)
    ctf = CtfParameters(300.0, 2.7, 0.1, 12_000.0, 9_000.0, 0.0)
    raised = CtfParameters(300.0, 2.7, 0.1, 12_300.0, 9_300.0, 0.0)
    torch.testing.assert_close(
        transfer_function(canvas, ctf, COHERENT).at_height(300.0),
        transfer_function(canvas, raised, COHERENT).at_height(0.0),
        rtol=0,
        atol=2e-3,
    )
    along_x = transfer_function(canvas, ctf, COHERENT).at_height(0.0)[0].numpy()
    k = np.fft.rfftfreq(canvas.width_px, 1.5)
    lam = WAVELENGTH_300KV
    chi = math.pi * lam * 12_000.0 * k**2 - 0.5 * math.pi * 2.7e7 * lam**3 * k**4 + math.asin(0.1)
    np.testing.assert_allclose(along_x, -np.sin(chi), atol=5e-3)


def test_slab_is_the_mean_over_heights() -> None:
    canvas = make_canvas(64, 64, 16, 1.5)
    transfer = transfer_function(canvas, CtfParameters(300.0, 2.7, 0.1, 15_000.0, 14_500.0, 30.0), COHERENT)
    heights = (np.arange(400) + 0.5) / 400 * 600.0 - 300.0
    mean = sum(transfer.at_height(float(h)) ** 2 for h in heights) / len(heights)
    torch.testing.assert_close(transfer.rms_over_slab(600.0) ** 2, mean, rtol=0, atol=1e-3)


def test_white_spectrum_is_white_in_every_direction() -> None:
    canvas = make_canvas(96, 96, 16, 1.0)
    rng = np.random.default_rng(3)
    power = torch.zeros(128, 65)
    for _ in range(60):
        image = torch.fft.irfft2(white_spectrum(canvas, rng), s=(128, 128))
        power += torch.fft.rfft2(image).abs() ** 2 / (128 * 128 * 60)
    for part in (power[:, 0], power[:, -1], power[0, :], power[:, 1:-1]):
        assert float(part.mean()) == pytest.approx(1.0, abs=0.08)


def test_blur_is_the_mean_over_the_path() -> None:
    canvas = make_canvas(64, 64, 16, 1.0)
    path = [(float(t), float(-0.5 * t)) for t in np.linspace(-1.5, 1.5, 401)]
    mean = sum(motion_factor(canvas, position, None) for position in path) / len(path)
    torch.testing.assert_close(motion_factor(canvas, (0.0, 0.0), (3.0, -1.5)), mean, rtol=0, atol=0.01)


def test_radiation_damage_follows_the_critical_exposure() -> None:
    settings = quiet(specimen={"particles_per_um2": 1500.0}, dose_per_frame_e_per_a2=6.0)
    window = torch.outer(torch.hann_window(256), torch.hann_window(256))  # strong low frequencies would leak upwards
    movie = SimulatedSession(settings).movie(1)
    frames = [torch.fft.rfft2((f - f.mean()) * window) for f in movie.expected_frames(motion=False)]
    k = np.hypot(np.fft.fftfreq(256, 1.5)[:, None], np.fft.rfftfreq(256, 1.5)[None, :])
    for low, high in ((0.05, 0.07), (0.1, 0.12), (0.15, 0.17)):
        band = torch.from_numpy((k > low) & (k < high))
        middle = 0.5 * (low + high)
        ratio = float((frames[3][band].abs() ** 2).sum() / (frames[0][band].abs() ** 2).sum()) ** 0.5
        # 18 e/A2 between the first and the last frame (Grant & Grigorieff 2015, eq. 3)
        assert ratio == pytest.approx(math.exp(-18.0 / (2 * (0.24499 * middle**-1.6649 + 2.8141))), rel=0.08)


def test_ice_forgets_itself_as_brownian_water_does() -> None:
    settings = quiet(
        specimen={"ice_structure_noise": True}, dose_per_frame_e_per_a2=2.0, stage={"drift_weights": (1, 0, 0, 0)}
    )
    frames = [torch.fft.rfft2(f) for f in SimulatedSession(settings).movie(0).expected_frames(motion=False)]
    k = np.hypot(np.fft.fftfreq(256, 1.5)[:, None], np.fft.rfftfreq(256, 1.5)[None, :])
    band = torch.from_numpy((k > 0.26) & (k < 0.28))
    pairs = [(frames[i][band], frames[i + 1][band]) for i in range(3)]
    correlation = sum(float((a * b.conj()).real.sum()) for a, b in pairs) / sum(
        float((a.abs() ** 2).sum()) for a, _ in pairs
    )
    # <r^2> = 1.1 A^2 per e/A^2 in three dimensions; amplitude exp(-2 pi^2 k^2 <u^2>)
    assert correlation == pytest.approx(math.exp(-2 * math.pi**2 * 0.27**2 * 1.1 / 3 * 2.0), abs=0.06)


def test_frame_average_amplitude_is_that_of_an_averaged_walk() -> None:
    rate = 1.3
    lag = np.abs(np.subtract.outer(np.linspace(0, 1, 500), np.linspace(0, 1, 500)))
    assert float(frame_average_amplitude(torch.tensor(rate))) ** 2 == pytest.approx(
        np.exp(-rate * lag).mean(), rel=5e-3
    )
