"""How much of the causal weights a map takes: as much as particles that the reference has not seen speak for.

A movie's particles compared with the map of the other half-set (`particle_frc`) give, ring by ring, the cross sum D and
the reference's power W. If the movie's amplitude is a u, with u what is common to all movies times what its losses
leave, D is a u W with the variance sigma^2 W / 2. The weights are a mixture of none and of the causal prior's,

    u_m(k) = 1 + lambda(k) v_m(k),   v_m = sqrt(s_m) / mean(sqrt(s)) - 1,

and, with the common a of every ring found by the data, the log-likelihood of lambda is

    l(lambda) = sum_g sum_k (sum_m u_m D_m)^2 / (sigma^2 sum_m u_m^2 W_m),

g the movies that were compared with the same references. (sum u D)^2 / sum u^2 W is also how well the sum of the
particles with these weights agrees with the other half: what is estimated and what is to be gained are the same. The
half maps' FSC, which is reported, takes no part in the choice.

No weights are what one begins with: exp(-kappa lambda) is the prior, so that lambda leaves 0 only where the slope of l
there is above kappa, two standard deviations where little is known. Movies scatter by more than noise, and neighbours
alike: l is divided by how much more the scores of movies scatter, neighbours' products included, than noise alone would
make them (Newey & West 1987, Econometrica 55, 703).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.models.reconstruction.orientation.placed_particles import PlacedParticles
from frazil.models.reconstruction.refine.particle_frc import Rings
from frazil.models.reconstruction.refine.weighted_sums import Mixture

Array = NDArray[np.float64]

LEAST_MOVIES = 10
"""Compared with references of the map's own; from fewer, all particles count alike."""
MOST_MOVIES = 1000
"""The newest of the session that have been compared are asked: more would cost more at every round, and what a session
loses is of now."""
_BANDS = 3
"""Of equal width, from the first compared ring to the last: losses may be right where they are small, and wrong
beyond."""
_JOINED = 4
"""Rings with one amplitude common to all movies."""
_BAND_TO_BAND = 0.2
"""Standard deviation of the change of lambda from one band to the next."""
_KAPPA = 2.0
_GRID = np.linspace(0.0, 1.0, 51)
_NEIGHBOURS = 3
"""Movies apart whose scores may go together: those of a hole or of a square."""
_PREFIX = "held_out."


@dataclass(frozen=True, slots=True)
class HeldOutRings:
    """What a movie's particles and the maps of the other half-sets have in common; ring i has the radius i + 1."""

    renewal: int
    """Of the references."""
    cross: NDArray[np.float32]
    """(R,) D."""
    reference_power: NDArray[np.float32]
    """(R,) W; 0: not compared."""
    noise_power: NDArray[np.float32]
    """(R,) sigma^2 of one sample of one particle."""

    @classmethod
    def of(cls, seen: Rings, renewal: int) -> HeldOutRings:
        parts = (seen.cross, seen.reference_power, seen.noise_power)
        return cls(renewal, *(part.astype(np.float32) for part in parts))


def held_out_mixture(
    placed: Mapping[int, PlacedParticles],
    held_out: Mapping[int, HeldOutRings],
    mean_amplitude: Array | None,
    shells: int,
) -> Mixture:
    """Of the weights, as much as the particles bear out.

    Parameters
    ----------
    placed:
        At least those that were compared.
    mean_amplitude:
        (S,) sqrt of the relative SSNR, mean over all particles of the map; None: nothing counts.
    shells:
        S, of the plane, the origin counted.
    """
    if mean_amplitude is None:
        return Mixture(np.zeros(shells), np.ones(shells))
    amplitude = {number: np.sqrt(placed[number].shell_ssnr.astype(np.float64)) for number in held_out}
    return Mixture(weight_shares(held_out, amplitude, mean_amplitude), mean_amplitude)


def weight_shares(held_out: Mapping[int, HeldOutRings], shell_amplitude: Mapping[int, Array], mean: Array) -> Array:
    """(S,) lambda by shell: 0 all particles count alike, 1 as the causal prior says.

    Parameters
    ----------
    held_out:
        Of each movie, by its number in the order of the session.
    shell_amplitude:
        (S,) sqrt of the relative SSNR of each of these movies; shell i has the radius i.
    mean:
        (S,) of them, over all particles of the map.
    """
    numbers = sorted(held_out)
    if len(numbers) < LEAST_MOVIES:
        return np.zeros(len(mean))
    compared = _Compared.of([held_out[n] for n in numbers], [shell_amplitude[n] for n in numbers], mean)
    rings = np.nonzero(compared.power.sum(axis=0) > 0)[0]
    if rings.size < _BANDS:
        return np.zeros(len(mean))
    edges = np.linspace(rings[0], rings[-1] + 1, _BANDS + 1)
    ends = np.rint(edges).astype(int)
    curves = [compared.within(ends[band], ends[band + 1]).joined().ln_likelihoods() for band in range(_BANDS)]
    return np.interp(np.arange(len(mean)), (edges[:-1] + edges[1:]) / 2 + 0.5, _likeliest(curves))


def _likeliest(curves: list[Array]) -> Array:
    """(B,) lambda of each band: the path over the bands with the highest posterior (Viterbi)."""
    step = -0.5 * np.square((_GRID[:, None] - _GRID[None, :]) / _BAND_TO_BAND)
    begin = -_KAPPA * _GRID / len(curves)
    total, came_from = curves[0] + begin, []
    for curve in curves[1:]:
        reached = total[None, :] + step
        came_from.append(reached.argmax(axis=1))
        total = reached.max(axis=1) + curve + begin
    path = [int(total.argmax())]
    for back in reversed(came_from):
        path.append(int(back[path[-1]]))
    return _GRID[path[::-1]]


