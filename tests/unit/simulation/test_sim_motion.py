"""Truth of the motion, measured back from noiseless frames by cross-correlation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from frazil.config.errors import FormatError
from frazil.models.conventions import shifts_to_relion_px
from frazil.models.simulation import SimulatedSession, SimulationSettings, preset
from frazil.models.simulation.settings import DRIFT_KINDS, StageSettings
from frazil.models.simulation.trajectory import draw_trajectory, given_trajectory, trajectory_from_relion_star

PIXEL = 1.5


def settings(**stage: object) -> SimulationSettings:
    stage = {"local_motion_rms_angstrom": 0.0, "drift_weights": (0, 1, 0, 0), "drift_total_angstrom": 12.0} | stage
    return preset("demo").with_changes(
        height_px=288,
        width_px=320,
        frame_count=5,
        pixel_size_angstrom=PIXEL,
        specimen={"structure": "gltph", "particles_per_um2": 3000.0, "ice_structure_noise": False},
        stage=stage,
    )


def displacement_px(reference: NDArray[np.float32], frame: NDArray[np.float32]) -> tuple[float, float]:
    """(x, y) by which `frame`'s content lies further along columns and rows: peak of the windowed, low-passed
    cross-correlation, refined by the phases around it."""
    h, w = reference.shape
    window = np.outer(np.hanning(h), np.hanning(w))
    a = np.fft.fft2((reference - reference.mean()) * window)
    b = np.fft.fft2((frame - frame.mean()) * window)
    ky, kx = np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None, :]
    cross = b * a.conj() * np.exp(-((kx**2 + ky**2) / 0.12**2))
    peak = np.unravel_index(np.argmax(np.fft.ifft2(cross).real), (h, w))
    y, x = (float((p + n // 2) % n - n // 2) for p, n in zip(peak, (h, w), strict=True))
    for _ in range(4):
        phase = np.angle(cross * np.exp(2j * np.pi * (kx * x + ky * y)))
        weight = np.abs(cross)
        normal = np.array(
            [[(weight * kx * kx).sum(), (weight * kx * ky).sum()], [(weight * kx * ky).sum(), (weight * ky * ky).sum()]]
        )
        right = -np.array([(weight * kx * phase).sum(), (weight * ky * phase).sum()]) / (2 * np.pi)
        dx, dy = np.linalg.solve(normal, right)
        x, y = x + float(dx), y + float(dy)
    return x, y


def test_frames_are_displaced_by_the_true_shift() -> None:
    movie = SimulatedSession(settings()).movie(2)
    still = [f.numpy() for f in movie.expected_frames(motion=False)]
    truth = movie.truth
    for number, frame in enumerate(movie.expected_frames()):
        x, y = displacement_px(still[number], frame.numpy())
        assert x * PIXEL == pytest.approx(truth.shift_x_angstrom[number], abs=0.08)
        assert y * PIXEL == pytest.approx(truth.shift_y_angstrom[number], abs=0.08)
    assert abs(sum(truth.shift_x_angstrom)) < 1e-9
    assert max(np.hypot(truth.shift_x_angstrom, truth.shift_y_angstrom)) > 2.0


def test_shifting_a_frame_back_gives_the_unmoved_one() -> None:
    # Whole pixels, so that no interpolation of the test's own comes in.
    shift = ((-6.0, 3.0), (0.0, -4.5), (6.0, 1.5))
    movie = SimulatedSession(
        settings(trajectory_angstrom=shift, blur_within_frames=False).with_changes(frame_count=3)
    ).movie(0)
    still = [f.numpy() for f in movie.expected_frames(motion=False)]
    for (x, y), frame, reference in zip(shift, movie.expected_frames(), still, strict=True):
        back = np.roll(frame.numpy(), (-round(y / PIXEL), -round(x / PIXEL)), (0, 1))
        inner = np.s_[8:-8, 8:-8]
        assert np.abs(back - reference)[inner].max() < 1e-3 * reference.mean()


def test_local_motion_is_where_truth_says() -> None:
    still = ((0.0, 0.0),) * 5
    movie = SimulatedSession(
        settings(local_motion_rms_angstrom=4.0, trajectory_angstrom=still, blur_within_frames=False)
    ).movie(1)
    local = movie.truth.local_motion
    assert local is not None
    reference = [f.numpy() for f in movie.expected_frames(motion=False)]
    frames = [f.numpy() for f in movie.expected_frames()]
    field_x, field_y = np.array(local.field_x_angstrom), np.array(local.field_y_angstrom)
    course = np.array(local.course)
    errors, sizes = [], []
    for gy in (4, 8, 12):
        for gx in (4, 8, 12):
            cx, cy = round(local.grid_x_px[gx]), round(local.grid_y_px[gy])
            cut = np.s_[cy - 56 : cy + 56, cx - 56 : cx + 56]
            x, y = displacement_px(reference[0][cut], frames[0][cut])
            true_x, true_y = course[:, 0] @ field_x[:, gy, gx], course[:, 0] @ field_y[:, gy, gx]
            errors.append(np.hypot(x * PIXEL - true_x, y * PIXEL - true_y))
            sizes.append(np.hypot(true_x, true_y))
    assert np.sqrt(np.mean(np.square(sizes))) > 1.0
    # A patch averages the field over its window; its centre differs by the field's curvature.
    assert np.sqrt(np.mean(np.square(errors))) < 0.25 * np.sqrt(np.mean(np.square(sizes)))


def test_local_motion_is_zero_on_average_over_field_and_frames() -> None:
    local = SimulatedSession(settings(local_motion_rms_angstrom=2.0)).truth(0).local_motion
    assert local is not None
    course = np.array(local.course)
    np.testing.assert_allclose(course.mean(axis=1), 0.0, atol=1e-12)
    assert np.abs(np.array(local.field_x_angstrom).mean(axis=(1, 2))).max() < 0.25


def test_local_motion_and_large_drift_together_keep_high_frequencies() -> None:
    movie = SimulatedSession(
        settings(local_motion_rms_angstrom=1.0, drift_total_angstrom=30.0, blur_within_frames=False)
    ).movie(0)
    moved, still = (
        np.abs(np.fft.rfft2(next(iter(movie.expected_frames(motion=flag))).numpy())) ** 2 for flag in (True, False)
    )
    k = np.hypot(np.fft.fftfreq(288)[:, None], np.fft.rfftfreq(320)[None, :])
    band = (k > 0.2) & (k < 0.3)  # 5 to 7.5 A
    assert moved[band].sum() / still[band].sum() > 0.9


@pytest.mark.parametrize("kind", DRIFT_KINDS)
def test_kinds_of_drift(kind: str) -> None:
    lengths = []
    for seed in range(20):
        path = draw_trajectory(kind, StageSettings(), 40, 1.0, np.random.default_rng(seed))  # type: ignore[arg-type]
        np.testing.assert_allclose(path.shift_angstrom.mean(axis=0), 0.0, atol=1e-9)
        ends = path.shift_angstrom[-1] - path.shift_angstrom[0]
        lengths.append(float(np.hypot(*ends)))
        if kind == "settling":
            assert np.hypot(*path.travel_angstrom[:5].sum(axis=0)) > np.hypot(*path.travel_angstrom[20:25].sum(axis=0))
        if kind == "burst":
            assert np.hypot(*path.travel_angstrom.T).max() > 1.5
    low, high = {
        "still": (0.0, 4.0),
        "drifting": (4.0, 16.0),
        "settling": (5.0, 18.0),
        "burst": (3.0, 25.0),
        "lost-stage": (40.0, 140.0),
    }[kind]
    assert low < np.median(lengths) < high


def test_trajectory_of_a_relion_star_comes_back(tmp_path: Path) -> None:
    shift_x, shift_y = [-2.0, 0.5, 1.5], [1.0, 0.0, -1.0]
    rows = zip(shifts_to_relion_px(shift_x, 0.8), shifts_to_relion_px(shift_y, 0.8), strict=True)
    star = tmp_path / "movie.star"
    star.write_text(
        "data_general\n\n_rlnImageSizeX 100\n\ndata_global_shift\n\nloop_\n_rlnMicrographFrameNumber #1\n"
        "_rlnMicrographShiftX #2\n_rlnMicrographShiftY #3\n"
        + "".join(f"{n + 1} {x:.6f} {y:.6f}\n" for n, (x, y) in enumerate(rows))
    )
    read = trajectory_from_relion_star(star, 0.8)
    np.testing.assert_allclose(np.array(read), np.stack([shift_x, shift_y], axis=1), atol=1e-5)
    longer = given_trajectory(np.array(read), 6)
    assert longer.shift_angstrom.shape == (6, 2)
    assert longer.shift_angstrom[-1, 0] > longer.shift_angstrom[0, 0]
    (tmp_path / "empty.star").write_text("data_general\n\n_rlnImageSizeX 100\n")
    with pytest.raises(FormatError, match="rlnMicrographShiftX"):
        trajectory_from_relion_star(tmp_path / "empty.star", 0.8)
