"""A map with one bright spot off its middle: it is where the pictures say it is."""

from __future__ import annotations

import numpy as np

from frazil.models.reconstruction.map_picture import orientations, projections, sections, strip
from frazil.models.reconstruction.orientation.view_counts import shown_counts


def brightest(picture: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(int(np.argmax(picture)), picture.shape)
    return int(row), int(column)


def test_a_spot_is_up_and_right_where_the_axes_say() -> None:
    volume = np.zeros((32, 32, 32), dtype=np.float32)
    volume[16, 20, 22] = 1.0  # z in the middle, y +4, x +6
    picture = sections(volume, 10)
    assert picture.shape == (20, 60)
    assert brightest(picture[:, :20]) == (9 - 4, 10 + 6), "row 0 is on top"
    assert picture[:, 20:].max() == 0, "it lies in none of the other two sections"
    along = projections(volume, 10)
    assert brightest(along[:, :20]) == (5, 16)
    assert brightest(along[:, 20:40]) == (9, 16)  # z up, x right
    assert brightest(along[:, 40:]) == (9, 14)  # z up, y right


def test_classes_stand_in_order_of_size_and_empty_ones_are_left_out() -> None:
    averages = np.zeros((3, 16, 16), dtype=np.float32)
    for number in range(3):
        averages[number, 8 + number, 8] = 1.0
    picture = strip(averages, (5, 0, 9), 6, most=4)
    assert picture.shape == (12, 24)
    assert brightest(picture[:, :12])[0] == 5 - 2
    assert brightest(picture[:, 12:])[0] == 5
    assert strip(averages, (5, 1, 9), 6, most=1).shape == (12, 12)


def test_views_lie_where_rot_and_tilt_say_and_even_ones_are_gray() -> None:
    tilt, rot = np.radians(60.0), np.radians(45.0)
    view = np.array([[np.sin(tilt) * np.cos(rot), np.sin(tilt) * np.sin(rot), np.cos(tilt)]])
    picture = orientations(shown_counts(np.repeat(view, 50, axis=0), np.eye(3)[None]))
    assert picture.shape == (90, 180)
    row, column = (float(at.mean()) for at in np.nonzero(picture[:45] == 255))
    assert abs((1 - 2 * (row + 0.5) / 90) - 0.5) < 0.1, "cosine of the tilt from 1 on top to -1"
    assert abs(-180 + 2 * (column + 0.5) - 45) < 12
    np.testing.assert_allclose(picture[::-1], np.roll(picture, 90, axis=1), atol=1)  # the opposite view is the same
    rng = np.random.default_rng(1)
    even = rng.standard_normal((20000, 3))
    even /= np.linalg.norm(even, axis=1, keepdims=True)
    shades = orientations(shown_counts(even, np.eye(3)[None]))
    assert abs(float(np.median(shades)) - 127) < 8
    assert float(shades.std()) < 25
    assert orientations(shown_counts(np.zeros((0, 3)), np.eye(3)[None])).max() == 0
