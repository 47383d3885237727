"""The parts of a summary that its page shows beside the numbers: places, examples, history, what people did."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TypedDict

from frazil.daemon.report import verdict_seen
from frazil.daemon.report.experiments import experiment_lines, state_of
from frazil.daemon.report.summary.asking import Asker, Row, integer, number, text
from frazil.daemon.report.summary.records import (
    Advised,
    AlertDay,
    Band,
    Example,
    ExperimentTold,
    Hole,
    SideOfChange,
    Software,
    Taken,
)
from frazil.daemon.report.why import cause_words
from frazil.daemon.store.rows import ADVISER
from frazil.daemon.store.table import Scalar
from frazil.models.records import MovieState

_ASKED = 12
"""Three times what a group shows: none must repeat what another one has."""
_HISTORY_ROUNDS = 2000
_ALL_ADVICE = 100
_ALL_FEEDBACK = 10_000
_FEWEST_FOR_A_SIDE = 5
SQUARES_WITH_HOLES = 24
"""Of more squares no picture shows each hole (`html.grid`)."""


class BesideTheNumbers(TypedDict):
    """Fields of a summary."""

    holes: tuple[Hole, ...]
    examples: tuple[Example, ...]
    advised: tuple[Advised, ...]
    taken: tuple[Taken, ...]
    history: tuple[tuple[int, float | None, float | None], ...]
    software: tuple[Software, ...]
    alert_days: tuple[AlertDay, ...]
    experiments: tuple[ExperimentTold, ...]


def beside_the_numbers(ask: Asker, *, each_hole: bool) -> BesideTheNumbers:
    """All parts that a page shows beside the numbers, but its bands."""
    return BesideTheNumbers(
        holes=holes(ask) if each_hole else places_drawn(ask),
        examples=examples(ask),
        advised=advised(ask),
        taken=taken(ask),
        history=history(ask),
        software=software(ask),
        alert_days=alert_days(ask),
        experiments=experiments(ask),
    )


def holes(ask: Asker) -> tuple[Hole, ...]:
    """Those whose place on the grid is known."""
    return tuple(
        Hole(
            square=str(row["grid_square"] or ""),
            name=str(row["hole"] or ""),
            stage_x_um=number(row["stage_x_um"]) or 0.0,
            stage_y_um=number(row["stage_y_um"]) or 0.0,
            finished=integer(row["finished"]) or 0,
            kept=integer(row["kept"]) or 0,
            ctf_fit_angstrom=number(row["ctf_fit_angstrom"]),
            image_shift_um=_pair(row["image_shift_x_um"], row["image_shift_y_um"]),
            optics_group=integer(row["optics_group"]),
        )
        for row in ask.rows("places")
    )


def places_drawn(ask: Asker) -> tuple[Hole, ...]:
    """What a picture of the grid shows: the holes, or of very many squares the squares, each as one place."""
    squares = [row for row in ask.rows("squares") if number(row["stage_x_um"]) is not None]
    if len(squares) <= SQUARES_WITH_HOLES:
        return holes(ask)
    return tuple(
        Hole(
            square=str(row["grid_square"] or ""),
            name="",
            stage_x_um=number(row["stage_x_um"]) or 0.0,
            stage_y_um=number(row["stage_y_um"]) or 0.0,
            finished=integer(row["movies"]) or 0,
            kept=integer(row["kept"]) or 0,
            ctf_fit_angstrom=number(row["ctf_fit_angstrom"]),
        )
        for row in squares
    )


def _pair(x: Scalar, y: Scalar) -> tuple[float, float] | None:
    known_x, known_y = number(x), number(y)
    return None if known_x is None or known_y is None else (known_x, known_y)


def bands(ask: Asker, metrics: Sequence[str]) -> tuple[Band, ...]:
    """Each metric over the whole session; those that are never known are left out."""
    found = []
    for name in metrics:
        rows = [row for row in ask.rows("trend_band", metric=name) if row["median"] is not None]
        if rows:
            times = tuple(integer(row["utc_us"]) or 0 for row in rows)
            curves = (tuple(number(row[key]) for row in rows) for key in ("p10", "median", "p90"))
            found.append(Band(name, times, *curves))
    return tuple(found)


def examples(ask: Asker) -> tuple[Example, ...]:
    """Four of the best, of the middle and of the worst by their CTF fit, fewer of a short session; no movie twice."""
    taken: set[str] = set()
    found: list[Example] = []
    for group in ("best", "worst", "typical"):
        rows = ask.rows(f"{group}_movies", limit=_ASKED)
        fresh = [row for row in rows if str(row["movie_id"]) not in taken]
        for row in fresh[: max(1, len(rows) // 3)]:
            taken.add(str(row["movie_id"]))
            found.append(_example(group, row))
    return tuple(sorted(found, key=lambda one: ("best", "typical", "worst").index(one.group)))


def _example(group: str, row: Row) -> Example:
    said = [f"CTF fits to {number(row['ctf_fit_angstrom']):.1f} A"]
    motion, picked = number(row["motion_total_angstrom"]), integer(row["particle_count"])
    if motion is not None:
        said.append(f"moved {motion:.1f} A")
    if picked is not None:
        said.append(f"{picked} particles")
    if row["state"] == MovieState.REJECTED:
        said.append(f"rejected: {row['rejection_reason'] or 'no reason kept'}")
    elif row["named_cause"]:
        said.append(f"first cause: {cause_words(row['named_cause'])}")
    return Example(group, str(row["movie_id"]), str(row["relative_path"]), ", ".join(said), text(row["thumbnail_path"]))


def advised(ask: Asker) -> tuple[Advised, ...]:
    """Frazil's own advice of the moment, best first."""
    return tuple(
        Advised(
            sentence=str(row["sentence"]),
            cause=cause_words(row["factor"]),
            scope=str(row["scope"]),
            gain_ln_ssnr=number(row["gain_ln_ssnr"]),
            gain_low_ln_ssnr=number(row["gain_low_ln_ssnr"]),
            gain_high_ln_ssnr=number(row["gain_high_ln_ssnr"]),
            known_by=text(row["known_by"]),
            known_how=text(row["known_how"]),
            robustness_value=number(row["robustness_value"]),
            surely_pays=(said := verdict_seen.advised(row)) is not None and said.net_low_ln_ssnr > 0.0,
        )
        for row in ask.rows("interventions", limit=_ALL_ADVICE)
        if row["who"] == ADVISER
    )


