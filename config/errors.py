"""The errors that a person can meet, split by what happens next.

The type decides what the daemon does; the text is for the person. Every message says what happened, to which file,
and what to do about it. Nothing ever looks into a message to decide something.

=====================  ==================================================================
`RetryLaterError`      the world is not ready (file still growing, disk full): try again
`QuarantineError`      this movie can never work as it is: set it aside with its evidence
`RestartWorkerError`   the worker or its device is sick, the movie is not to blame
`StopDaemonError`      going on would lose or falsify data: stop and say why
`UsageError`           the person asked for something that cannot be: exit code 2
=====================  ==================================================================
"""

from __future__ import annotations

from pathlib import Path


class FrazilError(Exception):
    """Base of all of frazil's errors.

    Parameters
    ----------
    what:
        What happened, in one sentence without a trailing full stop.
    path:
        The file it happened to, if it is about a file.
    remedy:
        What the person can do, in one sentence in the imperative.
    """

    def __init__(self, what: str, *, path: Path | str | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.path = None if path is None else str(path)
        self.remedy = remedy
        super().__init__(self.__str__())

    def __str__(self) -> str:
        text = self.what if self.path is None else f"{self.path}: {self.what}"
        return text if self.remedy is None else f"{text}. {self.remedy[:1].upper()}{self.remedy[1:]}"

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        # Keyword-only arguments do not survive the default pickling, and errors cross process borders in Ray.
        return (_rebuild, (type(self), self.what, self.path, self.remedy))


def _rebuild(cls: type[FrazilError], what: str, path: str | None, remedy: str | None) -> FrazilError:
    return cls(what, path=path, remedy=remedy)


class RetryLaterError(FrazilError):
    """The same call may succeed later; nothing is wrong with the movie."""


class QuarantineError(FrazilError):
    """This movie cannot be processed as it is; the run goes on without it."""


class RestartWorkerError(FrazilError):
    """The worker or its device failed; the movie goes back to the queue."""


class StopDaemonError(FrazilError):
    """Going on would lose or falsify data."""


class RefusedError(FrazilError):
    """A receiver will not take this message, now or later; others it may."""


class UsageError(FrazilError):
    """The request itself is wrong: a flag, a setting, a missing value."""


class FormatError(QuarantineError):
    """The file is damaged, or not what its name says."""


class HeaderLimitError(FormatError):
    """The header claims more than any camera writes, or more than the file holds; nothing was allocated."""


class TruncatedFileError(FormatError):
    """The file ends before the data that its header or its sidecar promises."""


class UnsupportedFormatError(FormatError):
    """A well-formed file in a variant that frazil does not read."""


class SettingsError(UsageError):
    """A setting is unknown, malformed, out of range or missing."""


class ContradictionError(SettingsError):
    """Two sources give different values for the same quantity; the message names both."""


class SessionLockedError(UsageError):
    """Another daemon owns this session folder."""


class QueryError(UsageError):
    """A query was refused, failed or ran too long."""


class WriteError(FrazilError):
    """The session's database does not take these rows, now or later: a fault of frazil's own."""


class NotThereError(UsageError):
    """What was asked for (a movie, a picture) does not exist, or not yet."""


class EndpointError(UsageError):
    """A socket would be unsafe or cannot exist: wrong owner or mode, too long a path, open to the network."""


class DaemonGoneError(RetryLaterError):
    """No daemon answered; it may be restarting."""


class RemoteError(FrazilError):
    """The daemon could not do what was asked, for a reason of its own; it wrote the details to its log."""
