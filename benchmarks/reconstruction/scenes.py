"""Stacks of particles with known poses, centres, optics and losses, for `reconstruction.py`.

Made with the physics of `ctf_scenes.py` (which shares no code with frazil): atoms of real structures are turned,
projected to phase against displaced water, passed through CTF, coherence, radiation damage and drift, and counted over
an ice that scatters and that absorbs. Boxes are cut off-centre and normalised as RELION does it.

Specimens: `pentamer` (C5, made of five copies of a chain of some 24 kDa), `belted` (C4, four chains of 54 kDa in a
detergent belt), and structures as they are deposited (`gltph` C3; `p97`, `proteasome`, `groel` without symmetry).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from benchmarks.ctf import scenes as ctf_scenes
from benchmarks.ctf.scenes import interaction, scattering_factor

Array = NDArray[Any]
_ELEMENTS = {"C": (0, 1.2), "N": (1, 1.25), "O": (2, 0.2), "P": (3, 0.0), "S": (3, 0.0)}
"""Kind, and hydrogens that go with it."""
_MEAN_FREE_PATH_ANGSTROM = 3400.0
_SHIFT_STEP_UM = 1.5
"""Image shift of one step of the coma: 0.26 mrad/um, more than is usual."""
_KV = 300.0
_PAD_PX = 96
"""Contrast that the CTF displaces comes from as far as this outside of a box."""


@dataclass(frozen=True, slots=True)
class Specimen:
    name: str
    symmetry: str
    position: NDArray[Any]
    """(n, 3) A, axes where RELION's point group has them."""
    kind: NDArray[Any]
    belt_angstrom: tuple[float, float, float] | None = None
    """Radius, height and thickness of a detergent torus about z."""

    @property
    def diameter_angstrom(self) -> float:
        reach = float(np.percentile(np.linalg.norm(self.position, axis=1), 99.5))
        if self.belt_angstrom is not None:
            reach = max(reach, self.belt_angstrom[0] + self.belt_angstrom[2])
        return 2 * reach + 4

    @property
    def mass_kda(self) -> float:
        return 14.1 * len(self.position) / 1000  # heavy atoms with their hydrogens


@dataclass(frozen=True, slots=True)
class Movie:
    """Truth of one movie and its particles."""

    name: str
    optics: ctf_scenes.Truth
    stack: Array = field(repr=False)
    """(n, box, box) bright, background 0 +- 1."""
    poses: NDArray[Any] = field(repr=False)
    """(n, 3, 3) RELION's Euler matrices."""
    shift_px: NDArray[Any] = field(repr=False)
    """(n, 2) x, y displacement of the particle from pixel box // 2, in pixels of the stack."""
    frequency_per_angstrom: NDArray[Any] = field(repr=False)
    ln_relative_ssnr: NDArray[Any] = field(repr=False)
    """True loss of signal against noise at these frequencies, minus its value for an ideal exposure; <= 0."""
    ln_without_coma: NDArray[Any] = field(repr=False)
    """The same without what coma takes."""
    coma_rad: tuple[float, float]
    """Phase by coma at 1/4 A along x and y: X = C F exp(+i (k / (1/4))^2 (kx x + ky y) / (1/4))."""
    image_shift_um: tuple[float, float] = (0.0, 0.0)
    """That made the coma: 1.5 um a step, the tilt turned against it by an angle that is the session's."""
    ln_of_heterogeneity: NDArray[Any] = field(repr=False, default_factory=lambda: np.zeros(120))
    """The part of `ln_relative_ssnr` that is due to `Session.flexible_angstrom`, <= 0."""


def _load(path: Path, chains: tuple[str, ...] = ()) -> tuple[NDArray[Any], NDArray[Any]]:
    if not chains:
        return ctf_scenes.atoms(str(path))
    structure = gemmi.read_structure(str(path))
    structure.remove_waters()
    structure.remove_hydrogens()
    xyz, kind = [], []
    for chain in structure[0]:
        if chain.name in chains:
            for residue in chain:
                for atom in residue:
                    if atom.element.name in _ELEMENTS and atom.altloc in ("\0", "A"):
                        xyz.append(atom.pos.tolist())
                        kind.append(_ELEMENTS[atom.element.name][0])
    position = np.array(xyz, dtype=np.float32)
    return position - position.mean(0), np.array(kind)


