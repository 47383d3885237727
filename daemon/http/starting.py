"""HTTP is started again and again until it is up: on a machine whose cores are all busy with movies Ray Serve may need
several attempts, and no session should stay without its page because the first one came at a bad moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from frazil.config.errors import FrazilError, RetryLaterError

_log = logging.getLogger(__name__)
PATIENCE_S = 90.0
"""So long nobody is told that it is not up yet."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0


class NotUpError(RetryLaterError):
    """This attempt has failed; the next may do better."""


def keep_starting(
    attempt: Callable[[], bool],
    *,
    pause: Callable[[float], bool],
    tell: Callable[[str | None], None],
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Attempt until it is up, with longer and longer pauses.

    Parameters
    ----------
    attempt:
        Whether it is up; False: nobody wants it any more. Raises for an attempt that failed.
    pause:
        Waits so many seconds; True: nobody wants it any more.
    tell:
        Told one sentence when it has not come up in `PATIENCE_S`, and None when it has after all.

    Returns
    -------
    bool
        Whether it is up.
    """
    began_s, pause_s, told = clock(), _FIRST_PAUSE_S, False
    tries = 0
    while True:
        tries += 1
        try:
            if not attempt():
                return False
        except Exception as error:  # thread boundary: the session goes on, and so do the attempts
            _log.warning("HTTP did not start, attempt %d", tries, exc_info=True)
            if not told and clock() - began_s >= PATIENCE_S:
                told = True
                tell(_sentence(error, tries))
        else:
            _log.info("HTTP is up after %d attempts and %.0f s", tries, clock() - began_s)
            if told:
                tell(None)
            return True
        if pause(pause_s):
            return False
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _sentence(error: Exception, tries: int) -> str:
    """What a person is told: no traceback, which stands in the log."""
    why = error.what if isinstance(error, FrazilError) else "Ray Serve does not answer as it should"
    return f"the session's web page is not up after {tries} attempts, and frazil goes on trying: {why}"
