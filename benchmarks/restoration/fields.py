"""Low-dose fields with a known noise-free projection, in sessions of one specimen each, from two generators.

- `image`: sums by `benchmarks/ctf/scenes.py` (projected atoms, ice that moves on and stays correlated between frames, a
  film of disordered protein, drift left in the sum, Poisson electrons);
- `movie`: counted frames by `benchmarks/causal_world` (particles in layers, moving ice, blur inside frames, coma,
  coincidence, detector), the first 17 of 24, aligned by frazil: all methods get the same sums.

Neither shares code with frazil, with what its network was trained on (`benchmarks/training`), or with each other's
physics of the camera; both read atoms by the same function. Development sessions have other specimens and other seeds
than those that are reported.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import math
import pickle
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft

from benchmarks.causal_world import physics
from benchmarks.causal_world import scene as movie_scenes
from benchmarks.causal_world.draws import Taken, Wanted, draw_movies
from benchmarks.causal_world.sessions import exposure_of
from benchmarks.ctf import bench as ctf_bench
from benchmarks.ctf import scenes as ctf_scenes
from benchmarks.restoration.scenes import particle_centres, true_phase
from frazil.config.settings import Settings
from frazil.models.causal.evidence import collect_evidence
from frazil.models.ctf_fit.fit import CtfFit, fit_ctf
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.deconvolution.blur import frame_blur_covariance_a2
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.motion.align import AlignedMovie, align_movie
from frazil.models.motion.frame_source import StackFrames
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.records import CtfEstimate, FrameShifts, LocalMotion, MovieEvidence, Quality

Array = NDArray[Any]
SIZE_PX, FRAMES_MADE, FRAMES_USED, IMAGE_FRAMES = 1024, 24, 17, 20
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Wish:
    """A session: its name, the first letters of its structure's file, the chain alone (None: all), who makes it."""

    name: str
    structure: str
    chain: str | None
    generator: str
    seed: int


