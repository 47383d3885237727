"""A temporary copy of a session's database, for what must not be done in a folder that is only read: bring an older
schema up to date, repair a damaged log.

It is the daemon's own opening (`engine.open_database`) and rebuilding (`rebuild.py`), done to the copy; the session
itself stays as it is, byte by byte.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from frazil.config.errors import RetryLaterError
from frazil.daemon.store import engine

_FILES = (engine.DATABASE_NAME, engine.DATABASE_NAME + ".wal")


class SessionCopy:
    """See the module. `folder` has the database only; `close` removes it.

    Raises
    ------
    RetryLaterError
        There is no room for the copy.
    StopDaemonError
        It cannot be brought up to date: a newer frazil wrote it.
    """

    def __init__(self, session_dir: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="frazil-session-"))
        try:
            self._make(session_dir)
        except OSError as error:
            self.close()
            raise RetryLaterError(
                f"there is no room for a temporary copy of the session's database ({error.strerror or error})",
                path=self.folder,
                remedy="free some space there, or set TMPDIR to a folder on a larger disk",
            ) from error
        except BaseException:
            self.close()
            raise

    def _make(self, session_dir: Path) -> None:
        for name in _FILES:
            if (session_dir / name).exists():
                shutil.copyfile(session_dir / name, self.folder / name)  # not its mode: it may be read-only
        opened = engine.open_database(self.folder, now_utc_us=0)
        opened.connection.close()
        if opened.set_aside:
            _adopt_results(self.folder, session_dir)

    def close(self) -> None:
        """Harmless when called twice."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _adopt_results(copy: Path, session_dir: Path) -> None:
    """What the damaged file had is read back from the result files, as the daemon does it at a start."""
    from frazil.daemon.store import rebuild  # slow, and seldom needed
    from frazil.daemon.store.store import Store

    with Store.open(copy, now_utc_us=0, min_free_bytes=0) as store:
        rebuild.adopt_missing(store, session_dir, now_utc_us=0)
