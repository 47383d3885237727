"""What the sockets ask of the daemon: implemented by the composition root, and by a fake in tests."""

from __future__ import annotations

from typing import Protocol

from frazil.daemon.transport.messages import (
    Command,
    Done,
    LiveState,
    NamedQuery,
    Picture,
    PictureReply,
    Rows,
    Sql,
)


class QueryService(Protocol):
    """Called from several threads of the server at once, `command` from one at a time and in order.

    What a person did wrong or cannot have is raised as a `frazil.config.errors.FrazilError` (`QueryError`,
    `UsageError`, `NotThereError`, `RetryLaterError`); it travels to the caller as it is. Anything else is recorded
    and answered as an internal error.
    """

    def named(self, request: NamedQuery) -> Rows:
        """Rows of one of the named queries."""
        ...

    def sql(self, request: Sql) -> Rows:
        """Rows of a read-only statement."""
        ...

    def picture(self, request: Picture) -> PictureReply:
        """A reduced picture. Raises `NotThereError` while the movie has none."""
        ...

    def command(self, request: Command) -> Done:
        """Carries out an order; returns when it is durable."""
        ...

    def snapshot(self) -> LiveState:
        """The present state."""
        ...
