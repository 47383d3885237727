"""Invariants of a shape against densities whose spherical harmonics are known by formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from frazil.models.evaluation.novelty import shape_comparison
from frazil.models.evaluation.novelty.shape_descriptor import DEGREES, DIMENSION, SHELLS, coefficients, descriptor
from frazil.models.evaluation.novelty.shape_map import describe_map, level_of

_PIXEL_ANGSTROM = 3.0
_BOX_PX = 64
_BLOBS = np.array([[0, 0, 0], [40, 0, 0], [0, 28, 5], [-10, -15, 30], [20, 20, -25]], dtype=np.float64)
_WEIGHTS = np.array([1.0, 0.8, 1.2, 0.7, 1.0])


def _axes() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    line = (np.arange(_BOX_PX) - _BOX_PX // 2) * _PIXEL_ANGSTROM
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    return z, y, x


def _blobs(position: NDArray[np.float64], sd_angstrom: float = 9.0) -> torch.Tensor:
    """Gaussians at (n, 3) x, y, z: evaluated at the voxels, nothing is interpolated."""
    z, y, x = _axes()
    density = sum(
        weight * np.exp(-((x - p[0]) ** 2 + (y - p[1]) ** 2 + (z - p[2]) ** 2) / (2 * sd_angstrom**2))
        for weight, p in zip(_WEIGHTS, position, strict=True)
    )
    return torch.from_numpy(np.asarray(density, dtype=np.float32))


def _shape(position: NDArray[np.float64], level_angstrom: float = 15.0) -> NDArray[np.float32]:
    return descriptor(describe_map(_blobs(position), _PIXEL_ANGSTROM, level_angstrom).whole)


def _density_with_harmonic(epsilon: float) -> NDArray[np.float32]:
    """exp(-r^2 / 2 s^2) r^2 (1 + epsilon Y_20), Y_20 = sqrt(5 / 16 pi) (3 cos^2 - 1)."""
    z, y, x = _axes()
    r2 = x**2 + y**2 + z**2
    harmonic = math.sqrt(5 / (16 * math.pi)) * (3 * z**2 / np.maximum(r2, 1e-9) - 1)
    return np.asarray(np.exp(-r2 / (2 * 16.0**2)) * r2 * (1 + epsilon * harmonic), dtype=np.float32)


def test_the_coefficients_are_those_of_the_formula() -> None:
    epsilon = 0.7
    found = coefficients(_density_with_harmonic(epsilon), _PIXEL_ANGSTROM, np.full(3, _BOX_PX / 2))
    power = np.array([(found[:, degree**2 : (degree + 1) ** 2] ** 2).sum() for degree in range(DEGREES)])
    # The constant 1 is sqrt(4 pi) Y_00, with the same radial function.
    assert power[2] / power[0] == pytest.approx(epsilon**2 / (4 * math.pi), rel=0.01)
    others = np.delete(power, [0, 2])
    assert others.max() < 1e-4 * power[2]
    order_zero = found[:, 6]  # l = 2, m = 0
    assert (order_zero**2).sum() == pytest.approx(power[2], rel=1e-3)


def test_the_norm_is_that_of_the_density() -> None:
    # The radial functions hold a smooth radial profile nearly whole: Parseval, against the integral along r.
    found = coefficients(_density_with_harmonic(0.0), _PIXEL_ANGSTROM, np.full(3, _BOX_PX / 2))
    radius = np.arange(0, 200, 0.01)
    truth = 4 * math.pi * float(np.sum(np.exp(-(radius**2) / 16.0**2) * radius**6) * 0.01)
    assert float((found**2).sum()) == pytest.approx(truth, rel=0.03)
    assert float((found**2).sum()) <= truth * 1.001  # a projection is no longer than what it is of


@pytest.mark.parametrize("seed", range(4))
def test_turned_and_shifted_it_is_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    moved = _shape(_BLOBS @ turn.T + rng.uniform(-12, 12, 3))
    assert np.linalg.norm(moved - _shape(_BLOBS)) < 0.01


def test_a_mirror_image_is_the_same_and_other_shapes_are_not() -> None:
    own = _shape(_BLOBS)
    assert np.linalg.norm(_shape(_BLOBS * [1, 1, -1]) - own) < 0.01
    assert np.linalg.norm(_shape(1.25 * _BLOBS) - own) > 0.15  # size belongs to the shape
    moved = _BLOBS.copy()
    moved[1] = [0, -40, 0]
    assert np.linalg.norm(_shape(moved) - own) > 0.15


def test_power_alone_does_not_tell_two_shells_turned_against_each_other() -> None:
    """Products between shells do: why the descriptor holds them."""
    rng = np.random.default_rng(5)
    first = np.zeros((SHELLS, DEGREES**2))
    first[2, 4:9], first[5, 4:9] = rng.standard_normal((2, 5))
    turned = first.copy()
    turned[5, 4:9] = first[5, 4:9][[1, 2, 3, 4, 0]]
    power = [(one**2).sum(axis=1) for one in (first, turned)]
    np.testing.assert_allclose(power[0], power[1])
    assert np.linalg.norm(descriptor(first) - descriptor(turned)) > 0.1


def test_the_distance_bounds_that_of_the_densities_in_any_pose() -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        first, second = (rng.standard_normal((SHELLS, DEGREES**2)) * rng.uniform(0, 1, (SHELLS, 1)) for _ in range(2))
        first, second = first / np.linalg.norm(first), second / np.linalg.norm(second)
        distance = float(np.linalg.norm(descriptor(first) - descriptor(second)))
        # No rotation brings them nearer than turning each degree by itself does.
        nuclear = sum(
            np.linalg.svd(first[:, d**2 : (d + 1) ** 2].T @ second[:, d**2 : (d + 1) ** 2], compute_uv=False).sum()
            for d in range(DEGREES)
        )
        bures = math.sqrt(max(0.0, 2 - 2 * nuclear))
        assert bures - 1e-6 <= distance <= math.sqrt(2) * bures + 1e-6


def test_halves_take_the_bias_of_noise_away() -> None:
    rng = np.random.default_rng(7)
    truth = describe_map(_blobs(_BLOBS), _PIXEL_ANGSTROM, 15.0).whole
    own = descriptor(truth)
    sd = 0.04 * np.abs(truth).max()
    whole, crossed = [], []
    for _ in range(30):
        first, second = (truth + sd * rng.standard_normal(truth.shape) for _ in range(2))
        whole.append(np.linalg.norm(descriptor((first + second) / 2) - own))
        crossed.append(np.linalg.norm(descriptor(first, second) - own))
    assert np.mean(crossed) < 0.9 * np.mean(whole)


def test_halves_tell_how_far_noise_moves_the_descriptor() -> None:
    rng = np.random.default_rng(8)
    truth = describe_map(_blobs(_BLOBS), _PIXEL_ANGSTROM, 15.0).whole
    sd = 0.01 * np.abs(truth).max()
    moved, told = [], []
    for _ in range(20):
        halves = [truth + sd * rng.standard_normal(truth.shape) for _ in range(2)]
        own = descriptor(*halves)
        moved.append(np.sum((own - descriptor(truth)) ** 2))
        redrawn = shape_comparison._redrawn(halves[0], halves[1])
        told.append(np.mean([np.sum((draw - own) ** 2) for draw in redrawn]))
    assert math.sqrt(np.mean(told) / np.mean(moved)) == pytest.approx(1.0, abs=0.3)


def test_nothing_has_no_shape() -> None:
    with pytest.raises(ValueError, match="no density"):
        descriptor(np.zeros((SHELLS, DEGREES**2)))
    with pytest.raises(ValueError, match="the same everywhere"):
        describe_map(torch.zeros(32, 32, 32), 4.0, 15.0)
    assert descriptor(np.ones((SHELLS, DEGREES**2))).shape == (DIMENSION,)


def test_a_map_is_compared_at_the_first_level_that_it_reaches() -> None:
    assert [level_of(resolution) for resolution in (4.0, 15.0, 15.6, 20.0, 29.0, 31.0)] == [
        15.0, 15.0, 20.0, 20.0, 30.0, None,
    ]  # fmt: skip
