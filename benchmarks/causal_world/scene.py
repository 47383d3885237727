"""Counted frames of one movie of `causal_sessions.py`: particles in layers, moving ice, blur inside frames, a camera
that counts and loses what coincides. Everything happens on a canvas a little larger than the frame, in its transform.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft

from benchmarks.causal_world.physics import (
    SUBFRAMES,
    Causes,
    Instrument,
    critical_exposure,
    focus_envelope,
    ice_memory,
    ice_power,
    lost_to_coincidence,
    mtf,
    neighbour_weight,
    source_envelope,
    transmitted,
)
from benchmarks.ctf.scenes import VOLUME_A3, WATER_VOLTS, atoms, interaction, scattering_factor, wavelength

Image = NDArray[Any]
MARGIN_PX = 56
LAYERS = 5
VIEWS = 48
_ATOM_B_ANGSTROM2 = 60.0


@dataclass(frozen=True, slots=True)
class Particle:
    """Projected phase (rad) in VIEWS random orientations, (VIEWS, box, box)."""

    name: str
    radius_angstrom: float
    views: Image


def project(path: Path, instrument: Instrument, seed: int) -> Particle:
    """Atoms in bilinear pixels times their scattering factors, less the water they displace (Mott-Bethe, gemmi)."""
    random = np.random.default_rng([seed, 11])
    xyz, element = atoms(str(path))
    pixel = instrument.pixel_size_angstrom
    radius = float(np.percentile(np.linalg.norm(xyz, axis=1), 98))
    box = fft.next_fast_len(int(2.5 * radius / pixel) + 40, real=True)
    kx, ky = np.fft.rfftfreq(box, pixel)[None], np.fft.fftfreq(box, pixel)[:, None]
    k = np.hypot(kx, ky)
    hydrogen = scattering_factor("H", k)
    water = WATER_VOLTS * VOLUME_A3 * np.exp(-math.pi * k**2 * VOLUME_A3 ** (2 / 3))
    bilinear = np.maximum((np.sinc(kx * pixel) * np.sinc(ky * pixel)) ** 2, 0.2)
    scale = interaction(instrument.voltage_kv) / pixel**2 / bilinear
    factors = [
        scale * ((47.878 * (scattering_factor(name, k) + n * hydrogen)) * np.exp(-_ATOM_B_ANGSTROM2 / 4 * k**2) - water)
        for name, n in (("C", 1.2), ("N", 1.25), ("O", 0.2), ("P", 0.0))
    ]
    views = np.empty((VIEWS, box, box), dtype=np.float32)
    for view in views:
        turned = xyz @ _rotation(random)[:, :2].astype(np.float32) / pixel + box / 2
        corner = np.floor(turned).astype(np.int64)
        part = turned - corner
        spectrum = np.zeros(k.shape, dtype=np.complex128)
        for kind, factor in enumerate(factors):
            mine = element == kind
            image = np.zeros(box * box)
            for dx in (0, 1):
                for dy in (0, 1):
                    at = ((corner[mine, 1] + dy) % box) * box + (corner[mine, 0] + dx) % box
                    weight = np.abs(1 - dx - part[mine, 0]) * np.abs(1 - dy - part[mine, 1])
                    image += np.bincount(at, weights=weight, minlength=box * box)
            spectrum += fft.rfft2(image.reshape(box, box)) * factor
        view[:] = fft.irfft2(spectrum, s=(box, box))
    return Particle(path.name.split("_")[0], radius, views)


def _rotation(random: np.random.Generator) -> NDArray[Any]:
    q, r = np.linalg.qr(random.standard_normal((3, 3)))
    q *= np.sign(np.diag(r))
    return np.asarray(q * np.sign(np.linalg.det(q)))


@dataclass(frozen=True, slots=True)
class Exposure:
    """All that the frames of one movie are made of."""

    instrument: Instrument
    causes: Causes
    path_angstrom: NDArray[Any]
    """(F, SUBFRAMES, 2) displacement of the specimen, x and y."""
    coverage: float
    """Share of the frame that particles cover."""
    exposure_time_s: float
    size_px: int
    seed: int


def frames(exposure: Exposure, particle: Particle, sensitivity: Image) -> Iterator[NDArray[Any]]:
    """Raw counts (size, size) of each frame; `sensitivity` (size, size) of the camera's pixels, mean 1."""
    instrument, causes, size = exposure.instrument, exposure.causes, exposure.size_px
    random = np.random.default_rng([exposure.seed, 5])
    canvas = fft.next_fast_len(size + MARGIN_PX, real=True)
    pixel = instrument.pixel_size_angstrom
    kx, ky = np.fft.rfftfreq(canvas, pixel), np.fft.fftfreq(canvas, pixel)
    k = np.hypot(kx[None], ky[:, None])
    solid = _particle_spectrum(exposure, particle, canvas, random)
    dose = instrument.dose_e_per_a2 / instrument.frames
    fade = _radial(k, lambda a: np.exp(-dose / (2 * critical_exposure(a, instrument.critical_exposure_scale))))
    solid *= np.sqrt(fade)
    keep = _radial(k, lambda a: ice_memory(a, instrument)[0])
    fresh = np.sqrt(1 - keep**2)
    ice = _ice_amplitude(exposure, k, kx, ky, canvas)
    state = _white(ice.shape, random)
    rate = dose * pixel**2 * transmitted(causes, instrument) * instrument.dqe_zero
    lost_per_neighbour = 0.5 * instrument.camera_frames_per_s**-1 * instrument.frames / exposure.exposure_time_s
    _consistent(rate * lost_per_neighbour * instrument.coincidence_area_px, lost_to_coincidence(causes, instrument))
    first = (canvas - size) // 2
    for index, path in enumerate(exposure.path_angstrom):
        along_y = np.exp(-2j * np.pi * ky[:, None] * path[None, :, 1]).astype(np.complex64)
        along_x = np.exp(-2j * np.pi * path[:, 0, None] * kx[None]).astype(np.complex64)
        blur = (along_y / np.float32(SUBFRAMES)) @ along_x
        spectrum = np.empty_like(solid)
        _step(solid, fade, state, keep, fresh, _white(ice.shape, random), ice, blur, spectrum, index == 0)
        image = fft.irfft2(spectrum, s=(canvas, canvas), overwrite_x=True)
        counts = np.zeros((size, size), dtype=np.uint8)
        seed = np.uint64(int(random.integers(1, 2**63)))
        _count(image, first, sensitivity, np.float32(rate), seed, counts)
        kept = np.empty_like(counts)
        _coincide(counts, lost_per_neighbour, neighbour_weight(instrument), seed ^ np.uint64(0x9E3779B97F4A7C15), kept)
        yield kept


