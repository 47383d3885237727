"""What the simulated microscope writes into its sidecars is what the readers understand, in both dialects."""

from __future__ import annotations

from pathlib import Path

import pytest

from frazil.config.loading import load_settings
from frazil.models.formats.acquisition import merge_metadata, resolve
from frazil.models.formats.epu_xml import read_epu_session
from frazil.models.formats.sidecar import read_sidecar
from frazil.models.records import MovieHeader
from frazil.models.simulation.session import SimulatedSession
from frazil.models.simulation.settings import SimulationSettings
from frazil.models.simulation.sidecars import epu_session, epu_xml, mdoc

SETTINGS = SimulationSettings(height_px=256, width_px=320)


@pytest.fixture(scope="module")
def session() -> SimulatedSession:
    return SimulatedSession(SETTINGS)


@pytest.mark.parametrize("dialect", ["epu", "epu-eer", "serialem"])
@pytest.mark.parametrize("index", [0, 11])
def test_sidecar_gives_back_the_truth(dialect: str, index: int, session: SimulatedSession, tmp_path: Path) -> None:
    truth = session.truth(index)
    folder = tmp_path / f"GridSquare_{truth.grid_square}" / "Data"
    folder.mkdir(parents=True)
    if dialect == "serialem":
        path = folder / f"{truth.stem}.tif.mdoc"
        path.write_bytes(mdoc(truth, SETTINGS, f"{truth.stem}.tif", "gain.mrc").encode())
    else:
        path = folder / f"{truth.stem}.xml"
        path.write_text(epu_xml(truth, SETTINGS, eer=dialect == "epu-eer"))
    data = read_sidecar(path)
    assert data.target_defocus_um == truth.target_defocus_um
    assert data.acquired_utc_us is not None
    assert data.acquired_utc_us // 1_000_000 == truth.acquired_utc_us // 1_000_000
    assert (data.stage_x_um, data.stage_y_um) == (
        pytest.approx(truth.stage_x_um, abs=1e-3),
        pytest.approx(truth.stage_y_um, abs=1e-3),
    )
    assert (data.grid_square, data.hole) == (truth.grid_square, truth.hole)
    eer = dialect == "epu-eer"
    assert data.frame_count == (None if eer else SETTINGS.frame_count)

    header = MovieHeader(
        str(folder / f"{truth.stem}.tif"),
        "eer" if eer else "tiff",
        SETTINGS.frame_count,
        SETTINGS.height_px,
        SETTINGS.width_px,
        "uint8",
    )
    merged = merge_metadata(settings=load_settings(preset="simulated"), header=header, sidecar=data)
    assert (merged.image_shift_x_um, merged.image_shift_y_um) == (
        pytest.approx(truth.image_shift_x_um, abs=1e-5),
        pytest.approx(truth.image_shift_y_um, abs=1e-5),
    )
    settings = load_settings(preset="simulated")
    found = resolve(merge_metadata(settings=settings, header=header, sidecar=data), settings=settings)
    assert found.pixel_size_angstrom == pytest.approx(SETTINGS.pixel_size_angstrom)
    assert found.voltage_kv == pytest.approx(SETTINGS.optics.voltage_kv)
    assert found.cs_mm == SETTINGS.optics.cs_mm
    assert found.dose_per_frame_e_per_a2 == pytest.approx(truth.dose_per_frame_e_per_a2, rel=1e-5)


def test_session_file(tmp_path: Path) -> None:
    path = tmp_path / "EpuSession.dm"
    path.write_text(epu_session(SETTINGS))
    facts = read_epu_session(path)
    assert (facts.name, facts.gain_corrected, facts.beam_shift_clustering) == (SETTINGS.name, False, True)
