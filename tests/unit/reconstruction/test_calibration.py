"""A known structure in maps of it, of its mirror image, and of another: pixel size, hand, scale, refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from frazil.config.errors import FormatError, UsageError
from frazil.models.atomic_model.potential import Atoms
from frazil.models.atomic_model.projection import potential_map
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.reconstruction.calibration.known_structure import Calibration, calibrate
from frazil.models.reconstruction.calibration.placing import mirrored, rough_places
from frazil.models.reconstruction.calibration.structure_files import AtomicModel, MapModel, read_structure
from frazil.models.reconstruction.orientation.symmetry import axis_rotation

BOX_PX, TRUE_ANGSTROM = 40, 3.0
STATED_ANGSTROM = 3.09
ATOMS = 900
GAIN = 3.0


def chain(seed: int) -> Atoms:
    """A walk of carbon atoms that turns about itself: compact, without symmetry, of one hand."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(ATOMS, 3))
    position = np.zeros(3)
    walk = []
    for step in steps:
        position = position + 3.8 * step / np.linalg.norm(step) - 0.02 * position
        walk.append(position)
    xyz = np.array(walk) * [1.0, 0.8, 0.6]
    xyz -= xyz.mean(axis=0)
    radius = float(np.sqrt((xyz**2).sum(axis=1)).max())
    return Atoms("chain", xyz.astype(np.float32), np.zeros(ATOMS, dtype=np.int64), ("C",), radius)


def half_maps(atoms: Atoms, *, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """With true voxels; the structure is turned and shifted."""
    rng = np.random.default_rng(seed)
    turn = axis_rotation(rng.normal(size=3), float(rng.uniform(0.5, 3.0)))
    moved = (atoms.position_angstrom @ turn.T + rng.normal(size=3) * 3.0).astype(np.float32)
    placed = Atoms("placed", moved, atoms.element_index, atoms.elements, atoms.radius_angstrom)
    volume = GAIN * potential_map(placed, box_px=BOX_PX, pixel_size_angstrom=TRUE_ANGSTROM, b_factor_a2=160.0)
    sd = noise * float(volume.std())
    generator = torch.Generator().manual_seed(seed)
    first, second = (volume + sd * torch.randn(volume.shape, generator=generator) for _ in range(2))
    return first, second


def calibrated(atoms: Atoms, halves: tuple[Tensor, Tensor]) -> Calibration | None:
    return calibrate(
        *halves,
        AtomicModel(atoms),
        pixel_size_angstrom=STATED_ANGSTROM,
        symmetry="C1",
        diameter_angstrom=2 * atoms.radius_angstrom,
    )


@pytest.mark.parametrize("mirror", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_pixel_size_hand_and_scale(mirror: bool) -> None:
    first, second = half_maps(chain(1), noise=0.3, seed=5)
    found = calibrated(chain(1), (mirrored(first), mirrored(second)) if mirror else (first, second))
    assert found is not None
    assert found.fits
    true = TRUE_ANGSTROM / STATED_ANGSTROM
    assert found.pixel_size_ratio == pytest.approx(true, abs=4 * found.pixel_size_ratio_error)
    assert found.pixel_size_ratio == pytest.approx(true, rel=0.002)
    assert 1e-5 < found.pixel_size_ratio_error < 0.002
    assert found.is_mirrored is mirror
    assert found.gain == pytest.approx(GAIN, rel=0.1)
    assert found.b_factor_a2 == pytest.approx(160.0 - 60.0, abs=max(4 * found.b_factor_error_a2, 25.0))


def test_another_structure_is_refused() -> None:
    found = calibrated(chain(2), half_maps(chain(1), noise=0.3, seed=5))
    assert found is not None
    assert not found.fits


def test_noise_is_too_coarse() -> None:
    generator = torch.Generator().manual_seed(3)
    first, second = (torch.randn((BOX_PX,) * 3, generator=generator) for _ in range(2))
    assert calibrated(chain(1), (first, second)) is None


def test_a_place_is_found_whatever_turns_a_symmetric_map_allows() -> None:
    """A ring of four: three of four turns about its axis are the same map."""
    one = chain(4).position_angstrom * 0.5 + [22.0, 0.0, 0.0]
    xyz = np.concatenate([one @ axis_rotation((0.0, 0.0, 1.0), k * np.pi / 2).T for k in range(4)]).astype(np.float32)
    ring = Atoms("ring", xyz, np.zeros(len(xyz), dtype=np.int64), ("C",), 60.0)
    volume = potential_map(ring, box_px=32, pixel_size_angstrom=5.0, b_factor_a2=800.0)
    turn = axis_rotation((0.3, 1.0, -0.4), 1.1)
    known = Atoms("known", (xyz @ turn).astype(np.float32), ring.element_index, ("C",), 60.0)
    structure = potential_map(known, box_px=32, pixel_size_angstrom=5.0, b_factor_a2=800.0)
    ((best, *_),) = rough_places([volume], structure, symmetry="C4", count=2)
    assert best.correlation > 0.85
    angles = [
        np.degrees(
            np.arccos(
                np.clip(
                    (np.trace(best.rotation.T @ axis_rotation((0.0, 0.0, 1.0), k * np.pi / 2) @ turn) - 1) / 2, -1, 1
                )
            )
        )
        for k in range(4)
    ]
    assert min(angles) < 15.0


def test_a_map_is_as_good_as_atoms_and_files_are_named(tmp_path: Path) -> None:
    volume = potential_map(chain(1), box_px=64, pixel_size_angstrom=2.0, b_factor_a2=60.0)
    write_mrc(tmp_path / "known.mrc", (volume + 5.0).numpy(), 2.0, is_volume=True)
    known = read_structure(tmp_path / "known.mrc")
    assert isinstance(known, MapModel)
    finer, pixel = known.density(1.2)
    assert (finer.shape, pixel) == ((128,) * 3, 1.0)
    assert float(finer[64, 64, 64]) == pytest.approx(float(volume[32, 32, 32]), abs=0.05 * float(volume.max()))
    with pytest.raises(UsageError, match="does not exist"):
        read_structure(tmp_path / "none.cif")
    (tmp_path / "bad.pdb").write_text("nothing\n")
    with pytest.raises(FormatError, match=r"bad\.pdb"):
        read_structure(tmp_path / "bad.pdb")
