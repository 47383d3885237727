"""Ray's exceptions for the two that stand in for Ray: one whose answers a test gives, one whose actors are threads."""

from __future__ import annotations

from types import SimpleNamespace


class RayError(Exception):
    pass


class RayActorError(RayError):
    """The actor's process has ended."""


class RayTaskError(RayError):
    """What an actor's method raised is the cause."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


EXCEPTIONS = SimpleNamespace(RayError=RayError, RayActorError=RayActorError, RayTaskError=RayTaskError)
