"""Whom the daemon tells, and who may ask it: alerts and HTTP."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from frazil.config.sections.base import NonNegative, Positive, Section, is_secret_place
from frazil.config.sections.touches import Stage, Touches

ALERT_SUBJECTS = (
    "acquisition",
    "lag",
    "disk",
    "quality",
    "cause",
    "advice",
    "graph",
    "change",
    "gain",
    "worker",
    "movie",
    "metadata",
    "evaluation",
    "reconstruction",
    "orientation",
    "restoration",
    "prior",
    "targets",
    "intake",
    "store",
    "http",
    "daemon",
    "session",
)
"""What alerts are about, but `delivery`: that alerts cannot be sent is on the screen alone."""


class AlertSettings(Section):
    """When a person is told, and where. Every alert is on the screen, and errors ring there (`bell`); those of
    `least_severity` and above also go by mail and to webhooks: once each, also over restarts and after an outage of the
    receiver."""

    no_movie_minutes: Annotated[Positive | None, Touches(Stage.NOTHING)] = 15.0
    """No new movie for so long. null: not told of."""
    lag_minutes: Annotated[Positive | None, Touches(Stage.NOTHING)] = 30.0
    """The newest movie will wait so long for its result, and more wait than at the window's beginning. Over at half of
    it. null: not told of."""
    lag_window_minutes: Annotated[Positive, Touches(Stage.NOTHING)] = 10.0
    """How long that must last."""
    disk_hours: Annotated[Positive | None, Touches(Stage.NOTHING)] = 6.0
    """In so many hours the session has filled its disk, by what it wrote in its last hour (with its movies where they
    lie on the same disk; what others write is shown and not told of). It must last two minutes; over at one and a half
    times as many. null: not told of; below `store.min_free_disk_gb` a person is told in any case."""
    disk_free_gb: Annotated[Positive | None, Touches(Stage.NOTHING)] = None
    """So little is free. Over at 1.2 times as much. null: not told of."""
    cause_movies: Annotated[int, Field(ge=4, le=200), Touches(Stage.NOTHING)] = 10
    """How many of the newest results are looked at for a common cause of loss, and for late sidecars."""
    cause_share: Annotated[Annotated[float, Field(gt=0, le=1)] | None, Touches(Stage.NOTHING)] = 0.5
    """The same cause is named for so large a share of them. Over at half of it. null: not told of."""
    late_sidecars: Annotated[Annotated[int, Field(ge=1)] | None, Touches(Stage.NOTHING)] = 3
    """The sidecars of so many of them came after the movie had been taken. Over when none did. null: not told of."""
    least_severity: Annotated[Literal["info", "warning", "error"], Touches(Stage.NOTHING)] = "warning"
    """What is sent."""
    mute: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = ()
    """Subjects that are not sent: `acquisition`, `lag`, `disk`, `quality`, `cause`, `advice`, `graph`, `change`,
    `gain`, `worker`, `movie`, `metadata`, `evaluation`, `reconstruction`, `orientation`, `restoration`, `prior`,
    `targets`, `intake`, `store`, `http`, `daemon`. The screen shows them all."""
    quiet_minutes: Annotated[NonNegative, Touches(Stage.NOTHING)] = 15.0
    """After a message no other about the same subject for so long; what comes meanwhile goes together in the next. An
    error does not wait behind warnings."""
    bell: Annotated[bool, Touches(Stage.NOTHING)] = True
    """The screen rings the terminal's bell for a new error, and for nothing less."""
    smtp_host: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Mail server. null: no mail."""
    smtp_port: Annotated[int, Field(ge=1, le=65535), Touches(Stage.NOTHING)] = 587
    """587 with `starttls`, 465 with `tls`, 25 with `none` are usual."""
    smtp_security: Annotated[Literal["starttls", "tls", "none"], Touches(Stage.NOTHING)] = "starttls"
    """`none` sends a password in the clear: only for a server on this machine."""
    smtp_from: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Sender. null: frazil@ and the name of this machine."""
    smtp_to: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = ()
    """Receivers."""
    smtp_user: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """null: the server asks for no name."""
    smtp_password: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Where the password is: `env:NAME` or `file:PATH`. Never the password itself: settings are stored and shown."""
    webhooks: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = ()
    """Where JSON is posted: a shape (`slack`, `teams`, `mattermost`), a blank, and the address or, as such an address
    is a secret, where it is: `slack env:NAME`, `teams file:PATH`, `mattermost https://...`."""

    @field_validator("mute", mode="after")
    @classmethod
    def _are_subjects(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for subject in value:
            if subject not in ALERT_SUBJECTS:
                raise ValueError(f"no alert has the subject {subject!r}; there are {', '.join(ALERT_SUBJECTS)}")
        return value

    @field_validator("smtp_password", mode="after")
    @classmethod
    def _no_secret(cls, value: str | None) -> str | None:
        if value is not None and not is_secret_place(value):
            raise ValueError("give env:NAME (an environment variable) or file:PATH, not the password itself")
        return value

    @field_validator("webhooks", mode="after")
    @classmethod
    def _are_webhooks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for hook in value:
            shape, _, place = hook.partition(" ")
            known = shape in ("slack", "teams", "mattermost")
            if not known or not (re.match(r"https?://", place) or is_secret_place(place)):
                raise ValueError(
                    "write `slack`, `teams` or `mattermost`, a blank, and env:NAME, file:PATH or https://..."
                )
        return value

    @model_validator(mode="after")
    def _mail_goes_somewhere(self) -> AlertSettings:
        if self.smtp_host is not None and not self.smtp_to:
            raise ValueError("alerts.smtp_host needs alerts.smtp_to")
        if self.smtp_user is not None and self.smtp_password is None:
            raise ValueError("alerts.smtp_user needs alerts.smtp_password (env:NAME or file:PATH)")
        return self


class HttpSettings(Section):
    """The session over HTTP (`frazil watch --http PORT`, docs/http.md)."""

    port: Annotated[Annotated[int, Field(ge=1, le=65535)] | None, Touches(Stage.NOTHING)] = None
    """The port that is listened on. null: the session is not served."""
    token: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Where the token is with which the session may be written to: `env:NAME` or `file:PATH`. Never the token itself:
    settings are stored and shown. null: read-only."""
    address: Annotated[str, Touches(Stage.NOTHING)] = "127.0.0.1"
    """The address of this machine that is listened on. Any but loopback needs `token`, also to
    read."""
    host_names: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = ()
    """Names, beside the address and `localhost`, by which clients may call this machine: those of a reverse proxy. A
    web page that was led here under another name is refused."""

    @field_validator("token", mode="after")
    @classmethod
    def _no_secret(cls, value: str | None) -> str | None:
        if value is not None and not is_secret_place(value):
            raise ValueError("give env:NAME (an environment variable) or file:PATH, not the token itself")
        return value

    @field_validator("address", mode="after")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            return str(ipaddress.IPv4Address(value))
        except ValueError:
            raise ValueError("give an IPv4 address such as 127.0.0.1 or 0.0.0.0, not a name") from None

    @model_validator(mode="after")
    def _open_only_with_a_token(self) -> HttpSettings:
        if self.token is None and not ipaddress.IPv4Address(self.address).is_loopback:
            raise ValueError("an http.address that others can reach needs http.token (env:NAME or file:PATH)")
        return self
