"""The benchmark of what causes bring, against known answers: its sums, the errors that it gives, the true SSNR."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.ablation.bench import interval, ln_gain, summary
from benchmarks.ablation.restorations import true_ssnr
from benchmarks.ablation.worlds import World, correlated, measured_errors, told_losses, true_losses
from frazil.models.optics.ctf import CtfParameters, ctf_2d

K = np.linspace(0.02, 0.2, 40)


def row(uniform: float, learned: float, true: float | None) -> dict[str, Any]:
    kinds = {"uniform": uniform, "physics": uniform, "learned": learned, "true": true}
    kinds |= {f"{kind}, whole": kinds[kind] for kind in ("physics", "learned", "true")}
    return {"reached": {kind: {"halves_0143": value, "truth_05": value} for kind, value in kinds.items()}}


def test_gains_and_shares_are_sums_over_all_sessions() -> None:
    rows = [row(8.0, 7.0, 6.0), row(8.0, 8.4, 7.9)]
    found = summary(rows)["learned"]["halves_0143"]
    expected = (math.log(8 / 7) + math.log(8 / 8.4)) / (math.log(8 / 6) + math.log(8 / 7.9))
    assert found["share_of_true_gain"]["value"] == pytest.approx(expected)
    assert found["worst_percent"] == pytest.approx(100 * (8 / 8.4 - 1))
    assert found["worse_than_half_a_percent"] == 1
    assert found["better_percent"]["value"] == pytest.approx(50 * (8 / 7 + 8 / 8.4 - 2))
    assert ln_gain(row(8.0, 7.0, None), "true", "truth_05") < -2, "a map that is not resolved is not left out"


def test_an_interval_holds_the_mean_of_what_was_drawn() -> None:
    rng = np.random.default_rng(3)
    held = []
    for _ in range(60):
        found = interval(rng.normal(2.0, 1.0, 30), np.mean)
        held.append(found["low"] < 2.0 < found["high"])
    assert 0.85 <= np.mean(held) <= 1.0


def test_what_is_told_errs_as_measured() -> None:
    """Of causes that cost a lot, so that nothing is cut at zero, in the median over sessions."""
    bias, error = measured_errors(2)["ice"]
    assert (error >= np.abs(bias) * 0.5).all(), "a median error is hardly smaller than the bias"
    off = {"learned": [], "physics": []}  # type: dict[str, list[float]]
    for seed in range(40):
        world = World(seed, True, seed % 2 == 0)
        true = true_losses(world, 40, K)
        seen = true.total - true.unknown
        for prior, errors in off.items():
            errors.append(float(np.median(np.abs(told_losses(world, true, prior) - seen)[:, -1])))
    assert 0.05 < np.median(off["learned"]) < 0.6
    assert np.median(off["physics"]) > 1.2 * np.median(off["learned"])
    again = told_losses(World(4, True, True), true_losses(World(4, True, True), 40, K), "learned")
    np.testing.assert_array_equal(
        again, told_losses(World(4, True, True), true_losses(World(4, True, True), 40, K), "learned")
    )


def test_artefacts_vary_more_than_an_ordinary_night_and_neighbours_go_together() -> None:
    def spread(heavy: bool) -> float:
        worlds = [World(seed, heavy, True) for seed in range(10)]
        return float(np.mean([true_losses(world, 40, K).total[:, -1].std() for world in worlds]))

    assert spread(True) > 4 * spread(False)
    drawn = correlated(np.random.default_rng(1), 20_000, 0.8)
    assert np.corrcoef(drawn[1:], drawn[:-1])[0, 1] == pytest.approx(0.8, abs=0.02)
    assert drawn.std() == pytest.approx(1.0, abs=0.05)


def test_the_true_ssnr_is_that_which_was_put_in() -> None:
    n, pixel, rng = 256, 2.0, np.random.default_rng(9)
    ctf = CtfParameters(300.0, 2.7, 0.1, 12_000.0, 12_000.0, 0.0)
    truth = rng.standard_normal((n, n)).astype(np.float32)
    contrast = ctf_2d(ctf, n, n, pixel).numpy()
    seen = np.fft.irfft2(np.fft.rfft2(truth) * contrast * 0.5, s=(n, n))
    field: Any = SimpleNamespace(
        truth=truth, weighted=100 + seen + rng.standard_normal((n, n)), true_ctf=ctf, pixel_size_angstrom=pixel
    )
    found = true_ssnr(field)
    usable = np.array(found.frequency_per_angstrom) > 0.1  # rings with some hundred samples
    np.testing.assert_allclose(np.median(np.exp(found.log_ssnr)[usable]), 0.25, rtol=0.1)
    assert np.abs(np.array(found.log_ssnr)[usable] - np.log(0.25)).max() < 2.0
