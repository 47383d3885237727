"""K maps beside the common one, for particles that are not all alike: a streaming classification in three dimensions.

Particles are oriented against the common map; their class is asked for in the pose where they stand. A sample of
`SAMPLE_PARTICLES` that the map itself has oriented is split once (`class_splitting`), which begins the classes. From
then on each particle that is placed goes to every class by its probability, under the class maps of its own half-set:
these begin alike, so that classes mean the same in both halves, and are the halves' own from the first renewal on.

Whether there is more than one kind at all is asked across the halves: K maps made from one half either predict the
other half's particles better than the one map of that half, or they do not. More maps always fit the particles that
made them better; only this gain says anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.classes.class_splitting import SampledParticles, split
from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane, FourierVolume, cropped
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra
from frazil.models.reconstruction.movie_table import MovieTable
from frazil.models.reconstruction.orientation.placed_particles import PlacedParticles
from frazil.models.reconstruction.resolution.fsc import filtered
from frazil.models.reconstruction.resolution.half_map_fsc import half_map_fsc
from frazil.models.reconstruction.resolution.masks import MapMask
from frazil.models.reconstruction.resolution.reference_maps import reference_maps

SAMPLE_PARTICLES = 500
_SPLIT_ANGSTROM, _SPLIT_DIAMETERS = 14.0, 0.09
"""Resolution of the split, the coarser of the two: poses are known to a few degrees when it is made."""
_COMPARED_ANGSTROM = 10.0
_LEAST_OF_HALF = 40.0
"""Particles that a class needs in each half before its maps take the place of those that it began with."""
_SEED = 20261122
_LEAST_SHARE = 0.02
_CREDIBLE_SIGMA = 3.0
_SAMPLE_PARTS = ("centred", "ctf", "whitening", "poses", "half_set", "certainty")


@dataclass(frozen=True, slots=True)
class MapClass:
    """One of the maps."""

    number: int
    """From 1."""
    volume: Tensor
    """(n, n, n) [z, y, x], filtered by its halves' agreement; 0 outside of their mask."""
    particle_count: float
    """Sum of the particles' probabilities."""
    resolution_0143_angstrom: float | None
    """Of its two halves. Their classes were begun together: what is coarser than 14 A is not independent."""


@dataclass(frozen=True, slots=True)
class MapClasses:
    """The classes of a round."""

    classes: tuple[MapClass, ...]
    gain_ln: float | None
    """ln likelihood a particle that K maps of the other half bring over one; None: not known yet."""
    gain_sd_ln: float | None

    @property
    def credible(self) -> bool | None:
        """Whether there is more than one kind; None: not known yet."""
        if self.gain_ln is None or self.gain_sd_ln is None:
            return None
        return self.gain_ln > _CREDIBLE_SIGMA * self.gain_sd_ln

    @property
    def sentence(self) -> str:
        """For a person."""
        total = max(sum(one.particle_count for one in self.classes), 1e-9)
        shares = ", ".join(f"{one.particle_count / total:.0%}" for one in self.classes)
        maps = f"{len(self.classes)} maps with {shares} of the particles"
        if self.gain_ln is None or self.gain_sd_ln is None:
            return f"{maps}: whether there is more than one kind is not known yet"
        told = f"they foretell a particle of the other half by {self.gain_ln:+.2f} +- {self.gain_sd_ln:.2f} ln better"
        if self.credible:
            return f"{maps}: there is more than one kind ({told})"
        return f"{maps}: one map is enough ({told} than one map)"


