"""The rules of `frazil serve`: which sessions it starts for which acquisition, how many at once, and what becomes old.

The file is read by `frazil.config.serving_file`; what every key means stands in docs/serve.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from frazil.config.sections.base import Positive, Section

_NEAR = 0.01
"""A single number stands for this share of it on either side: microscopes write 299.998 kV."""
Program = Literal["epu", "serialem", "leginon", "plain"]
Range = tuple[float, float]
Port = Annotated[int, Field(ge=1024, le=65535)]


class Match(Section):
    """What an acquisition must be for a rule to hold; what is left out is not asked. All that is given must hold."""

    path: tuple[str, ...] = ()
    """Shell patterns for its folder below the folder that is watched (`krios1/*`); any of them. Case counts."""
    program: tuple[Program, ...] = ()
    """Which program's layout its folder has; any of them."""
    microscope: str | None = None
    """Shell pattern for the microscope's name in the sidecar; case does not count."""
    camera: str | None = None
    """Shell pattern for the camera's name in the sidecar; case does not count."""
    voltage_kv: Range | None = None
    """A number (within 1 %), or `[lowest, highest]`."""
    pixel_size_angstrom: Range | None = None
    """Of the movies as stored: a number (within 1 %), or `[lowest, highest]`."""

    @field_validator("voltage_kv", "pixel_size_angstrom", mode="before")
    @classmethod
    def _from_a_number(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            return (value * (1 - _NEAR), value * (1 + _NEAR))
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise ValueError("give a number, or [lowest, highest]")
        return value

    @field_validator("voltage_kv", "pixel_size_angstrom", mode="after")
    @classmethod
    def _ordered(cls, value: Range | None) -> Range | None:
        if value is not None and value[0] > value[1]:
            raise ValueError("the lowest value comes first")
        return value


class Treatment(Section):
    """How a session is started."""

    wait: bool = False
    """Nothing is started: a person decides, with `frazil watch`."""
    preset: str | None = None
    """As of `frazil watch --preset`."""
    gain: str | None = None
    """Pattern for gain references; the newest that there is when the session begins is taken. One that does not begin
    with `/` is looked for in the acquisition's folder."""
    settings: dict[str, dict[str, Any]] = {}
    """Sections and keys as of `frazil watch --config`. `{name}` in a text is the name of the acquisition's folder."""
    alerts: dict[str, Any] = {}
    """Keys of the settings' section `alerts`."""
    http_ports: tuple[Port, Port] | None = None
    """`[first, last]`: the session is served over HTTP on the first of these ports that is free. null: not at all."""
    quiet_minutes: Positive | None = None
    """Instead of the `quiet_minutes` of the whole file."""

    @model_validator(mode="after")
    def _one_place_a_key(self) -> Treatment:
        if self.http_ports is not None and self.http_ports[0] > self.http_ports[1]:
            raise ValueError("http_ports: the first port comes first")
        if self.gain is not None and "gain" in self.settings.get("camera", {}):
            raise ValueError("gain and settings.camera.gain say the same: leave one of them out")
        if self.alerts and "alerts" in self.settings:
            raise ValueError("alerts and settings.alerts say the same: leave one of them out")
        return self


class Rule(Treatment):
    """Of several that hold the first counts."""

    name: str
    """For the status and the log."""
    match: Match = Match()


class RetentionRules(Section):
    """What may be removed from finished sessions, by the days since they ended. null: never. Never the database, the
    results, the thumbnails or the raw movies."""

    restored_days: Positive | None = None
    """Restored micrographs (`restored/`), with what the restoration was taught by."""
    particles_days: Positive | None = None
    """Particle stacks (`particles/`)."""
    sums_days: Positive | None = None
    """Motion-corrected sums (`motion/`)."""
    daily: bool = False
    """`frazil serve` removes them by itself, once a day."""


class ServeRules(Section):
    """All of the file."""

    max_sessions: Annotated[int, Field(ge=1, le=64)] = 2
    """Sessions that run at once; others wait. GPUs (without any: cores) are shared out among so many."""
    gpus: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Numbers of the GPUs that sessions may use. null: all of this machine."""
    scan_interval_s: Positive = 10.0
    """The folder is looked at this often."""
    new_within_hours: Positive = 48.0
    """An acquisition into which nothing has come for so long is old and is not started."""
    metadata_wait_s: Annotated[float, Field(ge=0)] = 60.0
    """How long a rule that asks for what is not known yet (its sidecar comes late) is waited for after the first
    complete movie; then it does not hold."""
    quiet_minutes: Positive = 120.0
    """A session is finished, in good order, when nothing has come for so long and all is processed."""
    go_on: bool = False
    """A session that has finished is started again when something comes after all. False: a person does that."""
    folders: tuple[str, ...] = ()
    """Patterns below the folder that is watched (`*/*`) which say what one acquisition is. Empty: its layout tells."""
    owner: Literal["as-acquisition", "umask"] = "as-acquisition"
    """Whom a session's folder belongs to, and who may look into it: as the acquisition's folder (group with setgid,
    mode, and owner where this account may give it away), or as the process's umask has it."""
    rules: tuple[Rule, ...] = ()
    """The first that holds counts."""
    default: Treatment | None = None
    """Where none holds. null: the acquisition waits for a person."""
    retention: RetentionRules = RetentionRules()

    @model_validator(mode="after")
    def _names_differ(self) -> ServeRules:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rules have the name {twice[0]}")
        return self
