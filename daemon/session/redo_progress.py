"""How far results are made again with changed settings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from frazil.config.stages import Stage, first_stage


@dataclass(frozen=True, slots=True)
class RedoSummary:
    """`stage` is empty where none are."""

    stage: str = ""
    done: int = 0
    total: int = 0


NO_REDO = RedoSummary()


def redo_summary(stages: Counter[Stage], left: int) -> RedoSummary:
    """Of the movies whose results are to be made again, by the stage from which on; `left`: those that still are."""
    if not left:
        return NO_REDO
    total = stages.total()
    return RedoSummary(first_stage(stages).value, total - left, total)
