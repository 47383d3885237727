"""A step once a second on a thread of its own: whoever answers slowly, or not at all, keeps no movie waiting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from frazil.config.errors import FrazilError

_LOOK_S = 1.0


class SteppedThread:
    """See the module. `start`, then `close` before what the step needs is closed.

    Parameters
    ----------
    cannot:
        What a step that raises could not do, for `log`: "alerts cannot be sent now".
    failed:
        Called after each step that raised.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], object],
        *,
        log: logging.Logger,
        cannot: str,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._name, self._step = name, step
        self._log, self._cannot, self._failed = log, cannot, failed
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Harmless twice."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def close(self, wait_s: float) -> None:
        """One step more, waited for at most so long. Harmless twice."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(wait_s)
            self._thread = None

    def _run(self) -> None:
        said = ""
        while True:
            last = self._end.wait(_LOOK_S)
            try:
                self._step()
            except Exception as error:  # boundary of the thread: without it nothing is done any more
                # Once each: a store that is being closed, or a fault of ours, would fill the log once a second.
                if str(error) != said:
                    self._log.warning("%s: %s", self._cannot, error, exc_info=not isinstance(error, FrazilError))
                said = str(error)
                self._failed()
            if last:
                return
