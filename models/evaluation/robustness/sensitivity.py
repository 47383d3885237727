"""How much a result changes when an instrument's parameter is off by its error.

A part of the pipeline is a function from parameters to named outputs, each with its own stated error. It is run again
at p + s e, where e is the parameter's error and s is 1, -1, 1/2, -1/2:

    D(h) = (f(p + h) - f(p - h)) / 2 h,        change per unit = (4 D(e/2) - D(e)) / 3     (Richardson 1911)
    change over the error = largest of |f(p + e) - f(p)| and |f(p - e) - f(p)|

The first is the derivative, free of the curvature's first term; |D(e/2) - D(e)| says how far it can be trusted. What
searches on grids and stops when it is good enough is a little rough, and where that shows, s = 4 and -4 are run too:
the least-squares slope through all pairs is then taken, with its standard error, if that is the smaller. The second is
what a wrong parameter does to the result, straight or not; held against the result's own error it is robust below 1.
Outputs that are images count by the root mean square over their pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SMOOTH = 0.05
"""Share of a derivative by which its two estimates may differ; beyond it the row says that it is not smooth."""


@dataclass(frozen=True, slots=True)
class Output:
    """One result of a part."""

    value: float | NDArray[np.float32] | None
    """None: the part gives none at these parameters."""
    uncertainty: float | None = None
    """Its own stated error (1 sigma; of an image: the noise of a pixel); None: none is stated."""


Part = Callable[[Mapping[str, float]], Mapping[str, Output]]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """One row of the table: what an error of `parameter` does to `output`."""

    part: str
    parameter: str
    at: float
    error: float
    output: str
    value: float | None
    """None: an image."""
    per_unit: float | None
    """Change of the output for one unit of the parameter. None: the output was not there at every step."""
    per_unit_error: float | None
    """By how much the derivative differs between the error and half of it."""
    over_error: float | None
    """Largest change over the parameter's error, to either side."""
    in_own_errors: float | None
    """The same in units of the output's own error; None: none is stated."""

    @property
    def smooth(self) -> bool:
        """Whether one number tells the change: half the step gives the same derivative."""
        if self.per_unit is None or self.per_unit_error is None:
            return False
        return self.per_unit_error <= SMOOTH * abs(self.per_unit)

    @property
    def robust(self) -> bool | None:
        """None: cannot be said."""
        return None if self.in_own_errors is None else self.in_own_errors < 1.0


Runs = Mapping[tuple[str, float], Mapping[str, Output]]
"""Outputs by parameter and step in units of its error."""
STEPS = (1.0, -1.0, 0.5, -0.5)
WIDE = 4.0
_MATERIAL = 0.1
"""Of an output's own error: a change below it need not be known well."""


def run_part(part: Part, at: Mapping[str, float], errors: Mapping[str, float]) -> tuple[Mapping[str, Output], Runs]:
    """The outputs as they are, and with each parameter that has an error off by it and by half of it (and by four times
    it where an output is rough)."""
    base = part(at)
    runs: dict[tuple[str, float], Mapping[str, Output]] = {}
    for name, error in errors.items():
        if error <= 0:
            continue

        def off(step: float, name: str = name, error: float = error) -> Mapping[str, Output]:
            return part({**at, name: at[name] + step * error})

        runs |= {(name, step): off(step) for step in STEPS}
        rows = sensitivities("", base, {key: run for key, run in runs.items() if key[0] == name}, at, errors)
        if any((row.in_own_errors or 0.0) > _MATERIAL and not row.smooth for row in rows):
            runs |= {(name, step): off(step) for step in (WIDE, -WIDE)}
    return base, runs


def sensitivities(
    name: str, base: Mapping[str, Output], runs: Runs, at: Mapping[str, float], errors: Mapping[str, float]
) -> Iterator[Sensitivity]:
    """One row for every parameter that was changed and every output, in their order."""
    for parameter in dict.fromkeys(parameter for parameter, _ in runs):
        error = errors[parameter]
        for output, there in base.items():
            centre = _array(there)
            value = float(there.value) if isinstance(there.value, int | float) else None
            moved = {
                step: found
                for step in (*STEPS, WIDE, -WIDE)
                if (found := _array(runs.get((parameter, step), {}).get(output))) is not None
            }
            if centre is None or any(step not in moved or moved[step].shape != centre.shape for step in STEPS):
                yield Sensitivity(name, parameter, at[parameter], error, output, value, None, None, None, None)
                continue
            slope, doubt = _derivative(moved, error)
            over = max(_size(moved[1.0] - centre), _size(moved[-1.0] - centre))
            own = there.uncertainty
            yield Sensitivity(
                name,
                parameter,
                at[parameter],
                error,
                output,
                value,
                float(slope) if slope.ndim == 0 else _size(slope),
                doubt,
                over,
                over / own if own is not None and own > 0 else None,
            )


def _derivative(moved: Mapping[float, Array], error: float) -> tuple[Array, float]:
    """The derivative and its doubt; see the module."""
    pairs = {step: moved[step] - moved[-step] for step in (0.5, 1.0, WIDE) if step in moved and -step in moved}
    coarse, fine = pairs[1.0] / (2 * error), pairs[0.5] / error
    slope, doubt = np.asarray((4.0 * fine - coarse) / 3.0), _size(fine - coarse)
    if WIDE not in pairs:
        return slope, doubt
    weight = sum(step * step for step in pairs)
    line = np.asarray(sum(step * pair for step, pair in pairs.items()) / (2 * error * weight))
    left = np.stack([pair - 2 * error * step * line for step, pair in pairs.items()])
    spread = math.sqrt(float(np.mean(np.square(left).sum(axis=0))) / (len(pairs) - 1))
    line_doubt = spread / (2 * error * math.sqrt(weight))
    return (line, line_doubt) if line_doubt < doubt else (slope, doubt)


def robust_share(rows: list[Sensitivity]) -> tuple[float, float] | None:
    """Share of the rows that can be judged whose change stays below the result's own error, and half the width of what
    is possible: rows within the derivative's doubt of the border count for half. What a parameter does not touch at all
    says nothing. None: no row can be judged."""
    judged = [row for row in rows if row.in_own_errors is not None and row.over_error]
    if not judged:
        return None
    open_rows = 0
    for row in judged:
        assert row.in_own_errors is not None
        assert row.over_error is not None
        doubt = (row.per_unit_error or 0.0) * row.error / max(row.over_error, 1e-300)
        open_rows += abs(row.in_own_errors - 1.0) <= doubt * row.in_own_errors
    return sum(bool(row.robust) for row in judged) / len(judged), 0.5 * open_rows / len(judged)


def most_fragile(rows: list[Sensitivity]) -> Sensitivity | None:
    """The row with the largest change in units of the result's own error; None: no row can be judged."""
    judged = [row for row in rows if row.in_own_errors is not None]
    return max(judged, key=lambda row: row.in_own_errors or 0.0, default=None)


def _array(output: Output | None) -> Array | None:
    if output is None or output.value is None:
        return None
    array = np.asarray(output.value, dtype=np.float64)
    return array if np.isfinite(array).all() else None


def _size(change: Array) -> float:
    return math.sqrt(float(np.mean(np.square(change))))
