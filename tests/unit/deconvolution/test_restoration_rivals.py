"""The benchmark of rivals judges by what it says: shifts, filters, counts and Noise2Noise network on known answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from benchmarks.restoration import noise2noise, rivals
from benchmarks.restoration.fields import Field, shift_between, shifted
from frazil.models.optics.ctf import CtfParameters, ctf_2d

PIXEL_ANGSTROM, SIDE = 2.0, 256
CTF = CtfParameters(300.0, 2.7, 0.1, 12_500.0, 12_000.0, 30.0)


def blobs(seed: int) -> np.ndarray:
    """(h, w) rad: bodies of 60 A at random places."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    image = np.zeros((SIDE, SIDE))
    for cy, cx in random.uniform(30, SIDE - 30, (10, 2)):
        radius = np.hypot(y - cy, x - cx)
        image += 0.3 * np.exp(-0.5 * (radius / 9) ** 2) * (1 + 0.6 * np.cos(radius * 1.3))
    return image.astype(np.float32)


def field(noise: float, seed: int = 1) -> Field:
    """As much of a field as the linear rivals and the networks need; the sum is dark where the specimen is."""
    truth, random = blobs(seed), np.random.default_rng(seed)
    seen = np.fft.irfft2(np.fft.rfft2(truth) * ctf_2d(CTF, SIDE, SIDE, PIXEL_ANGSTROM).numpy(), s=truth.shape)
    halves = [(0.5 * seen + noise * random.standard_normal(seen.shape)).astype(np.float32) for _ in range(2)]
    made = SimpleNamespace(
        truth=truth, weighted=halves[0] + halves[1], even=halves[0], odd=halves[1], true_ctf=CTF,
        pixel_size_angstrom=PIXEL_ANGSTROM,
    )  # fmt: skip
    return cast(Field, made)


def test_truth_is_laid_over_the_sum_to_a_tenth_of_a_pixel() -> None:
    known = field(0.02)
    seen = shifted(known.weighted, (3.3, -5.6))
    assert shift_between(known.truth, seen, CTF, PIXEL_ANGSTROM) == pytest.approx((3.3, -5.6), abs=0.11)


def test_no_other_linear_filter_is_nearer_to_the_truth_than_the_oracle() -> None:
    known = field(0.15)
    made = rivals.linear(rivals.Spectra(known))

    def left(image: np.ndarray) -> float:
        slope = float((image * known.truth).sum() / (image**2).sum())
        return float(((known.truth - slope * image) ** 2).mean())

    errors = {name: left(image - image.mean()) for name, image in made.items()}
    assert min(errors, key=lambda name: errors[name]) == "oracle"
    # Specimen bright, all of them; only the flip of the sum's own sign gives that away in the sum.
    for name, image in made.items():
        assert float((image * (known.truth - known.truth.mean())).sum()) > 0, name


def test_a_result_on_the_small_grid_comes_back_as_it_was() -> None:
    known = field(0.05)
    spectra = rivals.Spectra(known)
    small, _ = rivals.on_grid(known.truth, PIXEL_ANGSTROM)
    back = rivals.enlarged(spectra, small, flipped=True)
    coarse = np.fft.rfft2(known.truth)
    coarse[spectra.k >= 0.5 / 4.0] = 0
    coarse[0, 0] = 0
    # Amplitudes follow the number of pixels; the pattern is the same.
    expected = np.fft.irfft2(coarse, s=known.truth.shape)
    assert np.corrcoef(back.ravel(), expected.ravel())[0, 1] > 0.99


def test_noise2noise_finds_the_specimen_in_halves_that_share_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise2noise, "BATCH", 2)
    fields = [field(0.05, seed) for seed in range(3)]
    pairs = []
    for one in fields:
        spectra = rivals.Spectra(one)
        flipped = [spectra.back(spectra.of(half) * np.sign(spectra.contrast)) for half in (one.even, one.odd)]
        pairs.append((flipped[0] / flipped[0].std(), flipped[1] / flipped[1].std()))
    network, told = noise2noise.train(pairs, steps=100, seed=1)
    assert told.watched[-1] < told.watched[0] < 1.02
    truth, mean = fields[0].truth, 0.5 * (pairs[0][0] + pairs[0][1])
    made = noise2noise.denoised(network, pairs[0])

    def agreement(image: np.ndarray) -> float:
        return float(np.corrcoef(image.ravel(), truth.ravel())[0, 1])

    assert agreement(made) > agreement(mean) + 0.1


def row(session: str, own: float, rival: float, highest_at: float = 60.0) -> dict[str, Any]:
    figures = {name: {"frc_0.5": rival, "highest_at": highest_at} for name in rivals.METHODS}
    return {"session": session, **figures, "taught": {"frc_0.5": own, "highest_at": 50.0}}


def test_what_never_reaches_half_counts_against_the_restoration_and_for_the_rival() -> None:
    rows = [row("a", 20.0, 25.0), row("a", 100.0, 25.0), row("b", 20.0, 100.0, highest_at=40.0)]
    values = rivals.better(rows, "taught", rivals.LINEAR)
    assert values == pytest.approx([0.2, -3.0, 0.5])
    mean, low, high = rivals.with_interval(values, [one["session"] for one in rows])
    assert mean == pytest.approx(values.mean())
    assert low < mean < high
