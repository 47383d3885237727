"""Does a restoration of one half-sum say anything of the other half that the Wiener filter does not?

Both halves show the same specimen with independent counting noise. A restoration R of one half predicts the other, X,
as a C W + b C R in each ring, W being the Wiener-filtered first half: W also carries what a restoration leaves out on
purpose (ice and films are in both halves), so that it competes on the specimen alone. The gain is a difference of log
likelihoods, with its standard error from the samples' own differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from frazil.models.deconvolution.occupancy import bands_of

_RING_PER_ANGSTROM = 1 / 320
_SMOOTHING_RINGS = 1.5


@dataclass(frozen=True, slots=True)
class HalfPair:
    """One direction of the check, all small half planes: `filtered` (the Wiener-filtered first half), `other` (the
    second half as it is), their CTF and |k|."""

    filtered: Tensor
    other: Tensor
    ctf: Tensor
    k: Tensor


@dataclass(frozen=True, slots=True)
class HeldOutGain:
    """Of a candidate over a reference, in units of ln likelihood of the held-out half; by_band as
    `occupancy.bands_of`."""

    gain: float
    sd: float
    by_band: tuple[float, ...]

    @property
    def sure(self) -> bool:
        return self.gain > 2 * self.sd


def held_out_gain(pairs: list[HalfPair], reference: list[Tensor] | None, candidate: list[Tensor]) -> HeldOutGain:
    """Spectra of restorations of each pair's first half; reference None: the Wiener filter alone."""
    square = 0.0
    bands: list[float] = []
    for number, pair in enumerate(pairs):
        ring, count = _rings(pair.k)
        before = _residual(pair, ring, count, None if reference is None else reference[number])
        after = _residual(pair, ring, count, candidate[number])
        noise = _ring_sum(before, ring, count) / _ring_sum(torch.ones_like(before), ring, count).clamp_min(1)
        difference = torch.where(pair.k > 1 / 400, (before - after) / noise[ring].clamp_min(1e-30), 0.0)
        square += float(difference.square().sum())
        if reference is None:
            # The candidate has one coefficient more in each ring where it is used, of which chance makes a half.
            used = _fit(pair, ring, count, candidate[number])[1] > 0
            difference = difference - (0.5 * used / _ring_sum(torch.ones_like(before), ring, count).clamp_min(1))[ring]
        parts = [float((difference * band).sum()) for band in bands_of(pair.k)]
        bands = parts if not bands else [a + b for a, b in zip(bands, parts, strict=True)]
    return HeldOutGain(sum(bands), math.sqrt(square), tuple(bands))


def confirmed_share(pairs: list[HalfPair], restored: list[Tensor], k: Tensor) -> Tensor:
    """At frequencies `k`, 0..1: how much of a restoration the other halves confirm, ring by ring.

    The slope of X on C R, averaged over neighbouring rings by precision and shrunk by its error: where the data say
    nothing, nothing is confirmed, and what a network puts there is taken away.
    """
    ring, count = _rings(pairs[0].k)
    along, power, spread = (torch.zeros(count, dtype=torch.float64, device=ring.device) for _ in range(3))
    for pair, image in zip(pairs, restored, strict=True):
        predicted = pair.ctf * image
        along += _ring_sum((predicted.conj() * pair.other).real, ring, count)
        energy = _ring_sum(predicted.abs() ** 2, ring, count)
        power += energy
        samples = _ring_sum(torch.ones_like(pair.k), ring, count).clamp_min(1)
        spread += 0.5 * energy * _ring_sum(pair.other.abs() ** 2, ring, count) / samples
    # Half of the electrons: the restoration stands for the whole sum.
    at = torch.arange(count, dtype=torch.float64, device=ring.device)
    kernel = torch.exp(-0.5 * ((at[:, None] - at[None, :]) / _SMOOTHING_RINGS) ** 2)
    weight = torch.where(spread > 0, power / spread.clamp_min(1e-300), 0.0)
    along, power, spread = kernel @ (along * weight), kernel @ (power * weight), kernel**2 @ (spread * weight**2)
    slope = along / power.clamp_min(1e-300)
    variance = spread / power.clamp_min(1e-300) ** 2
    share = slope.clamp(0, 1) * (slope**2 / (slope**2 + variance)).nan_to_num()
    return share[_rings(k)[0].clamp(max=count - 1)].float()


def _rings(k: Tensor) -> tuple[Tensor, int]:
    ring = (k / _RING_PER_ANGSTROM).long()
    return ring, int(ring.max()) + 1


def _ring_sum(values: Tensor, ring: Tensor, count: int) -> Tensor:
    return torch.bincount(ring.flatten(), values.flatten().double(), minlength=count)


def ring_fit(pair: HalfPair, restored: Tensor | None) -> tuple[Tensor, Tensor]:
    """a and b >= 0 of X = a C W + b C R that fit each ring best, on the half plane; without R, b is 0."""
    ring, count = _rings(pair.k)
    a, b = _fit(pair, ring, count, restored)
    return a[ring], b[ring]


def _fit(pair: HalfPair, ring: Tensor, count: int, restored: Tensor | None) -> tuple[Tensor, Tensor]:
    first = pair.ctf * pair.filtered
    second = first if restored is None else pair.ctf * restored
    ww, wr, rr = (
        _ring_sum((u.conj() * v).real, ring, count) for u, v in ((first, first), (first, second), (second, second))
    )
    wx, rx = (_ring_sum((u.conj() * pair.other).real, ring, count) for u in (first, second))
    determinant = ww * rr - wr * wr
    alone = wx / ww.clamp_min(1e-300)
    b = torch.where(determinant > 1e-6 * ww * rr, (ww * rx - wr * wx) / determinant.clamp_min(1e-300), 0.0)
    b = torch.zeros_like(b) if restored is None else b.clamp_min(0)
    a = torch.where(b > 0, (wx - b * wr) / ww.clamp_min(1e-300), alone)
    return a.float(), b.float()


def _residual(pair: HalfPair, ring: Tensor, count: int, restored: Tensor | None) -> Tensor:
    """|X - a C W - b C R|^2 with the best a and b of each ring."""
    a, b = _fit(pair, ring, count, restored)
    second = 0.0 if restored is None else pair.ctf * restored * b[ring]
    left: Tensor = pair.other - a[ring] * pair.ctf * pair.filtered - second
    return left.abs() ** 2