def taken(ask: Asker) -> tuple[Taken, ...]:
    """What people did, and what they noted of the session as a whole, oldest first, with the movies around it."""
    did = [
        (integer(row["created_utc_us"]) or 0, str(row["who"]), str(row["sentence"]))
        for row in ask.rows("interventions", limit=_ALL_ADVICE)
        if row["who"] != ADVISER
    ]
    did += [
        (integer(row["created_utc_us"]) or 0, str(row["who"]), str(row["note"]))
        for row in ask.rows("feedback", limit=_ALL_FEEDBACK)
        if row["movie_id"] is None and row["note"]
    ]
    found = []
    for utc_us, who, sentence in sorted(did)[:_ALL_ADVICE]:
        sides = {bool(row["after"]): _side(row) for row in ask.rows("before_and_after", utc_us=utc_us)}
        found.append(Taken(utc_us, who, sentence, sides.get(False), sides.get(True)))
    return tuple(found)


def experiments(ask: Asker) -> tuple[ExperimentTold, ...]:
    """Randomised experiments, the newest first."""
    return tuple(
        ExperimentTold(
            experiment_id=str(row["experiment_id"]),
            words=str(row["words"]),
            state=state_of(row),
            better=text(row["better"]),
            sentence=str(row["sentence"]),
            net_ln=number(row["net_ln"]),
            net_low_ln=number(row["net_low_ln"]),
            net_high_ln=number(row["net_high_ln"]),
            pairs=integer(row["pairs"]) or 0,
            most_pairs=integer(row["most_pairs"]) or 0,
            complied_share=number(row["complied_share"]),
            lines=tuple(line.strip() for line in experiment_lines(row)[2:]),
        )
        for row in ask.rows("experiments", limit=_ALL_ADVICE)
    )


def _side(row: Row) -> SideOfChange | None:
    movies = integer(row["movies"]) or 0
    if movies < _FEWEST_FOR_A_SIDE:
        return None
    return SideOfChange(
        movies,
        number(row["ctf_fit_angstrom"]),
        number(row["ctf_fit_se_angstrom"]),
        number(row["motion_early_angstrom"]),
        number(row["motion_early_se_angstrom"]),
    )


def history(ask: Asker) -> tuple[tuple[int, float | None, float | None], ...]:
    """V and HyperScore round by round."""
    rows = ask.rows("verdicts", last=_HISTORY_ROUNDS)
    found = []
    for round_number, of_round in groupby(rows, key=lambda row: row["round"]):
        said = {str(row["evaluator"]): number(row["verdict"]) for row in of_round}
        found.append((integer(round_number) or 0, said.get("value"), said.get("hyperscore")))
    return tuple(found)


def software(ask: Asker) -> tuple[Software, ...]:
    """What the movies were processed with, newest last."""
    return tuple(
        Software(str(row["code_version"]), str(row["parameter_hash"]), integer(row["movies"]) or 0)
        for row in ask.rows("software")
    )


def alert_days(ask: Asker) -> tuple[AlertDay, ...]:
    """Alerts by day and subject."""
    return tuple(
        AlertDay(
            str(row["day_utc"]),
            str(row["severity"]),
            str(row["subject"]),
            integer(row["alerts"]) or 0,
            integer(row["still_open"]) or 0,
            str(row["newest"]),
        )
        for row in ask.rows("alerts_by_day")
    )
