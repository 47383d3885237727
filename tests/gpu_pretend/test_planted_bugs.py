"""Ten bugs as they creep into code for a device, planted one at a time: each is found by what the tests look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from benchmarks.device_ledger.movie import counted_movie
from benchmarks.device_ledger.pretend_cuda import CUDA, DeviceMixError, pretend_cuda
from frazil.config.loading import load_settings
from frazil.models.motion import device_frames
from frazil.models.motion.align import align_movie
from frazil.models.motion.estimate import binning
from frazil.models.motion.estimate.band import Band
from frazil.models.motion.estimate.band_sums import AlignedSums
from frazil.models.motion.estimate.field import MotionField
from frazil.models.motion.estimate.patch_stack import PatchStack
from frazil.models.motion.frame_source import StackFrames
from frazil.models.motion.sum import device_sum
from frazil.models.motion.sum.cpu_sum import sum_movie_on_cpu

SIDE_PX, FRAMES = 384, 12
EXPOSURE = {
    "pixel_size_angstrom": 1.0,
    "voltage_kv": 300.0,
    "dose_per_frame_e_per_a2": 1.0,
    "pre_exposure_e_per_a2": 0.0,
}
MARGIN = 1.02
"""Over what the sound code asks for, of launches, synchronisations and bytes."""
SUM_ERROR = 1e-5
"""Of the sums under the same motion, rms in standard deviations of the CPU's."""


@dataclass(frozen=True)
class Asked:
    """What a run asked of the device, and how far its sums are from the CPU's."""

    launches: int
    synchronisations: int
    uploaded_bytes: int
    downloaded_bytes: int
    largest_float_upload: int
    sum_error: float


def run(counts: np.ndarray, reference: torch.Tensor, field: MotionField) -> Asked:
    """Motion of the movie, and its sums under a motion that is known."""
    with pretend_cuda() as ledger:
        align_movie(
            StackFrames(torch.from_numpy(counts)),
            settings=load_settings().motion,
            device=CUDA,
            on_stage=ledger.mark,
            **EXPOSURE,
        )
        asked = ledger.together("align_global", "align_local", "sum")
        ledger.mark("after")
        source = StackFrames(torch.from_numpy(counts))
        made = device_sum.sum_movie_on_device(source, field, dose_weighting=True, device=CUDA, **EXPOSURE)
        image = made.dose_weighted.cpu()
    error = float((image - reference).square().mean().sqrt() / reference.std())
    return Asked(
        asked.launches,
        asked.synchronisations,
        asked.uploaded_bytes,
        asked.downloaded_bytes,
        max(asked.float_uploads),
        error,
    )


@dataclass(frozen=True)
class World:
    counts: np.ndarray
    field: MotionField
    reference: torch.Tensor
    sound: Asked


@pytest.fixture(scope="module")
def world() -> World:
    counts = counted_movie(SIDE_PX, FRAMES)
    time = np.arange(FRAMES)
    field = MotionField.rigid(np.stack([2.3 * time / FRAMES, -1.7 * time / FRAMES], axis=1))
    source = StackFrames(torch.from_numpy(counts))
    reference = sum_movie_on_cpu(source, field, dose_weighting=True, **EXPOSURE).dose_weighted
    return World(counts, field, reference, run(counts, reference, field))


def wrong(world: World) -> str | None:
    """What the tests would say of the code as it is now; None: nothing."""
    try:
        got = run(world.counts, world.reference, world.field)
    except (DeviceMixError, TypeError) as error:
        return f"devices: {error}"
    sound, bytes_ = world.sound, world.counts.nbytes
    if got.sum_error > SUM_ERROR:
        return f"sums: {got.sum_error:.1e}"
    if got.largest_float_upload > 0.5 * bytes_:
        return "frames as floating point numbers"
    for name in ("launches", "synchronisations", "uploaded_bytes", "downloaded_bytes"):
        if getattr(got, name) > MARGIN * getattr(sound, name):
            return f"{name}: {getattr(got, name)} for {getattr(sound, name)}"
    return None


