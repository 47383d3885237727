"""RELION 3.1 agrees with the simulator about poses, EER and the sign of motion. Run with `-m relion`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
import pytest
import tifffile

from frazil.models.atomic_model.potential import read_atoms
from frazil.models.atomic_model.projection import potential_map, project_atoms
from frazil.models.conventions import shifts_from_relion_px
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.simulation import DeliverySettings, SimulatedSession, preset, write_session
from frazil.models.simulation.eer_write import EerDescription, split_counts, write_movie_eer
from frazil.models.simulation.structures import structure_path

pytestmark = [pytest.mark.relion]


def run(program: str, *arguments: str, folder: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH")
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_projections_are_those_of_relion_project(tmp_path: Path) -> None:
    atoms = read_atoms(structure_path("gltph"))
    box, pixel, b = 80, 2.5, 200.0
    volume = potential_map(atoms, box_px=box, pixel_size_angstrom=pixel, b_factor_a2=b)
    write_mrc(tmp_path / "map.mrc", volume.numpy(), pixel, is_volume=True)
    poses = [(0.0, 0.0, 0.0), (40.0, 0.0, 0.0), (0.0, 0.0, 65.0), (25.0, 70.0, -110.0), (-130.0, 120.0, 35.0)]
    for number, (rot, tilt, psi) in enumerate(poses):
        run(
            "relion_project", "--i", "map.mrc", "--o", f"p{number}.mrc", "--angpix", str(pixel), "--rot", str(rot),
            "--tilt", str(tilt), "--psi", str(psi), folder=tmp_path,
        )  # fmt: skip
        theirs = mrcfile.read(tmp_path / f"p{number}.mrc").squeeze()
        ours = project_atoms(atoms, (rot, tilt, psi), box_px=box, pixel_size_angstrom=pixel, b_factor_a2=b).numpy()
        assert np.corrcoef(theirs.ravel(), ours.ravel())[0, 1] > 0.995, (rot, tilt, psi)


def test_relion_reads_the_eer(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    counts = rng.poisson(0.03, (2, 4096, 4096)).astype(np.uint16)
    counts[:, -1, -1] = 0
    raw = [part for frame in counts for part in split_counts(frame, 3, rng)]
    description = EerDescription(exposure_time_s=1.0, total_dose_e_per_px=0.06, pixel_size_angstrom=1.0)
    write_movie_eer(tmp_path / "a.eer", raw, height_px=4096, width_px=4096, raw_frame_count=6, description=description)
    (tmp_path / "out").mkdir()
    run(
        "relion_convert_to_tiff", "--i", "a.eer", "--o", "out/", "--eer_grouping", "3", "--eer_upsampling", "1",
        "--compression", "none", folder=tmp_path,
    )  # fmt: skip
    # relion_convert_to_tiff writes what it read, flipped along y as TIFF wants it.
    theirs = tifffile.imread(next((tmp_path / "out").rglob("a.tif*")))[:, ::-1].astype(int)
    events = np.zeros((2, 4096 * 4096), int)
    for number, (position, _) in enumerate(raw):
        events[number // 3, position] += 1
    np.testing.assert_array_equal(theirs.reshape(2, -1), events)


@pytest.mark.parametrize("file_format", ["tiff", "mrc"])
def test_relion_finds_the_true_motion(tmp_path: Path, file_format: str) -> None:
    still_local = {"local_motion_rms_angstrom": 0.0, "drift_kinds": ("drifting",), "drift_weights": (1.0,)}
    settings = preset("demo").with_changes(
        movies=1, height_px=512, width_px=512, frame_count=12, stage=still_local | {"drift_total_angstrom": 20.0}
    )
    delivery = DeliverySettings(file_format=file_format, sidecar="none", mrc_type="float32")  # type: ignore[arg-type]
    truth = write_session(tmp_path / "s", settings, delivery)
    movie = truth.movies[0]
    gain = tmp_path / "gain.mrc"
    # RELION flips the movie of a TIFF but not the gain: it gets one as the camera would have it.
    multiplier = SimulatedSession(settings).detector.gain_multiplier()
    write_mrc(gain, multiplier, 1.3)
    (tmp_path / "movies.star").write_text(
        "# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographOriginalPixelSize #3\n_rlnVoltage #4\n_rlnSphericalAberration #5\n_rlnAmplitudeContrast #6\n"
        "o1 1 1.3 300 2.7 0.1\n\n# version 30001\n\ndata_movies\n\nloop_\n_rlnMicrographMovieName #1\n"
        f"_rlnOpticsGroup #2\ns/raw/{movie.file} 1\n"
    )
    run(
        "relion_run_motioncorr", "--i", "movies.star", "--o", "mc", "--use_own", "--j", "1", "--patch_x", "1",
        "--patch_y", "1", "--bfactor", "150", "--bin_factor", "1", "--dose_per_frame", "2.0", "--gainref", "gain.mrc",
        "--voltage", "300", "--angpix", "1.3", folder=tmp_path,
    )  # fmt: skip
    star = next((tmp_path / "mc").rglob(f"{Path(str(movie.file)).stem}.star"))
    table = gemmi.cif.read(str(star)).find_block("global_shift")
    for column, true in (("X", movie.shift_x_angstrom), ("Y", movie.shift_y_angstrom)):
        assert table is not None
        found = shifts_from_relion_px([float(v) for v in table.find_values(f"_rlnMicrographShift{column}")], 1.3)
        assert np.sqrt(np.mean((np.array(found) - np.array(true)) ** 2)) < 0.6
