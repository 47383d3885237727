"""What has to be done again when a setting changes: read from the fields, where each setting declares it. Pure.

A setting that declares no stage is refused when this module is read, so that a new one is thought about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from frazil.config.sections.touches import Stage, Touches
from frazil.config.settings import Settings

__all__ = [
    "HASH_DIGITS",
    "MOVIE_STAGES",
    "STAGE_WORDS",
    "TOUCHES",
    "Stage",
    "declared_stage",
    "first_stage",
    "keys_of",
    "outdated_from",
]

MOVIE_STAGES = (Stage.MOTION, Stage.CTF, Stage.PICKING)
"""Those in which a movie is processed again."""
STAGE_WORDS: Mapping[Stage, str] = MappingProxyType(
    {
        Stage.MOTION: "the motion and all that follows",
        Stage.CTF: "the CTF and what follows",
        Stage.PICKING: "the picking and what follows",
        Stage.RECONSTRUCTION: "the map alone",
        Stage.THRESHOLDS: "what is kept",
        Stage.CAUSES: "the causes of loss",
        Stage.NOTHING: "nothing that is there",
    }
)
HASH_DIGITS: Mapping[Stage, int] = MappingProxyType({Stage.MOTION: 12, Stage.CTF: 10, Stage.PICKING: 10})
"""Hexadecimal digits that each stage has in a parameter hash, one after the other."""


def declared_stage(key: str, field: FieldInfo) -> Stage:
    """The stage that a setting's field declares. Raises `TypeError` where it declares none, or two."""
    stages = [item.stage for item in field.metadata if isinstance(item, Touches)]
    if len(stages) != 1:
        raise TypeError(f"{key} must say once what it touches: Annotated[..., Touches(Stage....)]")
    return stages[0]


def _declared_stages() -> dict[str, Stage]:
    stages = {}
    for section, section_field in Settings.model_fields.items():
        model = section_field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name, field in model.model_fields.items():
                key = f"{section}.{name}"
                stages[key] = declared_stage(key, field)
    return stages


TOUCHES: Mapping[str, Stage] = MappingProxyType(_declared_stages())
"""`section.key` to the first stage that it touches."""


def keys_of(stage: Stage) -> tuple[str, ...]:
    """Settings whose first stage this is."""
    return tuple(key for key, touched in TOUCHES.items() if touched is stage)


def first_stage(stages: Iterable[Stage]) -> Stage:
    """The earliest of some stages; `NOTHING` where there are none."""
    order = list(Stage)
    return min(stages, key=order.index, default=Stage.NOTHING)


def outdated_from(made_with: str, in_force: str) -> Stage | None:
    """From which stage on a result made with one parameter hash has to be made again under another; None: not at all.

    A hash that an earlier frazil made says nothing of stages: all is made again.
    """
    start = 0
    for stage in MOVIE_STAGES:
        end = start + HASH_DIGITS[stage]
        if made_with[start:end] != in_force[start:end]:
            return stage
        start = end
    return None if made_with == in_force else Stage.MOTION
