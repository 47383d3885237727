"""What a session teaches: kept without loss, learned from only where held-out halves bear it out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from frazil.models.deconvolution.lessons import (
    LESSON_PX,
    Lesson,
    learn,
    lesson_error,
    lessons_bytes,
    lessons_from_bytes,
    network_bytes,
    network_from_bytes,
)
from frazil.models.deconvolution.network import BANDS, CONDITIONS, ResidualNetwork
from frazil.models.deconvolution.weights import shipped_network

CPU = torch.device("cpu")


def lesson(seed: int, *, signal: float) -> Lesson:
    """A held-out half that is `signal` times the sum of the bands, in noise of its own."""
    random = np.random.default_rng(seed)
    bands = random.standard_normal((BANDS + 1, LESSON_PX, LESSON_PX)).astype(np.float16)
    # Each band is as smooth as its frequencies allow, or the network's output would be filtered away.
    blurred = [_smooth(bands[band].astype(np.float32)) for band in range(BANDS)]
    bands[:BANDS] = np.stack(blurred)
    left = signal * sum(blurred) + random.standard_normal((LESSON_PX, LESSON_PX))
    return Lesson(
        bands,
        np.zeros(CONDITIONS, dtype=np.float32),
        np.ones(BANDS, dtype=np.float32),
        np.asarray(left, dtype=np.float32),
        np.ones((LESSON_PX, LESSON_PX // 2 + 1), dtype=np.float32),
        4.0,
    )


def _smooth(image: np.ndarray) -> np.ndarray:
    k = np.hypot(np.fft.fftfreq(LESSON_PX)[:, None], np.fft.rfftfreq(LESSON_PX)[None, :])
    smooth = np.fft.irfft2(np.fft.rfft2(image) * np.exp(-0.5 * (k / 0.05) ** 2), s=image.shape)
    return np.asarray(smooth / smooth.std(), dtype=np.float32)


def test_lessons_and_networks_survive_their_files() -> None:
    first = lesson(1, signal=1.0)
    (again,) = lessons_from_bytes(lessons_bytes([first]))
    for name in ("bands", "conditions", "spread", "left", "transfer"):
        assert np.array_equal(getattr(again, name), getattr(first, name))
    assert again.pixel_size_angstrom == 4.0
    assert lessons_from_bytes(lessons_bytes([])) == []
    network = shipped_network(CPU)
    copy = network_from_bytes(network_bytes(network), CPU)
    assert torch.equal(lesson_error(copy, [first], CPU), lesson_error(network, [first], CPU))


def test_what_predicts_held_out_halves_better_is_taken_and_the_same_each_time() -> None:
    torch.manual_seed(1)
    begin = ResidualNetwork().eval()
    lessons = [lesson(seed, signal=1.0) for seed in range(2)]
    checks = [lesson(seed, signal=1.0) for seed in (10, 11, 12)]
    taught, report = learn(begin, lessons, checks, steps=5, seed=1, device=CPU)
    assert report.accepted
    assert report.improvement > 2 * report.standard_error > 0
    with torch.inference_mode():
        assert float(lesson_error(taught, checks, CPU).mean()) < float(lesson_error(begin, checks, CPU).mean())
    again, _ = learn(begin, lessons, checks, steps=5, seed=1, device=CPU)
    assert network_bytes(again) == network_bytes(taught)


def test_lessons_that_teach_the_opposite_are_not_taken() -> None:
    torch.manual_seed(1)
    begin = ResidualNetwork().eval()
    wrong = [replace(one, left=-one.left) for one in (lesson(1, signal=1.0), lesson(2, signal=1.0))]
    kept, report = learn(begin, wrong, [lesson(10, signal=1.0), lesson(11, signal=1.0)], steps=4, seed=1, device=CPU)
    assert not report.accepted
    assert kept is begin


def test_too_few_to_check_with_is_no_reason_to_change() -> None:
    begin = shipped_network(CPU)
    assert learn(begin, [lesson(1, signal=1.0)], [lesson(2, signal=1.0)], steps=4, seed=1, device=CPU)[0] is begin
    with pytest.raises((ValueError, KeyError, OSError)):
        lessons_from_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="empty"):
        lessons_from_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        network_from_bytes(b"", CPU)