def _ring_of(
    position: NDArray[Any], kind: NDArray[Any], order: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Copies about z as close together as they fit (no two atoms of neighbours nearer than 3 A)."""
    turned = position @ ctf_scenes._rotation(rng).astype(np.float32).T
    angle = 2 * math.pi / order
    turn = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    thinned = turned[::3]
    for radius in np.arange(8.0, 80.0, 1.0):
        here = thinned + np.array([radius, 0, 0], dtype=np.float32)
        next_one = here @ turn.T
        distance = np.sqrt(((here[:, None] - next_one[None]) ** 2).sum(-1).min())
        if distance > 3.0:
            break
    whole, kinds = [], []
    one = turned + np.array([radius, 0, 0], dtype=np.float32)
    for _ in range(order):
        whole.append(one)
        kinds.append(kind)
        one = (one @ turn.T).astype(np.float32)
    ring = np.concatenate(whole)
    return (ring - np.array([0, 0, ring[:, 2].mean()], dtype=np.float32)).astype(np.float32), np.concatenate(kinds)


@lru_cache(maxsize=4)
def specimen(name: str, folder: Path, seed: int) -> Specimen:
    """`seed` draws how the made-up complexes are put together."""
    rng = np.random.default_rng([seed, 5])

    def find(start: str) -> Path:
        return next(path for path in sorted(folder.glob(f"{start}*")) if path.suffix == ".gz")

    if name == "pentamer":  # 20S subunits of 22 to 26 kDa
        structure = gemmi.read_structure(str(find("3j9i")))
        names = [chain.name for chain in structure[0]]
        position, kind = _load(find("3j9i"), (names[int(rng.integers(len(names)))],))
        return Specimen(name, "C5", *_ring_of(position, kind, 5, rng))
    if name == "lightchain":  # five light chains of an antibody, 24 kDa: all beta strands
        position, kind = _load(find("1igy"), ("A",))
        return Specimen(name, "C5", *_ring_of(position, kind, 5, rng))
    if name == "belted":
        position, kind = _load(find("1bxn"), ("A",))
        ring, kinds = _ring_of(position, kind, 4, rng)
        radius = float(np.percentile(np.hypot(ring[:, 0], ring[:, 1]), 90))
        return Specimen(name, "C4", ring, kinds, (radius + 8.0, 8.0, 14.0))
    # Deposited models have their axes where the crystal had them, and not always all of their copies.
    files = {"p97": ("3cf3", "C1"), "gltph": ("2nwl", "C3"), "proteasome": ("3j9i", "C1"), "groel": ("1mnf", "C1")}
    start, symmetry = files[name]
    position, kind = _load(find(start))
    return Specimen(name, symmetry, position, kind)


def _curves(kv: float, axis: NDArray[Any]) -> list[NDArray[Any]]:
    """Phase in rad A^2 of each kind of atom against the water that it displaces, at frequencies `axis`."""
    hydrogen = scattering_factor("H", axis)
    volume = ctf_scenes.VOLUME_A3
    water = ctf_scenes.WATER_VOLTS * volume * np.exp(-(math.pi**2) * axis**2 * (volume ** (2 / 3)) / math.pi)
    out = []
    for element in ("C", "N", "O", "P"):
        more = _ELEMENTS[element][1] * hydrogen * np.exp(-8 * axis**2)
        out.append(interaction(kv) * (47.878 * (scattering_factor(element, axis) + more) - water))
    return out


def _belt_phase(shape: Specimen, points: Array) -> Array:
    """Contrast of the torus against water, rad per A: a fiftieth of a protein's mean would be invisible, a third is."""
    assert shape.belt_angstrom is not None
    radius, height, thickness = shape.belt_angstrom
    across = np.hypot(points[..., 0], points[..., 1]) - radius
    inside = (across / thickness) ** 2 + (points[..., 2] / (height + thickness)) ** 2
    return (1.0 / (1.0 + np.exp(np.clip(8 * (inside - 1), -30, 30)))).astype(np.float32)


_BELT_VOLTS = 0.9
"""Of detergent (heads denser than water, tails lighter) above water; protein has some 3."""


def truth_map(shape: Specimen, box_px: int, pixel_size_angstrom: float, kv: float = 300.0) -> Array:
    """(n, n, n) [z, y, x] phase per voxel, sharp to Nyquist: what a perfect reconstruction would show."""
    fine, half = 2 * box_px, pixel_size_angstrom / 2
    axis = np.fft.fftfreq(fine, half)
    kz, ky, kx = axis[:, None, None], axis[None, :, None], np.fft.rfftfreq(fine, half)[None, None, :]
    k = np.sqrt(kz**2 + ky**2 + kx**2)
    table = np.linspace(0, float(k.max()) * 1.001, 2048)
    total = np.zeros(k.shape, dtype=np.complex64)
    for kind, curve in enumerate(_curves(kv, table)):
        mine = shape.position[shape.kind == kind]
        if not len(mine):
            continue
        grid = np.zeros(fine**3, dtype=np.float32)
        place = mine / half + fine // 2
        first = np.floor(place).astype(np.int64)
        part = place - first
        for dz in (0, 1):
            for dy in (0, 1):
                for dx in (0, 1):
                    weight = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1]) * np.abs(1 - dz - part[:, 2])
                    flat = ((first[:, 2] + dz) * fine + first[:, 1] + dy) * fine + first[:, 0] + dx
                    grid += np.bincount(flat, weight, fine**3).astype(np.float32)
        profile = np.interp(k.ravel(), table, curve).reshape(k.shape).astype(np.float32)
        total += np.fft.rfftn(np.fft.ifftshift(grid.reshape(fine, fine, fine))).astype(np.complex64) * profile
    if shape.belt_angstrom is not None:
        line = (np.arange(fine) - fine // 2) * half
        z, y, x = np.meshgrid(line, line, line, indexing="ij")
        belt = _belt_phase(shape, np.stack([x, y, z], axis=-1).astype(np.float32))
        total += (np.fft.rfftn(np.fft.ifftshift(belt)) * interaction(kv) * _BELT_VOLTS * half**3).astype(np.complex64)
    keep = np.r_[0 : box_px // 2, fine - box_px // 2 : fine]
    cropped = total[np.ix_(keep, keep, np.arange(box_px // 2 + 1))]
    cropped[box_px // 2], cropped[:, box_px // 2], cropped[:, :, -1] = 0, 0, 0
    return np.fft.fftshift(np.fft.irfftn(cropped, s=(box_px,) * 3)).astype(np.float32)


def _random_matrix(rng: np.random.Generator) -> NDArray[Any]:
    return ctf_scenes._rotation(rng)


class _Projector:
    """Phase images of a specimen."""

    def __init__(self, shape: Specimen, size_px: int, pixel_size_angstrom: float, kv: float) -> None:
        self.shape, self.size, self.pixel = shape, size_px, pixel_size_angstrom
        self.kx = np.fft.rfftfreq(size_px, pixel_size_angstrom)[None, :]
        self.ky = np.fft.fftfreq(size_px, pixel_size_angstrom)[:, None]
        self.k = np.hypot(self.kx, self.ky)
        table = np.linspace(0, float(self.k.max()) * 1.001, 2048)
        area = pixel_size_angstrom**2
        bilinear = np.maximum(
            (np.sinc(self.kx * pixel_size_angstrom) * np.sinc(self.ky * pixel_size_angstrom)) ** 2, 0.2
        )
        self.profiles = [
            (np.interp(self.k.ravel(), table, curve).reshape(self.k.shape) / area / bilinear).astype(np.float32)
            for curve in _curves(kv, table)
        ]
        self.sigma = interaction(kv)
        if shape.belt_angstrom is not None:
            reach = shape.belt_angstrom[0] + shape.belt_angstrom[2] + 4
            line = np.arange(-reach, reach, 3.0)
            x, y, z = np.meshgrid(line, line, np.arange(-30.0, 30.0, 3.0), indexing="ij")
            points = np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)
            value = _belt_phase(shape, points)
            self.belt, self.belt_value = points[value > 0.02], value[value > 0.02] * 27.0 * _BELT_VOLTS

    def transform(self, matrix: NDArray[Any], shift_px: NDArray[Any], position: Array | None = None) -> NDArray[Any]:
        """Of the projection along z of the turned specimen, its centre at pixel size // 2 + shift; its atoms may be
        elsewhere than usual (`position`)."""
        n = self.size
        total = np.zeros(self.k.shape, dtype=np.complex64)
        atoms = self.shape.position if position is None else position
        for kind, profile in enumerate(self.profiles):
            mine = atoms[self.shape.kind == kind]
            if len(mine):
                total += np.fft.rfft2(self._splat(mine, None, matrix)).astype(np.complex64) * profile
        if self.shape.belt_angstrom is not None:
            spread = np.exp(-2 * (math.pi * 2.0 * self.k) ** 2) * self.sigma / self.pixel**2
            total += (np.fft.rfft2(self._splat(self.belt, self.belt_value, matrix)) * spread).astype(np.complex64)
        angle = -2 * math.pi * self.pixel * (self.kx * (n // 2 + shift_px[0]) + self.ky * (n // 2 + shift_px[1]))
        return (total * np.exp(1j * angle)).astype(np.complex64)

    def _splat(self, points: Array, value: Array | None, matrix: NDArray[Any]) -> NDArray[Any]:
        """Shared among the four pixels around each, about pixel (0, 0)."""
        n = self.size
        place = points @ matrix[:2].T.astype(np.float32) / self.pixel
        first = np.floor(place).astype(np.int64)
        part = place - first
        image = np.zeros(n * n)
        for dx in (0, 1):
            for dy in (0, 1):
                weight = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
                flat = ((first[:, 1] + dy) % n) * n + (first[:, 0] + dx) % n
                image += np.bincount(flat, weight if value is None else weight * value, n * n)
        return image.reshape(n, n)


@dataclass(frozen=True, slots=True)
class Session:
    """How a session is drawn."""

    shape: Specimen
    seed: int
    movies: int = 80
    particles: int = 45
    pixel_size_angstrom: float = 1.2
    box_px: int = 160
    dose: float = 40.0
    b_factor: float = 80.0
    artefacts: bool = False
    """Drift bursts in a third of the movies, ice from 200 to 1,500 A, coma that grows with the image shift."""
    false_picks: float = 0.0
    """Share of boxes that hold ice alone; their poses and centres mean nothing."""
    off_centre_px: float = 3.0
    """Standard deviation of the picks."""
    flexible_angstrom: float = 0.0
    """In movie n the copies that make the specimen are displaced by up to (n % 4) / 3 of this (standard deviation an
    axis), each on its own in every particle; 0: all particles are alike."""


def movies(session: Session) -> Iterator[Movie]:
    """One after the other; the same session gives the same movies."""
    rng = np.random.default_rng([session.seed, 77])
    size = session.box_px + 2 * _PAD_PX
    projector = _Projector(session.shape, size, session.pixel_size_angstrom, _KV)
    for number in range(session.movies):
        yield _movie(session, projector, number, rng)


@dataclass(frozen=True, slots=True)
class _Causes:
    """What one movie is taken under."""

    thickness_angstrom: float
    drift_angstrom: float
    coma_rad: float
    """At 1/4 A."""


def _causes(session: Session, number: int, rng: np.random.Generator) -> _Causes:
    thickness, drift, coma_rad = float(rng.uniform(250, 450)), 0.5, 0.0
    if session.artefacts:
        thickness = 200.0 + 1300.0 * (number % 16) / 15 * float(rng.uniform(0.7, 1.0))
        drift = float(rng.uniform(4.0, 9.0)) if rng.random() < 0.35 else float(rng.uniform(0.3, 1.5))
        coma_rad = 1.2 * _shift_steps(number) / 3
    return _Causes(thickness, drift, coma_rad)


def _shift_steps(number: int) -> int:
    """Of the image shift, of which the coma grows."""
    return abs(((number * 3) % 7) - 3)


def _optics(session: Session, size_px: int, causes: _Causes, rng: np.random.Generator) -> ctf_scenes.Truth:
    return ctf_scenes.Truth(
        kind="reconstruction",
        seed=session.seed,
        size_px=size_px,
        pixel_size=session.pixel_size_angstrom,
        voltage_kv=_KV,
        cs_mm=2.7,
        amplitude_contrast=0.1,
        dose=session.dose,
        defocus=float(rng.uniform(8_000, 20_000)),
        astigmatism=float(abs(rng.normal(0, 250))),
        angle=float(rng.uniform(-90, 90)),
        ice_thickness=causes.thickness_angstrom,
        drift=(causes.drift_angstrom, float(rng.uniform(-90, 90))),
        b_factor=session.b_factor,
    )


@dataclass(frozen=True, slots=True)
class _Imaging:
    """What the optics make of a specimen and of its ice, on the half plane of frequencies."""

    kernel: NDArray[Any]
    """Of the specimen's transform."""
    ice_amplitude: Array
    counts_e_per_px: float
    """Electrons that arrive, times the detective quantum efficiency of a counting camera."""
    blur: NDArray[Any]
    tilt_phase: NDArray[Any]


def _imaging(
    session: Session, projector: _Projector, optics: ctf_scenes.Truth, causes: _Causes, direction_deg: float
) -> _Imaging:
    pixel, kx, ky, k = session.pixel_size_angstrom, projector.kx, projector.ky, projector.k
    exposures = session.dose * (np.arange(8) + 0.5) / 8
    left2 = np.mean([np.exp(-e / ctf_scenes.critical_dose(k)) for e in exposures], axis=0)
    along = kx * math.cos(math.radians(optics.drift[1])) + ky * math.sin(math.radians(optics.drift[1]))
    blur = np.sinc(causes.drift_angstrom * along)
    tilt_phase = causes.coma_rad * (k / 0.25) ** 3 * np.cos(np.arctan2(ky, kx) - math.radians(direction_deg))
    envelope = np.exp(-0.25 * session.b_factor * k**2) * blur * np.sqrt(left2)
    kernel = (2 * ctf_scenes.transfer(optics, kx, ky, 0.0) * envelope * np.exp(1j * tilt_phase)).astype(np.complex64)
    elastic = math.exp(-causes.thickness_angstrom / _MEAN_FREE_PATH_ANGSTROM)
    ice_power = _ice_power(causes.thickness_angstrom, k, session.dose, _KV)
    ice_kernel = 2 * ctf_scenes.transfer(optics, kx, ky, 0.0) * np.exp(-0.25 * session.b_factor * k**2) * blur
    ice_amplitude = (np.sqrt(ice_power) / pixel * ice_kernel).astype(np.float32)
    return _Imaging(kernel, ice_amplitude, session.dose * pixel**2 * elastic * 0.75, blur, tilt_phase)


@dataclass(frozen=True, slots=True)
class _Boxes:
    """Particles of one movie, and how far those that are flexible agree with the rigid specimen."""

    stack: Array
    poses: NDArray[Any]
    shift_px: NDArray[Any]
    agreement: NDArray[Any]
    power: NDArray[Any]


def _boxes(session: Session, projector: _Projector, imaging: _Imaging, number: int, rng: np.random.Generator) -> _Boxes:
    pixel, size = session.pixel_size_angstrom, projector.size
    window = slice(_PAD_PX, _PAD_PX + session.box_px)
    count = int(rng.integers(int(0.75 * session.particles), int(1.25 * session.particles) + 1))
    stack = np.zeros((count, session.box_px, session.box_px), dtype=np.float32)
    poses, shifts = np.zeros((count, 3, 3)), rng.normal(0, session.off_centre_px, (count, 2)).clip(-9, 9)
    axis = np.arange(session.box_px) - session.box_px // 2
    radius = min(0.5 * session.shape.diameter_angstrom / pixel * 1.1, session.box_px // 2 - 1)
    outside = np.hypot(axis[:, None], axis[None, :]) > radius
    flexible = _flexible_angstrom(session, number)
    agreement, power = np.zeros(projector.k.shape), np.zeros(projector.k.shape)
    loose = np.random.default_rng([session.seed, 78, number])
    for index in range(count):
        poses[index] = _random_matrix(rng)
        ice = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32)) * imaging.ice_amplitude
        form = projector.transform(poses[index], shifts[index])
        if flexible:
            rigid = form
            form = projector.transform(poses[index], shifts[index], _loosened(session.shape, flexible, loose))
            agreement += (form * rigid.conj()).real
            power += np.abs(rigid) ** 2
        phase = form * imaging.kernel
        if index >= round((1 - session.false_picks) * count):
            phase = phase * 0
        contrast = np.fft.irfft2(phase + ice, s=(size, size))[window, window]
        image = rng.poisson(imaging.counts_e_per_px * np.maximum(1 + contrast, 0.02)).astype(np.float32)
        stack[index] = -(image - image[outside].mean()) / image[outside].std()
    return _Boxes(stack, poses, shifts, agreement, power)


def _flexible_angstrom(session: Session, number: int) -> float:
    return session.flexible_angstrom * (number % 4) / 3


def _around(values: NDArray[Any], k: NDArray[Any], last_per_angstrom: float) -> NDArray[Any]:
    """(120,) means over rings of |k|."""
    ring = np.rint(k / last_per_angstrom * 119).astype(np.int64).clip(0, 120)
    total = np.bincount(ring.ravel(), values.ravel(), 121)
    return total[:120] / np.maximum(np.bincount(ring.ravel(), minlength=121)[:120], 1)


def _movie(session: Session, projector: _Projector, number: int, rng: np.random.Generator) -> Movie:
    k = projector.k
    causes = _causes(session, number, rng)
    optics = _optics(session, projector.size, causes, rng)
    direction_deg = float(rng.uniform(-180, 180))
    imaging = _imaging(session, projector, optics, causes, direction_deg)
    boxes = _boxes(session, projector, imaging, number, rng)
    last = float(np.linspace(0.01, 0.5 / session.pixel_size_angstrom, 120)[-1])
    # A coma that is not corrected leaves the mean of its phase factor.
    coma = _around(np.cos(imaging.tilt_phase) * np.ones_like(k), k, last)
    elastic = np.exp(-causes.thickness_angstrom / _MEAN_FREE_PATH_ANGSTROM)
    signal = _around(imaging.blur**2, k, last) * np.maximum(coma, 0.02) ** 2 * elastic
    noise = 1 + imaging.counts_e_per_px * _around(np.abs(imaging.ice_amplitude) ** 2, k, last)
    heterogeneity = np.zeros(120)
    if _flexible_angstrom(session, number):
        # What differs from particle to particle is lost to the map that they share.
        power = np.maximum(_around(boxes.power, k, last), 1e-12)
        heterogeneity = 2 * np.log(np.maximum(_around(boxes.agreement, k, last) / power, 0.02))
    direction = math.radians(direction_deg)
    # The steps that the coma was made of, seen from the image shift's own axes.
    towards = direction + float(np.random.default_rng([session.seed, 79]).uniform(-math.pi, math.pi))
    steps_um = _SHIFT_STEP_UM * _shift_steps(number) * session.artefacts
    ln_ssnr = np.log(signal / noise) + heterogeneity
    return Movie(
        name=f"m{number:03d}",
        optics=optics,
        stack=boxes.stack,
        poses=boxes.poses,
        shift_px=boxes.shift_px,
        frequency_per_angstrom=np.linspace(0, last, 120),
        ln_relative_ssnr=ln_ssnr,
        ln_without_coma=ln_ssnr - 2 * np.log(np.maximum(coma, 0.02)),
        coma_rad=(causes.coma_rad * math.cos(direction), causes.coma_rad * math.sin(direction)),
        image_shift_um=(steps_um * math.cos(towards), steps_um * math.sin(towards)),
        ln_of_heterogeneity=heterogeneity,
    )


def _loosened(shape: Specimen, sd_angstrom: float, rng: np.random.Generator) -> Array:
    """(n, 3) atoms of a specimen made of copies, each displaced on its own; turned and moved back as a whole to where
    it fits the usual one best (Kabsch 1976), which is what a pose means."""
    copies = int(shape.symmetry[1:]) if shape.symmetry.startswith("C") else 1
    parts = np.split(shape.position.astype(np.float64), copies)
    moved = np.concatenate([part + rng.normal(0, sd_angstrom, 3) for part in parts])
    centre, usual = moved.mean(axis=0), shape.position.astype(np.float64)
    u, _, v = np.linalg.svd((moved - centre).T @ (usual - usual.mean(axis=0)))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    return ((moved - centre) @ (u @ sign @ v) + usual.mean(axis=0)).astype(np.float32)


def _ice_power(thickness: float, k: Array, dose: float, kv: float) -> NDArray[Any]:
    """Power of the phase of amorphous water, rad^2 A^2, after its motion during the exposure (see `Canvas.ice`)."""
    molecule = 47.878 * (scattering_factor("O", k) + 2 * scattering_factor("H", k))
    step = 1.0 / (1.0 + np.exp(-(k - 0.24) / 0.02))
    structure = 0.07 + 0.93 * step + 1.1 * np.exp(-0.5 * ((k - 0.27) / 0.02) ** 2)
    power = ctf_scenes.WATER_PER_A3 * thickness * (interaction(kv) * molecule) ** 2 * structure
    rate = 2.0 * math.pi**2 * 0.37 * k**2 * dose
    inside = np.where(rate > 1e-6, 2 * (rate - 1 + np.exp(-rate)) / np.maximum(rate, 1e-6) ** 2, 1.0)
    return np.asarray(power * inside)
