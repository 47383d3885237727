"""Streaming 2-D classes: online classification with in-plane turns and shifts, at a constant cost per particle.

Particle X belongs to class a, turned by psi and displaced by s, with ln p = sum_k w (2 Re(X* C A) - C^2 |A|^2), where
A(k) is the class average turned and displaced and w = 1 / power. The average is sum C X / (sum C^2 + 1): as if one more
particle had shown nothing. Turns and shifts are all tried in one matrix product, as in
`orientation_search`; each particle goes to its best class (Scheres et al. 2005, J. Mol. Biol. 348, 139, in the limit
of certain assignments; online updates as in Cappe & Moulines 2009, J. R. Stat. Soc. B 71, 593). The first particles
are waited for and classified together several times, so that there are averages to begin with.

Every so many particles the classes are tended: one that hardly anything belongs to any more is retired, of two that
show the same view the smaller is given up, and a free place is filled by the second half of the largest class, which
begins a class of its own and keeps it if its particles prefer it. What became of which class is kept for good
(`class_lineage`): a class is what a person judges, and a number is given once.

A movie costs the same whenever it comes: its particles are compared with every class once (`add`), and those of a movie
that is looked at again too (`find`), which changes no average.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.classes.class_features import ClassFeatures, class_features
from frazil.models.reconstruction.classes.class_lineage import ClassLineage
from frazil.models.reconstruction.classes.class_sums import ClassSums
from frazil.models.reconstruction.classes.left_over import ODD, LeftOver
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, shift_grid

CLASS_COUNT = 20
"""Views of the particle, and as many again for what is none."""
_RESOLUTION_ANGSTROM = 15.0
_RESOLUTION_DIAMETERS = 0.1
"""The coarser of the two: so a large particle costs no more than a small one."""
_TURNS = 60
_SHIFT_STEP_DIAMETERS = 0.04
_SHIFT_REACH_DIAMETERS = 0.15
_FIRST_PARTICLES = 120
"""So many are waited for before there are classes."""
_FIRST_ROUNDS = 12
_MEMORY_PARTICLES = 2000
"""Older contributions fade with this many; early, bad assignments are forgotten."""
_TENDED_EVERY = 200
"""Particles."""
_RETIRED_SHARE = 0.15
"""Of the mean class: below it a class is given up."""
_SPLIT_PARTICLES = 60.0
"""A class is split only if each half has enough to begin with."""
_SAME = 0.9
"""Two averages that correlate by this share of what their noise allows show the same ..."""
_LEAST_EXPECTED = 0.5
"""... if it allows that much: the best of many turns of noise correlates, too."""
_PARTICLES_AT_ONCE = 24
_SEED = 20240229


@dataclass(frozen=True, slots=True)
class ClassAssignment:
    """One row a particle; `class_id` from 1, given once: a class that begins later has a number of its own. `ODD` (0):
    the box does not hold what its class shows (`left_over`)."""

    class_id: NDArray[np.int64]
    psi_deg: NDArray[np.float64]
    """The particle is its class average turned by -psi (RELION's angle: the image turned by psi fits the average)."""
    shift_px: NDArray[np.float64]
    """(n, 2) displacement (x, y) of the particle from its box centre, working pixels."""


@dataclass(frozen=True, slots=True)
class ClassAverage:
    """What a class shows now."""

    class_id: int
    image: Tensor
    """(n, n), bright particles, centre at pixel n // 2."""
    particle_count: int
    """That have been given it so far."""
    resolution_angstrom: float | None
    """Where the averages of its two halves agree to 0.5; None: not known yet."""
    features: ClassFeatures | None = None
    """What a judge looks at; None: it has too few particles to be judged."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Samples of particles that came before there were classes."""

    movie_id: str
    masked: Tensor
    ctf: Tensor
    whitening: Tensor
    fibre: NDArray[np.int64]
    """(n,) particles of one number share pixels, and go to one half of a class."""

    def chosen(self, rows: list[int]) -> _Waiting:
        ctf = self.ctf if len(self.ctf) == 1 else self.ctf[rows]
        return _Waiting(self.movie_id, self.masked[rows], ctf, self.whitening, self.fibre[rows])


@dataclass(frozen=True, slots=True)
class _Found:
    """The best of all classes, turns and shifts for each particle."""

    slot: NDArray[np.int64]
    psi_deg: NDArray[np.float64]
    shift_px: NDArray[np.float64]
    fit: NDArray[np.float64]
    """(n, 2) gain in ln likelihood over an empty box, and the power of the average as the particle would show it."""
    left: NDArray[np.float64]
    """(n,) power of the box that the average does not explain, in units of noise."""


class StreamingClasses:
    """The classes of one session. `add` returns what was decided, for this movie and for those that had waited."""

    def __init__(
        self, plane: FourierPlane, *, diameter_angstrom: float, device: torch.device, first_id: int = 1
    ) -> None:
        """`first_id`: the lowest number that no class of the session has had."""
        self._plane, self._device = plane, device
        self._diameter_angstrom = diameter_angstrom
        self._count = plane.count_within(1 / max(_RESOLUTION_ANGSTROM, _RESOLUTION_DIAMETERS * diameter_angstrom))
        self._sums = ClassSums(plane, self._count, CLASS_COUNT, turns=_TURNS, device=device)
        self._ids = np.arange(first_id, first_id + CLASS_COUNT)
        self._counts = np.zeros(CLASS_COUNT, dtype=np.int64)
        self._fit = np.zeros((CLASS_COUNT, 2))
        """Sums of `_Found.fit` over the members, older ones faded as in the averages."""
        self._left = LeftOver(CLASS_COUNT)
        self._odd_count = 0
        self.lineage = ClassLineage()
        self._given_up = 0
        """Particles of classes that are no more."""
        self._until_tended = _TENDED_EVERY
        self._waiting: list[_Waiting] = []
        self._started = False
        self.movie_count = 0
        reach, step = (share * diameter_angstrom for share in (_SHIFT_REACH_DIAMETERS, _SHIFT_STEP_DIAMETERS))
        self._shifts = shift_grid(reach, step, plane.pixel_size_angstrom)

    @property
    def particle_count(self) -> int:
        """Particles that have been given a class."""
        return int(self._counts.sum()) + self._given_up + self._odd_count

    @property
    def alive(self) -> list[int]:
        """Numbers of the classes that particles belong to; none before there are classes."""
        return [int(one) for one in self._ids[self._counts > 0]] if self._started else []

    def add(
        self, movie_id: str, particles: ParticleSpectra | None, fibre: Sequence[int] = ()
    ) -> list[tuple[str, ClassAssignment]]:
        """Classify a movie's particles (None: it has none, and is only counted); `fibre`: `half_sets`."""
        self.movie_count += 1
        if particles is None or not len(particles.masked):
            return []
        fresh = self._seen(movie_id, particles, fibre)
        if self._started:
            found = self._best(fresh)
            kept = max(1.0 - len(fresh.masked) / _MEMORY_PARTICLES, 0.5)
            self._sums.fade(kept)
            self._fit *= kept
            self._deposit(fresh, found)
            assignment = self._given(found)
            self._until_tended -= len(fresh.masked)
            if self._until_tended <= 0:
                self._until_tended = _TENDED_EVERY
                self._tend()
            return [(movie_id, assignment)]
        self._waiting.append(fresh)
        if sum(len(item.masked) for item in self._waiting) < _FIRST_PARTICLES:
            return []
        return self._begin()

    def find(self, movie_id: str, particles: ParticleSpectra) -> ClassAssignment | None:
        """The present classes of a movie that was added before; no average changes. None: there are no classes yet."""
        if not self._started or movie_id in {item.movie_id for item in self._waiting}:
            return None
        found = self._best(self._seen(movie_id, particles, ()))
        return ClassAssignment(self._named(found), found.psi_deg, found.shift_px)

    def _named(self, found: _Found) -> NDArray[np.int64]:
        return np.where(self._left.is_odd(found.slot, found.left), ODD, self._ids[found.slot])

    def _seen(self, movie_id: str, particles: ParticleSpectra, fibre: Sequence[int]) -> _Waiting:
        count = self._count
        # Laid out as a checkpoint gives them back: where rows end decides how they are rounded.
        return _Waiting(
            movie_id,
            particles.masked[:, :count].contiguous(),
            particles.ctf[:, :count].contiguous(),
            particles.whitening[:count].contiguous(),
            np.array(fibre, dtype=np.int64) if fibre else np.arange(len(particles.masked)),
        )

    def averages(self) -> list[ClassAverage]:
        """The classes as they are, those that nothing belongs to left out."""
        seen = self
        if not self._started and self._waiting:
            seen = copy.deepcopy(self)  # what a round shows must not change what the next movie meets
            seen._begin()
        images, resolutions = seen._sums.images().cpu(), seen._sums.resolutions_angstrom()
        features = class_features(
            images.numpy(),
            seen._sums.half_correlations(),
            seen._sums.weight.sum(axis=1),
            seen._fit,
            diameter_px=seen._diameter_angstrom / seen._plane.pixel_size_angstrom,
        )
        found = [
            ClassAverage(int(seen._ids[slot]), images[slot], int(seen._counts[slot]), resolutions[slot], features[slot])
            for slot in range(CLASS_COUNT)
            if seen._counts[slot]
        ]
        if seen._odd_count:
            found.append(ClassAverage(ODD, torch.zeros_like(images[0]), seen._odd_count, None))
        return found

    def _given(self, found: _Found) -> ClassAssignment:
        """Count particles, and name their classes."""
        named = self._named(found)
        self._left.see(found.slot, found.left)
        self._counts += np.bincount(found.slot[named != ODD], minlength=CLASS_COUNT)
        self._odd_count += int((named == ODD).sum())
        return ClassAssignment(named, found.psi_deg, found.shift_px)

    def _begin(self) -> list[tuple[str, ClassAssignment]]:
        """Classify the waiting particles together, beginning with some of them as averages."""
        total = sum(len(item.masked) for item in self._waiting)
        seeds = np.sort(np.random.default_rng(_SEED).permutation(total)[: min(CLASS_COUNT, max(total // 4, 1))])
        first = 0
        for item in self._waiting:
            n = len(item.masked)
            slot_of = {int(seed) - first: slot for slot, seed in enumerate(seeds) if first <= seed < first + n}
            if slot_of:
                rows = sorted(slot_of)
                chosen = item.chosen(rows)
                slots = np.array([slot_of[row] for row in rows])
                nothing = np.zeros((len(rows), 2))
                self._deposit(chosen, _Found(slots, np.zeros(len(rows)), nothing, nothing, np.zeros(len(rows))))
            first += n
        found: list[_Found] = []
        for _ in range(_FIRST_ROUNDS):
            found = [self._best(item) for item in self._waiting]
            self._sums.clear(slice(None))
            self._fit[:] = 0.0
            for item, one in zip(self._waiting, found, strict=True):
                self._deposit(item, one)
        decided = [(item.movie_id, self._given(one)) for item, one in zip(self._waiting, found, strict=True)]
        self._waiting, self._started = [], True
        return decided

    def _best(self, item: _Waiting) -> _Found:
        count = self._count
        references = self._sums.references().flatten(0, 1)  # (K T, M)
        weight = item.whitening * item.ctf
        phases = self._plane.phases(self._shifts, count, self._device)
        energy = (weight * item.ctf) @ references.abs().square().T  # (1 or n, K T)
        # A place without a class fits a box that no class fits, and would begin to live under its last one's number.
        empty = np.repeat(self._sums.weight.sum(axis=1) == 0.0, _TURNS)
        energy[:, torch.from_numpy(empty).to(self._device)] = torch.inf
        columns = torch.view_as_real(references).flatten(1).T
        found, gained = [], []
        for first in range(0, len(item.masked), _PARTICLES_AT_ONCE):  # memory does not grow with a movie's picks
            part = slice(first, first + _PARTICLES_AT_ONCE)
            own = slice(None) if len(energy) == 1 else part
            some = item.masked[part] * weight[own]
            flat = torch.view_as_real((some[:, None] * phases).contiguous()).flatten(2).flatten(0, 1)
            score = 2 * (flat @ columns).view(len(some), len(self._shifts), -1) - energy[own, None]
            gain, place = score.flatten(1).max(dim=1)
            found.append(place)
            gained.append(gain)
        best = torch.cat(found).cpu().numpy()
        gain_of_best = torch.cat(gained).cpu().double().numpy()
        power = (item.masked.abs().square() @ item.whitening).cpu().double().numpy()
        shift, reference = best // len(references), best % len(references)
        turn = reference % _TURNS
        return _Found(
            slot=reference // _TURNS,
            psi_deg=(turn * (360.0 / _TURNS) + 180.0) % 360.0 - 180.0,
            shift_px=self._shifts[shift],
            fit=np.stack([gain_of_best, self._power(energy, reference)], axis=1),
            left=power - gain_of_best,
        )

    def _power(self, energy: Tensor, reference: NDArray[np.int64]) -> NDArray[np.float64]:
        chosen = torch.from_numpy(reference).to(self._device)[:, None]
        return np.asarray(energy.expand(len(reference), -1).gather(1, chosen)[:, 0].cpu().double().numpy())

    def _deposit(self, item: _Waiting, found: _Found) -> None:
        """Each class's particles go to its halves in turn, those of a fibre together."""
        half = np.zeros(len(found.slot), dtype=np.int64)
        weight = self._sums.weight.copy()
        of_fibre: dict[tuple[int, int], int] = {}
        for row, slot in enumerate(found.slot):
            fewer = int(weight[slot, 1] < weight[slot, 0])
            half[row] = of_fibre.setdefault((int(slot), int(item.fibre[row])), fewer)
            weight[slot, half[row]] += 1.0
        self._sums.deposit(item.masked, item.ctf, found.slot, half, found.psi_deg, found.shift_px)
        np.add.at(self._fit, found.slot, found.fit)

    # --- classes come and go ---------------------------------------------------------------------------------------

    def _tend(self) -> None:
        weight = self._sums.weight.sum(axis=1)
        for slot in np.nonzero((weight > 0) & (weight < _RETIRED_SHARE * weight.sum() / CLASS_COUNT))[0]:
            self._give_up(int(slot), heir=None)
        twin = self._twin()
        if twin is not None:
            # Its place stays free until the next time: what has just been found to be one is not split at once.
            self._give_up(twin[0], heir=twin[1])
            return
        weight = self._sums.weight.sum(axis=1)
        free = np.nonzero(weight == 0)[0]
        largest = int(np.argmax(weight))
        if free.size and weight[largest] >= _SPLIT_PARTICLES:
            child = int(free[0])
            self._sums.split(largest, child)
            self._fit[largest] /= 2
            self._fit[child] = self._fit[largest]
            self._left.copy(largest, child)
            self._ids[child] = self._ids.max() + 1
            self.lineage.born(int(self._ids[child]), of=int(self._ids[largest]))

    def _give_up(self, slot: int, *, heir: int | None) -> None:
        self.lineage.ended(int(self._ids[slot]), heir=None if heir is None else int(self._ids[heir]))
        self._sums.clear(slot)
        self._fit[slot] = 0.0
        self._left.clear(slot)
        self._given_up += int(self._counts[slot])
        self._counts[slot] = 0

    def _twin(self) -> tuple[int, int] | None:
        """The two classes that are most alike, the smaller first, if they show the same as far as noise lets one see.

        With f the share of a class average's power in a ring that is signal, two averages A and B of the same view have
        sum w Re(A* B) = sum w sqrt(f_A |A|^2 f_B |B|^2); w = f_A f_B looks where there is something to be seen.
        """
        curves = self._sums.half_correlations()
        signal = np.clip(2 * curves / (1 + curves), 0.0, 1.0)  # of the whole class, from its halves
        references = self._sums.references()
        ring = np.rint(self._plane.radius_px[: self._count]).astype(np.int64) - 1
        size = np.maximum(np.bincount(ring), 1)
        phases = self._plane.phases(self._shifts, self._count, self._device)
        power = references[:, 0].abs().square().cpu().double().numpy()
        per_ring = np.stack([np.bincount(ring, weights=row) / size for row in power])
        known = [int(slot) for slot in np.nonzero(np.isfinite(curves).all(axis=1))[0]]
        best: tuple[float, tuple[int, int]] | None = None
        for a, b in itertools.combinations(known, 2):
            weight = signal[a] * signal[b]
            norm = np.sqrt((weight * size * per_ring[a]).sum() * (weight * size * per_ring[b]).sum())
            if norm <= 0:
                continue
            expected = (size * weight**1.5 * np.sqrt(per_ring[a] * per_ring[b])).sum() / norm
            on_samples = torch.from_numpy(weight[ring]).to(self._device, torch.float32)
            cross = ((references[a, 0] * on_samples).conj() * phases) @ references[b].T
            alike = float(cross.real.max()) / norm
            if expected > _LEAST_EXPECTED and alike > _SAME * expected and (best is None or alike > best[0]):
                smaller = min(a, b, key=lambda slot: float(self._sums.weight[slot].sum()))
                best = alike, (smaller, a + b - smaller)
        return None if best is None else best[1]

    # --- to be kept ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs to go on exactly as if nothing had happened."""
        arrays: dict[str, NDArray[Any]] = {
            **self._sums.state(),
            "counts": self._counts.copy(),
            "ids": self._ids.copy(),
            "fit": self._fit.copy(),
            **self._left.state(),
            **self.lineage.state(),
            "progress": np.array(
                [
                    self.movie_count,
                    int(self._started),
                    len(self._waiting),
                    self._given_up,
                    self._until_tended,
                    self._odd_count,
                ],
                dtype=np.int64,
            ),
        }
        for number, item in enumerate(self._waiting):
            arrays[f"waiting.{number}.id"] = np.array(item.movie_id)
            arrays[f"waiting.{number}.fibre"] = item.fibre
            for name in ("masked", "ctf", "whitening"):
                arrays[f"waiting.{number}.{name}"] = getattr(item, name).cpu().numpy()
        return arrays

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Raises KeyError or ValueError when the arrays are not those of such classes."""
        self._sums.restore(arrays)
        self._counts, self._ids, self._fit = (arrays[name].copy() for name in ("counts", "ids", "fit"))
        self.lineage.restore(arrays)
        self._left.restore(arrays)
        self.movie_count, started, waiting, self._given_up, self._until_tended, self._odd_count = (
            int(value) for value in arrays["progress"]
        )
        self._started = bool(started)

        def waiting_part(number: int, name: str) -> Tensor:
            # A copy of torch's own begins where torch's own do; products are rounded by that, too.
            return torch.from_numpy(arrays[f"waiting.{number}.{name}"]).clone().to(self._device)

        self._waiting = [
            _Waiting(
                str(arrays[f"waiting.{number}.id"]),
                masked=waiting_part(number, "masked"),
                ctf=waiting_part(number, "ctf"),
                whitening=waiting_part(number, "whitening"),
                fibre=arrays[f"waiting.{number}.fibre"],
            )
            for number in range(waiting)
        ]
