"""What a change of settings would do to a session: which results it outdates, and what making them again costs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from frazil.config.errors import SettingsError
from frazil.config.loading import one_key, with_changes
from frazil.config.settings import Settings
from frazil.config.stages import MOVIE_STAGES, STAGE_WORDS, TOUCHES, Stage, first_stage, outdated_from
from frazil.daemon.alerts.channels import About, channels_of, environment
from frazil.daemon.changes.thresholds import Reader
from frazil.daemon.session.folder import made_with
from frazil.daemon.session.movie_from_store import is_of_settings
from frazil.models.causal.structural_model import structural_model
from frazil.models.formats.acquisition import RELATIVE_TOLERANCE, UNITS
from frazil.models.formats.image import read_image_2d
from frazil.models.formats.symmetry_model import read_symmetry_model
from frazil.models.gain.reference import read_reference
from frazil.models.reconstruction.refine.initial_map import check_initial_map
from frazil.models.redo import seconds_again

_ONLY_AT_START = ("workers.ray_address", "http.", "store.")
"""Keys and sections that a daemon builds on for its whole life."""
_ADDRESS = re.compile(r"\w+://\S+")
"""A webhook's address is a secret; what is told of a change goes to the log and to pages."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One setting."""

    key: str
    before: Any
    after: Any
    stage: Stage


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """See the module."""

    settings: Settings
    """That would be in force."""
    parameter_hash: str
    """Of these settings."""
    changed: tuple[Changed, ...]
    """Settings whose value is another one."""
    movies: Mapping[Stage, int]
    """To be done again, by the stage from which on; also those that an earlier change has left to do."""
    minutes: float | None
    """Of all workers beside the stream; None: not known."""

    @property
    def stage(self) -> Stage:
        """The first that the changed settings touch."""
        return first_stage(one.stage for one in self.changed)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "stage": self.stage.value,
            "changed": [
                {"key": one.key, "before": _plain(one.before), "after": _plain(one.after), "stage": one.stage.value}
                for one in self.changed
            ],
            "movies": {stage.value: count for stage, count in self.movies.items()},
            "minutes": self.minutes,
        }

    def sentence(self) -> str:
        """For a person: `touches the CTF and what follows: 312 movies, about 14 min of the workers beside the
        stream`."""
        if not self.changed:
            return "changes nothing: these are the settings in force"
        words = f"touches {STAGE_WORDS[self.stage]}"
        if self.stage is Stage.THRESHOLDS:
            return f"{words}: micrographs are judged again at once (`frazil what-if` shows which)"
        if self.stage is Stage.CAUSES:
            return f"{words}: losses and advice are told anew for all movies, and none is processed again"
        if self.stage is Stage.NOTHING:
            return f"{words}; it holds from now on"
        if self.stage is Stage.RECONSTRUCTION:
            return f"{words}: it is made again from the particles that are there"
        total = sum(self.movies.values())
        cost = "" if self.minutes is None or not total else f", about {_duration(self.minutes)} of the workers"
        anew = "; the running map begins anew with them" if total else ""
        return f"{words}: {total} movie{'' if total == 1 else 's'}{cost} beside the stream{anew}"

    def lines(self) -> list[str]:
        """One setting a line, then the sentence."""
        said = [
            f"{one.key}: {_plain(one.before)} -> {_plain(one.after)} ({STAGE_WORDS[one.stage]})" for one in self.changed
        ]
        return [*said, self.sentence()]


