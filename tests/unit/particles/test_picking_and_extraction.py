"""Picks and boxes of particles that were put at known places into a micrograph with known optics and noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from frazil.models.atomic_model.potential import read_atoms
from frazil.models.atomic_model.projection import project_atoms, random_euler_deg
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.particles.extraction import boxes_inside, extract_particles, keep
from frazil.models.particles.picking import pick_particles
from frazil.models.records import CtfEstimate, ParticlePicks
from frazil.models.simulation.structures import structure_path

CPU = torch.device("cpu")
PIXEL = 3.0
DIAMETER = 130.0
SIZE = 384
OPTICS = CtfParameters(300.0, 2.7, 0.1, 15000.0, 14500.0, 30.0)
ESTIMATE = CtfEstimate(15000.0, 14500.0, 30.0, 0.0, 50.0, 50.0, 5.0, 0.9, 0.0, True)
ACQUISITION = AcquisitionParameters(PIXEL, 300.0, 2.7, 0.1, 1.0, 0.0, False, ())
PLACES = [(70, 60), (200, 75), (320, 90), (110, 180), (250, 200), (60, 300), (180, 310), (320, 300), (330, 195)]


@pytest.fixture(scope="module")
def specimen() -> torch.Tensor:
    """Projected potential of apoferritins at `PLACES` (x, y), whole pixels."""
    atoms = read_atoms(structure_path("apoferritin"))
    rng = np.random.default_rng(3)
    image = torch.zeros(SIZE, SIZE)
    box = 64
    for x, y in PLACES:
        pose = random_euler_deg(rng)
        particle = project_atoms(atoms, pose, box_px=box, pixel_size_angstrom=PIXEL, b_factor_a2=100.0)
        image[y - box // 2 : y + box // 2, x - box // 2 : x + box // 2] += particle
    return image


def micrograph(specimen: torch.Tensor, noise_sd: float, seed: int = 1) -> torch.Tensor:
    """Contrast of the specimen, rms 1 within particles, with white noise."""
    contrast = torch.fft.irfft2(torch.fft.rfft2(specimen) * ctf_2d(OPTICS, SIZE, SIZE, PIXEL), s=(SIZE, SIZE))
    contrast = contrast / contrast[specimen > 0.1 * specimen.max()].std()
    noise = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    return 100.0 + contrast + noise_sd * noise


def matched(picks: ParticlePicks) -> tuple[int, np.ndarray]:
    found = np.array([picks.x_px, picks.y_px]).T.reshape(-1, 2)
    distance = np.linalg.norm(np.array(PLACES)[:, None] - found[None], axis=2)
    hit = distance.min(axis=1) < 0.3 * DIAMETER / PIXEL
    return int(hit.sum()), found[distance.argmin(axis=1)[hit]] - np.array(PLACES)[hit]


@pytest.mark.parametrize("diameter", [DIAMETER, None])
def test_finds_all_particles_and_nothing_else(specimen: torch.Tensor, diameter: float | None) -> None:
    picks = pick_particles(
        micrograph(specimen, 2.5),
        pixel_size_angstrom=PIXEL,
        diameter_angstrom=diameter,
        ctf=ESTIMATE,
        acquisition=ACQUISITION,
        device=CPU,
    )
    hits, offset = matched(picks)
    assert hits >= len(PLACES) - 1
    assert len(picks.x_px) <= len(PLACES) + 1
    assert np.abs(offset.mean(axis=0)).max() < 2.0  # px: no systematic displacement, 5 % of a diameter
    assert 100 <= (picks.diameter_angstrom or 0) <= 200


def test_a_range_is_enough(specimen: torch.Tensor) -> None:
    picks = pick_particles(
        micrograph(specimen, 2.5),
        pixel_size_angstrom=PIXEL,
        diameter_angstrom=170.0,
        least_diameter_angstrom=90.0,
        ctf=ESTIMATE,
        acquisition=ACQUISITION,
        device=CPU,
    )
    hits, _ = matched(picks)
    assert hits >= len(PLACES) - 1
    assert len(picks.x_px) <= len(PLACES) + 1
    assert picks.diameter_angstrom not in (None, 90.0), "not that of a part"


def test_a_pick_lies_where_the_particle_is_without_noise(specimen: torch.Tensor) -> None:
    picks = pick_particles(
        micrograph(specimen, 0.5),
        pixel_size_angstrom=PIXEL,
        diameter_angstrom=DIAMETER,
        ctf=ESTIMATE,
        acquisition=ACQUISITION,
        device=CPU,
    )
    hits, offset = matched(picks)
    assert hits == len(PLACES)
    assert np.abs(offset.mean(axis=0)).max() < 0.7
    assert np.abs(offset).max() < 4.0


def test_noise_alone_gives_less_than_one_pick_a_micrograph() -> None:
    picks = [
        pick_particles(
            100.0 + torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(seed)),
            pixel_size_angstrom=PIXEL,
            diameter_angstrom=DIAMETER,
            ctf=ESTIMATE,
            acquisition=ACQUISITION,
            device=CPU,
        )
        for seed in range(12)
    ]
    assert sum(len(found.x_px) for found in picks) < len(picks) / 2


def test_boxes_are_bright_normalised_and_centred(specimen: torch.Tensor) -> None:
    image = micrograph(specimen, 1.0)
    picks = ParticlePicks(
        tuple(x + 0.3 for x, _ in PLACES), tuple(y - 0.4 for _, y in PLACES), diameter_angstrom=DIAMETER
    )
    box = 64
    boxes = extract_particles(image, picks, box_px=box, diameter_px=DIAMETER / PIXEL)
    assert boxes.shape == (len(PLACES), box, box)
    axis = torch.arange(box) - box // 2
    outside = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt() > DIAMETER / PIXEL / 2
    for (x, y), particle in zip(PLACES, boxes, strict=True):
        assert abs(float(particle[outside].mean())) < 1e-4
        assert float(particle[outside].std()) == pytest.approx(1.0, abs=1e-4)
        assert float(particle[~outside].mean()) > 0.1  # protein is bright
        raw = image[y - box // 2 : y + box // 2, x - box // 2 : x + box // 2]
        together = torch.stack([particle.flatten(), -raw.flatten()])
        assert float(torch.corrcoef(together)[0, 1]) == pytest.approx(1.0, abs=1e-5)  # the very same pixels, inverted


def test_a_box_over_the_edge_is_left_out_or_refused() -> None:
    image = torch.randn(100, 120)
    picks = ParticlePicks((16.0, 15.4, 104.0, 104.6, 60.0), (50.0, 50.0, 50.0, 50.0, 84.0), (5.0, 4.0, 3.0, 2.0, 1.0))
    inside = boxes_inside(picks, 100, 120, 32)
    assert inside == [0, 2, 4]
    assert keep(picks, inside).score == (5.0, 3.0, 1.0)
    assert keep(picks, inside).fibre == ()
    segments = replace(picks, fibre=(1, 1, 2, 2, 3), along_angstrom=(0, 1, 2, 3, 4), axis_deg=(5, 6, 7, 8, 9))
    assert keep(segments, inside) == ParticlePicks(
        *((16.0, 104.0, 60.0), (50.0, 50.0, 84.0), (5.0, 3.0, 1.0), None),
        *((1, 2, 3), (0, 2, 4), (5, 7, 9)),
    )
    with pytest.raises(ValueError, match="edge"):
        extract_particles(image, picks, box_px=32, diameter_px=20)
    assert extract_particles(image, ParticlePicks(), box_px=32, diameter_px=20).shape == (0, 32, 32)


def test_nothing_is_picked_on_contamination_or_on_a_bright_bead(specimen: torch.Tensor) -> None:
    y, x = torch.meshgrid(torch.arange(float(SIZE)), torch.arange(float(SIZE)), indexing="ij")
    blob, bead = (180, 250), (320, 245)
    bright = specimen.max() * (torch.hypot(x - bead[0], y - bead[1]) < 9)
    image = micrograph(specimen - bright, 2.5) - 20.0 * (torch.hypot(x - blob[0], y - blob[1]) < 20)
    picks = pick_particles(
        image, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=ESTIMATE, acquisition=ACQUISITION, device=CPU
    )
    found = np.array([picks.x_px, picks.y_px]).T
    for place in (blob, bead):
        assert np.hypot(*(found - place).T).min() > 0.6 * DIAMETER / PIXEL
    assert matched(picks)[0] >= len(PLACES) - 1


def test_the_same_micrograph_gives_the_same_picks(specimen: torch.Tensor) -> None:
    first, second = (
        pick_particles(
            micrograph(specimen, 2.5),
            pixel_size_angstrom=PIXEL,
            diameter_angstrom=DIAMETER,
            ctf=ESTIMATE,
            acquisition=ACQUISITION,
            device=CPU,
        )
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("shape", [(16, 16), (40, 300), (200, 150)])
@pytest.mark.parametrize("diameter", [150.0, None])
def test_what_is_too_small_or_empty_has_no_picks(shape: tuple[int, int], diameter: float | None) -> None:
    for image in (torch.zeros(shape), torch.full(shape, 40.0)):
        picks = pick_particles(
            image,
            pixel_size_angstrom=1.0,
            diameter_angstrom=diameter,
            ctf=ESTIMATE,
            acquisition=ACQUISITION,
            device=CPU,
        )
        assert picks.x_px == ()
