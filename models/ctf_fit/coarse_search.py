"""Defocus and astigmatism without a guess: matched filters over all of them at once.

With s = k^2, cos(2 chi) = Re exp(i (2 pi lambda dz s - pi Cs lambda^3 s^2 + constant)): once the Cs term is removed,
rings are a pure tone in s whose pitch is the defocus of that direction. So one FFT along s for each angular sector
gives the response at every defocus, and the score of (mean defocus, astigmatism, angle) is the sum over sectors of
the response at that sector's defocus. A phase shift is the complex phase of the sum and costs nothing. Under no
rings the score is standard normal; several trial fall-offs of the signal are tried as the matched filter's weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frazil.models.ctf_fit.band import Band
from frazil.models.ctf_fit.phase import RingOptics, astigmatism_log_prior

SECTORS = 36
_FALL_OFF_SQUARE_ANGSTROM = (0.0, 30.0, 100.0, 300.0, 1000.0)
"""Trial envelopes exp(-b k^2) of ring amplitude over noise."""
_ASTIGMATISM_STEP_ANGSTROM = 300.0
LARGEST_ASTIGMATISM_SHARE = 1.0
"""U - V never exceeds this share of the mean defocus: V >= U / 3."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place to start from. score: standard deviations above no rings, found with the weight exp(-fall_off k^2)."""

    defocus_angstrom: float
    astigmatism_angstrom: float
    angle_rad: float
    phase_shift_rad: float
    fall_off_square_angstrom: float
    score: float


_CPU_BLOCK = 64
"""Pairs of astigmatism and angle."""


def search(
    band: Band,
    optics: RingOptics,
    *,
    min_defocus_angstrom: float,
    max_defocus_angstrom: float,
    max_astigmatism_angstrom: float,
    fit_phase_shift: bool,
    per_fall_off: int = 4,
) -> list[Candidate]:
    """The best separate candidates, best first; at least one."""
    s_high = band.high_per_angstrom**2
    tone_defocus = 1.0 / (optics.wavelength_angstrom * s_high)
    step = tone_defocus / 6.0
    responses, variance, sums = _sector_tones(band, optics, max_defocus_angstrom + max_astigmatism_angstrom, step)
    half_span = 0.5 * max_astigmatism_angstrom
    means = torch.arange(min_defocus_angstrom, max_defocus_angstrom + step, step, device=sums.device)
    astigmatism, angle = _astigmatism_grid(half_span * 2.0, tone_defocus, sums.device)
    theta = (torch.arange(SECTORS, device=sums.device) + 0.5) * (math.pi / SECTORS)
    offset = 0.5 * astigmatism[:, None] * torch.cos(2.0 * (theta[None, :] - angle[:, None]))
    known_means, known_astigmatism, known_angle = means.cpu(), astigmatism.cpu(), angle.cpu()
    candidates: list[Candidate] = []
    for fall_off, tones, noise in zip(_FALL_OFF_SQUARE_ANGSTROM, responses, variance, strict=True):
        scored = _score(tones, noise, means, offset, astigmatism, step, optics, fit_phase_shift)
        # Peaks are few: the host looks for them, in one copy.
        score, best_astigmatism, phase = torch.stack([one.to(means.dtype) for one in scored]).cpu()
        for index in _peaks(score, separation=max(2, round(tone_defocus / step)), limit=per_fall_off):
            chosen = int(best_astigmatism[index])
            candidates.append(
                Candidate(
                    defocus_angstrom=float(known_means[index]),
                    astigmatism_angstrom=float(known_astigmatism[chosen]),
                    angle_rad=float(known_angle[chosen]),
                    phase_shift_rad=float(phase[index]),
                    fall_off_square_angstrom=fall_off,
                    score=float(score[index]),
                )
            )
    candidates.sort(key=lambda candidate: -candidate.score)
    return candidates


