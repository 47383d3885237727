"""A movie done again without picks leaves no stack of particles behind."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from frazil.actors.movie_output import write_products
from frazil.config.settings import Settings
from frazil.models.particles.segmentation import Regions


def test_the_stack_of_an_earlier_result_is_removed(tmp_path):
    image = torch.arange(4096.0).reshape(64, 64)

    def products(count):
        return SimpleNamespace(
            pixel_size_angstrom=1.0,
            micrograph=image,
            plain=image,
            even=image,
            odd=image,
            restored=image,
            restored_small=image,
            power_spectrum=np.asarray(image),
            particles=torch.ones(count, 8, 8),
            regions=Regions(8, *np.zeros((3, 8, 8), dtype=bool)),
        )

    first = write_products(tmp_path, "square/foil", products(3), Settings())
    assert (tmp_path / first.particles).exists()
    assert (tmp_path / "thumbnails/square/foil_restored.png").exists()
    again = write_products(tmp_path, "square/foil", products(0), Settings())
    assert again.particles is None
    assert not (tmp_path / first.particles).exists()
    assert write_products(tmp_path, "square/foil", products(0), Settings()).particles is None
