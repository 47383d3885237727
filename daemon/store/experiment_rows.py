"""Experiments as they are kept: the plan, which never changes, the word that ended it, and the verdict as of now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from frazil.models.causal.experiments.answer import compliance_sentence, sentence
from frazil.models.causal.experiments.blocks import Unit
from frazil.models.causal.experiments.design import Assignment, Design, Target
from frazil.models.causal.experiments.quantities import quantity_of
from frazil.models.causal.experiments.verdict import ArmFacts, Interval, Verdict


@dataclass(frozen=True, slots=True)
class HoleRow:
    """One hole of a plan."""

    place: int
    block: int
    arm: str
    target: str = ""
    grid_square: str = ""
    stage_group: str = ""
    ice: float | None = None
    defocus_um: float | None = None


@dataclass(frozen=True, slots=True)
class ExperimentRow:
    """A plan; also a line of results/experiments.jsonl, so that the database's loss does not take it."""

    experiment_id: str
    created_utc_us: int
    who: str
    quantity: str
    arm_a: float
    arm_b: float
    outcome: str
    seed: int
    first_sequence: int
    """Movies from this number on belong to it."""
    holes: tuple[HoleRow, ...]
    left_out: int = 0

    def design(self) -> Design:
        """What the pure core knows of it."""
        assignments = tuple(
            Assignment(
                hole.place,
                hole.block,
                hole.arm,
                Target(hole.target, hole.grid_square, hole.stage_group, (hole.ice, hole.defocus_um)),
            )
            for hole in self.holes
        )
        arms = self.arm_a, self.arm_b
        return Design(quantity_of(self.quantity), arms, self.outcome, self.seed, assignments, self.left_out)


@dataclass(frozen=True, slots=True)
class ExperimentStopRow:
    """Somebody ended it."""

    experiment_id: str
    stopped_utc_us: int
    stopped_by: str
    stopped_sequence: int
    """Movies from this number on do not belong to it."""


def hole_rows(design: Design) -> tuple[HoleRow, ...]:
    """Its holes as they are kept."""
    rows = []
    for one in design.assignments:
        ice, defocus_um = (*one.target.covariates, None, None)[:2]
        target = one.target
        rows.append(HoleRow(one.place, one.block, one.arm, target.name, target.square, target.group, ice, defocus_um))
    return tuple(rows)


def verdict_columns(design: Design, verdict: Verdict, strangers: int) -> dict[str, object]:
    """What a verdict puts into the row of its experiment, by column."""
    first, second = verdict.arms
    return {
        "state": verdict.state,
        "better": verdict.better or None,
        "pairs": verdict.pairs,
        "most_pairs": verdict.most_pairs,
        **_interval("gain", verdict.gain),
        **_interval("rate", verdict.rate),
        **_interval("net", verdict.net),
        **_arm("a", first),
        **_arm("b", second),
        "fit_from_angstrom": verdict.fit_from_angstrom,
        "fit_to_angstrom": verdict.fit_to_angstrom,
        "complied_share": verdict.complied_share,
        "movies_more": verdict.movies_more,
        "hours_more": verdict.hours_more,
        "strangers": strangers,
        "sentence": sentence(design, verdict),
        "compliance": compliance_sentence(design, verdict),
    }


def _interval(name: str, interval: Interval | None) -> dict[str, object]:
    known = interval is not None and math.isfinite(interval.low) and math.isfinite(interval.high)
    values = (interval.value, interval.low, interval.high) if interval is not None and known else (None,) * 3
    return dict(zip((f"{name}_ln", f"{name}_low_ln", f"{name}_high_ln"), values, strict=True))


def _arm(letter: str, arm: ArmFacts) -> dict[str, object]:
    return {
        f"movies_{letter}": arm.movies,
        f"failed_{letter}": arm.failed,
        f"seconds_{letter}": arm.seconds_per_movie,
        f"fit_{letter}_angstrom": arm.fit_resolution_angstrom,
    }


def unit_columns(design: Design, units: Mapping[int, Unit]) -> list[tuple[object, ...]]:
    """(movies, failed, outcome_ln, measured, complied, seconds, place) of each hole that has movies."""
    arms = {one.place: one.arm for one in design.assignments}
    return [
        (
            unit.movies,
            unit.value == -math.inf,
            unit.value if math.isfinite(unit.value) else None,
            unit.measured,
            unit.complied(design, arms[place]),
            unit.seconds,
            place,
        )
        for place, unit in units.items()
    ]
