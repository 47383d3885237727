"""Where to shoot next: what tells of the grid, and what is counted."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from frazil.config.sections.base import Positive, Section, is_secret_place
from frazil.config.sections.touches import Stage, Touches


class TargetsSettings(Section):
    """Where to shoot next (docs/targets.md). The hours that are left are `evaluation.microscope_hours_left`."""

    enabled: Annotated[bool, Touches(Stage.NOTHING)] = True
    """Read what the acquisition program writes of the grid, link movies to holes, and say which to take next."""
    roots: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = ()
    """Further folders or files that tell of the grid: EPU's atlas, SerialEM's .nav, a table of holes (.csv). Those in
    the raw folder and in `intake.sidecar_roots` are found anyway, but for tables."""
    exchange_minutes: Annotated[Positive, Touches(Stage.NOTHING)] = 45.0
    """What it takes from the last exposure on one grid to the first on another, with holes to find and to choose: a
    start, learnt from the session's own changes of grid."""
    usable_angstrom: Annotated[Positive, Touches(Stage.NOTHING)] = 6.0
    """A movie whose CTF fits so far is usable."""
    value: Annotated[Literal["usable", "effective_signal"], Touches(Stage.NOTHING)] = "usable"
    """What is counted: usable movies; or what they bring to a map: particles, less what causes of loss take of each at
    `evaluation.goal_resolution_angstrom` (5 A where there is no goal)."""
    athena_url: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """EPU's decision service (Athena), to the part before `/api/v1`, as `https://portal.athena/api/smartepu`: what is
    advised is posted there, and EPU may act on it (docs/targets.md). null: nothing is posted."""
    athena_session: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """EPU's session there, by its name or its id. null: the name in `EpuSession.dm`."""
    athena_token: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Where the token is that the service, or a gate before it, wants: `env:NAME` or `file:PATH`. Never the token
    itself: settings are stored and shown. null: none is sent; the public description asks for none."""
    athena_dry_run: Annotated[bool, Touches(Stage.NOTHING)] = False
    """Ask the service for its session and areas, say how much would be posted, and post nothing."""

    @field_validator("athena_url", mode="after")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("give http:// or https://, a host, and the path before /api/v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError("no name and no password belong here: settings are stored and shown")
        return value

    @field_validator("athena_token", mode="after")
    @classmethod
    def _no_secret(cls, value: str | None) -> str | None:
        if value is not None and not is_secret_place(value):
            raise ValueError("give env:NAME (an environment variable) or file:PATH, not the token itself")
        return value

    @model_validator(mode="after")
    def _token_is_not_read_on_the_way(self) -> TargetsSettings:
        if self.athena_token is None or self.athena_url is None:
            return self
        parts = urlsplit(self.athena_url)
        if parts.scheme != "https" and not _is_this_machine(parts.hostname or ""):
            raise ValueError("targets.athena_token goes to an https:// address only, or to this machine")
        return self


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
