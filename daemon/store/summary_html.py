"""A session's summary as one HTML file without any other file: text, tables and plots as inline SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from frazil.daemon.store.summary_records import Curve, Metric, SessionSummary
from frazil.daemon.store.summary_text import figure, instrument_text, utc_text
from frazil.daemon.store.why import cause_words

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 130, 54, 20
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b2733; }
h1 { margin-bottom: .2rem } h2 { margin-top: 2rem; border-bottom: 1px solid #ccd6df; }
table { border-collapse: collapse } td, th { padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums } .dim { color: #667788 }
svg { background: #f6f9fb; margin: .3rem .6rem .3rem 0 } text { font: 11px system-ui, sans-serif; fill: #44566c }
.kept { fill: #1f77b4 } .lost { fill: #d0872f; opacity: .7 } ol li { margin: .3rem 0 }
"""


def to_html(summary: SessionSummary, causes_svg: str = "") -> str:
    """The whole page; every text that came from a file or a person is escaped. `causes_svg`: the causal graph, drawn
    (`frazil.models.causal.graph.as_svg`)."""
    when = f"{utc_text(summary.first_utc_us)} to {utc_text(summary.last_utc_us)} UTC{' (running)' * summary.live}"
    parts = [
        f"<h1>{escape(summary.name)}</h1>",
        f"<p>{escape(instrument_text(summary))}<br>"
        f"<span class=dim>{escape(summary.session_dir)} &middot; {when}</span></p>",
        _advice(summary),
        "<h2>Collected</h2>",
        _table(
            [
                ("movies", str(summary.total)),
                ("kept", str(summary.kept)),
                ("rejected", str(summary.rejected)),
                ("set aside", str(summary.set_aside)),
                ("waiting", str(summary.waiting)),
                ("finished per hour", _maybe(summary.finished_per_hour, ".0f")),
                ("found to ready, median", _maybe(summary.lag_p50_s, ".1f", " s")),
                ("found to ready, 95 %", _maybe(summary.lag_p95_s, ".1f", " s")),
            ]
        ),
        "<h2>How good</h2>",
        _quality_table(summary.metrics),
        "<p class=dim>Blue: kept; orange: rejected. Left to right: time.</p>",
        *(_strip(curve, metric) for curve in summary.trend for metric in summary.metrics if metric.name == curve.name),
        _wrong(summary),
        _losses(summary),
        f"<details><summary>The causal graph: what acts on what, losses at 5 A</summary>{causes_svg}</details>"
        if causes_svg
        else "",
        _map(summary),
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(summary.name)}</title><style>{_STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _advice(summary: SessionSummary) -> str:
    if not summary.advice:
        return ""
    return "<h2>What to do</h2><ol>" + "".join(f"<li>{escape(text)}</li>" for text in summary.advice) + "</ol>"


def _quality_table(metrics: Sequence[Metric]) -> str:
    rows = [
        (
            metric.words,
            f"{figure(metric, metric.median)} {metric.unit}",
            f"{figure(metric, metric.quartile_1)} to {figure(metric, metric.quartile_3)}",
        )
        for metric in metrics
    ]
    return _table(rows, ("", "median", "middle half"))


def _wrong(summary: SessionSummary) -> str:
    if not summary.reasons and not summary.alerts:
        return ""
    rows = [(str(reason.movies), reason.state, reason.example) for reason in summary.reasons]
    alerts = [(alert.severity, alert.text, alert.remedy or "") for alert in summary.alerts]
    return "<h2>What went wrong</h2>" + _table(rows) + _table(alerts)


def _losses(summary: SessionSummary) -> str:
    if not summary.losses:
        return ""
    top = max(max((loss.loss_ln_ssnr for loss in summary.losses), default=0.0), 1e-9)
    bars = []
    for index, loss in enumerate(summary.losses):
        y, length = 18 * index + 4, 360 * max(loss.loss_ln_ssnr, 0.0) / top
        error = "" if loss.loss_sd is None else f" &plusmn; {loss.loss_sd:.2f}"
        bars.append(
            f"<text x=4 y={y + 10}>{escape(cause_words(loss.factor))}</text>"
            f"<rect class=kept x=150 y={y} width={length:.1f} height=12 />"
            f"<text x={156 + length:.1f} y={y + 10}>{loss.loss_ln_ssnr:.2f}{error}</text>"
        )
    svg = f"<svg width={_WIDTH} height={18 * len(summary.losses) + 8} role=img>{''.join(bars)}</svg>"
    svg += _table([(str(count.movies), count.words) for count in summary.named_causes], ("movies", "first cause"))
    svg += _table([(f"from movie {change.movie_number} on", change.sentence) for change in summary.changes])
    return "<h2>What costs signal</h2><p class=dim>Loss of ln(SSNR) between 10 and 4 A.</p>" + svg


def _map(summary: SessionSummary) -> str:
    state = summary.map
    if state is None:
        return ""
    text = f"{_maybe(state.resolution_0143_angstrom, '.2f', ' A')} at FSC 0.143 from {state.particle_count} particles"
    if not state.fsc:
        return f"<h2>The map</h2><p>{text}</p>"
    top = max(state.frequency_per_angstrom) or 1.0
    points = [(f / top, min(max(v, 0.0), 1.0)) for f, v in zip(state.frequency_per_angstrom, state.fsc, strict=True)]
    line = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in points)
    marks = f"<polyline points='{line}' fill=none stroke='#1f77b4' stroke-width=1.5 />" + "".join(
        f"<line x1={_LEFT} x2={_WIDTH} y1={_y(level):.1f} y2={_y(level):.1f} stroke='#99aabb' stroke-dasharray='4 3' />"
        f"<text x=4 y={_y(level) + 4:.1f}>{level:g}</text>"
        for level in (0.143, 0.5, 1.0)
    )
    axis = f"<text x={_WIDTH - 90} y={_HEIGHT - 5}>1/{1 / top:.2f} A</text>"
    return f"<h2>The map</h2><p>{text}</p><svg width={_WIDTH} height={_HEIGHT} role=img>{marks}{axis}</svg>"


