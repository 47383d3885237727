"""The formulas' language says what it should, and nothing else can be said in it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.config.errors import SettingsError
from frazil.models.evaluation.robustness.quantities import formula_output
from frazil.models.evaluation.robustness.sensitivity import Output
from frazil.models.formula import parse_formula

KNOWN = {"defocus_u_angstrom": "", "defocus_v_angstrom": "", "total_motion_angstrom": ""}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 ** 2 / 4 - -1", 1 + 2 * 9 / 4 + 1),
        ("sqrt(x ** 2 + y ** 2)", 5.0),
        ("hypot(x, y) > 4.9", 1.0),
        ("1 < x < 2", 0.0),
        ("max(x, y, 2) if x < y and not y < 3 else min(x, y)", 4.0),
        ("atan2(y, x) - atan(y / x) + log(e) + cos(pi)", 0.0),
        ("exp(log(x)) + abs(-y) + floor(2.7)", 9.0),
    ],
)
def test_arithmetic(text: str, value: float) -> None:
    assert parse_formula("f", text).value({"x": 3.0, "y": 4.0}) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "1 / 0",
        "1 / x",
        "sqrt(-1)",
        "log(0)",
        "9 ** 9 ** 9 ** 9",
        "exp(1e6)",
        "(-8) ** (1 / 3)",
        "1e308 * 10",
        "missing",
        "z",
    ],
)
def test_where_there_is_no_number_nothing_is_known(text: str) -> None:
    assert parse_formula("f", text).value({"x": 0.0, "z": None}) is None


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "().__class__", "x.real", "x[0]", "[x]", "{x: x}", "'text'", "True",
        "lambda: x",
        "[i for i in x]", "x := 1", "x; y", "import os", "x = 1", "f'{x}'", "x @ y", "x // y", "x % y", "x << y", "~x",
        "x is y", "x in y", "open(x)", "eval(x)", "sqrt", "sqrt(x, y)", "hypot(x)", "max(*x)", "max(x, y, key=abs)",
        "sqrt(value=x)", "None", "1j", "", "1e999", "9" * 400, "(" * 300 + "x" + ")" * 300, "-" * 100 + "x",
        "x + " * 300 + "x",
        "x\n+ (", "\0", "b'1'", "await x", "yield x", "...",
    ],
)  # fmt: skip
def test_nothing_else_is_of_the_language(text: str) -> None:
    with pytest.raises(SettingsError, match=r"evaluation\.formulas\.wicked"):
        parse_formula("wicked", text)


def test_an_error_names_the_formula_the_column_and_what_was_meant() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_formula("astigmatism", "defocus_u_angstrom - defocus_v_angstom", KNOWN)
    assert "evaluation.formulas.astigmatism names defocus_v_angstom, which is no quantity, column 22" in str(
        caught.value
    )
    assert "Did you mean defocus_v_angstrom?" in str(caught.value)
    with pytest.raises(SettingsError, match=r"sqrt takes 1 numbers, column 5"):
        parse_formula("f", "1 + sqrt(1, 2)")


@given(st.text(max_size=60))
def test_any_text_is_a_formula_or_a_settings_error(text: str) -> None:
    try:
        formula = parse_formula("f", text)
    except SettingsError:
        return
    found = formula.value(dict.fromkeys(formula.variables, 2.0))
    assert found is None or math.isfinite(found)


def test_errors_of_quantities_are_carried_through() -> None:
    quantities = {"a": Output(3.0, 0.3), "b": Output(4.0, 0.4), "c": Output(7.0)}
    ratio = formula_output(parse_formula("f", "a / b + c"), quantities)
    assert ratio.value == pytest.approx(7.75)
    assert ratio.uncertainty == pytest.approx(math.hypot(0.3 / 4, 3 * 0.4 / 16), rel=0.02)
    assert formula_output(parse_formula("f", "c * 2"), quantities) == Output(14.0, None)
    assert formula_output(parse_formula("f", "a + missing"), quantities).value is None


def test_draws_are_evaluated_at_once_as_python_would_one_by_one() -> None:
    """Element by element what Python's own numbers say; NaN where Python refuses."""
    x, y = [3.0, 0.0, -2.0, 1e308, 0.0], [4.0, 2.0, 0.5, 10.0, 0.0]
    for text in (
        "1 / x", "1 / (1 / x)", "sqrt(x) > 1", "x * y", "not x", "x and 1 / x > 0.1", "x < 0 or 1 / x", "not 1 / x",
        "1 / x if x else y", "(y + 1) ** x", "min(x, y, 1)", "log(x) < 5 or y", "-x + +y", "1 < x < y or y and x",
    ):  # fmt: skip
        found = parse_formula("f", text).values({"x": np.array(x), "y": np.array(y)})
        assert [None if np.isnan(one) else one for one in found.tolist()] == [
            by_python(text, *pair) for pair in zip(x, y, strict=True)
        ], text


def by_python(text: str, x: float, y: float) -> float | None:
    names = {"x": x, "y": y, "sqrt": math.sqrt, "log": math.log, "min": min}
    decides = " and " in text or " or " in text
    try:
        found = float(eval(text, {}, names))  # the reference, for texts of the test itself
    except (ArithmeticError, ValueError):
        return None
    if not math.isfinite(found):
        return None
    return float(found != 0.0) if decides else found
