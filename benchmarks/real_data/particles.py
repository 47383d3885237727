"""Real particle stacks through frazil's own 2-D classes, pose search and reconstruction, each against its control.

    ./run bench real_particles --data DATA [--png docs/images/real-particles.png] [--json OUT.json]

    poses      five images of filaments with RELION's CTF and poses: a map from some of them, reprojected, must fit the
               one left out better at its own pose than at others; and the filaments must run where the poses say
    search     17 beta-galactosidases against the known map at 30 A: the score must be higher than that of the same
               images with random phases, and than that against wrong maps
    classes    three stacks, each in two halves that never see one another: their class averages must agree better
               than those of the same images with random phases

`particle_stacks.py` says what is known about each stack. So few images show whether signs, angles, shifts and CTF are
those of real data; they show no resolution.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from benchmarks.real_data import shared_data
from benchmarks.real_data.stacks import (
    CPU,
    STACKS,
    Stack,
    StackFacts,
    agreement,
    class_averages,
    halves_of,
    plane_of,
    randomised,
    read_stack,
    repeated,
    ring_defocus_angstrom,
    spectra,
)
from frazil.models.formats.mrc import MrcReader
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.star import read_star
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane, FourierVolume
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.orientation.orientation_search import OrientationSearch
from frazil.models.reconstruction.orientation.rotations import matrices_from_euler_deg
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.orientation.symmetry_alignment import rotated
from frazil.models.reconstruction.refine.initial_map import INITIAL_RESOLUTION_ANGSTROM, initial_map

_SEED = 20261122
_FILAMENT_DIAMETERS_ANGSTROM = (250.0, 400.0)
"""Of what is compared about the particle's centre. Poses that are wrong by some degrees hurt the wider one more."""
_FILAMENT_BAND_ANGSTROM = (300.0, 40.0)
_RANDOM_POSES = 1000
_BETA_GAL = STACKS[0]
_STRENGTHS = (3.0, 3.5, 4.0)
"""Of simulated particles, in standard deviations of noise."""
PARTS = ("poses", "search", *(facts.name for facts in STACKS))
_PANEL_PX, _PARTICLES_SHOWN, _OTHERS_SHOWN = 104, 8, 4

_SHOWN_ANGSTROM = {"beta-galactosidase": 45.0, "50S assembly": 35.0, "ribosome tilts": 60.0}
"""Low-pass of the picture only."""


# --- filaments: given poses ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filaments:
    """The images of `cryodrgn_relion31` on the reconstructor's grid."""

    stack: Stack
    plane: FourierPlane
    pixel_size_angstrom: float
    each: list[ParticleSpectra]
    """One image each, with its own CTF."""
    euler_deg: NDArray[Any]
    poses: NDArray[Any]
    shift_px: NDArray[Any]


def read_filaments(data: Path, diameter_angstrom: float) -> Filaments:
    star = read_star(data / "particles" / "cryodrgn_relion31.star")
    optics, rows = star["optics"], star["particles"]
    pixel = optics.floats("rlnImagePixelSize")[0]
    stack = read_stack(
        data / "particles" / "cryodrgn_relion31.mrcs", diameter_px=_FILAMENT_DIAMETERS_ANGSTROM[-1] / pixel, dark=False
    )
    stack = stack[[int(name.split("@")[0]) - 1 for name in rows.texts("rlnImageName")]]
    plane = plane_of(stack.shape[-1], pixel)
    each = []
    for number in range(len(stack)):
        ctf = CtfParameters(
            voltage_kv=optics.floats("rlnVoltage")[0],
            cs_mm=optics.floats("rlnSphericalAberration")[0],
            amplitude_contrast=optics.floats("rlnAmplitudeContrast")[0],
            defocus_u_angstrom=rows.floats("rlnDefocusU")[number],
            defocus_v_angstrom=rows.floats("rlnDefocusV")[number],
            astigmatism_angle_deg=rows.floats("rlnDefocusAngle")[number],
            phase_shift_deg=rows.floats("rlnPhaseShift")[number],
        )
        all_of_them = particle_spectra(  # the noise is known better from all
            torch.from_numpy(stack),
            plane,
            pixel_size_angstrom=pixel,
            diameter_angstrom=diameter_angstrom,
            ctf=ctf,
        )
        row = slice(number, number + 1)
        each.append(
            ParticleSpectra(all_of_them.values[row], all_of_them.masked[row], all_of_them.ctf, all_of_them.whitening)
        )
    euler = np.stack([rows.floats(f"rlnAngle{name}") for name in ("Rot", "Tilt", "Psi")], axis=1)
    origin = np.stack([rows.floats(f"rlnOrigin{axis}Angst") for axis in "XY"], axis=1)
    return Filaments(
        stack, plane, pixel, each, euler, matrices_from_euler_deg(euler), -origin / plane.pixel_size_angstrom
    )