def test_the_sound_code_is_not_accused(world: World) -> None:
    assert wrong(world) is None
    assert world.sound.largest_float_upload < 0.5 * world.counts.nbytes


Patch = Callable[[pytest.MonkeyPatch], None]


def forgotten_upload(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(device_frames, "_uploaded", lambda values, device: torch.from_numpy(values).clone())


def float_upload(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(device_frames, "_uploaded", lambda values, device: torch.from_numpy(values).float().to(device))


def uploaded_for_each_pass(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(device_frames, "_HELD_BYTES", 0)


def sums_frame_by_frame(patch: pytest.MonkeyPatch) -> None:
    moved = device_sum.moved

    def one_by_one(frames: torch.Tensor, whole: torch.Tensor, taps: torch.Tensor, tile: tuple[int, int]):
        return torch.cat(
            [moved(frames[f : f + 1], whole[f : f + 1], taps[f : f + 1], tile) for f in range(len(frames))]
        )

    patch.setattr(device_sum, "moved", one_by_one)


def patches_one_by_one(patch: pytest.MonkeyPatch) -> None:
    together = PatchStack.sums

    def one_by_one(self: PatchStack, shift: torch.Tensor) -> AlignedSums:
        each = [together(PatchStack(self.band, self.coefficients[p, None]), shift[p, None]) for p in range(len(shift))]
        parts = ([getattr(own, name) for own in each] for name in AlignedSums.__slots__)
        return AlignedSums(*(torch.cat(own) for own in parts))

    patch.setattr(PatchStack, "sums", one_by_one)


def item_in_a_loop(patch: pytest.MonkeyPatch) -> None:
    means = Band.shell_means

    def with_a_look(self: Band, maps: torch.Tensor) -> torch.Tensor:
        found = means(self, maps)
        assert all(float(one) == float(one) for one in found.flatten()[:3])
        return found

    patch.setattr(Band, "shell_means", with_a_look)


def mask_on_the_host(patch: pytest.MonkeyPatch) -> None:
    made = vars(Band)["chequered"].func
    patch.setattr(Band, "chequered", property(lambda self: made(self).cpu()))


def numpy_of_a_device_tensor(patch: pytest.MonkeyPatch) -> None:
    moments = Band.moments_of_frames
    patch.setattr(Band, "moments_of_frames", lambda self, of: torch.from_numpy(moments(self, of).numpy()))


def through_the_host(patch: pytest.MonkeyPatch) -> None:
    standardised = binning.standardised_by_torch

    def by_the_host(source, halvings, window_px, device):
        frames, means, sds = standardised(source, halvings, window_px, device)
        return frames.cpu().to(device), means, sds

    patch.setattr(binning, "standardised_by_torch", by_the_host)


def sums_with_loss(patch: pytest.MonkeyPatch) -> None:
    moved = device_sum.moved
    patch.setattr(device_sum, "moved", lambda *args: moved(*args).half().float())


def edge_repeated_and_not_mirrored(patch: pytest.MonkeyPatch) -> None:
    mirrored = device_sum._mirrored

    def repeated(whole: torch.Tensor, tile: int, axis: int, length: int) -> torch.Tensor:
        far = mirrored(whole, tile, axis, 1 << 20)
        return torch.where(far < length, far, length - 1)

    patch.setattr(device_sum, "_mirrored", repeated)


BUGS: list[Patch] = [
    forgotten_upload,
    float_upload,
    uploaded_for_each_pass,
    sums_frame_by_frame,
    patches_one_by_one,
    item_in_a_loop,
    mask_on_the_host,
    numpy_of_a_device_tensor,
    through_the_host,
    sums_with_loss,
    edge_repeated_and_not_mirrored,
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(world: World, bug: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    assert wrong(world) is not None
