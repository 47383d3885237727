"""A session's summary as one HTML file without any other file: words, tables, plots as inline SVG, pictures as data.

No script, nothing fetched; it prints on paper as it is. Every text that came from a file or a person is escaped.
"""

from __future__ import annotations

import platform
import re
from functools import cache
from html import escape
from importlib import metadata, resources

from frazil.daemon.report.action_words import action_of
from frazil.daemon.report.html.cause_tables import changes, named_causes
from frazil.daemon.report.html.grid import grid_maps
from frazil.daemon.report.html.next_map import next_part
from frazil.daemon.report.html.parts import folded, numbered, paragraphs, section, table
from frazil.daemon.report.html.pictures import Pictures
from frazil.daemon.report.html.plots import fsc_plot, growth_plot, history_plot, loss_bars, strips
from frazil.daemon.report.summary.records import MapState, SessionSummary
from frazil.daemon.report.summary.text import (
    arrow,
    contradictions,
    evenness,
    figure,
    hours_text,
    instrument_text,
    lag_sentences,
    map_sentences,
    rate_sentences,
    raw_text,
    seconds_text,
    side_sentence,
    state_counts,
    utc_text,
)
from frazil.models.causal.factors import BESIDE_TOTAL

_GROUPS = {"best": "Best", "typical": "In the middle", "worst": "Worst"}
_SQUARES_SHOWN = 400
_PACKAGES = ("frazil", "torch", "ray", "duckdb", "numpy")
_ADDRESS = re.compile(r"\w+://\S+")
_CITED: tuple[tuple[str, str], ...] = (
    ("exposure filter", "Grant & Grigorieff (2015), eLife 4, e06980"),
    ("CTF", "Rohou & Grigorieff (2015), J. Struct. Biol. 192, 216"),
    ("corrected FSC", "Chen et al. (2013), Ultramicroscopy 135, 24"),
    ("conical FSC", "Tan et al. (2017), Nat. Methods 14, 793"),
    ("orientation efficiency", "Baldwin & Lyumkis (2020), Prog. Biophys. Mol. Biol. 150, 160"),
    ("threshold, B-factor and forecast", "Rosenthal & Henderson (2003), J. Mol. Biol. 333, 721"),
    ("map from nothing, and several maps", "Scheres (2012), J. Mol. Biol. 415, 406"),
)


def to_html(summary: SessionSummary, causes_svg: str = "", pictures: Pictures | None = None) -> str:
    """The whole page. `causes_svg`: the causal graph, drawn (`frazil.models.causal.graph.as_svg`)."""
    pictures = pictures or Pictures()
    parts = (
        _head(summary),
        _todo(summary),
        _collected(summary),
        _quality(summary),
        _causes(summary, causes_svg),
        _grid(summary),
        _movies(summary, pictures),
        _map(summary, pictures),
        _verdicts(summary),
        _alerts(summary),
        _made_with(summary),
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(summary.name)}: session summary</title><style>{_style()}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


@cache
def _style() -> str:
    files = resources.files("frazil.daemon.report")
    return "".join(files.joinpath(name).read_text(encoding="utf-8") for name in ("plots.css", "summary.css"))


def _head(summary: SessionSummary) -> str:
    when = (
        f"{utc_text(summary.first_utc_us)} to {utc_text(summary.last_utc_us)} UTC, {hours_text(summary.hours)}"
        f"{', still running' * summary.live}"
    )
    first, *rest = summary.headline or ("",)
    return (
        f"<header><p class=dim>session summary</p><h1>{escape(summary.name)}</h1>"
        f"<p class=dim>{escape(instrument_text(summary))}<br>{escape(when)}<br>{escape(summary.session_dir)}, "
        f"{escape(raw_text(summary))}</p>"
        f"<div class=verdict>{paragraphs([summary.verdict.sentence] * bool(summary.verdict.sentence))}"
        f"<p class=lead>{escape(first)}</p>{paragraphs(rest)}</div>{_tiles(summary)}</header>"
    )


def _tiles(summary: SessionSummary) -> str:
    medians = {metric.name: (figure(metric, metric.median), metric.unit) for metric in summary.metrics}
    finished = summary.kept + summary.rejected
    tiles = (
        [("kept", f"{100 * summary.kept / finished:.0f} %", f"{summary.kept:,} of {finished:,} movies")]
        if finished
        else []
    )
    for name, words in (("ctf_fit_angstrom", "CTF fits to"), ("motion_early_angstrom", "early motion")):
        if name in medians:
            tiles.append((words, f"{medians[name][0]} {medians[name][1]}", "median of kept movies"))
    if summary.particles:
        tiles.append(("particles", f"{summary.particles:,}", "picked in kept movies"))
    if summary.map is not None and summary.map.resolution_0143_angstrom is not None:
        reached = summary.map.resolution_0143_angstrom
        tiles.append(("map", f"{reached:.2f} A", f"FSC 0.143, round {summary.map.round}"))
    if summary.lag_p50_s is not None:
        tiles.append(
            ("result after", seconds_text(summary.lag_p50_s), f"95 %: {seconds_text(summary.lag_p95_s or 0.0)}")
        )
    cells = "".join(
        f"<div><span>{escape(words)}</span><b>{escape(value)}</b><small>{escape(small)}</small></div>"
        for words, value, small in tiles
    )
    return f"<div class=tiles>{cells}</div>" if cells else ""


