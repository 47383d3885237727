"""One line a session, so that nights can be compared."""

from __future__ import annotations

import datetime

from frazil.daemon.report.action_words import action_of
from frazil.daemon.report.summary.asking import Asker, integer, number, text
from frazil.daemon.report.why import cause_words
from frazil.daemon.store.movie_states import FINISHED, KEPT
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.store.rows import ADVISER
from frazil.daemon.store.table import Table
from frazil.models.causal.factors import CHANGEABLE
from frazil.models.records import MovieState

COLUMNS = (
    "date_utc", "hours", "movies", "kept", "kept_percent", "ctf_fit_angstrom", "motion_total_angstrom",
    "relative_ice_thickness", "particles", "main_cause", "main_cause_ln_ssnr", "map_resolution_angstrom",
    "map_particles", "advice",
)  # fmt: skip
"""Medians are of kept movies, losses between 10 and 4 A. `kept_percent` is of the finished movies."""


def overview(reader: SessionReader) -> Table:
    """One row. Raises what the reader raises."""
    ask = Asker(reader)
    counts = {str(row["state"]): integer(row["movies"]) or 0 for row in ask.rows("counts_by_state")}
    kept, finished = counts.get(KEPT, 0), sum(counts.get(state, 0) for state in FINISHED)
    span = ask.one("time_span")
    first, last = integer(span.get("first_utc_us")), integer(span.get("last_utc_us"))
    medians = {
        name: number(ask.one("distribution", metric=name).get("median"))
        for name in ("ctf_fit_angstrom", "motion_total_angstrom", "relative_ice_thickness")
    }
    losses = [row for row in ask.rows("losses_by_factor", last=1000) if row["factor"] in CHANGEABLE]
    main = losses[0] if losses else {}
    rounds = ask.rows("reconstructions")
    of_map = rounds[-1] if rounds else {}
    told = next((row for row in ask.rows("interventions", limit=20) if row["who"] == ADVISER), {})
    row = {
        "date_utc": None if first is None else _day(first),
        "hours": None if first is None or last is None else round((last - first) / 3.6e9, 2),
        "movies": sum(counts.values()) - counts.get(MovieState.OUTDATED, 0),
        "kept": kept,
        "kept_percent": round(100 * kept / finished, 1) if finished else None,
        **medians,
        "particles": integer(ask.one("particles_total").get("particles")),
        "main_cause": cause_words(main["factor"]) if main else None,
        "main_cause_ln_ssnr": number(main.get("loss_ln_ssnr")),
        "map_resolution_angstrom": number(of_map.get("resolution_0143_angstrom")),
        "map_particles": integer(of_map.get("particle_count")),
        "advice": None if not told else action_of(text(told["sentence"]) or ""),
    }
    return Table(COLUMNS, (tuple(row[name] for name in COLUMNS),))


def _day(utc_us: int) -> str:
    return datetime.datetime.fromtimestamp(utc_us / 1e6, datetime.UTC).strftime("%Y-%m-%d")
