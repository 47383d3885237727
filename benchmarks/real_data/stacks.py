"""What `real_particles.py` knows about each real stack, how it is read, and the two halves' class averages compared."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from frazil.models.formats.mrc import MrcReader
from frazil.models.optics.ctf import CtfParameters, chi_2d
from frazil.models.reconstruction.classes.class_averages import ClassAverage, StreamingClasses
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra, working_box_px

CPU = torch.device("cpu")
_TURN_DEG = 5.0
_FLAT = CtfParameters(300.0, 2.7, 0.1, 0.0, 0.0)
"""Stands in where no CTF is known; `spectra` puts a flat transfer in its place."""

Stack = NDArray[Any]


@dataclass(frozen=True, slots=True)
class StackFacts:
    """One stack without a STAR of its own among the data."""

    name: str
    file: str
    pixel_size_angstrom: float
    diameter_angstrom: float
    finest_angstrom: float
    """What is finer is not looked at."""
    dark: bool
    """The particles are dark as in a micrograph, and are turned bright first."""
    ctf: CtfParameters | None
    """None: not known; the transfer is 1 down to `finest_angstrom`, which is coarser than its first zero."""
    first_half: int | None
    """Images of the first half where neighbours show one particle; None: halves are drawn at random."""
    most_draws: int = 20


STACKS = (
    # Pixel of EMPIAR-10017 (Scheres 2015); it was taken at 300 kV and more than 1.5 um of underfocus.
    StackFacts("beta-galactosidase", "aspire_sample.mrcs", 1.77, 180.0, 30.0, False, None, None),
    # CTF from empiar_10076_7.star beside it in its repository: seven defoci within 220 A, of which this is the mean.
    StackFacts(
        "50S assembly",
        "cryodrgn_empiar_10076_7.mrc",
        1.31,
        250.0,
        15.0,
        True,
        CtfParameters(300.0, 2.7, 0.07, 15255.8, 14871.2, 5.28),
        None,
    ),
    # 8 x 1.96 A from sta_testing_bin8.star of that repository (its file name says 1.82 A); 39 tilts of each of
    # 5 ribosomes and 25 of a sixth, first zero at 20 A, finer than two of its pixels.
    StackFacts("ribosome tilts", "cryodrgn_ribo_sta.mrcs", 15.7, 250.0, 33.0, False, None, 117, 3),
)


def read_stack(path: Path, *, diameter_px: float, dark: bool) -> Stack:
    """(n, box, box) bright particles on a background of mean 0 and sd 1, as `extract_particles` leaves them."""
    with MrcReader(path) as reader:
        images = np.stack([np.asarray(section, dtype=np.float32) for section in reader.frames()])
    box = images.shape[-1]
    axis = np.arange(box) - box // 2
    outside = images[:, np.hypot(axis[:, None], axis) > min(diameter_px / 2, box // 2 - 1)]
    scaled = (images - outside.mean(axis=1)[:, None, None]) / outside.std(axis=1)[:, None, None]
    return np.asarray(-scaled if dark else scaled, dtype=np.float32)


def randomised(stack: Stack, rng: np.random.Generator) -> Stack:
    """The same amplitudes with the phases of white noise: what has the power of the particles and no particle."""
    noise = np.fft.rfft2(rng.standard_normal(stack.shape))
    spectrum = np.abs(np.fft.rfft2(stack)) * noise / np.abs(noise)
    return np.asarray(np.fft.irfft2(spectrum, s=stack.shape[1:]), dtype=np.float32)


def plane_of(box_px: int, pixel_size_angstrom: float) -> FourierPlane:
    """The grid that the reconstructor would work on."""
    working = working_box_px(box_px)
    return FourierPlane.of_box(working, pixel_size_angstrom * box_px / working)


def spectra(stack: Stack, facts: StackFacts) -> ParticleSpectra:
    """On `plane_of`, nothing beyond `finest_angstrom`."""
    plane = plane_of(stack.shape[-1], facts.pixel_size_angstrom)
    found = particle_spectra(
        torch.from_numpy(stack),
        plane,
        pixel_size_angstrom=facts.pixel_size_angstrom,
        diameter_angstrom=facts.diameter_angstrom,
        ctf=facts.ctf or _FLAT,
    )
    transfer = found.ctf if facts.ctf is not None else torch.ones_like(found.ctf)
    seen = torch.from_numpy(plane.frequency_per_angstrom <= 1 / facts.finest_angstrom)
    return replace(found, ctf=transfer * seen)


def class_averages(stack: Stack, facts: StackFacts) -> list[ClassAverage]:
    """What a round of the reconstructor would show of these particles."""
    plane = plane_of(stack.shape[-1], facts.pixel_size_angstrom)
    classes = StreamingClasses(plane, diameter_angstrom=facts.diameter_angstrom, device=CPU)
    classes.add("1", spectra(stack, facts))
    return classes.averages()


def halves_of(stack: Stack, facts: StackFacts, rng: np.random.Generator) -> tuple[Stack, Stack]:
    """Two halves; by particle where the stack holds many images of one."""
    if facts.first_half is not None:
        return stack[: facts.first_half], stack[facts.first_half :]
    order = rng.permutation(len(stack))
    middle = len(stack) // 2
    return stack[order[:middle]], stack[order[middle:]]


def agreement(halves: tuple[Stack, Stack], facts: StackFacts) -> float:
    """Correlation of class averages of two halves that have never seen one another.

    Every class of the first half with the class, turn and shift of the second that fits best, weighted by particles;
    over waves shorter than the particle and longer than `finest_angstrom`, so that a mere blob in the middle of the
    box does not count. The best of many is above 0 in noise, too: what counts is by how much more.
    """
    first, second = (class_averages(half, facts) for half in halves)
    plane = plane_of(halves[0].shape[-1], facts.pixel_size_angstrom)
    n, pixel = plane.box_px, plane.pixel_size_angstrom
    ky, kx = np.fft.fftfreq(n, pixel)[:, None], np.fft.rfftfreq(n, pixel)
    radius = np.hypot(ky, kx)
    band = (radius >= 1 / facts.diameter_angstrom) & (radius <= 1 / facts.finest_angstrom)
    axis = np.fft.fftfreq(n, 1 / n)
    near = np.hypot(axis[:, None], axis) * pixel <= 0.15 * facts.diameter_angstrom
    turned = [np.stack([_unit(_rotated(one, t), band) for t in np.arange(0, 360, _TURN_DEG)]) for one in second]
    total = weight = 0.0
    for one in first:
        own = _unit(one.image.numpy(), band)
        fits = [np.fft.irfft2(own.conj() * other, s=(n, n))[:, near].max() * n * n for other in turned]
        total += one.particle_count * float(max(fits))
        weight += one.particle_count
    return total / weight


def _rotated(average: ClassAverage, turn_deg: float) -> NDArray[Any]:
    image = average.image.numpy()[1:, 1:]  # so that the centre is that of an odd box
    turned = ndimage.rotate(image, turn_deg, reshape=False, order=1)
    return np.asarray(np.pad(turned, ((1, 0), (1, 0))), dtype=np.float64)


def _unit(image: NDArray[Any], band: NDArray[np.bool_]) -> NDArray[Any]:
    """Spectrum of the image in the band, of norm 1 as an image."""
    spectrum = np.fft.rfft2(image) * band
    n = image.shape[0]
    return np.asarray(spectrum / max(np.sqrt((np.fft.irfft2(spectrum, s=(n, n)) ** 2).sum() * n * n), 1e-12))


def ring_defocus_angstrom(stack: Stack, pixel_size_angstrom: float) -> float:
    """Underfocus whose rings, at 300 kV, Cs 2 mm and 10 % amplitude contrast, fit the mean spectrum from 40 to 12 A."""
    box = stack.shape[-1]
    window = np.hanning(box + 2)[1:-1]
    power = (np.abs(np.fft.fft2(stack * window[:, None] * window)) ** 2).mean(axis=0)
    axis = np.fft.fftfreq(box, 1 / box)
    ring = np.rint(np.hypot(axis[:, None], axis)).astype(int).ravel()
    curve = np.log(np.bincount(ring, weights=power.ravel()) / np.bincount(ring))
    frequency = np.arange(len(curve)) / (box * pixel_size_angstrom)
    band = (frequency > 1 / 40) & (frequency < 1 / 12)
    k = torch.from_numpy(frequency[band])
    falling = np.polynomial.Polynomial.fit(frequency[band], curve[band], 2)
    rings = curve[band] - falling(frequency[band])
    tried = np.arange(8000.0, 50000.0, 100.0)
    fits = []
    for defocus in tried:
        model = torch.sin(chi_2d(CtfParameters(300.0, 2.0, 0.1, defocus, defocus), k, torch.zeros_like(k))) ** 2
        smooth = model.numpy() - np.polynomial.Polynomial.fit(frequency[band], model.numpy(), 2)(frequency[band])
        fits.append(float(smooth @ rings / np.linalg.norm(smooth)))
    return float(tried[int(np.argmax(fits))])


def repeated(stack: Stack) -> list[tuple[int, int]]:
    """Pairs of rows that are one and the same image, extracted twice."""
    flat = stack.reshape(len(stack), -1)
    return [
        (a, b) for a, b in itertools.combinations(range(len(stack)), 2) if np.corrcoef(flat[a], flat[b])[0, 1] > 0.98
    ]
