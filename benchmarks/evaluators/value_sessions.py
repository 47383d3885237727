"""Simulated sessions with a known quality of their maps, for `value_weights.py`: particles, half-maps, verdicts.

A session is some hundred to some thousand particles of a real structure in twenty movies. Slices of its potential get
the CTF, an envelope and white noise, are put into half-maps by frazil's accumulator at poses with errors, and are
judged in four rounds by frazil's evaluators, from what a session has: half-map FSC, spectra, CTF figures, half-sets,
doses, timings, forecasts. The truth (the potential itself) makes the images and the quality; no evaluator is given it.

Each session draws its number of particles, ice, drift and poses, and each of these faults with a chance of its own:
particles in both half-sets (in half of such sessions as picks at the same place, else a few pixels apart), both halves
aligned to one noisy reference at full resolution, false picks, wrong defocus in some movies, a pixel size that is a few
per cent off, a dose that is not the one stated, movies cut short, views from one side only, a slow computer (which has
nothing to do with the map).

What is not simulated: movies. Spectra with the rings of even and odd frames are drawn from their law (a complex Wishart
matrix a ring); where a CTF fit ends follows from the rings' signal; nothing is run twice. C1 throughout.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.atomic_model.potential import Atoms, read_atoms
from frazil.models.atomic_model.projection import potential_map
from frazil.models.evaluation.facts import MapFacts, MapForecast, MovieFacts, RoundFacts, ShapeComparison
from frazil.models.evaluation.novelty.reference_index import ReferenceIndex
from frazil.models.evaluation.novelty.shape_comparison import compare
from frazil.models.evaluation.novelty.shape_map import level_of
from frazil.models.evaluation.panel import judge
from frazil.models.evaluation.verdict import Verdict
from frazil.models.optics.ctf import CtfParameters, chi_2d
from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator, shell_index
from frazil.models.reconstruction.fourier.centred_fft import centred_fft
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane, FourierVolume
from frazil.models.reconstruction.resolution.forecast import ssnr_of
from frazil.models.reconstruction.resolution.fsc import FscCurve, filtered, fourier_shell_correlation
from frazil.models.reconstruction.resolution.half_map_fsc import HalfMapFsc, half_map_fsc
from frazil.models.reconstruction.resolution.masks import map_mask
from frazil.models.records import (
    AcquisitionMetadata,
    CtfEstimate,
    DeviceReport,
    FrameShifts,
    MovieFiles,
    MovieHeader,
    MovieResult,
    ParticlePicks,
    Quality,
    Spectra,
    StageTiming,
)

BOX = 64
MOVIES, ROUND = 20, 5
MICROGRAPH_PIXEL = 1.1
DOSE, FRAMES = 1.0, 40
Float = NDArray[Any]


@dataclass(frozen=True)
class Draw:
    """What a session is. Angles in degrees, lengths in angstrom, B-factors in A2."""

    structure: str
    seed: int
    pixel: float
    particles: int
    signal: float
    """Power of a particle against noise of 1 at 1/20 A, in ice of no thickness."""
    b_factor: float
    ice: float
    """ln loss of signal."""
    drift: float
    """B-factor of the worst movies' drift."""
    pose_error: float
    shift_error: float
    false_picks: float
    overlap: float = 0.0
    overlap_seen: bool = False
    shared_reference: bool = False
    wrong_defocus: float = 0.0
    pixel_off: float = 0.0
    dose_off: float = 0.0
    short_movies: bool = False
    one_sided: bool = False
    slow: bool = False
    graph: bool = True
    references: bool = True

    @property
    def faults(self) -> list[str]:
        named = {
            "overlap": self.overlap, "shared reference": self.shared_reference, "defocus": self.wrong_defocus,
            "pixel": self.pixel_off, "dose": self.dose_off, "short": self.short_movies, "views": self.one_sided,
            "slow": self.slow,
        }  # fmt: skip
        return [name for name, there in named.items() if there]