def _sector_tones(
    band: Band, optics: RingOptics, highest_defocus: float, step: float
) -> tuple[list[Tensor], list[float], Tensor]:
    """Per fall-off: (SECTORS, n) complex response at defocus n * step, its noise variance; and the binned sums."""
    device = band.k2.device
    wavelength = optics.wavelength_angstrom
    s_high = band.high_per_angstrom**2
    # At least four bins per turn of the highest pitch.
    bins = max(256, math.ceil(4.0 * wavelength * highest_defocus * s_high))
    width = s_high / bins
    theta = torch.atan2(band.ky, band.kx) % math.pi
    sector = (theta * (SECTORS / math.pi)).to(torch.int64).clamp(0, SECTORS - 1)
    index = sector * bins + (band.k2 / width).to(torch.int64).clamp(0, bins - 1)
    count = torch.bincount(index, weights=band.count.to(torch.float64), minlength=SECTORS * bins)
    excess = band.count.to(torch.float64) * (band.ratio.to(torch.float64) - 1.0)
    sums = torch.bincount(index, weights=excess, minlength=SECTORS * bins).view(SECTORS, bins)
    count = count.view(SECTORS, bins)
    s = (torch.arange(bins, device=device, dtype=torch.float64) + 0.5) * width
    # exp(-2 pi i lambda dz s): an FFT over the bins with dz = n * step needs length 1 / (lambda * step * width).
    length = round(1.0 / (wavelength * step * width))
    remove_cs = torch.exp(-1j * optics.phase_without_defocus(s))
    half_bin = torch.exp(-1j * math.pi * torch.arange(length, device=device, dtype=torch.float64) / length)
    responses: list[Tensor] = []
    variances: list[float] = []
    for fall_off in _FALL_OFF_SQUARE_ANGSTROM:
        weight = torch.exp(-fall_off * (s - band.low_per_angstrom**2))
        tones = torch.fft.fft(sums * weight * remove_cs, n=length, dim=1) * half_bin
        responses.append(tones.to(torch.complex64))
        variances.append(0.5 * float((count * weight * weight).sum()))
    return responses, variances, sums


def _astigmatism_grid(highest: float, tone_defocus: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """(astigmatism, angle) pairs spaced so that no direction's defocus is off by more than about a quarter tone."""
    astigmatism, angle = [0.0], [0.0]
    step = min(_ASTIGMATISM_STEP_ANGSTROM, 0.6 * tone_defocus)
    for value in np.arange(step, highest + 0.5 * step, step):
        directions = max(4, math.ceil(math.pi * float(value) / (0.7 * tone_defocus)))
        for direction in range(directions):
            astigmatism.append(float(value))
            angle.append(math.pi * direction / directions)
    return torch.tensor(astigmatism, device=device), torch.tensor(angle, device=device)


def _score(
    tones: Tensor,
    noise: float,
    means: Tensor,
    offset: Tensor,
    astigmatism: Tensor,
    step: float,
    optics: RingOptics,
    fit_phase_shift: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Best penalised score over the astigmatism grid for every mean defocus, the grid index, the phase shift."""
    penalty = -astigmatism_log_prior(astigmatism)
    best = torch.full((means.numel(),), -math.inf, device=means.device)
    best_index = torch.zeros(means.numel(), dtype=torch.int64, device=means.device)
    best_phase = torch.zeros(means.numel(), device=means.device)
    sectors = torch.arange(tones.shape[0], device=means.device)[None, :, None]
    scale = 1.0 / math.sqrt(max(noise, 1e-30))
    # On a CPU what is in its cache at once; on a device all, in few launches.
    at_once = _CPU_BLOCK if means.device.type == "cpu" else offset.shape[0]
    for first in range(0, offset.shape[0], at_once):
        block = offset[first : first + at_once]
        position = torch.round((means[None, None, :] + block[:, :, None]) / step).to(torch.int64) % tones.shape[1]
        total = tones[sectors, position].sum(1)
        # ratio - 1 = -delta cos(2 chi): the tone is negative.
        if fit_phase_shift:
            phase = (torch.angle(-total) * 0.5) % math.pi
            value = total.abs() * scale
        else:
            phase = torch.zeros_like(total.real)
            value = -total.real * scale
        allowed = astigmatism[first : first + at_once, None] <= LARGEST_ASTIGMATISM_SHARE * means[None, :]
        value = torch.sign(value) * torch.sqrt(
            (value * value - 2.0 * penalty[first : first + at_once, None]).clamp_min(0.0)
        )
        value = torch.where(allowed, value, -math.inf)
        top, index = value.max(0)
        better = top > best
        best = torch.where(better, top, best)
        best_index = torch.where(better, index + first, best_index)
        best_phase = torch.where(better, phase.gather(0, index[None])[0], best_phase)
    return best, best_index, best_phase


def _peaks(score: Tensor, *, separation: int, limit: int) -> list[int]:
    """Indices of the highest values that are at least `separation` apart, best first."""
    remaining = score.clone()
    found: list[int] = []
    for _ in range(limit):
        index = int(remaining.argmax())
        if not math.isfinite(float(remaining[index])):
            break
        found.append(index)
        remaining[max(0, index - separation) : index + separation + 1] = -math.inf
    return found
