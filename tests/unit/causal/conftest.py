"""Movies whose causes are known, as the causal model is told of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from frazil.models.causal.bands import BAND_COUNT
from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.records import ExposureFacts, MovieEvidence

START_UTC_US = 1_767_225_600_000_000


@pytest.fixture
def known_movie() -> Callable[..., MovieEvidence]:
    """`known_movie(**changes)`: a good movie of 40 e/A2 in 4 s at 300 kV, 40 nm of ice, filtered; no rings measured."""
    exposure = ExposureFacts(
        acquired_utc_us=START_UTC_US,
        exposure_time_s=4.0,
        stated_dose_per_frame_e_per_a2=2.0,
        stage_x_um=0.0,
        stage_y_um=0.0,
        image_shift_x_um=0.0,
        image_shift_y_um=0.0,
        energy_filter=True,
    )

    def make(thickness_nm: float = 40.0, **changes: object) -> MovieEvidence:
        movie = MovieEvidence(
            shift_x_angstrom=(0.0,) * 20,
            shift_y_angstrom=(0.0,) * 20,
            shift_sd_angstrom=(0.05,) * 20,
            local_residual_angstrom=0.0,
            frame_count=20,
            dose_per_frame_e_per_a2=2.0,
            pre_exposure_e_per_a2=0.0,
            dose_per_frame_e_per_px=2.0 * float(np.exp(-0.06 - thickness_nm / inelastic_mean_free_path_nm(300.0))),
            pixel_size_angstrom=1.0,
            voltage_kv=300.0,
            cs_mm=2.7,
            defocus_angstrom=12_000.0,
            relative_ice_thickness=None,
            log_ssnr=(None,) * BAND_COUNT,
            log_ssnr_sd=0.25,
            exposure=exposure,
        )
        facts = {name: value for name, value in changes.items() if name in ExposureFacts.__dataclass_fields__}
        others = {name: value for name, value in changes.items() if name not in facts}
        return replace(movie, exposure=replace(exposure, **facts), **others)  # type: ignore[arg-type]

    return make
