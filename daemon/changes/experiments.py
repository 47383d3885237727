"""Experiments that people plan and end, kept with the session: by its daemon, or without one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from frazil.config.errors import NotThereError, UsageError
from frazil.daemon.changes.interventions import kept_or_later
from frazil.daemon.store import result_files
from frazil.daemon.store.experiment_rows import ExperimentRow, ExperimentStopRow, hole_rows
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import experiment_writes
from frazil.models.causal.experiments.design import MOST_HOLES, Target, plan
from frazil.models.causal.experiments.quantities import read_comparison
from frazil.models.formats.hole_list import ListedHole

USUAL_MOVIES = 200
_MOST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for."""

    comparison: str
    """settle=5,20"""
    outcome: str = "ln_ssnr"
    movies: int = USUAL_MOVIES
    squares: tuple[str, ...] = ()
    """Movies are divided among them, an even number each; empty: the order of acquisition alone."""
    holes: tuple[ListedHole, ...] = ()
    """The holes themselves; `movies` and `squares` do not count then."""
    seed: int | None = None
    """None: drawn with the experiment's id."""

    def targets(self) -> list[Target]:
        """Raises `UsageError` where there are too many."""
        if self.holes:
            return [Target(hole.name, hole.square, hole.group, (hole.ice, hole.defocus_um)) for hole in self.holes]
        if not 0 < self.movies <= MOST_HOLES:
            raise UsageError(f"{self.movies} movies cannot be planned", remedy=f"give 1 to {MOST_HOLES}")
        squares: Sequence[str] = self.squares or ("",)
        pairs = -(-self.movies // (2 * len(squares)))
        return [Target(square=name) for name in squares for _ in range(2 * pairs)]


def wanted_from(args: Mapping[str, object]) -> Wanted:
    """What `transport.messages.experiment_args` made. Raises `UsageError`."""
    try:
        text = str(args.get("holes") or "[]")
        holes = msgspec.json.decode(text, type=tuple[ListedHole, ...])
        movies, seed = args.get("movies"), args.get("seed")
        return Wanted(
            comparison=str(args.get("comparison") or ""),
            outcome=str(args.get("outcome") or "ln_ssnr"),
            movies=USUAL_MOVIES if movies is None else int(str(movies)),
            squares=tuple(name.strip() for name in str(args.get("squares") or "").split(",") if name.strip()),
            holes=holes,
            seed=None if seed is None else int(str(seed)),
        )
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(f"the experiment cannot be read: {error}", remedy="correct what was given") from None


def keep_plan(
    store: Store, session_dir: Path, wanted: Wanted, *, who: str, now_utc_us: int, experiment_id: str = ""
) -> ExperimentRow:
    """Draw the order and keep it, in its file and in the store; the same id again is the same experiment.

    Raises
    ------
    UsageError
        What is asked for is no experiment, or another one is running.
    RetryLaterError
        The disk refused it: it is not kept.
    """
    kept = [row for row in result_files.read_experiments(session_dir) if row.experiment_id == experiment_id]
    if kept:
        return kept[0]
    quantity, arms = read_comparison(wanted.comparison)
    experiment_id = experiment_id or f"x-{now_utc_us}"
    seed = _drawn_seed(experiment_id) if wanted.seed is None else wanted.seed
    if not 0 <= seed < _MOST_SEED:
        raise UsageError(f"the seed {seed} cannot be kept", remedy=f"give 0 to {_MOST_SEED - 1}")
    design = plan(quantity.name, arms, wanted.targets(), seed=seed, outcome=wanted.outcome)
    row = ExperimentRow(
        experiment_id=experiment_id,
        created_utc_us=now_utc_us,
        who=who or "unknown",
        quantity=quantity.name,
        arm_a=arms[0],
        arm_b=arms[1],
        outcome=wanted.outcome,
        seed=seed,
        first_sequence=_next_sequence(store),
        holes=hole_rows(design),
        left_out=design.left_out,
    )
    # The store first: it refuses while another one is running. A kill before the file is written loses nothing: the
    # database has it, and the same order again writes the file.
    if not store.submit(experiment_writes.record_experiment, row, alone=True).result():
        [(created_utc_us, first_sequence)] = store.rows(
            "SELECT created_utc_us, first_sequence FROM experiments WHERE experiment_id = ?", experiment_id
        )
        row = replace(row, created_utc_us=created_utc_us, first_sequence=first_sequence)
    with kept_or_later():
        result_files.append_experiment(session_dir, row)
    return row


def stop(store: Store, session_dir: Path, experiment_id: str, *, who: str, now_utc_us: int) -> str:
    """End an experiment; empty: the one that is running. Raises `NotThereError`, `RetryLaterError`."""
    if not experiment_id:
        running = store.rows(f"SELECT experiment_id FROM experiments WHERE {experiment_writes.OPEN}")
        if not running:
            raise NotThereError("no experiment is running", remedy="`frazil experiment list` shows those of before")
        experiment_id = str(running[0][0])
    row = ExperimentStopRow(experiment_id, now_utc_us, who or "unknown", _next_sequence(store))
    if not store.submit(experiment_writes.stop_experiment, row).result():
        raise NotThereError(f"no experiment {experiment_id} is running", remedy="see `frazil experiment list`")
    with kept_or_later():
        result_files.append_experiment_stop(session_dir, row)
    return f"{experiment_id} is stopped: movies from now on do not belong to it"


def _drawn_seed(experiment_id: str) -> int:
    """From the id, which nobody chooses: an order that is sent again after a kill is the same experiment."""
    return int.from_bytes(hashlib.sha256(experiment_id.encode()).digest()[:8]) % _MOST_SEED


def told(row: ExperimentRow) -> dict[str, object]:
    """What whoever planned it is told."""
    design = row.design()
    return {
        "experiment_id": row.experiment_id,
        "words": design.words(),
        "outcome": row.outcome,
        "seed": row.seed,
        "holes": len(row.holes),
        "left_out": row.left_out,
    }


def _next_sequence(store: Store) -> int:
    return int(store.rows("SELECT coalesce(max(sequence) + 1, 0) FROM movies")[0][0])
