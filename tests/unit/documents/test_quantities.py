"""Units as people print them, and quantities in running text."""

from __future__ import annotations

import pytest

from frazil.models.documents.quantities import quantities
from frazil.models.documents.units import converted, plain, powers_of


@pytest.mark.parametrize(
    ("printed", "unit", "value"),
    [
        ("50 e-/Å2", "e/A2", 50.0),
        ("50 e⁻ Å⁻²", "e/A2", 50.0),
        ("50 e–/Å^2", "e/A2", 50.0),
        ("50 e-/Å\\(^2\\)", "e/A2", 50.0),
        ("50 e - /Å 2", "e/A2", 50.0),
        ("50 electrons per square angstrom", "e/A2", 50.0),
        ("5000 e/nm^2", "e/A2", 50.0),
        ("1.2 e−/Å2/frame", "e/A2/frame", 1.2),
        ("8 electrons per physical pixel per second", "e/px/s", 8.0),
        ("4 e-/pixel/s", "e/px/s", 4.0),
        ("8 electrons/px/s.", "e/px/s", 8.0),
        ("0.083 nm", "A", 0.83),
        ("0.83 \u212b", "A", 0.83),
        ("1.05 A per pixel", "A", 1.05),
        ("0.5685 å/pix", "A", 0.5685),
        ("300 keV", "kV", 300.0),
        ("300000 V", "kV", 300.0),
        ("2.7 mm", "um", 2700.0),
        ("1.5 \u03bcm", "um", 1.5),
        ("1.5 microns", "um", 1.5),
        ("100 ms", "s", 0.1),
        ("0.474 MDa", "kDa", 474.0),
        ("20-eV", "eV", 20.0),
    ],
)
def test_a_printed_quantity_in_our_unit(printed: str, unit: str, value: float) -> None:
    (found,) = quantities(plain(printed))
    assert converted(found.value, found.powers, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("printed", "unit"),
    [("50 e-/Å2", "e/px"), ("50 e-/Å2", "e/A2/s"), ("50 e/px/s", "e/A2"), ("80 Å2", "e/A2"), ("3 Å", "s")],
)
def test_another_dimension_is_refused(printed: str, unit: str) -> None:
    (found,) = quantities(plain(printed))
    assert found.powers
    assert converted(found.value, found.powers, unit) is None


@pytest.mark.parametrize(
    ("printed", "ends"),
    [
        ("-0.8 to -2.0 µm", (-0.8, -2.0)),
        ("−1.0 μm to −2.5 μm", (-1.0, -2.5)),
        ("0.5-1.0 µm", (0.5, 1.0)),
        ("between 0.2 and 2 µm", (0.2, 2.0)),
        ("800–2,400 nm", (800.0, 2400.0)),
        ("±60°", (-60.0, 60.0)),
        ("from 1.6 µm to 2.6 µm", (1.6, 2.6)),
    ],
)
def test_ranges_keep_their_ends_and_signs(printed: str, ends: tuple[float, float]) -> None:
    (found,) = quantities(plain(printed))
    assert (found.value, found.high) == ends


@pytest.mark.parametrize(
    ("printed", "value", "tag"),
    [
        ("×130,000", 130_000.0, "times"),
        ("105,000×", 105_000.0, "times"),
        ("130kx", 130_000.0, "times"),
        ("50 frames", 50.0, "frames"),
        ("40 dose fractions", 40.0, "frames"),
        ("3,889 movies", 3889.0, "movies"),
        ("10 %", 10.0, "percent"),
    ],
)
def test_what_is_counted(printed: str, value: float, tag: str) -> None:
    (found,) = quantities(plain(printed))
    assert (found.value, found.tag, found.powers) == (value, tag, ())


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("2.5 x 10^4.", 2.5e4),
        ("2.5 × 10⁴", 2.5e4),
        ("2.5 × 10−4", 2.5e-4),
        ("2.5×10⁻⁴", 2.5e-4),
        ("2.5e-4", 2.5e-4),
    ],
)
def test_powers_of_ten(printed: str, value: float) -> None:
    (found,) = quantities(plain(printed))
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("printed", "values"),
    [
        ("spun at 3 × 10500 g", [3.0, 10500.0]),
        ("1024 x 1024", [1024.0, 1024.0]),
        ("1×104", [1.0, 104.0]),
        ("3 × 10^500 g", [3.0, 10.0]),
    ],
)
def test_a_product_of_whole_numbers_is_no_power(printed: str, values: list[float]) -> None:
    assert [found.value for found in quantities(plain(printed))] == values


def test_two_values_joined_by_and_are_no_range() -> None:
    assert [one.high for one in quantities("at 200 kV and 300 kV")] == [None, None]


def test_a_panel_is_no_angstrom() -> None:
    assert [one.powers for one in quantities("shown in 2 A panels")] == [()]


def test_a_unit_of_a_file_is_read_wholly_or_not() -> None:
    assert powers_of("1/Å²") == (("angstrom", -2),)
    assert powers_of("Å and more") == ()
