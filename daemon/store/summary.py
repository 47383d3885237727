"""What a session was like: a pure function from the store's named queries to one record.

Works on a live and on a finished session alike. How it is shown is in `summary_text.py` and `summary_html.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import mannwhitneyu

from frazil.daemon.store.causal_writes import ADVISER
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.store.summary_advice import advice
from frazil.daemon.store.summary_records import (
    AlertLine,
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
from frazil.daemon.store.table import Scalar
from frazil.daemon.store.why import changes, named_counts
from frazil.models.evaluation import term_weights
from frazil.models.evaluation.panel import ALL

_TREND_POINTS = 5000
METRICS: tuple[tuple[str, str, str, bool], ...] = (
    ("ctf_fit_angstrom", "CTF fits to", "A", True),
    ("defocus_um", "defocus", "um", False),
    ("astigmatism_angstrom", "astigmatism", "A", True),
    ("motion_total_angstrom", "motion, whole", "A", True),
    ("motion_early_angstrom", "motion, first 4 e/A2", "A", True),
    ("ice_ring_density", "ice rings", "", True),
    ("relative_ice_thickness", "ice, -ln(transmission)", "", True),
    ("particle_count", "particles a movie", "", False),
)
"""Name, words for a person, unit, whether less is better."""

Row = dict[str, Scalar]


def summarise(reader: SessionReader, session_dir: Path, *, now_utc_us: int, live: bool) -> SessionSummary:
    """Everything worth telling of a session.

    `now_utc_us` ends the measured time of a live session; a finished one ends with its last movie.
    Raises what the reader raises.
    """
    ask = _Asker(reader)
    session = ask.one("session")
    session |= {name: value for name, value in ask.one("acquisition").items() if session.get(name) is None}
    counts = {str(row["state"]): int(number(row["movies"]) or 0) for row in ask.rows("counts_by_state")}
    trend = _trend(ask)
    span = ask.one("time_span")
    end_utc_us = now_utc_us if live else _integer(span["last_utc_us"]) or _integer(session.get("finished_utc_us"))
    first_utc_us = _integer(span["first_utc_us"])
    hours = 0.0
    if first_utc_us is not None and end_utc_us is not None:
        hours = max(end_utc_us - first_utc_us, 0) / 3.6e9
    lag = ask.one("lag_percentiles", last=1_000_000)
    finished = counts.get("ready", 0) + counts.get("rejected", 0)
    frames = ask.one("frame_count_mode")
    summary = SessionSummary(
        name=str(session.get("name") or session_dir.name),
        session_dir=str(session_dir),
        raw_root=str(session.get("raw_root") or ""),
        live=live,
        code_version=str(session.get("code_version") or ""),
        preset=_text(session.get("preset")),
        microscope=_text(session.get("microscope")),
        camera=_text(session.get("camera")),
        voltage_kv=number(session.get("voltage_kv")),
        cs_mm=number(session.get("cs_mm")),
        pixel_size_angstrom=number(session.get("pixel_size_angstrom")),
        dose_per_frame_e_per_a2=number(session.get("dose_per_frame_e_per_a2")),
        frame_count=_integer(frames.get("frame_count")),
        gain_path=_text(session.get("gain_path")),
        first_utc_us=first_utc_us,
        last_utc_us=end_utc_us,
        hours=hours,
        counts=counts,
        found_per_hour=(sum(counts.values()) - counts.get("outdated", 0)) / hours if hours > 0 else None,
        finished_per_hour=finished / hours if hours > 0 else None,
        lag_p50_s=number(lag.get("p50_s")),
        lag_p95_s=number(lag.get("p95_s")),
        lag_max_s=number(lag.get("max_s")),
        metrics=_metrics(ask, trend),
        reasons=tuple(
            Reason(str(row["state"]), _text(row["failure_stage"]), str(row["example"] or row["pattern"]), _count(row))
            for row in ask.rows("reasons")
        ),
        alerts=tuple(
            AlertLine(str(row["severity"]), str(row["subject"]), str(row["text"]), _text(row["remedy"]))
            for row in ask.rows("alerts", open_only=True, limit=20)
        ),
        squares=_squares(ask),
        stages=tuple(
            StageTime(str(row["stage"]), number(row["p50_s"]) or 0.0, number(row["total_s"]) or 0.0)
            for row in ask.rows("stage_timings", last=1_000_000)
        ),
        losses=_losses(ask),
        named_causes=named_counts(reader),
        changes=changes(reader),
        particles=_integer(ask.one("particles_total").get("particles")) or 0,
        map=_map(ask),
        scores=_scores(ask),
        verdicts=tuple(
            Verdict(str(row["verdict"]), _text(row["relative_path"]), _text(row["note"]), str(row["who"]))
            for row in ask.rows("feedback", limit=20)
        ),
        interventions=tuple(
            str(row["sentence"]) for row in ask.rows("interventions", limit=5) if row["who"] == ADVISER
        ),
        trend=trend,
        advice=(),
    )
    return advice(summary)


def number(value: Scalar) -> float | None:
    """A database value as a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class _Asker:
    reader: SessionReader

    def rows(self, name: str, /, **params: Scalar) -> list[Row]:
        return self.reader.named(name, params).as_dicts()

    def one(self, name: str, /, **params: Scalar) -> Row:
        return next(iter(self.rows(name, **params)), {})


