"""Quality over time: plots that are there without a script, and that a script makes live and readable to the value."""

from __future__ import annotations

from dataclasses import replace
from html import escape

from frazil.daemon.page.frame import part
from frazil.daemon.report.html.parts import table, wide
from frazil.daemon.report.html.plots import band_strip, strip
from frazil.daemon.report.summary.records import Curve, Metric, SessionSummary
from frazil.daemon.report.summary.text import arrow, figure

SHOWN = ("ctf_fit_angstrom", "motion_early_angstrom", "defocus_um", "particle_count")
"""Metrics that are drawn; the table below has all of them."""
NEWEST = 500
"""Movies in a plot of a session whose movies are drawn one by one."""


def plots_part(told: SessionSummary) -> str:
    """Empty before the first movies are finished."""
    by_name = {metric.name: metric for metric in told.metrics}
    drawn = "".join(_figure(told, by_name[name]) for name in SHOWN if name in by_name)
    rows = [
        (
            metric.words,
            f"{figure(metric, metric.median)} {metric.unit}",
            f"{figure(metric, metric.quartile_1)} to {figure(metric, metric.quartile_3)}",
            ""
            if metric.first_quarter_median is None or metric.last_quarter_median is None
            else arrow(figure(metric, metric.first_quarter_median), figure(metric, metric.last_quarter_median)),
        )
        for metric in told.metrics
    ]
    numbers = table(rows, ("kept movies", "median", "middle half", "first and last quarter"))
    note = (
        "The whole session: the median as a line, the middle 80 % of all finished movies as an area."
        if told.bands
        else f"Finished movies, at most the newest {NEWEST}: dots are kept, rings or crosses rejected."
    )
    plots = f"<div class=two data-plots={'bands' if told.bands else 'movies'}>{drawn}</div>" if drawn else ""
    return part("quality", "How good", plots, wide(numbers, "Quality of kept movies"), note=note if drawn else "")


def _figure(told: SessionSummary, metric: Metric) -> str:
    band = next((one for one in told.bands if one.name == metric.name), None)
    curve = next((one for one in told.trend if one.name == metric.name), None)
    drawn = band_strip(band, metric) if band is not None else strip(_newest(curve), metric) if curve is not None else ""
    if not drawn:
        return ""
    unit = f" ({metric.unit})" if metric.unit else ""
    words = escape(f"{metric.words}{unit}", quote=True)
    return (
        f"<figure class=plot data-metric={metric.name}><figcaption>{words}</figcaption>"
        f"<div class=canvas>{drawn}</div></figure>"
    )


def _newest(curve: Curve) -> Curve:
    return replace(
        curve,
        ready_utc_us=curve.ready_utc_us[-NEWEST:],
        values=curve.values[-NEWEST:],
        kept=curve.kept[-NEWEST:],
    )