class StreamingMapClasses:
    """The classes of one session's map.

    Parameters
    ----------
    class_count:
        K, at least 2.
    mask:
        (n, n, n) soft sphere of the common map.
    first_shell:
        Ring of the particle's own size: what is below is the box's background.
    """

    def __init__(
        self,
        plane: FourierPlane,
        class_count: int,
        *,
        symmetry: NDArray[np.float64],
        diameter_angstrom: float,
        mask: Tensor,
        first_shell: int,
        device: torch.device,
    ) -> None:
        self._plane, self._k, self._symmetry = plane, class_count, symmetry
        self._diameter_angstrom, self._mask, self._first_shell, self._device = (
            diameter_angstrom,
            mask,
            first_shell,
            device,
        )
        self._split_count = plane.count_within(1 / max(_SPLIT_ANGSTROM, _SPLIT_DIAMETERS * diameter_angstrom))
        self._count = plane.count_within(1 / _COMPARED_ANGSTROM)
        self._compared = torch.from_numpy(plane.radius_px[: self._count] > first_shell - 0.5).to(device)
        self._sample: dict[int, SampledParticles] = {}
        self._sums = [[FourierAccumulator(plane.box_px, device=device) for _ in (1, 2)] for _ in range(class_count)]
        self._share: MovieTable[int, NDArray[np.float32]] = MovieTable()
        """(n, K) of every movie that is in the sums."""
        self._in_halves = np.zeros((2, class_count))
        """Particles of each class in the sums, by half."""
        self._gain: MovieTable[int, tuple[int, float, float]] = MovieTable()
        """Of every movie: particles, and sum and sum of squares of what K maps of the other half bring."""
        self._all_gains: NDArray[np.float64] = np.zeros(3)
        """Sum of them."""
        self._sampled: frozenset[int] = frozenset()
        """Movies of the sample: classes were begun with both halves of them, so they bear no witness."""
        self._references: Tensor | None = None
        """(2, K, n, n, n) by half."""
        self._common: Tensor | None = None
        """(2, n, n, n) the common map of each half, at the renewal that the references are of."""
        self._volumes: list[list[FourierVolume]] | None = None
        self._common_volumes: list[FourierVolume] | None = None

    # --- particles -------------------------------------------------------------------------------------------------

    def put_in(self, number: int, particles: ParticleSpectra, placed: PlacedParticles) -> None:
        """A movie's particles, where they have just been placed by the map itself."""
        if self._references is None:
            self._to_sample(number, particles, placed)
            return
        fits = self._fits(particles, placed, self._slicers(), own=True)
        share = _probability(fits, self._prior()).astype(np.float32)
        self._insert(particles, placed, share, sign=1.0)
        self._share[number] = share
        if self._common is not None and number not in self._sampled:
            self._gain[number] = self._gain_of(particles, placed)
            self._all_gains += self._gain[number]

    def take_out(self, number: int, particles: ParticleSpectra, placed: PlacedParticles) -> None:
        """Undo `put_in` of the same particles, before they are placed anew."""
        share = self._share.pop(number, None)
        if share is not None:
            self._insert(particles, placed, share, sign=-1.0)
        gain = self._gain.pop(number, None)
        if gain is not None:
            self._all_gains -= gain

    def share_of(self, number: int) -> NDArray[np.float32] | None:
        """(n, K) probabilities of a movie's particles; None: they have no class."""
        return self._share.get(number)

    def renew(self, common: list[Tensor]) -> None:
        """Once a round: begin when the sample is there, then take the halves' own class maps as references.

        `common`: references of the two halves for all particles alike.
        """
        if self._references is None:
            if sum(len(one.poses) for one in self._sample.values()) < SAMPLE_PARTICLES:
                return
            made = split(
                list(self._sample.values()),
                self._plane,
                class_count=self._k,
                symmetry=self._symmetry,
                diameter_angstrom=self._diameter_angstrom,
                seed=_SEED,
                device=self._device,
            )
            self._references = torch.stack([made.volumes, made.volumes])
            self._sampled, self._sample = frozenset(self._sample), {}
            self._volumes = None
            return
        renewed = self._references.clone()
        for column, sums in enumerate(self._sums):
            if self._in_halves[:, column].min() < _LEAST_OF_HALF:
                continue  # too few to say better what it shows
            own, _ = reference_maps(
                [half.volume() * self._mask for half in sums],
                self._plane.pixel_size_angstrom,
                self._mask,
                first_shell=self._first_shell,
            )
            renewed[0, column], renewed[1, column] = own
        self._references = renewed
        self._common = torch.stack(common)
        self._volumes = self._common_volumes = None

    def _to_sample(self, number: int, particles: ParticleSpectra, placed: PlacedParticles) -> None:
        if not placed.renewal:
            return  # the start placed them
        count = self._split_count
        phases = self._plane.phases(placed.shift_px.astype(np.float64), count, self._device)
        self._sample[number] = SampledParticles(
            particles.masked[:, :count] * phases,
            particles.ctf[:, :count],
            particles.whitening[:count],
            placed.poses,
            placed.half_set,
            placed.counts,
        )

    # --- likelihoods -----------------------------------------------------------------------------------------------

    def _slicers(self) -> list[list[FourierVolume]]:
        assert self._references is not None
        if self._volumes is None:
            self._volumes = [[self._slicer(one) for one in half] for half in self._references]
        return self._volumes

    def _slicer(self, volume: Tensor) -> FourierVolume:
        return FourierVolume(cropped(volume, self._plane, self._count), device=self._device)

    def _fits(
        self, particles: ParticleSpectra, placed: PlacedParticles, volumes: list[list[FourierVolume]], *, own: bool
    ) -> NDArray[np.float64]:
        """(n, K) ln likelihood under the maps of the own or of the other half-set, the movie's contrast taken out."""
        count, n = self._count, len(placed.half_set)
        phases = self._plane.phases(placed.shift_px.astype(np.float64), count, self._device)
        damped = particles.masked[:, :count] * phases * (particles.whitening * particles.ctf)[:, :count]
        power = (particles.whitening * particles.ctf**2)[:, :count].expand(n, -1)
        cross, energy = np.zeros((n, len(volumes[0]))), np.zeros((n, len(volumes[0])))
        for half in (0, 1):
            rows = np.nonzero(placed.half_set == half + 1)[0]
            if not rows.size:
                continue
            index = torch.from_numpy(rows).to(self._device)
            poses = torch.from_numpy(placed.poses[rows])
            for column, volume in enumerate(volumes[half if own else 1 - half]):
                slices = volume.slices(poses, self._plane, count)
                fit = ((damped[index].conj() * slices).real * self._compared).sum(dim=1)
                norm = (power[index] * self._compared * slices.abs().square()).sum(dim=1)
                cross[rows, column], energy[rows, column] = fit.cpu().numpy(), norm.cpu().numpy()
        scale = cross.sum() / max(float(energy.sum()), 1e-30)
        scale = float(np.clip(scale, 0.5, 2.0))
        return 2 * scale * cross - scale**2 * energy

    def _gain_of(self, particles: ParticleSpectra, placed: PlacedParticles) -> tuple[int, float, float]:
        assert self._common is not None
        if self._common_volumes is None:
            self._common_volumes = [self._slicer(one) for one in self._common]
        classes = self._fits(particles, placed, self._slicers(), own=False) + np.log(self._prior())
        one = self._fits(particles, placed, [[volume] for volume in self._common_volumes], own=False)[:, 0]
        gain = (_log_sum(classes) - one) * (placed.counts > 0.5)
        return int((placed.counts > 0.5).sum()), float(gain.sum()), float((gain**2).sum())

    def _prior(self) -> NDArray[np.float64]:
        total = 1.0 + self._in_halves.sum(axis=0)
        share = np.maximum(total / total.sum(), _LEAST_SHARE)
        return np.asarray(share / share.sum())

    # --- sums ------------------------------------------------------------------------------------------------------

    def _insert(
        self, particles: ParticleSpectra, placed: PlacedParticles, share: NDArray[np.float32], *, sign: float
    ) -> None:
        phases = self._plane.phases(placed.shift_px.astype(np.float64), len(self._plane.kx), self._device)
        shells = np.interp(self._plane.radius_px, np.arange(len(placed.shell_ssnr)), placed.shell_ssnr)
        damped = particles.ctf * torch.from_numpy(np.sqrt(shells)).to(self._device, torch.float32)
        numerator, denominator = particles.values * phases * damped, (damped**2).expand(len(phases), -1)
        for half in (0, 1):
            rows = np.nonzero(placed.half_set == half + 1)[0]
            if not rows.size:
                continue
            index = torch.from_numpy(rows).to(self._device)
            turned = np.concatenate([placed.poses[rows] @ operator for operator in self._symmetry])
            for column in range(self._k):
                by = torch.from_numpy(placed.counts[rows] * share[rows, column]).to(self._device)[:, None]
                self._sums[column][half].insert(
                    self._plane, torch.from_numpy(turned), numerator[index] * by, denominator[index] * by, sign=sign
                )
            self._in_halves[half] += sign * share[rows[placed.is_chosen[rows]]].sum(axis=0, dtype=np.float64)

    # --- what there is to show -------------------------------------------------------------------------------------

    def round(self) -> MapClasses | None:
        """The present class maps; None: there are none yet."""
        if not self._share:
            return None
        counts = self._in_halves.sum(axis=0)
        made = []
        for column, sums in enumerate(self._sums):
            resolution, volume = None, torch.zeros((self._plane.box_px,) * 3)
            if self._in_halves[:, column].min() >= 1.0:
                agreement = half_map_fsc(
                    sums[0].volume(),
                    sums[1].volume(),
                    pixel_size_angstrom=self._plane.pixel_size_angstrom,
                    diameter_angstrom=self._diameter_angstrom,
                    first_shell=self._first_shell,
                    last_shell=int(self._plane.radius_px.max()),
                )
                resolution = agreement.corrected.resolution_angstrom(0.143)
                volume = self._shown(sums, agreement.corrected.map_filter(), agreement.mask)
            made.append(MapClass(column + 1, volume, float(counts[column]), resolution))
        particles = float(self._all_gains[0])
        if particles < 2:
            return MapClasses(tuple(made), None, None)
        mean, squares = (float(total) / particles for total in self._all_gains[1:])
        return MapClasses(tuple(made), mean, math.sqrt(max(squares - mean**2, 0.0) / (particles - 1)))

    def _shown(self, sums: list[FourierAccumulator], gain: NDArray[np.float64], mask: MapMask) -> Tensor:
        gain = np.concatenate([np.full(self._first_shell - 1, gain[0]), gain])
        shown = filtered((sums[0] + sums[1]).volume() * self._mask, gain) * mask.values.to(self._device)
        return shown.cpu()

    # --- to be kept ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs to go on exactly as if nothing had happened."""
        return self.fixed() | self._rows(self._gain, self._share)

    def fixed(self) -> dict[str, NDArray[Any]]:
        """Of it, what does not grow with the session."""
        arrays: dict[str, NDArray[Any]] = {
            "in_halves": self._in_halves.copy(),
            "all_gains": self._all_gains.copy(),
            "sampled": np.array(sorted(self._sampled), dtype=np.int64),
            "sample.number": np.array(list(self._sample), dtype=np.int64),
        }
        for name in ("references", "common"):
            volumes: Tensor | None = getattr(self, f"_{name}")
            if volumes is not None:
                arrays[name] = volumes.cpu().numpy()
        for number, one in self._sample.items():
            for part in _SAMPLE_PARTS:
                value = getattr(one, part)
                arrays[f"sample.{number}.{part}"] = value.cpu().numpy() if isinstance(value, Tensor) else value
        for column, sums in enumerate(self._sums):
            for half, accumulator in enumerate(sums):
                for part, array in accumulator.state().items():
                    arrays[f"sums.{column}.{half}.{part}"] = array
        return arrays

    def changes(self) -> dict[str, NDArray[Any]]:
        """What changed of single movies since `written`."""
        return self._rows(self._gain.changed(), self._share.changed()) | {
            "gain.removed": np.array(self._gain.removed(), dtype=np.int64),
            "share.removed": np.array(self._share.removed(), dtype=np.int64),
        }

    @property
    def tables(self) -> tuple[MovieTable[int, Any], ...]:
        """What grows with the session."""
        return self._gain, self._share

    def _rows(
        self, gain: Mapping[int, tuple[int, float, float]], share: Mapping[int, NDArray[np.float32]]
    ) -> dict[str, NDArray[Any]]:
        return {
            "gain.number": np.array(list(gain), dtype=np.int64),
            "gain.values": np.array(list(gain.values()), dtype=np.float64).reshape(-1, 3),
            "share.number": np.array(list(share), dtype=np.int64),
            "share.count": np.array([len(one) for one in share.values()], dtype=np.int64),
            "share.values": np.concatenate([np.zeros((0, self._k), np.float32), *share.values()]),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """From `state`, or from `fixed`, whereupon all `changes` follow (`take_changes`). Raises KeyError or ValueError
        when the arrays are not those of such classes."""
        for column, sums in enumerate(self._sums):
            for half, accumulator in enumerate(sums):
                parts = ("numerator", "denominator")
                accumulator.restore({part: arrays[f"sums.{column}.{half}.{part}"] for part in parts})
        self._in_halves, self._all_gains = arrays["in_halves"].copy(), arrays["all_gains"].copy()
        self._sampled = frozenset(int(number) for number in arrays["sampled"])
        self._gain, self._share = MovieTable(), MovieTable()
        self.take_changes(arrays)
        self._references, self._common = (
            torch.from_numpy(arrays[name]).to(self._device) if name in arrays else None
            for name in ("references", "common")
        )
        self._volumes = self._common_volumes = None
        self._sample = {
            int(number): SampledParticles(
                centred=torch.from_numpy(arrays[f"sample.{number}.centred"]).to(self._device),
                ctf=torch.from_numpy(arrays[f"sample.{number}.ctf"]).to(self._device),
                whitening=torch.from_numpy(arrays[f"sample.{number}.whitening"]).to(self._device),
                poses=arrays[f"sample.{number}.poses"],
                half_set=arrays[f"sample.{number}.half_set"],
                certainty=arrays[f"sample.{number}.certainty"],
            )
            for number in arrays["sample.number"].tolist()
        }

    def take_changes(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """What `changes` told once, in that order. Raises as `restore`."""
        if "gain.number" not in arrays:
            return
        gains = zip(arrays["gain.number"].tolist(), arrays["gain.values"].tolist(), strict=True)
        found = {int(number): (int(count), total, squares) for number, (count, total, squares) in gains}
        parts = np.split(arrays["share.values"], np.cumsum(arrays["share.count"])[:-1])
        shares = dict(zip(arrays["share.number"].tolist(), (part.copy() for part in parts), strict=False))
        gone = [arrays[f"{name}.removed"].tolist() if f"{name}.removed" in arrays else () for name in ("gain", "share")]
        self._gain.take(found, gone[0])
        self._share.take(shares, gone[1])


def _probability(fits: NDArray[np.float64], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    joint = fits + np.log(prior)
    return np.asarray(np.exp(joint - _log_sum(joint)[:, None]))


def _log_sum(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(scipy.special.logsumexp(values, axis=1))
