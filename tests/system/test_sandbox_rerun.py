"""A movie from its file, behind the walls: the table comes out, and the same one again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from movie_results import movie_result

from frazil.actors.sandbox_rerun import Rerunner, compiled_code
from frazil.config.settings import CtfSettings, EvaluationSettings, MotionSettings, Settings
from frazil.models.evaluation.robustness.rerun import RerunJob
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.formats.tiff_write import write_movie_tiff
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.records import (
    CtfEstimate,
    FrameShifts,
    MovieHeader,
    Quality,
)

PIXEL_ANGSTROM, SIZE, FRAMES = 1.5, 256, 6


def write_movie(path: Path) -> None:
    """Rings of 1.2 um, moving by a pixel a frame."""
    rng = np.random.default_rng(7)
    spectrum = torch.fft.rfft2(torch.from_numpy(rng.normal(size=(SIZE, SIZE))))
    optics = CtfParameters(300.0, 2.7, 0.1, 12_100.0, 11_900.0, 10.0)
    spectrum = spectrum * ctf_2d(optics, SIZE, SIZE, PIXEL_ANGSTROM)
    kx = torch.fft.rfftfreq(SIZE)[None]
    frames = [
        torch.fft.irfft2(spectrum * torch.exp(-2j * torch.pi * kx * frame), s=(SIZE, SIZE)).numpy()
        for frame in range(FRAMES)
    ]
    write_movie_tiff(
        path, np.stack([rng.poisson(np.clip(20 * (1 + 0.5 * f), 0, None)) for f in frames]).astype(np.uint8)
    )


def job(path: Path, **evaluation: object) -> RerunJob:
    shifts = tuple(PIXEL_ANGSTROM * (frame - 2.5) for frame in range(FRAMES))
    zeros, sd = (0.0,) * FRAMES, (0.05,) * FRAMES
    result = movie_result(
        header=MovieHeader(str(path), "tiff", FRAMES, SIZE, SIZE, "uint8"),
        pixel_size_angstrom=PIXEL_ANGSTROM,
        shifts=FrameShifts(shifts, zeros, sd, 7.5, 3.0, 4.5, True),
        ctf=CtfEstimate(12_100.0, 11_900.0, 10.0, 0.0, 20.0, 20.0, 3.4, 0.8, 0.0, True),
        quality=Quality(120.0, 20.0, 0, None, 0.0, False),
    )
    acquisition = AcquisitionParameters(PIXEL_ANGSTROM, 300.0, 2.7, 0.1, 10.0, 0.0, False, ())
    settings = Settings(
        motion=MotionSettings(patch_grid_x=1, patch_grid_y=1),
        ctf=CtfSettings(box_px=256, min_defocus_angstrom=9000.0, max_defocus_angstrom=15_000.0),
        evaluation=EvaluationSettings(**evaluation),  # type: ignore[arg-type]
    )
    return RerunJob(str(path), None, result, acquisition, None, settings, ((result, acquisition),))


@pytest.mark.timeout(300)
def test_a_movie_is_run_again_behind_the_walls(tmp_path: Path) -> None:
    write_movie(tmp_path / "m.tif")
    formulas = {"speed": "total_motion_angstrom / total_dose_e_per_a2", "area": "pixel_size_angstrom ** 2"}
    found = Rerunner().rerun(job(tmp_path / "m.tif", formulas=formulas))
    evidence = found.verdict.evidence
    assert evidence["stopped"] is None
    rows = {(row["parameter"], row["output"]): row for row in evidence["sensitivities"]}  # type: ignore[union-attr, index, call-overload]
    motion = rows["pixel_size_angstrom", "total_motion_angstrom"]
    assert motion["value"] == pytest.approx(5 * PIXEL_ANGSTROM, rel=0.02)
    assert motion["per_unit"] == pytest.approx(5.0, rel=0.05)
    assert rows["pixel_size_angstrom", "area"]["per_unit"] == pytest.approx(2 * PIXEL_ANGSTROM, rel=1e-6)
    assert rows["pixel_size_angstrom", "speed"]["per_unit"] == pytest.approx(5.0 / 60.0, rel=0.05)
    defocus = rows["pixel_size_angstrom", "defocus_u_angstrom"]
    assert defocus["per_unit"] == pytest.approx(2 * 12_100.0 / PIXEL_ANGSTROM, rel=0.1)
    assert defocus["settled"] in ("robust", "fragile")
    assert ("defocus_offset_angstrom", "restored_micrograph") in rows
    assert {one["formula"]: one["value"] for one in evidence["formulas"]} == {  # type: ignore[union-attr, index, call-overload]
        "speed": pytest.approx(7.5 / 60.0),
        "area": pytest.approx(2.25),
    }
    assert found.verdict.verdict is not None
    assert 0.0 <= found.verdict.verdict <= 1.0
    assert found.took["motion"] > 0
    assert found.took["cpu"] > 0


def test_a_rerun_that_takes_too_long_is_stopped_and_keeps_what_it_found(tmp_path: Path) -> None:
    write_movie(tmp_path / "m.tif")
    found = Rerunner().rerun(job(tmp_path / "m.tif", sandbox_wall_s=1.0, formulas={"area": "pixel_size_angstrom ** 2"}))
    assert str(found.verdict.evidence["stopped"]).startswith("wall time")
    assert "the rerun was stopped" in found.verdict.does_not_know[0]


def test_the_compiled_code_goes_in_under_the_names_that_numba_looks_for() -> None:
    pytest.importorskip("numba")
    from numba.core.caching import _CacheLocator

    import frazil.models.gain.correction as module

    here = _CacheLocator.get_suitable_cache_subpath(module.__file__)
    names = {name.split("/")[1] for name in compiled_code()}
    if not names:
        pytest.skip("nothing has been compiled beside the sources yet")
    assert here in names