def map_of(filaments: Filaments, chosen: list[int]) -> Tensor:
    """Reconstruction from some images at RELION's poses, in the convention of `RunningMap`."""
    plane, sums = filaments.plane, FourierAccumulator(filaments.plane.box_px, device=CPU)
    for number in chosen:
        one = filaments.each[number]
        centred = one.values * plane.phases(filaments.shift_px[number : number + 1], len(plane.kx), CPU)
        power = (one.ctf**2)[None]
        sums.insert(plane, torch.from_numpy(filaments.poses[number : number + 1]), centred * one.ctf, power)
    return sums.volume()


def fit(filaments: Filaments, volume: FourierVolume, number: int, poses: NDArray[Any]) -> NDArray[Any]:
    """(n,) correlation of an image with CTF-affected reprojections at poses (n, 3, 3), at the image's own centre."""
    plane, one = filaments.plane, filaments.each[number]
    low, high = (plane.count_within(1 / angstrom) for angstrom in _FILAMENT_BAND_ANGSTROM)
    weight = one.whitening[low:high]
    image = (one.masked * plane.phases(filaments.shift_px[number : number + 1], len(plane.kx), CPU))[0, low:high]
    slices = volume.slices(torch.from_numpy(poses), plane, high)[:, low:high] * one.ctf[low:high]
    cross = ((image.conj() * slices).real * weight).sum(dim=1)
    power = (slices.abs().square() * weight).sum(dim=1) * (image.abs().square() * weight).sum()
    return np.asarray((cross / power.sqrt().clamp_min(1e-20)).double().numpy())


def direction_deg(filaments: Filaments, number: int) -> float:
    """Where a filament runs in its image, 0 to 180 from +x towards +y (rows): across the streak of its spectrum."""
    plane = filaments.plane
    low, high = plane.count_within(1 / 300.0), plane.count_within(1 / 30.0)
    power = filaments.each[number].masked[0, low:high].abs().square().numpy()
    ring = np.rint(plane.radius_px[low:high]).astype(int)
    power = power / (np.bincount(ring, weights=power) / np.maximum(np.bincount(ring), 1))[ring]
    angle = np.degrees(np.arctan2(plane.ky[low:high], plane.kx[low:high]))
    tried = np.arange(0.0, 180.0, 0.5)
    near = (angle[None] - tried[:, None] + 90) % 180 - 90
    share = np.exp(-0.5 * (near / 3.0) ** 2)
    streak = tried[int(np.argmax(share @ power / share.sum(axis=1)))]
    return float((streak + 90) % 180)