def _todo(summary: SessionSummary) -> str:
    taken = table(
        [(utc_text(one.utc_us), one.who, one.sentence, side_sentence(one.before, one.after)) for one in summary.taken],
        ("UTC", "who", "what was done or noted", "the movies before and after (95 %)"),
    )
    gains = table(
        [
            (
                action_of(one.sentence),
                one.cause,
                "the session" if one.scope == "session" else f"square {one.scope}",
                _signed(one.gain_ln_ssnr),
                ""
                if one.gain_low_ln_ssnr is None
                else f"{_signed(one.gain_low_ln_ssnr)} to {_signed(one.gain_high_ln_ssnr)}",
                one.known_by or "",
            )
            for one in summary.advised
        ],
        ("advice", "acts on", "where", "gain, ln SSNR at 5 A", "95 %", "known by"),
    )
    how = table(
        [(action_of(one.sentence), one.known_how) for one in summary.advised if one.known_how],
        ("advice", "how do we know?"),
    )
    nothing = (
        "<p class=dim>Nobody told frazil of a change at the microscope.</p>" if summary.advised and not taken else ""
    )
    effect = f"<h3>What was done, and its effect</h3>{taken or nothing}" if taken or nothing else ""
    experiments = "".join(
        f"<h3>Experiment: {escape(one.words)}</h3>{paragraphs([one.sentence, '; '.join(one.lines)])}"
        for one in summary.experiments
    )
    return section("What to do", numbered(summary.advice) if summary.advice else "", gains, how, experiments, effect)


def _collected(summary: SessionSummary) -> str:
    counts = table([(f"{count:,}", words) for count, words in state_counts(summary)])
    said = paragraphs([*rate_sentences(summary), *lag_sentences(summary), *summary.removed])
    rows = [
        (f"{reason.movies:,}", reason.state + (f" ({reason.stage})" if reason.stage else ""), reason.example)
        for reason in summary.reasons
    ]
    why = table(rows, ("movies", "", "why not kept, for example"))
    return section(
        "Collected and kept",
        f"<p>{summary.total:,} movies in all.</p>",
        f"<div class=two><div>{counts}</div><div>{said}</div></div>",
        why,
    )


def _quality(summary: SessionSummary) -> str:
    rows = [
        (
            metric.words,
            f"{figure(metric, metric.median)} {metric.unit}",
            f"{figure(metric, metric.quartile_1)} to {figure(metric, metric.quartile_3)}",
            ""
            if metric.first_quarter_median is None or metric.last_quarter_median is None
            else arrow(figure(metric, metric.first_quarter_median), figure(metric, metric.last_quarter_median)),
        )
        for metric in summary.metrics
    ]
    note = (
        "Line: median; area: the middle 80 % of all finished movies. Left to right: time (UTC)."
        if summary.bands
        else "Dots: kept movies, crosses: rejected ones, wedges: beyond the edge, dashed: the median; time runs right."
    )
    numbers = table(rows, ("kept movies", "median", "middle half", "first and last quarter"))
    return section("How good", numbers, f"<p class=dim>{note}</p>" if rows else "", strips(summary))


def _causes(summary: SessionSummary, causes_svg: str) -> str:
    if not summary.losses:
        return ""
    undone = any(loss.factor in BESIDE_TOTAL for loss in summary.losses)
    note = (
        "Loss of ln SSNR between 10 and 4 A, mean over the newest movies, with one standard deviation."
        + " Hollow: processing undoes it, or has." * undone
    )
    told = f"<h3>When the session became another one</h3>{changes(summary)}" if summary.changes else ""
    # The name space of a picture of its own means nothing inside a page, and reads like an address.
    drawn = re.sub(r'\sxmlns="[^"]*"', "", causes_svg)
    graph = folded(
        "The causal graph: what acts on what, with losses at 5 A", f"<div class=wide>{drawn}</div>" if drawn else ""
    )
    return section("What costs signal", loss_bars(summary.losses), named_causes(summary), told, graph, note=note)


def _grid(summary: SessionSummary) -> str:
    squares = sorted(summary.squares, key=lambda one: (one.ctf_fit_angstrom is None, one.ctf_fit_angstrom))
    rows = [
        (
            one.name,
            f"{one.movies}",
            f"{one.kept}",
            "" if one.ctf_fit_angstrom is None else f"{one.ctf_fit_angstrom:.1f} A",
        )
        for one in squares[:_SQUARES_SHOWN]
    ]
    names = ("square", "movies", "kept", "median CTF fit")
    listed = (
        table(rows, names)
        if len(rows) <= 12
        else folded(f"{len(squares)} squares, best median first", table(rows, names))
    )
    following = next_part(summary.grid)
    came = grid_maps(summary.holes, summary.squares) + listed
    note = "Where the stage was, by the median CTF fit of the movies." if summary.holes else ""
    if not following:
        return section("The grid", came, note=note)
    came = f"<h3>What came of it</h3>{paragraphs(filter(None, [note]), 'dim')}{came}" if came else ""
    return section("The grid", following, came)