REPORTED = (
    Wish("beta-galactosidase protomer, 116 kDa", "5a1a_", "A", "image", 71_000),
    Wish("IgG1, 150 kDa", "1igy_", None, "image", 72_000),
    Wish("30S ribosome subunit, 800 kDa", "4v4r_", None, "image", 73_000),
    Wish("p97, as deposited", "3cf3_", None, "movie", 7401),
    Wish("rubisco, as deposited", "1bxn_", None, "movie", 7502),
    Wish("GroEL-GroES, 870 kDa", "1aon_", None, "movie", 7603),
)
DEVELOPMENT = (
    Wish("ClpB protomer, 96 kDa", "1qvr_", "A", "image", 61_000),
    Wish("apoferritin, 480 kDa", "4v1w_", None, "image", 62_000),
    Wish("T20S proteasome, 700 kDa", "3j9i_", None, "movie", 6301),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: what a restoration is given, and the truth. Images (h, w) float32."""

    session: str
    generator: str
    number: int
    weighted: Array
    even: Array
    odd: Array
    truth: Array
    """Projected phase of the particles (rad), specimen bright, lying as it does in the sums."""
    centres_px: Array
    """(n, 2) y and x."""
    radius_angstrom: float
    acquisition: AcquisitionParameters
    dose_e_per_a2: float
    ice_nm: float
    true_ctf: CtfParameters
    fit: CtfEstimate
    """By frazil."""
    evidence: MovieEvidence
    blur_covariance_a2: tuple[float, float, float]

    @property
    def pixel_size_angstrom(self) -> float:
        return self.acquisition.pixel_size_angstrom


def fields_of(wish: Wish, count: int, structures: Path, cache: Path) -> Iterator[Field]:
    """The first fields of a session; each is made once and kept in `cache`."""
    modules = (movie_scenes, ctf_scenes, physics, sys.modules[__name__])
    key = hashlib.sha256("".join(inspect.getsource(module) for module in modules).encode()).hexdigest()[:10]
    cache.mkdir(parents=True, exist_ok=True)
    maker = _made_of_images if wish.generator == "image" else _made_of_movies
    make = None
    for number in range(count):
        path = cache / f"{wish.seed}_{number}_{key}.pickle"
        if not path.exists():
            make = make or maker(wish, _structure(wish, structures))
            path.write_bytes(pickle.dumps(make(number)))
        yield pickle.loads(path.read_bytes())


def _structure(wish: Wish, folder: Path) -> Path:
    found = sorted(folder.glob(f"{wish.structure}*"))
    if not found:
        raise SystemExit(f"no structure {wish.structure}* in {folder}: see --structures")
    if wish.chain is None:
        return found[0]
    model = gemmi.Model(1)
    model.add_chain(gemmi.read_structure(str(found[0]))[0][wish.chain].clone())
    alone = gemmi.Structure()
    alone.add_model(model)
    out = Path(tempfile.gettempdir()) / "frazil-benchmark" / f"{wish.structure}{wish.chain}.cif"
    out.parent.mkdir(exist_ok=True)
    alone.make_mmcif_document().write_file(str(out))
    return out


def _made_of_images(wish: Wish, path: Path) -> Any:
    """One instrument and dose for the session; defocus, ice, film, drift and coverage are the field's own."""
    session = np.random.default_rng([wish.seed, 1])
    common = {
        "pixel_size": float(session.choice([1.0, 1.1, 1.2, 1.3])),
        "voltage_kv": float(session.choice([300.0, 300.0, 200.0])),
        "cs_mm": 2.7,
        "amplitude_contrast": float(session.choice([0.07, 0.1])),
        "dose": float(session.uniform(20.0, 36.0)),
    }
    return partial(_image_field, wish, path, common)


def _image_field(wish: Wish, path: Path, common: dict[str, Any], number: int) -> Field:
    random = np.random.default_rng([wish.seed, 2, number])
    truth = ctf_scenes.Truth(
        kind="restoration",
        seed=wish.seed + number,
        size_px=SIZE_PX,
        defocus=float(random.uniform(9_000.0, 24_000.0)),
        astigmatism=float(min(abs(random.normal(0.0, 300.0)), 1200.0)),
        angle=float(random.uniform(-90.0, 90.0)),
        structure=str(path),
        coverage=float(random.uniform(0.12, 0.45)),
        ice_thickness=float(random.uniform(250.0, 700.0)),
        film=float(random.uniform(0.0, 10.0)),
        drift=(float(random.uniform(1.0, 6.0)), float(random.uniform(-90.0, 90.0))),
        b_factor=float(random.uniform(50.0, 110.0)),
        **common,
    )
    scene = ctf_scenes.make_scene(truth)
    phase, canvas_px = true_phase(truth)
    centres, radius = particle_centres(truth, canvas_px)
    fit = ctf_bench.fit_scene(scene)
    acquisition = AcquisitionParameters(
        truth.pixel_size, truth.voltage_kv, 2.7, truth.amplitude_contrast, truth.dose / IMAGE_FRAMES, 0.0, False, ()
    )
    still = (0.0,) * IMAGE_FRAMES
    shifts = FrameShifts(still, still, (0.1,) * IMAGE_FRAMES, 0.0, 0.0, 0.0, True)
    evidence = _evidence(shifts, None, fit, acquisition, float(scene.plain.mean()))
    return Field(
        session=wish.name,
        generator=wish.generator,
        number=number,
        weighted=scene.weighted.astype(np.float32),
        even=scene.even,
        odd=scene.odd,
        truth=phase,
        centres_px=centres - (canvas_px - SIZE_PX) // 2,
        radius_angstrom=radius,
        acquisition=acquisition,
        dose_e_per_a2=truth.dose,
        ice_nm=0.1 * truth.ice_thickness,
        true_ctf=_ctf(acquisition, truth.defocus, truth.astigmatism, truth.angle),
        fit=fit.estimate,
        evidence=evidence,
        blur_covariance_a2=(0.0, 0.0, 0.0),
    )


def _ctf(acquisition: AcquisitionParameters, defocus: float, astigmatism: float, angle_deg: float) -> CtfParameters:
    return CtfParameters(
        acquisition.voltage_kv,
        acquisition.cs_mm,
        acquisition.amplitude_contrast,
        defocus + 0.5 * astigmatism,
        defocus - 0.5 * astigmatism,
        angle_deg,
    )


def _made_of_movies(wish: Wish, path: Path) -> Any:
    movies = draw_movies(Wanted(seed=wish.seed, movies=12, size_px=SIZE_PX, frames=FRAMES_MADE))
    particle = movie_scenes.project(path, movies[0].session.instrument, wish.seed)
    return partial(_movie_field, wish, particle, movies)


def _movie_field(wish: Wish, particle: movie_scenes.Particle, movies: list[Taken], number: int) -> Field:
    movie = movies[number]
    exposure = exposure_of(movie, Wanted(seed=wish.seed, size_px=SIZE_PX, frames=FRAMES_MADE))
    instrument, causes = exposure.instrument, exposure.causes
    per_frame = instrument.dose_e_per_a2 / FRAMES_MADE
    acquisition = AcquisitionParameters(
        instrument.pixel_size_angstrom,
        instrument.voltage_kv,
        instrument.cs_mm,
        instrument.amplitude_contrast,
        per_frame,
        0.0,
        False,
        (),
    )
    aligned, fit, counts = _processed(exposure, particle, acquisition)
    evidence = _evidence(aligned.shifts, aligned.local_motion, fit, acquisition, counts)
    true_ctf = _ctf(acquisition, causes.defocus_angstrom, causes.astigmatism_angstrom, causes.astigmatism_angle_deg)
    phase, centres = _projection(exposure, particle)
    weighted = aligned.dose_weighted.numpy()
    moved = shift_between(phase, weighted, true_ctf, acquisition.pixel_size_angstrom)
    return Field(
        session=wish.name,
        generator=wish.generator,
        number=number,
        weighted=weighted,
        even=aligned.even.numpy(),
        odd=aligned.odd.numpy(),
        truth=shifted(phase, moved),
        centres_px=centres + np.array(moved),
        radius_angstrom=particle.radius_angstrom,
        acquisition=acquisition,
        dose_e_per_a2=per_frame * FRAMES_USED,
        ice_nm=causes.thickness_nm,
        true_ctf=true_ctf,
        fit=fit.estimate,
        evidence=evidence,
        blur_covariance_a2=frame_blur_covariance_a2(aligned.shifts.shift_x_angstrom, aligned.shifts.shift_y_angstrom),
    )


def _processed(
    exposure: movie_scenes.Exposure, particle: movie_scenes.Particle, acquisition: AcquisitionParameters
) -> tuple[AlignedMovie, CtfFit, float]:
    """Sums, CTF fit and electrons per pixel, as frazil makes them of the first frames."""
    settings, flat = Settings(), np.ones((SIZE_PX, SIZE_PX), dtype=np.float32)
    frames = np.stack(list(itertools.islice(movie_scenes.frames(exposure, particle, flat), FRAMES_USED)))
    frames = frames.astype(np.float32)
    aligned = align_movie(
        StackFrames(torch.from_numpy(frames)),
        pixel_size_angstrom=acquisition.pixel_size_angstrom,
        voltage_kv=acquisition.voltage_kv,
        dose_per_frame_e_per_a2=acquisition.dose_per_frame_e_per_a2 or 0.0,
        pre_exposure_e_per_a2=0.0,
        settings=settings.motion,
        device=CPU,
    )
    counts = float(frames.sum(0).mean())
    fit = fit_ctf(
        aligned.plain,
        pixel_size_angstrom=aligned.pixel_size_angstrom,
        optics=RingOptics(acquisition.voltage_kv, acquisition.cs_mm, acquisition.amplitude_contrast),
        settings=settings.ctf,
        fit_phase_shift=False,
        halves=(aligned.even, aligned.odd),
        weighted=aligned.dose_weighted,
        electrons_per_px=counts,
        device=CPU,
    )
    return aligned, fit, counts


def _evidence(
    shifts: FrameShifts,
    local_motion: LocalMotion | None,
    fit: CtfFit,
    acquisition: AcquisitionParameters,
    counts_per_px: float,
) -> MovieEvidence:
    """What the causal model is told of a field."""
    frames, side = len(shifts.shift_x_angstrom), SIZE_PX * acquisition.pixel_size_angstrom
    return collect_evidence(
        shifts=shifts,
        local_motion=local_motion,
        ctf=fit.estimate,
        spectra=fit.spectra,
        quality=Quality(counts_per_px, counts_per_px / frames, 0, None, 0.0, False),
        acquisition=acquisition,
        dose_per_frame_e_per_a2=acquisition.dose_per_frame_e_per_a2 or 0.0,
        frame_count=frames,
        field_angstrom=(side, side),
        particle_diameter_angstrom=None,
    )


def _projection(exposure: movie_scenes.Exposure, particle: movie_scenes.Particle) -> tuple[Array, Array]:
    """Phase of all particles as they lie before anything moves, and their centres (y, x) in px of the frame."""
    placed, first = movie_scenes.placed_particles(exposure, particle)
    box = particle.views.shape[1]
    half, size = box // 2, exposure.size_px
    canvas = fft.next_fast_len(size + movie_scenes.MARGIN_PX, real=True)
    sheet = np.zeros((canvas + box, canvas + box), dtype=np.float32)
    centres = []
    for one in placed:
        x, y = one.corner
        sheet[y : y + box, x : x + box] += np.rot90(particle.views[one.view], one.quarter_turns)
        centres.append((y - first, x - first))
    begin = half + first
    return np.ascontiguousarray(sheet[begin : begin + size, begin : begin + size]), np.array(centres, dtype=float)


def shift_between(phase: Array, seen: Array, ctf: CtfParameters, pixel_size_angstrom: float) -> tuple[float, float]:
    """(y, x) px by which what is seen lies further down and right than the truth: top of the cross-correlation of the
    truth through its CTF with the sum (specimen dark), between 200 and 12 A, to a tenth of a pixel."""
    n = len(phase)
    k = np.hypot(np.fft.fftfreq(n, pixel_size_angstrom)[:, None], np.fft.rfftfreq(n, pixel_size_angstrom)[None])
    band = (k > 1 / 200) * np.exp(-0.5 * (k * 6.0) ** 2)
    contrast = ctf_2d(ctf, n, n, pixel_size_angstrom).numpy()
    product = fft.rfft2(seen - seen.mean()) * np.conj(fft.rfft2(phase - phase.mean())) * contrast * band
    coarse = fft.irfft2(product, s=(n, n))
    reach = np.minimum(np.arange(n), n - np.arange(n)) <= round(40.0 / pixel_size_angstrom)
    top = np.unravel_index(int(np.argmax(np.where(reach[:, None] & reach[None], coarse, -np.inf))), coarse.shape)
    at = np.array([(float(value) + n // 2) % n - n // 2 for value in top])
    fine = np.arange(-10, 11) / 10
    ky, kx = np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None]
    along_y = np.exp(2j * np.pi * (at[0] + fine)[:, None] * ky[:, 0][None])
    along_x = np.exp(2j * np.pi * (at[1] + fine)[:, None] * kx[0][None])
    values = (along_y @ product @ along_x.T).real
    y, x = np.unravel_index(int(np.argmax(values)), values.shape)
    return float(at[0] + fine[y]), float(at[1] + fine[x])


def shifted(image: Array, by_px: tuple[float, float]) -> Array:
    """The image moved down and right, with what leaves it coming in on the other side."""
    n = len(image)
    ramp = np.exp(-2j * np.pi * (np.fft.fftfreq(n)[:, None] * by_px[0] + np.fft.rfftfreq(n)[None] * by_px[1]))
    return np.asarray(fft.irfft2(fft.rfft2(image) * ramp, s=image.shape), dtype=np.float32)


def covered_share(field: Field) -> float:
    """Of the field, by particles."""
    side = len(field.truth) * field.pixel_size_angstrom
    return len(field.centres_px) * math.pi * field.radius_angstrom**2 / side**2