@dataclass(frozen=True)
class Judged:
    """A session's end."""

    draw: Draw
    verdicts: Mapping[str, Verdict]
    truth_per_angstrom: float
    """Where FSC of the map with the true potential falls below 0.5; 0: it starts below."""
    truth_fsc: float
    """Mean of that FSC up to 1/8 A."""
    claimed_angstrom: float | None


def drawn(structure: str, seed: int, diameter: float) -> Draw:
    """A session at random; the same arguments give the same one."""
    rng = np.random.default_rng([seed, 2022])

    def there(chance: float) -> bool:
        return bool(rng.uniform() < chance)

    pixel = max(float(rng.uniform(3.2, 3.8)), 1.35 * diameter / BOX)
    draw = Draw(
        structure=structure,
        seed=seed,
        pixel=pixel,
        particles=int(math.exp(rng.uniform(math.log(250), math.log(2500)))),
        signal=float(math.exp(rng.uniform(math.log(0.05), math.log(0.4)))),
        b_factor=float(rng.uniform(80, 350)),
        ice=float(rng.exponential(0.4)),
        drift=float(rng.exponential(80)),
        pose_error=float(rng.gamma(2.0, 1.3)),
        shift_error=float(rng.gamma(2.0, 0.8)),
        false_picks=float(rng.beta(1, 6)),
    )
    return replace(
        draw,
        overlap=float(rng.uniform(0.2, 0.8)) if there(0.2) else 0.0,
        overlap_seen=there(0.5),
        shared_reference=there(0.15),
        wrong_defocus=float(rng.uniform(0.2, 0.7)) if there(0.2) else 0.0,
        pixel_off=float(rng.choice([-1, 1]) * rng.uniform(0.02, 0.05)) if there(0.1) else 0.0,
        dose_off=float(rng.uniform(0.3, 0.6)) if there(0.15) else 0.0,
        short_movies=there(0.15),
        one_sided=there(0.1),
        slow=there(0.2),
        graph=there(0.7),
        references=there(0.7),
    )


@lru_cache(maxsize=32)
def atoms_of(path: Path) -> Atoms:
    return read_atoms(path)


def diameter_of(atoms: Atoms) -> float:
    return 2 * float(np.percentile(np.linalg.norm(atoms.position_angstrom, axis=1), 99.5)) + 4


