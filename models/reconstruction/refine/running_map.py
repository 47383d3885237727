"""The running 3-D reconstruction: each movie's particles are oriented and added, and earlier ones are oriented again.

Half-sets never see each other: each half is oriented against the start and, from the first round in which the data
reach further, against its own half map (`reference_maps`). References are renewed after every `ROUND_MOVIES` movies.
Beside each new movie `AGAIN_PER_MOVIE` earlier ones, in turn, are searched again: what they put into the sums
is taken out and put in where they are found now. So the sums are always those of the newest poses, a movie costs the
same whenever it comes, and what has been learnt reaches the first particles too. All of it is counted, not timed: the
map depends on the movies and their order alone.

Particles are weighted by what the causal prior says of their movie as far as the particles themselves, against the
maps of the other half-sets, bear it out (`held_out_weights`); where nothing does, all count alike.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.optics.ctf import CtfParameters
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.reconstruction.classes.map_classes import MapClasses, StreamingMapClasses
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra
from frazil.models.reconstruction.movie_table import MovieTable
from frazil.models.reconstruction.orientation.orientation_search import FoundPoses, OrientationSearch
from frazil.models.reconstruction.orientation.placed_particles import PlacedParticles, from_arrays, to_arrays
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.orientation.view_counts import ViewCounts
from frazil.models.reconstruction.refine import held_out_weights
from frazil.models.reconstruction.refine.beam_tilt import beam_tilt
from frazil.models.reconstruction.refine.held_out_weights import HeldOutRings, held_out_mixture
from frazil.models.reconstruction.refine.initial_map import INITIAL_RESOLUTION_ANGSTROM
from frazil.models.reconstruction.refine.particle_comparison import HalfMapComparison
from frazil.models.reconstruction.refine.particle_frc import ParticleSums
from frazil.models.reconstruction.refine.placed_tally import PlacedTally
from frazil.models.reconstruction.refine.session_tilt import SessionTilt
from frazil.models.reconstruction.refine.weighted_sums import Mixture, WeightedSums
from frazil.models.reconstruction.refine.weights import by_shell, on_plane
from frazil.models.reconstruction.resolution.fsc import FscCurve, filtered, spherical_mask
from frazil.models.reconstruction.resolution.half_map_fsc import HalfMapFsc, half_map_fsc
from frazil.models.reconstruction.resolution.masks import MapMask
from frazil.models.reconstruction.resolution.reference_maps import reference_maps
from frazil.models.records import ExposureFacts

ROUND_MOVIES = 10
AGAIN_PER_MOVIE = 2
"""Earlier movies searched again beside each new one."""
_FSC_THRESHOLD = 0.143
_AS_GOOD_AS_ALL = 0.95
"""Share of the causal weights from which on it is not worth a word."""
_CLASSES = "classes."
_PAST_THE_START_VOXELS = 3.0
"""Fourier voxels past a start's nominal end in which its soft edge, and the mask, still carry something of it: halves
that agree no further agree by the start that they share."""


@dataclass(frozen=True, slots=True)
class MapRound:
    """What the reconstruction has to show: maps (n, n, n) [z, y, x] and how far they agree."""

    full: Tensor
    """Both halves, each shell multiplied with its estimated correlation with the truth; 0 outside of the mask that the
    FSC is of."""
    half1: Tensor
    half2: Tensor
    """As they are, under a soft sphere."""
    agreement: HalfMapFsc
    uniform_fsc: FscCurve
    """Of the same particles in the same poses, under the same mask, when all of them count alike."""
    pixel_size_angstrom: float
    own_orientations: bool
    """False: most particles still stand as the start had them."""
    discarded_share: float | None
    """Of the particles, how many are hardly in the map: no particle is seen in their boxes. None: there are none."""
    classes: MapClasses | None = None
    """None: one map was asked for, or there are no classes yet."""
    causal_weight_share: float | None = None
    """How much of the causal weights the map takes, mean over the shells that it is resolved in: 0 all particles count
    alike, 1 as the causal prior says. None: nothing was decided."""

    @property
    def fsc(self) -> FscCurve:
        """Under a mask made from the map, freed of what the mask adds."""
        return self.agreement.corrected

    @property
    def resolution_0143_angstrom(self) -> float | None:
        return self.fsc.resolution_angstrom(_FSC_THRESHOLD)

    @property
    def resolution_05_angstrom(self) -> float | None:
        return self.fsc.resolution_angstrom(0.5)

    @property
    def uniform_resolution_0143_angstrom(self) -> float | None:
        return self.uniform_fsc.resolution_angstrom(_FSC_THRESHOLD)

    @property
    def weights_sentence(self) -> str | None:
        """What the causal weights bring; None: nothing was decided, or the map is not resolved."""
        resolution, uniform = self.resolution_0143_angstrom, self.uniform_resolution_0143_angstrom
        share = self.causal_weight_share
        if share is None or resolution is None or uniform is None:
            return None
        if share == 0:
            return "all particles count alike: nothing in them speaks for weights by cause"
        part = "" if share >= _AS_GOOD_AS_ALL else f" ({max(share, 0.01):.0%} of what the causes say)"
        return f"weights by cause{part}: {resolution:.2f} A against {uniform:.2f} A without"

    @property
    def map_class_sentence(self) -> str | None:
        """None: one map was asked for, or there are no classes yet."""
        return None if self.classes is None else self.classes.sentence


class RunningMap:
    """One session's map.

    Parameters
    ----------
    start:
        (n, n, n) map on the plane's box and pixel, low-passed to `start_resolution_angstrom` (`initial_map`).
    symmetry:
        Point group, RELION's name.
    class_count:
        Maps beside the common one (`map_classes`); 1: none.
    """

    def __init__(
        self,
        start: Tensor,
        plane: FourierPlane,
        *,
        symmetry: str,
        diameter_angstrom: float,
        device: torch.device,
        start_resolution_angstrom: float = INITIAL_RESOLUTION_ANGSTROM,
        class_count: int = 1,
    ) -> None:
        self._plane, self._device = plane, device
        self._diameter_angstrom = diameter_angstrom
        self._symmetry = symmetry_matrices(symmetry)
        self._sums = WeightedSums(plane, self._symmetry, device)
        radius_px = min(0.55 * diameter_angstrom / plane.pixel_size_angstrom, 0.44 * plane.box_px)
        # Waves longer than the particle are the mask's and the background's, which every box has its own of.
        self._first_shell = math.ceil(plane.box_px * plane.pixel_size_angstrom / diameter_angstrom)
        self._mask = spherical_mask(plane.box_px, radius_px, 0.06 * plane.box_px).to(device)
        self._references = [start.to(device), start.to(device)]
        self._start_resolution_angstrom = start_resolution_angstrom
        self._reference_resolution_angstrom = start_resolution_angstrom
        self._searches: list[OrientationSearch | None] = [None, None]
        self._reference_fsc = FscCurve((), ())
        self._comparison: HalfMapComparison | None = None
        self._placed: MovieTable[int, PlacedParticles] = MovieTable()
        self._numbers: list[int] = []
        """Of `_placed`, as they came."""
        self._tally = PlacedTally(1 + int(np.rint(plane.radius_px.max())), self._symmetry)
        self._held_out: MovieTable[int, HeldOutRings] = MovieTable()
        """Of the newest movies in `_placed`, once there were references of the map's own to compare them with."""
        self._compared: tuple[int, ParticleSums] | None = None
        """The movie that was placed last, so that it is compared once."""
        self._classes: StreamingMapClasses | None = None
        if class_count > 1:
            self._classes = StreamingMapClasses(
                plane,
                class_count,
                symmetry=self._symmetry,
                diameter_angstrom=diameter_angstrom,
                mask=self._mask,
                first_shell=self._first_shell,
                device=device,
            )
        self.beam_tilt = SessionTilt()
        self._renewals = 0
        self._next_again = 0
        self.movie_count = 0

    @property
    def particle_count(self) -> int:
        """In the sums."""
        return self._tally.particle_count

    @property
    def views(self) -> ViewCounts:
        """Where, in the map, each particle is seen from."""
        return self._tally.views

    def add(
        self,
        particles: ParticleSpectra | None,
        half_sets: tuple[int, ...],
        relative_ssnr: NDArray[np.float64],
        exposure: ExposureFacts | None = None,
        chosen: NDArray[np.bool_] | None = None,
    ) -> FoundPoses | None:
        """Orient a movie's particles and add them; None: a movie without usable particles, which is only counted.

        `half_sets`: 1 or 2 per particle; `relative_ssnr`: (M,) on the plane, of this movie (`weights.relative_ssnr`);
        `exposure`: how it was aimed, which its beam tilt goes with (`session_tilt`); `chosen`: (n,) the others are
        oriented, but stay out of the sums (`choose`); None: all are chosen.
        """
        found = None
        if particles is not None and len(half_sets):
            half_set = np.array(half_sets, dtype=np.int8)
            self.beam_tilt.aimed(self.movie_count, exposure)
            found = self._place(self.movie_count, particles, half_set, by_shell(relative_ssnr, self._plane), chosen)
        self.movie_count += 1
        if self.movie_count % ROUND_MOVIES == 0:
            self._renew_references()
        return found

    def due(self) -> tuple[int, ...]:
        """Numbers (from 0, in the order of `add`) of the earlier movies that are to be searched again now.

        To be asked once after each `add`: it moves on to the next ones. Nothing is due before the references were
        renewed for the first time.
        """
        candidates = self._numbers
        if not self._renewals or len(candidates) <= AGAIN_PER_MOVIE:
            return ()
        start = bisect.bisect_left(candidates, self._next_again)
        chosen = [candidates[(start + step) % len(candidates)] for step in range(AGAIN_PER_MOVIE)]
        self._next_again = chosen[-1] + 1
        return tuple(chosen)

    def count_of(self, number: int) -> int:
        """Particles of movie `number` that are in the map."""
        return len(self._placed[number].half_set) if number in self._placed else 0

    def chosen_of(self, number: int) -> NDArray[np.bool_]:
        """(n,) which particles of movie `number` are in the sums."""
        return self._placed[number].is_chosen if number in self._placed else np.zeros(0, dtype=bool)

    def choose(self, number: int, particles: ParticleSpectra, chosen: NDArray[np.bool_]) -> None:
        """Put in what was left out and take out what is not wanted any more, where it was found last: no search.

        `particles` are those that were given to `add`. Raises as `again`.
        """
        old = self._placed[number]
        _refuse_other_number(number, old, particles)
        new = replace(old, chosen=None if chosen.all() else chosen)
        as_put_in = particles.without_beam_tilt(old.beam_tilt_mrad, self._plane)
        for which, sign in ((new.is_chosen & ~old.is_chosen, 1.0), (old.is_chosen & ~new.is_chosen, -1.0)):
            if which.any():
                index = torch.from_numpy(np.nonzero(which)[0]).to(self._device)
                self._sums.insert(as_put_in.chosen(index), old.rows(which), sign=sign)
        if self._classes is not None:
            self._classes.take_out(number, as_put_in, old)
            self._classes.put_in(number, as_put_in, new)
        self._tally.take_out(old)
        self._tally.put_in(new)
        self._placed[number], self._compared = new, None
        if not new.is_chosen.any():
            self._held_out.pop(number, None)

    def again(self, number: int, particles: ParticleSpectra, chosen: NDArray[np.bool_] | None = None) -> FoundPoses:
        """Search a movie's particles against the present references; they move to where they are found now.

        `particles` are those that were given to `add`, weighted as then; `chosen` as there.

        Raises
        ------
        KeyError
            If movie `number` has no particles in the map.
        ValueError
            If it has another number of them.
        """
        old = self._placed[number]
        _refuse_other_number(number, old, particles)
        as_put_in = particles.without_beam_tilt(old.beam_tilt_mrad, self._plane)
        self._sums.insert(as_put_in, old, sign=-1.0)
        if self._classes is not None:
            self._classes.take_out(number, as_put_in, old)
        self._tally.take_out(old)
        return self._place(number, particles, old.half_set, old.shell_ssnr, chosen)

    def evidence(
        self, number: int, particles: ParticleSpectra, *, voltage_kv: float, cs_mm: float
    ) -> ParticleEvidence | None:
        """What a movie's particles, as they stand, say of its losses against the maps of the other half-sets.

        None: there are no half maps yet that hold more than the start, or they are not seen in these particles.
        `particles` are those that were given to `add` (KeyError: movie `number` has none in the map).
        """
        placed = self._placed[number]
        if not self._renewals:
            return None
        known, sums = self._compared, None
        if known is not None and known[0] == number:
            sums = known[1]
        if sums is None:
            as_put_in = particles.without_beam_tilt(placed.beam_tilt_mrad, self._plane)
            sums = self._own_comparison().sums(as_put_in, placed)
        return self._own_comparison().evidence(
            sums, voltage_kv=voltage_kv, cs_mm=cs_mm, corrected_mrad=placed.beam_tilt_mrad
        )

    def _own_comparison(self) -> HalfMapComparison:
        if self._comparison is None:
            self._comparison = HalfMapComparison(
                self._references,
                self._reference_fsc,
                self._plane,
                renewal=self._renewals,
                first_shell=self._first_shell,
                last_searched_per_angstrom=self._search(0).finest_per_angstrom,
                device=self._device,
            )
        return self._comparison

    def _place(
        self,
        number: int,
        particles: ParticleSpectra,
        half_set: NDArray[np.int8],
        shell_ssnr: NDArray[np.float32],
        chosen: NDArray[np.bool_] | None,
    ) -> FoundPoses:
        tilt_mrad, optics = self.beam_tilt.of(number), particles.optics
        particles = particles.without_beam_tilt(tilt_mrad, self._plane)
        found = self._orient(particles, half_set, shell_ssnr)
        poses, shift_px = found.poses.astype(np.float32), found.shift_px.astype(np.float32)
        certainty = found.certainty.astype(np.float32)
        added = PlacedParticles(half_set, poses, shift_px, certainty, shell_ssnr, self._renewals, tilt_mrad)
        added = added if chosen is None or chosen.all() else replace(added, chosen=chosen)
        self._sums.insert(particles, added, sign=1.0)
        self._tally.put_in(added)
        if self._classes is not None:
            self._classes.put_in(number, particles, added)
        if number not in self._placed:
            self._numbers.append(number)
        self._placed[number] = added
        if self._renewals:
            sums = self._own_comparison().sums(particles, added)
            self._hold_out(number, self._own_comparison().held_out(sums))
            self._compared = number, sums
            self._measure_tilt(number, sums, optics)
        return found

    def _hold_out(self, number: int, rings: HeldOutRings) -> None:
        self._held_out[number] = rings
        if len(self._held_out) > held_out_weights.MOST_MOVIES:
            del self._held_out[min(self._held_out)]

    def _measure_tilt(self, number: int, sums: ParticleSums, optics: CtfParameters | None) -> None:
        left = None
        if optics is not None:
            left = beam_tilt(sums, self._plane, voltage_kv=optics.voltage_kv, cs_mm=optics.cs_mm)
        if left is None:
            self.beam_tilt.not_measured(number)
            return
        whole = self._placed[number].beam_tilt_mrad + np.array([left.x_mrad, left.y_mrad])
        self.beam_tilt.measured(number, whole, left.covariance_mrad2)

    def round(self) -> MapRound:
        """The present maps; changes nothing."""
        mixture = self._mixture()
        halves = self._sums.half_maps(mixture)
        agreement = self._agreement(halves)
        uniform = agreement.corrected
        if mixture.share.any():
            uniform = self._agreement(self._sums.half_maps(mixture.without_causes()), agreement.mask).corrected
        gain = agreement.corrected.map_filter()
        gain = np.concatenate([np.full(self._first_shell - 1, gain[0]), gain])
        # Outside of the map's outline there is noise alone; half maps keep it, so that others can judge by it.
        full = filtered(self._sums.whole_map(mixture) * self._mask, gain) * agreement.mask.values.to(self._device)
        half1, half2 = ((half * self._mask).cpu() for half in halves)
        own = self._tally.own_share > 0.5
        return MapRound(
            full.cpu(),
            half1,
            half2,
            agreement,
            uniform,
            self._plane.pixel_size_angstrom,
            own,
            self._tally.discarded_share,
            None if self._classes is None else self._classes.round(),
            self._mean_share(mixture, agreement.corrected) if self._numbers else None,
        )

    def _mixture(self) -> Mixture:
        shells = 1 + int(np.rint(self._plane.radius_px.max()))
        return held_out_mixture(self._placed, self._held_out, self._tally.mean_amplitude, shells)

    def _mean_share(self, mixture: Mixture, fsc: FscCurve) -> float:
        resolution = fsc.resolution_angstrom(_FSC_THRESHOLD)
        box_angstrom = self._plane.box_px * self._plane.pixel_size_angstrom
        last = len(mixture.share) if resolution is None else math.floor(box_angstrom / resolution) + 1
        return float(mixture.share[self._first_shell : max(last, self._first_shell + 1)].mean())

    def class_share(self, number: int) -> NDArray[np.float32] | None:
        """(n, K) probabilities of the classes of movie `number`'s particles; None: they have none."""
        return None if self._classes is None else self._classes.share_of(number)

    def _agreement(self, halves: list[Tensor], mask: MapMask | None = None) -> HalfMapFsc:
        """Of half maps that no mask has touched, from the particle's own size to the plane's last ring."""
        return half_map_fsc(
            halves[0],
            halves[1],
            pixel_size_angstrom=self._plane.pixel_size_angstrom,
            diameter_angstrom=self._diameter_angstrom,
            mask=mask,
            first_shell=self._first_shell,
            last_shell=int(self._plane.radius_px.max()),
        )

    def _search(self, half: int) -> OrientationSearch:
        search = self._searches[half]
        if search is None:
            search = OrientationSearch(
                self._references[half],
                self._plane,
                resolution_angstrom=self._reference_resolution_angstrom,
                diameter_angstrom=self._diameter_angstrom,
                symmetry=self._symmetry,
                device=self._device,
            )
            self._searches[half] = search
            if self._references[0] is self._references[1]:
                self._searches = [search, search]
        return search

    def _orient(
        self, particles: ParticleSpectra, half_set: NDArray[np.int8], shell_ssnr: NDArray[np.float32]
    ) -> FoundPoses:
        n = len(half_set)
        found = FoundPoses(np.zeros((n, 3, 3)), np.zeros((n, 2)), np.zeros(n), np.zeros(n))
        damped = particles.ctf * torch.sqrt(on_plane(shell_ssnr, self._plane, self._device))
        as_shown = replace(particles, ctf=damped)
        for half in (0, 1):
            chosen = np.nonzero(half_set == half + 1)[0]
            if not chosen.size:
                continue
            part = self._search(half).find(as_shown.chosen(torch.from_numpy(chosen).to(self._device)))
            found.poses[chosen], found.shift_px[chosen] = part.poses, part.shift_px
            found.score[chosen], found.certainty[chosen] = part.score, part.certainty
        return found

    def _renew_references(self) -> None:
        if not self.particle_count:
            return  # nobody is chosen
        halves = [half * self._mask for half in self._sums.half_maps(self._mixture())]
        references, fsc = reference_maps(
            halves, self._plane.pixel_size_angstrom, self._mask, first_shell=self._first_shell
        )
        resolution = fsc.resolution_angstrom(_FSC_THRESHOLD)
        box_angstrom = self._plane.box_px * self._plane.pixel_size_angstrom
        start_end = 1 / self._start_resolution_angstrom + _PAST_THE_START_VOXELS / box_angstrom
        if resolution is None or 1 / resolution <= start_end:
            return  # the start still knows more than the data
        if self._classes is not None:
            self._classes.renew(references)
        self._references, self._reference_fsc = references, fsc
        self._reference_resolution_angstrom = resolution
        self._searches, self._comparison, self._compared = [None, None], None, None
        self._renewals += 1
        self.beam_tilt.renew()

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs to go on exactly as if nothing had happened."""
        arrays = self.fixed() | to_arrays(self._placed) | held_out_weights.to_arrays(self._held_out)
        arrays |= self.beam_tilt.state()
        if self._classes is not None:
            arrays |= _named(self._classes.state())
        return arrays

    def fixed(self) -> dict[str, NDArray[Any]]:
        """Of it, what does not grow with the session."""
        arrays: dict[str, NDArray[Any]] = {
            "movie_count": np.array(self.movie_count, dtype=np.int64),
            "resolution_angstrom": np.array([self._start_resolution_angstrom, self._reference_resolution_angstrom]),
            "references": torch.stack(self._references).cpu().numpy(),
            "reference_fsc": np.array([self._reference_fsc.frequency_per_angstrom, self._reference_fsc.fsc]),
            "again": np.array([self._renewals, self._next_again], dtype=np.int64),
        }
        arrays |= self._sums.state() | self._tally.state() | self.beam_tilt.fixed()
        return arrays if self._classes is None else arrays | _named(self._classes.fixed())

    def changes(self) -> dict[str, NDArray[Any]]:
        """What changed of single movies since `written`."""
        arrays = to_arrays(self._placed.changed()) | self.beam_tilt.changes()
        arrays |= held_out_weights.to_arrays(self._held_out.changed(), self._held_out.removed())
        return arrays if self._classes is None else arrays | _named(self._classes.changes())

    @property
    def tables(self) -> tuple[MovieTable[int, Any], ...]:
        """What grows with the session."""
        own: tuple[MovieTable[int, Any], ...] = (self._placed, self._held_out, *self.beam_tilt.tables)
        return own if self._classes is None else (*own, *self._classes.tables)

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """From `state`, or from `fixed`, whereupon all `changes` follow (`take_changes`).

        Raises
        ------
        KeyError, ValueError
            The arrays are not those of such a map.
        """
        self._sums.restore(arrays)
        self._references = [torch.from_numpy(array).to(self._device) for array in arrays["references"]]
        self._start_resolution_angstrom, self._reference_resolution_angstrom = map(float, arrays["resolution_angstrom"])
        frequency_per_angstrom, fsc = arrays["reference_fsc"].tolist()
        self._reference_fsc = FscCurve(tuple(frequency_per_angstrom), tuple(fsc))
        self._searches, self._comparison, self._compared = [None, None], None, None
        self.movie_count = int(arrays["movie_count"])
        self._renewals, self._next_again = (int(value) for value in arrays["again"])
        self._tally.restore(arrays)
        self._placed, self._held_out, self._numbers = MovieTable(), MovieTable(), []
        self._take_rows(arrays)
        self.beam_tilt.restore(arrays)
        if self._classes is not None:
            self._classes.restore(_of_classes(arrays))

    def take_changes(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """What `changes` told once, in that order. Raises as `restore`."""
        self._take_rows(arrays)
        self.beam_tilt.take_changes(arrays)
        if self._classes is not None:
            self._classes.take_changes(_of_classes(arrays))

    def _take_rows(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        placed = from_arrays(arrays)
        self._numbers += [number for number in placed if number not in self._placed]
        self._placed.take(placed)
        self._held_out.take(held_out_weights.from_arrays(arrays), held_out_weights.removed_from(arrays))


def _named(of_classes: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{_CLASSES}{part}": array for part, array in of_classes.items()}


def _of_classes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(_CLASSES): array for name, array in arrays.items() if name.startswith(_CLASSES)}


def _refuse_other_number(number: int, placed: PlacedParticles, particles: ParticleSpectra) -> None:
    if len(placed.half_set) != len(particles.values):
        raise ValueError(f"movie {number} has {len(placed.half_set)} particles in the map, not {len(particles.values)}")
