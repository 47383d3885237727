"""The plots of the summary's page as inline SVG. Colours never speak alone: shapes, lines and words say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

from frazil.daemon.report.html.parts import (
    Frame,
    crosses,
    dots,
    label,
    line,
    polyline,
    svg,
    time_ticks,
    wedges,
)
from frazil.daemon.report.summary.records import Band, Curve, FactorLoss, MapState, Metric, SessionSummary
from frazil.daemon.report.summary.text import figure
from frazil.daemon.report.why import cause_words
from frazil.models.causal.factors import BESIDE_TOTAL

_WIDTH, _HEIGHT = 470.0, 128.0
_RESOLVED_FSC, _HALF_FSC = 0.143, 0.5


def strip(curve: Curve, metric: Metric) -> str:
    """One metric movie by movie against time. What is far from the others stands at the edge as a wedge."""
    known = [value for value in curve.values if value is not None]
    if len(known) < 2:
        return ""
    low, high = _shown_range(sorted(known))
    frame = _time_frame(curve.ready_utc_us, low, high)
    inside: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    beyond: list[tuple[float, float, bool]] = []
    for utc_us, value, kept in zip(curve.ready_utc_us, curve.values, curve.kept, strict=True):
        if value is None:
            continue
        if low <= value <= high:
            inside[kept].append((frame.px(utc_us), frame.py(value)))
        else:
            beyond.append((frame.px(utc_us), frame.py(value), value > high))
    middle = frame.py(metric.median)
    parts = [
        line(frame.left, middle, frame.width - frame.right, middle, "level"),
        dots(inside[True], "kept"),
        crosses(inside[False], "lost"),
        wedges(beyond, "far"),
    ]
    return _metric_plot(frame, metric, (low, high), parts)


def _shown_range(ordered: Sequence[float]) -> tuple[float, float]:
    """Tukey's far fences (three middle halves beyond the quartiles), or nine tenths of the values if that is more."""
    quarter, twentieth = len(ordered) // 4, len(ordered) // 20
    first, third = ordered[quarter], ordered[-1 - quarter]
    reach = 3.0 * (third - first)
    low = max(ordered[0], min(first - reach, ordered[twentieth]))
    return low, min(ordered[-1], max(third + reach, ordered[-1 - twentieth]))


def band_strip(band: Band, metric: Metric) -> str:
    """One metric of very many movies: the middle 80 % as an area, the median as a line."""
    low = [value for value in band.p10 if value is not None]
    high = [value for value in band.p90 if value is not None]
    if len(low) < 2:
        return ""
    frame = _time_frame(band.utc_us, min(low), max(high))
    rows = [
        (frame.px(utc_us), frame.py(p10), frame.py(median), frame.py(p90))
        for utc_us, p10, median, p90 in zip(band.utc_us, band.p10, band.median, band.p90, strict=True)
        if p10 is not None and median is not None and p90 is not None
    ]
    area = [(x, top) for x, _, _, top in rows] + [(x, bottom) for x, bottom, _, _ in reversed(rows)]
    parts = [polyline(area, "area"), polyline([(x, middle) for x, _, middle, _ in rows], "curve")]
    return _metric_plot(frame, metric, (min(low), max(high)), parts)


def _time_frame(times_utc_us: Sequence[int], low: float, high: float) -> Frame:
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    first = times_utc_us[0]
    return Frame(_WIDTH, _HEIGHT, (first, max(times_utc_us[-1], first + 1)), (low - room, high + room), top=22.0)


def _metric_plot(frame: Frame, metric: Metric, shown: tuple[float, float], parts: list[str]) -> str:
    unit = f" ({metric.unit})" if metric.unit else ""
    low, high = shown
    words = [
        label(frame.left, 14, f"{metric.words}{unit}", kind="name"),
        label(frame.left - 5, frame.py(high) + 4, figure(metric, high), "end"),
        label(frame.left - 5, frame.py(low) + 4, figure(metric, low), "end"),
    ]
    return svg(frame, f"{metric.words}{unit} against time, UTC", [*parts, *words, *time_ticks(frame)])


def loss_bars(losses: Sequence[FactorLoss]) -> str:
    """Mean loss by cause with one standard deviation; hollow: processing undoes it."""
    if not losses:
        return ""
    ends = [loss.loss_ln_ssnr + (loss.loss_sd or 0.0) for loss in losses]
    step, left = 21.0, 178.0
    frame = Frame(
        760.0, step * len(losses) + 8, (0.0, max([*ends, 0.1])), (0.0, 1.0), left=left, right=120.0, top=0.0, bottom=0.0
    )
    parts = []
    for place, loss in enumerate(losses):
        y = step * place + 6
        middle = y + 6.5
        end = frame.px(max(loss.loss_ln_ssnr, 0.0))
        kind = "hollow" if loss.factor in BESIDE_TOTAL else "bar"
        parts.append(label(left - 8, y + 11, cause_words(loss.factor), "end"))
        parts.append(f"<rect class={kind} x={left:g} y={y:g} width={max(end - left, 0.5):.1f} height=13 />")
        words, reach = f"{loss.loss_ln_ssnr:.2f}", end
        if loss.loss_sd is not None:
            low, reach = frame.px(loss.loss_ln_ssnr - loss.loss_sd), frame.px(loss.loss_ln_ssnr + loss.loss_sd)
            parts.append(line(low, middle, reach, middle, "whisker"))
            parts += [line(x, middle - 4, x, middle + 4, "whisker") for x in (low, reach)]
            words += f" ± {loss.loss_sd:.2f}"
        if kind == "hollow":
            words += ", undone"
        parts.append(label(reach + 7, y + 11, words))
    return svg(frame, "loss of ln SSNR by cause", parts)


