"""`frazil serve`: sessions for new acquisitions, by themselves."""

from __future__ import annotations

import getpass
import logging
import logging.handlers
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from frazil.config.errors import UsageError
from frazil.config.serving_file import load_rules
from frazil.daemon.serve.children import frazil_words
from frazil.daemon.serve.foresee import foresee
from frazil.daemon.serve.records import Records
from frazil.daemon.serve.status import serve_status, status_json, status_text
from frazil.daemon.serve.supervisor import ServeOptions, Supervisor
from frazil.daemon.serve.units import Installation, serve_unit
from frazil.daemon.store.lock import open_to_writing

_LOG_BYTES = 10 << 20
_RULES_NAME = "serve.yaml"


def serve(
    root: Annotated[Path | None, typer.Argument(help="Folder in which acquisitions appear. Never written to.")] = None,
    sessions: Annotated[Path, typer.Option(help="Folder in which the sessions' folders are made")] = Path(),
    rules: Annotated[
        Path | None, typer.Option(help=f"YAML file with the rules [default: {_RULES_NAME} in the sessions' folder]")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Say what runs, waits and has ended, and end")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the rules, say what would become of each acquisition, and end")
    ] = False,
    print_unit: Annotated[
        bool, typer.Option("--print-unit", help="Print a unit for systemd with the paths given here, and end")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --status: one JSON object.")] = False,
) -> None:
    """Start a session (`frazil watch`) for each new acquisition below a folder, as the rules say (docs/serve.md).

    EPU, SerialEM and Leginon are known by their layout, other folders by their movies. A session ends in good order
    when its acquisition has been quiet for long; one that dies is started again. Stop with Ctrl-C: sessions end with
    it, and go on at the next start.

    \b
    Examples:
      frazil serve /data/epu --sessions /data/sessions --rules /etc/frazil/serve.yaml
      frazil serve --status --sessions /data/sessions
      frazil serve /data/epu --sessions /data/sessions --print-unit > /etc/systemd/system/frazil-serve.service
    """
    rules_path = (rules if rules is not None else sessions / _RULES_NAME).absolute()
    if status:
        told = serve_status(sessions.resolve())
        typer.echo(status_json(told) if as_json else status_text(told))
        raise typer.Exit(0 if told.running and not told.own.problem else 1)
    if root is None:
        raise UsageError("which folder is to be watched?", remedy="give the folder in which acquisitions appear")
    if print_unit:
        command = " ".join(shlex.quote(word) for word in frazil_words())
        user = getpass.getuser()
        typer.echo(serve_unit(Installation(command, root.resolve(), sessions.resolve(), rules_path, user)), nl=False)
        return
    if dry_run:
        for line in foresee(root.resolve(), sessions.resolve(), load_rules(rules_path)):
            typer.echo(line)
        return
    supervisor = Supervisor(ServeOptions(root, sessions, rules_path))
    _log_to(sessions)

    def on_signal(number: int, frame: FrameType | None) -> None:
        supervisor.stop()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    supervisor.run()


def _log_to(sessions: Path) -> None:
    """Serve's log: in the sessions' folder, for this account alone, and on standard error (the journal)."""
    folder = Records(sessions).folder
    with open_to_writing(sessions):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "serve.log"
        path.touch(mode=0o600)
        kept = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=5)
    shown = logging.StreamHandler(sys.stderr)
    kept.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    shown.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("frazil")
    logger.setLevel(logging.INFO)
    logger.addHandler(kept)
    logger.addHandler(shown)
    logger.propagate = False
