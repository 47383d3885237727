"""What a session was like: a pure function from the store's named queries to one record.

Works on a live and on a finished session alike. How it is shown is in `summary.text` and `html.page`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from frazil.config.errors import SettingsError
from frazil.config.safe_yaml import parse_yaml_mapping
from frazil.config.settings import VerdictSettings
from frazil.daemon.report import score_sentences, verdict_seen
from frazil.daemon.report.classes import classes_sentence
from frazil.daemon.report.summary import extras
from frazil.daemon.report.summary.advice import advice
from frazil.daemon.report.summary.asking import Asker, Row, integer, number, text
from frazil.daemon.report.summary.grid import grid
from frazil.daemon.report.summary.headline import headline
from frazil.daemon.report.summary.records import (
    AlertLine,
    Band,
    Curve,
    FactorLoss,
    MapState,
    Metric,
    Reason,
    Score,
    SessionSummary,
    Square,
    StageTime,
    Verdict,
)
from frazil.daemon.report.verdict_seen import map_told
from frazil.daemon.report.why import changes, ice_words, named_counts
from frazil.daemon.store.movie_states import FINISHED, KEPT, WAITING
from frazil.daemon.store.queries.named_query import RATE_IDLE_US
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.store.removed import removal_words
from frazil.daemon.store.rows import ADVISER
from frazil.daemon.store.session_names import session_name
from frazil.daemon.transport.messages import ALERTS_OF_A_RUN, MAP_BEGUN_ANEW, VerdictState
from frazil.models.causal.factors import NOT_OF_THE_SESSION
from frazil.models.map_round import as_values, record_from_row
from frazil.models.records import MovieState

_ALL_MOVIES = 1_000_000
TREND_POINTS = 5000
"""The newest movies, which trends are told from."""
_WEIGHTS_IN_USE = "weights_in_use"
"""In the evidence of V (`models.evaluation.term_weights.KEY`)."""
METRICS: tuple[tuple[str, str, str, bool], ...] = (
    ("ctf_fit_angstrom", "CTF fits to", "A", True),
    ("defocus_um", "defocus", "um", False),
    ("astigmatism_angstrom", "astigmatism", "A", True),
    ("motion_total_angstrom", "motion, whole", "A", True),
    ("motion_early_angstrom", "motion, first 4 e/A2", "A", True),
    ("ice_ring_density", "ice rings", "", True),
    ("ice_nm", "ice", "nm", True),
    ("relative_ice_thickness", "ice, -ln(transmission)", "", True),
    ("particle_count", "particles a movie", "", False),
)
"""Name, words for a person, unit, whether less is better."""


def summarise(
    reader: SessionReader,
    session_dir: Path,
    *,
    now_utc_us: int,
    live: bool,
    raw_is_there: bool = True,
    verdict: VerdictState | None = None,
    each_hole: bool = True,
) -> SessionSummary:
    """Everything worth telling of a session.

    `now_utc_us` ends the measured time of a live session; a finished one ends with its last movie.
    `raw_is_there`: whether the movies' folder is still where it was (`raw_folder` asks the disk).
    `verdict`: the daemon's; None: it has said none, or no daemon has the session, and its end is judged here.
    `each_hole` False: only what is drawn of the grid, which of fifty thousand movies takes half the time.
    Raises what the reader raises.
    """
    ask = Asker(reader)
    session = _session(ask)
    settings_yaml = str(session.get("settings_yaml") or "")
    counts = {str(row["state"]): int(number(row["movies"]) or 0) for row in ask.rows("counts_by_state")}
    span = ask.one("time_span")
    last_utc_us = now_utc_us if live else integer(span["last_utc_us"]) or integer(session.get("finished_utc_us"))
    map_state = _map(ask, _initial_map(settings_yaml))
    summary = SessionSummary(
        name=session_name(session_dir, str(session.get("name") or "")),
        session_dir=str(session_dir),
        raw_root=str(session.get("raw_root") or ""),
        live=live,
        raw_is_there=raw_is_there,
        code_version=str(session.get("code_version") or ""),
        frame_count=integer(ask.one("frame_count_mode").get("frame_count")),
        **_instrument(session),
        **_pace(ask.one("lag_percentiles", last=_ALL_MOVIES), counts, integer(span["first_utc_us"]), last_utc_us),
        counts=counts,
        metrics=_metrics(ask, trend := _trend(ask)),
        reasons=_reasons(ask),
        alerts=_alerts(ask, live=live, with_map=map_state is not None),
        squares=_squares(ask),
        stages=_stages(ask),
        losses=_losses(ask),
        named_causes=named_counts(reader),
        changes=changes(reader),
        particles=integer(ask.one("particles_total").get("particles")) or 0,
        map=map_state,
        scores=_scores(ask),
        verdicts=_verdicts(ask),
        interventions=_advice_given(ask),
        trend=trend,
        advice=(),
        **_last_hour_rates(_last_hour(ask, integer(span["last_utc_us"]), now_utc_us if live else None)),
        bands=_bands(ask, counts),
        **extras.beside_the_numbers(ask, each_hole=each_hole),
        settings_yaml=settings_yaml,
        verdict=verdict or (VerdictState() if live else _verdict_on_the_end(reader, session, counts, map_state)),
        **_ice(ask, verdict_seen.settings_kept(settings_yaml)),
        grid=grid(ask),
    )
    return replace(summary := advice(summary), headline=headline(summary), removed=removal_words(session_dir))


def _bands(ask: Asker, counts: Mapping[str, int]) -> tuple[Band, ...]:
    """Of a session of more movies than trends are told from."""
    finished = sum(counts.get(state, 0) for state in FINISHED)
    return extras.bands(ask, [name for name, *_ in METRICS]) if finished > TREND_POINTS else ()


class _Ice(TypedDict):
    ice: str
    thick_ice_nm: float
    thick_ice_kept: int


def _ice(ask: Asker, limits: VerdictSettings) -> _Ice:
    thick = integer(ask.one("kept_thick_ice", ice_nm=limits.ice_nm).get("movies")) or 0
    return _Ice(ice=ice_words(ask.one("ice", last=_ALL_MOVIES)), thick_ice_nm=limits.ice_nm, thick_ice_kept=thick)


def _verdict_on_the_end(
    reader: SessionReader, session: Row, counts: Mapping[str, int], map_state: MapState | None
) -> VerdictState:
    """Of a session that no daemon has. Raises what the reader raises."""
    limits = verdict_seen.settings_kept(str(session.get("settings_yaml") or ""))
    return verdict_seen.verdict_on_the_end(
        reader,
        limits,
        waiting=sum(counts.get(state, 0) for state in WAITING),
        closed=session.get("finished_utc_us") is not None,
        map_words=""
        if map_state is None
        else map_told(map_state.resolution_0143_angstrom, at_pixel_limit=map_state.at_pixel_limit),
    )


def _session(ask: Asker) -> Row:
    """The session's row; what it leaves open is what its movies were taken with."""
    session = ask.one("session")
    return session | {name: value for name, value in ask.one("acquisition").items() if session.get(name) is None}


