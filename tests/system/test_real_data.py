"""Real exposures as single-frame movies, and a real trajectory in a simulated movie, through a daemon with workers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.star import read_star
from frazil.models.simulation.delivery import write_session
from frazil.models.simulation.layout import DeliverySettings
from frazil.models.simulation.settings import preset
from frazil.models.simulation.trajectory import trajectory_from_relion_star

DATA = Path(os.environ.get("FRAZIL_SHARED_DATA", ""))
STAR = DATA / "motion" / "bgal_relion_tutorial_20170629_00021_global_shift.star"
NO_EXPOSURES = (
    "leginon_08mar13e_hl.mrc",
    "leginon_08mar13e_sq.mrc",
    "leginon_tilt1.mrc",
    "leginon_tilt2.mrc",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "FRAZIL_SHARED_DATA" not in os.environ or not STAR.exists(),
        reason="needs the real data: set FRAZIL_SHARED_DATA (docs/real-data.md)",
    ),
]


def run_once(live, **flags):
    live.start(once=True, **flags)
    report = live.join(300.0)
    assert live.error is None, live.error
    assert report is not None
    assert report.ok, report


def finished_rows(session_dir, sql):
    from frazil.daemon.store.reading import open_session

    with open_session(session_dir) as reader:
        table = reader.sql(sql)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_images_without_rings_are_taken_and_said_to_have_none(live):
    for name in (*NO_EXPOSURES, "xmipp_KLH.tif"):
        shutil.copy(DATA / "micrographs" / name, live.raw / name)
    run_once(
        live,
        microscope__pixel_size_angstrom=2.2,
        microscope__voltage_kv=120.0,
        microscope__cs_mm=2.0,
        ctf__box_px=512,
    )
    found = finished_rows(
        live.session_dir,
        "SELECT relative_path, state, flags, rejection_reason, already_summed, motion_total_angstrom, reliable "
        "FROM movies JOIN quality USING (movie_id) JOIN ctf USING (movie_id)",
    )
    assert len(found) == 5
    for row in found:
        assert row["state"] in ("ready", "rejected")
        assert row["already_summed"]
        assert row["motion_total_angstrom"] == 0
        assert "single-frame" in row["flags"].split(",")
        if row["relative_path"] in NO_EXPOSURES:
            assert not row["reliable"]
            assert row["rejection_reason"]


def test_defocus_of_real_particle_images_is_relions(live):
    """Five images from one micrograph of a Cs-corrected 300 kV scope; RELION's defoci scatter by 600 A among them."""
    stack = mrcfile.read(DATA / "particles" / "cryodrgn_relion31.mrcs").astype(np.float32)
    particles = read_star(DATA / "particles" / "cryodrgn_relion31.star")["particles"]
    known = np.mean([particles.floats("rlnDefocusU"), particles.floats("rlnDefocusV")])
    for index, image in enumerate(stack):
        write_mrc(live.raw / f"{index}.mrc", image, 2.806)
    run_once(live, microscope__voltage_kv=300.0, microscope__cs_mm=0.01, ctf__box_px=256)
    found = finished_rows(live.session_dir, "SELECT defocus_u_angstrom, defocus_v_angstrom FROM ctf")
    assert len(found) == 5
    means = [(row["defocus_u_angstrom"] + row["defocus_v_angstrom"]) / 2 for row in found]
    assert np.abs(np.array(means) - known).max() < 300.0
    assert abs(np.mean(means) - known) < 150.0


def test_a_real_trajectory_is_found_again(live):
    true = trajectory_from_relion_star(STAR, 0.885)
    simulation = preset("standard").with_changes(
        movies=1,
        frame_count=24,
        height_px=768,
        width_px=768,
        pixel_size_angstrom=0.885,
        dose_per_frame_e_per_a2=1.277,
        optics={"voltage_kv": 200.0},
        stage={"trajectory_angstrom": true, "local_motion_rms_angstrom": 0.0},
    )
    made = live.root / "made"
    write_session(made, simulation, DeliverySettings(sidecar="mdoc"))
    live.raw.rmdir()
    (made / "raw").rename(live.raw)
    run_once(live, camera__gain=str(made / "gain.mrc"), microscope__cs_mm=2.7)
    rows = finished_rows(live.session_dir, "SELECT shift_x_angstrom, shift_y_angstrom FROM frame_shift_arrays")
    assert len(rows) == 1
    found = np.array([json.loads(rows[0][f"shift_{axis}_angstrom"]) for axis in "xy"]).T
    error = (found - found.mean(axis=0)) - (np.array(true) - np.mean(true, axis=0))
    assert np.sqrt(np.mean(np.sum(error**2, axis=1))) < 0.6