def _movies(summary: SessionSummary, pictures: Pictures) -> str:
    parts = []
    for group, words in _GROUPS.items():
        cards = [
            _card(example.relative_path, example.why, pictures.thumbnails.get(example.movie_id))
            for example in summary.examples
            if example.group == group
        ]
        if cards:
            parts.append(f"<h3>{words}</h3><div class=cards>{''.join(cards)}</div>")
    return section("Movies", *parts, note="By how far the CTF fits." if parts else "")


def _card(name: str, why: str, address: str | None) -> str:
    shown = name.rsplit("/", 1)[-1]
    picture = (
        f"<img src='{address}' alt='micrograph {escape(shown, quote=True)}'>"
        if address
        else "<span class=none>no thumbnail</span>"
    )
    named = f"<small title='{escape(name, quote=True)}'>{escape(shown)}</small>"
    return f"<figure>{picture}<figcaption>{escape(why)}{named}</figcaption></figure>"


def _map(summary: SessionSummary, pictures: Pictures) -> str:
    state = summary.map
    if state is None:
        return ""
    said = paragraphs(map_sentences(state))
    care = "".join(f"<p class=care>Take care: {escape(sentence)}</p>" for sentence in contradictions(summary))
    shown = "".join(
        f"<figure><img src='{address}' alt='{escape(words, quote=True)}'>"
        f"<figcaption>{escape(words)}</figcaption></figure>"
        for words, address in pictures.of_map
    )
    plots = fsc_plot(state), growth_plot(state)
    forecast = f"<h3>Forecast</h3>{paragraphs(state.forecast)}" if state.forecast else ""
    return section(
        "The map",
        said,
        care,
        f"<div class=two>{''.join(plots)}</div>" if any(plots) else "",
        f"<div class=maps>{shown}</div>" if shown else "",
        paragraphs(evenness(state)),
        forecast,
        _rounds(state),
    )


def _rounds(state: MapState) -> str:
    rows = [(f"{count:,}", "not resolved" if value is None else f"{value:.2f} A") for count, value in state.by_round]
    return folded("Round by round", table(rows, ("particles", "FSC 0.143"))) if len(rows) > 1 else ""


def _verdicts(summary: SessionSummary) -> str:
    rows = "".join(
        f"<tr><td>{escape(score.question)}<small>{escape(score.evaluator)}</small></td><td><b>{escape(score.value)}</b>"
        f"<small>{escape(score.scale)}</small></td>"
        f"<td>{paragraphs(score.says if score.verdict is not None else [score.unknown or ''])}</td></tr>"
        for score in summary.scores
    )
    body = f"<table class=verdicts><tbody>{rows}</tbody></table>" if rows else ""
    history = history_plot(summary.history)
    people = table(
        [(one.who, one.verdict, one.movie or "the session", one.note or "") for one in summary.verdicts],
        ("who", "said", "of", "note"),
    )
    return section(
        "How far all this can be believed",
        body,
        f"<div class=two>{history}</div>" if history else "",
        f"<h3>What people said</h3>{people}" if people else "",
    )


def _alerts(summary: SessionSummary) -> str:
    still = table(
        [
            (alert.severity, alert.subject, alert.text + (f" What to do: {alert.remedy}" if alert.remedy else ""))
            for alert in summary.alerts
        ],
        ("", "about", "still open"),
    )
    days = table(
        [
            (one.day_utc, one.severity, one.subject, f"{one.alerts}", f"{one.still_open}", one.newest)
            for one in summary.alert_days
        ],
        ("UTC", "", "about", "alerts", "open", "the newest"),
    )
    return section("Alerts", still, folded("All alerts by day", days))


def _made_with(summary: SessionSummary) -> str:
    versions = [
        (f"{one.movies:,} movies", f"frazil {one.code_version}", f"settings {one.parameter_hash[:12]}")
        for one in summary.software
    ]
    here = ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {found}" for name in _PACKAGES if (found := _version(name)))]
    )
    # Addresses of mail and chat programs are secrets to whoever gets this page.
    settings = _ADDRESS.sub("(an address, not shown)", summary.settings_yaml)
    cited = table(_CITED, ("for", "cite"))
    return section(
        "Software, settings, how to cite",
        table(versions, ("processed", "with", "")),
        f"<p>This page was written with {escape(here)}.</p>",
        f"<p>Cite frazil by its name and version ({escape(summary.code_version or 'see above')}) and keep this page "
        "with the data; cite what it rests on where you use it:</p>",
        cited,
        folded("All settings", f"<pre>{escape(settings)}</pre>" if settings else ""),
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"
