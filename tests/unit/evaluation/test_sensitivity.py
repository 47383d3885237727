"""Sensitivities against derivatives that are known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from frazil.config.settings import CtfSettings, MotionSettings
from frazil.models.evaluation.robustness import evaluator as robustness
from frazil.models.evaluation.robustness.rerun import Findings, findings_of
from frazil.models.evaluation.robustness.rerun_parts import Sums, ctf_part, motion_part, path_length_sd_angstrom
from frazil.models.evaluation.robustness.sensitivity import (
    Output,
    Part,
    Sensitivity,
    most_fragile,
    robust_share,
    run_part,
    sensitivities,
)
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.optics.wavelength import electron_wavelength_angstrom
from frazil.models.records import FrameShifts

PIXEL_ANGSTROM, CS_MM, DEFOCUS_ANGSTROM = 1.3, 2.7, 14_000.0
AT = {
    "pixel_size_angstrom": PIXEL_ANGSTROM, "voltage_kv": 300.0, "cs_mm": CS_MM, "dose_per_frame_e_per_a2": 2.0,
    "gain_error": 0.0, "defocus_offset_angstrom": 0.0,
}  # fmt: skip
ACQUISITION = AcquisitionParameters(PIXEL_ANGSTROM, 300.0, CS_MM, 0.1, 2.0, 0.0, False, ())


def table(part: Part, errors: Mapping[str, float], at: Mapping[str, float] = AT) -> dict[tuple[str, str], Sensitivity]:
    base, runs = run_part(part, at, errors)
    return {(row.parameter, row.output): row for row in sensitivities("part", base, runs, at, errors)}


def test_curved_functions_have_the_derivatives_of_the_textbook() -> None:
    grid = np.linspace(0.0, 3.0, 50, dtype=np.float32)

    def part(at: Mapping[str, float]) -> Mapping[str, Output]:
        x, y = at["x"], at["y"]
        return {
            "power": Output(x**4, 2.0),
            "both": Output(math.exp(x) * y, 0.1),
            "image": Output(np.sin(grid * np.float32(y)), 0.05),
            "unstated": Output(x),
            "gone": Output(None if x > 2.05 else 1.0, 1.0),
        }

    rows = table(part, {"x": 0.1, "y": 0.02, "unused": 0.0}, {"x": 2.0, "y": 1.5, "unused": 0.0})
    assert {parameter for parameter, _ in rows} == {"x", "y"}
    assert rows["x", "power"].per_unit == pytest.approx(4 * 2.0**3, rel=1e-3)
    assert rows["x", "power"].over_error == pytest.approx(2.1**4 - 16)
    assert rows["x", "power"].in_own_errors == pytest.approx((2.1**4 - 16) / 2)
    assert rows["x", "both"].per_unit == pytest.approx(math.exp(2.0) * 1.5, rel=1e-3)
    assert rows["y", "both"].per_unit == pytest.approx(math.exp(2.0), rel=1e-9)
    slope = math.sqrt(float(np.mean((grid * np.cos(1.5 * grid)) ** 2)))
    assert rows["y", "image"].per_unit == pytest.approx(slope, rel=1e-3)
    assert rows["x", "image"].over_error == 0.0
    assert rows["x", "unstated"].robust is None
    assert rows["x", "gone"].per_unit is None
    assert not rows["x", "gone"].smooth
    assert rows["x", "power"].smooth


def test_a_rough_function_is_asked_further_out() -> None:
    """Roughness of a fifth of the change hides the slope from small steps."""

    def part(at: Mapping[str, float]) -> Mapping[str, Output]:
        x = at["x"]
        return {"rough": Output(5.0 * x + 0.1 * math.sin(1e5 * x), 1.0)}

    row = table(part, {"x": 0.1}, {"x": 1.0})["x", "rough"]
    assert row.per_unit == pytest.approx(5.0, rel=0.05)
    assert row.per_unit_error is not None
    assert abs(row.per_unit - 5.0) < 3 * row.per_unit_error + 0.05


def test_the_verdict_is_the_share_of_what_stands() -> None:
    def row(output: str, times: float | None, doubt: float = 0.0) -> Sensitivity:
        over = None if times is None else times * 2.0
        return Sensitivity("ctf", "cs_mm", 2.7, 0.1, output, 1.0, 20.0, doubt, over, times)

    rows = [row("a", 0.5), row("b", 3.0), row("c", None), row("d", 0.98, doubt=5.0), row("e", 0.1)]
    share = robust_share(rows)
    assert share is not None
    assert share[0] == pytest.approx(3 / 4)
    assert share[1] == pytest.approx(0.5 / 4), "one row may lie on either side"
    worst = most_fragile(rows)
    assert worst is not None
    assert worst.output == "b"
    verdict = robustness.evaluate(Findings("m", rows), {"files": "Landlock 7", "network": ""}, None)
    assert verdict.verdict == pytest.approx(0.75)
    assert verdict.reliability == pytest.approx(1 / 3), "one of three parts was run"
    assert verdict.evidence["most_fragile"] == "cs_mm off by its error of 0.1 moves b by 3.0 of its own stated errors"
    assert "this machine's sandbox has no wall for: network" in verdict.does_not_know
    assert robustness.evaluate(Findings("m", rows), {}, None) == robustness.evaluate(Findings("m", rows), {}, None)
    silent = robustness.evaluate(Findings("m", []), {}, "cpu time: its CPU time was used up")
    assert silent.verdict is None
    assert silent.does_not_know[0] == "the rerun was stopped: cpu time: its CPU time was used up"
    assert robust_share([row("c", None), row("untouched", 0.0)]) is None
    formula = replace(row("mine", 50.0), part="formulas")
    assert robustness.evaluate(Findings("m", [*rows, formula]), {}, None).verdict == pytest.approx(0.75)


def test_findings_survive_the_way_out_as_json() -> None:
    found = Findings(
        "m", [Sensitivity("ctf", "cs_mm", 2.7, 0.1, "a", None, 1.0, 0.1, 2.0, None)], [{"value": None}], {"x": "y"}
    )
    assert findings_of(json.loads(json.dumps(found.record()))) == found


def test_the_error_of_a_straight_path_is_that_of_its_ends() -> None:
    straight = FrameShifts((0.0, 1.0, 2.0, 3.0), (0.0,) * 4, (0.1, 9.0, 9.0, 0.1), 3.0, 1.0, 2.0, True)
    assert path_length_sd_angstrom(straight) == pytest.approx(math.hypot(0.1, 0.1))
    there_and_back = replace(
        straight, shift_x_angstrom=(0.0, 1.0, 0.0), shift_y_angstrom=(0.0,) * 3, sd_angstrom=(0.1,) * 3
    )
    assert path_length_sd_angstrom(there_and_back) == pytest.approx(0.1 * math.sqrt(1 + 4 + 1))


def rings(seed: int, size: int = 380) -> torch.Tensor:
    """White noise with a CTF and some of its own: rings up to Nyquist."""
    generator = torch.Generator().manual_seed(seed)
    optics = CtfParameters(300.0, CS_MM, 0.1, DEFOCUS_ANGSTROM + 150.0, DEFOCUS_ANGSTROM - 150.0, 30.0)
    spectrum = torch.fft.rfft2(torch.randn(size, size, generator=generator))
    signal = torch.fft.irfft2(spectrum * ctf_2d(optics, size, size, PIXEL_ANGSTROM), s=(size, size))
    return 100.0 + 8.0 * signal + 10.0 * torch.randn(size, size, generator=generator)


def test_the_defocus_moves_with_the_optics_as_chi_does() -> None:
    """chi = pi lambda dz k^2 - pi/2 Cs lambda^3 k^4 stays the same at every ring of the image, k = n / (N a):

    ddz/da = 2 (dz - Cs lambda^2 K) / a,    ddz/dCs = lambda^2 K / 2,    ddz/dlambda = -dz/lambda + 3/2 Cs lambda K

    K is a mean of k^2 over the rings that were fitted: unknown, and the same in all three, so that two of the
    sensitivities follow from the third.
    """
    image = rings(3)
    settings = CtfSettings(box_px=256, min_defocus_angstrom=10_000.0, max_defocus_angstrom=20_000.0)
    part = ctf_part(Sums(image, image, None, None), ACQUISITION, settings, electrons_per_px=100.0)
    errors = {"pixel_size_angstrom": 0.005 * PIXEL_ANGSTROM, "voltage_kv": 0.3, "cs_mm": 0.027}
    rows = table(part, errors)
    wavelength, cs = electron_wavelength_angstrom(300.0), CS_MM * 1e7
    per_kv = electron_wavelength_angstrom(300.5) - electron_wavelength_angstrom(299.5)
    for output in ("defocus_u_angstrom", "defocus_v_angstrom"):
        defocus = rows["cs_mm", output].value
        assert defocus is not None
        by_cs, by_pixel, by_kv = (
            rows[name, output].per_unit for name in ("cs_mm", "pixel_size_angstrom", "voltage_kv")
        )
        assert by_cs is not None
        k2 = 2 * by_cs / 1e7 / wavelength**2
        assert 1 / 30**2 < k2 < 1 / 2.6**2, "among the rings"
        assert by_pixel == pytest.approx(2 * (defocus - cs * wavelength**2 * k2) / PIXEL_ANGSTROM, rel=0.03)
        assert by_kv == pytest.approx((-defocus / wavelength + 1.5 * cs * wavelength * k2) * per_kv, rel=0.03)
        step = {**AT, "cs_mm": CS_MM + 0.1}, {**AT, "cs_mm": CS_MM - 0.1}
        up, down = (part(at)[output].value for at in step)
        assert by_cs == pytest.approx((up - down) / 0.2, rel=0.05), "an independent finite difference"  # type: ignore[operator]


def test_motion_in_angstrom_goes_with_the_pixel() -> None:
    """The same displacements in pixels, whatever a pixel is."""
    rng = np.random.default_rng(5)
    size, frames = 256, 8
    scene = torch.fft.rfft2(torch.from_numpy(rng.normal(size=(size, size)).astype(np.float32)))
    ky, kx = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]
    scene = scene * torch.exp(-30.0 * (kx**2 + ky**2))
    stack = []
    for frame in range(frames):
        x, y = 0.9 * frame, 0.4 * frame
        moved = torch.fft.irfft2(scene * torch.exp(-2j * torch.pi * (kx * x + ky * y)), s=(size, size))
        stack.append(rng.poisson(np.clip(20.0 * (1 + 0.4 * moved.numpy()), 0, None)).astype(np.float32))
    part = motion_part(np.stack(stack), ACQUISITION, MotionSettings(patch_grid_x=1, patch_grid_y=1))
    row = table(part, {"pixel_size_angstrom": 0.005 * PIXEL_ANGSTROM})["pixel_size_angstrom", "total_motion_angstrom"]
    path_px = 7 * math.hypot(0.9, 0.4)
    assert row.value == pytest.approx(path_px * PIXEL_ANGSTROM, rel=0.03)
    assert row.per_unit == pytest.approx(path_px, rel=0.05)
