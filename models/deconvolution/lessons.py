"""What a session teaches the learned residual: one half-sum of a micrograph, and what the other half says of it.

Noise2Noise (Lehtinen et al. 2018, Proc. ICML 80, 2965): noise of the held-out half is independent of what the network
sees, so that the network which predicts that half best is also the one nearest to the specimen. The prediction is made
where the noise is white: x = a C W + b C N per ring, N the network's specimen, W the Wiener image. The part of W is
fixed beforehand: it stands for ice and films, which both halves share and the network is to leave out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.deconvolution.held_out import HalfPair, ring_fit
from frazil.models.deconvolution.network import Features, ResidualNetwork, spectrum_of
from frazil.models.deconvolution.working_grid import WorkingGrid
from frazil.models.optics.ctf import CtfParameters, ctf_2d, frequency_grid

LESSON_PX = 256
MARGIN_PX = 32
"""At the rim of a lesson the CTF brings in what lies outside: not looked at."""
_BATCH = 2


@dataclass(frozen=True, slots=True)
class Lesson:
    """A square of one half of one micrograph, float16/float32 on the CPU, and what is left of the other half there.

    bands: (BANDS + 1, n, n), conditions, spread: as in `Features`. left: (n, n) of the held-out half without a C W, in
    units of its spread. transfer: (n, n//2+1) what a specimen spectrum is multiplied with to predict it.
    """

    bands: NDArray[np.float16]
    conditions: NDArray[np.float32]
    spread: NDArray[np.float32]
    left: NDArray[np.float32]
    transfer: NDArray[np.float32]
    pixel_size_angstrom: float


@dataclass(frozen=True, slots=True)
class LearningReport:
    """improvement: mean over the checked lessons of the fall of squared error (units of noise power per pixel), with
    its standard error; accepted: whether the new weights are kept."""

    improvement: float
    standard_error: float
    accepted: bool


def make_lesson(
    pair: HalfPair, features: Features, restored: Tensor, parameters: CtfParameters, grid: WorkingGrid
) -> Lesson | None:
    """The middle of a field; None if the field is smaller than a lesson, or b is 0 everywhere.

    restored: spectrum of what the network (or, before it, the local filter) makes of the same half now: it says how
    much of the held-out half is to be explained."""
    n = LESSON_PX
    if min(grid.size) < n:
        return None
    a, b = ring_fit(pair, restored)
    if float(b.max()) <= 0.0:
        return None
    size = grid.size
    left = torch.fft.irfft2(pair.other - a * pair.ctf * pair.filtered, s=size)
    scale = left.std().clamp_min(1e-20)
    top, first = (size[0] - n) // 2, (size[1] - n) // 2
    window = (slice(top, top + n), slice(first, first + n))
    # b is a curve over |k|: read off along an axis, put on the lesson's own grid.
    along = b[0].cpu().numpy()
    kx, ky = frequency_grid(n, n, grid.pixel_size_angstrom)
    k = torch.sqrt(kx * kx + ky * ky).numpy()
    on_grid = np.interp(k, pair.k[0].cpu().numpy(), along, right=0.0).astype(np.float32)
    contrast = ctf_2d(parameters, n, n, grid.pixel_size_angstrom).numpy()
    return Lesson(
        features.bands[(slice(None), *window)].cpu().numpy().astype(np.float16),
        features.conditions.cpu().numpy(),
        (features.spread / scale).cpu().numpy(),
        (left[window] / scale).cpu().numpy(),
        on_grid * contrast,
        grid.pixel_size_angstrom,
    )


def lesson_error(network: ResidualNetwork, lessons: list[Lesson], device: torch.device) -> Tensor:
    """(n,) mean squared error per pixel of the held-out halves; differentiable in the network's parameters."""
    bands, conditions, spread, left, transfer = (
        torch.from_numpy(np.stack([getattr(one, name) for one in lessons])).float().to(device)
        for name in ("bands", "conditions", "spread", "left", "transfer")
    )
    output = network(bands, conditions)
    kx, ky = frequency_grid(LESSON_PX, LESSON_PX, lessons[0].pixel_size_angstrom, device=device)
    specimen = spectrum_of(output, spread, torch.sqrt(kx * kx + ky * ky))
    predicted = torch.fft.irfft2(specimen * transfer, s=(LESSON_PX, LESSON_PX))
    inner = slice(MARGIN_PX, LESSON_PX - MARGIN_PX)
    error: Tensor = (left - predicted)[:, inner, inner].square().mean((1, 2))
    return error


def learn(
    network: ResidualNetwork,
    lessons: list[Lesson],
    checks: list[Lesson],
    *,
    steps: int,
    seed: int,
    device: torch.device,
    learning_rate: float = 5e-4,
) -> tuple[ResidualNetwork, LearningReport]:
    """A few steps on `lessons`; the new network if it predicts `checks`, which it did not learn from, better.

    Better: on average over the checks by more than twice the standard error. Else the network as it was, unchanged.
    Lessons of one session have one pixel size (those of another are left out). Same input, same result.
    """
    pixel = (lessons or checks)[0].pixel_size_angstrom if lessons or checks else 0.0
    lessons = [one for one in lessons if one.pixel_size_angstrom == pixel]
    checks = [one for one in checks if one.pixel_size_angstrom == pixel]
    if not lessons or len(checks) < 2:
        return network, LearningReport(0.0, 0.0, False)
    taught = ResidualNetwork().to(device)
    taught.load_state_dict(network.state_dict())
    optimiser = torch.optim.Adam(taught.parameters(), lr=learning_rate)
    order = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = [lessons[int(index)] for index in order.integers(len(lessons), size=min(_BATCH, len(lessons)))]
        optimiser.zero_grad()
        loss = lesson_error(taught, chosen, device).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(taught.parameters(), 1.0)
        optimiser.step()
    taught.eval().requires_grad_(False)
    with torch.inference_mode():
        before, after = (
            torch.cat([lesson_error(one, [check], device) for check in checks]).cpu().numpy()
            for one in (network, taught)
        )
    better = before - after
    mean, error = float(better.mean()), float(better.std(ddof=1) / np.sqrt(len(better)))
    accepted = bool(np.isfinite(mean) and mean > 2 * error)
    return (taught if accepted else network), LearningReport(mean, error, accepted)


def lessons_bytes(lessons: Sequence[Lesson]) -> bytes:
    """Lessons of one micrograph as an .npz of arrays (no pickle); none is kept, too."""
    buffer = io.BytesIO()
    arrays = {
        f"{number}.{name}": np.asarray(getattr(lesson, name))
        for number, lesson in enumerate(lessons)
        for name in Lesson.__slots__
    }
    np.savez_compressed(buffer, count=np.array(len(lessons)), **cast(Any, arrays))
    return buffer.getvalue()


def lessons_from_bytes(data: bytes) -> list[Lesson]:
    """The reverse of `lessons_bytes`.

    Raises
    ------
    ValueError, KeyError, zipfile.BadZipFile
        The bytes are no lessons.
    """
    with np.load(_checked(data), allow_pickle=False) as arrays:
        return [
            Lesson(
                **{name: arrays[f"{number}.{name}"] for name in Lesson.__slots__ if name != "pixel_size_angstrom"},
                pixel_size_angstrom=float(arrays[f"{number}.pixel_size_angstrom"]),
            )
            for number in range(int(arrays["count"]))
        ]


def network_bytes(network: ResidualNetwork) -> bytes:
    """The weights as an .npz of float32 arrays, to be kept and sent (no pickle)."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: value.cpu().numpy() for name, value in network.state_dict().items()})
    return buffer.getvalue()


def network_from_bytes(data: bytes, device: torch.device) -> ResidualNetwork:
    """The reverse of `network_bytes`.

    Raises
    ------
    ValueError, KeyError, RuntimeError
        The bytes are no such network.
    """
    with np.load(_checked(data), allow_pickle=False) as arrays:
        state = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files}
    network = ResidualNetwork()
    network.load_state_dict(state)
    return network.eval().requires_grad_(False).to(device)


def _checked(data: bytes) -> io.BytesIO:
    """numpy has an error of its own for a file with nothing in it, which a power failure can leave."""
    if not data:
        raise ValueError("an empty file")
    return io.BytesIO(data)
