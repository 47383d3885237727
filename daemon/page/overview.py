"""The first page of a session: the verdict, how good the data are, what would pay, alerts; the machinery last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from frazil.daemon.page.causes import signal_bars
from frazil.daemon.page.frame import part, tiles, word
from frazil.daemon.page.links import Links
from frazil.daemon.page.live_words import live_words, verdict_lines
from frazil.daemon.page.machinery import machinery
from frazil.daemon.page.movie_cards import cards
from frazil.daemon.page.percent import change_percent, lost_percent
from frazil.daemon.page.plots import plots_part
from frazil.daemon.report.action_words import action_of
from frazil.daemon.report.html.cause_tables import changes, named_causes
from frazil.daemon.report.html.grid import grid_maps
from frazil.daemon.report.html.next_map import next_part
from frazil.daemon.report.html.parts import folded, numbered, paragraphs, table, wide
from frazil.daemon.report.html.plots import fsc_plot, growth_plot, history_plot
from frazil.daemon.report.summary.records import AlertLine, SessionSummary
from frazil.daemon.report.summary.text import (
    contradictions,
    evenness,
    figure,
    hours_text,
    instrument_text,
    map_sentences,
    utc_text,
)
from frazil.daemon.report.why import cause_words
from frazil.daemon.transport.messages import LiveState, Row
from frazil.models.causal.factors import BESIDE_TOTAL, CHANGEABLE

_MAP_WORDS = {
    "sections": "Central sections through the map",
    "projections": "Projections of the map",
    "orientations": "Where particles are seen from: rotation to the right, tilt downwards, white is often",
    "classes": "2-D class averages, most particles first",
}
_SIGNS = {"error": "✖ error", "warning": "▲ warning", "info": "• note"}


def overview(
    state: LiveState, told: SessionSummary, newest: Sequence[Row], map_pictures: Sequence[str], links: Links
) -> str:
    """The body. `newest`: rows of the named query `movies`, shown as pictures; `map_pictures`: those there are."""
    return "".join(
        (
            _headline(state, told),
            plots_part(told),
            _advice(told),
            _alerts(told),
            _movies(newest, links),
            _causes(told),
            _grid(told, links),
            _map(told, map_pictures, links),
            _evaluators(told),
            machinery(state, told),
        )
    )


def _headline(state: LiveState, told: SessionSummary) -> str:
    words = live_words(state)
    said = verdict_lines(state)
    first, *rest = said or [*told.headline[:1], *_costs(told)] or ("Nothing is known yet.",)
    when = f"{utc_text(told.first_utc_us)} to {utc_text(told.last_utc_us)} UTC, {hours_text(told.hours)}"
    fit = next((metric for metric in told.metrics if metric.name == "ctf_fit_angstrom"), None)
    cells = [
        ("Movies kept", word("kept", words["kept"]), word("kept_of", words["kept_of"])),
        (
            "CTF fits to",
            "–" if fit is None else f"{figure(fit, fit.median)} A",
            ""
            if fit is None
            else f"median; middle half {figure(fit, fit.quartile_1)} to {figure(fit, fit.quartile_3)} A",
        ),
        ("Map resolution", word("map", words["map"]), word("map_of", words["map_of"])),
        ("Movies finished an hour", word("rate", words["rate"]), word("rate_of", words["rate_of"])),
    ]
    lines = f"<p class=lead>{escape(first)}</p>{paragraphs(rest)}"
    return (
        f"<section id=verdict data-part=verdict class=part aria-labelledby=verdict-title>"
        f"<h1 id=verdict-title><bdi>{escape(told.name)}</bdi></h1>"
        f"<p class=dim>{word('status', words['status'], 'b')} · {escape(instrument_text(told))}<br>{escape(when)}</p>"
        f"<div class=verdict id=verdict-lines>{lines}</div>{tiles(cells)}</section>"
    )


def _costs(told: SessionSummary) -> Iterator[str]:
    """What costs most of what can be changed, and what to do first."""
    changeable = [loss for loss in told.losses if loss.factor in CHANGEABLE]
    if changeable:
        most = max(changeable, key=lambda loss: loss.loss_ln_ssnr)
        percent = lost_percent(most.loss_ln_ssnr)
        yield f"Of what can be changed, {cause_words(most.factor)} costs most: {percent:.0f} % of the signal."
    if told.advice:
        yield f"What to do first: {action_of(told.advice[0]).rstrip('.')}."


def _advice(told: SessionSummary) -> str:
    gains = table(
        [
            (
                action_of(one.sentence),
                one.cause,
                "everywhere" if one.scope == "session" else f"square {one.scope}",
                change_percent(one.gain_ln_ssnr),
                ""
                if one.gain_low_ln_ssnr is None
                else f"{change_percent(one.gain_low_ln_ssnr)} to {change_percent(one.gain_high_ln_ssnr)}",
                one.known_how or one.known_by or "",
            )
            for one in told.advised
        ],
        ("what to change", "acts on", "where", "signal at 5 A", "95 % interval", "how that is known"),
    )
    experiments = "".join(
        f"<h3>Experiment: {escape(one.words)}</h3>{paragraphs([one.sentence, '; '.join(one.lines)])}"
        for one in told.experiments
    )
    said = numbered(told.advice) if told.advice else "<p>Nothing yet.</p>"
    return part("advice", "What would pay", said, wide(gains, "Advice with its gain"), experiments)


def _alerts(told: SessionSummary) -> str:
    items = "".join(_alert(one) for one in told.alerts)
    listed = f"<ul class=alerts>{items}</ul>" if items else "<p>No alerts are open.</p>"
    days = table(
        [
            (one.day_utc, one.severity, one.subject, f"{one.alerts}", f"{one.still_open}", one.newest)
            for one in told.alert_days
        ],
        ("day, UTC", "how grave", "about", "alerts", "open", "the newest"),
    )
    return part("alerts", "Alerts", listed, folded("All alerts by day", wide(days, "Alerts by day")))


def _alert(one: AlertLine) -> str:
    todo = f" <span class=todo>What to do: {escape(one.remedy)}.</span>" if one.remedy else ""
    sign = _SIGNS.get(one.severity, one.severity)
    return (
        f"<li class={escape(one.severity)}><b>{escape(sign)}</b> {escape(one.subject)}: {escape(one.text)}.{todo}</li>"
    )


def _movies(newest: Sequence[Row], links: Links) -> str:
    all_of_them = links.page("movies")
    more = f"<p><a href='{all_of_them}'>All movies: sort, search, page by page</a></p>" if all_of_them else ""
    # The page in one file has no other pages, and shows examples.
    title = "The newest movies" if all_of_them else "Movies: some of the best, of the middle and of the worst"
    return part("newest", title, cards(newest, links), more)


def _causes(told: SessionSummary) -> str:
    if not told.losses:
        return ""
    undone = any(loss.factor in BESIDE_TOTAL for loss in told.losses)
    note = (
        "Share of the signal (spectral signal-to-noise between 10 and 4 A) that each cause takes by itself: mean of "
        "the newest movies, one standard deviation." + " Hollow: processing undoes it." * undone
    )
    heard = f"<h3>When the session became another one</h3>{wide(changes(told), 'Changes')}" if told.changes else ""
    bars = f"<div class=wide tabindex=0 role=region aria-label='Losses by cause'>{signal_bars(told.losses)}</div>"
    return part("causes", "What costs signal", bars, named_causes(told), heard, note=note)


def _grid(told: SessionSummary, links: Links) -> str:
    following = next_part(told.grid)
    came = grid_maps(told.holes, told.squares)
    address = links.page("grid")
    more = f"<p><a href='{address}'>All squares and their holes</a></p>" if address and (following or came) else ""
    heading = (
        "<h3>What came of it</h3><p class=dim>Where the stage was, by the CTF fit of the movies.</p>" if came else ""
    )
    return part("grid", "The grid, and where to shoot next", following, heading, came, more)


def _map(told: SessionSummary, pictures: Sequence[str], links: Links) -> str:
    state = told.map
    if state is None:
        return ""
    care = "".join(f"<p class=care>Take care: {escape(sentence)}</p>" for sentence in contradictions(told))
    curves = "".join(filter(None, (fsc_plot(state), growth_plot(state))))
    forecast = f"<h3>Forecast</h3>{paragraphs(state.forecast)}" if state.forecast else ""
    return part(
        "map",
        "The map and 2-D classes",
        paragraphs(map_sentences(state)),
        care,
        f"<div class=two>{curves}</div>" if curves else "",
        f"<div class=maps>{''.join(_map_pictures(pictures, links))}</div>",
        paragraphs(evenness(state)),
        forecast,
    )


def _map_pictures(there: Sequence[str], links: Links) -> Iterator[str]:
    for kind, words in _MAP_WORDS.items():
        address = links.map_picture(kind) if kind in there else None
        if address:
            shown = escape(words, quote=True)
            yield f"<figure class={kind}><img src='{address}' alt='{shown}'><figcaption>{shown}</figcaption></figure>"


def _evaluators(told: SessionSummary) -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(score.question)}<small>{escape(score.evaluator)}</small></th>"
        f"<td><b>{escape(score.value)}</b><small>{escape(score.scale)}</small></td>"
        f"<td>{paragraphs(score.says if score.verdict is not None else [score.unknown or ''])}</td></tr>"
        for score in told.scores
    )
    body = f"<table class=verdicts><tbody>{rows}</tbody></table>" if rows else ""
    history = history_plot(told.history)
    return part(
        "evaluators",
        "Evaluators: how far all this can be believed",
        folded("What each evaluator says", wide(body, "Verdicts of the evaluators")),
        folded("V and HyperScore over the rounds", history),
    )
