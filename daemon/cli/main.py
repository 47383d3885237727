"""`frazil VERB`: registers one verb a file and turns typed errors into sentences and exit codes.

Exit codes: 0 done, 1 failed, 2 asked wrongly.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click
import typer

from frazil.config.errors import FrazilError, UsageError

VERBS = ("demo", "watch", "simulate", "tui", "status", "summary", "query", "export", "fetch", "doctor")

_HELP = """Live processing of cryo-EM movies while the microscope is still running.

Start with `frazil demo`. At the scope:

  frazil watch /data/raw --session /data/session1 --preset krios-k3 --gain gain.mrc --pixel-size-angstrom 0.83

and, from anywhere, `frazil tui --session /data/session1`.
"""


def load_verb(name: str) -> Callable[..., Any]:
    """The function of one verb; importing only this one keeps `frazil tui` free of torch and Ray."""
    function: Callable[..., Any] = getattr(import_module(f"frazil.daemon.cli.{name}"), name)
    return function


def build(verbs: tuple[str, ...] = VERBS) -> typer.Typer:
    """The command line of some verbs."""
    app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None)

    @app.callback()
    def root() -> None:
        """Keeps a command line of one verb from losing the verb's name."""

    for name in verbs:
        app.command(name, context_settings={"help_option_names": ["-h", "--help"]})(load_verb(name))
    app.info.help = _HELP
    return app


def main() -> None:
    """Entry point of the `frazil` script."""
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    # Only the verb that is asked for is imported; help and mistakes need all of them.
    app = build((asked,) if asked in VERBS else VERBS)
    command = typer.main.get_command(app)
    command.help = _HELP
    try:
        code = command.main(prog_name="frazil", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = 0
    except click.ClickException as error:
        error.show()
        code = 2
    except click.Abort:
        click.echo("interrupted", err=True)
        code = 1
    except FrazilError as error:
        click.echo(f"frazil: {error}", err=True)
        code = 2 if isinstance(error, UsageError) else 1
    sys.exit(code if isinstance(code, int) else 0)
