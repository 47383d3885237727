"""EPU's beam shift in um: a known matrix goes in, and comes back with its error or not at all."""

from __future__ import annotations

import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from frazil.models.formats.epu_xml import read_epu_xml
from frazil.models.optics.beam_shift_calibration import ShiftedExposure, calibrate_beam_shift

AREAS = {"1": (0.15, 0.4), "2": (-0.4, -0.1), "3": (0.3, -0.35)}


def turned(angle_deg: float) -> np.ndarray:
    angle = np.deg2rad(angle_deg)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def matrix_of(scale_um: float, turn_deg: float, *, mirrored: bool, unalike: float = 0.02) -> np.ndarray:
    return scale_um * turned(turn_deg) @ np.diag([1 + unalike, (-1 if mirrored else 1) * (1 - unalike)])


def session(
    matrix: np.ndarray,
    *,
    seed: int = 0,
    clusters: int = 14,
    error_um: float = 0.05,
    spacing_um: float = 2.5,
    known_holes: bool = False,
    in_one_line: bool = False,
) -> list[ShiftedExposure]:
    """Clusters of 3 to 9 holes; the stage misses the middle one by 0.3 um and is read with an error."""
    rng = np.random.default_rng(seed)
    film = spacing_um * turned(rng.uniform(0, 90)) @ np.array([[1.0, 0.01], [0.0, 1.015]])
    ring = [(i, 0 if in_one_line else j) for i in (-1, 0, 1) for j in (-1, 0, 1)][:: 3 if in_one_line else 1]
    shots = []
    for cluster in range(clusters):
        centre = rng.integers(-8, 9, 2) + np.array([0, 20 * (cluster % 2)])
        stage = film @ centre + rng.normal(0, 0.3, 2)
        read = stage + rng.normal(0, error_um, 2)
        for index in rng.permutation(len(ring))[: rng.integers(3, 10)]:
            hole = film @ (centre + np.array(ring[index]))
            for area, offset in AREAS.items():
                shift = np.linalg.solve(matrix, hole + offset - stage) + rng.normal(0, 0.0004, 2)
                said = hole.tolist() if known_holes else (None, None)
                name = f"{centre}{ring[index]}"
                shots.append(ShiftedExposure(read[0], read[1], shift[0], shift[1], name, area, "77", said[0], said[1]))
    return shots


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("scale_um", "turn_deg"), [(24.7, 27.0), (24.7, 200.0), (18.0, 91.0), (35.0, -60.0)])
def test_the_matrix_comes_back_from_the_lattice(mirrored: bool, scale_um: float, turn_deg: float) -> None:
    truth = matrix_of(scale_um, turn_deg, mirrored=mirrored)
    answer = calibrate_beam_shift(session(truth, seed=int(scale_um)))
    found = answer.calibration
    assert found is not None, answer.reason
    np.testing.assert_allclose(np.array(found.um_per_unit), truth, atol=0.01 * scale_um)
    np.testing.assert_array_less(
        np.abs(np.array(found.um_per_unit) - truth), 5 * np.array(found.error_um_per_unit) + 1e-9
    )
    assert found.scale_um == pytest.approx(scale_um, rel=0.01)
    assert found.mirrored == mirrored
    assert (found.rotation_deg - turn_deg + 180) % 360 - 180 == pytest.approx(0.0, abs=0.5)
    assert found.coherence is not None
    assert found.coherence > 0.95


@pytest.mark.parametrize("mirrored", [False, True])
def test_known_holes_need_fewer_clusters(mirrored: bool) -> None:
    truth = matrix_of(24.7, 27.0, mirrored=mirrored)
    few = session(truth, clusters=2, known_holes=True)
    found = calibrate_beam_shift(few).calibration
    assert found is not None
    np.testing.assert_allclose(np.array(found.um_per_unit), truth, atol=0.25)
    assert (found.cluster_count, found.coherence) == (2, None)
    assert found.scale_error_um < 0.1


@pytest.mark.parametrize("seed", range(6))
def test_what_is_said_is_right_and_what_is_not_clear_is_not_said(seed: int) -> None:
    """Few clusters and errors of up to a sixth of the spacing: never a wrong matrix, not even turned by half a turn."""
    truth = matrix_of(24.7, 30.0 * seed, mirrored=bool(seed % 2))
    for clusters, error_um in ((6, 0.1), (9, 0.2), (14, 0.4), (20, 0.15)):
        answer = calibrate_beam_shift(session(truth, seed=seed, clusters=clusters, error_um=error_um))
        if answer.calibration is None:
            assert answer.reason
        else:
            np.testing.assert_allclose(np.array(answer.calibration.um_per_unit), truth, atol=0.05 * 24.7)


def test_where_it_cannot_be_known_the_reason_is_told() -> None:
    truth = matrix_of(24.7, 27.0, mirrored=True)
    rng = np.random.default_rng(1)
    shots = session(truth)
    scattered = [replace(one, shift_x=rng.normal(0, 0.1), shift_y=rng.normal(0, 0.1), area="") for one in shots[::3]]
    wandering = [
        replace(one, stage_x_um=rng.uniform(-500, 500), stage_y_um=rng.uniform(-500, 500), square="") for one in shots
    ]
    cases = {
        "says where": [],
        "position(s)": session(truth, clusters=3),
        "do not form a lattice": scattered,
        "one line": session(truth, known_holes=True, in_one_line=True),
    }
    for words, exposures in cases.items():
        answer = calibrate_beam_shift(exposures)
        assert answer.calibration is None
        assert words in answer.reason
    assert calibrate_beam_shift(wandering).calibration is None
    unshifted = [replace(one, shift_x=0.0, shift_y=0.0) for one in shots]
    assert calibrate_beam_shift(unshifted).calibration is None
    broken = [ShiftedExposure(float("nan"), 0.0, 0.1, 0.1)]
    assert calibrate_beam_shift(broken).calibration is None


def test_holes_that_are_elsewhere_are_not_believed() -> None:
    truth = matrix_of(24.7, 27.0, mirrored=True)
    rng = np.random.default_rng(2)
    shots = [
        replace(one, hole_x_um=rng.uniform(-3, 3), hole_y_um=rng.uniform(-3, 3))
        for one in session(truth, known_holes=True)
    ]
    answer = calibrate_beam_shift(shots)
    assert answer.calibration is None
    assert "do not lie where" in answer.reason


def test_189_real_exposures(tmp_path: Path) -> None:
    archive = Path(os.environ.get("FRAZIL_SHARED_DATA", "")) / "acquisition" / "epu26_afis_exposures.tar.gz"
    if not archive.is_file():
        pytest.skip("the shared sample is not on this machine (FRAZIL_SHARED_DATA)")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    shots = []
    for path in sorted(tmp_path.rglob("FoilHole_*.xml")):
        if path.stem.endswith("_Fractions"):
            continue
        said = read_epu_xml(path)
        numbers = (said.stage_x_um, said.stage_y_um, said.beam_shift_x_au, said.beam_shift_y_au)
        assert None not in numbers
        shots.append(ShiftedExposure(*numbers, said.hole or "", said.beam_shift_group or "", said.grid_square or ""))
    assert len(shots) == 189
    found = calibrate_beam_shift(shots).calibration
    assert found is not None
    assert (found.hole_count, found.cluster_count, found.mirrored) == (63, 18, True)
    assert found.scale_um == pytest.approx(24.33, abs=0.05)
    assert found.rotation_deg == pytest.approx(26.4, abs=0.3)
    assert found.residual_um < 0.06
