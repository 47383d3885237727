"""A Noise2Noise network trained on the half sums of the very fields that it then denoises.

Lehtinen et al. 2018 (Proc. ICML 80, 2965): a network that predicts one noisy picture from another with independent
noise learns the mean of both; for micrographs with even and odd frames: Bepler et al. 2020 (Topaz-Denoise, Nat. Commun.
11, 5208). A U-Net of three levels on a 4 A grid (the grid of frazil's own network), squares of 88 px, turned and
mirrored at random, either half the input and the other the target, mean squared error. Nothing is held back from it but
the middle stripe of each field, on which it is watched: the loss there says when it has learned what it can.

It is trained twice: on the halves as they are, the result phase-flipped afterwards (as a user of Topaz has it), and on
halves that are phase-flipped with the true CTF before (noise stays independent, contrast lies where the specimen is).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SQUARE_PX, BATCH = 88, 10
_CHANNELS = (16, 32, 48)
_WATCHED_PX = 32
"""Width of the stripe that is held back in the middle of each field."""
_WATCHED_FIELDS = 15
Array = NDArray[Any]


class _Block(nn.Sequential):
    def __init__(self, inputs: int, channels: int) -> None:
        layers: list[nn.Module] = []
        for before in (inputs, channels):
            layers += [nn.Conv2d(before, channels, 3, padding=1, padding_mode="replicate"), nn.LeakyReLU(0.1)]
        super().__init__(*layers)


class DenoisingNetwork(nn.Module):
    """(n, 1, h, w) -> the same; h and w multiples of 4."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c = _CHANNELS
        self.first, self.second, self.third = _Block(1, a), _Block(a, b), _Block(b, c)
        self.up_second, self.up_first = _Block(c + b, b), _Block(b + a, a)
        self.last = nn.Conv2d(a, 1, 1)

    def forward(self, noisy: Tensor) -> Tensor:
        fine = self.first(noisy)
        middle = self.second(nn.functional.avg_pool2d(fine, 2))
        coarse = self.third(nn.functional.avg_pool2d(middle, 2))
        middle = self.up_second(torch.cat([_doubled(coarse), middle], 1))
        result: Tensor = self.last(self.up_first(torch.cat([_doubled(middle), fine], 1)))
        return result


def _doubled(image: Tensor) -> Tensor:
    return nn.functional.interpolate(image, scale_factor=2.0, mode="bilinear", align_corners=False)


@dataclass(frozen=True, slots=True)
class Training:
    """What is told of it. watched: held-back loss after each tenth of the steps, as a share of the pictures' power."""

    parameters: int
    steps: int
    cpu_s: float
    watched: tuple[float, ...]

    @property
    def flattened(self) -> bool:
        """Whether the last fifth of the steps changed the held-back loss by less than 0.2 %."""
        return abs(self.watched[-3] - self.watched[-1]) < 2e-3 * self.watched[-3]


def train(halves: list[tuple[Array, Array]], steps: int, seed: int) -> tuple[DenoisingNetwork, Training]:
    """Of fields' halves on the 4 A grid, each (h, w) with mean 0 and about unit spread."""
    torch.manual_seed(seed)
    network, order = DenoisingNetwork(), np.random.default_rng(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=2e-5)
    pictures = [torch.from_numpy(np.stack(pair).astype(np.float32)) for pair in halves]
    began, watched = time.process_time(), []
    for step in range(steps):
        pairs = torch.stack([_square(pictures[int(i)], order) for i in order.integers(len(pictures), size=BATCH)])
        optimiser.zero_grad()
        loss = (network(pairs[:, :1]) - pairs[:, 1:]).square().mean()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % (steps // 10) == 0:
            watched.append(_watched_loss(network, pictures))
    count = sum(parameter.numel() for parameter in network.parameters())
    network.eval().requires_grad_(False)
    return network, Training(count, steps, time.process_time() - began, tuple(watched))


def denoised(network: DenoisingNetwork, halves: tuple[Array, Array]) -> Array:
    """(h, w): the mean of what it makes of both halves."""
    made = [_whole(network, torch.from_numpy(np.asarray(half, dtype=np.float32))) for half in halves]
    return np.asarray((0.5 * (made[0] + made[1])).numpy())


def _whole(network: DenoisingNetwork, picture: Tensor) -> Tensor:
    height, width = picture.shape
    padded = nn.functional.pad(picture[None, None], (8, 8 + -width % 4, 8, 8 + -height % 4), mode="reflect")
    with torch.inference_mode():
        result: Tensor = network(padded)[0, 0, 8 : 8 + height, 8 : 8 + width]
    return result


def _square(pair: Tensor, order: np.random.Generator) -> Tensor:
    """(2, n, n) beside the stripe that is held back, turned, mirrored and in either order."""
    height, width = pair.shape[1:]
    stripe = (width - _WATCHED_PX) // 2
    left = bool(order.integers(2))
    low, high = (0, stripe - SQUARE_PX) if left else (stripe + _WATCHED_PX, width - SQUARE_PX)
    x = int(order.integers(low, high + 1))
    y = int(order.integers(0, height - SQUARE_PX + 1))
    square = pair[:, y : y + SQUARE_PX, x : x + SQUARE_PX].rot90(int(order.integers(4)), (1, 2))
    if order.integers(2):
        square = square.flip(2)
    return square.flip(0) if order.integers(2) else square


def _watched_loss(network: DenoisingNetwork, pictures: list[Tensor]) -> float:
    """Mean squared error of both predictions on the stripes, over the pictures' power there."""
    error = power = 0.0
    for pair in pictures[:: -(-len(pictures) // _WATCHED_FIELDS)]:
        first = (pair.shape[2] - _WATCHED_PX) // 2
        stripe = slice(first + 8, first + _WATCHED_PX - 8)
        for own, other in ((0, 1), (1, 0)):
            predicted = _whole(network, pair[own])
            error += float((predicted - pair[other])[:, stripe].square().sum())
            power += float(pair[other][:, stripe].square().sum())
    return error / power
