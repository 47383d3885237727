"""What a wrong pixel size and a wrong Cs make of a defocus: put into the fit, and demanded of the stated error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from frazil.config.settings import CtfSettings
from frazil.models.ctf_fit.fit import fit_ctf
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.systematic import defocus_systematic_sd_angstrom

SETTINGS = CtfSettings(box_px=512)


def fitted(expose: Callable[..., Any], *, pixel_size: float = 1.0, cs_mm: float = 2.7) -> tuple[float, float]:
    """(mean defocus, where the fit ends) of one image by what the fit is told."""
    image = expose(defocus=15_000.0, amplitude=3.0, b_factor=30.0, seed=5).image()
    optics = RingOptics(300.0, cs_mm, 0.1)
    fit = fit_ctf(image, pixel_size_angstrom=pixel_size, optics=optics, settings=SETTINGS, device=torch.device("cpu"))
    found = fit.estimate
    assert found.fit_resolution_angstrom is not None
    return 0.5 * (found.defocus_u_angstrom + found.defocus_v_angstrom), found.fit_resolution_angstrom


def test_a_pixel_size_that_is_wrong_by_its_error_moves_the_defocus_by_the_stated_one(
    expose: Callable[..., Any],
) -> None:
    right, end = fitted(expose)
    wrong, _ = fitted(expose, pixel_size=1.01)
    stated = defocus_systematic_sd_angstrom(
        right, fit_resolution_angstrom=end, voltage_kv=300.0, cs_mm=2.7, pixel_size_error=0.01, cs_error=0.0
    )
    assert abs(wrong - right) == pytest.approx(stated, rel=0.15)
    assert stated == pytest.approx(0.02 * right, rel=0.05), "it goes with the square of the pixel size"


def test_a_cs_that_is_wrong_by_its_error_moves_the_defocus_by_the_stated_one(expose: Callable[..., Any]) -> None:
    right, end = fitted(expose)
    wrong, _ = fitted(expose, cs_mm=2.7 * 1.1)
    stated = defocus_systematic_sd_angstrom(
        right, fit_resolution_angstrom=end, voltage_kv=300.0, cs_mm=2.7, pixel_size_error=0.0, cs_error=0.1
    )
    assert abs(wrong - right) == pytest.approx(stated, rel=0.5)
