"""Low-dose scenes whose noise-free image is known, for `restoration.py`: globular, membrane and fibre structures.

Made by `ctf_scenes.py` (which shares no code with frazil): 15 to 25 e/A2, 50 to 90 nm of ice with its own structure, a
film of disordered protein, 3 to 8 A of drift left in the sum. The noise-free image is the projected phase of the
particles alone: no CTF, no envelope, no ice, no counting.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gemmi
import numpy as np

from benchmarks.ctf import scenes as ctf_scenes

CLASSES = {
    "globular": ("1bxn", "1mnf", "3cf3", "3j9i", "5a1a", "6z6u", "4v5a", "1qvr"),
    "membrane": ("2nwl", "1u19"),
    "fibre": ("1ql2",),
}
"""Structures by the first four letters of their file; the membrane proteins without their detergent belts, whose
contrast against ice is next to none."""
_FIBRE_LENGTH_ANGSTROM = 620.0
_PF1_RISE_ANGSTROM, _PF1_TURN_DEG = 9.15, 197.745
"""Of three subunits along the helix of Pf1 (1ql2, _pdbx_helical_symmetry)."""


@dataclass(frozen=True, slots=True)
class KnownScene:
    scene: ctf_scenes.Scene
    truth: ctf_scenes.Array
    """(h, w) projected phase (rad), specimen bright."""
    structure_class: str
    centres_px: ctf_scenes.Array
    """(n, 2) y and x of the particles' centres."""
    radius_angstrom: float


def classes_in(folder: Path) -> list[str]:
    """Classes of which the folder has a structure."""
    return [name for name, files in CLASSES.items() if any(any(folder.glob(f"{file}*.gz")) for file in files)]


def draw_scene(seed: int, structure_class: str, folder: Path, size_px: int = 1024) -> KnownScene:
    """A scene of a class; the same seed gives the same scene."""
    rng = np.random.default_rng([seed, 11])
    names = CLASSES[structure_class]
    found = [path for name in names for path in sorted(folder.glob(f"{name}*")) if path.suffix == ".gz"]
    if not found:
        raise SystemExit(f"no structure of {', '.join(names)} in {folder}")
    path = found[int(rng.integers(len(found)))]
    if structure_class == "fibre":
        path = _fibre(str(path))
    truth = ctf_scenes.Truth(
        kind="restoration",
        seed=seed,
        size_px=size_px,
        pixel_size=float(rng.choice([1.0, 1.06, 1.2, 1.35])),
        voltage_kv=float(rng.choice([300.0, 300.0, 200.0])),
        cs_mm=2.7,
        amplitude_contrast=float(rng.choice([0.07, 0.1])),
        dose=float(rng.uniform(15.0, 25.0)),
        defocus=float(rng.uniform(9_000.0, 24_000.0)),
        astigmatism=float(min(abs(rng.normal(0.0, 400.0)), 1500.0)),
        angle=float(rng.uniform(-90.0, 90.0)),
        structure=str(path),
        coverage=float(rng.uniform(0.15, 0.5)) * (0.25 if structure_class == "fibre" else 1.0),
        ice_thickness=float(rng.uniform(500.0, 900.0)),
        film=float(rng.uniform(0.0, 15.0)),
        drift=(float(rng.uniform(3.0, 8.0)), float(rng.uniform(-90.0, 90.0))),
        b_factor=float(rng.uniform(60.0, 120.0)),
    )
    image, canvas_px = true_phase(truth)
    centres, radius = particle_centres(truth, canvas_px)
    first = (canvas_px - size_px) // 2
    return KnownScene(ctf_scenes.make_scene(truth), image, structure_class, centres - first, radius)


def true_phase(truth: ctf_scenes.Truth) -> tuple[ctf_scenes.Array, int]:
    """(h, w) projected phase (rad) of a scene's particles, and the side of the canvas they were put on (px)."""
    # The particles are the first that a scene draws: the same generator puts them in the same places.
    canvas = ctf_scenes.Canvas(truth, np.random.default_rng(truth.seed))
    phase = canvas.back(np.asarray(sum(canvas.particles(3))))
    first = (canvas.size - truth.size_px) // 2
    return np.ascontiguousarray(phase[first : first + truth.size_px, first : first + truth.size_px]), canvas.size


def particle_centres(truth: ctf_scenes.Truth, canvas_px: int) -> tuple[ctf_scenes.Array, float]:
    """Places that `Canvas.particles` draws, by the same draws, and the particles' radius in A."""
    rng = np.random.default_rng(truth.seed)
    xyz, _ = ctf_scenes.atoms(truth.structure)
    radius = float(np.percentile(np.linalg.norm(xyz, axis=1), 98))
    side = canvas_px * truth.pixel_size
    wanted = max(1, round(truth.coverage * side * side / (math.pi * radius * radius)))
    centres: list[np.ndarray] = []
    for _ in range(40 * wanted):
        if len(centres) >= wanted:
            break
        new = rng.uniform(0, side, 2)
        if all(np.hypot(*(new - other)) > 1.7 * radius for other in centres):
            centres.append(new)
    return np.array(centres)[:, ::-1] / truth.pixel_size, radius


@lru_cache(maxsize=1)
def _fibre(path: str) -> Path:
    """A piece of a Pf1 phage: the three chains of the entry, again and again along their helix (its axis is z)."""
    entry = gemmi.read_structure(path)[0]
    chains = [chain.clone() for chain in entry]
    xyz = [np.array([atom.pos.tolist() for residue in chain for atom in residue]) for chain in chains]
    made = gemmi.Structure()
    made.name = "fibre"
    model = gemmi.Model(1)
    for number in range(round(_FIBRE_LENGTH_ANGSTROM / _PF1_RISE_ANGSTROM)):
        turn = math.radians(number * _PF1_TURN_DEG)
        rotation = np.array(
            [[math.cos(turn), -math.sin(turn), 0.0], [math.sin(turn), math.cos(turn), 0.0], [0.0, 0.0, 1.0]]
        )
        for chain, start in zip(chains, xyz, strict=True):
            placed = start @ rotation.T + np.array([0.0, 0.0, number * _PF1_RISE_ANGSTROM])
            copy = chain.clone()
            copy.name = f"{chain.name}{number}"
            for atom, position in zip((atom for residue in copy for atom in residue), placed, strict=True):
                atom.pos = gemmi.Position(*position)
            model.add_chain(copy)
    made.add_model(model)
    folder = Path(tempfile.gettempdir()) / "frazil-benchmark"
    folder.mkdir(exist_ok=True)
    out = folder / "1ql2_fibre.cif"
    made.make_mmcif_document().write_file(str(out))
    return out