def _trend(ask: _Asker) -> tuple[Curve, ...]:
    names = ",".join(name for name, *_ in METRICS)
    table = ask.reader.named("trend", {"metrics": names, "last": _TREND_POINTS})
    kept = tuple(state == "ready" for state in table.column("state"))
    times = tuple(_integer(value) or 0 for value in table.column("ready_utc_us"))
    return tuple(Curve(name, times, tuple(map(number, table.column(name))), kept) for name, *_ in METRICS)


def _metrics(ask: _Asker, trend: tuple[Curve, ...]) -> tuple[Metric, ...]:
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
    return float(mannwhitneyu(late, early, alternative="greater").pvalue)


def _squares(ask: _Asker) -> tuple[Square, ...]:
    rows = ask.rows("squares")
    return tuple(
        Square(str(row["grid_square"]), _count(row), int(number(row["kept"]) or 0), number(row["ctf_fit_angstrom"]))
        for row in rows
    )


def _losses(ask: _Asker) -> tuple[FactorLoss, ...]:
    return tuple(
        FactorLoss(str(row["factor"]), number(row["loss_ln_ssnr"]) or 0.0, number(row["loss_sd"]), _count(row))
        for row in ask.rows("losses_by_factor", last=1000)
    )


def _map(ask: _Asker) -> MapState | None:
    rounds = ask.rows("reconstructions")
    if not rounds:
        return None
    last, curve = rounds[-1], ask.rows("fsc")
    return MapState(
        round=int(number(last["round"]) or 0),
        particle_count=int(number(last["particle_count"]) or 0),
        symmetry=_text(last["symmetry"]),
        resolution_0143_angstrom=number(last["resolution_0143_angstrom"]),
        resolution_05_angstrom=number(last["resolution_05_angstrom"]),
        map_path=_text(last["map_path"]),
        frequency_per_angstrom=tuple(number(row["frequency_per_angstrom"]) or 0.0 for row in curve),
        fsc=tuple(number(row["fsc"]) or 0.0 for row in curve),
        by_round=tuple((int(number(r["particle_count"]) or 0), number(r["resolution_0143_angstrom"])) for r in rounds),
        mask=_text(last["mask"]),
        uniform_resolution_0143_angstrom=number(last["uniform_resolution_0143_angstrom"]),
        sphericity=number(last["sphericity"]),
        best_direction_angstrom=number(last["best_direction_angstrom"]),
        worst_direction_angstrom=number(last["worst_direction_angstrom"]),
        orientation_efficiency=number(last["orientation_efficiency"]),
        preferred_orientation=None if last["preferred_orientation"] is None else bool(last["preferred_orientation"]),
        orientation_sentence=_text(last["orientation_sentence"]),
        b_factor_a2=number(last["b_factor_a2"]),
        b_factor_low_a2=number(last["b_factor_low_a2"]),
        b_factor_high_a2=number(last["b_factor_high_a2"]),
        discarded_share=number(last["discarded_share"]),
        map_class_sentence=_text(last["map_class_sentence"]),
        forecast=tuple(str(row["sentence"]) for row in ask.rows("forecast", round=last["round"])),
    )


def _scores(ask: _Asker) -> tuple[Score, ...]:
    rows = ask.rows("scores", limit=100)
    newest = rows[0]["round"] if rows else None
    scores = [
        Score(
            str(row["evaluator"]),
            number(row["verdict"]),
            number(row["uncertainty"]),
            _text(row["unit"]),
            _unknown(str(row["evidence_json"])),
            _weights(str(row["evidence_json"])),
        )
        for row in rows
        if row["round"] == newest
    ]
    known = {name: place for place, name in enumerate(ALL)}
    return tuple(sorted(scores, key=lambda score: (known.get(score.evaluator, len(known)), score.evaluator)))


def _weights(evidence_json: str) -> str | None:
    evidence = json.loads(evidence_json)
    used = evidence.get(term_weights.KEY) if isinstance(evidence, dict) else None
    return str(used["version"]) if isinstance(used, dict) and "version" in used else None


def _unknown(evidence_json: str) -> str | None:
    evidence = json.loads(evidence_json)
    said = evidence.get("does_not_know") if isinstance(evidence, dict) else None
    return str(said[0]) if isinstance(said, list) and said else None


def _median(values: list[float]) -> float | None:
    if not values:
        return None
    middle = sorted(values)
    half = len(middle) // 2
    return middle[half] if len(middle) % 2 else (middle[half - 1] + middle[half]) / 2


def _count(row: Row) -> int:
    return int(number(row["movies"]) or 0)


def _integer(value: Scalar) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Scalar) -> str | None:
    return None if value is None or value == "" else str(value)