def judged(
    draw: Draw, path: Path, *, impact: Verdict | None = None, references: ReferenceIndex | None = None
) -> Judged:
    """Run a session: four rounds, each with its map and its verdicts from the one before."""
    session = _Session(draw, atoms_of(path))
    earlier: dict[str, Mapping[str, Any]] = {}
    said: dict[str, Verdict] = {}
    agreement: HalfMapFsc | None = None
    movies: list[MovieFacts] = []
    rounds: list[tuple[int, float]] = []
    forecasts: list[MapForecast] = []
    for number in range(MOVIES // ROUND):
        new = [session.movie(ROUND * number + one) for one in range(ROUND)]
        movies += new
        halves = session.halves()
        agreement = session.agreement(halves)
        count = len(movies)
        resolution = agreement.corrected.resolution_angstrom(0.143)
        last = number == MOVIES // ROUND - 1
        if resolution is not None:
            rounds.append((count, resolution))
            if 2 * count <= MOVIES:
                found = ssnr_of(agreement.corrected, agreement.chance_covariance(BOX, 1)).resolution(2.0)
                forecasts.append(MapForecast(count, 2 * count, found.median, found.low, found.high))
        shape = None
        why: tuple[str, ...] = ("no reference structures supplied",)
        if last and references is not None and draw.references:
            shape, why = _shape(session, halves, agreement, references)
        facts = RoundFacts(
            round=number,
            movies=tuple(new),
            symmetry="C1",
            box_px=round(BOX * draw.pixel / MICROGRAPH_PIXEL),
            micrograph_pixel_size_angstrom=MICROGRAPH_PIXEL,
            diameter_angstrom=session.diameter,
            map=session.map_facts(number + 1, movies, agreement),
            impact=impact if draw.graph else None,
            shape=shape,
            no_shape=why,
            map_rounds=tuple(rounds),
            map_forecasts=tuple(forecasts),
            earlier=earlier,
        )
        said = {verdict.evaluator: verdict for verdict in judge(facts)}
        earlier = {name: verdict.evidence for name, verdict in said.items()}
    assert agreement is not None
    truth = session.against_truth()
    inside = np.array(truth.frequency_per_angstrom) <= 1 / 8
    reached = truth.resolution_angstrom(0.5)
    return Judged(
        draw=draw,
        verdicts=said,
        truth_per_angstrom=0.0 if reached is None else 1 / reached,
        truth_fsc=float(np.mean(np.array(truth.fsc)[inside])),
        claimed_angstrom=agreement.corrected.resolution_angstrom(0.143),
    )


class _Session:
    """Makes particles movie by movie, and keeps the half-maps."""

    def __init__(self, draw: Draw, atoms: Atoms) -> None:
        self.draw, self.rng = draw, np.random.default_rng([draw.seed, 7])
        self.diameter = diameter_of(atoms)
        self.plane = FourierPlane.of_box(BOX, draw.pixel)
        self.labelled_pixel = draw.pixel * (1 + draw.pixel_off)
        real = potential_map(atoms, box_px=BOX, pixel_size_angstrom=draw.pixel, b_factor_a2=0.0)
        self.truth = potential_map(atoms, box_px=BOX, pixel_size_angstrom=self.labelled_pixel, b_factor_a2=0.0)
        shells = shell_index(BOX).flatten()
        power = torch.bincount(shells, weights=centred_fft(real.double(), 3).abs().square().flatten())
        power = power / torch.bincount(shells)
        at = BOX * draw.pixel / 20.0
        level = float(power[round(at) - 1 : round(at) + 2].mean())
        self.volume = FourierVolume(real * math.sqrt(draw.signal / level), device=torch.device("cpu"))
        self.sums = tuple(FourierAccumulator(BOX, device=torch.device("cpu")) for _ in range(2))
        self.reference: FourierVolume | None = None
        if draw.shared_reference:
            # What a refinement without half-sets aligns to: the specimen to some 20 A, and noise to the end.
            generator = torch.Generator().manual_seed(draw.seed)
            noise = torch.randn(BOX, BOX, BOX, generator=generator) * float(real.std())
            gain = np.exp(-((np.arange(1, BOX // 2) / at) ** 2))
            self.reference = FourierVolume(filtered(real, gain) + noise, device=torch.device("cpu"))
        self.k = self.plane.frequency_per_angstrom
        self.drifts = draw.drift * self.rng.uniform(0, 2, MOVIES)
        self.wrong = self.rng.uniform(size=MOVIES) < draw.wrong_defocus

    # ---- one movie

    def movie(self, number: int) -> MovieFacts:
        draw, rng = self.draw, self.rng
        frames = 26 if draw.short_movies and number >= MOVIES // 2 else FRAMES
        count = max(4, round(draw.particles / MOVIES * rng.uniform(0.6, 1.4)))
        ice = draw.ice * float(rng.uniform(0.7, 1.3))
        b_factor = draw.b_factor + float(self.drifts[number]) + 250.0 * draw.dose_off
        defocus = float(rng.uniform(8_000, 24_000))
        astigmatism, angle = float(rng.uniform(0, 400)), float(rng.uniform(-90, 90))
        optics = CtfParameters(300.0, 2.7, 0.1, defocus + astigmatism / 2, defocus - astigmatism / 2, angle)
        off = float(rng.choice([-1, 1]) * rng.uniform(0.1, 0.35)) if self.wrong[number] else 0.0
        assumed = replace(
            optics,
            defocus_u_angstrom=optics.defocus_u_angstrom * (1 + off),
            defocus_v_angstrom=optics.defocus_v_angstrom * (1 + off),
        )
        amplitude = math.sqrt(frames / FRAMES) * math.exp(-ice / 2)
        in_both, halves = self._particles(count, amplitude, b_factor, optics, assumed)
        return self._facts(number, count, in_both, halves, frames, ice, b_factor, assumed)

    def _particles(
        self, count: int, amplitude: float, b_factor: float, optics: CtfParameters, assumed: CtfParameters
    ) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        draw, rng, plane = self.draw, self.rng, self.plane
        poses = self._views(count)
        m = len(plane.kx)
        signal = self.volume.slices(torch.from_numpy(poses), plane, m)
        transfer, belief = self._transfer(optics), self._transfer(assumed)
        envelope = torch.from_numpy(np.exp(-b_factor * self.k**2 / 4)).float()
        there = torch.from_numpy(rng.uniform(size=count) >= draw.false_picks)[:, None]
        noise = torch.from_numpy(rng.standard_normal((count, m, 2)).astype(np.float32) / math.sqrt(2))
        # A projection along a view has BOX times the power, per sample, of the map's shell divided by BOX.
        values = amplitude * signal * envelope * transfer * there + torch.view_as_complex(noise)
        given = _turned(poses, np.radians(rng.normal(0, draw.pose_error, (count, 3))))
        shifts = rng.normal(0, draw.shift_error / draw.pixel, (count, 2))
        if self.reference is not None:
            shifts = shifts + self._aligned(values, given, belief)
        centred = values * plane.phases(shifts, m, torch.device("cpu"))
        halves = np.arange(count) % 2 + 1
        in_both = rng.uniform(size=count) < draw.overlap
        turned = torch.from_numpy(given).float()
        for half in (1, 2):
            index = torch.from_numpy(np.nonzero((halves == half) | in_both)[0])
            if len(index):
                weight = belief[None].expand(len(index), m)
                self.sums[half - 1].insert(plane, turned[index], centred[index] * weight, weight**2)
        return in_both, halves

    def _views(self, count: int) -> Float:
        """(n, 3, 3) uniform rotations; one-sided: seen within 40 degrees of z."""
        quaternion = self.rng.standard_normal((40 * count if self.draw.one_sided else count, 4))
        poses = _rotations(quaternion)
        if self.draw.one_sided:
            poses = poses[np.abs(poses[:, 2, 2]) > math.cos(math.radians(40))][:count]
        return poses

    def _aligned(self, values: Tensor, poses: Float, transfer: Tensor) -> Float:
        """(n, 2) the shifts within two pixels at which the images look most like the shared reference."""
        assert self.reference is not None
        expected = self.reference.slices(torch.from_numpy(poses), self.plane, values.shape[1]) * transfer
        product = values * expected.conj()
        steps = np.array([(x, y) for x in range(-2, 3) for y in range(-2, 3)], dtype=np.float64)
        score = (product @ self.plane.phases(steps, values.shape[1], torch.device("cpu")).T).real
        return np.asarray(steps[score.argmax(dim=1).numpy()])

    def _transfer(self, optics: CtfParameters) -> Tensor:
        size = BOX * self.draw.pixel
        kx, ky = torch.from_numpy(self.plane.kx / size), torch.from_numpy(self.plane.ky / size)
        return torch.sin(chi_2d(optics, kx, ky)).float()

    def _facts(
        self,
        number: int,
        count: int,
        in_both: NDArray[np.bool_],
        halves: NDArray[Any],
        frames: int,
        ice: float,
        b_factor: float,
        optics: CtfParameters,
    ) -> MovieFacts:
        draw, rng = self.draw, self.rng
        places = rng.uniform(200, 3800, (count, 2))
        twice = places[in_both] + (0.0 if draw.overlap_seen else 4.0)
        x, y = np.concatenate([places, twice]).T.round(1).tolist()
        half_set = tuple(np.concatenate([halves, 3 - halves[in_both]]).tolist())
        dose = DOSE * frames
        rings = 3.0 * frames / FRAMES * draw.signal / 0.15 * math.exp(-ice)
        drifted = float(self.drifts[number])
        shared = math.exp(-drifted / 250.0)
        spectra, fit = _spectra(rng, rings, b_factor, shared, dose * 15)
        failed = bool(self.wrong[number]) and rng.uniform() < 0.6
        reliable = fit is not None and fit < 15 and not failed
        stated = DOSE * FRAMES * (1 + draw.dose_off)
        seconds = 14.0 * frames / FRAMES * math.exp(rng.normal(0, 0.04))
        if draw.slow and rng.uniform() < 0.4:
            seconds *= float(rng.uniform(1.5, 5))
        zeros = (0.0,) * frames
        result = MovieResult(
            movie_id=f"movie{number:03d}",
            parameter_hash="p",
            code_version="0",
            prior_version=0,
            header=MovieHeader("m.tif", "tiff", frames, 4000, 4000, "uint8", MICROGRAPH_PIXEL),
            pixel_size_angstrom=MICROGRAPH_PIXEL,
            shifts=FrameShifts(zeros, zeros, (0.3,) * frames, 0.1 * drifted, 0.05 * drifted, 0.05 * drifted, True),
            local_motion=None,
            ctf=CtfEstimate(
                optics.defocus_u_angstrom, optics.defocus_v_angstrom, optics.astigmatism_angle_deg, 0.0, 30.0, 40.0,
                None if fit is None else max(fit, 2 * MICROGRAPH_PIXEL), 0.3, 0.0, reliable,
                "" if reliable else "no rings",
            ),
            spectra=spectra,
            quality=Quality(DOSE * frames * 1.2, DOSE * MICROGRAPH_PIXEL**2 * math.exp(-0.1 * ice), 0, ice, 0.0, False),
            picks=ParticlePicks(tuple(x), tuple(y), (1.0,) * len(x), self.diameter),
            losses=None,
            files=MovieFiles(),
            device=DeviceReport("worker-0", "host", "cpu", "a processor", None, 1),
            timings=(StageTiming("all", seconds),),
        )  # fmt: skip
        return MovieFacts(
            result=result,
            metadata=AcquisitionMetadata(frame_count=FRAMES, total_dose_e_per_a2=stated * frames / FRAMES),
            pixel_size_angstrom=MICROGRAPH_PIXEL,
            dose_per_frame_e_per_a2=DOSE,
            half_set=half_set,
            half_set_x_px=tuple(x),
            half_set_y_px=tuple(y),
        )

    # ---- the map

    def halves(self) -> tuple[Tensor, Tensor]:
        first, second = self.sums
        return first.volume(), second.volume()

    def agreement(self, halves: tuple[Tensor, Tensor]) -> HalfMapFsc:
        first = math.ceil(BOX * self.labelled_pixel / self.diameter)
        return half_map_fsc(
            *halves,
            pixel_size_angstrom=self.labelled_pixel,
            diameter_angstrom=self.diameter,
            first_shell=first,
            last_shell=BOX // 2 - 2,
        )

    def whole(self) -> Tensor:
        first, second = self.sums
        return (first + second).volume()

    def against_truth(self) -> FscCurve:
        """Of the whole map with the potential, both under a mask made of the potential."""
        mask = map_mask(
            self.truth,
            pixel_size_angstrom=self.labelled_pixel,
            diameter_angstrom=self.diameter,
            agreed_angstrom=2 * self.labelled_pixel,
        )
        curve = fourier_shell_correlation(
            self.whole(), self.truth, pixel_size_angstrom=self.labelled_pixel, mask=mask.values
        )
        keep = slice(1, BOX // 2 - 2)
        return FscCurve(curve.frequency_per_angstrom[keep], curve.fsc[keep])

    def map_facts(self, number: int, movies: list[MovieFacts], agreement: HalfMapFsc) -> MapFacts:
        sets = [one.half_set or () for one in movies]
        count = sum(len(one) for one in sets)
        curve = agreement.corrected
        return MapFacts(
            round=number,
            movie_count=len(movies),
            particle_count=count,
            symmetry="C1",
            resolution_0143_angstrom=curve.resolution_angstrom(0.143),
            frequency_per_angstrom=curve.frequency_per_angstrom,
            fsc=curve.fsc,
            processed_movie_count=len(movies),
            extracted_particle_count=count,
            half_set_particle_counts=(sum(one.count(1) for one in sets), sum(one.count(2) for one in sets)),
            halved_particle_count=count,
        )


def _shape(
    session: _Session, halves: tuple[Tensor, Tensor], agreement: HalfMapFsc, references: ReferenceIndex
) -> tuple[ShapeComparison | None, tuple[str, ...]]:
    resolution = agreement.corrected.resolution_angstrom(0.143)
    level = None if resolution is None else level_of(resolution)
    if resolution is None or level is None:
        return None, ("the map is too coarse",)
    gain = agreement.corrected.map_filter()
    gain = np.concatenate([np.full(agreement.first_shell - 1, gain[0]), gain])
    whole = filtered(session.whole(), gain) * agreement.mask.values
    try:
        found = compare(
            whole,
            halves,
            references,
            pixel_size_angstrom=session.labelled_pixel,
            resolution_angstrom=resolution,
            level_angstrom=level,
        )
    except ValueError as error:
        return None, (str(error),)
    return found, ()


def _spectra(
    rng: np.random.Generator, rings: float, b_factor: float, shared: float, samples: float
) -> tuple[Spectra, float | None]:
    """Power and half correlation with Thon rings, of which `shared` is in both halves, and how far a fit would follow
    them: where the rings of a shell stand out by less than three sigma. None: nowhere."""
    frequency = np.arange(0.015, 0.38, 0.0025)
    height = rings * np.exp(-b_factor * frequency**2 / 2)
    power = height * np.sin(np.pi * 1.97e-2 * 1.5e4 * frequency**2) ** 2
    noise = 1.0 - 0.3 * frequency
    count = (samples * 40 * frequency).astype(int)
    common, own = shared * power / 4, ((1.0 - shared) * power + noise) / 2
    first = np.sqrt(common + own)
    across = common / first
    second = np.sqrt(np.maximum(common + own - across**2, 1e-9))
    a11, a22 = np.sqrt(rng.gamma(count)), np.sqrt(rng.gamma(count - 1))
    a21 = (rng.standard_normal(count.size) + 1j * rng.standard_normal(count.size)) / np.sqrt(2)
    even, odd_with_even, odd_alone = first * a11, across * a11 + second * a21, second * a22
    power_even, power_odd = even**2, np.abs(odd_with_even) ** 2 + odd_alone**2
    cross = even * odd_with_even.real
    stands = height * shared * np.sqrt(count) > 3.0 * 8.0
    reach = None if not stands[0] else float(1 / frequency[len(stands) - 1 if stands.all() else np.argmin(stands)])
    flat = tuple(np.ones_like(frequency).tolist())
    return (
        Spectra(
            tuple(frequency.tolist()),
            tuple(((power_even + power_odd + 2 * cross) / count).tolist()),
            flat,
            tuple(power.tolist()),
            tuple((cross / np.sqrt(power_even * power_odd)).tolist()),
        ),
        reach,
    )


def _rotations(quaternion: Float) -> Float:
    w, x, y, z = (quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rows).transpose(2, 0, 1)


def _turned(poses: Float, small: Float) -> Float:
    """Poses after small rotations (n, 3) in radians."""
    angle = np.linalg.norm(small, axis=1, keepdims=True)
    axis = small / np.maximum(angle, 1e-12)
    return np.asarray(_rotations(np.concatenate([np.cos(angle / 2), np.sin(angle / 2) * axis], axis=1)) @ poses)


def structures(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Files of the folder that begin with these names.

    Raises
    ------
    FileNotFoundError
        One is not there.
    """
    found = []
    for name in names:
        here = sorted(folder.glob(f"{name}*"))
        if not here:
            raise FileNotFoundError(f"{folder} holds no {name}: name the folder of structures with --structures")
        found.append(here[0])
    return found


def sessions(paths: list[Path], count: int, seed: int) -> Iterator[tuple[Draw, Path]]:
    """Sessions of these structures in turn."""
    for number in range(count):
        path = paths[number % len(paths)]
        yield drawn(path.name.split(".")[0], seed + number, diameter_of(atoms_of(path))), path
