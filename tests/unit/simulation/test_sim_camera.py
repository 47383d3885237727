"""Counting statistics, sensitivity, defects and dose of recorded frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from frazil.models.simulation import SimulatedSession, SimulationSettings, preset
from frazil.models.simulation.detector import coincidence_survival, draw_detector, mtf, poisson_counts
from frazil.models.simulation.settings import CameraSettings


def flat_field(**camera: object) -> SimulationSettings:
    """Ice without structure, no particles: every pixel expects the same."""
    return preset("demo").with_changes(
        height_px=256,
        width_px=320,
        frame_count=6,
        specimen={
            "structure": "gltph",
            "particles_per_um2": 0.0,
            "denatured_film_angstrom": 0.0,
            "ice_structure_noise": False,
        },
        stage={"local_motion_rms_angstrom": 0.0},
        camera=camera,
    )


@pytest.mark.parametrize("mean", [0.05, 0.9, 3.4, 9.5, 40.0])
def test_counts_are_poisson(mean: float) -> None:
    counts = poisson_counts(np.full((400, 500), mean, np.float32), np.random.default_rng(5)).ravel()
    top = int(stats.poisson.ppf(1 - 1e-4, mean))
    observed = np.bincount(np.minimum(counts, top), minlength=top + 1)
    expected = stats.poisson.pmf(np.arange(top + 1), mean)
    expected[-1] = stats.poisson.sf(top - 1, mean)
    expected *= counts.size
    seen = expected > 5
    statistic = ((observed - expected)[seen] ** 2 / expected[seen]).sum()
    assert stats.chi2.sf(statistic, seen.sum() - 1) > 1e-4
    assert counts.max() < mean + 8 * mean**0.5 + 8


def test_mean_of_every_pixel_is_followed() -> None:
    field = np.tile(np.linspace(0.1, 8.0, 64, dtype=np.float32), (64, 1))
    rng = np.random.default_rng(1)
    total = sum(poisson_counts(field, rng).astype(float) for _ in range(60)).mean(axis=0)
    np.testing.assert_allclose(total / 60, field[0], atol=5 * np.sqrt(8.0 / (60 * 64)))


def test_recorded_mean_is_the_dose_through_the_ice() -> None:
    session = SimulatedSession(flat_field())
    movie, truth = session.movie(3), session.truth(3)
    s = session.settings
    expected = 2.0 * 1.3**2 * np.exp(-truth.ice_thickness_nm / 395.0)
    assert truth.expected_counts_per_px_per_frame == pytest.approx(expected, rel=1e-6)
    live = ~session.detector.defects
    counts = np.stack([f[live] for f in movie.frames()]).astype(float)
    error = np.sqrt(expected / counts.size)
    # sensitivity has mean 1 over all pixels; the live ones differ from that by very little
    assert counts.mean() == pytest.approx(expected * session.detector.sensitivity[live].mean(), abs=5 * error)
    assert len(counts) == s.frame_count


def test_gain_makes_the_field_flat() -> None:
    session = SimulatedSession(flat_field())
    detector = session.detector
    total = sum(f.astype(np.float64) for i in range(8) for f in session.movie(i).frames())
    level = sum(session.truth(i).expected_counts_per_px_per_frame for i in range(8)) * 6
    live = ~detector.defects
    raw, corrected = total / level, total * detector.gain_multiplier() / level
    shot = np.sqrt(1.0 / level)
    pattern = detector.sensitivity[live].std()
    assert pattern > 0.03
    assert raw[live].std() == pytest.approx(np.hypot(shot, pattern), rel=0.03)
    assert corrected[live].std() == pytest.approx(shot, rel=0.03)
    blocks = np.where(live, corrected, 1.0).reshape(8, 32, 10, 32).mean(axis=(1, 3))
    assert np.abs(blocks - 1.0).max() < 5 * shot / 32
    assert (total[detector.dead] == 0).all()
    assert (detector.gain_multiplier()[detector.dead] == 0).all()
    assert detector.dead.any(axis=0).sum() >= 1
    assert (total[detector.hot] > 2 * level).all()


def test_corrected_frames_have_white_shot_noise_of_the_expected_level() -> None:
    session = SimulatedSession(flat_field(gain_sd=0.02))
    movie = session.movie(0)
    level = movie.truth.expected_counts_per_px_per_frame
    frame = next(iter(movie.corrected_frames()))
    assert frame.dtype == torch.float32
    assert float(frame.mean()) == pytest.approx(level, rel=0.01)
    power = torch.fft.rfft2(frame - frame.mean()).abs() ** 2 / frame.numel() / level
    k = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(320)[None, :])
    for low, high in ((0.02, 0.1), (0.2, 0.3), (0.4, 0.5)):
        assert float(power[torch.from_numpy((k > low) & (k < high))].mean()) == pytest.approx(1.0, abs=0.05)


def test_sensitivity_has_no_symmetry_of_the_square() -> None:
    detector = draw_detector(CameraSettings(), 256, 256, np.random.default_rng(2))
    pattern = detector.sensitivity - detector.sensitivity.mean()
    for turned in (np.rot90(pattern), np.rot90(pattern, 2), np.rot90(pattern, 3), pattern[::-1], pattern[:, ::-1]):
        assert np.corrcoef(pattern.ravel(), turned.ravel())[0, 1] < 0.6


def test_signal_transfer_and_lost_coincidences() -> None:
    assert float(mtf(torch.tensor(1.0), 0.5)) == pytest.approx(0.5)
    assert float(mtf(torch.tensor(0.0), 0.5)) == 1.0
    assert coincidence_survival(0.0, 5.0) == 1.0
    # two electrons within the area of a camera frame count once: loss is half the load, to first order
    assert coincidence_survival(0.01, 2.0) == pytest.approx(1.0 - 0.01, abs=2e-4)
    lossy = SimulatedSession(flat_field(coincidence_area_px=10.0)).truth(0)
    clean = SimulatedSession(flat_field()).truth(0)
    # 3.1 e/px in 0.1 s at 1500 Hz
    load = clean.expected_counts_per_px_per_frame / 150.0 * 10.0
    assert lossy.expected_counts_per_px_per_frame / clean.expected_counts_per_px_per_frame == pytest.approx(
        (1 - np.exp(-load)) / load
    )


def test_without_an_energy_filter_more_electrons_and_less_contrast() -> None:
    base = flat_field().with_changes(
        specimen={"denatured_film_angstrom": 30.0, "ice_thickness_mean_nm": 200.0, "ice_thickness_sd_nm": 0.0}
    )
    filtered = SimulatedSession(base).movie(0)
    open_slit = SimulatedSession(base.with_changes(optics={"energy_filter": False})).movie(0)
    a, b = filtered.expected_sum(), open_slit.expected_sum()
    transmitted = float(np.exp(-200 / 395))
    assert float(a.mean() / b.mean()) == pytest.approx(transmitted, rel=1e-3)
    assert float((b.std() / b.mean()) / (a.std() / a.mean())) == pytest.approx(transmitted, rel=1e-2)
