"""From a decoded request to a reply, whatever happens on the way. Knows no socket."""

from __future__ import annotations

import logging
import threading

from frazil.config.errors import FrazilError, NotThereError, QueryError, RetryLaterError, UsageError
from frazil.daemon.transport.messages import (
    COMMAND_NAMES,
    MAX_PICTURE_PX,
    AnyRequest,
    Command,
    Done,
    ErrorKind,
    Failure,
    NamedQuery,
    Picture,
    Reply,
    Sql,
)
from frazil.daemon.transport.service import QueryService

log = logging.getLogger(__name__)

_COMMANDS_REMEMBERED = 4096


class Answerer:
    """Calls the service and turns its errors into `Failure`s. Thread-safe if the service is."""

    def __init__(self, service: QueryService) -> None:
        self._service = service
        self._carried_out: dict[str, Done] = {}
        self._lock = threading.Lock()

    def answer(self, request: AnyRequest) -> Reply:
        """Never raises."""
        try:
            return self._call(request)
        except FrazilError as error:
            return Failure(kind_of(error), error.what, error.remedy, error.path)
        except Exception as error:  # thread boundary: one request's fault must not take the sockets down
            log.exception("answering %s", type(request).__name__)
            return Failure(
                "internal", f"{type(error).__name__} while answering: {error}", "see the daemon's log for the details"
            )

    def _call(self, request: AnyRequest) -> Reply:
        match request:
            case NamedQuery():
                return self._service.named(request)
            case Sql():
                return self._service.sql(request)
            case Picture(max_width_px=width, max_height_px=height):
                if not (0 < width <= MAX_PICTURE_PX and 0 < height <= MAX_PICTURE_PX):
                    raise UsageError(
                        f"no picture can have {width} x {height} px", remedy=f"ask for 1 to {MAX_PICTURE_PX}"
                    )
                left, top, across, down = request.part
                if not (0 <= left < 1 and 0 <= top < 1 and 0 < across <= 1 and 0 < down <= 1):
                    raise UsageError(
                        f"{request.part} is no part of a picture", remedy="give left, top, width, height as shares"
                    )
                return self._service.picture(request)
            case Command():
                return self._command_once(request)
            case _:
                return self._service.snapshot()

    def _command_once(self, request: Command) -> Done:
        """A client that heard nothing sends the same order again; it must not count twice."""
        if request.name not in COMMAND_NAMES:
            raise UsageError(f"unknown command {request.name}", remedy="use one of " + ", ".join(COMMAND_NAMES))
        with self._lock:  # commands come one at a time anyway
            known = self._carried_out.get(request.command_id)
            if known is not None:
                return known
            done = self._service.command(request)
            if request.command_id:
                self._carried_out[request.command_id] = done
                while len(self._carried_out) > _COMMANDS_REMEMBERED:
                    del self._carried_out[next(iter(self._carried_out))]
            return done


_KINDS: tuple[tuple[ErrorKind, type[FrazilError]], ...] = (
    ("not_found", NotThereError),
    ("query", QueryError),
    ("usage", UsageError),
    ("busy", RetryLaterError),
)


def kind_of(error: FrazilError) -> ErrorKind:
    """Which `Failure` an error becomes; `frazil.daemon.client` turns it back."""
    return next((kind for kind, kind_type in _KINDS if isinstance(error, kind_type)), "internal")
