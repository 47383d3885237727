"""The shipped presets describe instruments, not sessions."""

from __future__ import annotations

import fnmatch

import pytest

from frazil.config.loading import load_settings
from frazil.config.presets import list_presets, load_preset

SESSION_DEPENDENT = ("pixel_size_angstrom", "dose_per_frame_e_per_a2", "pre_exposure_e_per_a2", "fourier_crop", "gain")


def test_the_four_presets_ship() -> None:
    presets = list_presets()
    assert set(presets) == {"krios-k3", "krios-falcon4i", "glacios-falcon4i", "simulated"}
    assert all(len(description) > 20 for description in presets.values())


@pytest.mark.parametrize("name", list_presets())
def test_presets_load_and_say_nothing_that_changes_between_sessions(name: str) -> None:
    settings = load_settings(preset=name)
    assert settings.preset == name
    assert all(origin == f"preset {name}" for origin in settings.origins.values())
    for content in load_preset(name).values():
        assert not set(content) & set(SESSION_DEPENDENT)


@pytest.mark.parametrize(
    ("name", "voltage_kv"), [("krios-k3", 300), ("krios-falcon4i", 300), ("glacios-falcon4i", 200), ("simulated", 300)]
)
def test_optics_of_the_instruments(name: str, voltage_kv: float) -> None:
    microscope = load_settings(preset=name).microscope
    assert microscope.voltage_kv == voltage_kv
    assert microscope.cs_mm == 2.7
    assert microscope.amplitude_contrast == 0.1


@pytest.mark.parametrize(
    ("name", "movie", "not_movies"),
    [
        ("krios-k3", "FoilHole_1_Data_2_3_20240101_101010_Fractions.tiff", ["FoilHole_1_Data_2_3_20240101_101010.mrc"]),
        ("krios-k3", "square_0007.tif", ["CountRef_square_0000.mrc", "square_0007.tif.mdoc"]),
        ("krios-falcon4i", "FoilHole_1_Data_2_3_20240101_101010_EER.eer", ["FoilHole_1_Data_2.mrc", "x.xml", "x.jpg"]),
        ("glacios-falcon4i", "a_EER.eer", ["a.mrc", "ref.gain"]),
    ],
)
def test_movies_are_told_from_what_lies_beside_them(name: str, movie: str, not_movies: list[str]) -> None:
    patterns = load_settings(preset=name).intake.include
    assert any(fnmatch.fnmatch(movie, pattern) for pattern in patterns)
    for other in not_movies:
        assert not any(fnmatch.fnmatch(other, pattern) for pattern in patterns)