def _strip(curve: Curve, metric: Metric) -> str:
    """One metric against time; the vertical range holds 98 % of the values."""
    known = sorted(value for value in curve.values if value is not None)
    if len(known) < 2:
        return ""
    low, high = known[len(known) // 100], known[-1 - len(known) // 100]
    span = (high - low) or abs(high) or 1.0
    first, last = curve.ready_utc_us[0], max(curve.ready_utc_us[-1], curve.ready_utc_us[0] + 1)
    dots = []
    for utc_us, value, kept in zip(curve.ready_utc_us, curve.values, curve.kept, strict=True):
        if value is None:
            continue
        x, y = (utc_us - first) / (last - first), min(max((value - low) / span, 0.0), 1.0)
        dots.append(f"<circle class={'kept' if kept else 'lost'} cx={_x(x):.1f} cy={_y(y):.1f} r=1.8 />")
    unit = f" ({metric.unit})" if metric.unit else ""
    return (
        f"<svg width={_WIDTH} height={_HEIGHT} role=img><title>{escape(metric.words)}</title>{''.join(dots)}"
        f"<text x=4 y=14>{figure(metric, low + span)}</text>"
        f"<text x=4 y={_HEIGHT - _BOTTOM}>{figure(metric, low)}</text>"
        f"<text x={_LEFT} y={_HEIGHT - 5}>{utc_text(first)}</text>"
        f"<text x={_WIDTH - 4} y={_HEIGHT - 5} text-anchor=end>{escape(metric.words + unit)}</text></svg>"
    )


def _x(fraction: float) -> float:
    return _LEFT + fraction * (_WIDTH - _LEFT - 8)


def _y(fraction: float) -> float:
    return 8 + (1 - fraction) * (_HEIGHT - _BOTTOM - 16)


def _table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    top = "<tr>" + "".join(f"<th>{escape(word)}</th>" for word in head) + "</tr>" if head else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{top}{body}</table>" if body else ""


def _maybe(value: float | None, form: str, unit: str = "") -> str:
    return "not known" if value is None else f"{value:{form}}{unit}"
