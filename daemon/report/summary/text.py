"""A session's summary as plain text for someone who has never seen the program, and as JSON."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from textwrap import wrap
from typing import Any

import msgspec

from frazil.daemon.report.score_sentences import CONTRADICTION
from frazil.daemon.report.state_words import STATE_WORDS
from frazil.daemon.report.summary.records import GridTold, MapState, Metric, SessionSummary, SideOfChange
from frazil.daemon.report.why import cause_words
from frazil.daemon.store.session_names import session_title
from frazil.daemon.store.table import json_value
from frazil.models.causal.factors import BESIDE_TOTAL, CHANGEABLE
from frazil.models.interval_words import eighty

SUMMARY_MOVIE_BY_MOVIE = ("trend", "bands")
"""What the JSON leaves out unless it is asked for."""
SUMMARY_COUNTS = ("total", "kept", "rejected", "waiting")
"""What the JSON has beside the record's own fields."""
_TWO_SIDED_95 = 1.96
_SQUARES_DIFFER = 1.1
"""Of two medians: below it neither is called the best."""
_WIDTH = 118
_STATES = (
    ("ready", "kept"),
    ("rejected", "rejected by a threshold or a person"),
    ("quarantined", "set aside: the file cannot be processed"),
    ("failed", "failed once and will be tried again"),
    ("processing", "being processed"),
    ("queued", "waiting for a worker"),
    ("settling", "still being written"),
    ("found", "just found"),
)
_REASONS_SHOWN = 12
_TREND_MOVIES = 5000


def to_text(summary: SessionSummary) -> str:
    """Some sixty lines."""
    lines = [line for part in _PARTS for line in part(summary)]
    return "\n".join(clean(line).rstrip() for line in lines)


