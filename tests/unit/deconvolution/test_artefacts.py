"""Columns and lumps that no specimen makes."""

from __future__ import annotations

import torch

from frazil.models.deconvolution.artefacts import clean

N, PIXEL = 512, 1.5


def _counts(seed: int = 1, mean: float = 40.0) -> torch.Tensor:
    return torch.poisson(torch.full((N, N), mean), generator=torch.Generator().manual_seed(seed))


def test_an_ordinary_image_is_left_as_it_is() -> None:
    image = _counts()
    cleaned = clean(image, PIXEL)
    assert torch.equal(cleaned.image, image)
    assert cleaned.masked is None
    assert cleaned.masked_share == 0.0
    assert cleaned.bad_lines == 0


def test_particles_are_no_lumps() -> None:
    y, x = torch.meshgrid(torch.arange(N), torch.arange(N), indexing="ij")
    image = _counts()
    for cy, cx in ((120, 130), (300, 220), (400, 420)):
        image = image - 40.0 * 0.08 * ((y - cy) ** 2 + (x - cx) ** 2 < 80**2)
    assert clean(image, PIXEL).masked is None


def test_bad_columns_and_rows_are_levelled() -> None:
    image = _counts(2)
    bad = image.clone()
    bad[:, 200] += 15.0
    bad[77, :] -= 12.0
    cleaned = clean(bad, PIXEL)
    assert cleaned.bad_lines == 2
    assert float((cleaned.image - image)[:, 200].mean().abs()) < 1.0
    assert float((cleaned.image - image)[77, :].mean().abs()) < 1.0
    rest = torch.ones(N, N, dtype=torch.bool)
    rest[:, 200], rest[77, :] = False, False
    assert torch.equal(cleaned.image[rest], image[rest])


def test_a_dark_lump_becomes_noise_like_its_surroundings() -> None:
    y, x = torch.meshgrid(torch.arange(N), torch.arange(N), indexing="ij")
    lump = (y - 300) ** 2 + (x - 150) ** 2 < 90**2
    image = torch.poisson(torch.where(lump, 18.0, 40.0), generator=torch.Generator().manual_seed(3))
    cleaned = clean(image, PIXEL)
    inside = cleaned.image[lump]
    assert cleaned.masked is not None
    assert float(lump.float().mean()) < cleaned.masked_share < 2.5 * float(lump.float().mean())
    assert abs(float(inside.mean()) - 40.0) < 1.0
    assert 0.8 < float(inside.std()) / 40.0**0.5 < 1.2
    assert torch.equal(cleaned.image, clean(image, PIXEL).image)
    far = (y < 150) & (x > 300)
    assert torch.equal(cleaned.image[far], image[far])


def test_a_dark_edge_of_the_field_is_masked() -> None:
    image = _counts(4)
    image[:, :140] *= 0.5
    cleaned = clean(image, PIXEL)
    assert cleaned.masked is not None
    assert 0.2 < cleaned.masked_share < 0.4
    assert abs(float(cleaned.image[:, :120].mean()) - 40.0) < 2.0