def fsc_plot(state: MapState) -> str:
    """The corrected FSC, and that of all particles alike, with the two lines that people read resolutions at."""
    if len(state.fsc) < 2 or max(state.frequency_per_angstrom) <= 0:
        return ""
    top = max(state.frequency_per_angstrom)
    low = min(0.0, *state.fsc)
    frame = Frame(_WIDTH, 250.0, (0.0, top), (max(low, -0.15), 1.02), bottom=34.0)
    parts = []
    for level in (0.0, _RESOLVED_FSC, _HALF_FSC, 1.0):
        y = frame.py(level)
        parts.append(line(frame.left, y, frame.width - frame.right, y, "level" if level in (0.0, 1.0) else "limit"))
        parts.append(label(frame.left - 5, y + 4, f"{level:g}", "end"))
    for share in (0.25, 0.5, 0.75, 1.0):
        parts.append(
            label(
                frame.px(share * top), frame.height - 19, f"{1 / (share * top):.1f} A", "middle" if share < 1 else "end"
            )
        )
    parts.append(label(frame.px(top / 2), frame.height - 4, "resolution (frequency grows to the right)", "middle"))
    uniform = [(f, v) for f, v in zip(state.frequency_per_angstrom, state.fsc_uniform, strict=False) if v is not None]
    uniform = [] if state.causal_weight_share == 0 else uniform  # it is the map's own curve
    parts.append(polyline([(frame.px(f), frame.py(v)) for f, v in uniform], "second"))
    points = zip(state.frequency_per_angstrom, state.fsc, strict=True)
    parts.append(polyline([(frame.px(f), frame.py(v)) for f, v in points], "curve"))
    for resolution, level in (
        (state.resolution_0143_angstrom, _RESOLVED_FSC),
        (state.resolution_05_angstrom, _HALF_FSC),
    ):
        if resolution:
            x, y = frame.px(1 / resolution), frame.py(level)
            parts.append(f"<circle class=mark cx={x:.1f} cy={y:.1f} r=4 />")
            side, anchor = (-7, "end") if x > frame.width / 2 else (7, "start")
            parts.append(label(x + side, y - 6, f"{resolution:.2f} A at {level:g}", anchor, "name"))
    right = frame.width - frame.right - 8
    if uniform:
        parts.append(label(right, frame.top + 18, "— weighted by the causal model", "end", "legend"))
        parts.append(label(right, frame.top + 32, "- - all particles alike", "end", "legend"))
    return svg(frame, "Fourier shell correlation of the half maps", parts)


def growth_plot(state: MapState) -> str:
    """Resolution against particles, round by round; both axes grow by factors."""
    rows = [(count, value) for count, value in state.by_round if count > 0 and value]
    if len(rows) < 2:
        return ""
    counts, values = [math.log(count) for count, _ in rows], [math.log(value) for _, value in rows]
    room = 0.08 * ((max(values) - min(values)) or 0.2)
    frame = Frame(_WIDTH, 250.0, (min(counts), max(counts)), (min(values) - room, max(values) + room), bottom=34.0)
    points = [(frame.px(x), frame.py(y)) for x, y in zip(counts, values, strict=True)]
    parts = [polyline(points, "curve"), dots(points, "kept", 2.6)]
    for value in (max(values), min(values)):
        parts.append(label(frame.left - 5, frame.py(value) + 4, f"{math.exp(value):.1f} A", "end"))
    for (count, _), anchor in ((rows[0], "start"), (rows[-1], "end")):
        parts.append(label(frame.px(math.log(count)), frame.height - 19, f"{count:,}", anchor))
    parts.append(label((frame.left + frame.width) / 2, frame.height - 4, "particles (lower is better)", "middle"))
    return svg(frame, "resolution against particles, round by round", parts)


def history_plot(history: Sequence[tuple[int, float | None, float | None]]) -> str:
    """V and HyperScore over the rounds, each on its own scale."""
    if len([1 for _, v, _ in history if v is not None]) < 2:
        return ""
    rounds = [number for number, _, _ in history]
    left = Frame(_WIDTH, 150.0, (min(rounds), max(rounds)), (0.0, 1.0), right=44.0, top=22.0)
    right = Frame(_WIDTH, 150.0, left.x, (100.0, 200.0), right=44.0, top=22.0)
    v = [(left.px(n), left.py(value)) for n, value, _ in history if value is not None]
    hyper = [(right.px(n), right.py(value)) for n, _, value in history if value is not None]
    parts = [polyline(v, "curve"), polyline(hyper, "second")]
    for frame, end, anchor, side in (
        (left, left.left - 5, "end", 0),
        (right, right.width - right.right + 5, "start", 1),
    ):
        for value in frame.y:
            parts.append(label(end, frame.py(value) + (9 if value == frame.y[1] else 0), f"{value:g}", anchor))
        words = ("— V (left, 0 to 1)", "- - HyperScore (right, 100 to 200)")[side]
        parts.append(
            label(frame.left if not side else frame.width - frame.right, 14, words, "end" if side else "start", "name")
        )
    parts.append(label(left.px(rounds[0]), left.height - 6, f"round {rounds[0]}"))
    parts.append(label(left.px(rounds[-1]), left.height - 6, f"round {rounds[-1]}", "end"))
    return svg(left, "V and HyperScore over the rounds", parts)


def strips(summary: SessionSummary) -> str:
    """All metrics against time: movie by movie, or in bands where there are too many of them."""
    by_name = {metric.name: metric for metric in summary.metrics}
    if summary.bands:
        plots = [band_strip(band, by_name[band.name]) for band in summary.bands if band.name in by_name]
    else:
        plots = [strip(curve, by_name[curve.name]) for curve in summary.trend if curve.name in by_name]
    return f"<div class=two>{''.join(plots)}</div>" if any(plots) else ""
