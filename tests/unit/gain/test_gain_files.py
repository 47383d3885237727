"""Reference and defect files: what is dead, what is turned, what is flipped, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from frazil.config.errors import FormatError
from frazil.config.settings import GainOrientation
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.gain.decision import GainVerdict
from frazil.models.gain.reference import orient, read_defects, read_reference


@pytest.mark.filterwarnings("ignore:Data array contains NaN values:RuntimeWarning")
def test_reference_survives_its_file_and_dead_pixels_become_zero(gain_path):
    values = np.linspace(0.5, 1.5, 48, dtype=np.float32).reshape(6, 8)
    values[0, 0], values[1, 1], values[2, 2], values[3, 3] = 0.0, -1.0, np.nan, np.inf
    write_mrc(gain_path, values, pixel_size_angstrom=1.0)
    reference = read_reference(gain_path)
    assert np.argwhere(reference.dead).tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    multiplier = reference.multiplier(GainOrientation.ROT90, "multiply")
    assert multiplier.shape == (8, 6)
    assert multiplier[multiplier > 0].mean() == pytest.approx(1.0, rel=1e-6)
    expected = np.where(reference.dead, 0.0, values)
    expected /= expected[expected > 0].mean()
    np.testing.assert_allclose(multiplier, orient(expected.astype(np.float32), GainOrientation.ROT90), rtol=1e-6)
    divided = reference.multiplier(GainOrientation.IDENTITY, "divide")
    live = ~reference.dead
    product = divided[live] * values[live]
    np.testing.assert_allclose(product, product.mean(), rtol=1e-5)


def test_reference_that_is_mostly_dead_is_refused(gain_path):
    values = np.ones((8, 8), np.float32)
    values[:3] = 0.0
    write_mrc(gain_path, values, pixel_size_angstrom=1.0)
    with pytest.raises(FormatError, match="38%"):
        read_reference(gain_path)


@pytest.mark.parametrize("flip", [True, False])
def test_gain_tiff_of_eer_movies_is_not_flipped_so_that_its_orientation_has_its_right_name(kit, tmp_path, flip):
    """A TIFF movie is flipped along y on reading and its TIFF reference with it; EER movies are not."""
    camera = kit.camera()
    path = tmp_path / "camera.gain"
    stored = 1.0 / camera.sensitivity  # as the camera's software sees it, top row first
    tifffile.imwrite(path, (stored[::-1] if flip else stored).astype(np.float32))
    decision = kit.ask([camera.expose() for _ in range(2)], read_reference(path, flip_tiff=flip))
    assert (decision.verdict, decision.orientation) == (GainVerdict.CORRECT, GainOrientation.IDENTITY)
    wrongly = kit.ask([camera.expose() for _ in range(2)], read_reference(path, flip_tiff=not flip))
    assert (wrongly.verdict, wrongly.orientation) == (GainVerdict.CORRECT, GainOrientation.FLIP_UD)


def test_defect_list_is_rectangles_in_the_movies_frame(tmp_path):
    path = tmp_path / "defects.txt"
    path.write_text("# x y width height\n3 0 1 6\n0 5 2 1  # two pixels\n\n")
    mask = read_defects(path, (6, 8))
    expected = np.zeros((6, 8), bool)
    expected[:, 3] = True
    expected[5, :2] = True
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 2 3\n", "line 1 is not four whole numbers"),
        ("0 0 1 1\n1 2 x 4\n", "line 2 is not four"),
        ("7 0 2 1\n", "line 1 lies outside 8 x 6 px"),
        ("0 0 0 1\n", "line 1 lies outside"),
        ("-1 0 1 1\n", "line 1 lies outside"),
    ],
)
def test_defect_list_with_a_mistake_names_its_line(tmp_path, text, why):
    path = tmp_path / "defects.txt"
    path.write_text(text)
    with pytest.raises(FormatError, match=why):
        read_defects(path, (6, 8))


def test_defect_map_is_true_where_not_zero_and_must_fit(tmp_path):
    path = tmp_path / "defects.mrc"
    image = np.zeros((6, 8), np.int8)
    image[2, 5] = 1
    write_mrc(path, image, pixel_size_angstrom=1.0)
    assert np.argwhere(read_defects(path, (6, 8))).tolist() == [[2, 5]]
    with pytest.raises(FormatError, match="8 x 6 px, the movies are 6 x 8 px"):
        read_defects(path, (8, 6))
