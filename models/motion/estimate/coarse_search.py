"""First estimate of whole-frame motion: cross-correlation of each frame with the others, over a wide window.

Iterative leave-one-out alignment with a B-factor (Zheng 2017, RELION's own implementation), with two additions:
neighbouring frames are pooled in the first rounds (low dose), and what stands still on the camera can be taken out
first, because a fixed pattern makes a peak at zero shift that no amount of iterating moves.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from frazil.models.motion.estimate.band import Band
from frazil.models.motion.kernels.band_kernels import path_powers

_CLEAR_PEAK_SD = 3.5
"""Of the map: the highest of a few hundred independent places of pure noise lies near 3."""
_ITERATIONS = 6
"""At most: what has not settled by then is settled by the refinement."""
_MOST_BREAKS = 3
"""Of a path that are mended, one after the other."""
_PATH_DECAYS_FRAMES = (math.inf, 8.0, 2.5)
"""Steady drift, and motion that settles slowly or in the first frames (infinite: linear)."""
_PATH_MAX_COEFFICIENTS = 2500
"""The lowest ones, where a coarse grid of paths suffices; the time of the search is proportional to it."""


def correlation_maps(
    weighted: Tensor, band: Band, window_angstrom: float, step_angstrom: float
) -> tuple[Tensor, Tensor]:
    """sum_k Re{weighted exp(i omega r)} on a square grid of residual displacements r: (F, n, n) and its axis (A).

    A direct (matrix) transform: the window is far smaller than the frame, so that it beats an FFT and its grid is free.
    """
    half = max(1, math.ceil(window_angstrom / step_angstrom))
    axis = torch.arange(-half, half + 1, device=weighted.device, dtype=torch.float32) * step_angstrom
    along_x = torch.polar(
        torch.ones_like(axis[:, None] * band.omega_x_rad_per_angstrom), axis[:, None] * band.omega_x_rad_per_angstrom
    )
    along_y = torch.polar(
        torch.ones_like(axis[:, None] * band.omega_y_rad_per_angstrom), axis[:, None] * band.omega_y_rad_per_angstrom
    )
    rows = along_y @ weighted  # (F, n_y, Nx)
    return (rows @ along_x.T).real, axis


def peaks(maps: Tensor, axis: Tensor) -> Tensor:
    """Sub-grid maxima (F, 2: x, y; A) of (F, n_y, n_x) maps by a parabola per axis."""
    count, n = maps.shape[0], maps.shape[-1]
    flat = maps.reshape(count, -1).argmax(dim=1)
    iy, ix = flat // n, flat % n
    index = torch.arange(count, device=maps.device)
    step = axis[1] - axis[0]

    def refine(minus: Tensor, centre: Tensor, plus: Tensor) -> Tensor:
        curvature = minus - 2 * centre + plus
        offset = 0.5 * (minus - plus) / torch.where(curvature < 0, curvature, torch.full_like(curvature, -1e30))
        return offset.clamp(-0.5, 0.5)

    jx, jy = ix.clamp(1, n - 2), iy.clamp(1, n - 2)
    centre = maps[index, iy, ix]
    dx = torch.where(ix == jx, refine(maps[index, iy, jx - 1], centre, maps[index, iy, jx + 1]), 0.0)
    dy = torch.where(iy == jy, refine(maps[index, jy - 1, ix], centre, maps[index, jy + 1, ix]), 0.0)
    return torch.stack((axis[ix] + step * dx, axis[iy] + step * dy), dim=1)


def search(
    band: Band,
    *,
    b_factor_angstrom2: float,
    max_shift_angstrom: float,
    remove_still: bool,
    pooled_frames: int,
    start_angstrom: Tensor | None = None,
) -> Tensor:
    """Displacements (F, 2; A, zero mean) by iterated leave-one-out cross-correlation.

    Parameters
    ----------
    b_factor_angstrom2:
        The product of two transforms is weighted by exp(-2 B k^2), as in RELION.
    remove_still:
        Subtract the mean of the unmoved frames first.
    pooled_frames:
        How many neighbours on each side are added to a frame in the first rounds.
    start_angstrom:
        (F, 2) displacements to start from; None: frames as they are.
    """
    device = band.coefficients.device
    frames = band.frame_count
    data = _weighted(band, b_factor_angstrom2, remove_still)
    step = _step_angstrom(b_factor_angstrom2)
    shift = torch.zeros((frames, 2), device=device) if start_angstrom is None else start_angstrom
    for iteration in range(_ITERATIONS):
        aligned = _turned_back(band, data, shift)
        pool = max(0, pooled_frames - iteration)
        own = aligned
        if pool:
            total = torch.cat((torch.zeros_like(aligned[:1]), aligned.cumsum(dim=0)))
            low = (torch.arange(frames, device=device) - pool).clamp(min=0)
            high = (torch.arange(frames, device=device) + pool + 1).clamp(max=frames)
            own = total[high] - total[low]
        reference = aligned.sum(dim=0, keepdim=True) - own
        window = max_shift_angstrom if iteration < 2 else min(max_shift_angstrom, 12.0 * step)
        maps, axis = correlation_maps(own * reference.conj(), band, window, step)
        # A frame without a clear peak (empty, too dark) stays where it is; its neighbours place it later.
        spread, level = torch.std_mean(maps.reshape(frames, -1), dim=1)
        clear = maps.amax(dim=(1, 2)) > level + _CLEAR_PEAK_SD * spread
        move = torch.where(clear[:, None] & (spread[:, None] > 0), peaks(maps, axis), 0.0)
        shift = shift + move
        shift = shift - shift.mean(dim=0, keepdim=True)
        if iteration >= pooled_frames and float(move.sub(move.mean(dim=0)).abs().max()) < 0.3:
            break
    return shift


def mended(
    band: Band, shift_angstrom: Tensor, *, b_factor_angstrom2: float, max_shift_angstrom: float
) -> Tensor | None:
    """The path (F, 2; A) with all later frames displaced together wherever that aligns them better with the earlier
    ones; None where it does nowhere.

    Frame by frame, a stage that was lost in the middle of a movie is a false maximum: the frames before and those
    after agree among themselves, and each correlates best with its own.
    """
    data = _weighted(band, b_factor_angstrom2, remove_still=False)
    step = _step_angstrom(b_factor_angstrom2)
    shift, found = shift_angstrom, False
    for _ in range(_MOST_BREAKS):
        until = _turned_back(band, data, shift).cumsum(dim=0)
        before, after = until[:-1], until[-1] - until[:-1]
        maps, axis = correlation_maps(after * before.conj(), band, max_shift_angstrom, step)
        # Twice the map is what the displacement adds to the power of the sum of all frames.
        middle = axis.numel() // 2
        near = maps[:, middle - 1 : middle + 2, middle - 1 : middle + 2].amax(dim=(1, 2))
        gain = maps.amax(dim=(1, 2)) - near
        first = int(gain.argmax())
        if float(gain[first]) <= 0:
            break
        later = torch.arange(band.frame_count, device=shift.device)[:, None] > first
        shift = shift + torch.where(later, peaks(maps[first : first + 1], axis), 0.0)
        shift, found = shift - shift.mean(dim=0, keepdim=True), True
    return shift if found else None


def _weighted(band: Band, b_factor_angstrom2: float, remove_still: bool) -> Tensor:
    """(F, Ny, Nx) coefficients with B-factor and expected amplitude."""
    omega_sq = band.omega_x_rad_per_angstrom[None, :] ** 2 + band.omega_y_rad_per_angstrom[:, None] ** 2
    k_sq = omega_sq / (4 * math.pi**2)
    weight = torch.where(band.shell < band.shell_count, torch.exp(-b_factor_angstrom2 * k_sq), 0.0)
    data = band.coefficients * weight
    if remove_still:
        data = data - data.mean(dim=0, keepdim=True)
    return data * band.amplitude_map()


def _turned_back(band: Band, data: Tensor, shift_angstrom: Tensor) -> Tensor:
    along_x, along_y = band.phases(shift_angstrom)
    return data * along_y[:, :, None] * along_x[:, None, :]


def _step_angstrom(b_factor_angstrom2: float) -> float:
    """Of the grids on which peaks are sought: a quarter of the width that the B-factor gives them."""
    return max(1.0, 0.12 * math.sqrt(b_factor_angstrom2))


def search_paths(band: Band, max_shift_angstrom: float) -> Tensor:
    """Displacements (F, 2; A, zero mean) of the simple path that aligns best: for movies too dark frame by frame.

    d_f = v g(f) with g linear or 1 - exp(-f / decay); all frames together decide on v by the power of their sum at low
    resolution, where a coarse grid of v suffices.
    """
    device = band.coefficients.device
    frames = band.frame_count
    radius = (band.omega_x_rad_per_angstrom[None, :] ** 2 + band.omega_y_rad_per_angstrom[:, None] ** 2).sqrt()
    inside = (band.shell < band.shell_count).nonzero()
    order = radius[inside[:, 0], inside[:, 1]].argsort()[:_PATH_MAX_COEFFICIENTS]
    rows, cols = inside[order, 0], inside[order, 1]
    if not rows.numel():
        return torch.zeros((frames, 2), device=device)
    wx, wy = band.omega_x_rad_per_angstrom[cols], band.omega_y_rad_per_angstrom[rows]
    data = band.coefficients[:, rows, cols] * band.amplitude[:, band.shell[rows, cols].long()]
    step = 0.35 * 2.0 * math.pi / float(radius[rows[-1], cols[-1]])
    half = max(1, math.ceil(max_shift_angstrom / step))
    axis = torch.arange(-half, half + 1, device=device, dtype=torch.float32) * step
    t = torch.arange(frames, device=device, dtype=torch.float32)
    best_power, best = -math.inf, torch.zeros((frames, 2), device=device)
    for decay in _PATH_DECAYS_FRAMES:
        g = t / max(frames - 1, 1) if math.isinf(decay) else 1.0 - torch.exp(-t / decay)
        g = g - g.mean()
        power = _path_powers(data, g, wx, wy, axis)
        top = int(power.argmax())
        if float(power.max()) > best_power:
            best_power = float(power.max())
            v = torch.stack((axis[top % axis.numel()], axis[top // axis.numel()]))
            best = g[:, None] * v[None, :]
    return best


def _path_powers(data: Tensor, g: Tensor, wx: Tensor, wy: Tensor, axis: Tensor) -> Tensor:
    """Power of the sum of all frames (F, K) moved along v g_f, for v on a square grid: (n_y, n_x)."""
    if data.device.type == "cpu":
        angle = g[None, :, None] * axis[None, None, :]
        along_x, along_y = (torch.polar(torch.ones(1), omega[:, None, None] * angle).numpy() for omega in (wx, wy))
        out = np.zeros((axis.numel(), axis.numel()))
        path_powers(np.ascontiguousarray(data.T.resolve_conj().numpy()), along_x, along_y, out)
        return torch.as_tensor(out)
    # (K, n_y, F) and (K, F, n_x), multiplied: the sums over frames for every v.
    angle_y, angle_x = (omega[:, None, None] * (axis[:, None] * g) for omega in (wy, wx))
    turned = data.T[:, None, :] * torch.polar(torch.ones_like(angle_y), angle_y)
    moved = turned @ torch.polar(torch.ones_like(angle_x), angle_x).mT
    return torch.view_as_real(moved).square().sum(dim=(0, -1))
