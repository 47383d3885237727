"""A dark corner, a slope of the beam and a frame that is lit evenly."""

import numpy as np
import torch

from frazil.models.motion.estimate.binning import build_small_stack
from frazil.models.motion.estimate.illumination import illumination
from frazil.models.motion.frame_source import StackFrames

CPU = torch.device("cpu")


def _counts(rate: np.ndarray, frames: int = 12) -> torch.Tensor:
    random = np.random.default_rng(0)
    return torch.as_tensor(random.poisson(np.broadcast_to(rate, (frames, *rate.shape))).astype(np.uint8))


def test_even_light_is_left_alone() -> None:
    assert build_small_stack(StackFrames(_counts(np.full((512, 512), 1.0))), 1.0, CPU).illumination is None
    assert illumination(torch.zeros(256, 256), 2.0) is None
    assert illumination(torch.randn(256, 256) - 5.0, 2.0) is None


def test_a_dark_corner_is_given_no_weight_and_the_rest_is_kept() -> None:
    y, x = np.mgrid[0:768, 0:768]
    rate = np.where(x + y < 500, 0.02, 1.0)
    small = build_small_stack(StackFrames(_counts(rate)), 1.0, CPU)
    lit = small.illumination
    assert lit is not None
    assert float(lit.weight[:60, :60].max()) == 0.0
    assert float(lit.weight[300:, 300:].min()) == 1.0
    assert 0.6 < lit.lit_fraction < 0.9
    # What is left in the lit part is shot noise: mean 0, and the same variance everywhere.
    flat = small.flat(3, 0, 0, 384, 384)
    assert abs(float(flat[200:, 200:].mean())) < 0.02


def test_a_slope_of_the_beam_is_taken_off_and_its_noise_made_even() -> None:
    x = np.linspace(0.6, 1.4, 512)
    small = build_small_stack(StackFrames(_counts(np.broadcast_to(4.0 * x, (512, 512)))), 1.0, CPU)
    assert small.illumination is not None
    assert float(small.illumination.weight.min()) == 1.0
    raw, flat = small.frames[0].float(), small.flat(0, 0, 0, 256, 256)
    left, right = slice(64, 96), slice(160, 192)
    was = float(raw[:, right].mean() - raw[:, left].mean())
    assert was > 0.4
    assert abs(float(flat[:, right].mean() - flat[:, left].mean())) < 0.1 * was
    assert abs(float(flat[:, right].var() / flat[:, left].var()) - 1.0) < 0.1
