"""Holes in images by a law that the simulated microscope does not have: found, measured, their faults told."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.hole_images.pictures import PictureSettings, drawn
from frazil.models.hole_images.cutouts import reduced
from frazil.models.hole_images.looks import HolePlaces
from frazil.models.hole_images.registration import found_holes
from frazil.models.hole_images.square import square_look

SEEDS = (41,)


def places(picture) -> HolePlaces:
    return HolePlaces(picture.x_px, picture.y_px, picture.diameter_px)


@pytest.fixture(scope="module", params=[(film, seed) for film in ("carbon", "gold") for seed in SEEDS], ids=str)
def picture(request):
    film, seed = request.param
    return drawn(PictureSettings(film=film), seed)


def test_holes_are_found_though_they_lie_a_third_of_a_diameter_off_and_rows_run_upwards(picture) -> None:
    found = found_holes(reduced(picture.image, places(picture)))
    assert found.seen
    assert found.upside_down
    stated = np.hypot(picture.x_px - picture.true_x_px, picture.y_px - picture.true_y_px)
    left = np.hypot(found.x_px - picture.true_x_px, found.y_px - picture.true_y_px)
    ok = ~picture.torn & picture.whole
    assert np.median(stated[ok]) > 0.2 * picture.diameter_px, "they are off"
    assert np.median(left[ok]) < 0.04 * picture.diameter_px
    assert (left[ok] < 0.1 * picture.diameter_px).mean() > 0.85
    assert not found_holes(reduced(picture.image[::-1], places(picture))).upside_down


def test_ln_intensity_follows_the_ice_as_well_as_its_error_says(picture) -> None:
    _, looks = square_look(picture.image, places(picture))
    ok = picture.whole & (picture.ice_nm > 0.0) & (picture.dark_share < 0.01) & (picture.covered_share < 0.01)
    ok &= looks.ring_share > 0.6
    ice, ln_intensity = picture.ice_nm[ok], looks.ln_intensity[ok]
    # What the beam does over the image is a plane here, and not what is asked.
    table = np.stack([np.ones(ok.sum()), ln_intensity, picture.true_x_px[ok], picture.true_y_px[ok]], axis=1)
    law = np.linalg.lstsq(table, ice, rcond=None)[0]
    left_ln = (ice - table @ law) / 240.0
    assert law[1] == pytest.approx(-240.0, rel=0.2)
    assert np.sqrt(np.mean(left_ln**2)) < 2.0 * np.median(looks.ln_intensity_sd[ok])


def test_contamination_film_and_torn_places_are_told_apart_from_clean_holes(picture) -> None:
    look, looks = square_look(picture.image, places(picture))
    seen = picture.whole & ~picture.torn & np.isfinite(looks.dark_share)
    bad = seen & ((picture.dark_share > 0.1) | (picture.covered_share > 0.2))
    clean = seen & (picture.dark_share < 0.005) & (picture.covered_share == 0.0)
    assert bad.sum() > 10
    assert (looks.dark_share[bad] > 0.05).mean() > 0.8
    assert (looks.dark_share[clean] > 0.05).mean() < 0.03
    torn = picture.torn & np.isfinite(looks.ring_share)
    assert torn.sum() > 5
    assert np.median(looks.ring_share[torn]) < 0.2
    assert np.median(looks.ring_share[clean]) > 0.85
    assert look.empty is not None
    assert look.empty.torn
    assert look.empty.ln_intensity == pytest.approx(np.log(400.0), abs=0.05)
    assert look.torn_share == pytest.approx(torn.sum() / look.seen_holes, abs=0.03)


def test_the_part_of_a_hole_that_is_dark_is_measured(picture) -> None:
    _, looks = square_look(picture.image, places(picture))
    part = picture.whole & ~picture.torn & (picture.covered_share == 0.0) & (looks.ring_share > 0.6)
    part &= (picture.dark_share > 0.05) & (picture.dark_share < 0.5)
    wrong = looks.dark_share[part] - picture.dark_share[part]
    assert abs(wrong.mean()) < 0.08
    assert wrong.std() < 0.1


def test_without_torn_film_and_empty_holes_no_vacuum_is_claimed_as_sure() -> None:
    for seed in range(50, 52):
        picture = drawn(PictureSettings(torn=False, empty_holes=0.0, film="carbon"), seed)
        look, _ = square_look(picture.image, places(picture))
        assert look.empty is None or not look.empty.torn
        assert look.torn_share == 0.0


def test_an_image_without_holes_where_they_should_be_shows_none() -> None:
    picture = drawn(PictureSettings(), 60)
    empty = np.random.default_rng(1).poisson(100.0, picture.image.shape).astype(np.uint16)
    look, _ = square_look(empty, places(picture))
    assert look.seen_holes == 0
    assert look.empty is None


def test_a_gradient_is_told_with_its_error_and_saturation_counted() -> None:
    side, diameter = 900, 24.0
    at = np.arange(60.0, 840.0, 48.0)
    x, y = (part.ravel() for part in np.meshgrid(at, at))
    rows, columns = np.mgrid[:side, :side].astype(np.float64)
    ideal = np.full((side, side), 20.0)
    for to_x, to_y in zip(x, y, strict=True):
        ideal[np.hypot(columns - to_x, rows - to_y) < diameter / 2] = 300.0
    ideal *= np.exp(0.3 * columns / side - 0.4 * rows / side)
    image = np.random.default_rng(2).poisson(ideal)
    image[:30, :30] = 4095
    look, _ = square_look(image.astype(np.uint16), HolePlaces(x, y, diameter))
    assert look.gradient_ln == pytest.approx(0.5, abs=max(3.0 * look.gradient_ln_sd, 0.01))
    assert look.gradient_ln_sd < 0.02
    assert look.saturated_share == pytest.approx(900 / side**2, rel=0.01)


def test_a_binned_image_says_the_same() -> None:
    picture = drawn(PictureSettings(diameter_px=54.0, side_px=2000, spacing_diameters=1.9, upside_down=False), 70)
    _, whole = square_look(picture.image, places(picture))
    small = picture.image[: 2 * (picture.image.shape[0] // 2), : 2 * (picture.image.shape[1] // 2)]
    small = small.reshape(small.shape[0] // 2, 2, small.shape[1] // 2, 2).mean(axis=(1, 3))
    half = HolePlaces((picture.x_px - 0.5) / 2, (picture.y_px - 0.5) / 2, picture.diameter_px / 2)
    _, binned = square_look(small, half)
    ok = np.isfinite(whole.ln_intensity) & np.isfinite(binned.ln_intensity) & (whole.ring_share > 0.7)
    assert ok.sum() > 50
    assert np.median(np.abs(whole.ln_intensity[ok] - binned.ln_intensity[ok])) < 0.003