def poses_report(filaments: Filaments, rng: np.random.Generator) -> dict[str, Any]:
    later = {b for _, b in repeated(filaments.stack)}
    distinct = [number for number in range(len(filaments.stack)) if number not in later]
    everywhere = Rotation.random(_RANDOM_POSES, random_state=rng.integers(2**31)).as_matrix()
    images, random, turned = [], [], []
    for number in distinct:
        others = [other for other in distinct if other != number]
        volume = FourierVolume(map_of(filaments, others), device=CPU)
        about = np.tile(filaments.euler_deg[number], (_RANDOM_POSES, 1))
        about[:, 0] = np.arange(_RANDOM_POSES) * (360 / _RANDOM_POSES) - 180
        random.append(rng.permutation(fit(filaments, volume, number, everywhere)))
        turned.append(fit(filaments, volume, number, matrices_from_euler_deg(about)))
        axis = filaments.poses[number] @ np.array([0.0, 0.0, 1.0])
        own = float(fit(filaments, volume, number, filaments.poses[number : number + 1])[0])
        images.append(
            {
                "image": number + 1,
                "map_from": [other + 1 for other in others],
                "own_pose": own,
                "random_poses_sd": float(random[-1].std()),
                "random_poses_as_good": float((random[-1] >= own).mean()),
                "rotations_about_filament_as_good": float((turned[-1] >= own).mean()),
                "best_rotation_about_filament_deg": float(about[turned[-1].argmax(), 0]),
                "rotation_of_pose_deg": float(filaments.euler_deg[number, 0]),
                "direction_seen_deg": direction_deg(filaments, number),
                "direction_of_pose_deg": float(np.degrees(np.arctan2(axis[1], axis[0])) % 180),
            }
        )
    together = float(np.mean([one["own_pose"] for one in images]))
    means = np.mean(random, axis=0)
    about_means = np.mean([rng.permutation(one) for one in turned], axis=0)
    return {
        "images": images,
        "mean_own_pose": together,
        "mean_random_poses": float(means.mean()),
        "mean_random_poses_sd": float(means.std()),
        "random_means_as_good": float((means >= together).mean()),
        "mean_about_filament": float(about_means.mean()),
        "mean_about_filament_sd": float(about_means.std()),
        "about_filament_means_as_good": float((about_means >= together).mean()),
    }


# --- beta-galactosidase: pose search -------------------------------------------------------------------------------


def start_maps(data: Path, plane: FourierPlane) -> dict[str, tuple[Tensor, str]]:
    """The right map and wrong ones, with the point group that each is searched in; all low-passed to 30 A."""
    diameter, n, pixel = _BETA_GAL.diameter_angstrom, plane.box_px, plane.pixel_size_angstrom
    right = initial_map(
        data / "maps" / "ngl_betaGal.mrc",
        box_px=n,
        pixel_size_angstrom=pixel,
        symmetry="D2",
        diameter_angstrom=diameter,
    )
    with MrcReader(data / "maps" / "aspire_clean70SRibosome_vol_65p.mrc") as reader:
        ribosome = np.stack([np.asarray(section, dtype=np.float32) for section in reader.frames()])
    # It has no pixel size: the one that makes its density spread as far as that of the right map.
    own_px, right_angstrom = _gyration(np.maximum(ribosome, 0)), _gyration(right.clamp_min(0).numpy()) * pixel
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ribosome.mrc"
        write_mrc(path, ribosome, right_angstrom / own_px, is_volume=True)
        wrong = initial_map(path, box_px=n, pixel_size_angstrom=pixel, symmetry="C1", diameter_angstrom=diameter)
    d2 = symmetry_matrices("D2")
    return {
        "beta-galactosidase": (right, "D2"),
        "its mean over all turns": (_spherical(right), "D2"),
        "70S, scaled, made D2": (torch.stack([rotated(wrong, one) for one in d2]).mean(dim=0), "D2"),
        "70S, scaled": (wrong, "C1"),
    }


