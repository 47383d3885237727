"""Defocus of particles on a tilted specimen that is built in three dimensions here, by its heights, and imaged."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from frazil.models.ctf_fit.centred import crop_to_band
from frazil.models.ctf_fit.periodogram import flatten_image
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.ring_model import RingParameters
from frazil.models.ctf_fit.tilt import fit_tilt
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.particles.defocus_plane import defocus_offsets_angstrom, slope_share
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import particle_spectra
from frazil.models.records import CtfEstimate, ParticlePicks

SIZE, FOCUS = 1024, 16_000.0
"""Pixels of 1 A; the plane in focus lies so far above the middle of the specimen, towards the source (underfocus)."""
UNTILTED = CtfEstimate(FOCUS, FOCUS, 0.0, 0.0, 30.0, 30.0, 4.0, 0.9, 0.0, reliable=True)


def height_towards_source(x: np.ndarray, y: np.ndarray, stage_deg: float, about_deg: float) -> np.ndarray:
    """Of the sheet above image points, turned by `stage_deg`, right-handed, about a line in the image: what lies at b
    across the line goes to b cos + z sin."""
    about = math.radians(about_deg)
    across = -x * math.sin(about) + y * math.cos(about)
    return across * math.tan(math.radians(stage_deg))


def micrograph(stage_deg: float, about_deg: float) -> torch.Tensor:
    """Scatterers in sheets 60 A of height apart, each propagated from the plane in focus: the higher a point lies, the
    nearer to that plane. Wavelength 0.0196875 A, Cs 2.7 mm, 300 kV."""
    rng = np.random.default_rng(7)
    f = np.fft.fftfreq(SIZE)
    k2 = f[:, None] ** 2 + f[None] ** 2
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    height = height_towards_source(x, y, stage_deg, about_deg)
    film = np.fft.fft2(rng.standard_normal((SIZE, SIZE))) * np.exp(-15.0 * k2)
    contrast = np.zeros((SIZE, SIZE))
    for level in np.arange(height.min(), height.max() + 60.0, 60.0):
        there = np.clip(1.0 - np.abs(height - level) / 60.0, 0.0, 1.0)
        turned = math.pi * 0.0196875 * k2 * (FOCUS - level - 0.5 * 2.7e7 * 0.0196875**2 * k2) + math.asin(0.1)
        contrast += there * np.fft.ifft2(film * -np.sin(turned)).real
    counts = rng.poisson(40.0 * np.maximum(1.0 + 0.4 * contrast, 0.0))
    return torch.from_numpy(counts.astype(np.float32))


@pytest.mark.parametrize(("stage_deg", "about_deg"), [(30.0, 0.0), (-30.0, 0.0), (30.0, 90.0), (-25.0, 50.0)])
def test_what_lies_higher_is_less_defocused_on_either_side_of_either_axis(stage_deg: float, about_deg: float) -> None:
    field = crop_to_band(
        torch.fft.rfft2(flatten_image(micrograph(stage_deg, about_deg))), SIZE, 1.0, low=1 / 30, high=0.2
    )
    optics, at = RingOptics(voltage_kv=300.0, cs_mm=2.7, amplitude_contrast=0.1), RingParameters(FOCUS, 0.0, 0.0, 0.0)
    tilt = fit_tilt(field, optics, at, by_density=False)
    assert tilt is not None
    ctf = replace(UNTILTED, tilt_angle_deg=tilt.angle_deg, tilt_sd_deg=tilt.sd_deg, tilt_axis_deg=tilt.axis_deg)
    x, y = np.array([100.0, 900.0, 500.0, 150.0]), np.array([120.0, 200.0, 950.0, 800.0])
    picks = ParticlePicks(tuple(x), tuple(y))
    offsets = defocus_offsets_angstrom(picks, ctf, height_px=SIZE, width_px=SIZE, pixel_size_angstrom=1.0)
    middle = (SIZE - 1) / 2
    true = -height_towards_source(x - middle, y - middle, stage_deg, about_deg)
    assert np.abs(true).max() > 150
    assert offsets == pytest.approx(true, abs=40.0)


def test_a_faint_plane_is_drawn_to_the_movies_defocus_and_none_is_none() -> None:
    tilted = replace(UNTILTED, tilt_angle_deg=30.0, tilt_sd_deg=2.0, tilt_axis_deg=-90.0)
    picks = ParticlePicks((0.0, 999.0), (10.0, 10.0))
    where = {"height_px": 21, "width_px": 1000, "pixel_size_angstrom": 2.0}
    first, last = defocus_offsets_angstrom(picks, tilted, **where)
    assert first == pytest.approx(-last)
    assert 0.95 * 999 * math.tan(math.radians(30)) < last < 999 * math.tan(math.radians(30))  # axis + 90 is along x
    faint = replace(tilted, tilt_angle_deg=12.0, tilt_sd_deg=6.0)
    assert 0 < slope_share(faint) < 0.6
    assert slope_share(replace(tilted, tilt_angle_deg=5.0, tilt_sd_deg=6.0)) == 0.0
    unsure = replace(tilted, tilt_sd_deg=8.0, tilt_angle_deg=3.0)
    for unknown in (UNTILTED, replace(tilted, tilt_axis_deg=None), unsure):
        assert defocus_offsets_angstrom(picks, unknown, **where) == ()


def test_planes_that_chance_tells_are_drawn_in_and_clear_ones_hardly() -> None:
    """Slopes measured with errors and told where chi-square is above 9.2, as the fit tells them: mean square error."""
    rng, sd = np.random.default_rng(3), 0.12
    for steepness, most in ((0.0, 0.75), (0.12, 0.95), (0.24, 1.0), (0.4, 1.1), (0.8, 1.1)):
        measured = np.array([steepness, 0.0]) + sd * rng.standard_normal((4000, 2))
        measured = measured[(measured**2).sum(axis=1) > 9.2 * sd**2]
        shares = []
        for size in np.hypot(*measured.T):
            angle, error = math.degrees(math.atan(size)), math.degrees(sd / (1 + size * size))
            shares.append(slope_share(replace(UNTILTED, tilt_angle_deg=angle, tilt_sd_deg=error, tilt_axis_deg=0.0)))
        drawn = np.array(shares)[:, None] * measured
        error_of = [float(((one - [steepness, 0.0]) ** 2).sum(axis=1).mean()) for one in (drawn, measured)]
        assert error_of[0] < most * error_of[1]


def test_each_particles_spectrum_has_its_own_transfer() -> None:
    box, pixel = 32, 3.0
    plane, optics = FourierPlane.of_box(box, pixel), CtfParameters(300.0, 2.7, 0.1, 15_000.0, 14_600.0, 30.0)
    stack = torch.randn(3, box, box, generator=torch.Generator().manual_seed(0))
    made = {"pixel_size_angstrom": pixel, "diameter_angstrom": 60.0, "ctf": optics}
    alike = particle_spectra(stack, plane, **made)
    assert alike.ctf.shape == (1, len(plane.kx))
    own = particle_spectra(stack, plane, defocus_offset_angstrom=(-900.0, 0.0, 700.0), **made)
    assert torch.equal(own.values, alike.values)
    for row, offset in enumerate((-900.0, 0.0, 700.0)):
        shifted = replace(optics, defocus_u_angstrom=15_000.0 + offset, defocus_v_angstrom=14_600.0 + offset)
        whole = -torch.fft.fftshift(ctf_2d(shifted, box, box, pixel, half_plane=False))
        expected = whole[plane.ky + box // 2, plane.kx + box // 2]
        assert torch.allclose(own.ctf[row], expected, atol=1e-4)
    assert torch.equal(own.chosen(slice(1, 3)).ctf, own.ctf[1:])
    with pytest.raises(ValueError, match="2 defocus values for 3 particles"):
        particle_spectra(stack, plane, defocus_offset_angstrom=(1.0, 2.0), **made)