def plan_change(reader: Reader, settings: Settings, changes: Mapping[str, Any], *, origin: str) -> ChangePlan:
    """What these changes would do to the session as it is now; nothing is changed.

    Raises
    ------
    SettingsError, UsageError, FrazilError
        A setting that there is not, a value that is not allowed, a file that cannot be read, a number of the exposure
        that sidecars contradict, or a setting that only the start of a daemon can change.
    """
    keys = [one_key(name) for name in changes]
    for key in keys:
        if key.startswith(_ONLY_AT_START):
            raise SettingsError(
                f"{key} cannot be changed while the daemon runs", remedy="stop it, and start `frazil watch` with it"
            )
    with_changes(settings, changes, origin="frazil set")  # an error does not say that it was set
    after = with_changes(settings, changes, origin=origin)
    moved = []
    for key in sorted(keys):
        section, _, leaf = key.partition(".")
        was, now = getattr(getattr(settings, section), leaf), getattr(getattr(after, section), leaf)
        if was != now:
            moved.append(Changed(key, was, now, TOUCHES[key]))
    _readable(after, {one.key for one in moved})
    for one in moved:
        _refuse_contradiction(reader, one, after)
    in_force = made_with(after)
    movies: Counter[Stage] = Counter()
    for row in reader.named("result_hashes").as_dicts():
        # What another frazil made is made again as a whole.
        same = row["code_version"] == version("frazil")
        stage = outdated_from(str(row["parameter_hash"]), in_force) if same else Stage.MOTION
        if stage is not None:
            movies[stage] += int(str(row["movies"]))
    ordered = {stage: movies[stage] for stage in MOVIE_STAGES if movies[stage]}
    return ChangePlan(after, in_force, tuple(moved), ordered, _minutes(reader, after, ordered))


def _readable(settings: Settings, changed: set[str]) -> None:
    """What stops a start stops a change: a file that is not there, or not what it should be."""
    structural_model(None if settings.causal.graph is None else Path(settings.causal.graph))
    if settings.evaluation.model is not None:
        read_symmetry_model(Path(settings.evaluation.model))
    if "camera.gain" in changed and settings.camera.gain is not None:
        read_reference(Path(settings.camera.gain))
    if "camera.defects" in changed and settings.camera.defects is not None:
        path = Path(settings.camera.defects)
        if path.suffix.lower() != ".txt":  # a list's rectangles need the movies' size, which the workers know
            read_image_2d(path)
    if "particles.initial_map" in changed and settings.particles.initial_map is not None:
        check_initial_map(Path(settings.particles.initial_map))
    if any(key.startswith("alerts.") for key in changed):
        channels_of(settings.alerts, About("", ""), environ=environment(), utc_us=lambda: 0)


def _refuse_contradiction(reader: Reader, one: Changed, settings: Settings) -> None:
    """A sidecar or a header that says otherwise would set every movie aside; better one sentence before."""
    section, _, name = one.key.partition(".")
    if section != "microscope" or name not in RELATIVE_TOLERANCE or one.after is None:
        return
    if name in settings.intake.sidecar_distrust:
        return
    for row in reader.named("stated_exposures", {"name": name}).as_dicts():
        source = dict(json.loads(str(row["sources"] or "[]"))).get(name, "")
        value = float(str(row["value"]))
        apart = abs(value - one.after) > RELATIVE_TOLERANCE[name] * max(abs(value), abs(one.after))
        if apart and not is_of_settings(source, settings):
            unit = UNITS[name]
            raise SettingsError(
                f"{name} would be {one.after:g} {unit}; the {source} of {row['movies']} movies says {value:g} {unit}",
                remedy=f"correct the wrong one; if it is the file, set intake.sidecar_distrust={name} with it",
            )


def _minutes(reader: Reader, settings: Settings, movies: Mapping[Stage, int]) -> float | None:
    rows = reader.named("stage_seconds").as_dicts()
    seconds = {str(row["stage"]): float(str(row["seconds"])) for row in rows}
    if not seconds:
        return None
    workers = settings.workers.count or max(1, int(str(rows[0]["workers"])))
    halves = settings.motion.save_even_odd
    total_s = sum(count * seconds_again(stage, seconds, halves_kept=halves) for stage, count in movies.items())
    return total_s / 60.0 / workers


def _plain(value: Any) -> Any:
    """As it would be written."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, bool | int | float | dict) else _ADDRESS.sub("(address)", str(value))


def _duration(minutes: float) -> str:
    if minutes < 1.0:
        return "a minute"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
