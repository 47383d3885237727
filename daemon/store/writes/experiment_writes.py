"""What is written about experiments: plans, their ends, and verdicts. Idempotent, without clocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from frazil.config.errors import UsageError
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.experiment_rows import ExperimentRow, ExperimentStopRow, verdict_columns
from frazil.models.causal.experiments.verdict import judge

OPEN = "stopped_utc_us IS NULL AND state IN ('not started', 'running')"
"""An experiment that still takes movies."""


def record_experiment(connection: Connection, row: ExperimentRow, *, alone: bool = False) -> bool:
    """Keep a plan with its holes; one that is there is left as it is. Returns whether it is new.

    With `alone` raises `UsageError` while another one takes movies: a movie belongs to one.
    """
    if connection.execute("SELECT 1 FROM experiments WHERE experiment_id = ?", [row.experiment_id]).fetchone():
        return False
    running = connection.execute(f"SELECT experiment_id, words FROM experiments WHERE {OPEN}").fetchone()
    if alone and running is not None:
        raise UsageError(
            f"the experiment {running[0]} ({running[1]}) is still running",
            remedy=f"wait until it is decided, or end it: `frazil experiment stop SESSION {running[0]}`",
        )
    design = row.design()
    columns: dict[str, object] = {
        "experiment_id": row.experiment_id,
        "created_utc_us": row.created_utc_us,
        "who": row.who,
        "quantity": row.quantity,
        "node": design.quantity.node,
        "arm_a": row.arm_a,
        "arm_b": row.arm_b,
        "outcome": row.outcome,
        "seed": row.seed,
        "first_sequence": row.first_sequence,
        "holes": len(row.holes),
        "left_out": row.left_out,
        "words": design.words(),
        **verdict_columns(design, judge(design, {}), 0),
    }
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    connection.execute(f"INSERT INTO experiments ({names}) VALUES ({marks})", list(columns.values()))
    connection.executemany(
        "INSERT INTO experiment_assignments (experiment_id, place, block, arm, setting, target, grid_square, "
        "stage_group, ice, defocus_um, movies) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        [
            [
                *(row.experiment_id, hole.place, hole.block, hole.arm, design.value_of(hole.arm)),
                *(hole.target, hole.grid_square, hole.stage_group, hole.ice, hole.defocus_um),
            ]
            for hole in row.holes
        ],
    )
    return True


def stop_experiment(connection: Connection, row: ExperimentStopRow) -> bool:
    """It takes no further movies. False: there is no such experiment, or it was ended before."""
    stopped = connection.execute(
        "UPDATE experiments SET stopped_utc_us = ?, stopped_by = ?, stopped_sequence = ? "
        "WHERE experiment_id = ? AND stopped_utc_us IS NULL RETURNING experiment_id",
        [row.stopped_utc_us, row.stopped_by, row.stopped_sequence, row.experiment_id],
    ).fetchone()
    return stopped is not None


def record_verdict(
    connection: Connection, experiment_id: str, verdict: Mapping[str, object], holes: Sequence[Sequence[object]]
) -> None:
    """What it says now (`verdict_columns`), and what came of its holes (`unit_columns`); replaces what was said."""
    settings = ", ".join(f"{name} = ?" for name in verdict)
    connection.execute(f"UPDATE experiments SET {settings} WHERE experiment_id = ?", [*verdict.values(), experiment_id])
    if holes:
        connection.executemany(
            "UPDATE experiment_assignments SET movies = ?, failed = ?, outcome_ln = ?, measured = ?, complied = ?, "
            "seconds = ? WHERE place = ? AND experiment_id = ?",
            [[*hole, experiment_id] for hole in holes],
        )
