"""Files of one processed movie: written beside their final name and then renamed, so that nobody reads half a file."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import torch
from numpy.typing import NDArray

from frazil.config.settings import Settings
from frazil.models.formats.atomic import atomic_path
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.movie_pipeline import MovieProducts
from frazil.models.particles.segmentation import Regions
from frazil.models.records import MovieFiles

_THUMBNAIL_PX = 512


def write_products(
    output: Path, stem: str, products: MovieProducts, settings: Settings, *, sums: MovieFiles | None = None
) -> MovieFiles:
    """Write the images of one movie below the session folder (or one laid out as it is) and name them, relative to it.
    `sums`: the aligned sums are there already, in these files.

    Raises
    ------
    OSError
        If the disk is full or the folder is gone; a later attempt writes the same files again.
    """
    pixel_size = products.pixel_size_angstrom

    def mrc(folder: str, suffix: str, image: torch.Tensor) -> str:
        return _mrc(output, f"{folder}/{stem}{suffix}", image, pixel_size)

    if sums is None:
        even = odd = None
        if settings.motion.save_even_odd:
            even, odd = mrc("motion", "_EVN.mrc", products.even), mrc("motion", "_ODD.mrc", products.odd)
        sums = MovieFiles(
            micrograph=mrc("motion", ".mrc", products.micrograph),
            micrograph_no_dose_weighting=mrc("motion", "_noDW.mrc", products.plain)
            if settings.motion.save_no_dose_weighting
            else None,
            even=even,
            odd=odd,
        )
    # Beside the plain thumbnail, by the same name: what the restoration shows of it.
    _png(output, f"thumbnails/{stem}_restored.png", _thumbnail(products.restored_small))
    write_regions(output, stem, products.regions, products.micrograph.shape)
    return MovieFiles(
        micrograph=sums.micrograph,
        micrograph_no_dose_weighting=sums.micrograph_no_dose_weighting,
        even=sums.even,
        odd=sums.odd,
        motion_star=None,  # written by `frazil export` from the store, where it can be made anew
        thumbnail=_png(output, f"thumbnails/{stem}.png", _thumbnail(products.micrograph)),
        power_spectrum=_png(output, f"ctf/{stem}_ps.png", products.power_spectrum),
        restored=mrc("restored", ".mrc", products.restored),
        particles=write_particles(output, stem, products.particles, pixel_size),
    )


def write_particles(output: Path, stem: str, particles: torch.Tensor, pixel_size_angstrom: float) -> str | None:
    """Write the particles (n, box, box) of one movie; None: there are none, and none of an earlier attempt are left.
    Raises OSError."""
    relative = f"particles/{stem}.mrcs"
    if len(particles):
        return _mrc(output, relative, particles, pixel_size_angstrom)
    # Of an earlier attempt with other settings: whoever looks into the folder must not take it for this result's.
    (output / relative).unlink(missing_ok=True)
    return None


def write_regions(output: Path, stem: str, regions: Regions, shape: torch.Size) -> None:
    """Beside the thumbnail, on its pixels, row 0 on top: what picking left out, as `Regions.bits`. Raises OSError."""
    height, width = shape
    factor = _thumbnail_factor(height, width)
    bits = regions.bits(height // factor, width // factor, factor)[::-1]
    png = bytes(imagecodecs.png_encode(np.ascontiguousarray(bits)))
    write_bytes(output / f"thumbnails/{stem}_regions.png", png)


def _mrc(output: Path, relative: str, image: torch.Tensor, pixel_size_angstrom: float) -> str:
    path = output / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mrc(path, image.numpy(), pixel_size_angstrom=pixel_size_angstrom)
    return relative


def lessons_path(stem: str) -> str:
    """Below the session folder: what the learned residual can learn from a movie."""
    return f"restored/lessons/{stem}.npz"


def network_path(version: int) -> str:
    """Below the session folder: the learned residual as the session has taught it."""
    return f"restored/networks/v{version:04d}.npz"


def write_bytes(path: Path, data: bytes) -> None:
    """Whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _thumbnail(image: torch.Tensor) -> NDArray[np.float32]:
    """Mean over blocks, so that the thumbnail is less noisy than the micrograph; row 0 on top of the picture."""
    height, width = image.shape
    factor = _thumbnail_factor(height, width)
    cropped = image[: height // factor * factor, : width // factor * factor]
    small = torch.nn.functional.avg_pool2d(cropped[None, None], factor)[0, 0]
    return np.ascontiguousarray(small.numpy()[::-1])


def _thumbnail_factor(height: int, width: int) -> int:
    return max(1, -(-max(height, width) // _THUMBNAIL_PX))


def _png(output: Path, relative: str, image: NDArray[np.float32]) -> str:
    low, high = np.percentile(image, (1.0, 99.0))
    gray = np.clip((image - low) * (255.0 / max(float(high - low), 1e-12)), 0, 255).astype(np.uint8)
    write_bytes(output / relative, bytes(imagecodecs.png_encode(gray)))
    return relative
