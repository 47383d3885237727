"""The process that reads a finished session's file for the screen: `python -m ... SESSION SOCKET ...`, started by
`frazil.daemon.transport.file_process`."""

from __future__ import annotations

import sys
from pathlib import Path

from frazil.config.errors import FrazilError
from frazil.daemon.status.finished import open_finished
from frazil.daemon.transport.file_line import SessionFile
from frazil.daemon.transport.file_process import serve


def main() -> None:
    """Until the screen has gone."""
    file: SessionFile | FrazilError
    try:
        file = open_finished(Path(sys.argv[1]))
    except FrazilError as error:
        file = error
    serve(file, [int(number) for number in sys.argv[2:]])


if __name__ == "__main__":
    main()