@dataclass(frozen=True, slots=True)
class _Compared:
    """Of M movies on R rings."""

    group: NDArray[np.int64]
    """(M,) from 0: movies with the same references."""
    cross: Array
    power: Array
    departure: Array
    """(M, R) v."""
    noise: Array
    """(R,) sigma^2."""

    def joined(self) -> _Compared:
        """Rings joined by `_JOINED`: an amplitude for each would be more than faint particles can tell."""
        starts = np.arange(0, len(self.noise), _JOINED)
        total = self.power.sum(axis=0) + 1e-300
        share = total / np.repeat(np.add.reduceat(total, starts), np.diff([*starts, len(total)]))

        def mean(values: Array) -> Array:
            return np.asarray(np.add.reduceat(values * share, starts, axis=-1))

        cross, power = (np.add.reduceat(values, starts, axis=1) for values in (self.cross, self.power))
        return _Compared(self.group, cross, power, mean(self.departure), mean(self.noise))

    @classmethod
    def of(cls, movies: list[HeldOutRings], amplitude: list[Array], mean: Array) -> _Compared:
        count = min(max(len(one.cross) for one in movies), len(mean) - 1)
        cross, power, noise = (
            np.stack([_fitted(getattr(one, part), count) for one in movies])
            for part in ("cross", "reference_power", "noise_power")
        )
        departure = np.stack(amplitude)[:, 1 : count + 1] / mean[1 : count + 1] - 1
        seen = (power > 0).sum(axis=0)
        common = (noise * (power > 0)).sum(axis=0) / np.maximum(seen, 1)
        group = np.unique([one.renewal for one in movies], return_inverse=True)[1]
        return cls(group, cross, power, departure, np.where(seen > 0, common, 1.0))

    def within(self, first: int, end: int) -> _Compared:
        part = slice(first, end)
        return _Compared(
            self.group, self.cross[:, part], self.power[:, part], self.departure[:, part], self.noise[part]
        )

    def ln_likelihoods(self) -> Array:
        """Of all these rings together, at every lambda of the grid; divided by what movies scatter beyond noise."""
        likelihood = np.array([self._ln_likelihood(share) for share in _GRID])
        return likelihood / self._scatter(float(_GRID[int(likelihood.argmax())]))

    def _in_groups(self, values: Array) -> Array:
        """(G, R) sums over the movies of each group."""
        total = np.zeros((int(self.group.max()) + 1, values.shape[1]))
        np.add.at(total, self.group, values)
        return total

    def _ln_likelihood(self, share: float) -> float:
        weight = 1 + share * self.departure
        agreed, power = self._in_groups(weight * self.cross), self._in_groups(weight**2 * self.power)
        return float((agreed**2 / np.maximum(self.noise * power, 1e-300))[power > 0].sum())

    def _scatter(self, share: float) -> float:
        """How many times the variance of the slope of l is what noise alone would make it; at least 1."""
        weight = 1 + share * self.departure
        power = np.maximum(self._in_groups(weight**2 * self.power), 1e-300)
        common = (self._in_groups(weight * self.cross) / power)[self.group]
        # What of v the common amplitude cannot take up.
        left = self.departure - weight * (self._in_groups(weight * self.departure * self.power) / power)[self.group]
        score = (2 * common * left * (self.cross - common * weight * self.power) / self.noise).sum(axis=1)
        by_noise = float((2 * common**2 * left**2 * self.power / self.noise).sum())
        variance = float((score**2).sum())
        for lag in range(1, _NEIGHBOURS + 1):
            variance += 2 * (1 - lag / (_NEIGHBOURS + 1)) * float((score[lag:] * score[:-lag]).sum())
        return max(variance / by_noise, 1.0) if by_noise > 0 else 1.0


def _fitted(values: NDArray[np.float32], count: int) -> Array:
    """(count,) the values, 0 where there are none."""
    out = np.zeros(count)
    out[: min(count, len(values))] = values[:count]
    return out


def to_arrays(held_out: Mapping[int, HeldOutRings], removed: Sequence[int] = ()) -> dict[str, NDArray[Any]]:
    """Everything in a few flat arrays, whose names begin with `held_out.`; `removed`: movies that are not in it any
    more."""
    arrays: dict[str, NDArray[Any]] = {f"{_PREFIX}removed": np.array(removed, dtype=np.int64)} if removed else {}
    if not held_out:
        return arrays
    arrays |= {
        f"{_PREFIX}number": np.array(list(held_out), dtype=np.int64),
        f"{_PREFIX}renewal": np.array([one.renewal for one in held_out.values()], dtype=np.int64),
        f"{_PREFIX}count": np.array([len(one.cross) for one in held_out.values()], dtype=np.int64),
    }
    for part in ("cross", "reference_power", "noise_power"):
        arrays[f"{_PREFIX}{part}"] = np.concatenate([getattr(one, part) for one in held_out.values()])
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> dict[int, HeldOutRings]:
    """Undoes `to_arrays`, but for `removed`. Raises KeyError when a part is missing."""
    if f"{_PREFIX}number" not in arrays:
        return {}
    ends = np.cumsum(arrays[f"{_PREFIX}count"])[:-1]
    columns = [
        [row.copy() for row in np.split(arrays[f"{_PREFIX}{part}"], ends)]
        for part in ("cross", "reference_power", "noise_power")
    ]
    rows = zip(arrays[f"{_PREFIX}number"], arrays[f"{_PREFIX}renewal"], *columns, strict=True)
    return {int(number): HeldOutRings(int(renewal), *parts) for number, renewal, *parts in rows}


def removed_from(arrays: Mapping[str, NDArray[Any]]) -> list[int]:
    """`removed`, as it was given to `to_arrays`."""
    return [int(number) for number in arrays.get(f"{_PREFIX}removed", ())]