class _Instrument(TypedDict):
    preset: str | None
    microscope: str | None
    camera: str | None
    voltage_kv: float | None
    cs_mm: float | None
    pixel_size_angstrom: float | None
    dose_per_frame_e_per_a2: float | None
    gain_path: str | None


def _instrument(session: Row) -> _Instrument:
    return _Instrument(
        preset=text(session.get("preset")),
        microscope=text(session.get("microscope")),
        camera=text(session.get("camera")),
        voltage_kv=number(session.get("voltage_kv")),
        cs_mm=number(session.get("cs_mm")),
        pixel_size_angstrom=number(session.get("pixel_size_angstrom")),
        dose_per_frame_e_per_a2=number(session.get("dose_per_frame_e_per_a2")),
        gain_path=text(session.get("gain_path")),
    )


class _Pace(TypedDict):
    first_utc_us: int | None
    last_utc_us: int | None
    hours: float
    found_per_hour: float | None
    finished_per_hour: float | None
    lag_p50_s: float | None
    lag_p95_s: float | None
    lag_max_s: float | None
    over_a_stop: int
    over_a_stop_max_s: float | None


def _pace(lag: Row, counts: Mapping[str, int], first_utc_us: int | None, last_utc_us: int | None) -> _Pace:
    """How fast movies came and were finished, from the first movie to the end of the measured time."""
    hours = 0.0
    if first_utc_us is not None and last_utc_us is not None:
        hours = max(last_utc_us - first_utc_us, 0) / 3.6e9
    found = sum(counts.values()) - counts.get(MovieState.OUTDATED, 0)
    finished = sum(counts.get(state, 0) for state in FINISHED)
    return _Pace(
        first_utc_us=first_utc_us,
        last_utc_us=last_utc_us,
        hours=hours,
        found_per_hour=found / hours if hours > 0 else None,
        finished_per_hour=finished / hours if hours > 0 else None,
        lag_p50_s=number(lag.get("p50_s")),
        lag_p95_s=number(lag.get("p95_s")),
        lag_max_s=number(lag.get("max_s")),
        over_a_stop=integer(lag.get("over_a_stop")) or 0,
        over_a_stop_max_s=number(lag.get("over_a_stop_max_s")),
    )