def ideal_picture(exposure: Exposure, particle: Particle) -> Image:
    """(size, size) contrast of the particles through their CTF, with nothing lost: what `frames` is made from."""
    size = exposure.size_px
    canvas = fft.next_fast_len(size + MARGIN_PX, real=True)
    spectrum = _particle_spectrum(exposure, particle, canvas, np.random.default_rng([exposure.seed, 5]), damp=False)
    first = (canvas - size) // 2
    image = fft.irfft2(spectrum, s=(canvas, canvas))
    return np.asarray(image[first : first + size, first : first + size], dtype=np.float32)


def _consistent(made: float, meant: float) -> None:
    """Dose rate, exposure time and dose have to say the same."""
    if abs(made - meant) > 1e-6 * max(meant, 1e-9):
        raise ValueError(f"coincidence of the movie is {made:g}, of its truth {meant:g}")


def _radial(k: NDArray[Any], curve: Any) -> Image:
    """A curve of |k| on the half plane, by a table."""
    at = np.linspace(0, float(k.max()), 2048)
    return np.asarray(np.interp(k, at, curve(at)), dtype=np.float32)


def _white(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[Any]:
    """Transform of white noise, mean power 1 (the Nyquist columns' symmetry is left to the inverse)."""
    drawn = random.standard_normal((*shape, 2), dtype=np.float32)
    drawn *= np.float32(math.sqrt(0.5))
    return np.asarray(drawn.view(np.complex64)[..., 0])


def _phase(exposure: Exposure, kx: NDArray[Any], ky: NDArray[Any], k: NDArray[Any], height: float) -> NDArray[Any]:
    """chi with the arcsine of the amplitude contrast, for a layer `height` A further under focus."""
    instrument, causes = exposure.instrument, exposure.causes
    lam = wavelength(instrument.voltage_kv)
    turned = 2 * (np.arctan2(ky[:, None], kx[None]) - math.radians(causes.astigmatism_angle_deg))
    defocus = causes.defocus_angstrom + height + 0.5 * causes.astigmatism_angstrom * np.cos(turned)
    chi = math.pi * lam * k**2 * (defocus - 0.5 * instrument.cs_mm * 1e7 * lam**2 * k**2)
    return np.asarray(chi + math.asin(instrument.amplitude_contrast))


def _envelope(exposure: Exposure, k: NDArray[Any]) -> Image:
    instrument = exposure.instrument
    defocus = exposure.causes.defocus_angstrom
    return _radial(
        k, lambda a: source_envelope(a, defocus, instrument) * focus_envelope(a, instrument) * mtf(a, instrument)
    )


def _ice_amplitude(exposure: Exposure, k: NDArray[Any], kx: NDArray[Any], ky: NDArray[Any], canvas: int) -> Image:
    """Amplitude of the ice's contrast on the half plane; its sheets lie all through the thickness."""
    instrument, causes = exposure.instrument, exposure.causes
    through = np.sinc(wavelength(instrument.voltage_kv) * k**2 * 10 * causes.thickness_nm)
    seen = 0.5 * (1 - np.cos(2 * _phase(exposure, kx, ky, k, 0.0)) * through)
    power = _radial(
        k, lambda a: 4 * ice_power(a, causes.thickness_nm, instrument.voltage_kv) * ice_memory(a, instrument)[1]
    )
    power = power * seen * (canvas / instrument.pixel_size_angstrom) ** 2
    power[0, 0] = 0.0
    return np.asarray(np.sqrt(power) * _envelope(exposure, k), dtype=np.float32)


def _particle_spectrum(
    exposure: Exposure, particle: Particle, canvas: int, random: np.random.Generator, damp: bool = True
) -> NDArray[Any]:
    """Contrast of all particles without damage: each layer of heights through its own CTF, all through the coma."""
    instrument, causes = exposure.instrument, exposure.causes
    pixel = instrument.pixel_size_angstrom
    kx, ky = np.fft.rfftfreq(canvas, pixel), np.fft.fftfreq(canvas, pixel)
    k = np.hypot(kx[None], ky[:, None])
    box = particle.views.shape[1]
    layers = np.zeros((LAYERS, canvas + box, canvas + box), dtype=np.float32)
    for index, placed in enumerate(_placed(exposure, particle, canvas, random)):
        x, y = placed.corner
        layers[index % LAYERS, y : y + box, x : x + box] += np.rot90(particle.views[placed.view], placed.quarter_turns)
    total = np.zeros(k.shape, dtype=np.complex64)
    half = box // 2
    for layer, image in enumerate(layers):
        height = 10 * causes.height_spread_nm * ((layer + 0.5) / LAYERS - 0.5)
        transfer = (-2 * np.sin(_phase(exposure, kx, ky, k, height))).astype(np.float32)
        total += fft.rfft2(image[half : half + canvas, half : half + canvas]) * transfer
    if damp:
        total *= _radial(k, lambda a: np.exp(-0.25 * causes.heterogeneity_angstrom2 * a**2)) * _envelope(exposure, k)
    tilt_x, tilt_y = (1e-3 * instrument.tilt_mrad_per_um * shift for shift in causes.image_shift_um)
    lam = wavelength(instrument.voltage_kv)
    coma = 2 * math.pi * instrument.cs_mm * 1e7 * lam**2 * k**2 * (kx[None] * tilt_x + ky[:, None] * tilt_y)
    total *= np.exp(1j * coma).astype(np.complex64)
    total[0, 0] = 0
    return total


@dataclass(frozen=True, slots=True)
class Placed:
    """One particle: where the corner of its view lies (px of the canvas + half a box), which view, how turned."""

    corner: tuple[int, int]
    view: int
    quarter_turns: int


def placed_particles(exposure: Exposure, particle: Particle) -> tuple[list[Placed], int]:
    """What `frames` puts on its canvas, and px from the canvas' first pixel to the frame's."""
    canvas = fft.next_fast_len(exposure.size_px + MARGIN_PX, real=True)
    found = list(_placed(exposure, particle, canvas, np.random.default_rng([exposure.seed, 5])))
    return found, (canvas - exposure.size_px) // 2


def _placed(exposure: Exposure, particle: Particle, canvas: int, random: np.random.Generator) -> Iterator[Placed]:
    for corner in _places(exposure, particle, canvas, random):
        yield Placed(corner, int(random.integers(VIEWS)), int(random.integers(4)))


def _places(exposure: Exposure, particle: Particle, canvas: int, random: np.random.Generator) -> list[tuple[int, int]]:
    """Centres (px of the canvas) of particles that hardly touch."""
    side = canvas * exposure.instrument.pixel_size_angstrom
    wanted = max(1, round(exposure.coverage * side**2 / (math.pi * particle.radius_angstrom**2)))
    apart = (1.7 * particle.radius_angstrom / exposure.instrument.pixel_size_angstrom) ** 2
    found = np.empty((0, 2))
    for place in random.uniform(0, canvas, (60 * wanted, 2)):
        if len(found) == wanted:
            break
        if not len(found) or float(((found - place) ** 2).sum(axis=1).min()) > apart:
            found = np.vstack((found, place))
    return [(int(x), int(y)) for x, y in found]


@njit(cache=True, fastmath=True)
def _step(solid, fade, state, keep, fresh, noise, ice, blur, out, first):  # type: ignore[no-untyped-def]
    """One frame on: the particles fade, the ice moves on, both are displaced and blurred into `out`."""
    for y in range(solid.shape[0]):
        for x in range(solid.shape[1]):
            if not first:
                solid[y, x] *= fade[y, x]
                state[y, x] = keep[y, x] * state[y, x] + fresh[y, x] * noise[y, x]
            out[y, x] = (solid[y, x] + ice[y, x] * state[y, x]) * blur[y, x]


@njit(cache=True)
def _uniform(state):  # type: ignore[no-untyped-def]
    """xorshift64*: the next state and a number in 0..1 of it."""
    state ^= state >> np.uint64(12)
    state ^= state << np.uint64(25)
    state ^= state >> np.uint64(27)
    return state, np.float64((state * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def _count(image, first, sensitivity, rate, seed, out):  # type: ignore[no-untyped-def]
    """Poisson electrons of rate x sensitivity x (1 + contrast), by inversion."""
    state = seed
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            mean = rate * sensitivity[y, x] * max(1.0 + image[y + first, x + first], 0.0)
            state, drawn = _uniform(state)
            share = math.exp(-mean)
            count = 0
            while drawn > share and count < 250:
                drawn -= share
                count += 1
                share *= mean / count
            out[y, x] = count


@njit(cache=True)
def _coincide(counts, lost_per_neighbour, weight, seed, out):  # type: ignore[no-untyped-def]
    """What is left where an electron is lost to each neighbour in its camera frame with half a chance."""
    state = seed
    height, width = counts.shape
    for y in range(height):
        for x in range(width):
            here = int(counts[y, x])
            if here == 0:
                out[y, x] = 0
                continue
            near = 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    near += counts[(y + dy) % height, (x + dx) % width]
            stays = math.exp(-lost_per_neighbour * ((here - 1) + weight * (near - here)))
            kept = 0
            for _ in range(here):
                state, drawn = _uniform(state)
                if drawn < stays:
                    kept += 1
            out[y, x] = kept