def _gyration(density: NDArray[Any]) -> float:
    """Radius of gyration, voxels."""
    grid = np.stack(np.meshgrid(*(np.arange(size) for size in density.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    weight = density.reshape(-1).astype(np.float64)
    centre = weight @ grid / weight.sum()
    return float(np.sqrt(weight @ ((grid - centre) ** 2).sum(axis=1) / weight.sum()))


def _spherical(volume: Tensor) -> Tensor:
    n = volume.shape[0]
    axis = np.arange(n) - n // 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    shell = np.rint(radius).astype(int)
    mean = np.bincount(shell.ravel(), weights=volume.numpy().ravel()) / np.maximum(np.bincount(shell.ravel()), 1)
    return torch.from_numpy(np.interp(radius, np.arange(len(mean)), mean).astype(np.float32))


def search_report(
    stack: Stack, maps: dict[str, tuple[Tensor, str]], facts: StackFacts, draws: int, rng: np.random.Generator
) -> dict[str, Any]:
    """A map with more detail or more poses fits noise better, too: maps are compared by what particles score above the
    same particles with random phases."""
    plane = plane_of(stack.shape[-1], facts.pixel_size_angstrom)
    real = spectra(stack, facts)
    random = [spectra(randomised(stack, rng), facts) for _ in range(draws)]
    found: dict[str, Any] = {}
    for name, (volume, symmetry) in maps.items():
        search = OrientationSearch(
            volume,
            plane,
            resolution_angstrom=INITIAL_RESOLUTION_ANGSTROM,
            diameter_angstrom=facts.diameter_angstrom,
            symmetry=symmetry_matrices(symmetry),
            device=CPU,
        )
        score = search.find(real).score
        control = np.stack([search.find(one).score for one in random])
        means = control.mean(axis=1)
        found[name] = {
            "coarse_poses": search.pose_count,
            "score_mean": float(score.mean()),
            "random_phases_mean": float(means.mean()),
            "random_phases_sd_of_mean": float(means.std(ddof=1)),
            "random_draws_as_good": int((means >= score.mean()).sum()),
            "above_random": (score - control.mean(axis=0)).round(3).tolist(),
        }
    right = np.array(found[_BETA_GAL.name]["above_random"])
    for one in found.values():
        ahead = right - np.array(one["above_random"])
        one["right_map_ahead_mean"] = float(ahead.mean())
        one["right_map_ahead_standard_error"] = float(ahead.std(ddof=1) / np.sqrt(len(ahead)))
        one["right_map_better_for"] = int((ahead > 0).sum())
    return {"particles": len(stack), "draws": draws, "maps": found}


def search_power(
    stack: Stack, maps: dict[str, tuple[Tensor, str]], facts: StackFacts, rng: np.random.Generator
) -> dict[str, Any]:
    """Could the search have told the maps apart? Projections of the right map at random poses, in noise with the
    spectrum of the stack, about as far above noise as the real ones are."""
    plane, real = plane_of(stack.shape[-1], facts.pixel_size_angstrom), spectra(stack, facts)
    count, samples = 4 * len(stack), len(plane.kx)
    poses = torch.from_numpy(Rotation.random(count, random_state=rng.integers(2**31)).as_matrix())
    slices = FourierVolume(maps[_BETA_GAL.name][0], device=CPU).slices(poses, plane, samples) * real.ctf
    unit = slices / (slices.abs().square() * real.whitening).sum(dim=1).mean().sqrt()

    def scores(strength: float) -> dict[str, NDArray[Any]]:
        white = rng.standard_normal((count, samples, 2)).astype(np.float32) / np.sqrt(np.float32(2))
        images = torch.view_as_complex(torch.from_numpy(white)) / real.whitening.sqrt() + strength * unit
        return {name: search.find(replace(real, values=images, masked=images)).score for name, search in all_.items()}

    all_ = {
        name: OrientationSearch(
            volume,
            plane,
            resolution_angstrom=INITIAL_RESOLUTION_ANGSTROM,
            diameter_angstrom=facts.diameter_angstrom,
            symmetry=symmetry_matrices(symmetry),
            device=CPU,
        )
        for name, (volume, symmetry) in maps.items()
    }
    noise = {name: float(one.mean()) for name, one in scores(0.0).items()}
    found: dict[str, Any] = {}
    for strength in _STRENGTHS:
        above = {name: one - noise[name] for name, one in scores(strength).items()}
        found[f"{strength:g}"] = {
            name: {
                "above_noise": float(one.mean()),
                "right_map_ahead_mean": float((above[_BETA_GAL.name] - one).mean()),
                "of_as_many_particles_standard_error": float(
                    (above[_BETA_GAL.name] - one).std(ddof=1) / np.sqrt(len(stack))
                ),
            }
            for name, one in above.items()
        }
    return found


# --- classes -------------------------------------------------------------------------------------------------------


def classes_report(stack: Stack, facts: StackFacts, draws: int, rng: np.random.Generator) -> dict[str, Any]:
    draws = min(draws, facts.most_draws)
    splits = 1 if facts.first_half is not None else draws
    real = [agreement(halves_of(stack, facts, rng), facts) for _ in range(splits)]
    random = [agreement(halves_of(randomised(stack, rng), facts, rng), facts) for _ in range(draws)]
    return {
        "particles": len(stack),
        "band_angstrom": [facts.diameter_angstrom, facts.finest_angstrom],
        "splits": splits,
        "agreement": float(np.mean(real)),
        "agreement_sd_of_splits": float(np.std(real)),
        "random_phases": float(np.mean(random)),
        "random_phases_sd": float(np.std(random, ddof=1)),
        "random_draws_as_good": int(np.sum(np.array(random) >= np.mean(real))),
        "draws": draws,
    }


# --- picture -------------------------------------------------------------------------------------------------------


def panel(image: NDArray[Any], crop: float) -> shared_data.Image:
    """The middle of an image, its 1st to 99.5th percentile as black to white, smoothly resized."""
    n = image.shape[0]
    half = min(round(crop * n / 2), n // 2)
    cut = np.asarray(image, dtype=np.float64)[n // 2 - half : n // 2 + half, n // 2 - half : n // 2 + half]
    sized = ndimage.zoom(cut, _PANEL_PX / cut.shape[0], order=1)
    low, high = np.percentile(sized, (1.0, 99.5))
    gray = np.clip((sized - low) * (255.0 / max(high - low, 1e-12)), 0, 255).astype(np.uint8)
    return np.pad(gray, 2, constant_values=255)


def strip(left: list[shared_data.Image], right: list[shared_data.Image]) -> shared_data.Image:
    """Particles, a gap, and what was made of them; blank where there are fewer."""
    blank = np.full_like(left[0], 255)
    particles = (left + [blank] * _PARTICLES_SHOWN)[:_PARTICLES_SHOWN]
    others = (right + [blank] * _OTHERS_SHOWN)[:_OTHERS_SHOWN]
    return np.hstack([*particles, blank[:, :16], *others])


def low_passed(stack: Stack, resolution_angstrom: float, pixel_size_angstrom: float) -> Stack:
    sd_px = 0.25 * resolution_angstrom / pixel_size_angstrom
    return np.asarray(ndimage.gaussian_filter(stack, (0, sd_px, sd_px)))


def montage(filaments: Filaments, stacks: dict[str, Stack], right: Tensor) -> shared_data.Image:
    distinct = [i for i in range(len(filaments.stack)) if i not in {b for _, b in repeated(filaments.stack)}]
    volume = map_of(filaments, distinct)
    n = volume.shape[0]
    smooth = ndimage.gaussian_filter(volume.numpy(), 0.25 * 30 / filaments.plane.pixel_size_angstrom)
    sections = [smooth[n // 2], smooth[:, n // 2], smooth[:, :, n // 2]]
    images = low_passed(filaments.stack, 30.0, filaments.pixel_size_angstrom)
    rows = [strip([panel(one, 0.98) for one in images], [panel(one, 0.7) for one in sections])]
    for facts in STACKS:
        stack = stacks[facts.name][: facts.first_half]
        n, shown_angstrom = stack.shape[-1], _SHOWN_ANGSTROM[facts.name]
        box_angstrom = n * facts.pixel_size_angstrom
        crop = min(1.6 * facts.diameter_angstrom / box_angstrom, 1.0)
        averages = sorted(class_averages(stack, facts), key=lambda one: -one.particle_count)[:_OTHERS_SHOWN]
        made = low_passed(
            np.stack([one.image.numpy() for one in averages]), shown_angstrom, box_angstrom / averages[0].image.shape[0]
        )
        others = [panel(one, crop) for one in made]
        if facts is _BETA_GAL:
            others = [*others[: _OTHERS_SHOWN - 1], panel(right.sum(dim=1).numpy(), crop)]
        images = low_passed(stack, shown_angstrom, facts.pixel_size_angstrom)
        step = max(len(images) // _PARTICLES_SHOWN, 1)
        rows.append(strip([panel(one, crop) for one in images[::step][:_PARTICLES_SHOWN]], others))
    return np.vstack(rows)


# --- all of it -----------------------------------------------------------------------------------------------------


def show(figures: dict[str, Any]) -> list[str]:
    """Print the tables; what did not hold."""
    bad = [*_show_poses(figures["poses"]), *_show_search(figures["search"])]
    _show_power(figures.get("search_power", {}))
    bad += _show_classes(figures["classes"])
    for word in bad:
        print(f"NOT SHOWN: {word}")
    return bad


def _show_poses(poses: dict[str, Any]) -> list[str]:
    bad = []
    print(f"poses: images that are one and the same {poses['identical_images']}")
    print(
        "  mask A  image  own pose  random sd  as good   rotations about it: as good  best / own deg   runs seen / own"
    )
    for diameter, report in poses["diameters_angstrom"].items():
        for row in report["images"]:
            print(
                f"  {diameter:>6s} {row['image']:6d}  {row['own_pose']:8.3f}  {row['random_poses_sd']:9.3f}"
                f"  {row['random_poses_as_good']:7.1%}  {row['rotations_about_filament_as_good']:24.1%}"
                f"  {row['best_rotation_about_filament_deg']:7.1f} / {row['rotation_of_pose_deg']:6.1f}"
                f"   {row['direction_seen_deg']:6.1f} / {row['direction_of_pose_deg']:5.1f}"
            )
        print(
            f"  {diameter:>6s}    all  {report['mean_own_pose']:8.3f}  random {report['mean_random_poses']:.3f} +-"
            f" {report['mean_random_poses_sd']:.3f}: {report['random_means_as_good']:.1%} as good; about the filament"
            f" {report['mean_about_filament']:.3f} +- {report['mean_about_filament_sd']:.3f}:"
            f" {report['about_filament_means_as_good']:.1%} as good"
        )
        if report["random_means_as_good"] > 0.01 or report["about_filament_means_as_good"] > 0.01:
            bad.append(f"reprojections of the filaments at their own poses fit no better than others ({diameter} A)")
    return bad


def _show_search(search: dict[str, Any]) -> list[str]:
    bad = []
    for transfer, report in search.items():
        print(
            f"\nsearch, {transfer:18s}  poses    real   random phases  as good   above it   right map ahead  better for"
        )
        for name, one in report["maps"].items():
            print(
                f"  {name:24s} {one['coarse_poses']:6d}  {one['score_mean']:6.2f}  {one['random_phases_mean']:6.2f} +-"
                f" {one['random_phases_sd_of_mean']:.2f}  {one['random_draws_as_good']:2d} of {report['draws']}"
                f"  {np.mean(one['above_random']):9.2f}    {one['right_map_ahead_mean']:5.2f} +-"
                f" {one['right_map_ahead_standard_error']:.2f}    {one['right_map_better_for']:2d} of"
                f" {report['particles']}"
            )
            if name != _BETA_GAL.name and one["right_map_ahead_mean"] < 2 * one["right_map_ahead_standard_error"]:
                bad.append(f"with {transfer} the right map is not clearly better than: {name}")
        if report["maps"][_BETA_GAL.name]["random_draws_as_good"]:
            bad.append(f"with {transfer} random phases score as high as particles")
    return bad


def _show_power(search_power: dict[str, Any]) -> None:
    for strength, report in search_power.items():
        print(f"\nsimulated particles of strength {strength}: above noise, right map ahead (error of as many)")
        for name, one in report.items():
            print(
                f"  {name:24s} {one['above_noise']:5.2f}   {one['right_map_ahead_mean']:5.2f} +-"
                f" {one['of_as_many_particles_standard_error']:.2f}"
            )


def _show_classes(classes: dict[str, Any]) -> list[str]:
    bad = []
    print("\nclasses             images  agreement of halves   random phases  draws as good")
    for name, one in classes.items():
        print(
            f"  {name:18s} {one['particles']:5d}      {one['agreement']:.3f} +-"
            f" {one['agreement_sd_of_splits']:.3f}      {one['random_phases']:.3f} +- {one['random_phases_sd']:.3f}"
            f"  {one['random_draws_as_good']:4d} of {one['draws']}"
        )
        if one["random_draws_as_good"] > 0.05 * one["draws"]:
            bad.append(f"classes of {name}: halves agree no better than noise")
    return bad


def main() -> int:
    parser = shared_data.parser(__doc__)
    parser.add_argument("--png", type=Path, help="write the picture here")
    parser.add_argument("--draws", type=int, default=20, help="of random phases [default: 20]")
    parser.add_argument("--only", nargs="*", choices=PARTS, help="some parts; the figures of others stay in --json")
    args = parser.parse_args()
    if shared_data.data_file(args, "particles") is None or shared_data.data_file(args, "maps") is None:
        return 0
    torch.set_num_threads(1)
    data, rng = Path(args.data), np.random.default_rng(_SEED)
    by_diameter = {f"{size:.0f}": read_filaments(data, size) for size in _FILAMENT_DIAMETERS_ANGSTROM}
    filaments = next(iter(by_diameter.values()))
    stacks = {
        facts.name: read_stack(
            data / "particles" / facts.file,
            diameter_px=facts.diameter_angstrom / facts.pixel_size_angstrom,
            dark=facts.dark,
        )
        for facts in STACKS
    }
    beta_gal = stacks[_BETA_GAL.name]
    maps = start_maps(data, plane_of(beta_gal.shape[-1], _BETA_GAL.pixel_size_angstrom))
    figures: dict[str, Any] = {"classes": {}}
    if args.only and args.json is not None and args.json.exists():
        figures = json.loads(args.json.read_text())
    wanted = args.only or PARTS
    if "poses" in wanted:
        figures["poses"] = {
            "identical_images": [[a + 1, b + 1] for a, b in repeated(filaments.stack)],
            "band_angstrom": list(_FILAMENT_BAND_ANGSTROM),
            "diameters_angstrom": {name: poses_report(one, rng) for name, one in by_diameter.items()},
        }
    if "search" in wanted:
        defocus = ring_defocus_angstrom(beta_gal, _BETA_GAL.pixel_size_angstrom)
        seen = replace(_BETA_GAL, ctf=CtfParameters(300.0, 2.0, 0.1, defocus, defocus))
        figures["search_power"] = search_power(beta_gal, maps, seen, rng)
        figures["search"] = {
            "transfer 1": search_report(beta_gal, maps, _BETA_GAL, args.draws, rng),
            f"CTF at {defocus:.0f} A": search_report(beta_gal, maps, seen, args.draws, rng),
        }
    for facts in STACKS:
        if facts.name in wanted:
            figures["classes"][facts.name] = classes_report(stacks[facts.name], facts, args.draws, rng)
    if not {"poses", "search"} <= figures.keys():
        shared_data.write_json(args, figures)
        return 0
    bad = show(figures)
    figures["not_shown"] = bad
    shared_data.write_json(args, figures)
    if args.png is not None:
        shared_data.write_png(args.png, montage(filaments, stacks, maps["beta-galactosidase"][0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