def _reasons(ask: Asker) -> tuple[Reason, ...]:
    return tuple(
        Reason(str(row["state"]), text(row["failure_stage"]), str(row["example"] or row["pattern"]), _count(row))
        for row in ask.rows("reasons")
    )


def _alerts(ask: Asker, *, live: bool, with_map: bool) -> tuple[AlertLine, ...]:
    """Open ones, but those of a run that is over; where there is a map, it says itself that it was begun anew."""
    return tuple(
        AlertLine(str(row["severity"]), str(row["subject"]), str(row["text"]), text(row["remedy"]))
        for row in ask.rows("alerts", open_only=True, limit=20)
        if (live or row["alert_id"] not in ALERTS_OF_A_RUN) and not (with_map and row["alert_id"] == MAP_BEGUN_ANEW)
    )


def _stages(ask: Asker) -> tuple[StageTime, ...]:
    return tuple(
        StageTime(str(row["stage"]), number(row["p50_s"]) or 0.0, number(row["total_s"]) or 0.0)
        for row in ask.rows("stage_timings", last=_ALL_MOVIES)
    )


def _verdicts(ask: Asker) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(str(row["verdict"]), text(row["relative_path"]), text(row["note"]), str(row["who"]))
        for row in ask.rows("feedback", limit=20)
    )


def _advice_given(ask: Asker) -> tuple[str, ...]:
    """The causal model's own, not what people did."""
    return tuple(str(row["sentence"]) for row in ask.rows("interventions", limit=5) if row["who"] == ADVISER)


def raw_folder(reader: SessionReader) -> Path | None:
    """Where the session took its movies from; None: it does not say. Raises what the reader raises."""
    raw_root = text(Asker(reader).one("session").get("raw_root"))
    return None if raw_root is None else Path(raw_root)


def _last_hour(ask: Asker, last_utc_us: int | None, now_utc_us: int | None) -> Row:
    """Rates over the last hour, by the query and the end of the time that the screen's header has; `now_utc_us` None:
    the session is over, and its last hour ends with its last event."""
    if last_utc_us is None:
        return {}
    until = last_utc_us if now_utc_us is None else min(now_utc_us, last_utc_us + RATE_IDLE_US)
    return ask.one("rate_per_hour", now_utc_us=until)


class _LastHour(TypedDict):
    last_hour_s: float | None
    last_hour_found_per_hour: float | None
    last_hour_finished_per_hour: float | None


def _last_hour_rates(rates: Row) -> _LastHour:
    return _LastHour(
        last_hour_s=number(rates.get("window_s")),
        last_hour_found_per_hour=number(rates.get("found_per_hour")),
        last_hour_finished_per_hour=number(rates.get("ready_per_hour")),
    )


def _trend(ask: Asker) -> tuple[Curve, ...]:
    names = ",".join(name for name, *_ in METRICS)
    table = ask.reader.named("trend", {"metrics": names, "last": TREND_POINTS})
    kept = tuple(state == KEPT for state in table.column("state"))
    times = tuple(integer(value) or 0 for value in table.column("ready_utc_us"))
    return tuple(Curve(name, times, tuple(map(number, table.column(name))), kept) for name, *_ in METRICS)


def _metrics(ask: Asker, trend: tuple[Curve, ...]) -> tuple[Metric, ...]:
    metrics = []
    for (name, words, unit, less_is_better), curve in zip(METRICS, trend, strict=True):
        row = ask.one("distribution", metric=name)
        if not number(row.get("movies")):
            continue
        known = [value for value, kept in zip(curve.values, curve.kept, strict=True) if kept and value is not None]
        early, late, worse_p = quarters(known)
        metrics.append(
            Metric(
                name=name,
                words=words,
                unit=unit,
                less_is_better=less_is_better,
                movies=_count(row),
                median=number(row["median"]) or 0.0,
                quartile_1=number(row["quartile_1"]) or 0.0,
                quartile_3=number(row["quartile_3"]) or 0.0,
                first_quarter_median=early,
                last_quarter_median=late,
                worse_p=worse_p,
            )
        )
    return tuple(metrics)


