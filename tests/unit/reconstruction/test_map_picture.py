"""A map with one bright spot off its middle: it is where the pictures say it is."""

from __future__ import annotations

import numpy as np

from frazil.models.reconstruction.map_picture import projections, sections, strip


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