def clean(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def to_json(summary: SessionSummary, *, with_trend: bool = False) -> str:
    """One object; the metrics movie by movie only on request (`frazil query` has them too)."""
    record = asdict(summary)
    if not with_trend:
        for name in SUMMARY_MOVIE_BY_MOVIE:
            del record[name]
    record["verdict"] = msgspec.to_builtins(summary.verdict)
    record |= {name: getattr(summary, name) for name in SUMMARY_COUNTS}
    return json.dumps(_finite(record), indent=2)


def utc_text(utc_us: int | None) -> str:
    """Minutes are enough for a person."""
    if utc_us is None:
        return "?"
    return datetime.datetime.fromtimestamp(utc_us / 1e6, datetime.UTC).strftime("%Y-%m-%d %H:%M")


def instrument_text(summary: SessionSummary) -> str:
    """Microscope, camera and the numbers that matter, on one line."""
    parts = [
        summary.microscope or summary.preset,
        summary.camera,
        None if summary.voltage_kv is None else f"{summary.voltage_kv:g} kV",
        None if summary.cs_mm is None else f"Cs {summary.cs_mm:g} mm",
        None if summary.pixel_size_angstrom is None else f"{summary.pixel_size_angstrom:.4g} A/px",
        None if summary.dose_per_frame_e_per_a2 is None else f"{summary.dose_per_frame_e_per_a2:.3g} e/A2 a frame",
        None if summary.frame_count is None else f"{summary.frame_count} frames a movie",
    ]
    return ", ".join(part for part in parts if part)


def raw_text(summary: SessionSummary) -> str:
    """Where the movies are, or were."""
    if summary.raw_is_there:
        return f"movies from {summary.raw_root}"
    return f"movies were at {summary.raw_root} (not there now)"


def _head(summary: SessionSummary) -> Iterator[str]:
    yield session_title(summary.name) + (" (running)" if summary.live else "")
    yield f"  {summary.session_dir}, {raw_text(summary)}"
    yield f"  {instrument_text(summary)}"
    yield f"  {utc_text(summary.first_utc_us)} to {utc_text(summary.last_utc_us)} UTC, {hours_text(summary.hours)}"
    yield ""
    if summary.verdict.sentence:
        yield from wrap(summary.verdict.sentence, width=_WIDTH)
        yield ""
    for sentence in summary.headline:
        yield from wrap(sentence, width=_WIDTH)
    yield ""


def state_counts(summary: SessionSummary) -> Iterator[tuple[int, str]]:
    """How many movies are in which state, in words; kept ones first."""
    for state, words in _STATES:
        if count := summary.counts.get(state, 0):
            yield count, words


def _collected(summary: SessionSummary) -> Iterator[str]:
    yield f"Collected: {summary.total} movies"
    yield from (f"  {count:6d}  {words}" for count, words in state_counts(summary))
    if summary.particles:
        yield f"  {summary.particles} particles picked in the kept movies"
    for sentence in rate_sentences(summary):
        yield f"  {sentence}"
    for sentence in (*lag_sentences(summary), *summary.removed):
        yield f"  {sentence}"
    yield ""


def lag_sentences(summary: SessionSummary) -> Iterator[str]:
    """From found to ready, and what this leaves out."""
    if summary.lag_p50_s is None or summary.lag_p95_s is None:
        return
    yield (
        f"from found to ready: {seconds_text(summary.lag_p50_s)} (median), {seconds_text(summary.lag_p95_s)} (95 % are "
        f"faster), {seconds_text(summary.lag_max_s or 0.0)} at most"
    )
    if summary.over_a_stop:
        many = "1 movie" if summary.over_a_stop == 1 else f"{summary.over_a_stop:,} movies"
        yield (
            f"this leaves out what {many} waited before frazil was started again or took up other settings; with it "
            f"{seconds_text(summary.over_a_stop_max_s or 0.0)} at most"
        )


def rate_sentences(summary: SessionSummary) -> Iterator[str]:
    """Over the whole session, and over its last hour as the screen's header has it; each says over which time."""
    if summary.found_per_hour is not None and summary.finished_per_hour is not None:
        yield (
            f"{summary.found_per_hour:.0f} found and {summary.finished_per_hour:.0f} finished per hour, mean of all "
            f"{hours_text(summary.hours)}"
        )
    found, finished, window_s = (
        summary.last_hour_found_per_hour,
        summary.last_hour_finished_per_hour,
        summary.last_hour_s,
    )
    # A session younger than an hour has no other rate than that of all its time.
    if found is not None and finished is not None and window_s is not None and summary.hours > window_s / 3600:
        yield (
            f"{found:.0f} found and {finished:.0f} finished per hour in its last {hours_text(window_s / 3600)} (as on "
            "the screen)"
        )


def _quality(summary: SessionSummary) -> Iterator[str]:
    if not summary.metrics:
        return
    yield f"How good: the {summary.kept} kept movies"
    of = f" of the newest {_TREND_MOVIES:,}" if summary.bands else ""
    yield f"  {'':24} {'median':>10}   {'middle half':^19}  first and last quarter{of}"
    for metric in summary.metrics:
        unit = f" {metric.unit}" if metric.unit else ""
        middle = f"{figure(metric, metric.quartile_1)} to {figure(metric, metric.quartile_3)}"
        trend = ""
        if metric.first_quarter_median is not None and metric.last_quarter_median is not None:
            trend = arrow(figure(metric, metric.first_quarter_median), figure(metric, metric.last_quarter_median))
        yield f"  {metric.words:24} {figure(metric, metric.median) + unit:>10}   {middle:^19}  {trend}"
    if summary.ice:
        yield f"  {summary.ice}"
    squares = [square for square in summary.squares if square.ctf_fit_angstrom is not None and square.kept >= 3]
    if len(squares) > 1:
        best = min(squares, key=lambda s: s.ctf_fit_angstrom or 0.0)
        worst = max(squares, key=lambda s: s.ctf_fit_angstrom or 0.0)
        low, high = best.ctf_fit_angstrom or 0.0, worst.ctf_fit_angstrom or 0.0
        if high < _SQUARES_DIFFER * low:
            yield f"  {len(squares)} grid squares are alike by their median CTF fit: {low:.1f} to {high:.1f} A"
        else:
            yield (
                f"  best grid square by median CTF fit: {best.name} ({low:.1f} A, {best.kept} of {best.movies} kept), "
                f"worst: {worst.name} ({high:.1f} A, {worst.kept} of {worst.movies})"
            )
    yield ""


def _wrong(summary: SessionSummary) -> Iterator[str]:
    # An alert about a movie says what the list of reasons says of it.
    alerts = [
        alert
        for alert in summary.alerts
        if alert.severity != "info" and not any(reason.example in alert.text for reason in summary.reasons)
    ]
    for alert in summary.alerts:
        if alert.severity == "info":
            yield f"Noted ({alert.subject}): {alert.text}"
    if any(alert.severity == "info" for alert in summary.alerts):
        yield ""
    if not summary.reasons and not alerts:
        return
    yield "What went wrong"
    for reason in summary.reasons[:_REASONS_SHOWN]:
        stage = f" ({reason.stage})" if reason.stage else ""
        example = f"such as: {reason.example}" if reason.movies > 1 else reason.example
        yield f"  {reason.movies:6d}  {STATE_WORDS.get(reason.state, reason.state)}{stage}, {example}"
    if len(summary.reasons) > _REASONS_SHOWN:
        yield f"          and {len(summary.reasons) - _REASONS_SHOWN} other reasons"
    for alert in alerts:
        yield f"  {alert.severity:>7} {alert.subject}: {alert.text}" + (f" -> {alert.remedy}" if alert.remedy else "")
    yield ""


def _causes(summary: SessionSummary) -> Iterator[str]:
    if not summary.losses:
        return
    yield "What costs signal: loss of ln(SSNR) between 10 and 4 A, mean over the last movies"
    kinds = {"can be changed at the microscope": CHANGEABLE, "processing undoes it, or has undone it": BESIDE_TOTAL}
    rest = tuple(one.factor for one in summary.losses if one.factor not in (*CHANGEABLE, *BESIDE_TOTAL))
    for words, factors in (kinds | {"not to be changed in this session": rest}).items():
        losses = [loss for loss in summary.losses if loss.factor in factors]
        if losses:
            yield f"  {words}"
        for loss in losses:
            error = "" if loss.loss_sd is None else f" +- {loss.loss_sd:.2f}"
            yield f"    {cause_words(loss.factor):24} {loss.loss_ln_ssnr:6.2f}{error}"
    if any(count.cause is not None for count in summary.named_causes):
        named = "; ".join(f"{count.movies} {count.words}" for count in summary.named_causes)
        yield f"  first cause of each movie: {named}"
    for change in summary.changes:
        when = "" if change.acquired_utc_us is None else f" ({utc_text(change.acquired_utc_us)} UTC)"
        yield f"  changed from movie {change.movie_number} on{when}: {change.sentence}"
    yield f"  more: frazil why --session {summary.session_dir}"
    yield ""


def _map(summary: SessionSummary) -> Iterator[str]:
    if summary.map is not None:
        yield from (f"  {sentence}" for sentence in map_sentences(summary.map))
        yield from (f"  {sentence}" for sentence in evenness(summary.map))
        for sentence in contradictions(summary):
            yield f"  take care: {sentence}"
        for sentence in summary.map.forecast:
            yield f"  {sentence}"
        if summary.map.map_path:
            yield f"  {summary.map.map_path}"
        yield ""


def contradictions(summary: SessionSummary) -> tuple[str, ...]:
    """What the evaluators' verdicts say against each other or against the map."""
    said = (sentence for score in summary.scores if score.evaluator == "meta" for sentence in score.says)
    return tuple(s.removeprefix(CONTRADICTION) for s in said if s.startswith(CONTRADICTION))


def _verdicts(summary: SessionSummary) -> Iterator[str]:
    if not summary.scores:
        return
    yield "How far all this can be believed (more: frazil scores)"
    for score in summary.scores:
        said = score.says[0] if score.verdict is not None and score.says else score.unknown
        because = f": {said}" if said else ""
        yield from wrap(
            f"{score.question}: {score.value}{because}", width=_WIDTH, initial_indent="  ", subsequent_indent="      "
        )
    yield ""


def map_sentences(state: MapState) -> Iterator[str]:
    """How far the map is resolved, and what causal weights make of it."""
    resolution = state.resolution_0143_angstrom
    better = " or better, where the running map's pixels end" if state.at_pixel_limit else ""
    reached = "not resolved yet" if resolution is None else f"{resolution:.2f} A{better} (FSC 0.143)"
    if state.map_path is None:
        reached = "2-D classes, no map yet (it starts from --initial-map, or from 700 particles alone)"
    symmetry = f", symmetry {state.symmetry}" if state.symmetry else ""
    yield f"{reached} from {state.particle_count:,} particles, round {state.round}{symmetry}"
    if state.weights_sentence:
        yield state.weights_sentence
    if state.map_path is not None:
        yield f"started from {state.initial_map or 'the particles alone, without an initial map'}"
    if state.begun_anew:
        yield state.begun_anew
    if state.classes_sentence:
        yield state.classes_sentence


def evenness(state: MapState) -> Iterator[str]:
    """How even the map is over directions, what the particles are worth, and the B-factor."""
    best, worst = state.best_direction_angstrom, state.worst_direction_angstrom
    if state.sphericity is not None and best is not None and worst is not None:
        yield f"{best:.1f} to {worst:.1f} A by direction (sphericity {state.sphericity:.2f})"
    if state.orientation_sentence:
        yield f"{state.orientation_sentence}"
    if state.discarded_share is not None and round(100 * state.discarded_share):
        yield f"{state.discarded_share:.0%} of the particles hardly count: their boxes show no particle"
    if state.map_class_sentence:
        yield f"{state.map_class_sentence}"
    low, high = state.b_factor_low_a2, state.b_factor_high_a2
    if state.b_factor_a2 is not None and low is not None and high is not None:
        yield f"B-factor {state.b_factor_a2:.0f} A2{eighty(low, high, 0)}"


def side_sentence(before: SideOfChange | None, after: SideOfChange | None) -> str:
    """What the movies around a change say of it, in words; never an arrow from a figure to itself."""
    if before is None or after is None:
        return "too few movies on one side of it to compare"
    parts = []
    for words, first, first_se, then, then_se in (
        ("CTF fit", before.ctf_fit_angstrom, before.ctf_fit_se_angstrom, after.ctf_fit_angstrom,
         after.ctf_fit_se_angstrom),
        ("motion, first 4 e/A2,", before.motion_early_angstrom, before.motion_early_se_angstrom,
         after.motion_early_angstrom, after.motion_early_se_angstrom),
    ):  # fmt: skip
        if first is None or then is None or first_se is None or then_se is None:
            continue
        change, half = then - first, _TWO_SIDED_95 * math.hypot(first_se, then_se)
        if abs(change) <= half:
            parts.append(f"{words} no sure change ({change:+.2f} +- {half:.2f} A)")
        else:
            parts.append(f"{words} {first:.2f} -> {then:.2f} A ({change:+.2f} +- {half:.2f})")
    movies = f"{before.movies} movies before, {after.movies} after"
    return f"{'; '.join(parts) or 'nothing to compare'} ({movies})"


def _grid(summary: SessionSummary) -> Iterator[str]:
    if summary.grid is not None:
        yield f"The grid: {grid_facts(summary.grid)}"
        yield from wrap(summary.grid.verdict, width=_WIDTH, initial_indent="  ", subsequent_indent="  ")
        yield f"  more: frazil next {summary.session_dir}"
        yield ""


def grid_facts(told: GridTold) -> str:
    """`37 squares, 96 of 1,920 holes exposed; 31 % of what it can give is taken`."""
    facts = f"{len(told.squares):,} squares, {told.exposed:,} of {told.holes:,} holes exposed"
    if told.taken_share is None:
        return facts
    hours = "" if told.hours_left is None else f"; {told.hours_left:.1f} h left"
    return f"{facts}; {100 * told.taken_share:.0f} % of what it can give is taken{hours}"


def _people(summary: SessionSummary) -> Iterator[str]:
    if summary.taken:
        yield "What was done, and the movies around it (95 %)"
        for one in summary.taken:
            yield f"  {utc_text(one.utc_us)} UTC, {one.who}: {one.sentence}"
            yield f"      {side_sentence(one.before, one.after)}"
        yield ""
    if summary.verdicts:
        yield "What people said"
        for verdict in summary.verdicts:
            note = f": {verdict.note}" if verdict.note else ""
            yield f"  {verdict.who} {verdict.verdict} {verdict.movie or 'session'}{note}"
        yield ""


def _experiments(summary: SessionSummary) -> Iterator[str]:
    if summary.experiments:
        yield "Experiments: two settings by a coin (95 %, valid at any look)"
        for one in summary.experiments:
            yield f"  {one.words}"
            yield f"      {one.sentence}"
            yield from (f"      {line}" for line in one.lines)
        yield ""


def _advice(summary: SessionSummary) -> Iterator[str]:
    if summary.advice:
        yield "What to do"
        for number, sentence in enumerate(summary.advice, start=1):
            yield f"  {number}. {sentence}"
        yield ""


def _relion(summary: SessionSummary) -> Iterator[str]:
    if summary.kept:
        yield f"RELION files: frazil export {summary.session_dir} --star OUT"


_PARTS = (_head, _collected, _quality, _wrong, _causes, _map, _grid, _experiments, _people, _advice, _verdicts, _relion)


def figure(metric: Metric, value: float) -> str:
    """As many digits as the quantity deserves."""
    if metric.name in ("astigmatism_angstrom", "particle_count"):
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def arrow(before: str, after: str) -> str:
    """`3.4 -> 3.7`; the figure alone where both read the same."""
    return f"{before}, steady" if before == after else f"{before} -> {after}"


def hours_text(hours: float) -> str:
    """`3 h 20 min`."""
    minutes = round(hours * 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def seconds_text(value: float) -> str:
    """`8.2 s`, `4.1 min`, `2.3 h`."""
    return f"{value:.1f} s" if value < 100 else f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return json_value(value)