def quarters(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Medians of the first and the last quarter, and the chance that they differ so by accident; None: too few."""
    quarter = len(values) // 4
    if quarter < 5:
        return None, None, None
    early, late = list(values[:quarter]), list(values[-quarter:])
    return _median(early), _median(late), chance_of_larger(early, late)


def chance_of_larger(early: Sequence[float], late: Sequence[float]) -> float | None:
    """One-sided p of Mann and Whitney's U test (1947) that `late` is not larger than `early`; None: one is empty."""
    if not early or not late:
        return None
    from scipy.stats import mannwhitneyu  # late: half a second, and the page comes up without it

    return float(mannwhitneyu(late, early, alternative="greater").pvalue)


def _squares(ask: Asker) -> tuple[Square, ...]:
    rows = ask.rows("squares")
    return tuple(
        Square(str(row["grid_square"]), _count(row), int(number(row["kept"]) or 0), number(row["ctf_fit_angstrom"]))
        for row in rows
    )


def _losses(ask: Asker) -> tuple[FactorLoss, ...]:
    """The largest first; those that nothing at the microscope changes after the others."""
    losses = (
        FactorLoss(str(row["factor"]), number(row["loss_ln_ssnr"]) or 0.0, number(row["loss_sd"]), _count(row))
        for row in ask.rows("losses_by_factor", last=1000)
    )
    return tuple(sorted(losses, key=lambda loss: loss.factor in NOT_OF_THE_SESSION))


def _initial_map(settings_yaml: str) -> str | None:
    """That the settings name."""
    try:
        particles = parse_yaml_mapping(settings_yaml, source="the session's settings").get("particles")
    except SettingsError:
        return None  # kept by a frazil that wrote them otherwise: what is known is told without it
    named = particles.get("initial_map") if isinstance(particles, dict) else None
    return None if named is None else str(named)


def _map(ask: Asker, initial_map: str | None) -> MapState | None:
    rounds = ask.rows("reconstructions")
    if not rounds:
        return None
    record, curve = record_from_row(rounds[-1]), ask.rows("fsc")
    return MapState(
        **as_values(record),
        frequency_per_angstrom=tuple(number(row["frequency_per_angstrom"]) or 0.0 for row in curve),
        fsc=tuple(number(row["fsc"]) or 0.0 for row in curve),
        by_round=tuple((int(number(r["particle_count"]) or 0), number(r["resolution_0143_angstrom"])) for r in rounds),
        forecast=tuple(str(row["sentence"]) for row in ask.rows("forecast", round=record.round)),
        fsc_uniform=tuple(number(row["fsc_uniform"]) for row in curve),
        initial_map=initial_map,
        begun_anew=next(
            (text(row["text"]) for row in ask.rows("alerts", limit=1000) if row["alert_id"] == MAP_BEGUN_ANEW), None
        ),
        classes_sentence=classes_sentence(ask.rows("classes"), ask.one("chosen_particles")),
    )


def _scores(ask: Asker) -> tuple[Score, ...]:
    rows = ask.rows("scores", limit=100)
    newest = rows[0]["round"] if rows else None
    scores = [_score(row) for row in rows if row["round"] == newest]
    return tuple(sorted(scores, key=lambda score: score_sentences.place(score.evaluator)))


def _score(row: Row) -> Score:
    evaluator, verdict, error, unit = (
        str(row["evaluator"]),
        number(row["verdict"]),
        number(row["uncertainty"]),
        row["unit"],
    )
    found = json.loads(str(row["evidence_json"]))
    evidence = found if isinstance(found, dict) else {}
    unknown = score_sentences.unknown(evidence)
    weights = evidence.get(_WEIGHTS_IN_USE)
    return Score(
        evaluator=evaluator,
        verdict=verdict,
        uncertainty=error,
        unit=text(unit),
        unknown=unknown[0] if unknown else None,
        weights=str(weights["version"]) if isinstance(weights, dict) and "version" in weights else None,
        question=score_sentences.title(evaluator),
        value=score_sentences.value_words(evaluator, verdict, error, text(unit), evidence),
        scale=score_sentences.scale(evaluator),
        says=score_sentences.sentences(evaluator, evidence),
    )


def _median(values: list[float]) -> float | None:
    if not values:
        return None
    middle = sorted(values)
    half = len(middle) // 2
    return middle[half] if len(middle) % 2 else (middle[half - 1] + middle[half]) / 2


def _count(row: Row) -> int:
    return int(number(row["movies"]) or 0)
