"""Regions that are put into a counted image at known places."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import torch

from frazil.actors.movie_output import write_regions
from frazil.daemon.transport.messages import REGION_BITS
from frazil.models.particles.segmentation import Regions, segment

PIXEL = 1.2
SIZE = 768
COUNTS = 36.0 * PIXEL**2


def counted(mean: np.ndarray, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).poisson(mean).astype(np.float32))


def ice() -> np.ndarray:
    """Brightness with a slope and a bulge of a few per cent: no region."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    return COUNTS * (1 + 0.04 * x - 0.03 * y + 0.04 * np.exp(-((x - 0.3) ** 2 + y**2) / 0.3))


def share(regions: Regions, truth: np.ndarray) -> tuple[float, float]:
    """Of the masked cells: what they cover of the truth, and of the rest."""
    cells = truth[regions.cell_px // 2 :: regions.cell_px, regions.cell_px // 2 :: regions.cell_px]
    masked = regions.masked[: cells.shape[0], : cells.shape[1]]
    return float(masked[cells].mean()), float(masked[~cells].mean())


def band_noise(longest: float, shortest: float, seed: int = 3) -> np.ndarray:
    """Unit variance, between two spacings (A)."""
    white = np.fft.rfft2(np.random.default_rng(seed).standard_normal((SIZE, SIZE)))
    k = np.hypot(np.fft.fftfreq(SIZE, PIXEL)[:, None], np.fft.rfftfreq(SIZE, PIXEL)[None])
    made = np.fft.irfft2(white * ((k > 1 / longest) & (k < 1 / shortest)), s=(SIZE, SIZE))
    return made / made.std()


def test_uneven_ice_is_no_region() -> None:
    assert segment(counted(ice()), PIXEL).masked_share == 0.0


@pytest.mark.parametrize("scaled", [False, True])
def test_a_dark_blob_is_masked_and_little_else(scaled: bool) -> None:
    y, x = np.mgrid[:SIZE, :SIZE]
    blob = np.hypot(x - 250, y - 480) < 110
    image = counted(ice() * np.where(blob, 0.75, 1.0))
    if scaled:
        image = 0.01 * (image - image.mean())
    regions = segment(image, PIXEL)
    on, off = share(regions, blob)
    assert on > 0.99
    assert off < 0.15  # the rim
    assert regions.carbon.sum() == 0
    assert regions.crystalline.sum() == 0


def test_the_opaque_side_of_a_hole_edge_is_masked() -> None:
    y, x = np.mgrid[:SIZE, :SIZE]
    foil = x + 0.3 * y > 0.75 * SIZE
    on, off = share(segment(counted(ice() * np.where(foil, 0.25, 1.0)), PIXEL), foil)
    assert on > 0.99
    assert off < 0.2  # fringes reach out here


def test_a_carbon_film_beside_ice_is_masked_and_one_that_fills_the_field_is_background() -> None:
    x = np.mgrid[:SIZE, :SIZE][1]
    film = x > 0.55 * SIZE
    # Carbon scatters evenly up to high frequency; shot noise has a relative spread of 1 / sqrt(counts) a pixel.
    texture = 0.5 / np.sqrt(COUNTS) * band_noise(40.0, 4.0)
    on, off = share(segment(counted(ice() * (1 + film * texture)), PIXEL), film)
    assert on > 0.9
    assert off < 0.1
    assert segment(counted(ice() * (1 + texture)), PIXEL).masked_share == 0.0


def test_a_crowd_with_power_at_low_frequency_is_no_carbon() -> None:
    x = np.mgrid[:SIZE, :SIZE][1]
    texture = 0.6 / np.sqrt(COUNTS) * band_noise(40.0, 13.0) + 0.12 / np.sqrt(COUNTS) * band_noise(12.0, 6.0)
    assert segment(counted(ice() * (1 + (x > 0.55 * SIZE) * texture)), PIXEL).carbon.sum() == 0


def test_a_crystal_is_masked_where_it_is() -> None:
    y, x = np.mgrid[:SIZE, :SIZE]
    envelope = np.exp(-0.5 * ((x - 128) ** 2 + (y - 640) ** 2) / 60**2)
    wave = 0.1 * envelope * np.cos(2 * np.pi * PIXEL / 3.67 * (0.8 * x + 0.6 * y))
    regions = segment(counted(ice() * (1 + wave)), PIXEL)
    assert regions.crystalline[int(640 / regions.cell_px), int(128 / regions.cell_px)]
    assert not regions.crystalline[: int(250 / regions.cell_px)].any()
    assert not regions.crystalline[:, int(530 / regions.cell_px) :].any()


def test_the_mask_on_another_grid_is_the_same_field() -> None:
    masked = np.zeros((10, 12), dtype=bool)
    masked[4, 7] = True
    none = np.zeros_like(masked)
    made = Regions(20, masked, none, none).on_grid(50, 60, 4, torch.device("cpu"))
    rows, columns = torch.nonzero(made, as_tuple=True)
    assert (int(rows.min()), int(rows.max())) == (20, 24)  # 80 to 100 px of the micrograph
    assert (int(columns.min()), int(columns.max())) == (35, 39)


def test_what_was_left_out_lies_on_the_thumbnails_pixels(tmp_path: Path) -> None:
    """Of a micrograph of 1100 x 1500 px, reduced by three: where contamination is put in, the written picture has its
    bit, turned over as the thumbnail is."""
    height, width, factor = 1100, 1500, 3
    cells = (-(-height // 24), -(-width // 24))
    thick, carbon, crystalline = (np.zeros(cells, dtype=bool) for _ in range(3))
    thick[2:5, 3:9], carbon[-1, -1], crystalline[2, 3] = True, True, True
    regions = Regions(24, thick, carbon, crystalline)
    (tmp_path / "thumbnails").mkdir()
    write_regions(tmp_path, "m", regions, torch.Size((height, width)))
    bits = imagecodecs.png_decode((tmp_path / "thumbnails/m_regions.png").read_bytes())[::-1]
    assert bits.shape == (height // factor, width // factor)
    rows, columns = np.mgrid[: bits.shape[0], : bits.shape[1]] * factor + factor // 2
    inside = (rows >= 48) & (rows < 120) & (columns >= 72) & (columns < 216)
    np.testing.assert_array_equal((bits & 1) > 0, inside)
    np.testing.assert_array_equal((bits & 4) > 0, (rows // 24 == 2) & (columns // 24 == 3))
    assert bits[-1, -1] == 2
    assert len(REGION_BITS) == 3
